//! Opening a directory: from files to segments and a keydir.
//!
//! 1. Read the manifest and the header of every segment; a newer version ends here, before
//!    anything is touched.
//! 2. Take what the stage has behind the end of the last log segment.
//! 3. Load the checkpoint, if it is whole. Now what was taken is written, as nothing is newer.
//! 4. Walk what the checkpoint does not account for: segments it does not know, and the log behind
//!    its position. Without a checkpoint that is everything.
//! 5. For each hash the newest record wins.
//! 6. Cut off the torn tail of the last segment, and go on behind it.

use super::checkpoint::{self, CHECKPOINT, Loaded};
use super::keydir::Keydir;
use super::location::Location;
use super::read::read_any_key;
use super::segment::{self, Segment, Segments, empty_tally};
use super::segment_file::SegmentFile;
use super::sequences::{MANIFEST, RANGE};
use super::stage::{STAGE, read_ring, rescue};
use super::walk::{
    Candidate, Open, Walked, expected_end, known_end, open_end, take_up, valid_end, walk_all,
    whole_end,
};
use crate::codec::manifest::{MANIFEST_BYTES, Manifest};
use crate::codec::record::Kind;
use crate::codec::segment::{SEGMENT_HEADER_BYTES, SegmentHeader, SegmentKind};
use crate::codec::version::Decoded;
use crate::error::Result;
use crate::io::files::{Disk, File};
use crate::key::KeyHasher;
use std::collections::HashMap;
use std::sync::Arc;

