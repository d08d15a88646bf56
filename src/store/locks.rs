//! Locks for changing keys.
//!
//! # Order
//! Stripes (ascending), hot shards (ascending), then the locks that a cold tier takes by itself. A change of a key holds its stripe from the look at what is
//! there to the publishing, so changes of one key happen one after the other. The change is
//! published in both tiers with the key's hot shard locked, so that no reader sees one tier changed
//! and the other not.
//!
//! Callbacks run, and evicted entries are freed, after all locks:
//! [`Effects`](super::reporting::Effects) collects them.

use crate::memory::Few;
use crate::sync::{Mutex, MutexGuard};

/// More than threads that write at once, so that they seldom meet.
const STRIPES: usize = 256;

/// The stripes: each key has one, by its hash.
pub(super) struct Locks {
    stripes: Box<[Mutex<()>]>,
}

impl Locks {
    pub(super) fn new() -> Self {
        Self { stripes: (0..STRIPES).map(|_| Mutex::new(())).collect() }
    }

    /// Locks the stripe of a key.
    pub(super) fn stripe(&self, hash: u64) -> MutexGuard<'_, ()> {
        self.stripes[Self::stripe_index(hash)].lock()
    }

    /// Locks the stripes of many keys.
    pub(super) fn stripes(
        &self,
        mut hashes: impl ExactSizeIterator<Item = u64>,
    ) -> Few<MutexGuard<'_, ()>> {
        let mut guards = Few::new();
        if hashes.len() == 1
            && let Some(hash) = hashes.next()
        {
            guards.push(self.stripe(hash));
            return guards;
        }
        let mut wanted = [false; STRIPES];
        hashes.for_each(|hash| wanted[Self::stripe_index(hash)] = true);
        let wanted = (0..STRIPES).filter(|index| wanted[*index]);
        guards.extend(wanted.map(|index| self.stripes[index].lock()));
        guards
    }

    /// Locks all stripes: nothing changes meanwhile.
    pub(super) fn all_stripes(&self) -> Vec<MutexGuard<'_, ()>> {
        self.stripes.iter().map(Mutex::lock).collect()
    }

    /// Returns once every change that was under way when it was called is published.
    pub(super) fn quiesce(&self) {
        self.stripes.iter().for_each(|stripe| drop(stripe.lock()));
    }

    fn stripe_index(hash: u64) -> usize {
        usize::from(hash.to_le_bytes()[6])
    }
}
