//! warm_start: remembering which keys were hot, and loading them again in the background.

use super::state::{Effects, State};
use crate::error::Result;

/// Bytes of keys that are remembered.
const KEYS_BYTES_MAX: usize = 16 << 20;

/// Keys that are loaded between two questions whether the store is being closed.
const PAUSE_KEYS: usize = 64;

impl State {
    /// Saves the keys that are hot now.
    ///
    /// # Errors
    /// `Io`, `NoSpace`.
    pub(super) fn save_warm(&self) -> Result<()> {
        match &self.cold {
            Some(cold) if self.options.warm_start => {
                let keys = self.hot.hottest(KEYS_BYTES_MAX);
                cold.save_warm(keys.iter().map(|key| &**key))
            }
            _ => Ok(()),
        }
    }

    /// Loads the keys that were hot, the hottest first, until hot is full.
    ///
    /// # Errors
    /// `Io`, `OutOfMemory`. A key that cannot be read is left out.
    pub(super) fn load_warm(&self) -> Result<()> {
        let Some(cold) = self.cold.as_ref().filter(|_| self.options.warm_start) else {
            return Ok(());
        };
        let keys = cold.load_warm()?;
        for (index, bytes) in keys.iter().enumerate() {
            if index % PAUSE_KEYS == 0 && self.work.is_stopping() {
                return Ok(());
            }
            let Ok(key) = self.key(bytes) else { continue };
            let mut effects = Effects::default();
            let loaded = self.warm_up_one(&key, &mut effects);
            let is_full = !effects.evicted.is_empty();
            self.finish(effects);
            if is_full {
                break;
            }
            if let Err(error) = loaded {
                self.tell_error(&error, bytes);
            }
        }
        Ok(())
    }
}
