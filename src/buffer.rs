//! A shared, immutable run of bytes in one allocation, reached through one thin pointer.
//!
//! A value lives in one of these from the moment it is read or stored until its last holder, in the hot
//! tier or in the caller's program, lets go. `Arc<[u8]>` cannot fail gently, has a pointer of two words
//! (the C value has one for its owner), cannot be filled by a read before it is shared, and leaves what
//! hot has to know of an entry to a second allocation, which is a line more to fetch for each hit.
//!
//! So in front of the bytes is a [`Block`]. It knows whether it is in hot and how many callers hold it:
//! its memory is accounted for once, by hot while it is there, else by the [`Ledger`] of the store.
//!
//! # Invariants
//! 1. The low half of `state` is the number of `Buffer`s that point here; at 0 the memory is freed.
//! 2. Bytes and label are written only while that is 1 and through `&mut`.
//! 3. The ledger has the buffer's bytes if, and only if, callers hold it and it is not in hot.
//! 4. The allocation has exactly `HEADER_BYTES + len` bytes, aligned to `ALIGN`.

#![expect(
    unsafe_code,
    reason = "one thin, fallible allocation per value: see the module's first paragraph"
)]

use crate::error::Result;
use crate::label::Label;
use crate::ledger::Ledger;
use crate::memory;
use std::alloc::{Layout, alloc, alloc_zeroed, dealloc};
use std::cell::UnsafeCell;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::ptr::{self, NonNull, null_mut, with_exposed_provenance_mut};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU64, Ordering, fence};

/// Bytes that a buffer takes beside its contents.
pub const HEADER_BYTES: usize = size_of::<Block>();

const WHAT: &str = "a value";
const ALIGN: usize = align_of::<Block>();

/// What the processor fetches at once.
const CACHE_LINE_BYTES: usize = 64;

/// More than this is not asked for ahead: of what is longer the processor fetches the rest by itself.
const PREFETCH_BYTES_MAX: usize = 256;

/// In `state`: the buffer is in the hot tier; a caller that holds it; a `Buffer` that points to it.
const RESIDENT: u64 = 1 << 63;
const HOLDER: u64 = 1 << 32;
const OWNER: u64 = 1;

/// Neighbours in a chain.
#[derive(Clone, Copy)]
pub struct Links {
    /// Came later.
    pub before: *mut Links,
    /// Came earlier.
    pub behind: *mut Links,
}

/// What is in front of the bytes. What a hit needs comes first.
#[repr(C)]
pub struct Block {
    /// First, so that a pointer to the links is one to the block. The chain's own.
    links: UnsafeCell<Links>,
    state: AtomicU64,
    /// The eviction policy's own number. Readers change it too; each other's changes may be lost.
    mark: AtomicU64,
    hash: u64,
    expires_at: u64,
    key_start: u32,
    value_start: u32,
    value_len: u32,
    key_len: u16,
    ring: AtomicU8,
    unwritten: AtomicBool,
    len: usize,
    /// Where the memory is accounted for; null until a caller holds it.
    ledger: AtomicPtr<Ledger>,
    version: AtomicU64,
    since: AtomicU64,
}

