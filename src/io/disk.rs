//! A directory of the local file system.
//!
//! Files are opened relative to a descriptor of the directory that is held from the start: a store
//! goes on in its directory when that is renamed or the process changes its own. What the standard
//! library does safely (`pread`, `fdatasync`, `ftruncate`) is left to it; the calls below are those
//! it lacks.
//!
//! # Invariants
//! 1. Every descriptor is close-on-exec.
//! 2. Files and directories made here are readable and writable by their owner only.
//! 3. The lock file is opened by `io::lock` alone: a process loses its record lock as soon as it
//!    closes *any* descriptor of the locked file.

#![expect(unsafe_code, reason = "openat and its relatives, and positioned vectored writes")]

use crate::error::{Error, ErrorKind, Result};
use crate::io::failure::failed;
use crate::io::files::{Disk, File, Mapped, Space};
use crate::io::handles::{FileId, Handle, PoolRef, id_of, opened, pool_of_this_process};
use crate::io::map::FileMap;
use std::ffi::{CStr, CString};
use std::io::IoSlice;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

/// The lock file's name. It is listed like any other, and must not be opened (invariant 3).
pub const LOCK_FILE: &str = "LOCK";

/// Parts that one `pwritev` takes: Linux has had this value (`UIO_MAXIOV`) always.
const PARTS_PER_CALL: usize = 1024;

/// Parts that are gathered without an allocation: a record is header, key and value.
const PARTS_ON_STACK: usize = 8;

/// How a file is opened that must not be there yet.
const NEW: libc::c_int = libc::O_RDWR | libc::O_CREAT | libc::O_EXCL;

/// An open directory, the real [`Disk`]. May be shared by threads.
pub struct Directory {
    path: PathBuf,
    file: Arc<fs::File>,
    pool: PoolRef,
}

impl Directory {
    /// Opens the directory at `path`; with `create` it is made when missing, its parents too, in
    /// such a way that they survive power loss.
    ///
    /// # Errors
    /// `Io`, with os code `ENOENT` for a missing directory, `ENOTDIR` for a file; `NoSpace`.
    pub fn open(path: &Path, create: bool) -> Result<Self> {
        Self::open_in(pool_of_this_process(), path, create)
    }

    /// As [`Directory::open`]; its files share the descriptors of `pool`.
    pub(in crate::io) fn open_in(pool: PoolRef, path: &Path, create: bool) -> Result<Self> {
        if create {
            make_with_parents(pool, path)?;
        }
        match opened(pool, || open_directory(path)) {
            Ok(file) => Ok(Self { path: path.to_owned(), file: Arc::new(file), pool }),
            Err(error) => Err(match error.raw_os_error() {
                Some(libc::ENOENT) => failed(
                    format!("open directory {}", path.display()),
                    &error,
                    "set create=true to make it",
                ),
                Some(libc::ENOTDIR) => failed(
                    format!("open directory {}", path.display()),
                    &error,
                    "give the path of a directory",
                ),
                _ => failed(format!("open directory {}", path.display()), &error, ""),
            }),
        }
    }

    /// Device and inode of the directory itself.
    ///
    /// # Errors
    /// `Io`.
    pub fn id(&self) -> Result<FileId> {
        let found = self.file.metadata();
        let found = found.map_err(|error| failed(self.doing("look at", "."), &error, ""))?;
        Ok(id_of(&found))
    }

    /// Device and inode of the file `name`, or `None` if there is none; does not open it.
    ///
    /// # Errors
    /// `Io`.
    pub(in crate::io) fn id_of(&self, name: &str) -> Result<Option<FileId>> {
        let c_name = self.c_name(name)?;
        // SAFETY: all bytes zero is a valid `stat`.
        let mut found: libc::stat = unsafe { std::mem::zeroed() };
        // SAFETY: the descriptor is open, the name ends with NUL, and `found` is ours to write.
        let status = unsafe { libc::fstatat(self.fd(), c_name.as_ptr(), &raw mut found, 0) };
        match check(status) {
            Ok(_) => Ok(Some((found.st_dev, found.st_ino))),
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
            Err(error) => Err(failed(self.doing("look for", name), &error, "")),
        }
    }

