//! What becomes of changes that fail, are not answered, or meet another machine's.

use super::engine::{ALL, Fate, Machine, Server, WHEN, machine};
use crate::cold::Changed;
use crate::error::ErrorKind;
use crate::store::{Stored, Tier};

fn some(value: &[u8], tier: Tier) -> Option<(Vec<u8>, Tier)> {
    Some((value.to_vec(), tier))
}

fn version(stored: Stored) -> u64 {
    match stored {
        Stored::Version(version) => version,
        Stored::Conflict(current) => panic!("a conflict with {current}"),
    }
}

#[test]
fn conditions_are_judged_by_the_engine() {
    let machine = Machine::watching(&[]);
    let first = version(machine.put_if(b"key", b"one", 0).unwrap());
    let theirs = machine.other_stores(b"key", b"two");
    // Hot does not know of it yet, and its version is the one that is asked for.
    assert_eq!(machine.put_if(b"key", b"three", first).unwrap(), Stored::Conflict(theirs));
    assert_eq!(machine.put_if(b"key", b"three", 0).unwrap(), Stored::Conflict(theirs));
    let third = version(machine.put_if(b"key", b"three", theirs).unwrap());
    assert_eq!(machine.server.version_of(b"key"), third);
    assert_eq!(machine.put_if(b"none", b"x", 7).unwrap(), Stored::Conflict(0));
    assert_eq!(machine.get(b"key"), some(b"three", Tier::Hot));
}

#[test]
fn an_unconditional_store_needs_no_read() {
    let machine = Machine::watching(&[]);
    machine.other_stores(b"key", b"old");
    machine.put(b"key", b"new");
    machine.server.log();
    machine.put(b"key", b"newer");
    assert_eq!(machine.server.log(), ["put key"]);
}

#[test]
fn what_has_expired_is_in_nobodys_way_though_the_engine_has_it() {
    let machine = Machine::over(&Server::default(), ALL & !2, &[]);
    machine.other_stores_until(b"key", b"old", WHEN);
    assert_eq!(machine.get(b"key"), None);
    assert!(!machine.store.delete(b"key").unwrap());
    machine.other_stores_until(b"key", b"old", WHEN);
    version(machine.put_if(b"key", b"new", 0).unwrap());
    assert!(machine.store.delete(b"key").unwrap());
    assert!(!machine.store.delete(b"key").unwrap());
}

#[test]
fn a_delete_tells_what_the_engine_says() {
    let machine = Machine::watching(&[]);
    assert!(!machine.store.delete(b"key").unwrap());
    machine.other_stores(b"key", b"theirs");
    assert!(machine.store.delete(b"key").unwrap());
    machine.put(b"key", b"own");
    machine.server.with(|state| state.records.clear());
    assert!(!machine.store.delete(b"key").unwrap(), "another machine was first");
    assert_eq!(machine.get(b"key"), None);
}

#[test]
fn a_delete_goes_on_while_others_are_first() {
    let machine = Machine::over(&Server::default(), ALL & !2, &[("remote_retries", "0")]);
    machine.put(b"key", b"own");
    for _ in 0..20 {
        machine.server.next("remove", Fate::Overtaken);
    }
    assert!(machine.store.delete(b"key").unwrap());
    assert_eq!(machine.asked("remove"), 21);
}

#[test]
fn what_certainly_was_not_done_leaves_everything_as_it_was() {
    let machine = Machine::watching(&[]);
    machine.put(b"key", b"old");
    for kind in ["put", "remove"] {
        machine.server.next(kind, Fate::Fails(ErrorKind::Unavailable));
        let failed = match kind {
            "put" => machine.store.store(b"key", b"new").map(drop),
            _ => machine.store.delete(b"key").map(drop),
        };
        assert_eq!(failed.unwrap_err().kind(), ErrorKind::Unavailable);
        assert_eq!(machine.get(b"key"), some(b"old", Tier::Hot));
    }
    assert_eq!(machine.asked("put"), 2);
}

