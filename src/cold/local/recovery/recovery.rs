//! Opening a directory: from files to segments and a keydir. The steps are those of [`recovery`](super).

use super::checkpoint::{self, CHECKPOINT, Loaded};
use super::gone;
use super::merge::merge;
use super::unfinished::{Elsewhere, is_unfinished};
use super::walk::{
    Candidate, Open, Walked, add_scanned, expected_end, known_end, open_end, valid_end, walk_all,
    whole_end,
};
use crate::codec::checkpoint::Tally;
use crate::codec::manifest::{MANIFEST_BYTES, Manifest};
use crate::codec::segment::{SEGMENT_HEADER_BYTES, SegmentHeader, SegmentKind};
use crate::codec::version::Decoded;
use crate::cold::local::index::keydir::Keydir;
use crate::cold::local::log::sequences::{MANIFEST, RANGE};
use crate::cold::local::log::stage::{STAGE, read_ring, rescue};
use crate::cold::local::segment::read::is_lost;
use crate::cold::local::segment::segment::{self, Segment, Segments, empty_tally};
use crate::cold::local::segment::segment_file::SegmentFile;
use crate::error::{Error, Result};
use crate::io::files::{Disk, File, newer};
use crate::time::Written;
use std::collections::{HashMap, HashSet};
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
    /// What the files say of time.
    pub time: Written,
    /// The segment to go on with.
    pub active: Option<Arc<Segment>>,
    /// Bytes that had to be walked.
    pub scanned_bytes: u64,
    /// Bytes of the torn tail.
    pub torn_bytes: u64,
    /// Damaged records that were read.
    pub corrupt_records: u64,
    /// Derived files that were damaged or missing.
    pub rebuilt_files: u64,
    /// What is damaged, a sentence for each segment.
    pub findings: Vec<Error>,
    /// Damaged records that were walked over, by the segment's id.
    walked_damage: HashMap<u64, u64>,
    /// Whether each segment that was removed has left a note, or still waits to be removed.
    keeps_notes: bool,
    /// The last frozen segment, if it is damaged; its tally before it was walked, from where on that
    /// was, and where the damage begins.
    torn_output: Option<(Arc<Segment>, Tally, u64, u64)>,
    /// Ids of segments that are gone from a directory of which nobody can say.
    unnoted: Vec<u64>,
    /// Ids of segments whose first sector, or what comes before them in the log, never reached the
    /// disk: nothing of them was synced.
    lost_ids: Vec<u64>,
    /// Id of a log segment of which the end never reached the disk, though it has a successor.
    cut_id: Option<u64>,
}

