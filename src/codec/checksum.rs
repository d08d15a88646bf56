//! The one checksum: CRC-32 (ISO 3309, as in zlib), over parts that are checked as one run.

/// The checksum of `parts`, one after the other.
pub fn checksum(parts: &[&[u8]]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize()
}

/// Finds the one byte of `bytes[4..]` (or of the checksum in the first four) that was changed,
/// and puts it right: `true` if afterwards the checksum at the front fits `prefix` and the rest.
///
/// A damaged header costs more than its own record: it hides whose record it was. A single byte
/// is what a flipped bit or a slipped write most often damages, and 256 trials a byte are cheap.
/// A CRC-32 tells all errors of up to 32 bits in a row apart, so at most one change fits.
pub fn repair_one_byte(prefix: &[u8], bytes: &mut [u8]) -> bool {
    let fits = |bytes: &[u8]| {
        bytes.len() > 4 && super::bytes::u32_at(bytes, 0) == checksum(&[prefix, &bytes[4..]])
    };
    for at in 0..bytes.len() {
        let damaged = bytes[at];
        for value in 0..=u8::MAX {
            bytes[at] = value;
            if fits(bytes) {
                return true;
            }
        }
        bytes[at] = damaged;
    }
    false
}

/// The checksum of bytes that come piece by piece.
pub struct Running(crc32fast::Hasher);

impl Running {
    /// Nothing yet.
    pub fn new() -> Self {
        Self(crc32fast::Hasher::new())
    }

    /// The next piece.
    pub fn update(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// The checksum of all pieces.
    pub fn finish(self) -> u32 {
        self.0.finalize()
    }
}
