//! One lock's worth of the hot tier: entries in their order, the unwritten ones apart.
//!
//! Unwritten entries stand in a list of their own in the order of writing, and move to the policy's
//! order once cold has them; so nothing that is evicted was unwritten. A reservation holds the room
//! that an entry will take before it comes. One that is to replace an entry borrows that entry's
//! charge (the slot is *lent*): overwriting a key in a full tier then drives nobody out.
//!
//! Stamps order the uses of all shards: the tick of the newest insert, then how many uses this shard
//! has seen since. Between shards the second part is a guess, good because hashes spread evenly.
//!
//! # Invariants
//! 1. A key is in `order` or in `unwritten`, never in both; `unwritten` has just the entries that
//!    say so.
//! 2. `totals` are the sums over both, and part of the budget's own.
//! 3. `oldest` is the stamp of the order's victim, `EMPTY` if there is none.
//! 4. Stamps never decrease within a shard; those of inserts differ in the whole tier.

use super::budget::{Budget, Room};
use super::entry::{Entry, Probe};
use super::lru::Lru;
use super::order::{Order, Slot};
use super::terms::{Departure, Found, Terms};
use crate::key::Key;
use crate::time::Instant;
use parking_lot::{Mutex, MutexGuard};
use std::sync::atomic::{AtomicU64, Ordering};

/// The stamp of a shard that has nothing to evict.
pub(super) const EMPTY: u64 = u64::MAX;

/// How many uses between two inserts a stamp can tell apart, as a power of two. The other 48 bits
/// last for nine years of a million inserts a second.
const USES_BITS: u32 = 16;

/// A lock and what it protects, on cache lines of its own.
#[repr(align(128))]
pub(super) struct Shard {
    oldest: AtomicU64,
    state: Mutex<State>,
}

struct State {
    order: Box<dyn Order>,
    unwritten: Lru,
    totals: Totals,
    stamp: u64,
}

#[derive(Default)]
struct Totals {
    room: Room,
    unwritten_bytes: u64,
    expiring: u64,
}

impl State {
    fn new() -> Self {
        Self {
            order: Box::new(Lru::new()),
            unwritten: Lru::new(),
            totals: Totals::default(),
            stamp: 0,
        }
    }

    fn iter(&self) -> impl Iterator<Item = &Slot> {
        self.order.iter().chain(self.unwritten.iter())
    }

    fn peek(&self, probe: Probe<'_>) -> Option<&Slot> {
        self.order.peek(probe).or_else(|| self.unwritten.peek(probe))
    }

    /// The stamp of a use: later than all before in this shard, as long as there are numbers.
    fn use_stamp(&mut self, tick: u64) -> u64 {
        let insert = tick << USES_BITS;
        self.stamp = (self.stamp + 1).clamp(insert + 1, insert | ((1 << USES_BITS) - 1));
        self.stamp
    }
}

