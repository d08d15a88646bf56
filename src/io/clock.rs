//! The clocks: a wall clock that neither runs back nor stands still, and the monotonic one. Tests
//! move theirs by hand.
//!
//! # Wall time
//! Anybody may set the system clock at any time, and it is then wrong or right; nobody can tell
//! which. Nobody can set elapsed time (`CLOCK_BOOTTIME`, which also counts a suspended machine's
//! sleep). So wall time is elapsed time plus an offset: the most that the system clock was ever
//! ahead of elapsed time. While nobody sets the clock, that is the system clock itself. A clock
//! that is set forward raises the offset. A clock that is set back leaves it, and wall time goes on
//! by elapsed time.
//!
//! The offset is one atomic number. Both clocks are read without a call to the kernel where the
//! vDSO has them (since Linux 5.3), and only for what can expire.
//!
//! # Invariants
//! 1. Of two readings one after the other, on whichever threads, the second is later by the time
//!    that has elapsed between them, at the least.
//! 2. Wall time is not behind the system clock, unless that says what no clock can say.

#![expect(unsafe_code, reason = "clock_gettime has no start that callers would have to keep")]

use crate::time::{Clock, Instant, LATEST_MS, Moment, Timestamp};
use std::sync::atomic::{AtomicI64, Ordering};

const NS_PER_MS: u64 = 1_000_000;

const US_PER_MS: i64 = 1_000;

/// The latest time that is believed, in microseconds since the epoch.
const LATEST_US: i64 = LATEST_MS.cast_signed() * US_PER_MS;

/// What is read: the system clocks, or those of a test.
pub trait Source: Send + Sync {
    /// The wall clock, in microseconds since the epoch; negative before it.
    fn wall_us(&self) -> i64;

    /// Microseconds since an arbitrary start, the sleep of the machine included.
    fn elapsed_us(&self) -> i64;

    /// Monotonic time.
    fn monotonic(&self) -> Instant;

    /// Monotonic time, up to some milliseconds late.
    fn coarse(&self) -> Instant;
}

/// The clocks of one open store, which differ in their offsets.
pub struct SystemClock<S = System> {
    source: S,
    /// Wall time less elapsed time, in microseconds. It only grows.
    offset_us: AtomicI64,
}

impl<S: Source> SystemClock<S> {
    /// The clock over `source`. It starts at the system's, or in 1970 if that is before.
    pub fn new(source: S) -> Self {
        let offset_us = AtomicI64::new(source.elapsed_us().saturating_neg());
        Self { source, offset_us }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new(System)
    }
}

impl<S: Source> Clock for SystemClock<S> {
    fn moment(&self) -> Moment {
        // In this order: a thread that is held up in between finds the clock too little ahead, and
        // the next reading puts that right. In the other order it would be too much, for good.
        let system_us = self.source.wall_us();
        let elapsed_us = self.source.elapsed_us();
        let ahead_us = system_us.saturating_sub(elapsed_us);
        // Read first, so that the threads share the line: it is written when the clock was set, and
        // a few times for the microseconds between the two readings.
        let mut offset_us = self.offset_us.load(Ordering::Relaxed);
        if ahead_us > offset_us && system_us <= LATEST_US {
            offset_us = self.offset_us.fetch_max(ahead_us, Ordering::Relaxed).max(ahead_us);
        }
        let wall_us = elapsed_us.saturating_add(offset_us);
        let lead_us = wall_us.saturating_sub(system_us);
        Moment {
            wall: Timestamp(whole_ms(wall_us)),
            lead_ms: whole_ms(lead_us),
            offset_ms: offset_us / US_PER_MS,
        }
    }

    fn raise(&self, start: Timestamp) {
        let start_us = i64::try_from(start.0).unwrap_or(i64::MAX).saturating_mul(US_PER_MS);
        let offset_us = start_us.saturating_sub(self.source.elapsed_us());
        self.offset_us.fetch_max(offset_us, Ordering::Relaxed);
    }

