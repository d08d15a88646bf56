//! A disk in memory that a test can crash, tear, fill and damage.
//!
//! It promises what a real disk promises, and no more. Bytes are durable after `sync` of their
//! file, names after `sync_names`. When the power goes, the test chooses for each other sector of
//! each write, and for each other change of a length, whether it is there, in any combination.
//! Names change in order, as journals have it. After a failed sync its bytes stay uncertain,
//! whatever is synced later: Linux forgets that they were not written.
//!
//! # Invariants
//! 1. A file is kept as long as it has a name, a name that a crash may bring back, or is open.

use crate::error::{Error, Result};
use crate::io::failure::failed;
use crate::io::files::{Disk, File, Mapped, Space};
use crate::sync::{Mutex, MutexGuard};
use inode::{FILE_BYTES_MAX, Inode, What, index};
use state::{BLOCK_BYTES, DiskState, Fault, NameChange};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

mod inode;
mod state;
mod tests;

pub use state::{Op, coin};

/// The disk. Clones are the same disk, so that a test keeps one and gives one away.
#[derive(Clone)]
pub struct SimDisk {
    path: PathBuf,
    state: Arc<Mutex<DiskState>>,
    during_failed_sync: Arc<Mutex<Option<Meanwhile>>>,
}

/// What others do while an operation is going on.
type Meanwhile = Box<dyn FnOnce() + Send>;

impl SimDisk {
    /// An empty disk.
    pub fn new() -> Self {
        Self::from_state(DiskState::default())
    }

    /// A disk with these files, all durable.
    pub fn from_files(files: BTreeMap<String, Vec<u8>>) -> Self {
        let mut state = DiskState::default();
        for (name, bytes) in files {
            let id = state.add_file(Inode::durable(bytes));
            state.names.insert(name, id);
        }
        state.durable_names = state.names.clone();
        Self::from_state(state)
    }

