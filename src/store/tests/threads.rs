//! Threads that take turns as a seed decides: writers, a reader that promotes, and the background's
//! work. Every window between two locks is met.

use super::sim::{SETUPS, Sim, new_disk};
use crate::cold::local::tests::harness::{key, value};
use crate::cold::local::tests::script::Dice;
use crate::io::clock::ManualClock;
use crate::io::sim::SimDisk;
use crate::sync::{Mutex, schedule};
use crate::time::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;

const WRITERS: u64 = 2;
const KEYS: u64 = 2;
const WRITES: u64 = 12;

type Slot = Option<Vec<u8>>;

/// For each key the slots that it may have: the last acknowledged one first, and then what is under
/// way.
type Allowed = BTreeMap<Vec<u8>, Vec<Slot>>;

fn own_key(writer: u64, index: u64) -> Vec<u8> {
    key(10 * writer + index)
}

fn write_own(sim: &Sim, writer: u64, seed: u64, allowed: &Mutex<Allowed>) {
    let mut dice = Dice::new(seed ^ (writer + 1) << 40);
    for turn in 0..WRITES {
        let key = own_key(writer, dice.below(KEYS));
        let len = usize::try_from(dice.below(900)).unwrap();
        let put = (dice.below(4) > 0).then(|| value(writer << 32 | turn, len));
        allowed.lock().entry(key.clone()).or_insert_with(|| vec![None]).push(put.clone());
        let calls = sim.core.writer();
        let done = match &put {
            Some(value) => calls.store(&key, value).map(drop),
            None => calls.delete(&key).map(drop),
        };
        if done.is_err() {
            return;
        }
        allowed.lock().insert(key.clone(), vec![put.clone()]);
        // Its own change is seen at once, whoever promotes meanwhile.
        if sim.disk.is_stopped() {
            return;
        }
        assert!(sim.get(&key).unwrap() == put, "seed {seed}: a stale value");
    }
}

fn read_all(sim: &Sim, seed: u64) {
    let mut dice = Dice::new(seed ^ 0x4EAD);
    for _ in 0..3 * WRITES {
        let _ = sim.get(&own_key(dice.below(WRITERS), dice.below(KEYS)));
    }
}

fn work(sim: &Sim, seed: u64) {
    let mut dice = Dice::new(seed ^ 0xBAC6);
    for _ in 0..5 {
        match dice.below(4) {
            0 => drop(sim.core.writer().compact()),
            1 => drop(sim.core.writer().optimize_hot(0)),
            _ => sim.round(),
        }
    }
}

fn race(
    disk: &SimDisk,
    clock: &Arc<ManualClock>,
    setup: usize,
    seed: u64,
) -> Option<(Sim, Allowed)> {
    let sim = Sim::open(disk, clock, setup).ok()?;
    let allowed = Mutex::new(Allowed::new());
    let (store, all) = (&sim, &allowed);
    let mut threads: Vec<Box<dyn FnOnce() + Send + '_>> = Vec::new();
    for writer in 0..WRITERS {
        threads.push(Box::new(move || write_own(store, writer, seed, all)));
    }
    threads.push(Box::new(move || read_all(store, seed)));
    threads.push(Box::new(move || work(store, seed)));
    schedule::run(seed, threads);
    let allowed = std::mem::take(&mut *allowed.lock());
    Some((sim, allowed))
}

fn check(sim: &Sim, allowed: &Allowed, story: &str) {
    for (key, allowed) in allowed {
        let found = sim.get(key).unwrap_or_else(|error| panic!("{error}, {story}"));
        assert!(allowed.contains(&found), "{:?}: {story}", String::from_utf8_lossy(key));
    }
}

#[test]
fn a_reader_that_promotes_never_brings_back_what_a_writer_has_replaced() {
    for setup in 0..SETUPS.len() {
        for seed in 0..150 {
            let clock = Arc::new(ManualClock::at(Timestamp(1_000)));
            let disk = new_disk();
            let (sim, allowed) = race(&disk, &clock, setup, seed).unwrap();
            check(&sim, &allowed, &format!("setup {setup}, seed {seed}"));
            sim.core.writer().shut_down().unwrap();
            drop(sim);
            let sim = Sim::open(&disk.kill(), &clock, setup).unwrap();
            check(&sim, &allowed, &format!("setup {setup}, seed {seed}, reopened"));
        }
    }
}

#[test]
fn killed_among_threads_a_store_that_writes_through_has_all_that_was_acknowledged() {
    for setup in 0..2 {
        for seed in 0..150 {
            let clock = Arc::new(ManualClock::at(Timestamp(1_000)));
            let whole = new_disk();
            race(&whole, &clock, setup, seed);
            let mut dice = Dice::new(seed);
            for _ in 0..3 {
                let (disk, at) = (new_disk(), dice.below(whole.changes() + 1));
                disk.stop_after(at);
                let Some((sim, allowed)) = race(&disk, &clock, setup, seed) else { continue };
                drop(sim);
                let sim = Sim::open(&disk.kill(), &clock, setup).unwrap();
                check(&sim, &allowed, &format!("setup {setup}, seed {seed}, stopped after {at}"));
            }
        }
    }
}
