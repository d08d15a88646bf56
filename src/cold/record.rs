//! What a cold tier hands to the store: a value that was read, and the place where it stands.

use crate::buffer::Buffer;
use std::any::Any;
use std::ops::Range;
use std::sync::Arc;

/// A value as it was read, in a buffer that has its key too.
pub struct Record {
    /// The shared bytes.
    pub buffer: Buffer,
    /// Where the key is.
    pub key: Range<usize>,
    /// Where the value is.
    pub value: Range<usize>,
    /// Its version.
    pub version: u64,
    /// Milliseconds since the epoch; 0 for never.
    pub expires_at: u64,
    /// Bytes that the tier read for it.
    pub bytes: u64,
}

/// Where the value of a key stood when it was looked for. It means the same as long as it is held,
/// whatever is changed or moved meanwhile.
pub struct Place {
    /// The key's hash.
    pub hash: u64,
    /// The place in the tier's own words.
    pub word: u64,
    /// What keeps the word from getting another meaning.
    pub keep: Option<Arc<dyn Any + Send + Sync>>,
}

/// How far a walk through all keys has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Position {
    /// The walk visits keys in the order of their hashes, from this one on.
    Hash(u64),
    /// The walk visits keys in an order of the tier's own, after this key; at the beginning it is
    /// empty.
    After(Vec<u8>),
}

/// A part of a walk.
pub struct Page {
    /// Places of keys. In a walk by hashes all keys of one hash stand in it, or none.
    pub places: Vec<Place>,
    /// Where to go on; `None` at the end.
    pub next: Option<Position>,
}
