//! What a shard's lock protects: the entries, with the unwritten ones in a list of their own.
//!
//! Unwritten entries are in a list of their own in the order of writing, and move to the policy's
//! order once cold has them. So the policy cannot evict an unwritten entry.
//!
//! # Invariants
//! 1. A key is in `order` or in `unwritten`, never in both; `unwritten` has just the entries that
//!    say so.
//! 2. `totals` are the sums over both.
//! 3. Every entry in `order` that can end has a deadline in `expiries` or `residencies` or both.

use super::budget::Usage;
use super::deadlines::Deadlines;
use super::entry::{Described, Entry, Probe, Slot};
use super::lifetime::{Lifetime, Lookup};
use super::policy::{EvictionStep, Order, Uses};
use super::slots::Slots;
use crate::error::Result;

/// One shard's entries and their sums.
pub(super) struct ShardState {
    /// What can be evicted.
    pub(super) order: Box<dyn Order>,
    /// What cannot; the last that was stored comes first.
    pub(super) unwritten: Slots,
    /// When entries expire, by wall time.
    pub(super) expiries: Deadlines,
    /// When the residency of entries is over, by monotonic time.
    pub(super) residencies: Deadlines,
    pub(super) totals: Totals,
    /// How long an entry may stay, in milliseconds; 0 for no such bound.
    pub(super) residency_ms: u64,
}

/// Sums over all slots of a shard.
#[derive(Default)]
pub(super) struct Totals {
    pub(super) usage: Usage,
    pub(super) unwritten_bytes: u64,
    slots: usize,
    /// How many of the slots can expire.
    expiring: usize,
}

impl ShardState {
    pub(super) fn new(order: Box<dyn Order>, residency_ms: u64) -> Self {
        Self {
            order,
            unwritten: Slots::new(),
            expiries: Deadlines::default(),
            residencies: Deadlines::default(),
            totals: Totals::default(),
            residency_ms,
        }
    }

    /// Takes everything out at once, whatever there is of it.
    pub(super) fn take(&mut self) -> Self {
        let mut taken = Self::new(self.order.take(), self.residency_ms);
        std::mem::swap(self, &mut taken);
        // The order itself stays, as the policy knows it; what was in it goes.
        std::mem::swap(&mut self.order, &mut taken.order);
        taken
    }

    /// Finds an entry, ended or not, and counts this as a use.
    #[inline(always)]
    pub(super) fn touch(&self, probe: Probe<'_>, uses: &Uses) -> Option<&Slot> {
        self.order.touch(probe, uses).or_else(|| self.unwritten.peek(probe))
    }

    /// Finds an entry and counts this as a use. Leaves one that has ended where it is.
    #[inline(always)]
    pub(super) fn get(&self, probe: Probe<'_>, lifetime: Lifetime<'_>, uses: &Uses) -> Lookup {
        let Some(slot) = self.touch(probe, uses) else { return Lookup::Miss };
        match lifetime.ended(slot) {
            None => Lookup::Hit(Entry::of(slot)),
            Some(why) => Lookup::Gone(Entry::of(slot), why),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Slot> {
        self.order.iter().chain(self.unwritten.iter(0))
    }

    pub(super) fn peek(&self, probe: Probe<'_>) -> Option<&Slot> {
        self.order.peek(probe).or_else(|| self.unwritten.peek(probe))
    }

    /// Makes room for `count` more entries, unwritten ones or others.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub(super) fn reserve(&mut self, count: usize, unwritten: bool) -> Result<()> {
        if unwritten { self.unwritten.reserve(count) } else { self.order.reserve(count) }
    }

    /// Puts an entry in, in place of the one of its key, which is given back.
    pub(super) fn put(&mut self, entry: Entry) -> Option<Entry> {
        let slot = entry.slot();
        self.count(slot);
        let replaced = match slot.is_unwritten() {
            true => {
                let written = self.order.remove(slot.probe());
                self.unwritten.put(entry, 0).or(written)
            }
            false => {
                let unwritten = self.unwritten.remove(slot.probe());
                self.order.put(entry).or(unwritten)
            }
        };
        if let Some(replaced) = &replaced {
            self.uncount(replaced.slot());
        }
        replaced
    }

    /// Takes an entry out.
    pub(super) fn detach(&mut self, probe: Probe<'_>) -> Option<Entry> {
        let entry = self.order.remove(probe).or_else(|| self.unwritten.remove(probe))?;
        self.uncount(entry.slot());
        Some(entry)
    }

    /// Takes out what the policy wants to leave next, if that is in this shard.
    pub(super) fn evict(&mut self, step: &EvictionStep) -> Option<Entry> {
        let entry = self.order.evict(step)?;
        self.uncount(entry.slot());
        Some(entry)
    }

    fn count(&mut self, slot: &Slot) {
        self.totals.usage.add(slot.usage());
        self.totals.slots += 1;
        self.totals.expiring += usize::from(slot.expiry().is_some());
        if slot.is_unwritten() {
            self.totals.unwritten_bytes += slot.charge();
        }
        self.add_deadline(slot);
    }

    fn uncount(&mut self, slot: &Slot) {
        self.totals.usage.sub(slot.usage());
        self.totals.slots -= 1;
        self.totals.expiring -= usize::from(slot.expiry().is_some());
        if slot.is_unwritten() {
            self.totals.unwritten_bytes -= slot.charge();
        }
    }

    fn add_deadline(&mut self, slot: &Slot) {
        let hash = slot.hash();
        if slot.expiry().is_some() {
            if self.expiries.is_stale(self.totals.expiring) {
                let expiring = self.order.iter().filter(|slot| slot.expiry().is_some());
                let deadline = |slot: &Slot| (slot.expiry().ms(), slot.hash());
                self.expiries.renew(expiring.map(deadline));
            }
            self.expiries.push(slot.expiry().ms(), hash);
        }
        let residency_ms = self.residency_ms;
        let residency_end = |slot: &Slot| slot.since().0.saturating_add(residency_ms);
        if residency_ms != 0 {
            if self.residencies.is_stale(self.totals.slots) {
                let deadline = |slot: &Slot| (residency_end(slot), slot.hash());
                self.residencies.renew(self.order.iter().map(deadline));
            }
            self.residencies.push(residency_end(slot), hash);
        }
    }
}
