//! Background work, on the store's one thread: writing back, sweeping, and whatever maintenance the
//! cold tier has. It does one thing at a time; between two, and about every megabyte of a long one, it
//! looks whether something cannot wait, or the store is being closed. What a caller is rewriting or
//! copying it leaves alone, and does not wait for.
//!
//! Failures do not end the thread. They are told as ERROR events, and what failed is tried again
//! after a pause.

use super::full_disk::{is_full, without_room};
use super::host::StoreHost;
use super::state::{Effects, State};
use crate::cold::{ColdTier, Host};
use crate::error::Result;
use crate::memory;
use crate::time::Instant;
use std::time::Duration;

/// How often the thread looks around when nobody wakes it.
const TICK: Duration = Duration::from_millis(250);

/// After a failure of background work it rests for this long, in milliseconds.
const PAUSE_MS: u64 = 1_000;

/// How often the hot keys are saved under `warm_start`, in milliseconds.
const SAVE_INTERVAL_MS: u64 = 60_000;

/// How often memory is given back, in milliseconds.
const TRIM_INTERVAL_MS: u64 = 1_000;

/// Entries of one hot shard that are swept at a time.
const SWEEP_ENTRIES: usize = 256;

/// Where the background thread stands.
pub(super) struct Maintenance<'a> {
    state: &'a State,
    resting_until: Instant,
    /// The hot shard that is swept next.
    shard: usize,
    trimmed: Instant,
    /// How many calls there had been when memory was given back last.
    trimmed_calls: u64,
    hot_keys_saved: Instant,
}

impl<'a> Maintenance<'a> {
    pub(super) fn new(state: &'a State) -> Self {
        let now = state.clock.monotonic();
        Self {
            state,
            resting_until: now,
            shard: 0,
            trimmed: now,
            trimmed_calls: 0,
            hot_keys_saved: now,
        }
    }

    /// Works until the store is closed.
    pub(super) fn run(&mut self) {
        let state = self.state;
        let go_on = || {
            if let Some(cold) = writable_cold(state) {
                tend(state, cold);
            }
            !state.work.is_stopping()
        };
        if let Err(error) = state.load_warm(&go_on) {
            state.tell_error(&error, &[]);
        }
        let interval = state.cold.as_ref().map_or(Duration::MAX, |cold| cold.tend_interval());
        while !state.work.is_stopping() {
            state.work.wait(TICK.min(interval));
            self.round();
        }
    }

    /// Does what is due.
    pub(super) fn round(&mut self) {
        if memory::check().is_err() {
            return;
        }
        self.sweep_hot();
        self.trim();
        self.state.tell_findings();
        let Some(cold) = writable_cold(self.state) else { return };
        tend(self.state, cold);
        if self.now() < self.resting_until {
            return;
        }
        if let Err(error) = self.work(cold) {
            self.state.tell_error(&error, &[]);
            self.resting_until = Instant(self.now().0.saturating_add(PAUSE_MS));
        }
    }

    fn work(&mut self, cold: &dyn ColdTier) -> Result<()> {
        let state = self.state;
        // On a full disk it may be the rest that makes room for it.
        let flushed = state.flush_unwritten();
        if flushed.is_err() && !is_full(&flushed) {
            return flushed;
        }
        let go_on = || {
            tend(state, cold);
            !state.work.is_stopping()
        };
        let host = StoreHost::new(state, &go_on);
        let maintained = cold.maintain(&host);
        host.at_rest();
        maintained?;
        flushed.and_then(|()| without_room(self.save_hot_keys_if_due()))
    }

    fn save_hot_keys_if_due(&mut self) -> Result<()> {
        if !self.is_due(self.hot_keys_saved, SAVE_INTERVAL_MS) {
            return Ok(());
        }
        self.hot_keys_saved = self.now();
        self.state.save_warm()
    }

    /// Gives memory back that calls have freed, at most once a second and only if there were calls.
    fn trim(&mut self) {
        if !self.is_due(self.trimmed, TRIM_INTERVAL_MS) {
            return;
        }
        let calls = self.state.counters.calls();
        if calls != self.trimmed_calls {
            crate::io::memory::give_back();
        }
        (self.trimmed, self.trimmed_calls) = (self.now(), calls);
    }

    /// Lets entries leave hot whose time is over, a part of one shard at a time.
    fn sweep_hot(&mut self) {
        let hot = &self.state.hot;
        for _ in 0..hot.shard_count() {
            let mut effects = Effects::default();
            hot.sweep(self.shard, &*self.state.clock, SWEEP_ENTRIES, &mut effects.gone);
            self.shard = (self.shard + 1) % hot.shard_count();
            self.state.finish(effects);
        }
    }

    fn now(&self) -> Instant {
        self.state.clock.monotonic()
    }

    fn is_due(&self, last: Instant, interval_ms: u64) -> bool {
        self.now().0.saturating_sub(last.0) >= interval_ms
    }
}

/// The cold tier, as long as it takes writes.
fn writable_cold(state: &State) -> Option<&dyn ColdTier> {
    state.cold.as_deref().filter(|_| !state.is_read_only())
}

/// Lets the cold tier do what cannot wait until something long is done.
fn tend(state: &State, cold: &dyn ColdTier) {
    if let Err(error) = cold.tend() {
        state.tell_error(&error, &[]);
    }
}
