//! `hotcold_cursor_t`: a walk over the keys.
//!
//! A cursor holds its place and the token of its store, no reference to it: it keeps nothing open,
//! and after close its calls find the token gone.

use crate::ffi::boundary::{Outcome, boundary, done};
use crate::ffi::fence::fence;
use crate::ffi::lifecycle::{hotcold_t, on_store_seldom, token_of, with_store};
use crate::ffi::many::hotcold_slice_t;
use crate::ffi::memory::{empty, key as key_of, object, required};
use crate::ffi::status::{hotcold_error_t, hotcold_status, hotcold_status_t};
use crate::ffi::value::{hand_out, hotcold_value_t};
use crate::store::Cursor;
use std::ffi::c_void;

/// A walk over the keys of a store. For one thread at a time.
pub struct hotcold_cursor_t {
    token: u64,
    cursor: Cursor,
}

/// Begins a walk over every live key of both tiers, or those with a prefix.
///
/// A key that lives throughout the walk is seen exactly once, whatever other threads do, any other
/// at most once. The order is that of the keys' hashes, which is as good as none.
///
/// in    s           a store
///       prefix      prefix_len bytes, any bytes; copied
///       prefix_len  0: all keys
/// out   out         the cursor, or NULL. It stands before the first key
///       error       NULL, or where a failure is described
/// owns  the cursor is the caller's, to be closed with hotcold_cursor_close(), before or after the
///       store
/// cost  none yet; the walk reads every key, whatever the prefix
/// safe  from any thread, at the same time as any other call
///
/// HOTCOLD_OK                begun
/// HOTCOLD_INVALID_ARGUMENT  s or out is NULL, or prefix is NULL and its length is not 0
/// HOTCOLD_MISUSE            not open
/// HOTCOLD_TOO_LARGE         the prefix is longer than HOTCOLD_KEY_LEN_MAX
/// HOTCOLD_OUT_OF_MEMORY     no memory for the cursor
/// HOTCOLD_INTERNAL          a defect of this library
///
/// since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hotcold_cursor_open(
    s: *mut hotcold_t,
    prefix: *const c_void,
    prefix_len: usize,
    out: *mut *mut hotcold_cursor_t,
    error: *mut hotcold_error_t,
) -> hotcold_status_t {
    // SAFETY: the header's contract.
    unsafe {
        empty(out);
        on_store_seldom(s, error, |store| {
            required(out, "out")?;
            let cursor = store.cursor(key_of(prefix, prefix_len)?)?;
            let cursor = hotcold_cursor_t { token: token_of(s)?, cursor };
            out.write(Box::into_raw(Box::new(cursor)));
            done()
        })
    }
}

/// Goes to the next key.
///
/// in    c        a cursor
/// out   key_out  on HOTCOLD_OK the key, valid until the next call on c; otherwise empty
///       error    NULL, or where a failure is described
/// cost  mostly none; now and then reads the keys of a range of hashes
/// safe  from any thread; one thread at a time for the same c
///
/// HOTCOLD_OK                there is a key
/// HOTCOLD_END               there was none left
/// HOTCOLD_INVALID_ARGUMENT  c or key_out is NULL
/// HOTCOLD_MISUSE            the store was closed
/// HOTCOLD_CORRUPT           a record fails its checksum, so that its key is not known; the next call
///                           goes on behind it
/// HOTCOLD_IO                a read failed; the next call tries again
/// HOTCOLD_OUT_OF_MEMORY     no memory for the keys
/// HOTCOLD_INTERNAL          a defect of this library
///
/// since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hotcold_cursor_next(
    c: *mut hotcold_cursor_t,
    key_out: *mut hotcold_slice_t,
    error: *mut hotcold_error_t,
) -> hotcold_status_t {
    // SAFETY: the header's contract.
    unsafe {
        empty(key_out);
        boundary(error, || {
            required(key_out, "key_out")?;
            let hotcold_cursor_t { token, cursor } = object(c, "c")?;
            with_store(*token, |store| {
                if !store.cursor_next(cursor)? {
                    return Ok(Outcome::of(hotcold_status::HOTCOLD_END));
                }
                let key = cursor.key();
                key_out.write(hotcold_slice_t { data: key.as_ptr().cast(), len: key.len() });
                done()
            })
        })
    }
}

/// Finds the value of the key that hotcold_cursor_next() gave last. It is not promoted.
///
/// in    c      a cursor
/// out   out    on HOTCOLD_OK the value; otherwise empty
///       error  NULL, or where a failure is described; under policy=lenient also what was survived
/// owns  the value is the caller's, to be released with hotcold_value_release()
/// cost  no disk read if the key is hot, else at most one
/// safe  from any thread; one thread at a time for the same c
///
/// HOTCOLD_OK                found
/// HOTCOLD_NOT_FOUND         the key is gone by now
/// HOTCOLD_INVALID_ARGUMENT  c or out is NULL
/// HOTCOLD_MISUSE            the store was closed, or the cursor is at no key
/// HOTCOLD_CORRUPT           the record fails its checksum; other keys stay readable
/// HOTCOLD_IO                the read failed; error says where
/// HOTCOLD_OUT_OF_MEMORY     no memory for the value
/// HOTCOLD_INTERNAL          a defect of this library
///
/// since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hotcold_cursor_value(
    c: *mut hotcold_cursor_t,
    out: *mut hotcold_value_t,
    error: *mut hotcold_error_t,
) -> hotcold_status_t {
    // SAFETY: the header's contract.
    unsafe {
        empty(out);
        boundary(error, || {
            required(out, "out")?;
            let hotcold_cursor_t { token, cursor } = object(c, "c")?;
            with_store(*token, |store| hand_out(out, store.cursor_value(cursor)?))
        })
    }
}

/// Ends a walk.
///
/// in    c   a cursor, or NULL
/// owns  takes c
/// safe  from any thread, also after the store was closed; one thread at a time for the same c
///
/// since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hotcold_cursor_close(c: *mut hotcold_cursor_t) {
    if !c.is_null() {
        // SAFETY: `c` came from hotcold_cursor_open, and the caller gives it up.
        let closed = fence(|| drop(unsafe { Box::from_raw(c) }));
        drop(closed);
    }
}
