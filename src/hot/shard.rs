//! One lock's worth of the hot tier, and the room that an entry needs before it may come.
//!
//! A reservation holds the room that an entry will take. One that is to replace an entry borrows
//! that entry's charge (the entry is *lent*, and then counts nothing): overwriting a key in a full
//! tier drives nobody out.
//!
//! # Invariants
//! 1. The state's totals, with those of the other shards and all reservations, are the budget's.
//! 2. `oldest` is the stamp of the order's victim, `EMPTY` if there is none.
//! 3. What a reservation was lent is part of its room, and goes back to the entry, or if that has
//!    left, to the budget.

use super::budget::{Budget, Room};
use super::entry::{Entry, Probe};
use super::order::{Order, Slot};
use super::state::State;
use super::terms::{Departure, Found, Terms};
use crate::buffer::Resident;
use crate::key::Key;
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
/// them by ascending index, and drops or replaces no [`Reservation`] for an entry of that shard
/// meanwhile, other than by [`ShardGuard::insert`].
pub struct ShardGuard<'a> {
    shard: &'a Shard,
    budget: &'a Budget,
    state: MutexGuard<'a, State>,
}

impl<'a> ShardGuard<'a> {
    /// Inserts `entry`, stored or promoted at `now`, and returns the one of the same key that it
    /// replaces, to be dropped after the lock. What the reservation has too much is given back. One
    /// with too little is the caller's mistake: the key is then not hot afterwards.
    pub fn insert(
        &mut self,
        mut entry: Entry,
        mut reservation: Reservation<'_>,
        now: Instant,
    ) -> Option<Entry> {
        entry.lent = false;
        let replaced = self.take_out(entry.probe()).map(|slot| slot.entry);
        // The lent slot has just been replaced, or had left before: nothing is to be returned.
        reservation.loan = None;
        let room = Room::of_entry(entry.charge());
        if !room.beyond(reservation.room).is_nothing() {
            debug_assert!(false, "a reservation below the entry's charge");
            return replaced;
        }
        reservation.room.sub(room);
        let stamp = self.state.insert_stamp(self.budget.next_tick());
        let resident = Resident::new(entry.buffer().clone());
        self.attach(Slot { entry, stamp, since: now, _resident: resident });
        replaced
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
    /// of `key` is not here or not unwritten.
    pub fn mark_written(&mut self, key: &Key<'_>, version: u64) -> bool {
        let is_it = |slot: &&Slot| slot.entry.version() == version;
        if self.state.unwritten.peek(probe(key)).filter(is_it).is_none() {
            return false;
        }
        // Detached, not taken out: its room stays taken, so that nobody else can come into it.
        let Some(mut slot) = self.detach(probe(key)) else { return false };
        slot.entry = slot.entry.with_unwritten(false);
        slot.stamp = self.state.use_stamp(self.budget.tick());
        self.attach(slot);
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

    /// Evicts while there is `more` to evict and the next victim is older than `until`, but the
    /// first one also if it is not.
    pub(super) fn evict(&mut self, until: u64, more: &dyn Fn() -> bool, victims: &mut Vec<Entry>) {
        while more() {
            let Some(slot) = self.state.evict() else { break };
            self.left(slot.stamp);
            self.budget.give(slot.room());
            victims.push(slot.entry);
            if self.shard.oldest() >= until {
                break;
            }
        }
    }

    /// Hands the charge of the entry of `key` to a reservation that is to replace it. Counts as a
    /// use, so that it is not evicted for its own successor as long as there is anything else.
    pub(super) fn lend(&mut self, key: &Key<'_>) -> Option<Reservation<'a>> {
        let stamp = self.state.use_stamp(self.budget.tick());
        let mut before = None;
        let slot = match self.state.order.touch(probe(key)) {
            Some(slot) => {
                before = Some(std::mem::replace(&mut slot.stamp, stamp));
                slot
            }
            None => self.state.unwritten.peek_mut(probe(key))?,
        };
        let room = slot.room();
        let already = std::mem::replace(&mut slot.entry.lent, true);
        let entry = slot.entry.clone();
        if let Some(before) = before {
            self.left(before);
        }
        if already {
            return None;
        }
        self.state.totals.room.sub(room);
        let loan = Some(Loan { shard: self.shard, entry });
        Some(Reservation { budget: self.budget, room, loan })
    }

    /// Takes back the charge of a lent entry; false if that version is not here any more.
    fn take_back(&mut self, entry: &Entry) -> bool {
        let lent = |slot: &&mut Slot| slot.entry.lent && slot.entry.version() == entry.version();
        let Some(slot) = self.state.peek_mut(entry.probe()).filter(lent) else { return false };
        slot.entry.lent = false;
        self.state.totals.room.add(Room::of_entry(entry.charge()));
        true
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
    pub(super) fn collect(&self, first: u64, last: u64, out: &mut Vec<Entry>) {
        let inside = |slot: &&Slot| (first..=last).contains(&slot.entry.hash());
        out.extend(self.state.iter().filter(inside).map(|slot| slot.entry.clone()));
    }

    /// The unwritten entries with their stamps in the order of writing, until `limit_bytes`.
    pub(super) fn oldest_unwritten(&self, limit_bytes: u64, out: &mut Vec<(u64, Entry)>) {
        let mut bytes = 0;
        for slot in self.state.unwritten.iter().rev() {
            if bytes >= limit_bytes {
                break;
            }
            bytes += slot.entry.charge();
            out.push((slot.stamp, slot.entry.clone()));
        }
    }

    /// The keys with their stamps, the most valuable first, until `limit_bytes` of keys.
    pub(super) fn hottest(&self, limit_bytes: usize, out: &mut Vec<(u64, Box<[u8]>)>) {
        let mut bytes = 0;
        for slot in self.state.iter() {
            if bytes >= limit_bytes {
                break;
            }
            bytes += slot.entry.key().len();
            out.push((slot.stamp, slot.entry.key().into()));
        }
    }

    /// Takes everything out at once, whatever there is of it.
    pub(super) fn take_all(&mut self) -> State {
        let all = self.state.take();
        self.shard.oldest.store(EMPTY, Ordering::Relaxed);
        self.budget.give(all.totals.room);
        self.budget.sub_unwritten(all.totals.unwritten_bytes);
        all
    }

    fn attach(&mut self, slot: Slot) {
        if slot.entry.is_unwritten() {
            self.budget.add_unwritten(slot.entry.charge());
        } else if self.shard.oldest() == EMPTY {
            self.shard.oldest.store(slot.stamp, Ordering::Relaxed);
        }
        self.state.attach(slot);
    }

    /// Takes a slot out; its room in the budget stays taken.
    fn detach(&mut self, probe: Probe<'_>) -> Option<Slot> {
        let slot = self.state.detach(probe)?;
        if slot.entry.is_unwritten() {
            self.budget.sub_unwritten(slot.entry.charge());
        } else {
            self.left(slot.stamp);
        }
        Some(slot)
    }

    /// Takes a slot out and gives its room back.
    fn take_out(&mut self, probe: Probe<'_>) -> Option<Slot> {
        let slot = self.detach(probe)?;
        self.budget.give(slot.room());
        Some(slot)
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

/// Room for one entry, taken before it comes. Dropped unused it gives the room back; this may take
/// the lock of the entry's shard, so that no thread drops one that is for a shard it has locked.
pub struct Reservation<'a> {
    pub(super) budget: &'a Budget,
    pub(super) room: Room,
    /// The entry that lent its charge, which is part of `room`.
    loan: Option<Loan<'a>>,
}

struct Loan<'a> {
    shard: &'a Shard,
    entry: Entry,
}

impl<'a> Reservation<'a> {
    /// One that holds nothing yet.
    pub(super) fn empty(budget: &'a Budget) -> Self {
        Self { budget, room: Room::default(), loan: None }
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        if let Some(Loan { shard, entry }) = self.loan.take()
            && shard.lock(self.budget).take_back(&entry)
        {
            self.room.sub(Room::of_entry(entry.charge()));
        }
        self.budget.give(self.room);
    }
}

fn probe<'k>(key: &Key<'k>) -> Probe<'k> {
    Probe { hash: key.hash(), bytes: key.bytes() }
}
