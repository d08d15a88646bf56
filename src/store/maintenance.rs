//! Background work, on the store's one thread: syncing, writing back, sweeping, rewriting
//! segments, checkpoints. It does one thing at a time; between two, and about every megabyte of a
//! long one, it looks whether a sync is due, another process waits for a file, or the store is being
//! closed. What a caller is rewriting or copying it leaves alone, and does not wait for.
//!
//! Failures do not end the thread. They are told as ERROR events, and what failed is tried again
//! after a pause.

use super::events::EventKind;
use super::options::Durability;
use super::rewriting::{Rewriting, is_full};
use super::state::{Effects, State};
use super::stats::{Counter, Tier};
use super::value::Answer;
use crate::cold::Cold;
use crate::error::{Error, Result};
use crate::hot::Victims;
use crate::memory;
use crate::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How often the thread looks around when nobody wakes it.
const TICK: Duration = Duration::from_millis(250);

/// After a failure of background work it rests for this long.
const PAUSE: Duration = Duration::from_secs(1);

/// How often the hot keys are saved under `warm_start`.
const WARM_INTERVAL: Duration = Duration::from_secs(60);

/// How often memory is given back.
const TRIM_INTERVAL: Duration = Duration::from_secs(1);

/// Entries of one hot shard that are swept at a time.
const SWEEP_ENTRIES: usize = 256;

/// Where the background thread stands.
pub(super) struct Maintenance<'a> {
    state: &'a State,
    last_sync: Mutex<Instant>,
    resting_until: Mutex<Option<Instant>>,
    shard: AtomicU64,
    trimmed: Mutex<(Instant, u64)>,
    warm_saved: Mutex<Instant>,
    sweep_after: Mutex<Instant>,
}

impl<'a> Maintenance<'a> {
    pub(super) fn new(state: &'a State) -> Self {
        Self {
            state,
            last_sync: Mutex::new(Instant::now()),
            resting_until: Mutex::new(None),
            shard: AtomicU64::new(0),
            trimmed: Mutex::new((Instant::now(), 0)),
            warm_saved: Mutex::new(Instant::now()),
            sweep_after: Mutex::new(Instant::now()),
        }
    }

    /// Works until the store is closed.
    pub(super) fn run(&self) {
        let go_on = || {
            if let Some(cold) = self.state.cold.as_ref().filter(|_| !self.state.is_read_only()) {
                self.look_around(cold);
            }
            !self.state.work.is_stopping()
        };
        if let Err(error) = self.state.load_warm(&go_on) {
            self.state.tell_error(&error, &[]);
        }
        while !self.state.work.is_stopping() {
            self.state.work.wait(TICK.min(self.sync_pause()));
            self.round();
        }
    }

    fn round(&self) {
        if memory::check().is_err() {
            return;
        }
        self.sweep_hot();
        self.trim();
        self.state.tell_findings();
        let Some(cold) = self.state.cold.as_ref().filter(|_| !self.state.is_read_only()) else {
            return;
        };
        self.look_around(cold);
        if self.is_resting() {
            return;
        }
        let result = self.work(cold);
        if let Err(error) = result {
            self.state.tell_error(&error, &[]);
            *self.resting_until.lock() = Some(Instant::now() + PAUSE);
        }
    }

    fn work(&self, cold: &Cold) -> Result<()> {
        // On a full disk it may be the rest that makes room for it.
        let flushed = self.state.flush_unwritten();
        if flushed.is_err() && !is_full(&flushed) {
            return flushed;
        }
        cold.settle_reserve();
        let go_on = || self.go_on(cold);
        while !self.state.work.is_stopping() && !cold.is_rewriting() {
            self.look_around(cold);
            self.keep_within(cold)?;
            self.sweep_cold(cold)?;
            if cold.needs_checkpoint() {
                without_room(cold.checkpoint(&|| self.state.quiesce()))?;
            }
            let host = Rewriting::new(self.state, &go_on);
            let rewritten = cold.compact_next(&host);
            host.tell();
            match rewritten? {
                Some(rewritten) => self.state.tell_compacted(&rewritten),
                None => break,
            }
        }
        // Last, because on a full disk it fails until something else has made room.
        cold.retire()?;
        without_room(cold.keep_time())?;
        flushed.and_then(|()| without_room(self.save_warm_if_due()))
    }

