//! Copying a store in use to another directory.

use super::host::StoreHost;
use super::writer::Writer;
use crate::error::{Error, ErrorKind, Result};
use std::path::Path;

impl Writer<'_> {
    /// Writes a copy of the store, as it is at one moment during the call, into the directory
    /// `dest`, which is made if need be and must be empty. The copy is durable and can be opened.
    ///
    /// # Errors
    /// `InvalidArgument` for a store in memory only or a directory that is not empty; `Locked`,
    /// `NoSpace`, `Io`: what was made is removed again.
    pub fn backup(&self, dest: &Path) -> Result<()> {
        let Some(cold) = self.tiers.cold() else {
            let sentence = "a store in memory only cannot be backed up; open one with a directory";
            return Err(Error::new(ErrorKind::InvalidArgument, sentence));
        };
        if !self.options.read_only {
            self.flush_unwritten()?;
        }
        cold.backup(dest, &StoreHost::new(self, &|| true))
            .map_err(|error| error.context(format_args!("backup to {}", dest.display())))
    }
}
