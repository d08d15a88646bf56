//! What the boundary adds to the store, through the C functions and on stores in memory alone:
//! outputs on every return, sizes and flags, destructors, handles after close.

use super::batch::{hotcold_batch_free, hotcold_batch_new, hotcold_batch_store, hotcold_write};
use super::cursor::{hotcold_cursor_close, hotcold_cursor_next, hotcold_cursor_open};
use super::entries::{hotcold_retrieve, hotcold_store};
use super::events::{hotcold_event_t, hotcold_subscribe, hotcold_unsubscribe};
use super::fence::fence;
use super::lifecycle::{hotcold_close, hotcold_open, hotcold_t, token_of, with_store};
use super::load::{hotcold_loaded_set, hotcold_loaded_t, hotcold_retrieve_or_load};
use super::many::{hotcold_retrieve_many, hotcold_slice_t};
use super::queue::{hotcold_event_queue_close, hotcold_event_queue_next, hotcold_event_queue_open};
use super::stats::{hotcold_stats, hotcold_stats_t};
use super::status::{hotcold_error_t, hotcold_status};
use super::value::{hotcold_value_release, hotcold_value_t};
use super::variants::{hotcold_retrieve_into, hotcold_store_options_t, hotcold_store_with};
use crate::error::ErrorKind;
use std::ffi::c_void;
use std::mem::{MaybeUninit, zeroed};
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicU32, Ordering};

const OK: i32 = hotcold_status::HOTCOLD_OK.code();
const NOT_FOUND: i32 = hotcold_status::HOTCOLD_NOT_FOUND.code();
const CONFLICT: i32 = hotcold_status::HOTCOLD_CONFLICT.code();
const END: i32 = hotcold_status::HOTCOLD_END.code();
const INVALID: i32 = hotcold_status::HOTCOLD_INVALID_ARGUMENT.code();
const MISUSE: i32 = hotcold_status::HOTCOLD_MISUSE.code();
const TOO_SMALL: i32 = hotcold_status::HOTCOLD_BUFFER_TOO_SMALL.code();
const CALLBACK_FAILED: i32 = hotcold_status::HOTCOLD_CALLBACK_FAILED.code();

/// A store in memory alone; closed when dropped, if it is still open.
struct Opened(*mut hotcold_t);

impl Opened {
    fn new() -> Self {
        let mut s = null_mut();
        // SAFETY: `s` can be written; NULL is allowed for the rest.
        assert_eq!(unsafe { hotcold_open(null(), null(), &raw mut s, null_mut()) }, OK);
        Self(s)
    }

    fn store(&self, key: &str, value: &str) -> i32 {
        let (k, v) = (key.as_ptr().cast(), value.as_ptr().cast());
        // SAFETY: the lengths are those of the texts.
        unsafe { hotcold_store(self.0, k, key.len(), v, value.len(), null_mut()) }
    }

    fn close(&self) -> i32 {
        // SAFETY: a handle may be anything.
        unsafe { hotcold_close(self.0, null_mut()) }
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.close();
    }
}

fn slice(text: &str) -> hotcold_slice_t {
    hotcold_slice_t { data: text.as_ptr().cast(), len: text.len() }
}

#[test]
fn a_panic_is_internal_and_its_store_alone_refuses_writes_then() {
    let (hit, other) = (Opened::new(), Opened::new());
    let result = fence(|| with_store(token_of(hit.0).unwrap(), |_| panic!("a defect")));
    assert_eq!(result.map(|_| ()).unwrap_err().kind(), ErrorKind::Internal);
    assert!(hit.store("k", "v") < 0);
    assert_eq!(other.store("k", "v"), OK);
}

#[test]
fn a_handle_is_misuse_after_close_and_null_is_fine_to_close() {
    let s = Opened::new();
    assert_eq!(s.close(), OK);
    assert_eq!(s.close(), MISUSE);
    assert_eq!(s.store("k", "v"), MISUSE);
    assert_eq!(Opened(null_mut()).close(), OK);
    assert_eq!(Opened(null_mut()).store("k", "v"), INVALID);
}

