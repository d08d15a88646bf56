//! A call that meets a full disk: making room, and trying again.

use super::host::StoreHost;
use super::writer::Writer;
use crate::cold::{Host, Want};
use crate::error::{ErrorKind, Result};

/// How often a call makes room on a full disk and is tried again: other threads may take the room.
const TRIES: usize = 64;

/// True if it was refused because the disk is full.
pub(super) fn is_full<T>(result: &Result<T>) -> bool {
    result.as_ref().is_err_and(|error| error.kind() == ErrorKind::NoSpace)
}

/// Ignores a full disk: for work that is useful and not needed.
pub(super) fn without_room(result: Result<()>) -> Result<()> {
    if is_full(&result) { Ok(()) } else { result }
}

impl Writer<'_> {
    /// Makes a call that takes room on the disk. If it is refused because the disk is full, makes
    /// room, on this thread, and makes it again. No lock may be held.
    ///
    /// # Errors
    /// Those of the call; those of making room.
    pub(super) fn with_room<T>(
        &self,
        want: Want,
        mut call: impl FnMut() -> Result<T>,
    ) -> Result<T> {
        let mut tried = 0;
        loop {
            let result = call();
            if !is_full(&result) || tried == TRIES || !self.free_room(want, tried == 0)? {
                return result;
            }
            tried += 1;
        }
    }

    /// Makes room in cold; false if none can be made.
    #[cold]
    fn free_room(&self, want: Want, is_first: bool) -> Result<bool> {
        let Some(cold) = self.tiers.cold() else { return Ok(false) };
        let host = StoreHost::new(self, &|| true);
        let made = cold.make_room(want, is_first, &host);
        host.at_rest();
        // If making room finds the disk full too, the caller gets the error of its own call.
        if is_full(&made) { Ok(false) } else { made }
    }
}
