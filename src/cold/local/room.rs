//! Making room on a full disk: rewriting, on the thread that needs it, what frees most.

use super::log::reserve::{Need, STEP_BYTES};
use super::tier::Local;
use crate::cold::host::{Host, Want};
use crate::error::{ErrorKind, Result};
use crate::memory;
use std::time::Duration;

/// For a value a segment is rewritten if this share of it comes free; for a deletion, if anything does.
const VALUE_SHARE: u64 = 16;

/// How often, and how long each time, it is waited for the room of a file that is still read.
const WAITS: usize = 100;
const WAIT: Duration = Duration::from_millis(1);

/// An active segment is ended for what is dead in it once it has this many bytes: another costs a block
/// and a name.
const DYING_BYTES: u64 = 16 << 10;

impl Local {
    /// After something met a full disk: makes room until it can be tried again; false if
    /// there is nothing to be had. `is_first` says that it was not tried again yet, so that it may be
    /// enough that another thread has made room.
    ///
    /// # Errors
    /// As [`Local::compact_next`].
    pub fn make_room(&self, want: Want, is_first: bool, host: &dyn Host) -> Result<bool> {
        let mut compactor = self.compactor.lock();
        let share = if want == Want::Deletion { u64::MAX } else { VALUE_SHARE };
        let (mut has_made, mut is_sealed, mut waits) = (false, false, WAITS);
        let (mut room_max, mut thinned) = (u64::MAX, Vec::new());
        loop {
            if (is_first || has_made) && self.has_room(want) {
                return Ok(true);
            }
            let mut candidates = self.rewrite_candidates(&compactor);
            candidates.room = candidates.room.min(room_max);
            let segment = candidates.most_freeing(share).cloned();
            let long = candidates.most_thinnable(share).cloned();
            let is_short = candidates.has_dead(share);
            if let Some(segment) = segment {
                let needed = candidates.needed_bytes(&segment);
                drop(candidates);
                match self.rewrite(&mut compactor, host, segment) {
                    Ok(true) => has_made = true,
                    Ok(false) => return Ok(has_made),
                    // A file system says that it has more room than it gives; what needs less may fit.
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
                // What is dead in the segments that are being written can be had too.
                is_sealed = true;
                compactor.seal_output();
                match self.seal_dying() {
                    // What waits to be written goes when there is room again.
                    Err(error) if error.kind() != ErrorKind::NoSpace => return Err(error),
                    _ => {}
                }
            } else if is_short && waits > 0 {
                // Somebody still reads a file that has gone, and its room comes back then.
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
