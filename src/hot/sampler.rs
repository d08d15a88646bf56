//! Which division of the tier is best for the workload: small caches try them all, on a sample.
//!
//! Whether a key is in the sample depends on its hash alone, so a key's uses are seen all or not at
//! all (Waldspurger et al., ATC 2017). The sample grows coarser with the tier, so that the small caches
//! hold some 192 to 384 keys each. Hits count less the older they are. A division is changed for one
//! that is clearly better: by more than one in a hundred, and by more than chance would have it, which
//! the uses tell that one has found and the other has not. Where another is no better the tier goes back
//! to the first division: it refuses what comes from cold before that costs anything.
//!
//! # Invariants
//! 1. All small caches saw the same uses.

use super::budget::Usage;
use super::mini::Mini;
use super::mode::{MODE_COUNT, MODES};

/// More entries in the sample than this make it coarser, fewer than the other finer.
const ENTRIES_MAX: u64 = 384;
const ENTRIES_MIN: u64 = 160;

/// Uses in the sample between two decisions, and what is left of a hit's weight after as many.
const DECIDE_EVERY: u64 = 16;
const DECAY: f64 = 0.994_47;

/// A change has to gain so much of the hits, so many hits, and so many standard deviations. The first
/// division comes back where it lacks fewer deviations than this.
const GAIN: f64 = 1.01;
const GAIN_HITS: f64 = 1.0;
const GAIN_DEVIATIONS: f64 = 1.5;
const RETURN_DEVIATIONS: f64 = 1.0;
const FIRST: usize = 0;

/// Which bits of a hash choose the sample: below those that choose the shard.
const SAMPLE_SHIFT: u32 = 44;
const COARSE_MAX: u32 = 16;

/// The sketch: counters in blocks of a cache line, in each of which a key has four.
const SKETCH_BYTES: usize = 8192;
const BLOCK_BYTES: usize = 64;
const ROW_BYTES: usize = BLOCK_BYTES / 4;

/// Uses after which all counters are halved.
const SKETCH_USES: u32 = 16 * 384;

/// Whether a key with this hash is in a sample that is so coarse.
#[inline]
pub(super) fn is_sampled(hash: u64, coarse: u32) -> bool {
    hash >> SAMPLE_SHIFT & ((1 << coarse) - 1) == 0
}

/// The small caches and their hits.
pub(super) struct Sampler {
    minis: [Mini; MODE_COUNT],
    hits: [f64; MODE_COUNT],
    /// Of each two, the uses that one has found and the other has not.
    apart: [[f64; MODE_COUNT]; MODE_COUNT],
    sketch: Sketch,
    uses: u64,
    coarse: u32,
    best: usize,
}

impl Sampler {
    /// One that has seen nothing; `None` if there is no memory for it. `mode` is the division in use.
    pub(super) fn new(coarse: u32, mode: usize) -> Option<Self> {
        let [a, b, c, d, e] = MODES.map(Mini::new);
        let minis = [a?, b?, c?, d?, e?];
        let (hits, apart) = ([0.0; MODE_COUNT], [[0.0; MODE_COUNT]; MODE_COUNT]);
        Some(Self { minis, hits, apart, sketch: Sketch::new()?, uses: 0, coarse, best: mode })
    }

    /// How coarse the sample of a tier of so many entries should be, if it is so coarse now.
    pub(super) fn coarse_for(entries: u64, coarse: u32) -> u32 {
        let (mut coarse, sampled) = (coarse, |coarse: u32| entries >> coarse);
        while sampled(coarse) > ENTRIES_MAX && coarse < COARSE_MAX {
            coarse += 1;
        }
        while coarse > 0 && sampled(coarse) < ENTRIES_MIN {
            coarse -= 1;
        }
        coarse
    }

    /// Bytes of memory that this takes.
    pub(super) fn memory_bytes(&self) -> usize {
        let minis: usize = self.minis.iter().map(Mini::memory_bytes).sum();
        size_of::<Self>() + minis + self.sketch.counters.capacity()
    }

