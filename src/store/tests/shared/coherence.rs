//! What hot may serve, and what may enter it.

use super::engine::{ALL, Fate, Machine, Server, WHEN};
use crate::error::ErrorKind;
use crate::store::events::{Event, EventKind, Subscriber};
use crate::store::{Stored, Tier};
use std::sync::{Arc, Mutex};

const HOT: Tier = Tier::Hot;
const COLD: Tier = Tier::Cold;

fn some(value: &[u8], tier: Tier) -> Option<(Vec<u8>, Tier)> {
    Some((value.to_vec(), tier))
}

#[test]
fn while_the_link_is_alive_hot_serves_and_the_engine_is_not_asked() {
    let machine = Machine::watching(&[]);
    machine.put(b"key", b"own");
    machine.other_stores(b"theirs", b"one");
    assert_eq!(machine.get(b"theirs"), some(b"one", COLD));
    machine.server.log();
    for _ in 0..3 {
        assert_eq!(machine.get(b"key"), some(b"own", HOT));
        assert_eq!(machine.get(b"theirs"), some(b"one", HOT));
        assert!(machine.store.contains(b"key").unwrap().value);
    }
    assert!(machine.server.log().is_empty());
}

#[test]
fn what_another_machine_stores_leaves_hot_when_it_is_told() {
    let machine = Machine::watching(&[]);
    machine.put(b"key", b"own");
    machine.other_stores_and_tells(b"key", b"theirs");
    assert_eq!(machine.get(b"key"), some(b"theirs", COLD));
    assert_eq!(machine.get(b"key"), some(b"theirs", HOT));
    machine.server.with(|state| state.records.clear());
    machine.server.tell(|watcher| watcher.key(b"key", 0));
    assert_eq!(machine.get(b"key"), None);
}

#[test]
fn what_is_told_of_an_own_change_takes_nothing_out() {
    let machine = Machine::watching(&[]);
    let version = machine.put(b"key", b"own");
    machine.server.tell(|watcher| watcher.key(b"key", version));
    assert_eq!(machine.get(b"key"), some(b"own", HOT));
}

#[test]
fn an_own_change_that_is_told_of_before_it_is_answered_enters_hot() {
    let machine = Machine::watching(&[]);
    machine.put(b"other", b"takes the first versions");
    let mut told = 0;
    let version = machine.meanwhile(
        b"key",
        || machine.put(b"key", b"own"),
        || {
            told = machine.server.with(|state| state.next_version) - 64 + 1;
            machine.server.tell(|watcher| watcher.key(b"key", told));
        },
    );
    assert_eq!(version, told);
    assert_eq!(machine.get(b"key"), some(b"own", HOT));
}

#[test]
fn an_own_change_does_not_enter_hot_if_another_was_told_of_meanwhile() {
    let machine = Machine::watching(&[]);
    let tell = || machine.server.tell(|watcher| watcher.key(b"key", 5));
    machine.meanwhile(b"key", || machine.put(b"key", b"own"), tell);
    // The engine's order may be the other one.
    machine.other_stores(b"key", b"theirs");
    assert_eq!(machine.get(b"key"), some(b"theirs", COLD));
}

#[test]
fn what_was_read_before_it_was_told_of_a_change_does_not_enter_hot() {
    for all in [false, true] {
        let machine = Machine::watching(&[]);
        machine.other_stores(b"key", b"old");
        let change = || {
            let version = machine.other_stores(b"key", b"new");
            machine.server.tell(|watcher| match all {
                true => watcher.all(0),
                false => watcher.key(b"key", version),
            });
            machine.alive();
        };
        let read = machine.meanwhile(b"key", || machine.get(b"key"), change);
        assert_eq!(read, some(b"old", COLD));
        assert_eq!(machine.get(b"key"), some(b"new", COLD));
    }
}

#[test]
fn what_was_read_before_an_own_change_does_not_enter_hot() {
    let machine = Machine::watching(&[]);
    machine.other_stores(b"key", b"old");
    machine.pin(b"key");
    std::thread::scope(|scope| {
        let reading = scope.spawn(|| machine.get(b"key"));
        machine.server.until_waiting(1);
        let deleting = scope.spawn(|| machine.store.delete(b"key").unwrap());
        machine.server.until_waiting(2);
        machine.let_go();
        reading.join().unwrap();
        assert!(deleting.join().unwrap());
    });
    assert_eq!(machine.get(b"key"), None);
}

