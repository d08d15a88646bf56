//! Upkeep: rewriting segments, checkpoints, vouching for what was synced, verifying and copying.

use super::backup;
use super::compaction::choice::Field;
use super::compaction::compaction::{Compactor, Host, Mode, Rewritten};
use super::compaction::output::Parts;
use super::compaction::sweep;
use super::log::draft::Draft;
use super::log::log::{Log, Position};
use super::log::reserve::segment_bytes;
use super::recovery::checkpoint;
use super::recovery::gone;
use super::segment::segment::Segment;
use super::tier::{Cold, ColdOptions};
use crate::codec::checkpoint::Head;
use crate::codec::compress::Compression;
use crate::codec::manifest::Manifest;
use crate::codec::record::Kind;
use crate::codec::segment::SegmentKind;
use crate::error::{Error, ErrorKind, Result};
use crate::io::files::Disk;
use crate::time::{Moment, SAME_MS};
use std::slice;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A checkpoint is taken when this many bytes were written since the last one, and four times its
/// own length: opening after a crash then walks a second's worth at most, and writing checkpoints
/// stays a small part of all writing.
const CHECKPOINT_BYTES: u64 = 256 << 20;

/// A segment is mostly dead if one part in so many of it is.
const MOSTLY: u64 = 2;

/// An active segment in which nothing lives is ended once it has this many bytes.
const RETIRE_BYTES: u64 = 64 << 10;

/// Sizes at one moment.
#[derive(Clone, Copy, Default, Debug)]
pub struct Gauges {
    /// Keys, those that expired and were not swept yet included.
    pub entries: u64,
    /// Bytes of the records that live: of a segment the share that locations tell.
    pub bytes_live: u64,
    /// Bytes of all segments, and of the reserve for a full disk.
    pub bytes_disk: u64,
    /// Number of segments.
    pub segments: u64,
    /// Bytes of sealed segments that wait to be compressed.
    pub unfrozen_bytes: u64,
    /// Bytes of memory of the keydir.
    pub keydir_bytes: u64,
    /// Bytes of memory of buffers.
    pub buffer_bytes: u64,
}

impl Cold {
    /// Ends the active segment, so that it can be rewritten.
    ///
    /// # Errors
    /// `Io`, and writing ends; `ReadOnly`.
    pub fn seal_active(&self) -> Result<()> {
        self.log()?.seal_active()
    }

    /// Lets another process have the stage's file if it waits for it. To be called a few times a
    /// second, as long as the store is open.
    ///
    /// # Errors
    /// `NoSpace`, `Io`: it goes on waiting.
    pub fn give_way(&self) -> Result<()> {
        self.log.as_ref().map_or(Ok(()), Log::give_way)
    }

    /// True while a rewriting, a checkpoint or a backup goes on, which others would wait for.
    pub fn is_rewriting(&self) -> bool {
        self.compactor.try_lock().is_none()
    }

