//! Keys that are being changed at a shared tier, each by itself: who wants one of them waits, and
//! nobody waits for another.
//!
//! # Invariants
//! 1. A hash is held by one thread at a time, and none is while all are held.
//! 2. Whoever wants several gets them at once, or waits without any: so nobody waits in a circle.

use crate::memory::Few;
use crate::sync::{Condvar, Mutex, MutexGuard};

/// The hashes that are held.
#[derive(Default)]
pub(super) struct Pending {
    state: Mutex<HeldHashes>,
    has_let_go: Condvar,
}

#[derive(Default)]
struct HeldHashes {
    /// As many as threads that change something: a list is searched as fast as a table.
    hashes: Vec<u64>,
    /// Somebody holds all, or waits to.
    is_closed: bool,
    waiting: usize,
}

/// Hashes that are held; dropping it lets go.
pub(super) struct Held<'p> {
    pending: &'p Pending,
    /// None for all.
    hashes: Few<u64>,
}

impl Pending {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Waits until nobody has any of the hashes, and holds them.
    #[cold]
    pub(super) fn hold(&self, hashes: Few<u64>) -> Held<'_> {
        let is_free = |state: &HeldHashes| {
            !state.is_closed && !hashes.iter().any(|hash| state.hashes.contains(hash))
        };
        let mut state = self.wait(self.state.lock(), &is_free);
        state.hashes.extend_from_slice(&hashes);
        drop(state);
        Held { pending: self, hashes }
    }

    /// Waits until nobody has any hash, and holds all.
    #[cold]
    pub(super) fn hold_all(&self) -> Held<'_> {
        let mut state = self.wait(self.state.lock(), &|state| !state.is_closed);
        state.is_closed = true;
        drop(self.wait(state, &|state| state.hashes.is_empty()));
        Held { pending: self, hashes: Few::new() }
    }

    #[cold]
    fn wait<'p>(
        &'p self,
        mut state: MutexGuard<'p, HeldHashes>,
        until: &dyn Fn(&HeldHashes) -> bool,
    ) -> MutexGuard<'p, HeldHashes> {
        while !until(&state) {
            state.waiting += 1;
            state = self.has_let_go.wait(state);
            state.waiting -= 1;
        }
        state
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let mut state = self.pending.state.lock();
        if self.hashes.is_empty() {
            state.is_closed = false;
        }
        for hash in &self.hashes {
            // Two keys of one batch may have the same.
            if let Some(at) = state.hashes.iter().position(|other| other == hash) {
                state.hashes.swap_remove(at);
            }
        }
        if state.waiting > 0 {
            self.pending.has_let_go.notify_all();
        }
    }
}