    /// Opens `name` with `flags` of `open(2)`; a file that is made has mode 0600.
    ///
    /// # Errors
    /// `Io`, `NoSpace`.
    pub(in crate::io) fn open_with(&self, name: &str, flags: libc::c_int) -> Result<fs::File> {
        let c_name = self.c_name(name)?;
        opened(self.pool, || open_at(self.fd(), &c_name, flags)).map_err(|error| {
            let verb = if flags & libc::O_CREAT == 0 { "open" } else { "create" };
            failed(self.doing(verb, name), &error, "")
        })
    }

    fn local(&self, name: &str, flags: libc::c_int) -> Result<Arc<dyn File>> {
        debug_assert_ne!(name, LOCK_FILE, "closing it would give up the lock (invariant 3)");
        Ok(Arc::new(self.local_file(name, flags)?))
    }

    fn local_file(&self, name: &str, flags: libc::c_int) -> Result<LocalFile> {
        let writable = flags & libc::O_ACCMODE == libc::O_RDWR;
        let handle = Handle::new(self.pool, self.open_with(name, flags)?, writable);
        let (path, directory) = (self.path.join(name), self.file.clone());
        Ok(LocalFile { path, directory, writable, handle })
    }

    fn fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }

    fn c_name(&self, name: &str) -> Result<CString> {
        let plain = !name.contains('/');
        CString::new(name).ok().filter(|_| plain).ok_or_else(|| {
            let doing = self.doing("use", &name.escape_debug().to_string());
            Error::new(ErrorKind::InvalidArgument, format!("{doing}: not a file name"))
        })
    }

    fn doing(&self, verb: &str, name: &str) -> String {
        format!("{verb} {name} in {}", self.path.display())
    }
}

impl Disk for Directory {
    fn path(&self) -> &Path {
        &self.path
    }

    fn open(&self, name: &str, writable: bool) -> Result<Arc<dyn File>> {
        self.local(name, if writable { libc::O_RDWR } else { libc::O_RDONLY })
    }

    fn create(&self, name: &str) -> Result<Arc<dyn File>> {
        self.local(name, NEW)
    }

    fn create_mapped(&self, name: &str, bytes: usize) -> Result<Box<dyn Mapped>> {
        let file = self.open_with(name, NEW)?;
        // Written and not only lengthened, so that every page has its room.
        let made = file
            .write_all_at(&vec![0; bytes], 0)
            .map_err(|error| failed(self.doing("write", name), &error, ""))
            .and_then(|()| FileMap::new(self.path.join(name), &file, bytes));
        match made {
            Ok(map) => Ok(Box::new(map)),
            Err(error) => Err(self.remove(name).err().unwrap_or(error)),
        }
    }

    fn list(&self) -> Result<Vec<String>> {
        opened(self.pool, || list(self.fd()))
            .map_err(|error| failed(format!("list directory {}", self.path.display()), &error, ""))
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        let (c_from, c_to) = (self.c_name(from)?, self.c_name(to)?);
        // SAFETY: the descriptor is open and both names end with NUL.
        let status =
            unsafe { libc::renameat(self.fd(), c_from.as_ptr(), self.fd(), c_to.as_ptr()) };
        check(status)
            .map_err(|error| failed(self.doing(&format!("rename {from} to"), to), &error, ""))?;
        Ok(())
    }

    fn remove(&self, name: &str) -> Result<()> {
        let c_name = self.c_name(name)?;
        // SAFETY: the descriptor is open and the name ends with NUL.
        let status = unsafe { libc::unlinkat(self.fd(), c_name.as_ptr(), 0) };
        check(status).map_err(|error| failed(self.doing("remove", name), &error, ""))?;
        Ok(())
    }

