//! Allocation that can fail. A failed allocation never ends the process.
//!
//! 1. These functions allocate whatever grows with the data of a caller or of the disk, and
//!    whatever has 64 KiB or more. A failure is an error of the call.
//! 2. All other allocations are small and of a fixed size: errors, strings, nodes. If the kernel
//!    has no memory even for those, it comes from a reserve of 1.9 MiB (`io::reserve`). While more
//!    than 96 KiB of it are in use, each call first proves that there is memory again, or answers
//!    `OutOfMemory` ([`check`]). Whoever allocates many small pieces in one call asks [`check`]
//!    between them.
//! 3. Closing and releasing are never refused.
//! 4. What must not fail once a record is on disk has its memory beforehand: the keydir promises an
//!    entry, and hot reserves its place.
//!
//! `tests/c/exhausted.c` lets every allocation fail in turn.

use crate::error::{Error, ErrorKind, Result};
use smallvec::SmallVec;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A list that almost always has one item, which then needs no memory of its own.
pub type Few<T> = SmallVec<[T; 1]>;

/// Bytes of the reserve that are in use.
pub static RESERVE_USED: AtomicUsize = AtomicUsize::new(0);

/// When more of the reserve is in use, new calls are refused: what is left is for those in progress.
const RESERVE_USED_MAX: usize = 96 << 10;

/// More than any piece that the reserve gives: what the kernel must be able to give before calls go
/// on.
const PROOF_BYTES: usize = 1 << 20;

/// Fails while memory is so short that small allocations cannot be relied on.
///
/// # Errors
/// `OutOfMemory`.
#[inline]
pub fn check() -> Result<()> {
    if RESERVE_USED.load(Ordering::Relaxed) <= RESERVE_USED_MAX { Ok(()) } else { prove() }
}

#[cold]
fn prove() -> Result<()> {
    can_have(PROOF_BYTES, "what the call needs beside its data")
}

/// Fails unless `bytes` can be allocated at this moment: for code whose own allocation cannot
/// report a failure.
///
/// # Errors
/// `OutOfMemory`.
pub fn can_have(bytes: usize, what: &str) -> Result<()> {
    grow(&mut Vec::<u8>::new(), bytes, what)
}

/// `length` zeros, for `what`.
///
/// # Errors
/// `OutOfMemory`.
pub fn zeros(length: usize, what: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(length).map_err(|_| exhausted(length, what))?;
    bytes.resize(length, 0);
    Ok(bytes)
}

/// A copy of `bytes`, for `what`.
///
/// # Errors
/// `OutOfMemory`.
pub fn copy(bytes: &[u8], what: &str) -> Result<Vec<u8>> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(bytes.len()).map_err(|_| exhausted(bytes.len(), what))?;
    copy.extend_from_slice(bytes);
    Ok(copy)
}

/// Makes room in `list` for `more` items, so that adding them does not allocate.
///
/// # Errors
/// `OutOfMemory`: the list is as it was.
pub fn grow<T>(list: &mut Vec<T>, more: usize, what: &str) -> Result<()> {
    list.try_reserve(more).map_err(|_| exhausted(more.saturating_mul(size_of::<T>()), what))
}

/// Adds an item to `list`.
///
/// # Errors
/// `OutOfMemory`: the list is as it was.
pub fn push<T>(list: &mut Vec<T>, item: T, what: &str) -> Result<()> {
    grow(list, 1, what)?;
    list.push(item);
    Ok(())
}

/// An empty list with room for `count` items.
///
/// # Errors
/// `OutOfMemory`.
#[inline]
pub fn few<T>(count: usize, what: &str) -> Result<Few<T>> {
    let mut list = Few::new();
    if count > list.inline_size() {
        let exhausted = |_| exhausted(count.saturating_mul(size_of::<T>()), what);
        list.try_reserve_exact(count).map_err(exhausted)?;
    }
    Ok(list)
}

/// The error where `bytes` for `what` could not be had.
#[cold]
pub fn exhausted(bytes: usize, what: &str) -> Error {
    let sentence = format!(
        "no memory for {what} ({bytes} bytes); free some, or raise the limit of this process"
    );
    Error::new(ErrorKind::OutOfMemory, sentence)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_had_is_an_error_and_changes_nothing() {
        let mut list = vec![1_u64, 2];
        let error = grow(&mut list, usize::MAX / 8, "numbers").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OutOfMemory);
        assert!(error.message().starts_with("no memory for numbers ("), "{error}");
        assert_eq!(list, [1, 2]);
        push(&mut list, 3, "numbers").unwrap();
        assert_eq!(list, [1, 2, 3]);
        assert!(zeros(usize::MAX / 2, "zeros").is_err());
        assert_eq!(zeros(3, "zeros").unwrap(), [0; 3]);
        assert!(can_have(usize::MAX / 2, "anything").is_err());
    }
}
