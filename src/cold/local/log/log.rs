//! The log: appends records to the active segment.
//!
//! An append writes to the segment's file at once, in one call, from the caller's memory where it can.
//! Many small appends in quick succession go to the file's pending bytes instead, and into the stage,
//! which survives the process. One write takes them all to the file: when there are enough, or when
//! the next append goes there at once. So a program that stores now and then hears at once that the
//! disk fails, and a program that stores much pays for few calls to the kernel.
//!
//! # Invariants
//! 1. Locks are taken in the order tail, pending bytes; neither is held while a sync waits for the disk.
//! 2. An append has its room on the disk before it writes, where the file system can tell, and values
//!    leave the reserve alone. So a full disk refuses an append and not the write of an acknowledged
//!    one, and deletes still work.
//! 3. A failed append leaves nothing in the file or the stage. If it cannot be cut off, the log is
//!    poisoned. What was staged before it stays, and is written with the next that works.
//! 4. A segment names the one before it and that one's length, unless that was synced before. So
//!    recovery can tell whether a power loss has taken the end of one and left the next.
//! 5. Before a segment is sealed everything is in its file: the stage is the active segment's alone.

use super::pending::{Appended, PendingRecord, encode_all};
use super::poison::Poison;
use super::reserve::{Need, Reserve, segment_bytes};
use super::sequences::Sequences;
use super::stage::{STAGED_BYTES_MAX, Stage};
use super::syncer::Syncer;
use super::tail::Tail;
use super::unsynced::Unsynced;
use crate::codec::record::{HEADER_BYTES, Kind};
use crate::codec::segment::{SegmentHeader, SegmentKind};
use crate::codec::stage::RING_BYTES;
use crate::cold::local::index::location::Location;
use crate::cold::local::segment::segment::{Segment, Segments};
use crate::error::{Error, Result};
use crate::io::failure::is_too_long;
use crate::io::files::Disk;
use crate::memory;
use crate::sync::{Mutex, MutexGuard};
use crate::time::{Clock, Instant};
use std::sync::Arc;

/// A place in the log: what was appended lies before or behind it.
#[derive(Clone, Copy, Debug)]
pub struct Position {
    /// Id of the active segment; 0 if there is none.
    pub segment: u64,
    /// Its length.
    pub offset: u64,
    /// Whatever the log gave a lower sequence lies before.
    pub sequence: u64,
}

/// The log.
pub struct Log {
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    segments: Arc<Segments>,
    sequences: Sequences,
    poison: Arc<Poison>,
    sync_on_roll: bool,
    unsynced_ms_max: u64,
    stage_after: u64,
    seed: u64,
    segment_bytes_max: u64,
    reserve: Arc<Reserve>,
    tail: Mutex<Tail>,
    syncer: Syncer,
}

/// How a log is set up.
pub struct LogOptions {
    /// What gives out sequences.
    pub sequences: Sequences,
    /// Whether, and why, writing has ended.
    pub poison: Arc<Poison>,
    /// Seed of the key hash, for the headers of segments.
    pub seed: u64,
    /// Length after which a new segment is begun, in bytes.
    pub segment_bytes_max: u64,
    /// Whether a segment is synced before the next is made.
    pub sync_on_roll: bool,
    /// How long what was appended may wait for a sync, in milliseconds; `u64::MAX`: for ever.
    pub unsynced_ms_max: u64,
    /// Room for what deletes.
    pub reserve: Arc<Reserve>,
    /// The segment to go on with, sealed otherwise.
    pub active: Option<Arc<Segment>>,
    /// After how many appends in quick succession the next ones are staged; `u64::MAX`: no
    /// append is.
    pub stage_after: u64,
}

impl Log {
    /// A log that goes on where `options.active` ends.
    pub fn new(
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        segments: Arc<Segments>,
        options: LogOptions,
    ) -> Self {
        let segment_bytes_max = segment_bytes(&*disk, options.segment_bytes_max);
        Self {
            disk,
            clock,
            segments,
            sequences: options.sequences,
            poison: options.poison,
            sync_on_roll: options.sync_on_roll,
            unsynced_ms_max: options.unsynced_ms_max,
            stage_after: options.stage_after,
            seed: options.seed,
            segment_bytes_max: options.segment_bytes_max,
            reserve: options.reserve,
            tail: Mutex::new(Tail::new(options.active, segment_bytes_max)),
            syncer: Syncer::default(),
        }
    }

