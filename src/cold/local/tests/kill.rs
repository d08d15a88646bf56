//! The process is killed at every operation on the disk that changes something.

use super::harness::{Harness, Model, SETUPS, Setup, new_disk, value};
use super::script::{Dice, Step, after, find, run, tell, wanted_script};
use crate::cold::Change;
use crate::io::clock::ManualClock;
use crate::io::sim::SimDisk;
use crate::time::Timestamp;
use std::cell::RefCell;
use std::slice;
use std::sync::Arc;

/// Runs the script until the disk stops; gives the models before and after what was in flight.
fn run_until_stopped(
    disk: &SimDisk,
    setup: Setup,
    steps: &[Step],
) -> (Arc<ManualClock>, Vec<Model>) {
    let clock = Arc::new(ManualClock::at(Timestamp(1_000)));
    let mut models = vec![Model::new()];
    let Ok(harness) = Harness::open(disk, &clock, setup) else { return (clock, models) };
    for step in steps {
        let next = after(&harness, step, &models[0]);
        if run(&harness, step).is_err() {
            models.push(next);
            break;
        }
        models = vec![next];
    }
    (clock, models)
}

fn kill_everywhere(setup: Setup, seed: u64) {
    let steps = wanted_script(&mut Dice::new(seed), 30, &mut 0);
    let whole = new_disk();
    run_until_stopped(&whole, setup, &steps);
    for at in 0..whole.changes() {
        let story = || format!("seed {seed}, {setup:?}, stopped after {at}: {}", tell(&steps));
        let disk = new_disk();
        disk.stop_after(at);
        let (clock, models) = run_until_stopped(&disk, setup, &steps);
        let disk = disk.kill();
        let reader = Harness::open_with(&disk, &clock, setup, true).unwrap();
        let found = find(&reader, &models, &story);
        assert_eq!(reader.damaged(), 0, "{}", story());
        let model = &models[found..=found];
        // Then it is killed while it recovers, at every operation; once in a while, for time's sake.
        for again in (0..).take_while(|_| at % 8 == seed % 8) {
            let disk = disk.kill();
            disk.stop_after(again);
            let stopped = Harness::open(&disk, &clock, setup).is_err();
            let harness = Harness::open(&disk.kill(), &clock, setup).unwrap();
            find(&harness, model, &|| format!("recovery stopped after {again}, {}", story()));
            assert_eq!(harness.damaged(), 0, "recovery stopped after {again}, {}", story());
            if !stopped {
                break;
            }
        }
        let harness = Harness::open(&disk, &clock, setup).unwrap();
        find(&harness, model, &story);
        assert_eq!(harness.damaged(), 0, "{}", story());
        let harness = harness.reopen(setup);
        find(&harness, model, &story);
        assert_eq!(harness.damaged(), 0, "{}", story());
    }
}

#[test]
fn killed_anywhere_a_store_has_all_that_was_acknowledged() {
    for setup in SETUPS {
        for seed in 0..20 {
            kill_everywhere(setup, seed);
        }
    }
}

/// The window that `threads` meets by chance, step by step.
#[test]
fn what_is_published_late_into_a_segment_begun_during_a_checkpoint_survives() {
    let setup = SETUPS[0];
    let harness = Harness::new(setup);
    harness.put(b"before", &value(1, 100)).unwrap();
    let key = harness.cold.hasher().key(b"late").unwrap();
    let late = RefCell::new(Change::new(key, Some(b"acknowledged"), 0));
    let prepared = RefCell::new(None);
    let another_thread = || {
        // One store has begun the next segment and is about to be published ...
        harness.cold.seal_active().unwrap();
        let mut late = late.borrow_mut();
        harness.cold.look(&mut late, false);
        let late = slice::from_mut(&mut *late);
        prepared.replace(Some(harness.cold.prepare(late, false).unwrap()));
        // ... while another one, behind it in the log, is published already.
        harness.put(b"third", &value(2, 100)).unwrap();
    };
    harness.cold.checkpoint(&another_thread).unwrap();
    harness.cold.publish(&prepared.take().unwrap(), slice::from_ref(&*late.borrow()));
    assert!(harness.get(b"late").unwrap().is_some());
    let harness = harness.reopen(setup);
    assert!(harness.get(b"third").unwrap().is_some());
    assert!(harness.get(b"late").unwrap().is_some(), "an acknowledged store is lost");
}
