//! Walking the segments that no checkpoint accounts for, and where their records end.
//!
//! # What is a torn tail
//! In the last log segment, whatever follows the last whole record is a torn tail. A batch without
//! its last record is part of it. It is cut off, and its bytes are counted in
//! `cold_recovered_bytes`.
//!
//! It is damage instead if the files show that it had reached the disk: the checkpoint's position
//! or the offset of a *synced* record lies behind it. Anything unreadable that is followed by whole
//! records is damage too: its key answers `Corrupt` where it can be told, and the others are
//! untouched. There is one exception: a whole block of 4 KiB that reads as zeros, where nothing shows
//! that it was synced. A power loss leaves such a block if writes reach the disk out of order. The log
//! ends before it.
//!
//! The same holds for the log segments before the last, back to the first that the checkpoint
//! knows, that has a *synced* record, or that says all before it was synced. Each names the one
//! before it and its length. Where one is shorter than its successor says, or has a lost block, the
//! log ends there, and the records of later segments are dropped. What is left is a prefix.

use super::checkpoint::Loaded;
use crate::codec::record::{Header, Kind};
use crate::codec::segment::{SEGMENT_HEADER_BYTES, SegmentKind};
use crate::cold::local::index::location::{Location, OFFSET_LIMIT};
use crate::cold::local::segment::scan::{Scanner, Step, has_lost_sector};
use crate::cold::local::segment::segment::Segment;
use crate::error::Result;
use crate::memory;
use std::sync::Arc;

/// A record that a scan gave, as far as choosing the newest needs it.
pub struct Candidate {
    /// The key's hash.
    pub hash: u64,
    /// Its sequence.
    pub sequence: u64,
    /// Where it is.
    pub location: Location,
    /// What it says.
    pub kind: Kind,
    /// Another key had the same hash.
    pub collides: bool,
    /// Whether all of it is what was written.
    pub intact: bool,
}

/// What a walk through one segment came to, beside the candidates.
pub struct Walked {
    /// Length of the file.
    pub length: u64,
    /// Where valid records end.
    pub end: u64,
    /// Damaged records among them.
    pub damaged: u64,
    /// Where the first of them stands.
    pub damaged_from: Option<u64>,
    /// Sequence of the last clear; 0 if there was none.
    pub clear_sequence: u64,
    /// Greatest sequence.
    pub max_sequence: u64,
}

/// Everything that a scan gave of a segment, from some offset on.
pub struct Scanned {
    /// Length of the file.
    pub length: u64,
    /// What it gave, in order.
    pub steps: Vec<ScannedStep>,
}

/// A record, or what stands where one was expected.
pub struct ScannedStep {
    /// Its first byte.
    pub offset: u64,
    /// Its header, if one could be read.
    pub header: Option<Header>,
    /// Whether all of it is what was written.
    pub intact: bool,
    /// Milliseconds since the epoch; 0 for never.
    pub expires_at: u64,
}

/// A log segment of which nothing says that it was synced.
pub struct Open {
    /// The segment.
    pub segment: Arc<Segment>,
    /// Up to here the checkpoint accounts for it.
    pub known: u64,
    /// What a scan gave behind that.
    pub scanned: Scanned,
}

/// The log segments at the end that may not have been synced, the last one first: until one that
/// the checkpoint knows, that has a *synced* record, or before which all was synced.
pub fn open_end(all: &[Arc<Segment>], loaded: Option<&Loaded>) -> Result<Vec<Open>> {
    let mut open = Vec::new();
    for segment in all.iter().rev().filter(|s| s.header().kind == SegmentKind::Log) {
        // What precedes it was synced before the checkpoint; but it may have been gone on with.
        let is_known = loaded.is_some_and(|loaded| loaded.tallies.contains_key(&segment.id()));
        let known = known_end(segment, loaded);
        if let (true, Some(Open { segment: next, .. })) = (is_known, open.last())
            && segment.file().len()?.max(expected_end(segment, Some(&**next))) <= known
        {
            break;
        }
        let scanned = scan(segment, known)?;
        let is_end = is_known
            || segment.header().previous.is_none()
            || scanned.steps.iter().any(|step| step.marks_synced(segment));
        open.push(Open { segment: segment.clone(), known, scanned });
        if is_end {
            break;
        }
    }
    Ok(open)
}

