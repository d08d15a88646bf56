//! The tail: the end of the log, which one lock protects, and the room on the disk behind it.

use super::reserve::{QUOTA_BYTES, Reserve, STEP_BYTES};
use super::stage::Stage;
use super::unsynced::Unsynced;
use crate::codec::segment::SEGMENT_HEADER_BYTES;
use crate::cold::local::index::location::OFFSET_LIMIT;
use crate::cold::local::segment::segment::Segment;
use crate::error::Result;
use crate::io::failure::is_over_quota;
use crate::io::files::Disk;
use crate::time::Instant;
use std::sync::Arc;

/// Room on the disk is taken this many bytes at a time, when less than half of that is left: one call
/// for a thousand stores of 1 KiB.
const RESERVED_BYTES: u64 = 2 * AHEAD_BYTES;

/// Values leave so much room ahead of them, except at the end of a segment. The file system does not
/// tell how much is left of a quota. When the quota is used up, the reserve gets this room.
const AHEAD_BYTES: u64 = QUOTA_BYTES;

/// Two appends come in quick succession if they are no further apart, in milliseconds: two ticks of a
/// slow coarse clock.
const RUN_GAP_MS: u64 = 20;

/// How long the log waits with the next stage, in milliseconds, after one was given up or could not
/// be made. So a program that opens all files of the directory again and again costs little.
const STAGE_PAUSE_MS: u64 = 1_000;

/// The end of the log.
pub struct Tail {
    /// The segment that is appended to, if one is.
    pub active: Option<Arc<Segment>>,
    /// Its length, with what is pending.
    pub offset: u64,
    /// Up to here it has its room on the disk.
    reserved: u64,
    /// Values may be written up to here. The room behind it was taken for deletes.
    reserved_for_values: u64,
    /// The last room that values asked for was refused: nothing is taken ahead until some is given.
    was_refused: bool,
    /// Id and length of the last segment that was sealed and may not be synced.
    pub previous: Option<(u32, u64)>,
    /// Number of appends, and of other changes that a sync has to cover.
    pub ticket: u64,
    /// Files that have to be synced.
    pub unsynced: Unsynced,
    /// A sync of what was taken from there is going on, or has failed.
    pub is_syncing: bool,
    /// Since when what is being synced has been there.
    pub syncing_since: Option<Instant>,
    /// Made when it is needed first.
    pub stage: Option<Stage>,
    /// Before this no other is made.
    no_stage_until: Instant,
    /// How many appends have followed each other closely, and when the last one came.
    run: (u64, Instant),
    segment_bytes_max: u64,
}

impl Tail {
    /// The end of a log that goes on with `active`.
    pub fn new(active: Option<Arc<Segment>>, segment_bytes_max: u64) -> Self {
        let mut tail = Self {
            active: None,
            offset: 0,
            reserved: 0,
            reserved_for_values: 0,
            was_refused: false,
            previous: None,
            // The names that recovery may have changed.
            ticket: 1,
            unsynced: Unsynced::of_names(),
            is_syncing: false,
            syncing_since: None,
            stage: None,
            no_stage_until: Instant(0),
            run: (0, Instant(0)),
            segment_bytes_max,
        };
        if let Some(active) = active {
            tail.begin(active);
        }
        tail
    }

    /// Goes on behind the end of a segment.
    pub fn begin(&mut self, segment: Arc<Segment>) {
        self.offset = segment.end();
        self.was_refused = false;
        self.forget_room();
        segment.file().begin(self.offset);
        self.active = Some(segment);
    }

    /// The active segment, if `bytes` more fit into it.
    pub fn fitting(&self, bytes: u64) -> Option<Arc<Segment>> {
        let end = self.offset + bytes;
        let is_fresh = self.offset == SEGMENT_HEADER_BYTES as u64;
        let fits = end <= self.segment_bytes_max || is_fresh;
        self.active.clone().filter(|_| fits && end <= OFFSET_LIMIT)
    }

    /// This segment is to have this many bytes at most; false if that is no less than it was.
    pub fn shorten(&mut self, bytes: u64) -> bool {
        let is_shorter = bytes < self.segment_bytes_max;
        self.segment_bytes_max = self.segment_bytes_max.min(bytes);
        is_shorter
    }

    /// The next segment is to have this many bytes at most.
    pub fn set_segment_bytes_max(&mut self, bytes: u64) {
        self.segment_bytes_max = bytes;
    }

