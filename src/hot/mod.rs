//! The hot tier: entries in memory, bounded in bytes and in number.
//!
//! The tier has sixteen shards. The top bits of a key's hash choose its shard; each shard has a lock
//! and keeps its own entries. All shards share one budget, so a value may be as large as the tier,
//! and one policy, which decides what leaves and from which shard. The tier knows no disk and no
//! clock of its own. It hands back what it evicts, and the store decides what that means.
//!
//! An insert has two steps. [`Hot::make_room`] makes room and evicts, with one lock at a time; then
//! [`ShardGuard::insert`] puts the entry in. A promotion asks first: [`Hot::admit`] makes room for the
//! candidate, unless the policy refuses it.
//!
//! # Invariants
//! 1. Used bytes never exceed the capacity, nor entries their maximum, at any instant.
//! 2. Unwritten entries leave only by `remove`, by being replaced or by [`AllShards::take`].
//! 3. Locks: one shard at a time, or several by ascending index; the budget has no lock.

mod budget;
mod entry;
mod policy;
mod lifetime;
mod deadlines;
mod slots;
mod lru;
mod history;
mod mode;
mod mini;
mod sampler;
mod mark;
mod contest;
mod tinylfu;
mod eviction;
mod shard_state;
mod shard;

pub use budget::Usage;
pub use entry::{Entry, Hit, Victims};
pub use eviction::Eviction;
pub use lifetime::{Ended, Lookup};
pub use shard::{Reservation, ShardGuard};

use crate::error::Result;
use crate::key::Key;
use crate::ledger::Ledger;
use crate::seats::Seats;
use crate::time::Clock;
use budget::Budget;
use policy::{Policy, SHARD_BITS, SHARD_COUNT, Uses};
use shard::Shard;
use smallvec::SmallVec;
use std::sync::Arc;

/// Steps that a policy may take before it judges a candidate.
const PREPARE_STEPS_MAX: usize = 4;

/// The bounds of a hot tier.
#[derive(Clone, Copy, Debug)]
pub struct HotOptions {
    /// Bytes that all entries may take, their overhead included; 0 for no tier at all.
    pub capacity: u64,
    /// How many entries there may be; 0 for as many as the bytes allow.
    pub max_entries: u64,
    /// How long an entry may stay without being stored or promoted anew, in milliseconds; 0 for
    /// as long as it is not evicted.
    pub residency_ms: u64,
    /// Which entry leaves first.
    pub eviction: Eviction,
}

/// The hot tier. All methods may be called from any thread at any time, but none of them while the
/// caller has a [`ShardGuard`] or [`AllShards`] other than those that only read sums.
pub struct Hot {
    shards: Box<[Shard]>,
    seats: Box<Seats<Uses>>,
    policy: Arc<dyn Policy>,
    budget: Budget,
}

impl Hot {
    /// Makes an empty tier.
    pub fn new(options: &HotOptions) -> Self {
        let max_entries = if options.max_entries == 0 { u64::MAX } else { options.max_entries };
        let limits = Usage { bytes: options.capacity, entries: max_entries };
        Self::with_policy(options, options.eviction.policy(limits))
    }

    fn with_policy(options: &HotOptions, policy: Arc<dyn Policy>) -> Self {
        let max_entries = if options.max_entries == 0 { u64::MAX } else { options.max_entries };
        Self {
            // Collected one by one, because all of them are too much for a small stack.
            shards: (0..SHARD_COUNT)
                .map(|index| Shard::new(policy.clone().order(index), options.residency_ms))
                .collect(),
            seats: Box::new(Seats::new()),
            policy,
            budget: Budget::new(options.capacity, max_entries),
        }
    }

    /// False if the tier can hold nothing.
    pub fn is_enabled(&self) -> bool {
        self.budget.capacity() > 0
    }

    /// Bytes that the entries may take.
    pub fn capacity(&self) -> u64 {
        self.budget.capacity()
    }

    /// Bytes that entries and reservations take.
    pub fn used_bytes(&self) -> u64 {
        self.budget.used()
    }

