//! The one error type: the status that C gets, and one plain sentence without secrets.

use std::fmt::{Debug, Display, Formatter};

/// The result of everything that can fail here.
pub type Result<T> = std::result::Result<T, Fault>;

/// Numbers of `hotcold.h` that are not failures.
pub mod status {
    /// Done.
    pub const OK: i32 = 0;
    /// The key is absent.
    pub const NOT_FOUND: i32 = 1;
    /// A condition was not met; nothing was done.
    pub const CONFLICT: i32 = 2;
    /// Nothing more comes.
    pub const END: i32 = 3;
}

/// What kind of failure, with its number in `hotcold.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Kind {
    /// An argument that can never work.
    InvalidArgument = -1,
    /// A call at the wrong time.
    Misuse = -2,
    /// The system or the engine refused for a reason of its own.
    Io = -3,
    /// What lies at the engine is not what was put there.
    Corrupt = -4,
    /// The engine is full.
    NoSpace = -5,
    /// Beyond what the engine takes; nothing was sent.
    TooLarge = -7,
    /// The engine cannot do it.
    Unsupported = -10,
    /// There is no memory for it.
    OutOfMemory = -11,
    /// A defect of this library.
    Internal = -12,
    /// Whether it was done is unknown.
    Timeout = -14,
    /// Certainly not done.
    Unavailable = -15,
}

/// A failure.
#[derive(Clone, PartialEq, Eq)]
pub struct Fault {
    kind: Kind,
    words: String,
}

impl Fault {
    /// A failure of `kind`; `words` are one sentence, without secrets.
    pub fn new(kind: Kind, words: impl Into<String>) -> Self {
        Self { kind, words: words.into() }
    }

    /// The kind.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The number for C.
    pub fn status(&self) -> i32 {
        self.kind as i32
    }

    /// The sentence.
    pub fn words(&self) -> &str {
        &self.words
    }
}

impl Display for Fault {
    fn fmt(&self, to: &mut Formatter<'_>) -> std::fmt::Result {
        to.write_str(&self.words)
    }
}

impl Debug for Fault {
    fn fmt(&self, to: &mut Formatter<'_>) -> std::fmt::Result {
        write!(to, "{:?}: {}", self.kind, self.words)
    }
}

/// Text from a server as part of a sentence: one line, printable, short.
pub fn quoted(text: &str) -> String {
    let clean = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut short: String = clean.take(160).collect();
    if short.len() < text.len() {
        short.push_str("...");
    }
    short.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_stays_one_short_line() {
        assert_eq!(quoted("ERR no\r\nsuch\0thing "), "ERR no  such thing");
        assert_eq!(quoted(&"é".repeat(500)).chars().count(), 163);
    }
}
