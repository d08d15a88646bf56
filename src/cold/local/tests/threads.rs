//! Several threads write, another one does the background's work, and the process is killed or the
//! power goes. The threads take turns as a seed decides, so that every window between two locks is
//! met, and met again.

use super::harness::{Harness, SETUPS, Setup, key, new_disk, value, without};
use super::script::Dice;
use crate::io::clock::ManualClock;
use crate::io::sim::{Op, SimDisk, coin};
use crate::sync::{Mutex, schedule};
use crate::time::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;

const WRITERS: u64 = 3;
const KEYS: u64 = 2;
const WRITES: u64 = 14;
const BACKGROUND_STEPS: usize = 7;

/// What a key may have after the end: the value of its last acknowledged write first, and then of
/// those that were under way.
type Allowed = BTreeMap<Vec<u8>, Vec<Option<Vec<u8>>>>;

/// A key of one writer alone.
fn own_key(writer: u64, index: u64) -> Vec<u8> {
    key(100 * (writer + 1) + index)
}

/// Writes and deletes its own keys, until writing ends or the disk stops. A write that fails without
/// that has no effect.
fn write_own(
    harness: &Harness,
    writer: u64,
    (setup, seed): (Setup, u64),
    allowed: &Mutex<Allowed>,
) {
    let mut dice = Dice::new(seed ^ (writer << 40));
    for turn in 0..WRITES {
        let key = own_key(writer, dice.below(KEYS));
        let len = usize::try_from(dice.below(900)).unwrap();
        let put = (dice.below(4) > 0).then(|| value(writer << 32 | turn, len));
        allowed.lock().entry(key.clone()).or_insert_with(|| vec![None]).push(put.clone());
        let puts = [(key.clone(), put.clone().map(|value| (value, 0)))];
        match harness.write_with(&puts, setup.sync_each || dice.below(3) == 0) {
            Ok(_) => drop(allowed.lock().insert(key, vec![put])),
            Err(_) if harness.cold.poison.is_set() || harness.disk.is_stopped() => return,
            Err(_) => drop(allowed.lock().get_mut(&key).and_then(Vec::pop)),
        }
    }
}

/// Does what the background thread and callers of compact do.
fn work(harness: &Harness, seed: u64) {
    let mut dice = Dice::new(seed ^ 0xBAC6);
    for _ in 0..BACKGROUND_STEPS {
        let done = match dice.below(8) {
            0..4 => harness.checkpoint(),
            4 => harness.compact_next(),
            5 => harness.cold.seal_active().and_then(|()| harness.compact_all()),
            6 => harness.cold.seal_active(),
            _ => harness.sync(true),
        };
        if done.is_err() {
            return;
        }
    }
}

/// Runs all threads; gives what is allowed to be found.
fn race(disk: &SimDisk, clock: &Arc<ManualClock>, setup: Setup, seed: u64) -> Allowed {
    let Ok(harness) = Harness::open(disk, clock, setup) else { return Allowed::new() };
    let allowed = Mutex::new(Allowed::new());
    let (harness, all) = (&harness, &allowed);
    let mut threads: Vec<Box<dyn FnOnce() + Send + '_>> = Vec::new();
    for writer in 0..WRITERS {
        threads.push(Box::new(move || write_own(harness, writer, (setup, seed), all)));
    }
    threads.push(Box::new(move || work(harness, seed)));
    schedule::run(seed, threads);
    std::mem::take(&mut *allowed.lock())
}

/// Opens what is left, and compares each key with what is allowed.
fn check(disk: &SimDisk, clock: &Arc<ManualClock>, setup: Setup, allowed: &Allowed, story: &str) {
    let harness = Harness::open(disk, clock, setup).unwrap();
    for (key, allowed) in allowed {
        let found = harness.get(key).unwrap_or_else(|error| panic!("{error}, {story}"));
        let found = found.map(|(value, _)| value);
        assert!(allowed.contains(&found), "{:?}: {story}", String::from_utf8_lossy(key));
    }
    harness.contents().unwrap_or_else(|error| panic!("{error}, {story}"));
}

/// The process is killed somewhere, and the store opened with and without the checkpoint.
fn kill_somewhere(setup: Setup, seed: u64) {
    let clock = Arc::new(ManualClock::at(Timestamp(1_000)));
    let whole = new_disk();
    race(&whole, &clock, setup, seed);
    let mut dice = Dice::new(seed);
    for _ in 0..4 {
        let (disk, at) = (new_disk(), dice.below(whole.changes() + 1));
        disk.stop_after(at);
        let allowed = race(&disk, &clock, setup, seed);
        let story = format!("seed {seed}, {setup:?}, stopped after {at}");
        let killed = disk.kill();
        check(&killed.kill(), &clock, setup, &allowed, &story);
        if killed.files().contains_key("CHECKPOINT") {
            let story = format!("{story}, without its checkpoint");
            check(&without(&killed, "CHECKPOINT"), &clock, setup, &allowed, &story);
        }
        if setup.sync_each {
            let story = format!("{story}, and the power went");
            check(&disk.crash(coin(seed << 16 | at)), &clock, setup, &allowed, &story);
        }
    }
}

#[test]
fn killed_anywhere_among_threads_a_store_has_all_that_was_acknowledged() {
    for setup in SETUPS {
        for seed in 0..200 {
            kill_somewhere(setup, seed);
        }
    }
}

#[test]
fn a_write_that_fails_for_one_thread_has_no_effect_and_costs_no_other() {
    for setup in SETUPS {
        for seed in 0..600 {
            let clock = Arc::new(ManualClock::at(Timestamp(1_000)));
            let (disk, nth) = (new_disk(), 2 + seed % 40);
            disk.fail_nth(Op::Write, nth, libc::EIO);
            let allowed = race(&disk, &clock, setup, seed);
            let story = format!("seed {seed}, {setup:?}, write {nth} fails");
            check(&disk.kill(), &clock, setup, &allowed, &story);
        }
    }
}

#[test]
fn a_sync_that_fails_for_one_thread_acknowledges_nothing_of_another() {
    let setup = SETUPS[1];
    assert!(setup.sync_each);
    for seed in 0..300 {
        let clock = Arc::new(ManualClock::at(Timestamp(1_000)));
        let (disk, nth) = (new_disk(), 2 + seed % 30);
        disk.fail_nth(Op::Sync, nth, libc::EIO);
        let allowed = race(&disk, &clock, setup, seed);
        let story = format!("seed {seed}, sync {nth} fails, and the power went");
        check(&disk.crash(coin(seed)), &clock, setup, &allowed, &story);
        check(&disk.kill(), &clock, setup, &allowed, &story);
    }
}
