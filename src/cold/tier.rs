//! The seam between the store and whatever keeps its values.
//!
//! The store knows a cold tier by this trait alone. A new one is a folder beside [`local`](super::local)
//! and a line in [`mod.rs`](super); the conformance suite (`cold/tests`) says whether it is one.
//!
//! # What every tier promises
//! 1. A change is seen by nobody before it is published, and by everybody after. If others change the
//!    tier, too, it may be seen as soon as it is prepared.
//! 2. A failed `prepare` changes nothing, now or later. There are two exceptions. After an error of
//!    the kind `Timeout` what became of the changes is unknown, and their keys have to be read again;
//!    no place of them is current as long as the changes may still happen, or they are told of as
//!    others' changes are. If a sync failed writing ends, and what the changes become is open until
//!    the tier is opened again.
//! 3. Versions never repeat, across processes too. They grow for each key; if others change the tier,
//!    too, those of one process do.
//! 4. A place is current as long as its key was neither changed, deleted nor moved since.
//! 5. A walk visits every key that lives throughout exactly once.

use super::change::{Change, Discarded, Prepared};
use super::host::{Host, Want};
use super::record::{Page, Place, Position, Record};
use super::sharing::Sharing;
use crate::error::{Error, Result};
use crate::key::{Key, KeyHasher};
use crate::time::Moment;
use std::path::Path;
use std::time::Duration;

/// Where values are kept. All calls may come from any thread at once.
pub trait ColdTier: Send + Sync {
    /// What there is to know of a tier that others change, too; `None` if nobody else does.
    fn sharing(&self) -> Option<&dyn Sharing> {
        None
    }

    /// Makes keys, hashed as this tier hashes them.
    fn hasher(&self) -> KeyHasher;

