use super::*;
use crate::io::disk::Directory;
use crate::io::files::{Disk, File};
use crate::io::scratch::Scratch;
use std::cell::Cell;
use std::collections::BTreeSet;

/// A pool of its own, which the other tests of this process do not touch.
fn pool(bound: usize) -> PoolRef {
    let pool = Pool { bound, ..Pool::default() };
    Box::leak(Box::new(Owned { process_id: process::id(), value: Mutex::new(pool) }))
}

/// How many are open.
fn open_count(pool: PoolRef) -> usize {
    pool.value.lock().open.len()
}

/// Closes all that may be closed.
fn close_all(pool: PoolRef) {
    pool.value.lock().shrink_to(0);
}

/// A directory in a pool, with so many files that hold their own number and are synced.
fn numbered(scratch: &Scratch, pool: PoolRef, count: u8) -> (Directory, Vec<Arc<dyn File>>) {
    let disk = Directory::open_in(pool, scratch.path(), false).unwrap();
    let files = (0..count).map(|number| {
        let file = disk.create(&number.to_string()).unwrap();
        file.write_at(&[&[number; 10]], 0).unwrap();
        file.sync().unwrap();
        file
    });
    let files = files.collect();
    (disk, files)
}

fn number_in(file: &dyn File) -> u8 {
    let mut bytes = [0; 16];
    assert_eq!(file.read_at(&mut bytes, 0).unwrap(), 10);
    bytes[9]
}

#[test]
fn many_files_are_read_and_written_with_few_descriptors() {
    let (scratch, pool) = (Scratch::new(), pool(5));
    let (_disk, files) = numbered(&scratch, pool, 60);
    for round in 0..3 {
        for (number, file) in (0..).zip(&files) {
            assert_eq!(number_in(&**file), number + round);
            file.write_at(&[&[number + round + 1; 10]], 0).unwrap();
            file.sync().unwrap();
            assert!(open_count(pool) <= 5);
        }
    }
    drop(files);
    assert_eq!(open_count(pool), 0);
}

#[test]
fn threads_find_the_right_bytes_whoever_closes_their_files() {
    let (scratch, pool) = (Scratch::new(), pool(3));
    let (disk, files) = numbered(&scratch, pool, 40);
    std::thread::scope(|scope| {
        for thread in 0..6 {
            let files = &files;
            scope.spawn(move || {
                for step in 0..2_000 {
                    let index = (step * 7 + thread * 11) % files.len();
                    assert_eq!(usize::from(number_in(&*files[index])), index);
                }
            });
        }
        // Meanwhile half of them lose their names.
        for (number, file) in files.iter().enumerate().step_by(2) {
            file.keep().unwrap();
            disk.remove(&number.to_string()).unwrap();
        }
    });
}

#[test]
fn what_is_not_synced_keeps_its_descriptor() {
    let (scratch, pool) = (Scratch::new(), pool(2));
    let (disk, files) = numbered(&scratch, pool, 3);
    let file = disk.create("a").unwrap();
    for change in [0, 1, 2] {
        match change {
            0 => file.write_at(&[b"abc"], 0).unwrap(),
            1 => file.reserve(3, 100).unwrap(),
            _ => file.set_len(2).unwrap(),
        }
        assert!(files.iter().all(|file| number_in(&**file) < 3));
        close_all(pool);
        assert_eq!(open_count(pool), 1, "after change {change}");
        file.sync().unwrap();
        close_all(pool);
        assert_eq!(open_count(pool), 0, "after change {change} and a sync");
    }
}

#[test]
fn what_could_not_be_synced_keeps_its_descriptor() {
    let pool = pool(2);
    let device = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let full = Handle::new(pool, device, true);
    let reopen = |_| unreachable!("it is open");
    assert!(full.write(&reopen, |file| io::Write::write(&mut &*file, b"a")).is_err());
    assert!(full.sync(&reopen).is_err());
    close_all(pool);
    assert_eq!(open_count(pool), 1);
}

