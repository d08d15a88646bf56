//! Another process wants the stage's file: to read it, or to cut it, which the disk in memory does as
//! soon as it can.

use super::harness::{Harness, SETUPS, Setup, key, value};
use crate::cold::local::log::stage::STAGE;
use crate::io::files::Disk;
use crate::io::sim::Op;

const PLAIN: Setup = Setup { segment_bytes_max: 1 << 20, ..SETUPS[0] };

fn staged(count: u64) -> Harness {
    let harness = Harness::new(PLAIN);
    (0..count).for_each(|index| put(&harness, index));
    assert!(has_stage(&harness));
    harness
}

fn put(harness: &Harness, index: u64) {
    harness.put(&key(index), &value(index, 100)).unwrap();
}

fn has_stage(harness: &Harness) -> bool {
    harness.disk.files().contains_key(STAGE)
}

fn has_all(harness: Harness, count: usize) {
    let harness = harness.reopen(PLAIN);
    assert_eq!(harness.contents().unwrap().len(), count);
}

#[test]
fn it_gets_it_once_all_that_was_acknowledged_is_in_the_segment() {
    let harness = staged(5);
    harness.cold.give_way().unwrap();
    assert!(has_stage(&harness), "nobody wants it");
    harness.disk.want_mapped();
    harness.cold.give_way().unwrap();
    assert!(!has_stage(&harness));
    has_all(harness, 5);
}

#[test]
fn a_store_sees_it_too_and_is_in_the_segment_itself() {
    let harness = staged(5);
    harness.disk.want_mapped();
    put(&harness, 5);
    assert!(!has_stage(&harness));
    has_all(harness, 6);
}

#[test]
fn stores_go_on_without_a_stage_for_a_second_and_then_have_another() {
    let harness = staged(1);
    harness.disk.want_mapped();
    for index in 1..10 {
        put(&harness, index);
        assert!(!has_stage(&harness));
        harness.clock.advance(100);
    }
    harness.clock.advance(100);
    put(&harness, 10);
    assert!(has_stage(&harness));
    has_all(harness, 11);
}

#[test]
fn it_waits_as_long_as_what_is_pending_cannot_be_written() {
    let harness = staged(5);
    harness.disk.want_mapped();
    harness.disk.fail_nth(Op::Write, 1, libc::EIO);
    harness.cold.give_way().unwrap_err();
    assert!(has_stage(&harness));
    harness.disk.fail_nth(Op::Write, 1, libc::EIO);
    harness.put(&key(9), b"told that it failed").unwrap_err();
    assert!(has_stage(&harness));
    let next = Harness::open(&harness.disk.kill(), &harness.clock, PLAIN).unwrap();
    assert_eq!(next.contents().unwrap().len(), 5);
    harness.cold.give_way().unwrap();
    assert!(!has_stage(&harness));
    has_all(harness, 5);
}

#[test]
fn a_file_that_has_got_its_name_stays() {
    for is_wanted in [false, true] {
        let harness = staged(5);
        harness.disk.remove(STAGE).unwrap();
        harness.disk.create(STAGE).unwrap().write_at(&[b"somebody's"], 0).unwrap();
        if is_wanted {
            harness.disk.want_mapped();
            harness.cold.give_way().unwrap();
        }
        harness.sync(false).unwrap();
        harness.cold.end().unwrap();
        assert_eq!(harness.disk.files()[STAGE], b"somebody's");
    }
}
