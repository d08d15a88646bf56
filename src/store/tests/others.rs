//! The store over a cold tier that is slow, fails, does not know, and is changed by others.

use crate::cold::local::tests::script::Dice;
use crate::cold::tests::map::{Call, MapTier};
use crate::error::ErrorKind;
use crate::io::clock::ManualClock;
use crate::store::maintenance::Maintenance;
use crate::store::options::Options;
use crate::store::{Batch, Loaded, Store, StoreOptions, Tier};
use crate::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A store without its thread, over a map, with a clock that stands still.
struct Harness {
    store: Arc<Store>,
    map: MapTier,
    clock: Arc<ManualClock>,
}

impl Harness {
    fn new(text: &[(&str, &str)]) -> Self {
        let mut options = Options::default();
        text.iter().for_each(|(name, value)| options.set(name, value).unwrap());
        let clock = Arc::new(ManualClock::at(Timestamp(1_000)));
        let map = MapTier::new(7, clock.clone());
        let cold = Some(Box::new(map.clone()) as _);
        let store = Arc::new(Store::without_thread(options, cold, clock.clone()));
        Self { store, map, clock }
    }

    fn store(&self, key: &[u8], value: &[u8]) {
        self.store.store(key, value).unwrap();
    }

    /// The value of a key and the tier that it came from.
    fn get(&self, key: &[u8]) -> Option<(Vec<u8>, Tier)> {
        let value = self.store.retrieve(key).unwrap().value;
        value.map(|value| (value.data().to_vec(), value.tier()))
    }

    fn has(&self, key: &[u8], value: &[u8], tier: Tier) {
        assert_eq!(self.get(key), Some((value.to_vec(), tier)), "{}", key.escape_ascii());
    }
}

fn is_unknown<T>(result: Result<T, crate::Error>) {
    assert_eq!(result.err().unwrap().kind(), ErrorKind::Timeout);
}

#[test]
fn what_others_replaced_while_it_was_read_does_not_enter_hot() {
    let changes: [Option<&[u8]>; 2] = [Some(b"new"), None];
    for change in changes {
        let harness = Harness::new(&[]);
        harness.map.others_change(b"key", Some(b"old"));
        let others = harness.map.clone();
        harness.map.meanwhile(Call::Read, move || others.others_change(b"key", change));
        // The answer was right when it was asked for.
        harness.has(b"key", b"old", Tier::Cold);
        assert_eq!(harness.get(b"key"), change.map(|value| (value.to_vec(), Tier::Cold)));
        if let Some(value) = change {
            harness.has(b"key", value, Tier::Hot);
        }
        // Loading it asks the same.
        let others = harness.map.clone();
        harness.map.others_change(b"other", Some(b"old"));
        harness.map.meanwhile(Call::Read, move || others.others_change(b"other", change));
        assert_eq!(harness.store.warm_up(&[b"other"]).unwrap().value, 0);
    }
}

#[test]
fn a_slow_read_neither_holds_up_a_store_of_its_key_nor_undoes_it() {
    let harness = Harness::new(&[]);
    harness.map.others_change(b"key", Some(b"old"));
    let store = harness.store.clone();
    harness.map.meanwhile(Call::Read, move || drop(store.store(b"key", b"new").unwrap()));
    harness.has(b"key", b"old", Tier::Cold);
    harness.has(b"key", b"new", Tier::Hot);
    let store = harness.store.clone();
    harness.map.others_change(b"gone", Some(b"old"));
    harness.map.meanwhile(Call::Read, move || assert!(store.delete(b"gone").unwrap()));
    harness.has(b"gone", b"old", Tier::Cold);
    assert_eq!(harness.get(b"gone"), None);
}

#[test]
fn after_an_unknown_outcome_the_tier_is_asked_until_it_knows() {
    type Change = fn(&Store) -> Result<(), crate::Error>;
    let changes: [(Change, Option<&[u8]>); 3] = [
        (|store| store.store(b"key", b"new").map(drop), Some(b"new")),
        (|store| store.delete(b"key").map(drop), None),
        (
            |store| {
                let mut batch = Batch::default();
                batch.store(b"key", b"new", &StoreOptions::default())?;
                batch.store(b"other", b"value", &StoreOptions::default())?;
                store.write(&batch, false).map(drop)
            },
            Some(b"new"),
        ),
    ];
    for (change, outcome) in changes {
        for happens in [false, true] {
            let harness = Harness::new(&[]);
            harness.store(b"key", b"old");
            harness.has(b"key", b"old", Tier::Hot);
            harness.map.lose_next_answer();
            is_unknown(change(&harness.store));
            // Not even what the tier says now may be kept, as it may change by itself.
            harness.has(b"key", b"old", Tier::Cold);
            harness.has(b"key", b"old", Tier::Cold);
            harness.map.settle(happens);
            let value = if happens { outcome } else { Some(&b"old"[..]) };
            assert_eq!(harness.get(b"key"), value.map(|value| (value.to_vec(), Tier::Cold)));
            assert_eq!(harness.get(b"key"), value.map(|value| (value.to_vec(), Tier::Hot)));
        }
    }
}

