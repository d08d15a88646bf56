//! Unwritten entries: hot has them and cold has not. They come from `write_mode=back`, or from a
//! lenient store that lived through a failure.
//!
//! They stay in hot until they are written: by the background thread, a sync, close,
//! `optimize_hot`, or whoever needs the room. They may take half of hot. A store that would exceed
//! that writes the oldest first, which slows it to the speed of the disk.

use super::reporting::Effects;
use super::writer::Writer;
use crate::cold::{Change, ColdTier, Current, Sharing, Want};
use crate::error::{Error, ErrorKind, Result};
use crate::hot::Entry;
use std::slice;

/// Charge of the entries that are written in one go.
const FLUSH_BYTES: u64 = 1 << 20;

impl Writer<'_> {
    /// Charge that unwritten entries may have.
    fn unwritten_max(&self) -> u64 {
        self.tiers.hot().capacity() / 2
    }

    /// Writes old unwritten entries until one of `charge` more is within the bound; `false` if that
    /// cannot be had.
    pub(super) fn make_unwritten_room(&self, charge: u64) -> bool {
        let limit = self.unwritten_max();
        while self.tiers.hot().unwritten_bytes() + charge > limit {
            if charge > limit || !matches!(self.flush_some(), Ok(true)) {
                return false;
            }
        }
        true
    }

    /// Writes every entry that is unwritten at this moment.
    ///
    /// # Errors
    /// Those of cold; what was not written stays unwritten.
    pub(super) fn flush_unwritten(&self) -> Result<()> {
        // Bounded by what is there now, so that threads that go on storing do not hold it up.
        let mut rest = self.tiers.hot().unwritten_bytes();
        while rest > 0 && self.flush_some()? {
            rest = rest.saturating_sub(FLUSH_BYTES).min(self.tiers.hot().unwritten_bytes());
        }
        Ok(())
    }

    /// Writes some of the oldest unwritten entries; `false` if there are none.
    pub(super) fn flush_some(&self) -> Result<bool> {
        let Some(cold) = self.tiers.cold() else { return Ok(false) };
        let entries = self.tiers.hot().oldest_unwritten(FLUSH_BYTES);
        for entry in &entries {
            let want = Want::Value((entry.key().len() + entry.value().len()) as u64);
            self.with_room(want, || self.flush_one(cold, entry))?;
        }
        Ok(!entries.is_empty())
    }

    fn flush_one(&self, cold: &dyn ColdTier, entry: &Entry) -> Result<()> {
        let mut effects = Effects::default();
        let key = self.tiers.key(entry.key())?;
        let stripe = self.locks.key(key.hash());
        let shard = self.tiers.hot().lock(self.tiers.hot().shard_index(key.hash()));
        let is_current = shard
            .peek(&key)
            .is_some_and(|now| now.is_unwritten() && now.version() == entry.version());
        let has_unwritten_twin = shard.has_other_unwritten(&key);
        drop(shard);
        if !is_current {
            return Ok(());
        }
        let mut change = Change::new(key, Some(entry.value()), entry.expiry().ms());
        (change.version, change.has_unwritten_twin) = (entry.version(), has_unwritten_twin);
        if let Some(sharing) = self.tiers.sharing() {
            self.find_base(cold, sharing, &mut change)?;
        } else {
            cold.look(&mut change, false)?;
        }
        let changes = slice::from_mut(&mut change);
        let prepared = cold.prepare(changes, self.is_synced(false))?;
        let is_overtaken = prepared.conflict.is_some();
        let mut shard = self.tiers.hot().lock(self.tiers.hot().shard_index(key.hash()));
        let is_disturbed = self.tiers.is_shared()
            && !changes.iter().all(|change| self.tiers.is_undisturbed(cold, change));
        if !is_overtaken {
            cold.publish(&prepared, changes);
        }
        if is_overtaken || is_disturbed || !shard.mark_written(&key, entry.version()) {
            effects.replaced.extend(shard.remove(&key));
        }
        drop(shard);
        if self.tiers.is_shared() {
            self.tiers.bases().remove(key.bytes());
        }
        drop(stripe);
        self.reporting.finish(effects);
        if is_overtaken {
            self.reporting.tell_error(&overtaken(), entry.key());
        }
        Ok(())
    }

    /// Finds out which version the engine must have, so that an unwritten entry may replace it.
    ///
    /// # Errors
    /// Those of the engine.
    #[cold]
    fn find_base(
        &self,
        cold: &dyn ColdTier,
        sharing: &dyn Sharing,
        change: &mut Change<'_>,
    ) -> Result<()> {
        if !sharing.compares() {
            return Ok(());
        }
        if let Some(base) = self.tiers.bases().get(change.key.bytes()) {
            change.if_version = Some(base);
            return Ok(());
        }
        // What the engine had is not known, because it could not be asked. What has a higher version
        // is taken for newer.
        cold.look(change, false)?;
        change.if_version = match change.current {
            Current::Value { version, .. } => Some(version.min(change.version - 1)),
            Current::Absent => Some(0),
            Current::Unread | Current::Damaged => None,
        };
        Ok(())
    }
}

/// Why an unwritten entry was dropped.
fn overtaken() -> Error {
    let sentence = "an unwritten store was dropped: somebody else has changed the key since";
    Error::new(ErrorKind::Unavailable, sentence)
}
