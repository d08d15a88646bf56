//! Which segments are worth rewriting: questions about tallies, which change nothing.

use super::segment::Segment;
use crate::codec::segment::{SEGMENT_HEADER_BYTES, SegmentKind};
use std::sync::Arc;

/// A segment is rewritten once this share of it is dead, in percent.
const DEAD_PERCENT: u64 = 50;

/// Once this share of all segments is dead, in percent, the one with most is rewritten.
const DEAD_PERCENT_TOTAL: u64 = 35;

/// Frozen segments below an eighth of the full length are joined when there are this many.
const SMALL_SEGMENTS: usize = 8;

/// The segments among which to choose, and all there are.
pub struct Field {
    /// Sealed, and not being written by compaction.
    pub rewritable: Vec<Arc<Segment>>,
    /// All of them: dead values may be in any.
    pub all: Vec<Arc<Segment>>,
    /// Whether log segments are rewritten only to be compressed.
    pub freezes: bool,
}

impl Field {
    /// The segment that is most worth rewriting, if any is.
    pub fn best(&self) -> Option<&Arc<Segment>> {
        let states: Vec<_> =
            self.rewritable.iter().map(|s| (dead_bytes(s, &self.all), s)).collect();
        let dead: u64 = states.iter().map(|(dead, _)| dead).sum();
        let total: u64 = states.iter().map(|(_, segment)| segment.end()).sum();
        let over = dead * 100 > total * DEAD_PERCENT_TOTAL;
        let deadest = states
            .iter()
            .max_by_key(|(dead, segment)| dead * 1_000 / segment.end().max(1))
            .filter(|(dead, s)| *dead > 0 && (over || dead * 100 >= s.end() * DEAD_PERCENT))
            .map(|(_, segment)| *segment);
        // Space first: what is dead need not be compressed.
        let lacking = || self.rewritable.iter().find(|segment| segment.lacks());
        deadest.or_else(|| self.unfrozen()).or_else(|| self.small()).or_else(lacking)
    }

    /// Everything that a full compaction rewrites at this moment.
    pub fn everything(&self) -> Vec<Arc<Segment>> {
        let wanted = |segment: &&Arc<Segment>| {
            let tally = segment.tally();
            let has_dead = tally.values > segment.live().0;
            let is_empty = tally.values + tally.tombstones == 0;
            let is_unfrozen = self.freezes && is_log(segment);
            let droppable =
                tally.tombstones > 0 && can_drop(segment, &self.all, tally.max_sequence);
            is_unfrozen || has_dead || droppable || is_empty || segment.lacks()
        };
        self.rewritable.iter().filter(wanted).cloned().collect()
    }

    fn unfrozen(&self) -> Option<&Arc<Segment>> {
        self.rewritable.iter().find(|segment| self.freezes && is_log(segment))
    }

    fn small(&self) -> Option<&Arc<Segment>> {
        let longest = self.rewritable.iter().map(|segment| segment.end()).max()?;
        let mut small = self.rewritable.iter().filter(|s| !is_log(s) && s.end() < longest / 8);
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

/// What rewriting `segment` would free, about.
fn dead_bytes(segment: &Segment, all: &[Arc<Segment>]) -> u64 {
    let tally = segment.tally();
    let (live, live_bytes) = segment.live();
    let dead_values = tally.value_bytes.saturating_sub(live_bytes);
    let others = tally.end.saturating_sub(SEGMENT_HEADER_BYTES as u64 + tally.value_bytes);
    if live == 0 && tally.tombstones == 0 {
        return segment.end();
    }
    match tally.tombstones > 0 && can_drop(segment, all, tally.max_sequence) {
        true => dead_values + others,
        false => dead_values,
    }
}
