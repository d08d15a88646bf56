//! The end of writing: after a failed sync, or a failed write whose bytes could not be cut off
//! again, nobody knows what is on disk. Reads go on.

use crate::error::{Error, ErrorKind, Result};
use crate::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether writing has ended, and why.
#[derive(Default)]
pub struct Poison {
    set: AtomicBool,
    cause: Mutex<Option<Error>>,
}

impl Poison {
    /// Ends writing because of `cause`; the first cause stays.
    pub fn set(&self, cause: &Error) {
        let mut first = self.cause.lock();
        if first.is_none() {
            *first = Some(cause.clone());
        }
        self.set.store(true, Ordering::Release);
    }

    /// True once writing has ended.
    pub fn is_set(&self) -> bool {
        self.set.load(Ordering::Acquire)
    }

    /// Refuses a write once writing has ended.
    ///
    /// # Errors
    /// `ReadOnly`, with the cause and what to do.
    pub fn check(&self) -> Result<()> {
        if !self.is_set() {
            return Ok(());
        }
        let cause = self.cause.lock();
        let (message, code) = cause.as_ref().map_or(("", 0), |e| (e.message(), e.os_code()));
        let sentence = format!(
            "the store is read-only since a failure; open it again once the cause is gone: {message}"
        );
        Err(Error::new(ErrorKind::ReadOnly, sentence).with_os_code(code))
    }
}
