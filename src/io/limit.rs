//! The length that files of this process may have (`RLIMIT_FSIZE`).
//!
//! A write beyond it is not only refused: the kernel sends `SIGXFSZ`, which ends a process that has
//! not said otherwise, and a library must not say so for its host. So the library asks for the
//! limit, and does not write beyond it. Asking costs half as much as a write, so an answer holds
//! for one tick of the coarse clock. A program that lowers the limit below the files of an open
//! store has to wait for so long before it stores.

#![expect(unsafe_code, reason = "getrlimit and clock_gettime")]

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

static LIMIT: AtomicU64 = AtomicU64::new(0);
/// When it was asked, in nanoseconds.
static ASKED: AtomicU64 = AtomicU64::new(u64::MAX);

/// Fails if a file would become longer than it may be.
///
/// # Errors
/// `EFBIG`.
pub fn allow(end: u64) -> io::Result<()> {
    // Asks again before it refuses: the limit may have been raised.
    match end <= limit() || end <= ask() {
        true => Ok(()),
        false => Err(io::Error::from_raw_os_error(libc::EFBIG)),
    }
}

/// The longest file that this process may make, as it is now.
pub fn ask() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is ours to write.
    let status = unsafe { libc::getrlimit(libc::RLIMIT_FSIZE, &raw mut limit) };
    if status == 0 { limit.rlim_cur } else { u64::MAX }
}

fn limit() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is ours to write. It fails nowhere; then the time stands still.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_COARSE, &raw mut time) };
    let (seconds, nanoseconds) = (time.tv_sec.cast_unsigned(), time.tv_nsec.cast_unsigned());
    let now = seconds.wrapping_mul(1_000_000_000).wrapping_add(nanoseconds);
    if ASKED.load(Ordering::Acquire) != now {
        LIMIT.store(ask(), Ordering::Relaxed);
        ASKED.store(now, Ordering::Release);
    }
    LIMIT.load(Ordering::Relaxed)
}