#[test]
fn a_file_that_was_told_to_outlives_its_name() {
    let (scratch, pool) = (Scratch::new(), pool(2));
    let (disk, files) = numbered(&scratch, pool, 2);
    close_all(pool);
    files[0].keep().unwrap();
    disk.remove("0").unwrap();
    disk.remove("1").unwrap();
    close_all(pool);
    assert_eq!(number_in(&*files[0]), 0);
    assert_eq!(files[1].read_at(&mut [0], 0).unwrap_err().os_code(), libc::ENOENT);
    assert_eq!(files[1].keep().unwrap_err().os_code(), libc::ENOENT);
}

#[test]
fn another_file_of_the_same_name_is_not_taken_for_it() {
    let (scratch, pool) = (Scratch::new(), pool(2));
    let (disk, files) = numbered(&scratch, pool, 2);
    close_all(pool);
    disk.rename("1", "0").unwrap();
    let error = files[0].read_at(&mut [0], 0).unwrap_err();
    let path = scratch.path().display();
    assert_eq!(error.message(), format!("read 0 in {path}: another file has this name now"));
}

#[test]
fn the_length_of_a_closed_file_is_told_without_opening_it() {
    let (scratch, pool) = (Scratch::new(), pool(2));
    let (_disk, files) = numbered(&scratch, pool, 2);
    close_all(pool);
    assert_eq!(files[0].len().unwrap(), 10);
    assert_eq!(open_count(pool), 0);
}

#[test]
fn a_file_that_is_opened_again_to_be_read_needs_no_right_to_write() {
    let (scratch, pool) = (Scratch::new(), pool(2));
    let (_disk, files) = numbered(&scratch, pool, 1);
    close_all(pool);
    assert_eq!(number_in(&*files[0]), 0);
    // Another way in, because these tests may run as root, whom rights do not stop.
    let is_read_only = |(_, descriptor): (&usize, &Arc<Descriptor>)| {
        matches!(*descriptor.state.read(), FileState::Open { writable: false, .. })
    };
    assert!(pool.value.lock().open.iter().all(is_read_only));
    files[0].write_at(&[&[7; 10]], 0).unwrap();
    assert_eq!((number_in(&*files[0]), open_count(pool)), (7, 1));
}

#[test]
fn what_was_used_since_the_hand_came_by_stays_open() {
    let (scratch, pool) = (Scratch::new(), pool(4));
    let (_disk, files) = numbered(&scratch, pool, 20);
    let mut reopened = 0;
    for file in &files[1..] {
        let open = || -> BTreeSet<_> {
            pool.value.lock().open.iter().map(|(address, _)| *address).collect()
        };
        let before = open();
        assert_eq!(number_in(&*files[0]), 0);
        reopened += usize::from(before != open());
        number_in(&**file);
    }
    assert!(reopened <= 2, "the file that is used all the time was opened {reopened} times");
}

#[test]
fn without_a_descriptor_left_some_are_closed_and_it_is_tried_once_more() {
    let (scratch, pool) = (Scratch::new(), pool(100));
    let (_disk, files) = numbered(&scratch, pool, 20);
    for code in [libc::EMFILE, libc::ENFILE] {
        let before = open_count(pool);
        let calls = Cell::new(0);
        let open = || {
            calls.set(calls.get() + 1);
            if calls.get() > 1 { Ok(()) } else { Err(io::Error::from_raw_os_error(code)) }
        };
        opened(pool, open).unwrap();
        assert_eq!((calls.get(), open_count(pool)), (2, before / 2));
    }
    let fails = || Err::<(), _>(io::Error::from_raw_os_error(libc::EMFILE));
    assert_eq!(opened(pool, fails).unwrap_err().raw_os_error(), Some(libc::EMFILE));
    assert!((0..).zip(&files).all(|(number, file)| number_in(&**file) == number));
}

#[test]
fn the_bound_is_a_share_of_what_the_process_may_have() {
    let limits = [0, 64, 1_024, 65_536, libc::RLIM_INFINITY];
    assert_eq!(limits.map(bound_under), [4, 16, 256, 1_024, 1_024]);
}
