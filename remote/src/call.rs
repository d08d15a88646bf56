//! One call of the core: its deadline, and how often it tried again.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// No call takes longer than this, whatever it was given: a day.
const LONGEST: Duration = Duration::from_secs(86_400);

/// The shortest wait before the second try.
const FIRST_WAIT: Duration = Duration::from_millis(20);

/// No wait between two tries is longer.
const LONGEST_WAIT: Duration = Duration::from_millis(500);

/// What one call may still use.
#[derive(Debug)]
pub struct Call {
    deadline: Instant,
    retries_max: u32,
    retries: AtomicU32,
}

impl Call {
    /// A call that has `timeout` from now on, and may try again `retries_max` times.
    pub fn new(timeout: Duration, retries_max: u32) -> Self {
        let deadline = Instant::now() + timeout.min(LONGEST);
        Self { deadline, retries_max, retries: AtomicU32::new(0) }
    }

    /// A call that ends when this one does, but after `most` at the latest.
    pub fn part(&self, most: Duration) -> Self {
        Self::new(self.left().min(most), self.retries_max)
    }

    /// When it must be over.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// The time that is left.
    pub fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// True when no time is left.
    pub fn is_over(&self) -> bool {
        self.left().is_zero()
    }

    /// Waits before another try, longer each time and never as long as others do; false if there
    /// is none: no time or no try is left.
    pub fn again(&self) -> bool {
        let done = self.retries.load(Ordering::Relaxed);
        if done >= self.retries_max {
            return false;
        }
        let most = FIRST_WAIT.saturating_mul(1 << done.min(10)).min(LONGEST_WAIT);
        let wait = most.mul_f64(0.5 + random() / 2.0);
        if self.left() <= wait {
            return false;
        }
        self.retries.store(done + 1, Ordering::Relaxed);
        std::thread::sleep(wait);
        true
    }

    /// How often it was tried again.
    pub fn retries(&self) -> u32 {
        self.retries.load(Ordering::Relaxed)
    }
}

/// A number from 0 to below 1 that differs between calls, threads and machines.
pub fn random() -> f64 {
    // RandomState is seeded by the system and counts up with each one made.
    let bits = u32::try_from(RandomState::new().hash_one(0_u8) >> 32).unwrap_or_default();
    f64::from(bits) / 4_294_967_296.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_end_with_their_number_or_with_the_time() {
        let call = Call::new(Duration::from_secs(60), 2);
        assert!(call.again() && call.again() && !call.again());
        assert_eq!(call.retries(), 2);
        let started = Instant::now();
        let short = Call::new(Duration::from_millis(50), 100);
        while short.again() {}
        assert!(short.retries() >= 1);
        assert!(started.elapsed() < Duration::from_millis(200));
    }

    #[test]
    fn a_part_ends_no_later_than_the_whole() {
        let call = Call::new(Duration::from_millis(50), 0);
        assert!(
            call.part(Duration::from_secs(5)).deadline()
                <= call.deadline() + Duration::from_millis(5)
        );
    }
}
