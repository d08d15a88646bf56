//! What a store counts and how long its operations take, and the snapshot that callers get.
//!
//! Counters are striped: a thread keeps to one of [`STRIPES`] sets of its own cache lines, so that
//! threads on many cores do not pass lines to and fro, and counting is one relaxed addition.
//! Reading the clock twice costs as much as a short operation, so times are sampled: the first
//! [`ALWAYS_TIMED`] operations of a kind on each stripe, then one in [`TIMED_EVERY`], which stands
//! for all of them. A hit in hot whose time nobody takes is a single addition, whatever it counts as.
//!
//! # Invariants
//! 1. A count is never lost and never falls; the sum over the stripes is the number.
//! 2. A snapshot taken while others count may miss what is counted meanwhile, in some numbers and
//!    not in others. Once they have finished it is exact.

pub use super::figures::Snapshot;
use super::figures::{ColdStats, HotStats, MemoryStats, OperationStats, RemoteStats, TierStats};
use super::histogram::{Distribution, Histogram};
use crate::io::stopwatch::Stopwatch;
use crate::sync::{STRIPES, stripe};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Operations of a kind and stripe that are all timed, so that a young store has figures too.
const ALWAYS_TIMED: u64 = 64;

/// Of later operations one in this many is timed.
const TIMED_EVERY: u64 = 64;

/// A level of storage, with its number in the C interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
#[non_exhaustive]
pub enum Tier {
    /// Memory.
    Hot = 1,
    /// The directory on disk.
    Cold = 2,
}

/// The operations that are counted and timed each by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A store, in all its variants.
    Store,
    /// A retrieve, in all its variants.
    Retrieve,
    /// A delete.
    Delete,
    /// A clear.
    Clear,
}

/// What is counted beside operations and their errors. Named as in [`Snapshot`], tier first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counter {
    /// Retrieves that found the key in hot.
    HotHits,
    /// Retrieves that did not find the key in hot.
    HotMisses,
    /// Entries that left hot to make room.
    HotEvictions,
    /// Entries that left hot because their time was over.
    HotExpirations,
    /// Entries that came to hot from cold.
    HotPromotions,
    /// Entries that left hot for cold on demand.
    HotDemotions,
    /// Retrieves that found the key in cold.
    ColdHits,
    /// Retrieves that found the key in neither tier, as far as cold was asked.
    ColdMisses,
    /// Bytes of records read.
    ColdBytesRead,
    /// Records that were dropped to keep the capacity.
    ColdEvictions,
    /// Records that expired and were removed.
    ColdExpirations,
    /// Reads that met a damaged record.
    ColdCorruptRecords,
    /// Failures that the lenient policy lived through.
    LenientFailures,
    /// Retrieves that found the key nowhere.
    Misses,
}

const COUNTERS: usize = Counter::Misses as usize + 1;

/// The kinds of operations that are timed: the four, then one for each tier.
const TIMED: usize = 6;

/// All counters of one store. Any thread may use it at any time.
pub struct Counters {
    stripes: Box<[Stripe]>,
}

/// Aligned to two cache lines, because processors fetch lines in pairs.
#[repr(align(128))]
struct Stripe {
    /// Retrieves that were hits in hot and were not timed; counted nowhere else.
    quick_hits: AtomicU64,
    counts: [AtomicU64; COUNTERS],
    operations: [AtomicU64; TIMED],
    errors: [AtomicU64; TIMED],
    /// Made by the first thread that comes, because most stores are used by few.
    times: OnceLock<Box<[Histogram]>>,
}

impl Counters {
    /// Counters that stand at 0.
    pub fn new() -> Self {
        Self { stripes: (0..STRIPES).map(|_| Stripe::new()).collect() }
    }

    /// Adds `n` to a counter.
    pub fn add(&self, counter: Counter, n: u64) {
        self.stripe().counts[counter as usize].fetch_add(n, Ordering::Relaxed);
    }

    /// How many operations of the store there were, whatever they did.
    pub fn calls(&self) -> u64 {
        let of = |stripe: &Stripe| -> u64 {
            stripe.operations.iter().map(|count| count.load(Ordering::Relaxed)).sum()
        };
        self.stripes.iter().map(of).sum::<u64>() + self.sum(|stripe| &stripe.quick_hits)
    }

