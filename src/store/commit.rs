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

use super::op::Op;
use super::options::Durability;
use super::rewriting::is_full;
use super::state::{Effects, State};
use super::stats::Tier;
use crate::cold::{Change, Cold, Draft, Few, Promised, Want};
use crate::error::{Error, ErrorKind, Result};
use crate::hot::Usage;
use crate::limits::VALUE_BYTES_MAX;
use crate::memory;
use crate::time::{Clock, Expiry};

impl State {
    /// Applies all changes at one instant, or none. Gives the current version of the first key
    /// whose condition is not met, if one is not.
    ///
    /// # Errors
    /// Nothing was changed then.
    pub(super) fn commit(
        &self,
        ops: &mut [Op<'_>],
        sync: bool,
        effects: &mut Effects,
    ) -> Result<Option<u64>> {
        let bytes = |op: &Op<'_>| (op.key.bytes().len() + op.value.map_or(0, <[u8]>::len)) as u64;
        self.wait_for_room(|| ops.iter().map(bytes).sum());
        let first = self.commit_once(ops, sync, effects);
        if !is_full(&first) {
            return first;
        }
        let want = match ops.iter().any(|op| op.value.is_some()) {
            true => Want::Value(ops.iter().map(bytes).sum()),
            false => Want::Deletion,
        };
        self.with_room(want, first, || self.commit_once(ops, sync, effects))
    }

    fn commit_once(
        &self,
        ops: &mut [Op<'_>],
        sync: bool,
        effects: &mut Effects,
    ) -> Result<Option<u64>> {
        let stripes = self.stripes(ops.iter().map(|op| op.key.hash()));
        for op in ops.iter_mut() {
            let current = self.look(op)?;
            if !op.may_change(current) {
                return Ok(Some(current));
            }
        }
        mark_collisions(ops);
        match &self.cold {
            Some(cold) => self.commit_cold(cold, ops, sync, effects)?,
            None => self.commit_hot(ops, effects)?,
        }
        if self.loads.are_running() {
            ops.iter().for_each(|op| self.loads.forget(op.key.bytes()));
        }
        drop(stripes);
        Ok(None)
    }

    /// Finds out what the change meets; returns the key's version, 0 if it is absent.
    pub(super) fn look(&self, op: &mut Op<'_>) -> Result<u64> {
        op.replaced = Usage::default();
        let in_hot = match self.hot.is_enabled() {
            true => self.hot.lock(self.hot.shard_index(op.key.hash())).peek(&op.key).map(|entry| {
                op.replaced = Usage::of_entry(entry.charge());
                (entry.version(), entry.expiry().ms(), entry.is_unwritten())
            }),
            false => None,
        };
        if let Some(cold) = &self.cold {
            // What hot has written is in cold, so the keydir's only entry is this key's.
            let is_only = in_hot.is_some_and(|(_, _, is_unwritten)| !is_unwritten);
            op.located = cold.locate(&op.key, is_only);
        }
        let (version, expires_at) = match (in_hot, op.located.known) {
            (Some((version, expires_at, _)), _) => (version, expires_at),
            (None, Some(known)) => known,
            (None, None) => (0, 0),
        };
        let is_damaged = in_hot.is_none() && op.located.is_damaged();
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
        cold: &Cold,
        ops: &mut [Op<'_>],
        sync: bool,
        effects: &mut Effects,
    ) -> Result<()> {
        let mut drafts = list_for::<Draft<'_>>(ops)?;
        for op in ops.iter().filter(|op| op.has_record()) {
            if let Some(before) = drafts.last_mut() {
                before.chained = true;
            }
            drafts.push(op.draft());
        }
        self.check_record(&drafts)?;
        let mut changes = list_for::<Change>(ops)?;
        let mut promises = list_for::<Promised<'_>>(ops)?;
        for op in ops.iter().filter(|op| op.value.is_some() && op.located.index.is_none()) {
            promises.push(cold.promise(&op.key)?);
        }
        let prepared = self.prepare(ops, effects)?;
        let timer = self.counters.start_tier(Tier::Cold);
        let appended = match drafts.is_empty() {
            true => None,
            false => Some(cold.append(&drafts, self.is_synced(sync))?),
        };
        if let Some(appended) = &appended {
            self.sync_if(cold, appended.ticket, sync)?;
        }
        timer.finish(true);
        let mut records = appended.as_ref().map_or(&[][..], |appended| &appended.records).iter();
        for op in ops.iter_mut().filter(|op| op.has_record()) {
            let Some((header, location)) = records.next() else { break };
            op.set_version(header.sequence);
            changes.push(Change {
                header: *header,
                location: *location,
                expires_at: op.expires_at,
                index: op.located.index,
            });
        }
        self.publish(ops, prepared, effects, || {
            if let Some(appended) = &appended {
                cold.publish(&appended.segment, &mut changes);
            }
        });
        promises.into_iter().for_each(Promised::used);
        Ok(())
    }

    fn commit_hot(&self, ops: &mut [Op<'_>], effects: &mut Effects) -> Result<()> {
        for op in ops.iter_mut() {
            op.version = self.take_version()?;
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

    pub(super) fn sync_if(&self, cold: &Cold, ticket: u64, asked: bool) -> Result<()> {
        match self.is_synced(asked) {
            true => cold.sync_to(ticket),
            false => Ok(()),
        }
    }

    /// When what is stored now ends. The files tell the time before anything expires by it:
    /// otherwise what was stored under a clock that was ahead would outlive a crash by as much.
    pub(super) fn expiry_after(&self, ttl_ms: u64) -> u64 {
        if ttl_ms == 0 {
            return 0;
        }
        let moment = self.clock.moment();
        let is_told = |cold: &&Cold| cold.tells(&moment) || self.is_read_only();
        if let Some(cold) = self.cold.as_ref().filter(|cold| !is_told(cold)) {
            // Where this fails the background thread tries again, and tells it.
            let _ = cold.keep_time();
        }
        Expiry::after(moment.wall, ttl_ms).ms()
    }

    /// Under a bound on disk a record must fit into one of its small segments.
    fn check_record(&self, drafts: &[Draft<'_>]) -> Result<()> {
        let bytes: u64 = drafts.iter().map(|d| (d.key.len() + d.value.len() + 48) as u64).sum();
        let limit = self.options.segment_bytes();
        if self.options.cold_capacity == 0 || bytes <= limit {
            return Ok(());
        }
        let sentence = format!(
            "{bytes} bytes at once do not fit into a segment of {limit}; raise cold_capacity"
        );
        Err(Error::new(ErrorKind::TooLarge, sentence))
    }
}

/// An empty list with room for something of each change.
///
/// # Errors
/// `OutOfMemory`.
#[inline]
fn list_for<T>(ops: &[Op<'_>]) -> Result<Few<T>> {
    let mut list = Few::new();
    let bytes = ops.len().saturating_mul(size_of::<T>());
    list.try_reserve(ops.len()).map_err(|_| memory::exhausted(bytes, "a batch"))?;
    Ok(list)
}

/// Different keys of one batch can have one hash.
fn mark_collisions(ops: &mut [Op<'_>]) {
    if ops.len() < 2 {
        return;
    }
    let mut order: Vec<_> = (0..ops.len()).collect();
    order.sort_unstable_by_key(|index| ops[*index].key.hash());
    for pair in order.windows(2) {
        if ops[pair[0]].key.hash() == ops[pair[1]].key.hash() {
            ops[pair[0]].located.collides = true;
            ops[pair[1]].located.collides = true;
        }
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
