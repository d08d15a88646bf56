//! Defects that were found once, each as short as it can be told.

use super::collide::colliding_keys;
use super::harness::{Harness, Model, SEED, SETUPS, Setup, key, value, without};
use crate::cold::local::recovery::contents::check_empty;
use crate::error::ErrorKind;
use crate::io::sim::{Op, SimDisk, coin};

const PLAIN: Setup = SETUPS[0];

fn put(harness: &Harness, index: u64, tag: u64, len: usize) {
    harness.put(&key(index), &value(tag, len)).unwrap();
}

/// The tag of the key's value.
fn tag(harness: &Harness, index: u64) -> Option<u64> {
    let found = harness.get(&key(index)).unwrap();
    found.map(|(value, _)| u64::from_le_bytes(value[..8].try_into().unwrap()))
}

/// Compaction had removed all segments when the process died, before the next checkpoint. The next
/// segment got an id that the old checkpoint had a row for, and its records were passed over.
#[test]
fn a_new_segment_is_not_taken_for_one_that_an_old_checkpoint_knows() {
    let harness = Harness::new(PLAIN);
    put(&harness, 1, 1, 500);
    harness.checkpoint().unwrap();
    harness.delete(&key(1)).unwrap();
    harness.cold.seal_active().unwrap();
    harness.compact_all().unwrap();
    let harness = harness.reopen(PLAIN);
    put(&harness, 2, 2, 100);
    let harness = harness.reopen(PLAIN);
    assert_eq!(tag(&harness, 2), Some(2));
}

/// Compaction moved a key whose hash another key has too; with the checkpoint from before, the
/// moved record took the other one's place.
#[test]
fn a_moved_record_does_not_displace_another_key_with_its_hash() {
    let [first, second] = colliding_keys(SEED, 2).try_into().unwrap();
    let harness = Harness::new(PLAIN);
    put(&harness, 1, 1, 2_000);
    harness.put(&first, b"first").unwrap();
    harness.delete(&key(1)).unwrap();
    harness.cold.seal_active().unwrap();
    harness.put(&second, b"second").unwrap();
    harness.checkpoint().unwrap();
    harness.compact_next().unwrap();
    let harness = harness.reopen(PLAIN);
    assert_eq!(harness.get(&first).unwrap().unwrap().0, b"first");
    assert_eq!(harness.get(&second).unwrap().unwrap().0, b"second");
}

/// The file of a rewritten segment could not be removed, and was forgotten. What was deleted later
/// came back from it at the next opening.
#[test]
fn a_segment_whose_file_stays_revives_nothing() {
    let harness = Harness::new(PLAIN);
    put(&harness, 1, 1, 100);
    put(&harness, 2, 2, 3_000);
    harness.delete(&key(2)).unwrap();
    harness.cold.seal_active().unwrap();
    harness.disk.fail_nth(Op::Remove, 1, libc::EIO);
    assert_eq!(harness.compact_next().unwrap_err().kind(), ErrorKind::Io);
    harness.delete(&key(1)).unwrap();
    harness.checkpoint().unwrap();
    let harness = harness.reopen(PLAIN);
    assert_eq!(harness.contents().unwrap(), Model::new());
}

/// The name of a removed segment came back with a power loss, because the sync of the names had
/// failed, and with it a clear: all that the checkpoint had was dropped.
#[test]
fn a_segment_whose_name_comes_back_takes_nothing_along() {
    for toss in 0..64 {
        let harness = Harness::new(PLAIN);
        put(&harness, 1, 1, 3_000);
        harness.clear().unwrap();
        harness.cold.seal_active().unwrap();
        put(&harness, 2, 2, 100);
        harness.sync(false).unwrap();
        harness.disk.fail_nth(Op::SyncNames, 1, libc::EIO);
        harness.compact_next().unwrap_err();
        // Up to before the names are synced.
        harness.disk.fail_nth(Op::SyncNames, 1, libc::EIO);
        let _ = harness.checkpoint();
        let disk = harness.disk.crash(coin(toss));
        let harness = Harness::open(&disk, &harness.clock, PLAIN).unwrap();
        assert_eq!(tag(&harness, 2), Some(2), "coin {toss}");
    }
}

/// A rewriting failed and its copies were cut off. The power went, the cut was not on disk, and
/// what had been deleted meanwhile came back from the copies.
#[test]
fn copies_that_were_cut_off_do_not_come_back() {
    for toss in 0..64 {
        let harness = Harness::new(PLAIN);
        put(&harness, 1, 1, 100);
        put(&harness, 2, 2, 3_000);
        harness.delete(&key(2)).unwrap();
        harness.cold.seal_active().unwrap();
        harness.disk.fail_nth(Op::Sync, 1, libc::EIO);
        harness.compact_next().unwrap_err();
        if harness.delete(&key(1)).is_ok() {
            harness.checkpoint().unwrap();
            let disk = harness.disk.crash(coin(toss));
            let harness = Harness::open(&disk, &harness.clock, PLAIN).unwrap();
            assert_eq!(tag(&harness, 1), None, "coin {toss}");
        }
    }
}

