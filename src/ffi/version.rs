//! Which version of the library is this?

use std::ffi::{CStr, c_char};

const TEXT: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
const MAJOR: u32 = number(env!("CARGO_PKG_VERSION_MAJOR"));
const MINOR: u32 = number(env!("CARGO_PKG_VERSION_MINOR"));
const PATCH: u32 = number(env!("CARGO_PKG_VERSION_PATCH"));

/// Tells the version of the library that is linked: major << 16 | minor << 8 | patch.
///
/// HOTCOLD_VERSION is that of the header. Before 1.0 the two fit if major and minor are the same.
///
/// safe  from any thread, also in a signal handler
///
/// since 0.1.0
#[unsafe(no_mangle)]
pub extern "C" fn hotcold_version() -> u32 {
    MAJOR << 16 | MINOR << 8 | PATCH
}

/// Tells the version of the library that is linked as text: "0.1.0".
///
/// owns  the text is the library's, valid for ever
/// safe  from any thread, also in a signal handler
///
/// since 0.1.0
#[unsafe(no_mangle)]
pub extern "C" fn hotcold_version_string() -> *const c_char {
    CStr::from_bytes_with_nul(TEXT.as_bytes()).unwrap_or_default().as_ptr()
}

/// A decimal number below 256, as a byte of the version holds it.
const fn number(text: &str) -> u32 {
    let digits = text.as_bytes();
    let mut value = 0;
    let mut at = 0;
    while at < digits.len() {
        value = value * 10 + (digits[at] - b'0') as u32;
        at += 1;
    }
    assert!(value < 256);
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_and_text_say_the_same() {
        let number = hotcold_version();
        let text = format!("{}.{}.{}", number >> 16, number >> 8 & 255, number & 255);
        // SAFETY: the version is a C string for ever.
        let told = unsafe { CStr::from_ptr(hotcold_version_string()) };
        assert_eq!(told.to_str().unwrap(), text);
        assert_eq!(text, env!("CARGO_PKG_VERSION"));
    }

    #[test]
    fn the_header_bears_the_same_version() {
        let header = include_str!("../../include/hotcold.h");
        let line = format!("#define HOTCOLD_VERSION {}\n", hotcold_version());
        assert!(header.contains(&line));
    }
}
