//! What a directory holds: a store, nothing, or what somebody else has put there. The rule is in
//! [`local`](crate::cold::local), under Files.
//!
//! The files' contents decide, and not their names. So a stranger's `MANIFEST` is not replaced, and
//! a store without its own still opens.

use super::checkpoint::CHECKPOINT;
use crate::codec::version::has_magic;
use crate::codec::{checkpoint, manifest, segment};
use crate::cold::local::log::sequences::{MANIFEST, MANIFEST_NEW};
use crate::cold::local::segment::segment::file_id;
use crate::error::{Error, ErrorKind, Result};
use crate::io::failure::{is_missing, is_no_regular_file};
use crate::io::files::Disk;
use crate::io::lock::LOCK_FILE;

/// What is in a directory.
#[derive(Debug, PartialEq, Eq)]
enum Contents {
    Store,
    Nothing,
    /// Neither: somebody else's file of this name.
    Foreign(String),
}

/// Makes sure that the directory holds a store, or nothing, if one may be made there.
///
/// # Errors
/// `InvalidArgument` if not; `Io`.
pub fn check(disk: &dyn Disk, create: bool) -> Result<()> {
    let path = disk.path().display();
    let sentence = match contents(disk)? {
        Contents::Store => return Ok(()),
        Contents::Nothing if create => return Ok(()),
        Contents::Nothing => format!("{path} holds no store; set create=true to make one there"),
        Contents::Foreign(name) => format!(
            "{path} holds no store but other files, like {}; name a new or an empty directory",
            name.escape_debug()
        ),
    };
    Err(Error::new(ErrorKind::InvalidArgument, sentence))
}

/// Makes sure that the directory holds nothing.
///
/// # Errors
/// `InvalidArgument` if it does; `Io`.
pub fn check_empty(disk: &dyn Disk) -> Result<()> {
    match contents(disk)? {
        Contents::Nothing => Ok(()),
        Contents::Store | Contents::Foreign(_) => {
            let sentence = "the directory is not empty; name a new or an empty one";
            Err(Error::new(ErrorKind::InvalidArgument, sentence))
        }
    }
}

fn contents(disk: &dyn Disk) -> Result<Contents> {
    let mut found = Contents::Nothing;
    for name in disk.list()? {
        let magic = match name.as_str() {
            MANIFEST => Some(manifest::MAGIC),
            CHECKPOINT => Some(checkpoint::MAGIC),
            other => file_id(other).map(|_| segment::MAGIC),
        };
        if let Some(magic) = magic
            && begins(disk, &name)?.is_some_and(|first| has_magic(&first, magic))
        {
            return Ok(Contents::Store);
        }
        if !is_leftover(disk, &name)? {
            found = Contents::Foreign(name);
        }
    }
    Ok(found)
}

/// True of what the first opening of a store may leave.
fn is_leftover(disk: &dyn Disk, name: &str) -> Result<bool> {
    Ok(match name {
        // Of version 0.1.0, or of a file system that machines share.
        LOCK_FILE => begins(disk, name)?.is_some_and(|first| first.is_empty()),
        MANIFEST_NEW => begins(disk, name)?.is_some_and(|first| manifest::is_begun(&first)),
        _ => false,
    })
}

/// The first bytes of a file, more than a manifest has; `None` if it is none. One that has lost its
/// name since it was listed is empty.
fn begins(disk: &dyn Disk, name: &str) -> Result<Option<Vec<u8>>> {
    let mut bytes = vec![0; manifest::MANIFEST_BYTES + 1];
    let count = match disk.open(name, false).and_then(|file| file.read_at(&mut bytes, 0)) {
        Err(error) if is_no_regular_file(&error) => return Ok(None),
        Err(error) if is_missing(&error) => 0,
        count => count?,
    };
    bytes.truncate(count);
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests;
