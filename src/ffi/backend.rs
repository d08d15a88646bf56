//! A cold tier of the caller's own: a table of C functions, and the calls by which they hand over
//! their results.
//!
//! A record is handed over by copying, so that nobody has to say who frees it. The same calls are
//! offered as a table, `hotcold_host_t`, to libraries that cannot link this one, because a process
//! may hold several copies of it.
//!
//! # Links and parts
//! The hot tier may trust an entry only while the link that tells of changes is alive. An engine of
//! several nodes has a link to each. Every key belongs to one *part* for ever, and every part hangs
//! on one *link* at a time; an engine of one node has part 0 on link 0 and never says so.

use crate::ffi::handover::{hotcold_page_t, hotcold_record_t};
use crate::ffi::status::hotcold_error_t;
use crate::ffi::watching::hotcold_watch_t;
use std::ffi::{c_char, c_void};

/// What a cold tier can do, as bits of hotcold_backend_t.capabilities.
#[repr(C)]
#[expect(dead_code, reason = "bits for those who make a table")]
pub enum hotcold_backend_capability {
    /// put and remove compare versions.
    HOTCOLD_BACKEND_CAS = 1,
    /// The engine itself forgets what has expired.
    HOTCOLD_BACKEND_TTL = 2,
    /// list gives keys in the order of their bytes.
    HOTCOLD_BACKEND_LIST_ORDERED = 4,
    /// watch tells of others' changes.
    HOTCOLD_BACKEND_WATCH = 8,
    /// clear empties all at once.
    HOTCOLD_BACKEND_CLEAR = 16,
    /// write changes several keys, all or nothing.
    HOTCOLD_BACKEND_BATCH = 32,
    /// What is acknowledged survives a loss of power.
    HOTCOLD_BACKEND_DURABLE = 64,
    /// list may give a key more than once; whoever asked drops the repeats.
    HOTCOLD_BACKEND_LIST_REPEATS = 128,
}

/// One change of a batch.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct hotcold_change_t {
    /// key_len bytes.
    pub key: *const c_void,
    /// 0 to HOTCOLD_KEY_LEN_MAX.
    pub key_len: usize,
    /// len bytes: the record; NULL: the key is removed.
    pub data: *const c_void,
    /// Of the record.
    pub len: usize,
    /// Of the record; no other record of any key has it.
    pub version: u64,
    /// Milliseconds since the epoch; 0: never.
    pub expires_at: u64,
    /// NULL: whatever is there; else the version that the key must have, 0: it must be absent.
    pub if_version: *const u64,
}

/// Finds the record of a key: hands it over with hotcold_record_set(), or says with
/// hotcold_record_same() that the engine still has known_version (0: nothing is known).
///
/// Returns HOTCOLD_OK after one of the two, HOTCOLD_NOT_FOUND, or a failure.
pub type hotcold_backend_get_fn = Option<
    unsafe extern "C" fn(
        user_data: *mut c_void,
        key: *const c_void,
        key_len: usize,
        known_version: u64,
        timeout_ms: u64,
        out: *mut hotcold_record_t,
    ) -> i32,
>;

/// Stores a record. data is opaque; version and expires_at (milliseconds since the epoch; 0: never)
/// stand in it, too, and are given for engines that compare and expire by themselves. if_version
/// NULL: whatever is there; 0: only if the key is absent.
///
/// Returns HOTCOLD_OK, HOTCOLD_CONFLICT, or a failure: HOTCOLD_TIMEOUT if it may have been done,
/// HOTCOLD_UNAVAILABLE if it certainly was not. Without if_version it must not be sent twice after
/// an unknown outcome: a late copy could overwrite a newer record.
pub type hotcold_backend_put_fn = Option<
    unsafe extern "C" fn(
        user_data: *mut c_void,
        key: *const c_void,
        key_len: usize,
        data: *const c_void,
        len: usize,
        version: u64,
        expires_at: u64,
        if_version: *const u64,
        timeout_ms: u64,
    ) -> i32,
>;

