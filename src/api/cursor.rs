//! A walk through the keys, as an iterator.

use super::handle::Handle;
use super::value::Value;
use crate::error::{Error, ErrorKind, Result};
use crate::memory;
use crate::store;
use std::fmt;
use std::iter::FusedIterator;

/// A walk through the keys of a store: an iterator of keys, in no order.
///
/// A key that is there throughout the walk comes once. A key that is stored or deleted meanwhile
/// comes once or not at all. The walk holds no lock between two steps.
///
/// A key that cannot be read is an error of the kind `Corrupt` or `Io`, and the walk goes on after
/// it. Any other error ends the walk before all keys have come. Under
/// [`Policy::Lenient`](crate::Policy) the walk passes over keys that cannot be read.
///
/// ```
/// use hotcold::{Options, Store};
///
/// # fn main() -> hotcold::Result<()> {
/// let store = Store::in_memory(&Options::new())?;
/// for key in ["user:1", "user:2", "group:1"] {
///     store.store(key, "x")?;
/// }
/// let mut keys = store.cursor("user:")?.collect::<hotcold::Result<Vec<_>>>()?;
/// keys.sort();
/// assert_eq!(keys, [b"user:1", b"user:2"]);
///
/// // With values, which do not enter the hot tier by this:
/// let mut cursor = store.cursor("")?;
/// let mut bytes = 0;
/// while let Some(key) = cursor.next() {
///     let value_bytes = cursor.value()?.map_or(0, |value| value.len());
///     bytes += key?.len() + value_bytes;
/// }
/// assert_eq!(bytes, 22);
/// # Ok(())
/// # }
/// ```
#[must_use = "a cursor does nothing until it is asked for a key"]
pub struct Cursor<'a> {
    handle: &'a Handle,
    place: store::Cursor,
    is_over: bool,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(handle: &'a Handle, prefix: &[u8]) -> Result<Self> {
        let place = handle.call(|store| store.cursor(prefix))?;
        Ok(Self { handle, place, is_over: false })
    }

    /// The value of the key that came last; `None` if the key is gone by now. The value does not
    /// enter the hot tier, and does not count as used.
    ///
    /// # Errors
    /// `Misuse` before the first key, after the last and after an error; else those of
    /// [`Store::retrieve`](crate::Store::retrieve).
    pub fn value(&self) -> Result<Option<Value>> {
        let found = self.handle.call(|store| store.cursor_value(&self.place))?;
        Ok(found.value.map(Value))
    }

    fn step(&mut self) -> Result<Option<Vec<u8>>> {
        let place = &mut self.place;
        self.handle.call(|store| {
            if store.cursor_next(place)? {
                memory::copy(place.key(), "a key of a walk").map(Some)
            } else {
                Ok(None)
            }
        })
    }
}

impl Iterator for Cursor<'_> {
    type Item = Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let step = self.step();
        self.is_over = match &step {
            Ok(key) => key.is_none(),
            // An error that comes again with every step would keep a loop which ignores it forever.
            Err(error) => !is_of_one_key(error),
        };
        step.transpose()
    }
}

impl FusedIterator for Cursor<'_> {}

fn is_of_one_key(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Io)
}

impl fmt::Debug for Cursor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cursor").field("is_over", &self.is_over).finish_non_exhaustive()
    }
}
