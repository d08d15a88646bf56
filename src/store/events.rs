//! Subscriptions: who hears of events, and how a subscription ends.
//!
//! The list of subscriptions is an immutable, shared slice that `subscribe` and `unsubscribe`
//! replace. Whoever emits takes the slice as it is and calls the subscribers without holding any
//! lock of the store or of the list: a callback may subscribe, unsubscribe and use the store.
//!
//! Each subscription has a lock of its own around the subscriber: a call holds it shared, the end
//! takes it exclusively to drop the subscriber. Waiting for it is waiting until nobody is inside.
//! A thread that must not wait (it is inside a callback, perhaps this one) only marks the end; the
//! thread that leaves last finds the mark and drops the subscriber.
//!
//! # Invariants
//! 1. A subscriber is dropped exactly once, and not called after that.
//! 2. Once `is_over` is set no call begins; who sets it, or leaves and finds it set, tries to drop.
//!    So of the last to leave and the one who ends, at least one finds the lock free.
//! 3. A subscription is at most once on the stack of a thread.
//! 4. `mask` is the union of the masks in the list.

use super::stats::Tier;
use crate::error::ErrorKind;
use crate::sync::RwLock;
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering, fence};

/// Callbacks that can lie on the stack of one thread, each called from within the one before.
/// A chain as long has more than 16 subscriptions that store in turn; events beyond are dropped.
const NESTED_MAX: usize = 16;

/// What happened. The numbers are the bits of a mask and part of the C interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
#[non_exhaustive]
pub enum EventKind {
    /// A key was stored.
    ItemStored = 1,
    /// A retrieve found a value.
    ItemRetrieved = 2,
    /// A delete removed a key.
    ItemDeleted = 4,
    /// The store was cleared.
    StorageCleared = 8,
    /// A record of cold entered hot.
    Promoted = 16,
    /// An entry left hot for cold on demand.
    Demoted = 32,
    /// An entry was dropped from a tier to make room.
    Evicted = 64,
    /// The time of an entry had passed.
    Expired = 128,
    /// Segments were compacted.
    Compacted = 256,
    /// Something failed that no caller may have been told of.
    Error = 512,
}

impl EventKind {
    /// The mask of all kinds, those of later versions included.
    pub(crate) const ALL: u32 = 0x7FFF_FFFF;

    /// The kind's bit in a mask.
    pub(crate) fn bit(self) -> u32 {
        self as u32
    }
}

/// Something that happened, valid while the subscriber is called.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// What happened.
    pub kind: EventKind,
    /// Where, if in one tier.
    pub tier: Option<Tier>,
    /// The failure, if it is one.
    pub status: Option<ErrorKind>,
    /// The key; empty if the event is not about one.
    pub key: &'a [u8],
    /// The value, if it is at hand.
    pub value: Option<&'a [u8]>,
    /// The value's version; 0 if the event is not about one.
    pub version: u64,
    /// When it expires, in milliseconds since the epoch; 0: never.
    pub expires_at: u64,
    /// What failed, or what was compacted, in words.
    pub message: Option<&'a str>,
}

impl Event<'_> {
    /// An event of `kind` with nothing else said, to be completed with `..Event::of(kind)`.
    pub fn of(kind: EventKind) -> Self {
        Self {
            kind,
            tier: None,
            status: None,
            key: &[],
            value: None,
            version: 0,
            expires_at: 0,
            message: None,
        }
    }
}

/// Somebody who is told of events. It is dropped when its subscription has ended; the drop too
/// counts as a callback.
pub trait Subscriber: Send + Sync {
    /// Takes an event, on the thread where it happened; several threads may call at once.
    fn event(&self, event: &Event<'_>);

    /// Bytes that wait here to be taken away, for the store's account of its memory.
    fn memory_bytes(&self) -> usize {
        0
    }
}

/// The subscriptions of one store. Any thread may use it at any time, also from a callback.
pub struct Events {
    list: RwLock<List>,
    mask: AtomicU32,
    dropped: AtomicU64,
}

struct List {
    subscriptions: Arc<[Arc<Subscription>]>,
    is_closed: bool,
}

impl Events {
    /// Nobody subscribes yet.
    pub fn new() -> Self {
        Self {
            list: RwLock::new(List { subscriptions: Arc::new([]), is_closed: false }),
            mask: AtomicU32::new(0),
            dropped: AtomicU64::new(0),
        }
    }

    /// True if somebody wants events of `kind`. Ask this before making one: it is a single load.
    pub fn wants(&self, kind: EventKind) -> bool {
        self.mask.load(Ordering::Acquire) & kind.bit() != 0
    }

    /// Tells everybody who wants `event` of it, on this thread. Call it with no lock held.
    pub fn emit(&self, event: &Event<'_>) {
        if !self.wants(event.kind) {
            return;
        }
        let subscriptions = Arc::clone(&self.list.read().subscriptions);
        for subscription in subscriptions.iter() {
            if subscription.mask & event.kind.bit() != 0 && !subscription.call(event) {
                self.count_dropped();
            }
        }
    }

    /// Adds a subscriber for the kinds in `mask` and returns the subscription's number, which is
    /// never 0 and unique in the process. Unknown bits are ignored. A closed store has no events:
    /// there the subscriber is dropped at once.
    pub fn subscribe(&self, mask: u32, subscriber: Box<dyn Subscriber>) -> u64 {
        static NEXT_ID: AtomicU64 = AtomicU64::new(1);
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        let subscription = Subscription {
            id,
            mask: mask & EventKind::ALL,
            is_over: AtomicBool::new(false),
            subscriber: RwLock::new(Some(subscriber)),
        };
        let mut list = self.list.write();
        if list.is_closed {
            // After the lock is given back, because a subscriber's drop may call the store.
            drop(list);
            subscription.end();
            return id;
        }
        let more = list.subscriptions.iter().cloned().chain([Arc::new(subscription)]).collect();
        self.replace(&mut list, more);
        id
    }

