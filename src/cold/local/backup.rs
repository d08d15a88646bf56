//! Copying a store in use to another directory.
//!
//! A segment's bytes never change once they are written. So a copy of every segment, up to where it
//! ended at one moment, is the store of that moment. Compaction waits meanwhile, so that no segment
//! goes away. The copy then gets a manifest. It is opened, which proves it, and gets a checkpoint.
//! Everything is synced. After a failure what was copied is removed.

use super::log::log::Position;
use super::log::sequences::{MANIFEST, MANIFEST_NEW, replace_file};
use super::recovery::contents::check_empty;
use super::segment::segment::{Segment, file_name};
use super::tier::{Local, LocalOptions};
use crate::codec::manifest::Manifest;
use crate::codec::segment::SegmentKind;
use crate::cold::host::Host;
use crate::error::{Error, ErrorKind, Result};
use crate::io::disk::Directory;
use crate::io::files::Disk;
use crate::io::lock::{DirLock, LockMode};
use crate::io::made::Made;
use crate::memory;
use crate::time::Moment;
use std::path::Path;
use std::sync::Arc;

/// Bytes that are copied at a time.
const CHUNK_BYTES: usize = 1 << 20;

impl Local {
    /// Writes a copy of the store, as it is at one moment during the call, into the directory `dest`,
    /// which is made if need be and must be empty. The copy is durable and can be opened.
    ///
    /// # Errors
    /// `InvalidArgument` for a directory that is not empty; `Locked`, `NoSpace`, `Io`: what was made
    /// is removed again.
    pub fn backup(&self, dest: &Path, host: &dyn Host) -> Result<()> {
        let directory = Directory::open(dest, true)?;
        let is_free = || check_empty(&directory);
        is_free()?;
        let _lock = DirLock::acquire(&directory, LockMode::Exclusive, &is_free)?;
        // Once more, now that nobody else makes a store there.
        is_free()?;
        let dest = Arc::new(Made::new(directory));
        self.copy_to(dest.clone(), &|| host.quiesce()).inspect_err(|_| dest.take_back())
    }

    /// Writes a copy of the store as it is at one moment, with a checkpoint, into an empty directory;
    /// `quiesce` returns once every write that had been appended when it was called is published.
    ///
    /// # Errors
    /// `NoSpace`, `Io`: part of the copy is there.
    pub fn copy_to(&self, dest: Arc<dyn Disk>, quiesce: &dyn Fn()) -> Result<()> {
        let compactor = self.compactor.lock();
        let (position, segments) = match &self.log {
            Some(log) => log.snapshot(),
            None => (Position { segment: 0, offset: 0, sequence: 0 }, self.segments.all()),
        };
        quiesce();
        // What the keydir alone knows to be lost would be absent in the copy.
        if let Some(segment) = segments.iter().find(|s| s.lacks() && s.live().0 > 0) {
            let name = segment.name();
            let sentence = format!("{name} has lost records; compact the store first");
            return Err(Error::new(ErrorKind::Corrupt, sentence));
        }
        let mut ends = Vec::new();
        for segment in segments.into_iter().filter(|segment| !segment.is_gone()) {
            let end = match segment.header().kind {
                _ if position.segment == segment.id() => position.offset,
                // Its successor says how long it is, to the last byte.
                SegmentKind::Log => segment.file().len()?,
                SegmentKind::Frozen => segment.end(),
            };
            ends.push((segment, end));
        }
        let next_sequence = match &self.log {
            Some(log) => log.sequences().next(),
            None => self.sequence_floor,
        };
        let (seed, Moment { wall, lead_ms, .. }) = (self.hasher.seed(), self.clock.moment());
        // The notes that there are stay here.
        let keeps_notes = false;
        let manifest = Manifest { seed, next_sequence, time_ms: wall.0, lead_ms, keeps_notes };
        copy(&*dest, &ends, &manifest)?;
        drop(compactor);
        // Opening it proves the copy, and leaves it with a checkpoint.
        let options = LocalOptions { read_only: false, create: true, ..self.options.clone() };
        let copy = Self::open(dest, self.clock.clone(), options)?;
        copy.checkpoint(&|| ())?;
        copy.end()
    }
}

/// Copies the segments, each up to the end that is given with it, and writes a manifest.
///
/// # Errors
/// `NoSpace`, `Io`: part of the copy is there.
fn copy(dest: &dyn Disk, segments: &[(Arc<Segment>, u64)], manifest: &Manifest) -> Result<()> {
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
