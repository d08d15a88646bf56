//! Files of segments are emptied, cut and taken away: their keys say so until they are stored again.

use super::world::{SEED, SETUPS, Setup, World, key, value, without};
use crate::codec::manifest::Manifest;
use crate::codec::record::Kind;
use crate::cold::local::log::pending::PendingRecord;
use crate::error::ErrorKind;
use crate::io::clock::ManualClock;
use crate::io::sim::SimDisk;
use std::slice;
use std::sync::Arc;

const PLAIN: Setup = Setup { segment_bytes_max: 16 << 10, ..SETUPS[0] };
const KEYS: u64 = 100;

/// A store of some segments, with a checkpoint; its files are as after a close, or a kill.
fn full(setup: Setup) -> World {
    let world = World::new(setup);
    (0..KEYS).for_each(|index| drop(world.put(&key(index), &value(index, 500)).unwrap()));
    world.sync(true).unwrap();
    world
}

/// How many keys say that they are damaged; the others have their values.
fn corrupt(world: &World) -> u64 {
    let mut count = 0;
    for index in 0..KEYS {
        match world.get(&key(index)) {
            Ok(Some((found, _))) => assert_eq!(found, value(index, 500)),
            Ok(None) => panic!("key {index} is absent"),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Corrupt);
                assert!(error.message().contains("store the key again or delete it"), "{error}");
                count += 1;
            }
        }
    }
    count
}

fn met(world: &World) -> u64 {
    world.cold.tallies.corrupt_records.load(std::sync::atomic::Ordering::Relaxed)
}

/// What is lost stays lost, and is counted, whatever is done to the store.
fn stays(disk: &SimDisk, clock: &Arc<ManualClock>, lost: u64, story: &str) {
    let reader = World::open_with(disk, clock, PLAIN, true).unwrap();
    assert_eq!((corrupt(&reader), reader.damaged()), (lost, lost), "{story}, read-only");
    let mut world = World::open(disk, clock, PLAIN).unwrap();
    let findings = world.cold.take_findings();
    assert_eq!(findings.len(), 1, "{story}: {findings:?}");
    for round in 0..4 {
        let story = format!("{story}, round {round}");
        assert_eq!((corrupt(&world), world.damaged()), (lost, lost), "{story}");
        assert_eq!(met(&world), lost, "{story}: what opening met");
        match round {
            0 => world.checkpoint().unwrap(),
            1 => {
                world.cold.seal_active().unwrap();
                world.compact_all().unwrap();
                assert_eq!((corrupt(&world), world.damaged()), (lost, lost), "{story}, compacted");
            }
            2 => {
                world.checkpoint().unwrap();
                world = World::open(&without(&world.disk, "CHECKPOINT"), clock, PLAIN).unwrap();
            }
            _ => {}
        }
        world = world.reopen(PLAIN);
    }
    (0..KEYS).for_each(|index| drop(world.put(&key(index), &value(index, 500)).unwrap()));
    world.cold.seal_active().unwrap();
    world.compact_all().unwrap();
    let world = world.reopen(PLAIN);
    assert_eq!((corrupt(&world), world.damaged(), met(&world)), (0, 0, 0), "{story}, stored again");
}

fn names(world: &World) -> Vec<String> {
    world.disk.files().into_keys().filter(|name| name.ends_with(".seg")).collect()
}

#[test]
fn keys_of_a_segment_that_is_gone_or_cut_are_damaged_until_they_are_stored_again() {
    for compacts in [false, true] {
        let world = full(PLAIN);
        if compacts {
            world.cold.seal_active().unwrap();
            world.compact_all().unwrap();
        }
        world.checkpoint().unwrap();
        // As after a close: the stage would have what is cut off.
        world.cold.end().unwrap();
        let names = names(&world);
        assert!(names.len() > 3);
        for name in &names {
            let length = world.disk.files()[name].len();
            for cut in [None, Some(0), Some(64), Some(length / 2), Some(length - 60)] {
                let disk = match cut {
                    None => without(&world.disk, name),
                    Some(_) => world.disk.kill(),
                };
                if let Some(cut) = cut {
                    disk.cut(name, cut);
                }
                let lost = corrupt(&World::open_with(&disk, &world.clock, PLAIN, true).unwrap());
                assert!(lost > 0, "{name} cut at {cut:?}");
                stays(&disk, &world.clock, lost, &format!("{name} cut at {cut:?}, {compacts}"));
            }
        }
    }
}