    fn space(&self) -> Space {
        // SAFETY: all bytes zero is a valid `statvfs`.
        let mut found: libc::statvfs = unsafe { std::mem::zeroed() };
        // SAFETY: the descriptor is open, and `found` is ours to write.
        let is_known = check(unsafe { libc::fstatvfs(self.fd(), &raw mut found) }).is_ok();
        let bytes = |blocks: u64| match is_known && found.f_blocks != 0 {
            true => blocks.saturating_mul(found.f_frsize),
            false => u64::MAX,
        };
        // Some of the free room may be for root alone.
        // SAFETY: always sound.
        let is_root = unsafe { libc::geteuid() } == 0;
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: `limit` is ours to write.
        let has_limit = check(unsafe { libc::getrlimit(libc::RLIMIT_FSIZE, &raw mut limit) });
        Space {
            total: bytes(found.f_blocks),
            available: bytes(if is_root { found.f_bfree } else { found.f_bavail }),
            file_bytes_max: has_limit.map_or(u64::MAX, |_| limit.rlim_cur),
        }
    }

    fn sync_names(&self) -> Result<()> {
        sync_directory(&self.file)
            .map_err(|error| failed(format!("sync directory {}", self.path.display()), &error, ""))
    }
}

struct LocalFile {
    path: PathBuf,
    directory: Arc<fs::File>,
    writable: bool,
    handle: Handle,
}

impl LocalFile {
    /// Opens the file again, which had a descriptor before.
    fn reopen(&self, writable: bool) -> io::Result<fs::File> {
        let name = self.path.file_name().unwrap_or_default().as_bytes();
        let flags = if writable { libc::O_RDWR } else { libc::O_RDONLY };
        open_at(self.directory.as_raw_fd(), &CString::new(name)?, flags)
    }

    /// Lends the open file for a change.
    fn write<T>(&self, verb: &str, use_it: impl FnOnce(&fs::File) -> io::Result<T>) -> Result<T> {
        let written = match self.writable {
            true => self.handle.write(&|writable| self.reopen(writable), use_it),
            false => Err(from_code(libc::EBADF)),
        };
        written.map_err(|error| self.failed(verb, &error))
    }

    fn failed(&self, verb: &str, error: &io::Error) -> Error {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let directory = self.path.parent().unwrap_or(Path::new("")).display();
        failed(format!("{verb} {name} in {directory}"), error, "")
    }
}

impl File for LocalFile {
    fn path(&self) -> &Path {
        &self.path
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        self.handle
            .read(&|writable| self.reopen(writable), |file| read_all(file, buffer, offset))
            .map_err(|error| self.failed("read", &error))
    }

    fn write_at(&self, parts: &[&[u8]], offset: u64) -> Result<()> {
        self.write("write", |file| {
            let fd = file.as_raw_fd();
            if parts.len() > PARTS_ON_STACK {
                let mut slices: Vec<_> = parts.iter().map(|part| IoSlice::new(part)).collect();
                return write_all(fd, &mut slices, offset);
            }
            let mut slices = [IoSlice::new(&[]); PARTS_ON_STACK];
            for (slice, part) in slices.iter_mut().zip(parts) {
                *slice = IoSlice::new(part);
            }
            write_all(fd, &mut slices[..parts.len()], offset)
        })
    }

    fn reserve(&self, offset: u64, bytes: u64) -> Result<()> {
        self.write("reserve room in", |file| {
            let too_far = |_| from_code(libc::EFBIG);
            let (offset, bytes) =
                (i64::try_from(offset).map_err(too_far)?, i64::try_from(bytes).map_err(too_far)?);
            let (fd, mode) = (file.as_raw_fd(), libc::FALLOC_FL_KEEP_SIZE);
            // SAFETY: the descriptor is open.
            match check(unsafe { libc::fallocate(fd, mode, offset, bytes) }) {
                Err(e) if matches!(e.raw_os_error(), Some(libc::ENOSPC | libc::EDQUOT)) => Err(e),
                // Whatever else is wrong, a write tells better; many file systems have no such call.
                _ => Ok(()),
            }
        })
    }

