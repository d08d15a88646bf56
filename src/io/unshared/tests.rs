use super::*;
use crate::io::fork;

fn null() -> Unshared {
    fork::watch().unwrap();
    Unshared::open(|| fs::File::open("/dev/null")).unwrap()
}

fn number(of: &Unshared) -> RawFd {
    of.with(|fd| fd).unwrap()
}

fn is_open(fd: RawFd) -> bool {
    // SAFETY: any number is fine for the call.
    unsafe { libc::fcntl(fd, libc::F_GETFD) >= 0 }
}

#[test]
fn a_child_has_no_copy_and_lends_none() {
    let ours: Vec<_> = (0..5).map(|_| null()).collect();
    let fds: Vec<_> = ours.iter().map(number).collect();
    // SAFETY: the child looks at descriptors and leaves without running any destructor.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let closed = fds.iter().all(|fd| !is_open(*fd));
        let lends = ours.iter().any(|unshared| unshared.with(|fd| fd).is_some());
        // SAFETY: always sound.
        unsafe { libc::_exit(if closed && !lends { 7 } else { 1 }) };
    }
    let mut status = 0;
    // SAFETY: the child is ours, and `status` is ours to write.
    unsafe { libc::waitpid(child, &raw mut status, 0) };
    assert_eq!(libc::WEXITSTATUS(status), 7);
    assert!(fds.iter().all(|fd| is_open(*fd)));
}

#[test]
fn what_cannot_be_opened_is_not_in_the_list() {
    fork::watch().unwrap();
    let failed = Unshared::open(|| fs::File::open("/nowhere/at/all"));
    assert!(failed.is_err());
    let opened = null();
    assert!(is_open(number(&opened)));
}