#[test]
fn outputs_are_written_on_every_return() {
    let s = Opened::new();
    let mut value = MaybeUninit::<hotcold_value_t>::uninit();
    let mut error = MaybeUninit::<hotcold_error_t>::uninit();
    for (handle, expected) in [(s.0, NOT_FOUND), (null_mut(), INVALID)] {
        // SAFETY: all bytes are set, to what no call leaves there.
        unsafe {
            value.as_mut_ptr().write_bytes(0xEE, 1);
            error.as_mut_ptr().write_bytes(0xEE, 1);
            let (out, err) = (value.as_mut_ptr(), error.as_mut_ptr());
            assert_eq!(hotcold_retrieve(handle, null(), 0, out, err), expected);
            assert!((*out).data.is_null() && (*out).owner.is_null() && (*out).len == 0);
            assert_eq!((*err).status, expected.min(0));
            assert_eq!((*err).os_code, 0);
            assert_eq!((*err).message[0] == 0, expected >= 0);
        }
    }
}

#[test]
fn a_value_outlives_its_store_and_an_empty_one_is_not_null() {
    let s = Opened::new();
    assert_eq!((s.store("k", "value"), s.store("empty", "")), (OK, OK));
    let mut values: [hotcold_value_t; 2] = [hotcold_value_t::EMPTY; 2];
    // SAFETY: keys and values are arrays of two.
    unsafe {
        let keys = [slice("k"), slice("empty")];
        let mut statuses = [9; 2];
        let (v, st) = (values.as_mut_ptr(), statuses.as_mut_ptr());
        assert_eq!(hotcold_retrieve_many(s.0, keys.as_ptr(), 2, v, st, null_mut()), OK);
        assert_eq!(statuses, [OK, OK]);
        assert_eq!(s.close(), OK);
        assert_eq!(std::slice::from_raw_parts(values[0].data, values[0].len), b"value");
        assert!(!values[1].data.is_null() && values[1].len == 0);
        values.iter_mut().for_each(|value| hotcold_value_release(value));
    }
}

#[test]
fn of_many_keys_each_has_its_own_status_and_error_the_first_failure() {
    let s = Opened::new();
    assert_eq!(s.store("k", "v"), OK);
    let keys = [slice("absent"), hotcold_slice_t { data: null(), len: 3 }, slice("k")];
    let mut values = [hotcold_value_t::EMPTY; 3];
    let mut statuses = [9; 3];
    // SAFETY: all arrays have three elements; zero bytes are an error struct.
    unsafe {
        let mut error: hotcold_error_t = zeroed();
        let (v, st) = (values.as_mut_ptr(), statuses.as_mut_ptr());
        assert_eq!(hotcold_retrieve_many(s.0, keys.as_ptr(), 3, v, st, &raw mut error), OK);
        assert_eq!((statuses, error.status), ([NOT_FOUND, INVALID, OK], INVALID));
        assert!(values[0].data.is_null() && values[1].data.is_null());
        hotcold_value_release(&raw mut values[2]);
        assert_eq!(s.close(), OK);
        assert_eq!(hotcold_retrieve_many(s.0, keys.as_ptr(), 3, v, st, null_mut()), MISUSE);
        assert_eq!(statuses, [MISUSE; 3]);
        assert_eq!(
            hotcold_retrieve_many(s.0, keys.as_ptr(), usize::MAX, v, st, null_mut()),
            MISUSE
        );
    }
}

#[test]
fn a_buffer_that_is_too_small_is_untouched_and_told_the_length() {
    let s = Opened::new();
    assert_eq!(s.store("k", "value"), OK);
    let (mut buffer, mut len) = (*b"before", 0);
    let mut into = |capacity| {
        let (to, key) = (buffer.as_mut_ptr().cast(), slice("k"));
        // SAFETY: no capacity below is larger than the buffer.
        let status = unsafe {
            let len_out = &raw mut len;
            hotcold_retrieve_into(s.0, key.data, key.len, to, capacity, len_out, null_mut())
        };
        (status, len, buffer)
    };
    assert_eq!(into(4), (TOO_SMALL, 5, *b"before"));
    assert_eq!(into(5), (OK, 5, *b"valuee"));
}

