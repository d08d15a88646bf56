//! The shared tier as the store sees it: each call of the seam.

use super::engine::{Capabilities, Watcher};
use super::tier::{Found, Shared};
use crate::codec::remote::HEADER_BYTES;
use crate::cold::change::{Change, Current, Discarded, Notes, Prepared};
use crate::cold::host::{Host, Want};
use crate::cold::record::{Page, Place, Position, Record};
use crate::cold::sharing::{Hears, Reread, Sharing};
use crate::cold::tier::{ColdTier, Gauges, HotKeys, RemoteStats, UseKey, Verified};
use crate::error::{Error, ErrorKind, Result};
use crate::key::{Key, KeyHasher};
use crate::limits::VALUE_BYTES_MAX;
use crate::memory;
use crate::time::Moment;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Keys of which verifying asks at a time.
const VERIFIED_AT_ONCE: usize = 256;

impl Sharing for Shared {
    fn lease_ms(&self) -> Option<u64> {
        (!self.is_told()).then_some(self.options.coherence_ms)
    }

    fn coherence_ms(&self) -> u64 {
        self.options.coherence_ms
    }

    fn trusts(&self, key: &Key<'_>) -> bool {
        // Without a link that tells the lease of each entry decides.
        !self.is_told()
            || self.coherence.is_alive(self.coherence.link_of(|| self.part(key.bytes())))
    }

    #[cold]
    fn read_unless(&self, key: &Key<'_>, known_version: u64) -> Result<Reread> {
        if known_version != 0 {
            self.requests.revalidations.fetch_add(1, Ordering::Relaxed);
        }
        let place = self.place(key.hash());
        let deadline = self.requests.deadline();
        Ok(match self.fetch(key.bytes(), known_version, deadline)? {
            Found::Absent => Reread::Absent,
            Found::Same => Reread::Same(place),
            Found::Record(header, bytes) => {
                Reread::Found(self.record(key, &header, &bytes)?, place)
            }
        })
    }

    fn part(&self, key: &[u8]) -> u32 {
        self.engine.part(key)
    }

    fn compares(&self) -> bool {
        self.can.has(Capabilities::COMPARE)
    }

    fn repeats(&self) -> bool {
        self.can.has(Capabilities::REPEATS)
    }

    fn doubt(&self, key: &Key<'_>) {
        self.coherence.moved(key.hash());
    }

    fn listen(&self, hears: Arc<dyn Hears>) -> Result<()> {
        self.coherence.listen(Some(hears));
        let watcher: Arc<dyn Watcher> = self.coherence.clone();
        if self.is_told() { self.engine.watch(watcher) } else { Ok(()) }
    }

    fn stop_listening(&self) {
        self.coherence.listen(None);
    }
}

