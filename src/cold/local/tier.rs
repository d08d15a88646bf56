//! The cold tier as its calls share it, and opening it.

use super::compaction::compaction::Compactor;
use super::index::keydir::Keydir;
use super::log::log::{Log, LogOptions};
use super::log::poison::Poison;
use super::log::reserve::{Need, Reserve};
use super::log::sequences::Sequences;
use super::recovery::contents;
use super::recovery::recovery::{self, Recovered};
use super::segment::segment::Segments;
use crate::codec::compress::Compression;
use crate::error::{Error, ErrorKind, Result};
use crate::io::files::Disk;
use crate::io::lock::DirLock;
use crate::key::KeyHasher;
use crate::limits::{SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN};
use crate::sync::Mutex;
use crate::time::{Clock, Instant};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What opening may need on a full disk: what the stage has, and the manifest.
const OPEN_BYTES: u64 = 320 << 10;

/// After so many changes in quick succession, the next ones go to the stage. A failure of the disk
/// is then reported some changes later; what was acknowledged survives the process all the same.
const STAGE_AFTER: u64 = 512;

/// How a cold tier is set up.
#[derive(Clone, Debug)]
pub struct LocalOptions {
    /// How compaction compresses.
    pub compression: Compression,
    /// Length of a segment in bytes.
    pub segment_bytes_max: u64,
    /// How many bytes the files may have together; 0: any.
    pub capacity: u64,
    /// Whether anything is synced unasked.
    pub sync: bool,
    /// How long what was appended may wait for a sync, in milliseconds; `u64::MAX`: for ever.
    pub unsynced_ms_max: u64,
    /// Whether every append is synced.
    pub sync_each: bool,
    /// Whether nothing may be written at all.
    pub read_only: bool,
    /// Whether a store is made where there is nothing.
    pub create: bool,
    /// After how many appends in quick succession the next ones are staged.
    pub stage_after: u64,
}

/// The cold tier.
pub struct Local {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) segments: Arc<Segments>,
    pub(super) keydir: Keydir,
    pub(super) hasher: KeyHasher,
    pub(super) poison: Arc<Poison>,
    pub(super) reserve: Arc<Reserve>,
    pub(super) log: Option<Log>,
    pub(super) compactor: Mutex<Compactor>,
    pub(super) options: LocalOptions,
    pub(super) clear_sequence: AtomicU64,
    pub(super) changed: AtomicBool,
    pub(super) unsaved_bytes: AtomicU64,
    pub(super) sequence_floor: u64,
    /// Counts of what recovery found and background work has done.
    pub(super) tallies: Tallies,
    pub(super) timers: Mutex<Timers>,
    /// What recovery found to be damaged, until it is told.
    findings: Mutex<Vec<Error>>,
    /// The lock on the directory; none on a disk that nobody else has.
    lock: Mutex<Option<DirLock>>,
}

/// Counters that the cold tier keeps itself.
#[derive(Default)]
pub struct Tallies {
    /// Damaged records that recovery found.
    pub corrupt_records: AtomicU64,
    /// Derived files that were rebuilt.
    pub rebuilt_files: AtomicU64,
    /// Bytes of torn tails that were cut off.
    pub recovered_bytes: AtomicU64,
    /// Bytes written, by appending and by compaction.
    pub bytes_written: AtomicU64,
    /// Bytes of memory that rewriting has, while it goes on.
    pub working_bytes: AtomicU64,
    /// Segments that were rewritten.
    pub compactions: AtomicU64,
}

/// When work that is done now and then was done last, or is due.
pub(super) struct Timers {
    pub(super) last_sync: Instant,
    pub(super) sweep_after: Instant,
}

impl LocalOptions {
    /// What is usual, under a bound of `capacity` bytes (0: none), if changes are synced each by
    /// itself or not, and together every `sync_interval_ms` milliseconds (0: never).
    pub fn new(capacity: u64, sync_each: bool, sync_interval_ms: u64) -> Self {
        Self {
            compression: Compression::None,
            // Smaller when the disk is bounded, so that dropping the oldest is done in small steps.
            segment_bytes_max: match capacity {
                0 => SEGMENT_BYTES_MAX,
                _ => (capacity / 32).clamp(SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX),
            },
            capacity,
            sync: sync_interval_ms != 0 || sync_each,
            unsynced_ms_max: if sync_interval_ms == 0 { u64::MAX } else { sync_interval_ms },
            sync_each,
            read_only: false,
            create: true,
            stage_after: STAGE_AFTER,
        }
    }
}

