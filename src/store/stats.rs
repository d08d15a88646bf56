//! What a store counts and how long its operations take, and the snapshot that callers get.
//!
//! Counters are striped: a thread keeps to one of [`STRIPES`] sets of its own cache lines, so that
//! threads on many cores do not pass lines to and fro, and counting is one relaxed addition.
//! Reading the clock twice costs as much as a short operation, so times are sampled: the first
//! [`ALWAYS_TIMED`] operations of a kind on each stripe, then one in [`TIMED_EVERY`], which stands
//! for all of them.
//!
//! # Invariants
//! 1. A count is never lost and never falls; the sum over the stripes is the number.
//! 2. A snapshot taken while others count may miss what is counted meanwhile, in some numbers and
//!    not in others. Once they have finished it is exact.

use super::histogram::{Distribution, Histogram};
pub use crate::cold::RemoteStats;
use crate::io::stopwatch::Stopwatch;
use crate::sync::{STRIPES, stripe};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Operations of a kind and stripe that are all timed, so that a young store has figures too.
const ALWAYS_TIMED: u64 = 64;

/// Of later operations one in this many is timed.
const TIMED_EVERY: u64 = 16;

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
        self.stripes.iter().map(of).sum()
    }

    /// Counts an operation of the store as begun, and times it if it is its turn.
    pub fn start(&self, operation: Operation) -> Timer<'_> {
        self.stripe().start(operation as usize)
    }

    /// Counts an operation of a tier as begun, and times it if it is its turn.
    pub fn start_tier(&self, tier: Tier) -> Timer<'_> {
        self.stripe().start(index_of(tier))
    }

    /// Reads all counters. What the store knows by looking (entries, bytes, segments, memory,
    /// dropped events) is 0, for the store to fill in.
    pub fn snapshot(&self) -> Snapshot {
        let count = |counter: Counter| self.sum(|stripe| &stripe.counts[counter as usize]);
        let mut all = Distribution::new();
        let [store, retrieve, delete, clear] =
            std::array::from_fn(|i| self.timed(i, Some(&mut all)));
        let [hot, cold] = [Tier::Hot, Tier::Cold].map(|tier| self.timed(index_of(tier), None));
        let (hot_hits, hot_misses) = (count(Counter::HotHits), count(Counter::HotMisses));
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
        Timed {
            operations: self.sum(|stripe| &stripe.operations[index]),
            errors: self.sum(|stripe| &stripe.errors[index]),
            mean_ns: times.mean(),
            p99_ns: times.percentile(990),
        }
    }
}

impl Stripe {
    fn new() -> Self {
        Self {
            counts: [const { AtomicU64::new(0) }; COUNTERS],
            operations: [const { AtomicU64::new(0) }; TIMED],
            errors: [const { AtomicU64::new(0) }; TIMED],
            times: OnceLock::new(),
        }
    }

    /// The count of operations, which is kept anyway, decides whose turn it is to be timed.
    fn start(&self, index: usize) -> Timer<'_> {
        let before = self.operations[index].fetch_add(1, Ordering::Relaxed);
        let is_timed = before < ALWAYS_TIMED || before.is_multiple_of(TIMED_EVERY);
        let started = is_timed.then(Stopwatch::start);
        let weight = if before < ALWAYS_TIMED { 1 } else { TIMED_EVERY };
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

impl Timer<'_> {
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

/// Everything that a store reports of itself: `hotcold_stats_t` of the C interface.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Snapshot {
    /// The hot tier.
    pub hot: HotStats,
    /// The cold tier.
    pub cold: ColdStats,
    /// Memory, in bytes.
    pub memory: MemoryStats,
    /// Stores, retrieves, deletes and clears together.
    pub total_operations: u64,
    /// Those of them that failed.
    pub total_errors: u64,
    /// Failures of the cold tier that the lenient policy lived through.
    pub lenient_failures: u64,
    /// Events that a subscription could not be given. Filled in by the store.
    pub events_dropped: u64,
    /// Retrieves that found something, in whichever tier.
    pub hits: u64,
    /// Retrieves that found nothing in any tier.
    pub misses: u64,
    /// Hits among hits and misses; 0 when there are none.
    pub hit_ratio: f64,
    /// Mean time of all operations, in nanoseconds.
    pub mean_ns: f64,
    /// Time that half of all operations did not exceed, in nanoseconds.
    pub p50_ns: u64,
    /// Time that 99 % of all operations did not exceed, in nanoseconds.
    pub p99_ns: u64,
    /// Time that 99.9 % of all operations did not exceed, in nanoseconds.
    pub p999_ns: u64,
    /// Stores.
    pub store: OperationStats,
    /// Retrieves.
    pub retrieve: OperationStats,
    /// Deletes.
    pub delete: OperationStats,
    /// Clears.
    pub clear: OperationStats,
    /// The engine of a shared cold tier. Filled in by the store.
    pub remote: RemoteStats,
}