impl Shared {
    #[cold]
    fn verify_one(
        &self,
        place: &Place,
        verified: &mut Verified,
        tell: &mut dyn FnMut(&[u8], &Error),
    ) -> Result<()> {
        let Some(key) = key_at(place) else { return Ok(()) };
        match self.read(&self.hasher.key(key)?) {
            Ok(found) => verified.records += u64::from(found.is_some()),
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                tell(key, &error);
                verified.records += 1;
                verified.damaged += 1;
                if verified.findings.is_empty() {
                    verified.findings.push(error);
                }
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// The key of a place of a walk.
fn key_at(place: &Place) -> Option<&Vec<u8>> {
    place.keep.as_ref()?.downcast_ref()
}

impl ColdTier for Shared {
    fn sharing(&self) -> Option<&dyn Sharing> {
        Some(self)
    }

    fn hasher(&self) -> KeyHasher {
        self.hasher
    }

    #[cold]
    fn read(&self, key: &Key<'_>) -> Result<Option<(Record, Place)>> {
        match self.read_unless(key, 0)? {
            Reread::Found(record, place) => {
                let keep = memory::copy(key.bytes(), "a key")?;
                Ok(Some((record, Place { keep: Some(Arc::new(keep)), ..place })))
            }
            Reread::Absent | Reread::Same(_) => Ok(None),
        }
    }

    #[cold]
    fn read_expiry(&self, key: &Key<'_>) -> Result<Option<u64>> {
        match self.fetch(key.bytes(), 0, self.requests.deadline())? {
            Found::Record(header, _) => Ok(Some(header.expires_at)),
            Found::Absent | Found::Same => Ok(None),
        }
    }

    fn is_current(&self, place: &Place) -> bool {
        self.coherence.generation(place.hash) == place.word
    }

    fn mark_used(&self, _key: &Key<'_>, _place: Option<&Place>) {}

    fn first_position(&self) -> Position {
        Position::After(Vec::new())
    }

    #[cold]
    fn places(&self, from: &Position, prefix: &[u8], count: usize) -> Result<Page> {
        let Position::After(after) = from else {
            return Ok(Page { places: Vec::new(), next: None });
        };
        let mut places = Vec::new();
        let mut next = Some(memory::copy(after, "a position")?);
        while let Some(after) = next.take_if(|_| places.len() < count) {
            let deadline = self.requests.deadline();
            let list = |timeout| self.engine.list(prefix, &after, timeout);
            let listed = self.ask(None, deadline, list)?;
            memory::grow(&mut places, listed.keys.len(), "a page of keys")?;
            for key in listed.keys {
                let hash = self.hasher.key(&key)?.hash();
                places.push(Place { keep: Some(Arc::new(key)), ..self.place(hash) });
            }
            next = listed.next;
        }
        Ok(Page { places, next: next.map(Position::After) })
    }

    #[cold]
    fn read_key(&self, place: &Place, use_it: &mut UseKey<'_>) -> Result<()> {
        let Some(key) = key_at(place) else {
            return Err(Error::new(ErrorKind::Internal, "a place without its key"));
        };
        // What is gone by now has ended.
        use_it(key, &|| Ok(self.read_expiry(&self.hasher.key(key)?)?.unwrap_or(1)))
    }

    #[cold]
    fn look(&self, change: &mut Change<'_>, _is_known: bool) -> Result<()> {
        (change.current, change.notes) = (Current::Absent, Notes::default());
        change.current = match self.fetch(change.key.bytes(), 0, self.requests.deadline()) {
            Ok(Found::Record(header, _)) => {
                Current::Value { version: header.version, expires_at: header.expires_at }
            }
            Ok(Found::Absent | Found::Same) => Current::Absent,
            Err(error) if error.kind() == ErrorKind::Corrupt => Current::Damaged,
            Err(error) => return Err(error),
        };
        Ok(())
    }

    #[cold]
    fn check_length(&self, changes: &[Change<'_>]) -> Result<()> {
        let most = VALUE_BYTES_MAX - HEADER_BYTES;
        let lengths = changes.iter().filter_map(|change| change.value).map(<[u8]>::len);
        match lengths.max().filter(|longest| *longest > most) {
            None => Ok(()),
            Some(longest) => {
                let sentence =
                    format!("the value has {longest} bytes; a shared cold tier takes {most}");
                Err(Error::new(ErrorKind::TooLarge, sentence))
            }
        }
    }

    fn prepare(&self, changes: &mut [Change<'_>], sync: bool) -> Result<Prepared> {
        self.make(changes, sync)
    }

    fn publish(&self, _prepared: &Prepared, changes: &[Change<'_>]) {
        self.over(changes, true);
    }

    #[cold]
    fn prepare_clear(&self, _sync: bool) -> Result<Prepared> {
        // After a failure nobody knows which keys are gone.
        let cleared = self.clear_all();
        cleared.inspect_err(|_| self.coherence.lost(&|_| true))?;
        Ok(Prepared::default())
    }

    fn publish_clear(&self, _prepared: Prepared) -> Discarded {
        self.coherence.all_moved();
        Box::new(())
    }

    fn take_version(&self) -> Result<u64> {
        self.version()
    }

    fn forget(&self, _place: &Place) -> bool {
        false
    }

    fn check_writable(&self) -> Result<()> {
        Ok(())
    }

    fn keep_time(&self, _moment: &Moment) {}

    #[cold]
    fn sync(&self) -> Result<()> {
        if !self.can.has(Capabilities::DURABLE) {
            let sentence = "this engine does not say when its changes survive a loss of power";
            return Err(Error::new(ErrorKind::Unsupported, sentence));
        }
        self.ask(None, self.requests.deadline(), |timeout| self.engine.sync(timeout))
    }

    fn tend(&self) -> Result<()> {
        Ok(())
    }

    fn tend_interval(&self) -> Duration {
        Duration::MAX
    }

    fn maintain(&self, _host: &dyn Host) -> Result<()> {
        Ok(())
    }

    fn make_room(&self, _want: Want, _is_first: bool, _host: &dyn Host) -> Result<bool> {
        Ok(false)
    }

    fn is_over_capacity(&self) -> bool {
        false
    }

    #[cold]
    fn compact(&self, _host: &dyn Host) -> Result<()> {
        self.ask(None, self.requests.deadline(), |timeout| self.engine.compact(timeout))
    }

    #[cold]
    fn verify(&self, tell: &mut dyn FnMut(&[u8], &Error)) -> Result<Verified> {
        let mut verified = Verified::default();
        let mut next = Some(self.first_position());
        while let Some(from) = next {
            let page = self.places(&from, &[], VERIFIED_AT_ONCE)?;
            for place in &page.places {
                self.verify_one(place, &mut verified, tell)?;
            }
            next = page.next;
        }
        Ok(verified)
    }

    fn take_findings(&self) -> Vec<Error> {
        Vec::new()
    }

    fn backup(&self, _dest: &Path, _host: &dyn Host) -> Result<()> {
        let sentence = "a shared cold tier is backed up by its engine's own means";
        Err(Error::new(ErrorKind::Unsupported, sentence))
    }

    fn save_hot_keys(&self, _keys: &mut dyn Iterator<Item = Vec<u8>>) -> Result<()> {
        Ok(())
    }

    fn load_hot_keys(&self) -> Result<HotKeys> {
        Ok(HotKeys::default())
    }

    #[cold]
    fn gauges(&self) -> Gauges {
        let counts = self.requests.counts();
        let remote = RemoteStats {
            invalidations: self.coherence.told(),
            retries: counts.retries + self.engine.retries(),
            ..counts
        };
        Gauges { bytes_written: counts.bytes_out, remote, ..Gauges::default() }
    }

    fn close(&self, _host: &dyn Host) -> Result<()> {
        Ok(())
    }

    fn release(&self) {
        self.stop_listening();
    }
}