    /// Asked about every megabyte of long work: false to give up.
    fn go_on(&self, cold: &Cold) -> bool {
        self.look_around(cold);
        !self.state.work.is_stopping()
    }

    /// Drops the oldest values if the disk is bounded and full.
    fn keep_within(&self, cold: &Cold) -> Result<()> {
        let capacity = self.state.options.cold_capacity;
        if capacity == 0 {
            return Ok(());
        }
        let go_on = || self.go_on(cold);
        let host = Rewriting::new(self.state, &go_on);
        let mut all = Vec::new();
        let kept = cold.keep_within(capacity, &host, &mut |rewritten| all.push(rewritten.clone()));
        self.state.made_room();
        host.tell();
        all.iter().for_each(|rewritten| self.state.tell_compacted(rewritten));
        kept
    }

    /// Takes out what has expired, one segment at a time. It reads whole segments, so it rests for
    /// twenty times as long as it took.
    fn sweep_cold(&self, cold: &Cold) -> Result<()> {
        let started = Instant::now();
        if started < *self.sweep_after.lock() {
            return Ok(());
        }
        let go_on = || self.go_on(cold);
        let host = Rewriting::new(self.state, &go_on);
        let swept = cold.sweep_next(&host);
        host.tell();
        if swept? {
            *self.sweep_after.lock() = Instant::now() + started.elapsed() * 20;
        }
        Ok(())
    }

    fn save_warm_if_due(&self) -> Result<()> {
        let mut saved = self.warm_saved.lock();
        if saved.elapsed() < WARM_INTERVAL {
            return Ok(());
        }
        *saved = Instant::now();
        drop(saved);
        self.state.save_warm()
    }

    fn is_resting(&self) -> bool {
        self.resting_until.lock().is_some_and(|until| Instant::now() < until)
    }

    /// How long after a sync the next one begins. Half the interval, so that the other half is left
    /// for the sync itself: stores wait for what is older than the whole.
    fn sync_pause(&self) -> Duration {
        match self.state.options.sync_interval_ms {
            0 => Duration::MAX,
            interval => Duration::from_micros(interval.saturating_mul(500)),
        }
    }

    /// What cannot wait until something long is done.
    fn look_around(&self, cold: &Cold) {
        if let Err(error) = cold.give_way() {
            self.state.tell_error(&error, &[]);
        }
        self.sync_if_due(cold);
    }

    /// Syncs what was written, once it is time.
    fn sync_if_due(&self, cold: &Cold) {
        let options = &self.state.options;
        let bytes = cold.unsynced_bytes();
        let mut last = self.last_sync.lock();
        if bytes == 0 || last.elapsed() < self.sync_pause() {
            return;
        }
        *last = Instant::now();
        drop(last);
        if let Err(error) = sync_and_vouch(cold, options.durability == Durability::Process) {
            self.state.tell_error(&error, &[]);
        }
    }

    /// Gives memory back that calls have freed, at most once a second and only if there were calls.
    fn trim(&self) {
        let mut trimmed = self.trimmed.lock();
        if trimmed.0.elapsed() >= TRIM_INTERVAL {
            let calls = self.state.counters.calls();
            if calls != trimmed.1 {
                crate::io::memory::give_back();
            }
            *trimmed = (Instant::now(), calls);
        }
    }

    /// Lets entries leave hot whose time is over, a part of one shard at a time.
    fn sweep_hot(&self) {
        let hot = &self.state.hot;
        for _ in 0..hot.shard_count() {
            let index = self.shard.fetch_add(1, Ordering::Relaxed);
            let mut effects = Effects::default();
            let index = usize::try_from(index).unwrap_or(0) % hot.shard_count();
            hot.sweep(index, &*self.state.clock, SWEEP_ENTRIES, &mut effects.gone);
            self.state.finish(effects);
        }
    }
}