/// Removes a key. if_version as in put.
///
/// Returns HOTCOLD_OK, HOTCOLD_NOT_FOUND, HOTCOLD_CONFLICT, or a failure as put does.
pub type hotcold_backend_remove_fn = Option<
    unsafe extern "C" fn(
        user_data: *mut c_void,
        key: *const c_void,
        key_len: usize,
        if_version: *const u64,
        timeout_ms: u64,
    ) -> i32,
>;

/// Gives a page of the keys that begin with prefix, by hotcold_page_add(). after is empty for the
/// first page, else what hotcold_page_next() got on the page before, or without it that page's last
/// key. A key that is there all the time comes once in all pages, or more than once with
/// HOTCOLD_BACKEND_LIST_REPEATS.
///
/// Returns HOTCOLD_OK, HOTCOLD_END if this page is the last, or a failure.
pub type hotcold_backend_list_fn = Option<
    unsafe extern "C" fn(
        user_data: *mut c_void,
        prefix: *const c_void,
        prefix_len: usize,
        after: *const c_void,
        after_len: usize,
        out: *mut hotcold_page_t,
        timeout_ms: u64,
    ) -> i32,
>;

/// Does something to all of the engine's part of the store: clear empties it, sync makes what was
/// acknowledged survive a loss of power, compact gives back room that nothing needs.
///
/// Clear may leave it to the core to wait until every machine has learnt of it: the core answers
/// its caller when one coherence has passed since.
///
/// Returns HOTCOLD_OK or a failure.
pub type hotcold_backend_all_fn =
    Option<unsafe extern "C" fn(user_data: *mut c_void, timeout_ms: u64) -> i32>;

/// Gives count versions in a row, from *first_out on, that nobody gets again. None is below the
/// time, which is counted in microseconds since the epoch.
///
/// Returns HOTCOLD_OK or a failure.
pub type hotcold_backend_versions_fn = Option<
    unsafe extern "C" fn(
        user_data: *mut c_void,
        count: u64,
        first_out: *mut u64,
        timeout_ms: u64,
    ) -> i32,
>;

/// Makes n changes, all or nothing.
///
/// Returns HOTCOLD_OK, HOTCOLD_CONFLICT if a condition is not met, HOTCOLD_UNSUPPORTED if the engine
/// cannot change these keys at once, or a failure as put does.
pub type hotcold_backend_write_fn = Option<
    unsafe extern "C" fn(
        user_data: *mut c_void,
        changes: *const hotcold_change_t,
        n: usize,
        timeout_ms: u64,
    ) -> i32,
>;

/// Begins to tell of changes by hotcold_watch_key() and its like, on threads of its own; returns at
/// once, also while the engine cannot be reached. It is called at most once. sink is valid until
/// drop has returned.
///
/// Returns HOTCOLD_OK or a failure.
pub type hotcold_backend_watch_fn =
    Option<unsafe extern "C" fn(user_data: *mut c_void, sink: *mut hotcold_watch_t) -> i32>;

/// Tells the part that a key belongs to, 0 to 16383, always the same for the same key. It asks
/// nobody and takes no lock.
pub type hotcold_backend_part_fn =
    Option<unsafe extern "C" fn(user_data: *mut c_void, key: *const c_void, key_len: usize) -> u32>;

/// A cold tier: a table of functions, passed with its size; it grows at the end only. Set all of it
/// to 0 and then what there is.
///
/// Functions get the user_data first. They may run on several threads at once, must not throw or
/// longjmp, end within about timeout_ms, and return a hotcold_status_t; in front of a failure
/// hotcold_backend_fail() says it in words. A function that is NULL is not there: calls that need it
/// answer HOTCOLD_UNSUPPORTED.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct hotcold_backend_t {
    /// Bits of enum hotcold_backend_capability.
    pub capabilities: u64,
    /// Required.
    pub get: hotcold_backend_get_fn,
    /// Required.
    pub put: hotcold_backend_put_fn,
    /// Required.
    pub remove: hotcold_backend_remove_fn,
    /// Required.
    pub list: hotcold_backend_list_fn,
    /// With HOTCOLD_BACKEND_CLEAR; without it all keys are listed and removed.
    pub clear: hotcold_backend_all_fn,
    /// Required: without it two machines could give the same version.
    pub versions: hotcold_backend_versions_fn,
    /// With HOTCOLD_BACKEND_BATCH.
    pub write: hotcold_backend_write_fn,
    /// With HOTCOLD_BACKEND_WATCH.
    pub watch: hotcold_backend_watch_fn,
    /// With HOTCOLD_BACKEND_DURABLE.
    pub sync: hotcold_backend_all_fn,
    /// NULL: every key belongs to part 0.
    pub part: hotcold_backend_part_fn,
    /// NULL: there is nothing to give back.
    pub compact: hotcold_backend_all_fn,
}

