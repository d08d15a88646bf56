//! Least recently used: the entry that was not used for longest leaves first.
//!
//! A use writes its stamp into the entry and moves nothing, so that many threads may use entries at
//! once. What is last in the shard's ring and was used since it came there sinks to where its stamp
//! belongs, before anything leaves. Both the search for that place and the number of entries that sink
//! in one go are bounded. So the order is
//! exact where a shard has few entries; in a large one, what was used since it was last looked at comes
//! to the front.
//!
//! Stamps order the uses of all shards: the number of the newest insert, then how many uses this thread
//! has made since. Between threads the second part is a guess.
//!
//! # Invariants
//! 1. Stamps of inserts differ in the whole tier.
//! 2. In front of an entry that was not used since it got its place, all stamps are greater, as far as
//!    the searches were not cut short.
//! 3. The published stamp of a shard is at most its victim's, if not too many sank, and `EMPTY` only if
//!    there is none. A use leaves it too low at most; whoever evicts finds that out and corrects it, so
//!    that a use does not have to.
//! 4. Uses only read `inserts`, so they write to no cache line that all shards share.

use super::budget::CacheLine;
use super::entry::{Described, Entry, Probe, Slot};
use super::policy::{Order, Policy, SHARD_COUNT, Turn, Uses};
use super::slots::Slots;
use crate::error::Result;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// All entries are in one ring.
const RING: usize = 0;

/// The stamp of a shard that has nothing to evict.
const EMPTY: u64 = u64::MAX;

/// How many uses between two inserts a stamp can tell apart, as a power of two. The other 51 bits
/// last for seventy years of a million inserts a second. While nothing is inserted and more than these
/// are used, marks stay as they are, so that threads do not take cache lines from each other.
const USES_BITS: u32 = 12;

/// How many entries may sink in one go.
const SINKS_MAX: usize = 16;

/// Below a mark's stamp: whether the entry was used since it got its place in the ring.
const USED: u64 = 1;
const STAMP_SHIFT: u32 = 1;

/// What all shards share.
pub(super) struct Lru {
    /// How many inserts there were.
    inserts: CacheLine,
    /// How often a shard was chosen: the search starts elsewhere each time, so that shards with
    /// equal stamps take turns.
    turns: CacheLine,
    /// By shard: the stamp of what it would evict next.
    oldest: [CacheLine; SHARD_COUNT],
}

impl Lru {
    pub(super) fn new() -> Self {
        Self {
            inserts: CacheLine(AtomicU64::new(0)),
            turns: CacheLine(AtomicU64::new(0)),
            oldest: [const { CacheLine(AtomicU64::new(EMPTY)) }; SHARD_COUNT],
        }
    }

    fn oldest(&self, shard: usize) -> u64 {
        self.oldest[shard].0.load(Ordering::Relaxed)
    }

    fn publish(&self, shard: usize, stamp: u64) {
        self.oldest[shard].0.store(stamp, Ordering::Relaxed);
    }
}

impl Policy for Lru {
    fn order(self: Arc<Self>, index: usize) -> Box<dyn Order> {
        Box::new(Recency { slots: Slots::new(), shared: self, index })
    }

    fn next(&self) -> Option<Turn> {
        let start = self.turns.0.fetch_add(1, Ordering::Relaxed);
        let start = usize::try_from(start).unwrap_or(0);
        let (mut oldest, mut second, mut shard) = (EMPTY, EMPTY, 0);
        for turn in 0..SHARD_COUNT {
            let at = start.wrapping_add(turn) % SHARD_COUNT;
            let stamp = self.oldest(at);
            if stamp < oldest {
                (second, oldest, shard) = (oldest, stamp, at);
            } else {
                second = second.min(stamp);
            }
        }
        (oldest != EMPTY).then_some(Turn { shard, until: second, task: 0 })
    }
}

