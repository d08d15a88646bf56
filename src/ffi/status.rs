//! The numbers and words of failure: `hotcold_status`, `hotcold_error_t`, and the one place where
//! an [`ErrorKind`] gets its number.
//!
//! # Invariants
//! 1. Numbers are never changed and never reused: programs are compiled with them.
//! 2. 0 is fine, above 0 an ordinary outcome, below 0 a failure.

use crate::error::{Error, ErrorKind};
use std::ffi::{CStr, c_char};

/// Bytes of `hotcold_error_t`'s message, the NUL at its end included.
const MESSAGE_BYTES: usize = 504;

/// What a call answers: one of `enum hotcold_status`. 0 is fine, above 0 an ordinary outcome,
/// below 0 a failure.
pub type hotcold_status_t = i32;

/// The numbers of `hotcold_status_t`. They are never changed and never reused.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum hotcold_status {
    /// Done.
    HOTCOLD_OK = 0,
    /// The key is absent or has expired.
    HOTCOLD_NOT_FOUND = 1,
    /// A condition was not met; nothing was done.
    HOTCOLD_CONFLICT = 2,
    /// Nothing more comes.
    HOTCOLD_END = 3,
    /// An argument that can never work: mend the call.
    HOTCOLD_INVALID_ARGUMENT = -1,
    /// A call at the wrong time, or on a store that is closed: mend the program.
    HOTCOLD_MISUSE = -2,
    /// The operating system refused; retrying may help once the cause is gone.
    HOTCOLD_IO = -3,
    /// A record or file fails its checksum; other keys stay readable.
    HOTCOLD_CORRUPT = -4,
    /// The disk is full; storing works again once there is room.
    HOTCOLD_NO_SPACE = -5,
    /// Another handle has the directory open.
    HOTCOLD_LOCKED = -6,
    /// A key, value or batch is beyond the limits.
    HOTCOLD_TOO_LARGE = -7,
    /// The caller's buffer cannot hold the value.
    HOTCOLD_BUFFER_TOO_SMALL = -8,
    /// The store was opened read-only, or turned so after a failed sync.
    HOTCOLD_READ_ONLY = -9,
    /// Asks for what this version does not have.
    HOTCOLD_UNSUPPORTED = -10,
    /// There is not enough memory.
    HOTCOLD_OUT_OF_MEMORY = -11,
    /// A defect of this library; the store refuses further writes.
    HOTCOLD_INTERNAL = -12,
    /// The caller's own callback reported failure.
    HOTCOLD_CALLBACK_FAILED = -13,
    /// A shared cold tier did not answer in time: whether it was done is unknown.
    HOTCOLD_TIMEOUT = -14,
    /// A shared cold tier cannot be reached, or refused: certainly not done.
    HOTCOLD_UNAVAILABLE = -15,
    /// Another writer has taken over; for engines of one writer.
    HOTCOLD_FENCED = -16,
}

/// Limits.
#[repr(C)]
pub enum hotcold_limit {
    /// The longest key, in bytes.
    HOTCOLD_KEY_LEN_MAX = 65535,
}

const _: () = {
    let key_len_max = hotcold_limit::HOTCOLD_KEY_LEN_MAX as usize;
    assert!(key_len_max == crate::limits::KEY_BYTES_MAX);
};

/// A failure in words. It is the caller's, usually on its stack; there is nothing to free.
///
/// Written on every return of every call it is given to.
#[repr(C)]
pub struct hotcold_error_t {
    /// The failure; HOTCOLD_OK when there was none. It equals what the call returned, except that
    /// it also names what a lenient store has survived.
    pub status: i32,
    /// errno, or the number that a load returned; 0 if there is none.
    pub os_code: i32,
    /// What failed, on which file, why, and what to do: UTF-8, cut to fit, with a NUL at the end;
    /// empty when there was no failure, unless a call says otherwise.
    pub message: [c_char; 504],
}

const _: () = assert!(size_of::<hotcold_error_t>() == 8 + MESSAGE_BYTES);

