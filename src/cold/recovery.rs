//! Opening a directory: from files to segments and a keydir.
//!
//! 1. Read the manifest and the header of every segment; a newer version ends here, before
//!    anything is touched.
//! 2. Load the checkpoint, if it is whole.
//! 3. Walk what the checkpoint does not account for: segments it does not know, and the log behind
//!    its position. Without a checkpoint that is everything.
//! 4. For each hash the newest record wins.
//! 5. Cut off the torn tail of the last segment, and go on behind it.
//!
//! # What is a torn tail
//! In the last log segment, what follows the last whole record, unless the files show that it had
//! reached the disk: the checkpoint's position or a *synced* record lies behind it. A batch whose
//! last record is missing is part of the tail. Damage that is followed by whole records is damage
//! (its key answers `Corrupt`) - but for a block of zeros that nothing vouches for, which is what
//! a power loss leaves of writes that came out of order: the log ends there.

use super::checkpoint::{self, CHECKPOINT, Loaded};
use super::keydir::Keydir;
use super::location::Location;
use super::read::read_key;
use super::scan::{Scanner, Step};
use super::segment::{self, Segment, Segments, empty_tally};
use super::sequences::{MANIFEST, RANGE};
use crate::codec::manifest::{MANIFEST_BYTES, Manifest};
use crate::codec::record::{Header, Kind};
use crate::codec::segment::{SEGMENT_HEADER_BYTES, SegmentHeader, SegmentKind};
use crate::codec::version::Decoded;
use crate::error::Result;
use crate::io::files::Disk;
use crate::key::KeyHasher;
use std::collections::HashMap;
use std::sync::Arc;

/// What was found in the directory.
pub struct Recovered {
    /// All segments.
    pub segments: Segments,
    /// The newest location of each key.
    pub keydir: Keydir,
    /// Seed of the key hash; `None` if no file tells, because there is none.
    pub seed: Option<u64>,
    /// No sequence below it may be given out.
    pub sequence_floor: u64,
    /// Records up to this sequence were cleared.
    pub clear_sequence: u64,
    /// The newest time written in the files, in milliseconds since the epoch.
    pub time_floor_ms: u64,
    /// The segment to go on with.
    pub active: Option<Arc<Segment>>,
    /// Bytes that had to be walked.
    pub scanned_bytes: u64,
    /// Bytes of the torn tail.
    pub torn_bytes: u64,
    /// Damaged records that were met.
    pub corrupt_records: u64,
    /// Derived files that were damaged or missing.
    pub rebuilt_files: u64,
}

/// A record that was met, as far as choosing the newest needs it.
struct Candidate {
    hash: u64,
    sequence: u64,
    location: Location,
    kind: Kind,
    collides: bool,
}

/// True if the directory has files of a store.
///
/// # Errors
/// `Io`.
pub fn is_store(disk: &dyn Disk) -> Result<bool> {
    let is_ours =
        |name: &String| name == MANIFEST || name == CHECKPOINT || segment::file_id(name).is_some();
    Ok(disk.list()?.iter().any(is_ours))
}

/// Reads the directory; cuts off the torn tail if `writable`.
///
/// # Errors
/// `Unsupported` if a newer version wrote a file; `Io`, `OutOfMemory`.
pub fn recover(disk: &dyn Disk, writable: bool) -> Result<Recovered> {
    let names = disk.list()?;
    let mut found = Recovered {
        segments: Segments::new(),
        keydir: Keydir::new(),
        seed: None,
        sequence_floor: 1,
        clear_sequence: 0,
        time_floor_ms: 0,
        active: None,
        scanned_bytes: 0,
        torn_bytes: 0,
        corrupt_records: 0,
        rebuilt_files: 0,
    };
    let has_manifest = found.read_manifest(disk, &names)?;
    let by_id = found.open_segments(disk, &names, writable)?;
    let has_checkpoint = names.iter().any(|name| name == CHECKPOINT);
    let loaded = match has_checkpoint {
        true => checkpoint::load(disk, found.seed, &by_id, &found.keydir)?,
        false => None,
    };
    found.rebuilt_files += u64::from(has_checkpoint && loaded.is_none());
    found.rebuilt_files += u64::from(!has_manifest && !by_id.is_empty());
    if let Some(Loaded { head, .. }) = &loaded {
        found.seed = found.seed.or(Some(head.seed));
        found.sequence_floor = found.sequence_floor.max(head.sequence);
        found.clear_sequence = head.clear_sequence;
        found.time_floor_ms = found.time_floor_ms.max(head.time_ms);
    }
    if writable {
        checkpoint::remove_leftover(disk, &names)?;
    }
    let candidates = found.walk(disk, loaded.as_ref(), writable)?;
    found.merge(candidates);
    found.count_live();
    for segment in found.segments.all() {
        if found.active.as_ref().is_none_or(|active| active.id() != segment.id()) {
            segment.seal();
        }
    }
    if !has_manifest {
        // Nobody knows how far the last range had been used.
        found.sequence_floor += RANGE;
    }
    Ok(found)
}

