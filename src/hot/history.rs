//! How often keys were used that are not hot: what remains of an entry when it leaves.
//!
//! A bucket is a cache line of 16 notes of four bytes: a fingerprint of the hash, how often the key
//! was used, when that was counted, and when the entry left. A note that finds no room replaces the
//! one that says least. There are at most two notes and a quarter for each entry of the shard: 9
//! bytes. They are as good as a frequency sketch of 16 bytes an entry, which would also have to
//! count every use (`benches/hit_ratio`).
//!
//! Counts age by halves: a count of an earlier epoch is halved for each epoch since. Epochs and
//! times of leaving go round. A note that is older than a round is mistaken for a younger one, at
//! worst for one of a key that was used more often than it was.
//!
//! Notes are atomic, so that a candidate can be refused without the shard's lock. Of two threads that
//! note something in one bucket at once, one may lose its note.
//!
//! # Invariants
//! 1. A note of all zeros is free; no fingerprint is 0.

use crate::buffer::prefetch;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Notes in a bucket: a cache line of 64 bytes.
const BUCKET_NOTES: usize = 16;

/// Notes for each entry of the shard.
const NOTES_PER_ENTRY: usize = 2;

/// The largest count.
pub(super) const COUNT_MAX: u8 = 15;

/// Epochs until they go round, and times until they do.
const EPOCHS: u32 = 16;
pub(super) const TIMES: u32 = 1024;

const COUNT_SHIFT: u32 = 14;
const COUNT_BITS: u32 = EPOCH_SHIFT - COUNT_SHIFT;
const EPOCH_SHIFT: u32 = 18;
const TIME_SHIFT: u32 = 22;
const FINGERPRINT_MASK: u32 = (1 << COUNT_SHIFT) - 1;

/// A note's count and epoch together.
const AGED_BITS: u32 = TIME_SHIFT - COUNT_SHIFT;

/// By the epoch now, then by a note's count and epoch: the count as it stands. To look it up is half of
/// what computing it costs, and a store into a full tier does so for a whole bucket.
static AGED: [[u8; 1 << AGED_BITS]; EPOCHS as usize] = aged_counts();

const fn aged_counts() -> [[u8; 1 << AGED_BITS]; EPOCHS as usize] {
    let mut table = [[0; 1 << AGED_BITS]; EPOCHS as usize];
    let mut now = 0;
    while now < EPOCHS {
        let mut bits = 0_u32;
        while bits < 1 << AGED_BITS {
            let (count, then) = (bits.to_le_bytes()[0] & COUNT_MAX, bits >> COUNT_BITS);
            table[now as usize][bits as usize] = aged(count, then, now);
            bits += 1;
        }
        now += 1;
    }
    table
}

/// When something is counted: the epoch for counts, and the time for leaving.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    pub(super) epoch: u32,
    pub(super) time: u32,
}

/// What is known of a key that was hot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Past {
    pub(super) count: u8,
    /// How many times ago it left.
    pub(super) age: u32,
}

/// A count of epoch `then`, as it stands in epoch `now`.
pub(super) const fn aged(count: u8, then: u32, now: u32) -> u8 {
    let halvings = now.wrapping_sub(then) % EPOCHS;
    if halvings < u8::BITS { count >> halvings } else { 0 }
}

/// A cache line.
#[repr(align(64))]
#[derive(Default)]
struct Bucket([AtomicU32; BUCKET_NOTES]);

/// The notes of one shard.
#[derive(Default)]
pub(super) struct History {
    buckets: Vec<Bucket>,
}

impl History {
    /// What is known of a key with this hash.
    pub(super) fn recall(&self, hash: u64, now: Now) -> Option<Past> {
        let fingerprint = fingerprint(hash);
        let mut notes = self.bucket(hash)?.0.iter().map(|note| note.load(Relaxed));
        let note = notes.find(|note| note & FINGERPRINT_MASK == fingerprint)?;
        let age = now.time.wrapping_sub(note >> TIME_SHIFT) % TIMES;
        Some(Past { count: count_of(note, now.epoch), age })
    }

    /// Notes that a key with this hash has been used so often, and is not hot from now on. `entries`
    /// is how many the shard has.
    pub(super) fn remember(&mut self, hash: u64, count: u8, now: Now, entries: usize) {
        self.fit(entries);
        self.note(hash, count, now);
    }

    /// The same where the size is as it should be, which [`History::fits`] tells.
    pub(super) fn note(&self, hash: u64, count: u8, now: Now) {
        let fingerprint = fingerprint(hash);
        let Some(bucket) = self.bucket(hash) else { return };
        let note = fingerprint
            | u32::from(count.min(COUNT_MAX)) << COUNT_SHIFT
            | (now.epoch % EPOCHS) << EPOCH_SHIFT
            | (now.time % TIMES) << TIME_SHIFT;
        bucket.0[bucket.place_for(fingerprint, now) % BUCKET_NOTES].store(note, Relaxed);
    }

    /// Begins to bring what is known of a key into the processor's cache.
    #[inline]
    pub(super) fn prefetch(&self, hash: u64) {
        if let Some(bucket) = self.bucket(hash) {
            prefetch(std::ptr::from_ref(bucket));
        }
    }

