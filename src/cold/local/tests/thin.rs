//! On a full disk: segments that are longer than the room which is kept for compaction.

use super::harness::{Harness, Model, SETUPS, Setup, key, new_disk, value};
use crate::cold::Want;
use crate::error::{ErrorKind, Result};
use crate::io::clock::ManualClock;
use crate::io::sim::{SimDisk, coin};
use crate::time::Timestamp;
use std::sync::Arc;

/// Room on the disk; the reserve has an eighth of it.
const ROOM: u64 = 600_000;

/// Keys that are stored at once, so that they are side by side in one segment.
const BATCH: u64 = 80;

fn setups() -> [Setup; 2] {
    SETUPS.map(|setup| Setup { segment_bytes_max: 1 << 20, ..setup })
}

fn full_disk() -> SimDisk {
    let disk = new_disk();
    disk.fill_disk(Some(ROOM));
    disk
}

fn long(i: u64) -> Vec<u8> {
    // Noise, which compression leaves as long as it is.
    value(3 * i + 2, 3_000)
}

fn open(disk: &SimDisk, setup: Setup) -> Result<Harness> {
    Harness::open(disk, &Arc::new(ManualClock::at(Timestamp(1_000))), setup)
}

/// A step of the story, and whether it was made.
type Told<'a> = &'a mut dyn FnMut(&Harness, &str, Result<()>, &dyn Fn(&mut Model)) -> bool;

/// Stores a batch, fills the disk, deletes every other key of the batch, and compacts.
fn story(harness: &Harness, told: Told<'_>) -> Option<()> {
    let batch: Vec<_> = (0..BATCH).map(|i| (key(i), Some((long(i), 0)))).collect();
    let stored = harness.write(&batch).map(drop);
    let all = |model: &mut Model| model.extend((0..BATCH).map(|i| (key(i), (long(i), 0))));
    told(harness, "batch", stored, &all).then_some(())?;
    let mut last = BATCH;
    loop {
        let stored = harness.put(&key(last), &value(last, 900)).map(drop);
        if stored.as_ref().is_err_and(|error| error.kind() == ErrorKind::NoSpace) {
            break;
        }
        let more = move |model: &mut Model| drop(model.insert(key(last), (value(last, 900), 0)));
        told(harness, "put", stored, &more).then_some(())?;
        last += 1;
    }
    for i in (0..BATCH).step_by(2) {
        let gone = harness.with_room(Want::Deletion, || harness.delete(&key(i))).map(drop);
        told(harness, "delete", gone, &|model| drop(model.remove(&key(i)))).then_some(())?;
    }
    let compacted = harness.cold.seal_active().and_then(|()| harness.compact_all());
    told(harness, "compact", compacted, &|_| ()).then_some(())?;
    let stored = harness.put(&key(last), &long(last)).map(drop);
    told(harness, "put", stored, &|model| drop(model.insert(key(last), (long(last), 0))))
        .then_some(())
}

/// Runs the story, which the disk may end; gives what it may have then.
fn run(disk: &SimDisk, setup: Setup) -> Vec<Model> {
    let mut models = vec![Model::new()];
    let Ok(harness) = open(disk, setup) else { return models };
    story(&harness, &mut |_, _, done, change| {
        let mut next = models[0].clone();
        change(&mut next);
        if done.is_ok() {
            models[0] = next;
        } else {
            models.push(next);
        }
        done.is_ok()
    });
    models
}

/// All is there, and no more than so many records are damaged.
fn is_whole(harness: &Harness, models: &[Model], damaged: u64, story: &dyn Fn() -> String) {
    let found = harness.contents().unwrap_or_else(|error| panic!("{error}: {}", story()));
    assert!(models.contains(&found), "{}: {} keys", story(), found.len());
    let verified = harness.cold.verify(&mut |_, _| ()).unwrap();
    assert!(verified.damaged <= damaged, "{}", story());
}

#[test]
fn what_is_dead_in_a_segment_longer_than_the_reserve_can_be_had_on_a_full_disk() {
    for setup in setups() {
        let disk = full_disk();
        let harness = open(&disk, setup).unwrap();
        let mut model = Model::new();
        story(&harness, &mut |harness, what, done, change| {
            done.unwrap_or_else(|error| panic!("{what}: {error}"));
            change(&mut model);
            if what != "put" {
                is_whole(harness, &[model.clone()], 0, &|| what.to_owned());
            }
            true
        })
        .unwrap();
        for i in 0..BATCH {
            harness.with_room(Want::Deletion, || harness.delete(&key(i))).unwrap();
        }
        (0..BATCH / 2).for_each(|i| {
            harness.with_room(Want::Value(3_000), || harness.put(&key(i), &long(i))).unwrap();
        });
    }
}

#[test]
fn killed_while_a_segment_is_thinned_it_opens_with_all() {
    for setup in setups() {
        let whole = full_disk();
        run(&whole, setup);
        // The story's end, where compaction is.
        for at in (whole.changes().saturating_sub(120)..whole.changes()).step_by(2) {
            let disk = full_disk();
            disk.stop_after(at);
            let models = run(&disk, setup);
            let story = || format!("{setup:?}, stopped after {at}");
            let harness = open(&disk.kill(), setup).unwrap_or_else(|e| panic!("{e}: {}", story()));
            // Of the write that is under way this disk makes half: then that header, of a record which is
            // dead, is damaged.
            is_whole(&harness, &models, 1, &story);
            harness.cold.seal_active().unwrap();
            harness.compact_all().unwrap_or_else(|error| panic!("{error}: {}", story()));
            is_whole(&harness, &models, 0, &story);
        }
    }
}

#[test]
fn power_lost_while_a_segment_is_thinned_takes_nothing() {
    let setup = Setup { sync_each: true, ..setups()[0] };
    let whole = full_disk();
    run(&whole, setup);
    for at in (whole.changes().saturating_sub(120)..whole.changes()).step_by(3) {
        let disk = full_disk();
        disk.stop_after(at);
        let models = run(&disk, setup);
        let nothing: &mut dyn FnMut() -> bool = &mut || false;
        for (toss, coin) in [nothing, &mut coin(at)].into_iter().enumerate() {
            let story = || format!("{setup:?}, power lost after {at}, coin {toss}");
            let harness = open(&disk.crash(coin), setup).unwrap();
            let found = harness.contents().unwrap_or_else(|error| panic!("{error}: {}", story()));
            assert!(models.contains(&found), "{}: {} keys", story(), found.len());
        }
    }
}