impl Recovered {
    fn read_manifest(&mut self, disk: &dyn Disk, names: &[String]) -> Result<bool> {
        if !names.iter().any(|name| name == MANIFEST) {
            return Ok(false);
        }
        let file = disk.open(MANIFEST, false)?;
        let mut bytes = vec![0; MANIFEST_BYTES];
        let count = file.read_at(&mut bytes, 0)?;
        match Manifest::decode(&bytes[..count]) {
            Decoded::Newer(version) => Err(checkpoint::newer(&*file, version)),
            Decoded::Damaged => Ok(false),
            Decoded::Valid(manifest) => {
                self.seed = Some(manifest.seed);
                self.sequence_floor = manifest.next_sequence;
                self.time_floor_ms = manifest.time_ms;
                Ok(true)
            }
        }
    }

    fn open_segments(
        &mut self,
        disk: &dyn Disk,
        names: &[String],
        writable: bool,
    ) -> Result<HashMap<u64, Arc<Segment>>> {
        let mut ids: Vec<u64> = names.iter().filter_map(|name| segment::file_id(name)).collect();
        ids.sort_unstable();
        let mut opened = Vec::new();
        for id in ids {
            let file = disk.open(&segment::file_name(id), writable)?;
            let mut bytes = [0; SEGMENT_HEADER_BYTES];
            let count = file.read_at(&mut bytes, 0)?;
            let header = match SegmentHeader::decode(&bytes[..count]) {
                Decoded::Newer(version) => return Err(checkpoint::newer(&*file, version)),
                Decoded::Valid(header) if header.id == id => Some(header),
                Decoded::Valid(_) | Decoded::Damaged => None,
            };
            if let Some(header) = &header {
                self.seed = self.seed.or(Some(header.seed));
                self.sequence_floor = self.sequence_floor.max(header.sequence_floor);
                self.time_floor_ms = self.time_floor_ms.max(header.created_ms);
            }
            opened.push((id, header, file));
        }
        let mut by_id = HashMap::new();
        for (id, header, file) in opened {
            // What a damaged header said is known from the others and from the file's name.
            let header = header.unwrap_or(SegmentHeader {
                id,
                seed: self.seed.unwrap_or(0),
                kind: SegmentKind::Frozen,
                created_ms: 0,
                sequence_floor: 0,
            });
            let segment = self.segments.add(header, file)?;
            by_id.insert(id, segment);
        }
        Ok(by_id)
    }

    /// Walks what the checkpoint does not account for.
    fn walk(
        &mut self,
        disk: &dyn Disk,
        loaded: Option<&Loaded>,
        writable: bool,
    ) -> Result<Vec<Candidate>> {
        let all = self.segments.all();
        let is_log = |segment: &&Arc<Segment>| segment.header().kind == SegmentKind::Log;
        let last_log = all.iter().rfind(is_log).map(|segment| segment.id());
        let mut candidates = Vec::new();
        for segment in &all {
            let tally = loaded.and_then(|loaded| loaded.tallies.get(&segment.id()));
            let mut known = tally.map_or(0, |tally| tally.end);
            segment.set_tally(tally.copied().unwrap_or_else(empty_tally));
            if let Some(Loaded { head, .. }) = loaded.filter(|l| l.head.log_segment == segment.id())
            {
                known = head.log_offset;
            }
            let is_last = last_log == Some(segment.id());
            let length = segment.file().len()?;
            if length > known || is_last {
                let accounted = loaded.map_or(0, |loaded| loaded.head.sequence);
                let walk = Walk { known, is_last, accounted };
                let walked = walk_segment(segment, &walk, &mut candidates)?;
                self.finish(disk, segment, known, &walked, writable && is_last)?;
                if writable && length > known {
                    // It may be relied on from now on, so it must be on disk.
                    segment.file().sync()?;
                }
            }
        }
        Ok(candidates)
    }

