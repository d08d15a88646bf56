//! warm_start: remembering which keys were hot, and loading them again in the background.

use super::read::Reader;
use super::reporting::Effects;
use crate::error::Result;

/// Bytes of keys that are remembered.
const KEYS_BYTES_MAX: usize = 16 << 20;

/// Keys of which the order is kept when they are loaded: each takes 16 bytes meanwhile.
const KEYS_MAX: usize = 1 << 20;

/// Keys that are loaded between two questions whether the store is being closed.
const PAUSE_KEYS: usize = 64;

impl Reader<'_> {
    /// Saves the keys that are hot now.
    ///
    /// # Errors
    /// `Io`, `NoSpace`.
    pub(super) fn save_hot_keys(&self) -> Result<()> {
        match self.tiers.cold() {
            Some(cold) => {
                let mut keys = self.tiers.hot().hottest(KEYS_BYTES_MAX)?;
                cold.save_hot_keys(&mut keys)
            }
            None => Ok(()),
        }
    }

    /// Loads the keys that were hot, the hottest first, until hot is full or `go_on` says no.
    ///
    /// # Errors
    /// `Io`, `OutOfMemory`. A key that cannot be read is left out.
    pub(super) fn load_hot_keys(&self, go_on: &dyn Fn() -> bool) -> Result<()> {
        let (hot, Some(cold)) = (self.tiers.hot(), self.tiers.cold()) else { return Ok(()) };
        let saved = cold.load_hot_keys()?;
        let mut loaded_count = 0;
        for (index, bytes) in saved.iter().enumerate() {
            let is_full = hot.used_bytes() + 2 * self.mean_charge() > hot.capacity();
            if is_full || (index % PAUSE_KEYS == 0 && !go_on()) {
                break;
            }
            loaded_count += 1;
            let Ok(key) = self.tiers.key(bytes) else { continue };
            let mut effects = Effects::default();
            let loaded = self.warm_up_one(&key, &mut effects);
            self.reporting.finish(effects);
            if let Err(error) = loaded {
                self.reporting.tell_error(&error, bytes);
            }
        }
        // Used once more from the coldest to the hottest, so that the hottest stays longest.
        let keys: Vec<&[u8]> = saved.iter().take(loaded_count.min(KEYS_MAX)).collect();
        for key in keys.into_iter().rev().filter_map(|bytes| self.tiers.key(bytes).ok()) {
            drop(hot.get(&key, self.tiers.clock()));
        }
        Ok(())
    }

    fn mean_charge(&self) -> u64 {
        self.tiers.hot().used_bytes() / self.tiers.hot().entry_count().max(1)
    }
}
