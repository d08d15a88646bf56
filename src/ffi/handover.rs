//! What the functions of a backend hand over: a record, a page of keys, and why they failed.
//!
//! All of it is copied. Words and counts belong to the call that is in progress on the thread, so
//! that the table of functions needs no parameter for them.

use crate::error::Result;
use crate::ffi::boundary::{boundary, done};
use crate::ffi::fence::fence;
use crate::ffi::memory::{invalid, key as key_of, object, text, value as value_of};
use crate::ffi::status::{hotcold_error_t, hotcold_status_t};
use crate::memory;
use std::cell::RefCell;
use std::ffi::{c_char, c_void};

/// What a backend counts with hotcold_backend_count().
#[repr(C)]
pub enum hotcold_backend_counter {
    /// A request that was sent again.
    HOTCOLD_BACKEND_RETRIES = 1,
}

/// Where a backend puts the record that it has found; valid while its get runs.
pub struct hotcold_record_t {
    _never_made: (),
}

/// Where a backend puts the keys of a page; valid while its list runs.
pub struct hotcold_page_t {
    _never_made: (),
}

/// What a get has handed over.
#[derive(Debug, Default, PartialEq, Eq)]
pub enum Record {
    /// Nothing, so far.
    #[default]
    None,
    /// The engine still has the version that the caller knows.
    Same,
    /// The record's bytes.
    Bytes(Vec<u8>),
}

/// What a list has handed over.
#[derive(Debug, Default)]
pub struct Page {
    /// All keys, one behind the other.
    pub bytes: Vec<u8>,
    /// Where each key ends in `bytes`.
    pub ends: Vec<usize>,
    /// Where the next page begins; none: behind the last key.
    pub next: Option<Vec<u8>>,
}

/// What the call in progress on this thread has said of itself.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// Why it failed, in words; empty: it did not say.
    pub message: String,
    /// Requests that were sent again.
    pub retries: u64,
}

/// Bytes of a backend's words that are kept; more do not fit into `hotcold_error_t`.
const SAID_BYTES_MAX: usize = 512;

thread_local! {
    static SAID: RefCell<Said> = const { RefCell::new(Said { message: String::new(), retries: 0 }) };
}

/// Takes what was said on this thread; in front of a call it makes a clean slate.
pub fn take_said() -> Said {
    SAID.try_with(RefCell::take).unwrap_or_default()
}

/// Hands over the record that a get has found, in place of what it handed over before.
///
/// in    out    as the get was given it
///       data   len bytes, as put was given them; copied
///       len    1 or more
/// out   error  NULL, or where a failure is described
/// safe  inside the get only, on its thread
///
/// HOTCOLD_OK                handed over
/// HOTCOLD_INVALID_ARGUMENT  out is NULL, or data is NULL and len is not 0
/// HOTCOLD_TOO_LARGE         more bytes than any record has
/// HOTCOLD_OUT_OF_MEMORY     no memory for the copy
/// HOTCOLD_INTERNAL          a defect of this library
///
/// since 0.2.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hotcold_record_set(
    out: *mut hotcold_record_t,
    data: *const c_void,
    len: usize,
    error: *mut hotcold_error_t,
) -> hotcold_status_t {
    // SAFETY: the header's contract; `out` is the `Record` that was lent to the get.
    unsafe {
        boundary(error, || {
            let record = object(out.cast::<Record>(), "out")?;
            *record = Record::Bytes(memory::copy(value_of(data, len)?, "a record")?);
            done()
        })
    }
}

/// Says that the engine still has the version that the get was given as known_version.
///
/// in    out    as the get was given it
/// out   error  NULL, or where a failure is described
/// safe  inside the get only, on its thread
///
/// HOTCOLD_OK                said
/// HOTCOLD_INVALID_ARGUMENT  out is NULL
/// HOTCOLD_INTERNAL          a defect of this library
///
/// since 0.2.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hotcold_record_same(
    out: *mut hotcold_record_t,
    error: *mut hotcold_error_t,
) -> hotcold_status_t {
    // SAFETY: as in hotcold_record_set().
    unsafe {
        boundary(error, || {
            *object(out.cast::<Record>(), "out")? = Record::Same;
            done()
        })
    }
}

