//! Notices forks without a system call: a number that differs between a process and its children.
//!
//! A handle keeps the epoch of its opening. In a forked child the epoch is another, and the handle
//! knows that its locks, threads and files belong to the parent.

#![expect(unsafe_code, reason = "pthread_atfork")]

use crate::error::{Error, ErrorKind, Result};
use once_cell::sync::OnceCell;
use std::sync::atomic::{AtomicU64, Ordering};

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
