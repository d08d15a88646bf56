//! The types of `hotcold.h` that go through the boundary, as C lays them out. Their meaning stands
//! there; `tests/layout.rs` compares the two.

use std::ffi::{c_char, c_void};

/// `hotcold_error_t`.
#[repr(C)]
pub struct hotcold_error_t {
    /// The failure.
    pub status: i32,
    /// errno, or 0.
    pub os_code: i32,
    /// One sentence with a NUL at its end.
    pub message: [c_char; 504],
}

/// `hotcold_record_t`: the core's, not looked into.
#[repr(C)]
pub struct hotcold_record_t {
    _opaque: [u8; 0],
}

/// `hotcold_page_t`: the core's, not looked into.
#[repr(C)]
pub struct hotcold_page_t {
    _opaque: [u8; 0],
}

/// `hotcold_watch_t`: the core's, not looked into.
#[repr(C)]
pub struct hotcold_watch_t {
    _opaque: [u8; 0],
}

/// `hotcold_change_t`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct hotcold_change_t {
    /// The key.
    pub key: *const c_void,
    /// Of the key.
    pub key_len: usize,
    /// The record; NULL: remove.
    pub data: *const c_void,
    /// Of the record.
    pub len: usize,
    /// Of the record.
    pub version: u64,
    /// Milliseconds since the epoch; 0: never.
    pub expires_at: u64,
    /// The condition, or NULL.
    pub if_version: *const u64,
}

/// `get`.
pub type Get =
    unsafe extern "C" fn(*mut c_void, *const c_void, usize, u64, u64, *mut hotcold_record_t) -> i32;
/// `put`.
pub type Put = unsafe extern "C" fn(
    *mut c_void,
    *const c_void,
    usize,
    *const c_void,
    usize,
    u64,
    u64,
    *const u64,
    u64,
) -> i32;
/// `remove`.
pub type Remove = unsafe extern "C" fn(*mut c_void, *const c_void, usize, *const u64, u64) -> i32;
/// `list`.
pub type List = unsafe extern "C" fn(
    *mut c_void,
    *const c_void,
    usize,
    *const c_void,
    usize,
    *mut hotcold_page_t,
    u64,
) -> i32;
/// `clear`, `sync`, `compact`.
pub type All = unsafe extern "C" fn(*mut c_void, u64) -> i32;
/// `versions`.
pub type Versions = unsafe extern "C" fn(*mut c_void, u64, *mut u64, u64) -> i32;
/// `write`.
pub type Write = unsafe extern "C" fn(*mut c_void, *const hotcold_change_t, usize, u64) -> i32;
/// `watch`.
pub type Watch = unsafe extern "C" fn(*mut c_void, *mut hotcold_watch_t) -> i32;
/// `part`.
pub type Part = unsafe extern "C" fn(*mut c_void, *const c_void, usize) -> u32;
/// `hotcold_drop_fn`.
pub type Drop = unsafe extern "C" fn(*mut c_void);

/// `hotcold_backend_t`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct hotcold_backend_t {
    /// Bits.
    pub capabilities: u64,
    /// Finds a record.
    pub get: Option<Get>,
    /// Stores one.
    pub put: Option<Put>,
    /// Removes one.
    pub remove: Option<Remove>,
    /// A page of keys.
    pub list: Option<List>,
    /// Empties all.
    pub clear: Option<All>,
    /// Versions that nobody gets again.
    pub versions: Option<Versions>,
    /// All changes or none.
    pub write: Option<Write>,
    /// Begins to tell of changes.
    pub watch: Option<Watch>,
    /// Durable.
    pub sync: Option<All>,
    /// The part of a key.
    pub part: Option<Part>,
    /// Gives back room.
    pub compact: Option<All>,
}

/// `hotcold_host_t`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct hotcold_host_t {
    /// Hands over a record.
    pub record_set: Option<
        unsafe extern "C" fn(
            *mut hotcold_record_t,
            *const c_void,
            usize,
            *mut hotcold_error_t,
        ) -> i32,
    >,
    /// Says that the known version is still there.
    pub record_same:
        Option<unsafe extern "C" fn(*mut hotcold_record_t, *mut hotcold_error_t) -> i32>,
    /// Adds a key.
    pub page_add: Option<PageFn>,
    /// Says where the next page begins.
    pub page_next: Option<PageFn>,
    /// A key has changed.
    pub watch_key: Option<unsafe extern "C" fn(*mut hotcold_watch_t, *const c_void, usize, u64)>,
    /// Anything may have changed.
    pub watch_all: Option<unsafe extern "C" fn(*mut hotcold_watch_t, u32)>,
    /// A link works.
    pub watch_alive: Option<unsafe extern "C" fn(*mut hotcold_watch_t, u32, u64)>,
    /// Parts hang on a link.
    pub watch_parts: Option<unsafe extern "C" fn(*mut hotcold_watch_t, u32, u32, u32)>,
    /// Why a call fails.
    pub backend_fail: Option<unsafe extern "C" fn(i32, *const c_char) -> i32>,
    /// Counts.
    pub backend_count: Option<unsafe extern "C" fn(u32, u64)>,
}

/// `hotcold_page_add`, `hotcold_page_next`.
pub type PageFn =
    unsafe extern "C" fn(*mut hotcold_page_t, *const c_void, usize, *mut hotcold_error_t) -> i32;
