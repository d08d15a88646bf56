use super::*;
use crate::io::scratch::Scratch;
use LockMode::{Exclusive, Shared};
use std::fs;

fn directory(scratch: &Scratch) -> Directory {
    Directory::open(scratch.path(), false).unwrap()
}

fn kind(outcome: Result<DirLock>) -> Option<ErrorKind> {
    outcome.err().map(|error| error.kind())
}

/// On a file system of this machine.
fn acquire(directory: &Directory, mode: LockMode) -> Result<DirLock> {
    DirLock::acquire_on(true, directory, mode, &|| Ok(()))
}

/// On one that machines share.
fn acquire_shared(directory: &Directory, mode: LockMode) -> Result<DirLock> {
    DirLock::acquire_on(false, directory, mode, &|| Ok(()))
}

/// As another machine does, which does not see the directory's lock.
fn acquire_far(directory: &Directory, mode: LockMode) -> Result<Option<LockedDescriptor>> {
    lock_file(directory, mode, &|| Ok(()))
}

/// A test whose grandchildren wait for the end of a pipe. One at a time: those of another one would
/// inherit the pipe, and each would wait for the other.
static PIPES: std::sync::Mutex<()> = std::sync::Mutex::new(());

/// Forks, runs `question` in the child, which then leaves without a trace, and returns its answer.
fn in_child(question: impl FnOnce() -> bool) -> bool {
    // SAFETY: the child uses memory, files and locks of its own only, and runs no destructor of
    // the parent's.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let answer = question();
        // SAFETY: always sound.
        unsafe { libc::_exit(if answer { 7 } else { 1 }) };
    }
    let mut status = 0;
    // SAFETY: the child is ours, and `status` is ours to write.
    unsafe { libc::waitpid(child, &raw mut status, 0) };
    libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 7
}

/// True if another process could take the lock.
fn free_elsewhere(scratch: &Scratch, mode: LockMode) -> bool {
    in_child(|| acquire(&directory(scratch), mode).is_ok())
}

#[test]
fn one_writer_within_a_process_also_by_another_path() {
    let scratch = Scratch::new();
    let held = acquire(&directory(&scratch), Exclusive).unwrap();
    let other_path = Directory::open(&scratch.path().join("."), false).unwrap();
    for mode in [Exclusive, Shared] {
        let error = acquire(&other_path, mode).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Locked);
        assert!(error.message().contains("this process has it open"), "{error}");
    }
    assert!(!free_elsewhere(&scratch, Shared), "a refused open must not give up the lock");
    drop(held);
    assert!(free_elsewhere(&scratch, Exclusive));
    assert_eq!(kind(acquire(&other_path, Exclusive)), None);
}

#[test]
fn readers_share_and_the_last_one_lets_go() {
    let scratch = Scratch::new();
    let first = acquire(&directory(&scratch), Shared).unwrap();
    let second = acquire(&directory(&scratch), Shared).unwrap();
    drop(first);
    assert_eq!(kind(acquire(&directory(&scratch), Exclusive)), Some(ErrorKind::Locked));
    assert!(free_elsewhere(&scratch, Shared));
    assert!(!free_elsewhere(&scratch, Exclusive), "the second reader must still hold the lock");
    drop(second);
    assert!(free_elsewhere(&scratch, Exclusive));
}

#[test]
fn the_message_names_the_process_that_has_it() {
    let scratch = Scratch::new();
    let _held = acquire(&directory(&scratch), Exclusive).unwrap();
    let holder = format!("process {} has it open", process::id());
    assert!(in_child(|| {
        let error = acquire(&directory(&scratch), Exclusive).unwrap_err();
        error.kind() == ErrorKind::Locked && error.message().contains(&holder)
    }));
}

