//! Versions, taken from ranges that the engine gives and nobody gets again.
//!
//! A range is asked for with no lock held. Whoever takes one of the last versions of a range asks for
//! the next range, so that the others find some meanwhile and seldom wait.

use crate::error::{Error, ErrorKind, Result};
use crate::sync::{Condvar, Mutex};
use std::time::Duration;

/// Versions in the first range.
const COUNT_MIN: u64 = 64;

/// Versions in a range, once many are taken: each range is twice the one before.
const COUNT_MAX: u64 = 1 << 16;

/// The ranges that this open has got.
pub struct Versions {
    state: Mutex<Ranges>,
    has_come: Condvar,
}

#[derive(Default)]
struct Ranges {
    next: u64,
    end: u64,
    /// The range that came last.
    last: (u64, u64),
    /// The range behind it; empty if it has not come.
    spare: (u64, u64),
    /// How many to ask for.
    count: u64,
    is_asked: bool,
}

impl Ranges {
    fn take(&mut self) -> Option<u64> {
        if self.next == self.end {
            (self.next, self.end) = std::mem::take(&mut self.spare);
        }
        let version = (self.next < self.end).then_some(self.next)?;
        self.next += 1;
        Some(version)
    }

    fn is_low(&self) -> bool {
        self.spare.0 == self.spare.1 && self.end - self.next < self.count / 4
    }
}

impl Versions {
    /// No range yet.
    pub fn new() -> Self {
        let state = Ranges { count: COUNT_MIN, ..Ranges::default() };
        Self { state: Mutex::new(state), has_come: Condvar::new() }
    }

    /// A version that nobody else gets. `ask` asks the engine for the first of so many.
    ///
    /// # Errors
    /// Those of `ask`, if there is no version left; `Unavailable` after `wait`.
    #[cold]
    pub fn take(&self, wait: Duration, ask: &dyn Fn(u64) -> Result<u64>) -> Result<u64> {
        let mut state = self.state.lock();
        let mut has_waited = false;
        loop {
            let taken = state.take();
            if !state.is_asked && (taken.is_none() || state.is_low()) {
                state.is_asked = true;
                let count = state.count;
                drop(state);
                let came = self.came(count, ask(count));
                match taken {
                    Some(version) => return Ok(version),
                    None => came?,
                }
                state = self.state.lock();
                continue;
            }
            if let Some(version) = taken {
                return Ok(version);
            }
            if has_waited {
                let sentence = "the engine gave no new versions in time; nothing was done";
                return Err(Error::new(ErrorKind::Unavailable, sentence));
            }
            state = self.has_come.wait_for(state, wait);
            has_waited = state.next == state.end && state.spare.0 == state.spare.1;
        }
    }

    #[cold]
    fn came(&self, count: u64, first: Result<u64>) -> Result<()> {
        let mut state = self.state.lock();
        state.is_asked = false;
        self.has_come.notify_all();
        // What is unknown here is only whether a range was lost.
        let first = first.map_err(|error| match error.kind() {
            ErrorKind::Timeout => Error::new(ErrorKind::Unavailable, error.message()),
            _ => error,
        })?;
        // An engine may have several counters, so that a range may lie below an earlier one.
        let is_new = |end: u64| first > 0 && (first >= state.last.1 || end <= state.last.0);
        let end = first.checked_add(count).filter(|end| is_new(*end));
        let Some(end) = end else {
            let sentence = "the engine gave versions that it had given before";
            return Err(Error::new(ErrorKind::CallbackFailed, sentence));
        };
        (state.spare, state.last) = ((first, end), (first, end));
        state.count = (count * 2).min(COUNT_MAX);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::sync::atomic::{AtomicU64, Ordering};

    const WAIT: Duration = Duration::from_millis(50);

    #[test]
    fn threads_get_versions_once_and_few_requests_are_made() {
        let (versions, next, asked) = (Versions::new(), AtomicU64::new(1_000), AtomicU64::new(0));
        let ask = |count| {
            asked.fetch_add(1, Ordering::Relaxed);
            Ok(next.fetch_add(count, Ordering::Relaxed))
        };
        let take = || (0..5_000).map(|_| versions.take(WAIT, &ask).unwrap()).collect::<Vec<_>>();
        let all: Vec<u64> = std::thread::scope(|scope| {
            let threads = [0; 4].map(|_| scope.spawn(take));
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 20_000);
        assert!(asked.into_inner() < 20);
    }

    #[test]
    fn what_is_left_is_given_while_the_engine_is_away() {
        let versions = Versions::new();
        assert_eq!(versions.take(WAIT, &|_| Ok(7)).unwrap(), 7);
        let away = |_| Err(Error::new(ErrorKind::Timeout, "no answer"));
        for left in 8..7 + COUNT_MIN {
            assert_eq!(versions.take(WAIT, &away).unwrap(), left);
        }
        assert_eq!(versions.take(WAIT, &away).unwrap_err().kind(), ErrorKind::Unavailable);
        assert_eq!(versions.take(WAIT, &|_| Ok(500)).unwrap(), 500);
    }

    #[test]
    fn a_range_of_another_counter_may_lie_below() {
        let (versions, next) = (Versions::new(), AtomicU64::new(1 << 40));
        // The node of one counter is gone, and another one counts on.
        let ask = |_| Ok(next.swap(500, Ordering::Relaxed));
        let first = versions.take(WAIT, &ask).unwrap();
        let used: Vec<u64> = (0..COUNT_MIN).map(|_| versions.take(WAIT, &ask).unwrap()).collect();
        assert_eq!((first, used.last().copied()), (1 << 40, Some(500)));
    }

    #[test]
    fn a_range_that_was_given_before_is_refused() {
        let versions = Versions::new();
        for first in [0, u64::MAX - 3] {
            assert_eq!(
                versions.take(WAIT, &|_| Ok(first)).unwrap_err().kind(),
                ErrorKind::CallbackFailed
            );
        }
        versions.take(WAIT, &|_| Ok(100)).unwrap();
        let used = (0..COUNT_MIN + 1).map(|_| versions.take(WAIT, &|_| Ok(100)));
        assert_eq!(used.last().unwrap().unwrap_err().kind(), ErrorKind::CallbackFailed);
    }
}
