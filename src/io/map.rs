//! A small file that is written by copying into mapped memory. That takes no call to the kernel,
//! and the bytes survive the death of the process, because the memory is the kernel's page of the
//! file.
//!
//! A page that the kernel cannot provide would end the process with a signal: a file system has
//! failed, or it copies on write and is full. So before a copy into a page, the kernel is asked to
//! make the page writable (`MADV_POPULATE_WRITE`), a call that fails instead. It is asked again
//! after each tick of the coarse clock, because the kernel takes the right to write away whenever
//! it has written the page back. What remains is a file system that fails within a tick of having
//! written this very page back. SQLite takes the same care of its `-shm` file.
//!
//! A page that another process has cut off the file would end the process too. Under the lease no
//! process can cut the file. Before the first copy of each tick the holder asks whether somebody
//! waits for the lease, or the kernel has taken it away. What remains is a process that is stopped
//! for 45 seconds between this question and the copy, while another waits to cut the file; whoever
//! may cut it may also kill the process. And the lease does not reach below an overlay, or to the
//! server of a network file system.
//!
//! # Invariants
//! 1. The file has been written from end to end before it is mapped, so every page has its room.
//! 2. A forked child has no such memory (`MADV_DONTFORK`): it cannot write into its parent's file.
//! 3. The lease is given back after the memory, when nothing can be copied any more.

#![expect(unsafe_code, reason = "mmap, madvise, and stores into what they give")]

use crate::error::Result;
use crate::io::calls;
use crate::io::clock::coarse_ticks;
use crate::io::failure::failed;
use crate::io::files::Mapped;
use crate::io::lease::Lease;
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::RawFd;
use std::path::PathBuf;
use std::ptr::NonNull;

/// A file in memory.
pub struct FileMap {
    path: PathBuf,
    memory: NonNull<u8>,
    len: usize,
    page_bytes: usize,
    /// For each page the tick at which it was last made writable.
    ready: Vec<u64>,
    /// The tick at which nobody was waiting for the file.
    unwanted: u64,
    id: (u64, u64),
    /// Dropped after the memory (invariant 3).
    lease: Lease,
}

// SAFETY: the memory belongs to this value alone, and any thread may store into it.
unsafe impl Send for FileMap {}

impl FileMap {
    /// Maps all of the file, which has `len` bytes, a multiple of a page.
    ///
    /// # Errors
    /// `Io` where the file system or the kernel (before Linux 5.14) has no such thing.
    pub fn new(path: PathBuf, lease: Lease, len: usize) -> Result<Self> {
        let cannot = |error: &io::Error| failed(format!("map {}", path.display()), error, "");
        let map = |fd| {
            let found = calls::status_of(&fd)?;
            let (null, protection) = (std::ptr::null_mut(), libc::PROT_READ | libc::PROT_WRITE);
            // SAFETY: a new mapping, at a place that the kernel chooses.
            let memory = unsafe { libc::mmap(null, len, protection, libc::MAP_SHARED, fd, 0) };
            let mapped = (memory != libc::MAP_FAILED).then(|| NonNull::new(memory.cast()));
            let memory = mapped.flatten().ok_or_else(io::Error::last_os_error)?;
            Ok((memory, found.id))
        };
        let (memory, id) = lease.with(map).map_err(|error| cannot(&error))?;
        // SAFETY: always sound.
        let page_bytes = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) });
        let page_bytes = page_bytes.unwrap_or(4096);
        let ready = vec![0; len.div_ceil(page_bytes)];
        let mut map = Self { path, memory, len, page_bytes, ready, unwanted: 0, id, lease };
        map.advise(0..len, libc::MADV_DONTFORK)?;
        map.make_ready(0, len, coarse_ticks())?;
        Ok(map)
    }

    /// Gives the file, which has none, a name that is free.
    ///
    /// # Errors
    /// `Io`.
    pub fn give_name(&self, directory: RawFd, name: &CStr) -> Result<()> {
        let link = |fd| {
            let empty = c"";
            let linked = calls::link_at(fd, empty, directory, name, libc::AT_EMPTY_PATH);
            // Before Linux 6.10 that takes a privilege, and this takes a `/proc`.
            linked.or_else(|_| {
                let here = CString::new(format!("/proc/self/fd/{fd}"))?;
                let follow = libc::AT_SYMLINK_FOLLOW;
                calls::link_at(libc::AT_FDCWD, &here, directory, name, follow)
            })
        };
        self.lease
            .with(link)
            .map_err(|error| failed(format!("name {}", self.path.display()), &error, ""))
    }

    /// Makes the pages of these bytes writable, unless that was done in this tick.
    fn make_ready(&mut self, at: usize, len: usize, tick: u64) -> Result<()> {
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
        let tick = coarse_ticks();
        if self.unwanted != tick {
            if self.is_wanted() {
                let waits = io::Error::from_raw_os_error(libc::EWOULDBLOCK);
                return Err(failed(format!("store into {}", self.path.display()), &waits, ""));
            }
            self.unwanted = tick;
        }
        self.make_ready(at, bytes.len(), tick)?;
        // SAFETY: the range lies in the mapping, which nothing borrows, and `bytes` lie elsewhere.
        unsafe {
            self.memory.as_ptr().add(at).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
        }
        Ok(())
    }

    fn is_wanted(&self) -> bool {
        self.lease.is_wanted()
    }

    fn id(&self) -> (u64, u64) {
        self.id
    }
}

