//! The one error type: what kind of failure, one sentence about it, and the kernel's code.
//!
//! Absence is not an error (`Ok(None)`); a kind exists only where a caller would act differently.
//! The sentence is made where the failure is known best: `io` names verb and path, `codec` what
//! was expected, `cold` adds the file and the offset.

use std::borrow::Cow;
use std::fmt::Display;

/// The result of everything that can fail in this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// What a caller can do something different about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An argument that can never work: mend the call.
    InvalidArgument,
    /// A call at the wrong time or on the wrong object: mend the program.
    Misuse,
    /// The operating system refused; retrying may help once the cause is gone.
    Io,
    /// A record or file fails its checksum; other keys stay readable.
    Corrupt,
    /// The disk is full; storing works again once there is room.
    NoSpace,
    /// Another handle has the directory open.
    Locked,
    /// A key, value or batch beyond the limits.
    TooLarge,
    /// The caller's buffer cannot hold the value.
    BufferTooSmall,
    /// The store was opened read-only, or turned so after a failed sync.
    ReadOnly,
    /// Asks for what this version does not have.
    Unsupported,
    /// An allocation whose size came from the caller or the disk failed.
    OutOfMemory,
    /// A defect of this library; the store refuses further writes.
    Internal,
    /// The caller's own callback reported failure.
    CallbackFailed,
    /// A shared cold tier did not answer in time: whether it was done is unknown.
    Timeout,
    /// A shared cold tier cannot be reached, or refused: certainly not done.
    Unavailable,
    /// Another writer has taken over; for engines of one writer.
    Fenced,
}

/// A failure: its kind, one plain sentence, and the kernel's error code.
///
/// Cheap to move (one pointer) and to clone, because a shared write fails for all its writers.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}", .0.message)]
pub struct Error(Box<Details>);

#[derive(Clone, Debug)]
struct Details {
    kind: ErrorKind,
    message: String,
    os_code: i32,
}

impl Error {
    /// Makes an error of `kind` with a sentence: what failed, on which file, why, what to do.
    pub fn new<'m>(kind: ErrorKind, message: impl Into<Cow<'m, str>>) -> Self {
        Self::of(kind, message.into())
    }

    /// On its own, so that the many places that make errors stay small.
    #[cold]
    #[inline(never)]
    fn of(kind: ErrorKind, message: Cow<'_, str>) -> Self {
        Self(Box::new(Details { kind, message: message.into_owned(), os_code: 0 }))
    }

    /// Adds the code that the operating system (or the caller's callback) gave.
    #[must_use]
    pub fn with_os_code(mut self, os_code: i32) -> Self {
        self.0.os_code = os_code;
        self
    }

    /// Puts what was being done in front: `context: message`.
    #[must_use]
    pub fn context(mut self, context: impl Display) -> Self {
        self.0.message = format!("{context}: {}", self.0.message);
        self
    }

    /// The kind, which decides what a caller can do.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The sentence.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// `errno`, or 0 where the kernel was not involved.
    pub fn os_code(&self) -> i32 {
        self.0.os_code
    }
}