#[test]
fn a_child_that_drops_its_copy_leaves_the_parents_lock_and_all_it_has_opened_since() {
    let scratch = Scratch::new();
    let held = acquire(&directory(&scratch), Exclusive).unwrap();
    let inherited = &raw const held;
    assert!(in_child(|| {
        // The lock's descriptor is closed in the child; these take its number.
        let since: Vec<_> = (0..3).map(|_| directory(&scratch)).collect();
        // SAFETY: the child leaves without dropping the original.
        drop(unsafe { inherited.read() });
        since.iter().all(|directory| calls::status_of(directory.file()).is_ok())
    }));
    assert!(!free_elsewhere(&scratch, Shared));
    assert_eq!(kind(acquire(&directory(&scratch), Exclusive)), Some(ErrorKind::Locked));
    drop(held);
    assert!(free_elsewhere(&scratch, Exclusive));
}

#[test]
fn a_child_that_drops_its_copy_keeps_a_lock_it_took_since() {
    let (scratch, other) = (Scratch::new(), Scratch::new());
    let held = acquire(&directory(&scratch), Exclusive).unwrap();
    let inherited = &raw const held;
    assert!(in_child(|| {
        let own = acquire(&directory(&other), Exclusive).unwrap();
        // SAFETY: the child leaves without dropping the original.
        drop(unsafe { inherited.read() });
        let again = kind(acquire(&directory(&other), Exclusive));
        drop(own);
        again == Some(ErrorKind::Locked)
    }));
}

#[test]
fn the_lock_dies_with_its_process_though_a_child_lives_on() {
    let _alone = PIPES.lock();
    let scratch = Scratch::new();
    let mut ends = [0; 2];
    // SAFETY: `ends` takes two descriptors.
    assert_eq!(unsafe { libc::pipe(ends.as_mut_ptr()) }, 0);
    assert!(in_child(|| {
        // Not dropped: the process ends with it.
        std::mem::forget(acquire(&directory(&scratch), Exclusive).unwrap());
        // SAFETY: the grandchild only waits on the pipe and leaves.
        unsafe {
            if libc::fork() == 0 {
                libc::close(ends[1]);
                libc::read(ends[0], [0_u8].as_mut_ptr().cast(), 1);
                libc::_exit(0);
            }
        }
        true
    }));
    assert!(free_elsewhere(&scratch, Exclusive));
    assert_eq!(kind(acquire(&directory(&scratch), Exclusive)), None);
    // SAFETY: both are ours; the grandchild ends when the writing end is closed.
    assert_eq!(unsafe { ends.map(|end| libc::close(end)) }, [0, 0]);
}

#[test]
fn a_child_can_take_locks_of_its_own() {
    let (ours, theirs) = (Scratch::new(), Scratch::new());
    let _held = acquire(&directory(&ours), Exclusive).unwrap();
    assert!(in_child(|| {
        let held = acquire(&directory(&theirs), Exclusive).unwrap();
        let again = acquire(&directory(&theirs), Exclusive);
        drop(held);
        kind(again) == Some(ErrorKind::Locked) && acquire(&directory(&theirs), Exclusive).is_ok()
    }));
}

/// Becomes somebody who may write nothing here; whoever is not root stays who they are.
fn become_nobody() {
    // SAFETY: always sound.
    unsafe { libc::seteuid(65534) };
}

fn set_access(scratch: &Scratch, mode: u32) {
    let rights = std::os::unix::fs::PermissionsExt::from_mode(mode);
    fs::set_permissions(scratch.path(), rights).unwrap();
}

#[test]
fn a_reader_that_may_not_write_is_kept_out_by_a_writer_and_keeps_it_out() {
    let scratch = Scratch::new();
    let unwritable = directory(&scratch);
    set_access(&scratch, 0o555);
    let held = acquire(&directory(&scratch), Exclusive).unwrap();
    let is_kept_out = in_child(|| {
        become_nobody();
        kind(acquire(&unwritable, Shared)) == Some(ErrorKind::Locked)
    });
    drop(held);
    let keeps_out = in_child(|| {
        let other = directory(&scratch);
        become_nobody();
        let first = acquire(&unwritable, Shared);
        let second = acquire(&unwritable, Shared);
        let both = first.is_ok() && second.is_ok();
        drop(first);
        both && kind(acquire(&other, Exclusive)) == Some(ErrorKind::Locked)
    });
    set_access(&scratch, 0o755);
    assert!(is_kept_out && keeps_out);
    assert_eq!(directory(&scratch).list().unwrap(), [""; 0], "a lock needs no file");
}

