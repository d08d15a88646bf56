//! One lock's worth of the hot tier, and the room that entries need before they may come.
//!
//! An entry that replaces another needs only what it is larger, so overwriting a key in a full tier
//! drives nobody out. How much that is can be told for certain with the shard locked alone, and
//! nobody may be evicted from another shard meanwhile: whoever finds room missing then lets go, makes
//! room and looks again.
//!
//! # Invariants
//! 1. The state's totals, with those of the other shards and all reservations, are the budget's.
//! 2. `oldest` is the stamp of the order's victim, `EMPTY` if there is none.

use super::budget::{Budget, Room};
use super::entry::{Entry, Probe, Victims};
use super::order::{Order, Slot};
use super::state::State;
use super::terms::{Departure, Found, Terms};
use crate::buffer::Resident;
use crate::error::Result;
use crate::key::Key;
use crate::memory;
use crate::sync::{Mutex, MutexGuard};
use crate::time::{Clock, Instant};
use std::sync::atomic::{AtomicU64, Ordering};

/// The stamp of a shard that has nothing to evict.
pub(super) const EMPTY: u64 = u64::MAX;

/// A lock and what it protects, on cache lines of its own.
#[repr(align(128))]
pub(super) struct Shard {
    oldest: AtomicU64,
    state: Mutex<State>,
}

impl Shard {
    pub(super) fn new(residency_ms: u64) -> Self {
        Self { oldest: AtomicU64::new(EMPTY), state: Mutex::new(State::new(residency_ms)) }
    }

    /// The stamp of what this shard would evict next, or [`EMPTY`]; takes no lock.
    pub(super) fn oldest(&self) -> u64 {
        self.oldest.load(Ordering::Relaxed)
    }

    pub(super) fn lock<'a>(&'a self, budget: &'a Budget) -> ShardGuard<'a> {
        ShardGuard { shard: self, budget, state: self.state.lock() }
    }
}

/// A shard that this thread has locked; the lock goes with the guard. Whoever needs several locks
/// them by ascending index.
pub struct ShardGuard<'a> {
    shard: &'a Shard,
    budget: &'a Budget,
    state: MutexGuard<'a, State>,
}

