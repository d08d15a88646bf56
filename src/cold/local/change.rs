//! A change of one key, from what the store asks for to what everybody sees.
//!
//! # Steps
//! 1. [`Cold::look`] finds out what the tier has of the key.
//! 2. [`Cold::prepare`] does all that can fail: the record is in the log, where it survives the
//!    process, or power loss if that is asked for. Nobody sees it yet.
//! 3. [`Cold::publish`] makes it visible. It cannot fail and reads or writes no file, so that the
//!    store can do it together with the change of its hot tier.
//!
//! Whoever changes a key holds a lock on the key's hash through all three.

use super::index::keydir::{Keydir, SHARDS, Shard};
use super::index::location::Location;
use super::log::draft::{Appended, Draft};
use super::log::log::Log;
use super::segment::read::Known;
use super::segment::segment::Segment;
use super::tier::Cold;
use crate::codec::record::{Header, Kind};
use crate::error::{Error, ErrorKind, Result};
use crate::key::Key;
use crate::memory::{self, Few};
use std::slice;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What the tier has of a key before it is changed.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub enum Current {
    /// Nothing.
    #[default]
    Absent,
    /// A value of which the store knew already, and which was not read.
    Unread,
    /// A value of this version, which ends at this time.
    Value {
        /// Its version.
        version: u64,
        /// Milliseconds since the epoch; 0 for never.
        expires_at: u64,
    },
    /// Something that is damaged: whose it is, and which version, is not known for certain.
    Damaged,
}

/// What the tier itself notes of a change from step to step.
#[derive(Clone, Copy, Default, Debug)]
pub struct Trace {
    /// Which of the hash's locations is replaced.
    index: u32,
    /// Another key with the same hash lives.
    collides: bool,
    /// There is room for it in the keydir.
    is_promised: bool,
    /// Where the new record stands.
    location: Location,
}

/// A change of one key.
pub struct Change<'a> {
    /// The key.
    pub key: Key<'a>,
    /// The new value; `None` to delete.
    pub value: Option<&'a [u8]>,
    /// When the new value ends, in milliseconds since the epoch; 0 for never.
    pub expires_at: u64,
    /// The version that was taken for it earlier, or 0: then it gets one when it is prepared.
    pub version: u64,
    /// What the tier has of the key, once it has looked.
    pub current: Current,
    trace: Trace,
}

impl<'a> Change<'a> {
    /// A change that nobody has looked at.
    pub fn new(key: Key<'a>, value: Option<&'a [u8]>, expires_at: u64) -> Self {
        let (version, current, trace) = (0, Current::Absent, Trace::default());
        Self { key, value, expires_at, version, current, trace }
    }

    /// Whether it needs a record: not to delete what cold does not have.
    fn has_record(&self) -> bool {
        self.value.is_some() || self.current != Current::Absent
    }

    fn draft(&self) -> Draft<'a> {
        let mut draft = Draft::new(self.header(), self.key.bytes(), self.value, self.expires_at);
        draft.sequence = self.version;
        draft
    }

    /// The header of its record, but for the checksum.
    fn header(&self) -> Header {
        Header {
            kind: if self.value.is_some() { Kind::Value } else { Kind::Tombstone },
            codec: 0,
            expires: self.expires_at != 0,
            collides: self.trace.collides,
            chained: false,
            // The limits were checked at the door.
            key_len: u16::try_from(self.key.bytes().len()).unwrap_or(u16::MAX),
            stored_len: u32::try_from(self.value.map_or(0, <[u8]>::len)).unwrap_or(u32::MAX),
            body_checksum: 0,
            sequence: self.version,
            hash: self.key.hash(),
        }
    }
}

/// Changes that are in the log, and that nobody sees.
#[must_use = "what is prepared has to be published"]
pub struct Prepared {
    segment: Option<Arc<Segment>>,
}

/// A clear that is in the log, and that nobody sees.
#[must_use = "what is prepared has to be published"]
pub struct PreparedClear {
    segment: Arc<Segment>,
    header: Header,
    location: Location,
}

/// What lists of changes are for, in errors.
const WHAT: &str = "a batch";

