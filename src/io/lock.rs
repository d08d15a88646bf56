//! One writer, or any number of readers, of a directory: across processes and within one.
//!
//! The lock is a `flock` on the directory itself, by a descriptor that is opened for it alone. The
//! kernel keeps it with the open file. So nothing that happens to files in the directory loses it,
//! a reader needs no right to write, and two copies of this library in one process keep each other
//! out. A record lock (`fcntl`) would be lost when the process closes any descriptor of the file: a
//! backup by `cp` in the same process is enough. A lock file could be removed.
//!
//! The lock ends with its last descriptor, so a forked child closes its copy before `fork` returns
//! there ([`Unshared`]), and close gives the lock back by name (`LOCK_UN`). A process that is
//! killed right after a fork may leave the lock with the child until that has run for the first
//! time. So a process that finds the lock of a dead process tries again for a fifth of a second.
//!
//! A file system that machines share may keep a directory's lock to one machine (NFS does, and does
//! not say so), or have none. So unless the file system is known for a local one, the file `LOCK`
//! in the directory is locked too (`F_OFD_SETLK`), and its name compared afterwards. On such a file
//! system, removing `LOCK` while the store is open lets another machine in, though no other process
//! of this one.
//!
//! # Invariants
//! 1. The directory is locked before the file, and given back after it.
//! 2. When the file is locked, its name is that very file's.

#![expect(unsafe_code, reason = "flock and fcntl")]

use crate::error::{Error, ErrorKind, Result};
use crate::io::calls::{self, FileId, check};
use crate::io::disk::Directory;
use crate::io::failure::{failed, is_missing};
use crate::io::files::Disk;
use crate::io::fork;
use crate::io::retry::{pause, retried};
use crate::io::unshared::Unshared;
use std::os::fd::{AsRawFd, RawFd};
use std::path::Path;
use std::{io, process};

/// The file that is locked beside the directory where machines may share it. It is empty.
pub const LOCK_FILE: &str = "LOCK";

/// How often the file is locked again because it has lost its name meanwhile.
const TRIES: u32 = 10;

/// How often a lock is tried that a process which has died may have left, 5 milliseconds apart.
const GRACE_TRIES: u32 = 40;

/// The file systems that no other machine has mounted, of those that hold stores mostly. One that is
/// missing here costs an empty file.
const LOCAL: [i128; 8] = [
    0xEF53,      // ext2, ext3, ext4
    0x5846_5342, // xfs
    0x9123_683E, // btrfs
    0x0102_1994, // tmpfs
    0x794C_7630, // overlayfs
    0xF2F5_2010, // f2fs
    0x2FC1_2FC1, // zfs
    0xCA45_1A4E, // bcachefs
];

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
    // Dropped in this order (invariant 1).
    _file: Option<LockedDescriptor>,
    _directory: Option<LockedDescriptor>,
}

impl DirLock {
    /// Takes the lock of `directory`, without waiting. Where a file is needed for it that is not there
    /// yet, `before_making` is called before it is made.
    ///
    /// # Errors
    /// `Locked`: another handle, here or in the process that the message names, has it open.
    /// `Io`, `NoSpace`: the directory cannot be locked; those of `before_making`.
    pub fn acquire(
        directory: &Directory,
        mode: LockMode,
        before_making: &dyn Fn() -> Result<()>,
    ) -> Result<Self> {
        let kind = calls::file_system_of(directory.file());
        let kind = kind.map_err(|error| failed(doing(directory, "."), &error, ""))?;
        Self::acquire_on(LOCAL.contains(&kind), directory, mode, before_making)
    }

    fn acquire_on(
        is_local: bool,
        directory: &Directory,
        mode: LockMode,
        before_making: &dyn Fn() -> Result<()>,
    ) -> Result<Self> {
        fork::watch()?;
        let own = lock_directory(directory, mode)?;
        let file = match own {
            Some(_) if is_local => None,
            _ => lock_file(directory, mode, before_making)?,
        };
        Ok(Self { _file: file, _directory: own })
    }
}

