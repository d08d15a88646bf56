//! A record as the engine of a shared cold tier keeps it under its key.
//!
//! | offset | size | field | meaning |
//! |---:|---:|---|---|
//! | 0 | 4 | checksum | CRC-32 of the key and of everything from byte 4 on |
//! | 4 | 2 | magic | `HC` |
//! | 6 | 1 | format | 1 |
//! | 7 | 1 | codec | of the value: 0 none, 1 deflate; the same numbers as on disk |
//! | 8 | 8 | version | which callers see; no other record of any key has it |
//! | 16 | 8 | expiry | milliseconds since the epoch; 0 for never |
//! | 24 | 4 | raw length | bytes of the value as callers have it |
//! | 28 | | value | to the end; as many bytes as the raw length under codec 0 |
//!
//! All numbers are little-endian. A value is compressed before it is sent if it has 2 KiB or more
//! and becomes shorter: below that a packet carries it anyway.
//!
//! # Rules of validity
//! 1. The checksum fits, which includes the key: a record that was copied to another key is damaged.
//! 2. A record whose checksum fits and whose format is newer is `Unsupported`; all else that is not a
//!    record is `Corrupt`.
//! 3. The raw length is at most 1032 times the stored one, the most that deflate can do: whoever
//!    reads allocates no more than that.
//!
//! # Example
//! Key `k`, value `v`, version 2, expiry 3:
//! ```text
//! e9 88 02 ec 48 43 01 00 02 00 00 00 00 00 00 00  checksum, magic, format, codec, version
//! 03 00 00 00 00 00 00 00 01 00 00 00 76           expiry, raw length, value
//! ```

use super::bytes::{put, u32_at, u64_at};
use super::checksum::checksum;
use super::compress::{Compressor, decompress};
use crate::buffer::Buffer;
use crate::error::{Error, ErrorKind, Result};
use crate::memory;

/// Bytes in front of the value.
pub const HEADER_BYTES: usize = 28;

/// Values that are shorter are sent as they are.
pub const COMPRESSED_MIN: usize = 2 << 10;

const MAGIC: &[u8; 2] = b"HC";

const FORMAT: u8 = 1;

const NO_CODEC: u8 = 0;

/// The most that deflate makes of a byte.
const RATIO_MAX: usize = 1032;

const WHAT: &str = "a record";

/// What stands in front of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The version.
    pub version: u64,
    /// Milliseconds since the epoch; 0 for never.
    pub expires_at: u64,
    codec: u8,
    raw_len: usize,
}

/// The record of `value` under `key`, compressed if `compressor` makes it shorter.
///
/// # Errors
/// `OutOfMemory`; `Internal` if the codec fails.
#[cold]
pub fn encode(
    key: &[u8],
    value: &[u8],
    version: u64,
    expires_at: u64,
    compressor: &mut Compressor,
) -> Result<Vec<u8>> {
    let mut bytes = memory::zeros(HEADER_BYTES, WHAT)?;
    let is_shorter = value.len() >= COMPRESSED_MIN && compressor.compress(value, &mut bytes)?;
    if !is_shorter {
        memory::grow(&mut bytes, value.len(), WHAT)?;
        bytes.extend_from_slice(value);
    }
    put(&mut bytes, 4, MAGIC);
    put(&mut bytes, 6, &[FORMAT, if is_shorter { compressor.codec() } else { NO_CODEC }]);
    put(&mut bytes, 8, &version.to_le_bytes());
    put(&mut bytes, 16, &expires_at.to_le_bytes());
    // The limit of a value was checked at the door.
    put(&mut bytes, 24, &u32::try_from(value.len()).unwrap_or(u32::MAX).to_le_bytes());
    let sum = checksum(&[key, &bytes[4..]]);
    put(&mut bytes, 0, &sum.to_le_bytes());
    Ok(bytes)
}

/// The header of the record that an engine has under `key`, once the record is checked.
///
/// # Errors
/// `Corrupt` if it is none; `Unsupported` if a newer version wrote it.
#[cold]
pub fn check(key: &[u8], bytes: &[u8]) -> Result<Header> {
    let is_whole = bytes.len() >= HEADER_BYTES && u32_at(bytes, 0) == checksum(&[key, &bytes[4..]]);
    if !is_whole || &bytes[4..6] != MAGIC || bytes[6] == 0 {
        let sentence = "what the engine has under the key is no record of hotcold, or damaged; \
                        store the key anew, or delete it";
        return Err(Error::new(ErrorKind::Corrupt, sentence));
    }
    if bytes[6] > FORMAT {
        let sentence = format!(
            "the record has format {}, and this version reads {FORMAT}: use a newer one",
            bytes[6]
        );
        return Err(Error::new(ErrorKind::Unsupported, sentence));
    }
    let header = Header {
        version: u64_at(bytes, 8),
        expires_at: u64_at(bytes, 16),
        codec: bytes[7],
        raw_len: usize::try_from(u32_at(bytes, 24)).unwrap_or(usize::MAX),
    };
    let stored = bytes.len() - HEADER_BYTES;
    let fits = match header.codec {
        NO_CODEC => header.raw_len == stored,
        _ => header.raw_len / RATIO_MAX <= stored,
    };
    if !fits || header.version == 0 {
        let sentence = "the record at the engine contradicts itself; store the key anew";
        return Err(Error::new(ErrorKind::Corrupt, sentence));
    }
    Ok(header)
}

