//! The room that a file system has, and taking some of it.

#![expect(unsafe_code, reason = "fstatvfs, getrlimit and fallocate")]

use crate::io::calls;
use crate::io::files::Space;
use crate::io::retry::retried;
use std::io::IoSlice;
use std::os::fd::{AsRawFd, RawFd};
use std::{fs, io};

/// What is written at a time where the file system has no call that takes room.
const PIECE_BYTES: usize = 1024;

/// The room of the file system of that descriptor, for this process.
pub fn of(fd: RawFd) -> Space {
    // SAFETY: all bytes zero is a valid `statvfs`.
    let mut found: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: the descriptor is open, and `found` is ours to write.
    let is_known = retried(|| done(unsafe { libc::fstatvfs(fd, &raw mut found) })).is_ok();
    let bytes = |blocks: u64| match is_known && found.f_blocks != 0 {
        true => blocks.saturating_mul(found.f_frsize),
        false => u64::MAX,
    };
    // Some of the free room may be for root alone.
    // SAFETY: always sound.
    let is_root = unsafe { libc::geteuid() } == 0;
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is ours to write.
    let has_limit = done(unsafe { libc::getrlimit(libc::RLIMIT_FSIZE, &raw mut limit) });
    Space {
        total: bytes(found.f_blocks),
        available: bytes(if is_root { found.f_bfree } else { found.f_bavail }),
        file_bytes_max: has_limit.map_or(u64::MAX, |()| limit.rlim_cur),
    }
}

/// Makes the file longer, from `from` bytes to `to`, in such a way that every byte has its room.
///
/// # Errors
/// Those of `fallocate` and `pwrite`.
pub fn take(file: &fs::File, from: u64, to: u64) -> io::Result<()> {
    let too_far = |_| io::Error::from_raw_os_error(libc::EFBIG);
    let bytes = to.saturating_sub(from);
    let (at, length) =
        (i64::try_from(from).map_err(too_far)?, i64::try_from(bytes).map_err(too_far)?);
    // SAFETY: the descriptor is open.
    match retried(|| done(unsafe { libc::fallocate(file.as_raw_fd(), 0, at, length) })) {
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => {}
        result => return result,
    }
    // The file system has no such call: what is written has its room as well.
    let zeros = [0; PIECE_BYTES];
    let mut at = from;
    while at < to {
        let count = usize::try_from(to - at).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
        calls::write_all(file, &mut [IoSlice::new(&zeros[..count])], at)?;
        at += count as u64;
    }
    Ok(())
}

fn done(status: libc::c_int) -> io::Result<()> {
    if status < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
