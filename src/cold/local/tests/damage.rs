//! Bytes on the disk are changed, in one file or in two at once.

use super::harness::{Harness, Model, SETUPS, Setup, new_disk, without};
use super::script::{Dice, after, run, script};
use crate::codec::checkpoint::{HEAD_BYTES, ROW_BYTES};
use crate::codec::checksum::checksum;
use crate::cold::local::tests::script::keys;
use crate::cold::{Change, Current};
use crate::error::ErrorKind;
use crate::io::clock::ManualClock;
use crate::io::sim::SimDisk;
use crate::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// All values that each key ever had.
type Past = BTreeMap<Vec<u8>, BTreeSet<Vec<u8>>>;

/// A store of a few segments with a checkpoint in the middle: what it holds, and the past.
fn new_store(setup: Setup, seed: u64) -> (Harness, Model, Past) {
    let clock = Arc::new(ManualClock::at(Timestamp(1_000)));
    let harness = Harness::open(&new_disk(), &clock, setup).unwrap();
    let (mut model, mut past) = (Model::new(), Past::new());
    let mut tag = 0;
    for part in 0..3 {
        for step in script(&mut Dice::new(seed * 3 + part), 12, &mut tag) {
            model = after(&harness, &step, &model);
            run(&harness, &step).unwrap();
            for (key, (value, _)) in &model {
                past.entry(key.clone()).or_default().insert(value.clone());
            }
        }
        if part == 1 {
            harness.checkpoint().unwrap();
        }
    }
    let model = harness.alive(&model);
    (harness, model, past)
}

/// Its disk, with everything in the files.
fn small_store(setup: Setup, seed: u64) -> (SimDisk, Arc<ManualClock>, Model, Past) {
    let (harness, model, past) = new_store(setup, seed);
    harness.sync(true).unwrap();
    (harness.disk.kill(), harness.clock.clone(), model, past)
}

/// Opens the disk and looks at all keys: none has a value that it never had. Gives how many do not
/// have the newest.
fn look(
    disk: &SimDisk,
    clock: &Arc<ManualClock>,
    setup: Setup,
    model: &Model,
    past: &Past,
) -> usize {
    let harness = Harness::open(disk, clock, setup).unwrap();
    let mut wrong = 0;
    for key in keys() {
        match harness.get(&key) {
            Ok(found) => {
                wrong += usize::from(found.as_ref() != model.get(&key));
                if let Some((value, _)) = found {
                    assert!(past[&key].contains(&value), "a value that was never stored");
                }
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
                wrong += 1;
            }
        }
    }
    // Whatever is damaged can be stored again, and then all is well.
    if wrong > 0 {
        for key in keys() {
            harness.put(&key, b"new").unwrap();
        }
        harness.cold.seal_active().unwrap();
        harness.compact_all().unwrap();
        let harness = harness.reopen(setup);
        assert!(keys().iter().all(|key| harness.get(key).unwrap().unwrap().0 == b"new"));
    }
    wrong
}

fn segments(disk: &SimDisk) -> Vec<(String, usize)> {
    let files = disk.files().into_iter().filter(|(name, _)| name.ends_with(".seg"));
    files.map(|(name, bytes)| (name, bytes.len())).collect()
}

#[test]
fn a_flipped_byte_costs_one_key_also_when_the_keydir_is_made_anew() {
    for (seed, setup) in (0..).zip(SETUPS) {
        let (disk, clock, model, past) = small_store(setup, seed);
        for base in [disk.clone(), without(&disk, "CHECKPOINT"), without(&disk, "MANIFEST")] {
            for (name, len) in segments(&base) {
                for at in (0..len).step_by(3) {
                    let disk = base.kill();
                    disk.flip(&name, at, 0x41);
                    let wrong = look(&disk, &clock, setup, &model, &past);
                    assert!(wrong <= 1, "{setup:?} {name} byte {at}: {wrong} keys");
                }
            }
        }
    }
}

