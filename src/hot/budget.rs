//! The bytes and entries that all shards together have taken.
//!
//! A thread takes room before it puts an entry in, and gives it back after an entry has left. So the
//! sums below never exceed their limits, whatever the threads do.
//!
//! # Invariants
//! 1. `used` is the sum of all slots' charges and all reservations, and at most `capacity`.
//! 2. `entries` is the number of slots and of entries reserved, and at most `max_entries`.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number on a cache line of its own (two, as the processor fetches them in pairs).
#[repr(align(128))]
pub(super) struct CacheLine(pub(super) AtomicU64);

/// Bytes and entries: what something takes of the budget, or may take.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct Usage {
    pub(super) bytes: u64,
    pub(super) entries: u64,
}

impl Usage {
    /// What one entry of that charge takes.
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

    /// True if it takes nothing.
    pub fn is_nothing(self) -> bool {
        self.bytes == 0 && self.entries == 0
    }
}

/// The tier's limits and what is taken of them.
pub(super) struct Budget {
    capacity: u64,
    max_entries: u64,
    used: CacheLine,
    entries: AtomicU64,
    unwritten_bytes: AtomicU64,
}

impl Budget {
    /// An empty budget of `capacity` bytes and `max_entries` entries.
    pub(super) fn new(capacity: u64, max_entries: u64) -> Self {
        Self {
            capacity,
            max_entries,
            used: CacheLine(AtomicU64::new(0)),
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

    /// Takes `usage`, or nothing and returns false if there is not that much.
    pub(super) fn take(&self, usage: Usage) -> bool {
        if !add_up_to(&self.entries, usage.entries, self.max_entries) {
            return false;
        }
        let taken = add_up_to(&self.used.0, usage.bytes, self.capacity);
        if !taken {
            self.entries.fetch_sub(usage.entries, Ordering::Relaxed);
        }
        taken
    }

    /// True if `usage` could be taken if nothing else were.
    pub(super) fn could_have(&self, usage: Usage) -> bool {
        usage.bytes <= self.capacity && usage.entries <= self.max_entries
    }

    /// True if `usage` could be taken just now.
    pub(super) fn has(&self, usage: Usage) -> bool {
        self.used().saturating_add(usage.bytes) <= self.capacity
            && self.entries().saturating_add(usage.entries) <= self.max_entries
    }

    /// Gives back what was taken.
    pub(super) fn give(&self, usage: Usage) {
        self.used.0.fetch_sub(usage.bytes, Ordering::Relaxed);
        self.entries.fetch_sub(usage.entries, Ordering::Relaxed);
    }

    pub(super) fn add_unwritten(&self, bytes: u64) {
        self.unwritten_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn sub_unwritten(&self, bytes: u64) {
        self.unwritten_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// Adds `amount` unless the sum would exceed `limit`.
fn add_up_to(sum: &AtomicU64, amount: u64, limit: u64) -> bool {
    sum.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |sum| {
        sum.checked_add(amount).filter(|sum| *sum <= limit)
    })
    .is_ok()
}
