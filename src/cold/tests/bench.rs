//! Where the tiers of the suite are opened, and opened again: the local directory in several set-ups
//! on a simulated disk, and the map.

use super::map::{Call, MapTier};
use crate::cold::local::tests::harness::{SEED, new_disk};
use crate::cold::{ColdTier, Compression, Local, LocalOptions};
use crate::error::ErrorKind;
use crate::io::clock::ManualClock;
use crate::io::sim::{Op, SimDisk};
use crate::time::Timestamp;
use std::cell::RefCell;
use std::sync::Arc;

/// The data of one tier, and a clock.
pub trait Bench {
    /// Opens it: empty the first time, and then as the next process, whatever became of the last.
    fn open(&self) -> Box<dyn ColdTier>;

    /// The tier's clock.
    fn clock(&self) -> &ManualClock;

    /// Lets the next change that has a value fail.
    fn fail_next_write(&self);
}

/// Makes new benches of one kind.
pub struct Kind {
    pub name: &'static str,
    pub bench: fn() -> Box<dyn Bench>,
}

/// Everything that the suite runs over.
pub const KINDS: [Kind; 4] = [
    Kind { name: "map", bench: map },
    Kind { name: "local, staged", bench: || local(Compression::None, 4_096, false, 0) },
    Kind { name: "local, written", bench: || local(Compression::None, 4_096, false, u64::MAX) },
    Kind { name: "local, synced", bench: || local(Compression::Deflate(1), 6_000, true, u64::MAX) },
];

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(Timestamp(1_000)))
}

struct MapBench {
    tier: MapTier,
    clock: Arc<ManualClock>,
}

fn map() -> Box<dyn Bench> {
    let clock = clock();
    Box::new(MapBench { tier: MapTier::new(SEED, clock.clone()), clock })
}

impl Bench for MapBench {
    fn open(&self) -> Box<dyn ColdTier> {
        Box::new(self.tier.clone())
    }

    fn clock(&self) -> &ManualClock {
        &self.clock
    }

    fn fail_next_write(&self) {
        self.tier.fail_nth(Call::Prepare, 1, ErrorKind::Io);
    }
}

struct LocalBench {
    disk: RefCell<SimDisk>,
    clock: Arc<ManualClock>,
    options: LocalOptions,
}

fn local(
    compression: Compression,
    segment_bytes_max: u64,
    sync_each: bool,
    stage_after: u64,
) -> Box<dyn Bench> {
    let options = LocalOptions {
        compression,
        segment_bytes_max,
        stage_after,
        ..LocalOptions::new(0, sync_each, 1_000)
    };
    Box::new(LocalBench { disk: RefCell::new(new_disk()), clock: clock(), options })
}

impl Bench for LocalBench {
    fn open(&self) -> Box<dyn ColdTier> {
        let disk = self.disk.borrow().kill();
        self.disk.replace(disk.clone());
        let tier = Local::open(Arc::new(disk), self.clock.clone(), self.options.clone());
        Box::new(tier.unwrap())
    }

    fn clock(&self) -> &ManualClock {
        &self.clock
    }

    fn fail_next_write(&self) {
        let disk = self.disk.borrow();
        if self.options.stage_after == 0 {
            // What cannot be staged is written.
            disk.fail_nth(Op::Map, 1, libc::EIO);
        }
        disk.fail_nth(Op::Write, 1, libc::EIO);
    }
}
