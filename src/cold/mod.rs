//! The cold tier: records in segments on disk, found through a keydir in memory.
//!
//! ```text
//! append -> log (active segment) -> sealed -> rewritten by compaction: frozen -> ... -> removed
//!              \-- keydir: hash -> location --/
//! ```
//! It knows keys, records and files, and nothing of the hot tier or of why something is written.
//! Whoever writes holds a lock on the key's hash from [`Cold::locate`] to [`Cold::publish`]; the
//! store above has those locks, because it has to change both tiers at one instant.

pub mod location;
pub mod keydir;
pub mod segment;
pub mod poison;
pub mod sequences;
pub mod log;
pub mod read;
pub mod scan;
pub mod checkpoint;
pub mod recovery;
pub mod compaction;
pub mod backup;

pub use self::compaction::{Host, Rewritten};
pub use self::location::Location;
pub use self::log::{Appended, Draft, Few, Position};
pub use self::read::{Found, Known};
pub use crate::codec::compress::Compression;
pub use crate::codec::record::{Header, Kind};

use self::compaction::{Compactor, Parts};
use self::keydir::{Keydir, SHARDS};
use self::log::{Log, LogOptions};
use self::poison::Poison;
use self::scan::{Scanner, Step};
use self::segment::{Segment, Segments};
use self::sequences::Sequences;
use crate::codec::checkpoint::Head;
use crate::codec::manifest::Manifest;
use crate::codec::segment::SegmentKind;
use crate::error::{Error, ErrorKind, Result};
use crate::io::files::Disk;
use crate::key::{Key, KeyHasher};
use crate::time::Clock;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// A checkpoint is taken when this many bytes were written since the last one, and four times its
/// own length: opening after a crash then walks a second's worth at most, and writing checkpoints
/// stays a small part of all writing.
const CHECKPOINT_BYTES: u64 = 256 << 20;

/// How a cold tier is set up.
#[derive(Clone, Debug)]
pub struct ColdOptions {
    /// How compaction compresses.
    pub compression: Compression,
    /// Length of a segment in bytes.
    pub segment_bytes_max: u64,
    /// Whether anything is synced unasked.
    pub sync: bool,
    /// Whether nothing may be written at all.
    pub read_only: bool,
    /// Whether a store is made where there is none.
    pub create: bool,
}

/// The cold tier.
pub struct Cold {
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    segments: Arc<Segments>,
    keydir: Keydir,
    hasher: KeyHasher,
    poison: Arc<Poison>,
    log: Option<Log>,
    compactor: Mutex<Compactor>,
    options: ColdOptions,
    clear_sequence: AtomicU64,
    changed: AtomicBool,
    unsaved_bytes: AtomicU64,
    time_floor_ms: u64,
    sequence_floor: u64,
    /// What recovery met and background work has done.
    pub tallies: Tallies,
}

/// Counters that the cold tier keeps itself.
#[derive(Default)]
pub struct Tallies {
    /// Damaged records that recovery met.
    pub corrupt_records: AtomicU64,
    /// Derived files that were rebuilt.
    pub rebuilt_files: AtomicU64,
    /// Bytes of torn tails that were cut off.
    pub recovered_bytes: AtomicU64,
    /// Bytes written, by appending and by compaction.
    pub bytes_written: AtomicU64,
    /// Segments that were rewritten.
    pub compactions: AtomicU64,
}

/// What the keydir and, where needed, the disk say about a key before it is written.
#[derive(Clone, Copy, Default, Debug)]
pub struct Located {
    /// Which of the hash's locations is the key's; `None` if it has none.
    pub index: Option<usize>,
    /// Another key with the same hash lives.
    pub collides: bool,
    /// Sequence and expiry of the key's record, if it was read and is whole.
    pub known: Option<(u64, u64)>,
}

impl Located {
    /// The key seems to have a record, but it could not be read.
    pub fn is_damaged(&self) -> bool {
        self.index.is_some() && self.known.is_none()
    }
}

/// A record that was appended and is to be made visible.
pub struct Change {
    /// Its header.
    pub header: Header,
    /// Where it is.
    pub location: Location,
    /// Milliseconds since the epoch; 0 for never.
    pub expires_at: u64,
    /// Which of the hash's locations it replaces.
    pub index: Option<usize>,
}

