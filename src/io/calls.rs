//! The calls to the kernel that directories and files need, each made again when it is interrupted.
//!
//! # Invariants
//! 1. Every descriptor is close-on-exec.
//! 2. Nothing in a directory is opened through a symbolic link, and no opening waits, as that of a
//!    FIFO would.

#![expect(unsafe_code, reason = "openat and its relatives, and positioned writes")]

use crate::io::limit;
use crate::io::retry::{is_interrupted, retried};
use std::ffi::{CStr, CString};
use std::io::{IoSlice, Read};
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::{fs, io};

/// What names a file in a machine whatever its path: device and inode.
pub type FileId = (u64, u64);

/// Parts that one `pwritev` takes: Linux has had this value (`UIO_MAXIOV`) always.
const PARTS_PER_CALL: usize = 1024;

/// How a file is opened that must not be there yet.
pub const NEW: libc::c_int = libc::O_RDWR | libc::O_CREAT | libc::O_EXCL;

/// What is known of a file without reading it.
#[derive(Clone, Copy, Debug)]
pub struct Status {
    /// Which file.
    pub id: FileId,
    /// Its length in bytes.
    pub len: u64,
    /// It has more names than one.
    pub is_linked: bool,
    /// Its kind, and who may do what.
    pub mode: u32,
    /// The user it belongs to.
    pub owner: u32,
}

impl Status {
    /// What it is, if it is no regular file: in words, and the code that `open` has for it.
    pub fn oddity(&self) -> Option<(&'static str, i32)> {
        match self.mode & libc::S_IFMT {
            libc::S_IFREG => None,
            libc::S_IFDIR => Some(("a directory", libc::EISDIR)),
            libc::S_IFLNK => Some(("a symbolic link", libc::ELOOP)),
            libc::S_IFIFO => Some(("a FIFO", libc::ENXIO)),
            libc::S_IFSOCK => Some(("a socket", libc::ENXIO)),
            _ => Some(("a device", libc::ENXIO)),
        }
    }
}

impl From<&libc::stat> for Status {
    fn from(found: &libc::stat) -> Self {
        Self {
            id: (found.st_dev, found.st_ino),
            len: u64::try_from(found.st_size).unwrap_or(0),
            is_linked: found.st_nlink > 1,
            mode: found.st_mode,
            owner: found.st_uid,
        }
    }
}

/// Opens `name` of a directory; a file that is made has mode 0600.
///
/// # Errors
/// Those of `openat`.
pub fn open_at(directory: RawFd, name: &CStr, flags: libc::c_int) -> io::Result<fs::File> {
    retried(|| open_once(directory, name, flags | libc::O_NOFOLLOW))
}

/// Makes the file `name`, which is not there, of a directory in which nobody else makes files.
///
/// # Errors
/// Those of `openat`.
pub fn create_at(directory: RawFd, name: &CStr) -> io::Result<fs::File> {
    let mut was_interrupted = false;
    retried(|| match open_once(directory, name, NEW) {
        Err(error) if is_interrupted(&error) => {
            was_interrupted = true;
            Err(error)
        }
        // The call that was interrupted has made it. Perhaps not to the end: it is made anew.
        Err(error) if was_interrupted && error.raw_os_error() == Some(libc::EEXIST) => {
            match status_at(directory, name, libc::AT_SYMLINK_NOFOLLOW)? {
                Some(found) if found.oddity().is_none() && found.len == 0 => {
                    unlink_at(directory, name)?;
                    Err(io::Error::from_raw_os_error(libc::EINTR))
                }
                _ => Err(error),
            }
        }
        result => result,
    })
}

/// Opens a directory by its path, which may lead over symbolic links.
///
/// # Errors
/// Those of `open`; `InvalidInput` for a path with a NUL in it.
pub fn open_directory(path: &Path) -> io::Result<fs::File> {
    let path = c_path(path)?;
    retried(|| open_once(libc::AT_FDCWD, &path, libc::O_RDONLY | libc::O_DIRECTORY))
}

/// Opens the directory of that descriptor once more.
///
/// # Errors
/// Those of `openat`.
pub fn reopen_directory(directory: RawFd) -> io::Result<fs::File> {
    open_at(directory, c".", libc::O_RDONLY | libc::O_DIRECTORY)
}

