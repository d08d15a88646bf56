//! A directory of the local file system.
//!
//! Files are opened relative to a descriptor of the directory that is held from the start. So a
//! store goes on in its directory when somebody renames that, or the process changes its own.
//!
//! # Invariants
//! 1. Only their owner may read and write files and directories made here.
//! 2. Only regular files are opened, replaced and removed. Anything else under a name that is asked
//!    for is somebody else's: it stays, and the error says what it is.

use crate::error::{Error, ErrorKind, Result};
use crate::io::calls::{self, FileId, NEW, Status};
use crate::io::failure::failed;
use crate::io::files::{Disk, File, Mapped, Space};
use crate::io::handles::{Handle, PoolRef, opened, pool_of_this_process};
use crate::io::lease::Lease;
use crate::io::map::FileMap;
use crate::io::space;
use crate::memory;
use std::ffi::CString;
use std::io::IoSlice;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

/// A directory that `mkfs` puts into each new file system.
const LOST_AND_FOUND: &str = "lost+found";

/// Parts that are gathered without an allocation: a record is header, key and value.
const PARTS_ON_STACK: usize = 8;

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
    /// `Io`, with os code `ENOENT` for a missing directory, `ENOTDIR` for a file; `NoSpace`;
    /// `InvalidArgument` for an empty path.
    pub fn open(path: &Path, create: bool) -> Result<Self> {
        Self::open_in(pool_of_this_process(), path, create)
    }

    /// As [`Directory::open`]; its files share the descriptors of `pool`.
    pub(in crate::io) fn open_in(pool: PoolRef, path: &Path, create: bool) -> Result<Self> {
        if path.as_os_str().is_empty() {
            let sentence = "the path is empty; name a directory";
            return Err(Error::new(ErrorKind::InvalidArgument, sentence));
        }
        if create {
            make_with_parents(pool, path)?;
        }
        match opened(pool, || calls::open_directory(path)) {
            Ok(file) => Ok(Self { path: path.to_owned(), file: Arc::new(file), pool }),
            Err(error) => {
                let advice = match error.raw_os_error() {
                    Some(libc::ENOENT) => "set create=true to make it",
                    Some(libc::ENOTDIR) => "give the path of a directory",
                    _ => "",
                };
                Err(no_directory("open", path, &error, advice))
            }
        }
    }

    /// What keeps the directory from being this user's and root's alone, in words; `None` if nobody
    /// else may put files there.
    ///
    /// # Errors
    /// `Io`.
    pub fn exposure(&self) -> Result<Option<String>> {
        let found = calls::status_of(&self.file);
        let found = found.map_err(|error| failed(self.doing("look at", "."), &error, ""))?;
        let (path, mode) = (self.path.display(), found.mode & 0o7777);
        Ok(match found.owner {
            owner if owner != 0 && owner != calls::user() => {
                Some(format!("{path} belongs to another user, number {owner}"))
            }
            _ if mode & 0o022 != 0 => {
                Some(format!("{path} may be written by others, mode {mode:o}"))
            }
            _ => None,
        })
    }

    /// Device and inode of what `name` stands for, or `None` if there is none; does not open it.
    ///
    /// # Errors
    /// `Io`.
    pub(in crate::io) fn id_of(&self, name: &str) -> Result<Option<FileId>> {
        Ok(self.look(name)?.map(|found| found.id))
    }

    /// The directory, open for reading.
    pub(in crate::io) fn file(&self) -> &fs::File {
        &self.file
    }

    /// Opens the regular file `name` with `flags` of `open(2)`; one that is made has mode 0600.
    ///
    /// # Errors
    /// `Io`, `NoSpace`.
    pub(in crate::io) fn open_with(&self, name: &str, flags: libc::c_int) -> Result<fs::File> {
        let c_name = self.c_name(name)?;
        let verb = if flags & libc::O_CREAT == 0 { "open" } else { "create" };
        // Before it is opened, because to open a device may do something.
        let found = self.look_as(verb, name)?;
        let open = || match (flags & libc::O_EXCL, &found) {
            (0, _) => calls::open_at(self.fd(), &c_name, flags),
            (_, None) => calls::create_at(self.fd(), &c_name),
            (_, Some(_)) => Err(from_code(libc::EEXIST)),
        };
        let explained = |error| failed(self.doing(verb, name), &error, "");
        let file = opened(self.pool, open).map_err(explained)?;
        // And afterwards, because the name may have come to stand for something else.
        self.check(verb, name, &calls::status_of(&file).map_err(explained)?)?;
        Ok(file)
    }

    /// Looks at what has the name, if anything has; does not open it.
    fn look(&self, name: &str) -> Result<Option<Status>> {
        calls::status_at(self.fd(), &self.c_name(name)?, libc::AT_SYMLINK_NOFOLLOW)
            .map_err(|error| failed(self.doing("look for", name), &error, ""))
    }

    /// Looks at what has the name, which has to be a regular file for what `verb` says.
    fn look_as(&self, verb: &str, name: &str) -> Result<Option<Status>> {
        let found = self.look(name)?;
        found.iter().try_for_each(|found| self.check(verb, name, found))?;
        Ok(found)
    }

    fn check(&self, verb: &str, name: &str, found: &Status) -> Result<()> {
        let Some((what, code)) = found.oddity() else { return Ok(()) };
        let doing = self.doing(verb, name);
        let sentence = format!("{doing}: it is {what} and no regular file; move it away");
        Err(Error::new(ErrorKind::Io, sentence).with_os_code(code))
    }

    fn local(&self, name: &str, flags: libc::c_int) -> Result<Arc<dyn File>> {
        Ok(Arc::new(self.local_file(name, flags, self.open_with(name, flags)?)))
    }

    fn local_file(&self, name: &str, flags: libc::c_int, file: fs::File) -> LocalFile {
        let writable = flags & libc::O_ACCMODE == libc::O_RDWR;
        let handle = Handle::new(self.pool, file, writable);
        let (path, directory) = (self.path.join(name), self.file.clone());
        LocalFile { path, directory, writable, handle }
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

    fn create_mapped(&self, name: &str, head: &[u8], len: usize) -> Result<Box<dyn Mapped>> {
        let cannot = |error: io::Error| failed(self.doing("create", name), &error, "");
        self.look_as("create", name)?;
        // It gets its name last, when it is whole and nobody can open it.
        let flags = libc::O_RDWR | libc::O_TMPFILE;
        let open = || opened(self.pool, || calls::open_at(self.fd(), c".", flags));
        let lease = Lease::take(open).map_err(cannot)?;
        // Written and not only lengthened, so that every page has its room.
        let mut bytes = memory::zeros(len, "a file in memory")?;
        bytes[..head.len()].copy_from_slice(head);
        let write = |fd| calls::write_all(&fd, &mut [IoSlice::new(&bytes)], 0);
        lease.with(write).map_err(cannot)?;
        let map = FileMap::new(self.path.join(name), lease, len)?;
        map.give_name(self.fd(), &self.c_name(name)?)?;
        Ok(Box::new(map))
    }

    fn remove_mapped(&self, name: &str, map: &dyn Mapped) -> Result<()> {
        if self.id_of(name)? == Some(map.id()) { self.remove(name) } else { Ok(()) }
    }

    fn list(&self) -> Result<Vec<String>> {
        let entries = opened(self.pool, || calls::entries(self.fd())).map_err(|error| {
            failed(format!("list directory {}", self.path.display()), &error, "")
        })?;
        let is_of_mkfs = |entry: &calls::Entry| entry.is_directory && entry.name == LOST_AND_FOUND;
        let others = entries.into_iter().filter(|entry| !is_of_mkfs(entry));
        Ok(others.map(|entry| entry.name).collect())
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        self.look_as("rename", from)?;
        self.look_as("replace", to)?;
        calls::rename_at(self.fd(), &self.c_name(from)?, &self.c_name(to)?)
            .map_err(|error| failed(self.doing(&format!("rename {from} to"), to), &error, ""))
    }

    fn remove(&self, name: &str) -> Result<()> {
        self.look_as("remove", name)?;
        calls::unlink_at(self.fd(), &self.c_name(name)?)
            .map_err(|error| failed(self.doing("remove", name), &error, ""))
    }

    fn space(&self) -> Space {
        space::of(self.fd())
    }

    fn sync_names(&self) -> Result<()> {
        calls::sync_directory(&self.file)
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
        calls::open_at(self.directory.as_raw_fd(), &CString::new(name)?, flags)
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
            .read(&|writable| self.reopen(writable), |file| calls::read_all(file, buffer, offset))
            .map_err(|error| self.failed("read", &error))
    }

    fn write_at(&self, parts: &[&[u8]], offset: u64) -> Result<()> {
        self.write("write", |file| {
            if parts.len() > PARTS_ON_STACK {
                let mut slices: Vec<_> = parts.iter().map(|part| IoSlice::new(part)).collect();
                return calls::write_all(file, &mut slices, offset);
            }
            let mut slices = [IoSlice::new(&[]); PARTS_ON_STACK];
            for (slice, part) in slices.iter_mut().zip(parts) {
                *slice = IoSlice::new(part);
            }
            calls::write_all(file, &mut slices[..parts.len()], offset)
        })
    }

    fn reserve(&self, offset: u64, bytes: u64) -> Result<()> {
        self.write("reserve room in", |file| {
            match calls::reserve(file, offset, bytes) {
                Err(e) if matches!(e.raw_os_error(), Some(libc::ENOSPC | libc::EDQUOT)) => Err(e),
                // Whatever else is wrong, a write tells better; many file systems have no such call.
                _ => Ok(()),
            }
        })
    }

    fn allocate(&self, bytes: u64) -> Result<()> {
        self.write("take room for", |file| {
            let before = calls::status_of(file)?.len;
            // What a failure has taken goes; that it failed is what counts.
            space::take(file, before, bytes).inspect_err(|_| drop(calls::set_len(file, before)))
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

    fn is_linked(&self) -> Result<bool> {
        self.handle
            .read(&|writable| self.reopen(writable), calls::status_of)
            .map(|found| found.is_linked)
            .map_err(|error| self.failed("look at", &error))
    }

    fn data_from(&self, offset: u64) -> Result<u64> {
        self.handle
            .read(&|writable| self.reopen(writable), |file| calls::data_from(file, offset))
            .map_err(|error| self.failed("look for data in", &error))
    }

    fn punch(&self, offset: u64, bytes: u64) -> Result<bool> {
        self.write("give room back of", |file| match calls::punch(file, offset, bytes) {
            Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => Ok(false),
            punched => punched.map(|()| true),
        })
    }

    fn set_len(&self, bytes: u64) -> Result<()> {
        self.write("set the length of", |file| calls::set_len(file, bytes))
    }
}

/// Makes the directory and its missing parents, each of them durable before the next. Not by calling
/// itself: a path may have two thousand parts, and a thread a small stack.
fn make_with_parents(pool: PoolRef, path: &Path) -> Result<()> {
    let (mut missing, mut at) = (Vec::new(), path);
    let mut made = calls::make_directory(at);
    while let (Err(error), Some(parent)) = (&made, parent_of(at).filter(|parent| *parent != at))
        && error.raw_os_error() == Some(libc::ENOENT)
    {
        memory::push(&mut missing, at, "the parts of a path")?;
        at = parent;
        made = calls::make_directory(at);
    }
    was_made(pool, at, made)?;
    missing.iter().rev().try_for_each(|path| was_made(pool, path, calls::make_directory(path)))
}

/// After it was tried to make a directory: makes its name durable. It may have been there.
fn was_made(pool: PoolRef, path: &Path, made: io::Result<()>) -> Result<()> {
    match made {
        Ok(()) => {
            let parent = parent_of(path).unwrap_or(Path::new("."));
            opened(pool, || calls::open_directory(parent))
                .and_then(|parent| calls::sync_directory(&parent))
                .map_err(|error| failed(format!("sync directory {}", parent.display()), &error, ""))
        }
        // Whether a directory has the name, and not a file, comes out when it is opened. A file
        // system that is read-only says so even of names that exist.
        Err(_) if matches!(calls::status_at_path(path, true), Ok(Some(_))) => Ok(()),
        Err(error) => Err(no_directory("make", path, &error, "")),
    }
}

/// The parent, where `a` has the current directory for one.
fn parent_of(path: &Path) -> Option<&Path> {
    path.parent().map(|parent| if parent.as_os_str().is_empty() { Path::new(".") } else { parent })
}

/// The error for a directory that cannot be opened or made.
fn no_directory(verb: &str, path: &Path, error: &io::Error, advice: &str) -> Error {
    let doing = format!("{verb} directory {}", path.display());
    match fs::read_link(path) {
        Ok(target) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::EEXIST)) => {
            let target = target.display();
            let sentence = format!(
                "{doing}: it is a symbolic link to {target}, where nothing is; make that directory, \
                 or remove the link"
            );
            Error::new(ErrorKind::Io, sentence).with_os_code(libc::ENOENT)
        }
        _ => failed(doing, error, advice),
    }
}

fn from_code(code: i32) -> io::Error {
    io::Error::from_raw_os_error(code)
}

#[cfg(test)]
mod tests;
