//! Any number of open files over a bounded number of descriptors, which all stores of a process
//! share.
//!
//! A store has a file for every 64 MiB, and a process may have only so many descriptors. All stores
//! together keep at most a quarter of those open (of the soft limit when a store was last opened),
//! 4 at least and 1024 at most. Each store also has its directory, its lock, and its stage while it
//! has one.
//!
//! A handle has a descriptor only for a while. When too many are open, a hand goes round over them
//! like that of a clock. It closes the first that was not used since it last came by. The next use
//! opens the file again by its name, relative to the directory, and only if device and inode are
//! the same. If the process has no descriptor left, half of those that may be closed are closed,
//! and the call is tried once more. The length of a closed file is remembered.
//!
//! A call that uses a file holds a shared lock on its descriptor. That costs 30 to 40 of the 2,960
//! instructions of a cold retrieve; no difference in time could be measured.
//!
//! # Invariants
//! 1. A file with bytes that no sync has confirmed keeps its descriptor: the kernel reports a
//!    failed write to those who have the file open then, and to nobody else. So that such files
//!    stay few, a segment is not begun while eight wait for a sync.
//! 2. A file that was told to keeps its descriptor too: compaction has removed it, and somebody
//!    still reads it.
//! 3. A descriptor is in the pool exactly while it is open and its handle lives.
//! 4. Locks are taken in the order descriptor, pool. The hand, which has the pool, takes a
//!    descriptor's only if it is free: a descriptor is not closed while a call uses it, and nothing
//!    waits for one.

#![expect(unsafe_code, reason = "getrlimit")]

use crate::io::calls::{FileId, status_of, sync_data};
use crate::io::fork::{Owned, PerProcess};
use crate::sync::{Mutex, RwLock};
use lru::LruCache;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{fs, io, process};

/// The share of the descriptors that a process may have: one in so many.
const SHARE: u64 = 4;

/// However many it may have, no more are kept open; and however few, no less.
const OPEN_MAX: usize = 1024;
const OPEN_MIN: usize = 4;

/// The descriptors that are open.
pub struct Pool {
    /// By the address of the descriptor; the one that the hand came by last comes first.
    open: LruCache<usize, Arc<Descriptor>>,
    bound: usize,
}

impl Default for Pool {
    fn default() -> Self {
        Self { open: LruCache::unbounded(), bound: 0 }
    }
}

/// The pool of one process.
pub type PoolRef = &'static Owned<Mutex<Pool>>;

/// The pool of this process, its bound made to fit what the process may have now.
pub fn pool_of_this_process() -> PoolRef {
    static POOL: PerProcess<Mutex<Pool>> = PerProcess::new();
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is ours to write. Should the call fail, it stays 0, which gives the least bound.
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    let pool = POOL.get();
    pool.value.lock().bound = bound_under(limit.rlim_cur);
    pool
}

/// How many are kept open by a process that may have `limit` descriptors.
fn bound_under(limit: u64) -> usize {
    usize::try_from(limit / SHARE).unwrap_or(OPEN_MAX).clamp(OPEN_MIN, OPEN_MAX)
}

/// Calls `open`; where the process or the kernel has no descriptor left, some of the pool are closed,
/// and it is called once more.
///
/// # Errors
/// Those of `open`.
pub fn opened<T>(pool: PoolRef, open: impl Fn() -> io::Result<T>) -> io::Result<T> {
    match open() {
        Err(error) if matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE)) => {
            let mut pool = pool.value.lock();
            let half = pool.open.len() / 2;
            pool.shrink_to(half);
            drop(pool);
            open()
        }
        result => result,
    }
}

impl Pool {
    /// Moves the hand until at most `count` are open, or it has been twice everywhere.
    fn shrink_to(&mut self, count: usize) {
        let mut steps = 2 * self.open.len();
        while self.open.len() > count && steps > 0 {
            steps -= 1;
            let Some((address, descriptor)) = self.open.pop_lru() else { return };
            if !descriptor.close_if_idle() {
                self.open.push(address, descriptor);
            }
        }
    }

    fn add(&mut self, descriptor: &Arc<Descriptor>) {
        self.open.push(address(descriptor), descriptor.clone());
    }

    fn make_room(&mut self) {
        self.shrink_to(self.bound.saturating_sub(1));
    }
}

/// A file that can be used at any time, open or not. Dropping it closes it.
pub struct Handle {
    pool: PoolRef,
    descriptor: Arc<Descriptor>,
}

struct Descriptor {
    state: RwLock<FileState>,
    /// Since the hand last came by.
    is_used: AtomicBool,
    /// Invariant 1.
    is_unsynced: AtomicBool,
    /// Invariant 2.
    is_kept: AtomicBool,
}

enum FileState {
    Open { file: fs::File, writable: bool },
    Closed { id: FileId, len: u64 },
}

/// Opens the file by its name, for writing too if the argument says so.
pub type Reopen<'a> = &'a dyn Fn(bool) -> io::Result<fs::File>;

impl Handle {
    /// Of a file that was just opened.
    pub fn new(pool: PoolRef, file: fs::File, writable: bool) -> Self {
        let descriptor = Arc::new(Descriptor {
            state: RwLock::new(FileState::Open { file, writable }),
            is_used: AtomicBool::new(true),
            is_unsynced: AtomicBool::new(false),
            is_kept: AtomicBool::new(false),
        });
        let mut open = pool.value.lock();
        open.make_room();
        open.add(&descriptor);
        drop(open);
        Self { pool, descriptor }
    }

