//! The frequency policy's view of all shards: what both queues have, and whose turn it is.
//!
//! Both queues are one for the whole tier, because a shard of a small tier has too few entries to
//! learn from. Each shard keeps its part, every entry has a stamp of when it moved, and the shard
//! whose last entry has the smallest stamp is next. To evict takes steps, each with one shard
//! locked: expose the one that would leave main, judge the last of the window by its count, drop
//! the loser. If another thread changes a number meanwhile, a step is useless or a judgement wrong,
//! but no sum is.
//!
//! A victim that four newcomers have lost to is spared. Otherwise one entry with a high count, right or
//! wrong, would refuse every newcomer for as long as its count takes to age.
//!
//! # Invariants
//! 1. `totals` are the usages of the entries in the two rings of all shards.
//! 2. A published stamp is at most that of the ring's last entry, and `EMPTY` only if the ring is.
//! 3. Stamps differ in the whole tier, and grow from a ring's last entry to its first.

use super::budget::Usage;
use super::history::{Now, TIMES};
use super::mini::REFUSALS_PER_TURN;
use super::mode::{MODES, Mode};
use super::policy::{SHARD_COUNT, Turn};
use super::sampler::{Sampler, is_sampled};
use crate::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};

/// The rings.
pub(super) const WINDOW: usize = 0;
pub(super) const MAIN: usize = 1;

/// The stamp of a ring that has nothing to evict.
pub(super) const EMPTY: u64 = u64::MAX;

/// An epoch is so many uses for each entry.
const USES_PER_ENTRY: u64 = 16;
const EPOCH_USES_MIN: u64 = 64;

/// A time is so many departures that what left has `RECENT` times until all entries have changed.
pub(super) const RECENT: u32 = 64;

/// Uses that a shard counts for itself before it tells the others, at most.
const TOLD_USES_MAX: u64 = 64;

/// So coarse is a sample that has next to nothing in it.
const NO_SAMPLE: u32 = 20;

/// The tasks of a turn; above `JUDGE` is the count that a candidate has to beat.
pub(super) const DROP: u64 = 0;
pub(super) const EXPOSE: u64 = 1;
pub(super) const SPARE: u64 = 2;
pub(super) const JUDGE: u64 = 3;

/// A count that cannot be beaten, where there is nobody to leave main.
pub(super) const NOBODY: u64 = 1 << 8;

/// The exposed one: its stamp, and below it its count.
pub(super) const EXPOSED_COUNT_BITS: u32 = 4;

/// Numbers on a cache line of their own (two, as the processor fetches them in pairs).
#[repr(align(128))]
#[derive(Default)]
pub(super) struct CacheLine<T>(pub(super) T);

/// What the entries of one ring take, in all shards.
#[derive(Default)]
pub(super) struct Total {
    bytes: AtomicU64,
    entries: AtomicU64,
}

impl Total {
    pub(super) fn add(&self, usage: Usage) {
        self.bytes.fetch_add(usage.bytes, Relaxed);
        self.entries.fetch_add(usage.entries, Relaxed);
    }

    pub(super) fn sub(&self, usage: Usage) {
        self.bytes.fetch_sub(usage.bytes, Relaxed);
        self.entries.fetch_sub(usage.entries, Relaxed);
    }

    pub(super) fn usage(&self) -> Usage {
        Usage { bytes: self.bytes.load(Relaxed), entries: self.entries.load(Relaxed) }
    }
}

/// What all shards share.
pub(super) struct Contest {
    pub(super) limits: Usage,
    totals: CacheLine<[Total; 2]>,
    /// By shard: the stamps of the last entries of both rings.
    pub(super) last: [CacheLine<[AtomicU64; 2]>; SHARD_COUNT],
    /// The stamp of the newest move.
    moves: CacheLine<AtomicU64>,
    /// Uses in this epoch, as far as the shards have told.
    uses: CacheLine<AtomicU64>,
    epoch: AtomicU32,
    pub(super) mode: AtomicUsize,
    coarse: AtomicU32,
    /// The entry that is to leave main next, if a contest can be judged by it; 0 if none can.
    pub(super) exposed: AtomicU64,
    /// A candidate has won, and the loser is still in main.
    pub(super) owes: AtomicBool,
    /// The exposed one has won often enough for now.
    pub(super) spares: AtomicBool,
    refusals: AtomicU64,
    /// How many have come round since one was dropped.
    pub(super) rounds: AtomicU32,
    pub(super) departures: AtomicU64,
    sampler: Mutex<Option<Sampler>>,
}

