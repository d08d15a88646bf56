//! What every cold tier promises, as functions over a bench: each panics if its promise is broken.

use super::bench::{Bench, KINDS};
use super::caller::{Caller, Put, Seen};
use super::random;
use crate::cold::local::tests::collide::colliding_keys;
use crate::cold::local::tests::harness::{key, value};
use crate::cold::{ColdTier, Current, Place};
use crate::error::ErrorKind;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A promise: its sentence, and what panics where it is broken.
type Promise = (&'static str, fn(&dyn Bench));

/// All of them, but for the random sequences.
pub const PROMISES: [Promise; 19] = [
    ("nobody sees a change before it is published, everybody sees it after", seen_once_published),
    ("a change that failed changes nothing, now or after the next open", failures_change_nothing),
    ("versions never repeat, and grow for each key", versions_grow),
    ("threads never get the same version", threads_share_no_version),
    ("a version that was taken is nobody else's, and may be written later", taken_versions),
    ("a place is current until its key is changed, deleted or cleared", places),
    ("a place tells its key as long as it is held", places_keep_their_meaning),
    ("a walk visits each key that lives throughout exactly once", walks),
    ("a walk of a prefix visits each key that begins with it", walks_of_a_prefix),
    ("an expiry is told without the value", expiries),
    ("a look tells what a change will replace", looks),
    ("forget takes out the very value of a place and no other", forgetting),
    ("keys with one hash do not disturb each other", collisions),
    ("a batch happens whole or not at all", batches),
    ("a clear takes every key at once, also after the next open", clears),
    ("maintenance and compaction keep every value", maintenance_keeps_everything),
    ("only what has expired is removed", removals),
    ("whatever was published is there after a kill and after a close", reopening),
    ("what is beside the values does not touch them", beside_the_values),
];

/// The promises that a kind of tier breaks.
pub fn broken(promises: &[Promise], bench: &dyn Fn() -> Box<dyn Bench>) -> Vec<&'static str> {
    let is_broken = |(_, check): &&Promise| {
        let bench = bench();
        catch_unwind(AssertUnwindSafe(|| check(&*bench))).is_err()
    };
    promises.iter().filter(is_broken).map(|(promise, _)| *promise).collect()
}

#[test]
fn every_tier_keeps_every_promise() {
    for kind in &KINDS {
        assert_eq!(broken(&PROMISES, &kind.bench), [""; 0], "{}", kind.name);
    }
}

