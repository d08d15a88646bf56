//! The store as its callers see it: opening, all calls in a list, closing.

use super::batch::Batch;
use super::core::Core;
use super::events::Subscriber;
use super::load::{Loaded, Loader};
use super::maintenance::Maintenance;
use super::options::{Durability, Options};
use super::queue::EventQueue;
use super::read::RetrieveOptions;
use super::report::StatsFormat;
use super::scan::Cursor;
use super::stats::Snapshot;
use super::value::{Answer, Value};
use super::write::{StoreOptions, Stored};
use crate::cold::{ColdTier, Local, LocalOptions};
use crate::error::{Error, ErrorKind, Result};
use crate::io::clock::SystemClock;
use crate::io::fork;
use crate::io::thread::Thread;
use crate::sync::Mutex;
use crate::time::Clock;
use std::path::Path;
use std::sync::Arc;

/// A store. Any thread may make any call at any time. Each call gets only the parts that it needs:
/// those of a `Reader` cannot change a key.
pub struct Store {
    core: Arc<Core>,
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
                (Some(local as Box<dyn ColdTier>), warning)
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
    #[inline(never)]
    pub(super) fn open_with(
        options: &Options,
        storage_id: String,
        cold: Option<Box<dyn ColdTier>>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let core = Arc::new(Core::new(options.clone(), storage_id, cold, clock));
        let background = Mutex::new(Some(start(core.clone())?));
        let store = Self { core, background, warning: None };
        if let Some(sharing) = store.core.tiers().sharing() {
            sharing.listen(store.core.clone())?;
        }
        Ok(store)
    }

    /// A store whose background work is done by hand.
    #[cfg(test)]
    pub(super) fn without_thread(
        options: Options,
        cold: Option<Box<dyn ColdTier>>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let core = Arc::new(Core::new(options, "test".to_owned(), cold, clock));
        Self { core, background: Mutex::new(None), warning: None }
    }

    /// Its parts.
    #[cfg(test)]
    pub(super) fn core(&self) -> &Core {
        &self.core
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
        self.core.work().stop();
        background.join();
        self.core.writer().shut_down()
    }

    /// After a panic: refuses further writes.
    pub fn poison(&self) {
        self.core.health().fail();
    }

    /// Finds the value of a key; `None` if it is absent or has expired.
    ///
    /// # Errors
    /// `TooLarge`, `Corrupt`, `Io`, `OutOfMemory`; those of cold are survived if lenient.
    pub fn retrieve(&self, key: &[u8]) -> Result<Answer<Option<Value>>> {
        self.core.reader().retrieve(key)
    }

    /// As [`Store::retrieve`], with a say in what becomes of hot.
    ///
    /// # Errors
    /// As [`Store::retrieve`].
    pub fn retrieve_with(
        &self,
        key: &[u8],
        options: RetrieveOptions,
    ) -> Result<Answer<Option<Value>>> {
        self.core.reader().retrieve_with(key, options)
    }

    /// True if the key has a value; reads none.
    ///
    /// # Errors
    /// As [`Store::retrieve`].
    pub fn contains(&self, key: &[u8]) -> Result<Answer<bool>> {
        self.core.reader().contains(key)
    }

    /// Finds the value of a key, or has `load` make it and stores that.
    ///
    /// # Errors
    /// As a retrieve and a store; `CallbackFailed` with the number that `load` gave, unless 0; `Misuse` if
    /// this thread is loading that key already.
    pub fn retrieve_or_load(
        &self,
        key: &[u8],
        load: &mut dyn FnMut(&mut Loaded) -> i32,
    ) -> Result<Answer<Option<Value>>> {
        Loader::new(self.core.reader(), self.core.writer()).retrieve_or_load(key, load)
    }

    /// Stores a value without conditions; gives its version.
    ///
    /// # Errors
    /// As [`Store::store_with`].
    pub fn store(&self, key: &[u8], value: &[u8]) -> Result<Answer<u64>> {
        self.core.writer().store(key, value)
    }

    /// Stores a value.
    ///
    /// # Errors
    /// `TooLarge`, `NoSpace`, `Io`, `ReadOnly`, `OutOfMemory`: nothing was stored. Those of cold are
    /// survived if lenient, as long as hot can keep the value until cold takes it.
    pub fn store_with(
        &self,
        key: &[u8],
        value: &[u8],
        options: &StoreOptions,
    ) -> Result<Answer<Stored>> {
        self.core.writer().store_with(key, value, options)
    }

    /// Deletes a key from both tiers; `false` if it was in neither.
    ///
    /// # Errors
    /// `TooLarge`, `NoSpace`, `Io`, `ReadOnly`: nothing was deleted.
    pub fn delete(&self, key: &[u8]) -> Result<bool> {
        self.core.writer().delete(key)
    }

    /// Removes every key from both tiers, at a cost that does not depend on their number.
    ///
    /// # Errors
    /// `NoSpace`, `Io`, `ReadOnly`: nothing was removed.
    pub fn clear(&self) -> Result<()> {
        self.core.writer().clear()
    }

    /// Applies a batch; `false`, and nothing is done, if a condition in it is not met.
    ///
    /// # Errors
    /// `NoSpace`, `Io`, `ReadOnly`, `TooLarge`, `OutOfMemory`: nothing is done.
    pub fn write(&self, batch: &Batch, sync: bool) -> Result<bool> {
        self.core.writer().write(batch, sync)
    }

