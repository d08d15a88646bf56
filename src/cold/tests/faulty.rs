//! Tiers with a fault that was planted: the suite has to find each, in every kind of tier.

use super::bench::{Bench, KINDS};
use super::conformance::{PROMISES, broken};
use super::random;
use crate::cold::change::{Change, Discarded, Prepared};
use crate::cold::host::{Host, Want};
use crate::cold::record::{Page, Place, Position, Record};
use crate::cold::tier::{ColdTier, Gauges, HotKeys, UseKey, Verified};
use crate::error::{Error, ErrorKind, Result};
use crate::io::clock::ManualClock;
use crate::key::{Key, KeyHasher};
use crate::time::Moment;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What is wrong with a tier.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fault {
    /// None: the wrapper itself is right.
    Nothing,
    /// Deletes are not published.
    LostDelete,
    /// Every place is current for ever, so that stale values are promoted.
    StalePlace,
    /// Each change has the version of the one before.
    RepeatedVersion,
    /// Each version that is taken was taken before.
    RepeatedTake,
    /// A change is seen when it is prepared.
    SeenEarly,
    /// The last change of a batch is left out.
    TornBatch,
    /// A change that failed happens all the same.
    DoneThoughFailed,
    /// A clear takes nothing.
    LostClear,
    /// A walk meets a key of each page twice.
    MetTwice,
    /// A walk leaves out a key.
    Missed,
    /// No value is said to expire.
    LostExpiry,
    /// Whatever the key of a place has now is forgotten.
    ForgetsNewer,
    /// A place tells its key only as long as it is current.
    LostKey,
}

const FAULTS: [Fault; 13] = [
    Fault::LostDelete,
    Fault::StalePlace,
    Fault::RepeatedVersion,
    Fault::RepeatedTake,
    Fault::SeenEarly,
    Fault::TornBatch,
    Fault::DoneThoughFailed,
    Fault::LostClear,
    Fault::MetTwice,
    Fault::Missed,
    Fault::LostExpiry,
    Fault::ForgetsNewer,
    Fault::LostKey,
];

/// A tier with a fault.
struct Faulty<T: ColdTier + ?Sized> {
    fault: Fault,
    /// A version that was given out.
    version: AtomicU64,
    inner: Box<T>,
}

struct FaultyBench {
    fault: Fault,
    inner: Box<dyn Bench>,
}

impl Bench for FaultyBench {
    fn open(&self) -> Box<dyn ColdTier> {
        let version = AtomicU64::new(0);
        Box::new(Faulty { fault: self.fault, version, inner: self.inner.open() })
    }

    fn clock(&self) -> &ManualClock {
        self.inner.clock()
    }

    fn fail_next_write(&self) {
        self.inner.fail_next_write();
    }
}

fn broken_with(fault: Fault, bench: fn() -> Box<dyn Bench>) -> Vec<&'static str> {
    broken(&PROMISES, &|| Box::new(FaultyBench { fault, inner: bench() }))
}

#[test]
fn the_suite_finds_every_planted_fault_in_every_tier() {
    let mut seen_red = BTreeSet::new();
    for kind in &KINDS {
        assert_eq!(broken_with(Fault::Nothing, kind.bench), [""; 0], "{}", kind.name);
        for fault in FAULTS {
            let found = broken_with(fault, kind.bench);
            assert!(!found.is_empty(), "{fault:?} was not found in {}", kind.name);
            seen_red.extend(found);
        }
    }
    let never = PROMISES.iter().filter(|(promise, _)| !seen_red.contains(promise));
    let never: Vec<_> = never.map(|(promise, _)| promise).collect();
    assert!(never.is_empty(), "no fault breaks {never:?}");
}

#[test]
fn random_sequences_find_what_is_lost_torn_or_repeated() {
    let faults = [Fault::LostDelete, Fault::RepeatedVersion, Fault::TornBatch, Fault::LostClear];
    for kind in &KINDS {
        for fault in faults {
            let is_found = |seed| {
                let bench = FaultyBench { fault, inner: (kind.bench)() };
                catch_unwind(AssertUnwindSafe(|| random::check(&bench, seed, kind.name))).is_err()
            };
            assert!((0..10).any(is_found), "{fault:?} was not found in {}", kind.name);
        }
    }
}

impl<T: ColdTier + ?Sized> Faulty<T> {
    fn has(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    /// The last version that was given out, 0 at first; `version` is the next.
    fn earlier(&self, version: u64) -> u64 {
        self.version.swap(version, Ordering::SeqCst)
    }
}

impl<T: ColdTier + ?Sized> ColdTier for Faulty<T> {
    fn hasher(&self) -> KeyHasher {
        self.inner.hasher()
    }

    fn read(&self, key: &Key<'_>) -> Result<Option<(Record, Place)>> {
        self.inner.read(key)
    }

    fn read_expiry(&self, key: &Key<'_>) -> Result<Option<u64>> {
        let expiry = self.inner.read_expiry(key)?;
        Ok(if self.has(Fault::LostExpiry) { expiry.map(|_| 0) } else { expiry })
    }

    fn is_current(&self, place: &Place) -> bool {
        self.has(Fault::StalePlace) || self.inner.is_current(place)
    }

    fn mark_used(&self, key: &Key<'_>, place: Option<&Place>) {
        self.inner.mark_used(key, place);
    }

