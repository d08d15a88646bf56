//! Disks that are full, that fail, and that fail to sync.

use super::harness::{Harness, Model, SETUPS, Setup, key, value};
use super::script::{Dice, after, find, run, script, tell};
use crate::codec::manifest::MANIFEST_BYTES;
use crate::error::ErrorKind;
use crate::io::sim::{Op, coin};
use std::sync::Arc;

/// Runs the script with so much room on the disk, and then again with enough of it.
fn fill(setup: Setup, seed: u64, room: u64) -> bool {
    let mut dice = Dice::new(seed);
    let steps = script(&mut dice, 30, &mut 0);
    let story = || format!("seed {seed}, {setup:?}, room for {room}: {}", tell(&steps));
    let harness = Harness::new(setup);
    harness.disk.fill_disk(Some(room));
    let mut model = Model::new();
    let mut was_full = false;
    for step in &steps {
        let next = after(&harness, step, &model);
        match run(&harness, step) {
            Ok(_) => model = next,
            Err(error) => {
                was_full = true;
                assert_eq!(error.kind(), ErrorKind::NoSpace, "{step:?}: {error}\n{}", story());
            }
        }
        find(&harness, &[model.clone()], &story);
    }
    harness.disk.fill_disk(None);
    for step in script(&mut dice, 10, &mut 1_000) {
        model = after(&harness, &step, &model);
        run(&harness, &step).unwrap_or_else(|error| panic!("{step:?}: {error}\n{}", story()));
        find(&harness, &[model.clone()], &story);
    }
    find(&harness.reopen(setup), &[model], &story);
    was_full
}

#[test]
fn a_full_disk_refuses_writes_whole_and_takes_them_again_when_there_is_room() {
    for setup in SETUPS {
        for seed in 0..12 {
            let mut room = 0;
            while fill(setup, seed, room) {
                room += 97 + room / 8;
            }
        }
    }
}

#[test]
fn on_a_full_disk_keys_can_be_deleted_and_a_clear_makes_room() {
    for setup in SETUPS {
        let harness = Harness::new(Setup { segment_bytes_max: 1 << 20, ..setup });
        harness.disk.fill_disk(Some(400_000));
        let full = (0..).find_map(|i| harness.put(&key(i), &value(i, 900)).err());
        assert_eq!(full.unwrap().kind(), ErrorKind::NoSpace);
        for i in 0..20 {
            harness.delete(&key(i)).unwrap();
        }
        harness.clear().unwrap();
        harness.cold.seal_active().unwrap();
        harness.compact_all().unwrap();
        harness.put(&key(1), &value(1, 900)).unwrap();
    }
}

#[test]
fn a_store_that_has_ended_takes_no_more_room_than_its_files() {
    for setup in SETUPS {
        let harness = Harness::new(setup);
        harness.disk.fill_disk(Some(1 << 20));
        (0..30).for_each(|i| drop(harness.put(&key(i), &value(i, 100)).unwrap()));
        harness.sync(false).unwrap();
        harness.cold.end().unwrap();
        let bytes: usize = harness.disk.files().values().map(Vec::len).sum();
        assert!(!harness.disk.files().contains_key("STAGE"));
        // Nothing was there but the manifest when the room was counted first.
        assert_eq!(
            harness.disk.room().unwrap(),
            (1 << 20) - (bytes as u64 - MANIFEST_BYTES as u64)
        );
        assert_eq!(harness.reopen(setup).contents().unwrap().len(), 30);
    }
}

