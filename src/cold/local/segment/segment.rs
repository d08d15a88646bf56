//! A segment: one file of records, what is known about it, and the table that finds it by slot.
//!
//! # Invariants
//! 1. A slot is given out again only after the last reference to its old segment is gone. So
//!    whoever holds a segment may compare locations: equal means the same record.
//! 2. `live` and `live_bytes` count the keydir entries that point here; they change together with
//!    those, under the lock of the keydir shard.

use super::segment_file::SegmentFile;
use crate::codec::checkpoint::Tally;
use crate::codec::record::{Header, Kind, Place};
use crate::codec::segment::{SEGMENT_HEADER_BYTES, SEGMENT_ID_MAX, SegmentHeader};
use crate::cold::local::index::location::{Location, SLOT_MAX};
use crate::error::{Error, ErrorKind, Result};
use crate::io::files::Disk;
use crate::sync::{Mutex, RwLock};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// One file of records.
pub struct Segment {
    header: SegmentHeader,
    slot: u32,
    file: SegmentFile,
    tally: Mutex<Tally>,
    live: AtomicU64,
    live_bytes: AtomicU64,
    /// Bytes of fillers, which take next to no room on the disk.
    filler_bytes: AtomicU64,
    /// 0 while it is appended to; then its turn among those that were sealed.
    sealed: AtomicU64,
    /// Its file is gone.
    is_gone: bool,
    /// Records in it are gone, with the file's end or all of it.
    lacks: AtomicBool,
    /// And nobody knows of which keys.
    lacks_unknown: AtomicBool,
    free_slots: Arc<Mutex<Vec<u32>>>,
}

impl Segment {
    /// The number in the file's name; later segments have greater ones.
    pub fn id(&self) -> u64 {
        self.header.id
    }

    /// What the file says about itself.
    pub fn header(&self) -> &SegmentHeader {
        &self.header
    }

    /// Its index in the table of segments.
    pub fn slot(&self) -> u32 {
        self.slot
    }

    /// The open file.
    pub fn file(&self) -> &SegmentFile {
        &self.file
    }

    /// The file's name in the directory.
    pub fn name(&self) -> String {
        file_name(self.id())
    }

    /// The place of the record at `offset`.
    pub fn place(&self, offset: u64) -> Place {
        Place { segment: self.id(), offset }
    }

    /// True once nothing is appended any more.
    pub fn is_sealed(&self) -> bool {
        self.sealed_turn() != 0
    }

    /// When it was sealed, as a turn: greater is later. What was moved is as young as the segment
    /// it was moved to, and that is as young as its last record.
    pub fn sealed_turn(&self) -> u64 {
        self.sealed.load(Ordering::Acquire)
    }

    /// True if its file is gone.
    pub fn is_gone(&self) -> bool {
        self.is_gone
    }

    /// True if records in it are gone: whatever lives of it is to be moved elsewhere.
    pub fn lacks(&self) -> bool {
        self.lacks.load(Ordering::Relaxed)
    }

    /// True if nobody knows of which keys they were.
    pub fn lacks_unknown(&self) -> bool {
        self.lacks_unknown.load(Ordering::Relaxed)
    }

    /// Records in it are gone; `unknown` says that nobody knows of which keys.
    pub fn set_lacking(&self, unknown: bool) {
        self.lacks.store(true, Ordering::Relaxed);
        self.lacks_unknown.fetch_or(unknown, Ordering::Relaxed);
    }

    /// Ends appending.
    pub fn seal(&self) {
        static TURN: AtomicU64 = AtomicU64::new(1);
        self.sealed.store(TURN.fetch_add(1, Ordering::Relaxed), Ordering::Release);
    }

    /// What it holds, dead or alive.
    pub fn tally(&self) -> Tally {
        *self.tally.lock()
    }

    /// Replaces what it is said to hold.
    pub fn set_tally(&self, tally: Tally) {
        *self.tally.lock() = tally;
    }

    /// Number of keydir entries that point here, and their bytes.
    pub fn live(&self) -> (u64, u64) {
        (self.live.load(Ordering::Relaxed), self.live_bytes.load(Ordering::Relaxed))
    }

    /// About how many bytes of the file are records that live: locations know lengths to an
    /// eighth only, but the share of what lives among all of them is well known.
    pub fn live_bytes_in_file(&self) -> u64 {
        let tally = self.tally();
        let records = u128::from(tally.end.saturating_sub(SEGMENT_HEADER_BYTES as u64));
        let live = u128::from(self.live().1) * records / u128::from(tally.value_bytes.max(1));
        u64::try_from(live.min(records)).unwrap_or(u64::MAX)
    }

