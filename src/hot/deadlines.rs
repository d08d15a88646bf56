//! When entries end: which of them a sweep has to look at, without a walk over all the others.
//!
//! A deadline says "look at this hash then". It stays when its entry leaves early; a sweep that comes
//! to it finds nothing to remove. When most deadlines are like that, the list is made anew.
//!
//! # Invariants
//! 1. Every entry that can end has a deadline not after its end, as far as there was memory.
//! 2. There are at most twice as many deadlines as such entries, and [`SPARE_DEADLINES`].

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// How many deadlines a few entries may leave behind before the list is made anew.
const SPARE_DEADLINES: usize = 64;

/// The ends of a shard's entries by one clock.
#[derive(Default)]
pub(super) struct Deadlines {
    /// End in milliseconds, and hash.
    heap: BinaryHeap<Reverse<(u64, u64)>>,
}

impl Deadlines {
    /// Adds that an entry with this hash ends at `end_ms`. Where there is no memory for it, the entry
    /// is found to have ended when it is used or evicted.
    pub(super) fn push(&mut self, end_ms: u64, hash: u64) {
        if self.heap.try_reserve(1).is_ok() {
            self.heap.push(Reverse((end_ms, hash)));
        }
    }

    /// Takes the hash of an entry that ended at `now_ms` or before, if it is still there.
    pub(super) fn pop(&mut self, now_ms: u64) -> Option<u64> {
        let Reverse((end_ms, _)) = self.heap.peek()?;
        if *end_ms > now_ms {
            return None;
        }
        self.heap.pop().map(|Reverse((_, hash))| hash)
    }

    /// True if nothing can end.
    pub(super) fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    /// True if the list should be made anew, there being `count` entries that can end.
    pub(super) fn is_stale(&self, count: usize) -> bool {
        self.heap.len() > count.saturating_mul(2).saturating_add(SPARE_DEADLINES)
    }

    /// Makes the list anew: fewer than there are, which take the memory of those.
    pub(super) fn renew(&mut self, deadlines: impl Iterator<Item = (u64, u64)>) {
        let mut list = std::mem::take(&mut self.heap).into_vec();
        list.clear();
        list.extend(deadlines.map(Reverse));
        list.shrink_to(list.len() + list.len() / 2);
        self.heap = list.into();
    }
}
