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
//! | 40 | 7 | lead | how far that was ahead of the system clock, in milliseconds |
//! | 47 | 1 | notes | 1 if whoever wrote this leaves a note of each segment that it removes, else 0 |
//!
//! The lead is 0 unless the system clock was set back. A library that knows neither wrote 0.
//!
//! It is replaced as a whole. When it is damaged or missing the segments tell the seed, and the
//! sequences in them tell where the next range begins.

use super::bytes::{put, u32_at, u64_at};
use super::checksum::checksum;
use super::version::{Decoded, FORMAT_VERSION};

/// Bytes of a manifest.
pub const MANIFEST_BYTES: usize = 48;

/// What the file says it is, behind its checksum.
pub const MAGIC: &[u8; 8] = b"hotcoldM";

/// The longest lead that seven bytes hold: two million years.
const LEAD_MS_MAX: u64 = (1 << 56) - 1;

const NOTES_AT: usize = 47;

/// What the manifest says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Seed of the key hash.
    pub seed: u64,
    /// The first sequence that no open has taken yet.
    pub next_sequence: u64,
    /// The latest time seen, in milliseconds since the epoch.
    pub time_ms: u64,
    /// How far that was ahead of the system clock, in milliseconds.
    pub lead_ms: u64,
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
        put(&mut bytes, 40, &self.lead_ms.min(LEAD_MS_MAX).to_le_bytes());
        bytes[NOTES_AT] = u8::from(self.keeps_notes);
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
            lead_ms: u64_at(bytes, 40) & LEAD_MS_MAX,
            keeps_notes: bytes[NOTES_AT] == 1,
        })
    }
}

/// True of what may be left of a manifest whose writing was broken off: nothing, zeros, or its first
/// bytes, as far as they can be told.
pub fn is_begun(bytes: &[u8]) -> bool {
    let is_zeros = bytes.iter().all(|byte| *byte == 0);
    let has_first = bytes.get(4..).is_some_and(|rest| {
        !rest.is_empty() && rest.iter().zip(MAGIC).all(|(found, magic)| found == magic)
    });
    bytes.len() <= MANIFEST_BYTES && (is_zeros || has_first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_of_a_broken_off_one_is_told_from_what_somebody_else_wrote() {
        let bytes =
            Manifest { seed: 1, next_sequence: 2, time_ms: 3, lead_ms: 0, keeps_notes: false }
                .encode();
        assert!((5..=bytes.len()).all(|end| is_begun(&bytes[..end])));
        assert!((0..=MANIFEST_BYTES).all(|len| is_begun(&vec![0; len])));
        let longer = [&bytes[..], b"x"].concat();
        for theirs in [&b"m"[..], b"mine", b"Manifest-Version: 1.0\n", &[0; 49], &longer] {
            assert!(!is_begun(theirs), "{theirs:?}");
        }
    }

    #[test]
    fn every_flipped_byte_and_every_cut_is_noticed() {
        let manifest =
            Manifest { seed: 1, next_sequence: 2, time_ms: 3, lead_ms: 4, keeps_notes: true };
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
