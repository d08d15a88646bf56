//! Maintenance: does the work that is due, one task after the other, and saves what makes the next
//! open fast.

use super::log::log::Log;
use super::recovery::checkpoint;
use super::recovery::gone;
use super::syncing::without_room;
use super::tier::Local;
use crate::codec::checkpoint::Head;
use crate::cold::host::Host;
use crate::error::Result;
use crate::time::Instant;
use std::sync::atomic::Ordering;

/// A checkpoint is taken when this many bytes were written since the last one, and four times its
/// own length: opening after a crash then walks a second's worth at most, and writing checkpoints
/// stays a small part of all writing.
const CHECKPOINT_BYTES: u64 = 256 << 20;

/// Sweeping reads whole segments, so it rests for so many times as long as it took.
const SWEEP_RESTS: u64 = 20;

impl Local {
    /// Does the work that is due, a segment at a time, as long as `host` says to go on. Returns at
    /// once while another thread rewrites or copies.
    ///
    /// # Errors
    /// `NoSpace`, `Io`, `OutOfMemory`: nothing was lost.
    pub fn maintain(&self, host: &dyn Host) -> Result<()> {
        self.settle_reserve();
        while host.go_on() && !self.is_rewriting() {
            self.keep_within_bound(host)?;
            self.sweep_if_due(host)?;
            if self.needs_checkpoint() {
                without_room(self.checkpoint(&|| host.quiesce()))?;
            }
            let rewrote = self.compact_next(host);
            host.at_rest();
            if !rewrote? {
                break;
            }
        }
        self.retire()?;
        without_room(self.keep_time())
    }

    /// Drops the oldest values if the disk is bounded and full.
    fn keep_within_bound(&self, host: &dyn Host) -> Result<()> {
        if self.options.capacity == 0 {
            return Ok(());
        }
        let kept = self.keep_within(host);
        host.made_room();
        host.at_rest();
        kept
    }

    /// Takes out what has expired, one segment at a time.
    fn sweep_if_due(&self, host: &dyn Host) -> Result<()> {
        let started = self.clock.monotonic();
        if started < self.timers.lock().sweep_after {
            return Ok(());
        }
        let swept = self.sweep_next(host);
        host.at_rest();
        if swept? {
            let now = self.clock.monotonic().0;
            let took = now.saturating_sub(started.0);
            self.timers.lock().sweep_after = Instant(now.saturating_add(took * SWEEP_RESTS));
        }
        Ok(())
    }

    /// Rewrites everything that is not compressed or holds dead records, on the calling thread, and
    /// saves a checkpoint.
    ///
    /// # Errors
    /// `NoSpace`, `Io`, `ReadOnly`: what was not rewritten is as before.
    pub fn compact(&self, host: &dyn Host) -> Result<()> {
        let sealed = self.seal_active();
        let compacted = self.compact_all(host);
        host.at_rest();
        // Told only now: on a full disk it is compaction that makes room.
        compacted.and(sealed)?;
        without_room(self.checkpoint(&|| host.quiesce()))
    }

    /// Syncs, saves a checkpoint, and lets the files tell the time. Nothing may be appended any more.
    ///
    /// # Errors
    /// The first failure. What was acknowledged is in the log; the rest only makes opening faster.
    pub fn close(&self, host: &dyn Host) -> Result<()> {
        if self.options.read_only {
            return Ok(());
        }
        self.poison.check()?;
        let synced = self.sync();
        let saved = without_room(self.checkpoint(&|| host.quiesce()));
        let ended = without_room(self.end());
        synced.and(saved).and(ended)
    }

    /// Ends writing: the files tell the time, and what only an open store needs goes from the
    /// directory.
    ///
    /// # Errors
    /// `NoSpace`, `Io`: the time that they told before stays, and the rest does no harm.
    pub fn end(&self) -> Result<()> {
        let told = self.end_time();
        self.log.as_ref().map_or(Ok(()), Log::end).and(told)
    }

    /// Ends the active segment, so that it can be rewritten.
    ///
    /// # Errors
    /// `Io`, and writing ends; `ReadOnly`.
    pub fn seal_active(&self) -> Result<()> {
        self.log()?.seal_active()
    }

    /// True while a rewriting, a checkpoint or a backup goes on, which others would wait for.
    pub fn is_rewriting(&self) -> bool {
        self.compactor.try_lock().is_none()
    }

    /// True once so much was written since the last checkpoint that it is time for another.
    pub fn needs_checkpoint(&self) -> bool {
        let own = 4 * 16 * self.keydir.len();
        self.unsaved_bytes.load(Ordering::Relaxed) > CHECKPOINT_BYTES + own
    }

    /// Writes a checkpoint, unless nothing has changed since the last; `quiesce` returns once every
    /// write that had been appended when it was called is published.
    ///
    /// # Errors
    /// `NoSpace`, `Io`: the old one stays; `ReadOnly`.
    pub fn checkpoint(&self, quiesce: &dyn Fn()) -> Result<()> {
        let log = self.log()?;
        self.poison.check()?;
        if !self.changed.swap(false, Ordering::Relaxed) {
            return Ok(());
        }
        self.unsaved_bytes.store(0, Ordering::Relaxed);
        // Compaction waits: a record that it moves meanwhile would not be where the checkpoint says.
        let _compactor = self.compactor.lock();
        let (position, segments) = log.snapshot();
        quiesce();
        let time_ms = self.clock.wall().0;
        let head = Head {
            seed: self.hasher.seed(),
            sequence: position.sequence,
            log_segment: position.segment,
            log_offset: position.offset,
            clear_sequence: self.clear_sequence.load(Ordering::Acquire),
            time_ms,
            segments: 0,
            entries: 0,
        };
        checkpoint::write(&*self.disk, &self.keydir, &segments, head, &mut || log.sync())
            .inspect(|()| log.sequences().note_time(time_ms))
            .and_then(|()| gone::forget(&*self.disk, &self.segments))
            .inspect_err(|_| {
                self.changed.store(true, Ordering::Relaxed);
                checkpoint::discard(&*self.disk);
            })
    }
}
