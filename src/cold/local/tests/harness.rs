//! A cold tier on a simulated disk, written to as the store writes, by any number of threads; and
//! the keys.

use crate::codec::manifest::Manifest;
use crate::cold::local::index::location::Location;
use crate::cold::local::segment::read::StoredValue;
use crate::cold::local::{Compression, Local, LocalOptions};
use crate::cold::{Change, Host, Place, Removal, Rewritten, Want};
use crate::error::{ErrorKind, Result};
use crate::io::clock::ManualClock;
use crate::io::sim::SimDisk;
use crate::sync::{Mutex, MutexGuard};
use crate::time::{Clock, Expiry, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Seed of the key hash in all these tests, so that a run can be repeated.
pub const SEED: u64 = 0x5EED;

/// Keys with their values and expiries, 0 for never.
pub type Model = BTreeMap<Vec<u8>, (Vec<u8>, u64)>;

/// What a write does to one key: a value and its expiry, or `None` to delete it.
pub type Put = (Vec<u8>, Option<(Vec<u8>, u64)>);

/// How a tier is set up.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    pub compression: Compression,
    pub segment_bytes_max: u64,
    pub sync: bool,
    pub sync_each: bool,
}

/// The two set-ups that all tests run over.
pub const SETUPS: [Setup; 2] = [
    Setup {
        compression: Compression::None,
        segment_bytes_max: 4_096,
        sync: true,
        sync_each: false,
    },
    Setup {
        compression: Compression::Deflate(1),
        segment_bytes_max: 6_000,
        sync: true,
        sync_each: true,
    },
];

/// Locks for changing keys: few, so that threads meet.
const STRIPES: usize = 4;

/// The tier, its disk and its clock, with what the store around it has for the tier's sake: the locks
/// under which a key is changed.
pub struct Harness {
    pub disk: SimDisk,
    pub clock: Arc<ManualClock>,
    pub cold: Local,
    stripes: [Mutex<()>; STRIPES],
    sync_each: bool,
}

/// A disk with a store that has no keys.
pub fn new_disk() -> SimDisk {
    let (next_sequence, time_ms, lead_ms) = (1, 0, 0);
    let manifest = Manifest { seed: SEED, next_sequence, time_ms, lead_ms, keeps_notes: false };
    SimDisk::from_files([("MANIFEST".to_owned(), manifest.encode().to_vec())].into())
}

/// The files without that one.
pub fn without(disk: &SimDisk, name: &str) -> SimDisk {
    let mut files = disk.files();
    files.remove(name);
    SimDisk::from_files(files)
}

/// A small key.
pub fn key(index: u64) -> Vec<u8> {
    format!("key{index}").into_bytes()
}

/// A value that tells which write it is from; a third each zeros, text and noise.
pub fn value(tag: u64, len: usize) -> Vec<u8> {
    let mut bytes = tag.to_le_bytes().to_vec();
    let mut noise = tag;
    bytes.resize_with(8 + len, || {
        noise = noise.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(31) ^ tag;
        match tag % 3 {
            0 => 0,
            1 => b'a' + noise.to_le_bytes()[0] % 4,
            _ => noise.to_le_bytes()[0],
        }
    });
    bytes
}

impl Harness {
    /// Opens the store on `disk`.
    pub fn open(disk: &SimDisk, clock: &Arc<ManualClock>, setup: Setup) -> Result<Self> {
        Self::open_with(disk, clock, setup, false)
    }

    pub fn open_with(
        disk: &SimDisk,
        clock: &Arc<ManualClock>,
        setup: Setup,
        read_only: bool,
    ) -> Result<Self> {
        let options = LocalOptions {
            compression: setup.compression,
            segment_bytes_max: setup.segment_bytes_max,
            capacity: 0,
            sync: setup.sync,
            unsynced_ms_max: if setup.sync { 1_000 } else { u64::MAX },
            sync_each: setup.sync_each,
            read_only,
            create: !read_only,
            stage_after: 0,
        };
        let cold = Local::open(Arc::new(disk.clone()), clock.clone(), options)?;
        let stripes = [const { Mutex::new(()) }; STRIPES];
        let (disk, clock) = (disk.clone(), clock.clone());
        Ok(Self { disk, clock, cold, stripes, sync_each: setup.sync_each })
    }