impl hotcold_backend_t {
    /// No capability and no function.
    pub(super) const EMPTY: Self = Self {
        capabilities: 0,
        get: None,
        put: None,
        remove: None,
        list: None,
        clear: None,
        versions: None,
        write: None,
        watch: None,
        sync: None,
        part: None,
        compact: None,
    };
}

const _: () = assert!(size_of::<hotcold_backend_t>() == 96);
const _: () = assert!(size_of::<hotcold_change_t>() == 56);

/// As hotcold_record_set().
pub type hotcold_record_set_fn = Option<
    unsafe extern "C" fn(
        out: *mut hotcold_record_t,
        data: *const c_void,
        len: usize,
        error: *mut hotcold_error_t,
    ) -> i32,
>;

/// As hotcold_record_same().
pub type hotcold_record_same_fn =
    Option<unsafe extern "C" fn(out: *mut hotcold_record_t, error: *mut hotcold_error_t) -> i32>;

/// As hotcold_page_add(), hotcold_page_next().
pub type hotcold_page_fn = Option<
    unsafe extern "C" fn(
        out: *mut hotcold_page_t,
        bytes: *const c_void,
        len: usize,
        error: *mut hotcold_error_t,
    ) -> i32,
>;

/// As hotcold_watch_key().
pub type hotcold_watch_key_fn = Option<
    unsafe extern "C" fn(
        sink: *mut hotcold_watch_t,
        key: *const c_void,
        key_len: usize,
        version: u64,
    ),
>;

/// As hotcold_watch_all().
pub type hotcold_watch_all_fn = Option<unsafe extern "C" fn(sink: *mut hotcold_watch_t, link: u32)>;

/// As hotcold_watch_alive().
pub type hotcold_watch_alive_fn =
    Option<unsafe extern "C" fn(sink: *mut hotcold_watch_t, link: u32, age_ms: u64)>;

/// As hotcold_watch_parts().
pub type hotcold_watch_parts_fn =
    Option<unsafe extern "C" fn(sink: *mut hotcold_watch_t, first: u32, last: u32, link: u32)>;

/// As hotcold_backend_fail().
pub type hotcold_backend_fail_fn =
    Option<unsafe extern "C" fn(status: i32, message: *const c_char) -> i32>;

/// As hotcold_backend_count().
pub type hotcold_backend_count_fn = Option<unsafe extern "C" fn(counter: u32, n: u64)>;

/// The calls above as a table, for a library that makes a backend and does not link this one. It is
/// passed with its size; it grows at the end only. None is NULL.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct hotcold_host_t {
    /// hotcold_record_set.
    pub record_set: hotcold_record_set_fn,
    /// hotcold_record_same.
    pub record_same: hotcold_record_same_fn,
    /// hotcold_page_add.
    pub page_add: hotcold_page_fn,
    /// hotcold_page_next.
    pub page_next: hotcold_page_fn,
    /// hotcold_watch_key.
    pub watch_key: hotcold_watch_key_fn,
    /// hotcold_watch_all.
    pub watch_all: hotcold_watch_all_fn,
    /// hotcold_watch_alive.
    pub watch_alive: hotcold_watch_alive_fn,
    /// hotcold_watch_parts.
    pub watch_parts: hotcold_watch_parts_fn,
    /// hotcold_backend_fail.
    pub backend_fail: hotcold_backend_fail_fn,
    /// hotcold_backend_count.
    pub backend_count: hotcold_backend_count_fn,
}

const _: () = assert!(size_of::<hotcold_host_t>() == 80);
