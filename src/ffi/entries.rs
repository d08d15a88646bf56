//! The plain operations on entries: store, retrieve, delete, clear.

use crate::ffi::boundary::{Outcome, done};
use crate::ffi::lifecycle::{hotcold_t, on_store};
use crate::ffi::memory::{empty, key as key_of, required, value as value_of};
use crate::ffi::status::{hotcold_error_t, hotcold_status, hotcold_status_t};
use crate::ffi::value::{hand_out, hotcold_value_t};
use std::ffi::c_void;

/// Stores a value under a key, in cold first and then in hot, in place of what was there.
///
/// in    s          a store
///       key        key_len bytes, any bytes; borrowed for this call
///       key_len    0 to HOTCOLD_KEY_LEN_MAX
///       value      value_len bytes, any bytes; borrowed for this call
///       value_len  0 to 4 GiB - 1
/// out   error      NULL, or where a failure is described; under policy=lenient also what was
///                  survived
/// cost  at most one write to the kernel; may wait for background work that keeps a bound
/// safe  from any thread, at the same time as any other call
/// durable  under durability=process the death of the process, and power loss after sync_interval
///       or hotcold_sync(); under durability=sync power loss
/// after HOTCOLD_OK every retrieve, from any thread, sees it; after a failure none does
///
/// HOTCOLD_OK                stored
/// HOTCOLD_INVALID_ARGUMENT  s is NULL, or key or value is NULL and its length is not 0
/// HOTCOLD_MISUSE            not open
/// HOTCOLD_TOO_LARGE         the key or the value is beyond the limits, or larger than a store in
///                           memory alone
/// HOTCOLD_IO                the kernel refused
/// HOTCOLD_NO_SPACE          the disk is full; retrieving goes on
/// HOTCOLD_READ_ONLY         opened with read_only, or turned so after a failed sync
/// HOTCOLD_OUT_OF_MEMORY     no memory for the value
/// HOTCOLD_INTERNAL          a defect of this library
///
/// since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hotcold_store(
    s: *mut hotcold_t,
    key: *const c_void,
    key_len: usize,
    value: *const c_void,
    value_len: usize,
    error: *mut hotcold_error_t,
) -> hotcold_status_t {
    // SAFETY: the header's contract.
    unsafe {
        on_store(s, error, |store| {
            let answer = store.store(key_of(key, key_len)?, value_of(value, value_len)?)?;
            Ok(Outcome::of(hotcold_status::HOTCOLD_OK).despite(answer.survived))
        })
    }
}

/// Finds the value of a key, in hot or else in cold, and hands out a reference to it.
///
/// What is found in cold is promoted: it enters hot.
///
/// in    s        a store
///       key      key_len bytes, any bytes; borrowed for this call
///       key_len  0 to HOTCOLD_KEY_LEN_MAX
/// out   out      on HOTCOLD_OK the value; otherwise empty
///       error    NULL, or where a failure is described; under policy=lenient also what was survived
/// owns  the value is the caller's, to be released with hotcold_value_release()
/// cost  no disk read if the key is hot, else at most one; bytes in hot are not copied
/// safe  from any thread, at the same time as any other call
///
/// HOTCOLD_OK                found
/// HOTCOLD_NOT_FOUND         absent or expired
/// HOTCOLD_INVALID_ARGUMENT  s or out is NULL, or key is NULL and its length is not 0
/// HOTCOLD_MISUSE            not open
/// HOTCOLD_TOO_LARGE         the key is longer than HOTCOLD_KEY_LEN_MAX
/// HOTCOLD_CORRUPT           the record fails its checksum; other keys stay readable
/// HOTCOLD_IO                the read failed; error says where
/// HOTCOLD_OUT_OF_MEMORY     no memory for the value
/// HOTCOLD_INTERNAL          a defect of this library
///
/// since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hotcold_retrieve(
    s: *mut hotcold_t,
    key: *const c_void,
    key_len: usize,
    out: *mut hotcold_value_t,
    error: *mut hotcold_error_t,
) -> hotcold_status_t {
    // SAFETY: the header's contract.
    unsafe {
        empty(out);
        on_store(s, error, |store| {
            required(out, "out")?;
            hand_out(out, store.retrieve(key_of(key, key_len)?)?)
        })
    }
}

/// Removes a key from both tiers.
///
/// in    s        a store
///       key      key_len bytes, any bytes; borrowed for this call
///       key_len  0 to HOTCOLD_KEY_LEN_MAX
/// out   error    NULL, or where a failure is described
/// cost  at most one write to the kernel if the key is in cold
/// safe  from any thread, at the same time as any other call
/// durable  as hotcold_store()
/// after HOTCOLD_OK the key never comes back, unless it is stored again
///
/// HOTCOLD_OK                removed
/// HOTCOLD_NOT_FOUND         it was in neither tier
/// HOTCOLD_INVALID_ARGUMENT  s is NULL, or key is NULL and its length is not 0
/// HOTCOLD_MISUSE            not open
/// HOTCOLD_TOO_LARGE         the key is longer than HOTCOLD_KEY_LEN_MAX
/// HOTCOLD_IO                the kernel refused
/// HOTCOLD_NO_SPACE          the disk is full, and others have taken the room that is kept for this
/// HOTCOLD_READ_ONLY         opened with read_only, or turned so after a failed sync
/// HOTCOLD_OUT_OF_MEMORY     no memory for a buffer
/// HOTCOLD_INTERNAL          a defect of this library
///
/// since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hotcold_delete(
    s: *mut hotcold_t,
    key: *const c_void,
    key_len: usize,
    error: *mut hotcold_error_t,
) -> hotcold_status_t {
    // SAFETY: the header's contract.
    unsafe { on_store(s, error, |store| store.delete(key_of(key, key_len)?).map(Outcome::found)) }
}

/// Removes every key from both tiers, at one instant.
///
/// in    s      a store
/// out   error  NULL, or where a failure is described
/// cost  does not depend on how many keys there are
/// safe  from any thread, at the same time as any other call
/// durable  as hotcold_store()
/// after HOTCOLD_OK no key comes back, unless it is stored again
///
/// HOTCOLD_OK                cleared; also if nothing was there
/// HOTCOLD_INVALID_ARGUMENT  s is NULL
/// HOTCOLD_MISUSE            not open
/// HOTCOLD_IO                the kernel refused
/// HOTCOLD_NO_SPACE          the disk is full, and others have taken the room that is kept for this
/// HOTCOLD_READ_ONLY         opened with read_only, or turned so after a failed sync
/// HOTCOLD_OUT_OF_MEMORY     no memory for the call
/// HOTCOLD_INTERNAL          a defect of this library
///
/// since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hotcold_clear(
    s: *mut hotcold_t,
    error: *mut hotcold_error_t,
) -> hotcold_status_t {
    // SAFETY: the header's contract.
    unsafe { on_store(s, error, |store| store.clear().and_then(|()| done())) }
}
