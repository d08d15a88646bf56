//! Opening a directory: checks who else may change it and what is in it, and locks it.

use super::recovery::contents;
use super::tier::{Local, LocalOptions};
use crate::error::{Error, ErrorKind, Result};
use crate::io::disk::Directory;
use crate::io::lock::{DirLock, LockMode};
use crate::time::Clock;
use std::path::Path;
use std::sync::Arc;

/// What becomes of a directory that other users may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Exposed {
    /// It is not opened.
    Refuse,
    /// It is opened, and the caller is told.
    Tell,
    /// It is opened.
    Allow,
}

impl Local {
    /// Opens the store in the directory `path`. Returns the tier, and a warning if there is one.
    ///
    /// # Errors
    /// As [`Local::open`]; `InvalidArgument` for an empty path too, `Locked`.
    pub fn open_directory(
        path: &Path,
        exposed: Exposed,
        clock: &Arc<dyn Clock>,
        options: &LocalOptions,
    ) -> Result<(Box<Self>, Option<String>)> {
        let directory = find(path, options.create)?;
        let warning = exposure(&directory, exposed)?;
        let is_ours = || contents::check(&directory, options.create);
        let mode = if options.read_only { LockMode::Shared } else { LockMode::Exclusive };
        let lock = DirLock::acquire(&directory, mode, &is_ours)?;
        let tier = Self::boxed(directory, clock, options)?;
        tier.keep_lock(lock);
        Ok((tier, warning))
    }

    /// On its own, so that no other frame has room for a tier while one is recovered.
    #[inline(never)]
    fn boxed(
        directory: Directory,
        clock: &Arc<dyn Clock>,
        options: &LocalOptions,
    ) -> Result<Box<Self>> {
        Self::open(Arc::new(directory), clock.clone(), options.clone()).map(Box::new)
    }
}

fn find(path: &Path, create: bool) -> Result<Directory> {
    if path.as_os_str().is_empty() {
        let sentence = "open the store: the path is empty; name a directory, or give no path at all \
                        for a store in memory";
        return Err(Error::new(ErrorKind::InvalidArgument, sentence));
    }
    Directory::open(path, create)
        .map_err(|error| error.context(format_args!("open the store in {}", path.display())))
}

/// The warning for a directory that other users may change.
fn exposure(directory: &Directory, exposed: Exposed) -> Result<Option<String>> {
    if exposed == Exposed::Allow {
        return Ok(None);
    }
    let Some(what) = directory.exposure()? else { return Ok(None) };
    let sentence = format!(
        "{what}: they can replace its files; let only its own user write there, or set \
         writable_by_others=allow"
    );
    match exposed {
        Exposed::Refuse => Err(Error::new(ErrorKind::InvalidArgument, sentence)),
        Exposed::Tell | Exposed::Allow => Ok(Some(sentence)),
    }
}
