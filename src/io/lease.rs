//! A lease on a file: as long as this process has it, no process opens the file, and none cuts it by
//! its path. Whoever tries waits until the lease is given back, for `/proc/sys/fs/lease-break-time`
//! (45 seconds) at most; then the kernel takes it away.
//!
//! It is granted only where nobody else has the file open, so nobody can cut it by a descriptor
//! either. What does not open the file (looking at it, another name, a rename) goes on as ever.
//!
//! The kernel would tell the holder by `SIGIO`, which ends a process that does not expect it. So the
//! file has no owner, which is whom the signal goes to, and the holder has to ask.
//!
//! # Invariants
//! 1. The file has no name before its owner was cleared: nobody can try to open it until then.
//! 2. A forked child does not have it: it ends with this process.

#![expect(unsafe_code, reason = "fcntl")]

use crate::io::fork::OwnFile;
use std::os::fd::AsRawFd;
use std::{fs, io};

/// A file and the lease on it.
pub struct Lease(OwnFile);

impl Lease {
    /// Takes the lease on a file that is open for reading and writing and has no name yet.
    ///
    /// # Errors
    /// `EINVAL` where the file system or the system has no leases, `EAGAIN` where somebody else has
    /// the file open, `EMFILE` where this process has too many.
    pub fn take(file: fs::File) -> io::Result<Self> {
        let too_many = || io::Error::from_raw_os_error(libc::EMFILE);
        // Made before, so that the lease ends if the rest fails.
        let lease = Self(OwnFile::new(file).ok_or_else(too_many)?);
        lease.control(libc::F_SETLEASE, libc::F_WRLCK)?;
        lease.control(libc::F_SETOWN, 0)?;
        Ok(lease)
    }

    /// The file.
    ///
    /// # Errors
    /// `EBADF` in a forked child.
    pub fn file(&self) -> io::Result<&fs::File> {
        self.0.get().ok_or_else(|| io::Error::from_raw_os_error(libc::EBADF))
    }

    /// True once somebody waits for the file, and when the lease is gone.
    pub fn is_wanted(&self) -> bool {
        self.control(libc::F_GETLEASE, 0).ok() != Some(libc::F_WRLCK)
    }

    fn control(&self, command: libc::c_int, argument: libc::c_int) -> io::Result<libc::c_int> {
        let fd = self.file()?.as_raw_fd();
        // SAFETY: the descriptor is open, and each of these commands takes a number or nothing.
        match unsafe { libc::fcntl(fd, command, argument) } {
            -1 => Err(io::Error::last_os_error()),
            answer => Ok(answer),
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // Said, because a child that was forked in the moment after the file was opened has a copy of
        // the descriptor. Where the kernel has taken it away there is none to give back.
        let _ = self.control(libc::F_SETLEASE, libc::F_UNLCK);
    }
}
