//! Both tiers, and what keys, times and versions mean in them.

use super::bases::Bases;
use super::op::Op;
use super::options::Options;
use crate::cold::{Change, ColdTier, Current, Sharing};
use crate::error::{Error, ErrorKind, Result};
use crate::hot::{Ended, Entry, Hot, HotOptions, Lookup, Usage};
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
    /// Whether others change cold, too: asked here, so that a hit in hot makes no call for it.
    is_shared: bool,
    /// What a hit in hot has to do.
    hits: Hits,
    /// Whether what has stayed in hot for its time is to be taken out.
    sweeps: bool,
    /// What cold has of unwritten keys, if others change it, too.
    bases: Bases,
    /// The next version in a store without a cold tier.
    versions: AtomicU64,
}

/// What a hit in hot has to do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Hits {
    /// It is counted.
    Plain,
    /// It is counted, if hot may be trusted.
    Trusted,
    /// There are none, or cold is told of them.
    Others,
}

/// What hot knows of a key.
pub(super) enum HotSays {
    /// It has a value.
    Has(Entry),
    /// It had a value that cold has not got, and which has expired: cold's is older still.
    Gone,
    /// It had a value, and somebody else may have changed that: cold is to be asked whether it has it
    /// still.
    Doubts(Entry),
    /// It had a value whose time in hot was over: cold is to be asked.
    Ended(Entry, Ended),
    /// Nothing: cold is to be asked.
    Nothing,
}

impl HotSays {
    /// Whether hot has a value of the key.
    pub(super) fn is_here(&self) -> bool {
        matches!(self, Self::Has(_) | Self::Doubts(_))
    }
}

impl Tiers {
    pub(super) fn new(
        options: &Options,
        cold: Option<Box<dyn ColdTier>>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let sharing = cold.as_ref().and_then(|cold| cold.sharing());
        let (is_shared, lease_ms) = (sharing.is_some(), sharing.and_then(Sharing::lease_ms));
        let ttl_ms = Some(options.hot_ttl_ms).filter(|ttl_ms| *ttl_ms != 0);
        let residency_ms = lease_ms.into_iter().chain(ttl_ms).min().unwrap_or(0);
        let hot = Hot::new(&HotOptions {
            capacity: options.hot_capacity,
            max_entries: options.hot_max_entries,
            residency_ms,
            eviction: options.eviction,
        });
        Self {
            hot,
            hasher: cold.as_ref().map_or_else(KeyHasher::random, |cold| cold.hasher()),
            cold,
            clock,
            has_residency: residency_ms != 0,
            is_shared,
            hits: match (options.hot_capacity == 0 || options.cold_capacity != 0, is_shared) {
                (true, _) => Hits::Others,
                (false, true) => Hits::Trusted,
                (false, false) => Hits::Plain,
            },
            // An entry whose lease is over stays useful: cold may say that it has not changed.
            sweeps: lease_ms.is_none() || ttl_ms.is_some(),
            bases: Bases::default(),
            versions: AtomicU64::new(1),
        }
    }

    /// What there is to know of cold if others change it, too.
    #[inline]
    pub(super) fn sharing(&self) -> Option<&dyn Sharing> {
        if self.is_shared { self.cold()?.sharing() } else { None }
    }

    /// Whether others change cold, too.
    #[inline]
    pub(super) fn is_shared(&self) -> bool {
        self.is_shared
    }

    /// What a hit in hot has to do.
    #[inline]
    pub(super) fn hits(&self) -> Hits {
        self.hits
    }

    /// Whether what has stayed in hot for its time is to be taken out.
    pub(super) fn sweeps(&self) -> bool {
        self.sweeps
    }

    /// What cold has of unwritten keys.
    pub(super) fn bases(&self) -> &Bases {
        &self.bases
    }

    /// Whether hot may serve a key without asking. To be asked before hot is: what hot has then was
    /// told of in time.
    #[inline]
    pub(super) fn trusts_hot(&self, key: &Key<'_>, fresh: bool) -> bool {
        !self.is_shared || (!fresh && self.sharing().is_none_or(|sharing| sharing.trusts(key)))
    }

    /// What a lookup in hot means.
    #[inline]
    pub(super) fn judge(&self, found: Lookup, trusts: bool) -> HotSays {
        match found {
            Lookup::Hit(entry) if trusts || entry.is_unwritten() => HotSays::Has(entry),
            Lookup::Hit(entry) => HotSays::Doubts(entry),
            Lookup::Gone(entry, _) if entry.is_unwritten() => HotSays::Gone,
            Lookup::Gone(entry, Ended::Residency) if self.is_shared => HotSays::Doubts(entry),
            Lookup::Gone(entry, ended) => HotSays::Ended(entry, ended),
            Lookup::Miss => HotSays::Nothing,
        }
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

    /// What hot has of a key, without changing anything. An entry that has ended counts as nothing.
    pub(super) fn peek_hot(&self, key: &Key<'_>) -> HotSays {
        let says = match self.hot.is_enabled() {
            true => {
                let trusts = self.trusts_hot(key, false);
                self.judge(self.hot.peek(key, &*self.clock), trusts)
            }
            false => HotSays::Nothing,
        };
        if matches!(says, HotSays::Ended(..)) { HotSays::Nothing } else { says }
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

    /// Finds out what the store has of the change's key; returns its version, 0 if it is absent.
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
        if self.is_shared {
            return self.look_shared(change, op, in_hot);
        }
        if let Some(cold) = &self.cold {
            // Cold has what hot has written, so cold's only record of this hash is this key's.
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