    /// Bytes of memory that the policy takes beside what entries are charged for.
    pub fn policy_bytes(&self) -> u64 {
        self.policy.memory_bytes()
    }

    /// How many entries there are; a reservation counts as one.
    pub fn entry_count(&self) -> u64 {
        self.budget.entries()
    }

    /// Bytes that unwritten entries take.
    pub fn unwritten_bytes(&self) -> u64 {
        self.budget.unwritten_bytes()
    }

    /// How many shards there are.
    pub fn shard_count(&self) -> usize {
        SHARD_COUNT
    }

    /// The shard of the keys with this hash.
    pub fn shard_index(&self, hash: u64) -> usize {
        shard_index(hash)
    }

    /// The hashes, first and last, of the keys in shard `index`.
    pub fn shard_range(&self, index: usize) -> (u64, u64) {
        let width_bits = u64::BITS - SHARD_BITS;
        let first = u64::try_from(index % SHARD_COUNT).unwrap_or(0) << width_bits;
        (first, first | (u64::MAX >> SHARD_BITS))
    }

    /// Finds the entry of `key` and counts this as a use. One whose time is over is removed.
    ///
    /// # Cost
    /// No lock, unless the shard is being changed or the entry has ended. The clock is asked only if
    /// there is a residency or the entry can expire.
    #[inline(always)]
    pub fn get(&self, key: &Key<'_>, clock: &dyn Clock) -> Lookup {
        if !self.is_enabled() {
            return Lookup::Miss;
        }
        let index = shard_index(key.hash());
        let found = self.shards[index].get(&self.seats, key, clock);
        found.unwrap_or_else(|| self.get_locked(index, key, clock))
    }

    /// As [`Hot::get`], but what is found is handed to a caller of the store that keeps `ledger`.
    ///
    /// # Errors
    /// What a get has found, if it is no hit, or if the shard was being changed.
    #[inline(always)]
    pub fn hit(
        &self,
        key: &Key<'_>,
        clock: &dyn Clock,
        ledger: &Arc<Ledger>,
    ) -> std::result::Result<Hit, Lookup> {
        let index = shard_index(key.hash());
        match self.shards[index].hit(&self.seats, key, clock, ledger) {
            Some(Some(hit)) => Ok(hit),
            Some(None) => Err(Lookup::Miss),
            None => Err(self.get_locked(index, key, clock)),
        }
    }

    #[cold]
    fn get_locked(&self, index: usize, key: &Key<'_>, clock: &dyn Clock) -> Lookup {
        self.lock(index).get(key, clock)
    }

    /// As [`Hot::get`], but changes nothing: neither recency, nor does it remove what is gone.
    pub fn peek(&self, key: &Key<'_>, clock: &dyn Clock) -> Lookup {
        let index = shard_index(key.hash());
        let found = self.shards[index].peek(&self.seats, key, clock);
        found.unwrap_or_else(|| self.lock(index).look_up(key, clock))
    }

