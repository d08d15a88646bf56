//! Least frequently used: a window for newcomers, main for the proven, and a contest between them.
//!
//! A newcomer enters the window, first in first out. An entry that leaves the window is a candidate
//! for main. It enters if it was used more often than the entry that would leave main for it, or at
//! least twice while it was in the window. Main is first in first out too, but an entry that was
//! used comes round again. So a use changes one number of its entry, and moves nothing. Counts
//! outlive their entries in [`History`]. Small caches find out how large the window should be, and
//! how hard the contest ([`super::sampler`]). This is one shard's part; [`Contest`] sees them all.
//!
//! # Invariants
//! 1. `used` are the sums over the shard's rings; both are within the totals of the contest.
//! 2. An entry is in the ring that its mark says.

use super::budget::Usage;
use super::contest::EMPTY;
use super::contest::{
    Contest, DROP, EXPOSE, EXPOSED_COUNT_BITS, JUDGE, MAIN, NOBODY, RECENT, SPARE, WINDOW,
};
use super::entry::{Described, Entry, Probe, Slot};
use super::history::History;
use super::mark::Mark;
use super::mini::{PROVEN, TURNS_MAX};
use super::policy::{Order, Policy, Turn, Uses};
use super::slots::Slots;
use crate::error::Result;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// The half that sees all shards.
pub(super) struct TinyLfu(Arc<Contest>);

impl TinyLfu {
    /// The policy of a tier with these limits.
    pub(super) fn new(limits: Usage) -> Self {
        Self(Arc::new(Contest::new(limits)))
    }
}

impl Policy for TinyLfu {
    fn order(self: Arc<Self>, index: usize) -> Box<dyn Order> {
        Box::new(Queues::new(self.0.clone(), index))
    }

    fn before_judging(&self) -> Option<Turn> {
        self.0.before_judging()
    }

    fn memory_bytes(&self) -> u64 {
        self.0.memory_bytes()
    }

    fn next(&self) -> Option<Turn> {
        self.0.next()
    }
}

/// One shard's part of both queues.
struct Queues {
    slots: Slots,
    history: History,
    shared: Arc<Contest>,
    /// The shard's.
    index: usize,
    /// The shard's part of both totals.
    used: [Usage; 2],
}

impl Queues {
    fn new(shared: Arc<Contest>, index: usize) -> Self {
        let (slots, history, used) = (Slots::new(), History::default(), Default::default());
        Self { slots, history, shared, index, used }
    }

    fn last(&self, ring: usize) -> Option<Mark> {
        self.slots.last(ring).map(|slot| Mark(slot.mark()))
    }

    /// Publishes the last entry of `ring`.
    fn publish(&self, ring: usize) {
        let stamp = self.last(ring).map_or(EMPTY, Mark::stamp);
        self.shared.last[self.index].0[ring].store(stamp, Relaxed);
    }

    /// Publishes the last entry of `ring`, and returns it if it is next in the whole tier.
    fn next(&self, ring: usize, until: u64) -> Option<Mark> {
        self.publish(ring);
        self.last(ring).filter(|mark| mark.stamp() <= until)
    }

    fn add(&mut self, ring: usize, usage: Usage) {
        self.used[ring].add(usage);
        self.shared.total(ring).add(usage);
    }

    fn sub(&mut self, ring: usize, usage: Usage) {
        self.used[ring].sub(usage);
        self.shared.total(ring).sub(usage);
    }

    /// Moves the last entry of `ring` to the front of main.
    fn promote_last(&mut self, ring: usize, uses: u8) {
        let (stamp, epoch) = (self.shared.next_stamp(), self.shared.epoch());
        if let Some(slot) = self.slots.move_last(ring, MAIN) {
            slot.set_mark(Mark(slot.mark()).moved(stamp, uses, epoch).0);
            let usage = slot.usage();
            self.sub(ring, usage);
            self.add(MAIN, usage);
        }
        self.publish(ring);
        self.publish(MAIN);
    }

    /// Takes the last entry of `ring` out, and remembers how often it was used.
    fn drop_last(&mut self, ring: usize) -> Option<Entry> {
        let entry = self.slots.pop_last(ring)?;
        let slot = entry.slot();
        self.sub(ring, slot.usage());
        self.shared.departures.fetch_add(1, Relaxed);
        self.remember(slot.hash(), Mark(slot.mark()).count(self.shared.epoch()));
        self.publish(ring);
        Some(entry)
    }