    /// Begins a retrieve that may turn out to be a hit in hot; `None` if it is its turn to be timed.
    #[inline]
    pub fn start_quick(&self) -> Option<Quick<'_>> {
        let stripe = self.stripe();
        (!is_timed(stripe.retrieves())).then_some(Quick { stripe })
    }

    /// Counts an operation of the store as begun, and times it if it is its turn.
    pub fn start(&self, operation: Operation) -> Timer<'_> {
        let stripe = self.stripe();
        let before = match operation {
            Operation::Retrieve => stripe.retrieves(),
            other => stripe.operations[other as usize].load(Ordering::Relaxed),
        };
        stripe.start(operation as usize, before)
    }

    /// Counts an operation of a tier as begun, and times it if it is its turn.
    pub fn start_tier(&self, tier: Tier) -> Timer<'_> {
        let stripe = self.stripe();
        stripe.start(index_of(tier), stripe.operations[index_of(tier)].load(Ordering::Relaxed))
    }

    /// Reads all counters. What the store knows by looking (entries, bytes, segments, memory,
    /// dropped events) is 0, for the store to fill in.
    pub fn snapshot(&self) -> Snapshot {
        let count = |counter: Counter| self.sum(|stripe| &stripe.counts[counter as usize]);
        let mut all = Distribution::new();
        let [store, retrieve, delete, clear] =
            std::array::from_fn(|i| self.timed(i, Some(&mut all)));
        let [hot, cold] = [Tier::Hot, Tier::Cold].map(|tier| self.timed(index_of(tier), None));
        let quick_hits = self.sum(|stripe| &stripe.quick_hits);
        let hot_hits = count(Counter::HotHits) + quick_hits;
        let hot_misses = count(Counter::HotMisses);
        let (cold_hits, cold_misses) = (count(Counter::ColdHits), count(Counter::ColdMisses));
        // What a retrieve finds it finds in one tier, so the hits of the tiers add up.
        let (hits, misses) = (hot_hits + cold_hits, count(Counter::Misses));
        Snapshot {
            hot: HotStats {
                traffic: hot.traffic(hot_hits, hot_misses),
                evictions: count(Counter::HotEvictions),
                expirations: count(Counter::HotExpirations),
                promotions: count(Counter::HotPromotions),
                demotions: count(Counter::HotDemotions),
                ..HotStats::default()
            },
            cold: ColdStats {
                traffic: cold.traffic(cold_hits, cold_misses),
                bytes_read: count(Counter::ColdBytesRead),
                evictions: count(Counter::ColdEvictions),
                expirations: count(Counter::ColdExpirations),
                corrupt_records: count(Counter::ColdCorruptRecords),
                ..ColdStats::default()
            },
            memory: MemoryStats::default(),
            total_operations: [&store, &retrieve, &delete, &clear]
                .map(|t| t.operations)
                .iter()
                .sum(),
            total_errors: [&store, &retrieve, &delete, &clear].map(|t| t.errors).iter().sum(),
            lenient_failures: count(Counter::LenientFailures),
            events_dropped: 0,
            hits,
            misses,
            hit_ratio: ratio(hits, misses),
            mean_ns: all.mean(),
            p50_ns: all.percentile(500),
            p99_ns: all.percentile(990),
            p999_ns: all.percentile(999),
            store: store.stats(),
            retrieve: retrieve.stats(),
            delete: delete.stats(),
            clear: clear.stats(),
            remote: RemoteStats::default(),
        }
    }

    fn stripe(&self) -> &Stripe {
        &self.stripes[stripe()]
    }

    fn sum(&self, counter: impl Fn(&Stripe) -> &AtomicU64) -> u64 {
        self.stripes.iter().map(|stripe| counter(stripe).load(Ordering::Relaxed)).sum()
    }

    /// What was counted of one kind, whose times are added to `all`. Not inlined, so that one
    /// distribution at a time is on the caller's stack.
    #[inline(never)]
    fn timed(&self, index: usize, all: Option<&mut Distribution>) -> Timed {
        let mut times = Distribution::new();
        let histograms = self.stripes.iter().filter_map(|stripe| stripe.times.get());
        histograms.for_each(|histograms| times.add(&histograms[index]));
        if let Some(all) = all {
            all.merge(&times);
        }
        let is_of_quick = [Operation::Retrieve as usize, index_of(Tier::Hot)].contains(&index);
        let quick = if is_of_quick { self.sum(|stripe| &stripe.quick_hits) } else { 0 };
        Timed {
            operations: self.sum(|stripe| &stripe.operations[index]) + quick,
            errors: self.sum(|stripe| &stripe.errors[index]),
            mean_ns: times.mean(),
            p99_ns: times.percentile(990),
        }
    }
}

impl Stripe {
    fn new() -> Self {
        Self {
            quick_hits: AtomicU64::new(0),
            counts: [const { AtomicU64::new(0) }; COUNTERS],
            operations: [const { AtomicU64::new(0) }; TIMED],
            errors: [const { AtomicU64::new(0) }; TIMED],
            times: OnceLock::new(),
        }
    }

