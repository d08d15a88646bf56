//! Files of segments are emptied, cut and taken away: their keys say so until they are stored again.

use super::harness::{Harness, SEED, SETUPS, Setup, key, value, without};
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
fn full(setup: Setup) -> Harness {
    let harness = Harness::new(setup);
    (0..KEYS).for_each(|index| drop(harness.put(&key(index), &value(index, 500)).unwrap()));
    harness.sync(true).unwrap();
    harness
}

/// How many keys say that they are damaged; the others have their values.
fn corrupt(harness: &Harness) -> u64 {
    let mut count = 0;
    for index in 0..KEYS {
        match harness.get(&key(index)) {
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

fn met(harness: &Harness) -> u64 {
    harness.cold.tallies.corrupt_records.load(std::sync::atomic::Ordering::Relaxed)
}

/// What is lost stays lost, and is counted, whatever is done to the store.
fn stays(disk: &SimDisk, clock: &Arc<ManualClock>, lost: u64, story: &str) {
    let reader = Harness::open_with(disk, clock, PLAIN, true).unwrap();
    assert_eq!((corrupt(&reader), reader.damaged()), (lost, lost), "{story}, read-only");
    let mut harness = Harness::open(disk, clock, PLAIN).unwrap();
    let findings = harness.cold.take_findings();
    assert_eq!(findings.len(), 1, "{story}: {findings:?}");
    for round in 0..4 {
        let story = format!("{story}, round {round}");
        assert_eq!((corrupt(&harness), harness.damaged()), (lost, lost), "{story}");
        assert_eq!(met(&harness), lost, "{story}: what opening met");
        match round {
            0 => harness.checkpoint().unwrap(),
            1 => {
                harness.cold.seal_active().unwrap();
                harness.compact_all().unwrap();
                assert_eq!(
                    (corrupt(&harness), harness.damaged()),
                    (lost, lost),
                    "{story}, compacted"
                );
            }
            2 => {
                harness.checkpoint().unwrap();
                harness =
                    Harness::open(&without(&harness.disk, "CHECKPOINT"), clock, PLAIN).unwrap();
            }
            _ => {}
        }
        harness = harness.reopen(PLAIN);
    }
    (0..KEYS).for_each(|index| drop(harness.put(&key(index), &value(index, 500)).unwrap()));
    harness.cold.seal_active().unwrap();
    harness.compact_all().unwrap();
    let harness = harness.reopen(PLAIN);
    assert_eq!(
        (corrupt(&harness), harness.damaged(), met(&harness)),
        (0, 0, 0),
        "{story}, stored again"
    );
}

fn names(harness: &Harness) -> Vec<String> {
    harness.disk.files().into_keys().filter(|name| name.ends_with(".seg")).collect()
}

#[test]
fn keys_of_a_segment_that_is_gone_or_cut_are_damaged_until_they_are_stored_again() {
    for compacts in [false, true] {
        let harness = full(PLAIN);
        if compacts {
            harness.cold.seal_active().unwrap();
            harness.compact_all().unwrap();
        }
        harness.checkpoint().unwrap();
        // As after a close: the stage would have what is cut off.
        harness.cold.end().unwrap();
        let names = names(&harness);
        assert!(names.len() > 3);
        for name in &names {
            let length = harness.disk.files()[name].len();
            for cut in [None, Some(0), Some(64), Some(length / 2), Some(length - 60)] {
                let disk = match cut {
                    None => without(&harness.disk, name),
                    Some(_) => harness.disk.kill(),
                };
                if let Some(cut) = cut {
                    disk.cut(name, cut);
                }
                let lost =
                    corrupt(&Harness::open_with(&disk, &harness.clock, PLAIN, true).unwrap());
                assert!(lost > 0, "{name} cut at {cut:?}");
                stays(&disk, &harness.clock, lost, &format!("{name} cut at {cut:?}, {compacts}"));
            }
        }
    }
}

/// It is gone with what nobody knows; its successor alone says that it was.
#[test]
fn a_segment_in_the_middle_of_the_log_is_missed_without_a_checkpoint() {
    let harness = full(PLAIN);
    let names = names(&harness);
    let whole = Harness::open_with(&harness.disk.kill(), &harness.clock, PLAIN, true).unwrap();
    assert_eq!((met(&whole), whole.damaged()), (0, 0));
    for name in &names[..names.len() - 1] {
        let disk = without(&harness.disk, name);
        let mut harness = Harness::open(&disk, &harness.clock, PLAIN).unwrap();
        for round in 0..3 {
            assert_eq!((met(&harness), harness.damaged()), (1, 1), "{name}, round {round}");
            harness.cold.seal_active().unwrap();
            harness.compact_all().unwrap();
            assert_eq!(harness.damaged(), 1, "{name}, round {round}");
            harness.checkpoint().unwrap();
            harness = harness.reopen(PLAIN);
        }
        // Then nothing is missed any more.
        harness.clear().unwrap();
        assert_eq!(harness.damaged(), 0);
        let harness = harness.reopen(PLAIN);
        assert_eq!((met(&harness), harness.damaged()), (0, 0), "{name}");
    }
}

/// What was removed on purpose has left a note, or is known from a time without notes.
#[test]
fn a_segment_that_compaction_has_removed_is_not_missed() {
    let harness = full(PLAIN);
    harness.checkpoint().unwrap();
    (0..KEYS / 2).for_each(|index| drop(harness.delete(&key(index)).unwrap()));
    harness.cold.seal_active().unwrap();
    harness.compact_all().unwrap();
    let mut files = harness.disk.kill().files();
    for notes in [true, false] {
        let disk = SimDisk::from_files(files.clone());
        for read_only in [true, false, false] {
            let harness = Harness::open_with(&disk, &harness.clock, PLAIN, read_only).unwrap();
            assert_eq!((met(&harness), harness.damaged()), (0, 0), "notes {notes}");
            assert!(harness.get(&key(1)).unwrap().is_none());
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
    harness.clear().unwrap();
    harness.cold.seal_active().unwrap();
    harness.compact_all().unwrap();
    harness.checkpoint().unwrap();
    let is_note = |name: &String| name.ends_with(".gone");
    assert!(!harness.disk.files().keys().any(is_note), "notes go once nothing names the segment");
}

#[test]
fn an_entry_of_the_keydir_that_points_to_another_record_is_damaged() {
    let harness = full(PLAIN);
    let hash = harness.cold.hasher().hash(&key(3));
    let other = harness.cold.hasher().hash(&key(4));
    let at = |hash| harness.cold.keydir.lock_for(hash).group(hash).iter().next().unwrap();
    let (mine, others) = (at(hash), at(other));
    harness.cold.keydir.lock_for(hash).replace(hash, 0, others);
    assert_eq!(corrupt(&harness), 1);
    assert_eq!(harness.damaged(), 1);
    harness.cold.keydir.lock_for(hash).replace(hash, 0, mine);
    assert_eq!(harness.damaged(), 0);
    // A deletion is no value, whatever the keydir says.
    let mut deletion = PendingRecord::marker(Kind::Tombstone, hash);
    harness.cold.append(slice::from_mut(&mut deletion), false).unwrap();
    harness.cold.keydir.lock_for(hash).replace(hash, 0, deletion.location);
    assert_eq!(corrupt(&harness), 1);
    let hashed = key(3);
    assert!(harness.cold.read_expiry(&harness.cold.hasher().key(&hashed).unwrap()).is_err());
}

#[test]
fn a_segment_that_was_removed_before_it_had_a_successor_is_not_missed() {
    for setup in SETUPS {
        let harness = Harness::new(Setup { sync_each: false, ..setup });
        harness.put(&key(1), &value(1, 100)).unwrap();
        harness.delete(&key(1)).unwrap();
        harness.cold.seal_active().unwrap();
        harness.compact_all().unwrap();
        // The note goes: nothing names the segment any more.
        harness.checkpoint().unwrap();
        harness.put(&key(2), &value(2, 100)).unwrap();
        let harness = harness.reopen(setup);
        assert_eq!((met(&harness), harness.damaged()), (0, 0));
    }
}