#[test]
fn after_an_unknown_outcome_the_key_leaves_hot_and_nothing_is_sent_twice() {
    for (fate, found) in [(Fate::Unknown, &b"new"[..]), (Fate::Late, b"old")] {
        let machine = Machine::watching(&[]);
        machine.put(b"key", b"old");
        machine.server.log();
        machine.server.next("put", fate);
        let failure = machine.store.store(b"key", b"new").unwrap_err();
        assert_eq!(failure.kind(), ErrorKind::Timeout);
        assert_eq!(machine.server.log(), ["put key"]);
        assert_eq!(machine.get(b"key"), some(found, Tier::Cold));
    }
    let machine = Machine::watching(&[]);
    machine.put(b"key", b"old");
    machine.server.next("remove", Fate::Unknown);
    assert_eq!(machine.store.delete(b"key").unwrap_err().kind(), ErrorKind::Timeout);
    assert_eq!(machine.get(b"key"), None);
}

#[test]
fn what_is_read_while_an_outcome_is_unknown_does_not_enter_hot() {
    let machine = Machine::watching(&[]);
    machine.other_stores(b"key", b"old");
    machine.server.next("put", Fate::Unknown);
    machine.pin(b"key");
    std::thread::scope(|scope| {
        let reading = scope.spawn(|| machine.get(b"key"));
        machine.server.until_waiting(1);
        let storing = scope.spawn(|| machine.store.store(b"key", b"new").is_err());
        machine.server.until_waiting(2);
        machine.let_go();
        reading.join().unwrap();
        assert!(storing.join().unwrap());
    });
    assert_eq!(machine.get(b"key"), some(b"new", Tier::Cold));
}

#[test]
fn a_conditional_store_of_unknown_outcome_reads_again() {
    // It was made, and only the answer is lost.
    let machine = Machine::watching(&[]);
    let old = machine.put(b"key", b"old");
    machine.server.log();
    machine.server.next("put", Fate::Unknown);
    let new = version(machine.put_if(b"key", b"new", old).unwrap());
    assert_eq!(machine.server.log(), ["put key", "get key"]);
    assert_eq!((machine.server.version_of(b"key"), new), (new, new));
    // It was not made: it is sent again, and the late copy finds its condition not met.
    machine.server.next("put", Fate::Late);
    let newer = version(machine.put_if(b"key", b"newer", new).unwrap());
    assert_eq!(machine.server.log(), ["put key", "get key", "put key"]);
    assert_eq!(machine.server.late(), [Changed::Conflict]);
    assert_eq!(machine.server.version_of(b"key"), newer);
    assert_eq!(machine.store.stats().remote.retries, 1);
    // The late copy is first.
    machine.server.next("put", Fate::Late);
    machine.server.next("get", Fate::Fails(ErrorKind::Unavailable));
    let failure = machine.put_if(b"key", b"newest", newer).unwrap_err();
    assert_eq!(failure.kind(), ErrorKind::Timeout, "unknown, for the read has failed");
}

#[test]
fn a_conditional_store_that_may_have_been_made_and_replaced_is_unknown() {
    let machine = Machine::watching(&[]);
    let old = machine.put(b"key", b"old");
    machine.server.next("put", Fate::Unknown);
    // The put is let through, and the read that follows finds another's version.
    let store = || machine.put_if(b"key", b"new", old);
    let others = || {
        machine.other_stores(b"key", b"theirs");
    };
    let outcome = machine.meanwhile(b"key", store, others);
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Timeout);
    assert_eq!(machine.get(b"key"), some(b"theirs", Tier::Cold));
}

#[test]
fn a_condition_that_goes_on_being_unknown_is_given_up() {
    let machine = Machine::watching(&[("remote_retries", "2")]);
    let old = machine.put(b"key", b"old");
    (0..3).for_each(|_| machine.server.next("put", Fate::Late));
    machine.server.log();
    assert_eq!(machine.put_if(b"key", b"new", old).unwrap_err().kind(), ErrorKind::Timeout);
    assert_eq!(machine.asked("put"), 3);
}

#[test]
fn a_lenient_store_keeps_what_was_not_done_and_writes_it_back_on_its_condition() {
    let machine = Machine::watching(&[("policy", "lenient"), ("write_mode", "through")]);
    let old = machine.put(b"key", b"old");
    (0..9).for_each(|_| machine.server.next("put", Fate::Fails(ErrorKind::Unavailable)));
    let answer = machine.store.store(b"key", b"kept").unwrap();
    assert_eq!(answer.survived.unwrap().kind(), ErrorKind::Unavailable);
    assert_eq!(machine.get(b"key"), some(b"kept", Tier::Hot));
    assert_eq!(machine.server.version_of(b"key"), old);
    machine.server.with(|state| state.fates.clear());
    machine.store.sync().unwrap();
    assert_eq!(machine.server.version_of(b"key"), answer.value);
    // What another machine has stored meanwhile is newer.
    (0..9).for_each(|_| machine.server.next("put", Fate::Fails(ErrorKind::Unavailable)));
    machine.store.store(b"key", b"kept again").unwrap();
    let theirs = machine.other_stores_and_tells(b"key", b"theirs");
    machine.server.with(|state| state.fates.clear());
    assert_eq!(machine.get(b"key"), some(b"kept again", Tier::Hot), "unwritten entries stay");
    machine.store.sync().unwrap();
    assert_eq!(machine.server.version_of(b"key"), theirs);
    assert_eq!(machine.get(b"key"), some(b"theirs", Tier::Cold));
}

