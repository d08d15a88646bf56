//! The core's side: what is handed over to it, and what it is told.

use crate::engine::Watcher;
use crate::fault::{Fault, Kind, Result};
use crate::ffi::abi::{hotcold_host_t, hotcold_page_t, hotcold_record_t, hotcold_watch_t};
use std::ffi::CString;
use std::ptr::null_mut;

/// The core's number for a request that was sent again.
const RETRIES: u32 = 1;

/// The core's table, all of it there.
#[derive(Clone, Copy)]
pub struct Host {
    table: hotcold_host_t,
}

impl Host {
    /// Takes the table that a core of any version has given.
    ///
    /// # Errors
    /// `InvalidArgument` if it is NULL, too small or has gaps.
    ///
    /// # Safety
    /// `host` is NULL or has `host_size` readable bytes.
    pub unsafe fn new(host: *const hotcold_host_t, host_size: usize) -> Result<Self> {
        let invalid = |words: &str| Err(Fault::new(Kind::InvalidArgument, words));
        if host.is_null() {
            return invalid("host: NULL");
        }
        if host_size < size_of::<hotcold_host_t>() {
            return invalid("host: this hotcold is older than this hotcold-remote");
        }
        // SAFETY: not NULL, and as large as the type; any bits are a table of pointers that may be
        // NULL, or functions, as the caller promises.
        let table = unsafe { host.read() };
        let is_whole = table.record_set.is_some()
            && table.record_same.is_some()
            && table.page_add.is_some()
            && table.page_next.is_some()
            && table.watch_key.is_some()
            && table.watch_all.is_some()
            && table.watch_alive.is_some()
            && table.watch_parts.is_some()
            && table.backend_fail.is_some()
            && table.backend_count.is_some();
        if is_whole { Ok(Self { table }) } else { invalid("host: a function is NULL") }
    }

    /// Hands over a record.
    ///
    /// # Errors
    /// `OutOfMemory`, `InvalidArgument` as the core says.
    ///
    /// # Safety
    /// `out` is what the get was given.
    pub unsafe fn record_set(&self, out: *mut hotcold_record_t, data: &[u8]) -> Result<()> {
        let Some(set) = self.table.record_set else { return gap() };
        // SAFETY: the caller's promise; the core copies.
        taken(unsafe { set(out, data.as_ptr().cast(), data.len(), null_mut()) })
    }

    /// Says that the known version is still there.
    ///
    /// # Errors
    /// As the core says.
    ///
    /// # Safety
    /// `out` is what the get was given.
    pub unsafe fn record_same(&self, out: *mut hotcold_record_t) -> Result<()> {
        let Some(same) = self.table.record_same else { return gap() };
        // SAFETY: the caller's promise.
        taken(unsafe { same(out, null_mut()) })
    }

    /// Adds a key to a page.
    ///
    /// # Errors
    /// As the core says.
    ///
    /// # Safety
    /// `out` is what the list was given.
    pub unsafe fn page_add(&self, out: *mut hotcold_page_t, key: &[u8]) -> Result<()> {
        let Some(add) = self.table.page_add else { return gap() };
        // SAFETY: the caller's promise; the core copies.
        taken(unsafe { add(out, key.as_ptr().cast(), key.len(), null_mut()) })
    }

    /// Says where the next page begins.
    ///
    /// # Errors
    /// As the core says.
    ///
    /// # Safety
    /// `out` is what the list was given.
    pub unsafe fn page_next(&self, out: *mut hotcold_page_t, position: &[u8]) -> Result<()> {
        let Some(next) = self.table.page_next else { return gap() };
        // SAFETY: the caller's promise; the core copies.
        taken(unsafe { next(out, position.as_ptr().cast(), position.len(), null_mut()) })
    }

    /// Says why the call in progress on this thread fails, and gives its status.
    pub fn fail(&self, fault: &Fault) -> i32 {
        let text = fault.words().replace('\0', " ");
        if let (Some(fail), Ok(text)) = (self.table.backend_fail, CString::new(text)) {
            // SAFETY: a C string that lives as long as the call; the core copies.
            unsafe { fail(fault.status(), text.as_ptr()) };
        }
        fault.status()
    }

    /// Counts tries of the call in progress on this thread.
    pub fn count_retries(&self, retries: u32) {
        if let (Some(count), 1..) = (self.table.backend_count, retries) {
            // SAFETY: numbers alone.
            unsafe { count(RETRIES, u64::from(retries)) };
        }
    }
}

fn gap() -> Result<()> {
    Err(Fault::new(Kind::Internal, "a function of the core is missing"))
}

fn taken(status: i32) -> Result<()> {
    match status {
        0 => Ok(()),
        -11 => Err(Fault::new(Kind::OutOfMemory, "there is no memory for what was found")),
        -7 => Err(Fault::new(Kind::TooLarge, "what was found is too large for the core")),
        _ => Err(Fault::new(Kind::Internal, format!("the core does not take it: {status}"))),
    }
}

/// The core's watcher.
pub struct Sink {
    host: Host,
    sink: *mut hotcold_watch_t,
}

// SAFETY: the contract lets any thread use a sink, several at once.
unsafe impl Send for Sink {}
// SAFETY: as above.
unsafe impl Sync for Sink {}

impl Sink {
    /// What the core calls `sink`.
    ///
    /// # Safety
    /// `sink` stays valid until the backend's drop has returned.
    pub unsafe fn new(host: Host, sink: *mut hotcold_watch_t) -> Self {
        Self { host, sink }
    }
}

impl Watcher for Sink {
    fn key(&self, key: &[u8], version: u64) {
        if let Some(tell) = self.host.table.watch_key {
            // SAFETY: the sink is valid, and the key has that many bytes.
            unsafe { tell(self.sink, key.as_ptr().cast(), key.len(), version) };
        }
    }

    fn all(&self, link: u32) {
        if let Some(tell) = self.host.table.watch_all {
            // SAFETY: the sink is valid.
            unsafe { tell(self.sink, link) };
        }
    }

    fn alive(&self, link: u32, age_ms: u64) {
        if let Some(tell) = self.host.table.watch_alive {
            // SAFETY: the sink is valid.
            unsafe { tell(self.sink, link, age_ms) };
        }
    }

    fn parts(&self, first: u32, last: u32, link: u32) {
        if let Some(tell) = self.host.table.watch_parts {
            // SAFETY: the sink is valid.
            unsafe { tell(self.sink, first, last, link) };
        }
    }
}
