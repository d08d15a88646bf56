//! Tests only: threads that run one at a time, in an order that a seed decides.
//!
//! Every lock of this crate, and so every operation on the disk in memory, is a point at which
//! another thread may go on instead. So a window between two locks, which real threads meet once in
//! a million runs, is met once in a few, and the same seed meets it again. The idea is that of
//! `shuttle` and of PULSE; this is the part of it that locks need.
//!
//! # Invariants
//! 1. Of the threads of one run exactly one goes on at a time; the others wait for their turn.
//! 2. A thread never waits for a lock while it has the turn: it tries, and gives the turn away.

use std::cell::RefCell;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// The chance that another thread goes on at a point where none has to: one in so many.
const SWITCH_ONE_IN: u64 = 6;

thread_local! {
    static PLACE: RefCell<Option<Place>> = const { RefCell::new(None) };
}

/// One run's threads.
struct Turns {
    state: Mutex<Schedule>,
    changed: Condvar,
}

struct Schedule {
    dice: u64,
    running: usize,
    alive: Vec<usize>,
}

/// A thread's place in its run. Dropped at the end of the thread, also by a panic.
#[derive(Clone)]
struct Place {
    turns: Arc<Turns>,
    index: usize,
}

/// Runs all threads to their end, in the order that `seed` decides.
///
/// # Panics
/// If one of them does.
pub fn run(seed: u64, threads: Vec<Box<dyn FnOnce() + Send + '_>>) {
    let mut state = Schedule {
        dice: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
        running: 0,
        alive: (0..threads.len()).collect(),
    };
    state.choose();
    let turns = Arc::new(Turns { state: Mutex::new(state), changed: Condvar::new() });
    std::thread::scope(|scope| {
        for (index, thread) in threads.into_iter().enumerate() {
            let place = Place { turns: turns.clone(), index };
            scope.spawn(move || {
                PLACE.with(|own| own.replace(Some(place.clone())));
                let _end = End(place.clone());
                place.turns.wait_for(index);
                thread();
            });
        }
    });
}

/// Lets `attempt` try until it gives something. Between two tries other threads go on.
pub fn until<T>(mut attempt: impl FnMut() -> Option<T>) -> T {
    pause(false);
    loop {
        if let Some(found) = attempt() {
            return found;
        }
        pause(true);
    }
}

/// A point at which another thread may go on; it does if this one has to wait. Does nothing outside
/// a run but let the processor go.
pub fn pause(must_wait: bool) {
    let place = PLACE.with(|own| own.borrow().clone());
    match place {
        Some(place) => place.turns.pass(place.index, must_wait),
        None if must_wait => std::thread::yield_now(),
        None => {}
    }
}

/// True on a thread of a run.
pub fn is_on() -> bool {
    PLACE.with(|own| own.borrow().is_some())
}

impl Turns {
    fn pass(&self, index: usize, must_wait: bool) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !must_wait && !state.roll().is_multiple_of(SWITCH_ONE_IN) {
            return;
        }
        state.choose();
        if state.running != index {
            drop(state);
            self.changed.notify_all();
            self.wait_for(index);
        }
    }

    fn wait_for(&self, index: usize) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while state.running != index {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Schedule {
    fn roll(&mut self) -> u64 {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        self.dice.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33
    }

    fn choose(&mut self) {
        let roll = usize::try_from(self.roll()).unwrap_or(0);
        if let Some(index) = self.alive.get(roll % self.alive.len().max(1)) {
            self.running = *index;
        }
    }
}

/// Ends a thread's part in its run.
struct End(Place);

impl Drop for End {
    fn drop(&mut self) {
        PLACE.with(RefCell::take);
        let Place { turns, index } = &self.0;
        let mut state = turns.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.alive.retain(|other| other != index);
        state.choose();
        drop(state);
        turns.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use crate::sync::{Condvar, Mutex, schedule};

    /// Two threads that read, and then write, under two locks: an update is lost if the other comes
    /// between.
    fn lost_update(seed: u64) -> u64 {
        let sum = Mutex::new(0_u64);
        let add = || {
            let seen = *sum.lock();
            *sum.lock() = seen + 1;
        };
        schedule::run(seed, vec![Box::new(add), Box::new(add)]);
        *sum.lock()
    }

    #[test]
    fn a_window_between_two_locks_is_met_and_met_again_by_the_same_seed() {
        let outcomes: Vec<_> = (0..64).map(lost_update).collect();
        assert!(outcomes.contains(&1) && outcomes.contains(&2), "{outcomes:?}");
        assert_eq!(outcomes, (0..64).map(lost_update).collect::<Vec<_>>());
    }

    #[test]
    fn who_waits_for_a_change_lets_the_others_go_on() {
        for seed in 0..64 {
            let (ready, changed) = (Mutex::new(false), Condvar::new());
            let wait = || {
                let mut guard = ready.lock();
                while !*guard {
                    guard = changed.wait(guard);
                }
            };
            let set = || {
                *ready.lock() = true;
                changed.notify_all();
            };
            schedule::run(seed, vec![Box::new(wait), Box::new(set), Box::new(wait)]);
        }
    }
}
