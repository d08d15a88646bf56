//! Applying changes: look, prepare, append, publish.
//!
//! # Steps
//! 1. Lock the keys' stripes, so that nobody else changes them.
//! 2. Look at what is there, and ask each change's condition.
//! 3. Prepare: make room in hot for what is larger than before, evicting, and make the new entries.
//! 4. Append the records, chained if there are several, and sync them if that is asked for.
//! 5. With the hot shards and the keydir shards of all keys locked, change both tiers; but if less
//!    is replaced than was seen in step 2, let go and make more room first.
//!
//! # Invariants
//! 1. Whatever can fail comes before the append, but for the sync, after which writing ends. What was
//!    appended is published: a call that failed would otherwise take effect at the next open.

use super::op::{Op, Ops};
use super::options::Durability;
use super::state::{Effects, State};
use super::stats::Tier;
use crate::cold::{Change, ColdTier, Current, Want};
use crate::error::{Error, ErrorKind, Result};
use crate::hot::Usage;
use crate::key::Key;
use crate::limits::VALUE_BYTES_MAX;
use crate::time::Expiry;

impl State {
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

    fn commit_once(
        &self,
        mut ops: Ops<'_, '_>,
        sync: bool,
        effects: &mut Effects,
    ) -> Result<Option<u64>> {
        let stripes = self.stripes(ops.keys().map(Key::hash));
        for (change, op) in ops.iter_mut() {
            let current = self.look(change, op)?;
            if !op.may_change(current) {
                return Ok(Some(current));
            }
        }
        match &self.cold {
            Some(cold) => self.commit_cold(&**cold, &mut ops, sync, effects)?,
            None => self.commit_hot(&mut ops, effects)?,
        }
        if self.loads.are_running() {
            ops.keys().for_each(|key| self.loads.forget(key.bytes()));
        }
        drop(stripes);
        Ok(None)
    }

    /// Finds out what the change meets; returns the key's version, 0 if it is absent.
    pub(super) fn look(&self, change: &mut Change<'_>, op: &mut Op<'_>) -> Result<u64> {
        op.replaced = Usage::default();
        let hash = change.key.hash();
        let in_hot = match self.hot.is_enabled() {
            true => self.hot.lock(self.hot.shard_index(hash)).peek(&change.key).map(|entry| {
                op.replaced = Usage::of_entry(entry.charge());
                (entry.version(), entry.expiry().ms(), entry.is_unwritten())
            }),
            false => None,
        };
        if let Some(cold) = &self.cold {
            // What hot has written is in cold, so cold's only entry is this key's.
            cold.look(change, in_hot.is_some_and(|(_, _, is_unwritten)| !is_unwritten))?;
        }
        let (version, expires_at) = match (in_hot, change.current) {
            (Some((version, expires_at, _)), _) => (version, expires_at),
            (None, Current::Value { version, expires_at }) => (version, expires_at),
            (None, _) => (0, 0),
        };
        let is_damaged = in_hot.is_none() && change.current == Current::Damaged;
        if is_damaged && op.if_version.is_some() {
            let sentence = "the key's record is damaged and its version unknown; store it without \
                            a condition, or delete it";
            return Err(Error::new(ErrorKind::Corrupt, sentence));
        }
        op.existed = is_damaged || (version != 0 && !self.has_expired(expires_at));
        Ok(if op.existed { version } else { 0 })
    }

    fn commit_cold(
        &self,
        cold: &dyn ColdTier,
        ops: &mut Ops<'_, '_>,
        sync: bool,
        effects: &mut Effects,
    ) -> Result<()> {
        cold.check_length(ops.changes)?;
        let in_hot = self.prepare(ops, effects)?;
        let timer = self.counters.start_tier(Tier::Cold);
        let in_cold = cold
            .prepare(ops.changes, self.is_synced(sync))
            .inspect_err(|error| self.drop_unknown(ops, error, effects))?;
        timer.finish(true);
        self.publish(ops, in_hot, effects, |changes| cold.publish(&in_cold, changes));
        Ok(())
    }

    /// After a change of which nobody knows whether it happens hot has nothing of its keys any more, so
    /// that the next read asks cold; and what is being loaded for them is not stored. What only hot has
    /// stays.
    #[cold]
    fn drop_unknown(&self, ops: &Ops<'_, '_>, error: &Error, effects: &mut Effects) {
        if error.kind() != ErrorKind::Timeout {
            return;
        }
        for key in ops.keys() {
            self.loads.forget(key.bytes());
            let mut shard = self.hot.lock(self.hot.shard_index(key.hash()));
            if shard.peek(key).is_some_and(|entry| !entry.is_unwritten()) {
                effects.replaced.extend(shard.remove(key));
            }
        }
    }

    fn commit_hot(&self, ops: &mut Ops<'_, '_>, effects: &mut Effects) -> Result<()> {
        for change in ops.changes.iter_mut() {
            change.version = self.take_version()?;
        }
        let prepared = self.prepare(ops, effects)?;
        if self.publish_hot(ops, prepared, effects)? {
            return Ok(());
        }
        let sentence = format!(
            "the value does not fit into the hot tier of {} bytes; raise hot_capacity",
            self.hot.capacity()
        );
        Err(Error::new(ErrorKind::TooLarge, sentence))
    }

    /// Whether a change survives power loss before it is seen.
    pub(super) fn is_synced(&self, asked: bool) -> bool {
        asked || self.options.durability == Durability::Sync
    }

    /// When what is stored now ends. The files tell the time before anything expires by it:
    /// otherwise what was stored under a clock that was ahead would outlive a crash by as much.
    pub(super) fn expiry_after(&self, ttl_ms: u64) -> u64 {
        if ttl_ms == 0 {
            return 0;
        }
        let moment = self.clock.moment();
        if let Some(cold) = &self.cold {
            cold.keep_time(&moment);
        }
        Expiry::after(moment.wall, ttl_ms).ms()
    }
}

/// Lets a value pass that is not too long.
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