/// Ranges of sequences that are left out when the manifest is lost.
const RANGES_SKIPPED: u64 = 256;

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
    /// Ids of segments whose first sector, or what comes before them in the log, never reached the
    /// disk: nothing of them was synced.
    lost_ids: Vec<u64>,
    /// Id of a log segment of which the end never reached the disk, though it has a successor.
    cut_id: Option<u64>,
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
        lost_ids: Vec::new(),
        cut_id: None,
    };
    let has_manifest = found.read_manifest(disk, &names)?;
    let ring = read_ring(disk, &names)?;
    let by_id = found.open_segments(disk, &names, ring, writable)?;
    let has_checkpoint = names.iter().any(|name| name == CHECKPOINT);
    let loaded = match has_checkpoint {
        true => checkpoint::load(disk, found.seed, &by_id, &found.keydir)?,
        false => None,
    };
    found.rebuilt_files += u64::from(has_checkpoint && loaded.is_none());
    found.rebuilt_files += u64::from(!has_manifest && !by_id.is_empty());
    if let Some(Loaded { head, tallies }) = &loaded {
        // Of a segment that is gone by now; a new one under its id would be taken for it.
        tallies.keys().for_each(|id| found.segments.spend_id(*id));
        found.seed = found.seed.or(Some(head.seed));
        found.sequence_floor = found.sequence_floor.max(head.sequence);
        found.clear_sequence = head.clear_sequence;
        found.time_floor_ms = found.time_floor_ms.max(head.time_ms);
    }
    if writable {
        // Only now, when no file has turned out to be a newer version's.
        for segment in found.segments.all() {
            segment.file().flush(&[])?;
            segment.file().end();
        }
        checkpoint::remove_leftover(disk, &names)?;
    }
    found.drop_lost(loaded.as_ref());
    let candidates = found.walk(disk, loaded.as_ref(), writable)?;
    if writable && names.iter().any(|name| name == STAGE) {
        disk.remove(STAGE)?;
        // Before anything is appended: where the tail was cut off, it must not be put back.
        disk.sync_names()?;
    }
    found.merge(candidates, loaded.as_ref().map_or(0, |loaded| loaded.head.sequence));
    found.count_live();
    for segment in found.segments.all() {
        if found.active.as_ref().is_none_or(|active| active.id() != segment.id()) {
            segment.seal();
        }
    }
    if !has_manifest {
        // Nobody knows how many ranges were taken since the last record that is left.
        found.sequence_floor += RANGES_SKIPPED * RANGE;
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
        ring: Option<Vec<u8>>,
        writable: bool,
    ) -> Result<HashMap<u64, Arc<Segment>>> {
        let mut ids: Vec<u64> = names.iter().filter_map(|name| segment::file_id(name)).collect();
        ids.sort_unstable();
        let mut opened = Vec::new();
        for id in ids {
            let file = disk.open(&segment::file_name(id), writable)?;
            let mut bytes = [0; SEGMENT_HEADER_BYTES];
            let count = file.read_at(&mut bytes, 0)?;
            if bytes[..count].iter().all(|byte| *byte == 0) {
                self.lost_ids.push(id);
            }
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
        let is_log = |header: &SegmentHeader| header.kind == SegmentKind::Log;
        let last_log = opened.iter().rfind(|(_, header, _)| header.as_ref().is_some_and(is_log));
        let last_log = last_log.map(|(id, ..)| *id);
        let mut by_id = HashMap::new();
        for (id, header, file) in opened {
            let file = match &ring {
                Some(ring) if last_log == Some(id) => complete(file, id, ring)?,
                _ => SegmentFile::new(file),
            };
            // What a damaged header said is known from the others and from the file's name.
            let header = header.unwrap_or(SegmentHeader {
                id,
                seed: self.seed.unwrap_or(0),
                kind: SegmentKind::Frozen,
                created_ms: 0,
                sequence_floor: 0,
                previous: None,
            });
            let segment = self.segments.add(header, file)?;
            by_id.insert(id, segment);
        }
        Ok(by_id)
    }

    /// Drops segments at the end of the log whose headers never reached the disk. One that the
    /// checkpoint knows, or that a log segment follows which does not name it, is only damaged.
    fn drop_lost(&mut self, loaded: Option<&Loaded>) {
        let zeroed = std::mem::take(&mut self.lost_ids);
        // Id of the log segment that the later ones let expect, once there is one.
        let mut expected = None;
        for segment in self.segments.all().iter().rev() {
            let is_known = loaded.is_some_and(|l| l.tallies.contains_key(&segment.id()));
            let is_expected = expected.is_none_or(|id| id == Some(segment.id()));
            if zeroed.contains(&segment.id()) && is_expected && !is_known {
                self.lost_ids.push(segment.id());
                self.segments.remove(segment);
                expected = None;
            } else if segment.header().kind == SegmentKind::Log {
                expected = Some(segment.header().previous.map(|(id, _)| u64::from(id)));
            }
        }
    }

    /// Walks what the checkpoint does not account for.
    fn walk(
        &mut self,
        disk: &dyn Disk,
        loaded: Option<&Loaded>,
        writable: bool,
    ) -> Result<Vec<Candidate>> {
        let all = self.segments.all();
        let accounted = loaded.map_or(0, |loaded| loaded.head.sequence);
        let mut candidates = Vec::new();
        for segment in &all {
            let tally = loaded.and_then(|loaded| loaded.tallies.get(&segment.id()));
            segment.set_tally(tally.copied().unwrap_or_else(empty_tally));
        }
        let open = open_end(&all, loaded)?;
        let is_frozen = |segment: &&Arc<Segment>| segment.header().kind == SegmentKind::Frozen;
        let last_frozen = all.iter().rfind(is_frozen).map(|segment| segment.id());
        for segment in &all {
            let known = known_end(segment, loaded);
            if segment.file().len()? <= known || open.iter().any(|o| o.segment.id() == segment.id())
            {
                continue;
            }
            let walked = walk_all(segment, known, accounted, &mut candidates)?;
            self.note_walk(known, &walked);
            if writable {
                // It may be relied on from now on, so it must be on disk. The last one is what
                // compaction was writing, and a sync of it may have failed.
                if last_frozen == Some(segment.id()) {
                    rewrite_tail(segment, known, walked.end)?;
                }
                segment.file().sync()?;
            }
        }
        for (index, Open { segment, known, met }) in open.iter().enumerate().rev() {
            let next = index.checked_sub(1).and_then(|index| open.get(index));
            if self.follows_lost(segment) {
                self.torn_bytes += met.length;
                self.lost_ids.push(segment.id());
                self.segments.remove(segment);
                continue;
            }
            let end = match next {
                Some(next) if !self.follows_lost(&next.segment) => {
                    whole_end(segment, met, *known, &next.segment)?
                }
                _ => valid_end(segment, met, *known)?,
            };
            let is_cut = end < expected_end(segment, next.map(|next| &*next.segment));
            let walked = take_up(segment, met, end, accounted, &mut candidates)?;
            self.note_walk(*known, &walked);
            if writable {
                self.finish(disk, segment, *known, &walked, next.is_none())?;
            }
            if is_cut {
                self.cut_id = Some(segment.id());
            }
        }
        if writable {
            self.remove_lost(disk)?;
        }
        Ok(candidates)
    }

    /// True if the log segment before this one was dropped, or cut short.
    fn follows_lost(&self, segment: &Segment) -> bool {
        let previous = segment.header().previous.map(|(id, _)| u64::from(id));
        previous.is_some_and(|id| self.lost_ids.contains(&id) || self.cut_id == Some(id))
    }

    /// Removes the files of what was dropped, the last one first: as long as one is there, those
    /// behind it in the log must be known for dropped.
    fn remove_lost(&mut self, disk: &dyn Disk) -> Result<()> {
        self.lost_ids.sort_unstable();
        for id in self.lost_ids.iter().rev() {
            disk.remove(&segment::file_name(*id))?;
        }
        if self.lost_ids.is_empty() { Ok(()) } else { disk.sync_names() }
    }

    fn note_walk(&mut self, known: u64, walked: &Walked) {
        self.scanned_bytes += walked.length.saturating_sub(known);
        self.corrupt_records += walked.damaged;
        self.torn_bytes += walked.length.saturating_sub(walked.end);
        self.clear_sequence = self.clear_sequence.max(walked.clear_sequence);
        self.sequence_floor = self.sequence_floor.max(walked.max_sequence + 1);
    }

    /// Cuts off what is not valid, and goes on behind the end of the last log segment.
    fn finish(
        &mut self,
        disk: &dyn Disk,
        segment: &Arc<Segment>,
        known: u64,
        walked: &Walked,
        is_active: bool,
    ) -> Result<()> {
        if walked.length > walked.end {
            segment.file().set_len(walked.end)?;
        }
        // Nothing is appended to a segment that has lost bytes: what they held must not be taken
        // for overwritten, nor be covered by new records.
        let is_whole = walked.damaged == 0 && walked.end >= known.max(SEGMENT_HEADER_BYTES as u64);
        if is_active && is_whole {
            self.active = Some(segment.clone());
        }
        rewrite_tail(segment, known, walked.end)?;
        segment.file().sync()?;
        disk.sync_names()
    }

    /// For each hash lets the newest candidate win over the others and over the checkpoint.
    /// The checkpoint accounts for records with a lower sequence than `accounted`.
    fn merge(&mut self, mut candidates: Vec<Candidate>, accounted: u64) {
        let loaded_is_cleared = candidates.iter().any(|candidate| candidate.kind == Kind::Clear);
        if loaded_is_cleared {
            self.keydir.lock_all().iter_mut().for_each(|shard| drop(shard.take()));
        }
        let clear_sequence = self.clear_sequence;
        candidates.retain(|c| c.kind != Kind::Clear && c.sequence > clear_sequence);
        // A record that was being moved is there twice, and the copy may be torn. Of two whole ones
        // the copy is taken: slots are in the order of ids here, and it has the greater one.
        candidates.sort_unstable_by_key(|c| (c.hash, c.sequence, c.intact, c.location.slot()));
        for group in candidates.chunk_by(|a, b| a.hash == b.hash) {
            let (Some(newest), hash) = (group.last(), group[0].hash) else { continue };
            let mut shard = self.keydir.lock_for(hash);
            let before: Vec<Location> = shard.group(hash).iter().collect();
            // What was only moved is not newer than what the checkpoint has, and may be torn.
            let is_moved = |c: &Candidate| !c.intact || c.sequence < accounted;
            let is_mixed = !before.is_empty() && group.iter().any(is_moved);
            let after = if before.len() > 1 || is_mixed || group.iter().any(|c| c.collides) {
                resolve(&self.segments, (hash, self.seed.unwrap_or(0)), &before, group)
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

/// The file of the last log segment, with what the stage has behind its end.
fn complete(file: Arc<dyn File>, segment: u64, ring: &[u8]) -> Result<SegmentFile> {
    let length = file.len()?;
    let pending = rescue(ring, segment, length);
    Ok(match pending.is_empty() {
        true => SegmentFile::new(file),
        false => SegmentFile::with_pending(file, length, pending),
    })
}

/// Writes the bytes again that are not known to have reached the disk. After a failed sync the
/// system may hold them as clean although they are not there, and a sync alone would prove nothing.
/// Long runs of zeros are left as they are: they may have never been written.
fn rewrite_tail(segment: &Segment, from: u64, end: u64) -> Result<()> {
    let mut at = from.max(SEGMENT_HEADER_BYTES as u64);
    let mut buffer = vec![0; 1 << 20];
    while at < end {
        let want = usize::try_from(end - at).unwrap_or(usize::MAX).min(buffer.len());
        let count = segment.file().read_at(&mut buffer[..want], at)?;
        if count == 0 {
            break;
        }
        if count == buffer.len() && buffer.iter().all(|byte| *byte == 0) {
            at = segment.file().data_from(at + count as u64)?;
            continue;
        }
        segment.file().write_at(&[&buffer[..count]], at)?;
        at += count as u64;
    }
    Ok(())
}

/// The live locations of a hash that several keys share: the newest of each key.
fn resolve(
    segments: &Segments,
    (hash, seed): (u64, u64),
    before: &[Location],
    group: &[Candidate],
) -> Vec<Location> {
    let hasher = KeyHasher::new(seed);
    let key_at = |location: Location| {
        let segment = segments.get(location.slot())?;
        read_any_key(&segment, location, (hash, hasher), |k| {
            Ok((k.key.to_vec(), k.header.sequence))
        })
        .ok()
    };
    let mut live: Vec<(Option<Vec<u8>>, u64, Location)> = Vec::new();
    for location in before {
        let known = key_at(*location);
        let sequence = known.as_ref().map_or(0, |(_, sequence)| *sequence);
        live.push((known.map(|(key, _)| key), sequence, *location));
    }
    for candidate in group {
        // A torn copy of a record that is still where it was.
        if !candidate.intact && live.iter().any(|(_, other, _)| *other == candidate.sequence) {
            continue;
        }
        let key = key_at(candidate.location).map(|(key, _)| key);
        // Without the mark it was the hash's only key when it was written. What has the same
        // sequence is the same record, which was moved.
        live.retain(|(other, sequence, _)| {
            *sequence > candidate.sequence
                || (*sequence < candidate.sequence && candidate.collides && *other != key)
        });
        if candidate.kind != Kind::Tombstone {
            live.push((key, candidate.sequence, candidate.location));
        }
    }
    live.into_iter().map(|(_, _, location)| location).collect()
}
