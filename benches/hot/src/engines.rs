//! Who is measured, behind one trait: hotcold through its C ABI, and its peers.

use quick_cache::sync::Cache;
use std::cell::Cell;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::hash::{BuildHasherDefault, Hasher};
use std::path::Path;
use std::ptr::null_mut;
use std::sync::{Arc, Mutex, OnceLock};

/// Keys have 16 bytes.
pub type Key = [u8; 16];

/// Something that has values by keys. A get of a key that is not there ends the program.
pub trait Engine: Sync {
    fn put(&self, key: &Key, value: &[u8]);
    /// Reads the value, at least a byte of each of its cache lines. `buffer` is for those who copy.
    fn get(&self, key: &Key, buffer: &mut [u8]);
}

/// The key of number `n`.
pub fn key(n: u64) -> Key {
    let half = (n + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes();
    let mut key = [0; 16];
    key[..8].copy_from_slice(&half);
    key[8..].copy_from_slice(&half);
    key
}

/// Reads a byte of each cache line.
fn touch(bytes: &[u8]) {
    let sum = bytes.iter().step_by(64).fold(0, |sum, byte| sum ^ byte);
    std::hint::black_box(sum);
}

// ---- hotcold ---------------------------------------------------------------------------------

#[repr(C)]
struct Error {
    status: i32,
    os_code: i32,
    message: [c_char; 504],
}

#[repr(C)]
struct Value {
    data: *const u8,
    len: usize,
    version: u64,
    expires_at: u64,
    tier: i32,
    flags: u32,
    owner: *mut c_void,
    reserved: [u64; 2],
}

const TIER_HOT: i32 = 1;
/// What is found in cold does not enter hot.
pub const NO_PROMOTE: u32 = 1;

#[link(name = "hotcold", kind = "dylib")]
unsafe extern "C" {
    fn hotcold_options_new() -> *mut c_void;
    fn hotcold_options_set(
        o: *mut c_void,
        n: *const c_char,
        v: *const c_char,
        e: *mut Error,
    ) -> i32;
    fn hotcold_options_free(o: *mut c_void);
    fn hotcold_open(
        dir: *const c_char,
        o: *mut c_void,
        out: *mut *mut c_void,
        e: *mut Error,
    ) -> i32;
    fn hotcold_close(s: *mut c_void, e: *mut Error) -> i32;
    fn hotcold_store(
        s: *mut c_void,
        key: *const u8,
        key_len: usize,
        value: *const u8,
        len: usize,
        e: *mut Error,
    ) -> i32;
    fn hotcold_retrieve(
        s: *mut c_void,
        key: *const u8,
        key_len: usize,
        out: *mut Value,
        e: *mut Error,
    ) -> i32;
    fn hotcold_retrieve_with(
        s: *mut c_void,
        key: *const u8,
        key_len: usize,
        flags: u32,
        out: *mut Value,
        e: *mut Error,
    ) -> i32;
    fn hotcold_retrieve_into(
        s: *mut c_void,
        key: *const u8,
        key_len: usize,
        buffer: *mut u8,
        capacity: usize,
        len: *mut usize,
        e: *mut Error,
    ) -> i32;
    fn hotcold_value_release(v: *mut Value);
}

fn must(status: i32, error: &Error) {
    if status != 0 {
        // SAFETY: the library ends the message with a NUL.
        let message = unsafe { CStr::from_ptr(error.message.as_ptr()) };
        panic!("hotcold: {status}: {}", message.to_string_lossy());
    }
}

impl Error {
    fn new() -> Self {
        Self { status: 0, os_code: 0, message: [0; 504] }
    }
}

/// The eviction policy of all stores, if not the library's own choice.
pub static EVICTION: OnceLock<String> = OnceLock::new();

/// A store; closed when dropped.
pub struct Store(*mut c_void);

// SAFETY: every function of the header that is called here may be called from any thread.
unsafe impl Send for Store {}
// SAFETY: as above.
unsafe impl Sync for Store {}

impl Store {
    pub fn open(dir: Option<&Path>, options: &[(&str, &str)]) -> Self {
        let text = |text: &str| CString::new(text).expect("no NUL");
        let (mut error, mut store) = (Error::new(), null_mut());
        let dir = dir.map(|dir| text(&dir.to_string_lossy()));
        // SAFETY: all pointers live until the calls return.
        unsafe {
            let set = hotcold_options_new();
            let eviction = EVICTION.get().map(|name| ("eviction", name.as_str()));
            for (name, value) in options.iter().copied().chain(eviction) {
                let (name, value) = (text(name), text(value));
                let status =
                    hotcold_options_set(set, name.as_ptr(), value.as_ptr(), &raw mut error);
                must(status, &error);
            }
            let dir = dir.as_ref().map_or(std::ptr::null(), |dir| dir.as_ptr());
            must(hotcold_open(dir, set, &raw mut store, &raw mut error), &error);
            hotcold_options_free(set);
        }
        Self(store)
    }

    /// Whether the value was in hot.
    pub fn is_hot(&self, key: &Key, flags: u32) -> bool {
        let mut error = Error::new();
        let mut value = std::mem::MaybeUninit::<Value>::uninit();
        let value = value.as_mut_ptr();
        // SAFETY: the pointers are to places of ours; the value is written where the status is 0.
        unsafe {
            let status = match flags {
                0 => hotcold_retrieve(self.0, key.as_ptr(), 16, value, &raw mut error),
                flags => {
                    hotcold_retrieve_with(self.0, key.as_ptr(), 16, flags, value, &raw mut error)
                }
            };
            must(status, &error);
            touch(std::slice::from_raw_parts((*value).data, (*value).len));
            let is_hot = (*value).tier == TIER_HOT;
            hotcold_value_release(value);
            is_hot
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let mut error = Error::new();
        // SAFETY: nobody uses the store after this.
        must(unsafe { hotcold_close(self.0, &raw mut error) }, &error);
    }
}

thread_local! {
    static ERROR: Cell<*mut Error> = const { Cell::new(null_mut()) };
}

/// This thread's own, as a C program would have it: clearing 500 bytes a call would be the benchmark's
/// cost.
fn own_error() -> *mut Error {
    if ERROR.get().is_null() {
        ERROR.set(Box::into_raw(Box::new(Error::new())));
    }
    ERROR.get()
}

impl Engine for Store {
    fn put(&self, key: &Key, value: &[u8]) {
        let error = own_error();
        // SAFETY: as in `is_hot`; the error is this thread's.
        unsafe {
            let status =
                hotcold_store(self.0, key.as_ptr(), 16, value.as_ptr(), value.len(), error);
            must(status, &*error);
        }
    }

    fn get(&self, key: &Key, _: &mut [u8]) {
        let error = own_error();
        let mut value = std::mem::MaybeUninit::<Value>::uninit();
        let value = value.as_mut_ptr();
        // SAFETY: as in `is_hot`.
        unsafe {
            must(hotcold_retrieve(self.0, key.as_ptr(), 16, value, error), &*error);
            touch(std::slice::from_raw_parts((*value).data, (*value).len));
            hotcold_value_release(value);
        }
    }
}

/// A store whose values are copied out.
pub struct Copying<'a>(pub &'a Store);

impl Engine for Copying<'_> {
    fn put(&self, key: &Key, value: &[u8]) {
        self.0.put(key, value);
    }

    fn get(&self, key: &Key, buffer: &mut [u8]) {
        let (error, mut len) = (own_error(), 0);
        // SAFETY: as in `is_hot`; the buffer is as long as is said.
        let status = unsafe {
            hotcold_retrieve_into(
                self.0.0,
                key.as_ptr(),
                16,
                buffer.as_mut_ptr(),
                buffer.len(),
                &raw mut len,
                error,
            )
        };
        // SAFETY: as above.
        must(status, unsafe { &*error });
        assert_eq!(len, buffer.len());
    }
}

