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
use super::entry::{Described, Entry, Hit, Probe, Slot, Victims};
use super::lifetime::{Ended, Lifetime, Lookup};
use super::policy::{Order, Turn, Uses};
use super::shard_state::ShardState;
use crate::error::Result;
use crate::key::Key;
use crate::ledger::Ledger;
use crate::memory;
use crate::seats::{SeatGuard, SeatLock, Seats};
use crate::time::{Clock, Instant};
use std::sync::Arc;

/// A lock and what it protects, on cache lines of its own.
#[repr(align(128))]
pub(super) struct Shard {
    state: SeatLock<ShardState>,
    residency_ms: u64,
}

impl Shard {
    pub(super) fn new(order: Box<dyn Order>, residency_ms: u64) -> Self {
        let state = SeatLock::new(ShardState::new(order, residency_ms));
        Self { state, residency_ms }
    }

    /// Locks the shard. Those who look for entries do not wait before something changes.
    #[inline]
    pub(super) fn lock<'a>(&'a self, seats: &'a Seats<Uses>, budget: &'a Budget) -> ShardGuard<'a> {
        ShardGuard { budget, state: self.state.lock(seats) }
    }

    /// Finds the entry of `key` and counts this as a use. `None` if the shard is to be locked for it.
    #[inline(always)]
    pub(super) fn get(
        &self,
        seats: &Seats<Uses>,
        key: &Key<'_>,
        clock: &dyn Clock,
    ) -> Option<Lookup> {
        let lifetime = Lifetime { residency_ms: self.residency_ms, clock };
        let state = self.state.sit(seats)?;
        // What has ended is taken out, which is a change.
        Some(state.get(probe(key), lifetime, state.own()))
            .filter(|f| !matches!(f, Lookup::Gone(..)))
    }

    /// As [`Shard::get`], and hands the value out. `Some(None)` if nothing is there.
    #[inline(always)]
    pub(super) fn hit(
        &self,
        seats: &Seats<Uses>,
        key: &Key<'_>,
        clock: &dyn Clock,
        ledger: &Arc<Ledger>,
    ) -> Option<Option<Hit>> {
        let lifetime = Lifetime { residency_ms: self.residency_ms, clock };
        let state = self.state.sit(seats)?;
        let Some(slot) = state.touch(probe(key), state.own()) else { return Some(None) };
        if lifetime.ended(slot).is_some() {
            return None;
        }
        Some(Some(Hit::of(slot, ledger)))
    }

    /// Whether the policy lets an entry of `key` with this charge in although others would have to
    /// leave for it. `None` if the shard is to be locked for the answer.
    #[inline]
    pub(super) fn admits(&self, seats: &Seats<Uses>, key: &Key<'_>, charge: u64) -> Option<bool> {
        self.state.sit(seats)?.order.admits(key.hash(), charge)
    }

    /// As [`Shard::get`], but counts nothing.
    #[inline]
    pub(super) fn peek(
        &self,
        seats: &Seats<Uses>,
        key: &Key<'_>,
        clock: &dyn Clock,
    ) -> Option<Lookup> {
        let lifetime = Lifetime { residency_ms: self.residency_ms, clock };
        self.state.sit(seats).map(|state| look(state.peek(probe(key)), lifetime))
    }
}

/// A shard that this thread has locked; dropping the guard unlocks it. A thread that needs several
/// shards locks them by ascending index.
pub struct ShardGuard<'a> {
    budget: &'a Budget,
    state: SeatGuard<'a, ShardState, Uses>,
}

impl<'a> ShardGuard<'a> {
    /// Keeps everybody out from now on, also those who only look.
    pub(super) fn exclude(&mut self) {
        self.state.exclude();
    }

