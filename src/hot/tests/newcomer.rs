//! A policy that the tier has never seen: it joins by the two traits alone.

use super::super::Hot;
use super::super::entry::{Described, Entry, Probe, Slot};
use super::super::policy::{Order, Policy, Turn, Uses};
use super::{Victims, entry, get, key, name_of, options, store};
use crate::error::Result;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What came last leaves first, in the whole tier. Candidates with an odd hash are refused.
struct Stack {
    puts: AtomicU64,
    /// By shard: the number of its newest entry, 0 if it has none.
    newest: Vec<AtomicU64>,
}

impl Policy for Stack {
    fn order(self: Arc<Self>, index: usize) -> Box<dyn Order> {
        Box::new(Pile { slots: Vec::new(), shared: self, index })
    }

    fn next(&self) -> Option<Turn> {
        let newest = |index: &usize| self.newest[*index].load(Ordering::Relaxed);
        let shard = (0..self.newest.len()).max_by_key(newest)?;
        let others = (0..self.newest.len()).filter(|index| *index != shard);
        let until = others.map(|index| newest(&index)).max()?;
        (newest(&shard) != 0).then_some(Turn { shard, until, task: 0 })
    }
}

struct Pile {
    slots: Vec<Entry>,
    shared: Arc<Stack>,
    index: usize,
}

impl Pile {
    fn at(&self, probe: Probe<'_>) -> Option<usize> {
        self.slots.iter().position(|slot| slot.key() == probe.bytes)
    }

    fn publish(&self) {
        let newest = self.slots.last().map_or(0, |entry| entry.slot().mark());
        self.shared.newest[self.index].store(newest, Ordering::Relaxed);
    }
}

impl Order for Pile {
    fn reserve(&mut self, _: usize) -> Result<()> {
        Ok(())
    }

    fn put(&mut self, entry: Entry) -> Option<Entry> {
        let replaced = self.remove(entry.slot().probe());
        entry.slot().set_mark(self.shared.puts.fetch_add(1, Ordering::Relaxed) + 1);
        self.slots.push(entry);
        self.publish();
        replaced
    }

    fn remove(&mut self, probe: Probe<'_>) -> Option<Entry> {
        let slot = self.at(probe).map(|at| self.slots.remove(at));
        self.publish();
        slot
    }

    fn touch(&self, probe: Probe<'_>, _: &Uses) -> Option<&Slot> {
        self.peek(probe)
    }

    fn peek(&self, probe: Probe<'_>) -> Option<&Slot> {
        self.at(probe).map(|at| self.slots[at].slot())
    }

    fn find(&self, hash: u64, wanted: &dyn Fn(&Slot) -> bool) -> Option<&Slot> {
        self.slots.iter().map(Entry::slot).find(|slot| slot.hash() == hash && wanted(slot))
    }

    fn admits(&self, hash: u64, _: u64) -> Option<bool> {
        Some(hash.is_multiple_of(2))
    }

    fn evict(&mut self, turn: &Turn) -> Option<Entry> {
        let slot = self.slots.pop_if(|entry| entry.slot().mark() >= turn.until);
        self.publish();
        slot
    }

    fn iter(&self) -> Box<dyn DoubleEndedIterator<Item = &Slot> + '_> {
        Box::new(self.slots.iter().map(Entry::slot))
    }

    fn worth(&self, slot: &Slot) -> u64 {
        u64::MAX - slot.mark()
    }

    fn take(&mut self) -> Box<dyn Order> {
        let slots = std::mem::take(&mut self.slots);
        self.publish();
        Box::new(Self { slots, shared: self.shared.clone(), index: self.index })
    }
}

fn stack(max_entries: u64) -> Hot {
    let newest = (0..super::super::SHARD_COUNT).map(|_| AtomicU64::new(0)).collect();
    let policy = Stack { puts: AtomicU64::new(0), newest };
    let options = super::HotOptions { max_entries, ..options(1 << 20) };
    Hot::with_policy(&options, Arc::new(policy))
}

#[test]
fn the_order_among_shards_is_the_policys_own() {
    let hot = stack(100);
    for n in 0..100 {
        store(&hot, entry(&n.to_string(), n), 0).unwrap();
    }
    for n in 100..200 {
        let newest = (n - 1).to_string();
        assert_eq!(store(&hot, entry(&n.to_string(), n), 0).unwrap(), [newest]);
    }
    let hottest: Vec<_> = hot.hottest(1 << 20).unwrap().collect();
    assert_eq!(hottest.first().unwrap(), b"0");
    let mut victims = Victims::new();
    hot.shrink_to(0, &mut victims);
    let names: Vec<_> = victims.iter().map(name_of).collect();
    assert_eq!((names[0].as_str(), names[1].as_str(), names[99].as_str()), ("199", "98", "0"));
}

#[test]
fn a_candidate_may_be_refused_where_others_would_have_to_leave() {
    let hot = stack(2);
    let mut victims = Victims::new();
    let name = |odd: u64| {
        let fits = |n: &u64| key(n.to_string().as_bytes()).hash() % 2 == odd;
        (0..).find(fits).unwrap().to_string()
    };
    let (even, odd) = (name(0), name(1));
    let mut admits = |name: &str| {
        let reservation = hot.admit(&key(name.as_bytes()), entry(name, 1).charge(), &mut victims);
        reservation.is_some()
    };
    assert!(admits(&odd) && admits(&even), "there is room for either");
    store(&hot, entry("a", 1), 0).unwrap();
    store(&hot, entry("b", 2), 0).unwrap();
    // A thread that locked the shard would wait for itself here.
    let locked = hot.lock(hot.shard_index(key(odd.as_bytes()).hash()));
    assert!(!admits(&odd));
    drop(locked);
    assert!(victims.is_empty());
    assert_eq!((get(&hot, "a"), get(&hot, "b"), hot.entry_count()), (1, 2, 2));
    assert!(hot.admit(&key(even.as_bytes()), 200, &mut victims).is_some());
    assert_eq!(victims.iter().map(name_of).collect::<Vec<_>>(), ["b"]);
}