#[test]
fn a_silent_link_is_not_trusted_longer_than_one_coherence() {
    let machine = Machine::watching(&[("coherence", "1s")]);
    machine.put(b"key", b"own");
    machine.clock.advance(980);
    machine.server.log();
    assert_eq!(machine.get(b"key"), some(b"own", HOT));
    assert_eq!(machine.asked("get"), 0);
    machine.clock.advance(20);
    assert_eq!(machine.get(b"key"), some(b"own", COLD));
    assert_eq!(machine.asked("get"), 1, "the engine is asked, and says that it is the same");
    machine.other_stores(b"key", b"theirs");
    assert!(machine.store.contains(b"key").unwrap().value);
    assert_eq!(machine.get(b"key"), some(b"theirs", COLD));
    machine.server.with(|state| state.records.clear());
    assert!(!machine.store.contains(b"key").unwrap().value);
    assert_eq!(machine.get(b"key"), None);
    let remote = machine.store.stats().remote;
    assert_eq!((remote.revalidations, remote.invalidations), (3, 0));
}

#[test]
fn a_link_that_was_lost_and_is_alive_again_has_emptied_hot() {
    let machine = Machine::watching(&[]);
    machine.put(b"key", b"own");
    machine.other_stores(b"key", b"theirs");
    machine.server.tell(|watcher| watcher.all(0));
    machine.alive();
    assert_eq!(machine.get(b"key"), some(b"theirs", COLD));
}

#[test]
fn a_lost_link_empties_its_own_part_of_hot_and_no_other() {
    let machine = Machine::watching(&[]);
    machine.server.tell(|watcher| {
        watcher.parts(0, 16_383, 1);
        watcher.parts(u32::from(b'x'), u32::from(b'x'), 2);
        watcher.alive(1, 0);
        watcher.alive(2, 0);
    });
    for key in [b"a", b"b", b"x"] {
        machine.put(key, b"value");
    }
    machine.server.tell(|watcher| watcher.all(2));
    assert_eq!(machine.store.stats().hot.entries, 2);
    assert_eq!(machine.get(b"a"), some(b"value", HOT));
    // It enters hot, and is asked about until the link is alive.
    for tier in [COLD, COLD] {
        assert_eq!(machine.get(b"x"), some(b"value", tier));
    }
    machine.server.tell(|watcher| watcher.alive(2, 0));
    assert_eq!(machine.get(b"x"), some(b"value", HOT));
    // A part that moves to another link.
    machine.server.tell(|watcher| watcher.parts(u32::from(b'a'), u32::from(b'a'), 2));
    assert_eq!(machine.get(b"b"), some(b"value", HOT));
    assert_eq!(machine.get(b"a"), some(b"value", COLD));
    machine.server.tell(|watcher| watcher.all(65_535));
    assert_eq!(machine.store.stats().hot.entries, 0);
}

#[test]
fn without_a_link_each_entry_is_served_for_one_coherence_and_then_asked_about() {
    let machine = Machine::leasing(&[("coherence", "500ms")]);
    machine.put(b"own", b"one");
    machine.other_stores(b"theirs", b"two");
    assert_eq!(machine.get(b"theirs"), some(b"two", COLD));
    machine.server.log();
    machine.clock.advance(499);
    assert_eq!(machine.get(b"own"), some(b"one", HOT));
    assert_eq!(machine.get(b"theirs"), some(b"two", HOT));
    assert_eq!(machine.asked("get"), 0);
    machine.clock.advance(1);
    for (key, value) in [(&b"own"[..], &b"one"[..]), (b"theirs", b"two")] {
        assert_eq!(machine.get(key), some(value, COLD));
        assert_eq!(machine.get(key), some(value, HOT), "the lease was not renewed");
    }
    assert_eq!(machine.asked("get"), 2);
    assert_eq!(machine.store.stats().remote.bytes_in, 28 + 3, "the same came twice");
    machine.other_stores(b"own", b"new");
    machine.clock.advance(500);
    assert_eq!(machine.get(b"own"), some(b"new", COLD));
    assert_eq!(machine.get(b"own"), some(b"new", HOT));
}

#[test]
fn a_lease_begins_when_the_engine_is_asked_and_not_when_it_has_answered() {
    let machine = Machine::leasing(&[("coherence", "500ms")]);
    machine.other_stores(b"theirs", b"old");
    for key in [&b"theirs"[..], b"own"] {
        machine.pin(key);
    }
    std::thread::scope(|scope| {
        let reading = scope.spawn(|| machine.get(b"theirs"));
        let storing = scope.spawn(|| machine.put(b"own", b"one"));
        machine.server.until_waiting(2);
        machine.clock.advance(400);
        machine.let_go();
        reading.join().unwrap();
        storing.join().unwrap();
    });
    machine.clock.advance(99);
    assert_eq!(machine.get(b"theirs"), some(b"old", HOT));
    assert_eq!(machine.get(b"own"), some(b"one", HOT));
    machine.clock.advance(1);
    assert_eq!(machine.get(b"theirs"), some(b"old", COLD));
    assert_eq!(machine.get(b"own"), some(b"one", COLD));
}

