use super::*;
use std::collections::BTreeMap;

/// A generator of test numbers (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

fn location(n: u64) -> Location {
    Location::new(3, 64 + 8 * n, 64)
}

/// Random inserts, replacements and removals against a map; few distinct hashes in some rounds, so
/// that groups are long, and all near the end of the shard in others.
#[test]
fn a_shard_behaves_like_a_map_of_lists() {
    for seed in 0..60 {
        let mut random = Random(seed);
        let mut shard = Shard::new();
        let mut model: BTreeMap<u64, Vec<Location>> = BTreeMap::new();
        for step in 0..3_000 {
            let hash = match seed % 3 {
                0 => random.next() >> 8,
                1 => random.next() % 40,
                _ => (1 << 56) - 1 - random.next() % 3_000,
            };
            let group = model.entry(hash).or_default();
            match random.next() % 5 {
                0 | 1 => {
                    shard.insert(hash, location(step));
                    group.push(location(step));
                }
                2 if !group.is_empty() => {
                    let index = usize::try_from(random.next() % group.len() as u64).unwrap();
                    assert_eq!(shard.remove(hash, index), Some(group.remove(index)));
                }
                3 if !group.is_empty() => {
                    let index = usize::try_from(random.next() % group.len() as u64).unwrap();
                    let old = std::mem::replace(&mut group[index], location(step));
                    assert_eq!(shard.replace(hash, index, location(step)), Some(old));
                }
                _ => assert_eq!(&shard.group(hash).iter().collect::<Vec<_>>(), group),
            }
            if step % 50 == 0 {
                shard.check();
            }
        }
        shard.check();
        let all: Vec<_> =
            model.iter().flat_map(|(hash, group)| group.iter().map(|l| (*hash, *l))).collect();
        assert_eq!(shard.iter().collect::<Vec<_>>(), all);
        let middle = all[all.len() / 2].0;
        let rest: Vec<_> = all.iter().filter(|(hash, _)| *hash >= middle).copied().collect();
        assert_eq!(shard.from(middle).collect::<Vec<_>>(), rest);
    }
}

#[test]
fn an_entry_takes_at_most_24_bytes_while_it_grows() {
    let keydir = Keydir::new();
    let mut random = Random(1);
    for n in 1..=2_000_000_u64 {
        let hash = random.next();
        keydir.lock_for(hash).insert(hash, location(n % 1_000));
        if n % 100_000 == 0 {
            let bytes = keydir.memory_bytes();
            assert!(bytes <= 24 * n + 300_000, "{bytes} bytes for {n} keys");
        }
    }
    assert_eq!(keydir.len(), 2_000_000);
}

/// What was promised can be inserted without an allocation, whatever others insert meanwhile, also
/// where all stand at the end of the table.
#[test]
fn a_promised_entry_always_has_its_room() {
    for crowded in [false, true] {
        let keydir = Keydir::new();
        let mut random = Random(7);
        let mut next =
            || if crowded { 255 << 56 | u64::MAX >> 8 } else { random.next() | 255 << 56 };
        for _ in 0..40 {
            let promised: Vec<_> = (0..50).map(|_| next()).collect();
            promised.iter().for_each(|hash| keydir.lock_for(*hash).promise().unwrap());
            for _ in 0..30 {
                let hash = next();
                keydir.lock(255).add(hash, location(1)).unwrap();
            }
            let before = keydir.lock(255).places.capacity();
            for hash in promised {
                keydir.lock(255).insert(hash, location(2));
            }
            assert_eq!(keydir.lock(255).places.capacity(), before);
            keydir.lock(255).promise().unwrap();
            keydir.lock(255).take_promise_back();
            assert_eq!(keydir.lock(255).promised, 0);
        }
        keydir.lock(255).check();
        assert_eq!(keydir.len(), 40 * 80);
    }
}

#[test]
fn a_removed_or_missing_entry_is_not_found() {
    let mut shard = Shard::new();
    assert_eq!(shard.group(5).len(), 0);
    assert_eq!(shard.remove(5, 0), None);
    shard.insert(5, location(1));
    assert_eq!(shard.remove(5, 1), None);
    assert_eq!(shard.replace(6, 0, location(2)), None);
    shard.mark_read(5, location(1));
    assert!(shard.group(5).iter().all(Location::is_read));
    assert_eq!(shard.index_of(5, location(1)), Some(0));
    assert_eq!(shard.take().len, 1);
    assert_eq!(shard.len, 0);
}

#[test]
fn memory_comes_back_when_keys_go_with_no_table_ever_much_larger_than_it_was() {
    let keydir = Keydir::new();
    let mut random = Random(2);
    let hashes: Vec<u64> = (0..300_000).map(|_| random.next()).collect();
    hashes.iter().for_each(|hash| keydir.lock_for(*hash).insert(*hash, location(1)));
    let mut most = keydir.memory_bytes();
    for (gone, hash) in (1..).zip(&hashes) {
        keydir.lock_for(*hash).remove(*hash, 0).unwrap();
        if gone % 10_000 == 0 {
            let (bytes, left) = (keydir.memory_bytes(), hashes.len() as u64 - gone);
            assert!(bytes <= most && bytes <= 80 * left + 400_000, "{bytes} bytes for {left} keys");
            most = bytes;
        }
    }
    assert!(keydir.memory_bytes() < 20_000);
    (0..SHARDS).for_each(|index| keydir.lock(index).check());
}
