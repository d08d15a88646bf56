//! Publishing changes. Room and entries are made before anything is appended. What was appended enters
//! both tiers at one instant.

use super::op::{Op, Ops};
use super::reporting::Effects;
use super::tiers::Tiers;
use crate::buffer::Buffer;
use crate::cold::Change;
use crate::error::Result;
use crate::hot::{Entry, Reservation, ShardGuards, Usage};
use crate::key::Key;
use crate::time::Expiry;

/// What changes need in hot, taken before anything is appended.
pub(super) struct Reserved<'a> {
    room: Reservation<'a>,
    /// There is room for all new entries.
    fits: bool,
}

impl Tiers {
    /// Takes the room that the changes need in hot, and makes their entries: all that can fail once
    /// it is known what is changed. Entries for which there is no room are left out. With `recycles`
    /// they may take the memory of what is evicted for them.
    ///
    /// # Errors
    /// `OutOfMemory`: nothing was changed, but that something may have been evicted.
    pub(super) fn prepare(
        &self,
        ops: &mut Ops<'_, '_>,
        recycles: bool,
        effects: &mut Effects,
    ) -> Result<Reserved<'_>> {
        let mut room = self.hot().reservation();
        let mut fits = true;
        if self.hot().is_enabled() {
            fits = self.make_room(ops, &mut room, effects);
            self.make_entries(ops, recycles, effects)?;
        }
        Ok(Reserved { room, fits })
    }

    /// Changes both tiers at one instant. What cannot be hot is in cold alone.
    pub(super) fn publish(
        &self,
        ops: &mut Ops<'_, '_>,
        mut reserved: Reserved<'_>,
        effects: &mut Effects,
        publish_cold: impl FnOnce(&[Change<'_>]),
    ) {
        if !self.hot().is_enabled() {
            return publish_cold(ops.changes);
        }
        let mut shards = self.lock_shards(ops, &mut reserved, effects);
        publish_cold(ops.changes);
        self.enter(ops, &mut shards, reserved, effects);
    }

    /// Changes hot alone, at one instant, whether there is a cold tier or not; false, and nothing is
    /// changed, if it has no room.
    ///
    /// # Errors
    /// `OutOfMemory`: nothing was changed.
    pub(super) fn publish_hot(
        &self,
        ops: &mut Ops<'_, '_>,
        mut reserved: Reserved<'_>,
        effects: &mut Effects,
    ) -> Result<bool> {
        if !reserved.fits {
            return Ok(false);
        }
        let mut shards = self.lock_shards(ops, &mut reserved, effects);
        if !reserved.fits {
            return Ok(false);
        }
        let entering = || ops.iter().filter(|(_, op)| op.entry.is_some());
        let hashes = entering().map(|(change, _)| change.key.hash());
        shards.reserve(hashes, entering().any(|(_, op)| op.unwritten))?;
        self.enter(ops, &mut shards, reserved, effects);
        Ok(true)
    }

    /// Locks the hot shards of all keys, when there is room for their new entries or none can be had.
    fn lock_shards(
        &self,
        ops: &Ops<'_, '_>,
        reserved: &mut Reserved<'_>,
        effects: &mut Effects,
    ) -> ShardGuards<'_> {
        loop {
            let mut shards = self.hot().lock_for(ops.keys().map(Key::hash));
            let mut needed = Usage::default();
            for (Change { key, .. }, op) in ops.iter().filter(|(_, op)| op.entry.is_some()) {
                // Where hot had nothing, the room is that of a whole entry; what was promoted since
                // gives its own back.
                needed.add(match op.replaced.is_nothing() {
                    true => Usage::of_entry(op.charge),
                    false => shards.of(key.hash()).needed(key, op.charge),
                });
            }
            let is_covered = reserved.room.cover(needed);
            if is_covered || !reserved.fits {
                reserved.fits = is_covered;
                return shards;
            }
            // What was to be replaced has left meanwhile, and its room is missing. The others are
            // used, so as not to be evicted for their own successors.
            ops.keys().for_each(|key| shards.of(key.hash()).touch(key));
            drop(shards);
            reserved.fits = self.hot().make_room(&mut reserved.room, needed, &mut effects.evicted);
        }
    }

    /// Puts the new entries into the locked shards, and takes the old ones out.
    fn enter(
        &self,
        ops: &mut Ops<'_, '_>,
        shards: &mut ShardGuards<'_>,
        Reserved { mut room, .. }: Reserved<'_>,
        effects: &mut Effects,
    ) {
        let now = self.now();
        for (Change { key, version, .. }, op) in ops.iter_mut() {
            let shard = shards.of(key.hash());
            let replaced = match op.entry.take() {
                Some(mut entry) => {
                    entry.set_version(*version);
                    shard.insert(key, entry, &mut room, now)
                }
                None => shard.remove(key),
            };
            if let Some(replaced) = replaced {
                effects.replaced.push(replaced);
            }
        }
    }

    /// Takes room for the new entries in order, as far as it is known how much they need. An entry
    /// for which there is none stays out of hot. True if none stays out.
    fn make_room(
        &self,
        ops: &mut Ops<'_, '_>,
        room: &mut Reservation<'_>,
        effects: &mut Effects,
    ) -> bool {
        let (mut fit, mut sum) = (true, Usage::default());
        for (change, op) in ops.iter_mut() {
            let enters = !(op.cold_only && self.cold().is_some());
            op.charge = 0;
            let Some(value) = change.value.filter(|_| enters) else { continue };
            let charge = Entry::charge_of(
                change.key.bytes().len() + value.len(),
                Expiry::from_ms(change.expires_at),
            );
            let mut with_this = sum;
            with_this.add(Usage::of_entry(charge).beyond(op.replaced));
            if self.hot().make_room(room, with_this, &mut effects.evicted) {
                (op.charge, sum) = (charge, with_this);
            } else {
                fit = false;
            }
        }
        fit
    }

    /// Makes the entries of those changes that have room.
    fn make_entries(
        &self,
        ops: &mut Ops<'_, '_>,
        recycles: bool,
        effects: &mut Effects,
    ) -> Result<()> {
        for (change, op) in ops.iter_mut() {
            op.entry = match change.value {
                Some(value) if op.charge != 0 => {
                    let parts = [change.key.bytes(), value];
                    let buffer = match recycles.then(|| recycle(effects, &parts)).flatten() {
                        Some(buffer) => buffer,
                        None => Buffer::from_parts(&parts)?,
                    };
                    new_entry(change, op, buffer)
                }
                _ => None,
            };
        }
        Ok(())
    }
}

/// A buffer for a new entry, of what has just been evicted, if that is of the same length: in a full
/// tier of values of one length nothing is allocated or freed.
fn recycle(effects: &mut Effects, parts: &[&[u8]]) -> Option<Buffer> {
    let len: usize = parts.iter().map(|part| part.len()).sum();
    effects.evicted.last().filter(|entry| entry.buffer().bytes().len() == len)?;
    let buffer = effects.evicted.pop()?.into_buffer();
    effects.recycled += 1;
    buffer.refilled(parts)
}

/// The entry of a new value, in a buffer of its own; `None` if it is too long for one.
fn new_entry(change: &Change<'_>, op: &Op<'_>, buffer: Buffer) -> Option<Entry> {
    let Change { key, version, expires_at, .. } = change;
    let (split, end) = (key.bytes().len(), buffer.bytes().len());
    let expiry = Expiry::from_ms(*expires_at);
    let entry = Entry::new(buffer, (0..split, split..end), key.hash(), *version, expiry);
    entry.map(|entry| entry.with_unwritten(op.unwritten))
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
        let two = options(&[("hot_max_entries", "2"), ("eviction", "lru")]);
        let store = Store::open(None, &two).unwrap();
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
