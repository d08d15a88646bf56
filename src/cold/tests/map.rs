//! A cold tier that is a map in memory. Tests tell it to be slow, to fail, or not to know what became
//! of a change; and others change its keys behind the store's back.
//!
//! It walks in the order of keys. Its places are versions. Clones are the same tier, as processes
//! that share one: a test keeps a clone and gives another away.

use crate::buffer::Buffer;
use crate::codec::warm;
use crate::cold::change::{Discarded, Prepared};
use crate::cold::tier::{Gauges, HotKeys, UseKey, Verified};
use crate::cold::{
    Change, ColdTier, Current, Host, Page, Place, Position, Record, Removal, RemovalCause, Want,
};
use crate::error::{Error, ErrorKind, Result};
use crate::key::{Key, KeyHasher};
use crate::sync::Mutex;
use crate::time::{Clock, Expiry, Moment};
use std::any::Any;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Calls that can be told to be slow or to fail.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Call {
    Read,
    ReadExpiry,
    Places,
    Look,
    Prepare,
    Clear,
    Sync,
}

/// The tier.
#[derive(Clone)]
pub struct MapTier(Arc<Shared>);

struct Shared {
    hasher: KeyHasher,
    clock: Arc<dyn Clock>,
    state: Mutex<Contents>,
    orders: Mutex<Orders>,
}

#[derive(Default)]
struct Contents {
    values: BTreeMap<Vec<u8>, Stored>,
    /// The last version that was given out.
    version: u64,
    /// Changes of which nobody knows whether they will happen.
    unknown: Vec<Unknown>,
    hot_keys: Vec<u8>,
}

struct Stored {
    value: Vec<u8>,
    version: u64,
    expires_at: u64,
}

struct Unknown {
    key: Vec<u8>,
    /// The version that it replaces; 0 for none.
    replaces: u64,
    stored: Option<Stored>,
}

/// What tests have told the tier.
#[derive(Default)]
struct Orders {
    /// Which call fails, which one of them from now, and how; with 0 all of them fail.
    faults: Vec<(Call, u64, ErrorKind)>,
    meanwhile: Vec<(Call, Box<dyn FnOnce() + Send>)>,
    is_unknown: bool,
}

/// A place keeps its key and what it knew of it.
struct Kept {
    key: Vec<u8>,
    expires_at: u64,
}

impl MapTier {
    /// An empty tier.
    pub fn new(seed: u64, clock: Arc<dyn Clock>) -> Self {
        let (state, orders) = (Mutex::default(), Mutex::default());
        Self(Arc::new(Shared { hasher: KeyHasher::new(seed), clock, state, orders }))
    }

    /// Lets the `nth` call of this kind from now fail, 1 being the next.
    pub fn fail_nth(&self, call: Call, nth: u64, kind: ErrorKind) {
        self.0.orders.lock().faults.push((call, nth, kind));
    }

    /// Lets all calls of this kind fail, until it is healed.
    pub fn fail_all(&self, call: Call, kind: ErrorKind) {
        self.fail_nth(call, 0, kind);
    }

    /// Nothing fails any more.
    pub fn heal(&self) {
        *self.0.orders.lock() = Orders::default();
    }

    /// The next call of this kind is slow: `others` run inside of it, when its answer stands.
    pub fn meanwhile(&self, call: Call, others: impl FnOnce() + Send + 'static) {
        self.0.orders.lock().meanwhile.push((call, Box::new(others)));
    }

    /// Lets the next changes end with `Timeout`. They happen later or never, as
    /// [`MapTier::settle`] says.
    pub fn lose_next_answer(&self) {
        self.0.orders.lock().is_unknown = true;
    }

    /// Changes with an unknown outcome happen now, unless their key was changed since, or never.
    pub fn settle(&self, happens: bool) {
        let mut state = self.0.state.lock();
        for unknown in std::mem::take(&mut state.unknown) {
            if happens && state.version_of(&unknown.key) == unknown.replaces {
                state.put(unknown.key, unknown.stored);
            }
        }
    }

    /// Somebody else stores a value, or deletes it.
    pub fn others_change(&self, key: &[u8], value: Option<&[u8]>) {
        let mut state = self.0.state.lock();
        state.version += 1;
        let version = state.version;
        let stored = value.map(|value| Stored { value: value.to_vec(), version, expires_at: 0 });
        state.put(key.to_vec(), stored);
    }

    /// The value that the tier has of a key, whatever it was told to do.
    pub fn value(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.0.state.lock().values.get(key).map(|stored| stored.value.clone())
    }

    /// Fails if it was told to.
    fn begin(&self, call: Call) -> Result<()> {
        let mut orders = self.0.orders.lock();
        let mut failure = None;
        orders.faults.retain_mut(|(at, left, kind)| {
            if *at == call && *left <= 1 {
                failure = Some(*kind);
                return *left == 0;
            }
            *left -= u64::from(*at == call);
            true
        });
        let told = |kind| Error::new(kind, format!("{call:?} was told to fail"));
        failure.map_or(Ok(()), |kind| Err(told(kind)))
    }