impl hotcold_status {
    /// Every status, in the order of the header.
    pub const ALL: [Self; 20] = [
        Self::HOTCOLD_OK,
        Self::HOTCOLD_NOT_FOUND,
        Self::HOTCOLD_CONFLICT,
        Self::HOTCOLD_END,
        Self::HOTCOLD_INVALID_ARGUMENT,
        Self::HOTCOLD_MISUSE,
        Self::HOTCOLD_IO,
        Self::HOTCOLD_CORRUPT,
        Self::HOTCOLD_NO_SPACE,
        Self::HOTCOLD_LOCKED,
        Self::HOTCOLD_TOO_LARGE,
        Self::HOTCOLD_BUFFER_TOO_SMALL,
        Self::HOTCOLD_READ_ONLY,
        Self::HOTCOLD_UNSUPPORTED,
        Self::HOTCOLD_OUT_OF_MEMORY,
        Self::HOTCOLD_INTERNAL,
        Self::HOTCOLD_CALLBACK_FAILED,
        Self::HOTCOLD_TIMEOUT,
        Self::HOTCOLD_UNAVAILABLE,
        Self::HOTCOLD_FENCED,
    ];

    /// The number.
    pub const fn code(self) -> hotcold_status_t {
        self as hotcold_status_t
    }

    /// The enumerator's own name.
    pub const fn name(self) -> &'static CStr {
        match self {
            Self::HOTCOLD_OK => c"HOTCOLD_OK",
            Self::HOTCOLD_NOT_FOUND => c"HOTCOLD_NOT_FOUND",
            Self::HOTCOLD_CONFLICT => c"HOTCOLD_CONFLICT",
            Self::HOTCOLD_END => c"HOTCOLD_END",
            Self::HOTCOLD_INVALID_ARGUMENT => c"HOTCOLD_INVALID_ARGUMENT",
            Self::HOTCOLD_MISUSE => c"HOTCOLD_MISUSE",
            Self::HOTCOLD_IO => c"HOTCOLD_IO",
            Self::HOTCOLD_CORRUPT => c"HOTCOLD_CORRUPT",
            Self::HOTCOLD_NO_SPACE => c"HOTCOLD_NO_SPACE",
            Self::HOTCOLD_LOCKED => c"HOTCOLD_LOCKED",
            Self::HOTCOLD_TOO_LARGE => c"HOTCOLD_TOO_LARGE",
            Self::HOTCOLD_BUFFER_TOO_SMALL => c"HOTCOLD_BUFFER_TOO_SMALL",
            Self::HOTCOLD_READ_ONLY => c"HOTCOLD_READ_ONLY",
            Self::HOTCOLD_UNSUPPORTED => c"HOTCOLD_UNSUPPORTED",
            Self::HOTCOLD_OUT_OF_MEMORY => c"HOTCOLD_OUT_OF_MEMORY",
            Self::HOTCOLD_INTERNAL => c"HOTCOLD_INTERNAL",
            Self::HOTCOLD_CALLBACK_FAILED => c"HOTCOLD_CALLBACK_FAILED",
            Self::HOTCOLD_TIMEOUT => c"HOTCOLD_TIMEOUT",
            Self::HOTCOLD_UNAVAILABLE => c"HOTCOLD_UNAVAILABLE",
            Self::HOTCOLD_FENCED => c"HOTCOLD_FENCED",
        }
    }
}