impl Drop for FileMap {
    fn drop(&mut self) {
        // In a forked child there is no such memory, and other memory may have its place.
        if self.lease.with(|_| Ok(())).is_ok() {
            // SAFETY: the mapping is this value's, and nothing refers to it any more.
            unsafe { libc::munmap(self.memory.as_ptr().cast(), self.len) };
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::io::disk::Directory;
    use crate::io::files::Disk;
    use crate::io::scratch::Scratch;
    use std::fs::{self, OpenOptions};
    use std::time::{Duration, Instant};

    fn pause() {
        std::thread::sleep(Duration::from_millis(20));
    }

    #[test]
    fn who_wants_the_file_waits_until_it_is_let_go_and_nothing_is_stored_any_more() {
        type Way = fn(&std::path::Path);
        let ways: [Way; 4] = [
            |path| drop(fs::read(path).unwrap()),
            |path| drop(OpenOptions::new().read(true).write(true).open(path).unwrap()),
            |path| drop(OpenOptions::new().write(true).truncate(true).open(path).unwrap()),
            |path| drop(fs::File::create(path).unwrap()),
        ];
        for way in ways {
            let scratch = Scratch::new();
            let path = scratch.path().join("M");
            let disk = Directory::open(scratch.path(), true).unwrap();
            let mut map = disk.create_mapped("M", b"", 4096).unwrap();
            pause();
            map.put(0, b"before").unwrap();
            assert!(!map.is_wanted());
            std::thread::scope(|scope| {
                let other = scope.spawn(|| way(&path));
                let started = Instant::now();
                while !map.is_wanted() && started.elapsed() < Duration::from_secs(10) {
                    pause();
                }
                map.put(0, b"behind").unwrap_err();
                pause();
                assert!(!other.is_finished());
                assert_eq!(fs::metadata(&path).unwrap().len(), 4096);
                drop(map);
                other.join().unwrap();
            });
        }
    }

    #[test]
    fn a_name_that_is_taken_stays_with_the_file_that_has_it() {
        let scratch = Scratch::new();
        let disk = Directory::open(scratch.path(), true).unwrap();
        let map = disk.create_mapped("M", b"", 4096).unwrap();
        assert!(disk.create_mapped("M", b"", 4096).is_err());
        assert_eq!(disk.list().unwrap(), ["M"]);
        fs::rename(scratch.path().join("M"), scratch.path().join("moved")).unwrap();
        fs::write(scratch.path().join("M"), "another").unwrap();
        disk.remove_mapped("M", &*map).unwrap();
        assert_eq!(fs::read(scratch.path().join("M")).unwrap(), b"another");
        disk.remove_mapped("moved", &*map).unwrap();
        assert_eq!(disk.list().unwrap(), ["M"]);
    }

    #[test]
    fn what_is_put_is_in_the_file_at_once() {
        let scratch = Scratch::new();
        let disk = Directory::open(scratch.path(), true).unwrap();
        let mut map = disk.create_mapped("M", b"head", 3 * 4096).unwrap();
        map.put(4090, b"over the edge of a page").unwrap();
        map.put(3 * 4096 - 3, b"end").unwrap();
        // Whoever opens it waits for the lease, else for 45 seconds.
        let bytes = std::thread::scope(|scope| {
            let reading = scope.spawn(|| fs::read(scratch.path().join("M")).unwrap());
            while !map.is_wanted() {
                pause();
            }
            drop(map);
            reading.join().unwrap()
        });
        assert_eq!(bytes.len(), 3 * 4096);
        assert_eq!(&bytes[4090..4113], b"over the edge of a page");
        assert_eq!(&bytes[3 * 4096 - 3..], b"end");
        assert_eq!(&bytes[..4], b"head");
        assert!(bytes[4..4090].iter().all(|byte| *byte == 0));
    }
}
