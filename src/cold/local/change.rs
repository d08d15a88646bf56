//! Changing keys: what the tier has of a key, its new record in the log, and the keydir that points to
//! it. The steps are those of [`Change`].

use super::index::keydir::{Keydir, SHARDS, Shard};
use super::index::location::Location;
use super::log::log::Log;
use super::log::pending::{Appended, PendingRecord};
use super::segment::read::Known;
use super::segment::segment::Segment;
use super::tier::Local;
use crate::codec::record::{Header, Kind};
use crate::cold::change::{Change, Current, Discarded, Notes, Prepared};
use crate::error::{Error, ErrorKind, Result};
use crate::memory::{self, Few};
use std::slice;
use std::sync::atomic::Ordering;

/// The new record's location.
fn location_of(change: &Change<'_>) -> Location {
    Location::from_word(change.notes.place)
}

/// Whether a change needs a record: not to delete what the tier does not have.
fn has_record(change: &Change<'_>) -> bool {
    change.value.is_some() || change.current != Current::Absent
}

fn pending_record<'a>(change: &Change<'a>) -> PendingRecord<'a> {
    let key = change.key.bytes();
    let mut record = PendingRecord::new(header_of(change), key, change.value, change.expires_at);
    record.sequence = change.version;
    record
}

/// The header of a change's record, but for the checksum.
fn header_of(change: &Change<'_>) -> Header {
    Header {
        kind: if change.value.is_some() { Kind::Value } else { Kind::Tombstone },
        codec: 0,
        expires: change.expires_at != 0,
        collides: change.notes.collides,
        chained: false,
        // The limits were checked at the door.
        key_len: u16::try_from(change.key.bytes().len()).unwrap_or(u16::MAX),
        stored_len: u32::try_from(change.value.map_or(0, <[u8]>::len)).unwrap_or(u32::MAX),
        body_checksum: 0,
        sequence: change.version,
        hash: change.key.hash(),
    }
}

/// The segment that has what was prepared; `None` if nothing was written.
fn segment_of(prepared: &Prepared) -> Option<&Segment> {
    prepared.keep.as_deref().and_then(|keep| keep.downcast_ref())
}

/// What lists of changes are for, in errors.
const WHAT: &str = "a batch";