    /// How coarse the sample is.
    pub(super) fn coarse(&self) -> u32 {
        self.coarse
    }

    /// Counts a use of a sampled key, and says which division is best.
    pub(super) fn look(&mut self, hash: u64) -> usize {
        self.sketch.add(hash);
        let mut found = [false; MODE_COUNT];
        for (at, mini) in self.minis.iter_mut().enumerate() {
            found[at] = mini.look(hash);
            self.hits[at] += f64::from(u8::from(found[at]));
        }
        if found.iter().any(|is_hit| *is_hit != found[FIRST]) {
            for (row, a) in self.apart.iter_mut().zip(found) {
                row.iter_mut().zip(found).for_each(|(sum, b)| *sum += f64::from(u8::from(a != b)));
            }
        }
        self.uses += 1;
        if self.uses.is_multiple_of(DECIDE_EVERY) {
            self.decide();
        }
        self.best
    }

    /// Lets a sampled key in where it is missing, in a tier with these limits.
    pub(super) fn fill(&mut self, hash: u64, charge: u64, limits: Usage) {
        let limits = Usage {
            bytes: (limits.bytes >> self.coarse).max(1),
            entries: (limits.entries >> self.coarse).max(1),
        };
        let sketch = &self.sketch;
        for mini in &mut self.minis {
            mini.fill(hash, Usage::of_entry(charge), limits, &|hash| sketch.count(hash));
        }
    }

    fn decide(&mut self) {
        let now = self.hits[self.best];
        let mut best = self.best;
        for (mode, hits) in self.hits.iter().enumerate() {
            if *hits > self.hits[best] {
                best = mode;
            }
        }
        let deviation = self.apart[best][self.best].sqrt();
        if self.hits[best] > now * GAIN + GAIN_HITS + GAIN_DEVIATIONS * deviation {
            self.best = best;
        }
        let lacks = self.hits[self.best] - self.hits[FIRST];
        if lacks < RETURN_DEVIATIONS * self.apart[self.best][FIRST].sqrt() {
            self.best = FIRST;
        }
        let sums = self.hits.iter_mut().chain(self.apart.as_flattened_mut());
        sums.for_each(|sum| *sum *= DECAY);
    }
}

/// How often sampled keys were used: a count-min sketch whose counters age.
struct Sketch {
    counters: Vec<u8>,
    uses: u32,
}

impl Sketch {
    fn new() -> Option<Self> {
        let mut counters = Vec::new();
        counters.try_reserve_exact(SKETCH_BYTES).ok()?;
        counters.resize(SKETCH_BYTES, 0);
        Some(Self { counters, uses: 0 })
    }

    /// Where a key's four counters are.
    fn places(hash: u64) -> [usize; 4] {
        let bits = |shift: u32| usize::try_from(hash >> shift & 0xFFFF).unwrap_or(0);
        let block = bits(0) % (SKETCH_BYTES / BLOCK_BYTES) * BLOCK_BYTES;
        [0, 1, 2, 3].map(|row| {
            let shift = 16 + 8 * u32::try_from(row).unwrap_or(0);
            block + row * ROW_BYTES + bits(shift) % ROW_BYTES
        })
    }

    fn count(&self, hash: u64) -> u8 {
        Self::places(hash).iter().map(|at| self.counters[*at]).min().unwrap_or(0)
    }

    fn add(&mut self, hash: u64) {
        let least = self.count(hash);
        for at in Self::places(hash) {
            if self.counters[at] == least && least < super::history::COUNT_MAX {
                self.counters[at] += 1;
            }
        }
        self.uses += 1;
        if self.uses >= SKETCH_USES {
            self.uses = 0;
            self.counters.iter_mut().for_each(|counter| *counter >>= 1);
        }
    }
}

#[cfg(test)]
mod tests;
