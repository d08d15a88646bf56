//! The reserve: room on the disk that is kept for deletes and compaction, which make room.
//!
//! On a full disk a tombstone or a clear needs some room before it frees any, and so does the
//! segment that compaction writes. Where room is scarce the file `RESERVE`, which is all zeros, holds
//! it: values are refused before it gets smaller, and deletions and compaction make it smaller as
//! they need. It stays across close and crash, so that a store which is opened on a full disk has it
//! too. Where the disk has plenty of room there is no such file.
//!
//! # Invariants
//! 1. A value takes new room only while the reserve is whole.
//! 2. Deletions leave the half that the output of a compaction needs.
//! 3. A file of that name that has anything but zeros is somebody else's, and is left alone.

use crate::error::{Error, ErrorKind, Result};
use crate::io::files::{Disk, Space};
use crate::sync::Mutex;
use std::sync::Arc;

/// The name of the file.
pub const RESERVE: &str = "RESERVE";

/// Room is scarce if less than this is free beside what the reserve should have. It is more than
/// other programs write between two checks of the background thread.
const SCARCE_BYTES: u64 = 1 << 30;

/// Least number of bytes that deletions take of the reserve at a time: room for a thousand
/// tombstones.
pub const STEP_BYTES: u64 = 64 << 10;

/// The reserve takes this share of the file system at most.
const SHARE_MAX: u64 = 8;

/// Under a quota that is used up it takes so much at most. Nobody knows how much the quota is, but the
/// log has so much room ahead of values when the file system refuses more for the first time.
pub const QUOTA_BYTES: u64 = 1 << 20;

/// A segment takes this share of the file system at most, so that rewriting one needs little room.
const SEGMENT_SHARE: u64 = 32;

/// Least length of a segment, on the smallest file systems.
const SEGMENT_BYTES_MIN: u64 = 16 << 10;

/// A segment also takes this share of the free room at most, where others use the rest of the disk.
/// This bound is never less than so many bytes.
const FREE_SHARE: u64 = 8;
const FREE_BYTES_MIN: u64 = 512 << 10;

/// This share of the room that is not scarce yet may be used before the file system is asked again.
const CREDIT_SHARE: u64 = 16;

/// What the room is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Tombstones and clears.
    Deletion,
    /// What compaction writes.
    Rewriting,
    /// Tombstones, when compaction has nothing to gain.
    Last,
    /// Records that were acknowledged, and whose room was lost before they were in their file.
    Pending,
}

/// The reserve of one open store.
pub struct Reserve {
    disk: Arc<dyn Disk>,
    state: Mutex<ReserveState>,
}

#[derive(Default)]
struct ReserveState {
    /// There is a file of that name.
    exists: bool,
    /// And it is somebody else's.
    is_foreign: bool,
    /// Its length.
    bytes: u64,
    /// What it should have, by what was last known of the disk.
    wanted: u64,
    /// Length of the longest segment.
    longest: u64,
    /// What values may take before the file system is asked again.
    credit: u64,
    /// Some of it was given to the rewriting that is going on, and nobody else may have that.
    is_lent: bool,
    /// A quota is used up, of which the file system's room says nothing: room is scarce in any case.
    is_over_quota: bool,
    /// What deletions may take although less than half of it is there.
    allowance: u64,
}

impl Reserve {
    /// The reserve as it was left.
    ///
    /// # Errors
    /// `Io`: the directory cannot be read.
    pub fn open(disk: Arc<dyn Disk>) -> Result<Self> {
        let mut state = ReserveState::default();
        if disk.list()?.iter().any(|name| name == RESERVE) {
            let found = length_if_ours(&*disk).ok().flatten();
            state.exists = true;
            state.is_foreign = found.is_none();
            state.bytes = found.unwrap_or(0);
            state.wanted = state.bytes;
        }
        Ok(Self { disk, state: Mutex::new(state) })
    }

    /// Bytes that it takes.
    pub fn bytes(&self) -> u64 {
        self.state.lock().bytes
    }

    /// Bytes that compaction may write at this moment; `u64::MAX` if nobody knows.
    pub fn room(&self) -> u64 {
        self.disk.space().available.saturating_add(self.bytes())
    }

    /// Before a value takes `bytes` of the disk: makes the reserve whole, if room is scarce. The
    /// longest segment will have `longest` bytes.
    ///
    /// # Errors
    /// `NoSpace`: it cannot be whole; `Io`.
    pub fn keep(&self, longest: u64, bytes: u64) -> Result<()> {
        let mut state = self.state.lock();
        state.longest = state.longest.max(longest);
        if bytes <= state.credit {
            state.credit -= bytes;
            return Ok(());
        }
        let space = self.disk.space();
        if !state.look(space) || state.is_foreign {
            return Ok(());
        }
        if state.is_lent {
            return Err(self.full());
        }
        let missing = state.wanted.saturating_sub(state.bytes);
        if missing > space.available {
            return Err(self.full());
        }
        let wanted = state.wanted;
        match self.grow(&mut state, wanted) {
            Err(error) if error.kind() != ErrorKind::NoSpace => {
                // Whatever is in the way, it is no reason to refuse the value.
                state.is_foreign = true;
                Ok(())
            }
            grown => grown,
        }
    }