impl Block {
    /// The bytes.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: `len` bytes were initialised when the buffer was made, and nobody writes to them
        // while a shared reference exists (invariant 2).
        unsafe { std::slice::from_raw_parts(self.contents(), self.len) }
    }

    /// What was told of the contents.
    #[inline]
    pub fn label(&self) -> Label {
        let Self { hash, expires_at, key_start, value_start, value_len, key_len, .. } = *self;
        Label { hash, expires_at, key_start, value_start, value_len, key_len }
    }

    /// The version that the store gave to the value.
    #[inline]
    pub fn version_cell(&self) -> &AtomicU64 {
        &self.version
    }

    /// The eviction policy's own number.
    #[inline]
    pub fn mark_cell(&self) -> &AtomicU64 {
        &self.mark
    }

    /// When the entry came into hot, in milliseconds of the monotonic clock.
    #[inline]
    pub fn since_cell(&self) -> &AtomicU64 {
        &self.since
    }

    /// Whether cold has not got the entry yet.
    #[inline]
    pub fn unwritten_cell(&self) -> &AtomicBool {
        &self.unwritten
    }

    /// The ring of the chain that the block is in; the chain's own.
    pub fn ring(&self) -> &AtomicU8 {
        &self.ring
    }

    /// Its neighbours in the chain, which alone may use the pointer.
    pub fn links(&self) -> *mut Links {
        self.own_pointer().as_ptr().cast()
    }

    /// The pointer that the allocator gave, which reaches all of the memory.
    #[inline]
    fn own_pointer(&self) -> NonNull<Self> {
        // SAFETY: it is the address of a reference, so not null.
        unsafe { NonNull::new_unchecked(with_exposed_provenance_mut(ptr::from_ref(self).addr())) }
    }

    /// Another reference to this block.
    #[inline]
    pub fn share(&self) -> Buffer {
        // Relaxed as in `Arc`: the new reference is made from one that exists already.
        self.state.fetch_add(OWNER, Ordering::Relaxed);
        Buffer { block: self.own_pointer() }
    }

    /// The block comes into hot; false if it was there already.
    pub fn enter_hot(&self) -> bool {
        let before = self.state.fetch_or(RESIDENT, Ordering::AcqRel);
        if before & RESIDENT == 0 && before >= HOLDER {
            self.account(false);
        }
        before & RESIDENT == 0
    }

    /// The block leaves hot.
    pub fn leave_hot(&self) {
        if self.state.fetch_and(!RESIDENT, Ordering::AcqRel) & !RESIDENT >= HOLDER {
            self.account(true);
        }
    }

    /// Begins to bring what is in front of the bytes into the processor's cache.
    pub fn prefetch(&self) {
        prefetch(ptr::from_ref(self));
    }

    /// As [`Block::prefetch`], and the first `bytes` bytes, at most [`PREFETCH_BYTES_MAX`].
    #[inline]
    pub fn prefetch_bytes(&self, bytes: usize) {
        let mut at = ptr::from_ref(self).cast::<u8>();
        let mut left = HEADER_BYTES + bytes.min(PREFETCH_BYTES_MAX);
        // Four at a time: what is too much is next to it, and costs less than to count.
        while left > CACHE_LINE_BYTES {
            (1..5).for_each(|line| prefetch(at.wrapping_add(line * CACHE_LINE_BYTES)));
            at = at.wrapping_add(4 * CACHE_LINE_BYTES);
            left = left.saturating_sub(4 * CACHE_LINE_BYTES);
        }
    }

    /// The memory that this buffer takes, its own header included.
    #[inline]
    pub fn memory_bytes(&self) -> usize {
        HEADER_BYTES + self.len
    }

    /// Adds the buffer's memory to the ledger, or takes it away.
    fn account(&self, is_held: bool) {
        // SAFETY: once set, the pointer holds a reference until the buffer is freed.
        let Some(ledger) = (unsafe { self.ledger.load(Ordering::Acquire).as_ref() }) else {
            return;
        };
        ledger.add(self.memory_bytes() as u64, is_held);
    }

    #[cold]
    fn set_ledger(&self, ledger: &Arc<Ledger>) {
        let own = Arc::into_raw(ledger.clone()).cast_mut();
        let set =
            self.ledger.compare_exchange(null_mut(), own, Ordering::AcqRel, Ordering::Acquire);
        if set.is_err() {
            // SAFETY: it was just made, and nobody else has it.
            drop(unsafe { Arc::from_raw(own) });
        }
    }

    fn owners(&self) -> u64 {
        self.state.load(Ordering::Acquire) & (HOLDER - 1)
    }

    fn contents(&self) -> *mut u8 {
        // SAFETY: the allocation has the header and `len` bytes behind it (invariant 4).
        unsafe { self.own_pointer().as_ptr().add(1).cast() }
    }
}

/// A reference to shared bytes; cloning shares them.
#[repr(transparent)]
pub struct Buffer {
    block: NonNull<Block>,
}

// SAFETY: bytes and label are immutable while shared (invariant 2), the links are the chain's alone,
// which has a lock around it, and all else is atomic.
unsafe impl Send for Buffer {}
// SAFETY: as above.
unsafe impl Sync for Buffer {}

