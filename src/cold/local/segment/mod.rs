//! Segments: files of records, and reading what is in them.

pub mod segment_file;
pub mod segment;
pub mod read;
pub mod scan;
