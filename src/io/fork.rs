//! Notices forks without a system call: a number that differs between a process and its children.
//!
//! A handle keeps the epoch of its opening. In a forked child the epoch is another, and the handle
//! knows that its locks, threads and files belong to the parent.
//!
//! What all handles of a process share is a [`PerProcess`]: a child begins with a new one. Its copies
//! of [`unshared`] descriptors are closed.
//!
//! # Invariants
//! 1. What a process owns is used by that process alone. A child leaves its parent's behind, with its
//!    mutexes, which other threads may have held at the fork, and its descriptors.

#![expect(unsafe_code, reason = "pthread_atfork, and what a forked child can leave behind")]

use crate::error::{Error, ErrorKind, Result};
use crate::io::unshared;
use once_cell::sync::OnceCell;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
use std::{process, ptr};

static EPOCH: AtomicU64 = AtomicU64::new(0);

/// Begins to watch for forks, once in a process; later calls do nothing. From any thread.
///
/// # Errors
/// `OutOfMemory`: the C library could not register the handlers.
pub fn watch() -> Result<()> {
    static WATCHED: OnceCell<()> = OnceCell::new();
    WATCHED.get_or_try_init(|| {
        // SAFETY: the handlers live as long as this library, and the C library forgets them when
        // this library is unloaded.
        match unsafe { libc::pthread_atfork(Some(before), Some(in_parent), Some(in_child)) } {
            0 => Ok(()),
            code => {
                let message = "watch for forks: no memory for the handlers";
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

/// Runs before a fork, on the thread that forks.
unsafe extern "C" fn before() {
    unshared::before_fork();
}

/// Runs afterwards in the parent.
unsafe extern "C" fn in_parent() {
    unshared::after_fork_in_parent();
}

/// Runs in the child, where only async-signal-safe calls are allowed.
unsafe extern "C" fn in_child() {
    EPOCH.fetch_add(1, Ordering::Relaxed);
    unshared::after_fork_in_child();
}

#[cfg(test)]
mod tests {
    use super::*;

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
