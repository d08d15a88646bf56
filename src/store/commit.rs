//! Applying changes: look, append, make room, publish.
//!
//! # Steps
//! 1. Lock the keys' stripes, so that nobody else changes them.
//! 2. Look at what is there, and ask each change's condition.
//! 3. Append the records, chained if there are several, and sync them if that is asked for.
//! 4. Make room in hot, evicting.
//! 5. With the hot shards and the keydir shards of all keys locked, change both tiers.

use super::options::Durability;
use super::state::{Effects, State};
use super::stats::Tier;
use crate::buffer::Buffer;
use crate::cold::{Change, Cold, Draft, Few, Kind, Located};
use crate::error::{Error, ErrorKind, Result};
use crate::hot::{Entry, Reservation};
use crate::key::Key;
use crate::limits::VALUE_BYTES_MAX;
use crate::time::{Clock, Expiry};

/// One key's change.
pub(super) struct Op<'a> {
    pub(super) key: Key<'a>,
    /// The new value; `None` to delete.
    pub(super) value: Option<&'a [u8]>,
    pub(super) expires_at: u64,
    pub(super) if_version: Option<u64>,
    pub(super) cold_only: bool,
    /// Asked when nobody can change the key: false to leave it.
    pub(super) gate: Option<&'a dyn Fn() -> bool>,
    /// The new version, once there is one.
    pub(super) version: u64,
    /// Whether the key had a value.
    pub(super) existed: bool,
    located: Located,
    entry: Option<Entry>,
}

impl<'a> Op<'a> {
    pub(super) fn new(key: Key<'a>, value: Option<&'a [u8]>) -> Self {
        Self {
            key,
            value,
            expires_at: 0,
            if_version: None,
            cold_only: false,
            gate: None,
            version: 0,
            existed: false,
            located: Located::default(),
            entry: None,
        }
    }

    /// Whether the change's condition holds for a key of that version.
    pub(super) fn may_change(&self, current: u64) -> bool {
        self.if_version.is_none_or(|wanted| wanted == current)
            && self.gate.is_none_or(|gate| gate())
    }

