//! The process is killed, or the power goes, at every operation on the disk that changes something.

use super::oracle::{End, Oracle};
use super::script::{Done, Step, changes, run, script};
use super::sim::{SETUPS, Sim, new_disk};
use crate::cold::local::tests::script::{Dice, keys};
use crate::io::clock::ManualClock;
use crate::io::sim::{SimDisk, coin};
use crate::store::StoreOptions;
use crate::time::Timestamp;
use std::sync::Arc;

const STEPS: usize = 28;
const SEEDS: u64 = 20;

/// Runs the script until the disk stops; gives what may be found.
fn run_until_stopped(disk: &SimDisk, setup: usize, steps: &[Step]) -> (Arc<ManualClock>, Oracle) {
    let clock = Arc::new(ManualClock::at(Timestamp(1_000)));
    let mut oracle = Oracle::new();
    let Ok(sim) = Sim::open(disk, &clock, setup) else { return (clock, oracle) };
    let story = || format!("setup {setup}: {steps:?}");
    for (index, step) in steps.iter().enumerate() {
        let changes = changes(&sim, step);
        let done = run(&sim, step);
        match done {
            Ok(done) if !disk.is_stopped() => {
                oracle.done(&changes, &done, setup == 1);
                if sim.is_written() {
                    oracle.written();
                }
                if matches!(step, Step::Sync) {
                    oracle.synced();
                }
                oracle.check_one(&sim, index, &story);
            }
            // Lenient ones live on in hot, and are as gone as all of memory.
            Ok(Done::Not) => {}
            Ok(_) | Err(_) => oracle.failed(&changes, true),
        }
        if disk.is_stopped() {
            break;
        }
    }
    (clock, oracle)
}

/// Gives how many states were looked at.
fn end_everywhere(setup: usize, seed: u64) -> u64 {
    let steps = script(&mut Dice::new(seed), STEPS, &mut 0);
    let whole = new_disk();
    run_until_stopped(&whole, setup, &steps);
    let mut states = 0;
    for at in 0..=whole.changes() {
        let disk = new_disk();
        disk.stop_after(at);
        let (clock, oracle) = run_until_stopped(&disk, setup, &steps);
        for toss in 0..4 {
            let end = if toss == 0 { End::Killed } else { End::PowerLost };
            let story = || format!("setup {setup}, seed {seed}, {end:?} after {at}: {steps:?}");
            let mut toss_coin = coin(seed << 32 | at << 8 | toss);
            let left = match toss {
                0 => disk.kill(),
                1 => disk.crash(|| false),
                _ => disk.crash(&mut toss_coin),
            };
            let mut oracle = oracle.clone();
            let sim = Sim::open(&left, &clock, setup).unwrap();
            oracle.check_after(&sim, end, &story);
            // It goes on as any store, and what it shows is there when it was closed.
            sim.core.writer().store(b"after", b"the end").unwrap();
            sim.round();
            oracle.check_now(&sim, &story);
            sim.core.writer().shut_down().unwrap();
            drop(sim);
            let sim = Sim::open(&left.kill(), &clock, setup).unwrap();
            oracle.check_now(&sim, &story);
            assert_eq!(
                sim.peek(b"after").unwrap().as_deref(),
                Some(&b"the end"[..]),
                "{}",
                story()
            );
            states += 1;
        }
    }
    states
}

#[test]
fn whatever_ends_a_store_all_that_it_has_promised_is_found() {
    let states: u64 = std::thread::scope(|scope| {
        let all = (0..SETUPS.len()).map(|setup| {
            scope.spawn(move || (0..SEEDS).map(|seed| end_everywhere(setup, seed)).sum::<u64>())
        });
        let all: Vec<_> = all.collect();
        all.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert!(states >= 14_000, "only {states} states");
}

#[test]
fn of_two_keys_with_one_hash_neither_is_lost_when_one_is_written_back_later() {
    let back = 2;
    let (disk, clock) = (new_disk(), Arc::new(ManualClock::at(Timestamp(1_000))));
    let sim = Sim::open(&disk, &clock, back).unwrap();
    let (early, late) = (keys()[7].clone(), keys()[8].clone());
    let writer = sim.core.writer();
    writer.store(&early, b"its version is taken, and its record comes later").unwrap();
    let at_once = StoreOptions { sync: true, ..StoreOptions::default() };
    writer.store_with(&late, b"its record comes first", &at_once).unwrap();
    writer.flush_unwritten().unwrap();
    drop(sim);
    let sim = Sim::open(&disk.kill(), &clock, back).unwrap();
    assert!(sim.peek(&early).unwrap().is_some() && sim.peek(&late).unwrap().is_some());
}
