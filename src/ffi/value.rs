//! `hotcold_value_t`: a reference to bytes that never change.
//!
//! The bytes are in a shared buffer; the struct owns one reference to it, in `owner`. It needs
//! nothing of the store, so that it outlives close, and a forked child may release it.

use crate::buffer::{Buffer, LentBuffer};
use crate::error::Result;
use crate::ffi::boundary::Outcome;
use crate::store::{Answer, Value};
use std::ffi::c_void;
use std::ptr::{NonNull, null, null_mut};

/// Where a value was found.
#[repr(C)]
#[expect(dead_code, reason = "for C programs: it comes out as a number")]
pub enum hotcold_tier {
    /// In memory.
    HOTCOLD_TIER_HOT = 1,
    /// On disk.
    HOTCOLD_TIER_COLD = 2,
}

/// A reference to bytes that never change. Release it once with hotcold_value_release(); copies of
/// the struct share the one reference. This struct never grows.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct hotcold_value_t {
    /// The bytes; never NULL after HOTCOLD_OK, also if there are none. No alignment and no NUL at
    /// the end is promised.
    pub data: *const u8,
    /// How many.
    pub len: usize,
    /// Changes with every store of the key, never repeats.
    pub version: u64,
    /// Milliseconds since the epoch; 0: never.
    pub expires_at: u64,
    /// Where it was found: HOTCOLD_TIER_HOT or HOTCOLD_TIER_COLD.
    pub tier: i32,
    /// 0.
    pub flags: u32,
    /// The library's; do not touch.
    pub owner: *mut c_void,
    /// 0.
    pub reserved: [u64; 2],
}

const _: () = {
    assert!(size_of::<hotcold_value_t>() == 64);
    assert!(std::mem::offset_of!(hotcold_value_t, owner) == 40);
};

impl hotcold_value_t {
    /// A value that owns nothing.
    pub const EMPTY: Self = Self {
        data: null(),
        len: 0,
        version: 0,
        expires_at: 0,
        tier: 0,
        flags: 0,
        owner: null_mut(),
        reserved: [0; 2],
    };

    /// Bytes that are in no tier: a text.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub(super) fn of_bytes(bytes: &[u8]) -> Result<Self> {
        let buffer = Buffer::from_parts(&[bytes])?;
        let data = buffer.bytes().as_ptr();
        let lent = LentBuffer::detached(buffer);
        Ok(Self { data, len: bytes.len(), owner: lent.into_raw(), ..Self::EMPTY })
    }
}

impl From<Value> for hotcold_value_t {
    #[inline]
    fn from(value: Value) -> Self {
        let (version, expires_at) = (value.version(), value.expires_at());
        let tier = value.tier() as i32;
        let (lent, range) = value.into_buffer();
        let len = range.len();
        // Not NULL even for no bytes: it points behind the buffer's header.
        let data = lent.bytes()[range].as_ptr();
        Self { data, len, version, expires_at, tier, owner: lent.into_raw(), ..Self::EMPTY }
    }
}

/// Ends a retrieve: hands the value out, if there is one.
///
/// # Errors
/// None; the type is that of every other end.
///
/// # Safety
/// `out` can be written.
#[inline]
pub(super) unsafe fn hand_out(
    out: *mut hotcold_value_t,
    answer: Answer<Option<Value>>,
) -> Result<Outcome> {
    let found = answer.value.is_some();
    if let Some(value) = answer.value {
        // SAFETY: the caller's promise.
        unsafe { out.write(value.into()) };
    }
    Ok(Outcome::found(found).despite(answer.survived))
}

/// Gives a value back and empties the struct; an empty one is left as it is.
///
/// in    v   a value, or NULL
/// owns  takes the reference that v holds
/// safe  from any thread, also after the store was closed; one thread at a time for the same value
/// after the bytes must not be used any more, through this struct or a copy
///
/// since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hotcold_value_release(v: *mut hotcold_value_t) {
    if v.is_null() {
        return;
    }
    // SAFETY: the caller's value; its owner came from `LentBuffer::into_raw` and is given back once. No
    // fence: giving back counts and frees, and neither can panic.
    unsafe {
        if let Some(owner) = NonNull::new((*v).owner) {
            v.write(hotcold_value_t::EMPTY);
            drop(LentBuffer::from_raw(owner));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_released_once_and_the_struct_is_empty_then() {
        for text in ["", "some text"] {
            let mut value = hotcold_value_t::of_bytes(text.as_bytes()).unwrap();
            assert!(!value.data.is_null());
            // SAFETY: the value is ours.
            unsafe {
                let bytes = std::slice::from_raw_parts(value.data, value.len);
                assert_eq!(bytes, text.as_bytes());
                hotcold_value_release(&raw mut value);
                assert!(value.data.is_null() && value.owner.is_null() && value.len == 0);
                hotcold_value_release(&raw mut value);
            }
        }
        // SAFETY: NULL is allowed.
        unsafe { hotcold_value_release(null_mut()) };
    }
}
