//! What the cold tier asks of a directory and of a file, so that a test can be the disk.

use crate::error::{Error, ErrorKind, Result};
use std::path::Path;
use std::sync::Arc;

/// The room that a file system has, in bytes; `u64::MAX` where nobody can tell.
#[derive(Clone, Copy, Debug)]
pub struct Space {
    /// All of it, taken or free.
    pub total: u64,
    /// What this process may still take.
    pub available: u64,
    /// The longest file that this process may make (`RLIMIT_FSIZE`).
    pub file_bytes_max: u64,
}

/// One directory: the only place where a store has files. Names have no slash in them.
pub trait Disk: Send + Sync {
    /// The directory, for messages only.
    fn path(&self) -> &Path;

    /// Opens an existing file, for writing too if `writable`.
    ///
    /// # Errors
    /// `Io` with os code `ENOENT` if there is none of that name. Also, here and below, where something
    /// other than a regular file has the name.
    fn open(&self, name: &str, writable: bool) -> Result<Arc<dyn File>>;

    /// Makes a new file (owner may read and write, nobody else), for reading and writing.
    ///
    /// # Errors
    /// `Io` if the name is taken, `NoSpace` if the disk is full.
    fn create(&self, name: &str) -> Result<Arc<dyn File>>;

    /// As [`Disk::create`]; a file that has the name, which a crash or an error has left, is removed
    /// before.
    ///
    /// # Errors
    /// Those of [`Disk::create`] and [`Disk::remove`].
    fn create_anew(&self, name: &str) -> Result<Arc<dyn File>> {
        match self.create(name) {
            Err(error) if error.os_code() == libc::EEXIST => {
                self.remove(name)?;
                self.create(name)
            }
            result => result,
        }
    }

    /// Makes a new file that is written by storing into memory, and that no other process can open or
    /// cut as long as it is mapped. It has `len` bytes, a multiple of 4096: `head`, then zeros.
    ///
    /// # Errors
    /// `Io` where there is no such thing, or the name is taken; `NoSpace`. No file is left.
    fn create_mapped(&self, name: &str, head: &[u8], len: usize) -> Result<Box<dyn Mapped>>;

    /// Removes the name of a mapped file, unless it has come to stand for another.
    ///
    /// # Errors
    /// `Io`.
    fn remove_mapped(&self, name: &str, map: &dyn Mapped) -> Result<()>;

    /// The names of all that is in the directory, in any order, but for the `lost+found` of a new
    /// file system. One that is not UTF-8 is told with U+FFFD in it, and cannot be opened.
    ///
    /// # Errors
    /// `Io` if the directory cannot be read.
    fn list(&self) -> Result<Vec<String>>;

    /// Renames a file; one that has the name `to` already is replaced in one step.
    ///
    /// # Errors
    /// `Io`; nothing has changed then.
    fn rename(&self, from: &str, to: &str) -> Result<()>;

    /// Removes a name. The bytes stay readable through files that were told to [`File::keep`] them.
    ///
    /// # Errors
    /// `Io`; a missing name is one too.
    fn remove(&self, name: &str) -> Result<()>;

    /// The room of the file system at this moment.
    fn space(&self) -> Space;

    /// Makes names that were created, renamed and removed survive power loss.
    ///
    /// # Errors
    /// `Io`; what is on disk is then unknown.
    fn sync_names(&self) -> Result<()>;
}

/// One file. All reads and writes name their offset, so that threads may share it.
///
/// Where everything in it is synced, it may be closed behind the caller's back and opened again by its
/// name; so the name must not come to stand for another file.
pub trait File: Send + Sync {
    /// The file's path when it was opened, for messages only.
    fn path(&self) -> &Path;

    /// Reads at `offset` until `buffer` is full or the file ends; returns how many bytes.
    ///
    /// # Errors
    /// `Io`.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize>;

    /// Writes all `parts`, one after the other, starting at `offset`: one call to the kernel if it
    /// takes them all at once. After an error any prefix may have been written.
    ///
    /// # Errors
    /// `NoSpace` if the disk or the quota is full, else `Io`.
    fn write_at(&self, parts: &[&[u8]], offset: u64) -> Result<()>;

    /// Takes room on the disk for `bytes` bytes from `offset` on, which lies behind the end, without
    /// changing the length: writing them does not give `NoSpace` then. Where the file system has no
    /// such thing it does nothing. Cutting the file gives the room back, also what a failure has taken:
    /// ext4 keeps as much as there was.
    ///
    /// # Errors
    /// `NoSpace`.
    fn reserve(&self, offset: u64, bytes: u64) -> Result<()>;

    /// Makes the file `bytes` long, longer than it is, with zeros that have their room on the disk.
    ///
    /// # Errors
    /// `NoSpace`, `Io`: the file is as long as before.
    fn allocate(&self, bytes: u64) -> Result<()>;

    /// Makes the bytes written so far survive power loss.
    ///
    /// # Errors
    /// `Io`; what is on disk is then unknown, and a second sync proves nothing.
    fn sync(&self) -> Result<()>;

    /// Makes sure that the bytes can be read from now on even if the file's name is removed.
    ///
    /// # Errors
    /// `Io`.
    fn keep(&self) -> Result<()>;

    /// The length in bytes.
    ///
    /// # Errors
    /// `Io`.
    fn len(&self) -> Result<u64>;

    /// True if it has another name, in this directory or elsewhere: whoever opens that has the same bytes.
    ///
    /// # Errors
    /// `Io`.
    fn is_linked(&self) -> Result<bool>;

    /// The first offset, from `offset` on, at which something may have been written; the length if
    /// there is none. What lies before it was never written and reads as zeros. Where the file system
    /// cannot tell it is `offset` itself.
    ///
    /// # Errors
    /// `Io`.
    fn data_from(&self, offset: u64) -> Result<u64>;

    /// Gives the room of bytes within the file back, which read as zeros then; false where the file
    /// system cannot.
    ///
    /// # Errors
    /// `Io`.
    fn punch(&self, offset: u64, bytes: u64) -> Result<bool>;

    /// Cuts or extends (with zeros) the file.
    ///
    /// # Errors
    /// `Io`, or `NoSpace`.
    fn set_len(&self, bytes: u64) -> Result<()>;
}

/// A file that is written by storing into memory. Dropping it lets those go on who wait for the file.
pub trait Mapped: Send {
    /// Stores `bytes` at `at`. They survive the death of the process when this returns, without a
    /// call to the kernel. A power loss leaves of each page what it was at some moment.
    ///
    /// # Errors
    /// `Io`, `NoSpace`: the file cannot be written this way any more, or another process waits for
    /// it.
    fn put(&mut self, at: usize, bytes: &[u8]) -> Result<()>;

    /// True once another process waits to open or to cut the file. It waits until this is dropped,
    /// but not for ever: within half a minute what the file has must be elsewhere.
    fn is_wanted(&self) -> bool;

    /// What names the file in its file system whatever its name.
    fn id(&self) -> (u64, u64);
}

/// The error for a file that a newer library wrote.
pub fn newer(file: &dyn File, version: u32) -> Error {
    let sentence = format!(
        "{} has format version {version}, which this library does not know; use a newer one",
        file.path().display()
    );
    Error::new(ErrorKind::Unsupported, sentence)
}
