//! A shard: a lock and the entries behind it. A reservation: room that was taken for entries to
//! come.
//!
//! An entry that replaces another needs room only for the bytes by which it is larger. So
//! overwriting a key in a full tier evicts nobody. A thread knows that number for certain only
//! while it holds the shard's lock, and with that lock it may not evict from another shard. A
//! thread that lacks room therefore unlocks, makes room, locks and looks again.
//!
//! # Invariants
//! 1. The budget is the sum of all shards' totals and all reservations.

use super::budget::{Budget, Usage};
use super::entry::{Entry, Probe, Victims};
use super::lifetime::{Ended, Lifetime, Lookup};
use super::policy::{Order, Slot, Turn};
use super::shard_state::ShardState;
use crate::buffer::Resident;
use crate::error::Result;
use crate::key::Key;
use crate::memory;
use crate::sync::{Mutex, MutexGuard};
use crate::time::{Clock, Instant};

/// A lock and what it protects, on cache lines of its own.
#[repr(align(128))]
pub(super) struct Shard {
    state: Mutex<ShardState>,
}

impl Shard {
    pub(super) fn new(order: Box<dyn Order>, residency_ms: u64) -> Self {
        Self { state: Mutex::new(ShardState::new(order, residency_ms)) }
    }

    pub(super) fn lock<'a>(&'a self, budget: &'a Budget) -> ShardGuard<'a> {
        ShardGuard { budget, state: self.state.lock() }
    }
}

/// A shard that this thread has locked; dropping the guard unlocks it. A thread that needs several
/// shards locks them by ascending index.
pub struct ShardGuard<'a> {
    budget: &'a Budget,
    state: MutexGuard<'a, ShardState>,
}

impl<'a> ShardGuard<'a> {
    /// The room that an entry of `key` with this charge needs beyond that of the one it would
    /// replace.
    pub fn needed(&self, key: &Key<'_>, charge: u64) -> Usage {
        let has = self.state.peek(probe(key)).map_or(Usage::default(), Slot::usage);
        Usage::of_entry(charge).beyond(has)
    }

    /// Inserts `entry`, which is of `key`, stored or promoted at `now`, and returns the one of the same key that it
    /// replaces, to be dropped after the lock. The room is the reservation's, which gets that of the
    /// replaced one; if it is too little, or there is no memory for the entry's place, nothing of the
    /// key is hot afterwards.
    pub fn insert(
        &mut self,
        key: &Key<'_>,
        entry: Entry,
        reservation: &mut Reservation<'_>,
        now: Instant,
    ) -> Option<Entry> {
        if self.state.reserve(1, entry.is_unwritten()).is_err() {
            let replaced = self.detach(probe(key));
            reservation.room.add(replaced.as_ref().map_or(Usage::default(), Slot::usage));
            return replaced.map(|slot| slot.entry);
        }
        let room = Usage::of_entry(entry.charge());
        let resident = Resident::new(entry.buffer().clone());
        let replaced = self.put(Slot { entry, mark: 0, since: now, _resident: resident });
        reservation.room.add(replaced.as_ref().map_or(Usage::default(), Slot::usage));
        if room.beyond(reservation.room).is_nothing() {
            reservation.room.sub(room);
        } else {
            drop(self.detach(probe(key)));
        }
        replaced.map(|slot| slot.entry)
    }

