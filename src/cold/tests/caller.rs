//! A cold tier as the store uses it, on one thread: look, prepare, publish; and the store around it.

use crate::cold::change::{Change, Prepared};
use crate::cold::{ColdTier, Host, Place, Removal, Rewritten};
use crate::error::Result;
use crate::key::Key;
use crate::sync::Mutex;
use std::collections::BTreeMap;
use std::fmt;

/// What a tier has of a key.
#[derive(Clone, PartialEq, Eq)]
pub struct Seen {
    pub value: Vec<u8>,
    pub version: u64,
    pub expires_at: u64,
}

impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { value, version, expires_at } = self;
        let first = value[..value.len().min(8)].escape_ascii();
        write!(f, "#{version} {first} ({} bytes) @{expires_at}", value.len())
    }
}

/// Everything a tier has.
pub type Model = BTreeMap<Vec<u8>, Seen>;

/// A change: a key with its new value and when that ends, or `None` to delete it.
pub type Put<'a> = (&'a [u8], Option<(&'a [u8], u64)>);

/// The caller of a tier.
pub struct Caller<'t> {
    pub tier: &'t dyn ColdTier,
    /// The keys that the tier said it removed.
    pub removed: Mutex<Vec<Vec<u8>>>,
}

impl<'t> Caller<'t> {
    pub fn new(tier: &'t dyn ColdTier) -> Self {
        Self { tier, removed: Mutex::default() }
    }

    pub fn key<'k>(&self, key: &'k [u8]) -> Key<'k> {
        self.tier.hasher().key(key).unwrap()
    }

    /// A change that was looked at.
    pub fn looked<'k>(&self, (key, put): Put<'k>) -> Change<'k> {
        let (value, expires_at) = put.map_or((None, 0), |(value, at)| (Some(value), at));
        let mut change = Change::new(self.key(key), value, expires_at);
        self.tier.look(&mut change, false).unwrap();
        change
    }

    /// Changes all keys, or none; gives their versions, 0 for a delete of nothing.
    pub fn change(&self, puts: &[Put<'_>]) -> Result<Vec<u64>> {
        let mut changes: Vec<_> = puts.iter().map(|put| self.looked(*put)).collect();
        let prepared = self.tier.prepare(&mut changes, false)?;
        self.tier.publish(&prepared, &changes);
        Ok(changes.iter().map(|change| change.version).collect())
    }

    /// Prepares changes that the caller publishes, or does not.
    pub fn prepare<'k>(&self, puts: &[Put<'k>]) -> (Prepared, Vec<Change<'k>>) {
        let mut changes: Vec<_> = puts.iter().map(|put| self.looked(*put)).collect();
        let prepared = self.tier.prepare(&mut changes, false).unwrap();
        (prepared, changes)
    }

    pub fn put(&self, key: &[u8], value: &[u8]) -> u64 {
        self.change(&[(key, Some((value, 0)))]).unwrap()[0]
    }

    pub fn put_until(&self, key: &[u8], value: &[u8], expires_at: u64) -> u64 {
        self.change(&[(key, Some((value, expires_at)))]).unwrap()[0]
    }

    pub fn delete(&self, key: &[u8]) -> u64 {
        self.change(&[(key, None)]).unwrap()[0]
    }

    pub fn clear(&self) {
        let prepared = self.tier.prepare_clear(false).unwrap();
        drop(self.tier.publish_clear(prepared));
    }

    /// What the tier has of a key, expired or not. All ways to ask have to agree.
    pub fn get(&self, key: &[u8]) -> Option<Seen> {
        let found = self.tier.read(&self.key(key)).unwrap();
        let expiry = self.tier.read_expiry(&self.key(key)).unwrap();
        let Some((record, place)) = found else {
            assert_eq!(expiry, None, "an expiry of nothing");
            return None;
        };
        let bytes = record.buffer.bytes();
        assert_eq!(&bytes[record.key.clone()], key, "the record has another key");
        assert_eq!(expiry, Some(record.expires_at), "two expiries");
        assert!(self.tier.is_current(&place), "what was just read is not current");
        let value = bytes[record.value.clone()].to_vec();
        Some(Seen { value, version: record.version, expires_at: record.expires_at })
    }

    pub fn value(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.get(key).map(|seen| seen.value)
    }

    /// Where the key is.
    pub fn place(&self, key: &[u8]) -> Place {
        self.tier.read(&self.key(key)).unwrap().unwrap().1
    }

    /// The key at a place, and when it expires.
    pub fn key_at(&self, place: &Place) -> Result<(Vec<u8>, u64)> {
        let mut found = None;
        self.tier.read_key(place, &mut |key, expires_at| {
            found = Some((key.to_vec(), expires_at()?));
            Ok(())
        })?;
        Ok(found.unwrap())
    }

    /// The keys that a walk meets; `between` is called between a page's places and their keys, and
    /// between two pages.
    pub fn walk(&self, prefix: &[u8], count: usize, between: &mut dyn FnMut()) -> Vec<Vec<u8>> {
        let (mut met, mut from) = (Vec::new(), Some(self.tier.first_position()));
        while let Some(position) = from {
            let page = self.tier.places(&position, prefix, count).unwrap();
            assert!(page.next.is_none() || page.places.len() >= count, "a page is too short");
            between();
            let keys = page.places.iter().map(|place| self.key_at(place).unwrap().0);
            met.extend(keys.filter(|key| key.starts_with(prefix)));
            between();
            from = page.next;
        }
        met
    }

    /// Everything there is. A walk and reads have to agree.
    pub fn contents(&self) -> Model {
        let met = self.walk(&[], 3, &mut || ());
        let count = met.len();
        let read = |key: Vec<u8>| {
            let seen = self.get(&key).expect("a walk met a key that is not there");
            (key, seen)
        };
        let model: Model = met.into_iter().map(read).collect();
        assert_eq!(model.len(), count, "a walk met a key twice");
        model
    }
}

impl Host for Caller<'_> {
    fn quiesce(&self) {}

    fn removed(&self, key: &[u8], place: &Place, _: Removal) {
        if self.tier.forget(place) {
            self.removed.lock().push(key.to_vec());
        }
    }

    fn rewrote(&self, _: &Rewritten) {}

    fn made_room(&self) {}

    fn at_rest(&self) {}

    fn go_on(&self) -> bool {
        true
    }
}
