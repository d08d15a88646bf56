//! Making room on a full disk: the thread that needs room rewrites the segment that frees most.

use super::log::reserve::{Need, STEP_BYTES};
use super::tier::Local;
use crate::cold::host::{Host, Want};
use crate::error::{ErrorKind, Result};
use crate::memory;
use std::time::Duration;

/// For a value, a segment is rewritten if this share of it comes free; for a deletion, if any of it
/// does.
const VALUE_SHARE: u64 = 16;

/// For a value, any gain is enough as long as this share of all bytes is dead: they may be spread
/// evenly over the segments.
const SPREAD_SHARE: u64 = 32;

/// How often to wait, and how long each time, for the room of a removed file that somebody still
/// reads.
const WAITS: usize = 100;
const WAIT: Duration = Duration::from_millis(1);

/// Least length of an active segment that is ended for its dead bytes: a new segment costs a block
/// and a name.
const DYING_BYTES: u64 = 16 << 10;

impl Local {
    /// Makes room after a call has found the disk full, until that call can be tried again; false
    /// if no room can be made. `is_first` says that the call was not tried again yet: then room
    /// that another thread has made may be enough.
    ///
    /// # Errors
    /// As [`Local::compact_next`].
    pub fn make_room(&self, want: Want, is_first: bool, host: &dyn Host) -> Result<bool> {
        let mut compactor = self.compactor.lock();
        let (mut has_made, mut is_sealed, mut waits) = (false, false, WAITS);
        let (mut room_max, mut thinned) = (u64::MAX, Vec::new());
        loop {
            if (is_first || has_made) && self.has_room(want) {
                return Ok(true);
            }
            let mut candidates = self.rewrite_candidates(&compactor);
            candidates.room = candidates.room.min(room_max);
            let takes_any = want == Want::Deletion || candidates.wastes(SPREAD_SHARE);
            let share = if takes_any { u64::MAX } else { VALUE_SHARE };
            let segment = candidates.most_freeing(share).cloned();
            let long = candidates.most_thinnable(share).cloned();
            let is_short = candidates.has_dead(share);
            if let Some(segment) = segment {
                let needed = candidates.needed_bytes(&segment);
                drop(candidates);
                match self.rewrite(&mut compactor, host, segment) {
                    Ok(true) => has_made = true,
                    Ok(false) => return Ok(has_made),
                    // A file system reports more room than it gives; a segment that needs less may
                    // fit.
                    Err(error) if error.kind() == ErrorKind::NoSpace && needed > 0 => {
                        room_max = room_max.min(needed - 1);
                    }
                    Err(error) if error.kind() == ErrorKind::NoSpace => {
                        return Ok(has_made || self.give_last(want));
                    }
                    Err(error) => return Err(error),
                }
            } else if let Some(long) = long.filter(|long| !thinned.contains(&long.id())) {
                drop(candidates);
                memory::push(&mut thinned, long.id(), "the segments that were thinned")?;
                match self.thin(&mut compactor, host, &long) {
                    Err(error) if error.kind() != ErrorKind::NoSpace => return Err(error),
                    freed => has_made |= freed.unwrap_or(false),
                }
            } else if !is_sealed {
                // The segments that are being written may have dead bytes too.
                is_sealed = true;
                compactor.seal_output();
                match self.seal_dying() {
                    // Pending bytes are written when there is room again.
                    Err(error) if error.kind() != ErrorKind::NoSpace => return Err(error),
                    _ => {}
                }
            } else if is_short && waits > 0 {
                // Somebody still reads a removed file. Its room comes back afterwards.
                waits -= 1;
                std::thread::sleep(WAIT);
            } else {
                return Ok(has_made || self.give_last(want));
            }
        }
    }

    /// The rest of the reserve is better used than refused.
    fn give_last(&self, want: Want) -> bool {
        want == Want::Deletion && self.reserve.give(0, Need::Last)
    }

    fn has_room(&self, want: Want) -> bool {
        let is_whole = self.settle_reserve();
        match want {
            // Not all of it at once: each deletion that comes here makes room for a thousand.
            Want::Deletion => self.reserve.has_spare(),
            Want::Value(bytes) => {
                let needed = bytes.saturating_add(STEP_BYTES);
                is_whole && self.disk.space().available >= needed
            }
        }
    }

    /// Ends the active segment if much in it is dead.
    fn seal_dying(&self) -> Result<()> {
        let log = self.log()?;
        let is_dying = log.active().is_some_and(|active| {
            let (tally, (live, live_bytes)) = (active.tally(), active.live());
            let has_dead = tally.values > live || (tally.tombstones > 0 && live == 0);
            has_dead && tally.end.saturating_sub(live_bytes) >= DYING_BYTES
        });
        if is_dying { log.seal_active() } else { Ok(()) }
    }
}
