//! Sweeping: taking out what has expired, without waiting for a read or a rewriting.
//!
//! Each segment knows how many of its values expire and when the first does. Once that time has
//! come its records are walked, those that have expired are taken out of the keydir, and it is
//! noted when the next does. Their space is then dead, and compaction reclaims it.

use crate::codec::record::Kind;
use crate::cold::host::{Host, Removal, RemovalCause};
use crate::cold::local::index::location::Location;
use crate::cold::local::segment::scan::{Scanner, Step};
use crate::cold::local::segment::segment::Segment;
use crate::cold::local::segment::segment::Segments;
use crate::cold::record::Place;
use crate::error::Result;
use crate::time::Timestamp;
use std::sync::Arc;

/// Records between two questions whether to go on.
const PAUSE_RECORDS: usize = 4_096;

/// The segment in which something has expired for longest, if one is.
pub fn choose(segments: &Segments, now: Timestamp) -> Option<Arc<Segment>> {
    let all = segments.all();
    let expiry = |segment: &Segment| segment.tally().soonest_expiry;
    let soonest = all.into_iter().min_by_key(|segment| expiry(segment));
    soonest.filter(|segment| expiry(segment) <= now.0)
}

/// Sweeps one segment; `lives` says whether a record is still its key's.
///
/// # Errors
/// `Io`, `OutOfMemory`.
pub fn sweep(
    segment: &Segment,
    host: &dyn Host,
    now: Timestamp,
    lives: &dyn Fn(u64, Location) -> bool,
) -> Result<()> {
    let end = segment.end();
    segment.forget_expiries();
    let walked = walk(segment, end, host, now, lives);
    if !matches!(walked, Ok(true)) {
        // What was not looked at is looked at next time.
        segment.note_expiry(now.0);
    }
    walked.map(drop)
}

/// False if the host broke it off.
fn walk(
    segment: &Segment,
    end: u64,
    host: &dyn Host,
    now: Timestamp,
    lives: &dyn Fn(u64, Location) -> bool,
) -> Result<bool> {
    let mut scanner = Scanner::new(segment, 0, end)?;
    let mut count = 0;
    while let Some(step) = scanner.next()? {
        let Step::Record { offset, header, expires_at, .. } = step else { continue };
        count += 1;
        if count % PAUSE_RECORDS == 0 && !host.go_on() {
            return Ok(false);
        }
        let location = Location::new(segment.slot(), offset, header.record_bytes());
        // Of a damaged record nobody knows when it expires: its key goes on answering so.
        if header.kind != Kind::Value || expires_at == 0 || !lives(header.hash, location) {
            continue;
        }
        if expires_at > now.0 {
            segment.note_expiry(expires_at);
            continue;
        }
        let cause = RemovalCause::Expired;
        segment.note_swept();
        let removal = Removal { cause, version: header.sequence, expires_at };
        let place = Place { hash: header.hash, word: location.word(), keep: None };
        host.removed(scanner.key(&header), &place, removal);
    }
    Ok(true)
}
