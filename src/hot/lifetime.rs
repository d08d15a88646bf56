//! How long an entry may be in hot, and what a lookup says of it.

use super::entry::{Described, Entry, Slot};
use crate::time::Clock;

/// Why an entry left hot although nobody needed its room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was not stored or promoted anew for as long as residency lasts. Cold may have it.
    Residency,
    /// It has expired, in both tiers.
    Expiry,
}

/// What a lookup finds.
pub enum Lookup {
    /// The entry.
    Hit(Entry),
    /// Nothing.
    Miss,
    /// An entry that ended. A `get` has removed it, unless it is unwritten: such an entry stays,
    /// as it hides what cold has of the key, until cold has got it and it is marked as written.
    Gone(Entry, Ended),
}

/// The bounds of every entry's time in hot, and the clock to measure it by.
#[derive(Clone, Copy)]
pub(super) struct Lifetime<'a> {
    /// Milliseconds; 0 for none.
    pub(super) residency_ms: u64,
    pub(super) clock: &'a dyn Clock,
}

impl Lifetime<'_> {
    /// Whether and why a slot's time is over. Asks the clock only if it can be.
    pub(super) fn ended(&self, slot: &Slot) -> Option<Ended> {
        let expiry = slot.expiry();
        if expiry.is_some() && expiry.has_passed(self.clock.wall()) {
            return Some(Ended::Expiry);
        }
        if self.residency_ms == 0 || slot.is_unwritten() {
            return None;
        }
        let age_ms = self.clock.monotonic().0.saturating_sub(slot.since().0);
        (age_ms >= self.residency_ms).then_some(Ended::Residency)
    }
}
