//! Requests to the engine: how many may be under way, how long they may take, and their counts.
//!
//! # Invariants
//! 1. At most `limit` requests are under way, and as long as keys hang on several links at most three
//!    quarters of them on one: a slow node does not take all.
//! 2. A call has one deadline, whatever it takes: waiting for its turn, and requests one after the
//!    other.

use crate::cold::tier::RemoteStats;
use crate::error::{Error, ErrorKind, Result};
use crate::sync::{Condvar, Mutex};
use crate::time::Clock;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The requests of one tier.
pub struct Requests {
    clock: Arc<dyn Clock>,
    timeout_ms: u64,
    limit: u64,
    under_way: Mutex<UnderWay>,
    has_ended: Condvar,
    requests: AtomicU64,
    errors: AtomicU64,
    timeouts: AtomicU64,
    /// Requests that the tier has sent again.
    pub retries: AtomicU64,
    /// Bytes of records that came.
    pub bytes_in: AtomicU64,
    /// Bytes of records that were sent.
    pub bytes_out: AtomicU64,
    /// Times that hot had to ask.
    pub revalidations: AtomicU64,
    unavailable_ms: AtomicU64,
    /// When the engine first failed after it had last worked, plus 1; 0 while it works.
    failed_at: AtomicU64,
}

/// Requests that are under way, by link, and how many threads wait for one to end.
#[derive(Default)]
struct UnderWay {
    links: Vec<(u32, u64)>,
    waiting: usize,
}

/// Until when a call may take.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(u64);

/// A request that is under way; dropped it has ended.
pub struct Permit<'r> {
    requests: &'r Requests,
    link: u32,
}

impl Requests {
    /// None is under way.
    #[cold]
    pub fn new(clock: Arc<dyn Clock>, timeout_ms: u64, limit: u64) -> Self {
        Self {
            clock,
            timeout_ms,
            limit: limit.max(1),
            under_way: Mutex::default(),
            has_ended: Condvar::new(),
            requests: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            timeouts: AtomicU64::new(0),
            retries: AtomicU64::new(0),
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
            revalidations: AtomicU64::new(0),
            unavailable_ms: AtomicU64::new(0),
            failed_at: AtomicU64::new(0),
        }
    }

    /// The deadline of a call that begins now.
    pub fn deadline(&self) -> Deadline {
        Deadline(self.clock.monotonic().0.saturating_add(self.timeout_ms))
    }

    /// What is left until a deadline.
    pub fn left(&self, deadline: Deadline) -> Duration {
        Duration::from_millis(deadline.0.saturating_sub(self.clock.monotonic().0))
    }

