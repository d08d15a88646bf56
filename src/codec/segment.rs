//! The header of a segment; records follow it, one after the other.
//!
//! | offset | size | field | meaning |
//! |---:|---:|---|---|
//! | 0 | 4 | checksum | of bytes 4 to 63 |
//! | 4 | 8 | magic | `hotcoldS` |
//! | 12 | 4 | version | of the format: 1 |
//! | 16 | 8 | id | the number in the file's name |
//! | 24 | 8 | seed | of the key hash; the same in all files of a store |
//! | 32 | 4 | kind | 1 log: records in the order of writing; 2 frozen: moved by compaction |
//! | 36 | 4 | previous | of a log: id of the log segment before it; 0 if that had been synced |
//! | 40 | 8 | created | milliseconds since the epoch |
//! | 48 | 8 | sequence floor | no sequence given out later is below it |
//! | 56 | 8 | previous end | length of the previous log segment |
//!
//! The checksum, the magic and the version keep their places in every version to come.
//!
//! # A real segment
//! A program stored `apple` = `red` and then `pear` = `green` with a time to live of an hour. It
//! deleted `apple`, and wrote a batch of `a` = `1` and `b` = (empty). This is the whole of its
//! `000001.seg`, 280 bytes, as they stand in the file.
//!
//! ```text
//!   0  de 3b b1 61                                      checksum of bytes 4 to 63
//!   4  68 6f 74 63 6f 6c 64 53                          magic "hotcoldS"
//!  12  01 00 00 00                                      format version 1
//!  16  01 00 00 00 00 00 00 00                          id 1
//!  24  7d fd 44 d5 fb 93 f5 0e                          seed of the key hash
//!  32  01 00 00 00                                      kind 1: log
//!  36  00 00 00 00                                      previous: none
//!  40  d8 44 65 05 a2 01 00 00                          created, ms since the epoch
//!  48  01 00 00 00 01 00 00 00                          sequence floor 2^32 + 1
//!  56  00 00 00 00 00 00 00 00                          length of the previous
//!
//!  64  5f c8 87 07                                      header checksum: of id 1, offset 64, bytes 68 to 95
//!  68  01                                               kind 1: value
//!  69  00                                               flags: no codec, does not expire
//!  70  05 00                                            key length 5
//!  72  03 00 00 00                                      stored length 3
//!  76  46 b9 33 cb                                      body checksum
//!  80  01 00 00 00 01 00 00 00                          sequence 2^32 + 1
//!  88  f0 cd 2f bd 71 dd 6d 1a                          hash of "apple"
//!  96  61 70 70 6c 65  72 65 64                         "apple" "red"; ends on a multiple of 8
//!
//! 104  4c df 9e f6  01  10                              checksum; value; flags 0x10: expires
//! 110  04 00  05 00 00 00  ad 13 5d 8b                  key length 4, stored length 5, body checksum
//! 120  02 00 00 00 01 00 00 00                          sequence 2^32 + 2
//! 128  2d fa 56 c0 79 ee f4 36                          hash of "pear"
//! 136  58 33 9c 05 a2 01 00 00                          expiry, ms since the epoch
//! 144  70 65 61 72  67 72 65 65 6e                      "pear" "green"
//! 153  00 00 00 00 00 00 00                             padding
//!
//! 160  f7 6a c7 3c  02  00                              checksum; kind 2: tombstone; no flags
//! 166  05 00  00 00 00 00  50 d0 2e a9                  key length 5, no value, body checksum
//! 176  03 00 00 00 01 00 00 00                          sequence 2^32 + 3
//! 184  f0 cd 2f bd 71 dd 6d 1a                          hash of "apple"
//! 192  61 70 70 6c 65  00 00 00                         "apple", padding
//!
//! 200  1a 97 98 01  01  40                              checksum; value; flags 0x40: chained to the next
//! 206  01 00  01 00 00 00  23 48 e1 6c                  key length 1, stored length 1, body checksum
//! 216  04 00 00 00 01 00 00 00                          sequence 2^32 + 4
//! 224  b6 61 e1 ad 4f 45 2c f1                          hash of "a"
//! 232  61  31  00 00 00 00 00 00                        "a" "1", padding
//!
//! 240  cc f7 e5 73  01  00                              checksum; value; flags 0: the batch ends here
//! 246  01 00  00 00 00 00  f9 ef be 71                  key length 1, empty value, body checksum
//! 256  05 00 00 00 01 00 00 00                          sequence 2^32 + 5
//! 264  57 2e fa f6 77 69 e3 36                          hash of "b"
//! 272  62  00 00 00 00 00 00 00                         "b", padding
//! ```
//!
//! In that store's `CHECKPOINT` the entry of `b` is the hash above and the location
//! `05 1e 00 00 00 00 00 00`: length class 5 (5 x 8 = 40 bytes), offset 0x1e x 8 = 240, row 0.
//!
//! Sequences begin at 2^32 + 1 because a directory without a manifest is given a range of sequences as a
//! margin: nobody knows how far an earlier one had been used.

use super::bytes::{put, u32_at, u64_at};
use super::checksum::{checksum, repair_one_byte};
use super::record::ALIGNMENT;
use super::version::{Decoded, FORMAT_VERSION};