    fn allocate(&self, bytes: u64) -> Result<()> {
        self.write("take room for", |file| {
            let before = file.metadata()?.len();
            // What a failure has taken goes; that it failed is what counts.
            take_room(file, before, bytes).inspect_err(|_| drop(file.set_len(before)))
        })
    }

    fn sync(&self) -> Result<()> {
        let synced = self.handle.sync(&|writable| self.reopen(writable));
        synced.map_err(|error| self.failed("sync", &error))
    }

    fn keep(&self) -> Result<()> {
        let kept = self.handle.keep(&|writable| self.reopen(writable));
        kept.map_err(|error| self.failed("open", &error))
    }

    fn len(&self) -> Result<u64> {
        self.handle.len().map_err(|error| self.failed("look at", &error))
    }

    fn set_len(&self, bytes: u64) -> Result<()> {
        self.write("set the length of", |file| file.set_len(bytes))
    }
}

/// Makes the file longer, in such a way that every byte has its room.
fn take_room(file: &fs::File, from: u64, to: u64) -> io::Result<()> {
    let too_far = |_| from_code(libc::EFBIG);
    let bytes = to.saturating_sub(from);
    let (at, length) =
        (i64::try_from(from).map_err(too_far)?, i64::try_from(bytes).map_err(too_far)?);
    // SAFETY: the descriptor is open.
    match check(unsafe { libc::fallocate(file.as_raw_fd(), 0, at, length) }) {
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => {}
        result => return result.map(drop),
    }
    // The file system has no such call: what is written has its room as well.
    let zeros = [0; 4096];
    let mut at = from;
    while at < to {
        let count = usize::try_from(to - at).unwrap_or(zeros.len()).min(zeros.len());
        file.write_all_at(&zeros[..count], at)?;
        at += count as u64;
    }
    Ok(())
}

