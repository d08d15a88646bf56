//! The manifest: what must be known before any record is, in the file `MANIFEST`.
//!
//! | offset | size | field | meaning |
//! |---:|---:|---|---|
//! | 0 | 4 | checksum | of bytes 4 to 47 |
//! | 4 | 8 | magic | `hotcoldM` |
//! | 12 | 4 | version | of the format: 1 |
//! | 16 | 8 | seed | of the key hash |
//! | 24 | 8 | next sequence | the first that no open has taken yet |
//! | 32 | 8 | time | the latest that was seen, milliseconds since the epoch |
//! | 40 | 1 | notes | 1 if whoever wrote this leaves a note of each segment that it removes, else 0 |
//! | 41 | 7 | reserved | 0 |
//!
//! It is replaced as a whole. When it is damaged or missing the segments tell the seed, and the
//! sequences in them tell where the next range begins.

use super::bytes::{put, u32_at, u64_at};
use super::checksum::checksum;
use super::version::{Decoded, FORMAT_VERSION};

/// Bytes of a manifest.
pub const MANIFEST_BYTES: usize = 48;

const MAGIC: &[u8; 8] = b"hotcoldM";

/// What the manifest says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Seed of the key hash.
    pub seed: u64,
    /// The first sequence that no open has taken yet.
    pub next_sequence: u64,
    /// The latest time seen, in milliseconds since the epoch.
    pub time_ms: u64,
    /// Whoever wrote this leaves a note of each segment that it removes.
    pub keeps_notes: bool,
}

impl Manifest {
    /// The manifest as bytes.
    pub fn encode(&self) -> [u8; MANIFEST_BYTES] {
        let mut bytes = [0; MANIFEST_BYTES];
        put(&mut bytes, 4, MAGIC);
        put(&mut bytes, 12, &FORMAT_VERSION.to_le_bytes());
        put(&mut bytes, 16, &self.seed.to_le_bytes());
        put(&mut bytes, 24, &self.next_sequence.to_le_bytes());
        put(&mut bytes, 32, &self.time_ms.to_le_bytes());
        bytes[40] = u8::from(self.keeps_notes);
        let sum = checksum(&[&bytes[4..]]);
        put(&mut bytes, 0, &sum.to_le_bytes());
        bytes
    }

    /// Reads a manifest.
    pub fn decode(bytes: &[u8]) -> Decoded<Self> {
        if bytes.len() < MANIFEST_BYTES
            || u32_at(bytes, 0) != checksum(&[&bytes[4..]])
            || &bytes[4..12] != MAGIC
        {
            return Decoded::Damaged;
        }
        if u32_at(bytes, 12) != FORMAT_VERSION {
            return Decoded::Newer(u32_at(bytes, 12));
        }
        Decoded::Valid(Self {
            seed: u64_at(bytes, 16),
            next_sequence: u64_at(bytes, 24),
            time_ms: u64_at(bytes, 32),
            keeps_notes: bytes[40] == 1,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_byte_and_every_cut_is_noticed() {
        let manifest = Manifest { seed: 1, next_sequence: 2, time_ms: 3, keeps_notes: true };
        let bytes = manifest.encode();
        assert_eq!(Manifest::decode(&bytes), Decoded::Valid(manifest));
        for at in 0..bytes.len() {
            let mut damaged = bytes;
            damaged[at] ^= 0xff;
            assert_eq!(Manifest::decode(&damaged), Decoded::Damaged);
            assert_eq!(Manifest::decode(&bytes[..at]), Decoded::Damaged);
        }
    }
}