    fn monotonic(&self) -> Instant {
        self.source.monotonic()
    }

    fn coarse(&self) -> Instant {
        self.source.coarse()
    }
}

/// The system's clocks.
pub struct System;

impl Source for System {
    fn wall_us(&self) -> i64 {
        microseconds(libc::CLOCK_REALTIME)
    }

    fn elapsed_us(&self) -> i64 {
        microseconds(libc::CLOCK_BOOTTIME)
    }

    fn monotonic(&self) -> Instant {
        Instant(ticks() / NS_PER_MS)
    }

    fn coarse(&self) -> Instant {
        Instant(coarse_ticks() / NS_PER_MS)
    }
}

/// Monotonic time in nanoseconds since an arbitrary start, to measure how long something took.
pub fn ticks() -> u64 {
    nanoseconds(libc::CLOCK_MONOTONIC)
}

/// Monotonic time in nanoseconds that moves on by some milliseconds at a time, and is read in a
/// fifth of the time that [`ticks`] takes.
pub fn coarse_ticks() -> u64 {
    nanoseconds(libc::CLOCK_MONOTONIC_COARSE)
}

fn nanoseconds(clock: libc::clockid_t) -> u64 {
    let time = read(clock);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(u64::try_from(time.tv_nsec).unwrap_or(0))
}

fn microseconds(clock: libc::clockid_t) -> i64 {
    let time = read(clock);
    time.tv_sec.saturating_mul(1_000_000).saturating_add(time.tv_nsec / 1_000)
}

fn read(clock: libc::clockid_t) -> libc::timespec {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is ours to write. The call fails for unknown clocks only.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    time
}

/// Whole milliseconds; 0 if there are none.
fn whole_ms(us: i64) -> u64 {
    u64::try_from(us / US_PER_MS).unwrap_or(0)
}

/// Clocks that stand still until a test moves them.
#[cfg(test)]
pub struct Hand {
    wall_us: AtomicI64,
    elapsed_us: AtomicI64,
}

#[cfg(test)]
impl Source for Hand {
    fn wall_us(&self) -> i64 {
        self.wall_us.load(Ordering::SeqCst)
    }

    fn elapsed_us(&self) -> i64 {
        self.elapsed_us.load(Ordering::SeqCst)
    }

    fn monotonic(&self) -> Instant {
        Instant(whole_ms(self.elapsed_us()))
    }

    fn coarse(&self) -> Instant {
        self.monotonic()
    }
}

/// A store's clock over clocks that a test moves.
#[cfg(test)]
pub type ManualClock = SystemClock<Hand>;

#[cfg(test)]
impl ManualClock {
    /// Clocks at `wall`, with no time elapsed.
    pub fn at(wall: Timestamp) -> Self {
        let wall_us = AtomicI64::new(wall.0.cast_signed() * US_PER_MS);
        Self::new(Hand { wall_us, elapsed_us: AtomicI64::new(0) })
    }

    /// The clock of the next open, on the same system.
    pub fn next_open(&self) -> Self {
        let (wall_us, elapsed_us) = (self.source.wall_us(), self.source.elapsed_us());
        Self::new(Hand { wall_us: wall_us.into(), elapsed_us: elapsed_us.into() })
    }

    /// Sets the system clock to milliseconds since the epoch, also back.
    pub fn set(&self, wall_ms: i64) {
        self.source.wall_us.store(wall_ms.saturating_mul(US_PER_MS), Ordering::SeqCst);
    }

    /// Lets time elapse; the system clock, which is wrong or right, goes on with it.
    pub fn advance(&self, ms: u64) {
        self.source.wall_us.fetch_add(ms.cast_signed() * US_PER_MS, Ordering::SeqCst);
        self.elapse(ms);
    }

    /// Lets time elapse while the system clock stands still.
    pub fn elapse(&self, ms: u64) {
        self.source.elapsed_us.fetch_add(ms.cast_signed() * US_PER_MS, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests;