#[test]
fn store_options_are_checked_and_a_conflict_tells_the_version() {
    let s = Opened::new();
    assert_eq!(s.store("k", "v"), OK);
    let with = |flags, if_version, reserved, size| {
        let o = hotcold_store_options_t { ttl: 0, if_version, flags, reserved };
        let (key, mut version) = (slice("k"), 99);
        // SAFETY: no size below is larger than the struct.
        let status = unsafe {
            let (out, o) = (&raw mut version, &raw const o);
            hotcold_store_with(s.0, key.data, key.len, null(), 0, o, size, out, null_mut())
        };
        (status, version)
    };
    assert_eq!(with(8, 0, 0, 24), (INVALID, 0));
    assert_eq!(with(0, 0, 1, 24), (INVALID, 0));
    assert_eq!(with(0, 0, 0, 23), (INVALID, 0));
    let (status, version) = with(1, 0, 0, 24);
    assert_eq!(status, CONFLICT);
    let (status, newer) = with(1, version, 0, 24);
    assert_eq!(status, OK);
    assert_ne!(newer, version);
}

#[test]
fn a_batch_is_written_on_condition_and_may_be_written_again() {
    let s = Opened::new();
    let key = slice("k");
    let o = hotcold_store_options_t { ttl: 0, if_version: 0, flags: 1, reserved: 0 };
    let nobody = null_mut();
    // SAFETY: the batch is ours and freed once.
    unsafe {
        let b = hotcold_batch_new();
        let (data, o) = (key.data, &raw const o);
        assert_eq!(hotcold_batch_store(b, data, key.len, data, key.len, o, 24, nobody), OK);
        assert_eq!(hotcold_write(s.0, b, 2, nobody), INVALID);
        assert_eq!(hotcold_write(s.0, b, 0, nobody), OK);
        assert_eq!(hotcold_write(s.0, b, 0, nobody), CONFLICT);
        hotcold_batch_free(b);
    }
}

#[test]
fn stats_fill_what_the_caller_has_and_no_more() {
    let s = Opened::new();
    let known = size_of::<hotcold_stats_t>();
    let mut bytes = [0xEE_u64; 100];
    let mut fill = |size| {
        // SAFETY: no size below is larger than the array.
        let status = unsafe { hotcold_stats(s.0, bytes.as_mut_ptr().cast(), size, null_mut()) };
        (status, bytes)
    };
    assert_eq!(fill(0).0, INVALID);
    let (status, filled) = fill(8);
    assert_eq!((status, filled[1]), (OK, 0xEE));
    let (status, filled) = fill(known + 16);
    assert_eq!((status, &filled[known / 8..][..3]), (OK, &[0, 0, 0xEE][..]));
}

static DROPS: AtomicU32 = AtomicU32::new(0);

unsafe extern "C" fn count_drop(_user_data: *mut c_void) {
    DROPS.fetch_add(1, Ordering::SeqCst);
}

unsafe extern "C" fn close_from_within(user_data: *mut c_void, event: *const hotcold_event_t) {
    // SAFETY: the event is valid during the call; a handle may be anything.
    unsafe {
        assert_eq!((*event).size as usize, size_of::<hotcold_event_t>());
        assert_eq!(hotcold_close(user_data.cast(), null_mut()), MISUSE);
    }
}

