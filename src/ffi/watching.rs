//! How a backend tells the hot tier of changes at the engine, and that it is still able to.
//!
//! # Invariants
//! 1. What a link says is in order: when it says that it is alive, all changes that the engine made
//!    before the question was asked have been told.
//! 2. NULL is ignored: there is nobody to tell of it.

use crate::ffi::fence::fence;
use crate::ffi::memory::{key as key_of, shared};
use std::ffi::c_void;

/// Numbers of links.
#[repr(C)]
#[expect(dead_code, reason = "numbers for those who tell")]
pub enum hotcold_link {
    /// The link of an engine of one node.
    HOTCOLD_LINK_ONE = 0,
    /// No link: what hangs on it is asked for each time.
    HOTCOLD_LINK_NONE = 65534,
    /// Every link.
    HOTCOLD_LINK_ALL = 65535,
}

/// Whom a backend tells of changes; valid until the backend's drop has returned.
pub struct hotcold_watch_t {
    _never_made: (),
}

/// What hears of changes. Its functions run on the backend's threads, several at once.
pub trait Watcher: Send + Sync {
    /// `key` has changed, and the engine has `version` now; 0: it is not known, or gone.
    fn key(&self, key: &[u8], version: u64);
    /// Anything on `link` may have changed.
    fn all(&self, link: u32);
    /// All changes that `link` had to tell `age_ms` ago have been told.
    fn alive(&self, link: u32, age_ms: u64);
    /// The parts from `first` to `last` hang on `link` from now on.
    fn parts(&self, first: u32, last: u32, link: u32);
}

/// What `hotcold_watch_t` points to.
pub struct Watch {
    watcher: Box<dyn Watcher>,
}

impl Watch {
    /// What is handed to a backend for `watcher`.
    pub fn new(watcher: Box<dyn Watcher>) -> Self {
        Self { watcher }
    }

    /// Runs `tell` with the watcher behind `sink`, if there is one.
    ///
    /// # Safety
    /// `sink` is NULL or points to a `Watch` for the time of the call.
    unsafe fn tell(sink: *mut hotcold_watch_t, tell: impl FnOnce(&dyn Watcher)) {
        let told = fence(|| {
            // SAFETY: the caller's promise.
            if let Ok(watch) = unsafe { shared(sink.cast::<Self>().cast_const(), "sink") } {
                tell(&*watch.watcher);
            }
        });
        drop(told);
    }
}

/// Tells that a key has changed at the engine, or has gone there.
///
/// An own change may be told of, too: with its version, an entry that has it already stays.
///
/// in    sink     as watch was given it; NULL is ignored
///       key      key_len bytes; borrowed for this call
///       key_len  0 to HOTCOLD_KEY_LEN_MAX
///       version  what the engine has at this moment or had after the change; 0: it is not known, or
///                the key has gone
/// safe  from any thread, until the backend's drop has returned
/// after no retrieve is served the older record from hot
///
/// since 0.2.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hotcold_watch_key(
    sink: *mut hotcold_watch_t,
    key: *const c_void,
    key_len: usize,
    version: u64,
) {
    // SAFETY: the header's contract.
    unsafe {
        Watch::tell(sink, |watcher| match key_of(key, key_len) {
            Ok(key) => watcher.key(key, version),
            // Bytes that cannot be a key may have been meant for any key.
            Err(_) => watcher.all(hotcold_link::HOTCOLD_LINK_ALL as u32),
        });
    }
}

/// Tells that anything may have changed: the link was lost, or all was cleared.
///
/// in    sink  as watch was given it; NULL is ignored
///       link  what hangs on this link; HOTCOLD_LINK_ALL: everything
/// safe  from any thread, until the backend's drop has returned
/// after no retrieve is served from hot what entered it before; the link counts as silent
///
/// since 0.2.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hotcold_watch_all(sink: *mut hotcold_watch_t, link: u32) {
    // SAFETY: the header's contract.
    unsafe { Watch::tell(sink, |watcher| watcher.all(link)) };
}