    /// Before deletions take `bytes` of the disk: makes half of the reserve whole. What is free may be
    /// what was lent, or has just come free in its place, and would be missing for the next compaction.
    ///
    /// # Errors
    /// `NoSpace`: it cannot be.
    pub fn keep_half(&self, bytes: u64) -> Result<()> {
        let mut state = self.state.lock();
        if !state.exists || state.is_foreign {
            return Ok(());
        }
        if let Some(left) = state.allowance.checked_sub(bytes) {
            state.allowance = left;
            return Ok(());
        }
        let half = state.wanted / 2;
        if state.is_lent || self.grow(&mut state, half - half % 4096).is_err() {
            return Err(self.full());
        }
        Ok(())
    }

    /// A quota is used up; true if that was not known.
    pub fn note_quota(&self) -> bool {
        let mut state = self.state.lock();
        state.credit = 0;
        !std::mem::replace(&mut state.is_over_quota, true)
    }

    /// Makes it as large as it should be and as there is room for, or smaller; true if it is whole.
    /// The longest segment has `longest` bytes.
    pub fn settle(&self, longest: u64) -> bool {
        self.settle_locked(&mut self.state.lock(), longest)
    }

    /// A rewriting has ended, and needs nothing any more that was given to it: nobody else takes that
    /// before the reserve has it again. As [`Reserve::settle`].
    pub fn end_lending(&self, longest: u64) -> bool {
        let mut state = self.state.lock();
        state.is_lent = false;
        self.settle_locked(&mut state, longest)
    }

    fn settle_locked(&self, state: &mut ReserveState, longest: u64) -> bool {
        state.longest = longest;
        if state.is_lent {
            return false;
        }
        let space = self.disk.space();
        let is_scarce = state.look(space);
        if !state.exists && !is_scarce || state.is_foreign {
            return true;
        }
        // Between scarce and plenty it stays as it is, so as not to come and go.
        let is_plenty = space.available >= state.wanted.saturating_add(2 * SCARCE_BYTES)
            && !state.is_over_quota;
        if is_plenty && self.disk.remove(RESERVE).is_ok() {
            (state.exists, state.bytes) = (false, 0);
        } else if state.bytes > 2 * state.wanted {
            let wanted = state.wanted;
            self.cut(state, wanted);
        } else if is_scarce && state.bytes < state.wanted {
            self.grow_some(state);
        }
        !is_scarce || state.bytes >= state.wanted
    }

    /// True if deletions can have some of it.
    pub fn has_spare(&self) -> bool {
        let state = self.state.lock();
        state.bytes >= state.wanted.min(state.wanted / 2 + STEP_BYTES)
    }

    /// Gives up room for `bytes` or more; false if there is none left for this.
    pub fn give(&self, bytes: u64, need: Need) -> bool {
        let mut state = self.state.lock();
        let floor = match need {
            Need::Deletion => state.wanted / 2,
            Need::Rewriting | Need::Last | Need::Pending => 0,
        };
        let left = state.bytes.saturating_sub(bytes.max(STEP_BYTES)).max(floor);
        state.is_lent |= need == Need::Rewriting && left < state.bytes;
        let is_last = need == Need::Last && !state.is_lent;
        state.allowance = if is_last { STEP_BYTES } else { 0 };
        (left < state.bytes && self.cut(&mut state, left))
            || (is_last && self.disk.space().available > 0)
    }

    /// Does `write`, which takes about `bytes` of the disk for `need`, giving up what it needs.
    ///
    /// # Errors
    /// Those of `write`.
    pub fn lend<T>(
        &self,
        need: Need,
        bytes: u64,
        mut write: impl FnMut() -> Result<T>,
    ) -> Result<T> {
        loop {
            match write() {
                Err(error) if self.may_help(&error, bytes, need) => {}
                result => return result,
            }
        }
    }

    /// True if what failed may be tried again, because room was given up for it.
    pub fn may_help(&self, error: &Error, bytes: u64, need: Need) -> bool {
        error.kind() == ErrorKind::NoSpace && self.give(bytes, need)
    }

    /// Takes what can be had. How much that is the file system tells best by giving it.
    fn grow_some(&self, state: &mut ReserveState) {
        let mut missing = state.wanted.saturating_sub(state.bytes);
        while missing >= 4096 {
            let bytes = state.bytes + missing;
            if self.grow(state, bytes - bytes % 4096).is_err() {
                missing /= 2;
            } else {
                missing = missing.min(state.wanted.saturating_sub(state.bytes));
            }
        }
    }

