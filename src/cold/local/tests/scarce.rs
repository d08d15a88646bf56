//! A full disk on which deleting, clearing and compacting have to work; and crashes meanwhile.

use super::harness::{Harness, Model, SETUPS, Setup, key, new_disk, value};
use super::script::Dice;
use crate::cold::Want;
use crate::error::{ErrorKind, Result};
use crate::io::clock::ManualClock;
use crate::io::sim::{SimDisk, coin};
use crate::time::Timestamp;
use std::sync::Arc;

/// Room on the disk, for about sixty values.
const ROOM: u64 = 96_000;

const KEYS: u64 = 90;

#[derive(Clone, Copy, Debug)]
enum Step {
    Put(u64, usize),
    Delete(u64),
    Clear,
    CompactAll,
    CompactNext,
    Checkpoint,
    Sync,
}

/// Fills the disk, and goes on deleting and storing there.
fn steps(seed: u64) -> Vec<Step> {
    let mut dice = Dice::new(seed);
    let len = |dice: &mut Dice| usize::try_from(900 + dice.below(1_200)).unwrap();
    let mut steps: Vec<_> = (0..KEYS).map(|i| Step::Put(i, len(&mut dice))).collect();
    steps.extend((0..60).map(|_| match dice.below(40) {
        0..8 => Step::Put(dice.below(KEYS), len(&mut dice)),
        8..34 => Step::Delete(dice.below(KEYS)),
        34 => Step::Clear,
        35 => Step::CompactAll,
        36 | 37 => Step::CompactNext,
        38 => Step::Checkpoint,
        _ => Step::Sync,
    }));
    steps
}

fn run(harness: &Harness, step: Step) -> Result<()> {
    match step {
        Step::Put(i, len) => {
            let want = Want::Value(len as u64);
            harness.with_room(want, || harness.put(&key(i), &value(i, len))).map(drop)
        }
        Step::Delete(i) => harness.with_room(Want::Deletion, || harness.delete(&key(i))).map(drop),
        Step::Clear => harness.with_room(Want::Deletion, || harness.clear()).map(drop),
        Step::CompactAll => harness.cold.seal_active().and_then(|()| harness.compact_all()),
        Step::CompactNext => harness.compact_next(),
        Step::Checkpoint => harness.checkpoint(),
        Step::Sync => harness.sync(true),
    }
}

fn after(step: Step, model: &Model) -> Model {
    let mut model = model.clone();
    match step {
        Step::Put(i, len) => drop(model.insert(key(i), (value(i, len), 0))),
        Step::Delete(i) => drop(model.remove(&key(i))),
        Step::Clear => model.clear(),
        _ => {}
    }
    model
}

/// Whether it may be refused on a full disk.
fn may_be_refused(step: Step) -> bool {
    matches!(step, Step::Put(..) | Step::Checkpoint | Step::Sync)
}

/// Runs all steps, or until the disk stops; gives the models that a kill, and the one that a power
/// loss may leave.
fn run_all(disk: &SimDisk, setup: Setup, seed: u64) -> (Vec<Model>, Vec<Model>) {
    let clock = Arc::new(ManualClock::at(Timestamp(1_000)));
    let (mut killed, mut lost) = (vec![Model::new()], vec![Model::new()]);
    let Ok(harness) = Harness::open(disk, &clock, setup) else { return (killed, lost) };
    for step in steps(seed) {
        let next = after(step, &killed[0]);
        let done = run(&harness, step);
        match done {
            Ok(()) => killed = vec![next.clone()],
            Err(error) if error.kind() == ErrorKind::NoSpace => {
                assert!(may_be_refused(step), "seed {seed}, {setup:?}, {step:?}: {error}");
                continue;
            }
            Err(_) => killed.push(next.clone()),
        }
        lost.push(next);
        if killed.len() > 1 {
            break;
        }
        if matches!(step, Step::Sync) {
            lost.drain(..lost.len() - 1);
        }
    }
    (killed, lost)
}

fn full_disk() -> SimDisk {
    let disk = new_disk();
    disk.fill_disk(Some(ROOM));
    disk
}

/// Everything can be deleted, one by one, and then something stored.
fn empty(harness: &Harness, story: &dyn Fn() -> String) {
    for i in 0..KEYS {
        run(harness, Step::Delete(i)).unwrap_or_else(|error| panic!("{error}: {}", story()));
    }
    assert_eq!(harness.contents().unwrap().len(), 0, "{}", story());
    for i in 0..10 {
        run(harness, Step::Put(i, 2_000)).unwrap_or_else(|error| panic!("{error}: {}", story()));
    }
}