/// Bytes of the header; the first record stands here.
pub const SEGMENT_HEADER_BYTES: usize = 64;

/// What the file says it is, behind its checksum.
pub const MAGIC: &[u8; 8] = b"hotcoldS";

/// The greatest id: the next segment names this one in four bytes.
pub const SEGMENT_ID_MAX: u64 = u32::MAX as u64;

/// The first offset at which no record can stand, however long the file is.
pub const SEGMENT_BYTES_MAX: u64 = ALIGNMENT << 32;

/// How the records of a segment came there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SegmentKind {
    /// Appended in the order of writing.
    Log = 1,
    /// Moved there by compaction.
    Frozen = 2,
}

/// What a segment says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentHeader {
    /// The segment's number.
    pub id: u64,
    /// Seed of the key hash.
    pub seed: u64,
    /// How its records came there.
    pub kind: SegmentKind,
    /// Milliseconds since the epoch.
    pub created_ms: u64,
    /// No sequence given out later is below it.
    pub sequence_floor: u64,
    /// Id and length of the log segment before this one, unless that had been synced when this
    /// was made: then its bytes need not be asked for to know that they reached the disk.
    pub previous: Option<(u32, u64)>,
}

impl SegmentHeader {
    /// The header as bytes.
    pub fn encode(&self) -> [u8; SEGMENT_HEADER_BYTES] {
        let mut bytes = [0; SEGMENT_HEADER_BYTES];
        put(&mut bytes, 4, MAGIC);
        put(&mut bytes, 12, &FORMAT_VERSION.to_le_bytes());
        put(&mut bytes, 16, &self.id.to_le_bytes());
        put(&mut bytes, 24, &self.seed.to_le_bytes());
        put(&mut bytes, 32, &(self.kind as u32).to_le_bytes());
        let (id, end) = self.previous.unwrap_or((0, 0));
        put(&mut bytes, 36, &id.to_le_bytes());
        put(&mut bytes, 56, &end.to_le_bytes());
        put(&mut bytes, 40, &self.created_ms.to_le_bytes());
        put(&mut bytes, 48, &self.sequence_floor.to_le_bytes());
        let sum = checksum(&[&bytes[4..]]);
        put(&mut bytes, 0, &sum.to_le_bytes());
        bytes
    }

    /// Reads a header; one damaged byte is put right.
    pub fn decode(bytes: &[u8]) -> Decoded<Self> {
        let mut copy = [0; SEGMENT_HEADER_BYTES];
        let Some(bytes) = bytes.get(..SEGMENT_HEADER_BYTES) else { return Decoded::Damaged };
        copy.copy_from_slice(bytes);
        let intact = u32_at(&copy, 0) == checksum(&[&copy[4..]]);
        if (!intact && !repair_one_byte(&[], &mut copy)) || &copy[4..12] != MAGIC {
            return Decoded::Damaged;
        }
        // A version that only a repair made newer is a damaged one.
        if u32_at(&copy, 12) != FORMAT_VERSION {
            return if intact { Decoded::Newer(u32_at(&copy, 12)) } else { Decoded::Damaged };
        }
        let kind = match u32_at(&copy, 32) {
            1 => SegmentKind::Log,
            2 => SegmentKind::Frozen,
            _ => return Decoded::Damaged,
        };
        Decoded::Valid(Self {
            id: u64_at(&copy, 16),
            seed: u64_at(&copy, 24),
            kind,
            created_ms: u64_at(&copy, 40),
            sequence_floor: u64_at(&copy, 48),
            previous: Some((u32_at(&copy, 36), u64_at(&copy, 56))).filter(|(id, _)| *id != 0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: SegmentHeader = SegmentHeader {
        id: 7,
        seed: 8,
        kind: SegmentKind::Frozen,
        created_ms: 9,
        sequence_floor: 10,
        previous: Some((6, 4096)),
    };

    #[test]
    fn any_one_damaged_byte_is_put_right_and_two_are_noticed() {
        let bytes = EXAMPLE.encode();
        assert_eq!(SegmentHeader::decode(&bytes), Decoded::Valid(EXAMPLE));
        for at in 0..bytes.len() {
            let mut damaged = bytes;
            damaged[at] ^= 0xff;
            assert_eq!(SegmentHeader::decode(&damaged), Decoded::Valid(EXAMPLE), "byte {at}");
            damaged[(at + 9) % bytes.len()] ^= 0x55;
            assert_eq!(SegmentHeader::decode(&damaged), Decoded::Damaged, "byte {at}");
        }
        assert_eq!(SegmentHeader::decode(&bytes[..63]), Decoded::Damaged);
    }

    #[test]
    fn a_newer_version_is_told_from_damage() {
        let mut bytes = EXAMPLE.encode();
        put(&mut bytes, 12, &2_u32.to_le_bytes());
        assert_eq!(SegmentHeader::decode(&bytes), Decoded::Valid(EXAMPLE));
        let sum = checksum(&[&bytes[4..]]);
        put(&mut bytes, 0, &sum.to_le_bytes());
        assert_eq!(SegmentHeader::decode(&bytes), Decoded::Newer(2));
    }
}