    /// Is slow if it was told to. No lock is held.
    fn end(&self, call: Call) {
        let mut orders = self.0.orders.lock();
        let index = orders.meanwhile.iter().position(|(at, _)| *at == call);
        let others = index.map(|index| orders.meanwhile.remove(index).1);
        drop(orders);
        others.into_iter().for_each(|others| others());
    }

    fn place(&self, key: &[u8], stored: &Stored) -> Place {
        let kept = Kept { key: key.to_vec(), expires_at: stored.expires_at };
        let hash = self.0.hasher.hash(key);
        Place { hash, word: stored.version, keep: Some(Arc::new(kept)) }
    }

    /// Lets leave what has expired.
    fn sweep(&self, host: &dyn Host) {
        let now = self.0.clock.wall();
        let state = self.0.state.lock();
        let is_over = |stored: &Stored| Expiry::from_ms(stored.expires_at).has_passed(now);
        let over = state.values.iter().filter(|(_, stored)| is_over(stored));
        let over: Vec<_> = over
            .map(|(key, stored)| {
                let (version, expires_at) = (stored.version, stored.expires_at);
                let removal = Removal { cause: RemovalCause::Expired, version, expires_at };
                (key.clone(), self.place(key, stored), removal)
            })
            .collect();
        drop(state);
        over.iter().for_each(|(key, place, removal)| host.removed(key, place, *removal));
        host.at_rest();
    }
}

impl Contents {
    fn version_of(&self, key: &[u8]) -> u64 {
        self.values.get(key).map_or(0, |stored| stored.version)
    }

    fn put(&mut self, key: Vec<u8>, stored: Option<Stored>) {
        match stored {
            Some(stored) => drop(self.values.insert(key, stored)),
            None => drop(self.values.remove(&key)),
        }
    }

    /// What a change makes of its key.
    fn stored(change: &Change<'_>, version: u64) -> Option<Stored> {
        let expires_at = change.expires_at;
        change.value.map(|value| Stored { value: value.to_vec(), version, expires_at })
    }

    fn take_version(&mut self) -> u64 {
        self.version += 1;
        self.version
    }

    /// True if the place is its key's, and will be: not as long as an unknown change may come.
    fn is_at(&self, place: &Place) -> bool {
        let key = &kept(place).key;
        let is_unknown = self.unknown.iter().any(|unknown| unknown.key == *key);
        !is_unknown && self.version_of(key) == place.word
    }
}

fn kept(place: &Place) -> &Kept {
    let keep: &(dyn Any + Send + Sync) = &**place.keep.as_ref().unwrap();
    keep.downcast_ref().unwrap()
}

fn has_effect(change: &Change<'_>) -> bool {
    change.value.is_some() || change.current != Current::Absent
}

impl ColdTier for MapTier {
    fn hasher(&self) -> KeyHasher {
        self.0.hasher
    }

    fn read(&self, key: &Key<'_>) -> Result<Option<(Record, Place)>> {
        self.begin(Call::Read)?;
        let state = self.0.state.lock();
        let found = match state.values.get(key.bytes()) {
            Some(stored) => {
                let Stored { value, version, expires_at } = stored;
                let buffer = Buffer::from_parts(&[key.bytes(), value])?;
                let (split, end) = (key.bytes().len(), buffer.bytes().len());
                let (version, expires_at) = (*version, *expires_at);
                let (key_at, value, bytes) = (0..split, split..end, end as u64);
                let record = Record { buffer, key: key_at, value, version, expires_at, bytes };
                Some((record, self.place(key.bytes(), stored)))
            }
            None => None,
        };
        drop(state);
        self.end(Call::Read);
        Ok(found)
    }

    fn read_expiry(&self, key: &Key<'_>) -> Result<Option<u64>> {
        self.begin(Call::ReadExpiry)?;
        let state = self.0.state.lock();
        let found = state.values.get(key.bytes()).map(|stored| stored.expires_at);
        drop(state);
        self.end(Call::ReadExpiry);
        Ok(found)
    }

    fn is_current(&self, place: &Place) -> bool {
        self.0.state.lock().is_at(place)
    }

