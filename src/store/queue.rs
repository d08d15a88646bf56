//! Events to be pulled, for callers that must not be called from other threads.
//!
//! A queue subscribes like any other subscriber and copies what it is told into a list that is
//! bounded by count and by bytes. What does not fit is dropped and counted: a reader that is slow
//! or gone never blocks the store.
//!
//! # Invariants
//! 1. At most `capacity` events and [`BYTES_MAX`] bytes wait, and `bytes` is the sum of theirs.
//! 2. After the subscription has ended nothing is added; what waits can still be taken.

use super::events::{Event, EventKind, Events, Subscriber};
use super::stats::Tier;
use crate::error::{Error, ErrorKind, Result};
use crate::io::stopwatch::Deadline;
use crate::sync::{Condvar, Mutex};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

/// Bytes of all events that wait in one queue, whatever its capacity.
const BYTES_MAX: usize = 16 << 20;

/// An event that has been copied; its fields are those of [`Event`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedEvent {
    /// What happened.
    pub kind: EventKind,
    /// Where, if in one tier.
    pub tier: Option<Tier>,
    /// The failure, if it is one.
    pub status: Option<ErrorKind>,
    /// The key; empty if the event is not about one.
    pub key: Vec<u8>,
    /// The value, if it was at hand.
    pub value: Option<Vec<u8>>,
    /// The value's version; 0 if the event is not about one.
    pub version: u64,
    /// When it expires, in milliseconds since the epoch; 0: never.
    pub expires_at: u64,
    /// What failed, or what was compacted, in words.
    pub message: Option<String>,
}

/// A bounded queue of events. Any thread may use it at any time.
pub struct EventQueue {
    capacity: usize,
    waiting: Mutex<Waiting>,
    /// Signalled when an event was added, and when no more will be.
    changed: Condvar,
    dropped: AtomicU64,
    events: Weak<Events>,
    subscription: OnceLock<u64>,
}

#[derive(Default)]
struct Waiting {
    events: VecDeque<OwnedEvent>,
    bytes: usize,
    is_over: bool,
}

impl EventQueue {
    /// Subscribes a new queue of at most `capacity` events to the kinds in `mask`.
    ///
    /// # Errors
    /// `InvalidArgument` if `capacity` is 0.
    pub fn open(events: &Arc<Events>, mask: u32, capacity: usize) -> Result<Arc<Self>> {
        if capacity == 0 {
            let message = "an event queue needs a capacity of at least 1";
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        let queue = Arc::new(Self {
            capacity,
            waiting: Mutex::default(),
            changed: Condvar::new(),
            dropped: AtomicU64::new(0),
            events: Arc::downgrade(events),
            subscription: OnceLock::new(),
        });
        let id = events.subscribe(mask, Box::new(Feed(Arc::clone(&queue))));
        queue.subscription.get_or_init(|| id);
        Ok(queue)
    }

    /// Takes the oldest event, or waits for one up to `timeout_ms` milliseconds.
    ///
    /// `None` if none came in time, or at once if the queue or the store is closed and nothing is
    /// left.
    pub fn next(&self, timeout_ms: u64) -> Option<OwnedEvent> {
        let deadline = Deadline::after(Duration::from_millis(timeout_ms));
        let mut waiting = self.waiting.lock();
        loop {
            if let Some(event) = waiting.events.pop_front() {
                waiting.bytes -=
                    charge(event.key.len(), event.value.as_deref(), event.message.as_deref());
                return Some(event);
            }
            if waiting.is_over {
                return None;
            }
            waiting = match deadline.left() {
                None => self.changed.wait(waiting),
                Some(Duration::ZERO) => return None,
                Some(left) => self.changed.wait_for(waiting, left),
            };
        }
    }

    /// Events that found the queue full.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Ends the subscription. What is queued can still be taken.
    pub fn close(&self) {
        if let (Some(events), Some(id)) = (self.events.upgrade(), self.subscription.get()) {
            events.unsubscribe(*id);
        }
        self.end();
    }

    /// Adds a copy of `event`; `None` if there is no room for it, in the queue or in memory.
    fn add(&self, event: &Event<'_>) -> Option<()> {
        let charge = charge(event.key.len(), event.value, event.message);
        // Asked before the copy, which is made without the lock, and again after it.
        if !self.has_room(&self.waiting.lock(), charge) {
            return None;
        }
        let copy = copy(event)?;
        let mut waiting = self.waiting.lock();
        if waiting.is_over {
            return Some(());
        }
        if !self.has_room(&waiting, charge) || waiting.events.try_reserve(1).is_err() {
            return None;
        }
        waiting.events.push_back(copy);
        waiting.bytes += charge;
        drop(waiting);
        self.changed.notify_one();
        Some(())
    }

    fn has_room(&self, waiting: &Waiting, charge: usize) -> bool {
        waiting.events.len() < self.capacity && charge <= BYTES_MAX - waiting.bytes
    }

    fn end(&self) {
        self.waiting.lock().is_over = true;
        self.changed.notify_all();
    }
}

/// The queue as the list of subscriptions has it: dropped when the subscription ends.
struct Feed(Arc<EventQueue>);

impl Subscriber for Feed {
    fn event(&self, event: &Event<'_>) {
        if self.0.add(event).is_none() {
            self.0.dropped.fetch_add(1, Ordering::Relaxed);
            if let Some(events) = self.0.events.upgrade() {
                events.count_dropped();
            }
        }
    }

    fn memory_bytes(&self) -> usize {
        let waiting = self.0.waiting.lock();
        let places_free = waiting.events.capacity() - waiting.events.len();
        waiting.bytes + places_free * size_of::<OwnedEvent>()
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Bytes that a queued event takes.
fn charge(key_bytes: usize, value: Option<&[u8]>, message: Option<&str>) -> usize {
    size_of::<OwnedEvent>() + key_bytes + value.map_or(0, <[u8]>::len) + message.map_or(0, str::len)
}

fn copy(event: &Event<'_>) -> Option<OwnedEvent> {
    let value = match event.value {
        Some(value) => Some(copy_bytes(value)?),
        None => None,
    };
    Some(OwnedEvent {
        kind: event.kind,
        tier: event.tier,
        status: event.status,
        key: copy_bytes(event.key)?,
        value,
        version: event.version,
        expires_at: event.expires_at,
        message: event.message.map(str::to_owned),
    })
}

/// A copy, or `None` if there is no memory for it.
fn copy_bytes(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(bytes.len()).ok()?;
    copy.extend_from_slice(bytes);
    Some(copy)
}

#[cfg(test)]
mod tests;
