//! Changing: what a write meets, its records, and the moment when they become visible.

use super::draft::{Appended, Draft};
use super::keydir::{Keydir, Promised};
use super::location::Location;
use super::log::Log;
use super::read::Known;
use super::segment::Segment;
use super::tier::Cold;
use crate::codec::record::{Header, Kind};
use crate::error::Result;
use crate::key::Key;
use crate::memory::Few;
use std::sync::atomic::Ordering;

/// What the keydir and, where needed, the disk say about a key before it is written.
#[derive(Clone, Copy, Default, Debug)]
pub struct Located {
    /// Which of the hash's locations is the key's; `None` if it has none.
    pub index: Option<usize>,
    /// Another key with the same hash lives.
    pub collides: bool,
    /// Sequence and expiry of the key's record, if it was read and is whole.
    pub known: Option<(u64, u64)>,
}

impl Located {
    /// The key seems to have a record, but it could not be read.
    pub fn is_damaged(&self) -> bool {
        self.index.is_some() && self.known.is_none()
    }
}

/// A record that was appended and is to be made visible.
pub struct Change {
    /// Its header.
    pub header: Header,
    /// Where it is.
    pub location: Location,
    /// Milliseconds since the epoch; 0 for never.
    pub expires_at: u64,
    /// Which of the hash's locations it replaces.
    pub index: Option<usize>,
}

impl Cold {
    /// Finds what a write to `key` replaces. `is_only` says that the key is known to have a record:
    /// then the disk is asked only if several keys share the hash. A damaged record is taken for
    /// the key's own, so that it can be replaced.
    pub fn locate(&self, key: &Key<'_>, is_only: bool) -> Located {
        let candidates: Few<_> = match self.keydir.lock_for(key.hash()).group(key.hash()) {
            group if group.len() == 0 => return Located::default(),
            group if group.len() == 1 && is_only => {
                return Located { index: Some(0), collides: false, known: None };
            }
            group => group.iter().map(|location| self.hold(key.hash(), location)).collect(),
        };
        let mut located = Located::default();
        for (index, held) in candidates.iter().enumerate() {
            let known = |known: Known<'_>| match known.key == key.bytes() {
                true => {
                    known.expires_at().map(|expires_at| Some((known.header.sequence, expires_at)))
                }
                false => Ok(None),
            };
            match self.read_key(held, known) {
                Ok(Some(known)) => {
                    located.index = Some(index);
                    located.known = Some(known);
                    break;
                }
                Ok(None) => {}
                Err(_) => located.index = located.index.or(Some(index)),
            }
        }
        located.collides = candidates.len() > usize::from(located.index.is_some());
        located
    }

    /// Makes sure that a key which has no record yet can get one in the keydir: to be asked before the
    /// record is appended.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub fn promise(&self, key: &Key<'_>) -> Result<Promised<'_>> {
        self.keydir.promise(key.hash())
    }

    /// Appends records to the log, where they survive the process; nobody sees them before
    /// [`Cold::publish`]. `to_sync` says that [`Cold::sync_to`] will be asked for them.
    ///
    /// # Errors
    /// `ReadOnly`, `NoSpace`, `Io`, `OutOfMemory`: nothing was appended.
    pub fn append(&self, drafts: &[Draft<'_>], to_sync: bool) -> Result<Appended> {
        let appended = self.log()?.append(drafts, to_sync)?;
        let bytes = appended.records.iter().map(|(header, _)| header.record_bytes()).sum();
        self.wrote(bytes);
        Ok(appended)
    }

    /// A sequence of its own for what is to be appended later.
    ///
    /// # Errors
    /// `ReadOnly` if the store was opened so.
    pub fn take_sequence(&self) -> Result<u64> {
        Ok(self.log()?.sequences().take())
    }

    /// Makes what was appended under `ticket`, and is not published, survive power loss.
    ///
    /// # Errors
    /// `Io`, `NoSpace`, and writing ends: what was appended stays in the log, and nobody has been told
    /// that it is stored.
    pub fn sync_to(&self, ticket: u64) -> Result<()> {
        self.log()?.sync_to(ticket).inspect_err(|error| self.poison.set(error))
    }

    /// Makes everything that was appended survive power loss.
    ///
    /// # Errors
    /// `Io`, and writing ends; `ReadOnly` once it has.
    pub fn sync(&self) -> Result<()> {
        self.log.as_ref().map_or(Ok(()), Log::sync)
    }

    /// Makes appended records visible, all at one instant. They are sorted on the way.
    pub fn publish(&self, segment: &Segment, changes: &mut [Change]) {
        // Of two keys with one hash the greater index first, so that it still holds.
        changes.sort_unstable_by_key(|c| (c.header.hash, std::cmp::Reverse(c.index)));
        let mut guards: Few<_> = Few::new();
        for change in changes.iter() {
            let index = Keydir::shard_index(change.header.hash);
            if guards.last().is_none_or(|(last, _)| *last != index) {
                guards.push((index, self.keydir.lock(index)));
            }
        }
        let mut guard = 0;
        for Change { header, location, expires_at, index } in changes.iter() {
            while guards[guard].0 != Keydir::shard_index(header.hash) {
                guard += 1;
            }
            let shard = &mut guards[guard].1;
            segment.note(header, *location, *expires_at);
            let old = match (header.kind, index) {
                (Kind::Value, Some(index)) => shard.replace(header.hash, *index, *location),
                (Kind::Value, None) => {
                    shard.insert(header.hash, *location);
                    None
                }
                (_, Some(index)) => shard.remove(header.hash, *index),
                (_, None) => None,
            };
            if header.kind == Kind::Value {
                segment.add_live(*location);
            }
            if let Some(old) = old {
                self.release(old);
            }
        }
    }

    /// Makes an appended clear visible: no key has a location any more. What is returned is to be
    /// dropped without locks.
    pub fn publish_clear(&self, segment: &Segment, header: &Header, at: Location) -> impl Sized {
        let mut shards = self.keydir.lock_all();
        let taken: Vec<_> = shards.iter_mut().map(|shard| shard.take()).collect();
        self.segments.all().iter().for_each(|segment| segment.clear_live());
        segment.note(header, at, 0);
        self.clear_sequence.store(header.sequence, Ordering::Release);
        taken
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

    fn release(&self, location: Location) {
        if let Some(segment) = self.segments.get(location.slot()) {
            segment.remove_live(location);
        }
    }
}
