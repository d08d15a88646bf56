//! A shared, immutable run of bytes in one allocation, reached through one thin pointer.
//!
//! A value lives in one of these from the moment it is read or stored until its last holder, in
//! the hot tier or in the caller's program, lets go. `Arc<[u8]>` would do, but for three things:
//! its allocation cannot fail gently, its pointer is two words (the C value has one for its owner),
//! and its memory cannot be filled by a read before it is shared.
//!
//! A buffer also knows whether it is in the hot tier and how many callers hold it, so that its
//! memory is accounted for once: by hot while it is there, else by the [`Ledger`] of the store
//! whose callers hold it.
//!
//! # Invariants
//! 1. `count` is the number of `Buffer`s that point here; the memory is freed when it becomes 0.
//! 2. Bytes are written only while `count` is 1 and through `&mut`.
//! 3. The ledger has the buffer's bytes if, and only if, callers hold it and it is not in hot.
//! 4. The allocation has exactly `HEADER_BYTES + len` bytes, aligned to `ALIGN`.

#![expect(
    unsafe_code,
    reason = "one thin, fallible allocation per value: see the module's first paragraph"
)]

use crate::error::{Error, Result};
use crate::memory;
use crate::sync::{STRIPES, stripe};
use std::alloc::{Layout, alloc, alloc_zeroed, dealloc};
use std::ptr::{NonNull, null_mut};
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};

/// Bytes that a buffer takes beside its contents.
pub const HEADER_BYTES: usize = size_of::<Header>();

const ALIGN: usize = align_of::<Header>();

/// What the processor fetches at once.
const CACHE_LINE_BYTES: usize = 64;

/// More than this is not asked for ahead: there are only so many fetches under way at a time.
const PREFETCH_BYTES_MAX: usize = 1024;

/// In `uses`: the buffer is in the hot tier. The other bits count the callers that hold it.
const RESIDENT: u32 = 1 << 31;

#[repr(C)]
struct Header {
    count: AtomicUsize,
    len: usize,
    /// Where the memory is accounted for; null until a caller holds it.
    ledger: AtomicPtr<Ledger>,
    uses: AtomicU32,
}

/// The memory of the values that a store's callers hold and that hot does not have.
#[derive(Default)]
pub struct Ledger {
    stripes: [Stripe; STRIPES],
}

#[derive(Default)]
#[repr(align(64))]
struct Stripe(AtomicU64);

impl Ledger {
    /// Bytes that are held.
    pub fn bytes(&self) -> u64 {
        // What one thread adds another may take away, so only the sum means anything.
        let add = |sum: u64, stripe: &Stripe| sum.wrapping_add(stripe.0.load(Ordering::Relaxed));
        self.stripes.iter().fold(0, add)
    }

    fn stripe(&self) -> &AtomicU64 {
        &self.stripes[stripe()].0
    }
}

/// A reference to shared bytes; cloning shares them.
pub struct Buffer {
    header: NonNull<Header>,
}

