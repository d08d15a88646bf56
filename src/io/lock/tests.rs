use super::*;
use crate::io::scratch::Scratch;
use LockMode::{Exclusive, Shared};

fn directory(scratch: &Scratch) -> Directory {
    Directory::open(scratch.path(), false).unwrap()
}

fn kind(outcome: Result<DirLock>) -> Option<ErrorKind> {
    outcome.err().map(|error| error.kind())
}

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
    in_child(|| DirLock::acquire(&directory(scratch), mode).is_ok())
}

#[test]
fn one_writer_within_a_process_also_by_another_path() {
    let scratch = Scratch::new();
    let held = DirLock::acquire(&directory(&scratch), Exclusive).unwrap();
    let other_path = Directory::open(&scratch.path().join("."), false).unwrap();
    for mode in [Exclusive, Shared] {
        let error = DirLock::acquire(&other_path, mode).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Locked);
        assert!(error.message().contains("this process has it open"), "{error}");
    }
    assert!(!free_elsewhere(&scratch, Shared), "a refused open must not give up the lock");
    drop(held);
    assert!(free_elsewhere(&scratch, Exclusive));
    assert_eq!(kind(DirLock::acquire(&other_path, Exclusive)), None);
}

#[test]
fn readers_share_and_the_last_one_lets_go() {
    let scratch = Scratch::new();
    let first = DirLock::acquire(&directory(&scratch), Shared).unwrap();
    let second = DirLock::acquire(&directory(&scratch), Shared).unwrap();
    drop(first);
    assert_eq!(kind(DirLock::acquire(&directory(&scratch), Exclusive)), Some(ErrorKind::Locked));
    assert!(free_elsewhere(&scratch, Shared));
    assert!(!free_elsewhere(&scratch, Exclusive), "the second reader must still hold the lock");
    drop(second);
    assert!(free_elsewhere(&scratch, Exclusive));
}

#[test]
fn the_message_names_the_process_that_has_it() {
    let scratch = Scratch::new();
    let _held = DirLock::acquire(&directory(&scratch), Exclusive).unwrap();
    let holder = format!("process {} has it open", process::id());
    assert!(in_child(|| {
        let error = DirLock::acquire(&directory(&scratch), Exclusive).unwrap_err();
        error.kind() == ErrorKind::Locked && error.message().contains(&holder)
    }));
}

#[test]
fn a_child_that_drops_its_copy_leaves_the_parents_lock() {
    let scratch = Scratch::new();
    let held = DirLock::acquire(&directory(&scratch), Exclusive).unwrap();
    let (id, process_id) = (held.id, held.process_id);
    assert!(in_child(|| {
        drop(DirLock { id, process_id });
        true
    }));
    assert!(!free_elsewhere(&scratch, Shared));
    assert_eq!(kind(DirLock::acquire(&directory(&scratch), Exclusive)), Some(ErrorKind::Locked));
}

#[test]
fn a_child_that_drops_its_copy_keeps_a_lock_it_took_since() {
    let scratch = Scratch::new();
    let held = DirLock::acquire(&directory(&scratch), Exclusive).unwrap();
    let (id, process_id) = (held.id, held.process_id);
    drop(held);
    assert!(in_child(|| {
        let own = DirLock::acquire(&directory(&scratch), Exclusive).unwrap();
        drop(DirLock { id, process_id });
        let again = kind(DirLock::acquire(&directory(&scratch), Exclusive));
        drop(own);
        again == Some(ErrorKind::Locked)
    }));
}

#[test]
fn the_lock_dies_with_its_process_though_a_child_lives_on() {
    let scratch = Scratch::new();
    let mut ends = [0; 2];
    // SAFETY: `ends` takes two descriptors.
    assert_eq!(unsafe { libc::pipe(ends.as_mut_ptr()) }, 0);
    assert!(in_child(|| {
        let _held = DirLock::acquire(&directory(&scratch), Exclusive).unwrap();
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
    assert_eq!(kind(DirLock::acquire(&directory(&scratch), Exclusive)), None);
    // SAFETY: both are ours; the grandchild ends when the writing end is closed.
    assert_eq!(unsafe { ends.map(|end| libc::close(end)) }, [0, 0]);
}

#[test]
fn a_child_can_take_locks_of_its_own() {
    let (ours, theirs) = (Scratch::new(), Scratch::new());
    let _held = DirLock::acquire(&directory(&ours), Exclusive).unwrap();
    assert!(in_child(|| {
        let held = DirLock::acquire(&directory(&theirs), Exclusive).unwrap();
        let again = DirLock::acquire(&directory(&theirs), Exclusive);
        drop(held);
        kind(again) == Some(ErrorKind::Locked)
            && DirLock::acquire(&directory(&theirs), Exclusive).is_ok()
    }));
}

#[test]
fn readers_do_without_a_lock_file_where_none_can_be_made() {
    let scratch = Scratch::new();
    let unwritable = directory(&scratch);
    let access = |mode| {
        let rights = std::os::unix::fs::PermissionsExt::from_mode(mode);
        fs::set_permissions(scratch.path(), rights).unwrap();
    };
    access(0o555);
    let ok = in_child(|| {
        // SAFETY: always sound. Root could write all the same, so it becomes somebody else;
        // whoever is not root stays who they are.
        unsafe { libc::seteuid(65534) };
        let refused = kind(DirLock::acquire(&unwritable, Exclusive)) == Some(ErrorKind::Io);
        let first = DirLock::acquire(&unwritable, Shared);
        let second = DirLock::acquire(&unwritable, Shared);
        let both = first.is_ok() && second.is_ok();
        drop(first);
        let kept_out = kind(DirLock::acquire(&unwritable, Exclusive)) == Some(ErrorKind::Locked);
        refused && both && kept_out
    });
    access(0o755);
    assert!(ok);
}

#[test]
fn of_many_threads_one_gets_the_lock() {
    let scratch = Scratch::new();
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let tries: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| DirLock::acquire(&directory(&scratch), Exclusive)))
            .collect();
        tries.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
}
