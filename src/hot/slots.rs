//! Entries by their keys, in two rings: each keeps its own order.
//!
//! # Invariants
//! 1. No two slots have the same key.

use super::entry::{Described, Entry, Probe, Slot};
use crate::chain::{Chain, Iter};
use crate::error::Result;

/// Tables for fewer entries than this are left as they are: some 13 KiB.
const SHRINK_SLOTS_MIN: usize = 1024;

/// How many entries a search from the front of a ring passes at most.
const SINK_STEPS_MAX: usize = 32;

/// Entries by key, in two rings.
pub(super) struct Slots {
    slots: Chain,
    /// The most slots there were since the table was made.
    peak: usize,
}

impl Slots {
    pub(super) fn new() -> Self {
        Self { slots: Chain::new(), peak: 0 }
    }

    /// Moves what is left into a smaller table when most has gone, because a table never shrinks
    /// and its memory is counted by the entries in it. Costs as much as a part of the removals
    /// that led to it.
    #[inline]
    fn shrink(&mut self) {
        if self.peak < SHRINK_SLOTS_MIN || self.slots.len() > self.peak / 4 {
            return;
        }
        self.slots.shrink();
        self.peak = self.slots.len();
    }

    /// Makes room for `count` more entries, so that putting them in does not fail.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub(super) fn reserve(&mut self, count: usize) -> Result<()> {
        self.slots.reserve(count)
    }

    /// Puts an entry in, as the first of `ring`, or in place of the one of its key, whose ring and
    /// place it keeps and which is given back. Given back is the entry itself if it is in a tier
    /// already, or if there is no room for it.
    pub(super) fn put(&mut self, entry: Entry, ring: usize) -> Option<Entry> {
        match self.replace(entry) {
            Ok(old) => Some(old),
            Err(entry) => self.insert(entry, ring),
        }
    }

    /// Puts an entry in whose key is not here, as the first of `ring`. Given back is the entry itself,
    /// as by [`Slots::put`].
    pub(super) fn insert(&mut self, entry: Entry, ring: usize) -> Option<Entry> {
        let refused = self.slots.insert(entry.into_buffer(), ring);
        self.peak = self.peak.max(self.slots.len());
        refused.map(Entry::of_buffer)
    }

    /// Puts an entry in place of the one of its key, which is given back.
    ///
    /// # Errors
    /// The entry, if there is none of its key.
    pub(super) fn replace(&mut self, entry: Entry) -> std::result::Result<Entry, Entry> {
        let replaced = self.slots.replace(entry.into_buffer(), |old, new| old.has_key(new.key()));
        replaced.map(Entry::of_buffer).map_err(Entry::of_buffer)
    }

    /// Makes the entry of a key the first of its ring.
    pub(super) fn renew(&mut self, probe: Probe<'_>) {
        self.slots.renew(probe.hash, |slot| slot.has_key(probe.bytes));
    }

    /// Takes an entry out.
    pub(super) fn remove(&mut self, probe: Probe<'_>) -> Option<Entry> {
        let removed = self.slots.remove(probe.hash, |slot| slot.has_key(probe.bytes));
        self.shrink();
        removed.map(Entry::of_buffer)
    }

    /// Finds an entry whose value will be read soon.
    #[inline]
    pub(super) fn get(&self, probe: Probe<'_>) -> Option<&Slot> {
        let slot = self.peek(probe)?;
        slot.prefetch_bytes(slot.value_range().end);
        Some(slot)
    }

    /// Moves the last of `ring` behind those of the first ones that it is not `before`, but at most
    /// [`SINK_STEPS_MAX`].
    pub(super) fn sink_last(&mut self, ring: usize, before: impl Fn(&Slot) -> bool) {
        self.slots.sink_last(ring, SINK_STEPS_MAX, before);
    }

    /// Makes the last of ring `from` the first of ring `to`.
    pub(super) fn move_last(&mut self, from: usize, to: usize) -> Option<&Slot> {
        self.slots.move_last(from, to)
    }

    /// How many entries there are.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Finds an entry.
    #[inline]
    pub(super) fn peek(&self, probe: Probe<'_>) -> Option<&Slot> {
        self.slots.find(probe.hash, |slot| slot.has_key(probe.bytes))
    }

    /// Finds an entry with this hash that is `wanted`.
    pub(super) fn find(&self, hash: u64, wanted: &dyn Fn(&Slot) -> bool) -> Option<&Slot> {
        self.slots.find(hash, wanted)
    }

    /// The last entry of `ring`.
    #[inline]
    pub(super) fn last(&self, ring: usize) -> Option<&Slot> {
        self.slots.last(ring)
    }

    /// Takes out the last entry of `ring`.
    pub(super) fn pop_last(&mut self, ring: usize) -> Option<Entry> {
        let entry = self.slots.pop_last(ring)?;
        // The processor's cache does not have what leaves next, because nobody has used it for long:
        // it is fetched ahead.
        self.slots.iter(ring).rev().take(2).for_each(Slot::prefetch);
        self.shrink();
        Some(Entry::of_buffer(entry))
    }

    /// The entries of `ring`, the first first.
    pub(super) fn iter(&self, ring: usize) -> Iter<'_> {
        self.slots.iter(ring)
    }
}
