//! Sweeping: taking out what has expired, without waiting for a read or a rewriting.
//!
//! Each segment knows how many of its values expire and when the first does. Once that time has
//! come its records are walked, those that have expired are taken out of the keydir, and it is
//! noted when the next does. Their space is then dead, and compaction reclaims it.

use super::compaction::{Departed, Departure, Host};
use super::location::Location;
use super::scan::{Scanner, Step};
use super::segment::Segment;
use super::segment::Segments;
use crate::codec::record::Kind;
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
    let mut scanner = Scanner::new(segment, 0, end)?;
    let mut count = 0;
    while let Some(step) = scanner.next()? {
        let Step::Record { offset, header, .. } = step else { continue };
        if header.kind != Kind::Value || !header.expires {
            continue;
        }
        let location = Location::new(segment.slot(), offset, header.record_bytes());
        let Some(record) = scanner.record(&header).filter(|_| lives(header.hash, location)) else {
            continue;
        };
        let expires_at = header.expires_at(record);
        count += 1;
        if expires_at > now.0 || (count % PAUSE_RECORDS == 0 && !host.go_on()) {
            segment.note_expiry(expires_at);
            continue;
        }
        let key = &record[header.key_start()..header.value_start()];
        let why = Departure::Expired;
        segment.note_swept();
        host.departed(key, location, Departed { why, version: header.sequence, expires_at });
    }
    Ok(())
}