/// Up to where the checkpoint accounts for a segment.
pub fn known_end(segment: &Segment, loaded: Option<&Loaded>) -> u64 {
    let Some(Loaded { head, tallies }) = loaded else { return 0 };
    match head.log_segment == segment.id() {
        true => head.log_offset,
        false => tallies.get(&segment.id()).map_or(0, |tally| tally.end),
    }
}

/// Scans a segment from `known` on, and keeps what the scan gives.
pub fn scan(segment: &Segment, known: u64) -> Result<Scanned> {
    let mut scanner = Scanner::new(segment, known, u64::MAX)?;
    let length = segment.file().len()?;
    let mut steps = Vec::new();
    while let Some(step) = scanner.next()? {
        memory::push(&mut steps, ScannedStep::of(step), "the records to recover")?;
    }
    Ok(Scanned { length, steps })
}

/// Scans a segment from `known` to `end`, and adds all of it; keeps nothing but the candidates.
/// The checkpoint has seen deletions with a sequence below `accounted`, and what came after them.
pub fn walk_all(
    segment: &Segment,
    (known, end): (u64, u64),
    accounted: u64,
    candidates: &mut Vec<Candidate>,
) -> Result<Walked> {
    let mut scanner = Scanner::new(segment, known, end)?;
    let length = segment.file().len()?;
    let mut walked = Walked::of(length, end);
    while let Some(step) = scanner.next()? {
        add_step(segment, &ScannedStep::of(step), accounted, &mut walked, candidates)?;
    }
    set_end(segment, end);
    Ok(walked)
}

/// Adds what was scanned before `end` to the segment's tally and to the candidates; `accounted` as
/// for [`walk_all`].
pub fn add_scanned(
    segment: &Segment,
    scanned: &Scanned,
    end: u64,
    accounted: u64,
    candidates: &mut Vec<Candidate>,
) -> Result<Walked> {
    let mut walked = Walked::of(scanned.length, end);
    for step in scanned.steps.iter().filter(|step| step.offset < end) {
        add_step(segment, step, accounted, &mut walked, candidates)?;
    }
    set_end(segment, end);
    Ok(walked)
}

fn add_step(
    segment: &Segment,
    step: &ScannedStep,
    accounted: u64,
    walked: &mut Walked,
    candidates: &mut Vec<Candidate>,
) -> Result<()> {
    if !step.intact {
        walked.damaged += 1;
        walked.damaged_from = walked.damaged_from.or(Some(step.offset));
    }
    let Some(header) = &step.header else { return Ok(()) };
    let location = Location::new(segment.slot(), step.offset, header.record_bytes());
    segment.note(header, location, step.expires_at);
    if header.kind != Kind::Synced {
        walked.max_sequence = walked.max_sequence.max(header.sequence);
    }
    let is_frozen = segment.header().kind == SegmentKind::Frozen;
    let is_old = is_frozen && header.sequence < accounted;
    match header.kind {
        Kind::Synced => return Ok(()),
        Kind::Clear | Kind::Tombstone if is_old => return Ok(()),
        Kind::Clear => walked.clear_sequence = walked.clear_sequence.max(header.sequence),
        Kind::Value | Kind::Tombstone | Kind::Lost => {}
    }
    let candidate = Candidate {
        hash: header.hash,
        sequence: header.sequence,
        location,
        kind: header.kind,
        collides: header.collides,
        intact: step.intact,
    };
    memory::push(candidates, candidate, "the records to recover")
}

