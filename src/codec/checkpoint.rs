//! A checkpoint: the keydir and the tallies of the segments as they were at one moment, so that
//! opening is a bulk load. It is derived: if it is damaged, it can be made again from the records.
//!
//! The file `CHECKPOINT` is a head, the segment rows, and blocks of entries.
//!
//! | offset | size | field of the head | meaning |
//! |---:|---:|---|---|
//! | 0 | 4 | checksum | of bytes 4 to 79, and of the rows |
//! | 4 | 8 | magic | `hotcoldC` |
//! | 12 | 4 | version | of the format: 1 |
//! | 16 | 8 | seed | of the key hash |
//! | 24 | 8 | sequence | records with a lower one are accounted for |
//! | 32 | 8 | log segment | id of the segment that was active, 0 for none |
//! | 40 | 8 | log offset | up to here it is accounted for |
//! | 48 | 8 | clear sequence | records up to it were cleared |
//! | 56 | 8 | time | milliseconds since the epoch |
//! | 64 | 8 | segments | number of rows |
//! | 72 | 8 | entries | number of entries in all blocks |
//!
//! A row has nine numbers of 8 bytes: the segment's id, its end, values, value bytes, least and
//! greatest sequence, tombstones, expiring values, soonest expiry (see [`Tally`]). A block has the
//! number of its entries (4 bytes), a checksum of the entries (4), and the entries, each a key hash
//! and a location (8 and 8; the location's segment is the index of a row), in the order of hashes.

use super::bytes::{put, u32_at, u64_at};
use super::checksum::checksum;
use super::record::ALIGNMENT;
use super::segment::{SEGMENT_BYTES_MAX, SEGMENT_ID_MAX};
use super::version::{Decoded, FORMAT_VERSION};

/// Bytes of the head.
pub const HEAD_BYTES: usize = 80;

/// Bytes of one row.
pub const ROW_BYTES: usize = 72;

/// Bytes before a block's entries.
pub const BLOCK_HEAD_BYTES: usize = 8;

/// Bytes of one entry.
pub const ENTRY_BYTES: usize = 16;

/// Entries in a block, but for the last: a block is read in one piece of 64 KiB.
pub const BLOCK_ENTRIES: usize = 4_095;

/// What the file says it is, behind its checksum.
pub const MAGIC: &[u8; 8] = b"hotcoldC";

/// The head of a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Seed of the key hash.
    pub seed: u64,
    /// Records with a lower sequence are accounted for.
    pub sequence: u64,
    /// The segment that was active.
    pub log_segment: u64,
    /// Up to here the active segment is accounted for.
    pub log_offset: u64,
    /// Records up to this sequence were cleared.
    pub clear_sequence: u64,
    /// When it was made, in milliseconds since the epoch.
    pub time_ms: u64,
    /// Number of rows.
    pub segments: u64,
    /// Number of entries.
    pub entries: u64,
}

/// What a segment holds, dead or alive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Bytes up to which records stand.
    pub end: u64,
    /// Number of values.
    pub values: u64,
    /// Their bytes, as locations tell them.
    pub value_bytes: u64,
    /// Least sequence of a value; `u64::MAX` if there is none.
    pub min_sequence: u64,
    /// Greatest sequence of any record.
    pub max_sequence: u64,
    /// Number of tombstones and clears.
    pub tombstones: u64,
    /// Number of values that expire.
    pub expiring: u64,
    /// The soonest expiry among them, in milliseconds since the epoch; `u64::MAX` if there is none.
    pub soonest_expiry: u64,
}

impl Tally {
    /// False if no segment has so much: then whoever wrote it cannot be believed in the rest either.
    pub fn is_possible(&self) -> bool {
        let records = SEGMENT_BYTES_MAX / ALIGNMENT;
        let counts = [self.values, self.tombstones, self.expiring];
        self.end <= SEGMENT_BYTES_MAX
            && self.value_bytes <= 2 * SEGMENT_BYTES_MAX
            && counts.iter().all(|count| *count <= records)
    }
}

impl Head {
    /// False if no store is like that.
    pub fn is_possible(&self) -> bool {
        self.log_segment <= SEGMENT_ID_MAX && self.log_offset <= SEGMENT_BYTES_MAX
    }

    /// The head as bytes; its checksum covers the encoded `rows` too.
    pub fn encode(&self, rows: &[u8]) -> [u8; HEAD_BYTES] {
        let mut bytes = [0; HEAD_BYTES];
        put(&mut bytes, 4, MAGIC);
        put(&mut bytes, 12, &FORMAT_VERSION.to_le_bytes());
        let numbers = [
            self.seed,
            self.sequence,
            self.log_segment,
            self.log_offset,
            self.clear_sequence,
            self.time_ms,
            self.segments,
            self.entries,
        ];
        for (index, number) in numbers.iter().enumerate() {
            put(&mut bytes, 16 + 8 * index, &number.to_le_bytes());
        }
        let sum = checksum(&[&bytes[4..], rows]);
        put(&mut bytes, 0, &sum.to_le_bytes());
        bytes
    }

