//! A directory that knows which files were made through it, so that they can be taken back.

use crate::error::Result;
use crate::io::files::{Disk, File, Mapped, Space};
use crate::sync::Mutex;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

/// A directory, and the names in it of what was made and is still there.
pub struct Made<D> {
    disk: D,
    names: Mutex<BTreeSet<String>>,
}

impl<D: Disk> Made<D> {
    /// Nothing was made yet.
    pub fn new(disk: D) -> Self {
        Self { disk, names: Mutex::new(BTreeSet::new()) }
    }

    /// Removes what was made. What cannot be removed stays: whoever takes back has a failure to
    /// tell already.
    pub fn take_back(&self) {
        for name in std::mem::take(&mut *self.names.lock()) {
            let _ = self.disk.remove(&name);
        }
    }

    fn note(&self, name: &str) {
        self.names.lock().insert(name.to_owned());
    }
}

impl<D: Disk> Disk for Made<D> {
    fn path(&self) -> &Path {
        self.disk.path()
    }

    fn open(&self, name: &str, writable: bool) -> Result<Arc<dyn File>> {
        self.disk.open(name, writable)
    }

    fn create(&self, name: &str) -> Result<Arc<dyn File>> {
        let file = self.disk.create(name)?;
        self.note(name);
        Ok(file)
    }

    fn create_mapped(&self, name: &str, head: &[u8], len: usize) -> Result<Box<dyn Mapped>> {
        let map = self.disk.create_mapped(name, head, len)?;
        self.note(name);
        Ok(map)
    }

    fn remove_mapped(&self, name: &str, map: &dyn Mapped) -> Result<()> {
        // The name may stay, as another file's. Removing a name that is gone does nothing.
        self.disk.remove_mapped(name, map)
    }

    fn list(&self) -> Result<Vec<String>> {
        self.disk.list()
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        self.disk.rename(from, to)?;
        let mut names = self.names.lock();
        if names.remove(from) {
            names.insert(to.to_owned());
        }
        Ok(())
    }

    fn remove(&self, name: &str) -> Result<()> {
        self.disk.remove(name)?;
        self.names.lock().remove(name);
        Ok(())
    }

    fn space(&self) -> Space {
        self.disk.space()
    }

    fn sync_names(&self) -> Result<()> {
        self.disk.sync_names()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::disk::Directory;
    use crate::io::scratch::Scratch;

    #[test]
    fn what_was_made_is_taken_back_and_nothing_else() {
        let scratch = Scratch::new();
        for name in ["theirs", "replaced"] {
            std::fs::write(scratch.path().join(name), name).unwrap();
        }
        let disk = Made::new(Directory::open(scratch.path(), false).unwrap());
        for name in ["a", "b", "c", "d"] {
            disk.create(name).unwrap();
        }
        disk.create_mapped("m", b"head", 4096).unwrap();
        disk.rename("a", "renamed").unwrap();
        disk.remove("c").unwrap();
        disk.open("theirs", true).unwrap();
        disk.rename("theirs", "still theirs").unwrap();
        assert!(disk.create("replaced").is_err());
        disk.take_back();
        let mut left = disk.list().unwrap();
        left.sort();
        assert_eq!(left, ["replaced", "still theirs"]);
    }
}
