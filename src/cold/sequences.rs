//! Sequences: the order of writes and the versions that callers see; none is ever given twice.
//!
//! Each open takes a range of its own and makes that durable in the manifest before the first is
//! given out. So what was given out and then lost in a crash is not given out again.

use crate::codec::manifest::Manifest;
use crate::error::Result;
use crate::io::files::Disk;
use crate::sync::Mutex;
use crate::time::Timestamp;
use std::sync::atomic::{AtomicU64, Ordering};

/// Sequences that a range has: more than a store writes between two new segments.
pub const RANGE: u64 = 1 << 32;

/// The name of the manifest's file.
pub const MANIFEST: &str = "MANIFEST";

const MANIFEST_NEW: &str = "MANIFEST.new";

/// The sequences of one open store.
pub struct Sequences {
    next: AtomicU64,
    seed: u64,
    end: Mutex<u64>,
}

impl Sequences {
    /// Takes the first range from `floor` on.
    ///
    /// # Errors
    /// Those of writing the manifest.
    pub fn claim(disk: &dyn Disk, seed: u64, floor: u64, now: Timestamp) -> Result<Self> {
        let sequences = Self { next: AtomicU64::new(floor), seed, end: Mutex::new(floor) };
        sequences.extend(disk, now)?;
        Ok(sequences)
    }

    /// Takes another range once half of the current one is used up.
    ///
    /// # Errors
    /// Those of writing the manifest.
    pub fn extend(&self, disk: &dyn Disk, now: Timestamp) -> Result<()> {
        let mut end = self.end.lock();
        let next = self.next();
        if next + RANGE / 2 < *end {
            return Ok(());
        }
        let next_sequence = next.max(*end) + RANGE;
        write_manifest(disk, &Manifest { seed: self.seed, next_sequence, time_ms: now.0 })?;
        *end = next_sequence;
        Ok(())
    }

    /// Gives out the next sequence.
    pub fn take(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// The sequence that will be given out next.
    pub fn next(&self) -> u64 {
        self.next.load(Ordering::Relaxed)
    }
}

fn write_manifest(disk: &dyn Disk, manifest: &Manifest) -> Result<()> {
    replace_file(disk, MANIFEST_NEW, MANIFEST, &manifest.encode())
}

/// Replaces a file as a whole, durably: after a crash the name has the old bytes or the new.
///
/// # Errors
/// `Io`, `NoSpace`.
pub fn replace_file(disk: &dyn Disk, temporary: &str, name: &str, bytes: &[u8]) -> Result<()> {
    // One that a crash or an error left behind; that there is none is the rule.
    let _ = disk.remove(temporary);
    let made = disk.create(temporary).and_then(|file| {
        file.write_at(&[bytes], 0)?;
        // After the bytes, because otherwise the new name could survive a power loss without them.
        file.sync()
    });
    if let Err(error) = made.and_then(|()| disk.rename(temporary, name)) {
        // On a full disk it takes room; it may not be there.
        let _ = disk.remove(temporary);
        return Err(error);
    }
    disk.sync_names()
}