    /// All files, as programs see them now.
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let state = self.state.lock();
        let files = state.names.iter();
        files.map(|(name, id)| (name.clone(), state.inodes[id].bytes.clone())).collect()
    }

    /// The disk after the power went: `choice` says of each thing not synced whether it survived.
    /// This disk goes on as if nothing had happened.
    pub fn crash(&self, mut choice: impl FnMut() -> bool) -> Self {
        let state = self.state.lock();
        let mut names = state.durable_names.clone();
        for change in state.name_changes.iter().take_while(|_| choice()) {
            change.apply(&mut names);
        }
        let mut files = BTreeMap::new();
        for (name, id) in names {
            files.insert(name, state.inodes[&id].crash(&mut choice));
        }
        Self::from_files(files)
    }

    /// The disk after the process died: all it did is there, durable or not as before. Faults end.
    pub fn kill(&self) -> Self {
        let mut state = self.state.lock().clone();
        state.faults.clear();
        state.changes_left = None;
        state.stopped = false;
        state.is_wanted = false;
        state.mapped = 0;
        state.close_all();
        Self::from_state(state)
    }

    /// Lets the `nth` operation of this kind from now, 1 being the next, fail with `os_code`. A
    /// write that fails has written half; a sync that fails has synced nothing.
    pub fn fail_nth(&self, op: Op, nth: u64, os_code: i32) {
        self.state.lock().faults.push(Fault { op, left: nth, os_code });
    }

    /// Lets the next sync of a file fail with `EIO`.
    pub fn fail_sync_once(&self) {
        self.fail_nth(Op::Sync, 1, libc::EIO);
    }

    /// Calls `others` while the next sync of a file that fails has failed, and is not told of yet.
    pub fn during_failed_sync(&self, others: impl FnOnce() + Send + 'static) {
        *self.during_failed_sync.lock() = Some(Box::new(others));
    }

    /// Lets the change (see [`Op::is_change`]) behind this many more fail with `EIO`, and every
    /// operation after it, as if the process was stopped there: to be followed by `crash` or `kill`.
    /// If the change at which it stops is a write, half of it is written.
    pub fn stop_after(&self, changes: u64) {
        self.state.lock().changes_left = Some(changes);
    }

    /// True once it has stopped (see [`SimDisk::stop_after`]).
    pub fn is_stopped(&self) -> bool {
        self.state.lock().changes_left == Some(0)
    }

    /// Lets files grow by this many bytes in all and then gives `ENOSPC`, after writing what there
    /// is room for. Removing and cutting files makes room. `None`: no bound.
    pub fn fill_disk(&self, bytes_left: Option<u64>) {
        self.state.lock().room = bytes_left;
    }

    /// Bytes by which files may still grow; `None`: no bound.
    pub fn room(&self) -> Option<u64> {
        self.state.lock().room
    }

    /// Lets another process want the mapped file, if there is one: it waits, and cuts the file to
    /// nothing as soon as that is let go.
    pub fn want_mapped(&self) {
        let mut state = self.state.lock();
        state.is_wanted = state.mapped > 0;
    }

    /// Inverts the bits of `mask` in one byte, durably. The whole file counts as synced then.
    pub fn flip(&self, name: &str, offset: usize, mask: u8) {
        self.damage(name, |bytes| bytes[offset] ^= mask);
    }

    /// Cuts a file to `len` bytes, durably. The whole file counts as synced then.
    pub fn cut(&self, name: &str, len: usize) {
        self.damage(name, |bytes| bytes.truncate(len));
    }

    /// How many operations of this kind were asked for, also those that failed.
    pub fn count(&self, op: Op) -> u64 {
        self.state.lock().counts.get(&op).copied().unwrap_or(0)
    }

    /// How many changes (see [`Op::is_change`]) were asked for: a run's crash points.
    pub fn changes(&self) -> u64 {
        let state = self.state.lock();
        state.counts.iter().filter(|(op, _)| op.is_change()).map(|(_, count)| count).sum()
    }

    /// How many files hold something that is not synced.
    pub fn unsynced_files(&self) -> usize {
        self.state.lock().inodes.values().filter(|inode| !inode.is_synced()).count()
    }

    fn from_state(state: DiskState) -> Self {
        let during_failed_sync = Arc::default();
        Self { path: PathBuf::from("sim"), state: Arc::new(Mutex::new(state)), during_failed_sync }
    }

    fn damage(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.state.lock();
        let id = state.names[name];
        state.inode(id).damage(change);
    }

    /// Counts the operation, and lets it fail if its time has come.
    fn enter(&self, op: Op, name: &str) -> Result<MutexGuard<'_, DiskState>> {
        let mut state = self.state.lock();
        match state.enter(op) {
            Ok(()) => Ok(state),
            Err(code) => Err(self.error(op, name, code)),
        }
    }

    fn file(&self, name: &str, id: u64, writable: bool, state: &mut DiskState) -> Arc<dyn File> {
        state.inode(id).open_count += 1;
        Arc::new(SimFile::new(self, name, id, writable))
    }

    fn error(&self, op: Op, name: &str, code: i32) -> Error {
        let doing = format!("{op:?} {name} in {}", self.path.display()).to_lowercase();
        failed(doing, &io::Error::from_raw_os_error(code), "")
    }
}

impl Disk for SimDisk {
    fn path(&self) -> &Path {
        &self.path
    }

    fn open(&self, name: &str, writable: bool) -> Result<Arc<dyn File>> {
        let mut state = self.enter(Op::Open, name)?;
        let id = state.id(name).ok_or_else(|| self.error(Op::Open, name, libc::ENOENT))?;
        Ok(self.file(name, id, writable, &mut state))
    }

    fn create(&self, name: &str) -> Result<Arc<dyn File>> {
        let mut state = self.enter(Op::Create, name)?;
        if state.id(name).is_some() {
            return Err(self.error(Op::Create, name, libc::EEXIST));
        }
        let id = state.add_file(Inode::default());
        state.rename(NameChange { from: None, to: Some(name.to_owned()), id });
        Ok(self.file(name, id, true, &mut state))
    }

    fn create_mapped(&self, name: &str, head: &[u8], len: usize) -> Result<Box<dyn Mapped>> {
        let mut state = self.enter(Op::Map, name)?;
        if state.id(name).is_some() {
            return Err(self.error(Op::Map, name, libc::EEXIST));
        }
        let id = state.add_file(Inode::default());
        let room = state.room;
        let mut bytes = head.to_vec();
        bytes.resize(len, 0);
        state.take_room(id, 0, &mut bytes);
        if bytes.len() < len {
            state.room = room;
            return Err(self.error(Op::Map, name, libc::ENOSPC));
        }
        state.inode(id).change(What::Write { offset: 0, bytes });
        state.inode(id).open_count += 1;
        state.mapped += 1;
        state.rename(NameChange { from: None, to: Some(name.to_owned()), id });
        Ok(Box::new(SimMap(SimFile::new(self, name, id, true))))
    }