/// It is gone with what nobody knows; its successor alone says that it was.
#[test]
fn a_segment_in_the_middle_of_the_log_is_missed_without_a_checkpoint() {
    let world = full(PLAIN);
    let names = names(&world);
    let whole = World::open_with(&world.disk.kill(), &world.clock, PLAIN, true).unwrap();
    assert_eq!((met(&whole), whole.damaged()), (0, 0));
    for name in &names[..names.len() - 1] {
        let disk = without(&world.disk, name);
        let mut world = World::open(&disk, &world.clock, PLAIN).unwrap();
        for round in 0..3 {
            assert_eq!((met(&world), world.damaged()), (1, 1), "{name}, round {round}");
            world.cold.seal_active().unwrap();
            world.compact_all().unwrap();
            assert_eq!(world.damaged(), 1, "{name}, round {round}");
            world.checkpoint().unwrap();
            world = world.reopen(PLAIN);
        }
        // Then nothing is missed any more.
        world.clear().unwrap();
        assert_eq!(world.damaged(), 0);
        let world = world.reopen(PLAIN);
        assert_eq!((met(&world), world.damaged()), (0, 0), "{name}");
    }
}

/// What was removed on purpose has left a note, or is known from a time without notes.
#[test]
fn a_segment_that_compaction_has_removed_is_not_missed() {
    let world = full(PLAIN);
    world.checkpoint().unwrap();
    (0..KEYS / 2).for_each(|index| drop(world.delete(&key(index)).unwrap()));
    world.cold.seal_active().unwrap();
    world.compact_all().unwrap();
    let mut files = world.disk.kill().files();
    for notes in [true, false] {
        let disk = SimDisk::from_files(files.clone());
        for read_only in [true, false, false] {
            let world = World::open_with(&disk, &world.clock, PLAIN, read_only).unwrap();
            assert_eq!((met(&world), world.damaged()), (0, 0), "notes {notes}");
            assert!(world.get(&key(1)).unwrap().is_none());
        }
        // An older version left none, and did not say that it would.
        let count = files.len();
        files.retain(|name, _| !name.ends_with(".gone"));
        assert!(files.len() < count || !notes);
        let manifest = Manifest {
            seed: SEED,
            next_sequence: 1 << 40,
            time_ms: 0,
            lead_ms: 0,
            keeps_notes: false,
        };
        files.insert("MANIFEST".to_owned(), manifest.encode().to_vec());
    }
    world.clear().unwrap();
    world.cold.seal_active().unwrap();
    world.compact_all().unwrap();
    world.checkpoint().unwrap();
    let is_note = |name: &String| name.ends_with(".gone");
    assert!(!world.disk.files().keys().any(is_note), "notes go once nothing names the segment");
}

#[test]
fn an_entry_of_the_keydir_that_points_to_another_record_is_damaged() {
    let world = full(PLAIN);
    let hash = world.cold.hasher().hash(&key(3));
    let other = world.cold.hasher().hash(&key(4));
    let at = |hash| world.cold.keydir.lock_for(hash).group(hash).iter().next().unwrap();
    let (mine, others) = (at(hash), at(other));
    world.cold.keydir.lock_for(hash).replace(hash, 0, others);
    assert_eq!(corrupt(&world), 1);
    assert_eq!(world.damaged(), 1);
    world.cold.keydir.lock_for(hash).replace(hash, 0, mine);
    assert_eq!(world.damaged(), 0);
    // A deletion is no value, whatever the keydir says.
    let mut deletion = PendingRecord::marker(Kind::Tombstone, hash);
    world.cold.append(slice::from_mut(&mut deletion), false).unwrap();
    world.cold.keydir.lock_for(hash).replace(hash, 0, deletion.location);
    assert_eq!(corrupt(&world), 1);
    let hashed = key(3);
    assert!(world.cold.read_expiry(&world.cold.hasher().key(&hashed).unwrap()).is_err());
}

#[test]
fn a_segment_that_was_removed_before_it_had_a_successor_is_not_missed() {
    for setup in SETUPS {
        let world = World::new(Setup { sync_each: false, ..setup });
        world.put(&key(1), &value(1, 100)).unwrap();
        world.delete(&key(1)).unwrap();
        world.cold.seal_active().unwrap();
        world.compact_all().unwrap();
        // The note goes: nothing names the segment any more.
        world.checkpoint().unwrap();
        world.put(&key(2), &value(2, 100)).unwrap();
        let world = world.reopen(setup);
        assert_eq!((met(&world), world.damaged()), (0, 0));
    }
}