fn set_end(segment: &Segment, end: u64) {
    let mut tally = segment.tally();
    tally.end = end.clamp(SEGMENT_HEADER_BYTES as u64, OFFSET_LIMIT);
    segment.set_tally(tally);
}

impl Walked {
    fn of(length: u64, end: u64) -> Self {
        Self { length, end, damaged: 0, damaged_from: None, clear_sequence: 0, max_sequence: 0 }
    }
}

/// Where the records of the last log segment end, and the torn tail begins.
pub fn valid_end(segment: &Segment, scanned: &Scanned, known: u64) -> Result<u64> {
    let synced = synced_end(segment, scanned, known);
    let end = batch_end(&scanned.steps, u64::MAX).max(synced.min(scanned.length));
    Ok(lost_from(segment, scanned, synced, end)?.unwrap_or(end))
}

/// Where the records of a log segment end that has a successor: at its end, unless a power loss
/// took some of it and left the successor.
pub fn whole_end(segment: &Segment, scanned: &Scanned, known: u64, next: &Segment) -> Result<u64> {
    let expected = expected_end(segment, Some(next));
    let synced = synced_end(segment, scanned, known);
    let end = match scanned.length < expected {
        true => batch_end(&scanned.steps, u64::MAX).max(synced.min(scanned.length)),
        false => scanned.length,
    };
    Ok(lost_from(segment, scanned, synced, end)?.unwrap_or(end))
}

/// The length that the successor says a log segment had; 0 if there is none that says so.
pub fn expected_end(segment: &Segment, next: Option<&Segment>) -> u64 {
    next.and_then(|next| next.header().previous)
        .filter(|(id, _)| u64::from(*id) == segment.id())
        .map_or(0, |(_, end)| end)
}

/// Up to where it is certain that the bytes had reached the disk.
fn synced_end(segment: &Segment, scanned: &Scanned, known: u64) -> u64 {
    let marks = scanned.steps.iter().filter(|step| step.marks_synced(segment));
    marks.filter_map(|step| step.header).fold(known, |synced, mark| synced.max(mark.hash))
}

/// Where something begins, behind `synced` and before `end`, that never reached the disk; moved to
/// the end of the last batch before it.
fn lost_from(segment: &Segment, scanned: &Scanned, synced: u64, end: u64) -> Result<Option<u64>> {
    let mut rest = &scanned.steps[..];
    while let Some(first) = rest.iter().position(|step| !step.intact) {
        // What was lost goes over several records, and begins or ends within some.
        let flaws = rest[first..].iter().take_while(|step| !step.intact).count();
        let start = rest[first].offset;
        rest = &rest[first + flaws..];
        let next = rest.first().map_or(scanned.length, |next| next.offset);
        let is_asked = start >= synced && start < end;
        if is_asked && has_lost_sector(segment, start, next)? {
            return Ok(Some(batch_end(&scanned.steps, start).max(synced)));
        }
    }
    Ok(None)
}

impl ScannedStep {
    fn of(step: Step) -> Self {
        match step {
            Step::Gap { offset } => Self { offset, header: None, intact: false, expires_at: 0 },
            Step::Record { offset, header, intact, expires_at } => {
                Self { offset, header: Some(header), intact, expires_at }
            }
        }
    }

    /// True if it says that the segment had been synced before it.
    fn marks_synced(&self, segment: &Segment) -> bool {
        let is_mark = |mark: Header| mark.kind == Kind::Synced && mark.sequence == segment.id();
        self.intact && self.header.is_some_and(is_mark)
    }
}

/// The end of the last intact record, before `limit`, at which no batch is open.
fn batch_end(steps: &[ScannedStep], limit: u64) -> u64 {
    steps
        .iter()
        .take_while(|step| step.offset < limit)
        .filter_map(|step| Some((step, step.header?)))
        .filter(|(step, header)| step.intact && !header.chained)
        .last()
        .map_or(steps.first().map_or(0, |step| step.offset), |(step, header)| {
            step.offset + header.record_bytes()
        })
}
