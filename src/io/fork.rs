//! Notices forks without a system call: a number that differs between a process and its children.
//!
//! A handle keeps the epoch of its opening. In a forked child the epoch is another, and the handle
//! knows that its locks, threads and files belong to the parent.
//!
//! What all handles of a process share is a [`PerProcess`]: a child begins with a new one.
//!
//! # Invariants
//! 1. What a process owns is used by that process alone. A child leaves its parent's behind, with its
//!    mutexes, which other threads may have held at the fork, and its descriptors.
//! 2. The descriptor of an [`OwnFile`] is closed in a child before the child runs. Its place in the
//!    table is given back before it is closed, so that a child never closes another file.

#![expect(unsafe_code, reason = "pthread_atfork, and what a forked child can leave behind")]

use crate::error::{Error, ErrorKind, Result};
use once_cell::sync::OnceCell;
use std::mem::ManuallyDrop;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicU64, Ordering};
use std::{fs, process, ptr};

static EPOCH: AtomicU64 = AtomicU64::new(0);

/// No descriptor.
const NONE: i32 = -1;

/// The descriptors that a child closes: a table, because a child may not wait for a lock.
static OWN_FILES: [AtomicI32; 256] = [const { AtomicI32::new(NONE) }; 256];

/// Begins to watch for forks, once in a process; later calls do nothing. From any thread.
///
/// # Errors
/// `OutOfMemory`: the C library could not register the handler.
pub fn watch() -> Result<()> {
    static WATCHED: OnceCell<()> = OnceCell::new();
    WATCHED.get_or_try_init(|| {
        // SAFETY: the handler lives as long as this library, and the C library forgets it when
        // this library is unloaded.
        match unsafe { libc::pthread_atfork(None, None, Some(count)) } {
            0 => Ok(()),
            code => {
                let message = "watch for forks: no memory for the handler";
                Err(Error::new(ErrorKind::OutOfMemory, message).with_os_code(code))
            }
        }
    })?;
    Ok(())
}

/// The number of forks between this process and the one that first called [`watch`].
pub fn fork_epoch() -> u64 {
    EPOCH.load(Ordering::Relaxed)
}

/// A place for one value in each process.
pub struct PerProcess<T>(AtomicPtr<Owned<T>>);

/// A value, and the process that it belongs to.
pub struct Owned<T> {
    /// The process.
    pub process_id: u32,
    /// The value.
    pub value: T,
}

impl<T: Default + Send + Sync> PerProcess<T> {
    /// No process has one yet.
    pub const fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    /// The value of this process; made anew, and the old one leaked, after a fork.
    pub fn get(&'static self) -> &'static Owned<T> {
        let process_id = process::id();
        loop {
            let current = self.0.load(Ordering::Acquire);
            // SAFETY: a value that was published is never freed.
            if let Some(owned) = unsafe { current.as_ref() }
                && owned.process_id == process_id
            {
                return owned;
            }
            let new = Box::into_raw(Box::new(Owned { process_id, value: T::default() }));
            let swap = self.0.compare_exchange(current, new, Ordering::AcqRel, Ordering::Acquire);
            if swap.is_err() {
                // SAFETY: `new` came from `into_raw`, and nobody else has seen it.
                drop(unsafe { Box::from_raw(new) });
            }
        }
    }
}

/// An open file that forked children do not share. What belongs to the open file itself, such as a
/// lease, ends with this process then, and not with the last of its children.
pub struct OwnFile {
    file: ManuallyDrop<fs::File>,
    place: &'static AtomicI32,
    epoch: u64,
}

impl OwnFile {
    /// Takes a file that was just opened; `None`, and the file is closed, if there are too many.
    pub fn new(file: fs::File) -> Option<Self> {
        let fd = file.as_raw_fd();
        let take = |place: &&AtomicI32| {
            place.compare_exchange(NONE, fd, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        };
        let place = OWN_FILES.iter().find(take)?;
        Some(Self { file: ManuallyDrop::new(file), place, epoch: fork_epoch() })
    }

    /// The file; `None` in a forked child.
    pub fn get(&self) -> Option<&fs::File> {
        (self.epoch == fork_epoch()).then_some(&*self.file)
    }
}

impl Drop for OwnFile {
    fn drop(&mut self) {
        if self.epoch == fork_epoch() {
            // Invariant 2.
            self.place.store(NONE, Ordering::Release);
            // SAFETY: the file is not used after this.
            unsafe { ManuallyDrop::drop(&mut self.file) };
        }
    }
}

/// Runs in the child, where only async-signal-safe calls are allowed: `close` is one.
unsafe extern "C" fn count() {
    EPOCH.fetch_add(1, Ordering::Relaxed);
    for place in &OWN_FILES {
        let fd = place.swap(NONE, Ordering::Relaxed);
        if fd != NONE {
            // SAFETY: the descriptor is the child's copy of one that nothing in the child uses.
            unsafe { libc::close(fd) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_has_no_descriptor_of_an_own_file() {
        watch().unwrap();
        let open = || fs::File::open("/dev/null").unwrap();
        let (own, shared) = (OwnFile::new(open()).unwrap(), open());
        // SAFETY: an open descriptor, or one that is not.
        let is_open = |fd| unsafe { libc::fcntl(fd, libc::F_GETFD) } >= 0;
        let fd = own.get().unwrap().as_raw_fd();
        // SAFETY: the child asks for descriptors and leaves without running any destructor.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let is_right = !is_open(fd) && is_open(shared.as_raw_fd()) && own.get().is_none();
            // SAFETY: always sound.
            unsafe { libc::_exit(if is_right { 7 } else { 1 }) };
        }
        let mut status = 0;
        // SAFETY: the child is ours, and `status` is ours to write.
        unsafe { libc::waitpid(child, &raw mut status, 0) };
        assert_eq!(libc::WEXITSTATUS(status), 7);
        assert!(own.get().is_some() && is_open(fd));
    }

    #[test]
    fn the_epoch_differs_in_a_child_and_stays_in_the_parent() {
        watch().unwrap();
        watch().unwrap();
        let before = fork_epoch();
        // SAFETY: the child reads an atomic and leaves without running any destructor.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let grown = fork_epoch() == before + 1;
            // SAFETY: always sound.
            unsafe { libc::_exit(if grown { 7 } else { 1 }) };
        }
        let mut status = 0;
        // SAFETY: the child is ours, and `status` is ours to write.
        unsafe { libc::waitpid(child, &raw mut status, 0) };
        assert_eq!(libc::WEXITSTATUS(status), 7);
        assert_eq!(fork_epoch(), before);
    }
}
