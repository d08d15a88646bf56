//! The local directory as the store sees it: each call of the seam, and what does it here.

use super::index::location::Location;
use super::lookup::PinnedLocation;
use super::tier::Local;
use crate::cold::change::{Change, Discarded, Prepared};
use crate::cold::host::{Host, Want};
use crate::cold::record::{Page, Place, Position, Record};
use crate::cold::tier::{ColdTier, Gauges, HotKeys, UseKey, Verified};
use crate::error::{Error, Result};
use crate::key::{Key, KeyHasher};
use crate::time::Moment;
use std::path::Path;
use std::time::Duration;

impl ColdTier for Local {
    fn hasher(&self) -> KeyHasher {
        Self::hasher(self)
    }

    fn read(&self, key: &Key<'_>) -> Result<Option<(Record, Place)>> {
        let found = Self::read(self, key)?;
        Ok(found.map(|(found, pinned)| {
            let (version, bytes) = (found.header.sequence, found.header.record_bytes());
            let (buffer, expires_at) = (found.buffer, found.expires_at);
            let (key, value) = (found.key, found.value);
            (Record { buffer, key, value, version, expires_at, bytes }, pinned.into_place())
        }))
    }

    fn read_expiry(&self, key: &Key<'_>) -> Result<Option<u64>> {
        Self::read_expiry(self, key)
    }

    fn is_current(&self, place: &Place) -> bool {
        self.is_at(place.hash, Location::from_word(place.word))
    }

    fn mark_used(&self, key: &Key<'_>, place: Option<&Place>) {
        match place {
            Some(place) => self.mark_read(place.hash, Location::from_word(place.word)),
            None => self.mark_key_read(key),
        }
    }

    fn first_position(&self) -> Position {
        Position::Hash(0)
    }

    fn places(&self, from: &Position, _prefix: &[u8], count: usize) -> Result<Page> {
        let Position::Hash(from) = from else { return Ok(Page { places: Vec::new(), next: None }) };
        let (places, next) = self.keys_from(*from, count);
        let places = places.into_iter().map(PinnedLocation::into_place).collect();
        Ok(Page { places, next: next.map(Position::Hash) })
    }

    fn read_key(&self, place: &Place, use_it: &mut UseKey<'_>) -> Result<()> {
        Self::read_key(self, &PinnedLocation::of(place), |known| {
            use_it(known.key, &|| known.expires_at())
        })
    }

    fn look(&self, change: &mut Change<'_>, is_known: bool) -> Result<()> {
        Self::look(self, change, is_known);
        Ok(())
    }

    fn check_length(&self, changes: &[Change<'_>]) -> Result<()> {
        Self::check_length(self, changes)
    }

    fn prepare(&self, changes: &mut [Change<'_>], sync: bool) -> Result<Prepared> {
        Self::prepare(self, changes, sync)
    }

    fn publish(&self, prepared: &Prepared, changes: &[Change<'_>]) {
        Self::publish(self, prepared, changes);
    }

    fn prepare_clear(&self, sync: bool) -> Result<Prepared> {
        Self::prepare_clear(self, sync)
    }

    fn publish_clear(&self, prepared: Prepared) -> Discarded {
        Self::publish_clear(self, &prepared)
    }

    fn take_version(&self) -> Result<u64> {
        Self::take_version(self)
    }

    fn forget(&self, place: &Place) -> bool {
        Self::forget(self, place.hash, Location::from_word(place.word))
    }

    fn check_writable(&self) -> Result<()> {
        self.poison.check()
    }

    fn keep_time(&self, moment: &Moment) {
        if !self.tells(moment) && !self.options.read_only && !self.poison.is_set() {
            // Where this fails maintenance tries again, and tells it.
            let _ = Self::keep_time(self);
        }
    }

    fn sync(&self) -> Result<()> {
        Self::sync(self)
    }

    fn tend(&self) -> Result<()> {
        Self::tend(self)
    }

    fn tend_interval(&self) -> Duration {
        Self::tend_interval(self)
    }

    fn maintain(&self, host: &dyn Host) -> Result<()> {
        Self::maintain(self, host)
    }

    fn make_room(&self, want: Want, is_first: bool, host: &dyn Host) -> Result<bool> {
        Self::make_room(self, want, is_first, host)
    }

    fn is_over_capacity(&self) -> bool {
        self.options.capacity != 0 && self.disk_bytes() > self.options.capacity
    }

    fn compact(&self, host: &dyn Host) -> Result<()> {
        Self::compact(self, host)
    }

    fn verify(&self, tell: &mut dyn FnMut(&[u8], &Error)) -> Result<Verified> {
        Self::verify(self, tell)
    }

    fn take_findings(&self) -> Vec<Error> {
        Self::take_findings(self)
    }

    fn backup(&self, dest: &Path, host: &dyn Host) -> Result<()> {
        Self::backup(self, dest, host)
    }

    fn save_hot_keys(&self, keys: &mut dyn Iterator<Item = Vec<u8>>) -> Result<()> {
        Self::save_hot_keys(self, keys)
    }

    fn load_hot_keys(&self) -> Result<HotKeys> {
        Self::load_hot_keys(self)
    }

    fn gauges(&self) -> Gauges {
        Self::gauges(self)
    }

    fn close(&self, host: &dyn Host) -> Result<()> {
        Self::close(self, host)
    }

    fn release(&self) {
        Self::release(self);
    }
}
