//! Stores that earlier versions have written (`tests/golden/vN`, made by `tests/golden/write.c`) are
//! read by this one: as they are, after they were opened for writing, and after a compaction.

use hotcold::{Options, Store};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;
use std::{fs, process};

/// A copy of the store in `from`, removed when it is dropped.
struct Copy(PathBuf);

impl Copy {
    fn of(from: &Path, name: &str) -> Self {
        let to = std::env::temp_dir().join(format!("hotcold-golden-{}-{name}", process::id()));
        fs::create_dir(&to).unwrap();
        for file in fs::read_dir(from).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), to.join(file.file_name())).unwrap();
        }
        Self(to)
    }

    fn open(&self, read_only: bool) -> Store {
        Store::open(&self.0, Options::new().read_only(read_only).create(false)).unwrap()
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// Every key, its value and its expiry, as the dumps have them.
fn dump(store: &Store) -> String {
    let mut lines = Vec::new();
    let mut cursor = store.cursor("").unwrap();
    while let Some(key) = cursor.next() {
        if let Some(value) = cursor.value().unwrap() {
            let expires_at = value
                .expires_at()
                .map_or(0, |at| at.duration_since(UNIX_EPOCH).unwrap().as_millis());
            lines.push(format!("{} {} {expires_at}\n", hex(&key.unwrap()), hex(&value)));
        }
    }
    lines.sort();
    lines.concat()
}

#[test]
fn stores_of_every_version_are_read_and_gone_on_with() {
    let mut count = 0;
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let versions = fs::read_dir(golden).unwrap().map(|entry| entry.unwrap().path());
    for version in versions.filter(|path| path.is_dir()) {
        for dir in fs::read_dir(&version).unwrap().map(|entry| entry.unwrap().path()) {
            if !dir.is_dir() {
                continue;
            }
            let name = dir.file_name().unwrap().to_str().unwrap();
            let expected = fs::read_to_string(dir.with_extension("txt")).unwrap();
            let copy = Copy::of(&dir, name);
            assert_eq!(dump(&copy.open(true)), expected, "{name}, read-only");
            let store = copy.open(false);
            assert_eq!(dump(&store), expected, "{name}, opened");
            assert_eq!(store.verify().unwrap().damaged, 0, "{name}: damaged records");
            store.compact().unwrap();
            assert_eq!(dump(&store), expected, "{name}, compacted");
            store.close().unwrap();
            assert_eq!(dump(&copy.open(false)), expected, "{name}, opened again");
            count += 1;
        }
    }
    assert!(count >= 3, "the golden stores are missing");
}
