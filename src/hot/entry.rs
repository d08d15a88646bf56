//! An entry: a key and its value in memory, in one shared buffer.
//!
//! The buffer is either what a store was given (key, then value) or a record as it was read from
//! disk; an entry only knows where in it the key and the value lie. Cloning shares the buffer, so
//! that a value can be handed out, and outlive its entry, without a copy.
//!
//! # Invariants
//! 1. Both ranges lie within the buffer.
//! 2. An entry's charge never changes: what was counted when it came is given back when it leaves.

use super::budget::Usage;
use crate::buffer::{Block, Buffer, HEADER_BYTES, LentBuffer};
use crate::label::Label;
use crate::ledger::Ledger;
use crate::time::{Expiry, Instant};
use smallvec::SmallVec;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// Entries that had to leave: seldom more than one at a time.
pub type Victims = SmallVec<[Entry; 1]>;

/// What is in a shard: an entry where it lies. Another reference to it is an [`Entry`].
pub(super) type Slot = Block;

/// Bytes that an entry takes beside its buffer: its share of the table (64 bytes for at most six
/// entries and at least four), and its share of the notes of what has left.
const ENTRY_OVERHEAD_BYTES: u64 = 13 + 9;

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
pub struct Entry(Buffer);

/// What is asked of an entry, also of one in its place.
pub(super) trait Described {
    /// The key's bytes.
    fn key(&self) -> &[u8];
    /// Whether these are the key's bytes.
    fn has_key(&self, bytes: &[u8]) -> bool;
    /// The value's bytes.
    fn value(&self) -> &[u8];
    /// Where in the buffer the value lies.
    fn value_range(&self) -> Range<usize>;
    /// The key's hash.
    fn hash(&self) -> u64;
    /// The version that the store gave to this value.
    fn version(&self) -> u64;
    /// When the entry ends, in both tiers.
    fn expiry(&self) -> Expiry;
    /// True while cold has not got this value: the entry then cannot be evicted.
    fn is_unwritten(&self) -> bool;
    /// What the entry counts against the capacity, in bytes: its buffer as the allocator rounds
    /// it, its place in the tier, and what it takes to know when it expires.
    fn charge(&self) -> u64;
    /// What it takes of the budget.
    fn usage(&self) -> Usage;
    /// What finds it.
    fn probe(&self) -> Probe<'_>;
    /// The policy's own number.
    fn mark(&self) -> u64;
    /// Changes the policy's own number. One that stays is not written, so that readers of one entry
    /// do not take its cache line from each other.
    fn set_mark(&self, mark: u64);
    /// When it was stored or promoted; residency counts from here.
    fn since(&self) -> Instant;
}

impl Described for Block {
    #[inline]
    fn key(&self) -> &[u8] {
        let label = self.label();
        let start = widen(label.key_start);
        self.bytes().get(start..start + usize::from(label.key_len)).unwrap_or_default()
    }

    #[inline]
    fn has_key(&self, bytes: &[u8]) -> bool {
        let key = self.key();
        // Most keys are short, and two words cost less than a call.
        match (key.first_chunk::<8>(), key.last_chunk::<8>()) {
            (Some(first), Some(last)) if key.len() <= 16 => {
                key.len() == bytes.len()
                    && bytes.first_chunk() == Some(first)
                    && bytes.last_chunk() == Some(last)
            }
            _ => key == bytes,
        }
    }

    #[inline]
    fn value(&self) -> &[u8] {
        self.bytes().get(self.value_range()).unwrap_or_default()
    }

    #[inline]
    fn value_range(&self) -> Range<usize> {
        let start = widen(self.label().value_start);
        start..start + widen(self.label().value_len)
    }

    #[inline]
    fn hash(&self) -> u64 {
        self.label().hash
    }

    #[inline]
    fn version(&self) -> u64 {
        self.version_cell().load(Relaxed)
    }

    #[inline]
    fn expiry(&self) -> Expiry {
        Expiry::from_ms(self.label().expires_at)
    }

    #[inline]
    fn is_unwritten(&self) -> bool {
        self.unwritten_cell().load(Relaxed)
    }

    #[inline]
    fn charge(&self) -> u64 {
        charge(self.memory_bytes(), self.expiry())
    }

    fn usage(&self) -> Usage {
        Usage::of_entry(self.charge())
    }

    #[inline]
    fn probe(&self) -> Probe<'_> {
        Probe { hash: self.hash(), bytes: self.key() }
    }

    #[inline]
    fn mark(&self) -> u64 {
        self.mark_cell().load(Relaxed)
    }

    #[inline]
    fn set_mark(&self, mark: u64) {
        if self.mark() != mark {
            self.mark_cell().store(mark, Relaxed);
        }
    }

    fn since(&self) -> Instant {
        Instant(self.since_cell().load(Relaxed))
    }
}

impl Entry {
    /// Makes an entry of the bytes at `key` and `value` in `buffer`, which nobody shares, or `None` if
    /// a range does not lie in the buffer or is longer than a key or a value may be. `hash` is the
    /// key's.
    pub fn new(
        mut buffer: Buffer,
        (key, value): (Range<usize>, Range<usize>),
        hash: u64,
        version: u64,
        expiry: Expiry,
    ) -> Option<Self> {
        let bytes = buffer.bytes();
        let key_len = u16::try_from(bytes.get(key.clone())?.len()).ok()?;
        let value_len = u32::try_from(bytes.get(value.clone())?.len()).ok()?;
        let key_start = u32::try_from(key.start).ok()?;
        let value_start = u32::try_from(value.start).ok()?;
        let expires_at = expiry.ms();
        let label = Label { hash, expires_at, key_start, value_start, value_len, key_len };
        if !buffer.set_label(label) {
            return None;
        }
        buffer.unwritten_cell().store(false, Relaxed);
        let mut entry = Self(buffer);
        entry.set_version(version);
        Some(entry)
    }

