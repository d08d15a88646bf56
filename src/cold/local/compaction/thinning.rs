//! Thinning a segment: gives its room back in parts, if there is no room to rewrite it as a whole.
//!
//! On a full disk a segment can be longer than the room that is kept for compaction: a batch is as
//! long as its caller likes, and an older library, or a larger disk, had longer segments. Its dead
//! bytes go part by part. Each part moves records of no more than half of the free room.
//!
//! # Steps
//! 1. Move what lives in a part of the segment to the output, as rewriting does.
//! 2. Sync the output, its name, and the log. A crash leaves records that are there twice, with the
//!    same sequence.
//! 3. Remove the checkpoint, which may point to what goes, and sync the directory. The checkpoint
//!    is a derived file: a crash makes the next open walk more.
//! 4. Wait until nobody reads the segment: a reader may have found a place before step 1.
//! 5. Let a *filler* begin at every 64 KiB of the part, and sync the segment. A filler is a
//!    tombstone with the sequence 0, which deletes nothing. A crash leaves fillers whose other
//!    bytes are not zeros, so only their headers are verified. Without this step a hole would look
//!    like what a power loss leaves.
//! 6. Give the room of the fillers back to the disk (`FALLOC_FL_PUNCH_HOLE`): a hole, which reads
//!    as zeros.
//!
//! A record that is longer than half of the room stays where it is. The segment stays as it is if
//! somebody goes on reading it for a tenth of a second, if records are missing, or if the file
//! system has no holes.

use super::compaction::{Compactor, Mode, ScannedRecord, needed_at};
use super::output::Context;
use crate::codec::record::{ALIGNMENT, FILLER_BYTES_MAX, HEADER_BYTES, Header, Kind};
use crate::cold::local::index::location::Location;
use crate::cold::local::recovery::checkpoint;
use crate::cold::local::segment::scan::{Scanner, Step};
use crate::cold::local::segment::segment::Segment;
use crate::error::Result;
use crate::memory;
use std::sync::Arc;
use std::time::Duration;

/// What a file system gives back at a time.
const BLOCK_BYTES: u64 = 4096;

/// What a disk writes as a whole or not at all.
const SECTOR_BYTES: u64 = 512;

/// A run of dead records is worth a filler from this length on.
const RUN_BYTES_MIN: u64 = 4 * BLOCK_BYTES;

/// This share of the room may be used for what lives: the rest is for the ends of blocks, and names.
const ROOM_SHARE: u64 = 2;

/// Who has the segment when nobody reads it: the table of segments, and whoever thins it.
const HOLDERS: usize = 2;

/// How often, and how long each time, it is waited for those who read it.
const WAITS: usize = 100;
const WAIT: Duration = Duration::from_millis(1);

/// Records side by side, all of which may go.
#[derive(Clone, Copy, Default)]
struct Run {
    start: u64,
    end: u64,
    values: u64,
    value_bytes: u64,
    filler_bytes: u64,
}

/// What may go, and whether the segment's end was reached.
struct Part {
    runs: Vec<Run>,
    is_last: bool,
}

impl Compactor {
    /// Gives back the room of what is dead in `input`, until it `fits` and can be rewritten, or there is no
    /// more; true if any came free.
    ///
    /// # Errors
    /// Those of reading, writing and syncing; nothing is lost.
    pub fn thin(
        &mut self,
        context: &Context<'_>,
        input: &Arc<Segment>,
        fits: &dyn Fn(&Self) -> bool,
    ) -> Result<bool> {
        let mut has_freed = false;
        loop {
            let room = context.reserve.room() / ROOM_SHARE;
            let part = match self.take_part(context, input, room) {
                Ok(part) => part,
                Err(error) => return self.abandon(context).and(Err(error)),
            };
            let Some(part) = part else { return Ok(has_freed) };
            if part.runs.is_empty() || !was_left(input) || !fill(context, input, &part.runs)? {
                return Ok(has_freed);
            }
            has_freed = true;
            if part.is_last || fits(self) {
                return Ok(true);
            }
        }
    }

    /// Steps 1 to 3. `None` if the host broke it off, or the checkpoint has to stay.
    fn take_part(
        &mut self,
        context: &Context<'_>,
        input: &Arc<Segment>,
        room: u64,
    ) -> Result<Option<Part>> {
        let all = context.segments.all();
        // Of what is gone from these the checkpoint alone knows the keys.
        let may_lose = all.iter().any(|segment| segment.lacks());
        // Whoever has it by another name would find holes.
        if may_lose || input.file().is_linked()? || !context.host.go_on() {
            return Ok(None);
        }
        context.host.quiesce();
        context.log.sync()?;
        let part = self.move_part(context, (input, &all), room)?;
        self.flush(context)?;
        self.sync_output(context)?;
        context.log.sync()?;
        if !part.runs.is_empty() {
            checkpoint::remove(context.disk)?;
        }
        Ok(Some(part))
    }

