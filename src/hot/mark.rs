//! What the frequency policy keeps of an entry, in the one number that a slot has for its policy.

use super::history::{COUNT_MAX, aged};
use super::mini::ROUNDS_MAX;

/// From the lowest bit: uses since the entry last moved (2 bits), whether it is in main (1), how often
/// it was used (4) by which epoch (4), and when it last moved.
const MAIN: u64 = 1 << 2;
const COUNT_SHIFT: u32 = 3;
const EPOCH_SHIFT: u32 = 7;
const STAMP_SHIFT: u32 = 11;

const USES_MASK: u64 = MAIN - 1;
const COUNT_MASK: u64 = 15;

/// The number. The greater it is, the later the entry moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark(pub(super) u64);

impl Mark {
    /// That of an entry that has just moved to the front.
    pub(super) fn new(stamp: u64, in_main: bool, count: u8, epoch: u32) -> Self {
        let main = if in_main { MAIN } else { 0 };
        let bits = main | u64::from(count.min(COUNT_MAX)) << COUNT_SHIFT;
        Self(stamp << STAMP_SHIFT | (u64::from(epoch) & COUNT_MASK) << EPOCH_SHIFT | bits)
    }

    /// When the entry last moved.
    pub(super) fn stamp(self) -> u64 {
        self.0 >> STAMP_SHIFT
    }

    pub(super) fn in_main(self) -> bool {
        self.0 & MAIN != 0
    }

    /// Uses since the entry last moved, as far as they are counted.
    pub(super) fn uses(self) -> u8 {
        low_bits(self.0 & USES_MASK)
    }

    /// How often the entry was used of late.
    pub(super) fn count(self, epoch: u32) -> u8 {
        let counted = u32::from(low_bits(self.0 >> EPOCH_SHIFT & COUNT_MASK));
        aged(low_bits(self.0 >> COUNT_SHIFT & COUNT_MASK), counted, epoch)
    }

    /// The mark after a use.
    pub(super) fn used(self, epoch: u32) -> Self {
        let uses = u64::from((self.uses() + 1).min(ROUNDS_MAX));
        let moved = Self::new(self.stamp(), self.in_main(), self.count(epoch) + 1, epoch);
        Self(moved.0 | uses)
    }

    /// The mark after a move to the front of main, with so many uses left.
    pub(super) fn moved(self, stamp: u64, uses: u8, epoch: u32) -> Self {
        Self(Self::new(stamp, true, self.count(epoch), epoch).0 | u64::from(uses.min(ROUNDS_MAX)))
    }
}

fn low_bits(bits: u64) -> u8 {
    u8::try_from(bits & COUNT_MASK).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_keeps_its_parts_apart() {
        let mark = Mark::new((1 << 53) - 1, true, 200, 18);
        assert_eq!((mark.stamp(), mark.in_main(), mark.uses()), ((1 << 53) - 1, true, 0));
        assert_eq!((mark.count(18), mark.count(19), mark.count(22)), (15, 7, 0));
        let used = (0..5).fold(Mark::new(7, false, 1, 2), |mark, _| mark.used(2));
        assert_eq!((used.stamp(), used.in_main(), used.uses(), used.count(2)), (7, false, 3, 6));
        let moved = used.moved(9, 2, 3);
        assert_eq!((moved.stamp(), moved.in_main(), moved.uses(), moved.count(3)), (9, true, 2, 3));
    }
}
