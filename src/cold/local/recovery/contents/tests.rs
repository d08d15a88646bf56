use super::*;
use crate::codec::manifest::{MANIFEST_BYTES, Manifest};
use crate::codec::segment::{SegmentHeader, SegmentKind};
use crate::io::disk::Directory;
use crate::io::scratch::Scratch;
use std::fs;
use std::os::unix::ffi::OsStrExt;

fn manifest() -> [u8; MANIFEST_BYTES] {
    Manifest { seed: 1, next_sequence: 2, time_ms: 3, lead_ms: 0, keeps_notes: false }.encode()
}

fn header() -> Vec<u8> {
    let header = SegmentHeader {
        id: 1,
        seed: 1,
        kind: SegmentKind::Log,
        created_ms: 3,
        sequence_floor: 2,
        previous: None,
    };
    header.encode().to_vec()
}

/// What a directory of these files holds.
fn holds(files: &[(&str, &[u8])]) -> Contents {
    let scratch = Scratch::new();
    for (name, bytes) in files {
        fs::write(scratch.path().join(name), bytes).unwrap();
    }
    of(&scratch)
}

fn of(scratch: &Scratch) -> Contents {
    contents(&Directory::open(scratch.path(), false).unwrap()).unwrap()
}

fn foreign(name: &str) -> Contents {
    Contents::Foreign(name.to_owned())
}

#[test]
fn a_store_is_known_by_any_of_its_files_and_one_damaged_byte_hides_none() {
    let checkpoint = [&[1, 2, 3, 4][..], checkpoint::MAGIC, &[0; 100]].concat();
    let files =
        [(MANIFEST, manifest().to_vec()), (CHECKPOINT, checkpoint), ("000001.seg", header())];
    for (name, bytes) in files {
        assert_eq!(holds(&[(name, &bytes)]), Contents::Store, "{name}");
        assert_eq!(holds(&[("notes", b"x"), (name, &bytes)]), Contents::Store, "{name}");
        for at in 0..12 {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x40;
            assert_eq!(holds(&[(name, &damaged)]), Contents::Store, "{name}, byte {at}");
        }
    }
    // A lost manifest, and one that is no manifest.
    for lost in [&b""[..], &[0; 48], b"Manifest-Version: 1.0"] {
        assert_eq!(holds(&[(MANIFEST, lost), ("000007.seg", &header())]), Contents::Store);
    }
}

#[test]
fn names_alone_make_no_store() {
    for name in [MANIFEST, CHECKPOINT, "000001.seg", "STAGE", "WARM", MANIFEST_NEW, LOCK_FILE] {
        for theirs in [&b"theirs"[..], b"Manifest-Version: 1.0\nCreated-By: somebody\n"] {
            assert_eq!(holds(&[(name, theirs)]), foreign(name));
        }
    }
    assert_eq!(holds(&[("1.seg", &header())]), foreign("1.seg"));
    assert_eq!(holds(&[(MANIFEST, b"")]), foreign(MANIFEST));
}

#[test]
fn what_a_first_opening_leaves_that_was_broken_off_is_nothing() {
    let manifest = manifest();
    let mut left: Vec<Vec<u8>> = (5..=manifest.len()).map(|end| manifest[..end].to_vec()).collect();
    left.extend([vec![], vec![0; 48], vec![0; 7]]);
    for bytes in &left {
        assert_eq!(holds(&[(MANIFEST_NEW, bytes)]), Contents::Nothing, "{bytes:?}");
        assert_eq!(holds(&[(MANIFEST_NEW, bytes), (LOCK_FILE, b"")]), Contents::Nothing);
        assert_eq!(holds(&[(MANIFEST_NEW, bytes), ("a", b"")]), foreign("a"));
    }
    assert_eq!(holds(&[(LOCK_FILE, b"")]), Contents::Nothing);
    assert_eq!(holds(&[]), Contents::Nothing);
}

#[test]
fn whatever_is_in_a_directory_counts_but_for_what_mkfs_makes() {
    let scratch = Scratch::new();
    let path = |name: &[u8]| scratch.path().join(std::ffi::OsStr::from_bytes(name));
    fs::create_dir(path(b"lost+found")).unwrap();
    assert_eq!(of(&scratch), Contents::Nothing);
    fs::write(path(b"caf\xe9"), "").unwrap();
    assert_eq!(of(&scratch), foreign("caf\u{fffd}"));
    fs::remove_file(path(b"caf\xe9")).unwrap();
    for name in ["folder", MANIFEST, "000001.seg", MANIFEST_NEW, LOCK_FILE] {
        fs::create_dir(path(name.as_bytes())).unwrap();
        assert_eq!(of(&scratch), foreign(name));
        fs::remove_dir(path(name.as_bytes())).unwrap();
        std::os::unix::fs::symlink("nowhere", path(name.as_bytes())).unwrap();
        assert_eq!(of(&scratch), foreign(name));
        fs::remove_file(path(name.as_bytes())).unwrap();
    }
    fs::remove_dir(path(b"lost+found")).unwrap();
    fs::write(path(b"lost+found"), "").unwrap();
    assert_eq!(of(&scratch), foreign("lost+found"));
}

#[test]
fn only_a_store_or_nothing_is_opened() {
    let scratch = Scratch::new();
    let disk = Directory::open(scratch.path(), false).unwrap();
    let refused = |create: bool| check(&disk, create).err().map(|error| error.kind());
    assert_eq!((refused(true), refused(false)), (None, Some(ErrorKind::InvalidArgument)));
    fs::write(scratch.path().join("notes"), "").unwrap();
    for create in [true, false] {
        let error = check(&disk, create).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.message().contains("like notes; name a new"), "{error}");
    }
    assert!(check_empty(&disk).is_err());
    fs::write(scratch.path().join(MANIFEST), manifest()).unwrap();
    assert_eq!((refused(true), refused(false)), (None, None));
    assert!(check_empty(&disk).is_err());
}
