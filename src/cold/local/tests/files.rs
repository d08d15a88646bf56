//! Segments whose files are closed and opened again, as those of the disk in memory always are.

use super::harness::{Harness, SETUPS, Setup, key, value};

#[test]
fn who_holds_a_segment_reads_it_after_compaction_has_removed_it() {
    for setup in SETUPS {
        let harness = Harness::new(setup);
        (0..20).for_each(|index| drop(harness.put(&key(index), &value(index, 900)).unwrap()));
        let (places, _) = harness.cold.keys_from(0, 20);
        for index in (0..20).step_by(2) {
            harness.delete(&key(index)).unwrap();
        }
        harness.cold.seal_active().unwrap();
        let names = |harness: &Harness| harness.disk.files().into_keys().collect::<Vec<_>>();
        let before = names(&harness);
        harness.compact_all().unwrap();
        assert!(
            !names(&harness).iter().any(|name| name.ends_with(".seg") && before.contains(name))
        );
        let mut keys: Vec<_> = places
            .iter()
            .map(|pinned| harness.cold.read_key(pinned, |known| Ok(known.key.to_vec())).unwrap())
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
        let harness = Harness::new(setup);
        for index in 0..200 {
            harness.put(&key(index), &value(index, 900)).unwrap();
            assert!(harness.disk.unsynced_files() <= 10, "{setup:?}, after {index} of one kind");
        }
        harness.cold.seal_active().unwrap();
        for index in (0..200).step_by(2) {
            harness.delete(&key(index)).unwrap();
        }
        harness.cold.seal_active().unwrap();
        for round in 0..100 {
            harness.compact_next().unwrap();
            assert!(harness.disk.unsynced_files() <= 10, "{setup:?}, after rewriting {round}");
        }
        assert_eq!(harness.contents().unwrap().len(), 100);
    }
}

/// Its end is cut after the last sync that was asked for.
#[test]
fn what_is_sealed_after_a_sync_does_not_wait_for_ever() {
    for setup in SETUPS {
        let harness = Harness::new(setup);
        for index in 0..30 {
            harness.put(&key(index), &value(index, 100)).unwrap();
            harness.sync(false).unwrap();
            harness.cold.seal_active().unwrap();
            assert!(harness.disk.unsynced_files() <= 3, "{setup:?}, after {index}");
        }
    }
}
