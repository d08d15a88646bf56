//! A record: what is stored under a key on disk.
//!
//! | offset | size | field | meaning |
//! |---:|---:|---|---|
//! | 0 | 4 | header checksum | of the segment's id, the record's offset, and bytes 4 to 31 |
//! | 4 | 1 | kind | 1 value, 2 tombstone, 3 clear, 4 lost, 5 synced |
//! | 5 | 1 | flags | low four bits: codec of the value; 0x10 expires, 0x20 collides, 0x40 chained |
//! | 6 | 2 | key length | bytes |
//! | 8 | 4 | stored length | bytes of the value as it stands here |
//! | 12 | 4 | body checksum | of everything from byte 32 to the end of the value |
//! | 16 | 8 | sequence | the order of writes, and the version callers see; of a *synced* record: the id of the segment that was synced |
//! | 24 | 8 | hash | of the key; of a *synced* record: the offset up to which it was synced |
//! | 32 | 8 | expiry | only if *expires*: milliseconds since the epoch |
//! | | | key | key length bytes |
//! | | | value | stored length bytes; under a codec the raw length (4 bytes) comes first |
//! | | | padding | zeros up to a multiple of 8 |
//!
//! # Rules of validity
//! 1. The header checksum fits, which includes the place: a record copied or left elsewhere is not
//!    taken for one that belongs there.
//! 2. Kind, codec and flags are known; a tombstone has no value, a clear neither key nor value.
//! 3. The body checksum fits.
//!
//! *Collides* says that another live key had the same hash when this was written, so that recovery
//! has to compare keys where it otherwise need not. *Chained* says that the next record belongs to
//! the same batch. *Lost* stands for a record that was found damaged when it was to be moved:
//! its key goes on answering that it is corrupt. *Synced* says that its segment had
//! reached the disk up to an offset: damage there is no torn tail. If it names another segment,
//! because a new one was begun meanwhile, it says nothing.
//!
//! A *filler* is a tombstone with the sequence 0, which no write has: it stands where records were that
//! are dead or elsewhere by now, and deletes nothing. Its key is zeros, which may be a hole in the file.
//! While it is made they are not all zeros yet, so only its header is verified.
//!
//! # Example
//! Key `k`, value `v`, sequence 1, hash 2, at offset 64 of segment 1:
//! ```text
//! e7 1c cd aa 01 00 01 00 01 00 00 00 9a 74 b6 7e  header checksum, kind, flags, lengths, body
//! 01 00 00 00 00 00 00 00 02 00 00 00 00 00 00 00  sequence, hash
//! 6b 76 00 00 00 00 00 00                          key, value, padding
//! ```

use super::bytes::{put, u16_at, u32_at, u64_at};
use super::checksum::{checksum, repair_one_byte};

/// Bytes of a record's header.
pub const HEADER_BYTES: usize = 32;

/// The longest filler: its key has as many bytes as a key may have, and the next one is aligned.
pub const FILLER_BYTES_MAX: u64 = 64 << 10;

/// Every record begins at a multiple of this.
pub const ALIGNMENT: u64 = 8;

const CODEC_MASK: u8 = 0x0f;
const EXPIRES: u8 = 0x10;
const COLLIDES: u8 = 0x20;
const CHAINED: u8 = 0x40;
const RAW_LENGTH_BYTES: usize = 4;

/// What a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The key has this value.
    Value = 1,
    /// The key is deleted.
    Tombstone = 2,
    /// Every key is deleted.
    Clear = 3,
    /// The key had a value, which was damaged.
    Lost = 4,
    /// The segment had reached the disk up to some offset.
    Synced = 5,
}

/// Where a record stands; part of what its checksum covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The id of the segment.
    pub segment: u64,
    /// The record's first byte, counted from the start of the segment.
    pub offset: u64,
}

/// The fixed part of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the record says.
    pub kind: Kind,
    /// The codec of the stored value; 0 for none.
    pub codec: u8,
    /// An expiry precedes the key.
    pub expires: bool,
    /// Another live key had the same hash.
    pub collides: bool,
    /// The next record belongs to the same batch.
    pub chained: bool,
    /// Bytes of the key.
    pub key_len: u16,
    /// Bytes of the value as stored.
    pub stored_len: u32,
    /// Checksum of the body.
    pub body_checksum: u32,
    /// The order of writes.
    pub sequence: u64,
    /// The key's hash.
    pub hash: u64,
}

