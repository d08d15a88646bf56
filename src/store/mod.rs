//! The store: both tiers behind one handle.
//!
//! | file | what |
//! |---|---|
//! | `options` | what can be chosen, by name |
//! | `stats`, `histogram`, `report` | what is counted, and how it is told |
//! | `events`, `queue` | what is told to subscribers, called or pulled |
//! | `state` | what all calls share; the order of locks |
//! | `rewriting` | what compaction asks of the store; room on a full disk |
//! | `read`, `write`, `batch`, `load`, `scan` | the calls |
//! | `commit` | how every change is made |
//! | `loads` | which keys are being loaded |
//! | `unwritten` | what hot has and cold has not got yet |
//! | `care` | verify and backup |
//! | `warm` | which keys were hot, across close and crash |
//! | `maintenance`, `work` | the background thread |

pub mod options;
pub mod histogram;
pub mod stats;
pub mod events;
pub mod queue;
pub mod value;
pub mod work;
pub mod loads;
pub mod state;
pub mod rewriting;
pub mod read;
pub mod commit;
pub mod unwritten;
pub mod write;
pub mod batch;
pub mod scan;
pub mod load;
pub mod report;
pub mod care;
pub mod warm;
pub mod maintenance;

pub use self::batch::Batch;
pub use self::events::{CallbackScope, Event, EventKind, Events, Subscriber, in_callback};
pub use self::load::Loaded;
pub use self::options::{Durability, Eviction, Options, Policy, WriteMode};
pub use self::queue::{EventQueue, OwnedEvent};
pub use self::read::RetrieveOptions;
pub use self::report::StatsFormat;
pub use self::scan::Cursor;
pub use self::stats::{Snapshot, Tier};
pub use self::value::{Answer, Value};
pub use self::write::{StoreOptions, Stored};
pub use crate::io::fork::fork_epoch;

use self::maintenance::Maintenance;
use self::state::State;
use crate::cold::{Cold, ColdOptions};
use crate::error::{Error, ErrorKind, Result};
use crate::hot::{Hot, HotOptions};
use crate::io::clock::SystemClock;
use crate::io::disk::Directory;
use crate::io::fork;
use crate::io::lock::{DirLock, LockMode};
use crate::sync::Mutex;
use crate::time::Timestamp;
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

/// So many stores that follow each other closely are a load, in which a failure of the disk may be
/// told some stores later; what was acknowledged survives the process all the same.
const STAGE_AFTER: u64 = 512;

/// A store. All calls may be made from any thread at once; those that are not here are those of
/// [`State`].
pub struct Store {
    state: Arc<State>,
    background: Mutex<Option<JoinHandle<()>>>,
    /// Given back last, when nothing writes any more.
    lock: Mutex<Option<DirLock>>,
}

impl Store {
    /// Opens the store in the directory `path`, or one in memory only.
    ///
    /// # Errors
    /// `InvalidArgument` and `Unsupported` for the options, `Locked`, `Io`, `NoSpace`,
    /// `OutOfMemory`; `Unsupported` too if a newer version wrote the directory.
    pub fn open(path: Option<&Path>, options: &Options) -> Result<Self> {
        options.check(path.is_some())?;
        fork::watch()?;
        let clock = Arc::new(SystemClock::with_floor(Timestamp(0)));
        let (cold, lock) = match path {
            Some(path) => {
                let (cold, lock) = open_cold(path, options, &clock)?;
                (Some(cold), Some(lock))
            }
            None => (None, None),
        };
        if let Some(cold) = &cold {
            clock.raise_floor(Timestamp(cold.time_floor_ms()));
        }
        let hot = Hot::new(&HotOptions {
            capacity: options.hot_capacity,
            max_entries: options.hot_max_entries,
            residency_ms: options.hot_ttl_ms,
        });
        let id = storage_id(path, options);
        let state = Arc::new(State::new(options.clone(), id, (hot, cold), clock));
        let background = start(state.clone())?;
        Ok(Self { state, background: Mutex::new(Some(background)), lock: Mutex::new(lock) })
    }

    /// Writes back, syncs and ends the store's thread; the directory may be opened again then. A
    /// second call does nothing. No other call may be in progress.
    ///
    /// # Errors
    /// The first failure; the store is closed all the same.
    pub fn close(&self) -> Result<()> {
        let Some(background) = self.background.lock().take() else { return Ok(()) };
        self.state.work.stop();
        // The thread catches its own panics; one that got out of it was told there.
        let joined = background.join();
        let ended = self.state.shut_down();
        *self.lock.lock() = None;
        match joined {
            Ok(()) => ended,
            Err(_) => Err(Error::new(ErrorKind::Internal, "the background thread has panicked")),
        }
    }

    /// After a panic: refuses further writes.
    pub fn poison(&self) {
        self.state.fail();
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // Whoever wants to know of a failure closes the store.
        let _ = self.close();
    }
}

impl Deref for Store {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}

fn open_cold(path: &Path, options: &Options, clock: &Arc<SystemClock>) -> Result<(Cold, DirLock)> {
    let directory = Directory::open(path, options.create && !options.read_only)
        .map_err(|error| error.context(format_args!("open the store in {}", path.display())))?;
    let mode = if options.read_only { LockMode::Shared } else { LockMode::Exclusive };
    let lock = DirLock::acquire(&directory, mode)?;
    let cold_options = ColdOptions {
        compression: options.compression,
        segment_bytes_max: options.segment_bytes(),
        sync: options.sync_interval_ms != 0 || options.durability == Durability::Sync,
        unsynced_ms_max: match options.sync_interval_ms {
            0 => u64::MAX,
            interval => interval,
        },
        sync_each: options.durability == Durability::Sync,
        read_only: options.read_only,
        create: options.create && !options.read_only,
        stage_after: STAGE_AFTER,
    };
    let cold = Cold::open(Arc::new(directory), clock.clone(), cold_options)?;
    Ok((cold, lock))
}

fn storage_id(path: Option<&Path>, options: &Options) -> String {
    let name = path.and_then(|path| {
        // "." and ".." name no directory; the real path does.
        let name = path.file_name().map(ToOwned::to_owned);
        name.or_else(|| path.canonicalize().ok()?.file_name().map(ToOwned::to_owned))
    });
    let name = name.map(|name| name.to_string_lossy().into_owned());
    options.storage_id.clone().or(name).unwrap_or_else(|| "memory".to_owned())
}

fn start(state: Arc<State>) -> Result<JoinHandle<()>> {
    std::thread::Builder::new()
        .name("hotcold".to_owned())
        .spawn(move || {
            let run = std::panic::AssertUnwindSafe(|| Maintenance::new(&state).run());
            if std::panic::catch_unwind(run).is_err() {
                state.fail();
                let sentence = "the background thread met a defect of hotcold and has ended";
                state.tell_error(&Error::new(ErrorKind::Internal, sentence), &[]);
            }
        })
        .map_err(|error| {
            let sentence = format!("start the store's thread: {error}");
            Error::new(ErrorKind::Io, sentence).with_os_code(error.raw_os_error().unwrap_or(0))
        })
}