/// Sizes at one moment.
#[derive(Clone, Copy, Default, Debug)]
pub struct Gauges {
    /// Keys, those that expired and were not swept yet included.
    pub entries: u64,
    /// Bytes of the records that live, to an eighth.
    pub bytes_live: u64,
    /// Bytes of all segments.
    pub bytes_disk: u64,
    /// Number of segments.
    pub segments: u64,
    /// Bytes of sealed segments that wait to be compressed.
    pub unfrozen_bytes: u64,
    /// Bytes of memory of the keydir.
    pub keydir_bytes: u64,
    /// Bytes of memory of buffers.
    pub buffer_bytes: u64,
}

/// A key's place, kept from changing its meaning by the segment that is held with it.
pub struct Held {
    /// The key's hash.
    pub hash: u64,
    /// The location.
    pub location: Location,
    segment: Option<Arc<Segment>>,
}

impl Cold {
    /// Opens the store in `disk`, or makes one there.
    ///
    /// # Errors
    /// `Unsupported` if a newer version wrote it, `Io`, `NoSpace`, `OutOfMemory`.
    pub fn open(disk: Arc<dyn Disk>, clock: Arc<dyn Clock>, options: ColdOptions) -> Result<Self> {
        let writable = !options.read_only;
        if !options.create && !recovery::is_store(&*disk)? {
            let sentence = format!(
                "{} holds no store; set create=true to make one there",
                disk.path().display()
            );
            return Err(Error::new(ErrorKind::InvalidArgument, sentence));
        }
        let found = recovery::recover(&*disk, writable)?;
        let seed = found.seed.unwrap_or_else(|| KeyHasher::random().seed());
        let segments = Arc::new(found.segments);
        let poison = Arc::new(Poison::default());
        let log = match writable {
            true => {
                let now = clock.wall().max(crate::time::Timestamp(found.time_floor_ms));
                let sequences = Sequences::claim(&*disk, seed, found.sequence_floor, now)?;
                let options = LogOptions {
                    seed,
                    segment_bytes_max: options.segment_bytes_max,
                    sync_on_roll: options.sync,
                    active: found.active,
                };
                let (disk, clock) = (disk.clone(), clock.clone());
                Some(Log::new(disk, clock, segments.clone(), sequences, poison.clone(), options))
            }
            false => None,
        };
        let tallies = Tallies {
            corrupt_records: AtomicU64::new(found.corrupt_records),
            rebuilt_files: AtomicU64::new(found.rebuilt_files),
            recovered_bytes: AtomicU64::new(found.torn_bytes),
            ..Tallies::default()
        };
        Ok(Self {
            compactor: Mutex::new(Compactor::new(options.compression)?),
            disk,
            clock,
            segments,
            keydir: found.keydir,
            hasher: KeyHasher::new(seed),
            poison,
            log,
            options,
            clear_sequence: AtomicU64::new(found.clear_sequence),
            changed: AtomicBool::new(found.scanned_bytes > 0 || found.rebuilt_files > 0),
            unsaved_bytes: AtomicU64::new(found.scanned_bytes),
            time_floor_ms: found.time_floor_ms,
            sequence_floor: found.sequence_floor,
            tallies,
        })
    }

    /// Makes keys of this store.
    pub fn hasher(&self) -> KeyHasher {
        self.hasher
    }

    /// The newest time written in the files, in milliseconds since the epoch.
    pub fn time_floor_ms(&self) -> u64 {
        self.time_floor_ms
    }

    /// Whether, and why, writing has ended.
    pub fn poison(&self) -> &Poison {
        &self.poison
    }

    // --- reading -------------------------------------------------------------------------------

