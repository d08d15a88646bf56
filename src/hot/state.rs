//! What one lock of the hot tier protects: entries in their order, the unwritten ones apart.
//!
//! Unwritten entries stand in a list of their own in the order of writing, and move to the policy's
//! order once cold has them; so nothing that is evicted was unwritten.
//!
//! Stamps order the uses of all shards: the tick of the newest insert, then how many uses this shard
//! has seen since. Between shards the second part is a guess, good because hashes spread evenly.
//!
//! # Invariants
//! 1. A key is in `order` or in `unwritten`, never in both; `unwritten` has just the entries that
//!    say so.
//! 2. `totals` are the sums over both.
//! 3. Every entry in `order` that can end is noted in `expiries` or `residencies` or both.
//! 4. Stamps never decrease; those of inserts differ in the whole tier.

use super::budget::Room;
use super::due::Due;
use super::entry::Probe;
use super::lru::Lru;
use super::order::{Order, Slot};
use crate::error::Result;

/// How many uses between two inserts a stamp can tell apart, as a power of two. The other 48 bits
/// last for nine years of a million inserts a second.
const USES_BITS: u32 = 16;

/// One shard's entries and their sums.
pub(super) struct State {
    /// What can be evicted.
    pub(super) order: Box<dyn Order>,
    /// What cannot; the last comes first.
    pub(super) unwritten: Lru,
    /// When entries expire, by wall time.
    pub(super) expiries: Due,
    /// When the residency of entries is over, by monotonic time.
    pub(super) residencies: Due,
    pub(super) totals: Totals,
    /// How long an entry may stay, in milliseconds; 0 for no such bound.
    pub(super) residency_ms: u64,
    stamp: u64,
}

/// Sums over all slots of a shard.
#[derive(Default)]
pub(super) struct Totals {
    pub(super) room: Room,
    pub(super) unwritten_bytes: u64,
    slots: usize,
    /// How many of the slots can expire.
    expiring: usize,
}

impl State {
    pub(super) fn new(residency_ms: u64) -> Self {
        Self {
            order: Box::new(Lru::new()),
            unwritten: Lru::new(),
            expiries: Due::default(),
            residencies: Due::default(),
            totals: Totals::default(),
            residency_ms,
            stamp: 0,
        }
    }

    /// Takes everything out at once, whatever there is of it.
    pub(super) fn take(&mut self) -> Self {
        let fresh = Self { stamp: self.stamp, ..Self::new(self.residency_ms) };
        std::mem::replace(self, fresh)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Slot> {
        self.order.iter().chain(self.unwritten.iter())
    }

    pub(super) fn peek(&self, probe: Probe<'_>) -> Option<&Slot> {
        self.order.peek(probe).or_else(|| self.unwritten.peek(probe))
    }

    /// The stamp of the insert that has this tick.
    pub(super) fn insert_stamp(&mut self, tick: u64) -> u64 {
        self.stamp = tick << USES_BITS;
        self.stamp
    }

    /// The stamp of a use, `tick` being that of the newest insert: later than all before in this
    /// shard, as long as there are numbers.
    pub(super) fn use_stamp(&mut self, tick: u64) -> u64 {
        let insert = tick << USES_BITS;
        self.stamp = (self.stamp + 1).clamp(insert + 1, insert | ((1 << USES_BITS) - 1));
        self.stamp
    }

    /// Makes room for `count` more entries, unwritten ones or others.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub(super) fn reserve(&mut self, count: usize, unwritten: bool) -> Result<()> {
        if unwritten { self.unwritten.reserve(count) } else { self.order.reserve(count) }
    }

    /// Puts an entry in, in place of the one of its key, which is given back.
    pub(super) fn put(&mut self, slot: Slot) -> Option<Slot> {
        self.count(&slot);
        let replaced = match slot.entry.is_unwritten() {
            true => {
                let written = self.order.remove(slot.entry.probe());
                self.unwritten.put(slot).or(written)
            }
            false => {
                let unwritten = self.unwritten.remove(slot.entry.probe());
                self.order.put(slot).or(unwritten)
            }
        };
        if let Some(replaced) = &replaced {
            self.uncount(replaced);
        }
        replaced
    }

    /// Takes an entry out.
    pub(super) fn detach(&mut self, probe: Probe<'_>) -> Option<Slot> {
        let slot = self.order.remove(probe).or_else(|| self.unwritten.remove(probe))?;
        self.uncount(&slot);
        Some(slot)
    }

    /// Takes out what the policy wants to leave next.
    pub(super) fn evict(&mut self) -> Option<Slot> {
        let slot = self.order.evict()?;
        self.uncount(&slot);
        Some(slot)
    }

    fn count(&mut self, slot: &Slot) {
        self.totals.room.add(slot.room());
        self.totals.slots += 1;
        self.totals.expiring += usize::from(slot.entry.expiry().is_some());
        if slot.entry.is_unwritten() {
            self.totals.unwritten_bytes += slot.entry.charge();
        }
        self.note_end(slot);
    }

    fn uncount(&mut self, slot: &Slot) {
        self.totals.room.sub(slot.room());
        self.totals.slots -= 1;
        self.totals.expiring -= usize::from(slot.entry.expiry().is_some());
        if slot.entry.is_unwritten() {
            self.totals.unwritten_bytes -= slot.entry.charge();
        }
    }

    fn note_end(&mut self, slot: &Slot) {
        let hash = slot.entry.hash();
        if slot.entry.expiry().is_some() {
            if self.expiries.is_stale(self.totals.expiring) {
                let expiring = self.order.iter().filter(|slot| slot.entry.expiry().is_some());
                let note = |slot: &Slot| (slot.entry.expiry().ms(), slot.entry.hash());
                self.expiries.renew(expiring.map(note));
            }
            self.expiries.push(slot.entry.expiry().ms(), hash);
        }
        let residency_ms = self.residency_ms;
        let residency_end = |slot: &Slot| slot.since.0.saturating_add(residency_ms);
        if residency_ms != 0 {
            if self.residencies.is_stale(self.totals.slots) {
                let note = |slot: &Slot| (residency_end(slot), slot.entry.hash());
                self.residencies.renew(self.order.iter().map(note));
            }
            self.residencies.push(residency_end(slot), hash);
        }
    }
}
