//! Copying a store in use to another directory.
//!
//! A segment's bytes never change once they are written, so a copy of every segment up to where it
//! ended at one moment is the store of that moment. Compaction is kept out meanwhile, so that none
//! of them goes away.

use super::log::sequences::{MANIFEST, MANIFEST_NEW, replace_file};
use super::segment::segment::{Segment, file_name};
use crate::codec::manifest::Manifest;
use crate::error::{Error, ErrorKind, Result};
use crate::io::files::Disk;
use crate::memory;
use std::sync::Arc;

/// Bytes that are copied at a time.
const CHUNK_BYTES: usize = 1 << 20;

/// Copies the segments, each up to the end that is given with it, and writes a manifest.
///
/// # Errors
/// `NoSpace`, `Io`: part of the copy is there.
pub fn copy(dest: &dyn Disk, segments: &[(Arc<Segment>, u64)], manifest: &Manifest) -> Result<()> {
    segments.iter().try_for_each(|(segment, end)| copy_segment(dest, segment, *end))?;
    replace_file(dest, MANIFEST_NEW, MANIFEST, &manifest.encode())
}

fn copy_segment(dest: &dyn Disk, segment: &Segment, end: u64) -> Result<()> {
    let to = dest.create(&file_name(segment.id()))?;
    let mut buffer = memory::zeros(CHUNK_BYTES, "a buffer to copy a segment")?;
    let mut at = 0;
    while at < end {
        let want = usize::try_from(end - at).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES);
        let count = segment.file().read_at(&mut buffer[..want], at)?;
        if count == 0 {
            let sentence = format!("{} ends too early", segment.file().path().display());
            return Err(Error::new(ErrorKind::Corrupt, sentence));
        }
        to.write_at(&[&buffer[..count]], at)?;
        at += count as u64;
    }
    to.sync()
}
