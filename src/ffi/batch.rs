//! `hotcold_batch_t`: stores and deletes that take effect together.

use crate::ffi::boundary::{Outcome, boundary, done};
use crate::ffi::fence::fence;
use crate::ffi::lifecycle::{hotcold_t, on_store};
use crate::ffi::memory::{flags as check_flags, key as key_of, object, shared, value as value_of};
use crate::ffi::status::{hotcold_error_t, hotcold_status, hotcold_status_t};
use crate::ffi::variants::{hotcold_store_options_t, store_options};
use crate::store::Batch;
use std::ffi::c_void;
use std::ptr::null_mut;

/// Flags of hotcold_write.
#[repr(C)]
pub enum hotcold_write_flag {
    /// The batch is durable when the call returns.
    HOTCOLD_WRITE_SYNC = 1,
}

const SYNC: u32 = hotcold_write_flag::HOTCOLD_WRITE_SYNC as u32;

/// Stores and deletes that are collected first and then written together. For one thread at a time;
/// belongs to no store.
pub struct hotcold_batch_t {
    batch: Batch,
}

/// Makes an empty batch.
///
/// owns  the result is the caller's, to be freed with hotcold_batch_free(); NULL if there is no
///       memory
/// safe  from any thread
///
/// since 0.1.0
#[unsafe(no_mangle)]
pub extern "C" fn hotcold_batch_new() -> *mut hotcold_batch_t {
    fence(|| Box::into_raw(Box::new(hotcold_batch_t { batch: Batch::new() }))).unwrap_or(null_mut())
}

/// Frees a batch, whether it was written or not.
///
/// in    b   a batch, or NULL
/// owns  takes b
/// safe  from any thread; one thread at a time for the same b
///
/// since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hotcold_batch_free(b: *mut hotcold_batch_t) {
    if !b.is_null() {
        // SAFETY: `b` came from hotcold_batch_new, and the caller gives it up.
        let freed = fence(|| drop(unsafe { Box::from_raw(b) }));
        drop(freed);
    }
}

/// Adds a store to a batch; nothing is written yet.
///
/// in    b          a batch
///       key        key_len bytes, any bytes; copied
///       key_len    0 to HOTCOLD_KEY_LEN_MAX
///       value      value_len bytes, any bytes; copied
///       value_len  0 to 4 GiB - 1
///       o          how to store; NULL: as hotcold_store()
///       o_size     sizeof(hotcold_store_options_t) as the caller has it; not looked at for NULL
/// out   error      NULL, or where a failure is described
/// cost  a copy of key and value
/// safe  from any thread; one thread at a time for the same b
/// after a failure the batch is as it was
///
/// HOTCOLD_OK                added
/// HOTCOLD_INVALID_ARGUMENT  b is NULL; key or value is NULL and its length is not 0; an unknown
///                           flag, a wrong o_size, or a reserved field that is not 0
/// HOTCOLD_TOO_LARGE         the key or the value is beyond the limits, or the batch beyond 4 GiB
/// HOTCOLD_OUT_OF_MEMORY     no memory for the copy
/// HOTCOLD_INTERNAL          a defect of this library
///
/// since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hotcold_batch_store(
    b: *mut hotcold_batch_t,
    key: *const c_void,
    key_len: usize,
    value: *const c_void,
    value_len: usize,
    o: *const hotcold_store_options_t,
    o_size: usize,
    error: *mut hotcold_error_t,
) -> hotcold_status_t {
    // SAFETY: the header's contract.
    unsafe {
        boundary(error, || {
            let batch = &mut object(b, "b")?.batch;
            let options = store_options(o, o_size)?;
            batch.store(key_of(key, key_len)?, value_of(value, value_len)?, &options)?;
            done()
        })
    }
}

/// Adds a delete to a batch; nothing is written yet.
///
/// in    b        a batch
///       key      key_len bytes, any bytes; copied. It need not be there
///       key_len  0 to HOTCOLD_KEY_LEN_MAX
/// out   error    NULL, or where a failure is described
/// cost  a copy of the key
/// safe  from any thread; one thread at a time for the same b
/// after a failure the batch is as it was
///
/// HOTCOLD_OK                added
/// HOTCOLD_INVALID_ARGUMENT  b is NULL, or key is NULL and its length is not 0
/// HOTCOLD_TOO_LARGE         the key is longer than HOTCOLD_KEY_LEN_MAX, or the batch beyond 4 GiB
/// HOTCOLD_OUT_OF_MEMORY     no memory for the copy
/// HOTCOLD_INTERNAL          a defect of this library
///
/// since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hotcold_batch_delete(
    b: *mut hotcold_batch_t,
    key: *const c_void,
    key_len: usize,
    error: *mut hotcold_error_t,
) -> hotcold_status_t {
    // SAFETY: the header's contract.
    unsafe {
        boundary(error, || {
            let batch = &mut object(b, "b")?.batch;
            batch.delete(key_of(key, key_len)?)?;
            done()
        })
    }
}

/// Writes a batch: all of it or nothing, for readers and across a crash.
///
/// in    s      a store
///       b      a batch; it stays as it is and may be written again
///       flags  HOTCOLD_WRITE_SYNC, or 0
/// out   error  NULL, or where a failure is described
/// cost  at most one write to the kernel; with HOTCOLD_WRITE_SYNC a shared fdatasync, too
/// safe  from any thread, at the same time as any other call; one thread at a time for the same b
/// durable  as hotcold_store(); with HOTCOLD_WRITE_SYNC power loss
/// after anything but HOTCOLD_OK nothing of it was done
///
/// HOTCOLD_OK                written
/// HOTCOLD_CONFLICT          a HOTCOLD_STORE_IF_VERSION in it was not met
/// HOTCOLD_INVALID_ARGUMENT  s or b is NULL, or an unknown flag
/// HOTCOLD_MISUSE            not open
/// HOTCOLD_TOO_LARGE         larger than a store in memory alone, or than cold_capacity allows
/// HOTCOLD_IO                the kernel refused
/// HOTCOLD_CORRUPT           a version to compare with cannot be read
/// HOTCOLD_NO_SPACE          the disk is full; retrieving goes on
/// HOTCOLD_READ_ONLY         opened with read_only, or turned so after a failed sync
/// HOTCOLD_OUT_OF_MEMORY     no memory for a buffer
/// HOTCOLD_INTERNAL          a defect of this library
///
/// since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hotcold_write(
    s: *mut hotcold_t,
    b: *const hotcold_batch_t,
    flags: u32,
    error: *mut hotcold_error_t,
) -> hotcold_status_t {
    // SAFETY: the header's contract.
    unsafe {
        on_store(s, error, |store| {
            check_flags(flags, SYNC)?;
            let is_written = store.write(&shared(b, "b")?.batch, flags & SYNC != 0)?;
            let conflict = hotcold_status::HOTCOLD_CONFLICT;
            Ok(Outcome::of(if is_written { hotcold_status::HOTCOLD_OK } else { conflict }))
        })
    }
}
