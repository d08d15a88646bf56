//! What the hot tier promises: bounds, order, room, ends of time, unwritten entries.

use super::{Ended, Entry, Eviction, Hot, HotOptions, Lookup, Reservation, Usage, Victims};
use crate::buffer::Buffer;
use crate::key::{Key, KeyHasher};
use crate::time::{Clock, Expiry, Instant, Moment, Timestamp};
use std::sync::atomic::{AtomicU64, Ordering};

mod newcomer;

/// Both clocks show the same number, and count how often they were asked.
#[derive(Default)]
struct ManualClock {
    now: AtomicU64,
    asked: AtomicU64,
}

impl ManualClock {
    fn at(ms: u64) -> Self {
        Self { now: AtomicU64::new(ms), asked: AtomicU64::new(0) }
    }

    fn read(&self) -> u64 {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.now.load(Ordering::Relaxed)
    }
}

impl Clock for ManualClock {
    fn moment(&self) -> Moment {
        Moment { wall: Timestamp(self.read()), lead_ms: 0, offset_ms: 0 }
    }

    fn raise(&self, _: Timestamp) {}

    fn monotonic(&self) -> Instant {
        Instant(self.read())
    }

    fn coarse(&self) -> Instant {
        self.monotonic()
    }
}

const SMALL: u64 = 112 + 6 + 22;

fn options(capacity: u64) -> HotOptions {
    HotOptions { capacity, max_entries: 0, residency_ms: 0, eviction: Eviction::Lru }
}

fn hot(capacity: u64) -> Hot {
    Hot::new(&options(capacity))
}

/// A tier for `count` entries of one byte each, whatever they take.
fn hot_for(count: u64) -> Hot {
    hot(count * SMALL)
}

fn key(bytes: &[u8]) -> Key<'_> {
    KeyHasher::new(7).key(bytes).unwrap()
}

fn entry_of(key: &Key<'_>, value: &[u8], version: u64, expiry: Expiry) -> Entry {
    let buffer = Buffer::from_parts(&[key.bytes(), value]).unwrap();
    let (split, end) = (key.bytes().len(), buffer.bytes().len());
    Entry::new(buffer, (0..split, split..end), key.hash(), version, expiry).unwrap()
}

fn entry(name: &str, version: u64) -> Entry {
    entry_of(&key(name.as_bytes()), b"", version, Expiry::NEVER)
}

/// Stores as a store does: look, make room, lock and look again, insert. Returns the victims' keys,
/// or `None`.
fn store(hot: &Hot, entry: Entry, now: u64) -> Option<Vec<String>> {
    let (mut victims, mut room) = (Victims::new(), hot.reservation());
    let key = Key::with_hash(entry.key(), entry.hash());
    loop {
        let mut shard = hot.lock(hot.shard_index(entry.hash()));
        let needed = shard.needed(&key, entry.charge());
        if room.cover(needed) {
            let replaced = shard.insert(&key, entry.clone(), &mut room, Instant(now));
            drop(shard);
            drop(replaced);
            return Some(victims.iter().map(name_of).collect());
        }
        shard.touch(&key);
        drop(shard);
        if !hot.make_room(&mut room, needed, &mut victims) {
            return None;
        }
    }
}

/// Room for an entry of that charge, whatever the policy thinks of it.
fn reserve<'a>(hot: &'a Hot, charge: u64, victims: &mut Victims) -> Option<Reservation<'a>> {
    let mut room = hot.reservation();
    hot.make_room(&mut room, Usage::of_entry(charge), victims).then_some(room)
}

fn name_of(entry: &Entry) -> String {
    String::from_utf8(entry.key().to_vec()).unwrap()
}

/// The version of what a get finds, 0 for a miss.
fn get(hot: &Hot, name: &str) -> u64 {
    match hot.get(&key(name.as_bytes()), &ManualClock::default()) {
        Lookup::Hit(entry) => entry.version(),
        Lookup::Miss => 0,
        Lookup::Gone(..) => panic!("nothing ends in this test"),
    }
}

