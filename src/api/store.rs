//! `Store`: every call of a Rust program on a store.

use super::batch::Batch;
use super::cursor::Cursor;
use super::events::{Event, EventKinds, EventQueue, Listener, SubscriptionId};
use super::handle::Handle;
use super::load::{Loaded, retrieve_or_load};
use super::options::Options;
use super::requests::{RetrieveOptions, StoreOptions};
use super::value::Value;
use super::verified::Verified;
use crate::error::Result;
use crate::memory;
use crate::store::{Snapshot, StatsFormat, Stored};
use std::error::Error as StdError;
use std::fmt;
use std::path::Path;
use std::result::Result as StdResult;

/// An open store: byte strings under keys that are byte strings, in memory and on disk.
///
/// A key has up to 65,535 bytes, a value less than 4 GiB.
///
/// **Threads.** Every method that takes `&self` may be called from any thread at any time, at the
/// same time as any other; share a store by reference or in an `Arc`. A change of a key happens at
/// one instant between call and return.
///
/// **Errors.** Each method names the kinds that a caller may want to tell apart. These can come from
/// every method and are not repeated: `Misuse` in a forked child, to which the store does not
/// belong; `OutOfMemory` where the process has no memory left; `Internal` after a defect of this
/// library. After an error nothing has changed, unless the method says otherwise. Under
/// [`Policy::Lenient`](crate::Policy) a method hides a failure of the cold tier that it can live
/// with: the store counts it ([`Snapshot::lenient_failures`]) and sends an event.
///
/// **The end.** Dropping a store closes it and hides failures; [`Store::close`] reports them. What
/// was acknowledged survives both, and a kill of the process, too.
///
/// ```
/// use hotcold::{Options, Store};
///
/// # fn main() -> hotcold::Result<()> {
/// # let directory = std::env::temp_dir().join(format!("hotcold-doc-store-{}", std::process::id()));
/// let store = Store::open(&directory, &Options::new())?;
/// store.store("greeting", "hello, world")?;
/// store.close()?;
///
/// let store = Store::open(&directory, &Options::new())?;
/// let value = store.retrieve("greeting")?.expect("it was stored");
/// assert_eq!(&*value, b"hello, world");
/// assert!(store.delete("greeting")?);
/// assert!(store.retrieve("greeting")?.is_none());
/// # store.close()?;
/// # std::fs::remove_dir_all(&directory).unwrap();
/// # Ok(())
/// # }
/// ```
pub struct Store {
    handle: Handle,
}

impl Store {
    /// Opens the store in the directory `path`, or makes one there.
    ///
    /// # Errors
    /// - `InvalidArgument`: an option has a value that it does not take, or options contradict each
    ///   other; the path is empty; the directory holds other files and no store, or no store and
    ///   [`Options::create`] says no.
    /// - `Unsupported`: this version lacks an option's choice, or a newer version wrote the store.
    /// - `Locked`: another handle, in this process or another, has the directory open.
    /// - `Corrupt`: what cannot be made again is damaged.
    /// - `Io`, `NoSpace`: the kernel refused.
    pub fn open(path: impl AsRef<Path>, options: &Options) -> Result<Self> {
        Ok(Self { handle: Handle::open(Some(path.as_ref()), options.chosen()?)? })
    }

    /// Opens a store without a cold tier: what leaves memory is gone.
    ///
    /// # Errors
    /// `InvalidArgument` and `Unsupported`, as [`Store::open`].
    pub fn in_memory(options: &Options) -> Result<Self> {
        Ok(Self { handle: Handle::open(None, options.chosen()?)? })
    }

    /// What the program should know although the store is open, as a sentence: that other users may
    /// change its directory.
    pub fn warning(&self) -> Option<&str> {
        self.handle.constant().and_then(|store| store.warning())
    }

    /// The store's name in stats.
    pub fn storage_id(&self) -> &str {
        self.handle.constant().map_or("", |store| store.storage_id())
    }