#[test]
fn the_destructor_runs_once_however_a_subscription_ends() {
    let s = Opened::new();
    let subscribe = |s: *mut hotcold_t, call| {
        let mut id = 99;
        let (data, out) = (s.cast(), &raw mut id);
        // SAFETY: the functions keep to the header.
        let status =
            unsafe { hotcold_subscribe(s, 1, call, data, Some(count_drop), out, null_mut()) };
        (status, id, DROPS.swap(0, Ordering::SeqCst))
    };
    assert_eq!(subscribe(s.0, None), (INVALID, 0, 1));
    assert_eq!(subscribe(null_mut(), Some(close_from_within)), (INVALID, 0, 1));
    let (status, id, drops) = subscribe(s.0, Some(close_from_within));
    assert_eq!((status, drops), (OK, 0));
    assert_eq!(s.store("k", "v"), OK);
    // SAFETY: any number may be given.
    unsafe {
        assert_eq!(hotcold_unsubscribe(s.0, id, null_mut()), OK);
        assert_eq!(DROPS.swap(0, Ordering::SeqCst), 1);
        assert_eq!(hotcold_unsubscribe(s.0, id, null_mut()), NOT_FOUND);
    }
    assert_eq!(subscribe(s.0, Some(close_from_within)).0, OK);
    assert_eq!(s.close(), OK);
    assert_eq!(DROPS.swap(0, Ordering::SeqCst), 1);
    assert_eq!(subscribe(s.0, Some(close_from_within)), (MISUSE, 0, 1));
}

unsafe extern "C" fn load(
    user_data: *mut c_void,
    key: *const c_void,
    len: usize,
    out: *mut hotcold_loaded_t,
) -> i32 {
    // SAFETY: `user_data` is a number of the test below.
    let answer = unsafe { *user_data.cast::<i32>() };
    if answer == 1 {
        // SAFETY: `out` and the key are valid during the call; the value is the key.
        assert_eq!(unsafe { hotcold_loaded_set(out, key, len, 0, null_mut()) }, OK);
        return 0;
    }
    answer
}

#[test]
fn a_load_gives_a_value_or_none_or_a_number_of_its_own() {
    let s = Opened::new();
    let key = slice("k");
    let mut value = hotcold_value_t::EMPTY;
    for (mut answer, status, os_code) in [(7, CALLBACK_FAILED, 7), (0, NOT_FOUND, 0), (1, OK, 0)] {
        let (data, out) = ((&raw mut answer).cast(), &raw mut value);
        // SAFETY: zero bytes are an error struct; the rest keeps to the header.
        unsafe {
            let mut error: hotcold_error_t = zeroed();
            let (k, len, err) = (key.data, key.len, &raw mut error);
            assert_eq!(hotcold_retrieve_or_load(s.0, k, len, Some(load), data, out, err), status);
            assert_eq!(error.os_code, os_code);
        }
    }
    assert_eq!(value.len, 1);
    // SAFETY: the value is ours.
    unsafe { hotcold_value_release(&raw mut value) };
}

#[test]
fn cursors_and_queues_may_be_used_after_close() {
    let s = Opened::new();
    // SAFETY: the objects are ours and closed once.
    unsafe {
        let (mut c, mut q) = (null_mut(), null_mut());
        assert_eq!(hotcold_cursor_open(s.0, null(), 0, &raw mut c, null_mut()), OK);
        assert_eq!(hotcold_event_queue_open(s.0, 1, 8, &raw mut q, null_mut()), OK);
        assert_eq!((s.store("k", "v"), s.close()), (OK, OK));
        let (mut key, mut event) = (slice("left over"), null());
        assert_eq!(hotcold_cursor_next(c, &raw mut key, null_mut()), MISUSE);
        assert!(key.data.is_null() && key.len == 0);
        assert_eq!(hotcold_event_queue_next(q, 60_000, &raw mut event, null_mut()), OK);
        assert_eq!(((*event).kind, (*event).key_len, (*event).value_len), (1, 1, 1));
        assert_eq!(hotcold_event_queue_next(q, 60_000, &raw mut event, null_mut()), END);
        assert!(event.is_null());
        hotcold_cursor_close(c);
        hotcold_event_queue_close(q);
    }
}