/// Syncs the log, and leaves a record behind which says so: what stands before it is not taken for
/// a torn tail after a crash. Where every store is synced the record would vouch for nothing new.
fn sync_and_vouch(cold: &Cold, vouch: bool) -> Result<()> {
    let position = cold.position()?;
    let has_news = cold.unsynced_bytes() > 64;
    cold.sync()?;
    if vouch && has_news { without_room(cold.vouch(position)) } else { Ok(()) }
}

/// What is only useful is left out where the disk has no room for it.
fn without_room(result: Result<()>) -> Result<()> {
    if is_full(&result) { Ok(()) } else { result }
}

impl State {
    /// Rewrites everything that is not compressed or holds dead records, on the calling thread,
    /// and saves a checkpoint.
    ///
    /// # Errors
    /// `NoSpace`, `Io`, `ReadOnly`: what was not rewritten is as before.
    pub fn compact(&self) -> Result<()> {
        self.check_writable()?;
        let Some(cold) = &self.cold else { return Ok(()) };
        let flushed = self.flush_unwritten();
        if flushed.is_err() && !is_full(&flushed) {
            return flushed;
        }
        let sealed = cold.seal_active();
        let host = Rewriting::new(self, &|| true);
        let mut all = Vec::new();
        let compacted = cold.compact_all(&host, &mut |rewritten| all.push(rewritten.clone()));
        host.tell();
        all.iter().for_each(|rewritten| self.tell_compacted(rewritten));
        // Told only now: on a full disk it is compaction that makes room.
        compacted.and(sealed)?;
        without_room(cold.checkpoint(&|| self.quiesce()))?;
        if flushed.is_ok() { Ok(()) } else { self.flush_unwritten() }
    }

    /// Makes everything acknowledged so far survive power loss.
    ///
    /// # Errors
    /// `Io`, and the store turns read-only; `NoSpace`, `ReadOnly`.
    pub fn sync(&self) -> Result<()> {
        let Some(cold) = &self.cold else { return Ok(()) };
        self.check_writable()?;
        self.flush_unwritten()?;
        cold.sync()
    }

    /// Demotes what is least worth keeping until hot uses at most `target_bytes`; returns how many
    /// entries that were.
    ///
    /// # Errors
    /// Those of writing back unwritten entries; they stay in hot. Survived if lenient.
    pub fn optimize_hot(&self, target_bytes: u64) -> Result<Answer<u64>> {
        let mut survived = None;
        if self.hot.used_bytes() > target_bytes
            && let Err(error) = self.flush_unwritten()
        {
            survived = Some(self.survive(error, &[])?);
        }
        let mut demoted = Victims::new();
        self.hot.shrink_to(target_bytes, &mut demoted);
        self.counters.add(Counter::HotDemotions, demoted.len() as u64);
        demoted.iter().for_each(|entry| self.tell_entry(EventKind::Demoted, Tier::Hot, entry));
        Ok(Answer { value: demoted.len() as u64, survived })
    }

    /// Ends the store's work: writes back, syncs, saves a checkpoint. The first failure is given.
    pub(super) fn shut_down(&self) -> Result<()> {
        let mut first: Result<()> = Ok(());
        let mut keep = |result: Result<()>| {
            if first.is_ok() {
                first = result;
            }
        };
        if let Some(cold) = self.cold.as_ref().filter(|_| !self.options.read_only) {
            let failed = self.check_writable();
            match cold.poison().check().and(failed) {
                Ok(()) => {
                    keep(self.flush_unwritten());
                    keep(cold.sync());
                    // What was acknowledged is in the log; these only make the next open faster.
                    keep(without_room(self.save_warm()));
                    keep(without_room(cold.checkpoint(&|| self.quiesce())));
                    keep(without_room(cold.end()));
                }
                Err(error) => keep(Err(error)),
            }
        }
        self.events.close();
        first.map_err(|error: Error| error.context("close"))
    }
}
