//! How often keys were used that are not hot: what remains of an entry when it leaves.
//!
//! A bucket is a cache line of 16 notes of four bytes: a fingerprint of the hash, how often the key
//! was used, when that was counted, and when the entry left. A note that finds no room takes the place
//! of the one that says least. There are two notes and a quarter for each entry of the shard, at most: 9 bytes.
//!
//! Counts age by halves: a count of an earlier epoch is halved for each epoch since. Epochs and times
//! of leaving go round; a note that is older than a round is mistaken for a younger one, at worst for
//! one of a key that was used more often than it was.
//!
//! # Invariants
//! 1. A note of all zeros is free; no fingerprint is 0.

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
const EPOCH_SHIFT: u32 = 18;
const TIME_SHIFT: u32 = 22;
const FINGERPRINT_MASK: u32 = (1 << COUNT_SHIFT) - 1;

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
pub(super) fn aged(count: u8, then: u32, now: u32) -> u8 {
    count >> (now.wrapping_sub(then) % EPOCHS).min(7)
}

/// The notes of one shard.
#[derive(Default)]
pub(super) struct History {
    buckets: Vec<[u32; BUCKET_NOTES]>,
}

impl History {
    /// What is known of a key with this hash.
    pub(super) fn recall(&self, hash: u64, now: Now) -> Option<Past> {
        let fingerprint = fingerprint(hash);
        let mut notes = self.buckets.get(self.bucket_index(hash))?.iter();
        let note = notes.find(|note| **note & FINGERPRINT_MASK == fingerprint)?;
        let age = now.time.wrapping_sub(note >> TIME_SHIFT) % TIMES;
        Some(Past { count: count_of(*note, now.epoch), age })
    }

    /// Notes that a key with this hash has been used so often, and is not hot from now on. `entries`
    /// is how many the shard has.
    pub(super) fn remember(&mut self, hash: u64, count: u8, now: Now, entries: usize) {
        self.fit(entries);
        let (at, fingerprint) = (self.bucket_index(hash), fingerprint(hash));
        let Some(bucket) = self.buckets.get_mut(at) else { return };
        let place = place_for(bucket, fingerprint, now);
        bucket[place % BUCKET_NOTES] = fingerprint
            | u32::from(count.min(COUNT_MAX)) << COUNT_SHIFT
            | (now.epoch % EPOCHS) << EPOCH_SHIFT
            | (now.time % TIMES) << TIME_SHIFT;
    }

    /// Begins anew with another size where the shard has outgrown this one, or has shrunk. Where there
    /// is no memory the old one stays.
    fn fit(&mut self, entries: usize) {
        let wanted = entries.saturating_mul(NOTES_PER_ENTRY);
        let has = self.buckets.len() * BUCKET_NOTES;
        if has >= wanted && (has < wanted.saturating_mul(8) || self.buckets.len() <= 1) && has > 0 {
            return;
        }
        let count = (wanted + wanted / 8).div_ceil(BUCKET_NOTES).max(1);
        let mut buckets = Vec::new();
        if buckets.try_reserve_exact(count).is_ok() {
            buckets.resize(count, [0; BUCKET_NOTES]);
            self.buckets = buckets;
        }
    }

    fn bucket_index(&self, hash: u64) -> usize {
        // The middle bits: the highest choose the shard, the lowest are the fingerprint's.
        let part = usize::try_from(hash >> 20 & u64::from(u32::MAX)).unwrap_or(0);
        part.wrapping_mul(self.buckets.len()) >> u32::BITS
    }
}

/// Where a key is noted: where it is already, or where least is lost. One pass, because a store into a
/// full tier notes something, and a comparison of pairs cost it 450 instructions.
fn place_for(bucket: &[u32; BUCKET_NOTES], fingerprint: u32, now: Now) -> usize {
    let (mut least, mut place) = (u32::MAX, 0);
    for (at, note) in bucket.iter().enumerate() {
        if note & FINGERPRINT_MASK == fingerprint {
            return at;
        }
        let halvings = (now.epoch.wrapping_sub(note >> EPOCH_SHIFT) % EPOCHS).min(7);
        let count = (note >> COUNT_SHIFT & u32::from(COUNT_MAX)) >> halvings;
        let youth = TIMES - now.time.wrapping_sub(note >> TIME_SHIFT) % TIMES;
        // A free note is less than any other, whose youth is 1 at least.
        let rank = if *note == 0 { 0 } else { count * 2 * TIMES + youth };
        if rank < least {
            (least, place) = (rank, at);
        }
    }
    place
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
