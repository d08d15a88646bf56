//! What all calls and the background thread share: both tiers, the clock, counters and events.
//!
//! # Locks
//! In this order: stripes (ascending), hot shards (ascending), keydir shards (ascending); the log's
//! own locks are never held together with a tier's. A stripe is held over a whole change of a key,
//! from looking at what is there to publishing what comes; so changes of one key happen one after
//! the other. A change is published with the key's hot shard and keydir shard locked, so that no
//! reader sees one tier changed and the other not.
//!
//! Callbacks run, and evicted entries are freed, after all locks: [`Effects`] collects them.

use super::events::{Event, EventKind, Events, in_callback};
use super::loads::Loads;
use super::options::{Options, Policy};
use super::stats::{Counter, Counters, Tier};
use super::work::{Room, Work};
use crate::cold::Cold;
use crate::error::{Error, ErrorKind, Result};
use crate::hot::{Ended, Entry, Hot, Lookup, Victims};
use crate::io::clock::SystemClock;
use crate::key::{Key, KeyHasher};
use crate::ledger::Ledger;
use crate::memory::Few;
use crate::sync::{Mutex, MutexGuard};
use crate::time::Clock;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Locks for changing keys. More than threads that write at once, so that they seldom meet.
const STRIPES: usize = 256;

/// One store, as its calls see it.
pub struct State {
    pub(super) options: Options,
    pub(super) storage_id: String,
    pub(super) hot: Hot,
    pub(super) cold: Option<Cold>,
    pub(super) clock: Arc<SystemClock>,
    pub(super) hasher: KeyHasher,
    pub(super) counters: Counters,
    pub(super) events: Arc<Events>,
    pub(super) work: Work,
    pub(super) loads: Loads,
    pub(super) ledger: Arc<Ledger>,
    room: Room,
    stripes: Box<[Mutex<()>]>,
    versions: AtomicU64,
    failed: AtomicBool,
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

/// What is to be told and freed once no lock is held any more.
#[derive(Default)]
pub(super) struct Effects {
    /// Entries that left hot to make room.
    pub(super) evicted: Victims,
    /// How many more of them there were, whose memory has gone to new entries.
    pub(super) recycled: u64,
    /// Entries whose time in hot was over.
    pub(super) gone: Vec<(Entry, Ended)>,
    /// An entry that came from cold.
    pub(super) promoted: Option<Entry>,
    /// What else is to be freed.
    pub(super) replaced: Victims,
}

impl State {
    pub(super) fn new(
        options: Options,
        storage_id: String,
        (hot, cold): (Hot, Option<Cold>),
        clock: Arc<SystemClock>,
    ) -> Self {
        let hasher = cold.as_ref().map_or_else(KeyHasher::random, Cold::hasher);
        Self {
            options,
            storage_id,
            hot,
            cold,
            clock,
            hasher,
            counters: Counters::new(),
            events: Arc::new(Events::new()),
            work: Work::new(),
            loads: Loads::new(),
            ledger: Arc::new(Ledger::default()),
            room: Room::default(),
            stripes: (0..STRIPES).map(|_| Mutex::new(())).collect(),
            versions: AtomicU64::new(1),
            failed: AtomicBool::new(false),
        }
    }

