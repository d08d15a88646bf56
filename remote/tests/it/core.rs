//! A core of the tests' own: the host table, and a backend behind its C functions.

use hotcold_remote::ffi::abi::{
    Drop as DropFn, hotcold_backend_t, hotcold_change_t, hotcold_error_t, hotcold_host_t,
    hotcold_page_t, hotcold_record_t, hotcold_watch_t,
};
use hotcold_remote::ffi::export::hotcold_remote_backend;
use std::cell::{Cell, RefCell};
use std::ffi::{CStr, CString, c_char, c_void};
use std::mem::{MaybeUninit, zeroed};
use std::ptr::{from_ref, null, null_mut};
use std::slice::from_raw_parts;
use std::sync::{Arc, Mutex};
use std::time::Instant;

pub const OK: i32 = 0;
pub const NOT_FOUND: i32 = 1;
pub const CONFLICT: i32 = 2;
pub const END: i32 = 3;
pub const INVALID_ARGUMENT: i32 = -1;
pub const TOO_LARGE: i32 = -7;
pub const UNSUPPORTED: i32 = -10;
pub const TIMEOUT: i32 = -14;
pub const UNAVAILABLE: i32 = -15;

thread_local! {
    static SAID: RefCell<String> = const { RefCell::new(String::new()) };
    static RETRIES: Cell<u64> = const { Cell::new(0) };
}

/// What a get hands over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Got {
    #[default]
    None,
    Same,
    Record(Vec<u8>),
}

#[derive(Default)]
struct Page {
    keys: Vec<Vec<u8>>,
    next: Option<Vec<u8>>,
}

/// What a backend tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    Key(Vec<u8>, u64),
    All(u32),
    Alive(u32, u64),
    Parts(u32, u32, u32),
}

/// Key, data (none: remove), version, condition.
pub type Change<'a> = (&'a [u8], Option<&'a [u8]>, u64, Option<u64>);

pub type Heard = Arc<Mutex<Vec<(Instant, Told)>>>;

unsafe fn slice<'a>(data: *const c_void, len: usize) -> &'a [u8] {
    if len == 0 { &[] } else { unsafe { from_raw_parts(data.cast(), len) } }
}

unsafe extern "C" fn record_set(
    out: *mut hotcold_record_t,
    data: *const c_void,
    len: usize,
    _: *mut hotcold_error_t,
) -> i32 {
    unsafe { *out.cast::<Got>() = Got::Record(slice(data, len).to_vec()) };
    OK
}

unsafe extern "C" fn record_same(out: *mut hotcold_record_t, _: *mut hotcold_error_t) -> i32 {
    unsafe { *out.cast::<Got>() = Got::Same };
    OK
}

unsafe extern "C" fn page_add(
    out: *mut hotcold_page_t,
    key: *const c_void,
    len: usize,
    _: *mut hotcold_error_t,
) -> i32 {
    unsafe { (*out.cast::<Page>()).keys.push(slice(key, len).to_vec()) };
    OK
}

unsafe extern "C" fn page_next(
    out: *mut hotcold_page_t,
    position: *const c_void,
    len: usize,
    _: *mut hotcold_error_t,
) -> i32 {
    unsafe { (*out.cast::<Page>()).next = Some(slice(position, len).to_vec()) };
    OK
}

unsafe fn hear(sink: *mut hotcold_watch_t, told: Told) {
    let heard = unsafe { &*sink.cast::<Mutex<Vec<(Instant, Told)>>>() };
    heard.lock().unwrap().push((Instant::now(), told));
}

unsafe extern "C" fn watch_key(
    sink: *mut hotcold_watch_t,
    key: *const c_void,
    len: usize,
    version: u64,
) {
    unsafe { hear(sink, Told::Key(slice(key, len).to_vec(), version)) };
}

unsafe extern "C" fn watch_all(sink: *mut hotcold_watch_t, link: u32) {
    unsafe { hear(sink, Told::All(link)) };
}