    /// The room that an entry of `key` with this charge needs beyond that of the one it would
    /// replace.
    pub fn needed(&self, key: &Key<'_>, charge: u64) -> Usage {
        let has = self.state.peek(probe(key)).map_or(Usage::default(), Described::usage);
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
            reservation.room.add(usage(replaced.as_ref()));
            return replaced;
        }
        let room = Usage::of_entry(entry.charge());
        entry.set_since(now);
        let replaced = self.put(entry);
        reservation.room.add(usage(replaced.as_ref()));
        if room.beyond(reservation.room).is_nothing() {
            reservation.room.sub(room);
        } else {
            drop(self.detach(probe(key)));
        }
        replaced
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
        self.take_out(probe(key))
    }

    /// The entry of `key` as it stands, also if it has ended; its recency stays.
    pub fn peek(&self, key: &Key<'_>) -> Option<Entry> {
        self.state.peek(probe(key)).map(Entry::of)
    }

    /// True if another key with the same hash has an unwritten entry.
    pub fn has_other_unwritten(&self, key: &Key<'_>) -> bool {
        self.state.totals.unwritten_bytes != 0 && self.state.unwritten.has_other(probe(key))
    }

    /// Makes an unwritten entry evictable, as just used, and returns true; false if this version
    /// of `key` is not here or not unwritten, or there is no memory for its place among the others.
    pub fn mark_written(&mut self, key: &Key<'_>, version: u64) -> bool {
        let is_it = |slot: &&Slot| slot.version() == version;
        let is_here = self.state.unwritten.peek(probe(key)).filter(is_it).is_some();
        if !is_here || self.state.reserve(1, false).is_err() {
            return false;
        }
        // Detached, not taken out: its room stays taken, so that nobody else can come into it.
        let Some(entry) = self.detach(probe(key)) else { return false };
        self.put(entry.with_unwritten(false));
        true
    }

    pub(super) fn get(&mut self, key: &Key<'_>, clock: &dyn Clock) -> Lookup {
        let found = self.state.get(probe(key), self.lifetime(clock), self.state.standing());
        if matches!(&found, Lookup::Gone(entry, _) if !entry.is_unwritten()) {
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
        let order = &mut self.state.order;
        order.fit();
        // Where there is no memory to note what is refused, it is.
        order.admits(key.hash(), charge).unwrap_or(false)
    }

    /// Counts a use of the entry of `key`, if there is one.
    pub fn touch(&mut self, key: &Key<'_>) {
        self.state.order.touch(probe(key), self.state.standing());
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
        while let Some(entry) = self.state.evict(turn) {
            reservation.room.add(entry.slot().usage());
            // Where there is no memory for the list, freeing at once gives some.
            if victims.try_reserve(1).is_ok() {
                victims.push(entry);
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
            let entry = Entry::of(slot);
            self.take_out(entry.slot().probe());
            out.push((entry, why));
        }
    }

    /// Adds the entries from hash `first` to hash `last`.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub(super) fn collect(&self, first: u64, last: u64, out: &mut Vec<Entry>) -> Result<()> {
        let inside = |slot: &&Slot| (first..=last).contains(&slot.hash());
        let mut found = self.state.iter().filter(inside);
        found.try_for_each(|slot| memory::push(out, Entry::of(slot), "a list of entries"))
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
            bytes += slot.charge();
            out.push(Entry::of(slot));
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
            bytes += slot.key().len();
            let key = memory::copy(slot.key(), "a hot key")?;
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

    /// Puts an entry in, in place of the one of its key; the budget does not change.
    fn put(&mut self, entry: Entry) -> Option<Entry> {
        if entry.is_unwritten() {
            self.budget.add_unwritten(entry.charge());
        }
        let replaced = self.state.put(entry);
        if let Some(replaced) = &replaced {
            self.has_left(replaced);
        }
        replaced
    }

    /// Takes an entry out; its room in the budget stays taken.
    fn detach(&mut self, probe: Probe<'_>) -> Option<Entry> {
        let entry = self.state.detach(probe)?;
        self.has_left(&entry);
        Some(entry)
    }

    /// Takes an entry out and gives its room back.
    fn take_out(&mut self, probe: Probe<'_>) -> Option<Entry> {
        let entry = self.detach(probe)?;
        self.budget.give(entry.slot().usage());
        Some(entry)
    }

    fn has_left(&self, entry: &Entry) {
        if entry.is_unwritten() {
            self.budget.sub_unwritten(entry.charge());
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
        None => Lookup::Hit(Entry::of(slot)),
        Some(why) => Lookup::Gone(Entry::of(slot), why),
    }
}

fn usage(entry: Option<&Entry>) -> Usage {
    entry.map_or(Usage::default(), |entry| entry.slot().usage())
}

fn probe<'k>(key: &Key<'k>) -> Probe<'k> {
    Probe { hash: key.hash(), bytes: key.bytes() }
}