    /// Stores `value` under `key`, in place of what was there; returns the version.
    ///
    /// # Errors
    /// `TooLarge`, `NoSpace`, `Io`, `ReadOnly`.
    pub fn store(&self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<u64> {
        let (key, value) = (key.as_ref(), value.as_ref());
        Ok(self.handle.call(|store| store.store(key, value))?.value)
    }

    /// Stores `value` under `key` with a time to live, under a condition, or as else `options` say.
    ///
    /// A condition that is not met is no error but [`Stored::Conflict`], and nothing is stored.
    ///
    /// # Errors
    /// `TooLarge`, `NoSpace`, `Io`, `ReadOnly`.
    pub fn store_with(
        &self,
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
        options: &StoreOptions,
    ) -> Result<Stored> {
        let (key, value) = (key.as_ref(), value.as_ref());
        Ok(self.handle.call(|store| store.store_with(key, value, &options.asked))?.value)
    }

    /// Finds the value of `key`, in the hot tier or else in the cold one; `None` if the key is
    /// absent or has expired. A value from the cold tier enters the hot one.
    ///
    /// # Errors
    /// `TooLarge`; `Corrupt` if the record fails its checksum, while other keys stay readable; `Io`.
    pub fn retrieve(&self, key: impl AsRef<[u8]>) -> Result<Option<Value>> {
        self.retrieve_with(key, &RetrieveOptions::new())
    }

    /// As [`Store::retrieve`], with a say in what becomes of the hot tier.
    ///
    /// # Errors
    /// As [`Store::retrieve`].
    pub fn retrieve_with(
        &self,
        key: impl AsRef<[u8]>,
        options: &RetrieveOptions,
    ) -> Result<Option<Value>> {
        let key = key.as_ref();
        let found = self.handle.call(|store| store.retrieve_with(key, options.asked))?;
        Ok(found.value.map(Value))
    }

    /// Finds the value of `key`, or has `load` make it, and stores that.
    ///
    /// However many threads miss a key at the same time, one of them runs its `load`, and the others
    /// wait for it and share what it gives. `None` from a load means that there is no value. If the
    /// key is changed while the load runs, the change wins: the loaded value is given out and not
    /// stored. A load may use the store, except for the key that it loads.
    ///
    /// # Errors
    /// `CallbackFailed` if the load fails; the message has the load's own words in the thread that
    /// ran it. `Misuse` for a key that this thread is loading already. Else as [`Store::retrieve`]
    /// and [`Store::store`].
    ///
    /// # Panics
    /// If `load` does. The threads that wait for it get `CallbackFailed`.
    ///
    /// ```
    /// use hotcold::{Loaded, Options, Store};
    /// use std::time::Duration;
    ///
    /// # fn main() -> hotcold::Result<()> {
    /// let store = Store::in_memory(&Options::new())?;
    /// let page = store.retrieve_or_load("page", || {
    ///     let text = String::from_utf8(b"<html>".to_vec())?;
    ///     Ok(Some(Loaded::new(text).ttl(Duration::from_secs(60))))
    /// })?;
    /// assert_eq!(&*page.unwrap(), b"<html>");
    /// assert!(store.contains("page")?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn retrieve_or_load(
        &self,
        key: impl AsRef<[u8]>,
        load: impl FnOnce() -> StdResult<Option<Loaded>, Box<dyn StdError + Send + Sync>>,
    ) -> Result<Option<Value>> {
        retrieve_or_load(&self.handle, key.as_ref(), load)
    }

    /// Whether `key` has a value. Reads none, and does not count as a use.
    ///
    /// # Errors
    /// As [`Store::retrieve`].
    pub fn contains(&self, key: impl AsRef<[u8]>) -> Result<bool> {
        let key = key.as_ref();
        Ok(self.handle.call(|store| store.contains(key))?.value)
    }

    /// Removes `key` from both tiers; `false` if it was in neither.
    ///
    /// # Errors
    /// `TooLarge`, `NoSpace`, `Io`, `ReadOnly`.
    pub fn delete(&self, key: impl AsRef<[u8]>) -> Result<bool> {
        let key = key.as_ref();
        self.handle.call(|store| store.delete(key))
    }