unsafe extern "C" fn watch_alive(sink: *mut hotcold_watch_t, link: u32, age_ms: u64) {
    unsafe { hear(sink, Told::Alive(link, age_ms)) };
}

unsafe extern "C" fn watch_parts(sink: *mut hotcold_watch_t, first: u32, last: u32, link: u32) {
    unsafe { hear(sink, Told::Parts(first, last, link)) };
}

unsafe extern "C" fn backend_fail(status: i32, message: *const c_char) -> i32 {
    let words = unsafe { CStr::from_ptr(message) }.to_str().unwrap().to_owned();
    SAID.set(words);
    status
}

unsafe extern "C" fn backend_count(counter: u32, n: u64) {
    assert_eq!(counter, 1);
    RETRIES.set(RETRIES.get() + n);
}

pub fn host() -> hotcold_host_t {
    hotcold_host_t {
        record_set: Some(record_set),
        record_same: Some(record_same),
        page_add: Some(page_add),
        page_next: Some(page_next),
        watch_key: Some(watch_key),
        watch_all: Some(watch_all),
        watch_alive: Some(watch_alive),
        watch_parts: Some(watch_parts),
        backend_fail: Some(backend_fail),
        backend_count: Some(backend_count),
    }
}

/// What was said on this thread since it was last asked.
pub fn said() -> String {
    SAID.take()
}

/// A backend, as a core has it.
pub struct Core {
    pub table: hotcold_backend_t,
    user_data: *mut c_void,
    release: DropFn,
    pub timeout_ms: u64,
    heard: Heard,
}

// The contract of the table: any thread, several at once.
unsafe impl Send for Core {}
unsafe impl Sync for Core {}

impl Core {
    /// Opens; a status and a sentence if that fails.
    pub fn open(url: &str, options: &[(&str, &str)]) -> Result<Self, (i32, String)> {
        let url = CString::new(url).unwrap();
        let words = options.iter().flat_map(|(name, value)| [*name, *value]);
        let words: Vec<CString> = words.map(|word| CString::new(word).unwrap()).collect();
        let mut pointers: Vec<*const c_char> = words.iter().map(|word| word.as_ptr()).collect();
        pointers.push(null());
        let host = host();
        let mut error = MaybeUninit::<hotcold_error_t>::uninit();
        let mut user_data = null_mut();
        let mut release = None;
        unsafe {
            let mut table: hotcold_backend_t = zeroed();
            let status = hotcold_remote_backend(
                url.as_ptr(),
                pointers.as_ptr(),
                &raw const host,
                size_of::<hotcold_host_t>(),
                &raw mut table,
                size_of::<hotcold_backend_t>(),
                &raw mut user_data,
                &raw mut release,
                error.as_mut_ptr(),
            );
            let error = error.as_ptr();
            assert_eq!(status, (*error).status);
            let words = CStr::from_ptr((&raw const (*error).message).cast()).to_str().unwrap();
            if status != OK {
                assert!(user_data.is_null() && release.is_none() && table.get.is_none());
                return Err((status, words.to_owned()));
            }
            assert_eq!(words, "");
            let (release, heard) = (release.unwrap(), Heard::default());
            Ok(Self { table, user_data, release, timeout_ms: 5000, heard })
        }
    }

    pub fn can(&self, capability: u64) -> bool {
        self.table.capabilities & capability != 0
    }

    pub fn get_known(&self, key: &[u8], known: u64) -> (i32, Got) {
        let mut got = Got::None;
        let status = unsafe {
            self.table.get.unwrap()(
                self.user_data,
                key.as_ptr().cast(),
                key.len(),
                known,
                self.timeout_ms,
                (&raw mut got).cast(),
            )
        };
        (status, got)
    }

    /// The record of a key, which must be there.
    pub fn get(&self, key: &[u8]) -> Vec<u8> {
        match self.get_known(key, 0) {
            (OK, Got::Record(record)) => record,
            other => panic!("{other:?}: {}", said()),
        }
    }