/// It said that the key is gone, the sweep believed it, and then the key was.
/// The header's checksum is right, and its length goes over the records behind it.
#[test]
fn a_length_that_lies_costs_one_key_with_a_checkpoint_and_without() {
    use super::harness::{key, value};
    use crate::codec::record::{Header, Place};
    for (setup, lie) in SETUPS.into_iter().flat_map(|s| [(s, 40), (s, 500), (s, 1 << 30)]) {
        let harness = Harness::new(Setup { segment_bytes_max: 1 << 20, ..setup });
        (0..10).for_each(|i| drop(harness.put(&key(i), &value(i, 200)).unwrap()));
        harness.checkpoint().unwrap();
        let shards = harness.cold.keydir.lock_all();
        let places = shards.iter().flat_map(|shard| shard.iter());
        let mut offsets: Vec<_> = places.map(|(_, location)| location.offset()).collect();
        drop(shards);
        offsets.sort_unstable();
        let (segment, clock) = (harness.cold.segments.all()[0].clone(), harness.clock.clone());
        let place = Place { segment: segment.id(), offset: offsets[3] };
        harness.sync(false).unwrap();
        let mut files = harness.disk.kill().files();
        let bytes = files.get_mut(&segment.name()).unwrap();
        let at = usize::try_from(place.offset).unwrap();
        let header = Header::decode(&bytes[at..], place).unwrap();
        let header = Header { stored_len: header.stored_len + lie, ..header };
        bytes[at..at + 32].copy_from_slice(&header.encode(place));
        let disk = SimDisk::from_files(files);
        for disk in [disk.clone(), without(&disk, "CHECKPOINT")] {
            let harness = Harness::open(&disk, &clock, setup).unwrap();
            let is_lost = |i: &u64| match harness.get(&key(*i)) {
                Ok(found) => found.map(|(value, _)| value) != Some(value(*i, 200)),
                Err(_) => true,
            };
            assert_eq!((0..10).filter(is_lost).count(), 1, "{setup:?}, {lie} more");
            harness.cold.seal_active().unwrap();
            harness.compact_all().unwrap();
            assert_eq!((0..10).filter(is_lost).count(), 1, "{setup:?}, {lie} more, compacted");
        }
    }
}

#[test]
fn a_damaged_expiry_is_believed_by_nobody() {
    for len in [20, 700, 200_000] {
        for at in 0..8 {
            let harness = Harness::new(SETUPS[0]);
            let (key, until) = (super::harness::key(1), 0x0100_0000);
            harness.write(&[(key.clone(), Some((super::harness::value(1, len), until)))]).unwrap();
            harness.put(b"other", b"value").unwrap();
            harness.cold.seal_active().unwrap();
            harness.sync(false).unwrap();
            harness.disk.flip("000001.seg", 64 + 32 + at, 0xff);
            let story = format!("{len} bytes, byte {at}");
            is_corrupt(&harness, &key, &story);
            while harness.sweep_next().unwrap() {}
            is_corrupt(&harness, &key, &story);
            let (disk, clock) =
                (without(&harness.disk.kill(), "CHECKPOINT"), harness.clock.clone());
            let harness = Harness::open(&disk, &clock, SETUPS[0]).unwrap();
            clock.set(i64::try_from(until).unwrap() + 1);
            while harness.sweep_next().unwrap() {}
            is_corrupt(&harness, &key, &story);
            harness.compact_all().unwrap();
            is_corrupt(&harness, &key, &story);
            let harness = harness.reopen(SETUPS[0]);
            is_corrupt(&harness, &key, &story);
            assert_eq!(harness.get(b"other").unwrap().unwrap().0, b"value");
            harness.delete(&key).unwrap();
            assert!(harness.get(&key).unwrap().is_none());
        }
    }
}

/// Whoever asks for the key is told that it is damaged.
fn is_corrupt(harness: &Harness, key: &[u8], story: &str) {
    let hashed = harness.cold.hasher().key(key).unwrap();
    let read = harness.cold.read(&hashed).err().map(|error| error.kind());
    let expiry = harness.cold.read_expiry(&hashed).err().map(|error| error.kind());
    assert_eq!((read, expiry), (Some(ErrorKind::Corrupt), Some(ErrorKind::Corrupt)), "{story}");
    let mut change = Change::new(hashed, None, 0);
    harness.cold.look(&mut change, false);
    assert_eq!(change.current, Current::Damaged, "{story}");
}

