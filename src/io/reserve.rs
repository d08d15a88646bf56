//! The allocator, with a reserve. If the kernel has no memory, small pieces come from a part of
//! this library that was there from the start, so that a call can end with an error. Rust's
//! collections end the process when they find no memory, and a library must not.
//!
//! The reserve is for what a call needs beside its data. [`crate::memory::check`] refuses further
//! calls while much of it is taken.
//!
//! A debug build has none, so that a test can have an allocator of its own. A build without the
//! feature `reserve` has none either, for Rust programs that have an allocator.
//!
//! # Invariants
//! 1. A block belongs to whoever has set its bit, until that one clears it.
//! 2. There is no lock: a fork at any instant leaves the child a reserve that works.

#![expect(unsafe_code, reason = "an allocator")]

use crate::memory::RESERVE_USED;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicU64, Ordering};

#[cfg(not(debug_assertions))]
#[global_allocator]
static ALLOCATOR: Reserved = Reserved;

/// The system's allocator, and the reserve behind it.
pub struct Reserved;

/// What a codec asks for at once; nothing else is aligned like that, so it has this for itself.
static STATE: Blocks<STATE_BYTES, 1, 1> = Blocks::new();
const STATE_BYTES: usize = 384 << 10;
const STATE_ALIGN: usize = 64;

static SMALL: Blocks<256, 1024, 16> = Blocks::new();
static MIDDLE: Blocks<4096, 64, 1> = Blocks::new();
static LARGE: Blocks<65536, 16, 1> = Blocks::new();

/// Every block begins at a multiple of it.
const ALIGN_MAX: usize = 256;

/// Blocks of one size; the memory is touched, and so taken from the kernel, only when it is used.
#[repr(align(4096))]
struct Blocks<const BYTES: usize, const COUNT: usize, const WORDS: usize> {
    memory: UnsafeCell<[[u8; BYTES]; COUNT]>,
    taken: [AtomicU64; WORDS],
}

// SAFETY: the memory is handed out block by block, each to one at a time (invariant 1).
unsafe impl<const B: usize, const C: usize, const W: usize> Sync for Blocks<B, C, W> {}

impl<const BYTES: usize, const COUNT: usize, const WORDS: usize> Blocks<BYTES, COUNT, WORDS> {
    const fn new() -> Self {
        Self {
            memory: UnsafeCell::new([[0; BYTES]; COUNT]),
            taken: [const { AtomicU64::new(0) }; WORDS],
        }
    }

    fn take(&self, layout: Layout) -> *mut u8 {
        if layout.size() > BYTES || layout.align() > ALIGN_MAX {
            return null_mut();
        }
        for index in 0..COUNT {
            let (word, bit) = (&self.taken[index / 64], 1 << (index % 64));
            if word.load(Ordering::Relaxed) & bit == 0
                && word.fetch_or(bit, Ordering::Acquire) & bit == 0
            {
                RESERVE_USED.fetch_add(BYTES, Ordering::Relaxed);
                return self.memory.get().cast::<u8>().wrapping_add(index * BYTES);
            }
        }
        null_mut()
    }

    /// False if the block is none of these.
    fn give_back(&self, block: *mut u8) -> bool {
        let offset = block.addr().wrapping_sub(self.memory.get().addr());
        if offset >= BYTES * COUNT {
            return false;
        }
        let index = offset / BYTES;
        RESERVE_USED.fetch_sub(BYTES, Ordering::Relaxed);
        self.taken[index / 64].fetch_and(!(1 << (index % 64)), Ordering::Release);
        true
    }
}

#[cold]
#[inline(never)]
fn take(layout: Layout) -> *mut u8 {
    let mut block = SMALL.take(layout);
    if block.is_null() {
        block = MIDDLE.take(layout);
    }
    if block.is_null() {
        block = LARGE.take(layout);
    }
    if block.is_null() && layout.align() == STATE_ALIGN {
        block = STATE.take(layout);
    }
    block
}

