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

#![expect(unsafe_code, reason = "pthread_atfork, and what a forked child can leave behind")]

use crate::error::{Error, ErrorKind, Result};
use once_cell::sync::OnceCell;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
use std::{process, ptr};

static EPOCH: AtomicU64 = AtomicU64::new(0);

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

/// Runs in the child, where only async-signal-safe calls are allowed: it makes none.
unsafe extern "C" fn count() {
    EPOCH.fetch_add(1, Ordering::Relaxed);
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