    /// A new store on a new disk.
    pub fn new(setup: Setup) -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp(1_000)));
        Self::open(&new_disk(), &clock, setup).unwrap()
    }

    /// The same, but what it writes is not synced one by one, whatever the tier's options say.
    pub fn without_syncing(self) -> Self {
        Self { sync_each: false, ..self }
    }

    /// The same disk, opened by the next process.
    pub fn reopen(self, setup: Setup) -> Self {
        let (disk, clock) = (self.disk.kill(), self.clock.clone());
        drop(self);
        Self::open(&disk, &clock, setup).unwrap()
    }

    /// Writes all keys at one instant, or none; gives the versions.
    pub fn write(&self, puts: &[Put]) -> Result<Vec<u64>> {
        self.write_with(puts, self.sync_each)
    }

    /// The same; with `sync` they survive power loss before they are seen.
    pub fn write_with(&self, puts: &[Put], sync: bool) -> Result<Vec<u64>> {
        let hasher = self.cold.hasher();
        let mut changes = Vec::new();
        for (key, put) in puts {
            let (value, expires_at) = match put {
                Some((value, expires_at)) => (Some(&value[..]), *expires_at),
                None => (None, 0),
            };
            changes.push(Change::new(hasher.key(key).unwrap(), value, expires_at));
        }
        let _stripes = self.lock(changes.iter().map(|change| change.key.hash()));
        changes.iter_mut().for_each(|change| self.cold.look(change, false));
        let prepared = self.cold.prepare(&mut changes, sync)?;
        self.cold.publish(&prepared, &changes);
        Ok(changes.iter().map(|change| change.version).filter(|version| *version != 0).collect())
    }

    pub fn put(&self, key: &[u8], value: &[u8]) -> Result<Vec<u64>> {
        self.write(&[(key.to_vec(), Some((value.to_vec(), 0)))])
    }

    pub fn delete(&self, key: &[u8]) -> Result<Vec<u64>> {
        self.write(&[(key.to_vec(), None)])
    }

    pub fn clear(&self) -> Result<Vec<u64>> {
        let _stripes: Vec<_> = self.stripes.iter().map(Mutex::lock).collect();
        drop(self.cold.publish_clear(&self.cold.prepare_clear(self.sync_each)?));
        Ok(Vec::new())
    }

    /// Does it, and makes room and does it again when the disk is full, as the store does.
    pub fn with_room<T>(&self, want: Want, call: impl Fn() -> Result<T>) -> Result<T> {
        let mut result = call();
        for tried in 0..8 {
            let is_full = result.as_ref().is_err_and(|e| e.kind() == ErrorKind::NoSpace);
            if !is_full || !self.cold.make_room(want, tried == 0, self)? {
                break;
            }
            result = call();
        }
        result
    }

    pub fn sync(&self, mark: bool) -> Result<()> {
        let position = self.cold.position()?;
        self.cold.sync()?;
        if mark { self.cold.mark_synced(position) } else { Ok(()) }
    }

    pub fn compact_all(&self) -> Result<()> {
        self.cold.compact_all(self)
    }

    pub fn compact_next(&self) -> Result<()> {
        self.cold.compact_next(self).map(drop)
    }

    pub fn sweep_next(&self) -> Result<bool> {
        self.cold.sweep_next(self)
    }

    pub fn checkpoint(&self) -> Result<()> {
        self.cold.checkpoint(&|| self.quiesce())
    }

    fn lock(&self, hashes: impl Iterator<Item = u64>) -> Vec<MutexGuard<'_, ()>> {
        let index = |hash: u64| usize::try_from(hash >> 32).unwrap() % STRIPES;
        let mut indexes: Vec<_> = hashes.map(index).collect();
        indexes.sort_unstable();
        indexes.dedup();
        indexes.into_iter().map(|index| self.stripes[index].lock()).collect()
    }

    /// How much verifying finds to be damaged.
    pub fn damaged(&self) -> u64 {
        self.cold.verify(&mut |_, _| ()).unwrap().damaged
    }

    /// The value of a key and its expiry, unless it has expired.
    pub fn get(&self, key: &[u8]) -> Result<Option<(Vec<u8>, u64)>> {
        let found = self.cold.read(&self.cold.hasher().key(key)?)?;
        Ok(found.and_then(|(found, _)| {
            let StoredValue { buffer, value, expires_at, .. } = found;
            let is_over = Expiry::from_ms(expires_at).has_passed(self.clock.wall());
            (!is_over).then(|| (buffer.bytes()[value].to_vec(), expires_at))
        }))
    }

    /// Everything there is, as a walk finds it; each key once.
    pub fn contents(&self) -> Result<Model> {
        let mut model = Model::new();
        let mut seen = Vec::new();
        let mut from = Some(0);
        while let Some(hash) = from {
            let (places, next) = self.cold.keys_from(hash, 3);
            for pinned in places {
                let key = self.cold.read_key(&pinned, |known| Ok(known.key.to_vec()))?;
                if let Some(value) = self.get(&key)? {
                    model.insert(key.clone(), value);
                }
                seen.push(key);
            }
            from = next;
        }
        let count = seen.len();
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), count, "a key was met twice");
        Ok(model)
    }

    /// That part of `model` which has not expired.
    pub fn alive(&self, model: &Model) -> Model {
        let now = self.clock.wall();
        let is_alive = |at: u64| !Expiry::from_ms(at).has_passed(now);
        model.iter().filter(|(_, v)| is_alive(v.1)).map(|(k, v)| (k.clone(), v.clone())).collect()
    }
}

/// As the store around the tier.
impl Host for Harness {
    fn quiesce(&self) {
        self.stripes.iter().for_each(|stripe| drop(stripe.lock()));
    }

    fn removed(&self, key: &[u8], place: &Place, _: Removal) {
        let hash = self.cold.hasher().hash(key);
        let _stripe = self.lock([hash].into_iter());
        self.cold.forget(hash, Location::from_word(place.word));
    }

    fn rewrote(&self, _: &Rewritten) {}

    fn made_room(&self) {}

    fn at_rest(&self) {}

    fn go_on(&self) -> bool {
        true
    }
}