#[test]
fn on_a_full_disk_all_can_be_deleted_cleared_and_compacted() {
    for setup in SETUPS {
        for seed in 0..30 {
            let disk = full_disk();
            let (killed, _) = run_all(&disk, setup, seed);
            let harness =
                Harness::open(&disk.kill(), &Arc::new(ManualClock::at(Timestamp(9))), setup);
            let harness = harness.unwrap();
            let story = || format!("seed {seed}, {setup:?}");
            assert_eq!(harness.contents().unwrap(), killed[0], "{}", story());
            empty(&harness, &story);
        }
    }
}

#[test]
fn killed_anywhere_on_a_full_disk_it_opens_with_all_and_all_can_be_deleted() {
    for setup in SETUPS {
        for seed in 0..3 {
            let whole = full_disk();
            run_all(&whole, setup, seed);
            for at in 0..whole.changes() {
                let disk = full_disk();
                disk.stop_after(at);
                let (killed, _) = run_all(&disk, setup, seed);
                let story = || format!("seed {seed}, {setup:?}, stopped after {at}");
                let clock = Arc::new(ManualClock::at(Timestamp(9)));
                let harness = Harness::open(&disk.kill(), &clock, setup)
                    .unwrap_or_else(|error| panic!("{error}: {}", story()));
                let found = harness.contents().unwrap();
                assert!(killed.contains(&found), "{}", story());
                if at % 4 == seed {
                    empty(&harness, &story);
                }
            }
        }
    }
}

#[test]
fn power_lost_anywhere_on_a_full_disk_leaves_what_was_synced() {
    for setup in SETUPS {
        for seed in 0..3 {
            let whole = full_disk();
            run_all(&whole, setup, seed);
            for at in (0..whole.changes()).filter(|at| at % 2 == seed % 2) {
                let disk = full_disk();
                disk.stop_after(at);
                let (_, lost) = run_all(&disk, setup, seed);
                let nothing: &mut dyn FnMut() -> bool = &mut || false;
                let coins = [nothing, &mut coin(at << 1), &mut coin(at << 1 | 1)];
                for (toss, coin) in coins.into_iter().enumerate() {
                    let story = || format!("seed {seed}, {setup:?}, after {at}, coin {toss}");
                    let crashed = disk.crash(coin);
                    let clock = Arc::new(ManualClock::at(Timestamp(9)));
                    let harness = Harness::open(&crashed, &clock, setup).unwrap();
                    assert!(lost.contains(&harness.contents().unwrap()), "{}", story());
                }
            }
        }
    }
}

/// A segment could not be begun on a full disk, and the next one said that all before it was synced.
#[test]
fn a_segment_that_was_begun_at_the_second_try_still_names_the_one_before() {
    let harness = Harness::new(SETUPS[0]);
    harness.put(&key(1), &value(1, 100)).unwrap();
    harness.cold.seal_active().unwrap();
    harness.disk.fill_disk(Some(0));
    assert_eq!(harness.put(&key(2), &value(2, 100)).unwrap_err().kind(), ErrorKind::NoSpace);
    harness.disk.fill_disk(None);
    harness.put(&key(2), &value(2, 100)).unwrap();
    let active = harness.cold.segments.all().pop().unwrap();
    assert_eq!(active.header().previous.map(|(id, _)| id), Some(1));
}

/// After a write that failed, the room of records that were acknowledged is let go for a moment, and
/// others may take it. They then get what is reserved, so that a sync, and with it a close, works.
#[test]
fn records_that_were_acknowledged_and_lost_their_room_get_the_reserve() {
    let harness = Harness::new(SETUPS[0]).without_syncing();
    harness.disk.fill_disk(Some(1 << 20));
    let puts: Model = (0..20).map(|i| (key(i), (value(i, 100), 0))).collect();
    for (key, (value, _)) in &puts {
        harness.put(key, value).unwrap();
    }
    let active = harness.cold.segments.all().pop().unwrap();
    assert!(active.file().pending_bytes() > 0);
    active.file().cut().unwrap();
    harness.disk.fill_disk(Some(0));
    harness.sync(true).unwrap();
    assert_eq!(harness.contents().unwrap(), puts);
}
