use super::*;
use crate::error::ErrorKind;

fn contents(disk: &SimDisk, name: &str) -> Option<Vec<u8>> {
    disk.files().remove(name)
}

/// A disk with one durable file `a` of these bytes, and the file.
fn disk_with(bytes: &[u8]) -> (SimDisk, Arc<dyn File>) {
    let disk = SimDisk::from_files([("a".to_owned(), bytes.to_vec())].into());
    let file = disk.open("a", true).unwrap();
    (disk, file)
}

/// All that the file `a` can be after a crash, as far as 200 tosses show.
fn crashes(disk: &SimDisk) -> Vec<Option<Vec<u8>>> {
    let mut seen: Vec<_> = (0..200).map(|seed| contents(&disk.crash(coin(seed)), "a")).collect();
    seen.sort();
    seen.dedup();
    seen
}

#[test]
fn synced_bytes_and_names_survive_any_crash() {
    let disk = SimDisk::new();
    let file = disk.create("a").unwrap();
    file.write_at(&[b"ab", b"c"], 0).unwrap();
    file.sync().unwrap();
    disk.sync_names().unwrap();
    assert_eq!(crashes(&disk), [Some(b"abc".to_vec())]);
}

#[test]
fn without_a_sync_all_nothing_or_zeros_are_left() {
    let (disk, file) = disk_with(b"");
    file.write_at(&[b"abc"], 0).unwrap();
    assert_eq!(crashes(&disk), [Some(vec![]), Some(vec![0; 3]), Some(b"abc".to_vec())]);
    assert_eq!(contents(&disk.kill(), "a").unwrap(), b"abc");
}

#[test]
fn a_write_is_torn_at_sectors_in_any_combination() {
    let (disk, file) = disk_with(&[0; 1_536]);
    file.write_at(&[&[1; 1_024]], 256).unwrap();
    let seen = crashes(&disk);
    assert_eq!(seen.len(), 8);
    for bytes in seen.into_iter().flatten() {
        for sector in [256..512, 512..1_024, 1_024..1_280] {
            let first = bytes[sector.start];
            assert!(bytes[sector].iter().all(|byte| *byte == first));
        }
    }
}

#[test]
fn of_two_writes_the_later_may_survive_alone() {
    let (disk, file) = disk_with(&[b'.'; 1_024]);
    file.write_at(&[b"x"], 0).unwrap();
    file.write_at(&[b"y"], 512).unwrap();
    let seen = crashes(&disk).into_iter().flatten().map(|bytes| [bytes[0], bytes[512]]);
    assert_eq!(seen.collect::<Vec<_>>(), [*b"..", *b".y", *b"x.", *b"xy"]);
}

#[test]
fn within_a_sector_the_later_write_brings_the_earlier_one() {
    let (disk, file) = disk_with(b"..");
    file.write_at(&[b"x"], 0).unwrap();
    file.write_at(&[b"y"], 1).unwrap();
    let seen: Vec<_> = crashes(&disk).into_iter().flatten().collect();
    assert_eq!(seen, [b"..", b"x.", b"xy"]);
}

#[test]
fn a_length_survives_or_not() {
    let (disk, file) = disk_with(b"abcd");
    file.set_len(2).unwrap();
    assert_eq!(file.len().unwrap(), 2);
    assert_eq!(crashes(&disk), [Some(b"ab".to_vec()), Some(b"abcd".to_vec())]);
}

#[test]
fn names_that_are_not_synced_may_be_there_or_not() {
    let (disk, _) = disk_with(b"old");
    let file = disk.create("b").unwrap();
    file.write_at(&[b"new"], 0).unwrap();
    file.sync().unwrap();
    disk.rename("b", "a").unwrap();
    assert_eq!(disk.files().len(), 1);
    assert_eq!(crashes(&disk), [Some(b"new".to_vec()), Some(b"old".to_vec())]);
    disk.sync_names().unwrap();
    assert_eq!(crashes(&disk), [Some(b"new".to_vec())]);
    disk.remove("a").unwrap();
    assert_eq!(crashes(&disk), [None, Some(b"new".to_vec())]);
}

