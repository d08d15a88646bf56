//! A small cache of keys without values, to see what a division of the tier would do.
//!
//! It is the policy itself in small: a window and main, both first in first out; an entry of main that
//! was used comes round again; what leaves the window has to be used more often than what would leave
//! main. It sees a sample of the keys, and is smaller than the tier by the same factor.
//!
//! # Invariants
//! 1. `used` are the sums over the window and over main; together they are within the limits.
//! 2. A node is in one list, or spare.

use super::budget::Usage;
use super::mode::Mode;
use hashbrown::HashTable;

/// The most keys that a cache holds; those that have left count.
pub(super) const NODES_MAX: usize = 1024;

const NIL: u16 = u16::MAX;

/// The lists: the window, main, and what has left.
const WINDOW: usize = 0;
const MAIN: usize = 1;
const LEFT: usize = 2;

/// How often a key may come round in main without leaving, and how many may in one go.
pub(super) const ROUNDS_MAX: u8 = 3;
pub(super) const TURNS_MAX: u32 = 8;

/// Uses in the window that make a contest unnecessary.
pub(super) const PROVEN: u8 = 2;

/// After so many refusals the one that would leave main is spared, and the next one is measured.
pub(super) const REFUSALS_PER_TURN: u64 = 4;

#[derive(Clone, Copy, Default)]
struct Node {
    hash: u64,
    charge: u64,
    before: u16,
    behind: u16,
    list: u8,
    uses: u8,
}

#[derive(Clone, Copy)]
struct List {
    first: u16,
    last: u16,
}

/// The cache.
pub(super) struct Mini {
    mode: Mode,
    table: HashTable<u16>,
    nodes: Vec<Node>,
    spare: Vec<u16>,
    lists: [List; 3],
    used: [Usage; 3],
    refusals: u64,
}

impl Mini {
    /// An empty one; `None` if there is no memory for it.
    pub(super) fn new(mode: Mode) -> Option<Self> {
        let (mut table, mut nodes, mut spare) = (HashTable::new(), Vec::new(), Vec::new());
        table.try_reserve(NODES_MAX, |_| 0).ok()?;
        nodes.try_reserve_exact(NODES_MAX).ok()?;
        spare.try_reserve_exact(NODES_MAX).ok()?;
        let lists = [List { first: NIL, last: NIL }; 3];
        Some(Self { mode, table, nodes, spare, lists, used: Default::default(), refusals: 0 })
    }

    /// Bytes of memory that this takes elsewhere.
    pub(super) fn memory_bytes(&self) -> usize {
        self.table.allocation_size()
            + self.nodes.capacity() * size_of::<Node>()
            + self.spare.capacity() * size_of::<u16>()
    }

    /// Counts a use; true if the key is here.
    pub(super) fn look(&mut self, hash: u64) -> bool {
        let Some(node) = self.find(hash).map(|at| &mut self.nodes[usize::from(at)]) else {
            return false;
        };
        node.uses = (node.uses + 1).min(ROUNDS_MAX);
        usize::from(node.list) != LEFT
    }

    /// Lets a key in, if it is not here, at the cost of others. `count` tells how often a key was used.
    pub(super) fn fill(&mut self, hash: u64, one: Usage, limits: Usage, count: &dyn Fn(u64) -> u8) {
        let mut comes_back = false;
        if let Some(at) = self.find(hash) {
            if usize::from(self.nodes[usize::from(at)].list) != LEFT {
                return;
            }
            self.release(at);
            comes_back = self.mode.recalls;
        }
        if !one.beyond(limits).is_nothing() {
            return;
        }
        let is_full = !self.has_room(one, limits);
        if self.mode.has_door && is_full && !self.passes(hash, count) {
            return;
        }
        self.settle(one, limits);
        while !self.has_room(one, limits) || (self.spare.is_empty() && self.is_at_most()) {
            if !self.drop_left() && !self.evict(one, comes_back, limits, count) {
                return;
            }
        }
        let at = self.spare.pop().unwrap_or_else(|| {
            self.nodes.push(Node::default());
            u16::try_from(self.nodes.len() - 1).unwrap_or(NIL)
        });
        self.nodes[usize::from(at)] = Node { hash, charge: one.bytes, ..Node::default() };
        self.link(at, if comes_back { MAIN } else { WINDOW });
        let nodes = &self.nodes;
        self.table.insert_unique(hash, at, |at| nodes[usize::from(*at)].hash);
    }

    fn is_at_most(&self) -> bool {
        self.nodes.len() == NODES_MAX
    }

    /// Drops the key that left longest ago, if the memory is all used.
    fn drop_left(&mut self) -> bool {
        let last = self.lists[LEFT].last;
        let drops = last != NIL && self.is_at_most() && self.spare.is_empty();
        if drops {
            self.release(last);
        }
        drops
    }

    /// Whether a newcomer beats the one that would leave main.
    fn passes(&mut self, hash: u64, count: &dyn Fn(u64) -> u8) -> bool {
        let Some(victim) = self.victim() else { return true };
        let passes = self.wins(hash, victim, count);
        if !passes {
            self.refused(victim);
        }
        passes
    }

