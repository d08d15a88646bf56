//! Locks for changing keys.
//!
//! # Order
//! Keys (ascending), hot shards (ascending), keydir shards (ascending). The log's own locks are
//! never held together with a tier's. A change holds its key from the look at what is there to the
//! publishing, so changes of one key happen one after the other. The change is published with the
//! key's hot shard and keydir shard locked, so that no reader sees one tier changed and the other
//! not.
//!
//! Over a local tier a stripe is held for its keys. Over a shared one a change takes as long as the
//! engine does, and nobody may wait for another key's: each hash is held by itself ([`Pending`]).
//!
//! Callbacks run, and evicted entries are freed, after all locks:
//! [`Effects`](super::reporting::Effects) collects them.

use super::pending::{Held, Pending};
use crate::memory::Few;
use crate::sync::{Mutex, MutexGuard};

/// More than threads that write at once, so that they seldom meet.
const STRIPES: usize = 256;

/// The locks of all keys.
pub(super) struct Locks {
    /// Each key has one, by its hash.
    stripes: Box<[Mutex<()>]>,
    /// What there is instead of stripes over a shared tier.
    pending: Option<Pending>,
}

/// A key that this thread holds; dropping it lets go.
pub(super) enum KeyGuard<'a> {
    /// The stripe of the key.
    Stripe(#[expect(dead_code, reason = "unlocks when it is dropped")] MutexGuard<'a, ()>),
    /// The key itself.
    Pending(#[expect(dead_code, reason = "lets go when it is dropped")] Held<'a>),
}

impl Locks {
    pub(super) fn new(is_shared: bool) -> Self {
        let stripes = if is_shared { 0 } else { STRIPES };
        Self {
            stripes: (0..stripes).map(|_| Mutex::new(())).collect(),
            pending: is_shared.then(Pending::new),
        }
    }

    /// Holds a key.
    #[inline]
    pub(super) fn key(&self, hash: u64) -> KeyGuard<'_> {
        match &self.pending {
            None => KeyGuard::Stripe(self.stripes[Self::stripe_index(hash)].lock()),
            Some(pending) => KeyGuard::Pending(pending.hold(hash, false)),
        }
    }

    /// Holds many keys.
    pub(super) fn keys(&self, mut hashes: impl ExactSizeIterator<Item = u64>) -> Few<KeyGuard<'_>> {
        let mut guards = Few::new();
        if hashes.len() == 1
            && let Some(hash) = hashes.next()
        {
            guards.push(self.key(hash));
            return guards;
        }
        if let Some(pending) = &self.pending {
            let mut hashes: Vec<u64> = hashes.collect();
            hashes.sort_unstable();
            hashes.dedup();
            for hash in hashes {
                let held = pending.hold(hash, !guards.is_empty());
                guards.push(KeyGuard::Pending(held));
            }
            return guards;
        }
        let mut wanted = [false; STRIPES];
        hashes.for_each(|hash| wanted[Self::stripe_index(hash)] = true);
        let wanted = (0..STRIPES).filter(|index| wanted[*index]);
        guards.extend(wanted.map(|index| KeyGuard::Stripe(self.stripes[index].lock())));
        guards
    }

    /// Holds all keys: nothing changes meanwhile.
    pub(super) fn all(&self) -> Vec<KeyGuard<'_>> {
        match &self.pending {
            None => self.stripes.iter().map(|stripe| KeyGuard::Stripe(stripe.lock())).collect(),
            Some(pending) => vec![KeyGuard::Pending(pending.hold_all())],
        }
    }

    /// Returns once every change that was under way when it was called is published.
    pub(super) fn quiesce(&self) {
        self.stripes.iter().for_each(|stripe| drop(stripe.lock()));
    }

    fn stripe_index(hash: u64) -> usize {
        usize::from(hash.to_le_bytes()[6])
    }
}