    fn retrieves(&self) -> u64 {
        let others = &self.operations[Operation::Retrieve as usize];
        self.quick_hits.load(Ordering::Relaxed) + others.load(Ordering::Relaxed)
    }

    /// The count of operations, which is kept anyway, decides whose turn it is to be timed. Threads
    /// that share a stripe may both have a turn, or none.
    fn start(&self, index: usize, before: u64) -> Timer<'_> {
        let started = is_timed(before).then(Stopwatch::start);
        let weight = if before < ALWAYS_TIMED { 1 } else { TIMED_EVERY };
        self.begin(index, started, weight)
    }

    fn begin(&self, index: usize, started: Option<Stopwatch>, weight: u64) -> Timer<'_> {
        self.operations[index].fetch_add(1, Ordering::Relaxed);
        Timer { stripe: self, index, started, weight, ok: true }
    }

    /// Without memory for them nothing is timed yet.
    fn make_times(&self) -> Option<&[Histogram]> {
        let mut times = Vec::new();
        times.try_reserve_exact(TIMED).ok()?;
        times.resize_with(TIMED, Histogram::new);
        Some(self.times.get_or_init(|| times.into_boxed_slice()))
    }

    #[cold]
    fn record(&self, index: usize, elapsed: std::time::Duration, weight: u64) {
        let ns = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
        if let Some(times) = self.times.get().map(|times| &times[..]).or_else(|| self.make_times())
        {
            times[index].record(ns, weight);
        }
    }
}

/// Whether the operation after so many others is timed.
#[inline]
fn is_timed(before: u64) -> bool {
    before < ALWAYS_TIMED || before.is_multiple_of(TIMED_EVERY)
}

/// A retrieve that is not timed, and not counted yet.
#[must_use = "it has to be counted"]
pub struct Quick<'a> {
    stripe: &'a Stripe,
}

impl<'a> Quick<'a> {
    /// Counts it: found in hot.
    #[inline]
    pub fn hit(self) {
        self.stripe.quick_hits.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts it as one that goes on. Returns what begins it, and its part in hot.
    pub fn goes_on(self) -> (Timer<'a>, Timer<'a>) {
        let begin = |index| self.stripe.begin(index, None, 1);
        (begin(Operation::Retrieve as usize), begin(index_of(Tier::Hot)))
    }
}

/// An operation in progress. When dropped the operation is over, and went well unless
/// [`Timer::finish`] said otherwise.
#[must_use = "the operation ends when the timer is dropped"]
pub struct Timer<'a> {
    stripe: &'a Stripe,
    index: usize,
    started: Option<Stopwatch>,
    weight: u64,
    ok: bool,
}

impl<'a> Timer<'a> {
    /// Counts an operation of a tier, which is a part of this one, as begun, and times it if this is
    /// timed.
    pub fn start_tier(&self, tier: Tier) -> Timer<'a> {
        self.stripe.begin(index_of(tier), self.started.map(|_| Stopwatch::start()), self.weight)
    }

    /// Ends the operation, and counts an error unless `ok`.
    pub fn finish(mut self, ok: bool) {
        self.ok = ok;
    }
}

impl Drop for Timer<'_> {
    fn drop(&mut self) {
        if let Some(started) = self.started {
            self.stripe.record(self.index, started.elapsed(), self.weight);
        }
        if !self.ok {
            self.stripe.errors[self.index].fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// One kind of operation, summed up over the stripes.
struct Timed {
    operations: u64,
    errors: u64,
    mean_ns: f64,
    p99_ns: u64,
}

impl Timed {
    fn stats(&self) -> OperationStats {
        OperationStats {
            operations: self.operations,
            errors: self.errors,
            mean_ns: self.mean_ns,
            p99_ns: self.p99_ns,
        }
    }

    fn traffic(&self, hits: u64, misses: u64) -> TierStats {
        TierStats {
            operations: self.operations,
            errors: self.errors,
            hits,
            misses,
            hit_ratio: ratio(hits, misses),
            mean_ns: self.mean_ns,
            p99_ns: self.p99_ns,
        }
    }
}

/// The place of a tier among the timed kinds, behind the four operations.
fn index_of(tier: Tier) -> usize {
    match tier {
        Tier::Hot => 4,
        Tier::Cold => 5,
    }
}

fn ratio(hits: u64, misses: u64) -> f64 {
    if hits == 0 { 0.0 } else { hits as f64 / (hits + misses) as f64 }
}

#[cfg(test)]
mod tests;
