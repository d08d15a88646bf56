//! The registry's promises: a token works until it is removed and never again, and remove waits.

use super::*;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

const HERE: u64 = 7;

fn kind<T>(result: Result<T>) -> Option<ErrorKind> {
    result.err().map(|error| error.kind())
}

#[test]
fn a_token_reaches_its_value_until_it_is_removed() {
    let registry = Registry::new();
    let token = registry.insert("a", HERE).unwrap();
    assert_eq!(*registry.enter(token, HERE).unwrap(), "a");
    assert_eq!(registry.remove(token, HERE).unwrap(), "a");
    assert_eq!(kind(registry.enter(token, HERE)), Some(ErrorKind::Misuse));
    assert_eq!(kind(registry.remove(token, HERE)), Some(ErrorKind::Misuse));
}

#[test]
fn a_token_is_never_given_twice_although_slots_are() {
    let registry = Registry::new();
    let mut seen = HashSet::new();
    for n in 0..1000 {
        let token = registry.insert(n, HERE).unwrap();
        assert_ne!(token, 0);
        assert_eq!(index_of(token), 0, "the free slot is taken again");
        assert!(seen.insert(token));
        registry.remove(token, HERE).unwrap();
    }
}

#[test]
fn many_values_are_open_at_once() {
    let registry = Registry::new();
    let tokens: Vec<u64> = (0..300).map(|n| registry.insert(n, HERE).unwrap()).collect();
    for (n, token) in tokens.iter().enumerate() {
        assert_eq!(*registry.enter(*token, HERE).unwrap(), n);
    }
}

#[test]
fn any_bit_pattern_is_answered_with_misuse() {
    let registry = Registry::new();
    let open = registry.insert((), HERE).unwrap();
    let bits = (0..64).map(|bit| 1_u64 << bit);
    let near = bits.clone().map(|bit| open ^ bit);
    for token in bits.chain(near).chain([0, u64::MAX, u64::MAX - 1, open - 1]) {
        if token != open {
            assert_eq!(kind(registry.enter(token, HERE)), Some(ErrorKind::Misuse), "{token:#x}");
            assert_eq!(kind(registry.remove(token, HERE)), Some(ErrorKind::Misuse), "{token:#x}");
        }
    }
    assert!(registry.enter(open, HERE).is_ok());
}

#[test]
fn the_places_of_slots_follow_one_another() {
    let mut expected = (0, 0);
    for index in 0..5000 {
        assert_eq!(place(index), expected);
        expected.1 += 1;
        if expected.1 == FIRST_CHUNK_SLOTS << expected.0 {
            expected = (expected.0 + 1, 0);
        }
    }
    assert!(place((1 << SLOT_BITS) - 1).0 >= CHUNKS, "the last slots have no chunk");
}

#[test]
fn a_forked_child_may_not_use_what_its_parent_opened() {
    let registry = Registry::new();
    let token = registry.insert("parent's", HERE).unwrap();
    assert_eq!(kind(registry.enter(token, HERE + 1)), Some(ErrorKind::Misuse));
    assert_eq!(kind(registry.remove(token, HERE + 1)), Some(ErrorKind::Misuse));
    let own = registry.insert("child's", HERE + 1).unwrap();
    assert_eq!(*registry.enter(own, HERE + 1).unwrap(), "child's");
    assert_eq!(*registry.enter(token, HERE).unwrap(), "parent's", "still open there");
}

#[test]
fn remove_waits_for_the_calls_in_progress_and_keeps_new_ones_out() {
    let registry = Arc::new(Registry::new());
    let token = registry.insert((), HERE).unwrap();
    let entered = registry.enter(token, HERE).unwrap();
    let left = Arc::new(AtomicBool::new(false));
    let closer = std::thread::spawn({
        let (registry, left) = (Arc::clone(&registry), Arc::clone(&left));
        move || {
            registry.remove(token, HERE).unwrap();
            assert!(left.load(Ordering::SeqCst), "removed while a call was in progress");
        }
    });
    while registry.enter(token, HERE).is_ok() {
        std::thread::yield_now();
    }
    std::thread::sleep(Duration::from_millis(20));
    left.store(true, Ordering::SeqCst);
    drop(entered);
    closer.join().unwrap();
}

/// Enters until the value is gone; `is_removed` must not be set while inside.
fn call_until_removed(registry: &Registry<Arc<AtomicBool>>, token: u64) {
    while let Ok(is_removed) = registry.enter(token, HERE) {
        assert!(!is_removed.load(Ordering::SeqCst), "inside after remove");
        std::thread::yield_now();
        assert!(!is_removed.load(Ordering::SeqCst), "removed while inside");
    }
}

#[test]
fn racing_calls_never_see_a_removed_value_and_one_close_wins() {
    let registry = Registry::new();
    let rounds = if cfg!(miri) { 3 } else { 300 };
    for _ in 0..rounds {
        let token = registry.insert(Arc::new(AtomicBool::new(false)), HERE).unwrap();
        let closed = AtomicUsize::new(0);
        let close = || {
            if let Ok(is_removed) = registry.remove(token, HERE) {
                is_removed.store(true, Ordering::SeqCst);
                closed.fetch_add(1, Ordering::SeqCst);
            }
        };
        std::thread::scope(|scope| {
            (0..3).for_each(|_| drop(scope.spawn(|| call_until_removed(&registry, token))));
            (0..2).for_each(|_| drop(scope.spawn(close)));
        });
        assert_eq!(closed.load(Ordering::SeqCst), 1);
    }
}

#[test]
fn threads_that_open_at_once_get_slots_of_their_own() {
    let registry = Registry::new();
    std::thread::scope(|scope| {
        for thread in 0..4_usize {
            let registry = &registry;
            scope.spawn(move || {
                for n in 0..200_usize {
                    let token = registry.insert((thread, n), HERE).unwrap();
                    assert_eq!(*registry.enter(token, HERE).unwrap(), (thread, n));
                    assert_eq!(registry.remove(token, HERE).unwrap(), (thread, n));
                }
            });
        }
    });
}