#[test]
fn nothing_that_happens_to_files_loses_the_lock() {
    let scratch = Scratch::new();
    let disk = directory(&scratch);
    fs::write(scratch.path().join(LOCK_FILE), "").unwrap();
    fs::write(scratch.path().join("a"), "a").unwrap();
    let _held = acquire(&disk, Exclusive).unwrap();
    for name in [LOCK_FILE, "a", "."] {
        drop(fs::File::open(scratch.path().join(name)).unwrap());
    }
    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 2);
    assert!(!free_elsewhere(&scratch, Shared), "after reading");
    disk.list().unwrap();
    for name in [LOCK_FILE, "a"] {
        fs::remove_file(scratch.path().join(name)).unwrap();
    }
    assert!(!free_elsewhere(&scratch, Shared), "after removing");
    assert_eq!(kind(acquire(&directory(&scratch), Shared)), Some(ErrorKind::Locked));
}

/// What a second copy of this library in the process does.
#[test]
fn whoever_asks_the_kernel_is_kept_out_within_the_process_too() {
    let scratch = Scratch::new();
    let other = fs::File::open(scratch.path()).unwrap();
    let held = acquire(&directory(&scratch), Shared).unwrap();
    let lock = |operation| flock(other.as_raw_fd(), operation | libc::LOCK_NB).is_ok();
    assert!(!lock(libc::LOCK_EX) && lock(libc::LOCK_SH));
    let error = acquire(&directory(&scratch), Exclusive).unwrap_err();
    assert!(error.message().contains("this process has it open"), "{error}");
    drop(held);
    assert_eq!(kind(acquire(&directory(&scratch), Exclusive)), Some(ErrorKind::Locked));
    assert!(lock(libc::LOCK_UN));
    assert_eq!(kind(acquire(&directory(&scratch), Exclusive)), None);
}

#[test]
fn where_machines_share_a_directory_its_file_is_locked_too() {
    let scratch = Scratch::new();
    let disk = directory(&scratch);
    let is_refused = |outcome: Result<Option<LockedDescriptor>>| {
        outcome.err().map(|error| error.kind()) == Some(ErrorKind::Locked)
    };
    let held = acquire_shared(&disk, Exclusive).unwrap();
    assert_eq!(kind(acquire(&disk, Shared)), Some(ErrorKind::Locked), "the directory is locked");
    assert!(is_refused(acquire_far(&disk, Exclusive)) && is_refused(acquire_far(&disk, Shared)));
    drop(held);
    let readers = [acquire_shared(&disk, Shared), acquire_shared(&disk, Shared)];
    assert!(readers.iter().all(Result::is_ok) && acquire_far(&disk, Shared).is_ok());
    assert!(is_refused(acquire_far(&disk, Exclusive)));
    drop(readers);
    let far = acquire_far(&disk, Exclusive).unwrap();
    assert_eq!(kind(acquire_shared(&disk, Shared)), Some(ErrorKind::Locked));
    drop(far);
    assert_eq!(kind(acquire_shared(&disk, Exclusive)), None);
    assert_eq!(fs::metadata(scratch.path().join(LOCK_FILE)).unwrap().len(), 0);
}