    /// Makes a key.
    ///
    /// # Errors
    /// `TooLarge`.
    pub(super) fn key<'k>(&self, bytes: &'k [u8]) -> Result<Key<'k>> {
        self.hasher.key(bytes)
    }

    /// After a panic nothing is written any more: nobody knows what was left half done.
    pub(super) fn fail(&self) {
        self.failed.store(true, Ordering::Release);
    }

    /// Refuses a write to a store that cannot take it.
    ///
    /// # Errors
    /// `Internal` after a panic, `ReadOnly` if the store was opened so.
    pub(super) fn check_writable(&self) -> Result<()> {
        if self.failed.load(Ordering::Acquire) {
            let sentence = "an earlier call met a defect of hotcold; reads go on, but nothing is \
                            written until the store is opened again";
            return Err(Error::new(ErrorKind::Internal, sentence));
        }
        if self.options.read_only {
            let sentence = "the store was opened read-only; open it for writing";
            return Err(Error::new(ErrorKind::ReadOnly, sentence));
        }
        Ok(())
    }

    /// True if cold refuses writes.
    pub(super) fn is_read_only(&self) -> bool {
        self.options.read_only
            || self.failed.load(Ordering::Acquire)
            || self.cold.as_ref().is_some_and(|cold| cold.poison().is_set())
    }

    /// The next version, of the range that this open has.
    pub(super) fn take_version(&self) -> Result<u64> {
        match &self.cold {
            Some(cold) => cold.take_version(),
            None => Ok(self.versions.fetch_add(1, Ordering::Relaxed)),
        }
    }

    /// Waits while the disk is bounded and full, until the background thread has made room.
    pub(super) fn wait_for_room(&self, bytes: u64) {
        let (capacity, Some(cold)) = (self.options.cold_capacity, &self.cold) else { return };
        // A callback may run on the thread that would have to make the room.
        if capacity == 0 || in_callback() {
            return;
        }
        self.room.wait(bytes, capacity / 32, &mut || {
            self.work.wake();
            let is_stuck = self.work.is_stopping() || self.is_read_only();
            is_stuck || cold.disk_bytes() <= capacity
        });
    }

    /// The background thread has made what room it could.
    pub(super) fn made_room(&self) {
        self.room.made();
    }

    /// Locks the stripe of a key.
    pub(super) fn stripe(&self, hash: u64) -> MutexGuard<'_, ()> {
        self.stripes[Self::stripe_index(hash)].lock()
    }

    /// Locks the stripes of many keys.
    pub(super) fn stripes(
        &self,
        mut hashes: impl ExactSizeIterator<Item = u64>,
    ) -> Few<MutexGuard<'_, ()>> {
        let mut guards = Few::new();
        if hashes.len() == 1
            && let Some(hash) = hashes.next()
        {
            guards.push(self.stripe(hash));
            return guards;
        }
        let mut wanted = [false; STRIPES];
        hashes.for_each(|hash| wanted[Self::stripe_index(hash)] = true);
        let wanted = (0..STRIPES).filter(|index| wanted[*index]);
        guards.extend(wanted.map(|index| self.stripes[index].lock()));
        guards
    }

    /// Locks all stripes: nothing changes meanwhile.
    pub(super) fn all_stripes(&self) -> Vec<MutexGuard<'_, ()>> {
        self.stripes.iter().map(Mutex::lock).collect()
    }

    /// Returns once every change that was under way when it was called is published.
    pub(super) fn quiesce(&self) {
        self.stripes.iter().for_each(|stripe| drop(stripe.lock()));
    }

    fn stripe_index(hash: u64) -> usize {
        usize::from(hash.to_le_bytes()[6])
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

    /// Under the lenient policy, counts and tells a failure of cold and gives it back as survived;
    /// under the strict one fails with it.
    ///
    /// # Errors
    /// The failure itself.
    pub(super) fn survive(&self, error: Error, key: &[u8]) -> Result<Error> {
        if self.options.policy == Policy::Strict {
            return Err(error);
        }
        self.counters.add(Counter::LenientFailures, 1);
        self.tell_error(&error, key);
        Ok(error)
    }

    /// Tells subscribers of a failure.
    pub(super) fn tell_error(&self, error: &Error, key: &[u8]) {
        self.events.emit(&Event {
            tier: Some(Tier::Cold),
            status: Some(error.kind()),
            key,
            message: Some(error.message()),
            ..Event::of(EventKind::Error)
        });
    }

    /// Counts, tells and frees what a call has brought about. No lock may be held.
    pub(super) fn finish(&self, effects: Effects) {
        let Effects { evicted, recycled, gone, promoted, replaced } = effects;
        drop(replaced);
        if let Some(entry) = &promoted {
            self.counters.add(Counter::HotPromotions, 1);
            self.tell_entry(EventKind::Promoted, Tier::Hot, entry);
        }
        if recycled != 0 || !evicted.is_empty() {
            self.counters.add(Counter::HotEvictions, recycled + evicted.len() as u64);
            evicted.iter().for_each(|e| self.tell_entry(EventKind::Evicted, Tier::Hot, e));
        }
        for (entry, departure) in &gone {
            self.counters.add(Counter::HotExpirations, 1);
            let kind = match departure {
                Ended::Residency => EventKind::Demoted,
                Ended::Expiry => EventKind::Expired,
            };
            self.tell_entry(kind, Tier::Hot, entry);
        }
    }

    /// Tells subscribers of something that happened to an entry.
    pub(super) fn tell_entry(&self, kind: EventKind, tier: Tier, entry: &Entry) {
        if !self.events.wants(kind) {
            return;
        }
        self.events.emit(&Event {
            tier: Some(tier),
            key: entry.key(),
            value: Some(entry.value()),
            version: entry.version(),
            expires_at: entry.expiry().ms(),
            ..Event::of(kind)
        });
    }
}
