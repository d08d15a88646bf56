//! The panic fence: a panic of ours becomes an error, and nothing is printed about it.
//!
//! The standard library reports a panic on stderr before it unwinds. A library must not print, so
//! the first call through the fence puts a hook in front of the one that is there: on a thread that
//! is inside the fence it keeps the report for the error's message; on all others it changes
//! nothing. Callbacks run outside the fence, so that their panics are reported as ever.

use crate::error::{Error, ErrorKind, Result};
use crate::sync::OWN;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::Once;

thread_local! {
    /// What the hook has seen of this thread's last panic.
    static REPORT: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Runs `call`; a panic in it becomes an `Internal` error.
///
/// # Errors
/// `Internal`, with the panic's own words and its place in our source.
#[inline]
pub fn fence<T>(call: impl FnOnce() -> T) -> Result<T> {
    install_hook();
    let _inside = Switch::to(true);
    // Unwind safe: after a panic the store refuses writes, and C sees only emptied outputs.
    catch_unwind(AssertUnwindSafe(call)).map_err(|_| reported())
}

#[cold]
fn reported() -> Error {
    // Gone if this thread is ending; then the error is less telling.
    let report = REPORT.try_with(RefCell::take).unwrap_or_default();
    Error::new(
        ErrorKind::Internal,
        format!("defect in hotcold: {report}; please report it; writes are refused from now"),
    )
}

/// Runs a callback of the caller's: code that is not ours.
pub fn outside<T>(callback: impl FnOnce() -> T) -> T {
    let _outside = Switch::to(false);
    callback()
}

/// Says whether the thread is inside, for as long as it lives.
struct Switch {
    before: bool,
}

impl Switch {
    fn to(inside: bool) -> Self {
        Self { before: OWN.with(|own| own.is_inside.replace(inside)) }
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        OWN.with(|own| own.is_inside.set(self.before));
    }
}

/// True while this thread runs our code on behalf of C.
fn is_inside() -> bool {
    OWN.with(|own| own.is_inside.get())
}

#[inline]
fn install_hook() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if is_inside() {
                let _ending = REPORT.try_with(|report| report.replace(describe(info)));
            } else {
                before(info);
            }
        }));
    });
}

fn describe(info: &PanicHookInfo<'_>) -> String {
    let payload = info.payload();
    let words = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("panic");
    info.location().map_or_else(|| words.to_owned(), |at| format!("{words} ({at})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_internal_error_with_words_and_place() {
        let error = fence(|| -> () { panic!("index {} is wrong", 7) }).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal);
        assert!(error.message().contains("index 7 is wrong"), "{error}");
        assert!(error.message().contains("fence.rs:"), "{error}");
    }

    #[test]
    fn what_does_not_panic_passes() {
        assert_eq!(fence(|| 5).unwrap(), 5);
        assert!(!is_inside());
    }

    #[test]
    fn callbacks_run_outside_and_what_follows_inside_again() {
        fence(|| {
            assert!(is_inside());
            outside(|| assert!(!is_inside()));
            assert!(is_inside());
        })
        .unwrap();
    }
}
