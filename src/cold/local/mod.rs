//! The cold tier: records in segments on disk, found through a keydir in memory.
//!
//! ```text
//! append -> log (active segment) -> sealed -> rewritten by compaction: frozen -> ... -> removed
//!              \-- keydir: hash -> location --/
//! ```
//! It knows keys, records and files, and nothing of the hot tier or of why something is written.
//! Whoever writes holds a lock on the key's hash from [`Cold::look`] to [`Cold::publish`]; the
//! store above has those locks, because it has to change both tiers at one instant.

pub mod index;
pub mod segment;
pub mod log;
pub mod recovery;
pub mod compaction;
pub mod backup;
pub mod tier;
pub mod lookup;
pub mod change;
pub mod upkeep;
pub mod verify;
pub mod room;
pub mod warm;

#[cfg(test)]
mod tests;

pub use self::change::{Change, Current};
pub use self::compaction::compaction::{Departed, Departure, Host, Rewritten};
pub use self::index::location::Location;
pub use self::lookup::Held;
pub use self::recovery::contents::{check as check_contents, check_empty};
pub use self::room::Want;
pub use self::segment::read::Found;
pub use self::tier::{Cold, ColdOptions};
pub use crate::codec::compress::Compression;
