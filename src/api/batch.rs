//! Stores and deletes that take effect together.

use super::requests::StoreOptions;
use crate::error::Result;
use crate::store;
use std::fmt;

/// Stores and deletes, in order, that [`Store::write`](crate::Store::write) applies all or not at
/// all: for readers, and across a crash.
///
/// Of several changes of one key the last counts. A batch can be written more than once.
///
/// ```
/// use hotcold::{Batch, Options, Store};
///
/// # fn main() -> hotcold::Result<()> {
/// let store = Store::in_memory(&Options::new())?;
/// store.store("from", "100")?;
///
/// let mut batch = Batch::new();
/// batch.delete("from")?;
/// batch.store("to", "100")?;
/// assert!(store.write(&batch)?);
///
/// assert!(!store.contains("from")?);
/// assert_eq!(&*store.retrieve("to")?.unwrap(), b"100");
/// # Ok(())
/// # }
/// ```
#[derive(Default)]
pub struct Batch {
    pub(super) changes: store::Batch,
    pub(super) is_synced: bool,
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a store; the batch has a copy of key and value.
    ///
    /// # Errors
    /// `TooLarge` if the key has more than 65,535 bytes, the value 4 GiB, or all keys and values of
    /// the batch more than 4 GiB. `OutOfMemory`. The batch is as before.
    pub fn store(&mut self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<()> {
        self.store_with(key, value, &StoreOptions::new())
    }

    /// As [`Batch::store`], with a time to live or a condition. If one condition is not met, nothing
    /// of the batch is done. If one store is to be synced, all of the batch is.
    ///
    /// # Errors
    /// As [`Batch::store`].
    pub fn store_with(
        &mut self,
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
        options: &StoreOptions,
    ) -> Result<()> {
        self.changes.store(key.as_ref(), value.as_ref(), &options.asked)
    }

    /// Adds a delete; the batch has a copy of the key.
    ///
    /// # Errors
    /// As [`Batch::store`].
    pub fn delete(&mut self, key: impl AsRef<[u8]>) -> Result<()> {
        self.changes.delete(key.as_ref())
    }

    /// Whether the batch survives a power loss once [`Store::write`](crate::Store::write) has
    /// returned. Default: what the store's [`Durability`](crate::Durability) says.
    pub fn sync(&mut self, is_synced: bool) {
        self.is_synced = is_synced;
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").field("sync", &self.is_synced).finish_non_exhaustive()
    }
}
