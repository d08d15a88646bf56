//! Rewriting segments: chooses them, and does what has to happen before and after each.

use super::compaction::choice::Candidates;
use super::compaction::compaction::{Compactor, Mode};
use super::compaction::output::Context;
use super::compaction::sweep;
use super::log::reserve::segment_bytes;
use super::segment::segment::Segment;
use super::tier::Local;
use crate::cold::host::Host;
use crate::error::{Error, ErrorKind, Result};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A segment is mostly dead if one part in so many of it is.
const MOSTLY: u64 = 2;

/// An active segment in which nothing lives is ended once it has this many bytes.
const RETIRE_BYTES: u64 = 64 << 10;

impl Local {
    /// Rewrites the segment that is most worth it; false if none is, or `host` gave up.
    ///
    /// # Errors
    /// `NoSpace`, `Io`, `OutOfMemory`: nothing was lost; `ReadOnly`.
    pub fn compact_next(&self, host: &dyn Host) -> Result<bool> {
        let mut compactor = self.compactor.lock();
        let best = self.rewrite_candidates(&compactor).best().cloned();
        match best {
            Some(segment) => self.rewrite(&mut compactor, host, segment),
            None => Ok(false),
        }
    }

    /// Takes out what has expired in the segment where something has for longest; false if there is
    /// none.
    ///
    /// # Errors
    /// `Io`, `OutOfMemory`.
    pub fn sweep_next(&self, host: &dyn Host) -> Result<bool> {
        // Not while it is rewritten, which takes out what has expired too.
        let _compactor = self.compactor.lock();
        let now = self.clock.wall();
        let Some(segment) = sweep::choose(&self.segments, now) else { return Ok(false) };
        let lives = |hash, location| self.keydir.lock_for(hash).at(hash, location).is_some();
        sweep::sweep(&segment, host, now, &lives)?;
        Ok(true)
    }

    /// Ends the segments that are written to, the log's and compaction's, if nothing in them lives,
    /// so that their space can be reclaimed.
    ///
    /// # Errors
    /// `ReadOnly`.
    pub fn retire(&self) -> Result<()> {
        let is_dead = |s: Arc<Segment>| s.live().0 == 0 && s.end() >= RETIRE_BYTES;
        let mut compactor = self.compactor.lock();
        if compactor.output().is_some_and(is_dead) {
            compactor.seal_output();
        }
        let log = self.log()?;
        if log.active().is_some_and(is_dead) { log.seal_active() } else { Ok(()) }
    }