/// Adds a key to the page that a list gives.
///
/// in    out      as the list was given it
///       key      key_len bytes; copied
///       key_len  0 to HOTCOLD_KEY_LEN_MAX
/// out   error    NULL, or where a failure is described
/// safe  inside the list only, on its thread
///
/// HOTCOLD_OK                added
/// HOTCOLD_INVALID_ARGUMENT  out is NULL, or key is NULL and its length is not 0
/// HOTCOLD_TOO_LARGE         the key is longer than HOTCOLD_KEY_LEN_MAX
/// HOTCOLD_OUT_OF_MEMORY     no memory for the copy
/// HOTCOLD_INTERNAL          a defect of this library
///
/// since 0.2.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hotcold_page_add(
    out: *mut hotcold_page_t,
    key: *const c_void,
    key_len: usize,
    error: *mut hotcold_error_t,
) -> hotcold_status_t {
    // SAFETY: the header's contract; `out` is the `Page` that was lent to the list.
    unsafe {
        boundary(error, || {
            object(out.cast::<Page>(), "out")?.add(key_of(key, key_len)?)?;
            done()
        })
    }
}

/// Says where the page behind this one begins, if that is not behind this page's last key: what the
/// next call of list gets as after.
///
/// in    out           as the list was given it
///       position      position_len bytes of the backend's own; copied
///       position_len  0 to HOTCOLD_KEY_LEN_MAX
/// out   error         NULL, or where a failure is described
/// safe  inside the list only, on its thread
///
/// HOTCOLD_OK                said
/// HOTCOLD_INVALID_ARGUMENT  out is NULL, or position is NULL and its length is not 0
/// HOTCOLD_TOO_LARGE         the position is longer than HOTCOLD_KEY_LEN_MAX
/// HOTCOLD_OUT_OF_MEMORY     no memory for the copy
/// HOTCOLD_INTERNAL          a defect of this library
///
/// since 0.2.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hotcold_page_next(
    out: *mut hotcold_page_t,
    position: *const c_void,
    position_len: usize,
    error: *mut hotcold_error_t,
) -> hotcold_status_t {
    // SAFETY: as in hotcold_page_add().
    unsafe {
        boundary(error, || {
            let page = object(out.cast::<Page>(), "out")?;
            page.next = Some(memory::copy(key_of(position, position_len)?, "a position")?);
            done()
        })
    }
}

impl Page {
    fn add(&mut self, key: &[u8]) -> Result<()> {
        memory::grow(&mut self.ends, 1, "a page")?;
        memory::grow(&mut self.bytes, key.len(), "a page")?;
        self.bytes.extend_from_slice(key);
        self.ends.push(self.bytes.len());
        Ok(())
    }
}

/// Says in words why the call of a backend that is in progress on this thread fails; used as
/// `return hotcold_backend_fail(HOTCOLD_IO, words)`. The last words count.
///
/// in    status   what the call is about to return; any number
///       message  UTF-8 with a NUL at its end, without secrets; NULL: nothing is said. Copied, and
///                cut to fit
/// safe  inside a function of a backend, on the thread that it was called on; elsewhere the words are
///       lost
///
/// Returns status.
///
/// since 0.2.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hotcold_backend_fail(status: i32, message: *const c_char) -> i32 {
    let said = fence(|| {
        // SAFETY: the header's contract.
        let words = unsafe { text(message, "message") }?;
        let most = words.len().min(SAID_BYTES_MAX);
        let end = (0..=most).rev().find(|&at| words.is_char_boundary(at)).unwrap_or(0);
        SAID.with_borrow_mut(|said| words[..end].clone_into(&mut said.message));
        Result::Ok(())
    });
    drop(said);
    status
}