#[test]
fn an_unknown_clear_leaves_nothing_in_hot_that_the_tier_may_have_lost() {
    let harness = Harness::new(&[]);
    (0..50_u8).for_each(|i| harness.store(&[i], b"value"));
    harness.map.fail_nth(Call::Clear, 1, ErrorKind::Timeout);
    is_unknown(harness.store.clear());
    (0..50_u8).for_each(|i| harness.has(&[i], b"value", Tier::Cold));
}

#[test]
fn an_unknown_outcome_takes_nothing_that_only_hot_has() {
    let harness = Harness::new(&[("write_mode", "back")]);
    harness.store(b"key", b"unwritten");
    harness.map.lose_next_answer();
    let at_once = StoreOptions { sync: true, ..StoreOptions::default() };
    is_unknown(harness.store.store_with(b"key", b"new", &at_once));
    harness.map.settle(false);
    harness.has(b"key", b"unwritten", Tier::Hot);
    // Nor does one of writing it back, whether that happens or not.
    for happens in [false, true] {
        harness.map.lose_next_answer();
        is_unknown(harness.store.sync());
        harness.has(b"key", b"unwritten", Tier::Hot);
        harness.map.settle(happens);
    }
    harness.store.sync().unwrap();
    assert_eq!(harness.map.value(b"key").unwrap(), b"unwritten");
}

#[test]
fn a_load_does_not_overwrite_what_may_have_been_stored_meanwhile() {
    let harness = Harness::new(&[]);
    let mut load = |loaded: &mut Loaded| {
        harness.map.lose_next_answer();
        is_unknown(harness.store.store(b"key", b"stored"));
        harness.map.settle(true);
        loaded.set(b"loaded", 0).map_or(1, |()| 0)
    };
    harness.store.retrieve_or_load(b"key", &mut load).unwrap();
    assert_eq!(harness.map.value(b"key").unwrap(), b"stored");
}

#[test]
fn a_lenient_store_serves_on_and_writes_back_once_the_tier_works_again() {
    for kind in [ErrorKind::Io, ErrorKind::Unavailable] {
        let harness = Harness::new(&[("policy", "lenient")]);
        harness.store(b"hot", b"value");
        harness.map.others_change(b"cold", Some(b"value"));
        for call in [Call::Read, Call::ReadExpiry, Call::Prepare] {
            harness.map.fail_all(call, kind);
        }
        harness.has(b"hot", b"value", Tier::Hot);
        let answer = harness.store.retrieve(b"cold").unwrap();
        assert!(answer.value.is_none() && answer.survived.unwrap().kind() == kind);
        let answer = harness.store.contains(b"cold").unwrap();
        assert!(!answer.value && answer.survived.is_some());
        let answer = harness.store.store(b"hot", b"newer").unwrap();
        assert_eq!(answer.survived.unwrap().kind(), kind);
        harness.has(b"hot", b"newer", Tier::Hot);
        assert_eq!(harness.map.value(b"hot").unwrap(), b"value");
        assert_eq!(harness.store.sync().unwrap_err().kind(), kind);
        harness.map.heal();
        Maintenance::new(harness.store.core().writer()).round();
        assert_eq!(harness.map.value(b"hot").unwrap(), b"newer");
        harness.has(b"cold", b"value", Tier::Cold);
        assert_eq!(harness.store.stats().lenient_failures, 3);
    }
}

#[test]
fn a_strict_store_reports_failures_and_keeps_what_it_had() {
    let harness = Harness::new(&[]);
    harness.store(b"key", b"old");
    for call in [Call::Look, Call::Prepare] {
        harness.map.fail_nth(call, 1, ErrorKind::Unavailable);
        let error = harness.store.store(b"key", b"new").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        harness.has(b"key", b"old", Tier::Hot);
    }
    assert_eq!(harness.map.value(b"key").unwrap(), b"old");
    harness.map.fail_nth(Call::Clear, 1, ErrorKind::Unavailable);
    assert_eq!(harness.store.clear().unwrap_err().kind(), ErrorKind::Unavailable);
    harness.has(b"key", b"old", Tier::Hot);
}

/// How often a walk meets each key.
fn walk(
    harness: &Harness,
    prefix: &[u8],
    mut between: impl FnMut(usize),
) -> BTreeMap<Vec<u8>, usize> {
    let mut cursor = harness.store.cursor(prefix).unwrap();
    let mut met = BTreeMap::new();
    for step in 0.. {
        between(step);
        match harness.store.cursor_next(&mut cursor) {
            Ok(true) => *met.entry(cursor.key().to_vec()).or_default() += 1,
            Ok(false) => break,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable),
        }
    }
    met
}

fn name(index: u64) -> Vec<u8> {
    format!("{}/{index}", index % 3).into_bytes()
}

