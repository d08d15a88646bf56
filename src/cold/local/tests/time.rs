//! What the files tell of time: an open goes on from where the one before it stood.

use super::harness::{Harness, SEED, SETUPS, key, without};
use crate::codec::manifest::Manifest;
use crate::codec::version::Decoded;
use crate::io::clock::ManualClock;
use crate::io::sim::SimDisk;
use crate::time::{Clock, Timestamp};
use std::sync::Arc;

const NOW: u64 = 1_790_000_000_000;
const DAY: u64 = 86_400_000;
/// The year 2100.
const FUTURE: u64 = 4_102_444_800_000;

/// A store whose clocks are right.
fn harness() -> Harness {
    let clock = Arc::new(ManualClock::at(Timestamp(NOW)));
    Harness::open(&super::harness::new_disk(), &clock, SETUPS[0]).unwrap()
}

/// The next process opens the store, `later_ms` by a clock that is then right.
fn open_again(disk: &SimDisk, clock: &ManualClock, later_ms: u64) -> Harness {
    clock.advance(later_ms);
    let clock = Arc::new(clock.next_open());
    Harness::open(disk, &clock, SETUPS[0]).unwrap()
}

fn set(harness: &Harness, ms: u64) {
    harness.clock.set(ms.cast_signed());
}

/// As the store does it.
fn put_for(harness: &Harness, index: u64, ttl_ms: u64) -> u64 {
    let moment = harness.clock.moment();
    if !harness.cold.tells(&moment) {
        harness.cold.keep_time().unwrap();
    }
    let expires_at = moment.wall.0 + ttl_ms;
    harness.write(&[(key(index), Some((vec![1], expires_at)))]).unwrap();
    expires_at
}

fn close(harness: Harness) -> (SimDisk, Arc<ManualClock>) {
    harness.cold.sync().unwrap();
    harness.checkpoint().unwrap();
    harness.cold.end().unwrap();
    (harness.disk.clone(), harness.clock.clone())
}