    /// Rewrites the segment that is most worth it; `None` if none is, or `host` gave up.
    ///
    /// # Errors
    /// `NoSpace`, `Io`, `OutOfMemory`: nothing was lost; `ReadOnly`.
    pub fn compact_next(&self, host: &dyn Host) -> Result<Option<Rewritten>> {
        let mut compactor = self.compactor.lock();
        let best = self.field(&compactor).best().cloned();
        match best {
            Some(segment) => self.rewrite(&mut compactor, host, segment),
            None => Ok(None),
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

    /// Makes the files take less than `capacity`: rewrites segments that are mostly dead, and where
    /// there are none drops the oldest values, but for those that were read. Gives each segment that
    /// went to `report`.
    ///
    /// # Errors
    /// As [`Cold::compact_next`].
    pub fn keep_within(
        &self,
        capacity: u64,
        host: &dyn Host,
        report: &mut dyn FnMut(&Rewritten),
    ) -> Result<()> {
        let mut compactor = self.compactor.lock();
        while self.disk_bytes() > capacity / 16 * 15 && host.go_on() {
            if self.field(&compactor).rewritable.is_empty() {
                compactor.seal_output();
            }
            let field = self.field(&compactor);
            let oldest = || field.rewritable.iter().min_by_key(|segment| segment.sealed_turn());
            let chosen = match field.most_freeing(MOSTLY) {
                Some(dead) => Some((dead, Mode::Keep)),
                None => oldest().map(|oldest| (oldest, Mode::Evict)),
            };
            let Some((segment, mode)) = chosen.map(|(s, mode)| (s.clone(), mode)) else {
                return Ok(());
            };
            drop(field);
            match self.rewrite_as(&mut compactor, host, segment, mode)? {
                Some(rewritten) => report(&rewritten),
                None => return Ok(()),
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

    /// Rewrites all sealed segments that are not compressed or hold anything dead, and gives each
    /// to `report`.
    ///
    /// # Errors
    /// As [`Cold::compact_next`].
    pub fn compact_all(&self, host: &dyn Host, report: &mut dyn FnMut(&Rewritten)) -> Result<()> {
        let mut compactor = self.compactor.lock();
        // A first pass takes away the dead values that tombstones had to outlive, a second one
        // the tombstones; a third finds what died meanwhile.
        for _ in 0..3 {
            compactor.seal_output();
            let segments = self.field(&compactor).everything();
            if segments.is_empty() {
                return Ok(());
            }
            for segment in segments {
                // Asked each time: each that goes makes room for the next.
                if !self.can_rewrite(&mut compactor, host, &segment)? {
                    continue;
                }
                if let Some(rewritten) = self.rewrite(&mut compactor, host, segment)? {
                    report(&rewritten);
                }
            }
        }
        let field = self.field(&compactor);
        // What has nothing dead, and only could be compressed, stays as it is on a full disk.
        let is_left = |s: &Arc<Segment>| field.dead_bytes(s) > 0 && !field.fits(s);
        let left = field.everything().into_iter().find(is_left);
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
        let field = self.field(compactor);
        if field.fits(segment) || field.dead_bytes(segment) == 0 {
            return Ok(field.fits(segment));
        }
        drop(field);
        self.thin(compactor, host, segment)?;
        Ok(self.field(compactor).fits(segment))
    }

    /// Gives back the room of what is dead in a segment that there is no room to rewrite; true if any
    /// came free.
    pub(super) fn thin(
        &self,
        compactor: &mut Compactor,
        host: &dyn Host,
        segment: &Arc<Segment>,
    ) -> Result<bool> {
        let parts = self.parts()?;
        let thinned = compactor.thin(&parts, host, segment, &|it| self.field(it).fits(segment));
        // It may have no checkpoint any more.
        self.changed.store(true, Ordering::Relaxed);
        self.reserve.end_lending(self.longest_segment());
        thinned
    }

    /// What there is to choose from.
    pub(super) fn field(&self, compactor: &Compactor) -> Field {
        let cleared = self.clear_sequence.load(Ordering::Acquire);
        compactor.field(&self.segments, self.reserve.room(), cleared)
    }

    /// Makes the reserve what it should be; true if it is whole.
    pub fn settle_reserve(&self) -> bool {
        self.reserve.settle(self.longest_segment())
    }

    fn longest_segment(&self) -> u64 {
        self.segments.all().iter().map(|segment| segment.end()).max().unwrap_or(0)
    }

    pub(super) fn rewrite(
        &self,
        compactor: &mut Compactor,
        host: &dyn Host,
        segment: Arc<Segment>,
    ) -> Result<Option<Rewritten>> {
        self.rewrite_as(compactor, host, segment, Mode::Keep)
    }

    /// What rewriting works on.
    fn parts(&self) -> Result<Parts<'_>> {
        self.poison.check()?;
        Ok(Parts {
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
    ) -> Result<Option<Rewritten>> {
        let parts = self.parts()?;
        self.tallies.working_bytes.store(compactor.working_bytes(), Ordering::Relaxed);
        let rewritten = compactor.rewrite(&parts, host, &segment, mode);
        self.tallies.working_bytes.store(0, Ordering::Relaxed);
        // Its file is closed with this, unless somebody reads it: only then its room is free.
        drop(segment);
        self.reserve.end_lending(self.longest_segment());
        let rewritten = rewritten?;
        if let Some(rewritten) = &rewritten {
            self.wrote(rewritten.bytes_after);
            self.tallies.compactions.fetch_add(1, Ordering::Relaxed);
        }
        Ok(rewritten)
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
        // Not while records are moved: what the checkpoint leaves to be found was moved after it.
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

    /// True if the files tell the time well enough for a value to expire by `moment`.
    pub fn tells(&self, moment: &Moment) -> bool {
        self.log.as_ref().is_none_or(|log| log.sequences().tells(moment))
    }

    /// Lets the files tell the time, if a clock was set.
    ///
    /// # Errors
    /// `NoSpace`, `Io`: what they told before stays; `ReadOnly`.
    pub fn keep_time(&self) -> Result<()> {
        if self.tells(&self.clock.moment()) {
            return Ok(());
        }
        self.poison.check()?;
        let sequences = self.log()?.sequences();
        sequences.write_time(&*self.disk, &*self.clock, &|moment| !sequences.tells(moment))
    }

    /// As [`Cold::keep_time`], at the end: also if something has expired and is not taken out yet,
    /// because it must not come back when the clock is set back before the next open.
    pub(super) fn end_time(&self) -> Result<()> {
        let Some(log) = &self.log else { return Ok(()) };
        let sequences = log.sequences();
        let expires = |moment: &Moment| sweep::choose(&self.segments, moment.wall).is_some();
        sequences.write_time(&*self.disk, &*self.clock, &|moment| {
            let is_asked = moment.lead_ms > SAME_MS || expires(moment);
            !sequences.tells(moment) || (is_asked && sequences.age_ms(moment) > 0)
        })
    }

    /// Bytes written since the last sync began.
    pub fn unsynced_bytes(&self) -> u64 {
        self.log.as_ref().map_or(0, Log::unsynced_bytes)
    }

    /// Appends a record which vouches that everything before the log's current end was synced.
    /// Called right after a sync that began when the log ended at `position`.
    ///
    /// # Errors
    /// As [`Cold::prepare`].
    pub fn vouch(&self, position: Position) -> Result<()> {
        let log = self.log()?;
        if log.active().is_none_or(|active| active.id() != position.segment) {
            return Ok(());
        }
        // It may come to stand in the next segment, and then vouches for nothing there.
        let mut marker = Draft::marker(Kind::Synced, position.offset);
        marker.sequence = position.segment;
        let appended = log.append(slice::from_mut(&mut marker), false)?;
        appended.segment.note(&marker.header, marker.location, 0);
        Ok(())
    }

    /// Where the log ends.
    ///
    /// # Errors
    /// `ReadOnly` if the store was opened so.
    pub fn position(&self) -> Result<Position> {
        Ok(self.log()?.position())
    }

    /// Sizes at this moment.
    pub fn gauges(&self) -> Gauges {
        let freezes = self.options.compression != Compression::None;
        let mut gauges = Gauges {
            entries: self.keydir.len(),
            keydir_bytes: self.keydir.memory_bytes(),
            buffer_bytes: self.log.as_ref().map_or(0, Log::memory_bytes)
                + self.tallies.working_bytes.load(Ordering::Relaxed),
            ..Gauges::default()
        };
        for segment in self.segments.all().iter().filter(|segment| !segment.is_gone()) {
            let bytes = segment.file().len().unwrap_or(0);
            let is_log = segment.header().kind == SegmentKind::Log;
            gauges.segments += 1;
            gauges.bytes_disk = gauges.bytes_disk.saturating_add(bytes);
            gauges.bytes_live += segment.live_bytes_in_file();
            let unfrozen = if freezes && is_log { bytes } else { 0 };
            gauges.unfrozen_bytes = gauges.unfrozen_bytes.saturating_add(unfrozen);
        }
        gauges.bytes_disk += self.reserve.bytes();
        gauges
    }

    /// Writes a copy of the store as it is at one moment, with a checkpoint, into an empty
    /// directory; `quiesce` as for [`Cold::checkpoint`].
    ///
    /// # Errors
    /// `NoSpace`, `Io`: part of the copy is there.
    pub fn backup(&self, dest: Arc<dyn Disk>, quiesce: &dyn Fn()) -> Result<()> {
        let compactor = self.compactor.lock();
        let (position, segments) = match &self.log {
            Some(log) => log.snapshot(),
            None => (Position { segment: 0, offset: 0, sequence: 0 }, self.segments.all()),
        };
        quiesce();
        // What the keydir alone knows to be lost would be absent in the copy.
        if let Some(segment) = segments.iter().find(|s| s.lacks() && s.live().0 > 0) {
            let name = segment.name();
            let sentence = format!("{name} has lost records; compact the store first");
            return Err(Error::new(ErrorKind::Corrupt, sentence));
        }
        let mut ends = Vec::new();
        for segment in segments.into_iter().filter(|segment| !segment.is_gone()) {
            let end = match segment.header().kind {
                _ if position.segment == segment.id() => position.offset,
                // Its successor says how long it is, to the last byte.
                SegmentKind::Log => segment.file().len()?,
                SegmentKind::Frozen => segment.end(),
            };
            ends.push((segment, end));
        }
        let next_sequence = match &self.log {
            Some(log) => log.sequences().next(),
            None => self.sequence_floor,
        };
        let (seed, Moment { wall, lead_ms, .. }) = (self.hasher.seed(), self.clock.moment());
        // The notes that there are stay here.
        let keeps_notes = false;
        let manifest = Manifest { seed, next_sequence, time_ms: wall.0, lead_ms, keeps_notes };
        backup::copy(&*dest, &ends, &manifest)?;
        drop(compactor);
        // Opening it proves the copy, and leaves it with a checkpoint.
        let options = ColdOptions { read_only: false, create: true, ..self.options.clone() };
        let copy = Self::open(dest, self.clock.clone(), options)?;
        copy.checkpoint(&|| ())?;
        copy.end()
    }
}
