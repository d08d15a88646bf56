//! What comes in from C and what goes out: NULL, lengths, flags and sizes are checked here, before
//! any of the caller's memory is touched.
//!
//! The lifetimes of what these functions return are the caller's to choose; they end with the call.

use crate::error::{Error, ErrorKind, Result};
use crate::limits::{KEY_BYTES_MAX, VALUE_BYTES_MAX};
use std::borrow::Cow;
use std::ffi::{CStr, OsStr, c_char, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The bytes of a key.
///
/// # Errors
/// `InvalidArgument` for NULL with a length, `TooLarge` above the limit.
///
/// # Safety
/// `data` is NULL or has `len` readable bytes.
#[inline]
pub unsafe fn key<'a>(data: *const c_void, len: usize) -> Result<&'a [u8]> {
    // SAFETY: the caller's promise.
    unsafe { bytes(data, len, "key", KEY_BYTES_MAX) }
}

/// The bytes of a value.
///
/// # Errors
/// `InvalidArgument` for NULL with a length, `TooLarge` above the limit.
///
/// # Safety
/// `data` is NULL or has `len` readable bytes.
pub unsafe fn value<'a>(data: *const c_void, len: usize) -> Result<&'a [u8]> {
    // SAFETY: the caller's promise.
    unsafe { bytes(data, len, "value", VALUE_BYTES_MAX) }
}

#[inline]
unsafe fn bytes<'a>(data: *const c_void, len: usize, what: &str, max: usize) -> Result<&'a [u8]> {
    if len == 0 {
        return Ok(&[]);
    }
    if data.is_null() || len > max {
        return Err(bad_bytes(data, len, what, max));
    }
    // SAFETY: not NULL, the length is below isize::MAX, and the caller promises the rest.
    Ok(unsafe { std::slice::from_raw_parts(data.cast(), len) })
}

#[cold]
fn bad_bytes(data: *const c_void, len: usize, what: &str, max: usize) -> Error {
    if data.is_null() {
        return invalid(format!("{what}: NULL, but its length is {len}"));
    }
    let text = format!("the {what} has {len} bytes; at most {max} are allowed");
    Error::new(ErrorKind::TooLarge, text)
}

/// An array of `n` elements.
///
/// # Errors
/// `InvalidArgument` for NULL with a length, or for more than memory can hold.
///
/// # Safety
/// `data` is NULL or has `n` readable elements.
pub unsafe fn array<'a, T>(data: *const T, n: usize, what: &str) -> Result<&'a [T]> {
    if n == 0 {
        return Ok(&[]);
    }
    required(data, what)?;
    if !fits::<T>(n) {
        return Err(invalid(format!("{what}: {n} elements are more than memory can hold")));
    }
    // SAFETY: not NULL, the size is at most isize::MAX, and the caller promises the rest.
    Ok(unsafe { std::slice::from_raw_parts(data, n) })
}

/// A NUL-terminated name or value in UTF-8.
///
/// # Errors
/// `InvalidArgument` for NULL and for what is no UTF-8.
///
/// # Safety
/// `text` is NULL or ends with a NUL.
pub unsafe fn text<'a>(text: *const c_char, what: &str) -> Result<&'a str> {
    required(text, what)?;
    // SAFETY: not NULL, and the caller promises the NUL.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_str().map_err(|_| invalid(format!("{what}: not UTF-8: {text:?}")))
}

/// A NUL-terminated path, byte for byte.
///
/// # Errors
/// `InvalidArgument` for NULL.
///
/// # Safety
/// `path` is NULL or ends with a NUL.
pub unsafe fn path<'a>(path: *const c_char, what: &str) -> Result<&'a Path> {
    required(path, what)?;
    // SAFETY: not NULL, and the caller promises the NUL.
    let path = unsafe { CStr::from_ptr(path) };
    Ok(Path::new(OsStr::from_bytes(path.to_bytes())))
}

/// An object that the library gave, to be changed.
///
/// # Errors
/// `InvalidArgument` for NULL.
///
/// # Safety
/// `object` is NULL or came from its `_new` or `_open` and was not released; no other thread uses
/// it.
pub unsafe fn object<'a, T>(object: *mut T, what: &str) -> Result<&'a mut T> {
    // SAFETY: the caller's promise.
    unsafe { object.as_mut() }.ok_or_else(|| null(what))
}

/// An object that the library gave, to be read.
///
/// # Errors
/// `InvalidArgument` for NULL.
///
/// # Safety
/// As [`object`], but other threads may read it too.
pub unsafe fn shared<'a, T>(object: *const T, what: &str) -> Result<&'a T> {
    // SAFETY: the caller's promise.
    unsafe { object.as_ref() }.ok_or_else(|| null(what))
}

/// A struct that may grow, passed with the size that it had when the caller was compiled.
///
/// The caller may be newer than the library: what the library does not know must be zero. It may
/// not be older than the first version, whose size is that of `T`; once `T` has grown, what an
/// older caller leaves out reads as zero.
///
/// # Errors
/// `InvalidArgument` for a size below `T`'s and for unknown fields that are set.
///
/// # Safety
/// `from` has `size` readable bytes, of which any bit pattern is a `T`.
pub unsafe fn sized<T: Copy>(from: *const T, size: usize, what: &str) -> Result<T> {
    let known = size_of::<T>();
    if size < known || !fits::<u8>(size) {
        return Err(invalid(format!("{what}: a size of {size}; sizeof gives at least {known}")));
    }
    // SAFETY: the caller promises `size` bytes, which are at least `known`.
    let unknown = unsafe { std::slice::from_raw_parts(from.cast::<u8>().add(known), size - known) };
    if unknown.iter().any(|&byte| byte != 0) {
        let text = format!("{what}: has fields set that this version of hotcold does not know");
        return Err(invalid(text));
    }
    // SAFETY: as above.
    Ok(unsafe { from.read() })
}

/// Refuses flags that are not among `known`.
///
/// # Errors
/// `InvalidArgument`.
pub fn flags(flags: u32, known: u32) -> Result<()> {
    match flags & !known {
        0 => Ok(()),
        unknown => Err(invalid(format!("flags: {unknown:#x} is not known"))),
    }
}

/// Refuses NULL.
///
/// # Errors
/// `InvalidArgument`.
#[inline]
pub fn required<T>(pointer: *const T, what: &str) -> Result<()> {
    if pointer.is_null() { Err(null(what)) } else { Ok(()) }
}

/// Empties an output: all its bytes become zero. NULL is fine.
///
/// # Safety
/// `out` is NULL or can be written; zero bytes are a valid `T`.
#[inline]
pub unsafe fn empty<T>(out: *mut T) {
    if !out.is_null() {
        // SAFETY: the caller's promise.
        unsafe { out.write_bytes(0, 1) };
    }
}

/// Empties `n` outputs. NULL, or more than memory can hold, is fine.
///
/// # Safety
/// As [`empty`], for `n` elements.
pub unsafe fn empty_array<T>(out: *mut T, n: usize) {
    if !out.is_null() && fits::<T>(n) {
        // SAFETY: the caller's promise.
        unsafe { out.write_bytes(0, n) };
    }
}

/// Writes an output that the caller may not want: NULL is fine.
///
/// # Safety
/// `out` is NULL or can be written.
pub unsafe fn put<T>(out: *mut T, value: T) {
    if !out.is_null() {
        // SAFETY: the caller's promise.
        unsafe { out.write(value) };
    }
}

/// True if `n` elements can be in memory at all.
pub fn fits<T>(n: usize) -> bool {
    n.checked_mul(size_of::<T>()).is_some_and(|bytes| isize::try_from(bytes).is_ok())
}

/// An `InvalidArgument` error.
pub fn invalid<'m>(text: impl Into<Cow<'m, str>>) -> Error {
    Error::new(ErrorKind::InvalidArgument, text)
}

