//! `hotcold_event_queue_t`: events to be pulled, for callers that must not be called from other
//! threads.
//!
//! A queue does not need the store once it is open: waiting on it does not keep the store from
//! closing, and what it holds can be taken after close.

use crate::error::{Error, ErrorKind};
use crate::ffi::boundary::{Outcome, boundary, done};
use crate::ffi::events::{c_text, hotcold_event_t};
use crate::ffi::fence::fence;
use crate::ffi::lifecycle::{hotcold_t, on_store_seldom};
use crate::ffi::memory::{empty, required, shared};
use crate::ffi::status::{hotcold_error_t, hotcold_status, hotcold_status_t};
use crate::store::{Event, EventQueue, OwnedEvent, fork_epoch};
use crate::sync::Mutex;
use std::ffi::CString;
use std::sync::Arc;

/// A bounded queue of events. What finds it full is dropped and counted; the store never waits.
/// For one thread at a time.
pub struct hotcold_event_queue_t {
    queue: Arc<EventQueue>,
    storage_id: CString,
    /// The process that opened it: see `store::fork_epoch`.
    epoch: u64,
    /// The event that was given last. In a lock, so that two threads that break the rule find a
    /// stale event and not freed memory in the midst of a call.
    current: Mutex<Option<Box<Current>>>,
}

/// An event, and the struct that points into it.
struct Current {
    _event: OwnedEvent,
    _message: Option<CString>,
    seen: hotcold_event_t,
}

impl Current {
    /// The pointers stay right when the event is moved: they lead to what its vectors own.
    fn new(event: OwnedEvent, storage_id: &CString) -> Self {
        let message = event.message.as_deref().map(c_text);
        let view = Event {
            kind: event.kind,
            tier: event.tier,
            status: event.status,
            key: &event.key,
            value: event.value.as_deref(),
            version: event.version,
            expires_at: event.expires_at,
            message: None,
        };
        let seen = hotcold_event_t::new(&view, storage_id, message.as_deref());
        Self { _event: event, _message: message, seen }
    }
}

/// Has events of certain kinds copied into a queue, from which they are then pulled.
///
/// in    s         a store
///       mask      HOTCOLD_EVENT_... bits; unknown ones are ignored
///       capacity  events that may wait, 1 or more; they may also take at most 16 MiB
/// out   out       the queue, or NULL
///       error     NULL, or where a failure is described
/// owns  the queue is the caller's, to be closed with hotcold_event_queue_close(), before or after
///       the store
/// cost  every event of these kinds then costs a copy of its key and value
/// safe  from any thread, also from callbacks, at the same time as any other call
///
/// HOTCOLD_OK                opened
/// HOTCOLD_INVALID_ARGUMENT  s or out is NULL, or capacity is 0
/// HOTCOLD_MISUSE            not open
/// HOTCOLD_OUT_OF_MEMORY     no memory for the queue
/// HOTCOLD_INTERNAL          a defect of this library
///
/// since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hotcold_event_queue_open(
    s: *mut hotcold_t,
    mask: u32,
    capacity: usize,
    out: *mut *mut hotcold_event_queue_t,
    error: *mut hotcold_error_t,
) -> hotcold_status_t {
    // SAFETY: the header's contract.
    unsafe {
        empty(out);
        on_store_seldom(s, error, |store| {
            required(out, "out")?;
            let queue = store.event_queue(mask, capacity)?;
            out.write(Box::into_raw(Box::new(hotcold_event_queue_t {
                queue,
                storage_id: c_text(store.storage_id()),
                epoch: fork_epoch(),
                current: Mutex::new(None),
            })));
            done()
        })
    }
}

/// Takes the oldest event, or waits for one.
///
/// in    q           a queue
///       timeout_ms  how long to wait at most; 0: not at all
/// out   out         on HOTCOLD_OK the event, valid until the next call on q; otherwise NULL
///       error       NULL, or where a failure is described
/// safe  from any thread; one thread at a time for the same q. The store may be closed meanwhile
///
/// HOTCOLD_OK                there is an event
/// HOTCOLD_END               none came in time; or the store is closed, and nothing is queued
/// HOTCOLD_INVALID_ARGUMENT  q or out is NULL
/// HOTCOLD_MISUSE            opened before this process was forked
/// HOTCOLD_OUT_OF_MEMORY     no memory for the call
/// HOTCOLD_INTERNAL          a defect of this library
///
/// since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hotcold_event_queue_next(
    q: *mut hotcold_event_queue_t,
    timeout_ms: u64,
    out: *mut *const hotcold_event_t,
    error: *mut hotcold_error_t,
) -> hotcold_status_t {
    // SAFETY: the header's contract.
    unsafe {
        empty(out);
        boundary(error, || {
            required(out, "out")?;
            let q = shared(q, "q")?;
            // In a forked child another thread's lock on the queue would never be given back.
            if q.epoch != fork_epoch() {
                let text = "the event queue was opened before this process was forked";
                return Err(Error::new(ErrorKind::Misuse, text));
            }
            let event = q.queue.next(timeout_ms);
            let mut current = q.current.lock();
            *current = event.map(|event| Box::new(Current::new(event, &q.storage_id)));
            let Some(current) = current.as_ref() else {
                return Ok(Outcome::of(hotcold_status::HOTCOLD_END));
            };
            out.write(&raw const current.seen);
            done()
        })
    }
}

/// Tells how many events found the queue full; 0 for NULL.
///
/// in    q   a queue, or NULL
/// safe  from any thread, at the same time as any other call on q but its close
///
/// since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hotcold_event_queue_dropped(q: *const hotcold_event_queue_t) -> u64 {
    // SAFETY: the header's contract.
    unsafe { q.as_ref() }.and_then(|q| fence(|| q.queue.dropped()).ok()).unwrap_or(0)
}

/// Ends a queue and forgets what it holds.
///
/// in    q   a queue, or NULL
/// owns  takes q, and the event that was given last
/// safe  from any thread, also after the store was closed; one thread at a time for the same q
///
/// since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hotcold_event_queue_close(q: *mut hotcold_event_queue_t) {
    if q.is_null() {
        return;
    }
    let closed = fence(|| {
        // SAFETY: `q` came from hotcold_event_queue_open, and the caller gives it up.
        let q = unsafe { Box::from_raw(q) };
        // As above; without it the store, if it is still there, keeps what it feeds.
        if q.epoch == fork_epoch() {
            q.queue.close();
        }
        drop(q);
    });
    drop(closed);
}