    /// Makes the files take less than their bound: rewrites segments that are mostly dead, and where
    /// there are none drops the oldest values, but for those that were read.
    ///
    /// # Errors
    /// As [`Local::compact_next`].
    pub fn keep_within(&self, host: &dyn Host) -> Result<()> {
        let limit = self.options.capacity / 16 * 15;
        let mut compactor = self.compactor.lock();
        while self.disk_bytes() > limit && host.go_on() {
            if self.rewrite_candidates(&compactor).rewritable.is_empty() {
                compactor.seal_output();
            }
            let candidates = self.rewrite_candidates(&compactor);
            let oldest =
                || candidates.rewritable.iter().min_by_key(|segment| segment.sealed_turn());
            let chosen = match candidates.most_freeing(MOSTLY) {
                Some(dead) => Some((dead, Mode::Keep)),
                None => oldest().map(|oldest| (oldest, Mode::Evict)),
            };
            let Some((segment, mode)) = chosen.map(|(s, mode)| (s.clone(), mode)) else {
                return Ok(());
            };
            drop(candidates);
            if !self.rewrite_as(&mut compactor, host, segment, mode)? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Bytes of the segments' files, of two checkpoints, and of the reserve.
    pub fn disk_bytes(&self) -> u64 {
        let all = self.segments.all();
        let segments: u64 = all.iter().filter(|s| !s.is_gone()).map(|s| s.room_bytes()).sum();
        segments + 32 * self.keydir.len() + self.reserve.bytes()
    }

    /// Rewrites all sealed segments that are not compressed or hold anything dead.
    ///
    /// # Errors
    /// As [`Local::compact_next`].
    pub fn compact_all(&self, host: &dyn Host) -> Result<()> {
        let mut compactor = self.compactor.lock();
        // A first pass takes away the dead values that tombstones had to outlive, a second one
        // the tombstones; a third finds what died meanwhile.
        for _ in 0..3 {
            compactor.seal_output();
            let segments = self.rewrite_candidates(&compactor).everything();
            if segments.is_empty() {
                return Ok(());
            }
            for segment in segments {
                // Asked each time: each that goes makes room for the next.
                if !self.can_rewrite(&mut compactor, host, &segment)? {
                    continue;
                }
                self.rewrite(&mut compactor, host, segment)?;
            }
        }
        let candidates = self.rewrite_candidates(&compactor);
        // What has nothing dead, and only could be compressed, stays as it is on a full disk.
        let is_left = |s: &Arc<Segment>| candidates.dead_bytes(s) > 0 && !candidates.fits(s);
        let left = candidates.everything().into_iter().find(is_left);
        left.map_or(Ok(()), |segment| {
            let sentence = format!(
                "no room to rewrite {}, which has {} bytes; delete something or free some room",
                segment.file().path().display(),
                segment.end()
            );
            Err(Error::new(ErrorKind::NoSpace, sentence))
        })
    }

    /// True if there is room to rewrite the segment, which is made from what is dead in it.
    fn can_rewrite(
        &self,
        compactor: &mut Compactor,
        host: &dyn Host,
        segment: &Arc<Segment>,
    ) -> Result<bool> {
        let candidates = self.rewrite_candidates(compactor);
        if candidates.fits(segment) || candidates.dead_bytes(segment) == 0 {
            return Ok(candidates.fits(segment));
        }
        drop(candidates);
        self.thin(compactor, host, segment)?;
        Ok(self.rewrite_candidates(compactor).fits(segment))
    }

    /// Gives back the room of what is dead in a segment that there is no room to rewrite; true if any
    /// came free.
    pub(super) fn thin(
        &self,
        compactor: &mut Compactor,
        host: &dyn Host,
        segment: &Arc<Segment>,
    ) -> Result<bool> {
        let context = self.context(host)?;
        let thinned =
            compactor.thin(&context, segment, &|it| self.rewrite_candidates(it).fits(segment));
        // It may have no checkpoint any more.
        self.changed.store(true, Ordering::Relaxed);
        self.reserve.end_lending(self.longest_segment());
        thinned
    }

    /// What there is to choose from.
    pub(super) fn rewrite_candidates(&self, compactor: &Compactor) -> Candidates {
        let cleared = self.clear_sequence.load(Ordering::Acquire);
        compactor.rewrite_candidates(&self.segments, self.reserve.room(), cleared)
    }

    /// Makes the reserve what it should be; true if it is whole.
    pub fn settle_reserve(&self) -> bool {
        self.reserve.settle(self.longest_segment())
    }

    fn longest_segment(&self) -> u64 {
        self.segments.all().iter().map(|segment| segment.end()).max().unwrap_or(0)
    }

    /// Rewrites one segment, and tells `host`; false if that gave up.
    pub(super) fn rewrite(
        &self,
        compactor: &mut Compactor,
        host: &dyn Host,
        segment: Arc<Segment>,
    ) -> Result<bool> {
        self.rewrite_as(compactor, host, segment, Mode::Keep)
    }

    /// What rewriting works on.
    fn context<'a>(&'a self, host: &'a dyn Host) -> Result<Context<'a>> {
        self.poison.check()?;
        Ok(Context {
            host,
            disk: &*self.disk,
            segments: &self.segments,
            keydir: &self.keydir,
            log: self.log()?,
            poison: &self.poison,
            clock: &*self.clock,
            reserve: &self.reserve,
            seed: self.hasher.seed(),
            segment_bytes_max: segment_bytes(&*self.disk, self.options.segment_bytes_max),
            cleared: self.clear_sequence.load(Ordering::Acquire),
            sync: self.options.sync,
        })
    }

    fn rewrite_as(
        &self,
        compactor: &mut Compactor,
        host: &dyn Host,
        segment: Arc<Segment>,
        mode: Mode,
    ) -> Result<bool> {
        let context = self.context(host)?;
        self.tallies.working_bytes.store(compactor.working_bytes(), Ordering::Relaxed);
        let rewritten = compactor.rewrite(&context, &segment, mode);
        self.tallies.working_bytes.store(0, Ordering::Relaxed);
        // Its file is closed with this, unless somebody reads it: only then its room is free.
        drop(segment);
        self.reserve.end_lending(self.longest_segment());
        let rewritten = rewritten?;
        if let Some(rewritten) = &rewritten {
            self.wrote(rewritten.bytes_after);
            self.tallies.compactions.fetch_add(1, Ordering::Relaxed);
            host.rewrote(rewritten);
        }
        Ok(rewritten.is_some())
    }
}