    /// Takes note of a walk, and cuts off or goes on behind the end of the last log segment.
    fn finish(
        &mut self,
        disk: &dyn Disk,
        segment: &Arc<Segment>,
        known: u64,
        walked: &Walked,
        is_active: bool,
    ) -> Result<()> {
        self.scanned_bytes += walked.length.saturating_sub(known);
        self.corrupt_records += walked.damaged;
        self.torn_bytes += walked.length.saturating_sub(walked.end);
        self.clear_sequence = self.clear_sequence.max(walked.clear_sequence);
        self.sequence_floor = self.sequence_floor.max(walked.max_sequence + 1);
        if !is_active {
            return Ok(());
        }
        if walked.length > walked.end {
            segment.file().set_len(walked.end)?;
        }
        // Nothing is appended to a segment that has lost bytes: what they held must not be taken
        // for overwritten, nor be covered by new records.
        if walked.damaged == 0 && walked.end >= known.max(SEGMENT_HEADER_BYTES as u64) {
            rewrite_tail(segment, known, walked.end)?;
            self.active = Some(segment.clone());
        }
        segment.file().sync()?;
        disk.sync_names()
    }

    /// For each hash lets the newest candidate win over the others and over the checkpoint.
    fn merge(&mut self, mut candidates: Vec<Candidate>) {
        let loaded_is_cleared = candidates.iter().any(|candidate| candidate.kind == Kind::Clear);
        if loaded_is_cleared {
            self.keydir.lock_all().iter_mut().for_each(|shard| drop(shard.take()));
        }
        let clear_sequence = self.clear_sequence;
        candidates.retain(|c| c.kind != Kind::Clear && c.sequence > clear_sequence);
        // A record that was being moved is there twice; slots are in the order of ids here, and
        // the copy has the greater one.
        candidates.sort_unstable_by_key(|c| (c.hash, c.sequence, c.location.slot()));
        for group in candidates.chunk_by(|a, b| a.hash == b.hash) {
            let (Some(newest), hash) = (group.last(), group[0].hash) else { continue };
            let mut shard = self.keydir.lock_for(hash);
            let before: Vec<Location> = shard.group(hash).iter().collect();
            let after = if before.len() > 1 || group.iter().any(|c| c.collides) {
                resolve(&self.segments, self.seed.unwrap_or(0), &before, group)
            } else {
                Vec::from_iter((newest.kind != Kind::Tombstone).then_some(newest.location))
            };
            for _ in &before {
                shard.remove(hash, 0);
            }
            for location in after {
                shard.insert(hash, location);
            }
        }
    }

    fn count_live(&self) {
        let slots: Vec<_> = self.segments.all();
        let by_slot: HashMap<u32, &Arc<Segment>> = slots.iter().map(|s| (s.slot(), s)).collect();
        for shard in self.keydir.lock_all() {
            for (_, location) in shard.iter() {
                if let Some(segment) = by_slot.get(&location.slot()) {
                    segment.add_live(location);
                }
            }
        }
    }
}

/// What a walk through one segment found, beside the candidates.
struct Walked {
    /// Length of the file.
    length: u64,
    /// Where valid records end.
    end: u64,
    damaged: u64,
    clear_sequence: u64,
    max_sequence: u64,
}

struct Met {
    offset: u64,
    header: Option<Header>,
    intact: bool,
    expires_at: u64,
}

/// How a segment is walked.
struct Walk {
    /// Offset up to which the checkpoint accounts for it.
    known: u64,
    /// It is the last log segment: what follows its last whole record may be a torn tail.
    is_last: bool,
    /// The checkpoint accounts for records with a lower sequence.
    accounted: u64,
}

