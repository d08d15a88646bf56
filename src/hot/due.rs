//! When entries end: which of them a sweep has to look at, without a walk over all the others.
//!
//! A note says "look at this hash then". Notes are not taken back when an entry leaves early; a
//! sweep finds nothing to remove then, and when most notes are like that they are written anew.
//!
//! # Invariants
//! 1. Every entry that can end has a note for a time not after its end, as far as there was memory.
//! 2. There are at most twice as many notes as such entries, and [`SPARE_NOTES`].

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// How many notes a few entries may leave behind before they are written anew.
const SPARE_NOTES: usize = 64;

/// The ends of a shard's entries by one clock.
#[derive(Default)]
pub(super) struct Due {
    /// End in milliseconds, and hash.
    notes: BinaryHeap<Reverse<(u64, u64)>>,
}

impl Due {
    /// Notes that an entry with this hash ends at `end_ms`.
    /// Without memory for the note the entry is met when it is used or evicted.
    pub(super) fn push(&mut self, end_ms: u64, hash: u64) {
        if self.notes.try_reserve(1).is_ok() {
            self.notes.push(Reverse((end_ms, hash)));
        }
    }

    /// Takes the hash of an entry that ended at `now_ms` or before, if it is still there.
    pub(super) fn pop(&mut self, now_ms: u64) -> Option<u64> {
        let Reverse((end_ms, _)) = self.notes.peek()?;
        if *end_ms > now_ms {
            return None;
        }
        self.notes.pop().map(|Reverse((_, hash))| hash)
    }

    /// True if nothing can end.
    pub(super) fn is_empty(&self) -> bool {
        self.notes.is_empty()
    }

    /// True if the notes should be written anew, there being `count` entries that can end.
    pub(super) fn is_stale(&self, count: usize) -> bool {
        self.notes.len() > count.saturating_mul(2).saturating_add(SPARE_NOTES)
    }

    /// Writes all notes anew: fewer than there are, which take the memory of those.
    pub(super) fn renew(&mut self, notes: impl Iterator<Item = (u64, u64)>) {
        let mut list = std::mem::take(&mut self.notes).into_vec();
        list.clear();
        list.extend(notes.map(Reverse));
        list.shrink_to(list.len() + list.len() / 2);
        self.notes = list.into();
    }
}
