//! The parts of one open store, and which of them a call gets.

use super::health::Health;
use super::loads::Loads;
use super::locks::Locks;
use super::options::Options;
use super::read::Reader;
use super::reporting::Reporting;
use super::throttle::Throttle;
use super::tiers::Tiers;
use super::work::Work;
use super::writer::Writer;
use crate::cold::ColdTier;
use crate::time::Clock;
use std::sync::Arc;

/// One store, without its thread.
pub(super) struct Core {
    options: Options,
    storage_id: String,
    tiers: Tiers,
    locks: Locks,
    reporting: Reporting,
    health: Health,
    loads: Loads,
    work: Work,
    throttle: Throttle,
}

impl Core {
    pub(super) fn new(
        options: Options,
        storage_id: String,
        cold: Option<Box<dyn ColdTier>>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let tiers = Tiers::new(&options, cold, clock);
        Self {
            locks: Locks::new(tiers.is_shared()),
            tiers,
            reporting: Reporting::new(options.policy),
            health: Health::new(options.read_only),
            loads: Loads::new(),
            work: Work::new(),
            throttle: Throttle::default(),
            options,
            storage_id,
        }
    }

    /// The name of the store in stats and events.
    pub(super) fn storage_id(&self) -> &str {
        &self.storage_id
    }

    /// Both tiers.
    pub(super) fn tiers(&self) -> &Tiers {
        &self.tiers
    }

    /// What is counted and told.
    pub(super) fn reporting(&self) -> &Reporting {
        &self.reporting
    }

    /// The signals to the background thread.
    pub(super) fn work(&self) -> &Work {
        &self.work
    }

    /// Whether writes are taken.
    pub(super) fn health(&self) -> &Health {
        &self.health
    }

    /// What calls get that change no key.
    #[inline]
    pub(super) fn reader(&self) -> Reader<'_> {
        self.writer().reader()
    }

    /// What calls get that change keys.
    #[inline]
    pub(super) fn writer(&self) -> Writer<'_> {
        Writer {
            options: &self.options,
            tiers: &self.tiers,
            locks: &self.locks,
            reporting: &self.reporting,
            health: &self.health,
            loads: &self.loads,
            work: &self.work,
            throttle: &self.throttle,
        }
    }
}
