use super::*;
use crate::label::Label;
use std::sync::atomic::AtomicU64;

/// A buffer that stands for the number `n`, with a hash that others have too.
fn buffer(n: u64, hash: u64) -> Buffer {
    let mut buffer = Buffer::from_parts(&[&n.to_le_bytes()]).unwrap();
    let label =
        Label { hash, expires_at: 0, key_start: 0, value_start: 0, value_len: 0, key_len: 0 };
    assert!(buffer.set_label(label));
    buffer
}

fn number(block: &Block) -> u64 {
    u64::from_le_bytes(block.bytes().try_into().unwrap())
}

/// Few numbers of few hashes, most of which want the same buckets.
fn hash_of(n: u64) -> u64 {
    (n % 7) << 56 | (n % 3) << 50 | (n % 5)
}

struct Random(AtomicU64);

impl Random {
    fn below(&self, bound: u64) -> u64 {
        let state = self.0.load(Relaxed).wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        self.0.store(state, Relaxed);
        (state >> 33) % bound
    }
}

/// The chain, and two lists that are searched from end to end.
struct Pair {
    chain: Chain,
    lists: [Vec<u64>; 2],
}

impl Pair {
    fn at(&self, n: u64) -> Option<(usize, usize)> {
        let at = |ring: usize| self.lists[ring].iter().position(|m| *m == n).map(|at| (ring, at));
        at(0).or_else(|| at(1))
    }

    fn put(&mut self, n: u64, ring: usize) {
        let is_it = |block: &Block, new: &Block| number(block) == number(new);
        match (self.chain.replace(buffer(n, hash_of(n)), is_it), self.at(n)) {
            (Ok(old), Some(_)) => assert_eq!(number(&old), n),
            (Err(new), None) => {
                assert!(self.chain.insert(new, ring).is_none());
                self.lists[ring].insert(0, n);
            }
            (replaced, at) => panic!("{} at {at:?}", replaced.is_ok()),
        }
    }

    fn remove(&mut self, n: u64) {
        let removed = self.chain.remove(hash_of(n), |block| number(block) == n);
        assert_eq!(removed.is_some(), self.at(n).is_some());
        assert!(removed.is_none_or(|buffer| buffer.enter_hot()), "still marked as hot");
        self.at(n).into_iter().for_each(|(ring, at)| _ = self.lists[ring].remove(at));
    }

    fn renew(&mut self, n: u64) {
        self.chain.renew(hash_of(n), |block| number(block) == n);
        if let Some((ring, at)) = self.at(n) {
            let n = self.lists[ring].remove(at);
            self.lists[ring].insert(0, n);
        }
    }

    fn move_last(&mut self, from: usize, to: usize) {
        let moved = self.chain.move_last(from, to).map(number);
        let last = self.lists[from].pop();
        assert_eq!(moved, last);
        last.into_iter().for_each(|n| self.lists[to].insert(0, n));
    }

    fn sink_last(&mut self, ring: usize, most: usize, least: u64) {
        self.chain.sink_last(ring, most, |block| number(block) < least);
        if let Some(last) = self.lists[ring].pop() {
            let list = &self.lists[ring];
            let behind = list.iter().take(most).position(|n| *n < least);
            let behind = behind.unwrap_or(most.min(list.len()));
            self.lists[ring].insert(behind, last);
        }
    }

    fn check(&self) {
        for (ring, list) in self.lists.iter().enumerate() {
            assert!(self.chain.iter(ring).map(number).eq(list.iter().copied()));
            assert!(self.chain.iter(ring).rev().map(number).eq(list.iter().rev().copied()));
            assert_eq!(self.chain.last(ring).map(number), list.last().copied());
        }
        assert_eq!(self.chain.len(), self.lists[0].len() + self.lists[1].len());
        let passed: usize = self.chain.buckets.iter().map(|b| usize::from(b.passed())).sum();
        assert!(self.chain.len() != 0 || passed == 0, "{passed} have passed nothing");
    }
}

#[test]
fn a_chain_behaves_like_two_lists() {
    let random = Random(AtomicU64::new(1));
    let mut pair = Pair { chain: Chain::new(), lists: Default::default() };
    for step in 0..40_000 {
        let n = random.below(if step % 10_000 < 6_000 { 200 } else { 8 });
        let [ring, other] = [0, 1].map(|_| usize::from(random.below(2) == 0));
        match random.below(8) {
            0..=2 => pair.put(n, ring),
            3 => pair.remove(n),
            4 => pair.renew(n),
            5 => pair.move_last(ring, other),
            6 => pair.sink_last(ring, usize::from(random.below(2) == 0) * 5, n),
            _ if step % 10_000 > 6_000 => {
                let last = pair.chain.pop_last(ring).map(|buffer| number(&buffer));
                assert_eq!(last, pair.lists[ring].pop());
            }
            _ if random.below(50) == 0 => pair.chain.shrink(),
            _ => {
                let found = pair.chain.find(hash_of(n), |block| number(block) == n);
                assert_eq!(found.map(number), pair.at(n).map(|_| n));
            }
        }
        if step % 16 == 0 {
            pair.check();
        }
    }
}

#[test]
fn a_buffer_is_in_one_chain_at_a_time() {
    let (mut one, mut other) = (Chain::new(), Chain::new());
    let shared = buffer(1, 1);
    assert!(one.insert(shared.clone(), 0).is_none());
    assert!(other.insert(shared.clone(), 0).is_some());
    assert_eq!((one.len(), other.len()), (1, 0));
    drop(one);
    assert!(other.insert(shared, 1).is_none());
}

#[test]
fn so_many_as_were_reserved_enter_without_another_table() {
    let mut chain = Chain::new();
    chain.reserve(1_000).unwrap();
    let buckets = chain.buckets.len();
    (0..1_000_u64).for_each(|n| {
        assert!(chain.insert(buffer(n, n.wrapping_mul(0x9E37_79B9_7F4A_7C15)), 0).is_none());
    });
    assert_eq!(chain.buckets.len(), buckets);
    assert!(chain.reserve(usize::MAX / 64).is_err());
}
