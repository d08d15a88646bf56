//! Applying changes: look, prepare, append, publish.
//!
//! # Steps
//! 1. Lock the keys' stripes, so that nobody else changes them.
//! 2. Look at what is there, and ask each change's condition.
//! 3. Prepare: make room in hot for what is larger than before, evicting, and make the new entries.
//! 4. Let cold prepare the changes: all or none, and synced if that is asked for.
//! 5. With the hot shards of all keys locked, publish in both tiers. If less is
//!    replaced than step 2 saw, unlock and make more room first.
//! 6. Unlock; then free what was evicted, and tell subscribers.
//!
//! # Invariants
//! 1. Every step that can fail comes before the append. The one exception is the sync: if it fails,
//!    writing ends. What was appended is always published: otherwise a call that failed would take
//!    effect at the next open.

use super::events::{EventKind, in_callback};
use super::op::Ops;
use super::reporting::Effects;
use super::stats::Tier;
use super::writer::Writer;
use crate::cold::{Change, ColdTier, Want};
use crate::error::{Error, ErrorKind, Result};
use crate::key::Key;
use crate::limits::VALUE_BYTES_MAX;

impl Writer<'_> {
    /// Applies all changes at one instant, or none. Gives the current version of the first key
    /// whose condition is not met, if one is not.
    ///
    /// # Errors
    /// Nothing was changed then.
    pub(super) fn commit(
        &self,
        mut ops: Ops<'_, '_>,
        sync: bool,
        effects: &mut Effects,
    ) -> Result<Option<u64>> {
        let bytes = |change: &Change<'_>| {
            (change.key.bytes().len() + change.value.map_or(0, <[u8]>::len)) as u64
        };
        let bytes = ops.changes.iter().map(bytes).sum();
        self.wait_for_room(bytes);
        let want = match ops.changes.iter().any(|change| change.value.is_some()) {
            true => Want::Value(bytes),
            false => Want::Deletion,
        };
        self.with_room(want, || self.commit_once(ops.borrow(), sync, effects))
    }

    /// Waits while cold is bounded and full, until the background thread has made room.
    fn wait_for_room(&self, bytes: u64) {
        let (capacity, Some(cold)) = (self.options.cold_capacity, self.tiers.cold()) else {
            return;
        };
        // A callback may run on the thread that would have to make the room.
        if capacity == 0 || in_callback() {
            return;
        }
        self.throttle.wait(bytes, capacity / 32, &mut || {
            self.work.wake();
            let is_stuck = self.work.is_stopping() || self.is_read_only();
            is_stuck || !cold.is_over_capacity()
        });
    }

    fn commit_once(
        &self,
        mut ops: Ops<'_, '_>,
        sync: bool,
        effects: &mut Effects,
    ) -> Result<Option<u64>> {
        let stripes = self.locks.keys(ops.keys().map(Key::hash));
        for (change, op) in ops.iter_mut() {
            let current = self.tiers.look(change, op)?;
            if !op.may_change(current) {
                return Ok(Some(current));
            }
        }
        match self.tiers.cold() {
            Some(cold) => {
                let conflict = self.commit_cold(cold, &mut ops, sync, effects)?;
                if conflict.is_some() {
                    return Ok(conflict);
                }
            }
            None => self.commit_hot(&mut ops, effects)?,
        }
        if self.loads.are_running() {
            ops.keys().for_each(|key| self.loads.forget(key.bytes()));
        }
        drop(stripes);
        Ok(None)
    }

    fn commit_cold(
        &self,
        cold: &dyn ColdTier,
        ops: &mut Ops<'_, '_>,
        sync: bool,
        effects: &mut Effects,
    ) -> Result<Option<u64>> {
        cold.check_length(ops.changes)?;
        let in_hot = self.tiers.prepare(ops, self.recycles(), effects)?;
        let timer = self.reporting.counters().start_tier(Tier::Cold);
        let prepared = cold
            .prepare(ops.changes, self.is_synced(sync))
            .inspect_err(|error| self.drop_unknown(ops, error, effects));
        if self.tiers.is_shared() {
            self.judged(&prepared, ops, effects);
        }
        let in_cold = prepared?;
        timer.finish(true);
        if in_cold.conflict.is_some() {
            return Ok(in_cold.conflict);
        }
        self.tiers.publish(ops, in_hot, effects, |changes| cold.publish(&in_cold, changes));
        Ok(None)
    }

    /// Whether new entries may take the memory of evicted ones: not if somebody is told of those.
    pub(super) fn recycles(&self) -> bool {
        !self.reporting.events().wants(EventKind::Evicted)
    }

    /// After a change whose outcome is unknown: takes its keys out of hot, so that the next read
    /// asks cold, and keeps loads of them that are running from being stored. Unwritten entries
    /// stay.
    #[cold]
    fn drop_unknown(&self, ops: &Ops<'_, '_>, error: &Error, effects: &mut Effects) {
        if error.kind() != ErrorKind::Timeout {
            return;
        }
        let hot = self.tiers.hot();
        for key in ops.keys() {
            self.loads.forget(key.bytes());
            let mut shard = hot.lock(hot.shard_index(key.hash()));
            if shard.peek(key).is_some_and(|entry| !entry.is_unwritten()) {
                effects.replaced.extend(shard.remove(key));
            }
        }
    }

    fn commit_hot(&self, ops: &mut Ops<'_, '_>, effects: &mut Effects) -> Result<()> {
        for change in ops.changes.iter_mut() {
            change.version = self.tiers.take_version()?;
        }
        let prepared = self.tiers.prepare(ops, self.recycles(), effects)?;
        if self.tiers.publish_hot(ops, prepared, effects)? {
            return Ok(());
        }
        let sentence = format!(
            "the value does not fit into the hot tier of {} bytes; raise hot_capacity",
            self.tiers.hot().capacity()
        );
        Err(Error::new(ErrorKind::TooLarge, sentence))
    }
}

/// Fails if a value is too long.
///
/// # Errors
/// `TooLarge`.
pub(super) fn check_value(value: &[u8]) -> Result<&[u8]> {
    if value.len() > VALUE_BYTES_MAX {
        let sentence =
            format!("the value has {} bytes; at most {VALUE_BYTES_MAX} are allowed", value.len());
        return Err(Error::new(ErrorKind::TooLarge, sentence));
    }
    Ok(value)
}