    fn remember(&mut self, hash: u64, count: u8) {
        self.history.remember(hash, count, self.shared.now(), self.slots.len());
    }

    /// Lets those at the end of main that were used come round; true when the last one is to leave.
    fn turn(&mut self, until: u64) -> bool {
        while let Some(last) = self.next(MAIN, until) {
            let rounds = self.shared.rounds.fetch_add(1, Relaxed);
            if last.uses() == 0 || rounds >= TURNS_MAX {
                return true;
            }
            self.promote_last(MAIN, last.uses() - 1);
        }
        false
    }

    fn expose(&mut self, until: u64) {
        if self.turn(until)
            && let Some(last) = self.last(MAIN)
        {
            let count = u64::from(last.count(self.shared.epoch()));
            self.shared.exposed.store(last.stamp() << EXPOSED_COUNT_BITS | count, Relaxed);
            self.shared.rounds.store(0, Relaxed);
        }
    }

    /// Lets the last one of main come round though it was not used, so that another is measured.
    fn spare(&mut self, until: u64) {
        if self.next(MAIN, until).is_some() {
            self.promote_last(MAIN, 0);
            self.shared.exposed.store(0, Relaxed);
            self.shared.spares.store(false, Relaxed);
        }
    }

    fn drop_from_main(&mut self, until: u64) -> Option<Entry> {
        if !self.turn(until) {
            return None;
        }
        self.shared.rounds.store(0, Relaxed);
        self.shared.owes.store(false, Relaxed);
        self.shared.exposed.store(0, Relaxed);
        self.drop_last(MAIN)
    }

    /// Judges the last one of the window by the count of the one that would leave main.
    fn judge(&mut self, until: u64, rival: u64) -> Option<Entry> {
        let last = self.next(WINDOW, until)?;
        let usage = self.slots.last(WINDOW).map(Described::usage)?;
        let beats = rival + u64::from(self.shared.mode().margin);
        if last.uses() >= PROVEN || self.shared.main_has_room(usage) {
            self.promote_last(WINDOW, 0);
            return None;
        }
        if u64::from(last.count(self.shared.epoch())) > beats {
            self.promote_last(WINDOW, 0);
            self.shared.owes.store(true, Relaxed);
            return None;
        }
        if rival != NOBODY {
            self.shared.refused();
        }
        self.drop_last(WINDOW)
    }

    /// Lets what the window has too much go to main while that has room.
    fn settle(&mut self) {
        for _ in 0..2 {
            let Some(last) = self.slots.last(WINDOW) else { return };
            if !self.shared.window_is_over() || !self.shared.main_has_room(last.usage()) {
                return;
            }
            self.promote_last(WINDOW, 0);
        }
    }

    #[inline]
    fn count_use(&self, uses: &Uses) {
        let untold = uses.untold.load(Relaxed) + 1;
        if untold < uses.untold_max.load(Relaxed) {
            return uses.untold.store(untold, Relaxed);
        }
        uses.untold_max.store(self.shared.tell_uses(untold), Relaxed);
        uses.untold.store(0, Relaxed);
    }

    /// Puts an entry in place of the one of its key, which is given back.
    ///
    /// # Errors
    /// The entry, if there is none of its key.
    fn replace(&mut self, entry: Entry) -> std::result::Result<Entry, Entry> {
        let Some(old) = self.slots.peek(entry.slot().probe()) else { return Err(entry) };
        let mark = Mark(old.mark());
        let (hash, usage) = (entry.hash(), entry.slot().usage());
        entry.slot().set_mark(mark.used(self.shared.epoch()).0);
        let old = self.slots.replace(entry)?;
        self.shared.sample(hash, true, Some(usage.bytes()));
        let ring = usize::from(mark.in_main());
        self.add(ring, usage);
        self.sub(ring, old.slot().usage());
        Ok(old)
    }
}

impl Order for Queues {
    fn reserve(&mut self, count: usize) -> Result<()> {
        self.slots.reserve(count)
    }

