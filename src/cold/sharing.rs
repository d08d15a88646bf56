//! What a cold tier that others change, too, offers beside [`ColdTier`](super::ColdTier): when hot has
//! to ask before it serves an entry, and who is told of others' changes.

use super::record::{Place, Record};
use crate::error::Result;
use crate::key::Key;
use std::sync::Arc;

/// A cold tier that other machines change.
///
/// # What it promises
/// 1. An entry that was asked for, and entered hot while its place was current, is what the engine
///    has: but for changes younger than the coherence, as long as [`Sharing::trusts`] says so and its
///    lease lasts.
/// 2. A place is current as long as nobody told of a change of its key, here or elsewhere.
pub trait Sharing {
    /// How long hot may serve an entry after it was asked for, in milliseconds; `None` for an engine
    /// that tells of changes.
    fn lease_ms(&self) -> Option<u64>;

    /// How old a value may be that hot serves, in milliseconds.
    fn coherence_ms(&self) -> u64;

    /// Whether hot may serve the key without asking. It is asked before hot is.
    fn trusts(&self, key: &Key<'_>) -> bool;

    /// Reads the value of `key`, unless it still has `known_version`.
    ///
    /// # Errors
    /// As [`ColdTier::read`](super::ColdTier::read).
    fn read_unless(&self, key: &Key<'_>, known_version: u64) -> Result<Reread>;

    /// The part that a key belongs to.
    fn part(&self, key: &[u8]) -> u32;

    /// Whether it compares versions.
    fn compares(&self) -> bool;

    /// Whether a walk may visit a key twice.
    fn repeats(&self) -> bool;

    /// Something else has told that the key was changed: no place of it is current any more.
    fn doubt(&self, key: &Key<'_>);

    /// Begins to tell `hears` of others' changes.
    ///
    /// # Errors
    /// Those of the engine.
    fn listen(&self, hears: Arc<dyn Hears>) -> Result<()>;

    /// Tells nobody any more; returns when nobody is being told.
    fn stop_listening(&self);
}

/// What reading with a known version gives.
pub enum Reread {
    /// The key has no value.
    Absent,
    /// It still has the version.
    Same(Place),
    /// It has this value.
    Found(Record, Place),
}

/// The store, as it is told of others' changes. From any thread, with no lock held.
pub trait Hears: Send + Sync {
    /// A key has changed and has `version` now; 0: it is not known, or gone.
    fn changed(&self, key: &[u8], version: u64);

    /// All keys may have changed of whose part `is_lost` is true.
    fn lost(&self, is_lost: &dyn Fn(u32) -> bool);
}