/// Reads until the buffer is full or the file ends; returns how many bytes.
fn read_all(file: &fs::File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while done < buffer.len() {
        match file.read_at(&mut buffer[done..], offset.saturating_add(done as u64)) {
            Ok(0) => break,
            Ok(count) => done += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// Writes all slices one after the other; the system may take them in several bites.
fn write_all(fd: RawFd, mut slices: &mut [IoSlice<'_>], offset: u64) -> io::Result<()> {
    let mut offset = i64::try_from(offset).map_err(|_| from_code(libc::EFBIG))?;
    // Drops empty slices in front: nothing written is then a fault of the file.
    IoSlice::advance_slices(&mut slices, 0);
    while !slices.is_empty() {
        let written = match write_some(fd, slices, offset) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Ok(0) => return Err(from_code(libc::EIO)),
            result => result?,
        };
        IoSlice::advance_slices(&mut slices, written);
        let step = i64::try_from(written).map_err(|_| from_code(libc::EFBIG))?;
        offset = offset.checked_add(step).ok_or_else(|| from_code(libc::EFBIG))?;
    }
    Ok(())
}

fn write_some(fd: RawFd, slices: &[IoSlice<'_>], offset: i64) -> io::Result<usize> {
    let status = if let [slice] = slices {
        // SAFETY: the descriptor is open, and the slice has `len` readable bytes.
        unsafe { libc::pwrite(fd, slice.as_ptr().cast(), slice.len(), offset) }
    } else {
        let count = libc::c_int::try_from(slices.len().min(PARTS_PER_CALL)).unwrap_or(1);
        // SAFETY: `IoSlice` has the layout of `iovec` (the standard library promises it), `count`
        // is at most their number, and each has `len` readable bytes.
        unsafe { libc::pwritev(fd, slices.as_ptr().cast(), count, offset) }
    };
    usize::try_from(status).map_err(|_| io::Error::last_os_error())
}

fn open_at(directory: RawFd, name: &CStr, flags: libc::c_int) -> io::Result<fs::File> {
    let mode: libc::c_uint = 0o600;
    // SAFETY: the descriptor is open and the name ends with NUL; the mode is there for O_CREAT.
    let fd =
        check(unsafe { libc::openat(directory, name.as_ptr(), flags | libc::O_CLOEXEC, mode) })?;
    // SAFETY: the descriptor was just made, and nobody else has it.
    Ok(unsafe { fs::File::from_raw_fd(fd) })
}

/// The names in a directory, but for those of directories and those that are not UTF-8: neither
/// can be a store's.
fn list(directory: RawFd) -> io::Result<Vec<String>> {
    // A descriptor of its own, because the position of a listing belongs to the descriptor.
    let fd = open_at(directory, c".", libc::O_RDONLY | libc::O_DIRECTORY)?.into_raw_fd();
    // SAFETY: the descriptor is an open directory, and is given away here.
    let stream = unsafe { libc::fdopendir(fd) };
    if stream.is_null() {
        let error = io::Error::last_os_error();
        // SAFETY: `fdopendir` did not take the descriptor.
        unsafe { libc::close(fd) };
        return Err(error);
    }
    let mut names = Vec::new();
    let outcome = loop {
        // SAFETY: the end and a failure of `readdir` differ in `errno` alone, which is the thread's.
        unsafe { *libc::__errno_location() = 0 };
        // SAFETY: the stream is open and used by this thread only.
        let entry = unsafe { libc::readdir(stream) };
        if entry.is_null() {
            let error = io::Error::last_os_error();
            break if error.raw_os_error() == Some(0) { Ok(()) } else { Err(error) };
        }
        // SAFETY: the entry is valid until the next `readdir`, its name ends with NUL.
        let (kind, name) = unsafe { ((*entry).d_type, CStr::from_ptr((*entry).d_name.as_ptr())) };
        if let (false, Ok(name)) = (kind == libc::DT_DIR, name.to_str())
            && name != "."
            && name != ".."
        {
            names.push(name.to_owned());
        }
    };
    // SAFETY: the stream is open; its descriptor goes with it.
    unsafe { libc::closedir(stream) };
    outcome.map(|()| names)
}

/// Makes the directory and its missing parents, each of them durable before the next.
fn make_with_parents(pool: PoolRef, path: &Path) -> Result<()> {
    let made = match fs::DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {
            let Some(parent) = parent_of(path) else {
                return Err(failed(format!("make directory {}", path.display()), &error, ""));
            };
            make_with_parents(pool, parent)?;
            fs::DirBuilder::new().mode(0o700).create(path)
        }
        first => first,
    };
    match made {
        Ok(()) => {
            let parent = parent_of(path).unwrap_or(Path::new("."));
            opened(pool, || open_directory(parent))
                .and_then(|parent| sync_directory(&parent))
                .map_err(|error| failed(format!("sync directory {}", parent.display()), &error, ""))
        }
        // Whether a directory has the name, and not a file, comes out when it is opened. A file
        // system that is read-only says so even of names that exist.
        Err(_) if path.exists() => Ok(()),
        Err(error) => Err(failed(format!("make directory {}", path.display()), &error, "")),
    }
}

/// The parent, where `a` has the current directory for one.
fn parent_of(path: &Path) -> Option<&Path> {
    path.parent().map(|parent| if parent.as_os_str().is_empty() { Path::new(".") } else { parent })
}

fn open_directory(path: &Path) -> io::Result<fs::File> {
    fs::OpenOptions::new().read(true).custom_flags(libc::O_DIRECTORY).open(path)
}

fn sync_directory(directory: &fs::File) -> io::Result<()> {
    match directory.sync_all() {
        // The file system keeps names durable by itself, or not at all: it has no such call.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(()),
        result => result,
    }
}

fn check(status: libc::c_int) -> io::Result<libc::c_int> {
    if status < 0 { Err(io::Error::last_os_error()) } else { Ok(status) }
}

fn from_code(code: i32) -> io::Error {
    io::Error::from_raw_os_error(code)
}

#[cfg(test)]
mod tests;