    fn put(&mut self, entry: Entry) -> Option<Entry> {
        let entry = match self.replace(entry) {
            Ok(old) => return Some(old),
            Err(entry) => entry,
        };
        let (hash, now) = (entry.hash(), self.shared.now());
        let past = self.history.recall(hash, now);
        let is_recent = past.is_some_and(|past| past.age <= RECENT);
        let in_main = is_recent && self.shared.mode().recalls;
        let count = past.map_or(0, |past| past.count) + 1;
        let usage = entry.slot().usage();
        self.shared.watch();
        entry.slot().set_mark(Mark::new(self.shared.next_stamp(), in_main, count, now.epoch).0);
        self.shared.sample(hash, false, Some(usage.bytes()));
        let ring = usize::from(in_main);
        let refused = self.slots.insert(entry, ring);
        if refused.is_none() {
            self.add(ring, usage);
        }
        self.settle();
        self.publish(ring);
        refused
    }

    fn remove(&mut self, probe: Probe<'_>) -> Option<Entry> {
        let entry = self.slots.remove(probe)?;
        let slot = entry.slot();
        self.sub(usize::from(Mark(slot.mark()).in_main()), slot.usage());
        Some(entry)
    }

    fn touch(&self, probe: Probe<'_>, uses: &Uses) -> Option<&Slot> {
        self.count_use(uses);
        let Self { slots, shared, .. } = self;
        let slot = slots.get(probe);
        if shared.samples(probe.hash) {
            shared.sample(probe.hash, true, slot.map(Described::charge));
        }
        let Some(slot) = slot else {
            // Whoever found nothing comes back with a candidate, after a read from cold or a store.
            self.history.prefetch(probe.hash);
            return None;
        };
        let mark = Mark(slot.mark());
        slot.set_mark(mark.used(shared.epoch()).0);
        if shared.exposed.load(Relaxed) >> EXPOSED_COUNT_BITS == mark.stamp() {
            shared.exposed.store(0, Relaxed);
        }
        Some(slot)
    }

    fn peek(&self, probe: Probe<'_>) -> Option<&Slot> {
        self.slots.peek(probe)
    }

    fn find(&self, hash: u64, wanted: &dyn Fn(&Slot) -> bool) -> Option<&Slot> {
        self.slots.find(hash, wanted)
    }

    fn admits(&self, hash: u64, charge: u64) -> Option<bool> {
        let exposed = self.shared.exposed.load(Relaxed);
        if !self.shared.mode().has_door || exposed == 0 {
            return Some(true);
        }
        // What is refused has to be noted: otherwise it would be refused for ever.
        if !self.history.fits(self.slots.len()) {
            return None;
        }
        let past = self.history.recall(hash, self.shared.now());
        let count = past.map_or(0, |past| past.count) + 1;
        let rival = exposed & ((1 << EXPOSED_COUNT_BITS) - 1);
        if u64::from(count) > rival + u64::from(self.shared.mode().margin) {
            return Some(true);
        }
        self.shared.sample(hash, false, Some(charge));
        self.shared.refused();
        self.history.note(hash, count, self.shared.now());
        Some(false)
    }

    fn fit(&mut self) {
        self.history.fit(self.slots.len());
    }

    fn evict(&mut self, turn: &Turn) -> Option<Entry> {
        match turn.task {
            DROP => self.drop_from_main(turn.until),
            EXPOSE | SPARE => {
                self.prepare(turn);
                None
            }
            judge => self.judge(turn.until, judge - JUDGE),
        }
    }

    fn prepare(&mut self, turn: &Turn) {
        match turn.task {
            SPARE => self.spare(turn.until),
            _ => self.expose(turn.until),
        }
    }

    fn iter(&self) -> Box<dyn DoubleEndedIterator<Item = &Slot> + '_> {
        Box::new(self.slots.iter(MAIN).chain(self.slots.iter(WINDOW)))
    }

    fn worth(&self, slot: &Slot) -> u64 {
        let mark = Mark(slot.mark());
        let count = u64::from(mark.count(self.shared.epoch()));
        count << (u64::BITS - 8) | mark.stamp() & (u64::MAX >> 8)
    }

    fn take(&mut self) -> Box<dyn Order> {
        for ring in [WINDOW, MAIN] {
            self.sub(ring, self.used[ring]);
        }
        let slots = std::mem::replace(&mut self.slots, Slots::new());
        self.publish(WINDOW);
        self.publish(MAIN);
        let shared = Arc::new(Contest::new(self.shared.limits));
        Box::new(Self { slots, shared, history: History::default(), ..*self })
    }
}

#[cfg(test)]
mod tests;