    pub fn put(&self, key: &[u8], data: &[u8], version: u64, condition: Option<u64>) -> i32 {
        self.put_until(key, data, version, 0, condition)
    }

    pub fn put_until(
        &self,
        key: &[u8],
        data: &[u8],
        version: u64,
        expires_at: u64,
        condition: Option<u64>,
    ) -> i32 {
        unsafe {
            self.table.put.unwrap()(
                self.user_data,
                key.as_ptr().cast(),
                key.len(),
                data.as_ptr().cast(),
                data.len(),
                version,
                expires_at,
                condition.as_ref().map_or(null(), from_ref),
                self.timeout_ms,
            )
        }
    }

    pub fn remove(&self, key: &[u8], condition: Option<u64>) -> i32 {
        unsafe {
            self.table.remove.unwrap()(
                self.user_data,
                key.as_ptr().cast(),
                key.len(),
                condition.as_ref().map_or(null(), from_ref),
                self.timeout_ms,
            )
        }
    }

    /// All pages: the keys in the order in which they came.
    pub fn list(&self, prefix: &[u8]) -> Vec<Vec<u8>> {
        let (mut keys, mut after) = (Vec::new(), Vec::<u8>::new());
        loop {
            let mut page = Page::default();
            let status = unsafe {
                self.table.list.unwrap()(
                    self.user_data,
                    prefix.as_ptr().cast(),
                    prefix.len(),
                    after.as_ptr().cast(),
                    after.len(),
                    (&raw mut page).cast(),
                    self.timeout_ms,
                )
            };
            let last = page.keys.last().cloned();
            keys.extend(page.keys);
            match status {
                END => return keys,
                OK => after = page.next.or(last).expect("a position"),
                other => panic!("list: {other}: {}", said()),
            }
        }
    }

    pub fn clear(&self) -> i32 {
        unsafe { self.table.clear.unwrap()(self.user_data, self.timeout_ms) }
    }

    pub fn compact(&self) -> i32 {
        unsafe { self.table.compact.unwrap()(self.user_data, self.timeout_ms) }
    }

    pub fn sync(&self) -> i32 {
        unsafe { self.table.sync.unwrap()(self.user_data, self.timeout_ms) }
    }

    pub fn versions(&self, count: u64) -> Result<u64, i32> {
        let mut first = 0;
        let status = unsafe {
            self.table.versions.unwrap()(self.user_data, count, &raw mut first, self.timeout_ms)
        };
        if status == OK { Ok(first) } else { Err(status) }
    }

    /// One version, which must be had.
    pub fn version(&self) -> u64 {
        self.versions(1).unwrap_or_else(|status| panic!("versions: {status}: {}", said()))
    }

    pub fn write(&self, changes: &[Change<'_>]) -> i32 {
        let raw: Vec<hotcold_change_t> = changes
            .iter()
            .map(|(key, data, version, condition)| hotcold_change_t {
                key: key.as_ptr().cast(),
                key_len: key.len(),
                data: data.map_or(null(), |data| data.as_ptr().cast()),
                len: data.map_or(0, <[u8]>::len),
                version: *version,
                expires_at: 0,
                if_version: condition.as_ref().map_or(null(), from_ref),
            })
            .collect();
        unsafe {
            self.table.write.unwrap()(self.user_data, raw.as_ptr(), raw.len(), self.timeout_ms)
        }
    }

    pub fn watch(&self) -> i32 {
        let sink = Arc::as_ptr(&self.heard).cast_mut().cast();
        unsafe { self.table.watch.unwrap()(self.user_data, sink) }
    }

    pub fn part(&self, key: &[u8]) -> u32 {
        unsafe { self.table.part.unwrap()(self.user_data, key.as_ptr().cast(), key.len()) }
    }

    /// What was told so far, which is forgotten by it.
    pub fn heard(&self) -> Vec<(Instant, Told)> {
        std::mem::take(&mut *self.heard.lock().unwrap())
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        unsafe { (self.release)(self.user_data) };
    }
}
