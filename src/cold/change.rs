//! A change of one key, as the store and a cold tier pass it to each other.
//!
//! # Steps
//! 1. [`look`](super::ColdTier::look) finds out what the tier has of the key.
//! 2. [`prepare`](super::ColdTier::prepare) does all that can fail. Nobody sees the change yet.
//! 3. [`publish`](super::ColdTier::publish) makes it visible. It cannot fail and does no I/O, so that
//!    the store can do it together with the change of its hot tier.
//!
//! Whoever changes a key holds a lock on the key's hash through all three.

use crate::key::Key;
use std::any::Any;
use std::sync::Arc;

/// What the tier has of a key before it is changed.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub enum Current {
    /// Nothing.
    #[default]
    Absent,
    /// A value of which the store knew already, and which was not read.
    Unread,
    /// A value of this version, which ends at this time.
    Value {
        /// Its version.
        version: u64,
        /// Milliseconds since the epoch; 0 for never.
        expires_at: u64,
    },
    /// Something that is damaged: whose it is, and which version, is not known for certain.
    Damaged,
}

/// What the tier notes of a change from step to step. The store passes it on and reads none of it.
#[derive(Clone, Copy, Default, Debug)]
pub struct Notes {
    /// Which of the places that share the key's hash is replaced.
    pub index: u32,
    /// Another key with the same hash lives.
    pub collides: bool,
    /// Memory for the new place is reserved.
    pub is_reserved: bool,
    /// Where the new value stands, in the tier's own words.
    pub place: u64,
}

/// A change of one key.
pub struct Change<'a> {
    /// The key.
    pub key: Key<'a>,
    /// The new value; `None` to delete.
    pub value: Option<&'a [u8]>,
    /// When the new value ends, in milliseconds since the epoch; 0 for never.
    pub expires_at: u64,
    /// The version that was taken for it earlier, or 0: then it gets one when it is prepared.
    pub version: u64,
    /// Another key with the same hash has a value, and the version of that, which the tier has not
    /// got yet.
    pub has_unwritten_twin: bool,
    /// The version that the key must have (0: it must be absent), for a tier that others change: it
    /// alone can compare.
    pub if_version: Option<u64>,
    /// Whether the key had a value, if the tier found out while it prepared the change.
    pub existed: Option<bool>,
    /// What the tier has of the key, once it has looked.
    pub current: Current,
    /// The tier's own.
    pub notes: Notes,
}

impl<'a> Change<'a> {
    /// A change that nobody has looked at.
    pub fn new(key: Key<'a>, value: Option<&'a [u8]>, expires_at: u64) -> Self {
        let (version, current, notes) = (0, Current::Absent, Notes::default());
        Self {
            key,
            value,
            expires_at,
            version,
            has_unwritten_twin: false,
            if_version: None,
            existed: None,
            current,
            notes,
        }
    }
}

/// Changes that cannot fail any more, and that nobody sees yet.
#[must_use = "what is prepared has to be published"]
#[derive(Default)]
pub struct Prepared {
    /// What the tier keeps alive until they are published.
    pub keep: Option<Arc<dyn Any + Send + Sync>>,
    /// The version of a clear; 0 for changes, which have their own.
    pub version: u64,
    /// Where a clear stands, in the tier's own words.
    pub place: u64,
    /// Nothing was done: the first key whose condition is not met has this version, 0 if it is
    /// absent.
    pub conflict: Option<u64>,
}

/// What a published clear took out. It frees much memory: it is to be dropped where no lock is held.
pub type Discarded = Box<dyn Any + Send>;
