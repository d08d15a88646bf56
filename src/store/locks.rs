//! Locks for changing keys.
//!
//! # Order
//! Keys (ascending), hot shards (ascending), then the locks that a cold tier takes by itself. A change
//! holds its key from the look at what is there to the publishing, so changes of one key happen one
//! after the other. The change is published in both tiers with the key's hot shard locked, so that no
//! reader sees one tier changed and the other not.
//!
//! Over a local tier a stripe is held for its keys. Over a shared one a change takes as long as the
//! engine does, and nobody may wait for another key's: each hash is held by itself ([`Pending`]).
//!
//! Callbacks run, and evicted entries are freed, after all locks:
//! [`Effects`](super::reporting::Effects) collects them.

use super::pending::{Held, Pending};
use crate::memory::Few;
use crate::sync::{Mutex, MutexGuard};

/// Many more than threads that write at once, so that two seldom wait for one stripe.
const STRIPES: usize = 256;

/// The locks of all keys.
pub(super) struct Locks {
    /// Each key has one, by its hash.
    stripes: Box<[Mutex<()>]>,
    /// What there is instead of stripes over a shared tier.
    pending: Option<Pending>,
}

/// A key that this thread holds; dropping it lets go.
pub(super) struct KeyGuard<'a> {
    _stripe: Option<MutexGuard<'a, ()>>,
    _held: Option<Box<Held<'a>>>,
}

/// Keys that this thread holds; dropping it lets go.
pub(super) struct KeyGuards<'a> {
    /// The stripes of the keys, or none over a shared tier.
    _stripes: Few<MutexGuard<'a, ()>>,
    /// The keys themselves over a shared tier. In a box, so that a local one has little to move.
    _held: Option<Box<Held<'a>>>,
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
    pub(super) fn key(&self, hash: u64) -> KeyGuard<'_> {
        match &self.pending {
            None => {
                let stripe = self.stripes[Self::stripe_index(hash)].lock();
                KeyGuard { _stripe: Some(stripe), _held: None }
            }
            Some(pending) => {
                let held = Box::new(pending.hold(Few::from_slice(&[hash])));
                KeyGuard { _stripe: None, _held: Some(held) }
            }
        }
    }

    /// Holds many keys.
    #[inline]
    pub(super) fn keys(&self, hashes: impl ExactSizeIterator<Item = u64>) -> KeyGuards<'_> {
        match &self.pending {
            None => KeyGuards { _stripes: self.stripes(hashes), _held: None },
            Some(pending) => Self::held(pending, hashes),
        }
    }

    /// Holds all keys: nothing changes meanwhile.
    pub(super) fn all(&self) -> Vec<KeyGuard<'_>> {
        let of = |stripe| KeyGuard { _stripe: Some(stripe), _held: None };
        match &self.pending {
            None => self.stripes.iter().map(|stripe| of(stripe.lock())).collect(),
            Some(pending) => {
                let held = Box::new(pending.hold_all());
                vec![KeyGuard { _stripe: None, _held: Some(held) }]
            }
        }
    }

    #[cold]
    fn held<'p>(pending: &'p Pending, hashes: impl Iterator<Item = u64>) -> KeyGuards<'p> {
        let mut wanted = Few::new();
        hashes.for_each(|hash| wanted.push(hash));
        KeyGuards { _stripes: Few::new(), _held: Some(Box::new(pending.hold(wanted))) }
    }

    #[inline]
    fn stripes(&self, mut hashes: impl ExactSizeIterator<Item = u64>) -> Few<MutexGuard<'_, ()>> {
        let mut guards = Few::new();
        if hashes.len() == 1
            && let Some(hash) = hashes.next()
        {
            guards.push(self.stripes[Self::stripe_index(hash)].lock());
            return guards;
        }
        let mut wanted = [false; STRIPES];
        hashes.for_each(|hash| wanted[Self::stripe_index(hash)] = true);
        let wanted = (0..STRIPES).filter(|index| wanted[*index]);
        guards.extend(wanted.map(|index| self.stripes[index].lock()));
        guards
    }

    /// Returns once every change that was under way when it was called is published.
    pub(super) fn quiesce(&self) {
        self.stripes.iter().for_each(|stripe| drop(stripe.lock()));
    }

    fn stripe_index(hash: u64) -> usize {
        usize::from(hash.to_le_bytes()[6])
    }
}
