//! Keeping the list of hot keys in the directory, across close and crash.

use super::log::sequences::replace_file;
use super::tier::Local;
use crate::codec::warm;
use crate::cold::tier::HotKeys;
use crate::error::Result;
use crate::memory;

const WARM: &str = "WARM";
const WARM_NEW: &str = "WARM.new";

/// A list longer than this is not read: no store has written it.
const WARM_BYTES_MAX: u64 = 64 << 20;

impl Local {
    /// Saves keys, the most recently used first.
    ///
    /// # Errors
    /// `Io`, `NoSpace`: the old list stays.
    pub fn save_hot_keys(&self, keys: &mut dyn Iterator<Item = Vec<u8>>) -> Result<()> {
        replace_file(&*self.disk, WARM_NEW, WARM, &warm::encode(keys)?)
    }

    /// The keys that were saved; none if there is no list that can be read.
    ///
    /// # Errors
    /// `Io`, `OutOfMemory`.
    pub fn load_hot_keys(&self) -> Result<HotKeys> {
        if !self.disk.list()?.iter().any(|name| name == WARM) {
            return Ok(HotKeys::default());
        }
        let file = self.disk.open(WARM, false)?;
        let length = usize::try_from(file.len()?.min(WARM_BYTES_MAX)).unwrap_or(0);
        let mut bytes = memory::zeros(length, "the list of keys that were hot")?;
        let count = file.read_at(&mut bytes, 0)?;
        bytes.truncate(count);
        Ok(HotKeys(bytes))
    }
}