    /// Bytes up to which records stand.
    pub fn end(&self) -> u64 {
        self.tally.lock().end
    }

    /// Bytes that it takes on the disk, about.
    pub fn room_bytes(&self) -> u64 {
        self.end().saturating_sub(self.filler_bytes.load(Ordering::Relaxed))
    }

    /// So many values, which take so many bytes, and none of which lives, are no more there; fillers of
    /// `filler_bytes` stand where they and others were.
    pub fn fill(&self, values: u64, value_bytes: u64, filler_bytes: u64) {
        let mut tally = self.tally.lock();
        tally.values = tally.values.saturating_sub(values);
        tally.value_bytes = tally.value_bytes.saturating_sub(value_bytes);
        self.filler_bytes.fetch_add(filler_bytes, Ordering::Relaxed);
    }

    /// Counts a record that stands at `location`.
    pub fn note(&self, header: &Header, location: Location, expires_at: u64) {
        let mut tally = self.tally.lock();
        let end = location.offset() + header.record_bytes();
        tally.end = tally.end.max(end);
        if header.is_filler() {
            self.filler_bytes.fetch_add(header.record_bytes(), Ordering::Relaxed);
            return;
        }
        if header.kind != Kind::Synced {
            tally.max_sequence = tally.max_sequence.max(header.sequence);
        }
        match header.kind {
            Kind::Value | Kind::Lost => {
                tally.values += 1;
                tally.value_bytes += location.bytes_max();
                tally.min_sequence = tally.min_sequence.min(header.sequence);
            }
            Kind::Tombstone | Kind::Clear => tally.tombstones += 1,
            Kind::Synced => {}
        }
        if expires_at != 0 {
            tally.expiring += 1;
            tally.soonest_expiry = tally.soonest_expiry.min(expires_at);
        }
    }

    /// A value in here ends at that time.
    pub fn note_expiry(&self, expires_at: u64) {
        let mut tally = self.tally.lock();
        tally.expiring += 1;
        tally.soonest_expiry = tally.soonest_expiry.min(expires_at);
    }

    /// A value in here was swept: until its record goes it keeps older ones from coming back, and
    /// is to be walked over like a tombstone.
    pub fn note_swept(&self) {
        self.tally.lock().tombstones += 1;
    }

    /// No value in here is known to end, until it is noted again.
    pub fn forget_expiries(&self) {
        let mut tally = self.tally.lock();
        tally.expiring = 0;
        tally.soonest_expiry = u64::MAX;
    }

    /// A keydir entry now points to `location` in here.
    pub fn add_live(&self, location: Location) {
        self.live.fetch_add(1, Ordering::Relaxed);
        self.live_bytes.fetch_add(location.bytes_max(), Ordering::Relaxed);
    }

    /// A keydir entry points to `location` in here no more.
    pub fn remove_live(&self, location: Location) {
        self.live.fetch_sub(1, Ordering::Relaxed);
        self.live_bytes.fetch_sub(location.bytes_max(), Ordering::Relaxed);
    }

    /// Every key that it may have had is deleted: what is not known to be gone is not missed.
    pub fn forget_unknown(&self) {
        self.lacks_unknown.store(false, Ordering::Relaxed);
    }

    /// All keys are deleted: no keydir entry points here any more.
    pub fn clear_live(&self) {
        self.forget_unknown();
        self.live.store(0, Ordering::Relaxed);
        self.live_bytes.store(0, Ordering::Relaxed);
    }

    /// Values that are dead, which a tombstone may have to outlive.
    pub fn has_dead_values_before(&self, sequence: u64) -> bool {
        let tally = self.tally();
        tally.values > self.live().0 && tally.min_sequence < sequence
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        self.free_slots.lock().push(self.slot);
    }
}

/// A tally of a segment without records.
pub fn empty_tally() -> Tally {
    Tally {
        end: SEGMENT_HEADER_BYTES as u64,
        min_sequence: u64::MAX,
        soonest_expiry: u64::MAX,
        ..Tally::default()
    }
}

/// The name of the segment of that id.
pub fn file_name(id: u64) -> String {
    format!("{id:06}.seg")
}

/// The id of the segment of that name, if it is one.
pub fn file_id(name: &str) -> Option<u64> {
    let id = name.strip_suffix(".seg")?.parse().ok()?;
    let is_ours = (1..=SEGMENT_ID_MAX).contains(&id) && file_name(id) == name;
    is_ours.then_some(id)
}

