//! Compaction: rewriting segments, to reclaim what is dead and to compress.

pub mod choice;
pub mod output;
pub mod compaction;
pub mod thinning;
pub mod sweep;