    /// Reads the value of `key`, expired or not, and where it was found.
    ///
    /// # Errors
    /// `Corrupt` if its record is damaged, `Io`, `OutOfMemory`.
    pub fn read(&self, key: &Key<'_>) -> Result<Option<(Found, Held)>> {
        let mut failure = None;
        for held in self.candidates(key.hash()) {
            let found = held.segment().and_then(|s| read::read_value(s, held.location, key));
            match found {
                Ok(Some(found)) => return Ok(Some((found, held))),
                Ok(None) => {}
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        failure.map_or(Ok(None), Err)
    }

    /// When the value of `key` expires (milliseconds since the epoch, 0 for never), without reading
    /// it; `Ok(None)` if the key has none.
    ///
    /// # Errors
    /// As [`Cold::read`].
    pub fn read_expiry(&self, key: &Key<'_>) -> Result<Option<u64>> {
        let mut failure = None;
        for held in self.candidates(key.hash()) {
            match self.read_key(&held, |k| (k.key == key.bytes()).then_some(k.expires_at)) {
                Ok(Some(expires_at)) => return Ok(Some(expires_at)),
                Ok(None) => {}
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        failure.map_or(Ok(None), Err)
    }

    /// Reads the key that stands at a place which [`Cold::keys_from`] gave, for `use_it`.
    ///
    /// # Errors
    /// `Corrupt` if the record is damaged, `Io`.
    pub fn read_key<T>(&self, held: &Held, use_it: impl FnOnce(Known<'_>) -> T) -> Result<T> {
        read::read_key(held.segment()?, held.location, self.hasher, use_it)
    }

    /// True if the hash still has that location: its key was neither written, deleted nor moved.
    pub fn is_at(&self, held: &Held) -> bool {
        self.keydir.lock_for(held.hash).index_of(held.hash, held.location).is_some()
    }

    /// Marks the record as read, which spares it once when room is made on disk.
    pub fn mark_read(&self, held: &Held) {
        if !held.location.is_read() {
            self.keydir.lock_for(held.hash).mark_read(held.hash, held.location);
        }
    }

    /// The places of at least `count` keys, unless there are fewer, from `hash` on, in the order
    /// of hashes and never a part of one hash's; and the hash to go on from, `None` at the end.
    pub fn keys_from(&self, hash: u64, count: usize) -> (Vec<Held>, Option<u64>) {
        let mut places = Vec::new();
        for index in Keydir::shard_index(hash)..SHARDS {
            let shard = self.keydir.lock(index);
            let from = if index == Keydir::shard_index(hash) { hash } else { 0 };
            for (hash, location) in shard.from(from) {
                let is_same = places.last().is_some_and(|last: &Held| last.hash == hash);
                if places.len() >= count && !is_same {
                    return (places, Some(hash));
                }
                places.push(self.hold(hash, location));
            }
        }
        (places, None)
    }

    fn candidates(&self, hash: u64) -> impl Iterator<Item = Held> {
        let shard = self.keydir.lock_for(hash);
        let group = shard.group(hash);
        let mut all = group.iter().map(|location| self.hold(hash, location));
        let first = all.next();
        let others: Vec<_> = all.collect();
        first.into_iter().chain(others)
    }

    fn hold(&self, hash: u64, location: Location) -> Held {
        Held { hash, location, segment: self.segments.get(location.slot()) }
    }

    // --- writing -------------------------------------------------------------------------------

    /// Finds what a write to `key` replaces. `is_only` says that the key is known to have a record:
    /// then the disk is asked only if several keys share the hash. A damaged record is taken for
    /// the key's own, so that it can be replaced.
    pub fn locate(&self, key: &Key<'_>, is_only: bool) -> Located {
        let candidates: Few<_> = match self.keydir.lock_for(key.hash()).group(key.hash()) {
            group if group.len() == 0 => return Located::default(),
            group if group.len() == 1 && is_only => {
                return Located { index: Some(0), collides: false, known: None };
            }
            group => group.iter().map(|location| self.hold(key.hash(), location)).collect(),
        };
        let mut located = Located::default();
        for (index, held) in candidates.iter().enumerate() {
            let known =
                |k: Known<'_>| (k.key == key.bytes()).then_some((k.header.sequence, k.expires_at));
            match self.read_key(held, known) {
                Ok(Some(known)) => {
                    located.index = Some(index);
                    located.known = Some(known);
                    break;
                }
                Ok(None) => {}
                Err(_) => located.index = located.index.or(Some(index)),
            }
        }
        located.collides = candidates.len() > usize::from(located.index.is_some());
        located
    }

    /// Appends records to the log; nobody sees them before [`Cold::publish`].
    ///
    /// # Errors
    /// `ReadOnly`, `NoSpace`, `Io`, `OutOfMemory`: nothing was appended.
    pub fn append(&self, drafts: &[Draft<'_>]) -> Result<Appended> {
        let appended = self.log()?.append(drafts)?;
        let bytes = appended.records.iter().map(|(header, _)| header.record_bytes()).sum();
        self.wrote(bytes);
        Ok(appended)
    }

    /// A sequence of its own for what is to be appended later.
    ///
    /// # Errors
    /// `ReadOnly` if the store was opened so.
    pub fn take_sequence(&self) -> Result<u64> {
        Ok(self.log()?.sequences().take())
    }

    /// Makes what was appended under `ticket` survive power loss.
    ///
    /// # Errors
    /// `Io`, and writing ends.
    pub fn sync_to(&self, ticket: u64) -> Result<()> {
        self.log()?.sync_to(ticket)
    }

    /// Makes everything that was appended survive power loss.
    ///
    /// # Errors
    /// `Io`, and writing ends; `ReadOnly` once it has.
    pub fn sync(&self) -> Result<()> {
        self.log.as_ref().map_or(Ok(()), Log::sync)
    }

    /// Makes appended records visible, all at one instant. They are sorted on the way.
    pub fn publish(&self, segment: &Segment, changes: &mut [Change]) {
        // Of two keys with one hash the greater index first, so that it still holds.
        changes.sort_unstable_by_key(|c| (c.header.hash, std::cmp::Reverse(c.index)));
        let mut guards: Few<_> = Few::new();
        for change in changes.iter() {
            let index = Keydir::shard_index(change.header.hash);
            if guards.last().is_none_or(|(last, _)| *last != index) {
                guards.push((index, self.keydir.lock(index)));
            }
        }
        let mut guard = 0;
        for Change { header, location, expires_at, index } in changes.iter() {
            while guards[guard].0 != Keydir::shard_index(header.hash) {
                guard += 1;
            }
            let shard = &mut guards[guard].1;
            segment.note(header, *location, *expires_at);
            let old = match (header.kind, index) {
                (Kind::Value, Some(index)) => shard.replace(header.hash, *index, *location),
                (Kind::Value, None) => {
                    shard.insert(header.hash, *location);
                    None
                }
                (_, Some(index)) => shard.remove(header.hash, *index),
                (_, None) => None,
            };
            if header.kind == Kind::Value {
                segment.add_live(*location);
            }
            if let Some(old) = old {
                self.release(old);
            }
        }
    }

    /// Makes an appended clear visible: no key has a location any more. What is returned is to be
    /// dropped without locks.
    pub fn publish_clear(&self, segment: &Segment, header: &Header, at: Location) -> impl Sized {
        let mut shards = self.keydir.lock_all();
        let taken: Vec<_> = shards.iter_mut().map(|shard| shard.take()).collect();
        self.segments.all().iter().for_each(|segment| segment.clear_live());
        segment.note(header, at, 0);
        self.clear_sequence.store(header.sequence, Ordering::Release);
        taken
    }

    /// Takes a key out whose record ended without another one: it expired, or was dropped. False if
    /// the key is not there any more.
    pub fn forget(&self, hash: u64, location: Location) -> bool {
        let mut shard = self.keydir.lock_for(hash);
        let Some(index) = shard.index_of(hash, location) else { return false };
        shard.remove(hash, index);
        self.release(location);
        self.changed.store(true, Ordering::Relaxed);
        true
    }

    fn release(&self, location: Location) {
        if let Some(segment) = self.segments.get(location.slot()) {
            segment.remove_live(location);
        }
    }

    fn wrote(&self, bytes: u64) {
        self.changed.store(true, Ordering::Relaxed);
        self.unsaved_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.tallies.bytes_written.fetch_add(bytes, Ordering::Relaxed);
    }

    fn log(&self) -> Result<&Log> {
        self.log.as_ref().ok_or_else(|| {
            Error::new(ErrorKind::ReadOnly, "the store was opened read-only; open it for writing")
        })
    }

    // --- background work -----------------------------------------------------------------------

    /// Ends the active segment, so that it can be rewritten.
    ///
    /// # Errors
    /// `Io`, and writing ends; `ReadOnly`.
    pub fn seal_active(&self) -> Result<()> {
        self.log()?.seal_active()
    }

    /// Rewrites the segment that is most worth it; `None` if none is, or `host` gave up.
    ///
    /// # Errors
    /// `NoSpace`, `Io`, `OutOfMemory`: nothing was lost; `ReadOnly`.
    pub fn compact_next(&self, host: &dyn Host) -> Result<Option<Rewritten>> {
        let mut compactor = self.compactor.lock();
        match compactor.choose(&self.segments) {
            Some(segment) => self.rewrite(&mut compactor, host, &segment),
            None => Ok(None),
        }
    }

    /// Rewrites all sealed segments that are not compressed or hold anything dead, and gives each
    /// to `report`.
    ///
    /// # Errors
    /// As [`Cold::compact_next`].
    pub fn compact_all(&self, host: &dyn Host, report: &mut dyn FnMut(&Rewritten)) -> Result<()> {
        let mut compactor = self.compactor.lock();
        // A first pass takes away the dead values that tombstones had to outlive, a second one
        // the tombstones; a third finds what died meanwhile.
        for _ in 0..3 {
            compactor.seal_output();
            let segments = compactor.choose_all(&self.segments);
            if segments.is_empty() {
                return Ok(());
            }
            for segment in segments {
                if let Some(rewritten) = self.rewrite(&mut compactor, host, &segment)? {
                    report(&rewritten);
                }
            }
        }
        Ok(())
    }

    fn rewrite(
        &self,
        compactor: &mut Compactor,
        host: &dyn Host,
        segment: &Arc<Segment>,
    ) -> Result<Option<Rewritten>> {
        self.poison.check()?;
        let parts = Parts {
            disk: &*self.disk,
            segments: &self.segments,
            keydir: &self.keydir,
            log: self.log()?,
            clock: &*self.clock,
            seed: self.hasher.seed(),
            segment_bytes_max: self.options.segment_bytes_max,
            sync: self.options.sync,
        };
        let rewritten = compactor.rewrite(&parts, host, segment)?;
        if let Some(rewritten) = &rewritten {
            self.wrote(rewritten.bytes_after);
            self.tallies.compactions.fetch_add(1, Ordering::Relaxed);
        }
        Ok(rewritten)
    }

    /// True once so much was written since the last checkpoint that it is time for another.
    pub fn needs_checkpoint(&self) -> bool {
        let own = 4 * 16 * self.keydir.len();
        self.unsaved_bytes.load(Ordering::Relaxed) > CHECKPOINT_BYTES + own
    }

    /// Writes a checkpoint, unless nothing has changed since the last; `quiesce` returns once every
    /// write that had been appended when it was called is published.
    ///
    /// # Errors
    /// `NoSpace`, `Io`: the old one stays; `ReadOnly`.
    pub fn checkpoint(&self, quiesce: &dyn Fn()) -> Result<()> {
        let log = self.log()?;
        self.poison.check()?;
        if !self.changed.swap(false, Ordering::Relaxed) {
            return Ok(());
        }
        self.unsaved_bytes.store(0, Ordering::Relaxed);
        // Not while records are moved: what the checkpoint leaves to be found was moved after it.
        let _compactor = self.compactor.lock();
        let position = log.position();
        quiesce();
        let head = Head {
            seed: self.hasher.seed(),
            sequence: position.sequence,
            log_segment: position.segment,
            log_offset: position.offset,
            clear_sequence: self.clear_sequence.load(Ordering::Acquire),
            time_ms: self.clock.wall().0,
            segments: 0,
            entries: 0,
        };
        checkpoint::write(&*self.disk, &self.keydir, &self.segments, head, &mut || log.sync())
            .inspect_err(|_| self.changed.store(true, Ordering::Relaxed))
    }

    /// Bytes written since the last sync began.
    pub fn unsynced_bytes(&self) -> u64 {
        self.log.as_ref().map_or(0, Log::unsynced_bytes)
    }

    /// Appends a record which vouches that everything before the log's current end was synced.
    /// Called right after a sync that began when the log ended at `position`.
    ///
    /// # Errors
    /// As [`Cold::append`].
    pub fn vouch(&self, position: Position) -> Result<()> {
        let log = self.log()?;
        if log.active().is_none_or(|active| active.id() != position.segment) {
            return Ok(());
        }
        let appended = log.append(&[Draft::marker(Kind::Synced, position.offset)])?;
        for (header, location) in &appended.records {
            appended.segment.note(header, *location, 0);
        }
        Ok(())
    }

    /// Where the log ends.
    ///
    /// # Errors
    /// `ReadOnly` if the store was opened so.
    pub fn position(&self) -> Result<Position> {
        Ok(self.log()?.position())
    }

    // --- care ----------------------------------------------------------------------------------

    /// Sizes at this moment.
    pub fn gauges(&self) -> Gauges {
        let freezes = self.options.compression != Compression::None;
        let mut gauges = Gauges {
            entries: self.keydir.len(),
            keydir_bytes: self.keydir.memory_bytes(),
            buffer_bytes: self.log.as_ref().map_or(0, Log::memory_bytes),
            ..Gauges::default()
        };
        for segment in self.segments.all() {
            let bytes = segment.file().len().unwrap_or(0);
            let is_log = segment.header().kind == SegmentKind::Log;
            gauges.segments += 1;
            gauges.bytes_disk += bytes;
            gauges.bytes_live += segment.live().1;
            gauges.unfrozen_bytes += if freezes && is_log { bytes } else { 0 };
        }
        gauges
    }

    /// Writes a copy of the store as it is at one moment, with a checkpoint, into an empty
    /// directory; `quiesce` as for [`Cold::checkpoint`].
    ///
    /// # Errors
    /// `NoSpace`, `Io`: what was copied is removed again.
    pub fn backup(&self, dest: Arc<dyn Disk>, quiesce: &dyn Fn()) -> Result<()> {
        let compactor = self.compactor.lock();
        let (segments, position) = self.snapshot();
        quiesce();
        let end = |segment: &Segment| match position {
            Some(position) if position.segment == segment.id() => position.offset,
            _ => segment.end(),
        };
        let ends: Vec<_> = segments.into_iter().map(|s| (s.clone(), end(&s))).collect();
        let next_sequence = match &self.log {
            Some(log) => log.sequences().next(),
            None => self.sequence_floor,
        };
        let manifest =
            Manifest { seed: self.hasher.seed(), next_sequence, time_ms: self.clock.wall().0 };
        backup::copy(&*dest, &ends, &manifest)?;
        drop(compactor);
        // Opening it proves the copy, and leaves it with a checkpoint.
        let options = ColdOptions { read_only: false, create: true, ..self.options.clone() };
        Self::open(dest, self.clock.clone(), options)?.checkpoint(&|| ())
    }

    /// All segments and the log's position, such that the segments are those which hold everything
    /// before it.
    fn snapshot(&self) -> (Vec<Arc<Segment>>, Option<Position>) {
        loop {
            let segments = self.segments.all();
            let position = self.log.as_ref().map(Log::position);
            let active = position.map_or(0, |position| position.segment);
            // One that was begun in between is not in the list; then once more.
            if active == 0 || segments.iter().any(|segment| segment.id() == active) {
                return (segments, position);
            }
        }
    }

    /// Reads every record; returns how many there are and how many are damaged.
    ///
    /// # Errors
    /// `Io`, `OutOfMemory`.
    pub fn verify(&self) -> Result<(u64, u64)> {
        let (mut records, mut damaged) = (0, 0);
        for segment in self.segments.all() {
            let mut scanner = Scanner::new(&segment, 0, segment.end())?;
            while let Some(step) = scanner.next()? {
                records += u64::from(matches!(step, Step::Record { .. }));
                damaged += u64::from(!matches!(step, Step::Record { intact: true, .. }));
            }
        }
        Ok((records, damaged))
    }
}

impl Held {
    fn segment(&self) -> Result<&Segment> {
        self.segment.as_deref().ok_or_else(|| {
            Error::new(ErrorKind::Corrupt, "the segment that held this key is gone; store it again")
        })
    }
}
