//! Events: the struct that C sees, and subscriptions that call a C function.

use crate::ffi::boundary::{Outcome, done};
use crate::ffi::fence::outside;
use crate::ffi::lifecycle::{hotcold_t, on_store_seldom};
use crate::ffi::memory::{empty, invalid, required};
use crate::ffi::status::{hotcold_error_t, hotcold_status, hotcold_status_t};
use crate::ffi::user_data::{UserData, hotcold_drop_fn};
use crate::store::{Event, Subscriber};
use std::ffi::{CStr, CString, c_char, c_void};
use std::ptr::null;

/// Bits of the mask of events; unknown bits are ignored.
#[repr(C)]
#[expect(dead_code, reason = "for C programs: it goes in and out as a number")]
pub enum hotcold_event_kind {
    /// A key was stored.
    HOTCOLD_EVENT_ITEM_STORED = 1,
    /// A retrieve found a value.
    HOTCOLD_EVENT_ITEM_RETRIEVED = 2,
    /// A delete removed a key.
    HOTCOLD_EVENT_ITEM_DELETED = 4,
    /// The store was cleared.
    HOTCOLD_EVENT_STORAGE_CLEARED = 8,
    /// A key that was in cold entered hot.
    HOTCOLD_EVENT_PROMOTED = 16,
    /// A key left hot for cold on demand.
    HOTCOLD_EVENT_DEMOTED = 32,
    /// A key left its tier to make room.
    HOTCOLD_EVENT_EVICTED = 64,
    /// A key left because its time had passed.
    HOTCOLD_EVENT_EXPIRED = 128,
    /// Segments were compacted.
    HOTCOLD_EVENT_COMPACTED = 256,
    /// Something failed, perhaps in the background, or was survived under policy=lenient.
    HOTCOLD_EVENT_ERROR = 512,
    /// All of them, and what later versions add.
    HOTCOLD_EVENT_ALL = 2147483647,
}

/// Something that has happened. Later versions may add fields at the end: size tells.
#[repr(C)]
pub struct hotcold_event_t {
    /// One of the bits HOTCOLD_EVENT_....
    pub kind: u32,
    /// HOTCOLD_TIER_HOT, HOTCOLD_TIER_COLD, or 0 if it is about no tier or both.
    pub tier: i32,
    /// The failure of an ERROR event; otherwise HOTCOLD_OK.
    pub status: i32,
    /// sizeof(hotcold_event_t) as the library has it.
    pub size: u32,
    /// The key; NULL if it is about none.
    pub key: *const c_void,
    /// Bytes of the key.
    pub key_len: usize,
    /// The value; NULL if it is not at hand.
    pub value: *const c_void,
    /// Bytes of the value.
    pub value_len: usize,
    /// The version: events of one key may arrive out of order, this tells. 0 if there is none.
    pub version: u64,
    /// Milliseconds since the epoch; 0: never.
    pub expires_at: u64,
    /// The store's name, as the option storage_id gives it.
    pub storage_id: *const c_char,
    /// What happened, in words; NULL but for ERROR and COMPACTED.
    pub message: *const c_char,
}

const EVENT_BYTES: u32 = 80;

const _: () = assert!(size_of::<hotcold_event_t>() == EVENT_BYTES as usize);

/// Called with each event, on the thread where it happened, after the operation has taken effect and
/// with no lock held; several threads may call at once. The event is valid during the call only. It
/// may call anything on the same store but hotcold_close(), and must not throw or longjmp.
pub type hotcold_event_fn =
    Option<unsafe extern "C" fn(user_data: *mut c_void, event: *const hotcold_event_t)>;

impl hotcold_event_t {
    /// The event as C sees it, valid as long as what it is made of.
    pub(super) fn new(event: &Event<'_>, storage_id: &CStr, message: Option<&CStr>) -> Self {
        let status = event.status.map_or(hotcold_status::HOTCOLD_OK, hotcold_status::from);
        Self {
            kind: event.kind as u32,
            tier: event.tier.map_or(0, |tier| tier as i32),
            status: status.code(),
            size: EVENT_BYTES,
            key: if event.key.is_empty() { null() } else { event.key.as_ptr().cast() },
            key_len: event.key.len(),
            value: event.value.map_or(null(), |value| value.as_ptr().cast()),
            value_len: event.value.map_or(0, <[u8]>::len),
            version: event.version,
            expires_at: event.expires_at,
            storage_id: storage_id.as_ptr(),
            message: message.map_or(null(), CStr::as_ptr),
        }
    }
}

