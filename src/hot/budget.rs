//! What all shards share: the bytes and entries that are taken, and the tick that orders uses.
//!
//! Room is taken before an entry comes and given back after one has left, so that the sums below
//! never exceed their limits, whatever the threads do.
//!
//! # Invariants
//! 1. `used` is the sum of all slots' charges and all reservations, and at most `capacity`.
//! 2. `entries` is the number of slots and of entries reserved, and at most `max_entries`.
//! 3. `tick` counts the inserts. Hits only read it, so they share no cache line that is written by
//!    hits.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number on a cache line of its own (two, as the processor fetches them in pairs).
#[repr(align(128))]
struct Line(AtomicU64);

/// Bytes and entries, as an amount.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct Room {
    pub(super) bytes: u64,
    pub(super) entries: u64,
}

impl Room {
    /// The room that one entry of that charge takes.
    pub fn of_entry(bytes: u64) -> Self {
        Self { bytes, entries: 1 }
    }

    /// Makes this as much larger.
    pub fn add(&mut self, other: Self) {
        self.bytes += other.bytes;
        self.entries += other.entries;
    }

    pub(super) fn sub(&mut self, other: Self) {
        self.bytes -= other.bytes;
        self.entries -= other.entries;
    }

    /// What of this is beyond `other`.
    pub fn beyond(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.saturating_sub(other.bytes),
            entries: self.entries.saturating_sub(other.entries),
        }
    }

    pub(super) fn bytes(self) -> u64 {
        self.bytes
    }

    pub(super) fn is_nothing(self) -> bool {
        self.bytes == 0 && self.entries == 0
    }
}

/// The tier's limits and what is taken of them.
pub(super) struct Budget {
    capacity: u64,
    max_entries: u64,
    tick: Line,
    used: Line,
    entries: AtomicU64,
    unwritten_bytes: AtomicU64,
}

impl Budget {
    /// An empty budget of `capacity` bytes and `max_entries` entries.
    pub(super) fn new(capacity: u64, max_entries: u64) -> Self {
        Self {
            capacity,
            max_entries,
            tick: Line(AtomicU64::new(0)),
            used: Line(AtomicU64::new(0)),
            entries: AtomicU64::new(0),
            unwritten_bytes: AtomicU64::new(0),
        }
    }

    pub(super) fn capacity(&self) -> u64 {
        self.capacity
    }

    pub(super) fn used(&self) -> u64 {
        self.used.0.load(Ordering::Relaxed)
    }

    pub(super) fn entries(&self) -> u64 {
        self.entries.load(Ordering::Relaxed)
    }

    pub(super) fn unwritten_bytes(&self) -> u64 {
        self.unwritten_bytes.load(Ordering::Relaxed)
    }

    /// Takes `room`, or nothing and returns false if there is not that much.
    pub(super) fn take(&self, room: Room) -> bool {
        if !add_up_to(&self.entries, room.entries, self.max_entries) {
            return false;
        }
        let taken = add_up_to(&self.used.0, room.bytes, self.capacity);
        if !taken {
            self.entries.fetch_sub(room.entries, Ordering::Relaxed);
        }
        taken
    }

    /// True if `room` could be taken if nothing else were.
    pub(super) fn could_have(&self, room: Room) -> bool {
        room.bytes <= self.capacity && room.entries <= self.max_entries
    }

    /// True if `room` could be taken just now.
    pub(super) fn has(&self, room: Room) -> bool {
        self.used().saturating_add(room.bytes) <= self.capacity
            && self.entries().saturating_add(room.entries) <= self.max_entries
    }

    /// Gives back what was taken.
    pub(super) fn give(&self, room: Room) {
        self.used.0.fetch_sub(room.bytes, Ordering::Relaxed);
        self.entries.fetch_sub(room.entries, Ordering::Relaxed);
    }

    pub(super) fn add_unwritten(&self, bytes: u64) {
        self.unwritten_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn sub_unwritten(&self, bytes: u64) {
        self.unwritten_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// The tick of the newest insert.
    pub(super) fn tick(&self) -> u64 {
        self.tick.0.load(Ordering::Relaxed)
    }

    /// Counts an insert; its tick is larger than all before.
    pub(super) fn next_tick(&self) -> u64 {
        self.tick.0.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// Adds `amount` unless the sum would exceed `limit`.
fn add_up_to(sum: &AtomicU64, amount: u64, limit: u64) -> bool {
    sum.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |sum| {
        sum.checked_add(amount).filter(|sum| *sum <= limit)
    })
    .is_ok()
}