    /// Takes room on the disk for `bytes` bytes. A value leaves the reserve whole, and a deletion
    /// leaves half of it. A deletion may go on without room: its write then reports a full disk, if
    /// it is full.
    ///
    /// # Errors
    /// `NoSpace`.
    pub fn reserve(&mut self, bytes: u64, is_value: bool, reserve: &Reserve) -> Result<()> {
        let taken = if is_value { self.reserved_for_values } else { self.reserved };
        let ahead = if is_value && !self.was_refused { AHEAD_BYTES } else { 0 };
        let end = self.offset + bytes;
        let wanted = (end + ahead).min(self.segment_bytes_max).max(end);
        let Some(active) = self.active.as_ref().filter(|_| wanted > taken) else {
            return Ok(());
        };
        let rest = self.segment_bytes_max.saturating_sub(self.offset);
        let most = if is_value { RESERVED_BYTES } else { STEP_BYTES };
        let whole = most.min(rest).max(bytes);
        if is_value {
            let fresh = (self.offset + whole).saturating_sub(taken).min(whole);
            let kept = reserve.keep(self.offset + whole, fresh);
            if kept.is_err() && end <= taken {
                self.was_refused = true;
                return Ok(());
            }
            kept?;
        } else {
            reserve.keep_half(whole)?;
        }
        let active = active.clone();
        let some = whole.min(STEP_BYTES.max(bytes));
        let mut taken = self.take(&active, whole);
        self.was_refused = if is_value { taken.is_err() } else { self.was_refused };
        // The file system does not tell how much is left of a quota: that little is for the reserve.
        if is_value && taken.as_ref().is_err_and(is_over_quota) && reserve.note_quota() {
            return taken.map(drop);
        }
        for less in [some, bytes] {
            taken = taken.or_else(|_| self.take(&active, less));
        }
        let taken = match taken {
            Err(_) if !is_value => return Ok(()),
            taken => taken?,
        };
        self.reserved = self.reserved.max(self.offset + taken);
        if is_value {
            self.reserved_for_values = self.reserved;
        }
        Ok(())
    }

    /// Takes room for so many bytes behind the end; gives their number.
    fn take(&mut self, active: &Segment, bytes: u64) -> Result<u64> {
        // What is pending may have lost its room, and goes before.
        let has_lost = self.reserved < self.offset;
        let from = if has_lost { self.offset.min(active.file().flushed()) } else { self.offset };
        let taken = active.file().reserve(from, self.offset - from + bytes).map(|()| bytes);
        // The file system may have taken part of the room for the file.
        taken.or_else(|error| self.cut(active).and(Err(error)))
    }

    /// True if all up to the end has its room.
    pub fn has_room(&self) -> bool {
        self.offset <= self.reserved
    }

    /// Takes away what a failed write may have left behind the last byte that counts, and with it
    /// the room that was taken, but for what is pending.
    ///
    /// # Errors
    /// `Io`.
    pub fn cut(&mut self, segment: &Segment) -> Result<()> {
        self.forget_room();
        segment.file().cut()?;
        let (flushed, pending) = (segment.file().flushed(), segment.file().pending_bytes());
        if pending > 0 && segment.file().reserve(flushed, pending).is_ok() {
            self.reserved = flushed + pending;
        }
        Ok(())
    }

    fn forget_room(&mut self) {
        self.reserved = 0;
        self.reserved_for_values = 0;
    }

    /// Gives room back that was taken behind the end; everything is in the file.
    pub fn give_room_back(&self) {
        if let Some(active) = self.active.as_ref().filter(|_| self.reserved > self.offset) {
            // Where that fails nothing is lost but the room.
            let _ = active.file().set_len(self.offset);
        }
    }

    /// Takes note of an append that comes now; gives how many have followed each other closely.
    pub fn run(&mut self, now: Instant) -> u64 {
        let is_close = now.0.saturating_sub(self.run.1.0) <= RUN_GAP_MS;
        self.run = (if is_close { self.run.0 + 1 } else { 0 }, now);
        self.run.0
    }

    /// Begins to count them anew.
    pub fn end_run(&mut self) {
        self.run.0 = 0;
    }

    /// The stage. Makes one if there is none, unless one was given up or could not be made of late.
    pub fn stage(&mut self, disk: &dyn Disk, now: Instant) -> Option<&mut Stage> {
        if self.stage.is_none() && now >= self.no_stage_until {
            // Without a stage each append goes to the file, which is as good.
            self.stage = Stage::create(disk).ok();
            self.no_stage_until = Instant(now.0 + STAGE_PAUSE_MS);
        }
        self.stage.as_mut()
    }

    /// Gives the stage up. Pending bytes were written before.
    pub fn leave_stage(&mut self, disk: &dyn Disk, now: Instant) {
        self.no_stage_until = Instant(now.0 + STAGE_PAUSE_MS);
        if let Some(stage) = self.stage.take() {
            // Where the name stays it is in the way of the next one, and recovery finds nothing in it.
            let _ = stage.end(disk);
        }
    }

    /// Since when something has waited for a sync, or for the end of one.
    pub fn waits_since(&self) -> Option<Instant> {
        self.syncing_since.or(self.unsynced.since)
    }

    /// Takes note of a file that was changed: a sync before this is none of it.
    pub fn changed(&mut self, segment: &Arc<Segment>) {
        self.unsynced.add_file(segment);
        self.ticket += 1;
    }
}
