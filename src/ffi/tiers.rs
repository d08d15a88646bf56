//! Moving entries between the tiers on demand.

use crate::error::{Error, ErrorKind, Result};
use crate::ffi::boundary::{Outcome, done};
use crate::ffi::lifecycle::{hotcold_t, on_store_seldom};
use crate::ffi::many::hotcold_slice_t;
use crate::ffi::memory::{array, empty, key as key_of, put};
use crate::ffi::status::{hotcold_error_t, hotcold_status_t};
use crate::memory::grow;
use std::ffi::c_void;

/// Loads keys from cold into hot; absent ones are skipped.
///
/// in    s           a store
///       keys        n keys; borrowed for this call
///       n           how many; 0 is fine
/// out   loaded_out  NULL, or how many of them are hot afterwards; 0 after a failure
///       error       NULL, or where a failure is described; under policy=lenient also what was
///                   survived
/// cost  at most one disk read for each key that is not hot
/// safe  from any thread, at the same time as any other call
/// after a failure some of the keys may have been loaded
///
/// HOTCOLD_OK                done
/// HOTCOLD_INVALID_ARGUMENT  s is NULL; keys is NULL and n is not 0; a key is NULL and its length not
/// HOTCOLD_MISUSE            not open
/// HOTCOLD_TOO_LARGE         a key is longer than HOTCOLD_KEY_LEN_MAX
/// HOTCOLD_CORRUPT           a record fails its checksum
/// HOTCOLD_IO                a read failed; error says where
/// HOTCOLD_OUT_OF_MEMORY     no memory for a value
/// HOTCOLD_INTERNAL          a defect of this library
///
/// since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hotcold_warm_up(
    s: *mut hotcold_t,
    keys: *const hotcold_slice_t,
    n: usize,
    loaded_out: *mut usize,
    error: *mut hotcold_error_t,
) -> hotcold_status_t {
    // SAFETY: the header's contract.
    unsafe {
        empty(loaded_out);
        on_store_seldom(s, error, |store| {
            let slices = array(keys, n, "keys")?;
            let mut keys = Vec::new();
            grow(&mut keys, n, "the keys")?;
            for slice in slices {
                keys.push(key_of(slice.data, slice.len)?);
            }
            let answer = store.warm_up(&keys)?;
            put(loaded_out, count(answer.value)?);
            done().map(|outcome| outcome.despite(answer.survived))
        })
    }
}

/// Demotes the least valuable entries until hot holds at most so many bytes.
///
/// Nothing is lost: demoted entries stay in cold. In a store in memory alone they are gone.
///
/// in    s             a store
///       target_bytes  0: everything is demoted, and hot is empty then
/// out   demoted_out   NULL, or how many entries were demoted; 0 after a failure
///       error         NULL, or where a failure is described
/// cost  grows with the entries that leave; under write_mode=back the unwritten ones are written
/// safe  from any thread, at the same time as any other call
/// after a failure some entries may have been demoted
///
/// HOTCOLD_OK                done
/// HOTCOLD_INVALID_ARGUMENT  s is NULL
/// HOTCOLD_MISUSE            not open
/// HOTCOLD_IO                writing back failed
/// HOTCOLD_NO_SPACE          writing back failed because the disk is full
/// HOTCOLD_READ_ONLY         writing back is refused after a failed sync
/// HOTCOLD_OUT_OF_MEMORY     no memory for the call
/// HOTCOLD_INTERNAL          a defect of this library
///
/// since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hotcold_optimize_hot(
    s: *mut hotcold_t,
    target_bytes: u64,
    demoted_out: *mut usize,
    error: *mut hotcold_error_t,
) -> hotcold_status_t {
    // SAFETY: the header's contract.
    unsafe {
        empty(demoted_out);
        on_store_seldom(s, error, |store| {
            let answer = store.optimize_hot(target_bytes)?;
            put(demoted_out, count(answer.value)?);
            done().map(|outcome| outcome.despite(answer.survived))
        })
    }
}

/// Takes a key out of hot and deletes nothing, for those who learn by other ways that it was changed
/// at a shared cold tier.
///
/// What is unwritten stays, and in a store in memory alone everything does.
///
/// in    s        a store
///       key      key_len bytes, any bytes; borrowed for this call
///       key_len  0 to HOTCOLD_KEY_LEN_MAX
/// out   error    NULL, or where a failure is described
/// cost  no request and no disk read
/// safe  from any thread, at the same time as any other call
/// after the next retrieve asks cold
///
/// HOTCOLD_OK                it was in hot
/// HOTCOLD_NOT_FOUND         it was not
/// HOTCOLD_INVALID_ARGUMENT  s is NULL, or key is NULL and its length is not 0
/// HOTCOLD_MISUSE            not open
/// HOTCOLD_TOO_LARGE         the key is longer than HOTCOLD_KEY_LEN_MAX
/// HOTCOLD_OUT_OF_MEMORY     no memory for the call
/// HOTCOLD_INTERNAL          a defect of this library
///
/// since 0.2.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hotcold_forget(
    s: *mut hotcold_t,
    key: *const c_void,
    key_len: usize,
    error: *mut hotcold_error_t,
) -> hotcold_status_t {
    // SAFETY: the header's contract.
    unsafe {
        on_store_seldom(s, error, |store| Ok(Outcome::found(store.forget(key_of(key, key_len)?)?)))
    }
}

fn count(n: u64) -> Result<usize> {
    usize::try_from(n).map_err(|_| Error::new(ErrorKind::Internal, "a count does not fit size_t"))
}
