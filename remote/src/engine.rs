//! What an engine does: the table of C functions in words of Rust.
//!
//! `ffi` turns each of these calls into a C function, and nothing else knows C.

use crate::call::Call;
use crate::fault::{Fault, Kind, Result};
use std::sync::Arc;

/// put and remove compare versions.
pub const CAS: u64 = 1;
/// The engine itself forgets what has expired.
pub const TTL: u64 = 2;
/// list gives keys in the order of their bytes.
pub const LIST_ORDERED: u64 = 4;
/// watch tells of others' changes.
pub const WATCH: u64 = 8;
/// clear empties all at once.
pub const CLEAR: u64 = 16;
/// write changes several keys, all or nothing.
pub const BATCH: u64 = 32;
/// What is acknowledged survives a loss of power.
pub const DURABLE: u64 = 64;
/// list may give a key more than once.
pub const LIST_REPEATS: u64 = 128;

/// The link of what no link tells of.
pub const LINK_NONE: u32 = 65_534;
/// Every link.
pub const LINK_ALL: u32 = 65_535;
/// The last part.
pub const PART_LAST: u32 = 16_383;

/// What a get has found.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Absent,
    /// The version that the caller knows.
    Same,
    /// A record: the core's bytes begin at this offset.
    Record(Vec<u8>, usize),
}

/// How a change ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// As asked.
    Yes,
    /// There was nothing to remove.
    Absent,
    /// The version is another one; nothing was done.
    Conflict,
}

/// A change of one key.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    /// The key.
    pub key: &'a [u8],
    /// The core's bytes; none: the key is removed.
    pub data: Option<&'a [u8]>,
    /// Of the record; no other record has it.
    pub version: u64,
    /// Milliseconds since the epoch; 0: never.
    pub expires_at: u64,
    /// None: whatever is there; 0: only if the key is absent.
    pub if_version: Option<u64>,
}

/// A page of keys.
#[derive(Debug, Default)]
pub struct Listing {
    /// The keys.
    pub keys: Vec<Vec<u8>>,
    /// Where the next page begins; none: behind the last key.
    pub next: Option<Vec<u8>>,
    /// There is no further page.
    pub is_last: bool,
}

/// Who is told of changes.
pub trait Watcher: Send + Sync {
    /// A key has changed; the engine has `version` of it, 0: unknown or gone.
    fn key(&self, key: &[u8], version: u64);
    /// Anything on a link may have changed.
    fn all(&self, link: u32);
    /// All changes up to `age_ms` ago have been told by a link.
    fn alive(&self, link: u32, age_ms: u64);
    /// These parts hang on a link from now on.
    fn parts(&self, first: u32, last: u32, link: u32);
}

/// A shared engine. Dropping it ends its threads.
pub trait Engine: Send + Sync {
    /// What it can do.
    fn capabilities(&self) -> u64;
    /// Finds a record.
    ///
    /// # Errors
    /// `Unavailable` where it cannot be reached, `Timeout` where it does not answer, `Corrupt`.
    fn get(&self, key: &[u8], known_version: u64, call: &Call) -> Result<Found>;
    /// Stores or removes.
    ///
    /// # Errors
    /// `Timeout` if it may have been done, `Unavailable` if certainly not; `TooLarge`, `NoSpace`.
    fn change(&self, change: &Change<'_>, call: &Call) -> Result<Done>;
    /// Gives a page of keys.
    ///
    /// # Errors
    /// As `get`.
    fn list(&self, prefix: &[u8], after: &[u8], call: &Call) -> Result<Listing>;
    /// Empties all.
    ///
    /// # Errors
    /// As `change`.
    fn clear(&self, call: &Call) -> Result<()>;
    /// The first of `count` versions that nobody gets again.
    ///
    /// # Errors
    /// As `get`.
    fn versions(&self, count: u64, call: &Call) -> Result<u64>;
    /// Makes all changes or none.
    ///
    /// # Errors
    /// As `change`; `Unsupported` if these keys cannot be changed at once.
    fn write(&self, _changes: &[Change<'_>], _call: &Call) -> Result<Done> {
        Err(Fault::new(Kind::Unsupported, "this engine changes one key at a time"))
    }
    /// Begins to tell of changes.
    ///
    /// # Errors
    /// `Unsupported`, `Misuse` the second time, `Io` where no thread can be made.
    fn watch(&self, _watcher: Arc<dyn Watcher>) -> Result<()> {
        Err(Fault::new(Kind::Unsupported, "this engine does not tell of changes"))
    }
    /// Makes what was acknowledged durable.
    ///
    /// # Errors
    /// `Unsupported`.
    fn sync(&self, call: &Call) -> Result<()>;
    /// The part that a key belongs to.
    fn part(&self, _key: &[u8]) -> u32 {
        0
    }
    /// Gives back room that nothing needs.
    ///
    /// # Errors
    /// As `get`.
    fn compact(&self, _call: &Call) -> Result<()> {
        Ok(())
    }
}