#[test]
fn what_was_stored_is_found_until_it_is_replaced_or_removed() {
    let hot = hot_for(10);
    store(&hot, entry("a", 1), 0).unwrap();
    store(&hot, entry("b", 2), 0).unwrap();
    store(&hot, entry("a", 3), 0).unwrap();
    assert_eq!((get(&hot, "a"), get(&hot, "b"), get(&hot, "c")), (3, 2, 0));
    assert_eq!((hot.entry_count(), hot.used_bytes()), (2, 2 * SMALL));
    let a = key(b"a");
    let removed = hot.lock(hot.shard_index(a.hash())).remove(&a).unwrap();
    assert_eq!(removed.version(), 3);
    assert_eq!((get(&hot, "a"), hot.entry_count(), hot.used_bytes()), (0, 1, SMALL));
}

#[test]
fn keys_with_the_same_hash_are_different_keys() {
    let hot = hot_for(10);
    let names: [&[u8]; 3] = [b"x", b"y", b"z"];
    let keys = names.map(|bytes| Key::with_hash(bytes, u64::MAX));
    let clock = ManualClock::default();
    let version = |key: &Key<'_>| match hot.get(key, &clock) {
        Lookup::Hit(entry) => entry.version(),
        _ => 0,
    };
    for (key, n) in keys.iter().zip(1..) {
        store(&hot, entry_of(key, b"", n, Expiry::NEVER), 0).unwrap();
    }
    assert_eq!(keys.each_ref().map(version), [1, 2, 3]);
    // With the first place free again, the others must still be found and replaced, not doubled.
    hot.lock(hot.shard_index(u64::MAX)).remove(&keys[0]).unwrap();
    store(&hot, entry_of(&keys[2], b"", 9, Expiry::NEVER), 0).unwrap();
    assert_eq!(keys.each_ref().map(version), [0, 2, 9]);
    assert_eq!(hot.entry_count(), 2);
}

/// Random stores and gets against a list of uses. Every store is a moment of its own, and so are all
/// gets between two stores: between moments the order is exact in the whole tier, within a moment
/// only in each shard.
#[test]
fn the_victim_is_the_least_recently_used() {
    let hot = hot_for(100);
    let clock = ManualClock::default();
    let mut uses: Vec<(String, u64, usize)> = Vec::new(); // oldest first: key, moment, shard
    let (mut random, mut tick) = (1_u64, 0);
    for version in 1..20_000 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99);
        let name = format!("{}", (random >> 40) % 150);
        let shard = hot.shard_index(key(name.as_bytes()).hash());
        let known = uses.iter().position(|used| used.0 == name);
        if random >> 63 == 0 {
            let hit = matches!(hot.get(&key(name.as_bytes()), &clock), Lookup::Hit(_));
            assert_eq!(hit, known.is_some(), "{name}");
            if let Some(at) = known {
                uses.remove(at);
                uses.push((name, tick + 1, shard));
            }
            continue;
        }
        if let Some(at) = known {
            uses.remove(at);
        }
        for victim in store(&hot, entry(&name, version), 0).unwrap() {
            let at = uses.iter().position(|used| used.0 == victim).unwrap();
            let (_, used_tick, used_shard) = uses.remove(at);
            assert!(uses.iter().all(|used| used.1 >= used_tick), "{victim} is not the oldest");
            assert!(uses.iter().take(at).all(|used| used.2 != used_shard), "{victim}: order");
        }
        tick += 2;
        uses.push((name, tick, shard));
        assert_eq!(hot.entry_count(), u64::try_from(uses.len()).unwrap());
        assert_eq!(hot.used_bytes(), hot.entry_count() * SMALL);
    }
    assert_eq!(hot.entry_count(), 100);
}