    /// A walk through the keys that begin with `prefix`.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub fn cursor(&self, prefix: &[u8]) -> Result<Cursor> {
        self.core.reader().cursor(prefix)
    }

    /// Goes to the next key; `false` at the end.
    ///
    /// # Errors
    /// `Corrupt`, `Io` for a key that could not be read: the walk goes on with the next call.
    /// `OutOfMemory`: the next call tries again.
    pub fn cursor_next(&self, cursor: &mut Cursor) -> Result<bool> {
        self.core.reader().cursor_next(cursor)
    }

    /// The value of the key that the cursor stands on, not promoted; `None` if it is gone by now.
    ///
    /// # Errors
    /// As a retrieve; `Misuse` if it stands on none.
    pub fn cursor_value(&self, cursor: &Cursor) -> Result<Answer<Option<Value>>> {
        self.core.reader().cursor_value(cursor)
    }

    /// Loads the keys from cold into hot; returns how many of them are hot afterwards.
    ///
    /// # Errors
    /// As [`Store::retrieve`], for the first key that fails; those before it are loaded.
    pub fn warm_up(&self, keys: &[&[u8]]) -> Result<Answer<u64>> {
        self.core.reader().warm_up(keys)
    }

    /// Takes a key out of hot and deletes nothing: an unwritten entry stays, and in a store without a
    /// cold tier every one. False if hot has none.
    ///
    /// # Errors
    /// `TooLarge`.
    pub fn forget(&self, key: &[u8]) -> Result<bool> {
        self.core.writer().forget(key)
    }

    /// Demotes what is least worth keeping until hot uses at most `target_bytes`; returns how many entries
    /// that were.
    ///
    /// # Errors
    /// Those of writing back unwritten entries; they stay in hot. Survived if lenient.
    pub fn optimize_hot(&self, target_bytes: u64) -> Result<Answer<u64>> {
        self.core.writer().optimize_hot(target_bytes)
    }

    /// Rewrites everything that is not compressed or holds what is dead, on the calling thread.
    ///
    /// # Errors
    /// `NoSpace`, `Io`, `ReadOnly`: what was not rewritten is as before.
    pub fn compact(&self) -> Result<()> {
        self.core.writer().compact()
    }

    /// Makes everything acknowledged so far survive power loss.
    ///
    /// # Errors
    /// `Io`, and the store turns read-only; `NoSpace`, `ReadOnly`.
    pub fn sync(&self) -> Result<()> {
        self.core.writer().sync()
    }

    /// Reads every record that is kept; returns how many there are, and how many are damaged or missing.
    ///
    /// # Errors
    /// `Io`, `OutOfMemory`.
    pub fn verify(&self) -> Result<Answer<(u64, u64)>> {
        self.core.reader().verify()
    }

    /// Writes a copy of the store, as it is at one moment during the call, into the directory `dest`, which
    /// is made if need be and must be empty. The copy is durable and can be opened.
    ///
    /// # Errors
    /// `InvalidArgument` for a store in memory only or a directory that is not empty; `Locked`, `NoSpace`,
    /// `Io`: what was made is removed again.
    pub fn backup(&self, dest: &Path) -> Result<()> {
        self.core.writer().backup(dest)
    }

    /// The name of the store in stats and events.
    pub fn storage_id(&self) -> &str {
        self.core.storage_id()
    }

    /// All figures at this moment.
    pub fn stats(&self) -> Snapshot {
        self.core.stats()
    }

    /// All figures at this moment, as text.
    pub fn stats_text(&self, format: StatsFormat) -> String {
        self.core.stats_text(format)
    }

    /// Subscribes to the kinds of events in `mask`; returns the subscription's number.
    pub fn subscribe(&self, mask: u32, subscriber: Box<dyn Subscriber>) -> u64 {
        self.core.reporting().events().subscribe(mask, subscriber)
    }

    /// Ends a subscription; `false` if there is none of that number.
    pub fn unsubscribe(&self, subscription: u64) -> bool {
        self.core.reporting().events().unsubscribe(subscription)
    }

    /// A queue of the events in `mask`, of at most `capacity` events.
    ///
    /// # Errors
    /// `InvalidArgument` for a capacity of 0.
    pub fn event_queue(&self, mask: u32, capacity: usize) -> Result<Arc<EventQueue>> {
        EventQueue::open(self.core.reporting().events(), mask, capacity)
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // Whoever wants to know of a failure closes the store.
        let _ = self.close();
    }
}

/// On its own, so that its frame is not on the stack while the rest is made.
#[inline(never)]
fn open_local(
    path: &Path,
    options: &Options,
    clock: &Arc<dyn Clock>,
) -> Result<(Box<Local>, Option<String>)> {
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

fn start(core: Arc<Core>) -> Result<Thread> {
    Thread::start(move || {
        let run = std::panic::AssertUnwindSafe(|| Maintenance::new(core.writer()).run());
        if std::panic::catch_unwind(run).is_err() {
            core.health().fail();
            let sentence = "the background thread met a defect of hotcold and has ended";
            core.reporting().tell_error(&Error::new(ErrorKind::Internal, sentence), &[]);
        }
    })
}
