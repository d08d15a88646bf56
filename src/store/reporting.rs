//! What a store counts, and the events that it sends.

use super::events::{Event, EventKind, Events};
use super::options::Policy;
use super::stats::{Counter, Counters, Tier};
use crate::error::{Error, ErrorKind, Result};
use crate::hot::{Ended, Entry, Victims};
use crate::ledger::Ledger;
use crate::memory;
use crate::sync::Mutex;
use std::sync::Arc;

/// Counters, subscribers, and the account of what callers hold.
pub(super) struct Reporting {
    counters: Counters,
    events: Arc<Events>,
    ledger: Arc<Ledger>,
    policy: Policy,
    /// Entries that others have changed, and whose events were not sent yet.
    overheard: Mutex<Vec<Entry>>,
}

/// How many of them wait at most; of more, no event is sent.
const OVERHEARD_MAX: usize = 4096;

/// The effects of a call: events to send and memory to free once no lock is held.
#[derive(Default)]
pub(super) struct Effects {
    /// Entries that left hot to make room.
    pub(super) evicted: Victims,
    /// How many more of them there were, whose memory has gone to new entries.
    pub(super) recycled: u64,
    /// Entries whose time in hot was over.
    pub(super) gone: Vec<(Entry, Ended)>,
    /// An entry that came from cold.
    pub(super) promoted: Option<Entry>,
    /// What else is to be freed.
    pub(super) replaced: Victims,
}

impl Reporting {
    pub(super) fn new(policy: Policy) -> Self {
        let (events, ledger) = (Arc::new(Events::new()), Arc::new(Ledger::default()));
        Self { counters: Counters::new(), events, ledger, policy, overheard: Mutex::default() }
    }

    /// What is counted.
    #[inline]
    pub(super) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Who is told.
    #[inline]
    pub(super) fn events(&self) -> &Arc<Events> {
        &self.events
    }

    /// The account of the bytes that callers hold.
    #[inline]
    pub(super) fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// Under the lenient policy: counts a failure of cold, sends it as an event, and returns it as
    /// survived. Under the strict policy: fails with it.
    ///
    /// # Errors
    /// The failure itself.
    pub(super) fn survive(&self, error: Error, key: &[u8]) -> Result<Error> {
        if self.policy == Policy::Strict {
            return Err(error);
        }
        self.counters.add(Counter::LenientFailures, 1);
        self.tell_error(&error, key);
        Ok(error)
    }

    pub(super) fn count_damage(&self, error: &Error) {
        if error.kind() == ErrorKind::Corrupt {
            self.counters.add(Counter::ColdCorruptRecords, 1);
        }
    }

    /// Tells subscribers of a failure.
    pub(super) fn tell_error(&self, error: &Error, key: &[u8]) {
        self.events.emit(&Event {
            tier: Some(Tier::Cold),
            status: Some(error.kind()),
            key,
            message: Some(error.message()),
            ..Event::of(EventKind::Error)
        });
    }

    /// Counts the effects of a call, sends their events, and frees what left. No lock may be held.
    pub(super) fn finish(&self, effects: Effects) {
        let Effects { evicted, recycled, gone, promoted, replaced } = effects;
        drop(replaced);
        if let Some(entry) = &promoted {
            self.counters.add(Counter::HotPromotions, 1);
            self.tell_entry(EventKind::Promoted, Tier::Hot, entry);
        }
        if recycled != 0 || !evicted.is_empty() {
            self.counters.add(Counter::HotEvictions, recycled + evicted.len() as u64);
            evicted.iter().for_each(|e| self.tell_entry(EventKind::Evicted, Tier::Hot, e));
        }
        for (entry, ended) in &gone {
            self.counters.add(Counter::HotExpirations, 1);
            let kind = match ended {
                Ended::Residency => EventKind::Demoted,
                Ended::Expiry => EventKind::Expired,
            };
            self.tell_entry(kind, Tier::Hot, entry);
        }
    }

    /// Counts and tells that an entry left hot because somebody else has changed it. No lock may be
    /// held.
    #[cold]
    pub(super) fn overtaken(&self, entry: &Entry) {
        self.counters.add(Counter::HotDemotions, 1);
        self.tell_entry(EventKind::Demoted, Tier::Hot, entry);
    }

    /// Counts that an entry left hot because somebody else has changed it; true if there is somebody to
    /// tell of it, by [`Reporting::tell_overheard`].
    #[cold]
    pub(super) fn overhear(&self, entry: Entry) -> bool {
        self.counters.add(Counter::HotDemotions, 1);
        if !self.events.wants(EventKind::Demoted) {
            return false;
        }
        let mut overheard = self.overheard.lock();
        overheard.len() < OVERHEARD_MAX && memory::push(&mut overheard, entry, "events").is_ok()
    }

    /// Sends the events of entries that others have changed. No lock may be held.
    #[cold]
    pub(super) fn tell_overheard(&self) {
        let overheard = std::mem::take(&mut *self.overheard.lock());
        overheard.iter().for_each(|entry| self.tell_entry(EventKind::Demoted, Tier::Hot, entry));
    }

    /// Tells subscribers of something that happened to an entry.
    pub(super) fn tell_entry(&self, kind: EventKind, tier: Tier, entry: &Entry) {
        if !self.events.wants(kind) {
            return;
        }
        self.events.emit(&Event {
            tier: Some(tier),
            key: entry.key(),
            value: Some(entry.value()),
            version: entry.version(),
            expires_at: entry.expiry().ms(),
            ..Event::of(kind)
        });
    }
}
