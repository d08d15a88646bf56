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
use super::entry::Probe;
use super::history::History;
use super::mark::Mark;
use super::mini::{PROVEN, TURNS_MAX};
use super::policy::{Order, Policy, Slot, Turn};
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
    /// Uses that the other shards do not know of yet, and how many there may be.
    uses: u64,
    uses_kept: u64,
}

impl Queues {
    fn new(shared: Arc<Contest>, index: usize) -> Self {
        let (slots, history, used) = (Slots::new(), History::default(), Default::default());
        Self { slots, history, shared, index, used, uses: 0, uses_kept: 1 }
    }

    fn last(&self, ring: usize) -> Option<Mark> {
        self.slots.last(ring).map(|slot| Mark(slot.mark))
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
            slot.mark = Mark(slot.mark).moved(stamp, uses, epoch).0;
            let usage = slot.usage();
            self.sub(ring, usage);
            self.add(MAIN, usage);
        }
        self.publish(ring);
        self.publish(MAIN);
    }

    /// Takes the last entry of `ring` out, and remembers how often it was used.
    fn drop_last(&mut self, ring: usize) -> Option<Slot> {
        let slot = self.slots.pop_last(ring)?;
        self.sub(ring, slot.usage());
        self.shared.departures.fetch_add(1, Relaxed);
        self.remember(slot.entry.hash(), Mark(slot.mark).count(self.shared.epoch()));
        self.publish(ring);
        Some(slot)
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

    fn drop_from_main(&mut self, until: u64) -> Option<Slot> {
        if !self.turn(until) {
            return None;
        }
        self.shared.rounds.store(0, Relaxed);
        self.shared.owes.store(false, Relaxed);
        self.shared.exposed.store(0, Relaxed);
        self.drop_last(MAIN)
    }

    /// Judges the last one of the window by the count of the one that would leave main.
    fn judge(&mut self, until: u64, rival: u64) -> Option<Slot> {
        let last = self.next(WINDOW, until)?;
        let usage = self.slots.last(WINDOW).map(Slot::usage)?;
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

    fn count_use(&mut self) {
        self.uses += 1;
        if self.uses >= self.uses_kept {
            self.uses_kept = self.shared.tell_uses(self.uses);
            self.uses = 0;
        }
    }

    /// Puts an entry in place of the one of its key.
    fn replace(&mut self, mut slot: Slot) -> Slot {
        let epoch = self.shared.epoch();
        self.shared.sample(slot.entry.hash(), true, Some(slot.entry.charge()));
        let Some(old) = self.slots.get_mut(slot.entry.probe()) else { return slot };
        slot.mark = Mark(old.mark).used(epoch).0;
        let ring = usize::from(Mark(old.mark).in_main());
        let usage = slot.usage();
        let old = std::mem::replace(old, slot);
        self.add(ring, usage);
        self.sub(ring, old.usage());
        old
    }
}

impl Order for Queues {
    fn reserve(&mut self, count: usize) -> Result<()> {
        self.slots.reserve(count)
    }

    fn put(&mut self, mut slot: Slot) -> Option<Slot> {
        if self.slots.peek(slot.entry.probe()).is_some() {
            return Some(self.replace(slot));
        }
        let (hash, now) = (slot.entry.hash(), self.shared.now());
        let past = self.history.recall(hash, now);
        let is_recent = past.is_some_and(|past| past.age <= RECENT);
        let in_main = is_recent && self.shared.mode().recalls;
        let count = past.map_or(0, |past| past.count) + 1;
        slot.mark = Mark::new(self.shared.next_stamp(), in_main, count, now.epoch).0;
        self.shared.sample(hash, false, Some(slot.entry.charge()));
        let ring = usize::from(in_main);
        self.add(ring, slot.usage());
        let refused = self.slots.put(slot, ring);
        self.settle();
        self.publish(ring);
        refused
    }

    fn remove(&mut self, probe: Probe<'_>) -> Option<Slot> {
        let slot = self.slots.remove(probe)?;
        self.sub(usize::from(Mark(slot.mark).in_main()), slot.usage());
        Some(slot)
    }

    fn touch(&mut self, probe: Probe<'_>) -> Option<&Slot> {
        self.count_use();
        let Self { slots, shared, .. } = self;
        let slot = slots.get_mut(probe);
        shared.sample(probe.hash, true, slot.as_ref().map(|slot| slot.entry.charge()));
        let slot = slot?;
        let mark = Mark(slot.mark);
        slot.mark = mark.used(shared.epoch()).0;
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

    fn admits(&mut self, hash: u64, charge: u64) -> bool {
        let exposed = self.shared.exposed.load(Relaxed);
        if !self.shared.mode().has_door || exposed == 0 {
            return true;
        }
        let past = self.history.recall(hash, self.shared.now());
        let count = past.map_or(0, |past| past.count) + 1;
        let rival = exposed & ((1 << EXPOSED_COUNT_BITS) - 1);
        if u64::from(count) > rival + u64::from(self.shared.mode().margin) {
            return true;
        }
        self.shared.sample(hash, false, Some(charge));
        self.shared.refused();
        self.remember(hash, count);
        false
    }

    fn evict(&mut self, turn: &Turn) -> Option<Slot> {
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
        let mark = Mark(slot.mark);
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
