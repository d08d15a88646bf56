//! What a shared cold tier needs of the engine that keeps its records: a database, a bucket, a map.
//!
//! # What every engine promises
//! 1. An error of the kind `Timeout` says that the outcome is unknown: it may have been done, and may
//!    still be done later. One of the kind `Unavailable` says that it certainly was not done.
//! 2. Calls end within about the time that they are given, and may come from many threads at once.
//! 3. Records are opaque. Version and expiry stand beside them for engines that compare and expire.

use crate::error::Result;
use std::sync::Arc;
use std::time::Duration;

/// What an engine can do, as bits.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct Capabilities(pub u64);

impl Capabilities {
    /// `put` and `remove` compare versions.
    pub const COMPARE: Self = Self(1);
    /// The engine itself forgets what has expired.
    pub const EXPIRE: Self = Self(2);
    /// `watch` tells of others' changes.
    pub const WATCH: Self = Self(8);
    /// `clear` empties all at once.
    pub const CLEAR: Self = Self(16);
    /// `write` changes several keys, all or none.
    pub const BATCH: Self = Self(32);
    /// What is acknowledged survives power loss.
    pub const DURABLE: Self = Self(64);
    /// `list` may give a key more than once.
    pub const REPEATS: Self = Self(128);

    /// True if the engine can do it.
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// What a get has found.
#[derive(Debug, PartialEq, Eq)]
pub enum Fetched {
    /// The key has no record.
    Absent,
    /// It still has the version that is known.
    Same,
    /// Its record.
    Record(Vec<u8>),
}

/// What became of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// It was made.
    Done,
    /// There was nothing to remove.
    Absent,
    /// The key has another version than the condition says; nothing was done.
    Conflict,
}

/// A change as an engine gets it.
#[derive(Clone, Copy, Debug)]
pub struct Put<'a> {
    /// The key.
    pub key: &'a [u8],
    /// The record; `None` to remove.
    pub data: Option<&'a [u8]>,
    /// The record's version.
    pub version: u64,
    /// Milliseconds since the epoch; 0 for never.
    pub expires_at: u64,
    /// The version that the key must have; 0: it must be absent.
    pub if_version: Option<u64>,
}

/// A page of keys.
#[derive(Debug, Default)]
pub struct Listed {
    /// The keys.
    pub keys: Vec<Vec<u8>>,
    /// What to ask with for the next page; `None` at the end.
    pub next: Option<Vec<u8>>,
}

/// Who is told of changes at the engine, and of the links that tell of them. From any thread.
pub trait Watcher: Send + Sync {
    /// `key` has changed, and the engine has `version` now; 0: it is not known, or gone.
    fn key(&self, key: &[u8], version: u64);
    /// Anything on `link` may have changed.
    fn all(&self, link: u32);
    /// All changes that `link` had to tell `age_ms` ago have been told.
    fn alive(&self, link: u32, age_ms: u64);
    /// The parts from `first` to `last` hang on `link` from now on.
    fn parts(&self, first: u32, last: u32, link: u32);
}

/// An engine. What it is not capable of is not called.
pub trait Engine: Send + Sync {
    /// What it can do; always the same.
    fn capabilities(&self) -> Capabilities;

    /// Finds the record of a key, unless it has `known_version` still (0: none is known).
    ///
    /// # Errors
    /// As the module says; so for all others.
    fn get(&self, key: &[u8], known_version: u64, timeout: Duration) -> Result<Fetched>;

    /// Stores a record, or removes one.
    ///
    /// # Errors
    /// As the module says.
    fn change(&self, put: &Put<'_>, timeout: Duration) -> Result<Changed>;

    /// Gives a page of the keys that begin with `prefix`, from `after` on; at first that is empty.
    ///
    /// # Errors
    /// As the module says.
    fn list(&self, prefix: &[u8], after: &[u8], timeout: Duration) -> Result<Listed>;

    /// Removes everything.
    ///
    /// # Errors
    /// As the module says.
    fn clear(&self, timeout: Duration) -> Result<()>;

    /// The first of `count` versions in a row that nobody gets again.
    ///
    /// # Errors
    /// As the module says.
    fn versions(&self, count: u64, timeout: Duration) -> Result<u64>;

    /// Makes all changes or none; `Conflict` if a condition is not met.
    ///
    /// # Errors
    /// As the module says; `Unsupported` if it cannot change these keys at once.
    fn write(&self, puts: &[Put<'_>], timeout: Duration) -> Result<Changed>;

    /// Begins to tell of changes; called once at most, and returns at once.
    ///
    /// # Errors
    /// As the module says.
    fn watch(&self, watcher: Arc<dyn Watcher>) -> Result<()>;

    /// The part that a key belongs to, always the same. Asks nobody.
    fn part(&self, key: &[u8]) -> u32;

    /// Makes what was acknowledged survive power loss.
    ///
    /// # Errors
    /// As the module says.
    fn sync(&self, timeout: Duration) -> Result<()>;

    /// Gives back room that nothing needs.
    ///
    /// # Errors
    /// As the module says.
    fn compact(&self, timeout: Duration) -> Result<()>;

    /// Requests that the engine itself has sent again since it was opened.
    fn retries(&self) -> u64;
}