    /// Another reference to the entry in a place.
    pub(super) fn of(slot: &Slot) -> Self {
        Self(slot.share())
    }

    /// The entry of a buffer that was one.
    pub(super) fn of_buffer(buffer: Buffer) -> Self {
        Self(buffer)
    }

    /// It comes into hot at `now`.
    pub(super) fn set_since(&self, now: Instant) {
        self.0.since_cell().store(now.0, Relaxed);
    }

    /// The entry in its place.
    #[inline]
    pub(super) fn slot(&self) -> &Slot {
        &self.0
    }

    /// The same entry, marked as one that cold has not got yet (or has got by now).
    #[must_use]
    pub fn with_unwritten(self, unwritten: bool) -> Self {
        self.0.unwritten_cell().store(unwritten, Relaxed);
        self
    }

    /// The entry gets its version, before it enters hot.
    pub fn set_version(&mut self, version: u64) {
        self.0.version_cell().store(version, Relaxed);
    }

    /// The key's bytes.
    pub fn key(&self) -> &[u8] {
        self.slot().key()
    }

    /// The value's bytes.
    pub fn value(&self) -> &[u8] {
        self.slot().value()
    }

    /// Where in the buffer the value lies.
    #[inline]
    pub fn value_range(&self) -> Range<usize> {
        self.slot().value_range()
    }

    /// The key's hash.
    pub fn hash(&self) -> u64 {
        self.slot().hash()
    }

    /// The version that the store gave to this value.
    #[inline]
    pub fn version(&self) -> u64 {
        self.slot().version()
    }

    /// When the entry ends, in both tiers.
    #[inline]
    pub fn expiry(&self) -> Expiry {
        self.slot().expiry()
    }

    /// True while cold has not got this value: the entry then cannot be evicted.
    #[inline]
    pub fn is_unwritten(&self) -> bool {
        self.slot().is_unwritten()
    }

    /// The buffer that holds key and value.
    pub fn buffer(&self) -> &Buffer {
        &self.0
    }

    /// The buffer, for the one who drops the entry.
    #[inline]
    pub fn into_buffer(self) -> Buffer {
        self.0
    }

    /// What the entry counts against the capacity, in bytes.
    pub fn charge(&self) -> u64 {
        self.slot().charge()
    }

    /// What an entry in a buffer of `len` bytes would be charged.
    pub fn charge_of(len: usize, expiry: Expiry) -> u64 {
        charge(HEADER_BYTES.saturating_add(len), expiry)
    }
}

/// What a hit hands to a caller.
pub struct Hit {
    /// The bytes.
    pub lent: LentBuffer,
    /// Where in them the value lies.
    pub value_range: Range<usize>,
    /// The version that the store gave to this value.
    pub version: u64,
    /// Milliseconds since the epoch; 0 for never.
    pub expires_at: u64,
}

impl Hit {
    /// Hands out what is in a place, for a caller of the store that keeps `ledger`.
    #[inline(always)]
    pub(super) fn of(slot: &Slot, ledger: &Arc<Ledger>) -> Self {
        let (value_range, version) = (slot.value_range(), slot.version());
        let (lent, expires_at) = (LentBuffer::share(slot, ledger), slot.label().expires_at);
        Self { lent, value_range, version, expires_at }
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
        let entry = Entry::new(buffer(), (4..7, 7..12), 9, 3, Expiry::from_ms(5)).unwrap();
        assert_eq!((entry.key(), entry.value()), (&b"key"[..], &b"value"[..]));
        assert_eq!((entry.hash(), entry.version(), entry.expiry().ms()), (9, 3, 5));
        assert_eq!(entry.value_range(), 7..12);
    }

    #[test]
    fn ranges_outside_the_buffer_are_refused() {
        assert!(Entry::new(buffer(), (4..7, 7..13), 0, 0, Expiry::NEVER).is_none());
        assert!(Entry::new(buffer(), (13..14, 0..0), 0, 0, Expiry::NEVER).is_none());
        assert!(Entry::new(buffer(), (0..0, 12..12), 0, 0, Expiry::NEVER).is_some());
    }

    #[test]
    fn the_charge_covers_buffer_and_overhead() {
        let entry = Entry::new(buffer(), (4..7, 7..12), 0, 0, Expiry::NEVER).unwrap();
        // 96 + 12 bytes and the allocator's 8 make 116, rounded up to 128; 108 / 16 are lost.
        assert_eq!(entry.charge(), 128 + 6 + ENTRY_OVERHEAD_BYTES);
        let expiring = Entry::new(buffer(), (4..7, 7..12), 0, 0, Expiry::from_ms(1)).unwrap();
        assert_eq!(expiring.charge(), entry.charge() + EXPIRY_OVERHEAD_BYTES);
        assert_eq!(entry.clone().with_unwritten(true).charge(), entry.charge());
    }
}
