//! A call to the kernel that a signal has interrupted is made again, up to 100 times in half a
//! second.
//!
//! Disks never answer `EINTR`. FUSE, NFS and Lustre answer it to everything (opening, renaming,
//! syncing), and a host program may have signals all the time: those of a profiler, of a garbage
//! collector. Where every call is interrupted the call fails and says so, because a host program
//! that hangs cannot even be told why.
//!
//! An interrupted call has done nothing, unless its caller says otherwise here. Closing is never
//! tried again: the descriptor is gone, and another thread may have its number.

#![expect(unsafe_code, reason = "nanosleep, which a signal may cut short")]

use std::io;

/// How often a call is made. With the pauses it comes to half a second.
const TRIES: u32 = 100;

/// How many are made without a pause: one signal seldom comes twice.
const EAGER_TRIES: u32 = 8;

/// The longest pause, in nanoseconds. The first is a thousandth of it.
const PAUSE_NS_MAX: libc::c_long = 5_000_000;

/// Calls `call` until it is not interrupted.
///
/// # Errors
/// Those of `call`; `EINTR` if each of many tries was interrupted.
#[inline]
pub fn retried<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    match call() {
        Err(error) if is_interrupted(&error) => again(&mut call, error),
        result => result,
    }
}

/// True if a signal interrupted the call.
pub fn is_interrupted(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EINTR)
}

#[cold]
fn again<T>(call: &mut dyn FnMut() -> io::Result<T>, mut error: io::Error) -> io::Result<T> {
    for tried in 1..TRIES {
        if tried >= EAGER_TRIES {
            pause(tried - EAGER_TRIES);
        }
        match call() {
            Err(again) if is_interrupted(&again) => error = again,
            result => return result,
        }
    }
    Err(error)
}

/// Waits, twice as long each turn, 5 milliseconds at most. A signal may cut it short, so that what is
/// tried so many times has an end.
pub fn pause(turn: u32) {
    let tv_nsec = ((PAUSE_NS_MAX / 1_000) << turn.min(10)).min(PAUSE_NS_MAX);
    let wait = libc::timespec { tv_sec: 0, tv_nsec };
    // SAFETY: `wait` is a time below a second; what is left of it is not asked for.
    unsafe { libc::nanosleep(&raw const wait, std::ptr::null_mut()) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    /// A call that is interrupted so many times, and how often it was made.
    fn interrupted(times: u32) -> (io::Result<u32>, u32) {
        let mut made = 0;
        let result = retried(|| {
            made += 1;
            if made > times { Ok(made) } else { Err(io::Error::from_raw_os_error(libc::EINTR)) }
        });
        (result, made)
    }

    #[test]
    fn an_interrupted_call_is_made_again_and_a_failed_one_is_not() {
        for times in [0, 1, 7, 8, 30, TRIES - 1] {
            assert_eq!(interrupted(times).0.unwrap(), times + 1);
        }
        let mut made = 0;
        let failed = retried(|| {
            made += 1;
            Err::<(), _>(io::Error::from_raw_os_error(libc::EIO))
        });
        assert_eq!((failed.unwrap_err().raw_os_error(), made), (Some(libc::EIO), 1));
    }

    #[test]
    fn a_call_that_is_interrupted_for_ever_ends() {
        let start = Instant::now();
        let (result, made) = interrupted(u32::MAX);
        assert_eq!((result.unwrap_err().raw_os_error(), made), (Some(libc::EINTR), TRIES));
        assert!(start.elapsed() < Duration::from_secs(30));
    }
}
