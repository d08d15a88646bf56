//! Many keys in one call.

use crate::error::{Error, Result};
use crate::ffi::boundary::done;
use crate::ffi::lifecycle::{hotcold_t, on_store};
use crate::ffi::memory::{array, empty_array, fits, key as key_of, required};
use crate::ffi::status::{hotcold_error_t, hotcold_status, hotcold_status_t};
use crate::ffi::value::{hotcold_value_release, hotcold_value_t};
use crate::store::{Answer, Store, Value};
use std::ffi::c_void;

/// Bytes and their length: a key.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct hotcold_slice_t {
    /// The bytes; NULL is fine if there are none.
    pub data: *const c_void,
    /// How many.
    pub len: usize,
}

const _: () = assert!(size_of::<hotcold_slice_t>() == 16);

/// Finds the values of many keys, each as hotcold_retrieve() does. They are not a snapshot.
///
/// in    s             a store
///       keys          n keys; borrowed for this call
///       n             how many; 0 is fine
/// out   values_out    n values: empty unless the status of the same index is HOTCOLD_OK
///       statuses_out  n statuses, each its key's own, with the meanings of hotcold_retrieve(); after
///                     a failure of the call all are what it returned
///       error         NULL, or where the first failure is described, also one of a single key
/// owns  each value is the caller's, to be released with hotcold_value_release()
/// cost  at most one disk read for each key that is not hot
/// safe  from any thread, at the same time as any other call
///
/// HOTCOLD_OK                the keys were asked for; statuses_out tells how it went
/// HOTCOLD_INVALID_ARGUMENT  s is NULL, or another pointer is NULL and n is not 0
/// HOTCOLD_MISUSE            not open
/// HOTCOLD_OUT_OF_MEMORY     no memory for the call
/// HOTCOLD_INTERNAL          a defect of this library
///
/// since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hotcold_retrieve_many(
    s: *mut hotcold_t,
    keys: *const hotcold_slice_t,
    n: usize,
    values_out: *mut hotcold_value_t,
    statuses_out: *mut i32,
    error: *mut hotcold_error_t,
) -> hotcold_status_t {
    // SAFETY: the header's contract: each array is NULL or has `n` elements.
    unsafe {
        empty_array(values_out, n);
        let status = on_store(s, error, |store| {
            let keys = array(keys, n, "keys")?;
            if n > 0 {
                required(values_out, "values_out")?;
                required(statuses_out, "statuses_out")?;
            }
            let mut first_failure = None;
            for (at, key) in keys.iter().enumerate() {
                let (status, value, failure) = told(retrieve(store, key));
                statuses_out.add(at).write(status.code());
                values_out.add(at).write(value);
                first_failure = first_failure.or(failure);
            }
            done().map(|outcome| outcome.despite(first_failure))
        });
        if status < 0 && fits::<hotcold_value_t>(n) {
            give_nothing(values_out, statuses_out, n, status);
        }
        status
    }
}

unsafe fn retrieve(store: &Store, key: &hotcold_slice_t) -> Result<Answer<Option<Value>>> {
    // SAFETY: the header's contract.
    store.retrieve(unsafe { key_of(key.data, key.len) }?)
}

fn told(result: Result<Answer<Option<Value>>>) -> (hotcold_status, hotcold_value_t, Option<Error>) {
    match result {
        Ok(Answer { value: Some(value), survived }) => {
            (hotcold_status::HOTCOLD_OK, value.into(), survived)
        }
        Ok(Answer { value: None, survived }) => {
            (hotcold_status::HOTCOLD_NOT_FOUND, hotcold_value_t::EMPTY, survived)
        }
        Err(failure) => (failure.kind().into(), hotcold_value_t::EMPTY, Some(failure)),
    }
}

/// After a failure in the middle: what was handed out already is taken back.
unsafe fn give_nothing(
    values: *mut hotcold_value_t,
    statuses: *mut i32,
    n: usize,
    status: hotcold_status_t,
) {
    for at in 0..n {
        // SAFETY: the caller's arrays; the values were emptied before any was written.
        unsafe {
            if !values.is_null() {
                hotcold_value_release(values.add(at));
            }
            if !statuses.is_null() {
                statuses.add(at).write(status);
            }
        }
    }
}
