//! Looking after a store in use: verifying what is on disk, and copying it elsewhere.

use super::state::State;
use crate::cold::check_empty;
use crate::error::{Error, ErrorKind, Result};
use crate::io::disk::Directory;
use crate::io::lock::{DirLock, LockMode};
use crate::io::made::Made;
use std::path::Path;
use std::sync::Arc;

impl State {
    /// Reads every record on disk; returns how many there are and how many of them are damaged.
    ///
    /// # Errors
    /// `Io`, `OutOfMemory`.
    pub fn verify(&self) -> Result<(u64, u64)> {
        self.cold.as_ref().map_or(Ok((0, 0)), |cold| cold.verify())
    }

    /// Writes a copy of the store, as it is at one moment during the call, into the directory
    /// `dest`, which is made if need be and must be empty. The copy is durable and can be opened.
    ///
    /// # Errors
    /// `InvalidArgument` for a store in memory only or a directory that is not empty; `Locked`,
    /// `NoSpace`, `Io`: what was made is removed again.
    pub fn backup(&self, dest: &Path) -> Result<()> {
        let Some(cold) = &self.cold else {
            let sentence = "a store in memory only cannot be backed up; open one with a directory";
            return Err(Error::new(ErrorKind::InvalidArgument, sentence));
        };
        let context = |error: Error| error.context(format_args!("backup to {}", dest.display()));
        let directory = Directory::open(dest, true).map_err(context)?;
        let is_free = || check_empty(&directory);
        is_free().map_err(context)?;
        let _lock = DirLock::acquire(&directory, LockMode::Exclusive, &is_free).map_err(context)?;
        // Once more, now that nobody else makes a store there.
        is_free().map_err(context)?;
        if !self.options.read_only {
            self.flush_unwritten()?;
        }
        let dest = Arc::new(Made::new(directory));
        let copied = cold.backup(dest.clone(), &|| self.quiesce()).map_err(context);
        copied.inspect_err(|_| dest.take_back())
    }
}