#[test]
fn entries_with_equal_stamps_leave_shard_by_shard_in_turn() {
    let hot = hot_for(160);
    let clock = ManualClock::default();
    let names: Vec<String> = (0..160).map(|n| format!("n{n}")).collect();
    for name in &names {
        store(&hot, entry(name, 1), 0).unwrap();
    }
    // So many hits without an insert that stamps cannot tell them apart.
    for _ in 0..16 * 500 {
        for name in &names {
            assert!(matches!(hot.get(&key(name.as_bytes()), &clock), Lookup::Hit(_)));
        }
    }
    let mut left = [0; 16];
    for n in 0..48 {
        for victim in store(&hot, entry(&format!("m{n}"), 2), 0).unwrap() {
            left[hot.shard_index(key(victim.as_bytes()).hash())] += 1;
        }
    }
    assert!(left.iter().all(|count| *count <= 8), "{left:?}");
}

#[test]
fn overwriting_in_a_full_tier_evicts_nobody() {
    let hot = Hot::new(&HotOptions { max_entries: 2, ..options(1 << 20) });
    store(&hot, entry("a", 1), 0).unwrap();
    store(&hot, entry("b", 2), 0).unwrap();
    assert!(store(&hot, entry("b", 3), 0).unwrap().is_empty());
    assert!(store(&hot, entry("a", 4), 0).unwrap().is_empty());
    assert_eq!(store(&hot, entry("c", 5), 0).unwrap(), ["b"]);
    assert_eq!((get(&hot, "a"), get(&hot, "b"), get(&hot, "c")), (4, 0, 5));
}

#[test]
fn a_reservation_gives_back_what_no_entry_took() {
    let hot = hot_for(3);
    let (a, mut victims) = (key(b"a"), Victims::new());
    let index = hot.shard_index(a.hash());
    let insert = |value: &[u8], room: &mut Reservation<'_>| {
        let entry = entry_of(&a, value, 1, Expiry::NEVER);
        hot.lock(index).insert(&a, entry, room, Instant(0)).is_some()
    };
    let used = || (hot.used_bytes(), hot.entry_count());
    let mut room = reserve(&hot, 2 * SMALL, &mut victims).unwrap();
    assert!(!insert(b"", &mut room));
    assert_eq!(used(), (2 * SMALL, 1));
    drop(room);
    assert_eq!(used(), (SMALL, 1));
    // What replaces needs no room but that which it is larger.
    let large = entry_of(&a, &[1; 100], 1, Expiry::NEVER).charge();
    let needed = hot.lock(index).needed(&a, large);
    assert_eq!(needed.bytes(), large - SMALL);
    let mut room = hot.reservation();
    assert!(room.cover(needed) && insert(&[1; 100], &mut room) && room.cover(Usage::default()));
    assert_eq!(used(), (large, 1));
    assert!(insert(b"", &mut room));
    assert_eq!(used(), (large, 1));
    drop(room);
    assert_eq!(used(), (SMALL, 1));
    // With too little room neither the old entry nor the new one is there afterwards.
    assert!(insert(&[1; 100], &mut hot.reservation()));
    assert_eq!((used(), get(&hot, "a")), ((0, 0), 0));
}

#[test]
fn an_entry_that_grows_is_not_evicted_for_itself() {
    let hot = hot_for(3);
    for name in ["a", "b", "c"] {
        store(&hot, entry(name, 1), 0).unwrap();
    }
    let large = entry_of(&key(b"a"), &[1; 50], 2, Expiry::NEVER);
    assert_eq!(store(&hot, large, 0).unwrap(), ["b"]);
    assert_eq!((get(&hot, "a"), get(&hot, "c")), (2, 1));
}