fn open_once(directory: RawFd, name: &CStr, flags: libc::c_int) -> io::Result<fs::File> {
    let flags = flags | libc::O_CLOEXEC | libc::O_NONBLOCK | libc::O_NOCTTY;
    let mode: libc::c_uint = 0o600;
    // SAFETY: the name ends with NUL; the mode is there for O_CREAT.
    let fd = check(unsafe { libc::openat(directory, name.as_ptr(), flags, mode) })?;
    // SAFETY: the descriptor was just made, and nobody else has it.
    Ok(unsafe { fs::File::from_raw_fd(fd) })
}

/// Gives the file `from` the name `to` too, with `flags` of `linkat`.
///
/// # Errors
/// Those of `linkat`.
pub fn link_at(
    from_directory: RawFd,
    from: &CStr,
    to_directory: RawFd,
    to: &CStr,
    flags: libc::c_int,
) -> io::Result<()> {
    let (from, to) = (from.as_ptr(), to.as_ptr());
    // SAFETY: the names end with NUL.
    retried(|| check(unsafe { libc::linkat(from_directory, from, to_directory, to, flags) }))?;
    Ok(())
}

/// Looks at an open file.
///
/// # Errors
/// Those of `fstat`.
pub fn status_of(file: &impl AsRawFd) -> io::Result<Status> {
    // SAFETY: all bytes zero is a valid `stat`.
    let mut found: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: the descriptor is open, and `found` is ours to write.
    retried(|| check(unsafe { libc::fstat(file.as_raw_fd(), &raw mut found) }))?;
    Ok(Status::from(&found))
}

