//! The stage: the newest bytes of the log, in the file `STAGE`.
//!
//! | offset | size | field | meaning |
//! |---:|---:|---|---|
//! | 0 | 4 | checksum | of bytes 4 to 15 |
//! | 4 | 8 | magic | `hotcoldT` |
//! | 12 | 4 | version | of the format: 1 |
//! | 16 | 4080 | reserved | 0 |
//! | 4096 | 262144 | ring | the byte of the log segment at offset `n` stands at `4096 + n mod 262144` |
//!
//! It belongs to the last log segment, and matters only after the process has died: what stands in
//! the ring behind that segment's end was stored too. Nothing in it says how much that is. Records
//! carry their place in their checksum, so one that is left from an earlier turn of the ring, or of
//! another segment, does not verify.

use super::bytes::{put, u32_at};
use super::checksum::checksum;
use super::version::{Decoded, FORMAT_VERSION};

/// Bytes before the ring: a page, so that the ring's pages are the file's.
pub const STAGE_HEADER_BYTES: usize = 4096;

/// Bytes of the ring: a write of this many costs per byte a quarter of what one of 1 KiB does, and
/// is so seldom (once in 240 stores of 1 KiB) that the 99th percentile does not feel it.
pub const RING_BYTES: usize = 256 << 10;

/// Bytes of the file.
pub const STAGE_BYTES: usize = STAGE_HEADER_BYTES + RING_BYTES;

const MAGIC: &[u8; 8] = b"hotcoldT";

const HEAD_BYTES: usize = 16;

/// The first bytes of the file; all others before the ring are 0.
pub fn encode() -> [u8; HEAD_BYTES] {
    let mut bytes = [0; HEAD_BYTES];
    put(&mut bytes, 4, MAGIC);
    put(&mut bytes, 12, &FORMAT_VERSION.to_le_bytes());
    let sum = checksum(&[&bytes[4..]]);
    put(&mut bytes, 0, &sum.to_le_bytes());
    bytes
}

/// Checks the first bytes. If they are damaged, the ring is as good as that of a valid file.
pub fn decode(bytes: &[u8]) -> Decoded<()> {
    match bytes.get(..HEAD_BYTES) {
        Some(head) if u32_at(head, 0) == checksum(&[&head[4..]]) && &head[4..12] == MAGIC => {
            match u32_at(head, 12) {
                FORMAT_VERSION => Decoded::Valid(()),
                newer => Decoded::Newer(newer),
            }
        }
        _ => Decoded::Damaged,
    }
}

/// Where in the ring the byte of a segment at `offset` stands.
pub fn ring_index(offset: u64) -> usize {
    usize::try_from(offset % RING_BYTES as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_byte_is_noticed_and_a_newer_version_is_known() {
        let bytes = encode();
        assert_eq!(decode(&bytes), Decoded::Valid(()));
        for at in 0..bytes.len() {
            let mut damaged = bytes;
            damaged[at] ^= 0x10;
            assert_eq!(decode(&damaged), Decoded::Damaged);
            assert_eq!(decode(&bytes[..at]), Decoded::Damaged);
        }
        let mut newer = bytes;
        put(&mut newer, 12, &2_u32.to_le_bytes());
        let sum = checksum(&[&newer[4..]]);
        put(&mut newer, 0, &sum.to_le_bytes());
        assert_eq!(decode(&newer), Decoded::Newer(2));
    }
}
