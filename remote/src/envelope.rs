//! What stands in front of the core's bytes at every engine.
//!
//! | offset | bytes | field |
//! | --- | --- | --- |
//! | 0 | 8 | version, little-endian; never 0 |
//! | 8 | 8 | expiry in milliseconds since the epoch, little-endian; 0: never |
//! | 16 | | the core's bytes as they were given |
//!
//! The version stands here so that engines can compare it without knowing the core's format, and so
//! that equal values are different bytes: an ETag then tells records apart.

use crate::fault::{Fault, Kind, Result};

/// Bytes in front of the core's.
pub const BYTES: usize = 16;

/// The envelope of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Of the record.
    pub version: u64,
    /// Milliseconds since the epoch; 0: never.
    pub expires_at: u64,
}

impl Envelope {
    /// Its bytes.
    pub fn bytes(self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        bytes[..8].copy_from_slice(&self.version.to_le_bytes());
        bytes[8..].copy_from_slice(&self.expires_at.to_le_bytes());
        bytes
    }

    /// The envelope at the front of `record`.
    ///
    /// # Errors
    /// `Corrupt` for what is too short or has no version.
    pub fn of(record: &[u8]) -> Result<Self> {
        let (Some(version), Some(expires_at)) = (word(record, 0), word(record, 8)) else {
            let words = format!("a record at the engine has {} bytes, at least 16", record.len());
            return Err(Fault::new(Kind::Corrupt, words));
        };
        if version == 0 {
            return Err(Fault::new(Kind::Corrupt, "a record at the engine has no version"));
        }
        Ok(Self { version, expires_at })
    }

    /// True once the record has expired, at `now` in milliseconds since the epoch.
    pub fn is_expired(self, now: u64) -> bool {
        self.expires_at != 0 && self.expires_at <= now
    }
}

/// The version in the first eight bytes; 0 if they are not there.
pub fn version_of(bytes: &[u8]) -> u64 {
    word(bytes, 0).unwrap_or_default()
}

fn word(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes = bytes.get(at..at + 8)?;
    bytes.try_into().ok().map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_is_read_as_it_was_written() {
        let envelope = Envelope { version: 0x0102_0304_0506_0708, expires_at: 9 };
        let bytes = envelope.bytes();
        assert_eq!(bytes, [8, 7, 6, 5, 4, 3, 2, 1, 9, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(Envelope::of(&bytes), Ok(envelope));
        assert!(Envelope::of(&bytes[..15]).is_err());
        assert!(Envelope::of(&[0; 16]).is_err());
        assert_eq!((version_of(&bytes), version_of(b"short")), (envelope.version, 0));
    }

    #[test]
    fn expiry_is_the_first_moment_at_which_it_is_gone() {
        let at = |expires_at| Envelope { version: 1, expires_at };
        assert!(!at(0).is_expired(u64::MAX) && !at(10).is_expired(9) && at(10).is_expired(10));
    }
}