    fn move_part(
        &mut self,
        context: &Context<'_>,
        (input, all): (&Segment, &[Arc<Segment>]),
        room: u64,
    ) -> Result<Part> {
        let mut scanner = Scanner::new(input, 0, input.end())?;
        let (mut part, mut run, mut moved) = (Part::default(), Run::default(), 0);
        while let Some(step) = scanner.next()? {
            let record = match step {
                // What is damaged is for the rewriting.
                Step::Gap { .. } | Step::Record { intact: false, .. } => None,
                Step::Record { offset, header, intact, expires_at } => {
                    Some(ScannedRecord { offset, header, intact, expires_at })
                }
            };
            let Some(record) = record else {
                part.add(std::mem::take(&mut run))?;
                continue;
            };
            let bytes = record.header.record_bytes();
            let place = Location::new(input.slot(), record.offset, bytes);
            let lives = needed_at(context, (input, all), &record.header, place).is_some();
            if lives && moved + bytes > room {
                part.add(std::mem::take(&mut run))?;
                if moved > 0 {
                    part.is_last = false;
                    return Ok(part);
                }
                continue;
            }
            run.add(&record, place);
            if !record.header.is_filler() {
                moved += self.take_over(context, (input, Mode::Keep, all), &scanner, record)?;
            }
        }
        part.add(run)?;
        Ok(part)
    }
}

impl Default for Part {
    fn default() -> Self {
        Self { runs: Vec::new(), is_last: true }
    }
}

impl Part {
    /// Takes a run that is worth it.
    fn add(&mut self, run: Run) -> Result<()> {
        let is_new = run.end - run.start >= run.filler_bytes + RUN_BYTES_MIN;
        if is_new { memory::push(&mut self.runs, run, "a segment that is thinned") } else { Ok(()) }
    }
}

impl Run {
    fn add(&mut self, record: &ScannedRecord, place: Location) {
        let bytes = record.header.record_bytes();
        // A header over two sectors may reach the disk by half: such a record stays.
        let is_torn = record.offset % SECTOR_BYTES > SECTOR_BYTES - HEADER_BYTES as u64;
        if self.end == 0 && is_torn && !record.header.is_filler() {
            return;
        }
        if self.end == 0 {
            self.start = record.offset;
        }
        self.end = record.offset + bytes;
        if matches!(record.header.kind, Kind::Value | Kind::Lost) {
            self.values += 1;
            self.value_bytes += place.bytes_max();
        }
        self.filler_bytes += if record.header.is_filler() { bytes } else { 0 };
    }

    /// Where fillers begin, and how long each is: from the second on they begin with a block.
    fn fillers(self) -> impl Iterator<Item = (u64, u64)> {
        let mut at = self.start;
        std::iter::from_fn(move || {
            let left = self.end - at;
            let most = FILLER_BYTES_MAX - (at % BLOCK_BYTES);
            // What is left has to have a header.
            let is_rest_short = left > most && left - most < HEADER_BYTES as u64;
            let short = if is_rest_short { HEADER_BYTES as u64 } else { 0 };
            let filler = (at, left.min(most - short));
            at += filler.1;
            debug_assert!(filler.1.is_multiple_of(ALIGNMENT), "a record begins behind it");
            (left > 0).then_some(filler)
        })
    }
}

/// Step 4; false if somebody goes on reading it.
fn was_left(input: &Arc<Segment>) -> bool {
    (0..WAITS).any(|_| {
        let is_left = Arc::strong_count(input) <= HOLDERS;
        if !is_left {
            std::thread::sleep(WAIT);
        }
        is_left
    })
}

/// Steps 5 and 6; false if the file system gives no room back.
fn fill(context: &Context<'_>, input: &Segment, runs: &[Run]) -> Result<bool> {
    for (at, bytes) in runs.iter().flat_map(|run| run.fillers()) {
        context.write(input, &Header::filler(bytes).encode(input.place(at)), at)?;
    }
    input.file().sync().inspect_err(|error| context.poison.set(error))?;
    for run in runs {
        for (at, bytes) in run.fillers() {
            let head = HEADER_BYTES as u64;
            if !input.file().punch(at + head, bytes - head)? {
                return Ok(false);
            }
        }
        input.fill(run.values, run.value_bytes, run.end - run.start - run.filler_bytes);
    }
    Ok(true)
}
