//! The index: from key hashes to the places of records, in memory.

pub mod location;
pub mod keydir;