/// The copies of a failed rewriting could not be cut off either.
#[test]
fn copies_that_could_not_be_cut_off_do_not_come_back() {
    let harness = Harness::new(PLAIN);
    put(&harness, 1, 1, 100);
    put(&harness, 2, 2, 3_000);
    harness.delete(&key(2)).unwrap();
    harness.cold.seal_active().unwrap();
    harness.disk.fail_nth(Op::Sync, 1, libc::EIO);
    harness.disk.fail_nth(Op::SetLen, 1, libc::EIO);
    harness.compact_next().unwrap_err();
    // Either nothing may be deleted any more, or it stays deleted.
    if harness.delete(&key(1)).is_ok() {
        harness.checkpoint().unwrap();
        assert_eq!(tag(&harness.reopen(PLAIN), 1), None);
    }
}

/// Where nothing is synced unasked, the copies of a rewriting were not synced when it was asked for
/// either: nobody had taken note of them.
#[test]
fn a_sync_that_is_asked_for_covers_what_compaction_moved() {
    let setup = Setup { sync: false, ..PLAIN };
    let harness = Harness::new(setup);
    put(&harness, 1, 1, 100);
    put(&harness, 2, 2, 3_000);
    harness.sync(false).unwrap();
    harness.delete(&key(2)).unwrap();
    harness.cold.seal_active().unwrap();
    harness.compact_next().unwrap();
    harness.sync(false).unwrap();
    let harness = Harness::open(&harness.disk.crash(|| false), &harness.clock, setup).unwrap();
    assert_eq!((tag(&harness, 1), tag(&harness, 2)), (Some(1), None));
}

/// A damaged tombstone was dropped by compaction, and the older value came back once the keydir
/// was made anew.
#[test]
fn a_damaged_tombstone_still_deletes() {
    for at in 0..40 {
        let harness = Harness::new(PLAIN);
        put(&harness, 1, 1, 100);
        put(&harness, 2, 2, 2_000);
        harness.cold.seal_active().unwrap();
        harness.delete(&key(1)).unwrap();
        put(&harness, 3, 3, 1_000);
        put(&harness, 3, 4, 1_000);
        harness.cold.seal_active().unwrap();
        harness.disk.flip("000002.seg", 64 + at, 0xff);
        harness.compact_next().unwrap();
        assert!(!harness.disk.files().contains_key("000002.seg"));
        let (disk, clock) = (without(&harness.disk, "CHECKPOINT"), harness.clock.clone());
        let harness = Harness::open(&disk, &clock, PLAIN).unwrap();
        assert_eq!(tag(&harness, 1), None, "byte {at}");
        assert_eq!(tag(&harness, 2), Some(2));
        assert_eq!(tag(&harness, 3), Some(4));
    }
}

/// A record that could not even be told was overlooked when the segment also had a tombstone, and
/// the segment could not be rewritten.
#[test]
fn a_segment_with_an_unreadable_record_can_be_rewritten() {
    let harness = Harness::new(PLAIN);
    put(&harness, 1, 1, 100);
    put(&harness, 2, 2, 2_000);
    harness.cold.seal_active().unwrap();
    harness.delete(&key(1)).unwrap();
    put(&harness, 4, 5, 100);
    (2..5).for_each(|tag| put(&harness, 3, tag, 1_150));
    harness.cold.seal_active().unwrap();
    let record = 64 + 40;
    harness.disk.flip("000002.seg", record, 0xff);
    harness.disk.flip("000002.seg", record + 9, 0xff);
    harness.compact_next().unwrap();
    assert!(!harness.disk.files().contains_key("000002.seg"));
    assert_eq!(harness.get(&key(4)).unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!((tag(&harness, 2), tag(&harness, 3)), (Some(2), Some(4)));
}

/// A removed segment's file was there again. Its older value was kept beside the newer one, and came
/// back when that was deleted.
#[test]
fn a_file_that_is_there_again_has_nothing_newer_than_the_checkpoint() {
    let harness = Harness::new(PLAIN);
    put(&harness, 1, 1, 2_000);
    harness.cold.seal_active().unwrap();
    let (name, bytes) =
        harness.disk.files().into_iter().find(|(name, _)| name.ends_with(".seg")).unwrap();
    put(&harness, 1, 2, 2_000);
    harness.compact_next().unwrap();
    harness.checkpoint().unwrap();
    let mut files = harness.disk.files();
    assert!(files.insert(name, bytes).is_none(), "compaction has removed it");
    let harness = Harness::open(&SimDisk::from_files(files), &harness.clock, PLAIN).unwrap();
    assert_eq!(tag(&harness, 1), Some(2));
    harness.delete(&key(1)).unwrap();
    assert_eq!(tag(&harness, 1), None);
    assert!(harness.contents().unwrap().is_empty());
}

/// A disk on which nothing could be made stays one without a store.
#[test]
fn a_store_that_could_not_be_made_is_none() {
    let disk = SimDisk::new();
    disk.stop_after(0);
    let clock = Harness::new(PLAIN).clock;
    assert!(Harness::open(&disk, &clock, PLAIN).is_err());
    assert!(check_empty(&disk.kill()).is_ok());
}

/// What it leaves is not taken for somebody else's.
#[test]
fn a_first_opening_that_was_broken_off_anywhere_is_made_up_for() {
    let clock = Harness::new(PLAIN).clock;
    for steps in 0..20 {
        let disk = SimDisk::new();
        disk.stop_after(steps);
        drop(Harness::open(&disk, &clock, PLAIN));
        Harness::open(&disk.kill(), &clock, PLAIN).unwrap();
        for seed in 0..20 {
            Harness::open(&disk.crash(coin(seed)), &clock, PLAIN).unwrap();
        }
    }
}
