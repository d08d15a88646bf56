//! Segments whose files are closed and opened again, as those of the disk in memory always are.

use super::world::{SETUPS, Setup, World, key, value};

#[test]
fn who_holds_a_segment_reads_it_after_compaction_has_removed_it() {
    for setup in SETUPS {
        let world = World::new(setup);
        (0..20).for_each(|index| drop(world.put(&key(index), &value(index, 900)).unwrap()));
        let (places, _) = world.cold.keys_from(0, 20);
        for index in (0..20).step_by(2) {
            world.delete(&key(index)).unwrap();
        }
        world.cold.seal_active().unwrap();
        let names = |world: &World| world.disk.files().into_keys().collect::<Vec<_>>();
        let before = names(&world);
        world.compact_all().unwrap();
        assert!(!names(&world).iter().any(|name| name.ends_with(".seg") && before.contains(name)));
        let mut keys: Vec<_> = places
            .iter()
            .map(|held| world.cold.read_key(held, |known| Ok(known.key.to_vec())).unwrap())
            .collect();
        keys.sort();
        let mut expected: Vec<_> = (0..20).map(key).collect();
        expected.sort();
        assert_eq!(keys, expected);
    }
}

/// Each of them keeps a descriptor.
#[test]
fn few_files_wait_for_a_sync_however_much_is_stored_and_moved() {
    for setup in SETUPS {
        let setup = Setup { sync: false, sync_each: false, ..setup };
        let world = World::new(setup);
        for index in 0..200 {
            world.put(&key(index), &value(index, 900)).unwrap();
            assert!(world.disk.unsynced_files() <= 10, "{setup:?}, after {index} of one kind");
        }
        world.cold.seal_active().unwrap();
        for index in (0..200).step_by(2) {
            world.delete(&key(index)).unwrap();
        }
        world.cold.seal_active().unwrap();
        for round in 0..100 {
            world.compact_next().unwrap();
            assert!(world.disk.unsynced_files() <= 10, "{setup:?}, after rewriting {round}");
        }
        assert_eq!(world.contents().unwrap().len(), 100);
    }
}

/// Its end is cut after the last sync that was asked for.
#[test]
fn what_is_sealed_after_a_sync_does_not_wait_for_ever() {
    for setup in SETUPS {
        let world = World::new(setup);
        for index in 0..30 {
            world.put(&key(index), &value(index, 100)).unwrap();
            world.sync(false).unwrap();
            world.cold.seal_active().unwrap();
            assert!(world.disk.unsynced_files() <= 3, "{setup:?}, after {index}");
        }
    }
}