/// All segments, by slot.
pub struct Segments {
    slots: RwLock<Vec<Option<Arc<Segment>>>>,
    free_slots: Arc<Mutex<Vec<u32>>>,
    next_id: AtomicU64,
}

impl Segments {
    /// No segments yet.
    pub fn new() -> Self {
        Self {
            slots: RwLock::new(Vec::new()),
            free_slots: Arc::new(Mutex::new(Vec::new())),
            next_id: AtomicU64::new(1),
        }
    }

    /// Adds a segment whose file is open.
    ///
    /// # Errors
    /// `Unsupported` when all slots are taken.
    pub fn add(&self, header: SegmentHeader, file: SegmentFile) -> Result<Arc<Segment>> {
        self.add_as(header, file, false)
    }

    /// Adds a segment whose file is gone from the directory.
    ///
    /// # Errors
    /// As [`Segments::add`].
    pub fn add_gone(&self, header: SegmentHeader, directory: &Path) -> Result<Arc<Segment>> {
        let file = SegmentFile::gone(directory.join(file_name(header.id)));
        self.add_as(header, file, true)
    }

    fn add_as(
        &self,
        header: SegmentHeader,
        file: SegmentFile,
        is_gone: bool,
    ) -> Result<Arc<Segment>> {
        self.spend_id(header.id);
        let mut slots = self.slots.write();
        let free = self.free_slots.lock().pop();
        let slot = free.or_else(|| u32::try_from(slots.len()).ok()).filter(|s| *s <= SLOT_MAX);
        let Some(slot) = slot else {
            return Err(Error::new(ErrorKind::Unsupported, "the store has too many segments"));
        };
        let segment = Arc::new(Segment {
            header,
            slot,
            file,
            tally: Mutex::new(empty_tally()),
            live: AtomicU64::new(0),
            live_bytes: AtomicU64::new(0),
            filler_bytes: AtomicU64::new(0),
            sealed: AtomicU64::new(0),
            is_gone,
            lacks: AtomicBool::new(false),
            lacks_unknown: AtomicBool::new(false),
            free_slots: self.free_slots.clone(),
        });
        let index = slot as usize;
        if index == slots.len() {
            slots.push(None);
        }
        slots[index] = Some(segment.clone());
        Ok(segment)
    }

    /// Makes a new segment's file and adds it.
    ///
    /// # Errors
    /// As [`Disk::create`] and [`File::write_at`]; `Unsupported` when there are no more ids.
    pub fn create(&self, disk: &dyn Disk, mut header: SegmentHeader) -> Result<Arc<Segment>> {
        header.id = self.take_id()?;
        let name = file_name(header.id);
        let file = disk.create(&name)?;
        if let Err(error) = file.write_at(&[&header.encode()], 0) {
            // A segment without a header would be taken for a damaged one.
            disk.remove(&name)?;
            // On a full disk this is tried with every store, and there are not so many ids.
            let (next, id) = (header.id + 1, header.id);
            let _ = self.next_id.compare_exchange(next, id, Ordering::Relaxed, Ordering::Relaxed);
            return Err(error);
        }
        self.add(header, SegmentFile::new(file))
    }

    fn take_id(&self) -> Result<u64> {
        let more = |id: u64| (id <= SEGMENT_ID_MAX).then_some(id + 1);
        self.next_id.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).map_err(|_| {
            let sentence = "the store has used up the numbers of its segments; store what it has \
                            in a new one";
            Error::new(ErrorKind::Unsupported, sentence)
        })
    }

    /// Keeps the id, and those below, from being given out: something still refers to it.
    pub fn spend_id(&self, id: u64) {
        self.next_id.fetch_max(id.saturating_add(1), Ordering::Relaxed);
    }

    /// The segment in that slot.
    pub fn get(&self, slot: u32) -> Option<Arc<Segment>> {
        self.slots.read().get(slot as usize).cloned().flatten()
    }

    /// Takes a segment out of the table.
    pub fn remove(&self, segment: &Segment) {
        if let Some(slot) = self.slots.write().get_mut(segment.slot as usize) {
            *slot = None;
        }
    }

    /// All segments, in the order of their ids.
    pub fn all(&self) -> Vec<Arc<Segment>> {
        let mut all: Vec<_> = self.slots.read().iter().flatten().cloned().collect();
        all.sort_by_key(|segment| segment.id());
        all
    }
}
