//! The version of the format, and what a file's first bytes turn out to be.

/// The version of the format that this library writes, and the only one it reads.
pub const FORMAT_VERSION: u32 = 1;

/// True if a file that begins with `bytes` has this magic, one damaged byte aside.
pub fn has_magic(bytes: &[u8], magic: &[u8; 8]) -> bool {
    let differing = |found: &[u8]| found.iter().zip(magic).filter(|(a, b)| a != b).count();
    bytes.get(4..12).is_some_and(|found| differing(found) <= 1)
}

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
