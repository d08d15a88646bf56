//! What a call that changes keys may touch.

use super::health::Health;
use super::loads::Loads;
use super::locks::Locks;
use super::options::{Durability, Options};
use super::read::Reader;
use super::reporting::Reporting;
use super::throttle::Throttle;
use super::tiers::Tiers;
use super::work::Work;

/// The parts of a store that its changes need.
#[derive(Clone, Copy)]
pub(super) struct Writer<'a> {
    pub(super) options: &'a Options,
    pub(super) tiers: &'a Tiers,
    pub(super) locks: &'a Locks,
    pub(super) reporting: &'a Reporting,
    pub(super) health: &'a Health,
    pub(super) loads: &'a Loads,
    pub(super) work: &'a Work,
    pub(super) throttle: &'a Throttle,
}

impl<'a> Writer<'a> {
    /// The parts that reading needs.
    #[inline]
    pub(super) fn reader(&self) -> Reader<'a> {
        let marks_use = self.options.cold_capacity != 0;
        Reader { tiers: self.tiers, reporting: self.reporting, marks_use }
    }

    /// Whether a change survives power loss before it is seen.
    pub(super) fn is_synced(&self, asked: bool) -> bool {
        asked || self.options.durability == Durability::Sync
    }

    /// True if nothing may be written, by whatever cause.
    pub(super) fn is_read_only(&self) -> bool {
        self.health.is_read_only(self.tiers)
    }
}