    /// Lends the open file, for anything that does not change it.
    ///
    /// # Errors
    /// Those of `use_it`, and of opening the file again.
    #[inline]
    pub fn read<T>(
        &self,
        reopen: Reopen<'_>,
        use_it: impl FnOnce(&fs::File) -> io::Result<T>,
    ) -> io::Result<T> {
        self.lend(false, reopen, use_it)
    }

    /// Lends the open file, which then keeps its descriptor until it is synced.
    ///
    /// # Errors
    /// As [`Handle::read`].
    pub fn write<T>(
        &self,
        reopen: Reopen<'_>,
        use_it: impl FnOnce(&fs::File) -> io::Result<T>,
    ) -> io::Result<T> {
        self.lend(true, reopen, |file| {
            let outcome = use_it(file);
            // After the writing: a sync that has begun before takes the mark away and not the bytes.
            self.descriptor.is_unsynced.store(true, Ordering::Release);
            outcome
        })
    }

    /// Makes the bytes written so far survive power loss.
    ///
    /// # Errors
    /// Those of the sync, and the descriptor stays; those of opening the file again.
    pub fn sync(&self, reopen: Reopen<'_>) -> io::Result<()> {
        self.lend(false, reopen, |file| {
            let is_unsynced = &self.descriptor.is_unsynced;
            let was_unsynced = is_unsynced.swap(false, Ordering::AcqRel);
            sync_data(file).inspect_err(|_| {
                if was_unsynced {
                    is_unsynced.store(true, Ordering::Release);
                }
            })
        })
    }

    /// The length in bytes; of a closed file the one that it had.
    ///
    /// # Errors
    /// Those of looking at it.
    pub fn len(&self) -> io::Result<u64> {
        match &*self.descriptor.state.read() {
            FileState::Open { file, .. } => status_of(file).map(|found| found.len),
            FileState::Closed { len, .. } => Ok(*len),
        }
    }

    /// Keeps the descriptor from now on.
    ///
    /// # Errors
    /// Those of opening the file again.
    pub fn keep(&self, reopen: Reopen<'_>) -> io::Result<()> {
        self.lend(false, reopen, |_| {
            self.descriptor.is_kept.store(true, Ordering::Release);
            Ok(())
        })
    }

    #[inline]
    fn lend<T>(
        &self,
        writable: bool,
        reopen: Reopen<'_>,
        use_it: impl FnOnce(&fs::File) -> io::Result<T>,
    ) -> io::Result<T> {
        loop {
            let state = self.descriptor.state.read();
            if let Some(file) = state.file(writable) {
                // Not written if it is set, so that threads that read do not take the line from
                // each other once more.
                if !self.descriptor.is_used.load(Ordering::Relaxed) {
                    self.descriptor.is_used.store(true, Ordering::Relaxed);
                }
                return use_it(file);
            }
            drop(state);
            self.reopen(writable, reopen)?;
        }
    }

    #[cold]
    fn reopen(&self, writable: bool, reopen: Reopen<'_>) -> io::Result<()> {
        let mut state = self.descriptor.state.write();
        if state.file(writable).is_some() {
            return Ok(());
        }
        let (id, was_open) = match &*state {
            FileState::Open { file, .. } => (status_of(file)?.id, true),
            FileState::Closed { id, .. } => (*id, false),
        };
        if !was_open {
            self.pool.value.lock().make_room();
        }
        let file = opened(self.pool, || reopen(writable))?;
        if status_of(&file)?.id != id {
            return Err(io::Error::other("another file has this name now"));
        }
        *state = FileState::Open { file, writable };
        self.descriptor.is_used.store(true, Ordering::Relaxed);
        if !was_open {
            self.pool.value.lock().add(&self.descriptor);
        }
        Ok(())
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if self.pool.process_id != process::id() {
            return;
        }
        let mut pool = self.pool.value.lock();
        pool.open.pop(&address(&self.descriptor));
        if pool.open.is_empty() {
            // A program that has closed its stores gets their memory back.
            pool.open = LruCache::unbounded();
        }
    }
}

fn address(descriptor: &Arc<Descriptor>) -> usize {
    Arc::as_ptr(descriptor).addr()
}

impl Descriptor {
    /// True if it is closed then.
    fn close_if_idle(&self) -> bool {
        if self.is_kept.load(Ordering::Acquire)
            || self.is_unsynced.load(Ordering::Acquire)
            || self.is_used.swap(false, Ordering::Relaxed)
        {
            return false;
        }
        let Some(mut state) = self.state.try_write() else { return false };
        // Asked again, now that no call uses it.
        let is_held =
            self.is_kept.load(Ordering::Acquire) || self.is_unsynced.load(Ordering::Acquire);
        let FileState::Open { file, .. } = &*state else { return true };
        let found = match status_of(file) {
            Ok(found) if !is_held => found,
            _ => return false,
        };
        *state = FileState::Closed { id: found.id, len: found.len };
        true
    }
}

impl FileState {
    #[inline]
    fn file(&self, for_writing: bool) -> Option<&fs::File> {
        match self {
            Self::Open { file, writable } if *writable || !for_writing => Some(file),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