/// False if the block is none of the reserve's.
#[cold]
#[inline(never)]
fn give_back(block: *mut u8) -> bool {
    SMALL.give_back(block)
        || MIDDLE.give_back(block)
        || LARGE.give_back(block)
        || STATE.give_back(block)
}

/// True if something of the reserve is taken; most programs never see it.
fn is_used() -> bool {
    RESERVE_USED.load(Ordering::Relaxed) != 0
}

// SAFETY: what the system gives is the system's; what the reserve gives is a block of at least the
// size and alignment asked for, and no one else's.
unsafe impl GlobalAlloc for Reserved {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        let memory = unsafe { System.alloc(layout) };
        if memory.is_null() { take(layout) } else { memory }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        let mut memory = unsafe { System.alloc_zeroed(layout) };
        if memory.is_null() {
            memory = take(layout);
            if !memory.is_null() {
                // SAFETY: the block has at least that size; it may have been used before.
                unsafe { memory.write_bytes(0, layout.size()) };
            }
        }
        memory
    }

    #[inline]
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        if is_used() && give_back(memory) {
            return;
        }
        // SAFETY: the caller's promise; it is none of the reserve's, so it is the system's.
        unsafe { System.dealloc(memory, layout) };
    }

    #[inline]
    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !is_used() {
            // SAFETY: the caller's promise; nothing of the reserve is taken, so it is the system's.
            let grown = unsafe { System.realloc(memory, layout, size) };
            if !grown.is_null() {
                return grown;
            }
        }
        // SAFETY: the caller's promise.
        unsafe { self.move_to_new(memory, layout, size) }
    }
}

impl Reserved {
    /// # Safety
    /// As [`GlobalAlloc::realloc`].
    #[cold]
    #[inline(never)]
    unsafe fn move_to_new(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's promise; the two blocks do not overlap, and both have the bytes.
        unsafe {
            let new = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !new.is_null() {
                new.copy_from_nonoverlapping(memory, layout.size().min(size));
                self.dealloc(memory, layout);
            }
            new
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_of_their_size_and_come_back() {
        static BLOCKS: Blocks<256, 70, 2> = Blocks::new();
        let layout = Layout::from_size_align(200, 16).unwrap();
        let all: Vec<_> = (0..70).map(|_| BLOCKS.take(layout)).collect();
        assert!(all.iter().all(|block| block.addr() % 256 == 0 && !block.is_null()));
        assert!(all.windows(2).all(|pair| pair[1].addr() - pair[0].addr() == 256));
        assert!(BLOCKS.take(layout).is_null(), "all are taken");
        assert!(BLOCKS.take(Layout::from_size_align(257, 1).unwrap()).is_null());
        assert!(!BLOCKS.give_back(null_mut()));
        assert!(!BLOCKS.give_back(all[69].wrapping_add(256)));
        assert!(BLOCKS.give_back(all[65]));
        assert_eq!(BLOCKS.take(layout), all[65]);
        assert!(all.iter().all(|block| BLOCKS.give_back(*block)));
    }

    #[test]
    fn what_comes_from_the_reserve_grows_and_is_freed_like_any_other() {
        let layout = |size| Layout::from_size_align(size, 8).unwrap();
        let block = take(layout(100));
        // SAFETY: the blocks are ours, and used with the layouts that they were made with.
        unsafe {
            block.write_bytes(7, 100);
            let grown = Reserved.realloc(block, layout(100), 100_000);
            assert_eq!(std::slice::from_raw_parts(grown, 100), [7; 100]);
            assert_eq!(take(layout(100)), block, "it was given back");
            Reserved.dealloc(grown, layout(100_000));
            Reserved.dealloc(block, layout(100));
            let zeros = Reserved.alloc_zeroed(layout(10));
            assert_eq!(std::slice::from_raw_parts(zeros, 10), [0; 10]);
            Reserved.dealloc(zeros, layout(10));
        }
        let state = Layout::from_size_align(300_000, 64).unwrap();
        let block = take(state);
        assert!(!block.is_null() && take(state).is_null() && give_back(block));
    }
}
