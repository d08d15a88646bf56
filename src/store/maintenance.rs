//! The background thread's work. Each store has one such thread.
//!
//! It wakes when it is asked to, and every 250 ms, or every half `sync_interval` if that is less.
//! One round:
//! 1. sweep hot;
//! 2. give free memory back to the kernel, at most once a second, and only after calls;
//! 3. let the cold tier do what cannot wait (a sync);
//! 4. write back what is unwritten;
//! 5. let the cold tier maintain itself;
//! 6. under `warm_start`, save the hot keys once a minute. The first act of the thread is to load
//!    them.
//!
//! The thread does one thing at a time. Between two, and about every megabyte of a long one, it
//! looks whether something cannot wait or the store is being closed. While a caller compacts or
//! copies the store, the thread rewrites nothing, so that it need not wait.
//!
//! A failure is told as an ERROR event, and the work rests for a second. A panic ends the thread,
//! and the store refuses writes from then on.

use super::full_disk::{is_full, without_room};
use super::host::StoreHost;
use super::reporting::Effects;
use super::writer::Writer;
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
    writer: Writer<'a>,
    resting_until: Instant,
    /// The hot shard that is swept next.
    shard: usize,
    trimmed: Instant,
    /// How many calls there had been when memory was given back last.
    trimmed_calls: u64,
    hot_keys_saved: Instant,
}

impl<'a> Maintenance<'a> {
    pub(super) fn new(writer: Writer<'a>) -> Self {
        let now = writer.tiers.clock().monotonic();
        Self {
            writer,
            resting_until: now,
            shard: 0,
            trimmed: now,
            trimmed_calls: 0,
            hot_keys_saved: now,
        }
    }

    /// Works until the store is closed.
    pub(super) fn run(&mut self) {
        let Writer { options, tiers, reporting, work, .. } = self.writer;
        if options.warm_start {
            let go_on = || {
                if let Some(cold) = self.writable_cold() {
                    self.tend(cold);
                }
                !work.is_stopping()
            };
            if let Err(error) = self.writer.reader().load_hot_keys(&go_on) {
                reporting.tell_error(&error, &[]);
            }
        }
        let interval = tiers.cold().map_or(Duration::MAX, ColdTier::tend_interval);
        while !work.is_stopping() {
            work.wait(TICK.min(interval));
            self.round();
        }
    }

    /// Does one round of work, as far as it is due.
    pub(super) fn round(&mut self) {
        if memory::check().is_err() {
            return;
        }
        if self.writer.tiers.sweeps() {
            self.sweep_hot();
        }
        self.writer.reporting.tell_overheard();
        self.trim();
        self.writer.reader().tell_findings();
        let Some(cold) = self.writable_cold() else { return };
        self.tend(cold);
        if self.now() < self.resting_until {
            return;
        }
        if let Err(error) = self.work(cold) {
            self.writer.reporting.tell_error(&error, &[]);
            self.resting_until = Instant(self.now().0.saturating_add(PAUSE_MS));
        }
    }

    fn work(&mut self, cold: &dyn ColdTier) -> Result<()> {
        // On a full disk it may be the rest that makes room for it.
        let flushed = self.writer.flush_unwritten();
        if flushed.is_err() && !is_full(&flushed) {
            return flushed;
        }
        let go_on = || {
            self.tend(cold);
            !self.writer.work.is_stopping()
        };
        let host = StoreHost::new(&self.writer, &go_on);
        let maintained = cold.maintain(&host);
        host.at_rest();
        maintained?;
        flushed.and_then(|()| without_room(self.save_hot_keys_if_due()))
    }

    /// The cold tier, as long as it takes writes.
    fn writable_cold(&self) -> Option<&'a dyn ColdTier> {
        let tiers = self.writer.tiers;
        tiers.cold().filter(|_| !self.writer.is_read_only())
    }

    /// Lets the cold tier do what cannot wait until something long is done.
    fn tend(&self, cold: &dyn ColdTier) {
        if let Err(error) = cold.tend() {
            self.writer.reporting.tell_error(&error, &[]);
        }
    }

    fn save_hot_keys_if_due(&mut self) -> Result<()> {
        let is_asked = self.writer.options.warm_start;
        if !is_asked || !self.is_due(self.hot_keys_saved, SAVE_INTERVAL_MS) {
            return Ok(());
        }
        self.hot_keys_saved = self.now();
        self.writer.reader().save_hot_keys()
    }

    /// Gives memory back that calls have freed, at most once a second and only if there were calls.
    fn trim(&mut self) {
        if !self.is_due(self.trimmed, TRIM_INTERVAL_MS) {
            return;
        }
        let calls = self.writer.reporting.counters().calls();
        if calls != self.trimmed_calls {
            crate::io::memory::give_back();
        }
        (self.trimmed, self.trimmed_calls) = (self.now(), calls);
    }

    /// Lets entries leave hot whose time is over, a part of one shard at a time.
    fn sweep_hot(&mut self) {
        let Writer { tiers, reporting, .. } = self.writer;
        let hot = tiers.hot();
        for _ in 0..hot.shard_count() {
            let mut effects = Effects::default();
            hot.sweep(self.shard, tiers.clock(), SWEEP_ENTRIES, &mut effects.gone);
            self.shard = (self.shard + 1) % hot.shard_count();
            reporting.finish(effects);
        }
    }

    fn now(&self) -> Instant {
        self.writer.tiers.clock().monotonic()
    }

    fn is_due(&self, last: Instant, interval_ms: u64) -> bool {
        self.now().0.saturating_sub(last.0) >= interval_ms
    }
}
