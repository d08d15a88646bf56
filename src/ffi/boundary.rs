//! How a call ends: with a status, and with the caller's error struct written, whatever happened.

use crate::error::{Error, Result};
use crate::ffi::fence::fence;
use crate::ffi::status::{hotcold_error_t, hotcold_status, hotcold_status_t};
use crate::memory;

/// How a call that did not fail has ended.
pub struct Outcome {
    status: hotcold_status,
    /// What a lenient store has survived: the caller is told although the call did not fail.
    survived: Option<Error>,
}

impl Outcome {
    /// `HOTCOLD_OK`, or what else is not a failure.
    pub const fn of(status: hotcold_status) -> Self {
        Self { status, survived: None }
    }

    /// `HOTCOLD_OK` if `found`, else `HOTCOLD_NOT_FOUND`.
    pub const fn found(found: bool) -> Self {
        Self::of(if found { hotcold_status::HOTCOLD_OK } else { hotcold_status::HOTCOLD_NOT_FOUND })
    }

    /// The same outcome, with a failure to be told of.
    pub fn despite(self, survived: Option<Error>) -> Self {
        Self { survived, ..self }
    }
}

/// Ends a call with `HOTCOLD_OK`.
///
/// # Errors
/// None; the type is that of every other end.
pub fn done() -> Result<Outcome> {
    Ok(Outcome::of(hotcold_status::HOTCOLD_OK))
}

/// Runs the body of a C function: fences panics, writes `error`, returns the status. Refuses while
/// there is no memory for what any call needs.
///
/// # Safety
/// `error` is NULL or can be written.
#[inline]
pub unsafe fn boundary(
    error: *mut hotcold_error_t,
    call: impl FnOnce() -> Result<Outcome>,
) -> hotcold_status_t {
    // SAFETY: the caller's promise.
    unsafe { unconditional(error, || memory::check().and_then(|()| call())) }
}

/// As [`boundary`], for a call that gives back and so is never refused.
///
/// # Safety
/// `error` is NULL or can be written.
#[inline]
pub unsafe fn unconditional(
    error: *mut hotcold_error_t,
    call: impl FnOnce() -> Result<Outcome>,
) -> hotcold_status_t {
    // The end is told inside the fence, so that no result has to be carried out of it.
    // SAFETY: the caller's promise.
    let status = fence(|| unsafe { end(error, call()) });
    // SAFETY: as above.
    status.unwrap_or_else(|panic| unsafe { end(error, Err(panic)) })
}

/// # Safety
/// `error` is NULL or can be written.
#[inline]
unsafe fn end(error: *mut hotcold_error_t, result: Result<Outcome>) -> hotcold_status_t {
    // SAFETY: the caller's promise.
    unsafe {
        match result {
            Ok(Outcome { status, survived: None }) => {
                hotcold_error_t::write_none(error);
                status.code()
            }
            Ok(Outcome { status, survived }) => {
                hotcold_error_t::write(error, survived.as_ref());
                status.code()
            }
            Err(failure) => {
                hotcold_error_t::write(error, Some(&failure));
                hotcold_status::from(failure.kind()).code()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use std::mem::MaybeUninit;

    fn end(call: impl FnOnce() -> Result<Outcome>) -> (i32, i32) {
        let mut error = MaybeUninit::<hotcold_error_t>::uninit();
        // SAFETY: the struct is ours, and `boundary` writes its status.
        unsafe {
            let status = boundary(error.as_mut_ptr(), call);
            (status, (*error.as_ptr()).status)
        }
    }

    fn locked() -> Error {
        Error::new(ErrorKind::Locked, "locked")
    }

    #[test]
    fn the_error_has_the_failure_and_nothing_else() {
        assert_eq!(end(done), (0, 0));
        assert_eq!(end(|| Ok(Outcome::found(false))), (1, 0));
        assert_eq!(end(|| Err(locked())), (-6, -6));
        assert_eq!(end(|| Ok(Outcome::found(false).despite(Some(locked())))), (1, -6));
    }

    #[test]
    fn a_panic_is_internal() {
        assert_eq!(end(|| panic!("a defect")), (-12, -12));
    }
}
