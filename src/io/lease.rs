//! A lease on a file. While this process has it, no other process opens the file, and none cuts it
//! by its path. Whoever tries waits until the lease is given back, for
//! `/proc/sys/fs/lease-break-time` (45 seconds) at most; then the kernel takes it away.
//!
//! The kernel grants a lease only if nobody else has the file open, so nobody can cut the file by a
//! descriptor either. A call that does not open the file (`stat`, another name, a rename) goes on
//! as ever.
//!
//! The kernel tells the holder by `SIGIO`, which ends a process that does not expect it, and
//! signals are the program's business. So the file has no owner, to whom the signal would go
//! (`F_SETOWN` 0), and the holder asks instead (`F_GETLEASE`).
//!
//! A holder that is stopped for 45 seconds loses the lease. It finds that before its next copy, and
//! still has all pending bytes in memory. They are lost with the file that was cut only if the
//! process is killed before it goes on.
//!
//! # Invariants
//! 1. The file has no name before its owner was cleared: nobody can try to open it until then. It
//!    is made with `O_TMPFILE` and gets its name by `linkat`.
//! 2. A forked child does not have the lease: it ends with this process.

#![expect(unsafe_code, reason = "fcntl")]

use crate::io::unshared::Unshared;
use std::os::fd::RawFd;
use std::{fs, io};

/// A file and the lease on it.
pub struct Lease(Unshared);

impl Lease {
    /// Opens a file, for reading and writing and without a name, and takes the lease on it.
    ///
    /// # Errors
    /// Those of `open`; `EINVAL` where the file system or the kernel has no leases, `EAGAIN` where
    /// somebody else has the file open.
    pub fn take(open: impl FnOnce() -> io::Result<fs::File>) -> io::Result<Self> {
        // Made before, so that the lease ends if the rest fails.
        let lease = Self(Unshared::open(open)?);
        lease.control(libc::F_SETLEASE, libc::F_WRLCK)?;
        lease.control(libc::F_SETOWN, 0)?;
        Ok(lease)
    }

    /// Lends the file's descriptor.
    ///
    /// # Errors
    /// `EBADF` in a forked child; those of `use_it`.
    pub fn with<T>(&self, use_it: impl FnOnce(RawFd) -> io::Result<T>) -> io::Result<T> {
        let lent = self.0.with(use_it);
        lent.unwrap_or_else(|| Err(io::Error::from_raw_os_error(libc::EBADF)))
    }

    /// True once somebody waits for the file, and when the lease is gone.
    pub fn is_wanted(&self) -> bool {
        self.control(libc::F_GETLEASE, 0).ok() != Some(libc::F_WRLCK)
    }

    fn control(&self, command: libc::c_int, argument: libc::c_int) -> io::Result<libc::c_int> {
        // SAFETY: the descriptor is open, and each of these commands takes a number or nothing.
        self.with(|fd| match unsafe { libc::fcntl(fd, command, argument) } {
            -1 => Err(io::Error::last_os_error()),
            answer => Ok(answer),
        })
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // Said, because a child that was forked in the moment after the file was opened has a copy of
        // the descriptor. Where the kernel has taken it away there is none to give back.
        let _ = self.control(libc::F_SETLEASE, libc::F_UNLCK);
    }
}
