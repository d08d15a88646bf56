//! What lies on disk, byte by byte: records, segment headers, the manifest, the checkpoint, the
//! stage and the list of hot keys; and a record as the engine of a shared cold tier keeps it.
//!
//! These are pure functions between bytes and values. They know no file, no lock and no clock.
//!
//! # Rules of all formats
//! 1. Numbers are little-endian.
//! 2. A checksum stands first and covers everything behind it, lengths included.
//! 3. Checksum, magic and version stand at the same places in every file, in versions to come too.
//! 4. A number from the disk is compared with its limit before it is used for memory, time or
//!    arithmetic. The limits are the file's length, and the 32 GiB that a location can say. Segment
//!    ids end at 2^32 - 1 and sequences at 2^64 - 1; a store that has used them up says so and can
//!    still be read.
//!
//! # Versions
//! This library reads and writes version 1. A file of a newer version, whose checksum holds, is
//! refused and left untouched. A damaged file is never taken for a newer one.

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