/// A text for C; a NUL within ends it.
pub(super) fn c_text(text: &str) -> CString {
    let until_nul = text.split('\0').next().unwrap_or_default();
    CString::new(until_nul).unwrap_or_default()
}

/// A subscriber that calls a C function.
struct Callback {
    call: unsafe extern "C" fn(*mut c_void, *const hotcold_event_t),
    user_data: UserData,
    storage_id: CString,
}

// SAFETY: the header says that the function is called from any thread, and from several at once.
unsafe impl Send for Callback {}
// SAFETY: as above.
unsafe impl Sync for Callback {}

impl Subscriber for Callback {
    fn event(&self, event: &Event<'_>) {
        let message = event.message.map(c_text);
        let event = hotcold_event_t::new(event, &self.storage_id, message.as_deref());
        // SAFETY: the header's contract for the function; the event outlives the call.
        outside(|| unsafe { (self.call)(self.user_data.pointer(), &raw const event) });
    }
}

/// Has a function called with every event of certain kinds.
///
/// A subscription is not entered again on a thread that is inside it already; such events are
/// counted in events_dropped.
///
/// in    s                 a store
///       mask              HOTCOLD_EVENT_... bits; unknown ones are ignored
///       fn                the function
///       user_data         passed to fn and drop
///       drop              NULL, or called exactly once with user_data: after hotcold_unsubscribe(),
///                         at hotcold_close(), or when this call fails
/// out   subscription_out  a number for hotcold_unsubscribe(), never 0; 0 after a failure
///       error             NULL, or where a failure is described
/// cost  every event of these kinds then costs a call of fn; no subscription, no cost
/// safe  from any thread, also from callbacks, at the same time as any other call
///
/// HOTCOLD_OK                subscribed
/// HOTCOLD_INVALID_ARGUMENT  s, fn or subscription_out is NULL
/// HOTCOLD_MISUSE            not open
/// HOTCOLD_OUT_OF_MEMORY     no memory for the call
/// HOTCOLD_INTERNAL          a defect of this library
///
/// since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hotcold_subscribe(
    s: *mut hotcold_t,
    mask: u32,
    r#fn: hotcold_event_fn,
    user_data: *mut c_void,
    drop: hotcold_drop_fn,
    subscription_out: *mut u64,
    error: *mut hotcold_error_t,
) -> hotcold_status_t {
    // Made first: on every way out that does not hand it on it is dropped.
    let user_data = UserData::new(user_data, drop);
    // SAFETY: the header's contract.
    unsafe {
        empty(subscription_out);
        on_store_seldom(s, error, |store| {
            let user_data = user_data;
            required(subscription_out, "subscription_out")?;
            let call = r#fn.ok_or_else(|| invalid("fn: NULL"))?;
            let storage_id = c_text(store.storage_id());
            let callback = Box::new(Callback { call, user_data, storage_id });
            subscription_out.write(store.subscribe(mask, callback));
            done()
        })
    }
}

/// Ends a subscription.
///
/// When it returns, fn runs on no thread any more, and drop has run. From within any callback of
/// this process it does not wait: fn is not started again, and drop runs when the last running call
/// has returned, on that thread.
///
/// in    s             a store
///       subscription  a number that hotcold_subscribe() gave
/// out   error         NULL, or where a failure is described
/// cost  waits for the calls of fn in progress
/// safe  from any thread, also from callbacks, at the same time as any other call
///
/// HOTCOLD_OK                ended
/// HOTCOLD_NOT_FOUND         no such subscription, or no more
/// HOTCOLD_INVALID_ARGUMENT  s is NULL
/// HOTCOLD_MISUSE            not open
/// HOTCOLD_OUT_OF_MEMORY     no memory for the call
/// HOTCOLD_INTERNAL          a defect of this library
///
/// since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hotcold_unsubscribe(
    s: *mut hotcold_t,
    subscription: u64,
    error: *mut hotcold_error_t,
) -> hotcold_status_t {
    // SAFETY: the header's contract.
    unsafe {
        on_store_seldom(s, error, |store| Ok(Outcome::found(store.unsubscribe(subscription))))
    }
}