#[test]
fn fresh_asks_the_engine_whatever_hot_says() {
    let machine = Machine::watching(&[]);
    machine.put(b"key", b"own");
    machine.other_stores(b"key", b"theirs");
    assert_eq!(machine.get(b"key"), some(b"own", HOT), "nobody has told");
    assert_eq!(machine.get_fresh(b"key"), some(b"theirs", COLD));
    assert_eq!(machine.get(b"key"), some(b"theirs", HOT), "what was found replaces the old");
    machine.server.log();
    assert_eq!(machine.get_fresh(b"key"), some(b"theirs", COLD));
    assert_eq!(machine.asked("get"), 1);
}

#[test]
fn forget_lets_the_next_retrieve_ask() {
    let machine = Machine::watching(&[]);
    machine.put(b"key", b"own");
    machine.other_stores(b"key", b"theirs");
    assert!(machine.store.forget(b"key").unwrap());
    assert!(!machine.store.forget(b"key").unwrap());
    assert_eq!(machine.get(b"key"), some(b"theirs", COLD));
    // What is being read when it is forgotten may be older than the news.
    machine.store.forget(b"key").unwrap();
    let change = || {
        machine.other_stores(b"key", b"newer");
        machine.store.forget(b"key").unwrap();
    };
    machine.meanwhile(b"key", || machine.get(b"key"), change);
    assert_eq!(machine.get(b"key"), some(b"newer", COLD));
}

#[test]
fn what_has_expired_is_not_served_whoever_says_that_it_is_the_same() {
    let machine = Machine::leasing(&[("coherence", "10ms")]);
    machine.other_stores_until(b"key", b"value", WHEN + 100);
    assert_eq!(machine.get(b"key"), some(b"value", COLD));
    machine.clock.advance(99);
    assert_eq!(machine.get(b"key"), some(b"value", COLD));
    machine.clock.advance(1);
    assert_eq!(machine.get(b"key"), None);
    assert!(!machine.store.contains(b"key").unwrap().value);
}

/// Writes down what leaves hot.
struct Leaves(Arc<Mutex<Vec<Vec<u8>>>>);

impl Subscriber for Leaves {
    fn event(&self, event: &Event<'_>) {
        self.0.lock().unwrap().push(event.key.to_vec());
    }
}

#[test]
fn a_change_by_another_machine_is_an_event_if_it_takes_something_out_of_hot() {
    let machine = Machine::watching(&[]);
    let left = Arc::new(Mutex::new(Vec::new()));
    machine.store.subscribe(EventKind::Demoted.bit(), Box::new(Leaves(left.clone())));
    machine.put(b"told", b"own");
    machine.put(b"found", b"own");
    machine.other_stores_and_tells(b"never hot", b"theirs");
    machine.other_stores_and_tells(b"told", b"theirs");
    machine.other_stores(b"found", b"theirs");
    machine.get_fresh(b"found");
    while left.lock().unwrap().len() < 2 {
        std::thread::yield_now();
    }
    let mut left = left.lock().unwrap().clone();
    left.sort();
    assert_eq!(left, [&b"found"[..], b"told"]);
}

#[test]
fn a_conflict_lets_the_next_retrieve_ask() {
    let machine = Machine::watching(&[]);
    let own = machine.put(b"key", b"own");
    let theirs = machine.other_stores(b"key", b"theirs");
    assert_eq!(machine.put_if(b"key", b"again", own).unwrap(), Stored::Conflict(theirs));
    assert_eq!(machine.get(b"key"), some(b"theirs", COLD));
}

#[test]
fn a_closed_store_is_told_nothing_and_gives_its_engine_back() {
    let server = Server::default();
    let machine = Machine::over(&server, ALL, &[]);
    let held = |server: &Server| Arc::strong_count(&server.0);
    assert!(held(&server) >= 3);
    machine.put(b"key", b"value");
    let Machine { store, server: its, .. } = machine;
    drop(its);
    store.close().unwrap();
    server.tell(|watcher| watcher.key(b"key", 0));
    server.tell(|watcher| watcher.all(0));
    drop(store);
    assert_eq!(held(&server), 1);
}

#[test]
fn an_engine_whose_watch_fails_is_not_opened() {
    let server = Server::default();
    server.next("watch", Fate::Fails(ErrorKind::Unavailable));
    let failed = std::panic::catch_unwind(|| Machine::over(&server, ALL, &[]));
    assert!(failed.is_err());
    assert_eq!(Arc::strong_count(&server.0), 1);
}