    /// The record that this change needs: none to delete what cold does not have.
    fn draft(&self) -> Option<Draft<'a>> {
        let kind = match self.value {
            Some(_) => Kind::Value,
            None if self.located.index.is_some() => Kind::Tombstone,
            None => return None,
        };
        Some(Draft {
            kind,
            key: self.key.bytes(),
            hash: self.key.hash(),
            value: self.value.unwrap_or_default(),
            expires_at: self.expires_at,
            collides: self.located.collides,
            sequence: self.version,
            chained: false,
        })
    }
}

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
        self.wait_for_room(ops.iter().map(bytes).sum());
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
        let entry = match self.hot.is_enabled() {
            true => self.hot.lock(self.hot.shard_index(op.key.hash())).peek(&op.key).cloned(),
            false => None,
        };
        if let Some(cold) = &self.cold {
            // What hot has written is in cold, so the keydir's only entry is this key's.
            let is_only = entry.as_ref().is_some_and(|entry| !entry.is_unwritten());
            op.located = cold.locate(&op.key, is_only);
        }
        let (version, expires_at) = match (&entry, op.located.known) {
            (Some(entry), _) => (entry.version(), entry.expiry().ms()),
            (None, Some(known)) => known,
            (None, None) => (0, 0),
        };
        let is_damaged = entry.is_none() && op.located.is_damaged();
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
        let mut drafts: Few<_> = ops.iter().filter_map(Op::draft).collect();
        let last = drafts.len().saturating_sub(1);
        drafts.iter_mut().take(last).for_each(|draft| draft.chained = true);
        self.check_record(&drafts)?;
        let timer = self.counters.start_tier(Tier::Cold);
        let appended = match drafts.is_empty() {
            true => None,
            false => Some(cold.append(&drafts, self.is_synced(sync))?),
        };
        if let Some(appended) = &appended {
            self.sync_if(cold, appended.ticket, sync)?;
        }
        timer.finish(true);
        let mut records = appended.iter().flat_map(|appended| &appended.records);
        let mut changes = Few::with_capacity(drafts.len());
        for op in ops.iter_mut().filter(|op| op.draft().is_some()) {
            let Some((header, location)) = records.next() else { break };
            op.version = header.sequence;
            changes.push(Change {
                header: *header,
                location: *location,
                expires_at: op.expires_at,
                index: op.located.index,
            });
        }
        let rooms = self.make_rooms(ops, effects)?;
        self.publish(ops, rooms, effects, || {
            if let Some(appended) = &appended {
                cold.publish(&appended.segment, &mut changes);
            }
        });
        Ok(())
    }

    fn commit_hot(&self, ops: &mut [Op<'_>], effects: &mut Effects) -> Result<()> {
        for op in ops.iter_mut() {
            op.version = self.take_version()?;
        }
        let rooms = self.make_rooms(ops, effects)?;
        let fits = ops.iter().zip(&rooms).all(|(op, room)| op.value.is_none() || room.is_some());
        if !fits {
            let sentence = format!(
                "the value does not fit into the hot tier of {} bytes; raise hot_capacity",
                self.hot.capacity()
            );
            return Err(Error::new(ErrorKind::TooLarge, sentence));
        }
        self.publish(ops, rooms, effects, || ());
        Ok(())
    }

    /// Makes the new entries, and room in hot for those that may enter.
    fn make_rooms(
        &self,
        ops: &mut [Op<'_>],
        effects: &mut Effects,
    ) -> Result<Few<Option<Reservation<'_>>>> {
        let mut rooms = Few::with_capacity(ops.len());
        for op in ops.iter_mut() {
            let enters = self.hot.is_enabled() && !(op.cold_only && self.cold.is_some());
            op.entry = match op.value.filter(|_| enters) {
                Some(value) => new_entry(&op.key, value, op.version, op.expires_at)?,
                None => None,
            };
            let charge = op.entry.as_ref().map(Entry::charge);
            let room = charge.and_then(|charge| {
                self.hot.reserve_replacing(&op.key, charge, &mut effects.evicted)
            });
            rooms.push(room);
        }
        Ok(rooms)
    }

    /// Changes both tiers at one instant.
    fn publish(
        &self,
        ops: &mut [Op<'_>],
        rooms: Few<Option<Reservation<'_>>>,
        effects: &mut Effects,
        publish_cold: impl FnOnce(),
    ) {
        let now = self.now();
        let mut indexes: Few<_> =
            ops.iter().map(|op| self.hot.shard_index(op.key.hash())).collect();
        indexes.sort_unstable();
        indexes.dedup();
        let mut shards: Few<_> = indexes.iter().map(|index| self.hot.lock(*index)).collect();
        publish_cold();
        for (op, room) in ops.iter_mut().zip(rooms) {
            let index = self.hot.shard_index(op.key.hash());
            let Ok(place) = indexes.binary_search(&index) else { continue };
            let replaced = match (op.entry.take(), room) {
                (Some(entry), Some(room)) => shards[place].insert(entry, room, now),
                _ => shards[place].remove(&op.key),
            };
            effects.replaced.extend(replaced);
        }
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

    pub(super) fn expiry_after(&self, ttl_ms: u64) -> u64 {
        match ttl_ms {
            0 => 0,
            _ => Expiry::after(self.clock.wall(), ttl_ms).ms(),
        }
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

/// The entry of a value that is stored; `None` if it is too long for one.
///
/// # Errors
/// `OutOfMemory`.
pub(super) fn new_entry(
    key: &Key<'_>,
    value: &[u8],
    version: u64,
    expires_at: u64,
) -> Result<Option<Entry>> {
    let buffer = Buffer::from_parts(&[key.bytes(), value])?;
    let split = key.bytes().len();
    let end = split + value.len();
    let expiry = Expiry::from_ms(expires_at);
    Ok(Entry::new(buffer, 0..split, split..end, key.hash(), version, expiry))
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
