//! What compaction was writing when the process or the power went: the end of the last frozen segment.
//!
//! Its records are copies. Until all of them had reached the disk the segment that they came from was
//! not removed, so each is there a second time, or was replaced since. If a copy is torn, or a sector
//! of it was lost, and that holds for all behind it, the segment ends before it: nothing is lost, and
//! nothing that looks damaged is left. If some copy behind it is nowhere else, the segment had been
//! whole, and what is wrong with it is damage.

use super::walk::Candidate;
use crate::codec::record::HEADER_BYTES;
use crate::cold::local::index::keydir::Keydir;
use crate::cold::local::index::location::Location;
use crate::cold::local::segment::read::sequence_at;
use crate::cold::local::segment::scan::{Scanner, Step, has_lost_sector};
use crate::cold::local::segment::segment::{Segment, Segments};
use crate::error::Result;

/// What is needed to tell whether a record is elsewhere.
pub struct Elsewhere<'a> {
    /// What the checkpoint had.
    pub keydir: &'a Keydir,
    /// All segments.
    pub segments: &'a Segments,
    /// Records up to this sequence were cleared.
    pub clear_sequence: u64,
}

/// True if the segment was not written to its end, from `from` on, where its first damage is. The
/// candidates are all that were scanned; they are sorted on the way.
///
/// # Errors
/// `Io`, `OutOfMemory`.
pub fn is_unfinished(
    segment: &Segment,
    from: u64,
    candidates: &mut [Candidate],
    elsewhere: &Elsewhere<'_>,
) -> Result<bool> {
    if !looks_torn(segment, from)? {
        return Ok(false);
    }
    candidates.sort_unstable_by_key(|candidate| candidate.hash);
    let is_behind =
        |c: &Candidate| c.location.slot() == segment.slot() && c.location.offset() >= from;
    Ok(candidates.chunk_by(|a, b| a.hash == b.hash).all(|group| {
        group.iter().filter(|c| is_behind(c)).all(|copy| {
            let has_it = |c: &Candidate| !is_behind(c) && c.intact && c.sequence >= copy.sequence;
            copy.sequence <= elsewhere.clear_sequence
                || group.iter().any(has_it)
                || elsewhere.knows(copy)
        })
    }))
}

impl Elsewhere<'_> {
    /// True if the checkpoint has the record, or a newer one.
    fn knows(&self, copy: &Candidate) -> bool {
        let places: Vec<Location> =
            self.keydir.lock_for(copy.hash).group(copy.hash).iter().collect();
        places.into_iter().any(|location| {
            let segment = self.segments.get(location.slot());
            let sequence = segment.and_then(|segment| sequence_at(&segment, copy.hash, location));
            sequence.is_some_and(|sequence| sequence >= copy.sequence)
        })
    }
}

/// True if what is damaged at `from` is what is left of a write that did not come to its end: the file
/// ends within it, or a sector of it was lost.
fn looks_torn(segment: &Segment, from: u64) -> Result<bool> {
    let length = segment.file().len()?;
    let mut scanner = Scanner::new(segment, from, u64::MAX)?;
    let (mut to, mut is_cut) = (length, false);
    while let Some(step) = scanner.next()? {
        is_cut = match step {
            Step::Gap { offset } => length - offset < HEADER_BYTES as u64,
            Step::Record { offset, intact: true, .. } => {
                to = offset;
                break;
            }
            Step::Record { offset, header, .. } => {
                offset + (HEADER_BYTES + header.body_bytes()) as u64 > length
            }
        };
    }
    Ok(is_cut || has_lost_sector(segment, from, to)?)
}
