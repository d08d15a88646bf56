//! What calls give back: a value that shares its bytes, and an answer with the failure, if any, that
//! a lenient store lived through.

use super::stats::Tier;
use crate::buffer::LentBuffer;
use crate::error::Error;
use crate::hot::{Entry, Hit};
use crate::ledger::Ledger;
use std::ops::Range;
use std::sync::Arc;

/// A reference to bytes that never change. Cloning shares them; they outlive the store.
#[derive(Clone)]
pub struct Value {
    buffer: LentBuffer,
    range: Range<usize>,
    version: u64,
    expires_at: u64,
    tier: Tier,
}

impl Value {
    /// The value of an entry, said to come from `tier`.
    #[inline]
    pub(crate) fn of(entry: Entry, tier: Tier, ledger: &Arc<Ledger>) -> Self {
        let (range, version) = (entry.value_range(), entry.version());
        let expires_at = entry.expiry().ms();
        let buffer = LentBuffer::new(entry.into_buffer(), ledger);
        Self { buffer, range, version, expires_at, tier }
    }

    /// The value of a hit in hot.
    #[inline]
    pub(crate) fn of_hit(hit: Hit) -> Self {
        let Hit { lent: buffer, value_range: range, version, expires_at } = hit;
        Self { buffer, range, version, expires_at, tier: Tier::Hot }
    }

    /// A value that is a whole buffer.
    pub(crate) fn whole(buffer: LentBuffer, version: u64, expires_at: u64, tier: Tier) -> Self {
        let range = 0..buffer.bytes().len();
        Self { buffer, range, version, expires_at, tier }
    }

    /// The bytes.
    pub fn data(&self) -> &[u8] {
        self.buffer.bytes().get(self.range.clone()).unwrap_or_default()
    }

    /// Changes with every store of the key and never repeats.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// When it expires, in milliseconds since the epoch; 0 for never.
    pub fn expires_at(&self) -> u64 {
        self.expires_at
    }

    /// Where it was found.
    pub fn tier(&self) -> Tier {
        self.tier
    }

    /// The shared buffer, and where in it the value lies.
    pub fn into_buffer(self) -> (LentBuffer, Range<usize>) {
        (self.buffer, self.range)
    }
}

/// What a call gives, with the failure of the cold tier that the lenient policy lived through.
#[derive(Clone, Debug)]
pub struct Answer<T> {
    /// What the call gives.
    pub value: T,
    /// What was survived; `None` under the strict policy.
    pub survived: Option<Error>,
}

impl<T> Answer<T> {
    /// An answer without a failure.
    pub fn of(value: T) -> Self {
        Self { value, survived: None }
    }

    /// The same failure with another value.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Answer<U> {
        Answer { value: change(self.value), survived: self.survived }
    }
}