// SAFETY: the bytes are immutable while shared (invariant 2) and the count is atomic.
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
        let len = length_of(parts).ok_or_else(|| out_of_memory(usize::MAX))?;
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
        let is_mine = self.header().count.load(Ordering::Acquire) == 1;
        if !is_mine || length_of(parts) != Some(self.header().len) {
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
                std::ptr::copy_nonoverlapping(part.as_ptr(), to, part.len());
                to = to.add(part.len());
            }
        }
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: `len` bytes were initialised when the buffer was made, and nobody writes to them
        // while a shared reference exists (invariant 2).
        unsafe { std::slice::from_raw_parts(self.contents(), self.header().len) }
    }

    /// The bytes for writing, or `None` if the buffer is shared.
    pub fn bytes_mut(&mut self) -> Option<&mut [u8]> {
        if self.header().count.load(Ordering::Acquire) != 1 {
            return None;
        }
        // SAFETY: the only reference is `self`, which is borrowed mutably.
        Some(unsafe { std::slice::from_raw_parts_mut(self.contents(), self.header().len) })
    }

    /// Begins to bring the header and the first bytes into the processor's cache, for the one who
    /// will need them soon.
    pub fn prefetch(&self) {
        prefetch(self.header());
    }

    /// Begins to bring the header and the first `bytes` bytes into the processor's cache, at most
    /// [`PREFETCH_BYTES_MAX`]: of what is longer the processor fetches the rest ahead by itself.
    #[inline]
    pub fn prefetch_bytes(&self, bytes: usize) {
        let mut at = self.header.as_ptr().cast::<u8>().cast_const();
        let mut left = HEADER_BYTES + bytes.min(PREFETCH_BYTES_MAX);
        // Four at a time: what is too much is next to it, and costs less than to count.
        while left > CACHE_LINE_BYTES {
            (0..4).for_each(|line| prefetch_at(at.wrapping_add(line * CACHE_LINE_BYTES)));
            at = at.wrapping_add(4 * CACHE_LINE_BYTES);
            left = left.saturating_sub(4 * CACHE_LINE_BYTES);
        }
    }

    /// The memory that this buffer takes, its own header included.
    pub fn memory_bytes(&self) -> usize {
        HEADER_BYTES + self.header().len
    }

    /// Adds the buffer's memory to the ledger, or takes it away.
    fn account(&self, is_held: bool) {
        // SAFETY: once set, the pointer holds a reference until the buffer is freed.
        let Some(ledger) = (unsafe { self.header().ledger.load(Ordering::Acquire).as_ref() })
        else {
            return;
        };
        let bytes = self.memory_bytes() as u64;
        let change = if is_held { bytes } else { bytes.wrapping_neg() };
        ledger.stripe().fetch_add(change, Ordering::Relaxed);
    }

    fn set_ledger(&self, ledger: &Arc<Ledger>) {
        let place = &self.header().ledger;
        if !place.load(Ordering::Acquire).is_null() {
            return;
        }
        let own = Arc::into_raw(ledger.clone()).cast_mut();
        let set = place.compare_exchange(null_mut(), own, Ordering::AcqRel, Ordering::Acquire);
        if set.is_err() {
            // SAFETY: it was just made, and nobody else has it.
            drop(unsafe { Arc::from_raw(own) });
        }
    }

    fn header(&self) -> &Header {
        // SAFETY: the memory lives as long as any reference does (invariant 1).
        unsafe { self.header.as_ref() }
    }

    fn contents(&self) -> *mut u8 {
        // SAFETY: the allocation has the header and `len` bytes behind it (invariant 4).
        unsafe { self.header.as_ptr().add(1).cast() }
    }

    /// # Safety
    /// Unless `zero` is set the caller writes every byte before anybody reads.
    unsafe fn allocate(len: usize, zero: bool) -> Result<Self> {
        if len > isize::MAX as usize - HEADER_BYTES - ALIGN {
            return Err(out_of_memory(len));
        }
        let layout = layout(len);
        // SAFETY: the layout's size is at least the header's, so not zero.
        let memory = unsafe { if zero { alloc_zeroed(layout) } else { alloc(layout) } };
        let Some(header) = NonNull::new(memory.cast::<Header>()) else {
            return Err(out_of_memory(len));
        };
        // SAFETY: the memory is large enough and aligned for the header.
        unsafe {
            header.write(Header {
                count: AtomicUsize::new(1),
                len,
                ledger: AtomicPtr::new(null_mut()),
                uses: AtomicU32::new(0),
            });
        }
        Ok(Self { header })
    }
}