    fn first_position(&self) -> Position {
        self.inner.first_position()
    }

    fn places(&self, from: &Position, prefix: &[u8], count: usize) -> Result<Page> {
        let mut page = self.inner.places(from, prefix, count)?;
        if let Some(Place { hash, word, keep }) = page.places.first() {
            let again = Place { hash: *hash, word: *word, keep: keep.clone() };
            if self.has(Fault::MetTwice) {
                page.places.push(again);
            } else if self.has(Fault::Missed) {
                page.places.remove(0);
            }
        }
        Ok(page)
    }

    fn read_key(&self, place: &Place, use_it: &mut UseKey<'_>) -> Result<()> {
        if self.has(Fault::LostKey) && !self.inner.is_current(place) {
            return Err(Error::new(ErrorKind::Corrupt, "the key was changed"));
        }
        self.inner.read_key(place, use_it)
    }

    fn look(&self, change: &mut Change<'_>, is_known: bool) -> Result<()> {
        self.inner.look(change, is_known)
    }

    fn check_length(&self, changes: &[Change<'_>]) -> Result<()> {
        self.inner.check_length(changes)
    }

    fn prepare(&self, changes: &mut [Change<'_>], sync: bool) -> Result<Prepared> {
        if self.has(Fault::RepeatedVersion) {
            changes.iter_mut().for_each(|change| change.version = self.earlier(change.version));
        }
        let mut prepared = self.inner.prepare(changes, sync);
        if self.has(Fault::RepeatedVersion) {
            let last = changes.last().map_or(0, |change| change.version);
            self.version.store(last, Ordering::SeqCst);
        }
        if prepared.is_err() && self.has(Fault::DoneThoughFailed) {
            prepared = self.inner.prepare(changes, sync);
            if let Ok(prepared) = &prepared {
                self.inner.publish(prepared, changes);
            }
            return Err(Error::new(ErrorKind::Io, "failed, as it seems"));
        }
        if let (Ok(prepared), true) = (&prepared, self.has(Fault::SeenEarly)) {
            self.inner.publish(prepared, changes);
        }
        prepared
    }

    fn publish(&self, prepared: &Prepared, changes: &[Change<'_>]) {
        let is_delete = changes.iter().all(|change| change.value.is_none());
        match self.fault {
            Fault::SeenEarly => {}
            Fault::LostDelete if is_delete => {}
            Fault::TornBatch if changes.len() > 1 => {
                self.inner.publish(prepared, &changes[..changes.len() - 2]);
            }
            _ => self.inner.publish(prepared, changes),
        }
    }

    fn prepare_clear(&self, sync: bool) -> Result<Prepared> {
        self.inner.prepare_clear(sync)
    }

    fn publish_clear(&self, prepared: Prepared) -> Discarded {
        if self.has(Fault::LostClear) { Box::new(()) } else { self.inner.publish_clear(prepared) }
    }

    fn take_version(&self) -> Result<u64> {
        let version = self.inner.take_version()?;
        let earlier = if self.has(Fault::RepeatedTake) { self.earlier(version) } else { 0 };
        Ok(if earlier == 0 { version } else { earlier })
    }

    fn forget(&self, place: &Place) -> bool {
        if self.has(Fault::ForgetsNewer) {
            let mut newer = None;
            let read = self.inner.read_key(place, &mut |key, _| {
                newer = self.inner.read(&self.hasher().key(key)?)?;
                Ok(())
            });
            return read.is_ok() && newer.is_some_and(|(_, place)| self.inner.forget(&place));
        }
        self.inner.forget(place)
    }

    fn check_writable(&self) -> Result<()> {
        self.inner.check_writable()
    }

    fn keep_time(&self, moment: &Moment) {
        self.inner.keep_time(moment);
    }

    fn sync(&self) -> Result<()> {
        self.inner.sync()
    }

    fn tend(&self) -> Result<()> {
        self.inner.tend()
    }

    fn tend_interval(&self) -> Duration {
        self.inner.tend_interval()
    }

    fn maintain(&self, host: &dyn Host) -> Result<()> {
        self.inner.maintain(host)
    }

    fn make_room(&self, want: Want, is_first: bool, host: &dyn Host) -> Result<bool> {
        self.inner.make_room(want, is_first, host)
    }

    fn is_over_capacity(&self) -> bool {
        self.inner.is_over_capacity()
    }

    fn compact(&self, host: &dyn Host) -> Result<()> {
        self.inner.compact(host)
    }

    fn verify(&self, tell: &mut dyn FnMut(&[u8], &Error)) -> Result<Verified> {
        self.inner.verify(tell)
    }

    fn take_findings(&self) -> Vec<Error> {
        self.inner.take_findings()
    }

    fn backup(&self, dest: &Path, host: &dyn Host) -> Result<()> {
        self.inner.backup(dest, host)
    }

    fn save_hot_keys(&self, keys: &mut dyn Iterator<Item = Vec<u8>>) -> Result<()> {
        self.inner.save_hot_keys(keys)
    }

    fn load_hot_keys(&self) -> Result<HotKeys> {
        self.inner.load_hot_keys()
    }

    fn gauges(&self) -> Gauges {
        self.inner.gauges()
    }

    fn close(&self, host: &dyn Host) -> Result<()> {
        self.inner.close(host)
    }

    fn release(&self) {
        self.inner.release();
    }
}
