//! Which segments are worth rewriting: questions about tallies, which change nothing.
//!
//! In this order, because what is dead need not be compressed:
//! 1. the segment with the greatest dead share, if that is half or more, or if 35 % of all bytes
//!    are dead; a segment in which next to nothing lives counts as half dead earlier;
//! 2. a sealed log segment, which is not compressed yet;
//! 3. frozen segments below an eighth of the longest one, when there are eight;
//! 4. a segment that lacks records.

use crate::codec::segment::{SEGMENT_HEADER_BYTES, SegmentKind};
use crate::cold::local::segment::segment::Segment;
use std::sync::Arc;

/// A segment is rewritten once this share of it is dead, in percent.
const DEAD_PERCENT: u64 = 50;

/// Once this share of all segments is dead, in percent, the one with most is rewritten.
const DEAD_PERCENT_TOTAL: u64 = 35;

/// A segment of which less than this share lives is rewritten once this share of it is dead: the rest
/// are tombstones, and they may wait for each other.
const HUSK_SHARE: u64 = 8;

/// Frozen segments below an eighth of the full length are joined when there are this many.
const SMALL_SEGMENTS: usize = 8;

/// The segments among which to choose, and all there are.
pub struct Candidates {
    /// Sealed, and not being written by compaction.
    pub rewritable: Vec<Arc<Segment>>,
    /// All of them: dead values may be in any.
    pub all: Vec<Arc<Segment>>,
    /// Whether log segments are rewritten only to be compressed.
    pub freezes: bool,
    /// Bytes that may be written.
    pub room: u64,
    /// Records up to this sequence were cleared.
    pub cleared: u64,
}

impl Candidates {
    /// The segment that is most worth rewriting, if any is.
    pub fn best(&self) -> Option<&Arc<Segment>> {
        let states: Vec<_> = self.rewritable.iter().map(|s| (self.dead_bytes(s), s)).collect();
        let dead: u64 = states.iter().map(|(dead, _)| dead).sum();
        let total: u64 = states.iter().map(|(_, segment)| segment.end()).sum();
        let over = dead * 100 > total * DEAD_PERCENT_TOTAL;
        let deadest = states
            .iter()
            .filter(|(dead, s)| *dead > 0 && self.fits(s))
            .filter(|(dead, s)| over || dead * 100 >= s.end() * DEAD_PERCENT || is_husk(s, *dead))
            .max_by_key(|(dead, segment)| dead * 1_000 / segment.end().max(1))
            .map(|(_, segment)| *segment);
        // Space first: what is dead need not be compressed.
        let lacking = || self.rewritable.iter().find(|segment| segment.lacks());
        deadest.or_else(|| self.unfrozen()).or_else(|| self.small()).or_else(lacking)
    }

    /// The segment by whose rewriting most of its length comes free, and a `share`th of it at least.
    pub fn most_freeing(&self, share: u64) -> Option<&Arc<Segment>> {
        let states = self.rewritable.iter().map(|s| (self.dead_bytes(s), s));
        states
            .filter(|(dead, s)| *dead > 0 && dead.saturating_mul(share) >= s.end() && self.fits(s))
            .max_by_key(|(dead, s)| (dead * 1_000 / s.end().max(1), *dead))
            .map(|(_, segment)| segment)
    }

    /// The segment in which most is dead, and a `share`th of it at least, of those that there is no room
    /// to rewrite.
    pub fn most_thinnable(&self, share: u64) -> Option<&Arc<Segment>> {
        let states = self.rewritable.iter().map(|s| (self.dead_bytes(s), s));
        let is_wanted = |(dead, s): &(u64, &Arc<Segment>)| {
            *dead > 0 && dead.saturating_mul(share) >= s.room_bytes() && !self.fits(s)
        };
        states.filter(is_wanted).max_by_key(|(dead, _)| *dead).map(|(_, segment)| segment)
    }

    /// True if a `share`th of all is neither a value that lives nor a hole: dead, or a tombstone.
    pub fn wastes(&self, share: u64) -> bool {
        let all: u64 = self.rewritable.iter().map(|segment| segment.room_bytes()).sum();
        let live: u64 = self.rewritable.iter().map(|segment| segment.live_bytes_in_file()).sum();
        all.saturating_sub(live).saturating_mul(share) >= all
    }

    /// True if [`Candidates::most_freeing`] would give one if there was room for its output.
    pub fn has_dead(&self, share: u64) -> bool {
        let dead = |s: &Arc<Segment>| (self.dead_bytes(s), s.end());
        let mut all = self.rewritable.iter().map(dead);
        all.any(|(dead, end)| dead > 0 && dead.saturating_mul(share) >= end)
    }

    /// Everything that a full compaction rewrites at this moment; first what needs least room.
    pub fn everything(&self) -> Vec<Arc<Segment>> {
        let wanted = |segment: &&Arc<Segment>| {
            let tally = segment.tally();
            let has_dead = tally.values > segment.live().0;
            let is_empty = tally.values + tally.tombstones == 0;
            let is_unfrozen = self.freezes && is_log(segment);
            let droppable = tally.tombstones > 0 && is_over(segment, &self.all, self.cleared);
            is_unfrozen || has_dead || droppable || is_empty || segment.lacks()
        };
        let mut all: Vec<_> = self.rewritable.iter().filter(wanted).cloned().collect();
        // Each is asked once: what lives changes meanwhile, and a sort that sees it change panics.
        all.sort_by_cached_key(|segment| self.needed_bytes(segment));
        all
    }

