//! What the frequency policy promises: its sums, its order, and what it keeps.

use super::*;
use crate::buffer::Buffer;
use crate::hot::mode::MODES;
use crate::hot::policy::SHARD_COUNT;
use crate::time::Expiry;

/// A number generator that needs nothing.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99);
        (self.0 >> 33) % bound
    }
}

/// The hash of key `n`, as good as any.
fn hash_of(n: u64) -> u64 {
    let n = (n + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let n = (n ^ n >> 32).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    n ^ n >> 32
}

fn entry(n: u64, len: usize) -> Entry {
    let key = n.to_le_bytes();
    let buffer = Buffer::from_parts(&[&key, &vec![0; len]]).unwrap();
    let end = buffer.bytes().len();
    Entry::new(buffer, (0..8, 8..end), hash_of(n), n, Expiry::NEVER).unwrap()
}

/// A tier without locks: the policy, its orders, and a budget.
struct Tier {
    policy: Arc<Contest>,
    shards: Vec<Queues>,
    limits: Usage,
    uses: Uses,
}

impl Tier {
    fn new(limits: Usage) -> Self {
        let policy = Arc::new(Contest::new(limits));
        let shards = (0..SHARD_COUNT).map(|at| Queues::new(policy.clone(), at)).collect();
        Self { policy, shards, limits, uses: Uses::default() }
    }

    fn of_entries(entries: u64) -> Self {
        Self::new(Usage { bytes: 1 << 40, entries })
    }

    fn shard(&mut self, n: u64) -> &mut Queues {
        &mut self.shards[usize::try_from(hash_of(n) >> 60).unwrap()]
    }

    fn used(&self) -> Usage {
        let mut used = self.policy.total(WINDOW).usage();
        used.add(self.policy.total(MAIN).usage());
        used
    }

    fn touch(&mut self, n: u64) -> bool {
        let key = n.to_le_bytes();
        let probe = Probe { hash: hash_of(n), bytes: &key };
        let shard = &self.shards[usize::try_from(hash_of(n) >> 60).unwrap()];
        shard.touch(probe, &self.uses).is_some()
    }

    /// Makes room for so much; returns the keys that left.
    fn make_room(&mut self, needed: Usage) -> Vec<u64> {
        let mut left = Vec::new();
        let lacks = |tier: &Self| {
            let mut with = tier.used();
            with.add(needed);
            !with.beyond(tier.limits).is_nothing()
        };
        while lacks(self) {
            let Some(turn) = self.policy.next() else { break };
            left.extend(self.shards[turn.shard].evict(&turn).map(|entry| entry.version()));
        }
        left
    }

    fn put(&mut self, n: u64, len: usize) -> Vec<u64> {
        let entry = entry(n, len);
        let left = self.make_room(entry.slot().usage());
        self.shard(n).put(entry);
        left
    }

    fn admits(&mut self, n: u64) -> bool {
        let shard = self.shard(n);
        shard.admits(hash_of(n), 200).unwrap_or_else(|| {
            shard.fit();
            shard.admits(hash_of(n), 200).expect("the notes fit now")
        })
    }

    /// Asks for a key; a miss lets it in.
    fn request(&mut self, n: u64) -> bool {
        let is_hit = self.touch(n);
        if !is_hit {
            self.put(n, 0);
        }
        is_hit
    }

    fn hits(&mut self, keys: impl Iterator<Item = u64>) -> usize {
        keys.filter(|n| self.request(*n)).count()
    }

    /// Counts everything anew.
    fn check(&self) {
        let mut totals = [Usage::default(); 2];
        let mut stamps = Vec::new();
        for (at, shard) in self.shards.iter().enumerate() {
            for ring in [WINDOW, MAIN] {
                let mut used = Usage::default();
                let marks: Vec<_> = shard.slots.iter(ring).map(|slot| Mark(slot.mark())).collect();
                shard.slots.iter(ring).for_each(|slot| used.add(slot.usage()));
                assert_eq!(used, shard.used[ring]);
                totals[ring].add(used);
                assert!(marks.iter().all(|mark| mark.in_main() == (ring == MAIN)));
                assert!(marks.is_sorted_by(|a, b| a.stamp() > b.stamp()));
                let published = self.policy.last[at].0[ring].load(Relaxed);
                assert!(published <= marks.last().map_or(EMPTY, |mark| mark.stamp()));
                stamps.extend(marks.iter().map(|mark| mark.stamp()));
            }
            let count = shard.used[WINDOW].entries + shard.used[MAIN].entries;
            assert_eq!(u64::try_from(shard.slots.len()).unwrap(), count);
        }
        assert_eq!(totals, [WINDOW, MAIN].map(|ring| self.policy.total(ring).usage()));
        assert!(self.used().beyond(self.limits).is_nothing());
        let count = stamps.len();
        stamps.sort_unstable();
        stamps.dedup();
        assert_eq!(stamps.len(), count, "two entries moved at once");
    }
}

#[test]
fn a_recount_holds_after_every_step() {
    for (limits, largest) in [
        (Usage { bytes: 60 * 200, entries: 1 << 40 }, 3_000),
        (Usage { bytes: 1 << 40, entries: 40 }, 10),
        (Usage { bytes: 500 * 200, entries: 400 }, 300),
    ] {
        let mut tier = Tier::new(limits);
        let mut random = Random(limits.entries);
        for step in 0..6_000 {
            let n = random.below(if step % 1_000 < 500 { 100 } else { 1_000 });
            match random.below(20) {
                0..8 => {
                    tier.request(n);
                }
                8..12 => {
                    tier.touch(n);
                }
                12..16 => {
                    let len = usize::try_from(random.below(largest)).unwrap();
                    drop(tier.put(n, len));
                }
                16 => {
                    let key = n.to_le_bytes();
                    drop(tier.shard(n).remove(Probe { hash: hash_of(n), bytes: &key }));
                }
                17 => {
                    tier.admits(n);
                }
                18 => {
                    let turn = tier.policy.before_judging();
                    turn.into_iter().for_each(|turn| tier.shards[turn.shard].prepare(&turn));
                    tier.policy.mode.store(usize::try_from(n).unwrap() % MODES.len(), Relaxed);
                }
                _ if step % 50 == 0 => drop(tier.shard(n).take()),
                _ => {}
            }
            tier.check();
        }
        tier.make_room(limits);
        assert_eq!(tier.used(), Usage::default());
    }
}

#[test]
fn what_is_used_often_outlasts_a_scan() {
    let mut tier = Tier::of_entries(1_000);
    let mut random = Random(1);
    let mut hot = |tier: &mut Tier, count: u64| {
        // Half of the requests ask for an eighth of the keys, and so on.
        let mut key = || (0..4).fold(4_000, |below, _| random.below(below) + 1) - 1;
        let keys: Vec<_> = (0..count).map(|_| key()).collect();
        tier.hits(keys.into_iter())
    };
    hot(&mut tier, 20_000);
    let before = hot(&mut tier, 10_000);
    let mut during = 0;
    for n in 0..10_000 {
        during += hot(&mut tier, 1);
        tier.request(1_000_000 + n);
    }
    assert!(before > 6_000 && during + 300 > before, "{before} {during}");
}

#[test]
fn of_a_loop_that_does_not_fit_a_part_stays() {
    let mut tier = Tier::of_entries(200);
    tier.hits((0..20).flat_map(|_| 0..1_000));
    let hits = tier.hits((0..10).flat_map(|_| 0..1_000));
    assert!(hits > 1_950, "{hits} of 2000");
}

#[test]
fn what_is_used_again_soon_is_found_though_nothing_is_used_often() {
    let mut tier = Tier::of_entries(1_000);
    // Each key is used three times, 300 others later each time.
    let keys = |from: u64, to: u64| (from..to).flat_map(|n| [n, n - 300, n - 600]);
    tier.hits(keys(1_000, 10_000));
    let hits = tier.hits(keys(10_000, 20_000));
    assert!(hits > 19_000, "{hits} of 20000");
}

#[test]
fn the_policy_follows_the_workload() {
    let mut tier = Tier::of_entries(900);
    let recent = |from: u64| (from..from + 20_000).flat_map(|n| [n, n - 100]);
    let again = |times: u64| (0..times).flat_map(|_| 0..1_000);
    tier.hits(recent(1_000_000));
    tier.hits(again(40));
    let looped = tier.hits(again(20));
    tier.hits(recent(2_000_000));
    let recent = tier.hits(recent(3_000_000));
    assert!(looped > 16_000 && recent > 19_000, "{looped} of 20000, {recent} of 20000");
}

#[test]
fn newcomers_drive_out_nothing_that_is_used_whatever_room_is_left_over() {
    let charge = entry(0, 0).charge();
    for eighths in 0..8 {
        let bytes = 1_000 * charge + eighths * charge / 8;
        let mut tier = Tier::new(Usage { bytes, entries: u64::MAX });
        for n in 0..1_000 {
            tier.put(n, 0);
            assert!((0..3).all(|_| tier.touch(n)));
        }
        (1_000..6_000).for_each(|n| drop(tier.put(n, 0)));
        let kept = (0..1_000).filter(|n| tier.touch(*n)).count();
        assert!(kept > 900, "{kept} of 1000, {eighths}/8 of an entry left over");
    }
}

#[test]
fn a_candidate_has_to_be_used_more_often_than_who_would_leave() {
    let mut tier = Tier::of_entries(100);
    for n in 0..100 {
        tier.put(n, 0);
        assert!((0..3).all(|_| tier.touch(n)));
    }
    let mut offers = 0;
    loop {
        while let Some(turn) = tier.policy.before_judging() {
            tier.shards[turn.shard].prepare(&turn);
        }
        tier.touch(1_000);
        if tier.admits(1_000) {
            break;
        }
        offers += 1;
        tier.check();
    }
    assert!((2..8).contains(&offers), "{offers}");
    assert_eq!(tier.used().entries, 100);
}

#[test]
fn a_large_newcomer_that_won_displaces_as_many_as_it_needs() {
    let mut tier = Tier::new(Usage { bytes: 100 * 200, entries: 1 << 40 });
    (0..200).for_each(|n| drop(tier.put(n, 0)));
    for _ in 0..20 {
        if !tier.touch(1_000) {
            tier.put(1_000, 3_000);
        }
        tier.hits(0..20);
        tier.check();
    }
    assert!(tier.touch(1_000));
}