impl From<ErrorKind> for hotcold_status {
    /// No `_` arm: a new kind does not compile until it has a number.
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::InvalidArgument => Self::HOTCOLD_INVALID_ARGUMENT,
            ErrorKind::Misuse => Self::HOTCOLD_MISUSE,
            ErrorKind::Io => Self::HOTCOLD_IO,
            ErrorKind::Corrupt => Self::HOTCOLD_CORRUPT,
            ErrorKind::NoSpace => Self::HOTCOLD_NO_SPACE,
            ErrorKind::Locked => Self::HOTCOLD_LOCKED,
            ErrorKind::TooLarge => Self::HOTCOLD_TOO_LARGE,
            ErrorKind::BufferTooSmall => Self::HOTCOLD_BUFFER_TOO_SMALL,
            ErrorKind::ReadOnly => Self::HOTCOLD_READ_ONLY,
            ErrorKind::Unsupported => Self::HOTCOLD_UNSUPPORTED,
            ErrorKind::OutOfMemory => Self::HOTCOLD_OUT_OF_MEMORY,
            ErrorKind::Internal => Self::HOTCOLD_INTERNAL,
            ErrorKind::CallbackFailed => Self::HOTCOLD_CALLBACK_FAILED,
            ErrorKind::Timeout => Self::HOTCOLD_TIMEOUT,
            ErrorKind::Unavailable => Self::HOTCOLD_UNAVAILABLE,
            ErrorKind::Fenced => Self::HOTCOLD_FENCED,
        }
    }
}

/// The kind of failure of a number that is one.
pub(super) fn kind_of(code: hotcold_status_t) -> Option<ErrorKind> {
    KINDS.into_iter().find(|kind| hotcold_status::from(*kind).code() == code)
}

/// Every kind of failure.
const KINDS: [ErrorKind; 16] = [
    ErrorKind::InvalidArgument,
    ErrorKind::Misuse,
    ErrorKind::Io,
    ErrorKind::Corrupt,
    ErrorKind::NoSpace,
    ErrorKind::Locked,
    ErrorKind::TooLarge,
    ErrorKind::BufferTooSmall,
    ErrorKind::ReadOnly,
    ErrorKind::Unsupported,
    ErrorKind::OutOfMemory,
    ErrorKind::Internal,
    ErrorKind::CallbackFailed,
    ErrorKind::Timeout,
    ErrorKind::Unavailable,
    ErrorKind::Fenced,
];

impl hotcold_error_t {
    /// No failure.
    pub(super) const EMPTY: Self = Self { status: 0, os_code: 0, message: [0; MESSAGE_BYTES] };

    /// The message.
    pub(super) fn words(&self) -> String {
        let bytes = self.message.map(c_char::cast_unsigned);
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        String::from_utf8_lossy(&bytes[..end]).into_owned()
    }

    /// Writes that there is no failure; NULL is fine. A call that succeeds touches 9 bytes.
    ///
    /// # Safety
    /// As [`hotcold_error_t::write`].
    #[inline]
    pub unsafe fn write_none(to: *mut Self) {
        if to.is_null() {
            return;
        }
        // SAFETY: the caller promises that the struct can be written. Raw writes, because it may be
        // uninitialised.
        unsafe {
            (&raw mut (*to).status).write(hotcold_status::HOTCOLD_OK.code());
            (&raw mut (*to).os_code).write(0);
            (&raw mut (*to).message).cast::<u8>().write(0);
        }
    }

    /// Writes `error`, or that there is none, into the caller's struct; NULL is fine.
    ///
    /// Of the message only what it needs is written.
    ///
    /// # Safety
    /// `to` is NULL or can be written as a `hotcold_error_t`; it may hold anything.
    #[cold]
    pub unsafe fn write(to: *mut Self, error: Option<&Error>) {
        if to.is_null() {
            return;
        }
        let (status, os_code, message) = match error {
            Some(e) => (hotcold_status::from(e.kind()), e.os_code(), e.message()),
            None => (hotcold_status::HOTCOLD_OK, 0, ""),
        };
        let most = message.len().min(MESSAGE_BYTES - 1);
        let fits = (0..=most).rev().find(|&at| message.is_char_boundary(at)).unwrap_or(0);
        // SAFETY: the caller promises that the struct can be written; `fits` and the NUL behind it
        // stay within the message. Raw writes, because the struct may be uninitialised.
        unsafe {
            (&raw mut (*to).status).write(status.code());
            (&raw mut (*to).os_code).write(os_code);
            let text = (&raw mut (*to).message).cast::<u8>();
            text.copy_from_nonoverlapping(message.as_ptr(), fits);
            text.add(fits).write(0);
        }
    }