    fn wins(&self, hash: u64, victim: u16, count: &dyn Fn(u64) -> u8) -> bool {
        count(hash) > count(self.nodes[usize::from(victim)].hash) + self.mode.margin
    }

    fn refused(&mut self, victim: u16) {
        self.refusals += 1;
        if self.refusals.is_multiple_of(REFUSALS_PER_TURN) {
            self.relink(victim, MAIN);
        }
    }

    /// What the window has too much goes to main while that has room.
    fn settle(&mut self, one: Usage, limits: Usage) {
        for _ in 0..2 {
            let last = self.lists[WINDOW].last;
            if last == NIL || !self.window_is_over(one, limits) || !self.main_has_room(last, limits)
            {
                return;
            }
            self.relink(last, MAIN);
        }
    }

    fn window_is_over(&self, mut with: Usage, limits: Usage) -> bool {
        with.add(self.used[WINDOW]);
        !with.beyond(self.mode.window(limits)).is_nothing()
    }

    fn main_has_room(&self, at: u16, limits: Usage) -> bool {
        let mut with = Usage::of_entry(self.nodes[usize::from(at)].charge);
        with.add(self.used[MAIN]);
        with.beyond(self.mode.main(limits)).is_nothing()
    }

    fn has_room(&self, mut with: Usage, limits: Usage) -> bool {
        with.add(self.used[WINDOW]);
        with.add(self.used[MAIN]);
        with.beyond(limits).is_nothing()
    }

    /// Takes a step to make room; false if nothing is here.
    fn evict(
        &mut self,
        one: Usage,
        comes_back: bool,
        limits: Usage,
        count: &dyn Fn(u64) -> u8,
    ) -> bool {
        let last = self.lists[WINDOW].last;
        let coming = if comes_back { Usage::default() } else { one };
        let from_window = self.lists[MAIN].last == NIL || self.window_is_over(coming, limits);
        if last == NIL || !from_window {
            let victim = self.victim();
            victim.into_iter().for_each(|victim| self.leave(victim));
            return victim.is_some();
        }
        if self.nodes[usize::from(last)].uses >= PROVEN {
            self.relink(last, MAIN);
            return true;
        }
        match self.victim() {
            None => self.leave(last),
            Some(victim) if self.wins(self.nodes[usize::from(last)].hash, victim, count) => {
                self.leave(victim);
                self.relink(last, MAIN);
            }
            Some(victim) => {
                self.leave(last);
                self.refused(victim);
            }
        }
        true
    }

    /// The key that is to leave main next.
    fn victim(&mut self) -> Option<u16> {
        for _ in 0..TURNS_MAX {
            let last = self.lists[MAIN].last;
            if last == NIL || self.nodes[usize::from(last)].uses == 0 {
                break;
            }
            let uses = self.nodes[usize::from(last)].uses - 1;
            self.relink(last, MAIN);
            self.nodes[usize::from(last)].uses = uses;
        }
        Some(self.lists[MAIN].last).filter(|last| *last != NIL)
    }

    /// A key leaves; it is known for a while if that is of use.
    fn leave(&mut self, at: u16) {
        if !self.mode.recalls {
            return self.release(at);
        }
        self.relink(at, LEFT);
        let here = self.used[WINDOW].entries + self.used[MAIN].entries;
        while self.used[LEFT].entries > here.max(1) {
            self.release(self.lists[LEFT].last);
        }
    }

    fn find(&self, hash: u64) -> Option<u16> {
        self.table.find(hash, |at| self.nodes[usize::from(*at)].hash == hash).copied()
    }

    fn release(&mut self, at: u16) {
        self.unlink(at);
        let hash = self.nodes[usize::from(at)].hash;
        if let Ok(found) = self.table.find_entry(hash, |other| *other == at) {
            found.remove();
        }
        self.spare.push(at);
    }

    fn relink(&mut self, at: u16, list: usize) {
        self.unlink(at);
        self.nodes[usize::from(at)].uses = 0;
        self.link(at, list);
    }

    fn link(&mut self, at: u16, list: usize) {
        let first = std::mem::replace(&mut self.lists[list].first, at);
        let node = &mut self.nodes[usize::from(at)];
        (node.before, node.behind) = (NIL, first);
        node.list = u8::try_from(list).unwrap_or(0);
        self.used[list].add(Usage::of_entry(node.charge));
        match first {
            NIL => self.lists[list].last = at,
            first => self.nodes[usize::from(first)].before = at,
        }
    }

    fn unlink(&mut self, at: u16) {
        let Node { before, behind, list, charge, .. } = self.nodes[usize::from(at)];
        let list = usize::from(list);
        match before {
            NIL => self.lists[list].first = behind,
            before => self.nodes[usize::from(before)].behind = behind,
        }
        match behind {
            NIL => self.lists[list].last = before,
            behind => self.nodes[usize::from(behind)].before = before,
        }
        self.used[list].sub(Usage::of_entry(charge));
    }
}

#[cfg(test)]
mod tests;
