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
//! | `op`, `publish`, `commit` | how every change is made |
//! | `loads` | which keys are being loaded |
//! | `unwritten` | what hot has and cold has not got yet |
//! | `care` | verify and backup |
//! | `warm` | which keys were hot, across close and crash |
//! | `maintenance`, `work` | the background thread |

#![warn(clippy::missing_docs_in_private_items)]

pub mod options;
pub mod figures;
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
pub mod op;
pub mod publish;
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
pub use self::events::{CallbackScope, Event, EventKind, Subscriber, in_callback};
pub use self::load::Loaded;
pub use self::options::{Durability, Eviction, Exposed, Options, Policy, WriteMode};
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
use crate::cold::{Cold, ColdOptions, check_contents};
use crate::error::{Error, ErrorKind, Result};
use crate::hot::{Hot, HotOptions};
use crate::io::clock::SystemClock;
use crate::io::disk::Directory;
use crate::io::fork;
use crate::io::lock::{DirLock, LockMode};
use crate::io::thread::Thread;
use crate::sync::Mutex;
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;

/// So many stores that follow each other closely are a load, in which a failure of the disk may be
/// told some stores later; what was acknowledged survives the process all the same.
const STAGE_AFTER: u64 = 512;

/// A store. All calls may be made from any thread at once; those that are not here are those of
/// [`State`].
pub struct Store {
    state: Arc<State>,
    background: Mutex<Option<Thread>>,
    /// Given back last, when nothing writes any more.
    lock: Mutex<Option<DirLock>>,
    warning: Option<String>,
}

impl Store {
    /// Opens the store in the directory `path`, or one in memory only.
    ///
    /// # Errors
    /// `InvalidArgument` and `Unsupported` for the options, `Locked`, `Io`, `NoSpace`,
    /// `OutOfMemory`; `InvalidArgument` too if the directory holds other files and no store,
    /// `Unsupported` too if a newer version wrote it.
    pub fn open(path: Option<&Path>, options: &Options) -> Result<Self> {
        options.check(path.is_some())?;
        fork::watch()?;
        let clock = Arc::new(SystemClock::default());
        let (cold, lock, warning) = match path {
            Some(path) => {
                let directory = open_directory(path, options)?;
                let warning = exposure(&directory, options)?;
                let (cold, lock) = open_cold(directory, options, &clock)?;
                (Some(cold), Some(lock), warning)
            }
            None => (None, None, None),
        };
        let state = state_of(path, options, cold, clock);
        let background = start(state.clone())?;
        let (background, lock) = (Mutex::new(Some(background)), Mutex::new(lock));
        Ok(Self { state, background, lock, warning })
    }

    /// What whoever opened the store should know although it was opened, as a sentence.
    pub fn warning(&self) -> Option<&str> {
        self.warning.as_deref()
    }

    /// Writes back, syncs and ends the store's thread; the directory may be opened again then. A
    /// second call does nothing. No other call may be in progress.
    ///
    /// # Errors
    /// The first failure; the store is closed all the same.
    pub fn close(&self) -> Result<()> {
        let Some(background) = self.background.lock().take() else { return Ok(()) };
        self.state.work.stop();
        background.join();
        let ended = self.state.shut_down();
        *self.lock.lock() = None;
        ended
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

fn open_directory(path: &Path, options: &Options) -> Result<Directory> {
    if path.as_os_str().is_empty() {
        let sentence = "open the store: the path is empty; name a directory, or give no path at all \
                        for a store in memory";
        return Err(Error::new(ErrorKind::InvalidArgument, sentence));
    }
    Directory::open(path, options.create && !options.read_only)
        .map_err(|error| error.context(format_args!("open the store in {}", path.display())))
}

/// What is to be told of a directory that other users may change.
fn exposure(directory: &Directory, options: &Options) -> Result<Option<String>> {
    if options.writable_by_others == Exposed::Allow {
        return Ok(None);
    }
    let Some(what) = directory.exposure()? else { return Ok(None) };
    let sentence = format!(
        "{what}: they can replace its files; let only its own user write there, or set \
         writable_by_others=allow"
    );
    match options.writable_by_others {
        Exposed::Refuse => Err(Error::new(ErrorKind::InvalidArgument, sentence)),
        Exposed::Tell | Exposed::Allow => Ok(Some(sentence)),
    }
}

/// On its own, so that its frame is not on the stack while cold is opened.
#[inline(never)]
fn state_of(
    path: Option<&Path>,
    options: &Options,
    cold: Option<Cold>,
    clock: Arc<SystemClock>,
) -> Arc<State> {
    let hot = Hot::new(&HotOptions {
        capacity: options.hot_capacity,
        max_entries: options.hot_max_entries,
        residency_ms: options.hot_ttl_ms,
        eviction: options.eviction,
    });
    let id = storage_id(path, options);
    Arc::new(State::new(options.clone(), id, (hot, cold), clock))
}

#[inline(never)]
fn open_cold(
    directory: Directory,
    options: &Options,
    clock: &Arc<SystemClock>,
) -> Result<(Cold, DirLock)> {
    let create = options.create && !options.read_only;
    let mode = if options.read_only { LockMode::Shared } else { LockMode::Exclusive };
    let lock = DirLock::acquire(&directory, mode, &|| check_contents(&directory, create))?;
    let cold_options = ColdOptions {
        compression: options.compression,
        segment_bytes_max: options.segment_bytes(),
        capacity: options.cold_capacity,
        sync: options.sync_interval_ms != 0 || options.durability == Durability::Sync,
        unsynced_ms_max: match options.sync_interval_ms {
            0 => u64::MAX,
            interval => interval,
        },
        sync_each: options.durability == Durability::Sync,
        read_only: options.read_only,
        create,
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

fn start(state: Arc<State>) -> Result<Thread> {
    Thread::start(move || {
        let run = std::panic::AssertUnwindSafe(|| Maintenance::new(&state).run());
        if std::panic::catch_unwind(run).is_err() {
            state.fail();
            let sentence = "the background thread met a defect of hotcold and has ended";
            state.tell_error(&Error::new(ErrorKind::Internal, sentence), &[]);
        }
    })
}