    /// Locks shard `index`, counted modulo their number.
    pub fn lock(&self, index: usize) -> ShardGuard<'_> {
        self.shards[index % SHARD_COUNT].lock(&self.seats, &self.budget)
    }

    /// Locks the shards of the keys with these hashes, also against those who only look for entries.
    pub fn lock_for(&self, mut hashes: impl ExactSizeIterator<Item = u64>) -> ShardGuards<'_> {
        let mut guards = SmallVec::new();
        let mut lock = |index| {
            let mut guard = self.lock(index);
            guard.exclude();
            guards.push((index, guard));
        };
        if hashes.len() == 1
            && let Some(hash) = hashes.next()
        {
            lock(shard_index(hash));
            return ShardGuards { guards };
        }
        let wanted = hashes.fold(0_u32, |wanted, hash| wanted | 1 << shard_index(hash));
        (0..SHARD_COUNT).filter(|index| wanted >> index & 1 != 0).for_each(lock);
        ShardGuards { guards }
    }

    /// Locks all shards, also against those who only look for entries.
    pub fn lock_all(&self) -> AllShards<'_> {
        let mut guards: Vec<_> = (0..SHARD_COUNT).map(|index| self.lock(index)).collect();
        guards.iter_mut().for_each(ShardGuard::exclude);
        AllShards { guards }
    }

    /// A reservation that holds nothing yet.
    pub fn reservation(&self) -> Reservation<'_> {
        Reservation::empty(&self.budget)
    }

    /// Takes room for an entry of `key` with this charge, as [`Hot::make_room`]; `None` if there is
    /// none, or if others would have to leave and the policy finds them worth more.
    pub fn admit(
        &self,
        key: &Key<'_>,
        charge: u64,
        victims: &mut Victims,
    ) -> Option<Reservation<'_>> {
        let (mut reservation, needed) = (self.reservation(), Usage::of_entry(charge));
        let is_admitted = self.budget.has(needed) || self.is_worth_room(key, charge);
        (is_admitted && self.make_room(&mut reservation, needed, victims)).then_some(reservation)
    }

    fn is_worth_room(&self, key: &Key<'_>, charge: u64) -> bool {
        for _ in 0..PREPARE_STEPS_MAX {
            let Some(turn) = self.policy.before_judging() else { break };
            self.lock(turn.shard).prepare(&turn);
        }
        let index = shard_index(key.hash());
        let says = self.shards[index].admits(&self.seats, key, charge);
        says.unwrap_or_else(|| self.lock(index).admits(key, charge))
    }

    /// Makes the reservation hold at least `needed`, evicting as needed; what is evicted is added
    /// to `victims`, to be dropped by the caller without a lock.
    ///
    /// False if that much exceeds the capacity (nothing is evicted then), or if what is left is
    /// unwritten or reserved by others. The reservation then keeps what room it has got.
    pub fn make_room(
        &self,
        reservation: &mut Reservation<'_>,
        needed: Usage,
        victims: &mut Victims,
    ) -> bool {
        if !self.budget.could_have(needed) {
            return false;
        }
        let more = |room: Usage| !self.budget.has(needed.beyond(room));
        while !reservation.cover(needed) {
            if !self.evict_some(reservation, &more, victims) {
                return false;
            }
        }
        true
    }

    /// Demotes entries in the policy's own order until at most `target_bytes` are used; what has
    /// left is added to `victims`. Unwritten entries stay; 0 empties the tier of all others.
    pub fn shrink_to(&self, target_bytes: u64, victims: &mut Victims) {
        // Given back at once, so that the sums show it.
        let more = |room: Usage| self.used_bytes() - room.bytes() > target_bytes;
        while more(Usage::default()) && self.evict_some(&mut self.reservation(), &more, victims) {}
    }

    /// Evicts from the shard that is next, until another one is or `more` is false of what room there
    /// is. Returns false if no shard has a victim.
    fn evict_some(
        &self,
        reservation: &mut Reservation<'_>,
        more: &dyn Fn(Usage) -> bool,
        victims: &mut Victims,
    ) -> bool {
        let Some(turn) = self.policy.next() else { return false };
        self.lock(turn.shard).evict(&turn, reservation, more, victims);
        true
    }

    /// The entries whose hashes lie from `first_hash` to `last_hash`, by ascending hash.
    ///
    /// # Cost
    /// Looks at every entry of the shards in question, one lock at a time; best asked for whole
    /// shards ([`Hot::shard_range`]).
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub fn entries_in(&self, first_hash: u64, last_hash: u64) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for index in self.shard_index(first_hash)..=self.shard_index(last_hash) {
            self.lock(index).collect(first_hash, last_hash, &mut entries)?;
        }
        entries.sort_unstable_by_key(Entry::hash);
        Ok(entries)
    }

    /// Looks at up to `limit` entries of shard `index` that may have ended, and removes those that
    /// have, with the reason, to be dropped by the caller. Leaves unwritten ones. Returns true if
    /// it stopped at the limit, so that there may be more.
    ///
    /// # Cost
    /// Grows with what ends, not with what there is. A clock is asked only if something can end
    /// by it.
    pub fn sweep(
        &self,
        index: usize,
        clock: &dyn Clock,
        limit: usize,
        out: &mut Vec<(Entry, Ended)>,
    ) -> bool {
        self.lock(index).sweep(clock, limit, out)
    }

    /// The unwritten entries in the order in which they were stored, up to `limit_bytes` of
    /// charge, but at least one if there is any.
    pub fn oldest_unwritten(&self, limit_bytes: u64) -> Vec<Entry> {
        if self.unwritten_bytes() == 0 {
            return Vec::new();
        }
        // Where there is no memory for a longer list it is as long as this.
        let mut unwritten = Vec::with_capacity(SHARD_COUNT);
        for index in 0..SHARD_COUNT {
            self.lock(index).oldest_unwritten(limit_bytes.max(1), &mut unwritten);
        }
        // The store takes versions in the order of writing.
        unwritten.sort_unstable_by_key(Entry::version);
        let mut entries = Vec::with_capacity(1);
        let mut sum = 0_u64;
        for entry in unwritten {
            sum += entry.charge();
            let is_full = entries.len() == entries.capacity() && entries.try_reserve(1).is_err();
            if !entries.is_empty() && (sum > limit_bytes || is_full) {
                break;
            }
            entries.push(entry);
        }
        entries
    }

    /// The keys of the entries, the most valuable first, up to about `limit_bytes` of keys.
    /// Each shard gives its share of the limit.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub fn hottest(&self, limit_bytes: usize) -> Result<impl ExactSizeIterator<Item = Vec<u8>>> {
        let mut keys = Vec::new();
        for index in 0..SHARD_COUNT {
            self.lock(index).hottest(limit_bytes.div_ceil(SHARD_COUNT), &mut keys)?;
        }
        keys.sort_unstable_by_key(|(worth, _)| std::cmp::Reverse(*worth));
        Ok(keys.into_iter().map(|(_, key)| key))
    }
}