#[test]
fn what_was_evicted_is_room_for_the_one_who_evicts() {
    let hot = hot_for(3);
    for name in ["a", "b", "c"] {
        store(&hot, entry(name, 1), 0).unwrap();
    }
    let mut victims = Victims::new();
    let first = reserve(&hot, SMALL, &mut victims).unwrap();
    let second = reserve(&hot, SMALL, &mut victims).unwrap();
    assert_eq!((victims.len(), hot.entry_count(), hot.used_bytes()), (2, 3, 3 * SMALL));
    drop((first, second));
    assert_eq!((hot.entry_count(), hot.used_bytes()), (1, SMALL));
}

#[test]
fn an_entry_may_take_the_whole_tier_but_not_more() {
    for &(_, eviction) in Eviction::ALL {
        whole_tier(&Hot::new(&HotOptions { eviction, ..options(20 * SMALL) }));
    }
}

fn whole_tier(hot: &Hot) {
    for n in 0..20 {
        store(hot, entry(&n.to_string(), 1), 0).unwrap();
    }
    let mut victims = Victims::new();
    assert!(reserve(hot, hot.capacity() + 1, &mut victims).is_none());
    assert_eq!((victims.len(), hot.entry_count()), (0, 20));
    let reservation = reserve(hot, hot.capacity(), &mut victims).unwrap();
    assert_eq!((victims.len(), hot.used_bytes()), (20, hot.capacity()));
    assert!(reserve(hot, 1, &mut victims).is_none());
    drop(reservation);
    assert_eq!((hot.used_bytes(), hot.entry_count()), (0, 0));
}

#[test]
fn small_caches_are_made_when_the_tier_is_half_full_and_are_counted() {
    let hot = Hot::new(&HotOptions { eviction: Eviction::TinyLfu, ..options(400 * SMALL) });
    let fill = |from: u64, to: u64| {
        (from..to).for_each(|n| _ = store(&hot, entry(&n.to_string(), 1), 0));
    };
    fill(0, 150);
    assert_eq!(hot.policy_bytes(), 0);
    fill(150, 600);
    assert!((100_000..200_000).contains(&hot.policy_bytes()), "{}", hot.policy_bytes());
    assert!(hot.used_bytes() <= hot.capacity());
}

#[test]
fn without_capacity_everything_misses() {
    let hot = hot(0);
    assert!(!hot.is_enabled());
    assert!(store(&hot, entry("a", 1), 0).is_none());
    assert_eq!(get(&hot, "a"), 0);
}

#[test]
fn unwritten_entries_stay_until_they_are_written() {
    let hot = hot_for(3);
    for (name, version) in [("a", 1), ("b", 2), ("c", 3)] {
        store(&hot, entry(name, version).with_unwritten(true), 0).unwrap();
    }
    assert!(store(&hot, entry("d", 4), 0).is_none());
    assert_eq!((hot.unwritten_bytes(), get(&hot, "a")), (3 * SMALL, 1));
    let names = |limit| hot.oldest_unwritten(limit).iter().map(name_of).collect::<Vec<_>>();
    assert_eq!(names(u64::MAX), ["a", "b", "c"]);
    assert_eq!(names(2 * SMALL), ["a", "b"]);
    assert_eq!(names(0), ["a"]);
    let b = key(b"b");
    let index = hot.shard_index(b.hash());
    assert!(!hot.lock(index).mark_written(&b, 1), "another version");
    assert!(hot.lock(index).mark_written(&b, 2));
    assert!(!hot.lock(index).mark_written(&b, 2), "no longer unwritten");
    assert_eq!((hot.unwritten_bytes(), hot.used_bytes()), (2 * SMALL, 3 * SMALL));
    assert_eq!(store(&hot, entry("d", 4), 0).unwrap(), ["b"]);
    // A written value in place of an unwritten one.
    store(&hot, entry("a", 5), 0).unwrap();
    assert_eq!((hot.unwritten_bytes(), get(&hot, "a")), (SMALL, 5));
}