#[test]
fn a_walk_in_the_order_of_keys_meets_each_key_once_written_or_not() {
    for seed in 0..30 {
        let harness = Harness::new(&[("write_mode", "back"), ("hot_capacity", "1MiB")]);
        // More than two pages are written, a part of them anew and not written, and some are new.
        (0..600).for_each(|index| harness.store(&name(index), b"written"));
        harness.store.sync().unwrap();
        (0..700).step_by(5).for_each(|index| harness.store(&name(index), b"unwritten"));
        let mut dice = Dice::new(seed);
        let prefix: &[u8] = if seed % 2 == 0 { b"" } else { b"1/" };
        let met = walk(&harness, prefix, |_| match dice.below(60) {
            0 => harness.store.sync().unwrap(),
            1..4 => harness.store(&name(dice.below(600)), b"again"),
            4 => harness.map.fail_nth(Call::Places, 1, ErrorKind::Unavailable),
            5 => drop(harness.store.optimize_hot(0).unwrap()),
            _ => {}
        });
        let all = (0..600).chain((600..700).step_by(5)).map(name);
        let expected: BTreeSet<_> = all.filter(|key| key.starts_with(prefix)).collect();
        let twice: Vec<_> = met.iter().filter(|(_, times)| **times > 1).collect();
        assert!(twice.is_empty(), "seed {seed}: {twice:?}");
        assert!(met.into_keys().eq(expected), "seed {seed}: a key was missed");
    }
}

#[test]
fn a_walk_meets_a_key_that_was_stored_anew_before_it_expired() {
    let harness = Harness::new(&[]);
    let mortal = StoreOptions { ttl_ms: 100, ..StoreOptions::default() };
    for key in [b"kept", b"over"] {
        harness.store.store_with(key, b"value", &mortal).unwrap();
    }
    let (store, clock) = (harness.store.clone(), harness.clock.clone());
    harness.map.meanwhile(Call::Places, move || {
        store.store(b"kept", b"for ever").unwrap();
        clock.advance(200);
    });
    assert_eq!(walk(&harness, b"", |_| ()), [(b"kept".to_vec(), 1)].into());
}

#[test]
fn what_has_expired_leaves_both_tiers_when_the_tier_is_maintained() {
    let harness = Harness::new(&[]);
    let mortal = StoreOptions { ttl_ms: 100, ..StoreOptions::default() };
    harness.store.store_with(b"over", b"value", &mortal).unwrap();
    harness.store(b"kept", b"value");
    harness.clock.advance(200);
    assert!(harness.map.value(b"over").is_some());
    Maintenance::new(harness.store.core().writer()).round();
    assert!(harness.map.value(b"over").is_none());
    harness.has(b"kept", b"value", Tier::Hot);
    assert_eq!((harness.store.stats().hot.entries, harness.store.stats().cold.entries), (1, 1));
}

/// One random thing that may fail, or have an unknown outcome.
fn do_something(harness: &Harness, dice: &mut Dice, tag: u64) -> String {
    let key = [b'a' + u8::try_from(dice.below(4)).unwrap()];
    let value = tag.to_string();
    let fault = dice.below(12);
    match fault {
        0 => harness.map.lose_next_answer(),
        1 => harness.map.fail_nth(Call::Prepare, 1, ErrorKind::Io),
        2 => harness.map.fail_nth(Call::Read, 1, ErrorKind::Io),
        _ => {}
    }
    let (what, is_done) = match dice.below(20) {
        0..7 => ("store", harness.store.store(&key, value.as_bytes()).is_ok()),
        7..10 => ("delete", harness.store.delete(&key).is_ok()),
        10..13 => {
            let mut batch = Batch::default();
            batch.store(&key, value.as_bytes(), &StoreOptions::default()).unwrap();
            batch.store(b"b", b"batch", &StoreOptions::default()).unwrap();
            batch.delete(b"c").unwrap();
            ("batch", harness.store.write(&batch, false).is_ok())
        }
        13 => ("clear", harness.store.clear().is_ok()),
        14 => ("warm up", harness.store.warm_up(&[&key]).is_ok()),
        15 => ("optimize hot", harness.store.optimize_hot(100).is_ok()),
        16 => {
            Maintenance::new(harness.store.core().writer()).round();
            ("maintain", true)
        }
        _ => ("retrieve", harness.store.retrieve(&key).is_ok()),
    };
    if dice.below(3) == 0 {
        harness.map.settle(dice.below(2) == 0);
    }
    harness.map.heal();
    format!("{what} {} = {value}, fault {fault}, done {is_done}", key.escape_ascii())
}

#[test]
fn what_a_store_answers_is_what_its_tier_has_whatever_fails() {
    for seed in 0..200 {
        let (harness, mut dice) = (Harness::new(&[("hot_max_entries", "3")]), Dice::new(seed));
        let mut story = format!("seed {seed}");
        for tag in 0..50 {
            story = format!("{story}\n  {}", do_something(&harness, &mut dice, tag));
            for key in [b"a", b"b", b"c", b"d"] {
                let found = harness.get(key).map(|(value, _)| value);
                assert_eq!(found, harness.map.value(key), "{}: {story}", key.escape_ascii());
            }
        }
    }
}
