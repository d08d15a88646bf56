//! A call that meets a full disk: making room, and trying again.

use super::host::StoreHost;
use super::writer::Writer;
use crate::cold::{Host, Want};
use crate::error::{ErrorKind, Result};

/// A call that meets a full disk makes room and is tried again so often: others take room too.
const TRIES: usize = 64;

/// True if it was refused because the disk is full.
pub(super) fn is_full<T>(result: &Result<T>) -> bool {
    result.as_ref().is_err_and(|error| error.kind() == ErrorKind::NoSpace)
}

/// What is only useful is left out where the disk has no room for it.
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

    /// False if there is nothing to be had.
    #[cold]
    fn free_room(&self, want: Want, is_first: bool) -> Result<bool> {
        let Some(cold) = self.tiers.cold() else { return Ok(false) };
        let host = StoreHost::new(self, &|| true);
        let made = cold.make_room(want, is_first, &host);
        host.at_rest();
        // Where there is none either, what the call met is what there is to tell.
        if is_full(&made) { Ok(false) } else { made }
    }
}
