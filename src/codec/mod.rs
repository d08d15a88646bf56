//! What lies on disk, byte by byte: records, segment headers, the manifest, the
//! checkpoint, the stage and the list of hot keys; and a record as a shared cold tier's engine has it.
//!
//! Pure functions between bytes and values; no file, lock or clock is known here. All numbers are
//! little-endian. A checksum stands first and covers everything behind it, lengths included; a
//! length is compared with its limit before it is used.
//!
//! # Versions
//! Every file carries the version of its format at the same place. A file of a newer version,
//! whose checksum holds, is refused and left untouched; a damaged one is never taken for newer.

pub mod version;
pub mod bytes;
pub mod checksum;
pub mod compress;
pub mod record;
pub mod segment;
pub mod manifest;
pub mod checkpoint;
pub mod stage;
pub mod warm;
pub mod remote;