    /// Whether the size is right for so many entries.
    pub(super) fn fits(&self, entries: usize) -> bool {
        let wanted = entries.saturating_mul(NOTES_PER_ENTRY);
        let has = self.buckets.len() * BUCKET_NOTES;
        has >= wanted && (has < wanted.saturating_mul(8) || self.buckets.len() <= 1) && has > 0
    }

    /// Begins anew with another size where the shard has outgrown this one, or has shrunk. Where there
    /// is no memory the old one stays.
    pub(super) fn fit(&mut self, entries: usize) {
        if self.fits(entries) {
            return;
        }
        let wanted = entries.saturating_mul(NOTES_PER_ENTRY);
        let count = (wanted + wanted / 8).div_ceil(BUCKET_NOTES).max(1);
        let mut buckets = Vec::new();
        if buckets.try_reserve_exact(count).is_ok() {
            buckets.resize_with(count, Bucket::default);
            self.buckets = buckets;
        }
    }

    #[inline]
    fn bucket(&self, hash: u64) -> Option<&Bucket> {
        // The middle bits: the highest choose the shard, the lowest are the fingerprint's.
        let part = usize::try_from(hash >> 20 & u64::from(u32::MAX)).unwrap_or(0);
        self.buckets.get(part.wrapping_mul(self.buckets.len()) >> u32::BITS)
    }
}

impl Bucket {
    /// Where a key is noted: where it is already, or where least is lost. One pass and no branches but
    /// one, because a store into a full tier notes something.
    fn place_for(&self, fingerprint: u32, now: Now) -> usize {
        let counts = &AGED[(now.epoch % EPOCHS) as usize];
        let (mut least, mut place) = (u32::MAX, 0);
        for (at, note) in self.0.iter().enumerate() {
            let note = note.load(Relaxed);
            if note & FINGERPRINT_MASK == fingerprint {
                return at;
            }
            let count = counts[(note >> COUNT_SHIFT) as usize % (1 << AGED_BITS)];
            let youth = (note >> TIME_SHIFT).wrapping_sub(now.time + 1) % TIMES;
            // A free note is less than any other.
            let rank = if note == 0 { 0 } else { u32::from(count) * TIMES + youth + 1 };
            (least, place) = if rank < least { (rank, at) } else { (least, place) };
        }
        place
    }
}

fn count_of(note: u32, epoch: u32) -> u8 {
    let count = u8::try_from(note >> COUNT_SHIFT & u32::from(COUNT_MAX)).unwrap_or(0);
    aged(count, note >> EPOCH_SHIFT & (EPOCHS - 1), epoch)
}

fn fingerprint(hash: u64) -> u32 {
    let bits = u32::try_from(hash & u64::from(FINGERPRINT_MASK)).unwrap_or(0);
    bits.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Now = Now { epoch: 3, time: 1000 };

    /// The hash of the key number `n`.
    fn hash(n: u64) -> u64 {
        (n + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }

    #[test]
    fn what_left_is_remembered_with_its_count_and_its_age() {
        let mut history = History::default();
        assert_eq!(history.recall(hash(1), NOW), None);
        history.remember(hash(1), 9, NOW, 100);
        assert_eq!(history.recall(hash(1), NOW), Some(Past { count: 9, age: 0 }));
        let later = Now { epoch: 5, time: (1000 + 30) % TIMES };
        assert_eq!(history.recall(hash(1), later), Some(Past { count: 2, age: 30 }));
        history.remember(hash(1), 20, later, 100);
        assert_eq!(history.recall(hash(1), later), Some(Past { count: COUNT_MAX, age: 0 }));
    }

    #[test]
    fn what_a_count_is_worth_is_looked_up_as_it_is_computed() {
        for now in 0..EPOCHS {
            for bits in 0..1 << AGED_BITS {
                let (count, then) = (u8::try_from(bits % 16).unwrap(), bits / 16);
                let looked_up = AGED[now as usize][bits as usize];
                assert_eq!(looked_up, aged(count, then, now));
                assert_eq!(looked_up, count_of(bits << COUNT_SHIFT, now));
            }
        }
    }

    #[test]
    fn those_that_were_used_least_are_forgotten_first() {
        let mut history = History::default();
        (0..100).for_each(|n| history.remember(hash(n), 5, NOW, 100));
        (100..10_000).for_each(|n| history.remember(hash(n), 1, NOW, 100));
        let kept = (0..100).filter(|n| history.recall(hash(*n), NOW).is_some()).count();
        assert!(kept >= 95, "{kept}");
        let known = (100..10_000).filter(|n| history.recall(hash(*n), NOW).is_some()).count();
        assert!((80..300).contains(&known), "{known}");
    }

    #[test]
    fn it_is_as_large_as_the_shard_needs() {
        let mut history = History::default();
        history.remember(1, 1, NOW, 1_000);
        let size = history.buckets.len();
        assert!((2_000..2_400).contains(&(size * BUCKET_NOTES)));
        history.remember(1, 1, NOW, 400);
        assert_eq!(history.buckets.len(), size);
        history.remember(1, 1, NOW, 100);
        assert!(history.buckets.len() < size);
        assert!(history.recall(1, NOW).is_some());
    }
}