impl Header {
    /// The header of a record that has neither key nor value.
    pub fn bare(kind: Kind, sequence: u64, hash: u64) -> Self {
        Self {
            kind,
            codec: 0,
            expires: false,
            collides: false,
            chained: false,
            key_len: 0,
            stored_len: 0,
            body_checksum: body_checksum(&[]),
            sequence,
            hash,
        }
    }

    /// The header of a filler of that many bytes: a multiple of [`ALIGNMENT`], a header's at least and
    /// [`FILLER_BYTES_MAX`] at most.
    pub fn filler(bytes: u64) -> Self {
        // A key of zeros, in parts: as one run they would be a tenth of the library's file.
        static ZEROS: [u8; 4096] = [0; 4096];
        let key_len = u16::try_from(bytes.saturating_sub(HEADER_BYTES as u64)).unwrap_or(0);
        let (whole, rest) =
            (usize::from(key_len) / ZEROS.len(), usize::from(key_len) % ZEROS.len());
        let mut parts = [&ZEROS[..]; (u16::MAX as usize >> 12) + 1];
        parts[whole] = &ZEROS[..rest];
        let body_checksum = body_checksum(&parts[..=whole]);
        Self { key_len, body_checksum, ..Self::bare(Kind::Tombstone, 0, 0) }
    }

    /// True if it only stands where other records were.
    pub fn is_filler(&self) -> bool {
        self.kind == Kind::Tombstone && self.sequence == 0
    }

    /// The header as bytes.
    pub fn encode(&self, place: Place) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        let flags = [(self.expires, EXPIRES), (self.collides, COLLIDES), (self.chained, CHAINED)];
        bytes[4] = self.kind as u8;
        bytes[5] =
            flags.iter().fold(self.codec, |sum, (set, bit)| sum | if *set { *bit } else { 0 });
        put(&mut bytes, 6, &self.key_len.to_le_bytes());
        put(&mut bytes, 8, &self.stored_len.to_le_bytes());
        put(&mut bytes, 12, &self.body_checksum.to_le_bytes());
        put(&mut bytes, 16, &self.sequence.to_le_bytes());
        put(&mut bytes, 24, &self.hash.to_le_bytes());
        let sum = checksum(&[&prefix(place), &bytes[4..]]);
        put(&mut bytes, 0, &sum.to_le_bytes());
        bytes
    }

    /// The header that stands at `place`, or `None` if these bytes are not one.
    pub fn decode(bytes: &[u8], place: Place) -> Option<Self> {
        let bytes = bytes.get(..HEADER_BYTES)?;
        if u32_at(bytes, 0) != checksum(&[&prefix(place), &bytes[4..]]) {
            return None;
        }
        let flags = bytes[5];
        let header = Self {
            kind: kind(bytes[4])?,
            codec: flags & CODEC_MASK,
            expires: flags & EXPIRES != 0,
            collides: flags & COLLIDES != 0,
            chained: flags & CHAINED != 0,
            key_len: u16_at(bytes, 6),
            stored_len: u32_at(bytes, 8),
            body_checksum: u32_at(bytes, 12),
            sequence: u64_at(bytes, 16),
            hash: u64_at(bytes, 24),
        };
        let has_value = matches!(header.kind, Kind::Value);
        let has_key = matches!(header.kind, Kind::Value | Kind::Tombstone);
        let known = flags & !(CODEC_MASK | EXPIRES | COLLIDES | CHAINED) == 0;
        let lengths = (has_value || header.stored_len == 0) && (has_key || header.key_len == 0);
        (known && lengths).then_some(header)
    }

    /// As [`Header::decode`], but survives the change of any one byte.
    pub fn decode_damaged(bytes: &[u8], place: Place) -> Option<Self> {
        Self::decode(bytes, place).or_else(|| {
            let mut copy = [0; HEADER_BYTES];
            copy.copy_from_slice(bytes.get(..HEADER_BYTES)?);
            repair_one_byte(&prefix(place), &mut copy);
            Self::decode(&copy, place)
        })
    }

    /// Bytes between the header and the padding.
    pub fn body_bytes(&self) -> usize {
        self.expiry_bytes() + usize::from(self.key_len) + self.stored_len as usize
    }

    /// Bytes of the whole record, padding included.
    pub fn record_bytes(&self) -> u64 {
        (HEADER_BYTES as u64 + self.body_bytes() as u64).next_multiple_of(ALIGNMENT)
    }

    /// Where in the record the key stands.
    pub fn key_start(&self) -> usize {
        HEADER_BYTES + self.expiry_bytes()
    }

    /// Where in the record the stored value stands.
    pub fn value_start(&self) -> usize {
        self.key_start() + usize::from(self.key_len)
    }

    /// True if `body` (what follows the header, without the padding) is what was written.
    pub fn fits_body(&self, body: &[u8]) -> bool {
        body.len() == self.body_bytes() && checksum(&[body]) == self.body_checksum
    }

    /// The expiry (milliseconds since the epoch, 0 for never), of a record whose first bytes are
    /// given, at least up to the key.
    pub fn expires_at(&self, record: &[u8]) -> u64 {
        if self.expires { u64_at(record, HEADER_BYTES) } else { 0 }
    }

    fn expiry_bytes(&self) -> usize {
        if self.expires { 8 } else { 0 }
    }
}

