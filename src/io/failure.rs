//! Errors of calls to the kernel: the sentence about them, and what they mean to a caller.

use crate::error::{Error, ErrorKind};
use std::io;

/// The error for a failed call: `doing: why; what to do`. An empty `advice` takes the usual one.
pub fn failed(doing: String, error: &io::Error, advice: &str) -> Error {
    let code = error.raw_os_error().unwrap_or(0);
    let text = error.to_string();
    let why = text.split(" (os error").next().unwrap_or(&text);
    let (kind, usual) = match code {
        libc::ENOSPC => (ErrorKind::NoSpace, "free some room and retry"),
        libc::EDQUOT => (ErrorKind::NoSpace, "raise the quota or free some room, and retry"),
        libc::ENOMEM => (ErrorKind::OutOfMemory, "free some memory, or raise the process's limit"),
        libc::EFBIG => (ErrorKind::NoSpace, "raise the limit of a file's length (ulimit -f)"),
        libc::EACCES | libc::EPERM => (ErrorKind::Io, "give this user the right to it"),
        libc::EROFS => (ErrorKind::Io, "make it writable, or open the store read_only"),
        libc::EMFILE | libc::ENFILE => (ErrorKind::Io, "raise the limit of open files"),
        libc::EIO => (ErrorKind::Io, "check the disk"),
        _ => (ErrorKind::Io, ""),
    };
    let advice = if advice.is_empty() { usual } else { advice };
    let separator = if advice.is_empty() { "" } else { "; " };
    Error::new(kind, format!("{doing}: {why}{separator}{advice}")).with_os_code(code)
}

/// True of the error for a name that something other than a regular file has.
pub fn is_no_regular_file(error: &Error) -> bool {
    matches!(error.os_code(), libc::EISDIR | libc::ELOOP | libc::ENXIO)
}

/// True of the error for a file that would be longer than this process's files may be.
pub fn is_too_long(error: &Error) -> bool {
    error.os_code() == libc::EFBIG
}

/// True of the error for a user who has used up what is allowed to him.
pub fn is_over_quota(error: &Error) -> bool {
    error.os_code() == libc::EDQUOT
}

/// True of the error for a name that nothing has.
pub fn is_missing(error: &Error) -> bool {
    error.os_code() == libc::ENOENT
}
