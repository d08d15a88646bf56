//! What a policy of the hot tier is: one shard's entries, and which of them is to leave next.
//!
//! A shard calls its order with its lock held; an order knows no lock, no budget and no clock. A
//! second policy joins by implementing [`Order`].

use super::budget::Room;
use super::entry::{Entry, Probe};
use crate::buffer::Resident;
use crate::error::Result;
use crate::time::Instant;

/// An entry in its place, with what the tier keeps beside it.
pub(super) struct Slot {
    pub(super) entry: Entry,
    /// When it was last used, on the tier's own scale; larger is later, in all shards.
    pub(super) stamp: u64,
    /// When it was stored or promoted; residency counts from here.
    pub(super) since: Instant,
    /// Accounts for the buffer as hot's as long as the slot exists.
    pub(super) _resident: Resident,
}

impl Slot {
    /// What the slot takes of the budget.
    pub(super) fn room(&self) -> Room {
        Room::of_entry(self.entry.charge())
    }
}

/// One shard's entries in the order of their value to the policy.
pub(super) trait Order: Send {
    /// Makes room for `count` more entries, so that putting them in does not fail.
    ///
    /// # Errors
    /// `OutOfMemory`.
    fn reserve(&mut self, count: usize) -> Result<()>;

    /// Puts an entry in, as just used, in place of the one of its key, which is given back.
    fn put(&mut self, slot: Slot) -> Option<Slot>;

    /// Takes an entry out.
    fn remove(&mut self, probe: Probe<'_>) -> Option<Slot>;

    /// Finds an entry and counts this as a use.
    fn touch(&mut self, probe: Probe<'_>) -> Option<&mut Slot>;

    /// Finds an entry and leaves the order as it is.
    fn peek(&self, probe: Probe<'_>) -> Option<&Slot>;

    /// Finds an entry with this hash that is `wanted`, and leaves the order as it is.
    fn find(&self, hash: u64, wanted: &dyn Fn(&Slot) -> bool) -> Option<&Slot>;

    /// The entry that is to leave next.
    fn victim(&self) -> Option<&Slot>;

    /// Takes out the entry that is to leave next.
    fn evict(&mut self) -> Option<Slot>;

    /// All entries; the one to leave next comes last.
    fn iter(&self) -> Box<dyn DoubleEndedIterator<Item = &Slot> + '_>;
}