fn seen_once_published(bench: &dyn Bench) {
    let tier = bench.open();
    let caller = Caller::new(&*tier);
    let old = caller.put(b"old", b"one");
    caller.put(b"gone", b"one");
    let before = caller.contents();
    let puts: [Put<'_>; 3] =
        [(b"old", Some((b"two", 5_000))), (b"new", Some((b"two", 0))), (b"gone", None)];
    for put in puts {
        let (prepared, changes) = caller.prepare(&[put]);
        let is_here = caller.value(put.0);
        assert!(is_here.is_none_or(|value| value == b"one"), "{put:?} was seen too early");
        tier.publish(&prepared, &changes);
        let expected = put.1.map(|(value, expires_at)| {
            let (value, version) = (value.to_vec(), changes[0].version);
            Seen { value, version, expires_at }
        });
        assert_eq!(caller.get(put.0), expected, "what was published is not seen");
    }
    let after = caller.contents();
    assert!(before[&b"old"[..]].version == old && after[&b"old"[..]].version > old);
    assert_eq!(after.into_keys().collect::<Vec<_>>(), [b"new", b"old"]);
}

fn failures_change_nothing(bench: &dyn Bench) {
    let mut tier = bench.open();
    let caller = Caller::new(&*tier);
    caller.put(b"kept", b"one");
    caller.put_until(b"stays", b"one", 9_000);
    let before = caller.contents();
    let puts: [&[Put<'_>]; 3] = [
        &[(b"kept", Some((b"two", 0)))],
        &[(b"new", Some((b"two", 0)))],
        &[(b"kept", Some((b"two", 0))), (b"new", Some((b"two", 0))), (b"stays", None)],
    ];
    for put in puts {
        let caller = Caller::new(&*tier);
        let place = caller.place(b"kept");
        bench.fail_next_write();
        let failure = caller.change(put).expect_err("the change was to fail");
        assert_eq!(failure.kind(), ErrorKind::Io);
        assert_eq!(caller.contents(), before, "a change that failed is seen");
        assert!(tier.is_current(&place), "a change that failed has moved its key");
        tier = bench.open();
        let found = Caller::new(&*tier).contents();
        assert_eq!(found, before, "a change that failed has come back");
    }
    // And it goes on.
    let caller = Caller::new(&*tier);
    caller.put(b"new", b"three");
    assert_eq!(caller.value(b"new").unwrap(), b"three");
    assert_eq!(caller.contents().len(), 3);
}

/// Versions that were given out, and to which key last.
#[derive(Default)]
struct Versions {
    all: BTreeSet<u64>,
    last: BTreeMap<Vec<u8>, u64>,
}

impl Versions {
    fn note(&mut self, key: &[u8], version: u64) {
        assert!(version != 0 && self.all.insert(version), "version {version} was given before");
        let last = self.last.insert(key.to_vec(), version).unwrap_or(0);
        assert!(last < version, "{key:?} had {last} and then {version}");
    }
}

fn versions_grow(bench: &dyn Bench) {
    let mut versions = Versions::default();
    for round in 0..4 {
        let tier = bench.open();
        let caller = Caller::new(&*tier);
        for turn in 0..12 {
            let key = key(turn % 3);
            versions.note(&key, caller.put(&key, &value(turn, 50)));
            assert_eq!(caller.get(&key).unwrap().version, versions.last[&key]);
            versions.note(b"taken", tier.take_version().unwrap());
        }
        let puts: [Put<'_>; 3] =
            [(b"a", Some((b"1", 0))), (b"b", Some((b"2", 0))), (b"key1", None)];
        for (put, version) in puts.iter().zip(caller.change(&puts).unwrap()) {
            versions.note(put.0, version);
        }
        if round == 2 {
            caller.clear();
        }
        versions.note(b"a", caller.put(b"a", b"again"));
    }
}

fn threads_share_no_version(bench: &dyn Bench) {
    let tier = bench.open();
    let work = |thread: u64| {
        let caller = Caller::new(&*tier);
        let turns = (0..20).flat_map(|turn| {
            [caller.put(&key(thread), &value(turn, 20)), tier.take_version().unwrap()]
        });
        turns.collect::<Vec<_>>()
    };
    let given: Vec<u64> = std::thread::scope(|scope| {
        let work = &work;
        let threads = [1, 2, 3].map(|thread| scope.spawn(move || work(thread)));
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(given.iter().collect::<BTreeSet<_>>().len(), given.len(), "{given:?}");
}

fn taken_versions(bench: &dyn Bench) {
    let tier = bench.open();
    let caller = Caller::new(&*tier);
    let taken = tier.take_version().unwrap();
    let others: Vec<_> = (0..5).map(|i| caller.put(&key(i), b"other")).collect();
    let mut changes = [caller.looked((b"late", Some((b"value", 0))))];
    changes[0].version = taken;
    let prepared = tier.prepare(&mut changes, false).unwrap();
    tier.publish(&prepared, &changes);
    assert_eq!(caller.get(b"late").unwrap().version, taken);
    assert!(!others.contains(&taken) && caller.put(b"late", b"newer") > taken);
    let tier = bench.open();
    assert_eq!(Caller::new(&*tier).value(b"late").unwrap(), b"newer");
    let next = tier.take_version().unwrap();
    assert!(others.iter().all(|other| *other < next) && taken < next);
}

fn places(bench: &dyn Bench) {
    let tier = bench.open();
    let caller = Caller::new(&*tier);
    let write = |value: &[u8]| {
        caller.put(b"key", value);
    };
    let changes: [(&str, &dyn Fn()); 4] = [
        ("overwritten", &|| write(b"two")),
        ("written with the same value", &|| write(b"one")),
        ("deleted", &|| assert!(caller.delete(b"key") > 0)),
        ("cleared", &|| caller.clear()),
    ];
    for (what, change) in changes {
        write(b"one");
        let place = caller.place(b"key");
        caller.put(b"another", b"value");
        caller.delete(b"another");
        assert!(tier.is_current(&place), "another key's change has made a place old");
        change();
        assert!(!tier.is_current(&place), "current, though the key was {what}");
        // Not even if it comes back as it was.
        write(b"one");
        assert!(!tier.is_current(&place), "current again, though the key was {what}");
    }
    let place = caller.place(b"key");
    let (prepared, changes) = caller.prepare(&[(b"key", None)]);
    assert!(tier.is_current(&place), "old before the change is published");
    tier.publish(&prepared, &changes);
    assert!(!tier.is_current(&place));
}

fn places_keep_their_meaning(bench: &dyn Bench) {
    let tier = bench.open();
    let caller = Caller::new(&*tier);
    let keys: Vec<_> = (0..12).map(key).collect();
    for key in &keys {
        caller.put_until(key, &value(1, 700), 50_000);
    }
    let held: Vec<Place> = keys.iter().map(|key| caller.place(key)).collect();
    let tells = |what: &str| {
        for (key, place) in keys.iter().zip(&held) {
            let told = caller.key_at(place).unwrap_or_else(|error| panic!("{what}: {error}"));
            assert_eq!(told, (key.clone(), 50_000), "{what}");
        }
    };
    tells("at once");
    for key in &keys[..6] {
        caller.put(key, &value(2, 700));
    }
    for key in &keys[6..9] {
        caller.delete(key);
    }
    tells("after changes");
    tier.compact(&caller).unwrap();
    tells("after compaction");
    for key in &keys {
        caller.put(key, &value(3, 700));
    }
    tier.compact(&caller).unwrap();
    tells("after another one");
    caller.clear();
    tier.compact(&caller).unwrap();
    tells("after a clear");
}

fn walks(bench: &dyn Bench) {
    for count in [1, 3, 7, 200] {
        let tier = bench.open();
        let caller = Caller::new(&*tier);
        let steady: BTreeSet<_> = (0..20).map(key).chain([Vec::new()]).collect();
        for key in &steady {
            caller.put(key, &value(7, 300));
        }
        let mut turn = 0;
        let met = caller.walk(&[], count, &mut || {
            turn += 1;
            let index = turn * 7 % 20;
            match turn % 5 {
                0 => assert!(caller.put(&key(index), &value(turn, 400)) > 0),
                1 => assert!(caller.put(&key(100 + index), &value(turn, 200)) > 0),
                2 => assert_ne!(caller.delete(&key(100 + (index + 3) % 20)), u64::MAX),
                3 => tier.maintain(&caller).unwrap(),
                _ => tier.compact(&caller).unwrap(),
            }
        });
        for key in &steady {
            let times = met.iter().filter(|other| *other == key).count();
            assert_eq!(times, 1, "{key:?} was met {times} times, pages of {count}");
        }
    }
}

fn walks_of_a_prefix(bench: &dyn Bench) {
    let tier = bench.open();
    let caller = Caller::new(&*tier);
    for index in 0..30 {
        caller.put(format!("{}/{index}", index % 3).as_bytes(), b"value");
    }
    for (prefix, expected) in [("", 30), ("0/", 10), ("2/", 10), ("1/1", 5), ("3", 0)] {
        let met = caller.walk(prefix.as_bytes(), 4, &mut || ());
        assert_eq!(met.len(), expected, "{prefix}: {met:?}");
        assert_eq!(met.iter().collect::<BTreeSet<_>>().len(), expected, "{prefix}");
    }
}

fn expiries(bench: &dyn Bench) {
    let tier = bench.open();
    let caller = Caller::new(&*tier);
    let told = |tier: &dyn ColdTier| {
        let caller = Caller::new(tier);
        let expiry = |key: &[u8]| tier.read_expiry(&caller.key(key)).unwrap();
        [expiry(b"none"), expiry(b"never"), expiry(b"later"), expiry(b"long")]
    };
    let long = value(2, 3_000);
    caller.put(b"never", b"value");
    caller.put_until(b"later", b"value", 1_500);
    caller.put_until(b"long", &long, 2_500);
    assert_eq!(told(&*tier), [None, Some(0), Some(1_500), Some(2_500)]);
    let place = caller.place(b"later");
    assert_eq!(caller.key_at(&place).unwrap(), (b"later".to_vec(), 1_500));
    // It is told as it is, until the value is removed.
    bench.clock().advance(600);
    assert_eq!(told(&*tier), [None, Some(0), Some(1_500), Some(2_500)]);
    assert_eq!(caller.get(b"later").unwrap().expires_at, 1_500);
    caller.put(b"later", b"for ever");
    caller.delete(b"never");
    assert_eq!(told(&*tier), [None, None, Some(0), Some(2_500)]);
    assert_eq!(told(&*bench.open()), [None, None, Some(0), Some(2_500)]);
}

fn looks(bench: &dyn Bench) {
    let tier = bench.open();
    let caller = Caller::new(&*tier);
    let current = |key: &'static [u8]| caller.looked((key, None)).current;
    assert_eq!(current(b"key"), Current::Absent);
    let version = caller.put_until(b"key", b"value", 7_000);
    assert_eq!(current(b"key"), Current::Value { version, expires_at: 7_000 });
    let mut known = caller.looked((b"key", Some((b"next", 0))));
    tier.look(&mut known, true).unwrap();
    let value = Current::Value { version, expires_at: 7_000 };
    assert!([Current::Unread, value].contains(&known.current), "{:?}", known.current);
    let mut changes = [known];
    let prepared = tier.prepare(&mut changes, false).unwrap();
    tier.publish(&prepared, &changes);
    assert_eq!(caller.value(b"key").unwrap(), b"next");
    assert_eq!(caller.delete(b"none"), 0, "a delete of nothing is nothing");
    caller.delete(b"key");
    assert_eq!(current(b"key"), Current::Absent);
}

fn forgetting(bench: &dyn Bench) {
    let tier = bench.open();
    let caller = Caller::new(&*tier);
    let keys = colliding_keys(tier.hasher().seed(), 3);
    for key in &keys {
        caller.put(key, b"one");
    }
    let old = caller.place(&keys[0]);
    caller.put(&keys[0], b"two");
    assert!(!tier.forget(&old), "an old place was forgotten");
    assert_eq!(caller.value(&keys[0]).unwrap(), b"two");
    let place = caller.place(&keys[0]);
    assert!(tier.forget(&place) && !tier.forget(&place));
    assert_eq!((caller.get(&keys[0]), tier.is_current(&place)), (None, false));
    let left: BTreeSet<_> = caller.contents().into_keys().collect();
    assert_eq!(left, keys[1..].iter().cloned().collect());
}

fn collisions(bench: &dyn Bench) {
    let tier = bench.open();
    let caller = Caller::new(&*tier);
    let keys = colliding_keys(tier.hasher().seed(), 3);
    caller.put(&keys[0], b"first");
    assert_eq!((caller.get(&keys[1]), caller.value(&keys[0]).unwrap()), (None, b"first".to_vec()));
    let first = caller.place(&keys[0]);
    caller.put(&keys[1], b"second");
    caller.put_until(&keys[2], b"third", 8_000);
    assert!(tier.is_current(&first), "a key with the same hash has made a place old");
    assert_eq!(caller.contents().len(), 3);
    caller.put(&keys[1], b"another");
    assert_eq!(caller.delete(b"none"), 0);
    let values = |tier: &dyn ColdTier| {
        let caller = Caller::new(tier);
        keys.iter().map(|key| caller.value(key)).collect::<Vec<_>>()
    };
    let expected = [Some(b"first".to_vec()), Some(b"another".to_vec()), Some(b"third".to_vec())];
    assert_eq!(values(&*tier), expected);
    // All three in one batch: one goes, one stays as it is, one is replaced.
    let puts: [Put<'_>; 2] = [(&keys[0], None), (&keys[2], Some((b"last", 0)))];
    caller.change(&puts).unwrap();
    let expected = [None, Some(b"another".to_vec()), Some(b"last".to_vec())];
    assert_eq!(values(&*tier), expected);
    tier.compact(&caller).unwrap();
    assert_eq!(values(&*tier), expected);
    assert_eq!(values(&*bench.open()), expected);
}

fn batches(bench: &dyn Bench) {
    let tier = bench.open();
    let caller = Caller::new(&*tier);
    caller.put(b"a", b"old");
    caller.put(b"b", b"old");
    let puts: [Put<'_>; 4] = [
        (b"a", Some((b"new", 0))),
        (b"b", None),
        (b"c", Some((b"new", 3_000))),
        (b"nothing", None),
    ];
    let before = caller.contents();
    let (prepared, changes) = caller.prepare(&puts);
    assert_eq!(caller.contents(), before, "a part of a batch was seen too early");
    let next = bench.open();
    let found = Caller::new(&*next).contents();
    let is_whole = |keys: &[&[u8]]| found.keys().map(|key| &key[..]).eq(keys.iter().copied());
    let is_new = found[&b"a"[..]].value == b"new" && is_whole(&[b"a", b"c"]);
    assert!(found == before || is_new, "a part of a batch came back: {found:?}");
    drop(next);
    tier.publish(&prepared, &changes);
    let after = caller.contents();
    assert_eq!(after.keys().collect::<Vec<_>>(), [b"a", b"c"]);
    assert!(after.values().all(|seen| seen.value == b"new"));
    assert_eq!(after[&b"c"[..]].expires_at, 3_000);
}

fn clears(bench: &dyn Bench) {
    let tier = bench.open();
    let caller = Caller::new(&*tier);
    let last = (0..30).map(|i| caller.put(&key(i), &value(i, 300))).max().unwrap();
    let (before, place) = (caller.contents(), caller.place(&key(3)));
    let prepared = tier.prepare_clear(false).unwrap();
    assert_eq!(caller.contents(), before, "a clear was seen before it was published");
    drop(tier.publish_clear(prepared));
    assert_eq!((caller.contents().len(), tier.is_current(&place)), (0, false));
    assert_eq!((caller.get(&key(3)), tier.gauges().entries), (None, 0));
    assert!(caller.put(b"after", b"value") > last);
    tier.compact(&caller).unwrap();
    let tier = bench.open();
    let left = Caller::new(&*tier).contents();
    assert_eq!(left.into_keys().collect::<Vec<_>>(), [b"after"], "a clear was undone");
}

fn maintenance_keeps_everything(bench: &dyn Bench) {
    let mut tier = bench.open();
    for round in 0..3 {
        let caller = Caller::new(&*tier);
        for i in 0..20 {
            caller.put_until(&key(i), &value(i + round, 500), (i % 2) * 99_000);
        }
        for i in 0..5 {
            caller.delete(&key(4 * i));
        }
        let before = caller.contents();
        let places: Vec<_> = before.keys().map(|key| (key, caller.place(key))).collect();
        tier.maintain(&caller).unwrap();
        assert_eq!(caller.contents(), before, "maintenance");
        tier.compact(&caller).unwrap();
        assert_eq!(caller.contents(), before, "compaction");
        for (key, place) in places {
            let same = caller.place(key).word == place.word;
            assert!(same || !tier.is_current(&place), "{key:?} has two places");
        }
        tier.tend().unwrap();
        tier.sync().unwrap();
        assert!(caller.removed.lock().is_empty(), "a value was removed that has not expired");
        tier = bench.open();
        assert_eq!(Caller::new(&*tier).contents(), before, "opened again");
    }
    let verified = tier.verify(&mut |key, error| panic!("{key:?}: {error}")).unwrap();
    assert!(verified.damaged == 0 && verified.records >= 15);
}

fn removals(bench: &dyn Bench) {
    let tier = bench.open();
    let caller = Caller::new(&*tier);
    let expiry = |i: u64| [0, 1_400, 1_900][usize::try_from(i % 3).unwrap()];
    for i in 0..12 {
        caller.put_until(&key(i), &value(i, 200), expiry(i));
    }
    bench.clock().advance(500);
    // A key that was stored anew in time does not go with its old value.
    caller.put(&key(1), b"for ever");
    tier.maintain(&caller).unwrap();
    tier.compact(&caller).unwrap();
    let over: BTreeSet<_> = [4, 7, 10].map(key).into();
    let removed = std::mem::take(&mut *caller.removed.lock());
    assert_eq!(removed.len(), removed.iter().collect::<BTreeSet<_>>().len(), "told twice");
    assert!(removed.iter().all(|key| over.contains(key)), "{removed:?}");
    let left = caller.contents();
    assert!(removed.iter().all(|key| !left.contains_key(key)));
    assert!((0..12).map(key).all(|key| left.contains_key(&key) || over.contains(&key)));
    assert_eq!(left[&key(1)].value, b"for ever");
}

fn reopening(bench: &dyn Bench) {
    let mut tier = bench.open();
    for round in 0..4 {
        let caller = Caller::new(&*tier);
        for i in 0..6 {
            caller.put(&key(i + round), &value(round, 400));
        }
        caller.delete(&key(round));
        let model = caller.contents();
        if round % 2 == 0 {
            tier.close(&caller).unwrap();
            tier.release();
        }
        drop(caller);
        tier = bench.open();
        assert!(tier.take_findings().is_empty());
        assert_eq!(Caller::new(&*tier).contents(), model, "round {round}");
    }
}

fn beside_the_values(bench: &dyn Bench) {
    let tier = bench.open();
    let caller = Caller::new(&*tier);
    for i in 0..5 {
        caller.put(&key(i), &value(i, 100));
    }
    let before = caller.contents();
    assert_eq!(tier.gauges().entries, 5);
    let place = caller.place(&key(1));
    tier.mark_used(&caller.key(&key(1)), Some(&place));
    tier.mark_used(&caller.key(&key(2)), None);
    tier.mark_used(&caller.key(b"none"), None);
    assert!(tier.is_current(&place), "a use has made a place old");
    let hot: Vec<_> = [b"key3".to_vec(), Vec::new(), b"key1".to_vec()].into();
    assert_eq!(tier.load_hot_keys().unwrap().iter().count(), 0);
    tier.save_hot_keys(&mut hot.iter().cloned()).unwrap();
    tier.check_writable().unwrap();
    tier.keep_time(&crate::time::Clock::moment(bench.clock()));
    tier.check_length(&[caller.looked((b"key", Some((b"value", 0))))]).unwrap();
    assert!(!tier.is_over_capacity());
    assert_eq!(caller.contents(), before);
    let tier = bench.open();
    assert!(tier.load_hot_keys().unwrap().iter().eq(hot.iter()), "the list of hot keys");
    assert_eq!(Caller::new(&*tier).contents(), before);
}

#[test]
fn random_sequences_do_to_every_tier_what_they_do_to_a_model() {
    for kind in &KINDS {
        for seed in 0..40 {
            random::check(&*(kind.bench)(), seed, kind.name);
        }
    }
}
