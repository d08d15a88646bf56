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

use super::events::EventKind;
use super::options::Durability;
use super::rewriting::is_full;
use super::state::{Effects, State};
use super::stats::Tier;
use crate::buffer::Buffer;
use crate::cold::{Change, Cold, Draft, Few, Kind, Located, Promised, Want};
use crate::error::{Error, ErrorKind, Result};
use crate::hot::{Entry, Guards, Reservation, Room};
use crate::key::Key;
use crate::limits::VALUE_BYTES_MAX;
use crate::memory;
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
    /// Whether cold gets it later.
    pub(super) unwritten: bool,
    located: Located,
    /// The room of what hot had of the key when it was looked at.
    replaced: Room,
    /// What the new entry is charged; 0 if none enters hot.
    charge: u64,
    entry: Option<Entry>,
}

/// What changes need in hot, taken before anything is appended.
pub(super) struct Prepared<'a> {
    room: Reservation<'a>,
    /// There is room for all new entries.
    fits: bool,
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
            unwritten: false,
            located: Located::default(),
            replaced: Room::default(),
            charge: 0,
            entry: None,
        }
    }

    /// Whether the change's condition holds for a key of that version.
    pub(super) fn may_change(&self, current: u64) -> bool {
        self.if_version.is_none_or(|wanted| wanted == current)
            && self.gate.is_none_or(|gate| gate())
    }

    /// The change is appended, and has its version.
    fn set_version(&mut self, version: u64) {
        self.version = version;
        if let Some(entry) = &mut self.entry {
            entry.set_version(version);
        }
    }

    /// Whether the change needs a record: not to delete what cold does not have.
    fn has_record(&self) -> bool {
        self.value.is_some() || self.located.index.is_some()
    }

    fn draft(&self) -> Draft<'a> {
        Draft {
            kind: if self.value.is_some() { Kind::Value } else { Kind::Tombstone },
            key: self.key.bytes(),
            hash: self.key.hash(),
            value: self.value.unwrap_or_default(),
            expires_at: self.expires_at,
            collides: self.located.collides,
            sequence: self.version,
            chained: false,
        }
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
        op.replaced = Room::default();
        let in_hot = match self.hot.is_enabled() {
            true => self.hot.lock(self.hot.shard_index(op.key.hash())).peek(&op.key).map(|entry| {
                op.replaced = Room::of_entry(entry.charge());
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

    /// Takes the room that the changes need in hot, and makes their entries: all that can fail once
    /// it is known what is changed. Entries for which there is no room are left out.
    ///
    /// # Errors
    /// `OutOfMemory`: nothing was changed, but that something may have been evicted.
    pub(super) fn prepare(
        &self,
        ops: &mut [Op<'_>],
        effects: &mut Effects,
    ) -> Result<Prepared<'_>> {
        let mut room = self.hot.reservation();
        let mut fits = true;
        if self.hot.is_enabled() {
            fits = self.make_room(ops, &mut room, effects);
            self.make_entries(ops, effects)?;
        }
        Ok(Prepared { room, fits })
    }

    /// Changes both tiers at one instant. What cannot be hot is in cold alone.
    fn publish(
        &self,
        ops: &mut [Op<'_>],
        mut prepared: Prepared<'_>,
        effects: &mut Effects,
        publish_cold: impl FnOnce(),
    ) {
        if !self.hot.is_enabled() {
            return publish_cold();
        }
        let mut shards = self.lock_shards(ops, &mut prepared, effects);
        publish_cold();
        self.enter(ops, &mut shards, prepared, effects);
    }

    /// Changes hot alone, at one instant, whether there is a cold tier or not; false, and nothing is
    /// changed, if it has no room.
    ///
    /// # Errors
    /// `OutOfMemory`: nothing was changed.
    pub(super) fn publish_hot(
        &self,
        ops: &mut [Op<'_>],
        mut prepared: Prepared<'_>,
        effects: &mut Effects,
    ) -> Result<bool> {
        if !prepared.fits {
            return Ok(false);
        }
        let mut shards = self.lock_shards(ops, &mut prepared, effects);
        if !prepared.fits {
            return Ok(false);
        }
        let entering = || ops.iter().filter(|op| op.entry.is_some());
        let hashes = entering().map(|op| op.key.hash());
        shards.reserve(hashes, entering().any(|op| op.unwritten))?;
        self.enter(ops, &mut shards, prepared, effects);
        Ok(true)
    }

    /// Locks the hot shards of all keys, when there is room for their new entries or none can be had.
    fn lock_shards(
        &self,
        ops: &[Op<'_>],
        prepared: &mut Prepared<'_>,
        effects: &mut Effects,
    ) -> Guards<'_> {
        loop {
            let mut shards = self.hot.lock_for(ops.iter().map(|op| op.key.hash()));
            let mut needed = Room::default();
            for op in ops.iter().filter(|op| op.entry.is_some()) {
                needed.add(shards.of(op.key.hash()).needed(&op.key, op.charge));
            }
            let is_covered = prepared.room.cover(needed);
            if is_covered || !prepared.fits {
                prepared.fits = is_covered;
                return shards;
            }
            // What was to be replaced has left meanwhile, and its room is missing. The others are
            // used, so as not to be evicted for their own successors.
            ops.iter().for_each(|op| shards.of(op.key.hash()).touch(&op.key));
            drop(shards);
            prepared.fits = self.hot.make_room(&mut prepared.room, needed, &mut effects.evicted);
        }
    }

    /// Puts the new entries into the locked shards, and takes the old ones out.
    fn enter(
        &self,
        ops: &mut [Op<'_>],
        shards: &mut Guards<'_>,
        Prepared { mut room, .. }: Prepared<'_>,
        effects: &mut Effects,
    ) {
        let now = self.now();
        for op in ops {
            let shard = shards.of(op.key.hash());
            let replaced = match op.entry.take() {
                Some(entry) => shard.insert(&op.key, entry, &mut room, now),
                None => shard.remove(&op.key),
            };
            if let Some(replaced) = replaced {
                effects.replaced.push(replaced);
            }
        }
    }

    /// Takes the room that the new entries need as far as is known, in order, for as many as can
    /// have it; true if that is all.
    fn make_room(
        &self,
        ops: &mut [Op<'_>],
        room: &mut Reservation<'_>,
        effects: &mut Effects,
    ) -> bool {
        let (mut fit, mut sum) = (true, Room::default());
        for op in ops {
            let enters = !(op.cold_only && self.cold.is_some());
            op.charge = 0;
            let Some(value) = op.value.filter(|_| enters) else { continue };
            let charge = Entry::charge_of(
                op.key.bytes().len() + value.len(),
                Expiry::from_ms(op.expires_at),
            );
            let mut with_this = sum;
            with_this.add(Room::of_entry(charge).beyond(op.replaced));
            if self.hot.make_room(room, with_this, &mut effects.evicted) {
                (op.charge, sum) = (charge, with_this);
            } else {
                fit = false;
            }
        }
        fit
    }

    /// Makes the entries of those changes that have room.
    fn make_entries(&self, ops: &mut [Op<'_>], effects: &mut Effects) -> Result<()> {
        for op in ops {
            op.entry = match op.value {
                Some(value) if op.charge != 0 => {
                    let parts = [op.key.bytes(), value];
                    let buffer = match self.recycle(effects, &parts) {
                        Some(buffer) => buffer,
                        None => Buffer::from_parts(&parts)?,
                    };
                    new_entry(op, buffer)
                }
                _ => None,
            };
        }
        Ok(())
    }

    /// A buffer for a new entry, of what has just been evicted, if that is of the same length: in a
    /// full tier of values of one length nothing is allocated or freed.
    fn recycle(&self, effects: &mut Effects, parts: &[&[u8]]) -> Option<Buffer> {
        let len: usize = parts.iter().map(|part| part.len()).sum();
        let fits = effects.evicted.last().is_some_and(|entry| entry.buffer().bytes().len() == len);
        if !fits || self.events.wants(EventKind::Evicted) {
            return None;
        }
        let buffer = effects.evicted.pop()?.into_buffer();
        effects.recycled += 1;
        buffer.refilled(parts)
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

/// The entry of a new value, in a buffer of its own; `None` if it is too long for one.
fn new_entry(op: &Op<'_>, buffer: Buffer) -> Option<Entry> {
    let (split, end) = (op.key.bytes().len(), buffer.bytes().len());
    let expiry = Expiry::from_ms(op.expires_at);
    let entry = Entry::new(buffer, 0..split, split..end, op.key.hash(), op.version, expiry);
    entry.map(|entry| entry.with_unwritten(op.unwritten))
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

#[cfg(test)]
mod tests {
    use super::super::options::Options;
    use super::super::{RetrieveOptions, Store, Value};

    fn options(text: &[(&str, &str)]) -> Options {
        let mut options = Options::default();
        text.iter().for_each(|(name, value)| options.set(name, value).unwrap());
        options
    }

    /// The value of a key, without a use of it.
    fn value(store: &Store, key: &[u8]) -> Option<Value> {
        let options = RetrieveOptions { no_promote: true, no_recency: true };
        store.retrieve_with(key, options).unwrap().value
    }

    #[test]
    fn new_entries_take_the_memory_of_evicted_ones_but_not_what_a_caller_holds() {
        let store = Store::open(None, &options(&[("hot_max_entries", "2")])).unwrap();
        let at = |key: &[u8]| value(&store, key).unwrap().data().as_ptr();
        for key in [b"a", b"b"] {
            store.store(key, &[key[0]; 500]).unwrap();
        }
        let memory_of_a = at(b"a");
        store.store(b"c", &[b'c'; 500]).unwrap();
        assert!(value(&store, b"a").is_none());
        assert_eq!((at(b"c"), store.stats().hot.evictions), (memory_of_a, 1));

        let held = value(&store, b"b").unwrap();
        store.store(b"d", &[b'd'; 500]).unwrap();
        assert!(value(&store, b"b").is_none());
        assert_eq!(held.data(), [b'b'; 500]);
        assert_eq!(value(&store, b"d").unwrap().data(), [b'd'; 500]);
        store.store(b"e", &[b'e'; 501]).unwrap();
        assert_eq!(value(&store, b"e").unwrap().data(), [b'e'; 501]);
        assert_eq!((store.stats().hot.evictions, store.stats().hot.entries), (3, 2));
    }
}
