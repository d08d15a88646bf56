//! Verifying: which records cannot be read, and which keys have none.
//!
//! Every record is read. Then the keydir is asked. A key is damaged too if there is no record at its
//! place, or if its record stands for a lost one. So every key that would answer `Corrupt` counts.

use super::index::keydir::SHARDS;
use super::index::location::Location;
use super::recovery::gone;
use super::segment::read::damaged;
use super::segment::scan::{Scanner, Step};
use super::segment::segment::Segment;
use super::tier::Local;
use crate::codec::record::{HEADER_BYTES, Header, Kind};
use crate::cold::tier::Verified;
use crate::error::{Error, ErrorKind, Result};
use std::sync::Arc;

/// What reading one segment has counted.
#[derive(Default)]
struct Counts {
    records: u64,
    /// Of those that can be told.
    damaged: u64,
    /// Runs of bytes.
    gaps: u64,
    /// Records that a key has.
    live: u64,
}

impl Local {
    /// Reads every record, and asks the keydir for those that are not there. What is damaged and has a
    /// key that is known is given to `tell`.
    ///
    /// # Errors
    /// `Io`, `OutOfMemory`.
    pub fn verify(&self, tell: &mut dyn FnMut(&[u8], &Error)) -> Result<Verified> {
        let mut verified = Verified::default();
        let all: Vec<_> = self.segments.all().iter().map(|s| (s.slot(), s.id())).collect();
        for (slot, id) in all {
            // Of one that is gone by now, rewriting has read every record; it is not held until then,
            // because a file without a name takes a descriptor.
            let segment = self.segments.get(slot).filter(|segment| segment.id() == id);
            let Some(segment) = segment else { continue };
            let end = segment.end();
            let counts = self.read_all(&segment, end, tell)?;
            let is_whole = counts.gaps == 0 && counts.live == segment.live().0 && !segment.lacks();
            let missing = if is_whole { 0 } else { self.count_missing(&segment, end)? };
            let unknown = u64::from(segment.lacks_unknown());
            let count = counts.damaged + counts.gaps.max(missing);
            verified.records += counts.records;
            verified.damaged += count.max(unknown);
            if count.max(unknown) > 0 {
                verified.findings.push(gone::finding(&segment, count));
            }
        }
        Ok(verified)
    }

    fn read_all(
        &self,
        segment: &Arc<Segment>,
        end: u64,
        tell: &mut dyn FnMut(&[u8], &Error),
    ) -> Result<Counts> {
        let mut counts = Counts::default();
        let mut scanner = Scanner::new(segment, 0, end)?;
        while let Some(step) = scanner.next()? {
            let Step::Record { offset, header, intact, .. } = step else {
                counts.gaps += 1;
                continue;
            };
            counts.records += 1;
            let location = Location::new(segment.slot(), offset, header.record_bytes());
            let has_key = matches!(header.kind, Kind::Value | Kind::Lost);
            let at = self.keydir.lock_for(header.hash).at(header.hash, location);
            let lives = has_key && at.is_some();
            counts.live += u64::from(lives);
            if intact && !(lives && header.kind == Kind::Lost) {
                continue;
            }
            counts.damaged += 1;
            if lives {
                let pinned = self.pin(header.hash, location);
                let key = self.read_key(&pinned, |known| Ok(known.key.to_vec()));
                let error = damaged(segment, offset, "is damaged");
                // Of some the hash is all that is left.
                key.iter().for_each(|key| tell(key, &error));
            }
        }
        Ok(counts)
    }

    /// Where the keys of one shard of the keydir stand in a segment.
    fn places_in(&self, segment: &Segment, shard: usize) -> Result<Vec<(u64, Location)>> {
        let shard = self.keydir.lock(shard);
        let is_in = |(_, location): &(u64, Location)| location.slot() == segment.slot();
        let mut places = Vec::new();
        places.try_reserve_exact(shard.iter().filter(is_in).count()).map_err(|_| {
            let sentence = "no memory for the keys of a damaged segment";
            Error::new(ErrorKind::OutOfMemory, sentence)
        })?;
        places.extend(shard.iter().filter(is_in));
        Ok(places)
    }

    /// Counts the keys of a segment whose places, before `end`, have no record.
    fn count_missing(&self, segment: &Arc<Segment>, end: u64) -> Result<u64> {
        let mut count = 0;
        for shard in 0..SHARDS {
            let places = self.places_in(segment, shard)?;
            for (hash, location) in places {
                // What lies behind the end, in a segment that goes on, came after the walk began.
                let is_asked = segment.lacks() || segment.is_sealed() || location.offset() < end;
                if is_asked && !has_record(segment, hash, location, end)? {
                    count += u64::from(self.is_at(hash, location));
                }
            }
        }
        Ok(count)
    }
}

/// True if the record of a key is at its place and before `end`, damaged or not.
fn has_record(segment: &Segment, hash: u64, location: Location, end: u64) -> Result<bool> {
    let offset = location.offset();
    if offset + HEADER_BYTES as u64 > end {
        return Ok(false);
    }
    let mut bytes = [0; HEADER_BYTES];
    segment.file().read_at(&mut bytes, offset)?;
    let header = Header::decode_damaged(&bytes, segment.place(offset));
    Ok(header.is_some_and(|header| header.hash == hash))
}
