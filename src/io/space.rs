//! The room that a file system has, and taking some of it.

#![expect(unsafe_code, reason = "fstatvfs and fallocate")]

use crate::io::calls;
use crate::io::files::Space;
use crate::io::limit;
use crate::io::retry::retried;
use std::io::IoSlice;
use std::os::fd::{AsRawFd, RawFd};
use std::{fs, io};

/// What is written at a time where the file system has no call that takes room.
const PIECE_BYTES: usize = 1024;

/// ext4 keeps so many blocks at most that nobody may take.
const EXT4_BLOCKS_KEPT: u64 = 4096;

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
    // SAFETY: always sound.
    let is_root = unsafe { libc::geteuid() } == 0;
    let available = if is_root { root_blocks(&found) } else { found.f_bavail };
    Space {
        total: bytes(found.f_blocks),
        available: bytes(available),
        file_bytes_max: limit::ask(),
    }
}

/// Blocks that root may take. Some of those that others may not are for root, and some for nobody: ext4
/// keeps a 50th of all for itself, 4,096 at most, counts them as free, and does not tell their number.
/// What it counts as all is less by its own tables, so a 40th is left out.
fn root_blocks(found: &libc::statvfs) -> u64 {
    let denied_to_others = found.f_bfree.saturating_sub(found.f_bavail);
    let kept = denied_to_others.min(found.f_blocks / 40).min(EXT4_BLOCKS_KEPT);
    found.f_bfree - kept
}

/// Makes the file longer, from `from` bytes to `to`, and takes room on the disk for every byte.
///
/// # Errors
/// Those of `fallocate` and `pwrite`.
pub fn take(file: &fs::File, from: u64, to: u64) -> io::Result<()> {
    limit::allow(to)?;
    let too_far = |_| io::Error::from_raw_os_error(libc::EFBIG);
    let bytes = to.saturating_sub(from);
    let (at, length) =
        (i64::try_from(from).map_err(too_far)?, i64::try_from(bytes).map_err(too_far)?);
    // SAFETY: the descriptor is open.
    match retried(|| done(unsafe { libc::fallocate(file.as_raw_fd(), 0, at, length) })) {
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => {}
        result => return result,
    }
    // The file system has no call for it. Bytes that are written have their room, too.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ext4_keeps_for_itself_is_not_taken_for_free_and_what_is_for_root_is() {
        // SAFETY: all bytes zero is a valid `statvfs`.
        let mut found: libc::statvfs = unsafe { std::mem::zeroed() };
        // 24 MiB of blocks of 1 KiB: 1,228 are for root, 491 for nobody.
        (found.f_blocks, found.f_bfree, found.f_bavail) = (22_000, 491, 0);
        assert_eq!(root_blocks(&found), 0);
        (found.f_bfree, found.f_bavail) = (10_000, 10_000 - 1_228 - 491);
        assert!((10_000 - 1_228..=10_000 - 491).contains(&root_blocks(&found)));
        // A tmpfs keeps nothing.
        found.f_bavail = 10_000;
        assert_eq!(root_blocks(&found), 10_000);
    }
}
