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

/// True if changing one byte of `bytes` gives them the checksum `expected`.
///
/// What a change of one byte does to a CRC depends on the byte's change and its distance from the
/// end alone. So the difference of the checksums is taken back byte by byte, and compared with the
/// differences that a last byte can make. A CRC-32 tells all such changes apart.
pub fn is_one_byte_off(bytes: &[u8], expected: u32) -> bool {
    let zero = checksum(&[&[0]]);
    let mut of_last = [0_u32; 256];
    for (change, difference) in (0..=u8::MAX).zip(&mut of_last) {
        *difference = checksum(&[&[change]]) ^ zero;
    }
    let mut difference = checksum(&[bytes]) ^ expected;
    for _ in bytes {
        let index = of_last.iter().position(|of_last| of_last >> 24 == difference >> 24);
        let Some((index, of_last)) = index.and_then(|i| Some((u32::try_from(i).ok()?, of_last[i])))
        else {
            return false;
        };
        if difference == of_last {
            return difference != 0;
        }
        difference = (difference ^ of_last) << 8 | index;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_changed_byte_is_told_from_none_and_from_two() {
        let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(700).collect();
        let sum = checksum(&[&bytes]);
        assert!(!is_one_byte_off(&bytes, sum));
        for at in (0..bytes.len()).step_by(7).chain([bytes.len() - 1]) {
            for mask in [0x01, 0x80, 0xff, 0x5a] {
                let mut changed = bytes.clone();
                changed[at] ^= mask;
                assert!(is_one_byte_off(&changed, sum), "byte {at}");
                let mut two = changed.clone();
                two[(at + 100) % 700] ^= mask;
                assert!(!is_one_byte_off(&two, sum), "byte {at} and another");
            }
        }
    }
}