/// A locked descriptor.
#[derive(Debug)]
struct LockedDescriptor {
    descriptor: Unshared,
    unlock: fn(RawFd) -> io::Result<()>,
}

impl Drop for LockedDescriptor {
    fn drop(&mut self) {
        // Closing it is not enough: a fork that is under way may have a copy for another moment.
        self.descriptor.with(self.unlock);
    }
}

/// Locks the directory; `None` if its file system has no such lock.
fn lock_directory(directory: &Directory, mode: LockMode) -> Result<Option<LockedDescriptor>> {
    let explained = |error| failed(doing(directory, "."), &error, "");
    let id = calls::status_of(directory.file()).map_err(explained)?.id;
    let open = || calls::reopen_directory(directory.file().as_raw_fd());
    let descriptor = Unshared::open(open).map_err(explained)?;
    let operation = match mode {
        LockMode::Exclusive => libc::LOCK_EX,
        LockMode::Shared => libc::LOCK_SH,
    };
    let is_held = || holder(id).is_some_and(is_alive);
    match take(&descriptor, &|fd| flock(fd, operation | libc::LOCK_NB), &is_held) {
        Ok(true) => {
            Ok(Some(LockedDescriptor { descriptor, unlock: |fd| flock(fd, libc::LOCK_UN) }))
        }
        Ok(false) => Err(is_locked(directory.path(), holder(id))),
        Err(error) => match error.raw_os_error() {
            Some(libc::EBADF | libc::EINVAL | libc::ENOLCK | libc::EOPNOTSUPP | libc::ENOSYS) => {
                Ok(None)
            }
            _ => Err(explained(error)),
        },
    }
}

/// Calls `lock`; false if somebody has the lock. A holder that has died may leave the lock for a
/// moment with a child that was just forked and has not closed its copy yet. So this waits for a
/// moment, unless `is_held` says that the holder lives.
fn take(
    descriptor: &Unshared,
    lock: &dyn Fn(RawFd) -> io::Result<()>,
    is_held: &dyn Fn() -> bool,
) -> io::Result<bool> {
    for _ in 0..GRACE_TRIES {
        let gone = || Err(io::Error::from_raw_os_error(libc::EBADF));
        match descriptor.with(lock).unwrap_or_else(gone) {
            Ok(()) => return Ok(true),
            Err(error) if !matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) => {
                return Err(error);
            }
            Err(_) if is_held() => break,
            Err(_) => pause(u32::MAX),
        }
    }
    Ok(false)
}

/// Locks the file; `None` for a reader where it is missing and the file system is read-only: nobody
/// writes there.
fn lock_file(
    directory: &Directory,
    mode: LockMode,
    before_making: &dyn Fn() -> Result<()>,
) -> Result<Option<LockedDescriptor>> {
    let kind = match mode {
        LockMode::Exclusive => libc::F_WRLCK,
        LockMode::Shared => libc::F_RDLCK,
    };
    for _ in 0..TRIES {
        let (descriptor, id) = match open_file(directory, mode, before_making) {
            Err(error) if mode == LockMode::Shared && error.os_code() == libc::EROFS => {
                return Ok(None);
            }
            opened => opened?,
        };
        // The kernel does not tell whose such a lock is.
        match take(&descriptor, &|fd| set_lock(fd, kind), &|| false) {
            Ok(true) => {}
            Ok(false) => return Err(is_locked(directory.path(), None)),
            Err(error) => {
                let advice = "use a file system that has locks";
                return Err(failed(doing(directory, LOCK_FILE), &error, advice));
            }
        }
        let held = LockedDescriptor { descriptor, unlock: |fd| set_lock(fd, libc::F_UNLCK) };
        if directory.id_of(LOCK_FILE)? == Some(id) {
            return Ok(Some(held));
        }
    }
    let sentence = format!("{}: it is removed again and again", doing(directory, LOCK_FILE));
    Err(Error::new(ErrorKind::Io, sentence))
}