fn manifest(disk: &SimDisk) -> Manifest {
    match Manifest::decode(&disk.files()["MANIFEST"]) {
        Decoded::Valid(manifest) => manifest,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_was_stored_under_a_clock_that_was_ahead_ends_also_after_a_kill() {
    let harness = harness();
    set(&harness, FUTURE);
    put_for(&harness, 1, 200);
    set(&harness, NOW);
    put_for(&harness, 2, 200);
    let again = open_again(&harness.disk.kill(), &harness.clock, 0);
    assert!(again.clock.wall().0 >= FUTURE);
    assert_eq!(again.contents().unwrap().len(), 2);
    again.clock.advance(200);
    assert_eq!(again.contents().unwrap().len(), 0);
}

#[test]
fn what_has_expired_under_a_clock_that_was_ahead_does_not_come_back() {
    for is_killed in [false, true] {
        let harness = harness();
        put_for(&harness, 1, DAY);
        set(&harness, FUTURE);
        assert_eq!(harness.get(&key(1)).unwrap(), None);
        set(&harness, NOW);
        // The background thread's round.
        harness.cold.keep_time().unwrap();
        let (disk, clock) = match is_killed {
            true => (harness.disk.kill(), harness.clock.clone()),
            false => close(harness),
        };
        assert_eq!(open_again(&disk, &clock, 1).get(&key(1)).unwrap(), None);
    }
}

#[test]
fn what_has_expired_does_not_come_back_when_the_clock_is_set_back_while_closed() {
    let harness = harness();
    put_for(&harness, 1, DAY);
    let (disk, clock) = close(harness);
    // Nothing is written in this open; what has expired is not even swept.
    let second = open_again(&disk, &clock, 1);
    second.clock.advance(2 * DAY);
    assert_eq!(second.get(&key(1)).unwrap(), None);
    let (disk, clock) = close(second);
    clock.set((NOW - DAY).cast_signed());
    assert_eq!(open_again(&disk, &clock, 0).get(&key(1)).unwrap(), None);
}

#[test]
fn the_time_while_closed_counts_while_the_store_is_ahead_of_the_clock() {
    let first = harness();
    set(&first, FUTURE);
    put_for(&first, 1, DAY);
    set(&first, NOW);
    let long = put_for(&first, 2, 12 * DAY);
    let (mut disk, mut clock) = close(first);
    for round in 1..4 {
        let harness = open_again(&disk, &clock, 4 * DAY - 1);
        assert_eq!(harness.clock.wall().0, FUTURE + round * (4 * DAY - 1));
        assert_eq!(harness.get(&key(1)).unwrap(), None);
        assert_eq!(harness.get(&key(2)).unwrap().map(|(_, at)| at), Some(long));
        (disk, clock) = close(harness);
    }
    assert_eq!(open_again(&disk, &clock, 3).get(&key(2)).unwrap(), None);
}

#[test]
fn a_clock_set_back_while_open_and_right_again_later_ends_nothing_early() {
    for back in [3_600_000, NOW] {
        let harness = harness();
        set(&harness, NOW - back);
        harness.clock.advance(500);
        put_for(&harness, 1, 600_000);
        harness.clock.advance(500);
        let (disk, clock) = close(harness);
        clock.set((NOW + 1_000).cast_signed());
        let harness = open_again(&disk, &clock, 10);
        assert_eq!(harness.clock.wall(), Timestamp(NOW + 1_010));
        assert!(harness.get(&key(1)).unwrap().is_some());
    }
}

#[test]
fn the_manifest_is_written_when_a_clock_was_set_and_not_else() {
    let harness = harness();
    let tick = || {
        let before = manifest(&harness.disk);
        harness.clock.advance(250);
        harness.cold.keep_time().unwrap();
        let after = manifest(&harness.disk);
        (after != before).then_some((after.time_ms, after.lead_ms))
    };
    for index in 0..100 {
        put_for(&harness, index, 5);
        assert_eq!(tick(), None);
    }
    set(&harness, FUTURE);
    assert_eq!(tick(), Some((FUTURE + 250, 0)));
    assert_eq!(tick(), None);
    set(&harness, NOW);
    assert_eq!(tick(), Some((FUTURE + 750, FUTURE + 500 - NOW)));
    // While the system clock does not tell the time, a kill may cost a minute of it.
    let writes = (0..2_400).filter(|_| tick().is_some()).count();
    assert!((9..=10).contains(&writes), "{writes} in ten minutes");
    // In the end it does not matter that nothing has changed.
    let wall = harness.clock.wall().0 + 1_500;
    harness.clock.advance(1_500);
    harness.cold.end().unwrap();
    assert_eq!(manifest(&harness.disk).time_ms, wall);
}

#[test]
fn a_plain_close_writes_no_manifest() {
    let harness = harness();
    let opened = manifest(&harness.disk);
    assert_eq!((opened.time_ms, opened.lead_ms), (NOW, 0));
    put_for(&harness, 1, 2 * DAY);
    put_for(&harness, 2, DAY / 2);
    harness.clock.advance(DAY);
    // Something has expired, but the checkpoint tells the time.
    let (disk, clock) = close(harness);
    assert_eq!(manifest(&disk), opened);
    clock.set(NOW.cast_signed());
    assert_eq!(open_again(&disk, &clock, 0).clock.wall(), Timestamp(NOW + DAY));
}

#[test]
fn a_time_that_no_clock_has_given_is_not_believed_in_whichever_file_it_stands() {
    for wrong in [u64::MAX, 1 << 63, 1 << 62] {
        let harness = harness();
        let long = put_for(&harness, 1, DAY);
        let (disk, clock) = close(harness);
        let mut files = disk.files();
        let told = Manifest {
            seed: SEED,
            next_sequence: 9,
            time_ms: wrong,
            lead_ms: wrong,
            keeps_notes: false,
        };
        files.insert("MANIFEST".to_owned(), told.encode().to_vec());
        let again = open_again(&SimDisk::from_files(files), &clock, 5);
        assert_eq!(again.clock.wall(), Timestamp(NOW + 5));
        assert_eq!(again.get(&key(1)).unwrap(), Some((vec![1], long)));
        assert_eq!(manifest(&again.disk).time_ms, NOW + 5);
    }
    // The clock itself has said it while a segment and a checkpoint were written.
    let harness = harness();
    set(&harness, u64::MAX >> 1);
    put_for(&harness, 1, DAY);
    let (disk, clock) = close(harness);
    clock.set(NOW.cast_signed());
    let again = open_again(&without(&disk, "MANIFEST"), &clock, 0);
    assert_eq!(again.clock.wall(), Timestamp(NOW));
}

#[test]
fn a_copy_goes_on_from_where_the_store_stood() {
    let harness = harness();
    set(&harness, FUTURE);
    put_for(&harness, 1, 20 * DAY);
    set(&harness, NOW);
    let copy = SimDisk::from_files([].into());
    harness.cold.copy_to(Arc::new(copy.clone()), &|| ()).unwrap();
    let copied = open_again(&copy, &harness.clock, 10 * DAY);
    assert_eq!(copied.clock.wall(), Timestamp(FUTURE + 10 * DAY));
    assert!(copied.get(&key(1)).unwrap().is_some());
    drop(copied);
    assert_eq!(open_again(&copy, &harness.clock, 10 * DAY).get(&key(1)).unwrap(), None);
}
