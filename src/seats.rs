//! A lock for what is read far more often than it is changed: its readers write to no cache line that
//! other threads use.
//!
//! Each thread has a seat, which is a cache line of its own. A reader writes into its seat which lock
//! it reads, and *then* looks whether that lock is being changed. Whoever changes has the lock's mutex,
//! says that it changes, and *then* waits until no seat has the lock any more. Both use sequentially
//! consistent order: either the reader sees the change coming, or the change sees the reader. A reader
//! that meets a change takes the mutex instead. So does one whose seat is taken: threads beyond
//! [`STRIPES`] share seats, and nobody sits in two places.
//!
//! # Invariants
//! 1. References from a read exist only while a seat has the lock; those from a guard only while it has
//!    the mutex.
//! 2. A mutable one exists only in a guard, after `is_changing` was set and every seat was seen without
//!    the lock.
//! 3. A seat that is taken is written by the thread that took it alone.

#![expect(unsafe_code, reason = "the compiler does not know who sits where")]

use crate::sync::{Mutex, MutexGuard, STRIPES, stripe, stripes_in_use};
use std::cell::UnsafeCell;
use std::ops::{Deref, DerefMut};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// In a seat that nobody has taken.
const NOWHERE: usize = 0;

/// The seats of the threads that read a group of locks, each with an `N` of its own.
pub struct Seats<N> {
    seats: [Seat<N>; STRIPES],
    /// For those who have the mutex, and so no seat.
    standing: N,
}

/// 128 bytes: x86-64 fetches cache lines in pairs.
#[repr(align(128))]
#[derive(Default)]
struct Seat<N> {
    /// The address of the lock that is being read from here.
    at: AtomicUsize,
    own: N,
}

/// A value that many read, each from its seat, and one at a time changes.
#[derive(Debug)]
pub struct SeatLock<T> {
    is_changing: AtomicBool,
    mutex: Mutex<()>,
    value: UnsafeCell<T>,
}

// SAFETY: readers on many threads get shared references (T: Sync), a guard on any thread a mutable one
// (T: Send), and the invariants keep these apart.
unsafe impl<T: Send + Sync> Sync for SeatLock<T> {}

/// The mutex of a [`SeatLock`]. To read through it leaves readers where they are; to change waits for
/// them.
pub struct SeatGuard<'a, T, N> {
    lock: &'a SeatLock<T>,
    seats: &'a Seats<N>,
    is_exclusive: bool,
    _mutex: MutexGuard<'a, ()>,
}

/// A seat that this thread has taken to read.
pub struct Seated<'a, T, N> {
    lock: &'a SeatLock<T>,
    seat: &'a Seat<N>,
}

impl<N: Default> Seats<N> {
    /// Nobody sits.
    pub fn new() -> Self {
        Self { seats: Default::default(), standing: N::default() }
    }
}

impl<T> SeatLock<T> {
    /// An open lock around `value`.
    pub const fn new(value: T) -> Self {
        let is_changing = AtomicBool::new(false);
        Self { is_changing, mutex: Mutex::new(()), value: UnsafeCell::new(value) }
    }

    /// Sits down to read. `None` if the mutex is to be taken instead.
    #[inline(always)]
    pub fn sit<'a, N>(&'a self, seats: &'a Seats<N>) -> Option<Seated<'a, T, N>> {
        let seat = &seats.seats[stripe()];
        let taken =
            seat.at.compare_exchange(NOWHERE, self.address(), Ordering::SeqCst, Ordering::Relaxed);
        if taken.is_err() {
            return None;
        }
        let seated = Seated { lock: self, seat };
        #[cfg(test)]
        crate::sync::schedule::pause(false);
        (!self.is_changing.load(Ordering::SeqCst)).then_some(seated)
    }

    /// Takes the mutex.
    #[inline]
    pub fn lock<'a, N>(&'a self, seats: &'a Seats<N>) -> SeatGuard<'a, T, N> {
        SeatGuard { lock: self, seats, is_exclusive: false, _mutex: self.mutex.lock() }
    }

    fn address(&self) -> usize {
        ptr::from_ref(self).addr()
    }
}

impl<T, N> SeatGuard<'_, T, N> {
    /// Waits until nobody reads. From here on readers wait for this guard.
    #[inline]
    pub fn exclude(&mut self) {
        if self.is_exclusive {
            return;
        }
        self.is_exclusive = true;
        self.lock.is_changing.store(true, Ordering::SeqCst);
        let address = self.lock.address();
        for seat in &self.seats.seats[..stripes_in_use()] {
            let mut turns = 0;
            while seat.at.load(Ordering::SeqCst) == address {
                wait(&mut turns);
            }
        }
    }

    /// What a seat has, for the one who has the mutex and none.
    pub fn standing(&self) -> &N {
        &self.seats.standing
    }
}