#[test]
fn a_lock_file_that_another_has_replaced_is_not_taken_for_the_lock() {
    let scratch = Scratch::new();
    let disk = directory(&scratch);
    let path = scratch.path().join(LOCK_FILE);
    // It loses its name between opening and locking, and another machine locks the new one.
    let far = std::cell::RefCell::new(None);
    let outcome = lock_file(&disk, Exclusive, &|| {
        far.replace(Some(acquire_far(&disk, Exclusive)?));
        Ok(())
    });
    assert_eq!(outcome.err().map(|error| error.kind()), Some(ErrorKind::Locked));
    drop(far.take());
    // One that lost its name after it was opened is locked in vain.
    let (stale, stale_id) = open_file(&disk, Exclusive, &|| Ok(())).unwrap();
    fs::remove_file(&path).unwrap();
    stale.with(|fd| set_lock(fd, libc::F_WRLCK)).unwrap().unwrap();
    let _held = acquire_far(&disk, Exclusive).unwrap().unwrap();
    assert!(disk.id_of(LOCK_FILE).unwrap().is_some_and(|id| id != stale_id));
}

#[test]
fn no_lock_file_is_made_where_none_may_be() {
    let scratch = Scratch::new();
    let disk = directory(&scratch);
    let refuse = || Err(Error::new(ErrorKind::InvalidArgument, "somebody else's"));
    for mode in [Exclusive, Shared] {
        let refused = DirLock::acquire_on(false, &disk, mode, &refuse);
        assert_eq!(kind(refused), Some(ErrorKind::InvalidArgument));
    }
    assert_eq!(disk.list().unwrap(), [""; 0]);
    assert!(free_elsewhere(&scratch, Exclusive));
}

#[test]
fn a_line_of_the_kernel_tells_the_process() {
    let id = (libc::makedev(0xfe, 0x01), 1234);
    let of = |line| process_of(line, id);
    assert_eq!(of("1: FLOCK  ADVISORY  WRITE 4711 fe:01:1234 0 EOF"), Some(4711));
    for other in [
        "1: FLOCK  ADVISORY  WRITE 4711 fe:02:1234 0 EOF",
        "1: FLOCK  ADVISORY  WRITE 4711 fe:01:1235 0 EOF",
        "1: FLOCK  ADVISORY  WRITE 0 fe:01:1234 0 EOF",
        "2: -> FLOCK  ADVISORY  WRITE 4711 fe:01:1234 0 EOF",
        "3: OFDLCK ADVISORY  WRITE -1 fe:01:1234 0 EOF",
        "nonsense",
        "",
    ] {
        assert_eq!(of(other), None, "{other}");
    }
}

/// A process takes the lock while another of its threads forks, and ends with it: none of its
/// children has it.
#[test]
fn a_fork_at_any_moment_leaves_no_lock_with_the_child() {
    let _alone = PIPES.lock();
    let scratch = Scratch::new();
    let mut ends = [0; 2];
    // SAFETY: `ends` takes two descriptors.
    assert_eq!(unsafe { libc::pipe(ends.as_mut_ptr()) }, 0);
    for round in 0..20 {
        assert!(in_child(|| {
            let path = scratch.path().to_owned();
            let taken = std::thread::spawn(move || {
                let disk = Directory::open(&path, false).unwrap();
                // Given back some times first, to meet the forks at all steps.
                (0..round * 3).for_each(|_| drop(acquire(&disk, Exclusive).unwrap()));
                std::mem::forget(acquire(&disk, Exclusive).unwrap());
            });
            for _ in 0..20 {
                // SAFETY: the grandchild only waits on the pipe and leaves.
                unsafe {
                    if libc::fork() == 0 {
                        libc::close(ends[1]);
                        libc::read(ends[0], [0_u8].as_mut_ptr().cast(), 1);
                        libc::_exit(0);
                    }
                }
            }
            taken.join().is_ok()
        }));
        assert!(free_elsewhere(&scratch, Exclusive), "in round {round}");
    }
    // SAFETY: both are ours; the grandchildren end when the writing end is closed.
    assert_eq!(unsafe { ends.map(|end| libc::close(end)) }, [0, 0]);
}

#[test]
fn of_many_threads_one_gets_the_lock() {
    let scratch = Scratch::new();
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let tries: Vec<_> =
            (0..8).map(|_| scope.spawn(|| acquire(&directory(&scratch), Exclusive))).collect();
        tries.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
}