#[test]
fn a_killed_process_loses_nothing_but_power_may_go_afterwards() {
    let (disk, file) = disk_with(b"");
    file.write_at(&[b"abc"], 0).unwrap();
    disk.stop_after(0);
    let next = disk.kill();
    assert_eq!(contents(&next, "a").unwrap(), b"abc");
    assert!(crashes(&next).len() > 1);
    next.open("a", true).unwrap().sync().unwrap();
    assert_eq!(crashes(&next), [Some(b"abc".to_vec())]);
    assert!(crashes(&disk).len() > 1);
}

#[test]
fn after_a_failed_sync_its_bytes_stay_uncertain() {
    let (disk, file) = disk_with(&[b'.'; 1_024]);
    file.write_at(&[b"x"], 0).unwrap();
    disk.fail_sync_once();
    assert_eq!(file.sync().unwrap_err().os_code(), libc::EIO);
    file.write_at(&[b"y"], 512).unwrap();
    file.sync().unwrap();
    let seen = crashes(&disk).into_iter().flatten().map(|bytes| [bytes[0], bytes[512]]);
    assert_eq!(seen.collect::<Vec<_>>(), [*b".y", *b"xy"]);
}

#[test]
fn the_nth_operation_fails_and_no_other() {
    let (disk, file) = disk_with(b"");
    disk.fail_nth(Op::Write, 2, libc::ENOSPC);
    file.write_at(&[b"abcd"], 0).unwrap();
    let error = file.write_at(&[b"ef", b"gh"], 4).unwrap_err();
    assert_eq!((error.kind(), error.os_code()), (ErrorKind::NoSpace, libc::ENOSPC));
    assert_eq!(contents(&disk, "a").unwrap(), b"abcdef");
    file.write_at(&[b"!"], 4).unwrap();
    assert_eq!(disk.count(Op::Write), 3);
    for op in [Op::Open, Op::Create, Op::List, Op::Rename, Op::Remove, Op::SyncNames] {
        disk.fail_nth(op, 1, libc::EIO);
    }
    assert!(disk.open("a", false).is_err() && disk.create("b").is_err() && disk.list().is_err());
    assert!(disk.rename("a", "b").is_err() && disk.remove("a").is_err());
    assert!(disk.sync_names().is_err());
    for op in [Op::Read, Op::Len, Op::SetLen] {
        disk.fail_nth(op, 1, libc::EIO);
    }
    assert!(file.read_at(&mut [0], 0).is_err() && file.len().is_err() && file.set_len(0).is_err());
    assert_eq!(contents(&disk, "a").unwrap(), b"abcd!f");
}

#[test]
fn a_stopped_disk_does_nothing_more_but_half_of_one_write() {
    let (disk, file) = disk_with(b"");
    assert_eq!(disk.changes(), 0);
    file.write_at(&[b"a"], 0).unwrap();
    disk.stop_after(1);
    file.write_at(&[b"b"], 1).unwrap();
    assert_eq!(file.read_at(&mut [0], 0).unwrap(), 1);
    assert!(file.write_at(&[b"cd"], 2).is_err());
    assert!(file.read_at(&mut [0], 0).is_err());
    assert!(file.write_at(&[b"ef"], 3).is_err());
    assert!(file.set_len(0).is_err() && disk.remove("a").is_err());
    assert_eq!(contents(&disk, "a").unwrap(), b"abc");
    assert_eq!(disk.changes(), 6);
}