impl<T, N> Deref for SeatGuard<'_, T, N> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: whoever changes has the mutex, which is this guard's.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T, N> DerefMut for SeatGuard<'_, T, N> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        self.exclude();
        // SAFETY: this guard has the mutex, and nobody sits at this lock any more. Who sits down now
        // sees that it is being changed.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T, N> Drop for SeatGuard<'_, T, N> {
    #[inline]
    fn drop(&mut self) {
        if self.is_exclusive {
            self.lock.is_changing.store(false, Ordering::Release);
        }
    }
}

impl<T, N> Seated<'_, T, N> {
    /// What the seat has.
    #[inline]
    pub fn own(&self) -> &N {
        &self.seat.own
    }
}

impl<T, N> Deref for Seated<'_, T, N> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: this thread sat down before it saw that nobody changes. Whoever begins to change
        // after that waits for the seat, which is given back when this is dropped.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T, N> Drop for Seated<'_, T, N> {
    #[inline]
    fn drop(&mut self) {
        // Release: what was read was read before.
        self.seat.at.store(NOWHERE, Ordering::Release);
    }
}

/// Waits for a reader a little, and longer each time: it has a hundred instructions left, unless the
/// system has taken its processor away.
#[cold]
fn wait(turns: &mut u32) {
    *turns = turns.saturating_add(1);
    #[cfg(test)]
    if crate::sync::schedule::is_on() {
        return crate::sync::schedule::pause(true);
    }
    match *turns {
        0..64 => std::hint::spin_loop(),
        64..96 => std::thread::yield_now(),
        _ => std::thread::sleep(std::time::Duration::from_micros(20)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::schedule;
    use std::sync::atomic::AtomicU64;

    type Pair = (u64, u64);

    fn change(lock: &SeatLock<Pair>, seats: &Seats<AtomicU64>) {
        let mut pair = lock.lock(seats);
        assert_eq!(pair.0, pair.1);
        pair.0 += 1;
        schedule::pause(false);
        pair.1 += 1;
    }

    fn look(lock: &SeatLock<Pair>, seats: &Seats<AtomicU64>) -> u64 {
        let (first, second) = match lock.sit(seats) {
            Some(pair) => {
                let first = pair.0;
                schedule::pause(false);
                pair.own().fetch_add(1, Ordering::Relaxed);
                (first, pair.1)
            }
            None => {
                let pair = lock.lock(seats);
                pair.standing().fetch_add(1, Ordering::Relaxed);
                *pair
            }
        };
        assert_eq!(first, second, "half a change");
        first
    }

    fn look_five_times(lock: &SeatLock<Pair>, seats: &Seats<AtomicU64>) {
        let seen: Vec<u64> = (0..5).map(|_| look(lock, seats)).collect();
        assert!(seen.is_sorted(), "{seen:?}");
    }

    #[test]
    fn nobody_reads_half_a_change_and_no_change_is_lost() {
        for seed in 0..300 {
            let (lock, seats) = (SeatLock::new((0, 0)), Seats::<AtomicU64>::new());
            let (lock, seats) = (&lock, &seats);
            let threads = (0..4).map(|n| -> Box<dyn FnOnce() + Send + '_> {
                match n % 2 {
                    0 => Box::new(move || (0..5).for_each(|_| change(lock, seats))),
                    _ => Box::new(move || look_five_times(lock, seats)),
                }
            });
            schedule::run(seed, threads.collect());
            assert_eq!(*lock.lock(seats), (10, 10));
        }
    }

    #[test]
    fn readers_and_changes_on_free_threads_see_whole_pairs() {
        let (lock, seats) = (SeatLock::new((0, 0)), Seats::<AtomicU64>::new());
        std::thread::scope(|scope| {
            // More than there are seats.
            for _ in 0..STRIPES + 4 {
                scope.spawn(|| (0..2_000).for_each(|_| _ = look(&lock, &seats)));
            }
            scope.spawn(|| (0..2_000).for_each(|_| change(&lock, &seats)));
        });
        assert_eq!(*lock.lock(&seats), (2_000, 2_000));
        let seated = |seat: &Seat<AtomicU64>| seat.own.load(Ordering::Relaxed);
        let seated: u64 = seats.seats.iter().map(seated).sum();
        let all = seated + seats.standing.load(Ordering::Relaxed);
        assert_eq!(all, 2_000 * u64::try_from(STRIPES + 4).unwrap());
        assert!(seated > 0);
    }

    #[test]
    fn who_only_looks_through_the_mutex_leaves_readers_where_they_are() {
        let (lock, seats) = (SeatLock::new((3, 3)), Seats::<AtomicU64>::new());
        let mut guard = lock.lock(&seats);
        assert_eq!(guard.0, 3);
        assert!(lock.sit(&seats).is_some());
        guard.1 = 4;
        assert!(lock.sit(&seats).is_none());
        drop(guard);
        let seated = lock.sit(&seats).unwrap();
        assert_eq!(seated.1, 4);
        assert!(lock.sit(&seats).is_none(), "nobody sits in two places");
    }
}
