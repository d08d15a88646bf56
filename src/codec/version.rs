//! The version of the format, and what a file's first bytes turn out to be.

/// The version of the format that this library writes, and the only one it reads.
pub const FORMAT_VERSION: u32 = 1;

/// What a file's first bytes turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoded<T> {
    /// What was written.
    Valid(T),
    /// Something a newer library wrote: its version.
    Newer(u32),
    /// Not what was written.
    Damaged,
}
