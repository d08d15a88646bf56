//! The power goes at every operation on the disk that changes something.

use super::harness::{Harness, Model, SETUPS, Setup, new_disk};
use super::script::{Dice, after, find, makes_durable, run, tell, wanted_script};
use crate::io::clock::ManualClock;
use crate::io::sim::{SimDisk, coin};
use crate::time::Timestamp;
use std::sync::Arc;

/// Runs the script until the disk stops; gives the models that the last sync allows, in order.
fn run_until_stopped(disk: &SimDisk, setup: Setup, seed: u64) -> (Arc<ManualClock>, Vec<Model>) {
    let steps = wanted_script(&mut Dice::new(seed), 30, &mut 0);
    let clock = Arc::new(ManualClock::at(Timestamp(1_000)));
    let mut models = vec![Model::new()];
    let Ok(harness) = Harness::open(disk, &clock, setup) else { return (clock, models) };
    for step in steps {
        models.push(after(&harness, &step, models.last().unwrap()));
        if run(&harness, &step).is_err() {
            break;
        }
        if makes_durable(&step) {
            models.drain(..models.len() - 1);
        }
    }
    (clock, models)
}

fn crash_everywhere(setup: Setup, seed: u64) {
    let whole = new_disk();
    run_until_stopped(&whole, setup, seed);
    for at in 0..=whole.changes() {
        let disk = new_disk();
        disk.stop_after(at);
        let (clock, models) = run_until_stopped(&disk, setup, seed);
        for toss in 0..4 {
            let story = || {
                let steps = wanted_script(&mut Dice::new(seed), 30, &mut 0);
                format!(
                    "seed {seed}, {setup:?}, power lost after {at}, coin {toss}: {}",
                    tell(&steps)
                )
            };
            let mut toss_coin = coin(seed << 32 | at << 8 | toss);
            let crashed = disk.crash(|| match toss {
                0 => false,
                1 => true,
                _ => toss_coin(),
            });
            let harness = Harness::open(&crashed, &clock, setup).unwrap();
            let found = find(&harness, &models, &story);
            assert_eq!(harness.damaged(), 0, "{}", story());
            // What it shows after a power loss has to survive the next one.
            let again = crashed.crash(coin(at));
            let harness = Harness::open(&again, &clock, setup).unwrap();
            find(&harness, &models[found..=found], &story);
            assert_eq!(harness.damaged(), 0, "again, {}", story());
        }
    }
}

#[test]
fn power_lost_anywhere_leaves_a_prefix_with_all_that_was_synced() {
    for setup in SETUPS {
        for seed in 0..20 {
            crash_everywhere(setup, seed);
        }
    }
}