/// What both tiers report alike.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct TierStats {
    /// Operations that reached the tier.
    pub operations: u64,
    /// Those of them that failed.
    pub errors: u64,
    /// Retrieves that found something here.
    pub hits: u64,
    /// Retrieves that found nothing here.
    pub misses: u64,
    /// Hits among hits and misses; 0 when there are none.
    pub hit_ratio: f64,
    /// Mean time of its operations, in nanoseconds.
    pub mean_ns: f64,
    /// Time that 99 % of its operations did not exceed, in nanoseconds.
    pub p99_ns: u64,
}

/// The hot tier.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct HotStats {
    /// Operations, hits and times.
    pub traffic: TierStats,
    /// Entries now. Filled in by the store.
    pub entries: u64,
    /// Bytes used now. Filled in by the store.
    pub bytes: u64,
    /// Bytes that may be used. Filled in by the store.
    pub capacity: u64,
    /// Entries that left to make room.
    pub evictions: u64,
    /// Entries that left because their residency or expiry had passed.
    pub expirations: u64,
    /// Entries that came from cold.
    pub promotions: u64,
    /// Entries that left for cold on demand.
    pub demotions: u64,
}

/// The cold tier.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ColdStats {
    /// Operations, hits and times.
    pub traffic: TierStats,
    /// Keys now. Filled in by the store.
    pub entries: u64,
    /// Bytes of records that can still be reached. Filled in by the store.
    pub bytes_live: u64,
    /// Bytes of all files. Filled in by the store.
    pub bytes_disk: u64,
    /// Segments now. Filled in by the store.
    pub segments: u64,
    /// Bytes in segments that are sealed but not frozen. Filled in by the store.
    pub unfrozen_bytes: u64,
    /// Bytes read from disk.
    pub bytes_read: u64,
    /// Bytes written to disk.
    pub bytes_written: u64,
    /// Segments that were compacted.
    pub compactions: u64,
    /// Entries that left to keep `cold_capacity`.
    pub evictions: u64,
    /// Entries that left because they had expired.
    pub expirations: u64,
    /// Records that failed their checksum.
    pub corrupt_records: u64,
    /// Derived files that were made anew from the records.
    pub rebuilt_files: u64,
    /// Bytes of torn tails that were cut off.
    pub recovered_bytes: u64,
    /// 1 if the store refuses writes, else 0. Filled in by the store.
    pub read_only: u64,
}

/// Memory in bytes. Filled in by the store.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct MemoryStats {
    /// Entries in hot with their overhead.
    pub hot: u64,
    /// The keydir.
    pub keydir: u64,
    /// Buffers and queues.
    pub buffers: u64,
    /// Values that callers hold.
    pub held: u64,
    /// All of them.
    pub total: u64,
}

/// One kind of operation.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct OperationStats {
    /// Calls.
    pub operations: u64,
    /// Those of them that failed.
    pub errors: u64,
    /// Mean time, in nanoseconds.
    pub mean_ns: f64,
    /// Time that 99 % did not exceed, in nanoseconds.
    pub p99_ns: u64,
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