#[test]
fn a_lenient_retrieve_that_fails_finds_nothing_and_says_so() {
    for is_known in [false, true] {
        let machine = Machine::watching(&[("policy", "lenient")]);
        machine.put(b"key", b"value");
        machine.clock.advance(2_000);
        if !is_known {
            machine.store.optimize_hot(0).unwrap();
        }
        machine.server.next("get", Fate::Fails(ErrorKind::Unavailable));
        let answer = machine.store.retrieve(b"key").unwrap();
        assert!(answer.value.is_none());
        assert_eq!(answer.survived.unwrap().kind(), ErrorKind::Unavailable);
        assert_eq!(machine.get(b"key"), some(b"value", Tier::Cold));
    }
    let strict = Machine::watching(&[]);
    strict.server.next("get", Fate::Fails(ErrorKind::Timeout));
    assert_eq!(strict.store.retrieve(b"key").err().unwrap().kind(), ErrorKind::Timeout);
}

#[test]
fn write_back_writes_the_last_of_many_stores_on_the_condition_of_the_first() {
    let machine = Machine::watching(&[("write_mode", "back")]);
    let theirs = machine.other_stores(b"key", b"theirs");
    for value in [b"1", b"2", b"3"] {
        machine.put(b"key", value);
    }
    assert_eq!(machine.get(b"key"), some(b"3", Tier::Hot));
    assert_eq!(machine.server.version_of(b"key"), theirs);
    machine.store.sync().unwrap();
    assert_eq!(machine.get_fresh(b"key"), some(b"3", Tier::Cold));
    // Deleted before it was written: it had a value here, and the engine never did.
    machine.put(b"new", b"1");
    assert!(machine.store.delete(b"new").unwrap());
    machine.store.sync().unwrap();
    assert_eq!(machine.server.version_of(b"new"), 0);
    // On the condition of what is unwritten, and then of what the engine has.
    let unwritten = machine.put(b"key", b"4");
    let fifth = version(machine.put_if(b"key", b"5", unwritten).unwrap());
    assert_eq!(machine.put_if(b"key", b"6", unwritten).unwrap(), Stored::Conflict(fifth));
    machine.store.sync().unwrap();
    assert_eq!(machine.server.version_of(b"key"), fifth);
}

#[test]
fn threads_and_machines_that_count_on_one_key_lose_no_update() {
    const EACH: u64 = 60;
    for can in [ALL, ALL & !8] {
        let server = Server::default();
        let stores = [0; 3].map(|_| machine(&server, can, &[("coherence", "5ms")]));
        let count = |store: &crate::store::Store| {
            let mut done = 0;
            while done < EACH {
                let found = store.retrieve(b"counter").unwrap().value;
                let (count, seen) = found.map_or((0, 0), |value| {
                    (value.data().try_into().map_or(0, u64::from_le_bytes), value.version())
                });
                let options = crate::store::StoreOptions {
                    if_version: Some(seen),
                    ..crate::store::StoreOptions::default()
                };
                let next = (count + 1).to_le_bytes();
                let stored = store.store_with(b"counter", &next, &options).unwrap().value;
                done += u64::from(matches!(stored, Stored::Version(_)));
            }
        };
        std::thread::scope(|scope| {
            let count = &count;
            for store in &stores {
                (0..2).for_each(|_| drop(scope.spawn(move || count(store))));
            }
        });
        let found = stores[0].store_with(b"other", b"", &Default::default());
        assert!(found.is_ok());
        let fresh = crate::store::RetrieveOptions { fresh: true, ..Default::default() };
        let value = stores[0].retrieve_with(b"counter", fresh).unwrap().value.unwrap();
        assert_eq!(value.data(), (3 * 2 * EACH).to_le_bytes());
    }
}