    fn remove_mapped(&self, name: &str, map: &dyn Mapped) -> Result<()> {
        let is_its_own = self.state.lock().id(name) == Some(map.id().1);
        if is_its_own { self.remove(name) } else { Ok(()) }
    }

    fn list(&self) -> Result<Vec<String>> {
        Ok(self.enter(Op::List, ".")?.names.keys().cloned().collect())
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        let mut state = self.enter(Op::Rename, from)?;
        let id = state.id(from).ok_or_else(|| self.error(Op::Rename, from, libc::ENOENT))?;
        if from != to {
            state.rename(NameChange { from: Some(from.to_owned()), to: Some(to.to_owned()), id });
        }
        Ok(())
    }

    fn remove(&self, name: &str) -> Result<()> {
        let mut state = self.enter(Op::Remove, name)?;
        let id = state.id(name).ok_or_else(|| self.error(Op::Remove, name, libc::ENOENT))?;
        state.rename(NameChange { from: Some(name.to_owned()), to: None, id });
        Ok(())
    }

    fn space(&self) -> Space {
        let state = self.state.lock();
        let taken: u64 = state.names.values().map(|id| state.inodes[id].room_bytes()).sum();
        Space {
            total: state.room.map_or(u64::MAX, |room| room + taken),
            available: state.room.unwrap_or(u64::MAX),
            file_bytes_max: FILE_BYTES_MAX,
        }
    }

    fn sync_names(&self) -> Result<()> {
        let mut state = self.enter(Op::SyncNames, ".")?;
        state.durable_names = state.names.clone();
        state.name_changes.clear();
        state.forget_files();
        Ok(())
    }
}

struct SimFile {
    disk: SimDisk,
    path: PathBuf,
    id: u64,
    writable: bool,
    is_unsynced: AtomicBool,
    is_kept: AtomicBool,
}

impl SimFile {
    fn new(disk: &SimDisk, name: &str, id: u64, writable: bool) -> Self {
        let (is_unsynced, is_kept) = (AtomicBool::new(false), AtomicBool::new(false));
        let path = disk.path.join(name);
        Self { disk: disk.clone(), path, id, writable, is_unsynced, is_kept }
    }

    fn enter(&self, op: Op) -> Result<MutexGuard<'_, DiskState>> {
        let state = self.disk.enter(op, &self.name())?;
        if self.is_lost(&state) {
            drop(state);
            return Err(self.error(op, libc::ENOENT));
        }
        Ok(state)
    }

    /// True if it cannot be opened any more: a file that may be closed is closed after every call.
    fn is_lost(&self, state: &DiskState) -> bool {
        let is_held =
            self.is_unsynced.load(Ordering::Relaxed) || self.is_kept.load(Ordering::Relaxed);
        !is_held && state.id(&self.name()) != Some(self.id)
    }

    fn error(&self, op: Op, code: i32) -> Error {
        self.disk.error(op, &self.name(), code)
    }

    fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}

impl File for SimFile {
    fn path(&self) -> &Path {
        &self.path
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        let mut state = self.enter(Op::Read)?;
        let bytes = &state.inode(self.id).bytes;
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        let count = buffer.len().min(bytes.len() - start);
        buffer[..count].copy_from_slice(&bytes[start..start + count]);
        Ok(count)
    }

    fn write_at(&self, parts: &[&[u8]], offset: u64) -> Result<()> {
        let mut bytes = parts.concat();
        let mut state = self.disk.state.lock();
        let was_stopped = state.stopped;
        let mut outcome = state.enter(Op::Write);
        let long = offset.saturating_add(bytes.len() as u64) > FILE_BYTES_MAX;
        let lost = self.is_lost(&state);
        let denials = [(lost, libc::ENOENT), (!self.writable, libc::EBADF), (long, libc::EFBIG)];
        if was_stopped {
            bytes.clear();
        } else if let Some((_, code)) = denials.iter().find(|(is_so, _)| *is_so) {
            outcome = Err(*code);
            bytes.clear();
        } else if outcome.is_err() {
            bytes.truncate(bytes.len() / 2);
        }
        let whole = bytes.len();
        state.take_room(self.id, offset, &mut bytes);
        if bytes.len() < whole {
            outcome = outcome.and(Err(libc::ENOSPC));
        }
        if !bytes.is_empty() {
            self.is_unsynced.store(true, Ordering::Relaxed);
            state.inode(self.id).change(What::Write { offset, bytes });
        }
        outcome.map_err(|code| self.error(Op::Write, code))
    }

