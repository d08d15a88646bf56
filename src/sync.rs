//! The standard library's locks, without poisoning. No lock shares anything with another.
//!
//! All state of such a lock is in the lock. `parking_lot` keeps the threads that wait in one table
//! for the whole process, linked through memory of these threads. A forked child inherits the table
//! without the threads; its own threads reuse that memory, and the first that waits may find a list
//! without end. A child may open stores of its own, so nothing here waits in `parking_lot`.
//!
//! In tests these locks are also where threads take turns: see `sync/schedule.rs`.
//!
//! Not poisoned, because a panic is fenced at the C boundary and what a lock guards stays in use.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{self, LockResult, PoisonError, TryLockError, TryLockResult};
use std::time::Duration;

#[cfg(not(test))]
pub use std::sync::MutexGuard;
pub use std::sync::{RwLockReadGuard, RwLockWriteGuard};

#[cfg(test)]
pub mod schedule;

/// One thread at a time.
#[derive(Debug, Default)]
pub struct Mutex<T>(sync::Mutex<T>);

/// Many that read, or one that writes.
#[derive(Debug, Default)]
pub struct RwLock<T>(sync::RwLock<T>);

/// Waits for a change of what a [`Mutex`] guards.
#[derive(Debug, Default)]
pub struct Condvar(sync::Condvar);

/// What many threads count or keep at once is split into so many parts.
pub const STRIPES: usize = 16;

/// How many threads have asked for a part.
static ASKED: AtomicUsize = AtomicUsize::new(0);

/// What this crate keeps of each thread, in one place, because where it lies is found by a call.
pub struct Own {
    stripe: Cell<usize>,
    /// True while the thread runs our code on behalf of C.
    pub is_inside: Cell<bool>,
}

const NONE: usize = usize::MAX;

thread_local! {
    /// Without a destructor, so that it is there as long as the thread runs.
    pub static OWN: Own = const { Own { stripe: Cell::new(NONE), is_inside: Cell::new(false) } };
}

/// The part that the calling thread keeps to, below [`STRIPES`].
#[inline]
pub fn stripe() -> usize {
    OWN.with(|own| {
        if own.stripe.get() == NONE {
            own.stripe.set(next_stripe());
        }
        own.stripe.get() % STRIPES
    })
}

#[cold]
fn next_stripe() -> usize {
    ASKED.fetch_add(1, Ordering::SeqCst) % STRIPES
}

/// How many parts have a thread. A thread that gets its part after this, in the order of all
/// sequentially consistent operations, sees what was stored in that order before.
#[inline]
pub fn stripes_in_use() -> usize {
    ASKED.load(Ordering::SeqCst).min(STRIPES)
}

impl<T> Mutex<T> {
    /// An open lock around `value`.
    pub const fn new(value: T) -> Self {
        Self(sync::Mutex::new(value))
    }

    /// Waits until no other thread has the lock, and takes it.
    #[inline]
    #[cfg(not(test))]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        unpoisoned(self.0.lock())
    }

    /// The same, as a point at which another thread may go on.
    #[cfg(test)]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        let guard = match schedule::is_on() {
            true => schedule::until(|| tried(self.0.try_lock())),
            false => unpoisoned(self.0.lock()),
        };
        MutexGuard { lock: self, guard }
    }

    /// Takes the lock if no other thread has it.
    #[inline]
    #[cfg(not(test))]
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        tried(self.0.try_lock())
    }

    /// The same; see [`Mutex::lock`].
    #[cfg(test)]
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        tried(self.0.try_lock()).map(|guard| MutexGuard { lock: self, guard })
    }
}

impl<T> RwLock<T> {
    /// An open lock around `value`.
    pub const fn new(value: T) -> Self {
        Self(sync::RwLock::new(value))
    }

    /// Waits until nobody writes, and takes the lock for reading.
    #[inline]
    pub fn read(&self) -> RwLockReadGuard<'_, T> {
        #[cfg(test)]
        if schedule::is_on() {
            return schedule::until(|| self.try_read());
        }
        unpoisoned(self.0.read())
    }

    /// Waits until nobody reads or writes, and takes the lock for writing.
    #[inline]
    pub fn write(&self) -> RwLockWriteGuard<'_, T> {
        #[cfg(test)]
        if schedule::is_on() {
            return schedule::until(|| self.try_write());
        }
        unpoisoned(self.0.write())
    }

    /// Takes the lock for reading if nobody writes or waits to write.
    #[inline]
    pub fn try_read(&self) -> Option<RwLockReadGuard<'_, T>> {
        tried(self.0.try_read())
    }

    /// Takes the lock for writing if nobody has it.
    #[inline]
    pub fn try_write(&self) -> Option<RwLockWriteGuard<'_, T>> {
        tried(self.0.try_write())
    }
}

impl Condvar {
    /// Nobody waits yet.
    pub const fn new() -> Self {
        Self(sync::Condvar::new())
    }

    /// Gives the lock back until somebody notifies; may also return without.
    #[cfg(not(test))]
    pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        unpoisoned(self.0.wait(guard))
    }

    /// The same; among threads that take turns it returns when the others have gone on.
    #[cfg(test)]
    pub fn wait<'a, T>(&self, MutexGuard { lock, guard }: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        if !schedule::is_on() {
            return MutexGuard { lock, guard: unpoisoned(self.0.wait(guard)) };
        }
        drop(guard);
        schedule::pause(true);
        lock.lock()
    }

    /// As [`Condvar::wait`], for at most `timeout`.
    #[cfg(test)]
    pub fn wait_for<'a, T>(
        &self,
        MutexGuard { lock, guard }: MutexGuard<'a, T>,
        timeout: Duration,
    ) -> MutexGuard<'a, T> {
        if schedule::is_on() {
            return self.wait(MutexGuard { lock, guard });
        }
        MutexGuard { lock, guard: unpoisoned(self.0.wait_timeout(guard, timeout)).0 }
    }

    /// As [`Condvar::wait`], for at most `timeout`.
    #[cfg(not(test))]
    pub fn wait_for<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        timeout: Duration,
    ) -> MutexGuard<'a, T> {
        unpoisoned(self.0.wait_timeout(guard, timeout)).0
    }

    /// Wakes one that waits.
    pub fn notify_one(&self) {
        self.0.notify_one();
    }

    /// Wakes all that wait.
    pub fn notify_all(&self) {
        self.0.notify_all();
    }
}

/// What the standard library's guard is, with the way back to its lock that waiting for a change needs.
#[cfg(test)]
pub struct MutexGuard<'a, T> {
    lock: &'a Mutex<T>,
    guard: sync::MutexGuard<'a, T>,
}

#[cfg(test)]
impl<T> std::ops::Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.guard
    }
}

#[cfg(test)]
impl<T> std::ops::DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}

fn unpoisoned<T>(result: LockResult<T>) -> T {
    result.unwrap_or_else(PoisonError::into_inner)
}

fn tried<T>(result: TryLockResult<T>) -> Option<T> {
    match result {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}
