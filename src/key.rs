//! A key: bytes of a legal length with their hash, made once at the door.
//!
//! Below the door nobody checks a key again, and nobody hashes it twice.

use crate::error::{Error, ErrorKind, Result};
use crate::limits::KEY_BYTES_MAX;
use std::hash::{BuildHasher, RandomState};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Hashes keys with the seed of one store, so that nobody can prepare keys that collide in it.
///
/// The hash is XXH3 (64 bits) as its specification has it; it is part of the file format.
#[derive(Clone, Copy, Debug)]
pub struct KeyHasher {
    seed: u64,
}

impl KeyHasher {
    /// A hasher with the seed that the store's files carry.
    pub fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// A hasher for a store without files.
    pub fn random() -> Self {
        // The standard library's own source of seeds, drawn anew for each.
        Self::new(RandomState::new().hash_one(0))
    }

    /// The seed.
    pub fn seed(self) -> u64 {
        self.seed
    }

    /// The hash of a key's bytes.
    #[inline]
    pub fn hash(self, bytes: &[u8]) -> u64 {
        xxh3_64_with_seed(bytes, self.seed)
    }

    /// Makes a key of `bytes`.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`] above [`KEY_BYTES_MAX`] bytes.
    #[inline]
    pub fn key(self, bytes: &[u8]) -> Result<Key<'_>> {
        if bytes.len() > KEY_BYTES_MAX {
            return Err(too_long(bytes.len()));
        }
        Ok(Key { bytes, hash: self.hash(bytes) })
    }
}

#[cold]
fn too_long(len: usize) -> Error {
    let sentence = format!("the key has {len} bytes; at most {KEY_BYTES_MAX} are allowed");
    Error::new(ErrorKind::TooLarge, sentence)
}

/// A key of legal length, with its hash.
#[derive(Clone, Copy, Debug)]
pub struct Key<'a> {
    bytes: &'a [u8],
    hash: u64,
}

impl<'a> Key<'a> {
    /// The key's bytes.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The key's hash under its store's seed.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// A key with a hash of the caller's choice, so that tests can make keys collide.
    #[cfg(test)]
    pub(crate) fn with_hash(bytes: &'a [u8], hash: u64) -> Self {
        Self { bytes, hash }
    }
}