    /// Reads the head's numbers, before the rows are there to check them. Only the magic and
    /// `segments`, so far, can be relied on, and that only to read that many rows.
    pub fn peek(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..HEAD_BYTES)?;
        let number = |index: usize| u64_at(bytes, 16 + 8 * index);
        (&bytes[4..12] == MAGIC).then(|| Self {
            seed: number(0),
            sequence: number(1),
            log_segment: number(2),
            log_offset: number(3),
            clear_sequence: number(4),
            time_ms: number(5),
            segments: number(6),
            entries: number(7),
        })
    }

    /// Checks head and rows together.
    pub fn decode(bytes: &[u8], rows: &[u8]) -> Decoded<Self> {
        let Some(head) = Self::peek(bytes) else { return Decoded::Damaged };
        if u32_at(bytes, 0) != checksum(&[&bytes[4..HEAD_BYTES], rows]) {
            return Decoded::Damaged;
        }
        match u32_at(bytes, 12) {
            FORMAT_VERSION => Decoded::Valid(head),
            version => Decoded::Newer(version),
        }
    }
}

/// Appends a row.
pub fn encode_row(id: u64, tally: &Tally, out: &mut Vec<u8>) {
    let numbers = [
        id,
        tally.end,
        tally.values,
        tally.value_bytes,
        tally.min_sequence,
        tally.max_sequence,
        tally.tombstones,
        tally.expiring,
        tally.soonest_expiry,
    ];
    for number in numbers {
        out.extend_from_slice(&number.to_le_bytes());
    }
}

/// Reads one row: the segment's id and what it holds.
pub fn decode_row(row: &[u8]) -> (u64, Tally) {
    let number = |index: usize| u64_at(row, 8 * index);
    let tally = Tally {
        end: number(1),
        values: number(2),
        value_bytes: number(3),
        min_sequence: number(4),
        max_sequence: number(5),
        tombstones: number(6),
        expiring: number(7),
        soonest_expiry: number(8),
    };
    (number(0), tally)
}

/// Appends a block of entries.
pub fn encode_block(entries: &[(u64, u64)], out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0; BLOCK_HEAD_BYTES]);
    for (hash, location) in entries {
        out.extend_from_slice(&hash.to_le_bytes());
        out.extend_from_slice(&location.to_le_bytes());
    }
    let count = u32::try_from(entries.len()).unwrap_or(u32::MAX);
    let sum = checksum(&[&count.to_le_bytes(), &out[start + BLOCK_HEAD_BYTES..]]);
    put(&mut out[start..], 0, &count.to_le_bytes());
    put(&mut out[start..], 4, &sum.to_le_bytes());
}

/// The number of entries that the block which begins with `head` claims to have, if that can be.
pub fn block_entries(head: &[u8]) -> Option<usize> {
    let count = u32_at(head, 0) as usize;
    (head.len() >= BLOCK_HEAD_BYTES && (1..=BLOCK_ENTRIES).contains(&count)).then_some(count)
}

/// Gives each entry of a whole block to `sink`; `false` if the block is damaged.
pub fn decode_block(block: &[u8], mut sink: impl FnMut(u64, u64)) -> bool {
    let Some((head, entries)) = block.split_at_checked(BLOCK_HEAD_BYTES) else { return false };
    if u32_at(head, 4) != checksum(&[&head[..4], entries]) {
        return false;
    }
    for entry in entries.chunks_exact(ENTRY_BYTES) {
        sink(u64_at(entry, 0), u64_at(entry, 8));
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn head_rows_and_blocks_come_back_and_every_flip_is_noticed() {
        let head = Head {
            seed: 1,
            sequence: 3,
            log_segment: 4,
            log_offset: 5,
            clear_sequence: 6,
            time_ms: 7,
            segments: 1,
            entries: 2,
        };
        let tally = Tally { end: 9, min_sequence: 3, soonest_expiry: u64::MAX, ..Tally::default() };
        let mut rows = Vec::new();
        encode_row(4, &tally, &mut rows);
        assert_eq!(rows.len(), ROW_BYTES);
        assert_eq!(decode_row(&rows), (4, tally));
        let bytes = head.encode(&rows);
        assert_eq!(Head::decode(&bytes, &rows), Decoded::Valid(head));
        for at in 0..HEAD_BYTES + ROW_BYTES {
            let (mut bytes, mut rows) = (bytes, rows.clone());
            if at < HEAD_BYTES {
                bytes[at] ^= 1
            } else {
                rows[at - HEAD_BYTES] ^= 1
            }
            assert_eq!(Head::decode(&bytes, &rows), Decoded::Damaged, "byte {at}");
        }

        let mut block = Vec::new();
        encode_block(&[(10, 11), (12, 13)], &mut block);
        assert_eq!(block_entries(&block), Some(2));
        let mut entries = Vec::new();
        assert!(decode_block(&block, |hash, location| entries.push((hash, location))));
        assert_eq!(entries, [(10, 11), (12, 13)]);
        for at in 0..block.len() {
            let mut damaged = block.clone();
            damaged[at] ^= 1;
            assert!(!decode_block(&damaged, |_, _| ()), "byte {at}");
        }
    }
}