impl Buffer {
    /// Makes a buffer of `len` zero bytes, to be filled through [`Buffer::bytes_mut`].
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub fn zeroed(len: usize) -> Result<Self> {
        // SAFETY: zeroed bytes are initialised.
        unsafe { Self::allocate(len, true) }
    }

    /// Makes a buffer that holds `parts`, one after the other.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub fn from_parts(parts: &[&[u8]]) -> Result<Self> {
        let len = length_of(parts).ok_or_else(|| memory::exhausted(usize::MAX, WHAT))?;
        // SAFETY: every byte is written below, before the buffer is given away.
        let buffer = unsafe { Self::allocate(len, false) }?;
        // SAFETY: the lengths sum up to `len`, and nobody else has the new memory.
        unsafe { buffer.fill(parts) };
        Ok(buffer)
    }

    /// Makes this buffer one that holds `parts`, in the same memory; `None`, and the memory is
    /// freed, if it is shared or they have another length. It must come from the same store, whose
    /// ledger it keeps.
    pub fn refilled(self, parts: &[&[u8]]) -> Option<Self> {
        if self.owners() != 1 || length_of(parts) != Some(self.len) {
            return None;
        }
        // SAFETY: the lengths sum up to `len`, and the only reference is `self`.
        unsafe { self.fill(parts) };
        Some(self)
    }

    /// # Safety
    /// The lengths of `parts` sum up to the buffer's, and nobody else refers to it.
    unsafe fn fill(&self, parts: &[&[u8]]) {
        let mut to = self.contents();
        for part in parts {
            // SAFETY: the caller's promise.
            unsafe {
                ptr::copy_nonoverlapping(part.as_ptr(), to, part.len());
                to = to.add(part.len());
            }
        }
    }

    /// The bytes for writing, or `None` if the buffer is shared.
    pub fn bytes_mut(&mut self) -> Option<&mut [u8]> {
        if self.owners() != 1 {
            return None;
        }
        // SAFETY: the only reference is `self`, which is borrowed mutably.
        Some(unsafe { std::slice::from_raw_parts_mut(self.contents(), self.len) })
    }

    /// Tells what the contents are; false if the buffer is shared.
    pub fn set_label(&mut self, label: Label) -> bool {
        if self.owners() != 1 {
            return false;
        }
        // SAFETY: the only reference is `self`, which is borrowed mutably.
        let block = unsafe { &mut *self.block.as_ptr() };
        let Label { hash, expires_at, key_start, value_start, value_len, key_len } = label;
        (block.hash, block.expires_at) = (hash, expires_at);
        (block.key_start, block.key_len) = (key_start, key_len);
        (block.value_start, block.value_len) = (value_start, value_len);
        true
    }

    /// # Safety
    /// Unless `zero` is set the caller writes every byte before anybody reads.
    unsafe fn allocate(len: usize, zero: bool) -> Result<Self> {
        if len > isize::MAX as usize - HEADER_BYTES - ALIGN {
            return Err(memory::exhausted(len, WHAT));
        }
        let layout = layout(len);
        // SAFETY: the layout's size is at least the header's, so not zero.
        let memory = unsafe { if zero { alloc_zeroed(layout) } else { alloc(layout) } };
        let Some(block) = NonNull::new(memory.cast::<Block>()) else {
            return Err(memory::exhausted(len, WHAT));
        };
        // For those who have a reference to the block alone: see `own_pointer`.
        memory.expose_provenance();
        let unlinked = Links { before: null_mut(), behind: null_mut() };
        // SAFETY: the memory is large enough and aligned for the header.
        unsafe {
            block.write(Block {
                links: UnsafeCell::new(unlinked),
                state: AtomicU64::new(OWNER),
                mark: AtomicU64::new(0),
                hash: 0,
                expires_at: 0,
                key_start: 0,
                value_start: 0,
                value_len: 0,
                key_len: 0,
                ring: AtomicU8::new(0),
                unwritten: AtomicBool::new(false),
                len,
                ledger: AtomicPtr::new(null_mut()),
                version: AtomicU64::new(0),
                since: AtomicU64::new(0),
            });
        }
        Ok(Self { block })
    }

    /// # Safety
    /// The last reference was just counted out.
    #[inline(never)]
    unsafe fn free(block: NonNull<Block>) {
        // After the last decrement, because otherwise another thread's reads could come later.
        fence(Ordering::Acquire);
        // SAFETY: nobody else refers to the memory; the ledger came from `Arc::into_raw` and is given
        // back once, here; the layout is the allocation's (invariant 4).
        unsafe {
            let Block { len, ledger, .. } = block.as_ref();
            let (layout, ledger) = (layout(*len), ledger.load(Ordering::Acquire));
            if !ledger.is_null() {
                drop(Arc::from_raw(ledger));
            }
            dealloc(block.as_ptr().cast(), layout);
        }
    }
}