/// Looks at what `name` of a directory stands for, with `flags` of `fstatat`; `None` if there is no
/// such name.
///
/// # Errors
/// Those of `fstatat`.
pub fn status_at(directory: RawFd, name: &CStr, flags: libc::c_int) -> io::Result<Option<Status>> {
    // SAFETY: all bytes zero is a valid `stat`.
    let mut found: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: the name ends with NUL, and `found` is ours to write.
    let mut look = || unsafe { libc::fstatat(directory, name.as_ptr(), &raw mut found, flags) };
    match retried(|| check(look())) {
        Ok(_) => Ok(Some(Status::from(&found))),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Looks at what a path leads to, over symbolic links or up to one.
///
/// # Errors
/// As [`status_at`].
pub fn status_at_path(path: &Path, follow: bool) -> io::Result<Option<Status>> {
    let flags = if follow { 0 } else { libc::AT_SYMLINK_NOFOLLOW };
    status_at(libc::AT_FDCWD, &c_path(path)?, flags)
}

/// Gives the file `from` the name `to` in its directory.
///
/// # Errors
/// Those of `renameat`.
pub fn rename_at(directory: RawFd, from: &CStr, to: &CStr) -> io::Result<()> {
    let id_at = |name: &CStr| {
        let found = status_at(directory, name, libc::AT_SYMLINK_NOFOLLOW);
        found.map(|found| found.map(|found| found.id))
    };
    let id = id_at(from)?;
    let mut was_interrupted = false;
    // SAFETY: both names end with NUL.
    let rename =
        || check(unsafe { libc::renameat(directory, from.as_ptr(), directory, to.as_ptr()) });
    retried(|| match rename() {
        // The call that was interrupted has done it, if the file has its new name.
        Err(error)
            if was_interrupted
                && error.raw_os_error() == Some(libc::ENOENT)
                && id.is_some()
                && id_at(to)? == id =>
        {
            Ok(())
        }
        result => {
            was_interrupted |= result.as_ref().is_err_and(is_interrupted);
            result.map(|_| ())
        }
    })
}

/// Removes a name from its directory.
///
/// # Errors
/// Those of `unlinkat`.
pub fn unlink_at(directory: RawFd, name: &CStr) -> io::Result<()> {
    let mut was_interrupted = false;
    // SAFETY: the name ends with NUL.
    retried(|| match check(unsafe { libc::unlinkat(directory, name.as_ptr(), 0) }) {
        // The call that was interrupted has done it.
        Err(error) if was_interrupted && error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
        result => {
            was_interrupted |= result.as_ref().is_err_and(is_interrupted);
            result.map(|_| ())
        }
    })
}

/// Makes a directory that its owner alone may use.
///
/// # Errors
/// Those of `mkdir`.
pub fn make_directory(path: &Path) -> io::Result<()> {
    let path = c_path(path)?;
    let mut was_interrupted = false;
    // SAFETY: the path ends with NUL.
    retried(|| match check(unsafe { libc::mkdir(path.as_ptr(), 0o700) }) {
        // The call that was interrupted has done it, or somebody else just now.
        Err(error) if was_interrupted && error.raw_os_error() == Some(libc::EEXIST) => Ok(()),
        result => {
            was_interrupted |= result.as_ref().is_err_and(is_interrupted);
            result.map(|_| ())
        }
    })
}

/// A name in a directory.
pub struct Entry {
    /// The name; what is not UTF-8 in it is replaced by U+FFFD.
    pub name: String,
    /// True if it is known to be a directory's.
    pub is_directory: bool,
}

/// All names in a directory but `.` and `..`.
///
/// # Errors
/// Those of `readdir`.
pub fn entries(directory: RawFd) -> io::Result<Vec<Entry>> {
    // A descriptor of its own, because the position of a listing belongs to the descriptor.
    let fd = reopen_directory(directory)?.into_raw_fd();
    let opened = retried(|| {
        // SAFETY: the descriptor is an open directory, and is given away where this works.
        let stream = unsafe { libc::fdopendir(fd) };
        if stream.is_null() { Err(io::Error::last_os_error()) } else { Ok(stream) }
    });
    let stream = opened.inspect_err(|_| {
        // SAFETY: `fdopendir` did not take the descriptor.
        unsafe { libc::close(fd) };
    })?;
    let mut entries = Vec::new();
    let outcome = loop {
        match retried(|| next_entry(stream)) {
            Ok(Some(entry)) if entry.name == "." || entry.name == ".." => {}
            Ok(Some(entry)) => entries.push(entry),
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    // SAFETY: the stream is open; its descriptor goes with it.
    unsafe { libc::closedir(stream) };
    outcome.map(|()| entries)
}

fn next_entry(stream: *mut libc::DIR) -> io::Result<Option<Entry>> {
    // SAFETY: the end and a failure of `readdir` differ in `errno` alone, which is the thread's.
    unsafe { *libc::__errno_location() = 0 };
    // SAFETY: the stream is open and used by this thread only.
    let entry = unsafe { libc::readdir(stream) };
    if entry.is_null() {
        let error = io::Error::last_os_error();
        return if error.raw_os_error() == Some(0) { Ok(None) } else { Err(error) };
    }
    // SAFETY: the entry is valid until the next `readdir`, its name ends with NUL.
    let (kind, name) = unsafe { ((*entry).d_type, CStr::from_ptr((*entry).d_name.as_ptr())) };
    let name = name.to_string_lossy().into_owned();
    Ok(Some(Entry { name, is_directory: kind == libc::DT_DIR }))
}

/// Makes the bytes of a file survive power loss.
///
/// # Errors
/// Those of `fdatasync`.
pub fn sync_data(file: &fs::File) -> io::Result<()> {
    // SAFETY: the descriptor is open.
    retried(|| check(unsafe { libc::fdatasync(file.as_raw_fd()) })).map(|_| ())
}

/// Makes the names in a directory survive power loss.
///
/// # Errors
/// Those of `fsync`.
pub fn sync_directory(directory: &fs::File) -> io::Result<()> {
    // SAFETY: the descriptor is open.
    match retried(|| check(unsafe { libc::fsync(directory.as_raw_fd()) })) {
        // The file system keeps names durable by itself, or not at all: it has no such call.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(()),
        result => result.map(|_| ()),
    }
}

/// Cuts or extends a file.
///
/// # Errors
/// Those of `ftruncate`.
pub fn set_len(file: &fs::File, bytes: u64) -> io::Result<()> {
    let bytes = offset_of(bytes)?;
    // SAFETY: the descriptor is open.
    retried(|| check(unsafe { libc::ftruncate(file.as_raw_fd(), bytes) })).map(|_| ())
}

/// Takes room for bytes behind a file's end, whose length stays.
///
/// # Errors
/// Those of `fallocate`.
pub fn reserve(file: &fs::File, offset: u64, bytes: u64) -> io::Result<()> {
    limit::allow(offset.saturating_add(bytes))?;
    let (offset, bytes) = (offset_of(offset)?, offset_of(bytes)?);
    let (fd, mode) = (file.as_raw_fd(), libc::FALLOC_FL_KEEP_SIZE);
    // SAFETY: the descriptor is open.
    retried(|| check(unsafe { libc::fallocate(fd, mode, offset, bytes) })).map(|_| ())
}

/// Gives the room of bytes back, which read as zeros then.
///
/// # Errors
/// Those of `fallocate`.
pub fn punch(file: &fs::File, offset: u64, bytes: u64) -> io::Result<()> {
    let (offset, bytes) = (offset_of(offset)?, offset_of(bytes)?);
    let (fd, mode) = (file.as_raw_fd(), libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE);
    // SAFETY: the descriptor is open.
    retried(|| check(unsafe { libc::fallocate(fd, mode, offset, bytes) })).map(|_| ())
}

/// Reads until the buffer is full or the file ends; returns how many bytes.
///
/// # Errors
/// Those of `pread`.
pub fn read_all(file: &fs::File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while done < buffer.len() {
        let at = offset.saturating_add(done as u64);
        match retried(|| file.read_at(&mut buffer[done..], at))? {
            0 => break,
            count => done += count,
        }
    }
    Ok(done)
}

/// Where the next data of the file stands, from `offset` on. It moves the descriptor's position, which
/// nothing here goes by.
///
/// # Errors
/// Those of `fstat`.
pub fn data_from(file: &fs::File, offset: u64) -> io::Result<u64> {
    let start = offset_of(offset)?;
    let seek = || {
        // SAFETY: the descriptor is open.
        let found = unsafe { libc::lseek(file.as_raw_fd(), start, libc::SEEK_DATA) };
        u64::try_from(found).map_err(|_| io::Error::last_os_error())
    };
    match retried(seek) {
        Ok(found) => Ok(found),
        Err(error) if error.raw_os_error() == Some(libc::ENXIO) => {
            Ok(status_of(file)?.len.max(offset))
        }
        // Many file systems have no such call.
        Err(_) => Ok(offset),
    }
}

/// All bytes of the file of that path.
///
/// # Errors
/// Those of `open` and `read`.
pub fn read_path(path: &Path) -> io::Result<Vec<u8>> {
    let path = c_path(path)?;
    let file = retried(|| open_once(libc::AT_FDCWD, &path, libc::O_RDONLY))?;
    let (mut bytes, mut piece) = (Vec::new(), vec![0; 4096]);
    loop {
        match retried(|| (&file).read(&mut piece))? {
            0 => return Ok(bytes),
            count => bytes.extend_from_slice(&piece[..count]),
        }
    }
}

/// Writes all slices one after the other; the kernel may take them in several bites.
///
/// # Errors
/// Those of `pwrite` and `pwritev`.
pub fn write_all(
    file: &impl AsRawFd,
    mut slices: &mut [IoSlice<'_>],
    offset: u64,
) -> io::Result<()> {
    let bytes: usize = slices.iter().map(|slice| slice.len()).sum();
    limit::allow(offset.saturating_add(bytes as u64))?;
    let mut offset = offset_of(offset)?;
    // Drops empty slices in front: nothing written is then a fault of the file.
    IoSlice::advance_slices(&mut slices, 0);
    while !slices.is_empty() {
        let written = match retried(|| write_some(file.as_raw_fd(), slices, offset))? {
            0 => return Err(io::Error::from_raw_os_error(libc::EIO)),
            written => written,
        };
        IoSlice::advance_slices(&mut slices, written);
        let step = i64::try_from(written).map_err(too_far)?;
        offset = offset.checked_add(step).ok_or_else(|| too_far(()))?;
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

/// The user whose rights this process has.
pub fn user() -> u32 {
    // SAFETY: always sound.
    unsafe { libc::geteuid() }
}

/// The number that the kernel has for the kind of file system on which an open file is.
///
/// # Errors
/// Those of `fstatfs`.
pub fn file_system_of(file: &fs::File) -> io::Result<i128> {
    // SAFETY: all bytes zero is a valid `statfs`.
    let mut found: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: the descriptor is open, and `found` is ours to write.
    retried(|| check(unsafe { libc::fstatfs(file.as_raw_fd(), &raw mut found) }))?;
    Ok(i128::from(found.f_type))
}

/// The answer of a call that gives a negative number when it fails.
///
/// # Errors
/// What `errno` says then.
pub fn check(status: libc::c_int) -> io::Result<libc::c_int> {
    if status < 0 { Err(io::Error::last_os_error()) } else { Ok(status) }
}

fn offset_of(bytes: u64) -> io::Result<i64> {
    i64::try_from(bytes).map_err(too_far)
}

fn too_far<T>(_: T) -> io::Error {
    io::Error::from_raw_os_error(libc::EFBIG)
}

fn c_path(path: &Path) -> io::Result<CString> {
    Ok(CString::new(path.as_os_str().as_bytes())?)
}
