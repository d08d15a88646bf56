//! The whole of the disk in memory: its files, their names, its room and its faults.

use crate::io::sim::inode::{Inode, What, index};
use std::collections::BTreeMap;

/// What a file system keeps as a whole, or leaves out where nothing was written.
pub const BLOCK_BYTES: u64 = 4096;

/// A kind of operation, to be counted and to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Op {
    /// `Disk::open`.
    Open,
    /// `Disk::create`.
    Create,
    /// `Disk::list`.
    List,
    /// `Disk::rename`.
    Rename,
    /// `Disk::remove`.
    Remove,
    /// `Disk::sync_names`.
    SyncNames,
    /// `File::read_at`.
    Read,
    /// `File::write_at`.
    Write,
    /// `File::sync`.
    Sync,
    /// `File::len`.
    Len,
    /// `File::set_len`.
    SetLen,
    /// `Disk::create_mapped` and `Mapped::put`.
    Map,
    /// `File::reserve`.
    Reserve,
}

impl Op {
    /// True if the operation changes what is on the disk.
    pub fn is_change(self) -> bool {
        !matches!(self, Self::Open | Self::List | Self::Read | Self::Len | Self::Reserve)
    }
}

#[derive(Clone, Default)]
pub struct DiskState {
    pub inodes: BTreeMap<u64, Inode>,
    pub next_id: u64,
    pub names: BTreeMap<String, u64>,
    pub durable_names: BTreeMap<String, u64>,
    /// What leads from `durable_names` to `names`.
    pub name_changes: Vec<NameChange>,
    /// Bytes by which files may still grow; None: no bound.
    pub room: Option<u64>,
    pub faults: Vec<Fault>,
    /// Changes until everything fails; None: never.
    pub changes_left: Option<u64>,
    /// The change at which everything ended has been asked for.
    pub stopped: bool,
    pub counts: BTreeMap<Op, u64>,
    /// Files that are mapped; a store has one at most.
    pub mapped: usize,
    /// Another process waits to cut the mapped file.
    pub is_wanted: bool,
}

#[derive(Clone)]
pub struct Fault {
    pub op: Op,
    pub left: u64,
    pub os_code: i32,
}

impl DiskState {
    pub fn id(&self, name: &str) -> Option<u64> {
        self.names.get(name).copied()
    }

    pub fn inode(&mut self, id: u64) -> &mut Inode {
        self.inodes.get_mut(&id).expect("invariant 1")
    }

    pub fn enter(&mut self, op: Op) -> Result<(), i32> {
        *self.counts.entry(op).or_default() += 1;
        match &mut self.changes_left {
            // A process that is killed at a change has read all that it asked for before.
            Some(0) if op.is_change() || self.stopped => {
                self.stopped = true;
                return Err(libc::EIO);
            }
            Some(left) if op.is_change() => *left -= 1,
            _ => {}
        }
        let mut failure = None;
        self.faults.retain_mut(|fault| {
            if fault.op == op {
                fault.left -= 1;
                if fault.left == 0 {
                    failure = Some(fault.os_code);
                }
            }
            fault.left > 0
        });
        failure.map_or(Ok(()), Err)
    }

    pub fn add_file(&mut self, inode: Inode) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.inodes.insert(id, inode);
        id
    }

    pub fn rename(&mut self, change: NameChange) {
        let lost = match (&change.from, &change.to) {
            (_, Some(to)) => self.id(to),
            (_, None) => Some(change.id),
        };
        if let Some(inode) = lost.map(|id| self.inode(id)) {
            inode.is_nameless = true;
            let freed = inode.freed();
            self.give_room(freed);
        }
        change.apply(&mut self.names);
        self.name_changes.push(change);
    }

    /// One descriptor less.
    pub fn close(&mut self, id: u64) {
        let inode = self.inode(id);
        inode.open_count -= 1;
        let freed = inode.freed();
        self.give_room(freed);
    }

    /// The process has died.
    pub fn close_all(&mut self) {
        let opened = self.inodes.values_mut().filter(|inode| inode.open_count > 0);
        let freed = opened.map(|inode| {
            inode.open_count = 0;
            inode.freed()
        });
        let freed = freed.sum();
        self.give_room(freed);
    }

    pub fn give_room(&mut self, bytes: u64) {
        self.room = self.room.map(|room| room + bytes);
    }

    /// Cuts `bytes`, to be written at `offset`, to what there is room for.
    pub fn take_room(&mut self, id: u64, offset: u64, bytes: &mut Vec<u8>) {
        let Some(room) = self.room else { return };
        let len = self.inode(id).room_bytes();
        let fits = (len + room).saturating_sub(offset);
        bytes.truncate(usize::try_from(fits).unwrap_or(usize::MAX));
        let growth = (offset + bytes.len() as u64).saturating_sub(len);
        self.room = Some(room.saturating_sub(if bytes.is_empty() { 0 } else { growth }));
    }

    /// Gives the room of the whole blocks among those bytes back, which are zeros then.
    pub fn punch(&mut self, id: u64, offset: u64, bytes: u64) {
        let end = offset.saturating_add(bytes);
        let first = offset.next_multiple_of(BLOCK_BYTES);
        let whole = (end - end % BLOCK_BYTES).saturating_sub(first);
        let inode = self.inode(id);
        inode.change(What::Write { offset, bytes: vec![0; index(bytes)] });
        inode.hole_bytes += whole;
        self.give_room(whole);
    }

    /// Takes room for a file of `end` bytes; false if there is not so much.
    pub fn reserve(&mut self, id: u64, end: u64) -> bool {
        let growth = end.saturating_sub(self.inode(id).room_bytes());
        let fits = self.room.is_none_or(|room| growth <= room);
        if fits {
            self.room = self.room.map(|room| room - growth);
            self.inode(id).reserved_bytes = end;
        }
        fits
    }

    /// The same; where there is not so much it takes what is left, as ext4 does.
    pub fn reserve_or_take_all(&mut self, id: u64, end: u64) -> bool {
        let fits = self.reserve(id, end);
        if !fits {
            let left = self.room.replace(0).unwrap_or(0);
            let inode = self.inode(id);
            inode.reserved_bytes = inode.room_bytes() + left;
        }
        fits
    }

    pub fn forget_files(&mut self) {
        let Self { names, durable_names, name_changes, inodes, .. } = self;
        let is_named = |id: &u64| {
            let mut named = names.values().chain(durable_names.values());
            named.any(|name| name == id) || name_changes.iter().any(|change| change.id == *id)
        };
        inodes.retain(|id, inode| inode.open_count > 0 || is_named(id));
    }
}

/// A file gets a name (no `from`), another name, or loses its name (no `to`).
#[derive(Clone)]
pub struct NameChange {
    pub from: Option<String>,
    pub to: Option<String>,
    pub id: u64,
}

impl NameChange {
    pub fn apply(&self, names: &mut BTreeMap<String, u64>) {
        // In a crash the name may have come to stand for another file, or never have been there.
        if let Some(from) = self.from.as_ref().filter(|from| names.get(*from) == Some(&self.id)) {
            names.remove(from);
        }
        if let Some(to) = &self.to {
            names.insert(to.clone(), self.id);
        }
    }
}

/// A choice that looks random, the same one for the same seed: for `SimDisk::crash`.
pub fn coin(seed: u64) -> impl FnMut() -> bool {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 63 == 1
    }
}