impl Shard {
    pub(super) fn new() -> Self {
        Self { oldest: AtomicU64::new(EMPTY), state: Mutex::new(State::new()) }
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
        entry: Entry,
        mut reservation: Reservation<'_>,
        now: Instant,
    ) -> Option<Entry> {
        let replaced = self.take_out(entry.probe()).map(|slot| slot.entry);
        // The lent slot has just been replaced, or had left before: nothing is to be returned.
        reservation.loan = None;
        let room = Room::of_entry(entry.charge());
        if !room.beyond(reservation.room).is_nothing() {
            debug_assert!(false, "a reservation below the entry's charge");
            return replaced;
        }
        reservation.room.sub(room);
        let stamp = self.budget.next_tick() << USES_BITS;
        self.state.stamp = stamp;
        self.attach(Slot { entry, stamp, since: now, lent: false });
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

    pub(super) fn get(&mut self, key: &Key<'_>, terms: Terms<'_>) -> Found {
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

    pub(super) fn look_up(&self, key: &Key<'_>, terms: Terms<'_>) -> Found {
        self.look(self.state.peek(probe(key)), terms)
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
            let Some(slot) = self.state.order.evict() else { break };
            self.left(slot.stamp);
            self.uncount(&slot);
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
        let already = std::mem::replace(&mut slot.lent, true);
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
        let state = &mut *self.state;
        let slot =
            state.order.peek_mut(entry.probe()).or_else(|| state.unwritten.peek_mut(entry.probe()));
        match slot {
            Some(slot) if slot.lent && slot.entry.version() == entry.version() => {
                slot.lent = false;
                state.totals.room.add(Room::of_entry(entry.charge()));
                true
            }
            _ => false,
        }
    }

    /// Removes up to `limit` entries whose time is over.
    pub(super) fn sweep(
        &mut self,
        terms: Terms<'_>,
        limit: usize,
        out: &mut Vec<(Entry, Departure)>,
    ) {
        if terms.residency_ms == 0 && self.state.totals.expiring == 0 {
            return;
        }
        let first = out.len();
        let ended = |slot: &Slot| Some((slot.entry.clone(), terms.departure(slot)?));
        out.extend(self.state.order.iter().filter_map(ended).take(limit));
        for (entry, _) in out.iter().skip(first) {
            self.take_out(entry.probe());
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
    pub(super) fn take_all(&mut self) -> Contents {
        let fresh = State { stamp: self.state.stamp, ..State::new() };
        let old = std::mem::replace(&mut *self.state, fresh);
        self.shard.oldest.store(EMPTY, Ordering::Relaxed);
        self.budget.give(old.totals.room);
        self.budget.sub_unwritten(old.totals.unwritten_bytes);
        Contents { _order: old.order, _unwritten: old.unwritten }
    }

    fn attach(&mut self, slot: Slot) {
        let totals = &mut self.state.totals;
        totals.room.add(slot.room());
        totals.expiring += u64::from(slot.entry.expiry().is_some());
        if slot.entry.is_unwritten() {
            totals.unwritten_bytes += slot.entry.charge();
            self.budget.add_unwritten(slot.entry.charge());
            self.state.unwritten.insert(slot);
            return;
        }
        if self.shard.oldest() == EMPTY {
            self.shard.oldest.store(slot.stamp, Ordering::Relaxed);
        }
        self.state.order.insert(slot);
    }

    /// Takes a slot out; its room in the budget stays taken.
    fn detach(&mut self, probe: Probe<'_>) -> Option<Slot> {
        let slot = match self.state.order.remove(probe) {
            Some(slot) => {
                self.left(slot.stamp);
                slot
            }
            None => self.state.unwritten.remove(probe)?,
        };
        self.uncount(&slot);
        Some(slot)
    }

    /// Takes a slot out and gives its room back.
    fn take_out(&mut self, probe: Probe<'_>) -> Option<Slot> {
        let slot = self.detach(probe)?;
        self.budget.give(slot.room());
        Some(slot)
    }

    /// Removes a slot that has left from the totals.
    fn uncount(&mut self, slot: &Slot) {
        let totals = &mut self.state.totals;
        totals.room.sub(slot.room());
        totals.expiring -= u64::from(slot.entry.expiry().is_some());
        if slot.entry.is_unwritten() {
            totals.unwritten_bytes -= slot.entry.charge();
            self.budget.sub_unwritten(slot.entry.charge());
        }
    }

    /// Keeps invariant 3 when an entry with this stamp has left its place in the order. Only the
    /// victim had the oldest stamp, so other uses do not touch the far end of the order.
    fn left(&mut self, stamp: u64) {
        if stamp == self.shard.oldest() {
            let oldest = self.state.order.victim().map_or(EMPTY, |slot| slot.stamp);
            self.shard.oldest.store(oldest, Ordering::Relaxed);
        }
    }
}

/// What was taken out of a shard as a whole.
pub(super) struct Contents {
    _order: Box<dyn Order>,
    _unwritten: Lru,
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
        if let Some(Loan { shard, entry }) = self.loan.take() {
            if shard.lock(self.budget).take_back(&entry) {
                self.room.sub(Room::of_entry(entry.charge()));
            }
        }
        self.budget.give(self.room);
    }
}

fn probe<'k>(key: &Key<'k>) -> Probe<'k> {
    Probe { hash: key.hash(), bytes: key.bytes() }
}