impl Local {
    /// Opens the store in `disk`, or makes one there.
    ///
    /// # Errors
    /// `InvalidArgument` if it holds other files and no store, or nothing and none may be made;
    /// `Unsupported` if a newer version wrote it, `Io`, `NoSpace`, `OutOfMemory`.
    pub fn open(disk: Arc<dyn Disk>, clock: Arc<dyn Clock>, options: LocalOptions) -> Result<Self> {
        let writable = !options.read_only;
        contents::check(&*disk, options.create)?;
        let reserve = Arc::new(Reserve::open(disk.clone())?);
        loop {
            match Self::open_with(&disk, &clock, &options, &reserve) {
                // Nothing has changed that a crash could not have left; on a full disk the manifest
                // and what the stage has need some room.
                Err(error) if writable && reserve.may_help(&error, OPEN_BYTES, Need::Deletion) => {}
                opened => return opened,
            }
        }
    }

    #[inline(never)]
    fn open_with(
        disk: &Arc<dyn Disk>,
        clock: &Arc<dyn Clock>,
        options: &LocalOptions,
        reserve: &Arc<Reserve>,
    ) -> Result<Self> {
        let found = recovery::recover(&**disk, !options.read_only)?;
        clock.raise(found.time.start(clock.moment().system()));
        Self::of(found, disk, clock, options, reserve)
    }

    /// The tier of what was found. On its own, so that its frame is not on the stack during recovery.
    #[inline(never)]
    fn of(
        found: Recovered,
        disk: &Arc<dyn Disk>,
        clock: &Arc<dyn Clock>,
        options: &LocalOptions,
        reserve: &Arc<Reserve>,
    ) -> Result<Self> {
        let writable = !options.read_only;
        let seed = found.seed.unwrap_or_else(|| KeyHasher::random().seed());
        let segments = Arc::new(found.segments);
        let poison = Arc::new(Poison::default());
        let log = match writable {
            true => {
                let sequences = Sequences::claim(&**disk, seed, found.sequence_floor, &**clock)?;
                let options = LogOptions {
                    sequences,
                    poison: poison.clone(),
                    seed,
                    segment_bytes_max: options.segment_bytes_max,
                    sync_on_roll: options.sync_each,
                    unsynced_ms_max: options.unsynced_ms_max,
                    reserve: reserve.clone(),
                    active: found.active,
                    // What is synced each time goes to the file each time.
                    stage_after: if options.sync_each { u64::MAX } else { options.stage_after },
                };
                let (disk, clock) = (disk.clone(), clock.clone());
                Some(Log::new(disk, clock, segments.clone(), options))
            }
            false => None,
        };
        let now = clock.monotonic();
        let tallies = Tallies {
            corrupt_records: AtomicU64::new(found.corrupt_records),
            rebuilt_files: AtomicU64::new(found.rebuilt_files),
            recovered_bytes: AtomicU64::new(found.torn_bytes),
            ..Tallies::default()
        };
        Ok(Self {
            compactor: Mutex::new(Compactor::new(options.compression)?),
            disk: disk.clone(),
            clock: clock.clone(),
            segments,
            keydir: found.keydir,
            hasher: KeyHasher::new(seed),
            poison,
            reserve: reserve.clone(),
            log,
            options: options.clone(),
            clear_sequence: AtomicU64::new(found.clear_sequence),
            changed: AtomicBool::new(found.scanned_bytes > 0 || found.rebuilt_files > 0),
            unsaved_bytes: AtomicU64::new(found.scanned_bytes),
            sequence_floor: found.sequence_floor,
            tallies,
            timers: Mutex::new(Timers { last_sync: now, sweep_after: now }),
            findings: Mutex::new(found.findings),
            lock: Mutex::new(None),
        })
    }

    /// Makes keys of this store.
    pub fn hasher(&self) -> KeyHasher {
        self.hasher
    }

    /// Returns what recovery found to be damaged, a sentence for each segment, and forgets it: each
    /// is told once.
    pub fn take_findings(&self) -> Vec<Error> {
        std::mem::take(&mut self.findings.lock())
    }

    /// Holds the lock that keeps others from the directory, until [`Local::release`].
    pub(super) fn keep_lock(&self, lock: DirLock) {
        *self.lock.lock() = Some(lock);
    }

    /// Lets others open the directory. Nothing may be written any more.
    pub fn release(&self) {
        *self.lock.lock() = None;
    }

    /// Takes note of bytes that were written.
    pub(super) fn wrote(&self, bytes: u64) {
        self.changed.store(true, Ordering::Relaxed);
        self.unsaved_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.tallies.bytes_written.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The log.
    ///
    /// # Errors
    /// `ReadOnly` if the store was opened so.
    pub(super) fn log(&self) -> Result<&Log> {
        self.log.as_ref().ok_or_else(|| {
            Error::new(ErrorKind::ReadOnly, "the store was opened read-only; open it for writing")
        })
    }
}