impl Cold {
    /// Finds out what the tier has of the change's key. `is_known` says that the store knows the key's
    /// version: then the disk is asked only if several keys share the hash. A damaged record is taken
    /// for the key's own, so that it can be replaced.
    pub fn look(&self, change: &mut Change<'_>, is_known: bool) {
        (change.current, change.trace) = (Current::Absent, Trace::default());
        let hash = change.key.hash();
        let candidates: Few<_> = match self.keydir.lock_for(hash).group(hash) {
            group if group.len() == 0 => return,
            group if group.len() == 1 && is_known => {
                change.current = Current::Unread;
                return;
            }
            group => group.iter().map(|location| self.hold(hash, location)).collect(),
        };
        for (index, held) in (0..).zip(&candidates) {
            let known = |known: Known<'_>| match known.key == change.key.bytes() {
                true => known.expires_at().map(|at| Some((known.header.sequence, at))),
                false => Ok(None),
            };
            match self.read_key(held, known) {
                Ok(Some((version, expires_at))) => {
                    change.current = Current::Value { version, expires_at };
                    change.trace.index = index;
                    break;
                }
                Ok(None) => {}
                Err(_) if change.current == Current::Absent => {
                    change.current = Current::Damaged;
                    change.trace.index = index;
                }
                Err(_) => {}
            }
        }
        let own = usize::from(change.current != Current::Absent);
        change.trace.collides = candidates.len() > own;
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
            change.trace.is_promised = true;
        }
        self.append_changes(changes, sync).inspect_err(|_| self.take_promises_back(changes))
    }

    fn append_changes(&self, changes: &mut [Change<'_>], sync: bool) -> Result<Prepared> {
        let mut drafts: Few<Draft<'_>> = memory::few(changes.len(), WHAT)?;
        for change in changes.iter().filter(|change| change.has_record()) {
            if let Some(before) = drafts.last_mut() {
                before.header.chained = true;
            }
            drafts.push(change.draft());
        }
        if drafts.is_empty() {
            return Ok(Prepared { segment: None });
        }
        let appended = self.append(&mut drafts, sync)?;
        let changed = changes.iter_mut().filter(|change| change.has_record());
        for (change, draft) in changed.zip(&drafts) {
            change.version = draft.header.sequence;
            change.trace.location = draft.location;
        }
        Ok(Prepared { segment: Some(appended.segment) })
    }

    #[cold]
    fn take_promises_back(&self, changes: &mut [Change<'_>]) {
        for change in changes.iter_mut().filter(|change| change.trace.is_promised) {
            self.keydir.lock_for(change.key.hash()).take_promise_back();
            change.trace.is_promised = false;
        }
    }

    /// Appends records to the log; with `sync` they survive power loss when it returns.
    pub(super) fn append(&self, drafts: &mut [Draft<'_>], sync: bool) -> Result<Appended> {
        let log = self.log()?;
        let appended = log.append(drafts, sync)?;
        self.wrote(drafts.iter().map(|draft| draft.header.record_bytes()).sum());
        if sync {
            log.sync_to(appended.ticket).inspect_err(|error| self.poison.set(error))?;
        }
        Ok(appended)
    }

    /// Lets changes pass that fit into the tier: under a bound on disk all of them together must fit
    /// into one of its small segments. To be asked before anything makes room for them.
    ///
    /// # Errors
    /// `TooLarge`.
    pub fn check_length(&self, changes: &[Change<'_>]) -> Result<()> {
        let limit = self.options.segment_bytes_max;
        if self.options.capacity == 0 {
            return Ok(());
        }
        let bytes: u64 = changes.iter().map(|change| change.header().record_bytes()).sum();
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
        let Some(segment) = &prepared.segment else { return };
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
        let changed = || changes.iter().filter(|change| change.has_record());
        let mut wanted = [false; SHARDS];
        changed().for_each(|change| wanted[shard_index(change)] = true);
        let mut shards = [const { None }; SHARDS];
        for (index, shard) in shards.iter_mut().enumerate().filter(|(index, _)| wanted[*index]) {
            *shard = Some(self.keydir.lock(index));
        }
        // Of two keys with one hash the greater index first, so that it still holds; new ones last.
        let replaces = |change: &&Change<'_>| change.current != Current::Absent;
        let last = changed().filter(replaces).map(|change| change.trace.index).max();
        let replacing = (0..=last.unwrap_or(0)).rev().flat_map(|index| {
            changed().filter(replaces).filter(move |change| change.trace.index == index)
        });
        for change in replacing.chain(changed().filter(|change| !replaces(change))) {
            if let Some(shard) = &mut shards[shard_index(change)] {
                self.publish_one(segment, change, shard);
            }
        }
    }

    fn publish_one(&self, segment: &Segment, change: &Change<'_>, shard: &mut Shard) {
        let (hash, location) = (change.key.hash(), change.trace.location);
        let index = change.trace.index as usize;
        segment.note(&change.header(), location, change.expires_at);
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
            self.release(old);
        }
    }

    /// Puts a clear into the log, as [`Cold::prepare`] does with changes. The store holds the locks of
    /// all keys until it is published.
    ///
    /// # Errors
    /// As [`Cold::prepare`].
    pub fn prepare_clear(&self, sync: bool) -> Result<PreparedClear> {
        let mut draft = Draft::marker(Kind::Clear, 0);
        let segment = self.append(slice::from_mut(&mut draft), sync)?.segment;
        Ok(PreparedClear { segment, header: draft.header, location: draft.location })
    }

    /// Makes a clear visible: no key has a location any more. What is returned is to be dropped
    /// without locks.
    pub fn publish_clear(&self, prepared: PreparedClear) -> impl Sized {
        let PreparedClear { segment, header, location } = prepared;
        let mut shards = self.keydir.lock_all();
        let taken: Vec<_> = shards.iter_mut().map(|shard| shard.take()).collect();
        self.segments.all().iter().for_each(|segment| segment.clear_live());
        segment.note(&header, location, 0);
        self.clear_sequence.store(header.sequence, Ordering::Release);
        taken
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

    /// Takes a key out whose record ended without another one: it expired, or was dropped. False if
    /// the key is not there any more.
    pub fn forget(&self, hash: u64, location: Location) -> bool {
        let mut shard = self.keydir.lock_for(hash);
        let Some(index) = shard.index_of(hash, location) else { return false };
        shard.remove(hash, index);
        self.release(location);
        self.changed.store(true, Ordering::Relaxed);
        true
    }

    fn release(&self, old: Location) {
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
            pair.iter().for_each(|index| changes[*index].trace.collides = true);
        }
    }
    Ok(())
}