    /// Removes every key from both tiers, at one instant and at a cost that does not depend on how
    /// many there are.
    ///
    /// # Errors
    /// `NoSpace`, `Io`, `ReadOnly`.
    pub fn clear(&self) -> Result<()> {
        self.handle.call(|store| store.clear())
    }

    /// Applies a batch: all of it at one instant, or nothing. `false`, and nothing is done, if a
    /// condition of the batch is not met.
    ///
    /// # Errors
    /// `TooLarge` if the store cannot hold it; `NoSpace`, `Io`, `ReadOnly`.
    pub fn write(&self, batch: &Batch) -> Result<bool> {
        self.handle.call(|store| store.write(&batch.changes, batch.is_synced))
    }

    /// A walk through the keys that begin with `prefix`; the empty prefix is for all keys.
    ///
    /// # Errors
    /// Only those of every method.
    pub fn cursor(&self, prefix: impl AsRef<[u8]>) -> Result<Cursor<'_>> {
        Cursor::new(&self.handle, prefix.as_ref())
    }

    /// Loads `keys` from the cold tier into the hot one; returns how many of them are hot after it.
    ///
    /// # Errors
    /// As [`Store::retrieve`], for the first key that fails; the keys before it are loaded.
    pub fn warm_up(&self, keys: &[impl AsRef<[u8]>]) -> Result<u64> {
        let mut slices = Vec::new();
        memory::grow(&mut slices, keys.len(), "the keys")?;
        slices.extend(keys.iter().map(AsRef::as_ref));
        Ok(self.handle.call(|store| store.warm_up(&slices))?.value)
    }

    /// Lets the entries leave the hot tier that are least worth keeping, until it uses at most
    /// `target_bytes`; returns how many entries left. In a store with a cold tier nothing is lost.
    ///
    /// # Errors
    /// `NoSpace`, `Io`, `ReadOnly` under [`WriteMode::Back`](crate::WriteMode): what the cold tier
    /// has not got stays hot.
    pub fn optimize_hot(&self, target_bytes: u64) -> Result<u64> {
        Ok(self.handle.call(|store| store.optimize_hot(target_bytes))?.value)
    }

    /// Takes a key out of the hot tier and deletes nothing, for those who learn by other ways that a
    /// shared cold tier has changed it. What the cold tier has not got stays. False if it was not hot.
    ///
    /// # Errors
    /// `TooLarge`.
    pub fn forget(&self, key: impl AsRef<[u8]>) -> Result<bool> {
        self.handle.call(|store| store.forget(key.as_ref()))
    }

    /// Makes everything acknowledged so far survive a power loss.
    ///
    /// # Errors
    /// `Io`: the store is read-only from then on. `NoSpace`, `ReadOnly`.
    pub fn sync(&self) -> Result<()> {
        self.handle.call(|store| store.sync())
    }

    /// Compresses all records and gives back all dead space on disk now, on the calling thread.
    /// Reads and writes up to the whole store; other calls go on meanwhile.
    ///
    /// # Errors
    /// `Corrupt`: a segment with a damaged record stays as it is. `NoSpace`, `Io`, `ReadOnly`. Every
    /// key has its value still; space may be left to reclaim.
    pub fn compact(&self) -> Result<()> {
        self.handle.call(|store| store.compact())
    }

    /// Reads every record on disk, asks for those that should be there, and says what it found.
    /// Damage is no error of this call.
    ///
    /// # Errors
    /// `Io`.
    pub fn verify(&self) -> Result<Verified> {
        let answer = self.handle.call(|store| store.verify())?;
        let (records, damaged) = answer.value;
        Ok(Verified { records, damaged, finding: answer.survived })
    }

    /// Writes a copy of the store, as it is at one moment during the call, into the directory
    /// `dest`, which is made if need be and must be empty. The copy survives a power loss, and can
    /// be opened as a store.
    ///
    /// # Errors
    /// `InvalidArgument` for a store in memory or a directory that is not empty. `Locked`,
    /// `NoSpace`, `Io`: what was made in the directory is removed again.
    pub fn backup(&self, dest: impl AsRef<Path>) -> Result<()> {
        let dest = dest.as_ref();
        self.handle.call(|store| store.backup(dest))
    }

    /// All figures of the store at this moment.
    ///
    /// # Errors
    /// Only those of every method.
    pub fn stats(&self) -> Result<Snapshot> {
        self.handle.call(|store| Ok(store.stats()))
    }

    /// The same figures as text, for a file or a monitoring system.
    ///
    /// # Errors
    /// Only those of every method.
    pub fn stats_text(&self, format: StatsFormat) -> Result<String> {
        self.handle.call(|store| Ok(store.stats_text(format)))
    }

    /// Calls `listener` with every event of `kinds`, until [`Store::unsubscribe`] or the end of the
    /// store drops it.
    ///
    /// The store calls it on the thread where the event happened, which may be the store's own, and
    /// may call it on several threads at once. It may use the store, except for closing it. To do so
    /// it has to hold a `Weak` reference: a store and a listener that owns it keep each other alive.
    /// A panic in it does not reach the call that caused the event.
    ///
    /// # Errors
    /// Only those of every method.
    ///
    /// ```
    /// use hotcold::{EventKind, Options, Store};
    /// use std::sync::mpsc::channel;
    ///
    /// # fn main() -> hotcold::Result<()> {
    /// let store = Store::in_memory(&Options::new())?;
    /// let (sender, receiver) = channel();
    /// let subscription = store.subscribe(EventKind::ItemStored, move |event| {
    ///     // The receiver may be gone.
    ///     let _ = sender.send(event.key().to_vec());
    /// })?;
    /// store.store("k", "v")?;
    /// assert!(store.unsubscribe(subscription)?);
    /// store.store("not told of", "v")?;
    /// assert_eq!(receiver.iter().collect::<Vec<_>>(), [b"k"]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn subscribe(
        &self,
        kinds: impl Into<EventKinds>,
        listener: impl Fn(&Event<'_>) + Send + Sync + 'static,
    ) -> Result<SubscriptionId> {
        let mask = kinds.into().mask();
        let listener = Box::new(Listener(listener));
        self.handle.call(|store| Ok(SubscriptionId(store.subscribe(mask, listener))))
    }

    /// Ends a subscription; `false` if there is none of that number.
    ///
    /// On return no thread is inside the listener, and it is dropped. From within a listener this
    /// does not wait: the thread that leaves the listener last drops it.
    ///
    /// # Errors
    /// Only those of every method.
    pub fn unsubscribe(&self, subscription: SubscriptionId) -> Result<bool> {
        self.handle.call(|store| Ok(store.unsubscribe(subscription.0)))
    }

    /// A queue of at most `capacity` events of `kinds`, and 16 MiB of them, to take events from.
    ///
    /// # Errors
    /// `InvalidArgument` for a capacity of 0.
    pub fn event_queue(&self, kinds: impl Into<EventKinds>, capacity: usize) -> Result<EventQueue> {
        let mask = kinds.into().mask();
        self.handle.call(|store| store.event_queue(mask, capacity).map(EventQueue::new))
    }

    /// Closes the store: writes what is only in the hot tier, syncs, and ends the background thread.
    /// The directory may be opened again then, and all that was acknowledged survives a power loss.
    /// Values and event queues stay usable.
    ///
    /// # Errors
    /// `Io`, `NoSpace`, `ReadOnly`: the store is closed, but the last writes or the sync failed. To
    /// be able to try again, call [`Store::sync`] first. `Misuse` in a listener or a load, where a
    /// store cannot be closed: another thread closes it, and hides failures.
    pub fn close(mut self) -> Result<()> {
        self.handle.close()
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("storage_id", &self.storage_id()).finish_non_exhaustive()
    }
}
