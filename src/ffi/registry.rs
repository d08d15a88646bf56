//! The table of open stores: turns the token that C calls `hotcold_t *` into a store, for as long
//! as a call lasts.
//!
//! A token is `generation << 20 | slot`. It is never dereferenced, never 0 and never given twice,
//! so that a call after close, on any thread, finds a generation that is not the slot's and is
//! answered with `Misuse`; and so is any other bit pattern.
//!
//! A slot's state is `generation << 2 | phase` and goes round: FREE -> BUSY -> OPEN -> BUSY -> FREE,
//! with a new generation at the first step.
//!
//! To enter, a call adds one to its thread's stripe of the slot's in-flight counters and *then*
//! looks at the state. To remove, close first changes the state and *then* waits until it has seen
//! every stripe at 0. Both use sequentially consistent order: either the call sees the new state,
//! or close sees the call. A stripe is a cache line, so that threads which share a store do not
//! contend for one.
//!
//! The table grows in chunks that are never moved or freed. There is no lock in it: a fork at any
//! instant leaves the child a table in which it can open stores of its own.
//!
//! # Invariants
//! 1. A slot's value is written only in phase BUSY, by the thread that made it BUSY.
//! 2. In phase OPEN the value is there, and only shared references to it exist.
//! 3. A stripe holds the number of calls that are between enter and leave.

use crate::error::{Error, ErrorKind, Result};
use crate::sync::{STRIPES, stripe};
use once_cell::race::OnceBox;
use std::cell::UnsafeCell;
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// Bits of a token that name the slot; the others are the generation.
const SLOT_BITS: u32 = 20;

/// Slots in the first chunk; each further chunk has twice as many as the one before.
const FIRST_CHUNK_SLOTS: usize = 8;

/// Chunks at most: together they have nearly 2^20 slots.
const CHUNKS: usize = (SLOT_BITS - FIRST_CHUNK_SLOTS.ilog2()) as usize;

/// Generations that fit a token.
const GENERATION_MAX: u64 = u64::MAX >> SLOT_BITS;

const PHASE_BITS: u32 = 2;
const FREE: u64 = 0;
const BUSY: u64 = 1;
const OPEN: u64 = 2;

/// The open `T`s of this process, by token.
pub struct Registry<T> {
    chunks: [OnceBox<Box<[Slot<T>]>>; CHUNKS],
}

struct Slot<T> {
    state: AtomicU64,
    value: UnsafeCell<Option<Opened<T>>>,
    in_flight: [Stripe; STRIPES],
}

struct Opened<T> {
    value: T,
    /// The process that opened it: see `store::fork_epoch`.
    epoch: u64,
}

/// 128 bytes: x86-64 fetches cache lines in pairs.
#[repr(align(128))]
struct Stripe(AtomicUsize);

// SAFETY: references to the value are handed to many threads (T: Sync), and it is put in and taken
// out by different ones (T: Send); invariants 1 and 2 keep these apart.
unsafe impl<T: Send + Sync> Sync for Slot<T> {}

/// A `T` that cannot be removed while this lives.
pub struct Entered<'a, T> {
    value: &'a T,
    _leave: Leave<'a>,
}

struct Leave<'a>(&'a AtomicUsize);

impl<T: Send + Sync> Registry<T> {
    /// An empty table.
    pub const fn new() -> Self {
        Self { chunks: [const { OnceBox::new() }; CHUNKS] }
    }

    /// Puts `value`, opened by the process of `epoch`, into the table and returns its token.
    ///
    /// Looks at the slots from the first on: with thousands of open stores that is microseconds,
    /// which is little beside opening a store.
    ///
    /// # Errors
    /// The value itself, if a million are open.
    pub fn insert(&self, value: T, epoch: u64) -> std::result::Result<u64, T> {
        let mut index = 0;
        while let Some(slot) = self.slot_or_grow(index) {
            if let Some(generation) = slot.claim() {
                // SAFETY: `claim` has made the slot BUSY for this thread (invariant 1).
                unsafe { *slot.value.get() = Some(Opened { value, epoch }) };
                slot.state.store(generation << PHASE_BITS | OPEN, Ordering::SeqCst);
                return Ok(generation << SLOT_BITS | index as u64);
            }
            index += 1;
        }
        Err(value)
    }

