//! What must be found: now, after the process was killed, and after the power went.

use super::script::{Changes, Done};
use super::sim::Sim;
use crate::cold::local::tests::script::keys;
use crate::time::Expiry;
use std::collections::BTreeMap;

/// A value and its expiry, 0 for never; `None`: the key is absent.
type Slot = Option<(Vec<u8>, u64)>;

/// For each key what it has, and what else may be found after the end.
#[derive(Clone)]
pub struct Oracle {
    now: BTreeMap<Vec<u8>, Slot>,
    /// After the process was killed: the last one is the newest.
    killed: BTreeMap<Vec<u8>, Vec<Slot>>,
    /// After the power went.
    crashed: BTreeMap<Vec<u8>, Vec<Slot>>,
}

/// Which end there was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Killed,
    PowerLost,
}

impl Oracle {
    pub fn new() -> Self {
        let each = |slots: Vec<Slot>| keys().into_iter().map(|key| (key, slots.clone())).collect();
        Self {
            now: keys().into_iter().map(|key| (key, None)).collect(),
            killed: each(vec![None]),
            crashed: each(vec![None]),
        }
    }

    fn touched(&self, changes: &Changes) -> Vec<(Vec<u8>, Slot)> {
        match changes {
            Some(changes) => changes.clone(),
            None => self.now.keys().map(|key| (key.clone(), None)).collect(),
        }
    }

    /// A step has returned. `is_synced` says that what it changed survives power loss.
    pub fn done(&mut self, changes: &Changes, done: &Done, is_synced: bool) {
        if matches!(done, Done::Not) {
            return;
        }
        for (key, slot) in self.touched(changes) {
            self.now.insert(key.clone(), slot.clone());
            self.killed.entry(key.clone()).or_default().push(slot.clone());
            let crashed = self.crashed.entry(key).or_default();
            if is_synced {
                crashed.clear();
            }
            crashed.push(slot);
        }
    }

    /// A step has failed, or was broken off: nobody sees it, but it may be found after the end if
    /// `is_open` says so.
    pub fn failed(&mut self, changes: &Changes, is_open: bool) {
        for (key, slot) in self.touched(changes).into_iter().filter(|_| is_open) {
            self.killed.entry(key.clone()).or_default().push(slot.clone());
            self.crashed.entry(key).or_default().push(slot);
        }
    }

    /// All that is seen now is in cold.
    pub fn written(&mut self) {
        self.killed =
            self.now.iter().map(|(key, slot)| (key.clone(), vec![slot.clone()])).collect();
    }

    /// All that is seen now survives power loss.
    pub fn synced(&mut self) {
        self.written();
        self.crashed = self.killed.clone();
    }

    /// Every key has what it must have now.
    pub fn check_now(&self, sim: &Sim, story: &dyn Fn() -> String) {
        for (key, slot) in &self.now {
            let found = sim.peek(key).unwrap_or_else(|error| panic!("{error}\n{}", story()));
            assert!(found == alive(sim, slot), "{}: {}", name(key), story());
        }
    }

    /// The same for one key, by a retrieve that promotes.
    pub fn check_one(&self, sim: &Sim, index: usize, story: &dyn Fn() -> String) {
        let (key, slot) = self.now.iter().nth(index % self.now.len()).unwrap();
        let found = sim.get(key).unwrap_or_else(|error| panic!("{error}\n{}", story()));
        assert!(found == alive(sim, slot), "{}: {}", name(key), story());
    }

    /// Every key of a store that was opened after the end has something that it may have, a walk finds
    /// the same keys, and verifying finds nothing damaged. What is found is from then on what each key
    /// has.
    pub fn check_after(&mut self, sim: &Sim, end: End, story: &dyn Fn() -> String) {
        let allowed = match end {
            End::Killed => &self.killed,
            End::PowerLost => &self.crashed,
        };
        let mut now = BTreeMap::new();
        let mut walked = sim.keys().unwrap_or_else(|error| panic!("{error}\n{}", story()));
        walked.sort();
        let mut there = Vec::new();
        for (key, slots) in allowed {
            let found = sim.peek(key).unwrap_or_else(|error| panic!("{error}\n{}", story()));
            let slot = slots.iter().rev().find(|slot| alive(sim, slot) == found);
            let Some(slot) = slot else {
                let lens: Vec<_> =
                    slots.iter().map(|slot| slot.as_ref().map(|s| s.0.len())).collect();
                let found = found.map(|value| value.len());
                panic!("{} has {found:?}, not one of {lens:?}: {}", name(key), story())
            };
            now.insert(key.clone(), slot.clone());
            if found.is_some() {
                there.push(key.clone());
            }
        }
        assert_eq!(walked, there, "{}", story());
        let verified = sim.core.reader().verify().unwrap();
        assert_eq!(verified.value.1, 0, "{}", story());
        self.now = now;
        self.written();
    }
}

/// What a slot's key answers now.
fn alive(sim: &Sim, slot: &Slot) -> Option<Vec<u8>> {
    let now = sim.core.tiers().clock().wall();
    let lives = slot.as_ref().filter(|(_, at)| !Expiry::from_ms(*at).has_passed(now));
    lives.map(|(value, _)| value.clone())
}

fn name(key: &[u8]) -> String {
    String::from_utf8_lossy(key).into_owned()
}