/// Every kind of operation fails once, at every point: an error is told, and nothing is lost.
fn fail_everywhere(setup: Setup, seed: u64, op: Op) {
    let steps = script(&mut Dice::new(seed), 25, &mut 0);
    let mut nth = 1;
    loop {
        let story = || format!("seed {seed}, {setup:?}, {op:?} {nth} fails: {}", tell(&steps));
        let harness = Harness::new(setup);
        harness.disk.fail_nth(op, nth, libc::EIO);
        let mut models = vec![Model::new()];
        let mut failures = 0;
        for step in &steps {
            let last = models.last().unwrap();
            let next = after(&harness, step, last);
            match run(&harness, step) {
                Ok(_) => {
                    // What a failed sync has left uncertain stays so.
                    models.pop();
                    models.truncate(usize::from(harness.cold.poison.is_set()));
                    models.push(next);
                }
                Err(error) => {
                    failures += 1;
                    let kind = if failures == 1 { ErrorKind::Io } else { ErrorKind::ReadOnly };
                    assert_eq!(error.kind(), kind, "{step:?}: {error}\n{}", story());
                    // Once writing has ended nobody can tell whether it is there after reopening.
                    if failures == 1 && harness.cold.poison.is_set() {
                        models.insert(0, next);
                    }
                }
            }
            find(&harness, &models[models.len() - 1..], &story);
        }
        find(&harness.reopen(setup), &models, &story);
        if failures == 0 {
            break;
        }
        nth += 1;
    }
}

#[test]
fn an_operation_that_fails_once_is_told_once_and_costs_nothing() {
    let changes =
        [Op::Open, Op::Create, Op::Rename, Op::Remove, Op::SyncNames, Op::Write, Op::Sync];
    for setup in SETUPS {
        for seed in 0..5 {
            changes.iter().for_each(|op| fail_everywhere(setup, seed, *op));
        }
    }
}

#[test]
fn a_failed_sync_ends_writing_and_not_reading() {
    let harness = Harness::new(SETUPS[0]);
    harness.put(&key(1), &value(1, 100)).unwrap();
    harness.disk.fail_sync_once();
    assert_eq!(harness.sync(false).unwrap_err().kind(), ErrorKind::Io);
    let error = harness.put(&key(1), &value(2, 100)).unwrap_err();
    assert_eq!((error.kind(), error.os_code()), (ErrorKind::ReadOnly, libc::EIO));
    for refused in [harness.sync(false), harness.checkpoint(), harness.cold.seal_active()] {
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::ReadOnly);
    }
    assert_eq!(harness.get(&key(1)).unwrap().unwrap().0, value(1, 100));
    let harness = harness.reopen(SETUPS[0]);
    assert_eq!(harness.get(&key(1)).unwrap().unwrap().0, value(1, 100));
    harness.put(&key(1), &value(3, 100)).unwrap();
}

#[test]
fn what_is_older_than_the_interval_is_synced_before_anything_else_is_stored() {
    for setup in SETUPS.map(|setup| Setup { sync_each: false, ..setup }) {
        let harness = Harness::new(setup);
        harness.put(&key(1), &value(1, 100)).unwrap();
        harness.clock.advance(1_000);
        harness.put(&key(2), &value(2, 100)).unwrap();
        let before = harness.disk.crash(|| false);
        assert_eq!(
            Harness::open(&before, &harness.clock, setup).unwrap().contents().unwrap().len(),
            0
        );
        harness.clock.advance(1);
        harness.put(&key(3), &value(3, 100)).unwrap();
        let after = Harness::open(&harness.disk.crash(|| false), &harness.clock, setup).unwrap();
        assert!(after.get(&key(1)).unwrap().is_some() && after.get(&key(2)).unwrap().is_some());
        // And a sync that fails then is told.
        harness.clock.advance(1_001);
        harness.disk.fail_sync_once();
        assert_eq!(harness.put(&key(4), b"late").unwrap_err().kind(), ErrorKind::Io);
    }
}

#[test]
fn what_a_failed_sync_left_uncertain_is_durable_once_it_was_opened_again() {
    let harness = Harness::new(SETUPS[0]);
    (0..20).for_each(|i| drop(harness.put(&key(i), &value(i, 100)).unwrap()));
    harness.disk.fail_sync_once();
    harness.sync(false).unwrap_err();
    let harness = harness.reopen(SETUPS[0]);
    for toss in [false, true] {
        let disk = harness.disk.crash(|| toss);
        let after = Harness::open(&disk, &harness.clock, SETUPS[0]).unwrap();
        assert_eq!(after.contents().unwrap().len(), 20);
    }
}