/// Splits a value that is stored under a codec into its raw length and the compressed bytes;
/// `None` if the length is impossible.
pub fn split_compressed(stored: &[u8]) -> Option<(usize, &[u8])> {
    let (_, compressed) = stored.split_at_checked(RAW_LENGTH_BYTES)?;
    let raw = u32_at(stored, 0) as usize;
    // Nothing shrinks by more than this under any codec that is in use: in deflate two bits stand
    // for 258 bytes at most.
    (raw / 1_032 <= compressed.len()).then_some((raw, compressed))
}

/// The checksum of a body that consists of `parts`.
pub fn body_checksum(parts: &[&[u8]]) -> u32 {
    checksum(parts)
}

fn prefix(place: Place) -> [u8; 16] {
    let mut bytes = [0; 16];
    put(&mut bytes, 0, &place.segment.to_le_bytes());
    put(&mut bytes, 8, &place.offset.to_le_bytes());
    bytes
}

fn kind(byte: u8) -> Option<Kind> {
    [Kind::Value, Kind::Tombstone, Kind::Clear, Kind::Lost, Kind::Synced]
        .into_iter()
        .find(|kind| *kind as u8 == byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place = Place { segment: 1, offset: 64 };

    fn example() -> Header {
        Header {
            kind: Kind::Value,
            codec: 0,
            expires: false,
            collides: false,
            chained: false,
            key_len: 1,
            stored_len: 1,
            body_checksum: body_checksum(&[b"k", b"v"]),
            sequence: 1,
            hash: 2,
        }
    }

    #[test]
    fn the_worked_example_is_what_is_written() {
        let hex: String = example().encode(PLACE).iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, "e71ccdaa01000100010000009a74b67e01000000000000000200000000000000");
    }

    #[test]
    fn decode_gives_back_what_was_encoded() {
        for bits in 0_u8..8 {
            let header = Header {
                expires: bits & 1 != 0,
                collides: bits & 2 != 0,
                chained: bits & 4 != 0,
                codec: 1,
                ..example()
            };
            assert_eq!(Header::decode(&header.encode(PLACE), PLACE), Some(header));
        }
    }

    #[test]
    fn decode_rejects_every_flipped_bit_and_any_other_place() {
        let bytes = example().encode(PLACE);
        for bit in 0..HEADER_BYTES * 8 {
            let mut damaged = bytes;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Header::decode(&damaged, PLACE), None, "bit {bit}");
        }
        assert_eq!(Header::decode(&bytes, Place { segment: 2, ..PLACE }), None);
        assert_eq!(Header::decode(&bytes, Place { offset: 72, ..PLACE }), None);
        assert_eq!(Header::decode(&bytes[..31], PLACE), None);
    }

    #[test]
    fn any_one_damaged_byte_of_a_header_is_put_right() {
        let bytes = example().encode(PLACE);
        for at in 0..HEADER_BYTES {
            for mask in [0x01, 0x80, 0xff] {
                let mut damaged = bytes;
                damaged[at] ^= mask;
                assert_eq!(Header::decode_damaged(&damaged, PLACE), Some(example()), "byte {at}");
            }
        }
        let mut two = bytes;
        two[0] ^= 0xff;
        two[20] ^= 0xff;
        assert_eq!(Header::decode_damaged(&two, PLACE), None);
    }
}
