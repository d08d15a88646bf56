//! One writer, or any number of readers, of a directory: across processes and within one.
//!
//! Across processes it is an `fcntl` record lock on the file `LOCK`. It belongs to the process, so
//! it dies with it, also while forked children live on. That has two costs, which a table of this
//! process's locks pays: a second lock by the same process would succeed, and closing any
//! descriptor of the file would give up the lock. So the table, by device and inode, is asked
//! *before* the file is opened, and the readers of one process share one descriptor.
//!
//! # Invariants
//! 1. A file in the table is open once in this process, and has `holders` >= 1.

#![expect(unsafe_code, reason = "fcntl")]

use crate::error::{Error, ErrorKind, Result};
use crate::io::disk::{Directory, LOCK_FILE};
use crate::io::failure::failed;
use crate::io::files::Disk;
use crate::io::fork::PerProcess;
use crate::io::handles::{FileId, id_of};
use crate::sync::Mutex;
use std::collections::BTreeMap;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::{fs, io, process};

/// What a holder may do, and whom it keeps out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockMode {
    /// Writes; keeps everybody out.
    Exclusive,
    /// Reads; keeps writers out.
    Shared,
}

/// The right to use a directory, until dropped. In a forked child it is worth nothing, and dropping
/// it there leaves the parent's lock alone.
#[derive(Debug)]
pub struct DirLock {
    id: FileId,
    process_id: u32,
}

impl DirLock {
    /// Takes the lock of `directory`, without waiting.
    ///
    /// A reader that cannot make the lock file, as on a read-only file system, does without: no
    /// process could write there either. Within the process the directory is locked all the same.
    ///
    /// # Errors
    /// `Locked`: another handle, here or in the process that the message names, has it open.
    /// `Io`, `NoSpace`: the lock file cannot be made or locked.
    pub fn acquire(directory: &Directory, mode: LockMode) -> Result<Self> {
        let table = TABLE.get();
        // Held to the end, so that no other thread makes or opens the file in between.
        let mut held = table.value.lock();
        let id = match directory.id_of(LOCK_FILE)? {
            Some(id) => id,
            None => directory.id()?,
        };
        if let Some(lock) = held.get_mut(&id) {
            if (lock.mode, mode) != (LockMode::Shared, LockMode::Shared) {
                return Err(locked(directory.path(), "this process"));
            }
            lock.holders += 1;
            return Ok(Self { id, process_id: table.process_id });
        }
        let file = open(directory, mode)?;
        let id = match &file {
            Some(file) => file
                .metadata()
                .map(|found| id_of(&found))
                .map_err(|error| failed(doing(directory), &error, ""))?,
            None => id,
        };
        if held.contains_key(&id) {
            // Somebody renamed lock files just now. The descriptor stays open for good, because
            // closing it would give up the lock that this process has on the same file.
            std::mem::forget(file);
            return Err(locked(directory.path(), "this process"));
        }
        if let Some(file) = &file {
            lock(file, mode, directory)?;
        }
        held.insert(id, Held { mode, holders: 1, _file: file });
        Ok(Self { id, process_id: table.process_id })
    }
}

impl Drop for DirLock {
    fn drop(&mut self) {
        if self.process_id != process::id() {
            return;
        }
        let mut held = TABLE.get().value.lock();
        if let Some(lock) = held.get_mut(&self.id) {
            lock.holders -= 1;
            if lock.holders == 0 {
                held.remove(&self.id);
            }
        }
    }
}

struct Held {
    mode: LockMode,
    holders: usize,
    /// Closing it gives up the lock. None: a reader without a lock file.
    _file: Option<fs::File>,
}

/// The locks of this process.
static TABLE: PerProcess<Mutex<BTreeMap<FileId, Held>>> = PerProcess::new();

/// Opens the lock file, making it if it is missing; `None` for a reader that cannot make it.
fn open(directory: &Directory, mode: LockMode) -> Result<Option<fs::File>> {
    if mode == LockMode::Shared {
        // A reader must not need the right to write, so it makes the file only if it has to.
        match directory.open_with(LOCK_FILE, libc::O_RDONLY) {
            Err(error) if error.os_code() == libc::ENOENT => {}
            result => return result.map(Some),
        }
    }
    match directory.open_with(LOCK_FILE, libc::O_RDWR | libc::O_CREAT) {
        Err(error)
            if mode == LockMode::Shared
                && matches!(error.os_code(), libc::EROFS | libc::EACCES | libc::EPERM) =>
        {
            Ok(None)
        }
        result => result.map(Some),
    }
}

fn lock(file: &fs::File, mode: LockMode, directory: &Directory) -> Result<()> {
    let kind = match mode {
        LockMode::Exclusive => libc::F_WRLCK,
        LockMode::Shared => libc::F_RDLCK,
    };
    let error = match control(file, libc::F_SETLK, kind) {
        Ok(_) => return Ok(()),
        Err(error) => error,
    };
    if !matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) {
        return Err(failed(doing(directory), &error, "use a file system that has record locks"));
    }
    // The holder may be gone by now, or live in another container: then its number is unknown.
    let holder = match control(file, libc::F_GETLK, kind) {
        Ok(found) if found.l_pid > 0 => format!("process {}", found.l_pid),
        _ => "another process".to_owned(),
    };
    Err(locked(directory.path(), &holder))
}

/// Asks for, or about, a record lock of `kind` on the whole file.
fn control(file: &fs::File, command: libc::c_int, kind: libc::c_int) -> io::Result<libc::flock> {
    // SAFETY: all bytes zero is a valid `flock`: the whole file, from its start.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = libc::c_short::try_from(kind).unwrap_or_default();
    lock.l_whence = libc::c_short::try_from(libc::SEEK_SET).unwrap_or_default();
    // SAFETY: the descriptor is open, and both commands take a pointer to a `flock`.
    let status = unsafe { libc::fcntl(file.as_raw_fd(), command, &raw mut lock) };
    if status < 0 { Err(io::Error::last_os_error()) } else { Ok(lock) }
}

fn doing(directory: &Directory) -> String {
    format!("lock {LOCK_FILE} in {}", directory.path().display())
}

fn locked(path: &Path, holder: &str) -> Error {
    let path = path.display();
    Error::new(
        ErrorKind::Locked,
        format!("open {path}: {holder} has it open; close it there first"),
    )
}

#[cfg(test)]
mod tests;
