//! How long operations took: a histogram of nanoseconds that many threads may fill at once.
//!
//! Buckets are log-linear: each power of two is cut into [`SUB_BUCKETS`] equal parts, so a bucket
//! is at most a quarter wider than it begins. A percentile is answered with the number of its
//! bucket that is, as a ratio, equally far from both ends: at most 1/9 (11.2 %) off. Numbers below
//! [`SUB_BUCKETS`] are exact; a minute and more is all in the last bucket.
//!
//! A sample has a weight, so that one of many operations can stand for them all.
//!
//! # Invariants
//! 1. Buckets cover all of `u64` without gap or overlap, in growing order.
//! 2. Each number only grows; numbers read while others record are a little old, never torn.

use std::sync::atomic::{AtomicU64, Ordering};

/// Parts of each power of two, as a power of two itself.
const SUB_BUCKETS_LOG: u32 = 2;
const SUB_BUCKETS: u64 = 1 << SUB_BUCKETS_LOG;

/// Powers of two that are told apart: the last bucket begins at 7 << 33 ns, which is a minute.
const OCTAVES: u32 = 36;

const BUCKETS: usize = ((OCTAVES - SUB_BUCKETS_LOG + 1) << SUB_BUCKETS_LOG) as usize;

/// Times of one kind of operation, filled by any number of threads.
pub struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    /// Sum of all times by their weights, for an exact mean.
    sum_ns: AtomicU64,
}

impl Histogram {
    /// An empty histogram.
    pub fn new() -> Self {
        Self { buckets: [const { AtomicU64::new(0) }; BUCKETS], sum_ns: AtomicU64::new(0) }
    }

    /// Adds a sample of `ns` nanoseconds that stands for `weight` operations.
    pub fn record(&self, ns: u64, weight: u64) {
        self.buckets[bucket(ns)].fetch_add(weight, Ordering::Relaxed);
        self.sum_ns.fetch_add(ns.saturating_mul(weight), Ordering::Relaxed);
    }
}

/// The sum of histograms at one moment, to be asked for its figures.
#[derive(Clone)]
pub struct Distribution {
    buckets: [u64; BUCKETS],
    count: u64,
    sum_ns: u64,
}

impl Distribution {
    /// Nothing measured.
    pub fn new() -> Self {
        Self { buckets: [0; BUCKETS], count: 0, sum_ns: 0 }
    }

    /// Adds what `histogram` holds now.
    pub fn add(&mut self, histogram: &Histogram) {
        for (mine, theirs) in self.buckets.iter_mut().zip(&histogram.buckets) {
            let weight = theirs.load(Ordering::Relaxed);
            *mine += weight;
            self.count += weight;
        }
        self.sum_ns = self.sum_ns.wrapping_add(histogram.sum_ns.load(Ordering::Relaxed));
    }

    /// Adds another sum.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine += theirs;
        }
        self.count += other.count;
        self.sum_ns = self.sum_ns.wrapping_add(other.sum_ns);
    }

    /// How many operations the samples stand for.
    #[cfg(test)]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The mean in nanoseconds; 0 when nothing was measured.
    pub fn mean(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum_ns as f64 / self.count as f64 }
    }

    /// The time in nanoseconds that `per_mille` of 1000 operations did not exceed, to within 12 %;
    /// 0 when nothing was measured.
    pub fn percentile(&self, per_mille: u64) -> u64 {
        let rank = self.count.saturating_mul(per_mille).div_ceil(1_000).max(1);
        let mut seen = 0;
        let found = self.buckets.iter().position(|weight| {
            seen += weight;
            seen >= rank
        });
        found.map_or(0, middle)
    }
}

/// The bucket that `ns` falls into.
fn bucket(ns: u64) -> usize {
    // Below the first full octave a bucket holds one number. From there on a bucket is named by
    // its octave and by the bits that follow the highest one.
    let shift = (ns | SUB_BUCKETS).ilog2() - SUB_BUCKETS_LOG;
    let index = (u64::from(shift) << SUB_BUCKETS_LOG) + (ns >> shift);
    usize::try_from(index).map_or(BUCKETS - 1, |index| index.min(BUCKETS - 1))
}

/// The number that stands for all of a bucket: twice first times end over their sum.
fn middle(bucket: usize) -> u64 {
    let index = bucket as u64;
    if index < SUB_BUCKETS {
        return index;
    }
    let shift = (index >> SUB_BUCKETS_LOG) - 1;
    let first = SUB_BUCKETS + (index & (SUB_BUCKETS - 1));
    ((2 * first * (first + 1)) << shift) / (2 * first + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From here on all times are in the last bucket.
    const LONGEST_NS: u64 = 7 << (OCTAVES - 3);

    fn of(samples: &[(u64, u64)]) -> Distribution {
        let histogram = Histogram::new();
        samples.iter().for_each(|(ns, weight)| histogram.record(*ns, *weight));
        let mut distribution = Distribution::new();
        distribution.add(&histogram);
        distribution
    }

    #[test]
    fn every_time_is_answered_to_within_12_percent() {
        let mut ns = 1_u64;
        while ns < LONGEST_NS {
            for ns in [ns - 1, ns, ns + 1] {
                let answer = of(&[(ns, 1)]).percentile(500);
                let error = answer.abs_diff(ns) as f64;
                assert!(error <= 0.12 * ns as f64, "{ns} ns was answered with {answer}");
            }
            ns += 1 + ns / 97;
        }
    }

    #[test]
    fn buckets_grow_and_none_is_left_out() {
        let mut last = 0;
        for ns in 0..100_000 {
            let this = bucket(ns);
            assert!(this == last || this == last + 1, "gap at {ns}");
            last = this;
        }
        assert_eq!(bucket(LONGEST_NS), BUCKETS - 1);
        assert_eq!(bucket(LONGEST_NS - 1), BUCKETS - 2);
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn percentiles_and_mean_follow_the_weights() {
        let distribution = of(&[(1, 900), (2, 90), (3, 9), (1_000, 1)]);
        let found = [500, 900, 901, 990, 999, 1_000].map(|q| distribution.percentile(q));
        assert_eq!(found[..5], [1, 1, 2, 2, 3]);
        assert!((900..1_100).contains(&found[5]), "{}", found[5]);
        assert_eq!(distribution.mean(), 2.107);
    }

    #[test]
    fn merged_sums_answer_for_both() {
        let mut both = of(&[(1, 1)]);
        both.merge(&of(&[(3, 3)]));
        assert_eq!((both.percentile(250), both.percentile(260), both.mean()), (1, 3, 2.5));
    }

    #[test]
    fn nothing_measured_is_zero() {
        let nothing = Distribution::new();
        assert_eq!((nothing.percentile(990), nothing.mean()), (0, 0.0));
    }
}
