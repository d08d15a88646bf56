//! `hotcold_retrieve_or_load`: a miss that the caller's own function fills, once for all who ask.

use crate::ffi::boundary::{boundary, done};
use crate::ffi::fence::outside;
use crate::ffi::lifecycle::{hotcold_t, on_store_seldom};
use crate::ffi::memory::{empty, invalid, key as key_of, object, required, value as value_of};
use crate::ffi::status::{hotcold_error_t, hotcold_status_t};
use crate::ffi::value::{hand_out, hotcold_value_t};
use crate::store::{CallbackScope, Loaded};
use std::ffi::c_void;
use std::ptr::from_mut;

/// Where a load puts what it has loaded; valid while the load runs.
pub struct hotcold_loaded_t {
    _never_made: (),
}

/// Makes the value of a key that the store does not have, and hands it over with
/// hotcold_loaded_set(). It may call anything on the same store but hotcold_close(), and must not
/// throw or longjmp.
///
/// Returns 0, also when there is no value; any other number is a failure of its own.
pub type hotcold_load_fn = Option<
    unsafe extern "C" fn(
        user_data: *mut c_void,
        key: *const c_void,
        key_len: usize,
        out: *mut hotcold_loaded_t,
    ) -> i32,
>;

/// Hands over what a load has loaded, in place of what it handed over before.
///
/// in    out    as the load was given it
///       data   len bytes, any bytes; copied
///       len    0 to 4 GiB - 1
///       ttl    milliseconds until expiry; 0: never
/// out   error  NULL, or where a failure is described
/// safe  inside the load only, on its thread
///
/// HOTCOLD_OK                handed over
/// HOTCOLD_INVALID_ARGUMENT  out is NULL, or data is NULL and len is not 0
/// HOTCOLD_TOO_LARGE         the value is beyond the limits
/// HOTCOLD_OUT_OF_MEMORY     no memory for the copy
/// HOTCOLD_INTERNAL          a defect of this library
///
/// since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hotcold_loaded_set(
    out: *mut hotcold_loaded_t,
    data: *const c_void,
    len: usize,
    ttl: u64,
    error: *mut hotcold_error_t,
) -> hotcold_status_t {
    // SAFETY: the header's contract; `out` is the `Loaded` that hotcold_retrieve_or_load lent.
    unsafe {
        boundary(error, || {
            let loaded = object(out.cast::<Loaded>(), "out")?;
            loaded.set(value_of(data, len)?, ttl)?;
            done()
        })
    }
}

/// Finds the value of a key as hotcold_retrieve() does; on a miss has it loaded and stores it.
///
/// However many threads ask for a key at once, one load runs, and all are given what it hands over.
/// Inside a load this never waits for another thread: it runs its own load. A store, delete or
/// clear during a load wins: the result then goes only to those who asked before it, and is not
/// stored.
///
/// in    s          a store
///       key        key_len bytes, any bytes; borrowed for this call
///       key_len    0 to HOTCOLD_KEY_LEN_MAX
///       load       called on this thread, if at all
///       user_data  passed to load
/// out   out        on HOTCOLD_OK the value; otherwise empty
///       error      NULL, or where a failure is described; under policy=lenient also what was
///                  survived
/// owns  the value is the caller's, to be released with hotcold_value_release()
/// cost  as hotcold_retrieve(); on a miss the load, this thread's or another's, and a store
/// safe  from any thread, at the same time as any other call
/// durable  what was loaded as hotcold_store()
///
/// HOTCOLD_OK                found or loaded
/// HOTCOLD_NOT_FOUND         load returned 0 without hotcold_loaded_set()
/// HOTCOLD_CALLBACK_FAILED   load returned another number, which is in error->os_code; nothing is
///                           stored
/// HOTCOLD_INVALID_ARGUMENT  s, load or out is NULL, or key is NULL and its length is not 0
/// HOTCOLD_MISUSE            not open; or inside a load of this same key on this thread
/// HOTCOLD_TOO_LARGE         the key is longer than HOTCOLD_KEY_LEN_MAX, or the loaded value larger
///                           than a store in memory alone
/// HOTCOLD_CORRUPT           the record fails its checksum; other keys stay readable
/// HOTCOLD_IO                the kernel refused; error says where
/// HOTCOLD_NO_SPACE          the disk is full; what was loaded is not stored
/// HOTCOLD_READ_ONLY         opened with read_only, or turned so; what was loaded is not stored
/// HOTCOLD_OUT_OF_MEMORY     no memory for the value
/// HOTCOLD_INTERNAL          a defect of this library
///
/// since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hotcold_retrieve_or_load(
    s: *mut hotcold_t,
    key: *const c_void,
    key_len: usize,
    load: hotcold_load_fn,
    user_data: *mut c_void,
    out: *mut hotcold_value_t,
    error: *mut hotcold_error_t,
) -> hotcold_status_t {
    // SAFETY: the header's contract.
    unsafe {
        empty(out);
        on_store_seldom(s, error, |store| {
            required(out, "out")?;
            let load = load.ok_or_else(|| invalid("load: NULL"))?;
            let mut call = |loaded: &mut Loaded| {
                let _scope = CallbackScope::enter();
                outside(|| load(user_data, key, key_len, from_mut(loaded).cast()))
            };
            hand_out(out, store.retrieve_or_load(key_of(key, key_len)?, &mut call)?)
        })
    }
}