#[test]
fn shrinking_demotes_in_order_and_leaves_what_is_unwritten() {
    let hot = hot_for(10);
    for name in ["a", "b", "c", "d"] {
        store(&hot, entry(name, 1).with_unwritten(name == "c"), 0).unwrap();
    }
    get(&hot, "a");
    store(&hot, entry("e", 1), 0).unwrap();
    let mut victims = Victims::new();
    hot.shrink_to(3 * SMALL, &mut victims);
    assert_eq!(victims.iter().map(name_of).collect::<Vec<_>>(), ["b", "d"]);
    hot.shrink_to(0, &mut victims);
    assert_eq!((hot.entry_count(), get(&hot, "c")), (1, 1));
}

/// The table of the one shard is made anew twice on the way.
#[test]
fn the_order_survives_when_the_table_shrinks() {
    let hot = hot_for(10_000);
    let names: Vec<String> = (0..6_000).map(|n| n.to_string()).collect();
    let keys: Vec<_> =
        names.iter().zip(0..).map(|(n, i)| Key::with_hash(n.as_bytes(), i)).collect();
    for key in &keys {
        store(&hot, entry_of(key, b"", 1, Expiry::NEVER), 0).unwrap();
    }
    let mut victims = Victims::new();
    for left in (0..=6_000).rev().step_by(500) {
        hot.shrink_to(left * SMALL, &mut victims);
        assert_eq!(hot.entry_count(), left);
        for key in keys.iter().skip(victims.len()) {
            let index = hot.shard_index(key.hash());
            assert!(hot.lock(index).peek(key).is_some());
        }
    }
    assert_eq!(victims.iter().map(name_of).collect::<Vec<_>>(), names);
}

#[test]
fn clear_takes_everything_and_frees_it_later() {
    let hot = hot_for(100);
    for n in 0..100 {
        store(&hot, entry(&n.to_string(), 1).with_unwritten(n % 10 == 0), 0).unwrap();
    }
    let kept = entry("kept", 1);
    let drained = {
        let mut victims = Victims::new();
        hot.shrink_to(90 * SMALL, &mut victims);
        let mut reservation = reserve(&hot, SMALL, &mut victims).unwrap();
        let mut all = hot.lock_all();
        let drained = all.take();
        assert_eq!((hot.entry_count(), hot.used_bytes(), hot.unwritten_bytes()), (1, SMALL, 0));
        drop(all);
        let index = hot.shard_index(kept.hash());
        hot.lock(index).insert(&key(b"kept"), kept, &mut reservation, Instant(0));
        drained
    };
    assert_eq!((get(&hot, "0"), get(&hot, "99"), get(&hot, "kept")), (0, 0, 1));
    drop(drained);
    for n in 0..100 {
        store(&hot, entry(&n.to_string(), 2), 0).unwrap();
    }
    assert_eq!(hot.entry_count(), 100);
}

#[test]
fn residency_ends_an_entry_in_hot_however_often_it_is_used() {
    let hot = Hot::new(&HotOptions { residency_ms: 100, ..options(1 << 20) });
    store(&hot, entry("a", 1), 1_000).unwrap();
    let a = key(b"a");
    assert!(matches!(hot.get(&a, &ManualClock::at(1_099)), Lookup::Hit(_)));
    let late = ManualClock::at(1_100);
    assert!(matches!(hot.peek(&a, &late), Lookup::Gone(_, Ended::Residency)));
    assert!(matches!(hot.get(&a, &late), Lookup::Gone(_, Ended::Residency)));
    assert!(matches!(hot.get(&a, &late), Lookup::Miss));
    assert_eq!(hot.used_bytes(), 0);
}