    /// Reads the value of `key`, expired or not, and tells where it stands.
    ///
    /// # Errors
    /// `Corrupt` if its record is damaged; `Io`, `OutOfMemory`.
    fn read(&self, key: &Key<'_>) -> Result<Option<(Record, Place)>>;

    /// When the value of `key` expires (milliseconds since the epoch, 0 for never), without reading
    /// it; `Ok(None)` if the key has none.
    ///
    /// # Errors
    /// As [`ColdTier::read`].
    fn read_expiry(&self, key: &Key<'_>) -> Result<Option<u64>>;

    /// True if the key of that place was neither changed, deleted nor moved since it was read.
    fn is_current(&self, place: &Place) -> bool;

    /// Takes note that a key was used, which spares it once when room is made. `place` is where it
    /// was read; `None` if hot had its value.
    fn mark_used(&self, key: &Key<'_>, place: Option<&Place>);

    /// Where a walk through all keys begins.
    fn first_position(&self) -> Position;

    /// The places of at least `count` keys, unless there are fewer, from `from` on. Keys that do not
    /// begin with `prefix` may be among them, or be left out.
    ///
    /// # Errors
    /// `Io`, `OutOfMemory`.
    fn places(&self, from: &Position, prefix: &[u8], count: usize) -> Result<Page>;

    /// Reads the key at a place, current or not, and gives it to `use_it` with a way to find out when
    /// the value there expires, which may cost a read.
    ///
    /// # Errors
    /// `Corrupt` if the record is damaged; `Io`; those of `use_it`.
    fn read_key(&self, place: &Place, use_it: &mut UseKey<'_>) -> Result<()>;

    /// Finds out what the tier has of the change's key. `is_known` says that the store knows the
    /// key's version already. A damaged record is taken for the key's own, so that it can be replaced.
    ///
    /// # Errors
    /// `Io`, if nobody can say what there is.
    fn look(&self, change: &mut Change<'_>, is_known: bool) -> Result<()>;

    /// Fails if the changes together are too long for the tier. The store asks before it makes room
    /// for them.
    ///
    /// # Errors
    /// `TooLarge`.
    fn check_length(&self, changes: &[Change<'_>]) -> Result<()>;

    /// Does all of the changes that can fail, and gives each its version: all happen, or none. With
    /// `sync` they survive power loss when it returns.
    ///
    /// # Errors
    /// `NoSpace`, `Io`, `OutOfMemory`, `ReadOnly`, `Unsupported`, `Unavailable`: nothing was changed.
    /// `Timeout`: nobody knows.
    fn prepare(&self, changes: &mut [Change<'_>], sync: bool) -> Result<Prepared>;

    /// Makes prepared changes visible, all at one instant.
    fn publish(&self, prepared: &Prepared, changes: &[Change<'_>]);

    /// Prepares that every key goes. The store holds the locks of all keys until it is published.
    ///
    /// # Errors
    /// As [`ColdTier::prepare`].
    fn prepare_clear(&self, sync: bool) -> Result<Prepared>;

    /// Makes a clear visible.
    fn publish_clear(&self, prepared: Prepared) -> Discarded;

    /// A version that nobody else gets, for what is written later: before any other change of its key,
    /// and before a clear.
    ///
    /// # Errors
    /// `ReadOnly` if nothing may be written.
    fn take_version(&self) -> Result<u64>;

    /// Removes a key whose value expired or was dropped. False if the key has another value by now.
    fn forget(&self, place: &Place) -> bool;

    /// Refuses a write if the tier takes none any more.
    ///
    /// # Errors
    /// `ReadOnly`, with the cause and what to do.
    fn check_writable(&self) -> Result<()>;

    /// Makes sure that the tier still knows the time of `moment` after a crash, because something
    /// will expire by it. What fails is tried again by [`ColdTier::maintain`].
    fn keep_time(&self, moment: &Moment);

    /// Makes everything that was prepared survive power loss.
    ///
    /// # Errors
    /// `Io`, and writing ends; `ReadOnly` once it has.
    fn sync(&self) -> Result<()>;

    /// Does the work that cannot wait for a long task to end, if it is due: a sync, or letting
    /// another process go on. Called at least as often as [`ColdTier::tend_interval`] says.
    ///
    /// # Errors
    /// `Io`, `NoSpace`: it is tried again.
    fn tend(&self) -> Result<()>;

    /// How long the tier may be left without [`ColdTier::tend`].
    fn tend_interval(&self) -> Duration;

    /// Does the work that is due, a piece at a time, as long as `host` says to go on. Returns at once
    /// while another thread rewrites or copies.
    ///
    /// # Errors
    /// `NoSpace`, `Io`, `OutOfMemory`: nothing was lost.
    fn maintain(&self, host: &dyn Host) -> Result<()>;

    /// Makes room after a call has found the disk full, until that call can be tried again; false
    /// if no room can be made. `is_first` says that the call was not tried again yet: then room
    /// that another thread has made may be enough.
    ///
    /// # Errors
    /// As [`ColdTier::maintain`].
    fn make_room(&self, want: Want, is_first: bool, host: &dyn Host) -> Result<bool>;

    /// True if the tier takes more room than its bound.
    fn is_over_capacity(&self) -> bool;

    /// Makes everything as small as it can be.
    ///
    /// # Errors
    /// As [`ColdTier::maintain`].
    fn compact(&self, host: &dyn Host) -> Result<()>;

    /// Reads everything, and looks for what is missing. If something is damaged and its key is
    /// known, `tell` gets the key.
    ///
    /// # Errors
    /// `Io`, `OutOfMemory`, `Unsupported`.
    fn verify(&self, tell: &mut dyn FnMut(&[u8], &Error)) -> Result<Verified>;

    /// Returns what opening found to be damaged, a sentence each, and forgets it: each is told
    /// once.
    fn take_findings(&self) -> Vec<Error>;

    /// Writes a copy, as of one moment during the call, into the directory `dest`, which is made if
    /// need be and must be empty.
    ///
    /// # Errors
    /// `InvalidArgument`, `Locked`, `NoSpace`, `Io`, `Unsupported`: what was made is removed again.
    fn backup(&self, dest: &Path, host: &dyn Host) -> Result<()>;

    /// Keeps the list of hot keys, the most recently used first.
    ///
    /// # Errors
    /// `Io`, `NoSpace`: the old list stays.
    fn save_hot_keys(&self, keys: &mut dyn Iterator<Item = Vec<u8>>) -> Result<()>;

    /// The list that was kept last; empty if there is none that can be read.
    ///
    /// # Errors
    /// `Io`, `OutOfMemory`.
    fn load_hot_keys(&self) -> Result<HotKeys>;

    /// Sizes at this moment, and counts since it was opened.
    fn gauges(&self) -> Gauges;

    /// Syncs, and leaves the tier ready to be opened quickly.
    ///
    /// # Errors
    /// The first failure.
    fn close(&self, host: &dyn Host) -> Result<()>;

    /// Gives up the lock on the tier, so that others may open it. Nothing is read or written any
    /// more.
    fn release(&self);
}

/// What [`ColdTier::read_key`] calls: with a key, and with a way to find out when it expires.
pub type UseKey<'u> = dyn FnMut(&[u8], &dyn Fn() -> Result<u64>) -> Result<()> + 'u;

/// A list of keys that were hot, as it was saved.
#[derive(Default)]
pub struct HotKeys(pub(super) Vec<u8>);

impl HotKeys {
    /// The keys, the most recently used first.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        crate::codec::warm::decode(&self.0)
    }
}

/// What verifying found.
#[derive(Default)]
pub struct Verified {
    /// Records that were read.
    pub records: u64,
    /// What is damaged: records, live or dead; keys without one; runs of bytes in which no record can
    /// be told, unless keys are known to have been in them; files that are gone, or were cut, with
    /// nobody knows what.
    pub damaged: u64,
    /// A sentence for each file with anything damaged.
    pub findings: Vec<Error>,
}

/// Sizes at one moment, and counts since the tier was opened.
#[derive(Clone, Copy, Default, Debug)]
pub struct Gauges {
    /// Keys, those that expired and were not swept yet included.
    pub entries: u64,
    /// Bytes of the records that live.
    pub bytes_live: u64,
    /// Bytes of everything.
    pub bytes_disk: u64,
    /// Number of files of records.
    pub segments: u64,
    /// Bytes that wait to be compressed.
    pub unfrozen_bytes: u64,
    /// Bytes of memory of the keydir.
    pub keydir_bytes: u64,
    /// Bytes of memory of buffers.
    pub buffer_bytes: u64,
    /// Bytes that were written, by changes and by rewriting.
    pub bytes_written: u64,
    /// Files that were rewritten.
    pub compactions: u64,
    /// Damaged records that opening found.
    pub corrupt_records: u64,
    /// Derived files that were rebuilt.
    pub rebuilt_files: u64,
    /// Bytes of torn tails that were cut off.
    pub recovered_bytes: u64,
    /// What was counted of the engine of a shared tier.
    pub remote: RemoteStats,
}

/// What is counted of the engine of a shared tier since it was opened.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RemoteStats {
    /// Requests.
    pub requests: u64,
    /// Those of them that failed.
    pub errors: u64,
    /// Those of them whose outcome is unknown.
    pub timeouts: u64,
    /// Requests that were sent again.
    pub retries: u64,
    /// Bytes of records that came.
    pub bytes_in: u64,
    /// Bytes of records that were sent.
    pub bytes_out: u64,
    /// Changes by others that were told of.
    pub invalidations: u64,
    /// Times that hot had to ask before it served an entry.
    pub revalidations: u64,
    /// Milliseconds from a first failure to the next success, summed up.
    pub unavailable_ms: u64,
}
