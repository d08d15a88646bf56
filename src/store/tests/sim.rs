//! A store without a thread over a directory that is simulated, and its ways to be set up.

use crate::cold::local::tests::harness;
use crate::cold::{ColdTier, Compression, Local, LocalOptions};
use crate::error::Result;
use crate::io::clock::ManualClock;
use crate::io::sim::SimDisk;
use crate::store::core::Core;
use crate::store::maintenance::Maintenance;
use crate::store::options::Options;
use crate::store::read::RetrieveOptions;
use std::sync::Arc;

/// The ways of setting up a store that these tests run over: options by name, and the length of a
/// segment. Hot is so small that entries leave it.
pub const SETUPS: [(&[(&str, &str)], u64); 4] = [
    (&[("hot_capacity", "4000"), ("compression", "none"), ("eviction", "lru")], 4_096),
    (&[("hot_max_entries", "4"), ("durability", "sync"), ("eviction", "tinylfu")], 6_000),
    (&[("hot_capacity", "9000"), ("write_mode", "back"), ("compression", "deflate:1")], 4_096),
    (&[("hot_capacity", "6000"), ("policy", "lenient"), ("hot_ttl", "20ms")], 5_000),
];

/// A store, its disk and its clock.
pub struct Sim {
    pub disk: SimDisk,
    pub core: Core,
    clock: Arc<ManualClock>,
}

/// The options of a set-up.
pub fn options_of(setup: usize) -> Options {
    let mut options = Options::default();
    SETUPS[setup].0.iter().for_each(|(name, value)| options.set(name, value).unwrap());
    options
}

impl Sim {
    /// Opens the store on `disk`, as [`Store::open`](crate::store::Store::open) does but for the thread.
    pub fn open(disk: &SimDisk, clock: &Arc<ManualClock>, setup: usize) -> Result<Self> {
        let options = options_of(setup);
        let sync_each = setup == 1;
        let local = LocalOptions {
            compression: if setup == 0 { Compression::None } else { Compression::Deflate(1) },
            segment_bytes_max: SETUPS[setup].1,
            stage_after: 0,
            ..LocalOptions::new(0, sync_each, options.sync_interval_ms)
        };
        let cold = Local::open(Arc::new(disk.clone()), clock.clone(), local)?;
        let cold: Box<dyn ColdTier> = Box::new(cold);
        let core = Core::new(options, "sim".to_owned(), Some(cold), clock.clone());
        Ok(Self { disk: disk.clone(), core, clock: clock.clone() })
    }

    /// One round of the background thread.
    pub fn round(&self) {
        Maintenance::new(self.core.writer()).round();
    }

    /// The value of a key, as a caller gets it: what is found in cold is promoted.
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let found = self.core.reader().retrieve(key)?;
        Ok(found.value.map(|value| value.data().to_vec()))
    }

    /// The same, without a trace of it.
    pub fn peek(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let options = RetrieveOptions { no_promote: true, no_recency: true, fresh: false };
        let found = self.core.reader().retrieve_with(key, options)?;
        Ok(found.value.map(|value| value.data().to_vec()))
    }

    /// All keys, as a walk finds them.
    pub fn keys(&self) -> Result<Vec<Vec<u8>>> {
        let reader = self.core.reader();
        let mut cursor = reader.cursor(b"")?;
        let mut keys = Vec::new();
        while reader.cursor_next(&mut cursor)? {
            keys.push(cursor.key().to_vec());
        }
        Ok(keys)
    }

    /// Whether everything that was acknowledged is in cold.
    pub fn is_written(&self) -> bool {
        self.core.tiers().hot().unwritten_bytes() == 0
    }

    /// Whether writing has ended.
    pub fn has_ended(&self) -> bool {
        self.core.writer().is_read_only()
    }

    /// Lets time pass.
    pub fn advance(&self, ms: u64) {
        self.clock.advance(ms);
    }
}

/// A disk with a store that has no keys, whose hashes are always the same.
pub fn new_disk() -> SimDisk {
    harness::new_disk()
}
