//! The keys that were hot, the most recently used first, in the file `WARM`.
//!
//! | offset | size | field | meaning |
//! |---:|---:|---|---|
//! | 0 | 4 | checksum | of everything behind it |
//! | 4 | 8 | magic | `hotcoldW` |
//! | 12 | 4 | version | of the format: 1 |
//! | 16 | | keys | each its length (2 bytes) and its bytes |
//!
//! It is derived and may be lost: a store that cannot read it begins cold.

use super::bytes::{u16_at, u32_at};
use super::checksum::checksum;
use super::version::FORMAT_VERSION;
use crate::error::Result;
use crate::memory;

const MAGIC: &[u8; 8] = b"hotcoldW";

const HEAD_BYTES: usize = 16;

/// The keys as bytes.
///
/// # Errors
/// `OutOfMemory`.
pub fn encode<K: AsRef<[u8]>>(keys: impl Iterator<Item = K>) -> Result<Vec<u8>> {
    let mut bytes = vec![0; 4];
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
    for key in keys {
        let key = key.as_ref();
        let Ok(length) = u16::try_from(key.len()) else { continue };
        memory::grow(&mut bytes, 2 + key.len(), "the list of hot keys")?;
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(key);
    }
    let sum = checksum(&[&bytes[4..]]);
    bytes[..4].copy_from_slice(&sum.to_le_bytes());
    Ok(bytes)
}

/// The keys, or `None` if the bytes are damaged or of another version, or there is no memory for the
/// list.
pub fn decode(bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let (head, mut rest) = bytes.split_at_checked(HEAD_BYTES)?;
    let is_valid = u32_at(head, 0) == checksum(&[&bytes[4..]])
        && &head[4..12] == MAGIC
        && u32_at(head, 12) == FORMAT_VERSION;
    let mut keys = Vec::new();
    while is_valid && rest.len() >= 2 {
        let length = usize::from(u16_at(rest, 0));
        let (key, behind) = rest[2..].split_at_checked(length)?;
        keys.try_reserve(1).ok()?;
        keys.push(key);
        rest = behind;
    }
    is_valid.then_some(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_back_in_order_and_damage_is_noticed() {
        let keys: [&[u8]; 3] = [b"first", b"", &[7; 65_535]];
        let bytes = encode(keys.into_iter()).unwrap();
        assert_eq!(decode(&bytes).unwrap(), keys);
        for at in [0, 4, 12, 16, 30, bytes.len() - 1] {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert!(decode(&damaged).is_none(), "byte {at}");
            assert!(decode(&bytes[..at]).is_none(), "cut at {at}");
        }
    }
}
