//! The time in the files: it lets a value that expired stay expired after a crash, whatever the
//! system clock says.
//!
//! The manifest is written when a clock was set by more than a second: by the background thread,
//! and before anything is stored that expires by the new time. So nothing that was stored under a
//! clock that was ahead outlives a crash by decades. It is also written once a minute while there
//! is a lead, and at close if something has expired that neither a sweep nor a checkpoint has told.
//! A kill may cost a minute of a lead, or, if the clock is set back before the next open, the time
//! since the files told it last.

use super::compaction::sweep;
use super::tier::Local;
use crate::error::Result;
use crate::time::{Moment, SAME_MS};

impl Local {
    /// True if the files tell the time well enough for a value to expire by `moment`.
    pub fn tells(&self, moment: &Moment) -> bool {
        self.log.as_ref().is_none_or(|log| log.sequences().tells(moment))
    }

    /// Lets the files tell the time, if a clock was set.
    ///
    /// # Errors
    /// `NoSpace`, `Io`: what they told before stays; `ReadOnly`.
    pub fn keep_time(&self) -> Result<()> {
        if self.tells(&self.clock.moment()) {
            return Ok(());
        }
        self.poison.check()?;
        let sequences = self.log()?.sequences();
        sequences.write_time(&*self.disk, &*self.clock, &|moment| !sequences.tells(moment))
    }

    /// As [`Local::keep_time`], at the end: also if something has expired and is not taken out yet,
    /// because it must not come back when the clock is set back before the next open.
    pub(super) fn end_time(&self) -> Result<()> {
        let Some(log) = &self.log else { return Ok(()) };
        let sequences = log.sequences();
        let expires = |moment: &Moment| sweep::choose(&self.segments, moment.wall).is_some();
        sequences.write_time(&*self.disk, &*self.clock, &|moment| {
            let is_asked = moment.lead_ms > SAME_MS || expires(moment);
            !sequences.tells(moment) || (is_asked && sequences.age_ms(moment) > 0)
        })
    }
}
