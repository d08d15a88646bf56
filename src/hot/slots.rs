//! Entries by their keys, in two rings: each keeps its own order.
//!
//! The chain knows an entry by a number, its place: the hash, or for a second key with the same hash
//! the next number that is free. `reach` is the greatest distance from its hash at which an entry of
//! this map was ever put. With 64-bit hashes under a secret seed it is 0, prepared tests aside. So a
//! lookup is one probe, and the chain needs neither a copy of the key nor a pointer to it.
//!
//! # Invariants
//! 1. An entry lies at a place from `hash` to `hash + reach`, wrapping around.
//! 2. No two slots have the same key.

use super::entry::Probe;
use super::policy::Slot;
use crate::buffer::prefetch;
use crate::chain::{Chain, Iter};
use crate::error::Result;

/// Tables of fewer slots than this are left as they are: some 20 KiB.
const SHRINK_SLOTS_MIN: usize = 1024;

/// How many entries a search from the front of a ring passes at most.
const SINK_STEPS_MAX: usize = 32;

/// Entries by key, in two rings.
pub(super) struct Slots {
    slots: Chain<Slot>,
    reach: u64,
    /// The most slots there were since the table was made.
    peak: usize,
}

impl Slots {
    pub(super) fn new() -> Self {
        Self { slots: Chain::new(), reach: 0, peak: 0 }
    }

    /// Moves what is left into a smaller table when most has gone, because a table never shrinks
    /// and its memory is counted by the entries in it. Costs as much as a part of the removals
    /// that led to it.
    fn shrink(&mut self) {
        if self.peak < SHRINK_SLOTS_MIN || self.slots.len() > self.peak / 4 {
            return;
        }
        self.slots.shrink();
        self.peak = self.slots.len();
    }

    /// Where the key lies, for certain only if something lies there at all: while `reach` is 0
    /// the hash is the only place, and whoever looks there compares the key anyway.
    #[inline]
    fn place(&self, probe: Probe<'_>) -> u64 {
        if self.reach == 0 { probe.hash } else { self.far_place(probe) }
    }

    #[cold]
    fn far_place(&self, probe: Probe<'_>) -> u64 {
        (0..self.reach)
            .map(|step| probe.hash.wrapping_add(step))
            .find(|place| self.slots.peek(*place).is_some_and(|slot| holds(slot, probe)))
            .unwrap_or_else(|| probe.hash.wrapping_add(self.reach))
    }

    /// The first place that is free for a key of that hash.
    fn free_place(&mut self, hash: u64) -> u64 {
        let mut step = 0;
        while self.slots.peek(hash.wrapping_add(step)).is_some() {
            step += 1;
        }
        self.reach = self.reach.max(step);
        hash.wrapping_add(step)
    }

    /// Makes room for `count` more entries, so that putting them in does not fail.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub(super) fn reserve(&mut self, count: usize) -> Result<()> {
        self.slots.reserve(count)
    }

    /// Puts an entry in, as the first of `ring`, or in place of the one of its key, whose ring it
    /// keeps and which is given back.
    #[inline]
    pub(super) fn put(&mut self, slot: Slot, ring: usize) -> Option<Slot> {
        let probe = slot.entry.probe();
        let mut place = self.place(probe);
        match self.slots.peek(place) {
            Some(other) if holds(other, probe) => {}
            None if self.reach == 0 => {}
            _ => place = self.free_place(probe.hash),
        }
        let replaced = self.slots.push(place, slot, ring);
        self.peak = self.peak.max(self.slots.len());
        replaced
    }

    /// Takes an entry out.
    #[inline]
    pub(super) fn remove(&mut self, probe: Probe<'_>) -> Option<Slot> {
        let place = self.place(probe);
        // Compared before it is taken, because another key may lie there.
        self.slots.peek(place).filter(|slot| holds(slot, probe))?;
        let slot = self.slots.remove(place);
        self.shrink();
        slot
    }

    /// Finds an entry whose value will be read soon.
    #[inline]
    pub(super) fn get(&self, probe: Probe<'_>) -> Option<&Slot> {
        let slot = self.peek(probe)?;
        slot.entry.prefetch();
        Some(slot)
    }

    /// Finds an entry and leaves it where it is.
    pub(super) fn get_mut(&mut self, probe: Probe<'_>) -> Option<&mut Slot> {
        self.slots.get_mut(self.place(probe)).filter(|slot| holds(slot, probe))
    }

    /// Moves the last of `ring` behind those of the first ones that it is not `before`, but at most
    /// [`SINK_STEPS_MAX`].
    pub(super) fn sink_last(&mut self, ring: usize, before: impl Fn(&Slot) -> bool) {
        self.slots.sink_last(ring, SINK_STEPS_MAX, before);
    }

    /// Makes the last of ring `from` the first of ring `to`.
    pub(super) fn move_last(&mut self, from: usize, to: usize) -> Option<&mut Slot> {
        let place = self.slots.last_place(from)?;
        self.slots.move_to(place, to)
    }

    /// How many entries there are.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Finds an entry.
    #[inline]
    pub(super) fn peek(&self, probe: Probe<'_>) -> Option<&Slot> {
        self.slots.peek(self.place(probe)).filter(|slot| holds(slot, probe))
    }

    /// Finds an entry with this hash that is `wanted`.
    pub(super) fn find(&self, hash: u64, wanted: &dyn Fn(&Slot) -> bool) -> Option<&Slot> {
        (0..=self.reach)
            .filter_map(|step| self.slots.peek(hash.wrapping_add(step)))
            .find(|slot| slot.entry.hash() == hash && wanted(slot))
    }

    /// The last entry of `ring`.
    pub(super) fn last(&self, ring: usize) -> Option<&Slot> {
        self.slots.last(ring)
    }

    /// Takes out the last entry of `ring`.
    #[inline]
    pub(super) fn pop_last(&mut self, ring: usize) -> Option<Slot> {
        let slot = self.slots.pop_last(ring)?;
        // The processor's cache does not have what leaves next, because nobody has used it for long.
        // It is fetched ahead: the second next slot, and the buffer of the next one, whose slot was
        // fetched the last time.
        let mut victims = self.slots.iter(ring);
        if let Some(next) = victims.next_back() {
            next.entry.buffer().prefetch();
        }
        if let Some(after) = victims.next_back() {
            prefetch(after);
        }
        self.shrink();
        Some(slot)
    }

    /// The entries of `ring`, the first first.
    pub(super) fn iter(&self, ring: usize) -> Iter<'_, Slot> {
        self.slots.iter(ring)
    }
}

#[inline]
fn holds(slot: &Slot, probe: Probe<'_>) -> bool {
    slot.entry.hash() == probe.hash && slot.entry.key() == probe.bytes
}