/// The key and its value in one buffer, of a record that was checked.
///
/// # Errors
/// `Corrupt`, `Unsupported` for the codec; `OutOfMemory`.
#[cold]
pub fn decode(key: &[u8], header: &Header, bytes: &[u8]) -> Result<Buffer> {
    let stored = bytes.get(HEADER_BYTES..).unwrap_or_default();
    if header.codec == NO_CODEC {
        return Buffer::from_parts(&[key, stored]);
    }
    let mut buffer = Buffer::zeroed(key.len() + header.raw_len)?;
    if let Some(all) = buffer.bytes_mut() {
        put(all, 0, key);
        decompress(header.codec, stored, &mut all[key.len()..])?;
    }
    Ok(buffer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::compress::Compression;

    fn record(value: &[u8], compression: Compression) -> Vec<u8> {
        encode(b"k", value, 2, 3, &mut Compressor::new(compression).unwrap()).unwrap()
    }

    fn value_of(key: &[u8], bytes: &[u8]) -> Result<Vec<u8>> {
        let header = check(key, bytes)?;
        assert_eq!((header.version, header.expires_at), (2, 3));
        Ok(decode(key, &header, bytes)?.bytes()[key.len()..].to_vec())
    }

    #[test]
    fn a_record_is_written_as_the_table_says() {
        let bytes = record(b"v", Compression::None);
        let text = include_str!("remote.rs");
        let example: String = text
            .lines()
            .skip_while(|line| !line.contains("```text"))
            .skip(1)
            .take(2)
            .map(|line| line[4..52].to_owned() + " ")
            .collect();
        let example: Vec<u8> =
            example.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
        assert_eq!(bytes, example, "{bytes:02x?}");
        assert_eq!(value_of(b"k", &bytes).unwrap(), b"v");
    }

    #[test]
    fn a_long_value_is_compressed_if_that_makes_it_shorter() {
        let long = vec![b'a'; 100_000];
        let bytes = record(&long, Compression::Deflate(6));
        assert!(bytes.len() < 1_000);
        assert_eq!(value_of(b"k", &bytes).unwrap(), long);
        let short = record(&long[..COMPRESSED_MIN - 1], Compression::Deflate(6));
        assert_eq!(short.len(), HEADER_BYTES + COMPRESSED_MIN - 1);
        let random: Vec<u8> =
            (0_u32..5_000).map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()[3]).collect();
        for value in [&random[..], b""] {
            let bytes = record(value, Compression::None);
            assert_eq!(bytes.len(), HEADER_BYTES + value.len());
            assert_eq!(value_of(b"k", &bytes).unwrap(), value);
        }
    }

    #[test]
    fn what_is_no_record_of_the_key_is_corrupt_and_allocates_nothing() {
        let bytes = record(&[b'a'; 5_000], Compression::Deflate(6));
        let kind = |key: &[u8], bytes: &[u8]| value_of(key, bytes).unwrap_err().kind();
        assert_eq!(kind(b"l", &bytes), ErrorKind::Corrupt);
        assert_eq!(kind(b"k", b"foreign"), ErrorKind::Corrupt);
        assert_eq!(kind(b"k", b""), ErrorKind::Corrupt);
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            assert_eq!(kind(b"k", &damaged), ErrorKind::Corrupt);
            assert_eq!(kind(b"k", &bytes[..at]), ErrorKind::Corrupt);
        }
        // With a checksum that fits: what a record claims is compared with what it has.
        let sealed = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes = bytes.clone();
            change(&mut bytes);
            let sum = checksum(&[b"k", &bytes[4..]]);
            put(&mut bytes, 0, &sum.to_le_bytes());
            bytes
        };
        let huge = sealed(&|bytes| put(bytes, 24, &u32::MAX.to_le_bytes()));
        assert_eq!(kind(b"k", &huge), ErrorKind::Corrupt);
        assert_eq!(kind(b"k", &sealed(&|bytes| bytes[7] = 0)), ErrorKind::Corrupt);
        assert_eq!(kind(b"k", &sealed(&|bytes| bytes[7] = 9)), ErrorKind::Corrupt);
        assert_eq!(kind(b"k", &sealed(&|bytes| bytes.truncate(40))), ErrorKind::Corrupt);
        assert_eq!(kind(b"k", &sealed(&|bytes| put(bytes, 8, &[0; 8]))), ErrorKind::Corrupt);
        assert_eq!(kind(b"k", &sealed(&|bytes| bytes[6] = 0)), ErrorKind::Corrupt);
        assert_eq!(kind(b"k", &sealed(&|bytes| bytes[6] = 2)), ErrorKind::Unsupported);
        assert_eq!(kind(b"k", &sealed(&|bytes| bytes[7] = 2)), ErrorKind::Unsupported);
    }
}