impl Deref for Buffer {
    type Target = Block;

    #[inline]
    fn deref(&self) -> &Block {
        // SAFETY: the memory lives as long as any reference does (invariant 1).
        unsafe { self.block.as_ref() }
    }
}

impl Clone for Buffer {
    #[inline]
    fn clone(&self) -> Self {
        self.share()
    }
}

impl Drop for Buffer {
    #[inline]
    fn drop(&mut self) {
        if self.state.fetch_sub(OWNER, Ordering::Release) & (HOLDER - 1) == OWNER {
            // SAFETY: this was the last one.
            unsafe { Self::free(self.block) };
        }
    }
}

/// A buffer that a caller holds.
pub struct Held(ManuallyDrop<Buffer>);

impl Held {
    /// Hands a buffer to a caller of the store that keeps `ledger`.
    #[inline]
    pub fn new(buffer: Buffer, ledger: &Arc<Ledger>) -> Self {
        if buffer.ledger.load(Ordering::Acquire).is_null() {
            buffer.set_ledger(ledger);
        }
        Self::detached(buffer)
    }

    /// Hands out another reference to a block, as [`Held::new`].
    #[inline]
    pub fn share(block: &Block, ledger: &Arc<Ledger>) -> Self {
        if block.ledger.load(Ordering::Acquire).is_null() {
            block.set_ledger(ledger);
        }
        // Counted at once for the reference and for the caller.
        if block.state.fetch_add(HOLDER | OWNER, Ordering::AcqRel) < HOLDER {
            block.account(true);
        }
        Self(ManuallyDrop::new(Buffer { block: block.own_pointer() }))
    }

    /// Hands out a buffer that is part of no store's account, as a text is, or whose ledger is set.
    #[inline]
    pub fn detached(buffer: Buffer) -> Self {
        if buffer.state.fetch_add(HOLDER, Ordering::AcqRel) < HOLDER {
            buffer.account(true);
        }
        Self(ManuallyDrop::new(buffer))
    }

    /// The bytes.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        self.0.bytes()
    }

    /// Turns it into a pointer for a C struct, to be given to [`Held::from_raw`].
    #[inline]
    pub fn into_raw(self) -> *mut std::ffi::c_void {
        let raw = self.0.block.as_ptr().cast();
        std::mem::forget(self);
        raw
    }

    /// Takes back what [`Held::into_raw`] gave away.
    ///
    /// # Safety
    /// `raw` came from `into_raw` and is given back once.
    #[inline]
    pub unsafe fn from_raw(raw: NonNull<std::ffi::c_void>) -> Self {
        Self(ManuallyDrop::new(Buffer { block: raw.cast() }))
    }
}

impl Clone for Held {
    fn clone(&self) -> Self {
        Self::detached(self.0.share())
    }
}

impl Drop for Held {
    #[inline]
    fn drop(&mut self) {
        let state = &self.0.state;
        let before = state.load(Ordering::Relaxed);
        let after = before.wrapping_sub(HOLDER | OWNER);
        // What hot has is neither freed nor accounted for by this.
        let is_counted = before & RESIDENT != 0
            && state.compare_exchange(before, after, Ordering::Release, Ordering::Relaxed).is_ok();
        if !is_counted {
            self.give_back();
        }
    }
}