    fn grow(&self, state: &mut ReserveState, bytes: u64) -> Result<()> {
        if bytes <= state.bytes {
            return Ok(());
        }
        // It is not kept open: that is a descriptor, and it is seldom needed.
        let file = match state.exists {
            true => self.disk.open(RESERVE, true)?,
            false => self.disk.create(RESERVE)?,
        };
        state.exists = true;
        file.allocate(bytes)?;
        state.bytes = bytes;
        Ok(())
    }

    fn cut(&self, state: &mut ReserveState, bytes: u64) -> bool {
        state.credit = 0;
        let cut = self.disk.open(RESERVE, true).and_then(|file| file.set_len(bytes)).is_ok();
        if cut {
            state.bytes = bytes;
        }
        cut
    }

    fn full(&self) -> Error {
        let sentence = format!(
            "the disk of {} has no room left but what is kept for deleting and compacting; delete \
             something or free some room, and retry",
            self.disk.path().display()
        );
        Error::new(ErrorKind::NoSpace, sentence)
    }
}

impl ReserveState {
    /// Takes note of the disk's room; true if that is scarce.
    fn look(&mut self, space: Space) -> bool {
        let whole = self.longest.saturating_mul(2).saturating_add(STEP_BYTES);
        let share = if self.is_over_quota { QUOTA_BYTES } else { space.total / SHARE_MAX };
        let most = share.min(space.file_bytes_max);
        let wanted = whole.min(most);
        self.wanted = wanted - wanted % 4096;
        let scarce = self.wanted.saturating_add(SCARCE_BYTES);
        let is_scarce = space.available < scarce || self.is_over_quota;
        self.credit = match is_scarce {
            true => 0,
            false => (space.available - scarce) / CREDIT_SHARE,
        };
        is_scarce
    }
}

/// The file's length, if it is the reserve: all zeros, as far as its first page tells.
fn length_if_ours(disk: &dyn Disk) -> Result<Option<u64>> {
    let file = disk.open(RESERVE, false)?;
    let mut bytes = [0; 4096];
    let count = file.read_at(&mut bytes, 0)?;
    let length = file.len()?;
    Ok(bytes[..count].iter().all(|byte| *byte == 0).then_some(length))
}

/// The length of a segment that is begun now, `longest` at most.
pub fn segment_bytes(disk: &dyn Disk, longest: u64) -> u64 {
    let space = disk.space();
    let share = (space.total / SEGMENT_SHARE).max(SEGMENT_BYTES_MIN);
    let free = (space.available / FREE_SHARE).max(FREE_BYTES_MIN);
    longest.min(share).min(free).min(space.file_bytes_max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::sim::SimDisk;

    const LONGEST: u64 = 128 << 10;

    /// A reserve that is whole, on a disk with nothing else left.
    fn full() -> (Arc<SimDisk>, Reserve) {
        let disk = Arc::new(SimDisk::new());
        disk.fill_disk(Some(8 << 20));
        // Somebody else's: the share of the disk that the reserve may take stays the same.
        disk.create("other").unwrap().allocate(7 << 20).unwrap();
        let reserve = Reserve::open(disk.clone()).unwrap();
        reserve.keep(LONGEST, 0).unwrap();
        assert!(reserve.settle(LONGEST));
        disk.fill_disk(Some(0));
        (disk, reserve)
    }

    #[test]
    fn deletions_take_no_room_that_was_lent_or_belongs_to_the_half_they_leave() {
        let (disk, reserve) = full();
        let whole = reserve.bytes();
        reserve.keep_half(STEP_BYTES).unwrap();
        assert!(reserve.give(whole, Need::Rewriting));
        assert_eq!(reserve.keep_half(1).unwrap_err().kind(), ErrorKind::NoSpace);
        // The rewriting has written half of what it got, and ends.
        disk.fill_disk(Some(whole / 2));
        assert!(!reserve.end_lending(LONGEST));
        assert_eq!(disk.room(), Some(0), "nobody is between the end and the reserve");
        reserve.keep_half(1).unwrap();
        // Another one leaves less than half; what comes free then goes there first.
        assert!(reserve.give(whole, Need::Rewriting));
        disk.fill_disk(Some(0));
        reserve.end_lending(LONGEST);
        assert_eq!(reserve.keep_half(1).unwrap_err().kind(), ErrorKind::NoSpace);
        disk.fill_disk(Some(whole / 2));
        reserve.keep_half(1).unwrap();
        assert!(disk.room().unwrap() < 4096);
        assert!(reserve.bytes() >= whole / 2 - 4096);
    }

    #[test]
    fn where_compaction_has_nothing_to_gain_deletions_get_the_rest_a_step_at_a_time() {
        let (_disk, reserve) = full();
        while reserve.give(0, Need::Deletion) {}
        let half = reserve.bytes();
        assert!(reserve.give(0, Need::Last));
        assert_eq!(reserve.bytes(), half - STEP_BYTES);
        reserve.keep_half(STEP_BYTES).unwrap();
        assert!(reserve.keep_half(STEP_BYTES).is_err() || reserve.bytes() + 4096 > half);
    }
}
