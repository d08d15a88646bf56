//! A small file that is written by storing into memory: no call to the system, and what was stored
//! survives the death of the process, because the memory is the kernel's page of the file.
//!
//! A page that the kernel cannot give (a file system that has failed, or that copies on write and
//! is full) would end the process with a signal. So before a page is stored into, the kernel is
//! asked to make it writable, which is a call that fails instead; and again after each tick of the
//! coarse clock, because the kernel takes the right to write away whenever it has written the page
//! back. What is left is a file system that fails within a tick of having written this very page
//! back. SQLite takes the same care of its `-shm` file.
//!
//! # Invariants
//! 1. The file has been written from end to end before it is mapped, so every page has its room.
//! 2. A forked child has no such memory (`MADV_DONTFORK`): it cannot store into its parent's file.

#![expect(unsafe_code, reason = "mmap, madvise, and stores into what they give")]

use crate::error::Result;
use crate::io::clock::coarse_ticks;
use crate::io::failure::failed;
use crate::io::files::Mapped;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::ptr::NonNull;
use std::{fs, io};

/// A file in memory.
pub struct FileMap {
    path: PathBuf,
    memory: NonNull<u8>,
    len: usize,
    page_bytes: usize,
    /// For each page the tick at which it was last made writable.
    ready: Vec<u64>,
}

// SAFETY: the memory belongs to this value alone, and any thread may store into it.
unsafe impl Send for FileMap {}

impl FileMap {
    /// Maps all of `file`, which has `len` bytes, a multiple of a page.
    ///
    /// # Errors
    /// `Io` where the file system or the kernel (before Linux 5.14) has no such thing.
    pub fn new(path: PathBuf, file: &fs::File, len: usize) -> Result<Self> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping, at a place that the kernel chooses.
        let memory = unsafe {
            let null = std::ptr::null_mut();
            libc::mmap(null, len, protection, libc::MAP_SHARED, file.as_raw_fd(), 0)
        };
        let mapped = (memory != libc::MAP_FAILED).then(|| NonNull::new(memory.cast())).flatten();
        let Some(memory) = mapped else {
            return Err(failed(format!("map {}", path.display()), &io::Error::last_os_error(), ""));
        };
        // SAFETY: always sound.
        let page_bytes = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) });
        let page_bytes = page_bytes.unwrap_or(4096);
        let ready = vec![0; len.div_ceil(page_bytes)];
        let mut map = Self { path, memory, len, page_bytes, ready };
        map.advise(0..len, libc::MADV_DONTFORK)?;
        map.make_ready(0, len)?;
        Ok(map)
    }

    /// Makes the pages of these bytes writable, unless that was done in this tick.
    fn make_ready(&mut self, at: usize, len: usize) -> Result<()> {
        let tick = coarse_ticks();
        for page in at / self.page_bytes..(at + len).div_ceil(self.page_bytes) {
            if self.ready[page] != tick {
                let start = page * self.page_bytes;
                let end = self.len.min(start + self.page_bytes);
                self.advise(start..end, libc::MADV_POPULATE_WRITE)?;
                self.ready[page] = tick;
            }
        }
        Ok(())
    }

    fn advise(&self, bytes: std::ops::Range<usize>, advice: libc::c_int) -> Result<()> {
        debug_assert!(bytes.end <= self.len);
        // SAFETY: the range lies in the mapping, and both advices leave its contents alone.
        let status = unsafe {
            libc::madvise(self.memory.as_ptr().add(bytes.start).cast(), bytes.len(), advice)
        };
        if status == 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        Err(failed(format!("make {} writable in memory", self.path.display()), &error, ""))
    }
}

impl Mapped for FileMap {
    fn put(&mut self, at: usize, bytes: &[u8]) -> Result<()> {
        assert!(at.checked_add(bytes.len()).is_some_and(|end| end <= self.len), "out of the map");
        self.make_ready(at, bytes.len())?;
        // SAFETY: the range lies in the mapping, which nothing borrows, and `bytes` lie elsewhere.
        unsafe {
            self.memory.as_ptr().add(at).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
        }
        Ok(())
    }
}

impl Drop for FileMap {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's, and nothing refers to it any more. In a forked child
        // there is none, and the call finds nothing to do.
        unsafe { libc::munmap(self.memory.as_ptr().cast(), self.len) };
    }
}

#[cfg(test)]
mod tests {
    use crate::io::disk::Directory;
    use crate::io::files::Disk;
    use crate::io::scratch::Scratch;

    #[test]
    fn what_is_put_is_in_the_file_at_once() {
        let scratch = Scratch::new();
        let disk = Directory::open(scratch.path(), true).unwrap();
        let mut map = disk.create_mapped("M", 3 * 4096).unwrap();
        map.put(4090, b"over the edge of a page").unwrap();
        map.put(3 * 4096 - 3, b"end").unwrap();
        let bytes = std::fs::read(scratch.path().join("M")).unwrap();
        assert_eq!(bytes.len(), 3 * 4096);
        assert_eq!(&bytes[4090..4113], b"over the edge of a page");
        assert_eq!(&bytes[3 * 4096 - 3..], b"end");
        assert!(bytes[..4090].iter().all(|byte| *byte == 0));
    }
}
