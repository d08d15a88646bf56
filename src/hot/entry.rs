//! An entry: a key and its value in memory, in one shared buffer.
//!
//! The buffer is either what a store was given (key, then value) or a record as it was read from
//! disk; an entry only knows where in it the key and the value lie. Cloning shares the buffer, so
//! that a value can be handed out, and outlive its entry, without a copy.
//!
//! # Invariants
//! 1. Both ranges lie within the buffer.
//! 2. An entry's charge never changes: what was counted when it came is given back when it leaves.

use crate::buffer::{Buffer, HEADER_BYTES};
use crate::time::Expiry;
use smallvec::SmallVec;
use std::ops::Range;

/// Entries that had to leave: seldom more than one at a time.
pub type Victims = SmallVec<[Entry; 1]>;

/// Bytes that an entry takes beside its buffer: its node (104 bytes in a chunk of 112), its share of
/// the map's table (17 bytes for each slot, 44 to 88 % of the slots in use) as measured with a million
/// entries of 100 bytes, and its share of the notes of what has left. Only the accounting depends on
/// it.
const ENTRY_OVERHEAD_BYTES: u64 = 112 + 28 + 9;

/// Of a buffer's memory one part in so many more is lost between chunks of other sizes, where
/// values of all sizes come and go on several threads (tests/torture/memory).
const FRAGMENTATION: u64 = 16;

/// Bytes of the note, with what a growing heap has free, that says when an entry expires.
const EXPIRY_OVERHEAD_BYTES: u64 = 24;

/// The allocator's own header before each chunk, and what it rounds a chunk up to, in bytes.
const CHUNK_HEADER_BYTES: u64 = 8;
const CHUNK_ALIGN_BYTES: u64 = 16;

/// A key and its value in memory; cloning shares the bytes.
#[derive(Clone)]
pub struct Entry {
    buffer: Buffer,
    hash: u64,
    version: u64,
    expiry: Expiry,
    key_start: u32,
    value_start: u32,
    value_len: u32,
    key_len: u16,
    unwritten: bool,
}

impl Entry {
    /// Makes an entry of the bytes at `key` and `value` in `buffer`, or `None` if a range does not
    /// lie in the buffer or is longer than a key or a value may be. `hash` is the key's.
    pub fn new(
        buffer: Buffer,
        key: Range<usize>,
        value: Range<usize>,
        hash: u64,
        version: u64,
        expiry: Expiry,
    ) -> Option<Self> {
        let bytes = buffer.bytes();
        let key_len = u16::try_from(bytes.get(key.clone())?.len()).ok()?;
        let value_len = u32::try_from(bytes.get(value.clone())?.len()).ok()?;
        let key_start = u32::try_from(key.start).ok()?;
        let value_start = u32::try_from(value.start).ok()?;
        Some(Self {
            buffer,
            hash,
            version,
            expiry,
            key_start,
            value_start,
            value_len,
            key_len,
            unwritten: false,
        })
    }

    /// The same entry, marked as one that cold has not got yet (or has got by now).
    #[must_use]
    pub fn with_unwritten(mut self, unwritten: bool) -> Self {
        self.unwritten = unwritten;
        self
    }

    /// The entry gets its version, before it enters hot.
    pub fn set_version(&mut self, version: u64) {
        self.version = version;
    }

    /// The key's bytes.
    pub fn key(&self) -> &[u8] {
        let start = widen(self.key_start);
        self.buffer.bytes().get(start..start + usize::from(self.key_len)).unwrap_or_default()
    }

    /// The value's bytes.
    pub fn value(&self) -> &[u8] {
        self.buffer.bytes().get(self.value_range()).unwrap_or_default()
    }

    /// Begins to bring key and value into the processor's cache.
    pub fn prefetch(&self) {
        self.buffer.prefetch_bytes(self.value_range().end);
    }

    /// Where in the buffer the value lies.
    pub fn value_range(&self) -> Range<usize> {
        let start = widen(self.value_start);
        start..start + widen(self.value_len)
    }

