//! Where a record lies, in one word: slot of the segment, offset, length class, and a mark.
//!
//! ```text
//! 63        41  40  39               8  7      0
//! | slot: 23  |read| offset / 8: 32   | class: 8 |
//! ```
//! The length is kept as a class: the least number of the form m * 2^s, m from 8 to 15, that
//! is not below it (at most an eighth too much), so that a retrieve needs one read and the keydir
//! needs no second word. Offset 0 is the segment's header, so no location is 0.

use crate::codec::record::ALIGNMENT;
use crate::codec::segment::SEGMENT_BYTES_MAX;

/// The greatest slot that fits.
pub const SLOT_MAX: u32 = (1 << 23) - 1;

/// The first offset that does not fit.
pub const OFFSET_LIMIT: u64 = SEGMENT_BYTES_MAX;

const READ: u64 = 1 << 40;

/// Where a record lies. The default is nowhere: no record has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Location(u64);

impl Location {
    /// The location of a record of `bytes` bytes; its `offset` and length are multiples of
    /// [`ALIGNMENT`].
    pub fn new(slot: u32, offset: u64, bytes: u64) -> Self {
        debug_assert!(
            slot <= SLOT_MAX && offset < OFFSET_LIMIT && offset.is_multiple_of(ALIGNMENT)
        );
        let class = u64::from(class(bytes / ALIGNMENT));
        Self(u64::from(slot) << 41 | (offset / ALIGNMENT) << 8 | class)
    }

    /// A location as the keydir and the checkpoint keep it.
    pub fn from_word(word: u64) -> Self {
        Self(word)
    }

    /// The location as one word.
    pub fn word(self) -> u64 {
        self.0
    }

    /// The slot of the segment.
    pub fn slot(self) -> u32 {
        u32::try_from(self.0 >> 41).unwrap_or(u32::MAX)
    }

    /// The record's first byte, counted from the start of the segment.
    pub fn offset(self) -> u64 {
        (self.0 >> 8 & u64::from(u32::MAX)) * ALIGNMENT
    }

    /// An upper bound of the record's length, at most an eighth above it.
    pub fn bytes_max(self) -> u64 {
        units(self.0 & 0xff) * ALIGNMENT
    }

    /// The same location in another slot.
    #[must_use]
    pub fn with_slot(self, slot: u32) -> Self {
        Self(self.0 & ((1 << 41) - 1) | u64::from(slot) << 41)
    }

    /// True if the record was read since it was written or last spared.
    pub fn is_read(self) -> bool {
        self.0 & READ != 0
    }

    /// The same location, marked as read or not.
    #[must_use]
    pub fn with_read(self, read: bool) -> Self {
        Self(if read { self.0 | READ } else { self.0 & !READ })
    }

    /// True if both are the same place, whether read or not.
    pub fn same_place(self, other: Self) -> bool {
        (self.0 ^ other.0) & !READ == 0
    }
}

fn class(units: u64) -> u8 {
    if units < 8 {
        return u8::try_from(units).unwrap_or(u8::MAX);
    }
    let mut shift = u64::from(60 - units.leading_zeros());
    let mut mantissa = units.div_ceil(1 << shift);
    if mantissa == 16 {
        (shift, mantissa) = (shift + 1, 8);
    }
    u8::try_from((shift + 1) * 8 + mantissa - 8).unwrap_or(u8::MAX)
}

fn units(class: u64) -> u64 {
    match class / 8 {
        0 => class,
        group => (8 + class % 8) << (group - 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Beyond the longest record there can be.
    const RECORD_BYTES_MAX: u64 = 33 << 27;

    #[test]
    fn a_length_is_never_told_too_short_and_at_most_an_eighth_too_long() {
        let mut bytes = 8_u64;
        while bytes < 2 * RECORD_BYTES_MAX {
            for length in [bytes, bytes + 8, 2 * bytes - 8] {
                let max = Location::new(0, 64, length).bytes_max();
                assert!(max >= length && max <= length + length / 8, "{length}: {max}");
            }
            bytes = (bytes * 9 / 8 + 8) / 8 * 8;
        }
    }

    #[test]
    fn every_part_comes_back() {
        let location = Location::new(SLOT_MAX, OFFSET_LIMIT - 8, 1 << 20);
        assert_eq!(location.slot(), SLOT_MAX);
        assert_eq!(location.offset(), OFFSET_LIMIT - 8);
        let read = location.with_read(true);
        assert!(read.is_read() && !location.is_read() && read.same_place(location));
        assert_eq!(read.with_slot(5).slot(), 5);
        assert_eq!(read.with_slot(5).offset(), location.offset());
        assert!(!read.with_slot(5).same_place(location));
    }
}
