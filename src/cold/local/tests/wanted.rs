//! Another process wants the stage's file: to read it, or to cut it, which the disk in memory does as
//! soon as it can.

use super::world::{SETUPS, Setup, World, key, value};
use crate::cold::local::log::stage::STAGE;
use crate::io::files::Disk;
use crate::io::sim::Op;

const PLAIN: Setup = Setup { segment_bytes_max: 1 << 20, ..SETUPS[0] };

fn staged(count: u64) -> World {
    let world = World::new(PLAIN);
    (0..count).for_each(|index| put(&world, index));
    assert!(has_stage(&world));
    world
}

fn put(world: &World, index: u64) {
    world.put(&key(index), &value(index, 100)).unwrap();
}

fn has_stage(world: &World) -> bool {
    world.disk.files().contains_key(STAGE)
}

fn has_all(world: World, count: usize) {
    let world = world.reopen(PLAIN);
    assert_eq!(world.contents().unwrap().len(), count);
}

#[test]
fn it_gets_it_once_all_that_was_acknowledged_is_in_the_segment() {
    let world = staged(5);
    world.cold.give_way().unwrap();
    assert!(has_stage(&world), "nobody wants it");
    world.disk.want_mapped();
    world.cold.give_way().unwrap();
    assert!(!has_stage(&world));
    has_all(world, 5);
}

#[test]
fn a_store_sees_it_too_and_is_in_the_segment_itself() {
    let world = staged(5);
    world.disk.want_mapped();
    put(&world, 5);
    assert!(!has_stage(&world));
    has_all(world, 6);
}

#[test]
fn stores_go_on_without_a_stage_for_a_second_and_then_have_another() {
    let world = staged(1);
    world.disk.want_mapped();
    for index in 1..10 {
        put(&world, index);
        assert!(!has_stage(&world));
        world.clock.advance(100);
    }
    world.clock.advance(100);
    put(&world, 10);
    assert!(has_stage(&world));
    has_all(world, 11);
}

#[test]
fn it_waits_as_long_as_what_is_pending_cannot_be_written() {
    let world = staged(5);
    world.disk.want_mapped();
    world.disk.fail_nth(Op::Write, 1, libc::EIO);
    world.cold.give_way().unwrap_err();
    assert!(has_stage(&world));
    world.disk.fail_nth(Op::Write, 1, libc::EIO);
    world.put(&key(9), b"told that it failed").unwrap_err();
    assert!(has_stage(&world));
    let next = World::open(&world.disk.kill(), &world.clock, PLAIN).unwrap();
    assert_eq!(next.contents().unwrap().len(), 5);
    world.cold.give_way().unwrap();
    assert!(!has_stage(&world));
    has_all(world, 5);
}

#[test]
fn a_file_that_has_got_its_name_stays() {
    for is_wanted in [false, true] {
        let world = staged(5);
        world.disk.remove(STAGE).unwrap();
        world.disk.create(STAGE).unwrap().write_at(&[b"somebody's"], 0).unwrap();
        if is_wanted {
            world.disk.want_mapped();
            world.cold.give_way().unwrap();
        }
        world.sync(false).unwrap();
        world.cold.end().unwrap();
        assert_eq!(world.disk.files()[STAGE], b"somebody's");
    }
}