    /// True if there is room for what rewriting would write.
    pub fn fits(&self, segment: &Segment) -> bool {
        self.needed_bytes(segment) <= self.room
    }

    /// What rewriting `segment` would write, at most.
    pub fn needed_bytes(&self, segment: &Segment) -> u64 {
        if keeps_nothing(segment, &self.all, self.cleared) {
            return 0;
        }
        let dead_values = segment.tally().value_bytes.saturating_sub(segment.live().1);
        // Locations say up to an eighth too much.
        segment.room_bytes().saturating_sub(dead_values / 9 * 8)
    }

    /// What rewriting `segment` would free, about.
    pub fn dead_bytes(&self, segment: &Segment) -> u64 {
        if keeps_nothing(segment, &self.all, self.cleared) {
            return segment.room_bytes();
        }
        let tally = segment.tally();
        let dead_values = tally.value_bytes.saturating_sub(segment.live().1);
        let records = segment.room_bytes().saturating_sub(SEGMENT_HEADER_BYTES as u64);
        let others = records.saturating_sub(tally.value_bytes);
        match tally.tombstones > 0 && is_over(segment, &self.all, self.cleared) {
            true => dead_values + others,
            false => dead_values,
        }
    }

    fn unfrozen(&self) -> Option<&Arc<Segment>> {
        let mut all = self.rewritable.iter();
        all.find(|segment| self.freezes && is_log(segment) && self.fits(segment))
    }

    fn small(&self) -> Option<&Arc<Segment>> {
        let longest = self.rewritable.iter().map(|segment| segment.end()).max()?;
        let mut small =
            self.rewritable.iter().filter(|s| !is_log(s) && s.end() < longest / 8 && self.fits(s));
        let first = small.next();
        first.filter(|_| small.count() + 1 >= SMALL_SEGMENTS)
    }
}

fn is_log(segment: &Segment) -> bool {
    segment.header().kind == SegmentKind::Log
}

/// True if nothing is left that a tombstone of that sequence, in `holder`, has to outlive.
pub fn can_drop(holder: &Segment, all: &[Arc<Segment>], sequence: u64) -> bool {
    !all.iter()
        .filter(|segment| segment.id() != holder.id())
        .any(|segment| segment.has_dead_values_before(sequence))
}

/// True if no tombstone of `holder` has anything left to outlive, or a clear does it for them.
fn is_over(holder: &Segment, all: &[Arc<Segment>], cleared: u64) -> bool {
    let sequence = holder.tally().max_sequence;
    sequence < cleared || can_drop(holder, all, sequence)
}

/// True if nothing of `segment` has to be copied.
pub fn keeps_nothing(segment: &Segment, all: &[Arc<Segment>], cleared: u64) -> bool {
    segment.live().0 == 0 && (segment.tally().tombstones == 0 || is_over(segment, all, cleared))
}

/// True if next to nothing lives in a segment, and what is dead is worth a rewriting.
fn is_husk(segment: &Segment, dead: u64) -> bool {
    let (live, live_bytes) = segment.live();
    live == 0 || (live_bytes * HUSK_SHARE < segment.end() && dead * HUSK_SHARE >= segment.end())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::checkpoint::Tally;
    use crate::codec::segment::SegmentHeader;
    use crate::cold::local::index::location::Location;
    use crate::cold::local::segment::segment::{Segments, empty_tally};
    use std::path::Path;
    use std::thread;

    const RECORD_BYTES: u64 = 4096;

    /// Log segments of so many records, of which about half live.
    fn segments(count: u64, records: u64) -> Vec<Arc<Segment>> {
        let segments = Segments::new();
        for id in 1..=count {
            let header = SegmentHeader {
                id,
                seed: 0,
                kind: SegmentKind::Log,
                previous: None,
                created_ms: 0,
                sequence_floor: 0,
            };
            let segment = segments.add_gone(header, Path::new("")).unwrap();
            let (values, value_bytes) = (records, records * RECORD_BYTES);
            let end = value_bytes + SEGMENT_HEADER_BYTES as u64;
            segment.set_tally(Tally { values, value_bytes, end, ..empty_tally() });
            (0..(id * 7 % records)).for_each(|_| segment.add_live(location(&segment)));
        }
        segments.all()
    }

    fn location(segment: &Segment) -> Location {
        Location::new(segment.slot(), 64, RECORD_BYTES)
    }

    #[test]
    fn segments_are_ordered_while_others_change_what_lives_in_them() {
        let all = segments(100, 40);
        let candidates = Candidates {
            rewritable: all.clone(),
            all: Vec::new(),
            freezes: true,
            room: u64::MAX,
            cleared: 0,
        };
        let order = || (0..5_000).all(|_| candidates.everything().len() == all.len());
        thread::scope(|scope| {
            let ordering = scope.spawn(order);
            while !ordering.is_finished() {
                all.iter().for_each(|s| s.add_live(location(s)));
                all.iter().for_each(|s| s.remove_live(location(s)));
            }
            assert!(ordering.join().unwrap());
        });
    }
}
