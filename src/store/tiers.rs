//! Both tiers, and what keys, times and versions mean in them.

use super::op::Op;
use super::options::Options;
use crate::cold::{Change, ColdTier, Current};
use crate::error::{Error, ErrorKind, Result};
use crate::hot::{Entry, Hot, HotOptions, Lookup, Usage};
use crate::key::{Key, KeyHasher};
use crate::time::{Clock, Expiry, Instant};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The two tiers of a store, and its clock.
pub(super) struct Tiers {
    hot: Hot,
    cold: Option<Box<dyn ColdTier>>,
    clock: Arc<dyn Clock>,
    hasher: KeyHasher,
    /// Whether entries may stay in hot for a while only.
    has_residency: bool,
    /// The next version in a store without a cold tier.
    versions: AtomicU64,
}

/// What hot knows of a key.
pub(super) enum HotSays {
    /// It has a value.
    Has(Entry),
    /// It had a value that cold has not got, and which has expired: cold's is older still.
    Gone,
    /// Nothing: cold is to be asked.
    Nothing,
}

impl From<Lookup> for HotSays {
    fn from(found: Lookup) -> Self {
        match found {
            Lookup::Hit(entry) => Self::Has(entry),
            Lookup::Gone(entry, _) if entry.is_unwritten() => Self::Gone,
            Lookup::Gone(..) | Lookup::Miss => Self::Nothing,
        }
    }
}

impl Tiers {
    pub(super) fn new(
        options: &Options,
        cold: Option<Box<dyn ColdTier>>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let hot = Hot::new(&HotOptions {
            capacity: options.hot_capacity,
            max_entries: options.hot_max_entries,
            residency_ms: options.hot_ttl_ms,
            eviction: options.eviction,
        });
        let hasher = cold.as_ref().map_or_else(KeyHasher::random, |cold| cold.hasher());
        let has_residency = options.hot_ttl_ms != 0;
        Self { hot, cold, clock, hasher, has_residency, versions: AtomicU64::new(1) }
    }

    /// The tier in memory.
    #[inline]
    pub(super) fn hot(&self) -> &Hot {
        &self.hot
    }

    /// The tier that keeps; `None` in a store in memory only.
    #[inline]
    pub(super) fn cold(&self) -> Option<&dyn ColdTier> {
        self.cold.as_deref()
    }

    /// The store's clock.
    #[inline]
    pub(super) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// Makes a key.
    ///
    /// # Errors
    /// `TooLarge`.
    pub(super) fn key<'k>(&self, bytes: &'k [u8]) -> Result<Key<'k>> {
        self.hasher.key(bytes)
    }

    /// The next version, of the range that this open has.
    pub(super) fn take_version(&self) -> Result<u64> {
        match &self.cold {
            Some(cold) => cold.take_version(),
            None => Ok(self.versions.fetch_add(1, Ordering::Relaxed)),
        }
    }

    /// What hot says of a key; changes nothing.
    pub(super) fn peek_hot(&self, key: &Key<'_>) -> HotSays {
        match self.hot.is_enabled() {
            true => self.hot.peek(key, &*self.clock).into(),
            false => HotSays::Nothing,
        }
    }

    /// The current time, only if it matters for an expiry.
    pub(super) fn has_expired(&self, expires_at: u64) -> bool {
        expires_at != 0 && expires_at <= self.clock.wall().0
    }

    /// The monotonic time, if there is a residency to measure by it.
    pub(super) fn now(&self) -> Instant {
        match self.has_residency {
            true => self.clock.monotonic(),
            false => Instant(0),
        }
    }

    /// Finds out what the change meets; returns the key's version, 0 if it is absent.
    pub(super) fn look(&self, change: &mut Change<'_>, op: &mut Op<'_>) -> Result<u64> {
        op.replaced = Usage::default();
        let hash = change.key.hash();
        let mut in_hot = None;
        if self.hot.is_enabled() {
            let shard = self.hot.lock(self.hot.shard_index(hash));
            change.has_unwritten_twin = shard.has_other_unwritten(&change.key);
            in_hot = shard.peek(&change.key).map(|entry| {
                op.replaced = Usage::of_entry(entry.charge());
                (entry.version(), entry.expiry().ms(), entry.is_unwritten())
            });
        }
        if let Some(cold) = &self.cold {
            // What hot has written is in cold, so cold's only entry is this key's.
            cold.look(change, in_hot.is_some_and(|(_, _, is_unwritten)| !is_unwritten))?;
        }
        let (version, expires_at) = match (in_hot, change.current) {
            (Some((version, expires_at, _)), _) => (version, expires_at),
            (None, Current::Value { version, expires_at }) => (version, expires_at),
            (None, _) => (0, 0),
        };
        let is_damaged = in_hot.is_none() && change.current == Current::Damaged;
        if is_damaged && op.if_version.is_some() {
            let sentence = "the key's record is damaged and its version unknown; store it without \
                            a condition, or delete it";
            return Err(Error::new(ErrorKind::Corrupt, sentence));
        }
        op.existed = is_damaged || (version != 0 && !self.has_expired(expires_at));
        Ok(if op.existed { version } else { 0 })
    }

    /// When what is stored now ends. The files tell the time before anything expires by it:
    /// otherwise what was stored under a clock that was ahead would outlive a crash by as much.
    pub(super) fn expiry_after(&self, ttl_ms: u64) -> u64 {
        if ttl_ms == 0 {
            return 0;
        }
        let moment = self.clock.moment();
        if let Some(cold) = &self.cold {
            cold.keep_time(&moment);
        }
        Expiry::after(moment.wall, ttl_ms).ms()
    }
}