impl<'a> ShardGuard<'a> {
    /// The room that an entry of `key` with this charge needs beyond that of the one it would
    /// replace.
    pub fn needed(&self, key: &Key<'_>, charge: u64) -> Room {
        let has = self.state.peek(probe(key)).map_or(Room::default(), Slot::room);
        Room::of_entry(charge).beyond(has)
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
            reservation.room.add(replaced.as_ref().map_or(Room::default(), Slot::room));
            return replaced.map(|slot| slot.entry);
        }
        let room = Room::of_entry(entry.charge());
        let stamp = self.state.insert_stamp(self.budget.next_tick());
        let resident = Resident::new(entry.buffer().clone());
        let replaced = self.put(Slot { entry, stamp, since: now, _resident: resident });
        reservation.room.add(replaced.as_ref().map_or(Room::default(), Slot::room));
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
        slot.stamp = self.state.use_stamp(self.budget.tick());
        self.put(slot);
        true
    }

    pub(super) fn get(&mut self, key: &Key<'_>, clock: &dyn Clock) -> Found {
        let terms = self.terms(clock);
        let stamp = self.state.use_stamp(self.budget.tick());
        let Some(slot) = self.state.order.touch(probe(key)) else {
            return self.look(self.state.unwritten.peek(probe(key)), terms);
        };
        let before = std::mem::replace(&mut slot.stamp, stamp);
        let departure = terms.departure(slot);
        let found = match departure {
            None => Found::Hit(slot.entry.clone()),
            Some(departure) => Found::Gone(slot.entry.clone(), departure),
        };
        self.left(before);
        if departure.is_some() {
            self.take_out(probe(key));
        }
        found
    }

    pub(super) fn look_up(&self, key: &Key<'_>, clock: &dyn Clock) -> Found {
        self.look(self.state.peek(probe(key)), self.terms(clock))
    }

    fn terms<'c>(&self, clock: &'c dyn Clock) -> Terms<'c> {
        Terms { residency_ms: self.state.residency_ms, clock }
    }

    fn look(&self, slot: Option<&Slot>, terms: Terms<'_>) -> Found {
        let Some(slot) = slot else { return Found::Miss };
        match terms.departure(slot) {
            None => Found::Hit(slot.entry.clone()),
            Some(departure) => Found::Gone(slot.entry.clone(), departure),
        }
    }

    /// Counts a use of the entry of `key`, if there is one.
    pub fn touch(&mut self, key: &Key<'_>) {
        let stamp = self.state.use_stamp(self.budget.tick());
        if let Some(slot) = self.state.order.touch(probe(key)) {
            let before = std::mem::replace(&mut slot.stamp, stamp);
            self.left(before);
        }
    }

    /// Evicts while there is `more` to evict and the next victim is older than `until`, but the
    /// first one also if it is not. The reservation gets the room.
    pub(super) fn evict(
        &mut self,
        until: u64,
        reservation: &mut Reservation<'_>,
        more: &dyn Fn(Room) -> bool,
        victims: &mut Victims,
    ) {
        while more(reservation.room) {
            let Some(slot) = self.state.evict() else { break };
            self.left(slot.stamp);
            reservation.room.add(slot.room());
            // Where there is no memory for the list, freeing at once gives some.
            if victims.try_reserve(1).is_ok() {
                victims.push(slot.entry);
            }
            if self.shard.oldest() >= until {
                break;
            }
        }
    }

    /// Looks at up to `limit` entries that may have ended and removes those that have; true if
    /// there may be more. Passes by unwritten ones, whose end is noted again when they are written.
    pub(super) fn sweep(
        &mut self,
        clock: &dyn Clock,
        limit: usize,
        out: &mut Vec<(Entry, Departure)>,
    ) -> bool {
        let mut looks = limit;
        if !self.state.expiries.is_empty() {
            let now_ms = clock.wall().0;
            self.sweep_due(|state| state.expiries.pop(now_ms), clock, &mut looks, out);
        }
        if !self.state.residencies.is_empty() {
            let now_ms = clock.monotonic().0;
            self.sweep_due(|state| state.residencies.pop(now_ms), clock, &mut looks, out);
        }
        looks == 0
    }

    fn sweep_due(
        &mut self,
        mut next: impl FnMut(&mut State) -> Option<u64>,
        clock: &dyn Clock,
        looks: &mut usize,
        out: &mut Vec<(Entry, Departure)>,
    ) {
        let terms = self.terms(clock);
        while *looks > 0 {
            let Some(hash) = next(&mut self.state) else { return };
            *looks -= 1;
            let ended = |slot: &Slot| terms.departure(slot).is_some();
            let Some(slot) = self.state.order.find(hash, &ended) else { continue };
            let Some(departure) = terms.departure(slot) else { continue };
            let entry = slot.entry.clone();
            self.take_out(entry.probe());
            out.push((entry, departure));
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

    /// The unwritten entries with their stamps in the order of writing, until `limit_bytes`.
    pub(super) fn oldest_unwritten(&self, limit_bytes: u64, out: &mut Vec<(u64, Entry)>) {
        let mut bytes = 0;
        for slot in self.state.unwritten.iter().rev() {
            // It has room for one entry of each shard at least.
            let is_full = out.len() == out.capacity() && out.try_reserve(1).is_err();
            if bytes >= limit_bytes || is_full {
                break;
            }
            bytes += slot.entry.charge();
            out.push((slot.stamp, slot.entry.clone()));
        }
    }

    /// The keys with their stamps, the most valuable first, until `limit_bytes` of keys.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub(super) fn hottest(&self, limit_bytes: usize, out: &mut Vec<(u64, Vec<u8>)>) -> Result<()> {
        let mut bytes = 0;
        for slot in self.state.iter() {
            if bytes >= limit_bytes {
                break;
            }
            bytes += slot.entry.key().len();
            let key = memory::copy(slot.entry.key(), "a hot key")?;
            memory::push(out, (slot.stamp, key), "the list of hot keys")?;
        }
        Ok(())
    }

    /// Takes everything out at once, whatever there is of it.
    pub(super) fn take_all(&mut self) -> State {
        let all = self.state.take();
        self.shard.oldest.store(EMPTY, Ordering::Relaxed);
        self.budget.give(all.totals.room);
        self.budget.sub_unwritten(all.totals.unwritten_bytes);
        all
    }

    /// Puts a slot in, in place of the one of its key; the budget does not change.
    fn put(&mut self, slot: Slot) -> Option<Slot> {
        let stamp = slot.stamp;
        let unwritten_bytes = slot.entry.is_unwritten().then(|| slot.entry.charge());
        let replaced = self.state.put(slot);
        match unwritten_bytes {
            Some(bytes) => self.budget.add_unwritten(bytes),
            None if self.shard.oldest() == EMPTY => {
                self.shard.oldest.store(stamp, Ordering::Relaxed);
            }
            None => {}
        }
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
        self.budget.give(slot.room());
        Some(slot)
    }

    fn has_left(&mut self, slot: &Slot) {
        if slot.entry.is_unwritten() {
            self.budget.sub_unwritten(slot.entry.charge());
        } else {
            self.left(slot.stamp);
        }
    }

    /// Keeps invariant 2 when an entry with this stamp has left its place in the order. Only the
    /// victim had the oldest stamp, so other uses do not touch the far end of the order.
    fn left(&mut self, stamp: u64) {
        if stamp == self.shard.oldest() {
            let oldest = self.state.order.victim().map_or(EMPTY, |slot| slot.stamp);
            self.shard.oldest.store(oldest, Ordering::Relaxed);
        }
    }
}

/// Room for entries, taken before they come. Dropped it gives back what it still has.
pub struct Reservation<'a> {
    budget: &'a Budget,
    room: Room,
}

impl<'a> Reservation<'a> {
    /// One that holds nothing yet.
    pub(super) fn empty(budget: &'a Budget) -> Self {
        Self { budget, room: Room::default() }
    }

    /// Takes what this lacks of `needed`, if that is free; false if it is not.
    pub fn cover(&mut self, needed: Room) -> bool {
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

fn probe<'k>(key: &Key<'k>) -> Probe<'k> {
    Probe { hash: key.hash(), bytes: key.bytes() }
}