/// Reads the directory; cuts off the torn tail if `writable`.
///
/// # Errors
/// `Unsupported` if a newer version wrote a file; `Io`, `OutOfMemory`.
#[inline(never)]
pub fn recover(disk: &dyn Disk, writable: bool) -> Result<Recovered> {
    let names = disk.list()?;
    let mut found = Recovered {
        segments: Segments::new(),
        keydir: Keydir::new(),
        seed: None,
        sequence_floor: 1,
        clear_sequence: 0,
        time: Written::default(),
        active: None,
        scanned_bytes: 0,
        torn_bytes: 0,
        corrupt_records: 0,
        rebuilt_files: 0,
        findings: Vec::new(),
        walked_damage: HashMap::new(),
        keeps_notes: false,
        unnoted: Vec::new(),
        torn_output: None,
        lost_ids: Vec::new(),
        cut_id: None,
    };
    let has_manifest = found.read_manifest(disk, &names)?;
    let ring = read_ring(disk, &names)?;
    let mut by_id = found.open_segments(disk, &names, ring, writable)?;
    let has_checkpoint = names.iter().any(|name| name == CHECKPOINT);
    let loaded = found.load(disk, &names, &mut by_id)?;
    found.rebuilt_files += u64::from(has_checkpoint && loaded.is_none());
    found.rebuilt_files += u64::from(!has_manifest && !by_id.is_empty());
    if let Some(Loaded { head, tallies }) = &loaded {
        // Of a segment that is gone by now; a new one under its id would be taken for it.
        tallies.keys().for_each(|id| found.segments.spend_id(*id));
        found.seed = found.seed.or(Some(head.seed));
        let cleared = head.clear_sequence.saturating_add(1);
        found.sequence_floor = found.sequence_floor.max(head.sequence).max(cleared);
        found.clear_sequence = head.clear_sequence;
        found.time.note(head.time_ms);
    }
    if writable {
        // Only now, when no file has turned out to be a newer version's.
        for segment in found.segments.all() {
            segment.file().flush(&[])?;
            segment.file().end();
        }
        checkpoint::remove_leftover(disk, &names)?;
        gone::forget_wrong(disk, &names)?;
        let make = |name: &str| disk.create(name).map(drop);
        found.unnoted.iter().try_for_each(|id| gone::note(disk, *id, &make))?;
    }
    found.drop_lost(loaded.as_ref());
    let mut candidates = found.walk(disk, loaded.as_ref(), writable)?;
    let loaded_end = loaded.as_ref().map_or(0, |loaded| loaded.head.sequence);
    found.cut_output(&mut candidates, loaded_end, writable)?;
    if writable && names.iter().any(|name| name == STAGE) {
        disk.remove(STAGE)?;
        // Before anything is appended: where the tail was cut off, it must not be put back.
        disk.sync_names()?;
    }
    let deleted = (found.clear_sequence, loaded_end);
    merge(&found.keydir, &found.segments, found.seed.unwrap_or(0), deleted, candidates)?;
    found.count_live();
    for segment in found.segments.all() {
        if found.active.as_ref().is_none_or(|active| active.id() != segment.id()) {
            segment.seal();
        }
    }
    if !has_manifest {
        // Nobody knows how many ranges were taken since the last record that is left.
        found.sequence_floor = found.sequence_floor.saturating_add(RANGES_SKIPPED * RANGE);
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
            Decoded::Newer(version) => Err(newer(&*file, version)),
            Decoded::Damaged => Ok(false),
            Decoded::Valid(manifest) => {
                self.seed = Some(manifest.seed);
                self.sequence_floor = manifest.next_sequence;
                self.time.note_lead(manifest.time_ms, manifest.lead_ms);
                self.keeps_notes = manifest.keeps_notes;
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
                Decoded::Newer(version) => return Err(newer(&*file, version)),
                Decoded::Valid(header) if header.id == id => Some(header),
                Decoded::Valid(_) | Decoded::Damaged => None,
            };
            if let Some(header) = &header {
                self.seed = self.seed.or(Some(header.seed));
                self.sequence_floor = self.sequence_floor.max(header.sequence_floor);
                self.time.note(header.created_ms);
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

    /// Loads the checkpoint, if there is one and it is whole; takes note of what is gone.
    fn load(
        &mut self,
        disk: &dyn Disk,
        names: &[String],
        by_id: &mut HashMap<u64, Arc<Segment>>,
    ) -> Result<Option<Loaded>> {
        let notes = gone::notes(names);
        // A new segment under such an id would be taken for one that was removed.
        notes.iter().for_each(|id| self.segments.spend_id(*id));
        let opened = match names.iter().any(|name| name == CHECKPOINT) {
            true => checkpoint::open(disk, self.seed)?,
            false => None,
        };
        if let Some(opened) = opened {
            self.add_gone(disk, &opened.rows, &notes, by_id)?;
            if opened.load(by_id, &self.keydir)? {
                let tallies = opened.rows.into_iter().collect();
                return Ok(Some(Loaded { head: opened.head, tallies }));
            }
            by_id.retain(|_, segment| !segment.is_gone());
            let gone = |segment: &Arc<Segment>| segment.is_gone();
            self.segments.all().into_iter().filter(gone).for_each(|s| self.segments.remove(&s));
        }
        self.add_gone(disk, &[], &notes, by_id)?;
        Ok(None)
    }

    fn add_gone(
        &mut self,
        disk: &dyn Disk,
        rows: &[(u64, Tally)],
        notes: &HashSet<u64>,
        by_id: &mut HashMap<u64, Arc<Segment>>,
    ) -> Result<()> {
        let named = gone::named(&self.segments.all(), rows, notes);
        if !self.keeps_notes {
            self.unnoted = named.into_iter().map(|(id, _)| id).collect();
            return Ok(());
        }
        for (id, tally) in named {
            let segment = gone::add(&self.segments, disk, self.seed.unwrap_or(0), (id, tally))?;
            by_id.insert(id, segment);
        }
        Ok(())
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
        let previous = gone::previous(&all);
        for segment in all.iter().filter(|segment| !segment.is_gone()) {
            let tally = loaded.and_then(|loaded| loaded.tallies.get(&segment.id()));
            let mut tally = tally.copied().unwrap_or_else(empty_tally);
            let length = segment.file().len()?;
            // Nothing lies behind the end of the file, whatever the checkpoint says.
            tally.end = tally.end.min(length.max(SEGMENT_HEADER_BYTES as u64));
            segment.set_tally(tally);
        }
        let open = open_end(&all, loaded)?;
        let is_frozen = |segment: &&Arc<Segment>| {
            segment.header().kind == SegmentKind::Frozen && !segment.is_gone()
        };
        let last_frozen = all.iter().rfind(is_frozen).map(|segment| segment.id());
        for segment in &all {
            let (known, length) = (known_end(segment, loaded), segment.file().len()?);
            if open.iter().any(|open| open.segment.id() == segment.id()) {
                continue;
            }
            // All of it had reached the disk before what follows was written.
            let is_cut = previous.get(&segment.id()).is_some_and(|(end, _)| length < *end);
            if is_cut && !segment.lacks() {
                segment.set_lacking(true);
            }
            if length <= known {
                continue;
            }
            let before = segment.tally();
            let walked = walk_all(segment, (known, length), accounted, &mut candidates)?;
            self.note_walk(segment, known, &walked);
            if let Some(from) = walked.damaged_from.filter(|_| last_frozen == Some(segment.id())) {
                self.torn_output = Some((segment.clone(), before, known, from));
            }
            if writable {
                // It may be relied on from now on, so it must be on disk. The last one is what
                // compaction was writing, and a sync of it may have failed.
                if last_frozen == Some(segment.id()) {
                    segment.file().rewrite(known, walked.end)?;
                }
                segment.file().sync()?;
            }
        }
        for (index, Open { segment, known, scanned }) in open.iter().enumerate().rev() {
            let next = index.checked_sub(1).and_then(|index| open.get(index));
            if self.follows_lost(segment) {
                self.torn_bytes += scanned.length;
                self.lost_ids.push(segment.id());
                self.segments.remove(segment);
                continue;
            }
            let end = match next {
                Some(next) if !self.follows_lost(&next.segment) => {
                    whole_end(segment, scanned, *known, &next.segment)?
                }
                _ => valid_end(segment, scanned, *known)?,
            };
            let is_cut = end < expected_end(segment, next.map(|next| &*next.segment));
            let walked = add_scanned(segment, scanned, end, accounted, &mut candidates)?;
            self.note_walk(segment, *known, &walked);
            if writable {
                self.finish(disk, segment, &walked, (*known, next.is_none()))?;
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

    /// Cuts off what compaction was writing when it was interrupted.
    fn cut_output(
        &mut self,
        candidates: &mut Vec<Candidate>,
        accounted: u64,
        writable: bool,
    ) -> Result<()> {
        let Some((segment, before, known, from)) = self.torn_output.take() else { return Ok(()) };
        let (keydir, segments) = (&self.keydir, &self.segments);
        let elsewhere = Elsewhere { keydir, segments, clear_sequence: self.clear_sequence };
        if !is_unfinished(&segment, from, candidates, &elsewhere)? {
            return Ok(());
        }
        candidates.retain(|candidate| candidate.location.slot() != segment.slot());
        segment.set_tally(before);
        let walked = walk_all(&segment, (known, from), accounted, candidates)?;
        self.walked_damage.insert(segment.id(), walked.damaged);
        self.torn_bytes += walked.length - from;
        if writable {
            segment.file().set_len(from)?;
            segment.file().sync()?;
        }
        Ok(())
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

    fn note_walk(&mut self, segment: &Segment, known: u64, walked: &Walked) {
        self.scanned_bytes += walked.length.saturating_sub(known);
        self.walked_damage.insert(segment.id(), walked.damaged);
        self.torn_bytes += walked.length.saturating_sub(walked.end);
        self.clear_sequence = self.clear_sequence.max(walked.clear_sequence);
        self.sequence_floor = self.sequence_floor.max(walked.max_sequence.saturating_add(1));
    }

    /// Cuts off what is not valid, and goes on behind the end of the last log segment.
    fn finish(
        &mut self,
        disk: &dyn Disk,
        segment: &Arc<Segment>,
        walked: &Walked,
        (known, is_active): (u64, bool),
    ) -> Result<()> {
        if walked.length > walked.end {
            segment.file().set_len(walked.end)?;
        }
        // Nothing is appended to a segment that has lost bytes: what they held must not be taken
        // for overwritten, nor be covered by new records.
        let is_whole = walked.damaged == 0 && walked.end >= known.max(SEGMENT_HEADER_BYTES as u64);
        // Nor to one that another directory has too, as after `cp -l`: another store would append to it.
        if is_active && is_whole && !segment.lacks() && !segment.file().is_linked()? {
            self.active = Some(segment.clone());
        }
        segment.file().rewrite(known, walked.end)?;
        segment.file().sync()?;
        disk.sync_names()
    }

    /// Counts what lives in each segment, and what of it is known to be lost.
    fn count_live(&mut self) {
        let all = self.segments.all();
        for segment in &all {
            if segment.tally().max_sequence <= self.clear_sequence {
                segment.forget_unknown();
            }
        }
        let by_slot: HashMap<u32, &Arc<Segment>> = all.iter().map(|s| (s.slot(), s)).collect();
        let mut lost: HashMap<u32, u64> = HashMap::new();
        for (_, location) in self.keydir.lock_all().iter().flat_map(|shard| shard.iter()) {
            let Some(segment) = by_slot.get(&location.slot()) else { continue };
            segment.add_live(location);
            if is_lost(segment, location) {
                *lost.entry(location.slot()).or_default() += 1;
            }
        }
        for segment in &all {
            let lost = lost.get(&segment.slot()).copied().unwrap_or(0);
            let walked = self.walked_damage.get(&segment.id()).copied().unwrap_or(0);
            let damaged = (lost + walked).max(u64::from(segment.lacks_unknown()));
            self.corrupt_records += damaged;
            self.findings.extend((damaged > 0).then(|| gone::finding(segment, lost + walked)));
        }
    }
}

/// The file of the last log segment, with what the stage has behind its end.
fn complete(file: Arc<dyn File>, segment: u64, ring: &[u8]) -> Result<SegmentFile> {
    let length = file.len()?;
    let pending = rescue(ring, segment, length)?;
    Ok(match pending.is_empty() {
        true => SegmentFile::new(file),
        false => SegmentFile::with_pending(file, length, pending),
    })
}