// ---- the bare table --------------------------------------------------------------------------

/// The first eight bytes of a key are as good as a hash.
#[derive(Default)]
struct FirstBytes(u64);

impl Hasher for FirstBytes {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk() {
            self.0 = u64::from_le_bytes(*first);
        }
    }

    fn write_usize(&mut self, _: usize) {}
}

/// An open hash table under one lock, which copies out.
#[derive(Default)]
pub struct Bare(Mutex<hashbrown::HashMap<Key, Box<[u8]>, BuildHasherDefault<FirstBytes>>>);

impl Engine for Bare {
    fn put(&self, key: &Key, value: &[u8]) {
        self.0.lock().expect("no panic").insert(*key, value.into());
    }

    fn get(&self, key: &Key, buffer: &mut [u8]) {
        let map = self.0.lock().expect("no panic");
        buffer.copy_from_slice(map.get(key).expect("the key is there"));
    }
}

// ---- quick_cache -----------------------------------------------------------------------------

/// By reference, with its own hash.
pub struct Quick(Cache<Key, Arc<[u8]>>);

impl Quick {
    pub fn new(entries: usize) -> Self {
        // Its shards are not equally full: with less room it would evict.
        Self(Cache::new(entries * 2))
    }
}

impl Engine for Quick {
    fn put(&self, key: &Key, value: &[u8]) {
        self.0.insert(*key, value.into());
    }

    fn get(&self, key: &Key, _: &mut [u8]) {
        touch(&self.0.get(key).expect("the key is there"));
    }
}

// ---- Kyoto Cabinet ---------------------------------------------------------------------------

#[link(name = "kyotocabinet")]
unsafe extern "C" {
    fn kcdbnew() -> *mut c_void;
    fn kcdbopen(db: *mut c_void, path: *const c_char, mode: u32) -> i32;
    fn kcdbset(db: *mut c_void, k: *const u8, k_len: usize, v: *const u8, v_len: usize) -> i32;
    fn kcdbgetbuf(db: *mut c_void, k: *const u8, k_len: usize, v: *mut u8, most: usize) -> c_int;
}

/// Writer, creates, truncates.
const KYOTO_MODE: u32 = 2 | 4 | 8;

/// A HashDB in a file that is mapped as a whole.
pub struct Kyoto(*mut c_void);

// SAFETY: its functions may be called from any thread.
unsafe impl Sync for Kyoto {}

impl Kyoto {
    pub fn open(dir: &Path, entries: usize) -> Self {
        let path = dir.join("kyoto.kch");
        let path = format!("{}#bnum={}#msiz=2147483648", path.display(), entries * 2);
        let path = CString::new(path).expect("no NUL");
        // SAFETY: the pointers live until the call returns.
        let db = unsafe {
            let db = kcdbnew();
            assert!(kcdbopen(db, path.as_ptr(), KYOTO_MODE) != 0, "Kyoto does not open");
            db
        };
        Self(db)
    }
}

impl Engine for Kyoto {
    fn put(&self, key: &Key, value: &[u8]) {
        // SAFETY: the lengths are those of the slices.
        let set = unsafe { kcdbset(self.0, key.as_ptr(), 16, value.as_ptr(), value.len()) };
        assert!(set != 0, "Kyoto does not store");
    }

    fn get(&self, key: &Key, buffer: &mut [u8]) {
        // SAFETY: the buffer is as long as is said.
        let len =
            unsafe { kcdbgetbuf(self.0, key.as_ptr(), 16, buffer.as_mut_ptr(), buffer.len()) };
        assert_eq!(usize::try_from(len), Ok(buffer.len()));
    }
}
