//! The one checksum: CRC-32 (ISO 3309, as in zlib), over parts that are checked as one run.

use crc32fast::Hasher;
use std::sync::LazyLock;

/// A checksum of nothing. It is copied, because making one asks each time what the processor has.
static EMPTY: LazyLock<Hasher> = LazyLock::new(Hasher::new);

/// The checksum of `parts`, one after the other.
pub fn checksum(parts: &[&[u8]]) -> u32 {
    let mut hasher = EMPTY.clone();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize()
}

/// Finds the one byte of `bytes[4..]` (or of the checksum in the first four) that was changed,
/// and puts it right: `true` if afterwards the checksum at the front fits `prefix` and the rest.
///
/// A damaged header costs more than its own record: it hides whose record it was. A single byte
/// is what a flipped bit or a slipped write most often damages. It costs as much as the checksum of
/// those bytes does, so that a file full of what are no headers costs no more than reading it.
pub fn repair_one_byte(prefix: &[u8], bytes: &mut [u8]) -> bool {
    let Some((stored, covered)) = bytes.split_at_mut_checked(4) else { return false };
    let difference = super::bytes::u32_at(stored, 0) ^ checksum(&[prefix, covered]);
    let of_stored = difference.to_le_bytes();
    if of_stored.iter().filter(|change| **change != 0).count() == 1 {
        stored.iter_mut().zip(of_stored).for_each(|(byte, change)| *byte ^= change);
        return true;
    }
    let Some((at, change)) = one_byte_change(covered.len(), difference) else { return false };
    covered[at] ^= change;
    true
}

/// True if changing one byte of `bytes` gives them the checksum `expected`.
pub fn is_one_byte_off(bytes: &[u8], expected: u32) -> bool {
    one_byte_change(bytes.len(), checksum(&[bytes]) ^ expected).is_some()
}

/// Which byte of `len`, and how it must be changed, for the checksum of them all to change by
/// `difference`.
///
/// What a change of one byte does to a CRC depends on the byte's change and its distance from the
/// end alone. So the difference of the checksums is taken back byte by byte, and compared with the
/// differences that a last byte can make.
fn one_byte_change(len: usize, mut difference: u32) -> Option<(usize, u8)> {
    if difference == 0 {
        return None;
    }
    for at in (0..len).rev() {
        // The only change of a last byte that makes this highest byte of a difference.
        let change = CHANGES[(difference >> 24) as usize];
        let of_last = DIFFERENCES[usize::from(change)];
        if difference == of_last {
            return Some((at, change));
        }
        difference = (difference ^ of_last) << 8 | u32::from(change);
    }
    None
}

/// By how much each change of the last byte changes the checksum.
const DIFFERENCES: [u32; 256] = {
    let mut table = [0_u32; 256];
    let mut change = 0_u32;
    while change < 256 {
        let mut bits = change;
        let mut left = 8;
        while left > 0 {
            bits = if bits & 1 == 0 { bits >> 1 } else { bits >> 1 ^ 0xEDB8_8320 };
            left -= 1;
        }
        table[change as usize] = bits;
        change += 1;
    }
    table
};

/// Which change of the last byte makes a difference with that highest byte.
const CHANGES: [u8; 256] = {
    let mut table = [0_u8; 256];
    let mut change = 0_u8;
    loop {
        table[(DIFFERENCES[change as usize] >> 24) as usize] = change;
        if change == u8::MAX {
            break table;
        }
        change += 1;
    }
};

/// The checksum of bytes that come piece by piece.
pub struct Running(Hasher);

impl Running {
    /// Nothing yet.
    pub fn new() -> Self {
        Self(EMPTY.clone())
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
    fn the_repair_of_one_byte_costs_about_as_much_as_a_checksum() {
        let mut bytes: Vec<u8> = (0..32).map(|byte| byte * 7).collect();
        let started = std::time::Instant::now();
        for round in 0..100_000_u32 {
            bytes[8..12].copy_from_slice(&round.to_le_bytes());
            let before = bytes.clone();
            if repair_one_byte(&[1, 2, 3], &mut bytes) {
                let changed = before.iter().zip(&bytes).filter(|(a, b)| a != b).count();
                assert_eq!(changed, 1);
            }
        }
        // By trial it took half a minute.
        assert!(started.elapsed().as_secs() < 3, "{:?}", started.elapsed());
    }

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
