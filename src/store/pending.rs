//! Keys that are being changed at a shared tier, each by itself: who wants one of them waits, and
//! nobody waits for another.
//!
//! # Invariants
//! 1. A hash is held by one thread at a time, and none is while all are held.
//! 2. Whoever holds several takes them in ascending order, and who holds any takes not all: so nobody
//!    waits in a circle.

use crate::sync::{Condvar, Mutex};
use std::collections::HashSet;

/// The hashes that are held.
#[derive(Default)]
pub(super) struct Pending {
    state: Mutex<State>,
    has_let_go: Condvar,
}

#[derive(Default)]
struct State {
    hashes: HashSet<u64>,
    /// Somebody holds all, or waits to.
    is_closed: bool,
    waiting: usize,
}

/// A hash that is held, or all; dropping it lets go.
pub(super) struct Held<'p> {
    pending: &'p Pending,
    /// `None` for all.
    hash: Option<u64>,
}

impl Pending {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Waits until nobody has the hash, and holds it. Who waits for all waits for those who have some
    /// already (`is_next`), and so lets them have more.
    pub(super) fn hold(&self, hash: u64, is_next: bool) -> Held<'_> {
        let mut state = self.state.lock();
        while (state.is_closed && !is_next) || !state.hashes.insert(hash) {
            state.waiting += 1;
            state = self.has_let_go.wait(state);
            state.waiting -= 1;
        }
        Held { pending: self, hash: Some(hash) }
    }

    /// Waits until nobody has any hash, and holds all.
    pub(super) fn hold_all(&self) -> Held<'_> {
        let mut state = self.state.lock();
        while state.is_closed {
            state.waiting += 1;
            state = self.has_let_go.wait(state);
            state.waiting -= 1;
        }
        state.is_closed = true;
        while !state.hashes.is_empty() {
            state.waiting += 1;
            state = self.has_let_go.wait(state);
            state.waiting -= 1;
        }
        Held { pending: self, hash: None }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let mut state = self.pending.state.lock();
        match self.hash {
            Some(hash) => drop(state.hashes.remove(&hash)),
            None => state.is_closed = false,
        }
        if state.waiting > 0 {
            self.pending.has_let_go.notify_all();
        }
    }
}