    fn mark_used(&self, _: &Key<'_>, _: Option<&Place>) {}

    fn first_position(&self) -> Position {
        Position::After(Vec::new())
    }

    fn places(&self, from: &Position, prefix: &[u8], count: usize) -> Result<Page> {
        self.begin(Call::Places)?;
        let Position::After(after) = from else { panic!("{from:?} is no position of this tier") };
        // The empty key comes first, and no page ends with it: behind it would be the beginning.
        let first = if after.is_empty() { Bound::Unbounded } else { Bound::Excluded(&after[..]) };
        let (mut places, mut next) = (Vec::new(), None);
        let state = self.0.state.lock();
        for (key, stored) in state.values.range::<[u8], _>((first, Bound::Unbounded)) {
            if !key.starts_with(prefix) {
                continue;
            }
            places.push(self.place(key, stored));
            if places.len() >= count && !key.is_empty() {
                next = Some(Position::After(key.clone()));
                break;
            }
        }
        drop(state);
        self.end(Call::Places);
        Ok(Page { places, next })
    }

    fn read_key(&self, place: &Place, use_it: &mut UseKey<'_>) -> Result<()> {
        let Kept { key, expires_at } = kept(place);
        use_it(key, &|| Ok(*expires_at))
    }

    fn look(&self, change: &mut Change<'_>, _is_known: bool) -> Result<()> {
        self.begin(Call::Look)?;
        let state = self.0.state.lock();
        let current = state.values.get(change.key.bytes());
        change.current = current.map_or(Current::Absent, |stored| Current::Value {
            version: stored.version,
            expires_at: stored.expires_at,
        });
        drop(state);
        self.end(Call::Look);
        Ok(())
    }

    fn check_length(&self, _: &[Change<'_>]) -> Result<()> {
        Ok(())
    }

    fn prepare(&self, changes: &mut [Change<'_>], _sync: bool) -> Result<Prepared> {
        self.begin(Call::Prepare)?;
        let mut state = self.0.state.lock();
        if std::mem::take(&mut self.0.orders.lock().is_unknown) {
            for change in changes.iter().filter(|change| has_effect(change)) {
                let version =
                    if change.version == 0 { state.take_version() } else { change.version };
                let key = change.key.bytes().to_vec();
                let (replaces, stored) =
                    (state.version_of(&key), Contents::stored(change, version));
                state.unknown.push(Unknown { key, replaces, stored });
            }
            return Err(Error::new(ErrorKind::Timeout, "prepare was told to lose its answer"));
        }
        let new = changes.iter_mut().filter(|change| has_effect(change) && change.version == 0);
        new.for_each(|change| change.version = state.take_version());
        drop(state);
        self.end(Call::Prepare);
        Ok(Prepared::default())
    }

    fn publish(&self, _: &Prepared, changes: &[Change<'_>]) {
        let mut state = self.0.state.lock();
        for change in changes.iter().filter(|change| has_effect(change)) {
            // What others have stored meanwhile is newer.
            if state.version_of(change.key.bytes()) <= change.version {
                state.put(change.key.bytes().to_vec(), Contents::stored(change, change.version));
            }
        }
    }

    fn prepare_clear(&self, _sync: bool) -> Result<Prepared> {
        self.begin(Call::Clear)?;
        let version = self.0.state.lock().take_version();
        self.end(Call::Clear);
        Ok(Prepared { version, ..Prepared::default() })
    }

    fn publish_clear(&self, _: Prepared) -> Discarded {
        let values = std::mem::take(&mut self.0.state.lock().values);
        Box::new(values.into_keys().collect::<Vec<_>>())
    }

    fn take_version(&self) -> Result<u64> {
        Ok(self.0.state.lock().take_version())
    }

    fn forget(&self, place: &Place) -> bool {
        let mut state = self.0.state.lock();
        let is_at = state.is_at(place);
        if is_at {
            state.values.remove(&kept(place).key);
        }
        is_at
    }

    fn check_writable(&self) -> Result<()> {
        Ok(())
    }

    fn keep_time(&self, _: &Moment) {}

    fn sync(&self) -> Result<()> {
        self.begin(Call::Sync)
    }

    fn tend(&self) -> Result<()> {
        Ok(())
    }

    fn tend_interval(&self) -> Duration {
        Duration::MAX
    }

    fn maintain(&self, host: &dyn Host) -> Result<()> {
        self.sweep(host);
        Ok(())
    }

    fn make_room(&self, _: Want, _: bool, _: &dyn Host) -> Result<bool> {
        Ok(false)
    }

    fn is_over_capacity(&self) -> bool {
        false
    }

    fn compact(&self, host: &dyn Host) -> Result<()> {
        self.sweep(host);
        Ok(())
    }

    fn verify(&self, _: &mut dyn FnMut(&[u8], &Error)) -> Result<Verified> {
        let records = self.0.state.lock().values.len() as u64;
        Ok(Verified { records, ..Verified::default() })
    }

    fn take_findings(&self) -> Vec<Error> {
        Vec::new()
    }

    fn backup(&self, _: &Path, _: &dyn Host) -> Result<()> {
        Err(Error::new(ErrorKind::Unsupported, "a map in memory has no backup"))
    }

    fn save_hot_keys(&self, keys: &mut dyn Iterator<Item = Vec<u8>>) -> Result<()> {
        self.0.state.lock().hot_keys = warm::encode(keys)?;
        Ok(())
    }

    fn load_hot_keys(&self) -> Result<HotKeys> {
        Ok(HotKeys(self.0.state.lock().hot_keys.clone()))
    }

    fn gauges(&self) -> Gauges {
        Gauges { entries: self.0.state.lock().values.len() as u64, ..Gauges::default() }
    }

    fn close(&self, _: &dyn Host) -> Result<()> {
        Ok(())
    }

    fn release(&self) {}
}