/// The second sync of that file works, because the kernel has forgotten that the first did not.
#[test]
fn a_segment_begun_while_a_sync_fails_does_not_say_that_all_before_it_was_synced() {
    for setup in SETUPS {
        let harness = Arc::new(Harness::new(setup).without_syncing());
        harness.put(&key(0), &value(0, 100)).unwrap();
        harness.sync(false).unwrap();
        harness.put(&key(1), &value(1, 100)).unwrap();
        harness.disk.fail_sync_once();
        let other = harness.clone();
        harness.disk.during_failed_sync(move || {
            other.put(&key(2), &value(2, 6_000)).unwrap();
        });
        harness.sync(false).unwrap_err();
        assert_eq!(harness.disk.files().keys().filter(|name| name.ends_with(".seg")).count(), 2);
        // Whoever opens it next relies on what is there, and may sync it.
        let next = Harness::open(&harness.disk.kill(), &harness.clock, setup).unwrap();
        let found = next.contents().unwrap();
        assert_eq!(found.len(), 3);
        next.sync(false).unwrap();
        let after = Harness::open(&next.disk.crash(|| false), &harness.clock, setup).unwrap();
        assert!(after.contents().unwrap() == found, "{setup:?}");
        // A power loss right after the failure takes the end of the log, and damages nothing.
        for seed in 0..50 {
            let crashed = harness.disk.crash(coin(seed));
            let after = Harness::open(&crashed, &harness.clock, setup).unwrap();
            let left = after.contents().unwrap();
            assert!(found.iter().take(left.len()).eq(&left), "{setup:?}, coin {seed}");
        }
    }
}

#[test]
fn segments_that_nothing_could_be_appended_to_hold_nobody_up() {
    let harness = Harness::new(SETUPS[0]);
    for _ in 0..20 {
        // Nothing is staged; the first write is that of the new segment's header.
        harness.disk.fail_nth(Op::Map, 1, libc::ENOSPC);
        harness.disk.fail_nth(Op::Write, 2, libc::EIO);
        assert_eq!(harness.put(&key(1), &value(1, 100)).unwrap_err().kind(), ErrorKind::Io);
        harness.cold.seal_active().unwrap();
    }
    harness.put(&key(1), &value(2, 100)).unwrap();
    harness.sync(false).unwrap();
}

#[test]
fn of_many_threads_the_one_whose_write_failed_is_told() {
    for round in 0..40 {
        let harness = Harness::new(Setup { segment_bytes_max: 1 << 20, ..SETUPS[1] });
        harness.put(&key(0), b"before").unwrap();
        harness.disk.fail_nth(Op::Write, 1 + round % 7, libc::EIO);
        let told: Vec<(u64, bool)> = std::thread::scope(|scope| {
            let write = |thread: u64| {
                let harness = &harness;
                scope.spawn(move || {
                    let keys = (1..6).map(move |i| thread * 100 + i);
                    keys.map(|i| (i, harness.put(&key(i), &value(i, 300)).is_ok())).collect()
                })
            };
            let threads: Vec<_> = (1..5).map(write).collect();
            threads.into_iter().flat_map(|thread| -> Vec<_> { thread.join().unwrap() }).collect()
        });
        assert!(told.iter().any(|(_, is_stored)| !is_stored));
        let check = |harness: &Harness| {
            for (i, is_stored) in &told {
                assert_eq!(harness.get(&key(*i)).unwrap().is_some(), *is_stored, "key {i}");
            }
        };
        check(&harness);
        harness.put(&key(0), b"after").unwrap();
        check(&harness.reopen(SETUPS[1]));
    }
}