impl Clone for Buffer {
    fn clone(&self) -> Self {
        // Relaxed as in `Arc`: the new reference is made from one that exists already.
        self.header().count.fetch_add(1, Ordering::Relaxed);
        Self { header: self.header }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if self.header().count.fetch_sub(1, Ordering::Release) != 1 {
            return;
        }
        // After the last decrement, because otherwise another thread's reads could come later.
        fence(Ordering::Acquire);
        let layout = layout(self.header().len);
        let ledger = self.header().ledger.load(Ordering::Acquire);
        if !ledger.is_null() {
            // SAFETY: it came from `Arc::into_raw` and is given back once, here.
            drop(unsafe { Arc::from_raw(ledger) });
        }
        // SAFETY: this was the last reference, and the layout is the allocation's (invariant 4).
        unsafe { dealloc(self.header.as_ptr().cast(), layout) };
    }
}

/// A buffer that a caller holds.
pub struct Held(Buffer);

impl Held {
    /// Hands a buffer to a caller of the store that keeps `ledger`.
    pub fn new(buffer: Buffer, ledger: &Arc<Ledger>) -> Self {
        buffer.set_ledger(ledger);
        Self::lend(buffer)
    }

    /// Hands out a buffer that is part of no store's account: a text.
    pub fn detached(buffer: Buffer) -> Self {
        Self::lend(buffer)
    }

    fn lend(buffer: Buffer) -> Self {
        if buffer.header().uses.fetch_add(1, Ordering::AcqRel) == 0 {
            buffer.account(true);
        }
        Self(buffer)
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        self.0.bytes()
    }

    /// Turns it into a pointer for a C struct, to be given to [`Held::from_raw`].
    pub fn into_raw(self) -> *mut std::ffi::c_void {
        let raw = self.0.header.as_ptr().cast();
        std::mem::forget(self);
        raw
    }

    /// Takes back what [`Held::into_raw`] gave away.
    ///
    /// # Safety
    /// `raw` came from `into_raw` and is given back once.
    pub unsafe fn from_raw(raw: NonNull<std::ffi::c_void>) -> Self {
        Self(Buffer { header: raw.cast() })
    }
}

impl Clone for Held {
    fn clone(&self) -> Self {
        Self::lend(self.0.clone())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.0.header().uses.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.account(false);
        }
    }
}

/// Marks a buffer as being in the hot tier, as long as it exists.
pub struct Resident(Buffer);

impl Resident {
    /// The buffer enters hot.
    pub fn new(buffer: Buffer) -> Self {
        let before = buffer.header().uses.fetch_or(RESIDENT, Ordering::AcqRel);
        if before & RESIDENT == 0 && before != 0 {
            buffer.account(false);
        }
        Self(buffer)
    }
}

impl Drop for Resident {
    fn drop(&mut self) {
        let before = self.0.header().uses.fetch_and(!RESIDENT, Ordering::AcqRel);
        if before & !RESIDENT != 0 {
            self.0.account(true);
        }
    }
}

fn layout(len: usize) -> Layout {
    // SAFETY: ALIGN is a power of two, and `allocate` has checked that the sum fits `isize`.
    unsafe { Layout::from_size_align_unchecked(HEADER_BYTES + len, ALIGN) }
}

/// Begins to bring the memory of `what` into the processor's cache, where there is an instruction
/// for it.
pub fn prefetch<T>(what: &T) {
    prefetch_at(std::ptr::from_ref(what).cast());
}

#[inline]
fn prefetch_at(at: *const u8) {
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

fn out_of_memory(bytes: usize) -> Error {
    memory::exhausted(bytes, "a value")
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
        let resident = Resident::new(buffer.clone());
        let first = Held::new(buffer.clone(), &ledger);
        let second = first.clone();
        assert_eq!(ledger.bytes(), 0);
        drop(resident);
        assert_eq!(ledger.bytes(), bytes);
        drop(first);
        assert_eq!(ledger.bytes(), bytes);
        let resident = Resident::new(buffer.clone());
        assert_eq!(ledger.bytes(), 0);
        drop(resident);
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
