//! Syncing in the background, and what else cannot wait until something long is done.

use super::log::log::{Log, Position};
use super::log::pending::PendingRecord;
use super::tier::Local;
use crate::codec::record::Kind;
use crate::error::{ErrorKind, Result};
use std::slice;
use std::time::Duration;

/// A sync of more bytes than this is worth a record which says that it was.
const NEWS_BYTES: u64 = 64;

/// What is only useful is left out where the disk has no room for it.
pub fn without_room(result: Result<()>) -> Result<()> {
    match result {
        Err(error) if error.kind() == ErrorKind::NoSpace => Ok(()),
        other => other,
    }
}

impl Local {
    /// Lets another process have the stage's file if it waits for it, and syncs what was written, if
    /// it is time. To be called a few times a second, as long as the store is open.
    ///
    /// # Errors
    /// `NoSpace`, `Io`: it is tried again.
    pub fn tend(&self) -> Result<()> {
        let gave_way = self.give_way();
        gave_way.and(self.sync_if_due())
    }

    /// How long after a sync the next one begins. Half the interval, so that the other half is left
    /// for the sync itself: changes wait for what is older than the whole.
    pub fn tend_interval(&self) -> Duration {
        match self.options.unsynced_ms_max {
            u64::MAX => Duration::MAX,
            interval => Duration::from_micros(interval.saturating_mul(500)),
        }
    }

    fn sync_if_due(&self) -> Result<()> {
        let (bytes, now) = (self.unsynced_bytes(), self.clock.monotonic());
        let mut timers = self.timers.lock();
        let waited = Duration::from_millis(now.0.saturating_sub(timers.last_sync.0));
        if bytes == 0 || waited < self.tend_interval() {
            return Ok(());
        }
        timers.last_sync = now;
        drop(timers);
        self.sync_and_mark(bytes)
    }

    /// Syncs the log, and appends a record which says so: after a crash, damage before it is not taken
    /// for a torn tail. Where every change is synced the record would say nothing new.
    fn sync_and_mark(&self, bytes: u64) -> Result<()> {
        let position = self.position()?;
        self.sync()?;
        let marks = !self.options.sync_each && bytes > NEWS_BYTES;
        if marks { without_room(self.mark_synced(position)) } else { Ok(()) }
    }

    /// Lets another process have the stage's file if it waits for it. To be called a few times a
    /// second, as long as the store is open.
    ///
    /// # Errors
    /// `NoSpace`, `Io`: it goes on waiting.
    pub fn give_way(&self) -> Result<()> {
        self.log.as_ref().map_or(Ok(()), Log::give_way)
    }

    /// Bytes written since the last sync began.
    pub fn unsynced_bytes(&self) -> u64 {
        self.log.as_ref().map_or(0, Log::unsynced_bytes)
    }

    /// Appends a record which says that everything before the log's current end was synced.
    /// Called right after a sync that began when the log ended at `position`.
    ///
    /// # Errors
    /// As [`Local::prepare`].
    pub fn mark_synced(&self, position: Position) -> Result<()> {
        let log = self.log()?;
        if log.active().is_none_or(|active| active.id() != position.segment) {
            return Ok(());
        }
        // It may land in the next segment, where it says nothing.
        let mut marker = PendingRecord::marker(Kind::Synced, position.offset);
        marker.sequence = position.segment;
        let appended = log.append(slice::from_mut(&mut marker), false)?;
        appended.segment.note(&marker.header, marker.location, 0);
        Ok(())
    }

    /// Where the log ends.
    ///
    /// # Errors
    /// `ReadOnly` if the store was opened so.
    pub fn position(&self) -> Result<Position> {
        Ok(self.log()?.position())
    }
}
