//! The system's clocks, and for tests one that is moved by hand.
//!
//! # Invariants
//! 1. `SystemClock::wall` never returns less than it has returned, or less than its floor.

#![expect(unsafe_code, reason = "clock_gettime has no start that callers would have to keep")]

use crate::time::{Clock, Instant, Timestamp};
use std::sync::atomic::{AtomicU64, Ordering};

const NS_PER_MS: u64 = 1_000_000;

/// The real clocks. One instance for each open store, because each has its own floor.
pub struct SystemClock {
    /// The latest wall time handed out, in milliseconds since the epoch.
    floor: AtomicU64,
}

impl SystemClock {
    /// A clock whose wall time starts no earlier than `floor`: the newest time in a store's files.
    pub fn with_floor(floor: Timestamp) -> Self {
        Self { floor: AtomicU64::new(floor.0) }
    }

    /// Lets wall time go on from `floor` at the least. From any thread.
    pub fn raise_floor(&self, floor: Timestamp) {
        self.floor.fetch_max(floor.0, Ordering::Relaxed);
    }
}

impl Clock for SystemClock {
    fn wall(&self) -> Timestamp {
        let now = nanoseconds(libc::CLOCK_REALTIME) / NS_PER_MS;
        // Reads first, so that the threads share the line but for one write a millisecond.
        let floor = self.floor.load(Ordering::Relaxed);
        if now <= floor {
            return Timestamp(floor);
        }
        Timestamp(self.floor.fetch_max(now, Ordering::Relaxed).max(now))
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

/// The clock's time; 0 before its start, which a wall clock set before 1970 gives.
fn nanoseconds(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is ours to write. The call fails for unknown clocks only.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(u64::try_from(time.tv_nsec).unwrap_or(0))
}

/// A clock that stands still until a test moves it.
#[cfg(test)]
pub struct ManualClock {
    wall: AtomicU64,
    monotonic: AtomicU64,
}

#[cfg(test)]
impl ManualClock {
    /// A clock at `wall`; its monotonic time starts at 0.
    pub fn new(wall: Timestamp) -> Self {
        Self { wall: AtomicU64::new(wall.0), monotonic: AtomicU64::new(0) }
    }

    /// Sets the wall time, also back; the monotonic time stays.
    pub fn set(&self, wall: Timestamp) {
        self.wall.store(wall.0, Ordering::SeqCst);
    }

    /// Moves both clocks on.
    pub fn advance(&self, ms: u64) {
        self.wall.fetch_add(ms, Ordering::SeqCst);
        self.monotonic.fetch_add(ms, Ordering::SeqCst);
    }
}

#[cfg(test)]
impl Clock for ManualClock {
    fn wall(&self) -> Timestamp {
        Timestamp(self.wall.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Instant {
        Instant(self.monotonic.load(Ordering::SeqCst))
    }

    fn coarse(&self) -> Instant {
        self.monotonic()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wall_time_is_the_systems_and_does_not_fall_below_its_floor() {
        let clock = SystemClock::with_floor(Timestamp(0));
        let system = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis();
        assert!(u128::from(clock.wall().0).abs_diff(system) < 10_000);

        let later = Timestamp(clock.wall().0 + 3_600_000);
        clock.raise_floor(later);
        assert_eq!(clock.wall(), later);
        clock.raise_floor(Timestamp(1));
        assert_eq!(clock.wall(), later);
        assert_eq!(SystemClock::with_floor(later).wall(), later);
    }

    #[test]
    fn wall_time_keeps_what_it_has_handed_out() {
        let clock = SystemClock::with_floor(Timestamp(0));
        let seen = clock.wall();
        assert_eq!(clock.floor.load(Ordering::Relaxed), seen.0);
    }

    #[test]
    fn monotonic_time_goes_on_in_milliseconds() {
        let clock = SystemClock::with_floor(Timestamp(0));
        let (before, before_ns) = (clock.monotonic(), ticks());
        std::thread::sleep(std::time::Duration::from_millis(20));
        let (passed, passed_ns) = (clock.monotonic().0 - before.0, ticks() - before_ns);
        assert!((19..2_000).contains(&passed), "{passed} ms");
        assert!((20_000_000..2_000_000_000).contains(&passed_ns), "{passed_ns} ns");
    }

    #[test]
    fn a_manual_clock_moves_when_told() {
        let clock = ManualClock::new(Timestamp(1_000));
        clock.advance(5);
        assert_eq!((clock.wall(), clock.monotonic()), (Timestamp(1_005), Instant(5)));
        clock.set(Timestamp(10));
        assert_eq!((clock.wall(), clock.monotonic()), (Timestamp(10), Instant(5)));
    }
}