/// Opens the file, making it if it is missing.
fn open_file(
    directory: &Directory,
    mode: LockMode,
    before_making: &dyn Fn() -> Result<()>,
) -> Result<(Unshared, FileId)> {
    let mut id = (0, 0);
    let mut open = |flags| {
        Unshared::open(|| {
            let file = directory.open_with(LOCK_FILE, flags)?;
            let found = calls::status_of(&file);
            id = found.map_err(|error| failed(doing(directory, LOCK_FILE), &error, ""))?.id;
            Ok(file)
        })
    };
    let existing = match mode {
        LockMode::Exclusive => libc::O_RDWR,
        // A reader must not need the right to write, so it makes the file only if it has to.
        LockMode::Shared => libc::O_RDONLY,
    };
    let descriptor = match open(existing) {
        Err(error) if is_missing(&error) => {
            before_making()?;
            open(libc::O_RDWR | libc::O_CREAT)
        }
        result => result,
    };
    Ok((descriptor?, id))
}

fn flock(fd: RawFd, operation: libc::c_int) -> io::Result<()> {
    // SAFETY: any number is fine for the call.
    retried(|| check(unsafe { libc::flock(fd, operation) })).map(|_| ())
}

/// Takes or gives back the lock of the whole open file.
fn set_lock(fd: RawFd, kind: libc::c_int) -> io::Result<()> {
    // SAFETY: all bytes zero is a valid `flock`: the whole file, from its start.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = libc::c_short::try_from(kind).unwrap_or_default();
    lock.l_whence = libc::c_short::try_from(libc::SEEK_SET).unwrap_or_default();
    // SAFETY: any number is fine for the call, and the command takes a pointer to a `flock`.
    retried(|| check(unsafe { libc::fcntl(fd, libc::F_OFD_SETLK, &raw const lock) })).map(|_| ())
}

/// The process that has taken a lock of `flock` on that file, as far as the kernel tells.
fn holder(id: FileId) -> Option<u32> {
    let locks = calls::read_path(Path::new("/proc/locks")).unwrap_or_default();
    String::from_utf8_lossy(&locks).lines().find_map(|line| process_of(line, id))
}

/// True unless the process has ended. One that has ended and was not waited for is a zombie (`Z`).
fn is_alive(process_id: u32) -> bool {
    let stat = calls::read_path(Path::new(&format!("/proc/{process_id}/stat")));
    let stat = stat.unwrap_or_default();
    // The name stands in parentheses before the state, and may have some of its own.
    let state = stat.rsplit(|byte| *byte == b')').next().and_then(|rest| rest.get(1));
    state.is_some_and(|state| !matches!(state, b'Z' | b'X'))
}

/// The process of a line like `1: FLOCK  ADVISORY  WRITE 4711 fe:01:1234 0 EOF`, if it is about that
/// file. One in another container has no number here.
fn process_of(line: &str, (device, inode): FileId) -> Option<u32> {
    let mut words = line.split_whitespace().skip(1);
    let is_flock = words.next()? == "FLOCK";
    let (process_id, file) = (words.nth(2)?, words.next()?);
    let mut numbers = file.split(':');
    let mut hex = || u32::from_str_radix(numbers.next()?, 16).ok();
    let is_device = libc::makedev(hex()?, hex()?) == device;
    let is_this = is_flock && is_device && numbers.next()?.parse() == Ok(inode);
    process_id.parse().ok().filter(|process_id| is_this && *process_id > 0)
}

fn doing(directory: &Directory, name: &str) -> String {
    format!("lock {name} in {}", directory.path().display())
}

fn is_locked(path: &Path, holder: Option<u32>) -> Error {
    let (path, holder) = match holder {
        Some(id) if id == process::id() => (path.display(), "this process".to_owned()),
        Some(id) => (path.display(), format!("process {id}")),
        None => (path.display(), "another process".to_owned()),
    };
    Error::new(
        ErrorKind::Locked,
        format!("open {path}: {holder} has it open; close it there first"),
    )
}

#[cfg(test)]
mod tests;
