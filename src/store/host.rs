//! The store as a cold tier sees it during maintenance.

use super::events::{Event, EventKind};
use super::locks::Locks;
use super::reporting::Reporting;
use super::stats::{Counter, Tier};
use super::throttle::Throttle;
use super::tiers::Tiers;
use super::writer::Writer;
use crate::cold::{Host, Place, Removal, RemovalCause, Rewritten};
use crate::memory;
use crate::sync::Mutex;

/// A key that left both tiers in the background.
struct Gone {
    key: Vec<u8>,
    removal: Removal,
}

/// The store around a cold tier: one for each call of the tier's maintenance.
pub(super) struct StoreHost<'a> {
    tiers: &'a Tiers,
    locks: &'a Locks,
    reporting: &'a Reporting,
    throttle: &'a Throttle,
    go_on: &'a dyn Fn() -> bool,
    gone: Mutex<Vec<Gone>>,
    rewritten: Mutex<Vec<Rewritten>>,
}

impl<'a> StoreHost<'a> {
    /// `go_on` is asked about every megabyte: false to give up.
    pub(super) fn new(writer: &Writer<'a>, go_on: &'a dyn Fn() -> bool) -> Self {
        let Writer { tiers, locks, reporting, throttle, .. } = *writer;
        let (gone, rewritten) = (Mutex::default(), Mutex::default());
        Self { tiers, locks, reporting, throttle, go_on, gone, rewritten }
    }
}

impl Host for StoreHost<'_> {
    fn quiesce(&self) {
        self.locks.quiesce();
    }

    fn removed(&self, key: &[u8], place: &Place, removal: Removal) {
        if !self.forget(key, place) {
            return;
        }
        let counter = match removal.cause {
            RemovalCause::Expired => Counter::ColdExpirations,
            RemovalCause::Evicted => Counter::ColdEvictions,
        };
        self.reporting.counters().add(counter, 1);
        if self.reporting.events().wants(event_of(removal.cause)) {
            // If there is no memory for the key, no event is sent.
            let _untold = memory::copy(key, "a key that has left").and_then(|key| {
                memory::push(&mut self.gone.lock(), Gone { key, removal }, "keys that have left")
            });
        }
    }

    fn rewrote(&self, rewritten: &Rewritten) {
        if self.reporting.events().wants(EventKind::Compacted) {
            self.rewritten.lock().push(rewritten.clone());
        }
    }

    fn made_room(&self) {
        self.throttle.made();
    }

    fn at_rest(&self) {
        for Gone { key, removal } in std::mem::take(&mut *self.gone.lock()) {
            self.reporting.events().emit(&Event {
                tier: Some(Tier::Cold),
                key: &key,
                version: removal.version,
                expires_at: removal.expires_at,
                ..Event::of(event_of(removal.cause))
            });
        }
        let rewritten = std::mem::take(&mut *self.rewritten.lock());
        rewritten.iter().for_each(|rewritten| self.tell_compacted(rewritten));
    }

    fn go_on(&self) -> bool {
        (self.go_on)()
    }
}

fn event_of(cause: RemovalCause) -> EventKind {
    match cause {
        RemovalCause::Expired => EventKind::Expired,
        RemovalCause::Evicted => EventKind::Evicted,
    }
}

impl StoreHost<'_> {
    /// Removes a key whose record has ended from both tiers, unless the key has another record by
    /// now.
    fn forget(&self, key: &[u8], place: &Place) -> bool {
        let (Some(cold), Ok(key)) = (self.tiers.cold(), self.tiers.key(key)) else { return false };
        // The locks are those of the key's hash.
        if key.hash() != place.hash {
            return false;
        }
        let stripe = self.locks.key(key.hash());
        let mut shard = self.tiers.hot().lock(self.tiers.hot().shard_index(key.hash()));
        let forgotten = cold.forget(place);
        // An unwritten entry is newer than any record.
        let is_old = shard.peek(&key).is_some_and(|entry| !entry.is_unwritten());
        let removed = if forgotten && is_old { shard.remove(&key) } else { None };
        drop(shard);
        drop(stripe);
        drop(removed);
        forgotten
    }

    fn tell_compacted(&self, rewritten: &Rewritten) {
        let Rewritten { name, bytes_before, bytes_after } = rewritten;
        let message = format!("{name}: {bytes_before} bytes became {bytes_after}");
        self.reporting.events().emit(&Event {
            tier: Some(Tier::Cold),
            message: Some(&message),
            ..Event::of(EventKind::Compacted)
        });
    }
}