/// It has not expired for anybody but those who read it: the record of a long value was not swept
/// once it had been met without a checkpoint.
#[test]
fn a_long_value_that_expires_is_swept_after_the_keydir_was_made_anew() {
    let harness = Harness::new(SETUPS[0]);
    let long = super::harness::value(1, (65 << 20) - 100);
    harness.write(&[(b"long".to_vec(), Some((long, 2_000)))]).unwrap();
    harness.write(&[(b"short".to_vec(), Some((b"value".to_vec(), 2_000)))]).unwrap();
    let harness = harness.reopen(SETUPS[0]);
    assert_eq!(harness.cold.gauges().entries, 2);
    harness.clock.set(2_000);
    while harness.sweep_next().unwrap() {}
    assert_eq!(harness.cold.gauges().entries, 0);
}

#[test]
fn a_flipped_byte_of_the_stage_costs_one_key_at_most() {
    let setup = SETUPS[0];
    let mut staged = 0;
    for seed in 0..4 {
        let (harness, model, past) = new_store(setup, seed);
        let (disk, clock) = (harness.disk.kill(), harness.clock.clone());
        drop(harness);
        assert_eq!(look(&disk.kill(), &clock, setup, &model, &past), 0);
        let bytes = disk.files()["STAGE"].clone();
        let used = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
        for at in (0..32).chain((4096..used).step_by(5)) {
            let disk = disk.kill();
            disk.flip("STAGE", at, 0x41);
            let wrong = look(&disk, &clock, setup, &model, &past);
            assert!(wrong <= 1, "seed {seed}, byte {at}: {wrong} keys");
        }
        staged += look(&without(&disk, "STAGE"), &clock, setup, &model, &past);
    }
    // It has what is there no other way: otherwise the flips would tell nothing.
    assert!(staged > 0);
}

#[test]
fn a_newer_format_of_any_file_is_refused_and_all_are_left_alone() {
    let (harness, ..) = new_store(SETUPS[0], 1);
    harness.put(b"staged", b"and not in the segment yet").unwrap();
    // The bytes that the first checksum of each covers.
    let rows = usize::from(harness.disk.files()["CHECKPOINT"][64]);
    let head = HEAD_BYTES + rows * ROW_BYTES;
    for (name, covered) in [("STAGE", 4..16), ("MANIFEST", 4..48), ("CHECKPOINT", 4..head)] {
        let mut files = harness.disk.kill().files();
        let file = files.get_mut(name).unwrap();
        file[12] = 2;
        let sum = checksum(&[&file[covered]]);
        file[..4].copy_from_slice(&sum.to_le_bytes());
        let disk = SimDisk::from_files(files.clone());
        for read_only in [false, true] {
            let error =
                Harness::open_with(&disk, &harness.clock, SETUPS[0], read_only).err().unwrap();
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{name}");
            assert_eq!(disk.files(), files, "{name}");
        }
    }
}

#[test]
fn derived_files_that_are_damaged_together_cost_nothing() {
    for (seed, setup) in (2..).zip(SETUPS) {
        let (disk, clock, model, past) = small_store(setup, seed);
        let len = disk.files()["CHECKPOINT"].len();
        for at in 0..len {
            let disk = disk.kill();
            disk.flip("CHECKPOINT", at, 0xff);
            disk.flip("MANIFEST", at % 48, 0xff);
            assert_eq!(look(&disk, &clock, setup, &model, &past), 0, "byte {at}");
            disk.cut("CHECKPOINT", at);
            assert_eq!(look(&disk, &clock, setup, &model, &past), 0, "cut at {at}");
        }
    }
}

#[test]
fn sequences_go_on_when_the_manifest_is_lost() {
    for setup in SETUPS {
        let mut harness = Harness::new(setup);
        let mut last = 0;
        for round in 0..30_u64 {
            let key = super::harness::key(round % 3);
            let made = if round % 4 == 3 { harness.delete(&key) } else { harness.put(&key, b"v") };
            for version in made.unwrap() {
                assert!(version > last, "{version} after {last}");
                last = version;
            }
            if round % 5 == 0 {
                harness.cold.seal_active().unwrap();
                harness.compact_all().unwrap();
                harness.checkpoint().unwrap();
            }
            let name = ["MANIFEST", "CHECKPOINT", "none"][usize::try_from(round % 3).unwrap()];
            harness = Harness::open(&without(&harness.disk, name), &harness.clock, setup).unwrap();
        }
    }
}