/// Counts for the stats what only the backend knows, in the call that is in progress on this thread.
///
/// in    counter  one of enum hotcold_backend_counter; others are ignored
///       n        how many
/// safe  as hotcold_backend_fail()
///
/// since 0.2.0
#[unsafe(no_mangle)]
pub extern "C" fn hotcold_backend_count(counter: u32, n: u64) {
    let counted = fence(|| {
        if counter != hotcold_backend_counter::HOTCOLD_BACKEND_RETRIES as u32 {
            return Err(invalid("counter: not known"));
        }
        SAID.with_borrow_mut(|said| said.retries = said.retries.saturating_add(n));
        Ok(())
    });
    drop(counted);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ffi::status::hotcold_status;
    use std::ptr::{dangling, from_mut, null, null_mut};

    const OK: i32 = hotcold_status::HOTCOLD_OK.code();
    const INVALID: i32 = hotcold_status::HOTCOLD_INVALID_ARGUMENT.code();
    const TOO_LARGE: i32 = hotcold_status::HOTCOLD_TOO_LARGE.code();

    #[test]
    fn a_record_is_a_copy_and_the_last_one_counts() {
        let mut record = Record::default();
        let out = from_mut(&mut record).cast::<hotcold_record_t>();
        let mut data = *b"first";
        // SAFETY: `out` is a `Record` of ours; the lengths are those of the texts, or nothing is read.
        unsafe {
            assert_eq!(hotcold_record_same(out, null_mut()), OK);
            assert_eq!(hotcold_record_set(out, data.as_ptr().cast(), 5, null_mut()), OK);
            data.fill(0);
            assert_eq!(hotcold_record_set(out, null(), 1, null_mut()), INVALID);
            assert_eq!(hotcold_record_set(out, dangling(), usize::MAX, null_mut()), TOO_LARGE);
            assert_eq!(
                hotcold_record_set(null_mut(), data.as_ptr().cast(), 5, null_mut()),
                INVALID
            );
            assert_eq!(hotcold_record_same(null_mut(), null_mut()), INVALID);
        }
        assert_eq!(record, Record::Bytes(b"first".to_vec()));
        // SAFETY: as above.
        unsafe { assert_eq!(hotcold_record_same(from_mut(&mut record).cast(), null_mut()), OK) };
        assert_eq!(record, Record::Same);
    }

    #[test]
    fn a_page_keeps_keys_apart() {
        let mut page = Page::default();
        let out = from_mut(&mut page).cast::<hotcold_page_t>();
        // SAFETY: as above, for a `Page`.
        unsafe {
            for key in ["a", "", "bcd"] {
                assert_eq!(hotcold_page_add(out, key.as_ptr().cast(), key.len(), null_mut()), OK);
            }
            assert_eq!(hotcold_page_add(out, dangling(), 65_536, null_mut()), TOO_LARGE);
            assert_eq!(hotcold_page_add(null_mut(), null(), 0, null_mut()), INVALID);
        }
        assert_eq!((page.bytes.as_slice(), page.ends.as_slice()), (&b"abcd"[..], &[1, 1, 4][..]));
        assert_eq!(page.next, None);
        // SAFETY: as above.
        unsafe {
            let out = from_mut(&mut page).cast();
            assert_eq!(hotcold_page_next(out, c"at".as_ptr().cast(), 2, null_mut()), OK);
            assert_eq!(hotcold_page_next(null_mut(), null(), 0, null_mut()), INVALID);
        }
        assert_eq!(page.next.as_deref(), Some(&b"at"[..]));
    }

    #[test]
    fn what_a_call_says_belongs_to_it_and_its_thread() {
        take_said();
        let long = std::ffi::CString::new(format!("x{}", "\u{e9}".repeat(400))).unwrap();
        // SAFETY: all are C strings, or NULL.
        unsafe {
            assert_eq!(hotcold_backend_fail(-3, c"the table is gone".as_ptr()), -3);
            assert_eq!(hotcold_backend_fail(-3, null()), -3);
        }
        hotcold_backend_count(1, 2);
        hotcold_backend_count(1, 1);
        hotcold_backend_count(99, 1);
        std::thread::spawn(|| assert_eq!(take_said(), Said::default())).join().unwrap();
        let said = Said { message: "the table is gone".into(), retries: 3 };
        assert_eq!(take_said(), said);
        assert_eq!(take_said(), Said::default());
        // SAFETY: as above.
        unsafe { hotcold_backend_fail(1, long.as_ptr()) };
        assert_eq!(take_said().message, format!("x{}", "\u{e9}".repeat(255)));
    }
}