#[test]
fn a_full_disk_takes_what_fits_and_goes_on_when_there_is_room() {
    let (disk, file) = disk_with(b"abcd");
    disk.create("b").unwrap().write_at(&[b"123456"], 0).unwrap();
    disk.fill_disk(Some(3));
    let error = file.write_at(&[b"efghij"], 4).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSpace);
    assert_eq!(contents(&disk, "a").unwrap(), b"abcdefg");
    file.write_at(&[b"ABCDEFG"], 0).unwrap();
    assert!(file.write_at(&[b"h"], 7).is_err());
    file.set_len(6).unwrap();
    disk.remove("b").unwrap();
    file.write_at(&[b"ghijklm"], 6).unwrap();
    assert!(file.write_at(&[b"n"], 13).is_err());
    disk.fill_disk(None);
    file.write_at(&[b"n"], 13).unwrap();
}

#[test]
fn damage_shows_and_is_durable() {
    let (disk, file) = disk_with(b"abcd");
    disk.flip("a", 1, 0x20);
    disk.cut("a", 3);
    let mut bytes = [0; 8];
    assert_eq!(file.read_at(&mut bytes, 0).unwrap(), 3);
    assert_eq!(&bytes[..3], b"aBc");
    assert_eq!(crashes(&disk), [Some(b"aBc".to_vec())]);
}

#[test]
fn a_file_without_a_name_is_read_if_it_was_kept_or_is_not_synced() {
    let (disk, file) = disk_with(b"abcd");
    disk.remove("a").unwrap();
    let mut bytes = [0; 4];
    assert_eq!(file.read_at(&mut bytes, 0).unwrap_err().os_code(), libc::ENOENT);
    assert_eq!(file.write_at(&[b"x"], 0).unwrap_err().os_code(), libc::ENOENT);
    assert_eq!(file.sync().unwrap_err().os_code(), libc::ENOENT);
    assert_eq!(file.keep().unwrap_err().os_code(), libc::ENOENT);
    let file = disk.create("b").unwrap();
    file.write_at(&[b"abcd"], 0).unwrap();
    disk.remove("b").unwrap();
    assert_eq!(file.read_at(&mut bytes, 0).unwrap(), 4);
    file.sync().unwrap();
    assert!(file.read_at(&mut bytes, 0).is_err());
}

#[test]
fn a_kept_file_outlives_its_name_and_is_forgotten_then() {
    let (disk, file) = disk_with(b"abcd");
    file.keep().unwrap();
    disk.remove("a").unwrap();
    disk.sync_names().unwrap();
    let mut bytes = [0; 4];
    assert_eq!(file.read_at(&mut bytes, 0).unwrap(), 4);
    drop(file);
    assert!(disk.state.lock().inodes.is_empty());
}

#[test]
fn it_refuses_what_a_real_disk_refuses() {
    let (disk, _) = disk_with(b"");
    assert_eq!(disk.open("b", false).err().unwrap().os_code(), libc::ENOENT);
    assert_eq!(disk.remove("b").unwrap_err().os_code(), libc::ENOENT);
    assert_eq!(disk.rename("b", "c").unwrap_err().os_code(), libc::ENOENT);
    assert_eq!(disk.create("a").err().unwrap().os_code(), libc::EEXIST);
    let file = disk.open("a", false).unwrap();
    assert_eq!(file.write_at(&[b"x"], 0).unwrap_err().os_code(), libc::EBADF);
    assert!(file.set_len(1).is_err());
    let file = disk.open("a", true).unwrap();
    assert_eq!(file.write_at(&[b"x"], u64::MAX).unwrap_err().os_code(), libc::EFBIG);
    assert_eq!(contents(&disk, "a").unwrap(), b"");
}

#[test]
fn a_disk_is_shared_by_threads() {
    fn shared(_: Arc<dyn Disk>) {}
    let (disk, file) = disk_with(b"");
    shared(Arc::new(disk.clone()));
    std::thread::scope(|scope| {
        for thread in 0..8_u8 {
            let file = &file;
            scope.spawn(move || file.write_at(&[&[thread; 100]], u64::from(thread) * 100).unwrap());
        }
    });
    assert_eq!(contents(&disk, "a").unwrap().len(), 800);
}
