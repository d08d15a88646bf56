#![expect(unsafe_code, reason = "fcntl and mkfifo")]

use super::*;
use crate::io::scratch::Scratch;
use std::os::unix::fs::PermissionsExt;

fn directory(scratch: &Scratch) -> Directory {
    Directory::open(scratch.path(), false).unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn missing_parents_are_made_for_the_owner_only() {
    let scratch = Scratch::new();
    let path = scratch.path().join("a/b/c");
    Directory::open(&path, true).unwrap();
    Directory::open(&path, true).unwrap();
    for made in ["a", "a/b", "a/b/c"] {
        assert_eq!(mode(&scratch.path().join(made)), 0o700);
    }
}

#[test]
fn a_deep_path_is_made_on_a_small_stack() {
    let scratch = Scratch::new();
    let deep = scratch.path().join(["d"; 400].join("/"));
    let builder = std::thread::Builder::new().stack_size(48 << 10);
    std::thread::scope(|scope| {
        let made = builder.spawn_scoped(scope, || Directory::open(&deep, true).is_ok());
        assert!(made.unwrap().join().unwrap());
    });
    assert_eq!(mode(&deep), 0o700);
}

#[test]
fn a_missing_directory_is_not_made_unless_asked_for() {
    let scratch = Scratch::new();
    let path = scratch.path().join("a");
    let error = Directory::open(&path, false).err().unwrap();
    assert_eq!((error.kind(), error.os_code()), (ErrorKind::Io, libc::ENOENT));
    assert!(error.message().contains("create=true"), "{error}");
    assert!(!path.exists());
}

#[test]
fn a_file_is_no_directory() {
    let scratch = Scratch::new();
    let path = scratch.path().join("file");
    fs::write(&path, "").unwrap();
    for create in [false, true] {
        let error = Directory::open(&path, create).err().unwrap();
        assert_eq!((error.kind(), error.os_code()), (ErrorKind::Io, libc::ENOTDIR));
    }
}

#[test]
fn what_is_written_is_read_by_every_descriptor() {
    let scratch = Scratch::new();
    let disk = directory(&scratch);
    let file = disk.create("a").unwrap();
    file.write_at(&[b"0123456789"], 0).unwrap();
    file.write_at(&[b"", b"ab", b"", b"c", b""], 4).unwrap();
    file.sync().unwrap();
    disk.sync_names().unwrap();

    let again = disk.open("a", false).unwrap();
    let mut bytes = [0; 16];
    assert_eq!(again.read_at(&mut bytes, 2).unwrap(), 8);
    assert_eq!(&bytes[..8], b"23abc789");
    assert_eq!(again.read_at(&mut bytes, 10).unwrap(), 0);
    assert_eq!(again.len().unwrap(), 10);
    assert_eq!(again.path(), scratch.path().join("a"));
}

#[test]
fn more_parts_than_one_call_takes_are_all_written_in_order() {
    let scratch = Scratch::new();
    let file = directory(&scratch).create("a").unwrap();
    let numbers: Vec<[u8; 4]> = (0..5_000_u32).map(u32::to_le_bytes).collect();
    let parts: Vec<&[u8]> =
        numbers.iter().flat_map(|number| [&number[..1], &number[1..]]).collect();
    file.write_at(&parts, 3).unwrap();
    let mut bytes = vec![0; 20_003];
    assert_eq!(file.read_at(&mut bytes, 0).unwrap(), bytes.len());
    assert_eq!(bytes[3..], numbers.concat());
}

#[test]
fn nothing_to_write_is_written_without_complaint() {
    let scratch = Scratch::new();
    let file = directory(&scratch).create("a").unwrap();
    file.write_at(&[], 0).unwrap();
    file.write_at(&[b""], 5).unwrap();
    assert_eq!(file.len().unwrap(), 0);
}

#[test]
fn a_length_is_cut_and_extended_with_zeros() {
    let scratch = Scratch::new();
    let file = directory(&scratch).create("a").unwrap();
    file.write_at(&[b"abcdef"], 0).unwrap();
    file.set_len(2).unwrap();
    file.set_len(4).unwrap();
    let mut bytes = [1; 8];
    assert_eq!(file.read_at(&mut bytes, 0).unwrap(), 4);
    assert_eq!(&bytes[..4], b"ab\0\0");
}

#[test]
fn files_are_their_owners_and_a_taken_name_stays() {
    let scratch = Scratch::new();
    let disk = directory(&scratch);
    disk.create("a").unwrap().write_at(&[b"kept"], 0).unwrap();
    assert_eq!(mode(&scratch.path().join("a")), 0o600);
    let error = disk.create("a").err().unwrap();
    assert_eq!((error.kind(), error.os_code()), (ErrorKind::Io, libc::EEXIST));
    assert_eq!(fs::read(scratch.path().join("a")).unwrap(), b"kept");
}

#[test]
fn names_are_renamed_removed_and_listed() {
    let scratch = Scratch::new();
    let disk = directory(&scratch);
    fs::create_dir(scratch.path().join("folder")).unwrap();
    for name in ["a", "b", "c"] {
        disk.create(name).unwrap().write_at(&[name.as_bytes()], 0).unwrap();
    }
    let open = disk.open("c", false).unwrap();
    open.keep().unwrap();
    disk.rename("a", "b").unwrap();
    disk.remove("c").unwrap();
    fs::create_dir(scratch.path().join(LOST_AND_FOUND)).unwrap();
    for _ in 0..2 {
        let mut names = disk.list().unwrap();
        names.sort();
        assert_eq!(names, ["b", "folder"]);
    }
    assert_eq!(fs::read(scratch.path().join("b")).unwrap(), b"a");

    let mut bytes = [0; 1];
    assert_eq!(open.read_at(&mut bytes, 0).unwrap(), 1);
    assert_eq!(&bytes, b"c");
    for error in [disk.remove("c").err(), disk.rename("c", "d").err(), disk.open("c", true).err()] {
        assert_eq!(error.unwrap().os_code(), libc::ENOENT);
    }
}

#[test]
fn a_directory_that_is_renamed_stays_the_same() {
    let scratch = Scratch::new();
    let disk = Directory::open(&scratch.path().join("old"), true).unwrap();
    fs::rename(scratch.path().join("old"), scratch.path().join("new")).unwrap();
    disk.create("a").unwrap();
    assert_eq!(disk.list().unwrap(), ["a"]);
    assert!(scratch.path().join("new/a").exists());
}

#[test]
fn names_do_not_leave_the_directory() {
    let scratch = Scratch::new();
    let disk = directory(&scratch);
    for name in ["../a", "/etc/passwd", "a\0b"] {
        assert_eq!(disk.create(name).err().unwrap().kind(), ErrorKind::InvalidArgument);
        assert_eq!(disk.open(name, false).err().unwrap().kind(), ErrorKind::InvalidArgument);
    }
}

#[test]
fn a_full_disk_is_told_from_other_failures_in_plain_words() {
    let full = Directory::open(Path::new("/dev"), false).unwrap();
    let device = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let full = full.local_file("full", libc::O_RDWR, device);
    for parts in [&[&b"a"[..]][..], &[b"a", b"b"]] {
        let error = full.write_at(parts, 0).unwrap_err();
        assert_eq!((error.kind(), error.os_code()), (ErrorKind::NoSpace, libc::ENOSPC));
        let expected = "write full in /dev: No space left on device; free some room and retry";
        assert_eq!(error.message(), expected);
    }
}

#[test]
fn a_file_opened_for_reading_refuses_writes() {
    let scratch = Scratch::new();
    let disk = directory(&scratch);
    disk.create("a").unwrap();
    let error = disk.open("a", false).unwrap().write_at(&[b"x"], 0).unwrap_err();
    assert_eq!((error.kind(), error.os_code()), (ErrorKind::Io, libc::EBADF));
}

#[test]
fn an_offset_beyond_any_file_is_an_error() {
    let scratch = Scratch::new();
    let file = directory(&scratch).create("a").unwrap();
    assert_eq!(file.write_at(&[b"x"], u64::MAX).unwrap_err().os_code(), libc::EFBIG);
    assert!(file.read_at(&mut [0], u64::MAX).is_err());
}

#[test]
fn descriptors_are_not_inherited_by_programs() {
    let scratch = Scratch::new();
    let disk = directory(&scratch);
    let file = disk.open_with("a", libc::O_RDWR | libc::O_CREAT).unwrap();
    for fd in [disk.fd(), file.as_raw_fd()] {
        // SAFETY: the descriptor is open.
        let flags = unsafe { libc::fcntl(fd, libc::F_GETFD) };
        assert_eq!(flags & libc::FD_CLOEXEC, libc::FD_CLOEXEC);
    }
}

/// Puts something that is no regular file under each name; returns the names.
fn put_oddities(scratch: &Scratch) -> [(&'static str, &'static str); 5] {
    let path = |name: &str| scratch.path().join(name);
    let c_path = |name: &str| CString::new(path(name).as_os_str().as_bytes()).unwrap();
    fs::create_dir(path("folder")).unwrap();
    fs::write(path("victim"), "victim").unwrap();
    std::os::unix::fs::symlink("victim", path("link")).unwrap();
    std::os::unix::fs::symlink("nowhere", path("dangling")).unwrap();
    // SAFETY: the path ends with NUL.
    assert_eq!(unsafe { libc::mkfifo(c_path("fifo").as_ptr(), 0o600) }, 0);
    std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
    [
        ("folder", "a directory"),
        ("link", "a symbolic link"),
        ("dangling", "a symbolic link"),
        ("fifo", "a FIFO"),
        ("socket", "a socket"),
    ]
}

#[test]
fn what_is_no_regular_file_is_neither_opened_nor_replaced_nor_removed() {
    let scratch = Scratch::new();
    let disk = directory(&scratch);
    disk.create("a").unwrap().write_at(&[b"a"], 0).unwrap();
    for (name, what) in put_oddities(&scratch) {
        for error in [
            disk.open(name, false).err(),
            disk.open(name, true).err(),
            disk.create(name).err(),
            disk.create_anew(name).err(),
            disk.create_mapped(name, b"head", 4096).err(),
            disk.remove(name).err(),
            disk.rename(name, "b").err(),
            disk.rename("a", name).err(),
        ] {
            let error = error.unwrap();
            assert_eq!(error.kind(), ErrorKind::Io);
            let tells =
                format!(" {name} in {}: it is {what} and no regular", scratch.path().display());
            assert!(error.message().contains(&tells), "{error}");
            assert!(crate::io::failure::is_no_regular_file(&error));
        }
    }
    assert_eq!(disk.list().unwrap().len(), 7);
    assert_eq!(fs::read(scratch.path().join("victim")).unwrap(), b"victim");
    let device = Directory::open(Path::new("/dev"), false).unwrap().open("null", true);
    assert!(device.err().unwrap().message().contains("it is a device"));
}

#[test]
fn what_an_error_has_left_is_replaced_by_a_new_file() {
    let scratch = Scratch::new();
    let disk = directory(&scratch);
    for left in [&b""[..], b"left"] {
        fs::write(scratch.path().join("a"), left).unwrap();
        assert_eq!(disk.create_anew("a").unwrap().len().unwrap(), 0);
    }
    assert_eq!(disk.create_anew("b").unwrap().len().unwrap(), 0);
}

#[test]
fn a_path_that_leads_nowhere_says_so() {
    let scratch = Scratch::new();
    let link = scratch.path().join("link");
    std::os::unix::fs::symlink("nowhere", &link).unwrap();
    for (path, create) in [(link.clone(), false), (link.clone(), true), (link.join("below"), true)]
    {
        let error = Directory::open(&path, create).err().unwrap();
        assert_eq!(error.os_code(), libc::ENOENT);
        let tells = "link: it is a symbolic link to nowhere, where nothing is; make that directory";
        assert!(error.message().contains(tells), "{error}");
    }
    assert!(!scratch.path().join("nowhere").exists());
    for create in [false, true] {
        let error = Directory::open(Path::new(""), create).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.message().contains("the path is empty"), "{error}");
    }
    fs::create_dir(scratch.path().join("nowhere")).unwrap();
    Directory::open(&link, false).unwrap().create("a").unwrap();
    assert!(scratch.path().join("nowhere/a").exists());
}

#[test]
fn a_directory_that_others_may_change_is_told_from_one_that_they_may_not() {
    let scratch = Scratch::new();
    let exposure = |mode: u32| {
        fs::set_permissions(scratch.path(), fs::Permissions::from_mode(mode)).unwrap();
        directory(&scratch).exposure().unwrap()
    };
    for closed in [0o700, 0o755, 0o750] {
        assert_eq!(exposure(closed), None);
    }
    for open in [0o777, 0o1777, 0o775, 0o720, 0o702] {
        let expected =
            format!("{} may be written by others, mode {open:o}", scratch.path().display());
        assert_eq!(exposure(open), Some(expected));
    }
    exposure(0o700);
    // Only root can give it away.
    if std::os::unix::fs::chown(scratch.path(), Some(4711), None).is_ok() && calls::user() == 0 {
        let what = directory(&scratch).exposure().unwrap().unwrap();
        assert!(what.ends_with("belongs to another user, number 4711"), "{what}");
    }
}
