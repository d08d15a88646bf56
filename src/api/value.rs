//! A value that a call found.

use super::time::expiry;
use crate::store;
use crate::store::Tier;
use std::fmt;
use std::ops::Deref;
use std::time::SystemTime;

/// A reference to the bytes of a value, which never change.
///
/// It derefs to `[u8]`. A value from the hot tier is not copied: it shares the tier's memory, which
/// stays until the last reference is dropped, also after the entry left the tier or the store was
/// closed. Clones share it, too. [`MemoryStats::held`](crate::MemoryStats) counts such bytes.
///
/// ```
/// use hotcold::{Options, Store, Tier};
///
/// # fn main() -> hotcold::Result<()> {
/// let store = Store::in_memory(&Options::new())?;
/// let version = store.store("greeting", "hello")?;
/// let value = store.retrieve("greeting")?.expect("it was stored");
/// store.close()?;
///
/// assert_eq!(&*value, b"hello");
/// assert_eq!(value.len(), 5);
/// assert_eq!(value.version(), version);
/// assert_eq!(value.tier(), Tier::Hot);
/// assert_eq!(value.expires_at(), None);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Value(pub(super) store::Value);

impl Value {
    /// The version, which changes with every store of the key and never repeats. 0: a load made the
    /// value, and it was not stored, because the key was changed meanwhile.
    pub fn version(&self) -> u64 {
        self.0.version()
    }

    /// When the entry expires, by the store's clock; `None` for never.
    pub fn expires_at(&self) -> Option<SystemTime> {
        expiry(self.0.expires_at())
    }

    /// The tier in which the value was found.
    pub fn tier(&self) -> Tier {
        self.0.tier()
    }
}

impl Deref for Value {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.data()
    }
}

impl AsRef<[u8]> for Value {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the bytes: there may be gigabytes of them, and secrets.
        f.debug_struct("Value")
            .field("len", &self.len())
            .field("version", &self.version())
            .field("tier", &self.tier())
            .finish_non_exhaustive()
    }
}
