//! Looking after a store in use: verifying what is on disk, and copying it elsewhere.

use super::events::EventKind;
use super::state::State;
use super::value::Answer;
use crate::cold::check_empty;
use crate::error::{Error, ErrorKind, Result};
use crate::io::disk::Directory;
use crate::io::lock::{DirLock, LockMode};
use crate::io::made::Made;
use std::path::Path;
use std::sync::Arc;

impl State {
    /// Reads every record on disk, and asks for those that should be there; returns how many there
    /// are, and how many are damaged or missing. Subscribers are told of each segment with such ones,
    /// and of each of them whose key is known; the answer tells of the first segment and how many more
    /// there are.
    ///
    /// # Errors
    /// `Io`, `OutOfMemory`.
    pub fn verify(&self) -> Result<Answer<(u64, u64)>> {
        let Some(cold) = &self.cold else { return Ok(Answer::of((0, 0))) };
        // This tells all that it would have told.
        drop(cold.take_findings());
        let verified = cold.verify(&mut |key, error| self.tell_error(error, key))?;
        verified.findings.iter().for_each(|finding| self.tell_error(finding, &[]));
        let others = verified.findings.len().saturating_sub(1);
        let survived = verified.findings.into_iter().next().map(|first| match others {
            0 => first,
            _ => Error::new(first.kind(), format!("{}; {others} more files too", first.message())),
        });
        Ok(Answer { value: (verified.records, verified.damaged), survived })
    }

    /// Tells subscribers what was damaged when the store was opened, once there is one.
    pub(super) fn tell_findings(&self) {
        let Some(cold) = self.cold.as_ref().filter(|_| self.events.wants(EventKind::Error)) else {
            return;
        };
        cold.take_findings().iter().for_each(|finding| self.tell_error(finding, &[]));
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