fn walk_segment(segment: &Segment, walk: &Walk, candidates: &mut Vec<Candidate>) -> Result<Walked> {
    let is_frozen = segment.header().kind == SegmentKind::Frozen;
    let mut scanner = Scanner::new(segment, walk.known, u64::MAX)?;
    let length = segment.file().len()?;
    let mut met = Vec::new();
    while let Some(step) = scanner.next()? {
        met.push(match step {
            Step::Gap { offset } => Met { offset, header: None, intact: false, expires_at: 0 },
            Step::Record { offset, header, intact } => {
                let expires_at = scanner.record(&header).map_or(0, |r| header.expires_at(r));
                Met { offset, header: Some(header), intact, expires_at }
            }
        });
    }
    let end = if walk.is_last { valid_end(&scanner, walk.known, &met)? } else { length };
    let mut walked = Walked { length, end, damaged: 0, clear_sequence: 0, max_sequence: 0 };
    for Met { offset, header, intact, expires_at } in met.iter().filter(|met| met.offset < end) {
        walked.damaged += u64::from(!intact);
        let Some(header) = header else { continue };
        let location = Location::new(segment.slot(), *offset, header.record_bytes());
        segment.note(header, location, *expires_at);
        walked.max_sequence = walked.max_sequence.max(header.sequence);
        // A deletion that was moved: the checkpoint has seen it, and what came after it.
        let is_old = is_frozen && header.sequence < walk.accounted;
        match header.kind {
            Kind::Synced => continue,
            Kind::Clear | Kind::Tombstone if is_old => continue,
            Kind::Clear => walked.clear_sequence = walked.clear_sequence.max(header.sequence),
            Kind::Value | Kind::Tombstone | Kind::Lost => {}
        }
        candidates.push(Candidate {
            hash: header.hash,
            sequence: header.sequence,
            location,
            kind: header.kind,
            collides: header.collides,
        });
    }
    let mut tally = segment.tally();
    tally.end = end.max(SEGMENT_HEADER_BYTES as u64);
    segment.set_tally(tally);
    Ok(walked)
}

/// Where the torn tail begins, or the end of the file if there is none.
fn valid_end(scanner: &Scanner<'_>, known: u64, met: &[Met]) -> Result<u64> {
    let vouched = met
        .iter()
        .filter_map(|met| met.header.filter(|header| met.intact && header.kind == Kind::Synced))
        .fold(known, |vouched, header| vouched.max(header.hash));
    let mut end = batch_end(met, u64::MAX).max(vouched.min(scanner.end()));
    for (index, flaw) in met.iter().enumerate().filter(|(_, met)| !met.intact) {
        let next = met.get(index + 1).map_or(scanner.end(), |next| next.offset);
        if flaw.offset >= vouched
            && flaw.offset < end
            && scanner.has_lost_block(flaw.offset, next)?
        {
            end = batch_end(met, flaw.offset).max(vouched);
            break;
        }
    }
    Ok(end)
}

/// The end of the last intact record, before `limit`, at which no batch is open.
fn batch_end(met: &[Met], limit: u64) -> u64 {
    met.iter()
        .take_while(|met| met.offset < limit)
        .filter_map(|met| Some((met, met.header?)))
        .filter(|(met, header)| met.intact && !header.chained)
        .last()
        .map_or(met.first().map_or(0, |met| met.offset), |(met, header)| {
            met.offset + header.record_bytes()
        })
}

/// Writes the bytes again that are not known to have reached the disk. After a failed sync the
/// system may hold them as clean although they are not there, and a sync alone would prove nothing.
fn rewrite_tail(segment: &Segment, from: u64, end: u64) -> Result<()> {
    let mut at = from.max(SEGMENT_HEADER_BYTES as u64);
    let mut buffer = vec![0; 1 << 20];
    while at < end {
        let want = usize::try_from(end - at).unwrap_or(usize::MAX).min(buffer.len());
        let count = segment.file().read_at(&mut buffer[..want], at)?;
        if count == 0 {
            break;
        }
        segment.file().write_at(&[&buffer[..count]], at)?;
        at += count as u64;
    }
    Ok(())
}

/// The live locations of a hash that several keys share: the newest of each key.
fn resolve(
    segments: &Segments,
    seed: u64,
    before: &[Location],
    group: &[Candidate],
) -> Vec<Location> {
    let hasher = KeyHasher::new(seed);
    let key_at = |location: Location| {
        let segment = segments.get(location.slot())?;
        read_key(&segment, location, hasher, |k| (k.key.to_vec(), k.header.sequence)).ok()
    };
    let mut live: Vec<(Option<Vec<u8>>, u64, Location)> = Vec::new();
    for location in before {
        let known = key_at(*location);
        let sequence = known.as_ref().map_or(0, |(_, sequence)| *sequence);
        live.push((known.map(|(key, _)| key), sequence, *location));
    }
    for candidate in group {
        let key = key_at(candidate.location).map(|(key, _)| key);
        // Without the mark it was the hash's only key when it was written.
        live.retain(|(other, sequence, _)| {
            *sequence > candidate.sequence || (candidate.collides && *other != key)
        });
        if candidate.kind != Kind::Tombstone {
            live.push((key, candidate.sequence, candidate.location));
        }
    }
    live.into_iter().map(|(_, _, location)| location).collect()
}