#[test]
fn the_clock_is_asked_only_where_time_matters() {
    let hot = hot_for(10);
    let (clock, a, b) = (ManualClock::at(50), key(b"a"), key(b"b"));
    store(&hot, entry("a", 1), 0).unwrap();
    assert!(matches!(hot.get(&a, &clock), Lookup::Hit(_)));
    hot.sweep(hot.shard_index(a.hash()), &clock, 10, &mut Vec::new());
    assert_eq!(clock.asked.load(Ordering::Relaxed), 0);
    store(&hot, entry_of(&b, b"", 1, Expiry::from_ms(50)), 0).unwrap();
    // Once where it is found, once more with the lock that taking it out needs.
    assert!(matches!(hot.get(&b, &clock), Lookup::Gone(_, Ended::Expiry)));
    assert_eq!(clock.asked.load(Ordering::Relaxed), 2);
}

#[test]
fn an_unwritten_entry_that_expired_still_hides_what_cold_has() {
    let hot = Hot::new(&HotOptions { residency_ms: 10, ..options(1 << 20) });
    let a = key(b"a");
    let unwritten = entry_of(&a, b"", 1, Expiry::from_ms(50)).with_unwritten(true);
    store(&hot, unwritten, 0).unwrap();
    assert!(matches!(hot.get(&a, &ManualClock::at(49)), Lookup::Hit(_)), "residency waits");
    let clock = ManualClock::at(50);
    for _ in 0..2 {
        assert!(matches!(hot.get(&a, &clock), Lookup::Gone(_, Ended::Expiry)));
    }
    let mut gone = Vec::new();
    hot.sweep(hot.shard_index(a.hash()), &clock, 10, &mut gone);
    assert!(gone.is_empty());
    assert!(hot.lock(hot.shard_index(a.hash())).mark_written(&a, 1));
    hot.sweep(hot.shard_index(a.hash()), &clock, 10, &mut gone);
    assert_eq!(gone.len(), 1);
}

#[test]
fn a_sweep_removes_all_that_has_ended_and_nothing_else() {
    let hot = Hot::new(&HotOptions { residency_ms: 1_000, ..options(1 << 20) });
    for n in 0..400_u64 {
        let name = n.to_string();
        let expiry = if n % 4 == 0 { Expiry::from_ms(n + 1) } else { Expiry::NEVER };
        store(&hot, entry_of(&key(name.as_bytes()), b"", n, expiry), n * 4).unwrap();
        if n % 8 == 0 {
            // Stored anew without an end: the old end must not count.
            store(&hot, entry_of(&key(name.as_bytes()), b"", n, Expiry::NEVER), n * 4).unwrap();
        }
    }
    let clock = ManualClock::at(1_400);
    let mut gone = Vec::new();
    for index in 0..hot.shard_count() {
        let before = gone.len();
        assert!(hot.sweep(index, &clock, 3, &mut gone));
        assert!(gone.len() - before <= 3);
        while hot.sweep(index, &clock, 3, &mut gone) {}
    }
    let mut expected = Vec::new();
    for n in 0..400_u64 {
        if n % 8 == 4 {
            expected.push((n, Ended::Expiry));
        } else if n * 4 + 1_000 <= 1_400 {
            expected.push((n, Ended::Residency));
        }
    }
    let mut gone: Vec<_> = gone.iter().map(|(entry, why)| (entry.version(), *why)).collect();
    gone.sort_by_key(|(version, _)| *version);
    assert_eq!(gone, expected);
    assert_eq!(hot.entry_count(), 400 - u64::try_from(expected.len()).unwrap());
}

#[test]
fn overwriting_what_expires_leaves_no_notes_behind() {
    let hot = hot_for(10);
    let (a, mut gone) = (key(b"a"), Vec::new());
    for version in 1..=1_000 {
        store(&hot, entry_of(&a, b"", version, Expiry::from_ms(version)), 0).unwrap();
    }
    // Of a thousand notes at most those of two entries and the spare ones are left to look at.
    let index = hot.shard_index(a.hash());
    assert!(!hot.sweep(index, &ManualClock::at(2_000), 70, &mut gone));
    assert_eq!((gone.len(), hot.entry_count()), (1, 0));
}

