//! The store: both tiers behind one handle.
//!
//! | file | what |
//! |---|---|
//! | `options` | what can be chosen, by name |
//! | `stats`, `histogram`, `report` | what is counted, and how it is told |
//! | `events`, `queue` | what is told to subscribers, called or pulled |
//! | `state` | what all calls share; the order of locks |
//! | `host`, `full_disk` | the store as the cold tier sees it; room where there is none |
//! | `read`, `write`, `batch`, `load`, `scan` | the calls |
//! | `op`, `publish`, `commit` | how every change is made |
//! | `loads` | which keys are being loaded |
//! | `unwritten` | what hot has and cold has not got yet |
//! | `verify`, `backup`, `admin` | calls about the store as a whole |
//! | `warm` | which keys were hot, across close and crash |
//! | `maintenance`, `work` | the background thread |

#![warn(clippy::missing_docs_in_private_items)]

pub mod options;
pub mod histogram;
pub mod stats;
pub mod events;
pub mod queue;
pub mod value;
pub mod work;
pub mod loads;
pub mod state;
pub mod host;
pub mod full_disk;
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
pub mod verify;
pub mod backup;
pub mod warm;
pub mod admin;
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
use crate::cold::{ColdTier, Local, LocalOptions};
use crate::error::{Error, ErrorKind, Result};
use crate::io::clock::SystemClock;
use crate::io::fork;
use crate::io::thread::Thread;
use crate::sync::Mutex;
use crate::time::Clock;
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;

/// A store. All calls may be made from any thread at once; those that are not here are those of
/// [`State`].
pub struct Store {
    state: Arc<State>,
    background: Mutex<Option<Thread>>,
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
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let (cold, warning) = match path {
            Some(path) => {
                let (local, warning) = open_local(path, options, &clock)?;
                (Some(Box::new(local) as Box<dyn ColdTier>), warning)
            }
            None => (None, None),
        };
        let id = storage_id(path, options);
        let mut store = Self::open_with(options, id, cold, clock)?;
        store.warning = warning;
        Ok(store)
    }

    /// Opens a store over any cold tier and clock; without a cold tier it is in memory only.
    ///
    /// # Errors
    /// `Io`, `OutOfMemory`: there is no thread to be had.
    fn open_with(
        options: &Options,
        storage_id: String,
        cold: Option<Box<dyn ColdTier>>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let state = Arc::new(State::new(options.clone(), storage_id, cold, clock));
        let background = Mutex::new(Some(start(state.clone())?));
        Ok(Self { state, background, warning: None })
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
        self.state.shut_down()
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

/// On its own, so that its frame is not on the stack while the rest is made.
#[inline(never)]
fn open_local(
    path: &Path,
    options: &Options,
    clock: &Arc<dyn Clock>,
) -> Result<(Local, Option<String>)> {
    let sync_each = options.durability == Durability::Sync;
    let local = LocalOptions {
        compression: options.compression,
        read_only: options.read_only,
        create: options.create && !options.read_only,
        ..LocalOptions::new(options.cold_capacity, sync_each, options.sync_interval_ms)
    };
    Local::open_directory(path, options.writable_by_others, clock, &local)
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

#[cfg(test)]
mod tests;
