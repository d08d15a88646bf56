//! Base versions: which version of a key the engine of a shared tier had when the key was stored in
//! hot alone. An unwritten entry is written back only if the engine still has that version:
//! anything else is newer.

use crate::error::Result;
use crate::memory;
use crate::sync::Mutex;
use std::collections::HashMap;

/// The versions by key; 0 for a key that was absent. A key that is not here was not known.
#[derive(Default)]
pub(super) struct Bases(Mutex<HashMap<Vec<u8>, u64>>);

impl Bases {
    /// Notes what the engine has of a key that is about to be unwritten, unless it is so already.
    ///
    /// # Errors
    /// `OutOfMemory`.
    #[cold]
    pub(super) fn note(&self, key: &[u8], version: u64) -> Result<()> {
        let what = "a key that is unwritten";
        let own = memory::copy(key, what)?;
        let mut bases = self.0.lock();
        bases.try_reserve(1).map_err(|_| memory::exhausted(key.len(), what))?;
        bases.entry(own).or_insert(version);
        Ok(())
    }

    /// What the engine had.
    #[cold]
    pub(super) fn get(&self, key: &[u8]) -> Option<u64> {
        self.0.lock().get(key).copied()
    }

    /// The key is not unwritten any more.
    #[cold]
    pub(super) fn remove(&self, key: &[u8]) {
        self.0.lock().remove(key);
    }

    /// No key is.
    #[cold]
    pub(super) fn clear(&self) {
        // Freed without the lock.
        let all = std::mem::take(&mut *self.0.lock());
        drop(all);
    }
}
