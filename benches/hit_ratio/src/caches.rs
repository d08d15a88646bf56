//! The caches that are compared, behind one trait: a request is a get, and a miss fills the cache.

use hotcold::{Options, Store};

/// A cache under test.
pub trait Cache {
    /// True if the key was there; otherwise it is let in.
    fn request(&mut self, key: u64, weight: u64) -> bool;
}

/// What a cache may hold.
#[derive(Clone, Copy)]
pub struct Capacity {
    /// Entries, or bytes.
    pub weight: u64,
    /// How many entries that will be, more or less.
    pub entries: u64,
    pub by_bytes: bool,
}

type Make = fn(Capacity) -> Box<dyn Cache>;

/// All of them by name, in the order of the table. The first one is what the others are measured by.
pub const CACHES: &[(&str, Make)] = &[
    ("lru", |capacity| Box::new(Lru::new(capacity))),
    ("hotcold", |capacity| Box::new(Hotcold::new(capacity, "tinylfu"))),
    ("hotcold-lru", |capacity| Box::new(Hotcold::new(capacity, "lru"))),
    ("moka", |capacity| Box::new(Moka::new(capacity))),
    ("quick_cache", |capacity| Box::new(Quick::new(capacity))),
    ("foyer-lfu", |capacity| Box::new(Foyer::new(capacity, foyer::LfuConfig::default().into()))),
    ("foyer-s3fifo", |capacity| {
        Box::new(Foyer::new(capacity, foyer::S3FifoConfig::default().into()))
    }),
];

struct Lru {
    cache: lru::LruCache<u64, u64>,
    used: u64,
    capacity: u64,
}

impl Lru {
    fn new(capacity: Capacity) -> Self {
        Self { cache: lru::LruCache::unbounded(), used: 0, capacity: capacity.weight }
    }
}

impl Cache for Lru {
    fn request(&mut self, key: u64, weight: u64) -> bool {
        if self.cache.get(&key).is_some() {
            return true;
        }
        if weight <= self.capacity {
            self.used += weight;
            self.cache.put(key, weight);
        }
        while self.used > self.capacity {
            self.used -= self.cache.pop_lru().map_or(0, |(_, weight)| weight);
        }
        false
    }
}

/// The library itself, hot alone: what it does is what a store does.
struct Hotcold {
    store: Store,
    by_bytes: bool,
    value: Vec<u8>,
}

/// Bytes of the library's for each byte of the trace's, so that its overhead is a small part of both.
const SCALE: u64 = 16;

/// What an entry of hot takes beside its value, with a key of eight bytes.
const OVERHEAD: u64 = 230;

impl Hotcold {
    fn new(capacity: Capacity, eviction: &str) -> Self {
        let mut options = Options::new();
        let (bytes, entries) = match capacity.by_bytes {
            true => (capacity.weight * SCALE, 0),
            false => (1 << 40, capacity.weight),
        };
        options.hot_capacity(bytes).hot_max_entries(entries);
        options.set("eviction", eviction).expect("the policy is there");
        let store = Store::in_memory(&options).expect("a store in memory opens");
        Self { store, by_bytes: capacity.by_bytes, value: Vec::new() }
    }
}

impl Cache for Hotcold {
    fn request(&mut self, key: u64, weight: u64) -> bool {
        let key = key.to_le_bytes();
        if self.store.retrieve(key).expect("memory does not fail").is_some() {
            return true;
        }
        if self.by_bytes {
            let len = (weight * SCALE).saturating_sub(OVERHEAD);
            // A value has a sixteenth more than its bytes on its account.
            self.value.resize(usize::try_from(len * 16 / 17).expect("a size"), 0);
        }
        // What is larger than hot is refused, as by the others.
        let _ = self.store.store(key, &self.value);
        false
    }
}

struct Moka(moka::sync::Cache<u64, u64>);

impl Moka {
    fn new(capacity: Capacity) -> Self {
        let builder = moka::sync::Cache::builder().max_capacity(capacity.weight);
        let weigher = |_: &u64, weight: &u64| u32::try_from(*weight).unwrap_or(u32::MAX);
        Self(if capacity.by_bytes { builder.weigher(weigher).build() } else { builder.build() })
    }
}

impl Cache for Moka {
    fn request(&mut self, key: u64, weight: u64) -> bool {
        let is_hit = self.0.get(&key).is_some();
        if !is_hit {
            self.0.insert(key, weight);
        }
        is_hit
    }
}

#[derive(Clone)]
struct Weigher;

impl quick_cache::Weighter<u64, u64> for Weigher {
    fn weight(&self, _: &u64, weight: &u64) -> u64 {
        *weight
    }
}

struct Quick(quick_cache::sync::Cache<u64, u64, Weigher>);

impl Quick {
    fn new(capacity: Capacity) -> Self {
        let entries = usize::try_from(capacity.entries).expect("a number of entries");
        Self(quick_cache::sync::Cache::with_weighter(entries, capacity.weight, Weigher))
    }
}

impl Cache for Quick {
    fn request(&mut self, key: u64, weight: u64) -> bool {
        let is_hit = self.0.get(&key).is_some();
        if !is_hit {
            self.0.insert(key, weight);
        }
        is_hit
    }
}

struct Foyer(foyer::Cache<u64, u64>);

impl Foyer {
    fn new(capacity: Capacity, policy: foyer::EvictionConfig) -> Self {
        let weight = usize::try_from(capacity.weight).expect("a capacity");
        let weigher = |_: &u64, weight: &u64| usize::try_from(*weight).unwrap_or(usize::MAX);
        let builder = foyer::CacheBuilder::new(weight).with_shards(1);
        Self(builder.with_weighter(weigher).with_eviction_config(policy).build())
    }
}

impl Cache for Foyer {
    fn request(&mut self, key: u64, weight: u64) -> bool {
        let is_hit = self.0.get(&key).is_some();
        if !is_hit {
            self.0.insert(key, weight);
        }
        is_hit
    }
}
