//! Measuring how long something takes, and waiting for so long, where a store's clock is too coarse or
//! must not be asked.

use std::time::{Duration, Instant};

/// A measurement that has begun.
#[derive(Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Begins to measure.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// How long ago that was.
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// The end of a wait.
#[derive(Clone, Copy)]
pub struct Deadline(Option<Instant>);

impl Deadline {
    /// `timeout` from now; never, if that is so far away that it cannot be expressed.
    pub fn after(timeout: Duration) -> Self {
        Self(Instant::now().checked_add(timeout))
    }

    /// How long it is until then, zero once it has passed; `None` if it never comes.
    pub fn left(&self) -> Option<Duration> {
        self.0.map(|until| until.saturating_duration_since(Instant::now()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_passes_and_one_too_far_away_never_does() {
        assert_eq!(Deadline::after(Duration::ZERO).left(), Some(Duration::ZERO));
        assert!(Deadline::after(Duration::from_secs(60)).left().unwrap() > Duration::from_secs(50));
        assert_eq!(Deadline::after(Duration::MAX).left(), None);
        let watch = Stopwatch::start();
        std::thread::sleep(Duration::from_millis(2));
        assert!(watch.elapsed() >= Duration::from_millis(2));
    }
}