    /// Finds the value of `token` and keeps it from being removed until the result is dropped.
    ///
    /// # Errors
    /// `Misuse` if the token is not that of an open value, or was made before this process was
    /// forked.
    #[inline(always)]
    pub fn enter(&self, token: u64, epoch: u64) -> Result<Entered<'_, T>> {
        let slot = self.slot(index_of(token)).ok_or_else(not_open)?;
        let leave = slot.count_in();
        if slot.state.load(Ordering::SeqCst) != open_state(token) {
            return Err(not_open());
        }
        // SAFETY: the state was OPEN after this call was counted, so that the value is there
        // (invariant 2) and stays until `leave` is dropped.
        let Some(opened) = (unsafe { &*slot.value.get() }) else { return Err(not_open()) };
        if opened.epoch != epoch {
            return Err(forked());
        }
        Ok(Entered { value: &opened.value, _leave: leave })
    }

    /// Takes the value of `token` out of the table, after every call that has entered it has left.
    /// Calls that come later find nothing, also while this waits.
    ///
    /// # Errors
    /// As [`Registry::enter`]; `Misuse` also if another thread was first.
    pub fn remove(&self, token: u64, epoch: u64) -> Result<T> {
        drop(self.enter(token, epoch)?);
        let slot = self.slot(index_of(token)).ok_or_else(not_open)?;
        let generation = token >> SLOT_BITS;
        let busy = generation << PHASE_BITS | BUSY;
        let order = Ordering::SeqCst;
        slot.state
            .compare_exchange(open_state(token), busy, order, order)
            .map_err(|_| not_open())?;
        slot.wait_until_left();
        // SAFETY: this thread has made the slot BUSY, and every call that saw it OPEN has left.
        let opened = unsafe { (*slot.value.get()).take() };
        slot.state.store(generation << PHASE_BITS | FREE, Ordering::SeqCst);
        opened.map(|opened| opened.value).ok_or_else(not_open)
    }

    #[inline]
    fn slot(&self, index: usize) -> Option<&Slot<T>> {
        let (chunk, offset) = place(index);
        self.chunks.get(chunk)?.get()?.get(offset)
    }

    fn slot_or_grow(&self, index: usize) -> Option<&Slot<T>> {
        let (chunk, offset) = place(index);
        let slots = FIRST_CHUNK_SLOTS << chunk;
        let make = || Box::new((0..slots).map(|_| Slot::new()).collect());
        self.chunks.get(chunk)?.get_or_init(make).get(offset)
    }
}

impl<T> Slot<T> {
    fn new() -> Self {
        Self {
            state: AtomicU64::new(FREE),
            value: UnsafeCell::new(None),
            in_flight: [const { Stripe(AtomicUsize::new(0)) }; STRIPES],
        }
    }

    /// Makes the slot BUSY if it is FREE, and returns its next generation.
    fn claim(&self) -> Option<u64> {
        let state = self.state.load(Ordering::Relaxed);
        let generation = (state >> PHASE_BITS) + 1;
        if state & ((1 << PHASE_BITS) - 1) != FREE || generation > GENERATION_MAX {
            return None;
        }
        let busy = generation << PHASE_BITS | BUSY;
        let order = Ordering::SeqCst;
        self.state.compare_exchange(state, busy, order, order).ok().map(|_| generation)
    }

    #[inline]
    fn count_in(&self) -> Leave<'_> {
        let count = &self.in_flight[stripe()].0;
        count.fetch_add(1, Ordering::SeqCst);
        Leave(count)
    }

    /// Waits until every stripe was seen at 0. One after the other is enough: a call that saw the
    /// slot OPEN was counted before the wait began and stays in its stripe.
    fn wait_until_left(&self) {
        for stripe in &self.in_flight {
            let mut turns = 0_u32;
            while stripe.0.load(Ordering::SeqCst) != 0 {
                turns = turns.saturating_add(1);
                match turns {
                    0..64 => std::hint::spin_loop(),
                    64..128 => std::thread::yield_now(),
                    // Calls may last seconds (compact): at most 1 ms late, at little cost.
                    _ => std::thread::sleep(Duration::from_micros(u64::from(turns.min(1000)))),
                }
            }
        }
    }
}

impl<T> Deref for Entered<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value
    }
}

impl Drop for Leave<'_> {
    #[inline]
    fn drop(&mut self) {
        // Release: what the call did to the value happens before close takes it out.
        self.0.fetch_sub(1, Ordering::Release);
    }
}

/// Chunk and offset of a slot: chunk `c` begins at index `FIRST * (2^c - 1)`.
#[inline]
fn place(index: usize) -> (usize, usize) {
    let shifted = index + FIRST_CHUNK_SLOTS;
    let top = shifted.ilog2();
    ((top - FIRST_CHUNK_SLOTS.ilog2()) as usize, shifted - (1 << top))
}

fn index_of(token: u64) -> usize {
    // Fewer bits than any usize has; the fallback is a slot that cannot exist.
    usize::try_from(token & ((1 << SLOT_BITS) - 1)).unwrap_or(usize::MAX >> 1)
}

fn open_state(token: u64) -> u64 {
    (token >> SLOT_BITS) << PHASE_BITS | OPEN
}

#[cold]
fn not_open() -> Error {
    Error::new(
        ErrorKind::Misuse,
        "the store is not open: it was closed, or this is no handle that hotcold_open gave",
    )
}

#[cold]
fn forked() -> Error {
    Error::new(
        ErrorKind::Misuse,
        "the store was opened before this process was forked: only the parent may use it; \
         open it in the child, after the parent has closed it",
    )
}

#[cfg(test)]
mod tests;