impl Held {
    #[inline(never)]
    fn give_back(&mut self) {
        // The caller first: the reference keeps the memory until the account is right.
        let before = self.0.state.fetch_sub(HOLDER, Ordering::AcqRel);
        if before & RESIDENT == 0 && before < 2 * HOLDER {
            self.0.account(false);
        }
        // SAFETY: this is the drop of the one who has the buffer.
        unsafe { ManuallyDrop::drop(&mut self.0) };
    }
}

fn layout(len: usize) -> Layout {
    // SAFETY: ALIGN is a power of two, and `allocate` has checked that the sum fits `isize`.
    unsafe { Layout::from_size_align_unchecked(HEADER_BYTES + len, ALIGN) }
}

/// Begins to bring a line into the processor's cache, where there is an instruction for it.
#[inline]
pub fn prefetch<T>(at: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: it changes nothing, whatever the address, and SSE is part of x86-64.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(at.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}

fn length_of(parts: &[&[u8]]) -> Option<usize> {
    parts.iter().try_fold(0_usize, |sum, part| sum.checked_add(part.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn parts_are_joined_and_shared() {
        let buffer = Buffer::from_parts(&[b"ab", b"", b"cde"]).unwrap();
        let shared = buffer.clone();
        drop(buffer);
        assert_eq!(shared.bytes(), b"abcde");
    }

    #[test]
    fn only_an_unshared_buffer_of_that_length_can_be_refilled() {
        let buffer = Buffer::from_parts(&[b"abc", b"d"]).unwrap();
        let at = buffer.bytes().as_ptr();
        let buffer = buffer.refilled(&[b"w", b"", b"xyz"]).unwrap();
        assert_eq!((buffer.bytes(), buffer.bytes().as_ptr()), (&b"wxyz"[..], at));
        let shared = buffer.clone();
        assert!(buffer.refilled(&[b"1234"]).is_none());
        assert_eq!(shared.bytes(), b"wxyz");
        assert!(shared.refilled(&[b"12345"]).is_none());
    }

    #[test]
    fn only_an_unshared_buffer_can_be_written() {
        let mut buffer = Buffer::zeroed(8).unwrap();
        buffer.bytes_mut().unwrap().copy_from_slice(b"12345678");
        let shared = buffer.clone();
        assert!(buffer.bytes_mut().is_none());
        drop(shared);
        assert!(buffer.bytes_mut().is_some());
        assert_eq!(buffer.memory_bytes(), HEADER_BYTES + 8);
    }

    #[test]
    fn a_raw_pointer_keeps_the_bytes() {
        let buffer = Buffer::from_parts(&[b"kept"]).unwrap();
        let held = Held::new(buffer, &Arc::new(Ledger::default()));
        let raw = NonNull::new(held.into_raw()).unwrap();
        // SAFETY: the pointer was just made and is given back once.
        let back = unsafe { Held::from_raw(raw) };
        assert_eq!(back.bytes(), b"kept");
    }

    #[test]
    fn memory_is_in_the_ledger_while_callers_hold_it_and_hot_does_not() {
        let ledger = Arc::new(Ledger::default());
        let buffer = Buffer::from_parts(&[&[7; 100]]).unwrap();
        let bytes = buffer.memory_bytes() as u64;
        assert!(buffer.enter_hot() && !buffer.enter_hot());
        let first = Held::share(&buffer, &ledger);
        let second = first.clone();
        assert_eq!(ledger.bytes(), 0);
        buffer.leave_hot();
        assert_eq!(ledger.bytes(), bytes);
        drop(first);
        assert_eq!(ledger.bytes(), bytes);
        assert!(buffer.enter_hot());
        assert_eq!(ledger.bytes(), 0);
        buffer.leave_hot();
        assert_eq!(ledger.bytes(), bytes);
        std::thread::spawn(move || drop(second)).join().unwrap();
        assert_eq!(ledger.bytes(), 0);
        drop(buffer);
        assert_eq!(Arc::strong_count(&ledger), 1);
    }

    #[test]
    fn an_impossible_length_is_an_error() {
        let error = Buffer::zeroed(usize::MAX - 64).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::OutOfMemory);
    }
}