impl Local {
    /// Finds out what the tier has of the change's key. `is_known` says that the store knows the key's
    /// version: then the disk is asked only if several keys share the hash. A damaged record is taken
    /// for the key's own, so that it can be replaced.
    pub fn look(&self, change: &mut Change<'_>, is_known: bool) {
        // A record without the mark says that older ones of its hash are dead: so it would of the
        // twin, which has an older version and is appended later.
        let collides = change.has_unwritten_twin;
        (change.current, change.notes) = (Current::Absent, Notes { collides, ..Notes::default() });
        let hash = change.key.hash();
        let candidates: Few<_> = match self.keydir.lock_for(hash).group(hash) {
            group if group.len() == 0 => return,
            group if group.len() == 1 && is_known => {
                change.current = Current::Unread;
                return;
            }
            group => group.iter().map(|location| self.pin(hash, location)).collect(),
        };
        for (index, pinned) in (0..).zip(&candidates) {
            let known = |known: Known<'_>| match known.key == change.key.bytes() {
                true => known.expires_at().map(|at| Some((known.header.sequence, at))),
                false => Ok(None),
            };
            match self.read_key(pinned, known) {
                Ok(Some((version, expires_at))) => {
                    change.current = Current::Value { version, expires_at };
                    change.notes.index = index;
                    break;
                }
                Ok(None) => {}
                Err(_) if change.current == Current::Absent => {
                    change.current = Current::Damaged;
                    change.notes.index = index;
                }
                Err(_) => {}
            }
        }
        let own = usize::from(change.current != Current::Absent);
        change.notes.collides |= candidates.len() > own;
    }

    /// Does all of the changes that can fail, and gives each its version: all happen, or none. With
    /// `sync` they survive power loss when it returns.
    ///
    /// # Errors
    /// `NoSpace`, `Io`, `OutOfMemory`, `ReadOnly`: nothing was changed. If it was the sync
    /// that failed writing ends, and what the changes become is open until the next open.
    pub fn prepare(&self, changes: &mut [Change<'_>], sync: bool) -> Result<Prepared> {
        mark_collisions(changes)?;
        let promised = changes
            .iter_mut()
            .filter(|change| change.value.is_some() && change.current == Current::Absent);
        for change in promised {
            if let Err(error) = self.keydir.lock_for(change.key.hash()).promise() {
                self.take_promises_back(changes);
                return Err(error);
            }
            change.notes.is_reserved = true;
        }
        self.append_changes(changes, sync).inspect_err(|_| self.take_promises_back(changes))
    }

    fn append_changes(&self, changes: &mut [Change<'_>], sync: bool) -> Result<Prepared> {
        let mut records: Few<PendingRecord<'_>> = memory::few(changes.len(), WHAT)?;
        for change in changes.iter().filter(|change| has_record(change)) {
            if let Some(before) = records.last_mut() {
                before.header.chained = true;
            }
            records.push(pending_record(change));
        }
        if records.is_empty() {
            return Ok(Prepared::default());
        }
        let appended = self.append(&mut records, sync)?;
        let changed = changes.iter_mut().filter(|change| has_record(change));
        for (change, record) in changed.zip(&records) {
            change.version = record.header.sequence;
            change.notes.place = record.location.word();
        }
        Ok(Prepared { keep: Some(appended.segment), ..Prepared::default() })
    }

    #[cold]
    fn take_promises_back(&self, changes: &mut [Change<'_>]) {
        for change in changes.iter_mut().filter(|change| change.notes.is_reserved) {
            self.keydir.lock_for(change.key.hash()).take_promise_back();
            change.notes.is_reserved = false;
        }
    }

    /// Appends records to the log; with `sync` they survive power loss when it returns.
    pub(super) fn append(&self, records: &mut [PendingRecord<'_>], sync: bool) -> Result<Appended> {
        let log = self.log()?;
        let appended = log.append(records, sync)?;
        self.wrote(records.iter().map(|record| record.header.record_bytes()).sum());
        if sync {
            log.sync_to(appended.ticket).inspect_err(|error| self.poison.set(error))?;
        }
        Ok(appended)
    }

    /// Fails if the changes do not fit into the tier: under a bound on disk all of them together
    /// must fit into one of its small segments. The store asks before it makes room for them.
    ///
    /// # Errors
    /// `TooLarge`.
    pub fn check_length(&self, changes: &[Change<'_>]) -> Result<()> {
        let limit = self.options.segment_bytes_max;
        if self.options.capacity == 0 {
            return Ok(());
        }
        let bytes: u64 = changes.iter().map(|change| header_of(change).record_bytes()).sum();
        if bytes <= limit {
            return Ok(());
        }
        let sentence = format!(
            "{bytes} bytes at once do not fit into a segment of {limit}; raise cold_capacity"
        );
        Err(Error::new(ErrorKind::TooLarge, sentence))
    }

    /// Makes prepared changes visible, all at one instant.
    pub fn publish(&self, prepared: &Prepared, changes: &[Change<'_>]) {
        let Some(segment) = segment_of(prepared) else { return };
        match changes {
            [change] => {
                let mut shard = self.keydir.lock_for(change.key.hash());
                self.publish_one(segment, change, &mut shard);
            }
            _ => self.publish_many(segment, changes),
        }
    }

    #[inline(never)]
    fn publish_many(&self, segment: &Segment, changes: &[Change<'_>]) {
        let shard_index = |change: &Change<'_>| Keydir::shard_index(change.key.hash());
        let changed = || changes.iter().filter(|change| has_record(change));
        let mut wanted = [false; SHARDS];
        changed().for_each(|change| wanted[shard_index(change)] = true);
        let mut shards = [const { None }; SHARDS];
        for (index, shard) in shards.iter_mut().enumerate().filter(|(index, _)| wanted[*index]) {
            *shard = Some(self.keydir.lock(index));
        }
        // Of two keys with one hash the greater index first, so that it still holds; new ones last.
        let replaces = |change: &&Change<'_>| change.current != Current::Absent;
        let last = changed().filter(replaces).map(|change| change.notes.index).max();
        let replacing = (0..=last.unwrap_or(0)).rev().flat_map(|index| {
            changed().filter(replaces).filter(move |change| change.notes.index == index)
        });
        for change in replacing.chain(changed().filter(|change| !replaces(change))) {
            if let Some(shard) = &mut shards[shard_index(change)] {
                self.publish_one(segment, change, shard);
            }
        }
    }

    fn publish_one(&self, segment: &Segment, change: &Change<'_>, shard: &mut Shard) {
        let (hash, location) = (change.key.hash(), location_of(change));
        let index = change.notes.index as usize;
        segment.note(&header_of(change), location, change.expires_at);
        let old = match (change.value, change.current) {
            (Some(_), Current::Absent) => {
                shard.insert(hash, location);
                None
            }
            (Some(_), _) => shard.replace(hash, index, location),
            (None, _) => shard.remove(hash, index),
        };
        if change.value.is_some() {
            segment.add_live(location);
        }
        if let Some(old) = old {
            self.note_dead(old);
        }
    }

    /// Puts a clear into the log, as [`Local::prepare`] does with changes. The store holds the locks of
    /// all keys until it is published.
    ///
    /// # Errors
    /// As [`Local::prepare`].
    pub fn prepare_clear(&self, sync: bool) -> Result<Prepared> {
        let mut record = PendingRecord::marker(Kind::Clear, 0);
        let segment = self.append(slice::from_mut(&mut record), sync)?.segment;
        let (version, place) = (record.header.sequence, record.location.word());
        Ok(Prepared { keep: Some(segment), version, place, conflict: None })
    }

    /// Makes a clear visible: no key has a location any more.
    pub fn publish_clear(&self, prepared: &Prepared) -> Discarded {
        let mut shards = self.keydir.lock_all();
        let taken: Vec<_> = shards.iter_mut().map(|shard| shard.take()).collect();
        self.segments.all().iter().for_each(|segment| segment.clear_live());
        if let Some(segment) = segment_of(prepared) {
            let header = Header::bare(Kind::Clear, prepared.version, 0);
            segment.note(&header, Location::from_word(prepared.place), 0);
        }
        self.clear_sequence.store(prepared.version, Ordering::Release);
        Box::new(taken)
    }

    /// A version of its own for what is written later.
    ///
    /// # Errors
    /// `ReadOnly` if the store was opened so.
    pub fn take_version(&self) -> Result<u64> {
        Ok(self.log()?.sequences().take())
    }

    /// Makes everything that was prepared survive power loss.
    ///
    /// # Errors
    /// `Io`, and writing ends; `ReadOnly` once it has.
    pub fn sync(&self) -> Result<()> {
        self.log.as_ref().map_or(Ok(()), Log::sync)
    }

    /// Removes a key whose record expired or was dropped. False if the key has another record by
    /// now.
    pub fn forget(&self, hash: u64, location: Location) -> bool {
        let mut shard = self.keydir.lock_for(hash);
        let Some(index) = shard.index_of(hash, location) else { return false };
        shard.remove(hash, index);
        self.note_dead(location);
        self.changed.store(true, Ordering::Relaxed);
        true
    }

    fn note_dead(&self, old: Location) {
        if let Some(segment) = self.segments.get(old.slot()) {
            segment.remove_live(old);
        }
    }
}

/// Different keys of one batch can have one hash.
fn mark_collisions(changes: &mut [Change<'_>]) -> Result<()> {
    if changes.len() < 2 {
        return Ok(());
    }
    let mut order: Few<usize> = memory::few(changes.len(), WHAT)?;
    order.extend(0..changes.len());
    order.sort_unstable_by_key(|index| changes[*index].key.hash());
    for pair in order.windows(2) {
        if changes[pair[0]].key.hash() == changes[pair[1]].key.hash() {
            pair.iter().for_each(|index| changes[*index].notes.collides = true);
        }
    }
    Ok(())
}