/// Tells that a link works: everything that the engine changed more than age_ms ago has been told.
///
/// Hot serves what hangs on a link for one coherence from then on, and asks the engine afterwards.
///
/// in    sink    as watch was given it; NULL is ignored
///       link    below HOTCOLD_LINK_NONE
///       age_ms  how long ago the engine was asked for the answer that has come now, rounded up
/// safe  from any thread, until the backend's drop has returned
///
/// since 0.2.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hotcold_watch_alive(sink: *mut hotcold_watch_t, link: u32, age_ms: u64) {
    // SAFETY: the header's contract.
    unsafe { Watch::tell(sink, |watcher| watcher.alive(link, age_ms)) };
}

/// Tells which link will tell of the keys of some parts. At first all parts hang on link 0.
///
/// in    sink   as watch was given it; NULL is ignored
///       first  the first part
///       last   the last part, at most 16383
///       link   their link from now on; HOTCOLD_LINK_NONE: none
/// safe  from any thread, until the backend's drop has returned
/// after what was in hot of parts whose link is another one now is not served any more
///
/// since 0.2.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hotcold_watch_parts(
    sink: *mut hotcold_watch_t,
    first: u32,
    last: u32,
    link: u32,
) {
    // SAFETY: the header's contract.
    unsafe { Watch::tell(sink, |watcher| watcher.parts(first, last, link)) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ptr::{dangling, from_mut, null, null_mut};
    use std::sync::{Arc, Mutex};

    /// Writes down what it hears.
    struct Heard(Arc<Mutex<Vec<String>>>);

    impl Heard {
        fn note(&self, words: String) {
            self.0.lock().unwrap().push(words);
        }
    }

    impl Watcher for Heard {
        fn key(&self, key: &[u8], version: u64) {
            assert!(key != b"panic", "a defect");
            self.note(format!("key {} {version}", String::from_utf8_lossy(key)));
        }

        fn all(&self, link: u32) {
            self.note(format!("all {link}"));
        }

        fn alive(&self, link: u32, age_ms: u64) {
            self.note(format!("alive {link} {age_ms}"));
        }

        fn parts(&self, first: u32, last: u32, link: u32) {
            self.note(format!("parts {first} {last} {link}"));
        }
    }

    #[test]
    fn what_a_backend_tells_is_heard_in_its_order() {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let mut watch = Watch::new(Box::new(Heard(Arc::clone(&heard))));
        let sink = from_mut(&mut watch).cast::<hotcold_watch_t>();
        // SAFETY: the sink is ours; keys have the lengths that are said, or are not read.
        unsafe {
            hotcold_watch_parts(sink, 0, 16_383, 7);
            hotcold_watch_alive(sink, 7, 3);
            hotcold_watch_key(sink, c"key".as_ptr().cast(), 3, 5);
            hotcold_watch_key(sink, null(), 0, 0);
            hotcold_watch_all(sink, 7);
            // What is no key: anything may have changed.
            hotcold_watch_key(sink, null(), 1, 0);
            hotcold_watch_key(sink, dangling(), 65_536, 0);
            // A defect of ours ends in the fence.
            hotcold_watch_key(sink, c"panic".as_ptr().cast(), 5, 0);
        }
        let expected = [
            "parts 0 16383 7",
            "alive 7 3",
            "key key 5",
            "key  0",
            "all 7",
            "all 65535",
            "all 65535",
        ];
        assert_eq!(*heard.lock().unwrap(), expected);
    }

    #[test]
    fn nobody_to_tell_is_fine() {
        // SAFETY: NULL is allowed.
        unsafe {
            hotcold_watch_key(null_mut(), null(), 1, 0);
            hotcold_watch_all(null_mut(), 0);
            hotcold_watch_alive(null_mut(), 0, 0);
            hotcold_watch_parts(null_mut(), 0, 0, 0);
        }
    }
}