impl Contest {
    /// That of an empty tier with these limits.
    pub(super) fn new(limits: Usage) -> Self {
        let empty = || CacheLine([AtomicU64::new(EMPTY), AtomicU64::new(EMPTY)]);
        Self {
            limits,
            totals: CacheLine::default(),
            last: std::array::from_fn(|_| empty()),
            moves: CacheLine::default(),
            uses: CacheLine::default(),
            epoch: AtomicU32::new(0),
            mode: AtomicUsize::new(0),
            coarse: AtomicU32::new(NO_SAMPLE),
            exposed: AtomicU64::new(0),
            owes: AtomicBool::new(false),
            spares: AtomicBool::new(false),
            refusals: AtomicU64::new(0),
            rounds: AtomicU32::new(0),
            departures: AtomicU64::new(0),
            sampler: Mutex::new(None),
        }
    }

    pub(super) fn mode(&self) -> &'static Mode {
        MODES.get(self.mode.load(Relaxed)).unwrap_or(&MODES[0])
    }

    pub(super) fn total(&self, ring: usize) -> &Total {
        &self.totals.0[ring]
    }

    pub(super) fn entries(&self) -> u64 {
        self.total(WINDOW).usage().entries + self.total(MAIN).usage().entries
    }

    pub(super) fn next_stamp(&self) -> u64 {
        self.moves.0.fetch_add(1, Relaxed) + 1
    }

    pub(super) fn epoch(&self) -> u32 {
        self.epoch.load(Relaxed)
    }

    pub(super) fn now(&self) -> Now {
        let unit = (self.entries() / u64::from(RECENT)).max(1);
        let time = self.departures.load(Relaxed) / unit % u64::from(TIMES);
        Now { epoch: self.epoch(), time: u32::try_from(time).unwrap_or(0) }
    }

    /// Adds the uses of a shard. Returns how many it may keep to itself next time.
    pub(super) fn tell_uses(&self, count: u64) -> u64 {
        let entries = self.entries();
        let uses = self.uses.0.fetch_add(count, Relaxed) + count;
        let ends = uses >= (entries * USES_PER_ENTRY).max(EPOCH_USES_MIN);
        if ends && self.uses.0.compare_exchange(uses, 0, Relaxed, Relaxed).is_ok() {
            self.epoch.fetch_add(1, Relaxed);
        }
        (entries / TOLD_USES_MAX).clamp(1, TOLD_USES_MAX)
    }

    pub(super) fn window_is_over(&self) -> bool {
        let (has, may) = (self.total(WINDOW).usage(), self.mode().window(self.limits));
        has.bytes >= may.bytes || has.entries >= may.entries
    }

    pub(super) fn main_has_room(&self, mut with: Usage) -> bool {
        with.add(self.total(MAIN).usage());
        with.beyond(self.mode().main(self.limits)).is_nothing()
    }

    /// Whether what main has too much is to leave it without a contest. Where neither has too much
    /// there is a contest: what lacks until the tier is full is less than one entry. If main made the
    /// room then, the newcomer would push another one into that, and main would be first in first out.
    fn main_is_next(&self) -> bool {
        !self.window_is_over() && !self.main_has_room(Usage::default())
    }

    /// Whether the key is in the sample.
    #[inline]
    pub(super) fn samples(&self, hash: u64) -> bool {
        is_sampled(hash, self.coarse.load(Relaxed))
    }

    /// Lets the small caches see a use, if the key is in the sample. Nobody waits for them: what meets
    /// another thread there is not seen.
    pub(super) fn sample(&self, hash: u64, is_use: bool, charge: Option<u64>) {
        if !self.samples(hash) {
            return;
        }
        let Some(mut sampler) = self.sampler.try_lock() else { return };
        let coarse = match self.coarse.load(Relaxed) {
            NO_SAMPLE => return,
            coarse => Sampler::coarse_for(self.entries(), coarse),
        };
        if sampler.as_ref().is_none_or(|sampler| sampler.coarse() != coarse) {
            *sampler = Sampler::new(coarse, self.mode.load(Relaxed));
            self.coarse.store(coarse, Relaxed);
        }
        let Some(sampler) = sampler.as_mut() else { return };
        if is_use {
            self.mode.store(sampler.look(hash), Relaxed);
        }
        if let Some(charge) = charge {
            sampler.fill(hash, charge, self.limits);
        }
    }

    /// Begins to sample when the tier is half full: before that no division of it is better than
    /// another, and to sample is the greatest part of what a hit in a small tier costs.
    pub(super) fn watch(&self) {
        if self.coarse.load(Relaxed) != NO_SAMPLE {
            return;
        }
        let mut used = self.total(WINDOW).usage();
        used.add(self.total(MAIN).usage());
        let Usage { bytes, entries } = self.limits;
        if used.bytes >= bytes / 2 || used.entries >= entries / 2 {
            self.coarse.store(Sampler::coarse_for(used.entries, 0), Relaxed);
        }
    }

    /// Bytes of the small caches.
    pub(super) fn memory_bytes(&self) -> u64 {
        let bytes = self.sampler.lock().as_ref().map_or(0, Sampler::memory_bytes);
        u64::try_from(bytes).unwrap_or(0)
    }

    /// The shard whose last entry of `ring` has the smallest stamp, that stamp, and the second one.
    fn next_of(&self, ring: usize) -> (usize, u64, u64) {
        let (mut shard, mut first, mut second) = (0, EMPTY, EMPTY);
        for (at, line) in self.last.iter().enumerate() {
            let stamp = line.0[ring].load(Relaxed);
            if stamp < first {
                (second, first, shard) = (first, stamp, at);
            } else {
                second = second.min(stamp);
            }
        }
        (shard, first, second)
    }

    /// What the exposed one was used, if it is still the one with this stamp.
    pub(super) fn exposed_count(&self, stamp: u64) -> Option<u64> {
        let exposed = self.exposed.load(Relaxed);
        let is_it = exposed >> EXPOSED_COUNT_BITS == stamp && !self.spares.load(Relaxed);
        is_it.then_some(exposed & ((1 << EXPOSED_COUNT_BITS) - 1))
    }

    /// Counts that a candidate was refused.
    pub(super) fn refused(&self) {
        if (self.refusals.fetch_add(1, Relaxed) + 1).is_multiple_of(REFUSALS_PER_TURN) {
            self.spares.store(true, Relaxed);
        }
    }

    /// A step that is due before a candidate can be judged.
    pub(super) fn before_judging(&self) -> Option<Turn> {
        let is_ready = self.exposed.load(Relaxed) != 0 && !self.spares.load(Relaxed);
        if is_ready || !self.mode().has_door {
            return None;
        }
        let (shard, stamp, until) = self.next_of(MAIN);
        (stamp != EMPTY).then(|| Turn { shard, until, task: self.expose() })
    }

    /// The next step to make room, and the shard that takes it.
    pub(super) fn next(&self) -> Option<Turn> {
        let exposed = self.exposed.load(Relaxed);
        let is_ready = exposed != 0 && !self.spares.load(Relaxed) && !self.owes.load(Relaxed);
        if is_ready && !self.main_is_next() {
            // The exposed one may have left meanwhile: then one candidate is judged by its count.
            let (shard, window, until) = self.next_of(WINDOW);
            let count = exposed & ((1 << EXPOSED_COUNT_BITS) - 1);
            if window != EMPTY {
                return Some(Turn { shard, until, task: JUDGE + count });
            }
        }
        let (main_shard, main, main_until) = self.next_of(MAIN);
        let drop = Turn { shard: main_shard, until: main_until, task: DROP };
        if main != EMPTY && self.owes.load(Relaxed) {
            return Some(drop);
        }
        if main == EMPTY {
            self.owes.store(false, Relaxed);
        }
        let (shard, window, until) = self.next_of(WINDOW);
        if window == EMPTY || (main != EMPTY && self.main_is_next()) {
            return (main != EMPTY).then_some(drop);
        }
        if main == EMPTY {
            return Some(Turn { shard, until, task: JUDGE + NOBODY });
        }
        Some(match self.exposed_count(main) {
            Some(count) => Turn { shard, until, task: JUDGE + count },
            None => Turn { task: self.expose(), ..drop },
        })
    }

    fn expose(&self) -> u64 {
        if self.spares.load(Relaxed) { SPARE } else { EXPOSE }
    }
}
