//! Events: closures that the store calls, and queues that a program asks.

use super::time::{expiry, milliseconds};
use crate::error::ErrorKind;
use crate::store::{self, EventKind, OwnedEvent, Subscriber, Tier, fork_epoch};
use std::borrow::Cow;
use std::fmt;
use std::mem::forget;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// A set of kinds of events: one, an array of them, or all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventKinds(u32);

impl EventKinds {
    /// All kinds, those of later versions included.
    pub const ALL: Self = Self(EventKind::ALL);

    pub(super) fn mask(self) -> u32 {
        self.0
    }
}

impl From<EventKind> for EventKinds {
    fn from(kind: EventKind) -> Self {
        Self(kind.bit())
    }
}

impl<const N: usize> From<[EventKind; N]> for EventKinds {
    fn from(kinds: [EventKind; N]) -> Self {
        kinds.into_iter().collect()
    }
}

impl FromIterator<EventKind> for EventKinds {
    fn from_iter<I: IntoIterator<Item = EventKind>>(kinds: I) -> Self {
        Self(kinds.into_iter().fold(0, |mask, kind| mask | kind.bit()))
    }
}

/// Something that happened in a store.
///
/// A closure gets an event that borrows; [`Event::into_owned`] of a clone keeps it.
#[derive(Clone, Debug)]
pub struct Event<'a> {
    kind: EventKind,
    tier: Option<Tier>,
    error: Option<ErrorKind>,
    key: Cow<'a, [u8]>,
    value: Option<Cow<'a, [u8]>>,
    version: u64,
    expires_at: u64,
    message: Option<Cow<'a, str>>,
}

impl Event<'_> {
    /// What happened.
    pub fn kind(&self) -> EventKind {
        self.kind
    }

    /// The tier in which it happened, if it was in one.
    pub fn tier(&self) -> Option<Tier> {
        self.tier
    }

    /// The kind of failure, for [`EventKind::Error`].
    pub fn error(&self) -> Option<ErrorKind> {
        self.error
    }

    /// The key; empty if the event is not about one.
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// The value, if it was at hand.
    pub fn value(&self) -> Option<&[u8]> {
        self.value.as_deref()
    }

    /// The version of the value; `None` if the event is not about one.
    pub fn version(&self) -> Option<u64> {
        Some(self.version).filter(|version| *version != 0)
    }

    /// When the entry expires, by the store's clock; `None` for never.
    pub fn expires_at(&self) -> Option<SystemTime> {
        expiry(self.expires_at)
    }

    /// What failed, or what was compacted, in words.
    pub fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }

    /// The same event with bytes of its own.
    pub fn into_owned(self) -> Event<'static> {
        Event {
            kind: self.kind,
            tier: self.tier,
            error: self.error,
            key: Cow::Owned(self.key.into_owned()),
            value: self.value.map(|value| Cow::Owned(value.into_owned())),
            version: self.version,
            expires_at: self.expires_at,
            message: self.message.map(|message| Cow::Owned(message.into_owned())),
        }
    }
}

impl<'a> From<&store::Event<'a>> for Event<'a> {
    fn from(event: &store::Event<'a>) -> Self {
        Self {
            kind: event.kind,
            tier: event.tier,
            error: event.status,
            key: Cow::Borrowed(event.key),
            value: event.value.map(Cow::Borrowed),
            version: event.version,
            expires_at: event.expires_at,
            message: event.message.map(Cow::Borrowed),
        }
    }
}

impl From<OwnedEvent> for Event<'static> {
    fn from(event: OwnedEvent) -> Self {
        Self {
            kind: event.kind,
            tier: event.tier,
            error: event.status,
            key: Cow::Owned(event.key),
            value: event.value.map(Cow::Owned),
            version: event.version,
            expires_at: event.expires_at,
            message: event.message.map(Cow::Owned),
        }
    }
}

/// The number of a subscription, unique in the process: see
/// [`Store::subscribe`](crate::Store::subscribe).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SubscriptionId(pub(super) u64);

/// A closure as the store calls it.
pub struct Listener<F>(pub F);

impl<F: Fn(&Event<'_>) + Send + Sync> Subscriber for Listener<F> {
    fn event(&self, event: &store::Event<'_>) {
        let event = Event::from(event);
        // The store goes on where the closure does not: it is not the cause. The payload is not
        // dropped, because its drop may panic as well.
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| (self.0)(&event))) {
            forget(payload);
        }
    }
}

/// A bounded queue of events, for a thread that asks for them.
///
/// A store that meets a full queue drops the event and counts it; it never waits for the reader. A
/// queue does not borrow its store: what waits in it can be taken after the store was closed.
/// Dropping the queue ends its subscription. All methods may be called from any thread at any time.
///
/// ```
/// use hotcold::{EventKind, Options, Store};
/// use std::time::Duration;
///
/// # fn main() -> hotcold::Result<()> {
/// let store = Store::in_memory(&Options::new())?;
/// let queue = store.event_queue([EventKind::ItemStored, EventKind::ItemDeleted], 1000)?;
/// store.store("k", "v")?;
/// store.delete("k")?;
/// store.close()?;
///
/// let event = queue.next(Duration::from_secs(1)).expect("it was stored");
/// assert_eq!((event.kind(), event.key()), (EventKind::ItemStored, &b"k"[..]));
/// let event = queue.next(Duration::from_secs(1)).expect("it was deleted");
/// assert_eq!(event.kind(), EventKind::ItemDeleted);
/// assert!(queue.next(Duration::from_secs(1)).is_none());
/// assert_eq!(queue.dropped(), 0);
/// # Ok(())
/// # }
/// ```
pub struct EventQueue {
    queue: Arc<store::EventQueue>,
    epoch: u64,
}

impl EventQueue {
    pub(super) fn new(queue: Arc<store::EventQueue>) -> Self {
        Self { queue, epoch: fork_epoch() }
    }

    /// Takes the oldest event, or waits for one up to `timeout`, in whole milliseconds.
    ///
    /// `None` if no event came in time. `None` at once if nothing waits and none can come any more,
    /// because the store was closed or this process is a forked child.
    pub fn next(&self, timeout: Duration) -> Option<Event<'static>> {
        // In a forked child another thread's lock on the queue would never be given back.
        let event = self.is_own().then(|| self.queue.next(milliseconds(timeout)));
        event.flatten().map(Event::from)
    }

    /// How many events found the queue full.
    pub fn dropped(&self) -> u64 {
        self.queue.dropped()
    }

    fn is_own(&self) -> bool {
        self.epoch == fork_epoch()
    }
}

impl Drop for EventQueue {
    fn drop(&mut self) {
        if self.is_own() {
            self.queue.close();
        }
    }
}

impl fmt::Debug for EventQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventQueue").field("dropped", &self.dropped()).finish_non_exhaustive()
    }
}