#[test]
fn the_ranges_of_the_shards_hold_every_key_once() {
    let hot = hot_for(1_000);
    for n in 0..1_000 {
        store(&hot, entry(&n.to_string(), n).with_unwritten(n % 3 == 0), 0).unwrap();
    }
    let mut next = 0_u64;
    let mut seen = Vec::new();
    for index in 0..hot.shard_count() {
        let (first, last) = hot.shard_range(index);
        assert_eq!((first, hot.shard_index(first), hot.shard_index(last)), (next, index, index));
        next = last.wrapping_add(1);
        seen.extend(hot.entries_in(first, last).unwrap());
    }
    assert_eq!(next, 0);
    assert!(seen.is_sorted_by_key(Entry::hash));
    assert_eq!(seen.len(), 1_000);
    let (from, to) = (seen[10].hash(), seen[700].hash());
    assert_eq!(hot.entries_in(from, to).unwrap().len(), 691);
}

#[test]
fn the_hottest_keys_come_first() {
    let hot = hot_for(1_000);
    for n in 100..1_000 {
        store(&hot, entry(&n.to_string(), 1), 0).unwrap();
    }
    let keys: Vec<_> = hot.hottest(usize::MAX).unwrap().collect();
    let names: Vec<_> = keys.iter().map(|key| str::from_utf8(key).unwrap()).collect();
    assert_eq!(names, (100..1_000).rev().map(|n| n.to_string()).collect::<Vec<_>>());
    let bytes: usize = hot.hottest(300).unwrap().map(|key| key.len()).sum();
    assert!((250..=350).contains(&bytes), "{bytes}");
}

/// Eight threads store, get, remove and clear, while the sums are watched.
#[test]
fn the_bounds_hold_at_every_instant_under_threads() {
    for &(_, eviction) in Eviction::ALL {
        bounds_under_threads(eviction);
    }
}

fn bounds_under_threads(eviction: Eviction) {
    let max_entries = 40;
    let hot = &Hot::new(&HotOptions { max_entries, eviction, ..options(50 * SMALL) });
    let work = |seed: u64| {
        let mut random = seed;
        for version in 0..20_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99);
            let name = format!("{}", (random >> 40) % 100);
            let key = key(name.as_bytes());
            match random >> 60 {
                0..8 => {
                    let value = vec![1; usize::try_from((random >> 50) % 600).unwrap()];
                    drop(store(hot, entry_of(&key, &value, version, Expiry::NEVER), 0));
                }
                8..14 => drop(hot.get(&key, &ManualClock::default())),
                14 => drop(hot.lock(hot.shard_index(key.hash())).remove(&key)),
                15 if version % 3 == 0 => {
                    let reservation = reserve(hot, 300, &mut Victims::new());
                    std::thread::yield_now();
                    drop(reservation);
                }
                _ if version % 500 == 0 => drop(hot.lock_all().take()),
                _ => {}
            }
            assert!(hot.used_bytes() <= hot.capacity());
            assert!(hot.entry_count() <= max_entries);
        }
    };
    std::thread::scope(|scope| {
        for seed in 1..=8 {
            scope.spawn(move || work(seed));
        }
    });
    let rest = hot.entries_in(0, u64::MAX).unwrap();
    assert_eq!(hot.used_bytes(), rest.iter().map(Entry::charge).sum());
    assert_eq!(hot.entry_count(), u64::try_from(rest.len()).unwrap());
    hot.shrink_to(0, &mut Victims::new());
    assert_eq!((hot.used_bytes(), hot.entry_count()), (0, 0));
}

#[test]
fn places_for_many_can_be_had_before_they_come() {
    let hot = hot_for(1_000);
    let hashes: Vec<u64> = (0..100).map(|n| n << 58 | n).collect();
    let mut guards = hot.lock_for(hashes.iter().copied());
    for unwritten in [true, false] {
        guards.reserve(hashes.iter().copied(), unwritten).unwrap();
    }
}