    /// How long a call may take.
    pub fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }

    /// Waits until a request may begin, on a link if there are several.
    ///
    /// # Errors
    /// `Unavailable` at the deadline, `OutOfMemory`.
    #[cold]
    pub fn begin(&self, link: Option<u32>, deadline: Deadline) -> Result<Permit<'_>> {
        let (name, most) = match link {
            Some(link) => (link, (self.limit * 3 / 4).max(1)),
            None => (0, self.limit),
        };
        let mut under_way = self.under_way.lock();
        loop {
            let links = &mut under_way.links;
            let all: u64 = links.iter().map(|(_, count)| count).sum();
            let own = links.iter_mut().find(|(other, _)| *other == name);
            if all < self.limit && own.as_ref().is_none_or(|(_, count)| *count < most) {
                match own {
                    Some((_, count)) => *count += 1,
                    None => crate::memory::push(links, (name, 1), "requests")?,
                }
                self.requests.fetch_add(1, Ordering::Relaxed);
                return Ok(Permit { requests: self, link: name });
            }
            let left = self.left(deadline);
            if left.is_zero() {
                let sentence = format!(
                    "{all} requests were under way until remote_timeout; nothing was sent: raise \
                     remote_concurrency, or ask less at a time"
                );
                return Err(Error::new(ErrorKind::Unavailable, sentence));
            }
            under_way.waiting += 1;
            under_way = self.has_ended.wait_for(under_way, left);
            under_way.waiting -= 1;
        }
    }

    /// Counts how a request has ended: how it failed, if it did.
    #[inline(never)]
    pub fn ended(&self, kind: Option<ErrorKind>) {
        let is_down = matches!(kind, Some(ErrorKind::Timeout | ErrorKind::Unavailable));
        if kind.is_some() {
            self.errors.fetch_add(1, Ordering::Relaxed);
        }
        if kind == Some(ErrorKind::Timeout) {
            self.timeouts.fetch_add(1, Ordering::Relaxed);
        }
        if is_down {
            let now = self.clock.monotonic().0.saturating_add(1);
            let _ = self.failed_at.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed);
        } else if self.failed_at.load(Ordering::Relaxed) != 0 {
            let since = self.failed_at.swap(0, Ordering::Relaxed);
            self.unavailable_ms.fetch_add(self.down_ms(since), Ordering::Relaxed);
        }
    }

    fn down_ms(&self, since: u64) -> u64 {
        if since == 0 { 0 } else { self.clock.monotonic().0.saturating_sub(since - 1) }
    }

    /// The counts at this moment.
    pub fn counts(&self) -> RemoteStats {
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        RemoteStats {
            requests: get(&self.requests),
            errors: get(&self.errors),
            timeouts: get(&self.timeouts),
            retries: get(&self.retries),
            bytes_in: get(&self.bytes_in),
            bytes_out: get(&self.bytes_out),
            invalidations: 0,
            revalidations: get(&self.revalidations),
            unavailable_ms: get(&self.unavailable_ms) + self.down_ms(get(&self.failed_at)),
        }
    }
}

impl Drop for Permit<'_> {
    #[inline(never)]
    fn drop(&mut self) {
        let mut under_way = self.requests.under_way.lock();
        let links = &mut under_way.links;
        if let Some(at) = links.iter().position(|(link, _)| *link == self.link) {
            links[at].1 -= 1;
            if links[at].1 == 0 {
                links.swap_remove(at);
            }
        }
        // A call to the kernel, beside the two of the request itself: only if somebody waits.
        let is_awaited = under_way.waiting > 0;
        drop(under_way);
        if is_awaited {
            self.requests.has_ended.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::clock::{ManualClock, SystemClock};
    use crate::time::Timestamp;

    #[test]
    fn no_more_requests_are_under_way_than_may_be_and_one_link_gets_three_quarters() {
        let requests = Requests::new(Arc::new(SystemClock::default()), 20, 4);
        let begin = |link| requests.begin(link, requests.deadline());
        let mut turns: Vec<_> = (0..3).map(|_| begin(Some(1)).unwrap()).collect();
        assert_eq!(begin(Some(1)).err().unwrap().kind(), ErrorKind::Unavailable);
        turns.push(begin(Some(2)).unwrap());
        assert_eq!(begin(Some(3)).err().unwrap().kind(), ErrorKind::Unavailable);
        turns.pop();
        turns.push(begin(Some(3)).unwrap());
        turns.clear();
        turns.extend((0..4).map(|_| begin(None).unwrap()));
        let waited = std::thread::scope(|scope| {
            let waiting = scope.spawn(|| begin(None).is_ok());
            std::thread::sleep(Duration::from_millis(5));
            turns.pop();
            waiting.join().unwrap()
        });
        assert!(waited);
        assert_eq!(requests.counts().requests, 10);
    }

    #[test]
    fn what_fails_is_counted_and_how_long_the_engine_was_away() {
        let clock = Arc::new(ManualClock::at(Timestamp(0)));
        let requests = Requests::new(clock.clone(), 1_000, 4);
        let fails = |kind| requests.ended(Some(kind));
        fails(ErrorKind::Corrupt);
        fails(ErrorKind::Timeout);
        clock.elapse(300);
        fails(ErrorKind::Unavailable);
        assert_eq!(requests.counts().unavailable_ms, 300);
        clock.elapse(100);
        requests.ended(None);
        clock.elapse(100);
        let counts = requests.counts();
        assert_eq!((counts.errors, counts.timeouts, counts.unavailable_ms), (3, 1, 400));
    }
}
