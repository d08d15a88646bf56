//! One file of the disk in memory: its bytes, and what of them a crash may take.
//!
//! # Invariants
//! 1. `bytes` are `base` with all `changes` made in order.

/// What a disk writes as a whole or not at all, in bytes.
const SECTOR_BYTES: u64 = 512;

/// Longest file: a wild offset is an error and not the end of the test's memory.
pub const FILE_BYTES_MAX: u64 = 1 << 32;

/// The file.
#[derive(Clone, Default)]
pub struct Inode {
    /// What programs read.
    pub bytes: Vec<u8>,
    /// How many descriptors there are.
    pub open_count: usize,
    /// It has lost its name, and gives its room back once nobody has it open.
    pub is_nameless: bool,
    /// Length up to which room on the disk was taken ahead.
    pub reserved_bytes: u64,
    /// Of that, room that was given back within the file.
    pub hole_bytes: u64,
    base: Vec<u8>,
    changes: Vec<Change>,
}

#[derive(Clone)]
struct Change {
    what: What,
    fate: Fate,
}

/// What is changed.
#[derive(Clone)]
pub enum What {
    /// Bytes from `offset` on; a hole before them is filled with zeros.
    Write {
        /// Where they start; with their length at most [`FILE_BYTES_MAX`].
        offset: u64,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// The length, at most [`FILE_BYTES_MAX`].
    Length(u64),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Not synced yet.
    Pending,
    /// A sync failed: no later one makes it certain.
    Uncertain,
    /// Synced, and kept only because something uncertain lies below.
    Durable,
}

impl Inode {
    /// A file of these bytes, all durable.
    pub fn durable(bytes: Vec<u8>) -> Self {
        Self { base: bytes.clone(), bytes, ..Self::default() }
    }

    /// Where data stands, from `offset` on: a file system may leave out every block that holds nothing but
    /// zeros.
    pub fn data_from(&self, offset: u64, block_bytes: u64) -> u64 {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let behind = self.bytes.get(start..).unwrap_or_default();
        let data = behind.iter().position(|byte| *byte != 0).map(|at| (start + at) as u64);
        data.map_or(self.bytes.len() as u64, |at| at - at % block_bytes).max(offset)
    }

    /// The room that it takes on the disk.
    pub fn room_bytes(&self) -> u64 {
        self.reserved_bytes.max(self.bytes.len() as u64)
    }

    /// The room that it gives back now, if it does.
    pub fn freed(&self) -> u64 {
        match self.is_nameless && self.open_count == 0 {
            true => self.room_bytes().saturating_sub(self.hole_bytes),
            false => 0,
        }
    }

    /// Makes a change, which is not durable.
    pub fn change(&mut self, what: What) {
        what.apply(&mut self.bytes);
        self.changes.push(Change { what, fate: Fate::Pending });
    }

    /// Makes what was changed so far durable or, if the sync did not work, uncertain for good.
    pub fn sync(&mut self, worked: bool) {
        let fate = if worked { Fate::Durable } else { Fate::Uncertain };
        for change in self.changes.iter_mut().filter(|change| change.fate == Fate::Pending) {
            change.fate = fate;
        }
        if self.changes.iter().all(|change| change.fate == Fate::Durable) {
            for change in self.changes.drain(..) {
                change.what.apply(&mut self.base);
            }
        }
    }

    /// Damages the bytes. All that is left is durable.
    pub fn damage(&mut self, damage: impl FnOnce(&mut Vec<u8>)) {
        damage(&mut self.bytes);
        self.base = self.bytes.clone();
        self.changes.clear();
    }

    /// True if a crash takes nothing of it.
    pub fn is_synced(&self) -> bool {
        self.changes.is_empty()
    }

    /// The bytes after the power went: `choice` says, of each sector of each change not synced,
    /// whether it was written back then. It was with all that had been made to it by then: within
    /// a sector a later change does not survive without the earlier ones.
    pub fn crash(&self, choice: &mut impl FnMut() -> bool) -> Vec<u8> {
        let mut seen = self.base.clone();
        let mut bytes = self.base.clone();
        for Change { what, fate } in &self.changes {
            what.apply(&mut seen);
            let mut survives = || *fate == Fate::Durable || choice();
            match what {
                What::Length(len) if survives() => bytes.resize(index(*len), 0),
                What::Length(_) => {}
                What::Write { offset, bytes: written } => {
                    let end = offset + written.len() as u64;
                    let first = offset - offset % SECTOR_BYTES;
                    let sectors = (first..end).step_by(index(SECTOR_BYTES)).map(index);
                    for at in sectors.filter(|_| survives()) {
                        let sector = at..seen.len().min(at + index(SECTOR_BYTES));
                        put(&mut bytes, at, &seen[sector]);
                    }
                }
            }
        }
        // The length may have got there without the bytes; zeros stand in their place then.
        if bytes.len() < self.bytes.len() && choice() {
            bytes.resize(self.bytes.len(), 0);
        }
        bytes
    }
}

impl What {
    fn apply(&self, to: &mut Vec<u8>) {
        match self {
            Self::Length(len) => to.resize(index(*len), 0),
            Self::Write { offset, bytes } => put(to, index(*offset), bytes),
        }
    }
}

fn put(to: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let end = at + bytes.len();
    if to.len() < end {
        to.resize(end, 0);
    }
    to[at..end].copy_from_slice(bytes);
}

/// An offset as an index.
pub fn index(offset: u64) -> usize {
    usize::try_from(offset).expect("at most FILE_BYTES_MAX")
}