    /// Appends all records, side by side in one segment; when it returns they survive the process.
    /// With `through` they are in the file, as is needed before a sync. Of records that are chained
    /// recovery finds all or none.
    ///
    /// # Errors
    /// `NoSpace`, `Io`, `OutOfMemory`: nothing of it is in the log. `ReadOnly` once poisoned.
    pub fn append(&self, records: &mut [PendingRecord<'_>], through: bool) -> Result<Appended> {
        let deletes = |record: &PendingRecord<'_>| {
            matches!(record.header.kind, Kind::Tombstone | Kind::Clear)
        };
        let needs_reserve = records.iter().all(deletes);
        loop {
            match self.append_once(records, through, needs_reserve) {
                Err(error) if needs_reserve && self.may_retry(&error, records) => {}
                Err(error) if is_too_long(&error) && self.may_end_earlier() => {}
                result => return result,
            }
        }
    }

    /// True if the reserve has given room for what deletes.
    fn may_retry(&self, error: &Error, records: &[PendingRecord<'_>]) -> bool {
        let bytes: u64 = records.iter().map(|record| record.header.record_bytes()).sum();
        let pending = self.active().map_or(0, |active| active.file().pending_bytes());
        self.reserve.may_help(error, bytes + pending, Need::Deletion)
    }

    /// True if segments have to be shorter from now on than the active one is: files may not be as long as
    /// when it was begun.
    fn may_end_earlier(&self) -> bool {
        let bytes = segment_bytes(&*self.disk, self.segment_bytes_max);
        self.tail.lock().shorten(bytes)
    }

    fn append_once(
        &self,
        records: &mut [PendingRecord<'_>],
        through: bool,
        needs_reserve: bool,
    ) -> Result<Appended> {
        let bytes = records.iter().map(|record| record.header.record_bytes()).sum();
        let (mut tail, segment, now) = self.tail_with_room(bytes)?;
        tail.reserve(bytes, !needs_reserve, &self.reserve)?;
        let start = tail.offset;
        self.place(&segment, &mut tail, records);
        let written = match self.may_stage(&mut tail, now, bytes) && !through {
            true => self.stage(&mut tail, start, records, &segment),
            false => self.write(&mut tail, records, &segment),
        };
        if let Err(error) = written {
            tail.offset = start;
            // The file is asked each time until it has taken many.
            tail.end_run();
            return Err(error);
        }
        tail.ticket += 1;
        tail.unsynced.add(&segment, bytes, now);
        Ok(Appended { segment, ticket: tail.ticket })
    }

    /// The log's end, the active segment, into which `bytes` more fit, and the time.
    fn tail_with_room(&self, bytes: u64) -> Result<(MutexGuard<'_, Tail>, Arc<Segment>, Instant)> {
        loop {
            let mut tail = self.open_tail()?;
            let now = self.clock.coarse();
            let is_late = |since: Instant| now.0.saturating_sub(since.0) > self.unsynced_ms_max;
            let fitting = tail.fitting(bytes);
            let is_full = fitting.is_none() && tail.unsynced.is_full();
            if tail.waits_since().is_some_and(is_late) || is_full {
                drop(tail);
                // Whoever writes faster than the disk takes it waits here.
                self.sync()?;
                continue;
            }
            match fitting {
                Some(segment) => return Ok((tail, segment, now)),
                None => self.roll(&mut tail)?,
            }
        }
    }

    /// True if `bytes` more may wait in the stage: many appends have followed each other closely, there
    /// is one, and there is room for them on the disk.
    fn may_stage(&self, tail: &mut Tail, now: Instant, bytes: u64) -> bool {
        let run = tail.run(now);
        // What deletes may find that no room was taken, and is then to be told by the file.
        bytes <= STAGED_BYTES_MAX
            && run >= self.stage_after
            && tail.stage(&*self.disk, now).is_some()
            && tail.has_room()
    }

    /// Puts the records behind the pending bytes, and into the stage.
    fn stage(
        &self,
        tail: &mut Tail,
        start: u64,
        records: &[PendingRecord<'_>],
        segment: &Segment,
    ) -> Result<()> {
        let file = segment.file();
        let bytes = usize::try_from(tail.offset - start).unwrap_or(usize::MAX);
        if start + bytes as u64 > file.flushed() + RING_BYTES as u64 {
            self.flush(segment)?;
        }
        let Some(stage) = &mut tail.stage else { return self.write(tail, records, segment) };
        let mut kept = Ok(());
        file.push(
            bytes,
            |pending| encode_all(records, segment, pending),
            |added| kept = stage.put(start, added),
        )?;
        if kept.is_ok() {
            return Ok(());
        }
        // Another process wants the stage's file, or the file system does not take stores into memory
        // any more. It is asked in the plain way for a while, and its answer is the one that counts.
        if let Err(error) = self.flush(segment) {
            // The stage stays: what was staged before would be lost with the process.
            file.pop(bytes);
            self.cut(tail, segment);
            return Err(error);
        }
        tail.leave_stage(&*self.disk, self.clock.coarse());
        Ok(())
    }

    /// Gives the stage up if another process wants its file, which waits for that.
    ///
    /// # Errors
    /// `NoSpace`, `Io`: what is pending cannot be written, and the stage stays.
    pub fn give_way(&self) -> Result<()> {
        let mut tail = self.tail.lock();
        if !tail.stage.as_ref().is_some_and(Stage::is_wanted) {
            return Ok(());
        }
        if let Some(active) = &tail.active {
            self.flush(active)?;
        }
        tail.leave_stage(&*self.disk, self.clock.coarse());
        Ok(())
    }

    /// Writes what is pending to the file. It was acknowledged, so it may have all of the reserve: another
    /// program can have taken its room on the disk while that was let go after a failed write.
    fn flush(&self, segment: &Segment) -> Result<()> {
        let file = segment.file();
        self.reserve.lend(Need::Pending, file.pending_bytes(), || file.flush(&[]))
    }

    /// Writes the records to the file, with what is pending before them.
    fn write(
        &self,
        tail: &mut Tail,
        records: &[PendingRecord<'_>],
        segment: &Segment,
    ) -> Result<()> {
        let file = segment.file();
        let written = match records {
            [record] => {
                let header = &record.header;
                let head = header.encode(segment.place(record.location.offset()));
                let expiry = record.expires_at.to_le_bytes();
                let expiry = &expiry[..if header.expires { 8 } else { 0 }];
                let end = HEADER_BYTES + header.body_bytes();
                let padding = usize::try_from(header.record_bytes()).unwrap_or(end) - end;
                file.flush(&[&head, expiry, record.key, record.value, &[0; 8][..padding]])
            }
            _ => {
                let mut bytes = Vec::new();
                let all: u64 = records.iter().map(|record| record.header.record_bytes()).sum();
                let room = usize::try_from(all).unwrap_or(usize::MAX);
                memory::grow(&mut bytes, room, "what is written at once")?;
                encode_all(records, segment, &mut bytes);
                file.flush(&[&bytes])
            }
        };
        written.inspect_err(|_| self.cut(tail, segment))
    }

    /// Cleans up after a failed write.
    fn cut(&self, tail: &mut Tail, segment: &Segment) {
        if let Err(error) = tail.cut(segment) {
            self.poison.set(&error);
        }
    }

    /// Gives each record its sequence and its location.
    fn place(&self, segment: &Segment, tail: &mut Tail, records: &mut [PendingRecord<'_>]) {
        for PendingRecord { header, sequence, location, .. } in records {
            header.sequence = if *sequence == 0 { self.sequences.take() } else { *sequence };
            let bytes = header.record_bytes();
            *location = Location::new(segment.slot(), tail.offset, bytes);
            tail.offset += bytes;
        }
    }

    /// Seals the active segment and begins a new one.
    fn roll(&self, tail: &mut Tail) -> Result<()> {
        self.seal(tail)?;
        // Not while another thread's sync is going on: should that fail, one that is made now may work,
        // because the kernel forgets what it could not write. Then the new segment says what came
        // before it, as it does where nothing is synced here.
        if self.sync_on_roll && !tail.is_syncing {
            self.sync_files(&std::mem::take(&mut tail.unsynced))?;
            tail.previous = None;
        }
        self.sequences.extend(&*self.disk, &*self.clock)?;
        let header = SegmentHeader {
            id: 0,
            seed: self.seed,
            kind: SegmentKind::Log,
            created_ms: self.clock.wall().0,
            sequence_floor: self.sequences.next(),
            previous: tail.previous,
        };
        let segment = self.segments.create(&*self.disk, header)?;
        // Only now: until there is a successor, this one still has to be named by it.
        tail.previous = None;
        // The file system may have become smaller, or larger.
        tail.set_segment_bytes_max(segment_bytes(&*self.disk, self.segment_bytes_max));
        tail.unsynced.names = true;
        tail.begin(segment);
        Ok(())
    }

    /// Ends the active segment, if there is one, so that all there is can be frozen.
    ///
    /// # Errors
    /// `NoSpace`, `Io`: what is pending cannot be written. `ReadOnly` once poisoned.
    pub fn seal_active(&self) -> Result<()> {
        let mut tail = self.open_tail()?;
        self.seal(&mut tail)
    }

    /// The log's end, unless the log is poisoned. It checks that under the lock: a thread may have
    /// waited for the lock while another one began a new segment and its sync failed, and must not
    /// believe that this sync worked.
    ///
    /// # Errors
    /// `ReadOnly` once poisoned.
    fn open_tail(&self) -> Result<MutexGuard<'_, Tail>> {
        let tail = self.tail.lock();
        self.poison.check()?;
        Ok(tail)
    }

    fn seal(&self, tail: &mut Tail) -> Result<()> {
        let Some(active) = tail.active.clone() else { return Ok(()) };
        self.flush(&active)?;
        tail.give_room_back();
        // The flush has changed the file, or a failed write has, although all records may be
        // synced.
        tail.changed(&active);
        active.file().end();
        active.seal();
        let id = u32::try_from(active.id()).unwrap_or(0);
        tail.previous = Some((id, tail.offset));
        tail.active = None;
        tail.offset = 0;
        Ok(())
    }

    /// Makes everything that was appended before survive power loss.
    ///
    /// # Errors
    /// `Io`, and the log is poisoned if that was the sync itself; `NoSpace`; `ReadOnly` once poisoned.
    pub fn sync(&self) -> Result<()> {
        let ticket = self.tail.lock().ticket;
        self.sync_to(ticket)
    }

    /// Makes the append with that ticket, and all before it, survive power loss. Threads that ask
    /// at once share one sync.
    ///
    /// # Errors
    /// As [`Log::sync`].
    pub fn sync_to(&self, ticket: u64) -> Result<()> {
        self.syncer.reach(ticket, || self.sync_now())
    }

    /// Syncs what was appended so far; gives the last ticket of that.
    fn sync_now(&self) -> Result<u64> {
        let mut tail = self.open_tail()?;
        if let Some(active) = &tail.active {
            self.flush(active)?;
        }
        let unsynced = std::mem::take(&mut tail.unsynced);
        tail.is_syncing = true;
        tail.syncing_since = unsynced.since;
        let ticket = tail.ticket;
        // Others append while this one waits for the disk.
        drop(tail);
        self.sync_files(&unsynced)?;
        let mut tail = self.tail.lock();
        tail.is_syncing = false;
        tail.syncing_since = None;
        Ok(ticket)
    }

    /// Takes note of a file beside the log's that has to survive power loss after the next sync.
    /// May sync.
    ///
    /// # Errors
    /// As [`Log::sync`].
    pub fn add_unsynced(&self, segment: &Arc<Segment>) -> Result<()> {
        let mut tail = self.tail.lock();
        tail.changed(segment);
        tail.unsynced.names = true;
        let is_full = tail.unsynced.is_full();
        drop(tail);
        if is_full { self.sync() } else { Ok(()) }
    }

    /// Compaction has removed `segment`: it needs no sync any more, and the next segment does not name
    /// it. What is named and not there would be missed.
    pub fn forget_segment(&self, segment: &Segment) {
        let mut tail = self.tail.lock();
        tail.unsynced.remove_file(segment);
        tail.previous = tail.previous.filter(|(id, _)| u64::from(*id) != segment.id());
    }

    fn sync_files(&self, unsynced: &Unsynced) -> Result<()> {
        unsynced.sync(&*self.disk).inspect_err(|error| self.poison.set(error))
    }

    /// Where the log ends.
    pub fn position(&self) -> Position {
        self.position_of(&self.tail.lock())
    }

    /// Where the log ends, and all segments that there are at that moment: they hold everything that
    /// was appended before, and no segment that the log begins later is among them.
    pub fn snapshot(&self) -> (Position, Vec<Arc<Segment>>) {
        // A segment is begun under this lock, so none comes between the two.
        let tail = self.tail.lock();
        (self.position_of(&tail), self.segments.all())
    }

    fn position_of(&self, tail: &Tail) -> Position {
        Position {
            segment: tail.active.as_ref().map_or(0, |segment| segment.id()),
            offset: tail.offset,
            sequence: self.sequences.next(),
        }
    }

    /// The segment that is appended to, if one is.
    pub fn active(&self) -> Option<Arc<Segment>> {
        self.tail.lock().active.clone()
    }

    /// Bytes written since the last sync began.
    pub fn unsynced_bytes(&self) -> u64 {
        self.tail.lock().unsynced.bytes
    }

    /// The sequences, from which versions come.
    pub fn sequences(&self) -> &Sequences {
        &self.sequences
    }

    /// Bytes of memory that the pending bytes and the stage take.
    pub fn memory_bytes(&self) -> u64 {
        let tail = self.tail.lock();
        let stage = if tail.stage.is_some() { RING_BYTES as u64 } else { 0 };
        tail.active.as_ref().map_or(0, |active| active.file().memory_bytes()) + stage
    }

    /// Takes away what only an open store needs: the stage, and the room that was taken. If
    /// something still waits in the stage it stays.
    ///
    /// # Errors
    /// `Io`: the file stays, which does no harm.
    pub fn end(&self) -> Result<()> {
        let mut tail = self.tail.lock();
        if tail.active.as_ref().is_some_and(|active| active.file().flushed() != tail.offset) {
            return Ok(());
        }
        tail.give_room_back();
        tail.stage.take().map_or(Ok(()), |stage| stage.end(&*self.disk))
    }
}