fn shard_index(hash: u64) -> usize {
    // Four bits fit into any usize.
    usize::try_from(hash >> (u64::BITS - SHARD_BITS)).unwrap_or(0) % SHARD_COUNT
}

/// The shards of some keys, locked at once; dropping the guards unlocks them.
pub struct ShardGuards<'a> {
    /// By ascending index.
    guards: SmallVec<[(usize, ShardGuard<'a>); 1]>,
}

impl<'a> ShardGuards<'a> {
    /// Makes room for an entry of each of these hashes, so that inserting them does not fail for memory.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub fn reserve(&mut self, hashes: impl Iterator<Item = u64>, unwritten: bool) -> Result<()> {
        let mut counts = [0; SHARD_COUNT];
        for hash in hashes {
            let index = shard_index(hash);
            counts[index] += 1;
            self.of(hash).reserve(counts[index], unwritten)?;
        }
        Ok(())
    }

    /// The shard of the keys with this hash.
    ///
    /// # Panics
    /// If the hash is none of those that were locked for.
    pub fn of(&mut self, hash: u64) -> &mut ShardGuard<'a> {
        let index = shard_index(hash);
        let at = self.guards.partition_point(|(other, _)| *other < index);
        &mut self.guards[at].1
    }
}

/// All shards, locked at once; dropping this unlocks them.
pub struct AllShards<'a> {
    guards: Vec<ShardGuard<'a>>,
}

impl AllShards<'_> {
    /// Takes every entry out, unwritten ones too, at a cost that does not depend on their number.
    /// Afterwards nothing is used but by reservations.
    pub fn take(&mut self) -> Drained {
        Drained { _states: self.guards.iter_mut().map(ShardGuard::take_all).collect() }
    }
}

/// Entries that were taken out together. Dropping it frees them, which takes its time: to be done
/// without a lock.
pub struct Drained {
    _states: Vec<shard_state::ShardState>,
}

#[cfg(test)]
mod tests;