    /// Makes room for `count` more entries, so that inserting them does not fail for memory.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub fn reserve(&mut self, count: usize, unwritten: bool) -> Result<()> {
        self.state.reserve(count, unwritten)
    }

    /// Removes the entry of `key` and returns it, to be dropped after the lock.
    pub fn remove(&mut self, key: &Key<'_>) -> Option<Entry> {
        self.take_out(probe(key)).map(|slot| slot.entry)
    }

    /// The entry of `key` as it stands, also if it has ended; its recency stays.
    pub fn peek(&self, key: &Key<'_>) -> Option<&Entry> {
        self.state.peek(probe(key)).map(|slot| &slot.entry)
    }

    /// True if another key with the same hash has an unwritten entry.
    pub fn has_other_unwritten(&self, key: &Key<'_>) -> bool {
        self.state.totals.unwritten_bytes != 0 && self.state.unwritten.has_other(probe(key))
    }

    /// Makes an unwritten entry evictable, as just used, and returns true; false if this version
    /// of `key` is not here or not unwritten, or there is no memory for its place among the others.
    pub fn mark_written(&mut self, key: &Key<'_>, version: u64) -> bool {
        let is_it = |slot: &&Slot| slot.entry.version() == version;
        let is_here = self.state.unwritten.peek(probe(key)).filter(is_it).is_some();
        if !is_here || self.state.reserve(1, false).is_err() {
            return false;
        }
        // Detached, not taken out: its room stays taken, so that nobody else can come into it.
        let Some(mut slot) = self.detach(probe(key)) else { return false };
        slot.entry = slot.entry.with_unwritten(false);
        self.put(slot);
        true
    }

    pub(super) fn get(&mut self, key: &Key<'_>, clock: &dyn Clock) -> Lookup {
        let lifetime = self.lifetime(clock);
        let Some(slot) = self.state.order.touch(probe(key)) else {
            return look(self.state.unwritten.peek(probe(key)), lifetime);
        };
        let found = look(Some(slot), lifetime);
        if matches!(found, Lookup::Gone(..)) {
            self.take_out(probe(key));
        }
        found
    }

    pub(super) fn look_up(&self, key: &Key<'_>, clock: &dyn Clock) -> Lookup {
        look(self.state.peek(probe(key)), self.lifetime(clock))
    }

    fn lifetime<'c>(&self, clock: &'c dyn Clock) -> Lifetime<'c> {
        Lifetime { residency_ms: self.state.residency_ms, clock }
    }

    /// Takes a step that the policy wants taken before it judges a candidate.
    pub(super) fn prepare(&mut self, turn: &Turn) {
        self.state.order.prepare(turn);
    }

    /// Whether the policy lets an entry of `key` with this charge in although others would have to
    /// leave for it.
    pub(super) fn admits(&mut self, key: &Key<'_>, charge: u64) -> bool {
        self.state.order.admits(key.hash(), charge)
    }

    /// Counts a use of the entry of `key`, if there is one.
    pub fn touch(&mut self, key: &Key<'_>) {
        self.state.order.touch(probe(key));
    }

    /// Evicts one entry, and others until there is no `more` to evict or the policy comes to another
    /// shard. The reservation gets the room.
    pub(super) fn evict(
        &mut self,
        turn: &Turn,
        reservation: &mut Reservation<'_>,
        more: &dyn Fn(Usage) -> bool,
        victims: &mut Victims,
    ) {
        while let Some(slot) = self.state.evict(turn) {
            reservation.room.add(slot.usage());
            // Where there is no memory for the list, freeing at once gives some.
            if victims.try_reserve(1).is_ok() {
                victims.push(slot.entry);
            }
            if !more(reservation.room) {
                break;
            }
        }
    }

    /// Looks at up to `limit` entries that may have ended and removes those that have; true if
    /// there may be more. Leaves unwritten ones, which get a deadline again when they are written.
    pub(super) fn sweep(
        &mut self,
        clock: &dyn Clock,
        limit: usize,
        out: &mut Vec<(Entry, Ended)>,
    ) -> bool {
        let mut looks = limit;
        if !self.state.expiries.is_empty() {
            let now_ms = clock.wall().0;
            self.sweep_ended(|state| state.expiries.pop(now_ms), clock, &mut looks, out);
        }
        if !self.state.residencies.is_empty() {
            let now_ms = clock.monotonic().0;
            self.sweep_ended(|state| state.residencies.pop(now_ms), clock, &mut looks, out);
        }
        looks == 0
    }

    fn sweep_ended(
        &mut self,
        mut next: impl FnMut(&mut ShardState) -> Option<u64>,
        clock: &dyn Clock,
        looks: &mut usize,
        out: &mut Vec<(Entry, Ended)>,
    ) {
        let lifetime = self.lifetime(clock);
        while *looks > 0 {
            let Some(hash) = next(&mut self.state) else { return };
            *looks -= 1;
            let ended = |slot: &Slot| lifetime.ended(slot).is_some();
            let Some(slot) = self.state.order.find(hash, &ended) else { continue };
            let Some(why) = lifetime.ended(slot) else { continue };
            let entry = slot.entry.clone();
            self.take_out(entry.probe());
            out.push((entry, why));
        }
    }

    /// Adds the entries from hash `first` to hash `last`.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub(super) fn collect(&self, first: u64, last: u64, out: &mut Vec<Entry>) -> Result<()> {
        let inside = |slot: &&Slot| (first..=last).contains(&slot.entry.hash());
        let mut found = self.state.iter().filter(inside);
        found.try_for_each(|slot| memory::push(out, slot.entry.clone(), "a list of entries"))
    }

    /// Adds the unwritten entries in the order of writing, until `limit_bytes`.
    pub(super) fn oldest_unwritten(&self, limit_bytes: u64, out: &mut Vec<Entry>) {
        let mut bytes = 0;
        for slot in self.state.unwritten.iter(0).rev() {
            // It has room for one entry of each shard at least.
            let is_full = out.len() == out.capacity() && out.try_reserve(1).is_err();
            if bytes >= limit_bytes || is_full {
                break;
            }
            bytes += slot.entry.charge();
            out.push(slot.entry.clone());
        }
    }

    /// Adds the keys with what their entries are worth, the most valuable first, until `limit_bytes` of keys.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub(super) fn hottest(&self, limit_bytes: usize, out: &mut Vec<(u64, Vec<u8>)>) -> Result<()> {
        let mut bytes = 0;
        let order = &self.state.order;
        let unwritten = self.state.unwritten.iter(0).map(|slot| (u64::MAX, slot));
        for (worth, slot) in order.iter().map(|slot| (order.worth(slot), slot)).chain(unwritten) {
            if bytes >= limit_bytes {
                break;
            }
            bytes += slot.entry.key().len();
            let key = memory::copy(slot.entry.key(), "a hot key")?;
            memory::push(out, (worth, key), "the list of hot keys")?;
        }
        Ok(())
    }

    /// Takes everything out at once, whatever there is of it.
    pub(super) fn take_all(&mut self) -> ShardState {
        let all = self.state.take();
        self.budget.give(all.totals.usage);
        self.budget.sub_unwritten(all.totals.unwritten_bytes);
        all
    }

    /// Puts a slot in, in place of the one of its key; the budget does not change.
    fn put(&mut self, slot: Slot) -> Option<Slot> {
        if slot.entry.is_unwritten() {
            self.budget.add_unwritten(slot.entry.charge());
        }
        let replaced = self.state.put(slot);
        if let Some(replaced) = &replaced {
            self.has_left(replaced);
        }
        replaced
    }

    /// Takes a slot out; its room in the budget stays taken.
    fn detach(&mut self, probe: Probe<'_>) -> Option<Slot> {
        let slot = self.state.detach(probe)?;
        self.has_left(&slot);
        Some(slot)
    }

    /// Takes a slot out and gives its room back.
    fn take_out(&mut self, probe: Probe<'_>) -> Option<Slot> {
        let slot = self.detach(probe)?;
        self.budget.give(slot.usage());
        Some(slot)
    }

    fn has_left(&self, slot: &Slot) {
        if slot.entry.is_unwritten() {
            self.budget.sub_unwritten(slot.entry.charge());
        }
    }
}

/// Room for entries, taken before they come. Dropped it gives back what it still has.
pub struct Reservation<'a> {
    budget: &'a Budget,
    room: Usage,
}

impl<'a> Reservation<'a> {
    /// One that holds nothing yet.
    pub(super) fn empty(budget: &'a Budget) -> Self {
        Self { budget, room: Usage::default() }
    }

    /// Takes what this lacks of `needed`, if that is free; false if it is not.
    pub fn cover(&mut self, needed: Usage) -> bool {
        let missing = needed.beyond(self.room);
        let covered = missing.is_nothing() || self.budget.take(missing);
        if covered {
            self.room.add(missing);
        }
        covered
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        if !self.room.is_nothing() {
            self.budget.give(self.room);
        }
    }
}

fn look(slot: Option<&Slot>, lifetime: Lifetime<'_>) -> Lookup {
    let Some(slot) = slot else { return Lookup::Miss };
    match lifetime.ended(slot) {
        None => Lookup::Hit(slot.entry.clone()),
        Some(why) => Lookup::Gone(slot.entry.clone(), why),
    }
}

fn probe<'k>(key: &Key<'k>) -> Probe<'k> {
    Probe { hash: key.hash(), bytes: key.bytes() }
}
