//! User data: a pointer that a caller's functions get back, and the function that ends it.

use crate::ffi::fence::outside;
use crate::store::CallbackScope;
use std::ffi::c_void;

/// Called once when user_data is not needed any more. The same rules as for hotcold_event_fn.
pub type hotcold_drop_fn = Option<unsafe extern "C" fn(user_data: *mut c_void)>;

/// The caller's `user_data`, with what ends it.
pub(super) struct UserData {
    pointer: *mut c_void,
    drop: hotcold_drop_fn,
}

impl UserData {
    /// `drop` is called with it once, when this is dropped.
    pub(super) fn new(pointer: *mut c_void, drop: hotcold_drop_fn) -> Self {
        Self { pointer, drop }
    }

    /// What the caller's functions get.
    pub(super) fn pointer(&self) -> *mut c_void {
        self.pointer
    }
}

impl Drop for UserData {
    fn drop(&mut self) {
        if let Some(drop) = self.drop {
            let _scope = CallbackScope::enter();
            // SAFETY: the header's contract for the destructor; it is called here alone, once.
            outside(|| unsafe { drop(self.pointer) });
        }
    }
}