    /// Writes that nothing has failed, and a sentence that the caller should know all the same; NULL
    /// is fine.
    ///
    /// # Safety
    /// As [`hotcold_error_t::write`].
    pub unsafe fn warn(to: *mut Self, sentence: &str) {
        if to.is_null() {
            return;
        }
        // SAFETY: the caller's promise.
        unsafe {
            Self::write(to, Some(&Error::new(ErrorKind::InvalidArgument, sentence)));
            (&raw mut (*to).status).write(hotcold_status::HOTCOLD_OK.code());
        }
    }
}

/// Tells a status by name: "HOTCOLD_NOT_FOUND"; "HOTCOLD_UNKNOWN" for a number that is none.
///
/// in    status   any number
/// owns  the text is the library's, valid for ever
/// safe  from any thread, also in a signal handler
///
/// since 0.1.0
#[unsafe(no_mangle)]
pub extern "C" fn hotcold_status_name(status: i32) -> *const c_char {
    let known = hotcold_status::ALL.into_iter().find(|s| s.code() == status);
    known.map_or(c"HOTCOLD_UNKNOWN", hotcold_status::name).as_ptr()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::MaybeUninit;

    fn written(error: Option<&Error>) -> (i32, i32, String) {
        let mut to = MaybeUninit::<hotcold_error_t>::uninit();
        // SAFETY: the struct is ours; what is read below has been written, up to the NUL.
        unsafe {
            hotcold_error_t::write(to.as_mut_ptr(), error);
            let to = to.as_ptr();
            let text = CStr::from_ptr((&raw const (*to).message).cast());
            ((*to).status, (*to).os_code, text.to_str().unwrap().to_owned())
        }
    }

    #[test]
    fn every_number_has_the_name_that_the_header_gives_it() {
        for status in hotcold_status::ALL {
            // SAFETY: the name is a C string for ever.
            let name = unsafe { CStr::from_ptr(hotcold_status_name(status.code())) };
            assert_eq!(name.to_str().unwrap(), format!("{status:?}"));
        }
        for unknown in [4, -17, i32::MAX, i32::MIN] {
            // SAFETY: as above.
            let name = unsafe { CStr::from_ptr(hotcold_status_name(unknown)) };
            assert_eq!(name, c"HOTCOLD_UNKNOWN");
        }
    }

    #[test]
    fn the_numbers_are_those_of_the_contract() {
        let codes: Vec<i32> = hotcold_status::ALL.iter().map(|s| s.code()).collect();
        let expected: Vec<i32> = (0..=3).chain((1..=16).map(|n: i32| -n)).collect();
        assert_eq!(codes, expected);
    }

    #[test]
    fn a_failure_is_written_whole() {
        let error =
            Error::new(ErrorKind::NoSpace, "write 1.seg: the disk is full").with_os_code(28);
        assert_eq!(written(Some(&error)), (-5, 28, "write 1.seg: the disk is full".to_owned()));
    }

    #[test]
    fn success_empties_the_error() {
        assert_eq!(written(None), (0, 0, String::new()));
    }

    #[test]
    fn a_warning_is_no_failure() {
        let mut to = MaybeUninit::<hotcold_error_t>::uninit();
        // SAFETY: the struct is ours; what is read below has been written, up to the NUL.
        unsafe {
            hotcold_error_t::warn(to.as_mut_ptr(), "take care");
            let to = to.as_ptr();
            let text = CStr::from_ptr((&raw const (*to).message).cast());
            assert_eq!(((*to).status, (*to).os_code, text), (0, 0, c"take care"));
        }
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        // Two bytes a character, after one byte: the cut would fall into a character.
        let error = Error::new(ErrorKind::Io, format!("x{}", "é".repeat(400)));
        let (_, _, message) = written(Some(&error));
        assert_eq!(message, format!("x{}", "é".repeat(251)));
        assert_eq!(message.len(), MESSAGE_BYTES - 1);
    }

    #[test]
    fn no_error_struct_is_fine() {
        // SAFETY: NULL is allowed.
        unsafe { hotcold_error_t::write(std::ptr::null_mut(), None) };
    }
}
