//! Finding: from a key's hash through the keydir to its record.
//!
//! The header's checksum does not cover the expiry, which stands in the body. So whoever decides by
//! an expiry reads and verifies the record to its end, even if nobody asks for the value.

use super::index::keydir::{Keydir, SHARDS};
use super::index::location::Location;
use super::segment::read::{self, Known, StoredValue};
use super::segment::segment::Segment;
use super::tier::Local;
use crate::cold::record::Place;
use crate::error::{Error, ErrorKind, Result};
use crate::key::Key;
use std::any::Any;
use std::sync::Arc;

/// A location with its segment, which keeps the location from meaning another record.
pub struct PinnedLocation {
    /// The key's hash.
    pub hash: u64,
    /// The location.
    pub location: Location,
    segment: Option<Arc<Segment>>,
}

impl PinnedLocation {
    /// As the store has it.
    pub(super) fn into_place(self) -> Place {
        let keep = self.segment.map(|segment| segment as Arc<dyn Any + Send + Sync>);
        Place { hash: self.hash, word: self.location.word(), keep }
    }

    /// The place that the store has.
    pub(super) fn of(place: &Place) -> Self {
        let keep = place.keep.clone().and_then(|keep| keep.downcast().ok());
        Self { hash: place.hash, location: Location::from_word(place.word), segment: keep }
    }

    fn segment(&self) -> Result<&Segment> {
        let segment = self.segment.as_deref().filter(|segment| !segment.is_gone());
        segment.ok_or_else(|| {
            let name = self.segment.as_ref().map_or(String::new(), |s| format!(" {}", s.name()));
            let sentence = format!(
                "the segment{name} that held this key is gone; store the key again or delete it"
            );
            Error::new(ErrorKind::Corrupt, sentence)
        })
    }
}

impl Local {
    /// Reads the value of `key`, expired or not, and where it was found.
    ///
    /// # Errors
    /// `Corrupt` if its record is damaged, `Io`, `OutOfMemory`.
    pub fn read(&self, key: &Key<'_>) -> Result<Option<(StoredValue, PinnedLocation)>> {
        let mut failure = None;
        for pinned in self.candidates(key.hash()) {
            let found = pinned.segment().and_then(|s| read::read_value(s, pinned.location, key));
            match found {
                Ok(Some(found)) => return Ok(Some((found, pinned))),
                Ok(None) => {}
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        failure.map_or(Ok(None), Err)
    }

    /// When the value of `key` expires (milliseconds since the epoch, 0 for never), without reading
    /// it; `Ok(None)` if the key has none.
    ///
    /// # Errors
    /// As [`Local::read`].
    pub fn read_expiry(&self, key: &Key<'_>) -> Result<Option<u64>> {
        let mut failure = None;
        for pinned in self.candidates(key.hash()) {
            let expiry = |known: Known<'_>| match known.key == key.bytes() {
                true => known.expires_at().map(Some),
                false => Ok(None),
            };
            match self.read_key(&pinned, expiry) {
                Ok(Some(expires_at)) => return Ok(Some(expires_at)),
                Ok(None) => {}
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        failure.map_or(Ok(None), Err)
    }

    /// Reads the key that stands at a place which [`Local::keys_from`] gave, for `use_it`.
    ///
    /// # Errors
    /// `Corrupt` if the record is damaged, `Io`; those of `use_it`.
    pub fn read_key<T>(
        &self,
        pinned: &PinnedLocation,
        use_it: impl FnOnce(Known<'_>) -> Result<T>,
    ) -> Result<T> {
        read::read_key(pinned.segment()?, pinned.location, (pinned.hash, self.hasher), use_it)
    }

    /// True if the hash still has that location: its key was neither written, deleted nor moved.
    pub fn is_at(&self, hash: u64, location: Location) -> bool {
        self.keydir.lock_for(hash).index_of(hash, location).is_some()
    }

    /// Marks the record as read, which spares it once when room is made on disk.
    pub fn mark_read(&self, hash: u64, location: Location) {
        if !location.is_read() {
            self.keydir.lock_for(hash).mark_read(hash, location);
        }
    }

    /// As [`Local::mark_read`], for a key that was served by hot.
    pub fn mark_key_read(&self, key: &Key<'_>) {
        self.keydir.lock_for(key.hash()).mark_group(key.hash());
    }

    /// The places of at least `count` keys, unless there are fewer, from `hash` on, in the order
    /// of hashes and never a part of one hash's; and the hash to go on from, `None` at the end.
    pub fn keys_from(&self, hash: u64, count: usize) -> (Vec<PinnedLocation>, Option<u64>) {
        let mut places = Vec::new();
        for index in Keydir::shard_index(hash)..SHARDS {
            let shard = self.keydir.lock(index);
            let from = if index == Keydir::shard_index(hash) { hash } else { 0 };
            for (hash, location) in shard.from(from) {
                let is_same = places.last().is_some_and(|last: &PinnedLocation| last.hash == hash);
                if places.len() >= count && !is_same {
                    return (places, Some(hash));
                }
                places.push(self.pin(hash, location));
            }
        }
        (places, None)
    }

    fn candidates(&self, hash: u64) -> impl Iterator<Item = PinnedLocation> {
        let shard = self.keydir.lock_for(hash);
        let group = shard.group(hash);
        let mut all = group.iter().map(|location| self.pin(hash, location));
        let first = all.next();
        let others: Vec<_> = all.collect();
        first.into_iter().chain(others)
    }

    pub(super) fn pin(&self, hash: u64, location: Location) -> PinnedLocation {
        PinnedLocation { hash, location, segment: self.segments.get(location.slot()) }
    }
}
