//! Descriptors that a forked child does not keep.
//!
//! A `flock` belongs to the open file, and is held as long as any process has a descriptor of it. A
//! child inherits descriptors, so it would hold its parent's lock after the parent's death.
//! Therefore this file lists them, and the child closes its copies before `fork` returns there.
//!
//! # Invariants
//! 1. A descriptor is in the list from its opening to its closing: both are done with the list
//!    locked, and a fork waits for the lock.
//! 2. A number in the list is that of an open descriptor of this process. So a child that drops
//!    what it has inherited closes nothing that it has opened since.
//!
//! A child that was made behind the C library's back (`_Fork`, the bare system call) keeps its
//! copies until it executes another program or ends; it cannot give up its parent's lock either.

#![expect(unsafe_code, reason = "what a fork carries over, and closing in the child")]

use crate::sync::{Mutex, MutexGuard};
use std::cell::UnsafeCell;
use std::fs;
use std::os::fd::{IntoRawFd, RawFd};
use std::process;

/// A descriptor of this process alone. Dropping it closes it; in a forked child that does nothing.
#[derive(Debug)]
pub struct Unshared {
    serial: u64,
    process_id: u32,
}

/// Those that are open, by serial, and the serial of the next one.
#[derive(Default)]
struct List {
    open: Vec<(u64, RawFd)>,
    next: u64,
}

static LIST: Mutex<List> = Mutex::new(List { open: Vec::new(), next: 0 });

impl Unshared {
    /// Takes what `open` gives; no fork falls in between.
    ///
    /// # Errors
    /// Those of `open`.
    pub fn open<E>(open: impl FnOnce() -> Result<fs::File, E>) -> Result<Self, E> {
        let mut list = LIST.lock();
        list.open.reserve(1);
        let fd = open()?.into_raw_fd();
        let serial = list.next;
        list.next += 1;
        list.open.push((serial, fd));
        Ok(Self { serial, process_id: process::id() })
    }

    /// Lends the descriptor, which stays open meanwhile; `None` in a forked child.
    pub fn with<T>(&self, use_it: impl FnOnce(RawFd) -> T) -> Option<T> {
        let list = LIST.lock();
        let found = list.open.iter().find(|(serial, _)| *serial == self.serial);
        let fd = found.filter(|_| self.process_id == process::id()).map(|(_, fd)| *fd);
        fd.map(use_it)
    }
}

impl Drop for Unshared {
    fn drop(&mut self) {
        if self.process_id != process::id() {
            return;
        }
        let mut list = LIST.lock();
        if let Some(index) = list.open.iter().position(|(serial, _)| *serial == self.serial) {
            let (_, fd) = list.open.swap_remove(index);
            // SAFETY: it is open, and nobody else closes it (invariant 2).
            unsafe { libc::close(fd) };
        }
    }
}

/// The list's guard, while the process forks.
struct ListGuard(UnsafeCell<Option<MutexGuard<'static, List>>>);

// SAFETY: only the thread that has the list's lock looks inside.
unsafe impl Sync for ListGuard {}

static GUARD: ListGuard = ListGuard(UnsafeCell::new(None));

/// To be called on the forking thread before a fork.
pub fn before_fork() {
    let list = LIST.lock();
    // SAFETY: this thread has the lock.
    unsafe { *GUARD.0.get() = Some(list) };
}

/// To be called afterwards in the parent, on the same thread.
pub fn after_fork_in_parent() {
    // SAFETY: this thread has the lock, since `before_fork`.
    drop(unsafe { (*GUARD.0.get()).take() });
}

/// To be called afterwards in the child. Allocates nothing and frees nothing: other threads of the
/// parent may have been within the allocator.
pub fn after_fork_in_child() {
    // SAFETY: the child's only thread is a copy of the one that has taken the lock.
    let Some(mut list) = (unsafe { (*GUARD.0.get()).take() }) else { return };
    for (_, fd) in &list.open {
        // SAFETY: it is open, and nothing in the child uses it.
        unsafe { libc::close(*fd) };
    }
    list.open.clear();
}

#[cfg(test)]
mod tests;
