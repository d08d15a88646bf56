//! What a program asks of one store or one retrieve beside key and value.

use super::time::time_to_live;
use crate::store;
use std::time::Duration;

/// What a store asks for beside key and value: nothing, unless a method says so.
///
/// ```
/// use hotcold::{Options, Store, StoreOptions, Stored};
/// use std::time::Duration;
///
/// # fn main() -> hotcold::Result<()> {
/// let store = Store::in_memory(&Options::new())?;
/// let minute = StoreOptions::new().ttl(Duration::from_secs(60));
/// store.store_with("session", "open", &minute)?;
///
/// // The key is there by now, so this store is refused.
/// let first = StoreOptions::new().if_absent();
/// let stored = store.store_with("session", "other", &first)?;
/// assert!(matches!(stored, Stored::Conflict(version) if version != 0));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct StoreOptions {
    pub(super) asked: store::StoreOptions,
}

impl StoreOptions {
    /// A plain store.
    pub fn new() -> Self {
        Self::default()
    }

    /// The entry expires after `time`, in whole milliseconds, rounded up, and at least one. It goes
    /// from both tiers then. Without this call it never expires.
    #[must_use]
    pub fn ttl(mut self, time: Duration) -> Self {
        self.asked.ttl_ms = time_to_live(time);
        self
    }

    /// Nothing is stored unless the key has this version: see [`Value::version`](crate::Value).
    #[must_use]
    pub fn if_version(mut self, version: u64) -> Self {
        self.asked.if_version = Some(version);
        self
    }

    /// Nothing is stored if the key has a value.
    #[must_use]
    pub fn if_absent(self) -> Self {
        self.if_version(0)
    }

    /// The value does not enter the hot tier, if the store has a cold one.
    #[must_use]
    pub fn cold_only(mut self) -> Self {
        self.asked.cold_only = true;
        self
    }

    /// The store survives a power loss once the call has returned.
    #[must_use]
    pub fn sync(mut self) -> Self {
        self.asked.sync = true;
        self
    }
}

/// What a retrieve does to the hot tier: what it always does, unless a method says otherwise.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct RetrieveOptions {
    pub(super) asked: store::RetrieveOptions,
}

impl RetrieveOptions {
    /// A plain retrieve.
    pub fn new() -> Self {
        Self::default()
    }

    /// What is found in the cold tier does not enter the hot one.
    #[must_use]
    pub fn no_promote(mut self) -> Self {
        self.asked.no_promote = true;
        self
    }

    /// The hot tier stays as it is: nothing enters, and what is found does not count as used.
    #[must_use]
    pub fn no_recency(mut self) -> Self {
        self.asked.no_recency = true;
        self
    }

    /// A shared cold tier is asked whatever the hot tier has. It changes nothing over a directory.
    #[must_use]
    pub fn fresh(mut self) -> Self {
        self.asked.fresh = true;
        self
    }
}