    fn reserve(&self, offset: u64, bytes: u64) -> Result<()> {
        let mut state = self.enter(Op::Reserve)?;
        self.is_unsynced.store(true, Ordering::Relaxed);
        if state.reserve_or_take_all(self.id, offset.saturating_add(bytes)) {
            return Ok(());
        }
        drop(state);
        Err(self.error(Op::Reserve, libc::ENOSPC))
    }

    fn allocate(&self, bytes: u64) -> Result<()> {
        let mut state = self.enter(Op::SetLen)?;
        let from = state.inode(self.id).bytes.len() as u64;
        if !state.reserve(self.id, bytes) {
            drop(state);
            return Err(self.error(Op::SetLen, libc::ENOSPC));
        }
        self.is_unsynced.store(true, Ordering::Relaxed);
        let zeros = vec![0; index(bytes.saturating_sub(from))];
        state.inode(self.id).change(What::Write { offset: from, bytes: zeros });
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        let mut state = self.disk.state.lock();
        let outcome = state.enter(Op::Sync);
        if self.is_lost(&state) {
            drop(state);
            return Err(self.error(Op::Sync, libc::ENOENT));
        }
        state.inode(self.id).sync(outcome.is_ok());
        if outcome.is_ok() {
            self.is_unsynced.store(false, Ordering::Relaxed);
        }
        drop(state);
        let meanwhile = outcome.err().and_then(|_| self.disk.during_failed_sync.lock().take());
        if let Some(others) = meanwhile {
            others();
        }
        outcome.map_err(|code| self.error(Op::Sync, code))
    }

    fn keep(&self) -> Result<()> {
        let _state = self.enter(Op::Open)?;
        self.is_kept.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn len(&self) -> Result<u64> {
        // Remembered, so that it needs no name.
        Ok(self.disk.enter(Op::Len, &self.name())?.inode(self.id).bytes.len() as u64)
    }

    fn is_linked(&self) -> Result<bool> {
        Ok(false)
    }

    fn data_from(&self, offset: u64) -> Result<u64> {
        Ok(self.enter(Op::Read)?.inode(self.id).data_from(offset, BLOCK_BYTES))
    }

    fn punch(&self, offset: u64, bytes: u64) -> Result<bool> {
        self.enter(Op::SetLen)?.punch(self.id, offset, bytes);
        self.is_unsynced.store(true, Ordering::Relaxed);
        Ok(true)
    }

    fn set_len(&self, bytes: u64) -> Result<()> {
        let mut state = self.enter(Op::SetLen)?;
        self.is_unsynced.store(true, Ordering::Relaxed);
        let code = match (self.writable, bytes > FILE_BYTES_MAX) {
            (false, _) => libc::EINVAL,
            (true, true) => libc::EFBIG,
            (true, false) => {
                let before = state.inode(self.id).room_bytes();
                state.give_room(before.saturating_sub(bytes));
                state.inode(self.id).reserved_bytes = 0;
                state.inode(self.id).change(What::Length(bytes));
                return Ok(());
            }
        };
        Err(self.error(Op::SetLen, code))
    }
}

/// A file that is written by storing into memory.
struct SimMap(SimFile);

impl Mapped for SimMap {
    fn put(&mut self, at: usize, bytes: &[u8]) -> Result<()> {
        let mut state = self.0.disk.state.lock();
        let was_stopped = state.stopped;
        let mut outcome = state.enter(Op::Map);
        if state.is_wanted {
            outcome = outcome.and(Err(libc::EWOULDBLOCK));
        }
        // Where the process is stopped within a store, half of it is there.
        let done = match (&outcome, was_stopped) {
            (Ok(()), _) => bytes.len(),
            (Err(_), true) => 0,
            (Err(_), false) => bytes.len() / 2,
        };
        let bytes = bytes[..done].to_vec();
        state.inode(self.0.id).change(What::Write { offset: at as u64, bytes });
        drop(state);
        outcome.map_err(|code| self.0.error(Op::Map, code))
    }

    fn is_wanted(&self) -> bool {
        self.0.disk.state.lock().is_wanted
    }

    fn id(&self) -> (u64, u64) {
        (0, self.0.id)
    }
}

impl Drop for SimMap {
    fn drop(&mut self) {
        let mut state = self.0.disk.state.lock();
        state.mapped = state.mapped.saturating_sub(1);
        // Of a process that has died it could be cut in any case.
        if std::mem::take(&mut state.is_wanted) && !state.stopped {
            state.inode(self.0.id).change(What::Length(0));
        }
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        let mut state = self.disk.state.lock();
        state.close(self.id);
        state.forget_files();
    }
}
