//! Least recently used: the entry that was not used for longest leaves first.
//!
//! Stamps order the uses of all shards: the number of the newest insert, then how many uses the shard
//! has seen since. Between shards the second part is a guess; it is a good one, because hashes spread
//! evenly.
//!
//! # Invariants
//! 1. Stamps never decrease within a shard; those of inserts differ in the whole tier.
//! 2. The published stamp of a shard is at most its victim's, and `EMPTY` only if there is none. A
//!    use leaves it too low at most; whoever evicts finds that out and corrects it, so that a use
//!    does not have to.
//! 3. Uses only read `inserts`, so they write to no cache line that all shards share.

use super::budget::CacheLine;
use super::entry::Probe;
use super::policy::{Order, Policy, SHARD_COUNT, Slot, Turn};
use super::slots::Slots;
use crate::error::Result;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// All entries are in one ring.
const RING: usize = 0;

/// The stamp of a shard that has nothing to evict.
const EMPTY: u64 = u64::MAX;

/// How many uses between two inserts a stamp can tell apart, as a power of two. The other 48 bits
/// last for nine years of a million inserts a second.
const USES_BITS: u32 = 16;

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
        Box::new(Recency { slots: Slots::new(), shared: self, index, stamp: 0 })
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

/// One shard's entries in the order of their last use.
struct Recency {
    slots: Slots,
    shared: Arc<Lru>,
    /// The shard's.
    index: usize,
    stamp: u64,
}

impl Recency {
    /// The stamp of a use: later than all before in this shard, as long as there are numbers.
    fn use_stamp(&mut self) -> u64 {
        let insert = self.shared.inserts.0.load(Ordering::Relaxed) << USES_BITS;
        self.stamp = (self.stamp + 1).clamp(insert + 1, insert | ((1 << USES_BITS) - 1));
        self.stamp
    }
}

impl Order for Recency {
    fn reserve(&mut self, count: usize) -> Result<()> {
        self.slots.reserve(count)
    }

    fn put(&mut self, mut slot: Slot) -> Option<Slot> {
        let insert = self.shared.inserts.0.fetch_add(1, Ordering::Relaxed) + 1;
        self.stamp = insert << USES_BITS;
        slot.mark = self.stamp;
        if self.shared.oldest(self.index) == EMPTY {
            self.shared.publish(self.index, self.stamp);
        }
        self.slots.put(slot, RING)
    }

    fn remove(&mut self, probe: Probe<'_>) -> Option<Slot> {
        self.slots.remove(probe)
    }

    fn touch(&mut self, probe: Probe<'_>) -> Option<&Slot> {
        let stamp = self.use_stamp();
        let slot = self.slots.touch(probe)?;
        slot.mark = stamp;
        Some(slot)
    }

    fn peek(&self, probe: Probe<'_>) -> Option<&Slot> {
        self.slots.peek(probe)
    }

    fn find(&self, hash: u64, wanted: &dyn Fn(&Slot) -> bool) -> Option<&Slot> {
        self.slots.find(hash, wanted)
    }

    fn admits(&mut self, _: u64, _: u64) -> bool {
        true
    }

    fn evict(&mut self, turn: &Turn) -> Option<Slot> {
        let oldest = |slots: &Slots| slots.last(RING).map_or(EMPTY, |slot| slot.mark);
        let stamp = oldest(&self.slots);
        let slot = if stamp > turn.until { None } else { self.slots.pop_last(RING) };
        self.shared.publish(self.index, oldest(&self.slots));
        slot
    }

    fn iter(&self) -> Box<dyn DoubleEndedIterator<Item = &Slot> + '_> {
        Box::new(self.slots.iter(RING))
    }

    fn worth(&self, slot: &Slot) -> u64 {
        slot.mark
    }

    fn take(&mut self) -> Box<dyn Order> {
        self.shared.publish(self.index, EMPTY);
        let slots = std::mem::replace(&mut self.slots, Slots::new());
        let shared = Arc::new(Lru::new());
        Box::new(Self { slots, shared, index: self.index, stamp: self.stamp })
    }
}