    /// Ends a subscription; false if there is none of that number.
    ///
    /// On return no thread is inside the subscriber, and it has been dropped. From within a
    /// callback this does not wait: the subscriber is not called again, and is dropped by the
    /// thread that leaves it last.
    pub fn unsubscribe(&self, id: u64) -> bool {
        let mut list = self.list.write();
        let (ended, rest): (Vec<_>, Vec<_>) =
            list.subscriptions.iter().cloned().partition(|subscription| subscription.id == id);
        if !ended.is_empty() {
            self.replace(&mut list, rest.into());
        }
        drop(list);
        ended.iter().for_each(|subscription| subscription.end());
        !ended.is_empty()
    }

    /// Ends all subscriptions, as [`Events::unsubscribe`] does, and takes no new ones.
    pub fn close(&self) {
        let mut list = self.list.write();
        list.is_closed = true;
        let ended = Arc::clone(&list.subscriptions);
        self.replace(&mut list, Arc::new([]));
        drop(list);
        ended.iter().for_each(|subscription| subscription.end());
    }

    /// Events that somebody wanted and could not be given.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Counts one more of them.
    pub fn count_dropped(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// Bytes that wait in subscribers to be taken away.
    pub fn memory_bytes(&self) -> usize {
        let subscriptions = Arc::clone(&self.list.read().subscriptions);
        let bytes = |s: &Arc<Subscription>| s.visit(|subscriber| subscriber.memory_bytes());
        subscriptions.iter().filter_map(bytes).sum()
    }

    fn replace(&self, list: &mut List, subscriptions: Arc<[Arc<Subscription>]>) {
        let mask = subscriptions.iter().fold(0, |mask, subscription| mask | subscription.mask);
        list.subscriptions = subscriptions;
        self.mask.store(mask, Ordering::Release);
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.close();
    }
}

struct Subscription {
    id: u64,
    mask: u32,
    is_over: AtomicBool,
    /// `None` once the subscriber has been dropped.
    subscriber: RwLock<Option<Box<dyn Subscriber>>>,
}

impl Subscription {
    /// Calls the subscriber unless the subscription is over; false if this thread is inside it
    /// already, or too deep in others.
    fn call(&self, event: &Event<'_>) -> bool {
        let Some(_scope) = CallbackScope::enter_once(self.id) else {
            return false;
        };
        self.visit(|subscriber| subscriber.event(event));
        true
    }

    /// Holds the subscriber while `f` looks at it; `None` if the subscription is over.
    fn visit<T>(&self, f: impl FnOnce(&dyn Subscriber) -> T) -> Option<T> {
        // The lock is never waited for: it is refused only where the end has it or waits for it.
        let guard = self.subscriber.try_read()?;
        let result = guard.as_deref().filter(|_| !self.is_over()).map(f);
        drop(guard);
        // After the lock is given back, because otherwise two who leave at once would each see
        // the other inside, and neither would drop the subscriber. The fence pairs with the one
        // in `end`: either the end finds the lock free, or the mark is found here.
        fence(Ordering::SeqCst);
        if self.is_over() {
            self.try_drop();
        }
        result
    }

    fn end(&self) {
        self.is_over.store(true, Ordering::Release);
        fence(Ordering::SeqCst);
        if in_callback() {
            self.try_drop();
        } else {
            drop_subscriber(&mut self.subscriber.write());
        }
    }

    fn try_drop(&self) {
        if let Some(mut subscriber) = self.subscriber.try_write() {
            drop_subscriber(&mut subscriber);
        }
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }
}

/// Drops the subscriber, with its lock held, so that whoever waits for the lock waits for the drop.
/// The list does not have the subscription any more, so nothing that the drop does comes back here.
fn drop_subscriber(subscriber: &mut Option<Box<dyn Subscriber>>) {
    let _scope = CallbackScope::enter();
    *subscriber = None;
}

thread_local! {
    /// The subscriptions that this thread is inside of; 0 stands for a load. An array without a
    /// destructor, because callbacks may also run while a thread ends.
    static INSIDE: Cell<[u64; NESTED_MAX]> = const { Cell::new([0; NESTED_MAX]) };
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// True on a thread that is inside a callback or a load, of whichever store of the process.
pub fn in_callback() -> bool {
    DEPTH.get() > 0
}

/// While it lives its thread counts as inside a callback.
#[must_use = "the callback ends when the scope is dropped"]
pub struct CallbackScope {
    /// Made and dropped on one thread.
    _not_send: std::marker::PhantomData<*const ()>,
}

impl CallbackScope {
    /// Enters a load. Loads may nest as deep as the stack allows.
    pub fn enter() -> Self {
        Self::push(0)
    }

    /// Enters a subscription, or `None` if this thread is inside it already or too deep in others.
    fn enter_once(id: u64) -> Option<Self> {
        let inside = INSIDE.get();
        let is_free = inside.get(..DEPTH.get()).is_some_and(|inside| !inside.contains(&id));
        (is_free && DEPTH.get() < NESTED_MAX).then(|| Self::push(id))
    }

    fn push(id: u64) -> Self {
        let depth = DEPTH.get();
        let mut inside = INSIDE.get();
        if let Some(place) = inside.get_mut(depth) {
            *place = id;
            INSIDE.set(inside);
        }
        DEPTH.set(depth + 1);
        Self { _not_send: std::marker::PhantomData }
    }
}

impl Drop for CallbackScope {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
    }
}

#[cfg(test)]
mod tests;