/// One shard's entries in the order of their stamps, as far as they have sunk.
struct Recency {
    slots: Slots,
    shared: Arc<Lru>,
    /// The shard's.
    index: usize,
}

impl Recency {
    /// The stamp of a use: later than all before on this thread, as long as there are numbers.
    #[inline]
    fn use_stamp(&self, uses: &Uses) -> u64 {
        let insert = self.shared.inserts.0.load(Ordering::Relaxed) << USES_BITS;
        let last = uses.last.load(Ordering::Relaxed);
        let stamp = (last + 1).clamp(insert + 1, insert | ((1 << USES_BITS) - 1));
        if stamp != last {
            uses.last.store(stamp, Ordering::Relaxed);
        }
        stamp
    }

    fn oldest(&self) -> u64 {
        self.slots.last(RING).map_or(EMPTY, |slot| slot.mark() >> STAMP_SHIFT)
    }

    fn last_was_used(&self) -> bool {
        self.slots.last(RING).is_some_and(|slot| slot.mark() & USED != 0)
    }

    /// Lets what is last and was used sink to its place, until another one is last.
    fn sink(&mut self) {
        for _ in 0..SINKS_MAX {
            let Some(last) = self.slots.last(RING) else { return };
            let mark = last.mark();
            if mark & USED == 0 {
                return;
            }
            last.set_mark(mark & !USED);
            self.slots.sink_last(RING, |other| other.mark() < mark);
        }
    }
}

impl Order for Recency {
    fn reserve(&mut self, count: usize) -> Result<()> {
        self.slots.reserve(count)
    }

    fn put(&mut self, entry: Entry) -> Option<Entry> {
        let insert = self.shared.inserts.0.fetch_add(1, Ordering::Relaxed) + 1;
        let stamp = insert << USES_BITS;
        entry.slot().set_mark(stamp << STAMP_SHIFT);
        if self.shared.oldest(self.index) == EMPTY {
            self.shared.publish(self.index, stamp);
        }
        match self.slots.replace(entry) {
            Ok(old) => {
                self.slots.renew(old.slot().probe());
                Some(old)
            }
            Err(entry) => self.slots.insert(entry, RING),
        }
    }

    fn remove(&mut self, probe: Probe<'_>) -> Option<Entry> {
        self.slots.remove(probe)
    }

    #[inline]
    fn touch(&self, probe: Probe<'_>, uses: &Uses) -> Option<&Slot> {
        let slot = self.slots.get(probe)?;
        slot.set_mark(self.use_stamp(uses) << STAMP_SHIFT | USED);
        Some(slot)
    }

    fn peek(&self, probe: Probe<'_>) -> Option<&Slot> {
        self.slots.peek(probe)
    }

    fn find(&self, hash: u64, wanted: &dyn Fn(&Slot) -> bool) -> Option<&Slot> {
        self.slots.find(hash, wanted)
    }

    fn admits(&self, _: u64, _: u64) -> Option<bool> {
        Some(true)
    }

    fn evict(&mut self, turn: &Turn) -> Option<Entry> {
        self.sink();
        // Where all that sank were used, one of them leaves: the search has an end.
        let is_next = self.oldest() <= turn.until || self.last_was_used();
        let entry = if is_next { self.slots.pop_last(RING) } else { None };
        if entry.is_some() {
            self.sink();
        }
        self.shared.publish(self.index, self.oldest());
        entry
    }

    fn iter(&self) -> Box<dyn DoubleEndedIterator<Item = &Slot> + '_> {
        Box::new(self.slots.iter(RING))
    }

    fn worth(&self, slot: &Slot) -> u64 {
        slot.mark()
    }

    fn take(&mut self) -> Box<dyn Order> {
        self.shared.publish(self.index, EMPTY);
        let slots = std::mem::replace(&mut self.slots, Slots::new());
        Box::new(Self { slots, shared: Arc::new(Lru::new()), index: self.index })
    }
}
