//! Segments that are not there: which were removed, and which are gone.
//!
//! The checkpoint names segments, and each log segment names the one before it. Compaction removes
//! some of them. It leaves a *note* before it removes a file, an empty file `000001.gone`, so that
//! recovery can tell such a segment from one that somebody else has removed. The note stays as long
//! as a checkpoint or a log segment names the segment. A segment that is named and has neither file
//! nor note is gone.
//!
//! A segment that is gone stands in the table without a file. The keys that the checkpoint has in
//! it answer `Corrupt`, as do those behind the end of a file that was cut; compaction makes *lost*
//! records of them. If only a successor names the segment, nobody knows its keys: it counts as one
//! damaged record until the store is cleared.
//!
//! # Invariants
//! 1. A note is made before its segment's file is removed, and names change in order.
//! 2. The manifest says whether the last writer keeps notes: before that, nothing follows from
//!    there being none.

use super::checkpoint::CHECKPOINT;
use crate::codec::checkpoint::Tally;
use crate::codec::segment::{SEGMENT_HEADER_BYTES, SegmentHeader, SegmentKind};
use crate::cold::local::segment::segment::{Segment, Segments, empty_tally, file_name};
use crate::error::{Error, ErrorKind, Result};
use crate::io::files::Disk;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

const SUFFIX: &str = ".gone";

/// Leaves a note that the segment is removed on purpose; `make` makes an empty file.
///
/// # Errors
/// `Io`, `NoSpace`: it must not be removed then.
pub fn note(disk: &dyn Disk, id: u64, make: &dyn Fn(&str) -> Result<()>) -> Result<()> {
    let name = note_name(id);
    let Err(error) = make(&name) else { return Ok(()) };
    let names = disk.list()?;
    // From a time when the file could not be removed.
    if names.contains(&name) {
        return Ok(());
    }
    if error.kind() != ErrorKind::NoSpace || !names.iter().any(|name| name == CHECKPOINT) {
        return Err(error);
    }
    // On a disk so full the checkpoint makes room: everything can be walked instead.
    disk.remove(CHECKPOINT)?;
    make(&name)
}

/// Removes the notes that nothing names any more: right after a checkpoint of just these segments.
///
/// # Errors
/// `Io`: they stay, which does no harm.
pub fn forget(disk: &dyn Disk, segments: &Segments) -> Result<()> {
    let named: HashSet<u64> = previous(&segments.all()).into_keys().collect();
    let stale = |id: &u64| !named.contains(id);
    notes(&disk.list()?)
        .iter()
        .filter(|id| stale(id))
        .try_for_each(|id| disk.remove(&note_name(*id)))
}

/// Removes the notes of segments that are there after all.
///
/// # Errors
/// `Io`.
pub fn forget_wrong(disk: &dyn Disk, names: &[String]) -> Result<()> {
    let is_there = |id: &&u64| names.contains(&file_name(**id));
    notes(names).iter().filter(is_there).try_for_each(|id| disk.remove(&note_name(*id)))
}

/// The ids of which there is a note.
pub fn notes(names: &[String]) -> HashSet<u64> {
    let id = |name: &String| {
        let id = name.strip_suffix(SUFFIX)?.parse().ok()?;
        (note_name(id) == *name).then_some(id)
    };
    names.iter().filter_map(id).collect()
}

/// What is named by the rows of a checkpoint or by the log, and has neither file nor note; with what
/// is known of it.
pub fn named(
    all: &[Arc<Segment>],
    rows: &[(u64, Tally)],
    notes: &HashSet<u64>,
) -> Vec<(u64, Tally)> {
    let there: HashSet<u64> = all.iter().map(|segment| segment.id()).chain(notes.clone()).collect();
    let mut gone: Vec<_> = rows.iter().filter(|(id, _)| !there.contains(id)).copied().collect();
    let known: HashSet<u64> = gone.iter().map(|(id, _)| *id).collect();
    for (id, (end, floor)) in previous(all) {
        let had_records = end > SEGMENT_HEADER_BYTES as u64;
        if had_records && !there.contains(&id) && !known.contains(&id) {
            gone.push((id, Tally { end, max_sequence: floor, ..empty_tally() }));
        }
    }
    gone
}

/// What log segments say of those before them: by id the length, and what no later sequence is below.
pub fn previous(all: &[Arc<Segment>]) -> HashMap<u64, (u64, u64)> {
    let headers = all.iter().map(|segment| segment.header());
    let logs = headers.filter(|header| header.kind == SegmentKind::Log);
    logs.filter_map(|log| log.previous.map(|(id, end)| (u64::from(id), (end, log.sequence_floor))))
        .collect()
}

/// Adds a segment that is gone, so that what had been found in it is found to be damaged.
///
/// # Errors
/// `Unsupported` when all slots are taken.
pub fn add(
    segments: &Segments,
    disk: &dyn Disk,
    seed: u64,
    (id, tally): (u64, Tally),
) -> Result<Arc<Segment>> {
    let header = SegmentHeader {
        id,
        seed,
        kind: SegmentKind::Frozen,
        created_ms: 0,
        sequence_floor: 0,
        previous: None,
    };
    let segment = segments.add_gone(header, disk.path())?;
    // Of a segment without a tally, and of none without records, nobody knows what it had.
    segment.set_lacking(tally.values + tally.tombstones == 0);
    segment.set_tally(tally);
    Ok(segment)
}

/// What is to be told of a segment in which so many keys, or runs of bytes, are known to be damaged.
pub fn finding(segment: &Segment, damaged: u64) -> Error {
    let path = segment.file().path().display();
    let sentence = match (segment.is_gone(), damaged) {
        (true, 0) => format!("{path} is gone, and nothing tells which keys it had; use a backup"),
        (true, count) => format!(
            "{path} is gone, and with it the values of {count} keys, which answer CORRUPT; store them \
             again or delete them"
        ),
        (false, 0) => format!("{path} is shorter than it was; use a backup"),
        (false, count) => format!(
            "{path} has {count} damaged records, whose keys answer CORRUPT; store them again or \
             delete them"
        ),
    };
    Error::new(ErrorKind::Corrupt, sentence)
}

fn note_name(id: u64) -> String {
    format!("{id:06}{SUFFIX}")
}
