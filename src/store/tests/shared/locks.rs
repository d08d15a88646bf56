//! Who waits for whom while the engine takes its time.

use super::engine::{ALL, Machine, Server, machine};
use crate::store::{Stored, Tier};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

#[test]
fn a_slow_change_of_one_key_holds_up_no_other_key() {
    let machine = Machine::watching(&[]);
    machine.put(b"hot", b"value");
    machine.pin(b"slow");
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| machine.put(b"slow", b"value"));
        machine.server.until_waiting(1);
        // More keys than there are stripes, so that one of them would share any.
        for n in 0..1_000_u32 {
            machine.put(&n.to_le_bytes(), b"value");
        }
        assert_eq!(machine.get(b"hot").unwrap().1, Tier::Hot);
        assert!(!slow.is_finished());
        machine.let_go();
        slow.join().unwrap();
    });
}

#[test]
fn changes_of_one_key_happen_one_after_the_other() {
    let machine = Machine::watching(&[]);
    machine.pin(b"key");
    std::thread::scope(|scope| {
        let first = scope.spawn(|| machine.put_if(b"key", b"one", 0).unwrap());
        machine.server.until_waiting(1);
        let second = scope.spawn(|| machine.put_if(b"key", b"two", 0).unwrap());
        std::thread::sleep(Duration::from_millis(20));
        assert_eq!(machine.asked("put"), 1, "the second waits for the first");
        machine.let_go();
        let Stored::Version(version) = first.join().unwrap() else { panic!("a conflict") };
        assert_eq!(second.join().unwrap(), Stored::Conflict(version));
    });
}

#[test]
fn a_clear_waits_for_the_changes_under_way_and_those_that_come_wait_for_it() {
    let machine = Machine::watching(&[("coherence", "1ms")]);
    machine.put(b"old", b"value");
    machine.pin(b"slow");
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| machine.put(b"slow", b"value"));
        machine.server.until_waiting(1);
        let clear = scope.spawn(|| machine.store.clear().unwrap());
        std::thread::sleep(Duration::from_millis(20));
        let later = scope.spawn(|| machine.put(b"later", b"value"));
        std::thread::sleep(Duration::from_millis(20));
        assert!(!clear.is_finished() && !later.is_finished());
        machine.let_go();
        slow.join().unwrap();
        clear.join().unwrap();
        later.join().unwrap();
    });
    assert_eq!(machine.get(b"old"), None);
    assert_eq!(machine.get(b"slow"), None);
    assert!(machine.get(b"later").is_some());
}

#[test]
fn batches_and_changes_of_the_same_keys_never_wait_in_a_circle() {
    let server = Server::default();
    let store = machine(&server, ALL, &[("coherence", "1ms")]);
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for first in 0..3_usize {
            let (store, is_over) = (&store, &is_over);
            scope.spawn(move || {
                let keys = [b"a", b"b", b"c"];
                for turn in 0..200 {
                    let mut batch = crate::store::Batch::new();
                    let turned = (0..3).map(|n| keys[(first + n) % 3]);
                    turned.for_each(|key| batch.store(key, b"v", &Default::default()).unwrap());
                    assert!(store.write(&batch, false).unwrap());
                    store.store(keys[turn % 3], b"w").unwrap();
                }
                is_over.store(true, Ordering::Relaxed);
            });
        }
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                store.clear().unwrap();
            }
        });
    });
}

#[test]
fn no_more_requests_are_under_way_than_may_be() {
    let machine = Machine::watching(&[("remote_concurrency", "2"), ("remote_timeout", "60s")]);
    machine.put(b"first", b"value");
    for n in 0..6_u8 {
        machine.pin(&[n]);
    }
    std::thread::scope(|scope| {
        let threads = [0, 1, 2, 3, 4, 5_u8].map(|n| {
            let machine = &machine;
            scope.spawn(move || machine.put(&[n], b"value"))
        });
        machine.server.until_waiting(2);
        std::thread::sleep(Duration::from_millis(20));
        assert_eq!(machine.server.with(|state| state.waiting), 2);
        machine.let_go();
        threads.into_iter().for_each(|thread| assert!(thread.join().unwrap() > 0));
    });
}