#[cold]
fn null(what: &str) -> Error {
    invalid(format!("{what}: NULL"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ptr::{dangling, null};

    fn kind<T>(result: Result<T>) -> Option<ErrorKind> {
        result.err().map(|error| error.kind())
    }

    #[test]
    fn bytes_are_checked_before_they_are_touched() {
        use ErrorKind::{InvalidArgument, TooLarge};
        let bad = dangling::<c_void>();
        // SAFETY: no length below lets the dangling pointer be read.
        unsafe {
            assert_eq!(key(null(), 0).unwrap(), b"");
            assert_eq!(key(bad, 0).unwrap(), b"");
            assert_eq!(kind(key(null(), 1)), Some(InvalidArgument));
            assert_eq!(kind(key(null(), usize::MAX)), Some(InvalidArgument));
            assert_eq!(kind(key(bad, 65_536)), Some(TooLarge));
            assert_eq!(kind(value(bad, 1 << 32)), Some(TooLarge));
            assert_eq!(kind(value(bad, usize::MAX)), Some(TooLarge));
            let words = bad.cast::<u64>();
            assert_eq!(kind(array(words, usize::MAX / 8, "a")), Some(InvalidArgument));
            assert_eq!(kind(array(words, usize::MAX, "a")), Some(InvalidArgument));
            assert_eq!(kind(sized(words, 7, "o")), Some(InvalidArgument));
            assert_eq!(kind(sized(words, usize::MAX, "o")), Some(InvalidArgument));
        }
    }

    #[test]
    fn a_newer_callers_struct_is_taken_while_its_new_fields_are_zero() {
        let mut newer = [5_u64, 0, 0];
        // SAFETY: the array has 24 bytes.
        unsafe {
            assert_eq!(sized(newer.as_ptr(), 24, "o").unwrap(), 5);
            newer[2] = 1 << 56;
            assert_eq!(kind(sized(newer.as_ptr(), 24, "o")), Some(ErrorKind::InvalidArgument));
            assert_eq!(sized(newer.as_ptr(), 8, "o").unwrap(), 5);
        }
    }

    #[test]
    fn only_known_flags_pass() {
        assert!(flags(0, 3).is_ok());
        assert!(flags(3, 3).is_ok());
        assert_eq!(kind(flags(4, 3)), Some(ErrorKind::InvalidArgument));
    }

    #[test]
    fn text_must_be_utf8() {
        // SAFETY: both are C strings.
        unsafe {
            assert_eq!(text(c"fine".as_ptr(), "name").unwrap(), "fine");
            assert_eq!(kind(text(c"\xff".as_ptr(), "name")), Some(ErrorKind::InvalidArgument));
            assert_eq!(kind(text(null(), "name")), Some(ErrorKind::InvalidArgument));
        }
    }
}