    /// The key's hash.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// The version that the store gave to this value.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// When the entry ends, in both tiers.
    pub fn expiry(&self) -> Expiry {
        self.expiry
    }

    /// True while cold has not got this value: the entry then cannot be evicted.
    pub fn is_unwritten(&self) -> bool {
        self.unwritten
    }

    /// The buffer that holds key and value.
    pub fn buffer(&self) -> &Buffer {
        &self.buffer
    }

    /// The buffer, for the one who drops the entry.
    pub fn into_buffer(self) -> Buffer {
        self.buffer
    }

    /// What the entry counts against the capacity, in bytes: its buffer as the allocator rounds
    /// it, its place in the tier, and what it takes to know when it expires.
    pub fn charge(&self) -> u64 {
        charge(self.buffer.memory_bytes(), self.expiry)
    }

    /// What an entry in a buffer of `len` bytes would be charged.
    pub fn charge_of(len: usize, expiry: Expiry) -> u64 {
        charge(HEADER_BYTES.saturating_add(len), expiry)
    }

    /// What finds this entry.
    pub(super) fn probe(&self) -> Probe<'_> {
        Probe { hash: self.hash, bytes: self.key() }
    }
}

/// What an entry is looked up by: a key's hash and bytes.
#[derive(Clone, Copy)]
pub(super) struct Probe<'a> {
    pub(super) hash: u64,
    pub(super) bytes: &'a [u8],
}

fn charge(memory_bytes: usize, expiry: Expiry) -> u64 {
    let buffer_bytes = u64::try_from(memory_bytes).unwrap_or(u64::MAX / 2).min(u64::MAX / 2);
    let note_bytes = if expiry.is_some() { EXPIRY_OVERHEAD_BYTES } else { 0 };
    (buffer_bytes + CHUNK_HEADER_BYTES).next_multiple_of(CHUNK_ALIGN_BYTES)
        + buffer_bytes / FRAGMENTATION
        + ENTRY_OVERHEAD_BYTES
        + note_bytes
}

/// Lossless: the crate is for 64-bit machines only.
fn widen(n: u32) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buffer() -> Buffer {
        Buffer::from_parts(&[b"head", b"key", b"value"]).unwrap()
    }

    #[test]
    fn key_and_value_are_where_the_ranges_say() {
        let entry = Entry::new(buffer(), 4..7, 7..12, 9, 3, Expiry::from_ms(5)).unwrap();
        assert_eq!((entry.key(), entry.value()), (&b"key"[..], &b"value"[..]));
        assert_eq!((entry.hash(), entry.version(), entry.expiry().ms()), (9, 3, 5));
        assert_eq!(entry.value_range(), 7..12);
    }

    #[test]
    fn ranges_outside_the_buffer_are_refused() {
        assert!(Entry::new(buffer(), 4..7, 7..13, 0, 0, Expiry::NEVER).is_none());
        assert!(Entry::new(buffer(), 13..14, 0..0, 0, 0, Expiry::NEVER).is_none());
        assert!(Entry::new(buffer(), 0..0, 12..12, 0, 0, Expiry::NEVER).is_some());
    }

    #[test]
    fn the_charge_covers_buffer_and_overhead() {
        let entry = Entry::new(buffer(), 4..7, 7..12, 0, 0, Expiry::NEVER).unwrap();
        // 32 + 12 bytes and the allocator's 8 make 52, rounded up to 64; 44 / 16 are lost.
        assert_eq!(entry.charge(), 64 + 2 + ENTRY_OVERHEAD_BYTES);
        let expiring = Entry::new(buffer(), 4..7, 7..12, 0, 0, Expiry::from_ms(1)).unwrap();
        assert_eq!(expiring.charge(), entry.charge() + EXPIRY_OVERHEAD_BYTES);
        assert_eq!(entry.clone().with_unwritten(true).charge(), entry.charge());
    }
}
