//! The cold tier: records in segments on disk, found through a keydir in memory.
//!
//! ```text
//! append -> log (active segment) -> sealed -> rewritten by compaction: frozen -> ... -> removed
//!              \-- keydir: hash -> location --/
//! ```
//! It knows keys, records and files, and nothing of the hot tier or of why something is written.
//! Whoever writes holds a lock on the key's hash from [`Local::look`] to [`Local::publish`]; the
//! store above has those locks, because it has to change both tiers at one instant.

pub mod index;
pub mod segment;
pub mod log;
pub mod recovery;
pub mod compaction;
pub mod tier;
pub mod open;
pub mod lookup;
pub mod change;
pub mod syncing;
pub mod time;
pub mod rewriting;
pub mod room;
pub mod maintenance;
pub mod verify;
pub mod backup;
pub mod hot_keys;
pub mod gauges;
pub mod cold_tier;

#[cfg(test)]
pub mod tests;

pub use self::open::Exposed;
pub use self::tier::{Local, LocalOptions};
pub use crate::codec::compress::Compression;
