//! Background work, on the store's one thread: syncing, writing back, sweeping, rewriting
//! segments, checkpoints. It does one thing at a time; between two, and about every megabyte of a
//! long one, it looks whether a sync is due, another process waits for a file, or the store is being
//! closed. What a caller is rewriting or copying it leaves alone, and does not wait for.
//!
//! Failures do not end the thread. They are told as ERROR events, and what failed is tried again
//! after a pause.

use super::events::{Event, EventKind};
use super::options::Durability;
use super::state::{Effects, State};
use super::stats::{Counter, Tier};
use super::value::Answer;
use crate::cold::{Cold, Departed, Departure, Host, Location, Rewritten};
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

/// A key that left both tiers in the background.
struct Gone {
    key: Vec<u8>,
    departed: Departed,
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
        self.state.flush_unwritten()?;
        while !self.state.work.is_stopping() && !cold.is_rewriting() {
            self.look_around(cold);
            self.keep_within(cold)?;
            self.sweep_cold(cold)?;
            if cold.needs_checkpoint() {
                cold.checkpoint(&|| self.state.quiesce())?;
            }
            let host = Rewriting::new(self.state, Some(self));
            let rewritten = cold.compact_next(&host);
            host.tell();
            match rewritten? {
                Some(rewritten) => self.state.tell_compacted(&rewritten),
                None => break,
            }
        }
        // Last, because on a full disk it fails until something else has made room.
        cold.retire_active()?;
        cold.keep_time()?;
        self.save_warm_if_due()
    }

    /// Drops the oldest values if the disk is bounded and full.
    fn keep_within(&self, cold: &Cold) -> Result<()> {
        let capacity = self.state.options.cold_capacity;
        if capacity == 0 {
            return Ok(());
        }
        let host = Rewriting::new(self.state, Some(self));
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
        let host = Rewriting::new(self.state, Some(self));
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
    if vouch && has_news { cold.vouch(position) } else { Ok(()) }
}

/// What compaction asks of the store: one for each rewriting.
pub(super) struct Rewriting<'a> {
    state: &'a State,
    background: Option<&'a Maintenance<'a>>,
    gone: Mutex<Vec<Gone>>,
}

impl<'a> Rewriting<'a> {
    pub(super) fn new(state: &'a State, background: Option<&'a Maintenance<'a>>) -> Self {
        Self { state, background, gone: Mutex::new(Vec::new()) }
    }

    /// Tells what has left, when no lock is held any more.
    pub(super) fn tell(self) {
        for Gone { key, departed } in self.gone.into_inner() {
            self.state.events.emit(&Event {
                tier: Some(Tier::Cold),
                key: &key,
                version: departed.version,
                expires_at: departed.expires_at,
                ..Event::of(event_of(departed.why))
            });
        }
    }
}

impl Host for Rewriting<'_> {
    fn quiesce(&self) {
        self.state.quiesce();
    }

    fn departed(&self, key: &[u8], location: Location, departed: Departed) {
        if !self.state.forget(key, location) {
            return;
        }
        let counter = match departed.why {
            Departure::Expired => Counter::ColdExpirations,
            Departure::Evicted => Counter::ColdEvictions,
        };
        self.state.counters.add(counter, 1);
        if self.state.events.wants(event_of(departed.why)) {
            // Without memory for it nobody is told.
            let _untold = memory::copy(key, "a key that has left").and_then(|key| {
                memory::push(&mut self.gone.lock(), Gone { key, departed }, "keys that have left")
            });
        }
    }

    fn go_on(&self) -> bool {
        if let (Some(background), Some(cold)) = (self.background, &self.state.cold) {
            background.look_around(cold);
            return !self.state.work.is_stopping();
        }
        true
    }
}

fn event_of(why: Departure) -> EventKind {
    match why {
        Departure::Expired => EventKind::Expired,
        Departure::Evicted => EventKind::Evicted,
    }
}

impl State {
    /// Takes a key out of both tiers whose record has ended, unless it has another by now.
    fn forget(&self, key: &[u8], location: Location) -> bool {
        let (Some(cold), Ok(key)) = (&self.cold, self.key(key)) else { return false };
        let stripe = self.stripe(key.hash());
        let mut shard = self.hot.lock(self.hot.shard_index(key.hash()));
        let forgotten = cold.forget(key.hash(), location);
        // An unwritten entry is newer than any record.
        let is_old = shard.peek(&key).is_some_and(|entry| !entry.is_unwritten());
        let removed = if forgotten && is_old { shard.remove(&key) } else { None };
        drop(shard);
        drop(stripe);
        drop(removed);
        forgotten
    }

    pub(super) fn tell_compacted(&self, rewritten: &Rewritten) {
        if !self.events.wants(EventKind::Compacted) {
            return;
        }
        let Rewritten { segment, bytes_before, bytes_after } = rewritten;
        let message = format!("{segment}: {bytes_before} bytes became {bytes_after}");
        self.events.emit(&Event {
            tier: Some(Tier::Cold),
            message: Some(&message),
            ..Event::of(EventKind::Compacted)
        });
    }

    /// Rewrites everything that is not compressed or holds dead records, on the calling thread,
    /// and saves a checkpoint.
    ///
    /// # Errors
    /// `NoSpace`, `Io`, `ReadOnly`: what was not rewritten is as before.
    pub fn compact(&self) -> Result<()> {
        self.check_writable()?;
        let Some(cold) = &self.cold else { return Ok(()) };
        self.flush_unwritten()?;
        let sealed = cold.seal_active();
        let host = Rewriting::new(self, None);
        let mut all = Vec::new();
        let compacted = cold.compact_all(&host, &mut |rewritten| all.push(rewritten.clone()));
        host.tell();
        all.iter().for_each(|rewritten| self.tell_compacted(rewritten));
        // Told only now: on a full disk it is compaction that makes room.
        compacted.and(sealed)?;
        cold.checkpoint(&|| self.quiesce())
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
                    keep(self.save_warm());
                    keep(cold.checkpoint(&|| self.quiesce()));
                    keep(cold.end());
                }
                Err(error) => keep(Err(error)),
            }
        }
        self.events.close();
        first.map_err(|error: Error| error.context("close"))
    }
}
