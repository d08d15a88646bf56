//! Sequences: the order of writes and the versions that callers see; none is ever given twice.
//!
//! Each open takes a range of its own and makes that durable in the manifest before the first is
//! given out. So what was given out and then lost in a crash is not given out again.
//!
//! The manifest also has the time. It is written again whenever a clock was set. So the next open
//! goes on from this one's time, even if the system clock is wrong by then.

use crate::codec::manifest::Manifest;
use crate::error::{Error, ErrorKind, Result};
use crate::io::files::Disk;
use crate::sync::Mutex;
use crate::time::{Clock, Moment, SAME_MS};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// Sequences that a range has: more than a store writes between two new segments.
pub const RANGE: u64 = 1 << 32;

/// The name of the manifest's file.
pub const MANIFEST: &str = "MANIFEST";

/// The name that it has until it is whole.
pub const MANIFEST_NEW: &str = "MANIFEST.new";

/// While the store's time is ahead of the system clock it is written this often, in milliseconds:
/// that clock does not tell it then.
const AHEAD_MS_MAX: u64 = 60_000;

/// The sequences of one open store.
pub struct Sequences {
    next: AtomicU64,
    seed: u64,
    end: Mutex<u64>,
    /// The newest time in the files, in milliseconds since the epoch.
    time_ms: AtomicU64,
    /// How the store's time stood to the system clocks when the manifest was written.
    lead_ms: AtomicU64,
    offset_ms: AtomicI64,
}

impl Sequences {
    /// Takes the first range from `floor` on.
    ///
    /// # Errors
    /// As [`Sequences::extend`].
    pub fn claim(disk: &dyn Disk, seed: u64, floor: u64, clock: &dyn Clock) -> Result<Self> {
        let sequences = Self {
            next: AtomicU64::new(floor),
            seed,
            end: Mutex::new(floor),
            time_ms: AtomicU64::new(0),
            lead_ms: AtomicU64::new(0),
            offset_ms: AtomicI64::new(0),
        };
        sequences.extend(disk, clock)?;
        Ok(sequences)
    }

    /// Takes another range once half of the current one is used up.
    ///
    /// # Errors
    /// Those of writing the manifest; `Unsupported` when there are no more.
    pub fn extend(&self, disk: &dyn Disk, clock: &dyn Clock) -> Result<()> {
        let mut end = self.end.lock();
        let next = self.next();
        if next.saturating_add(RANGE / 2) < *end {
            return Ok(());
        }
        let Some(next_sequence) = next.max(*end).checked_add(RANGE) else {
            let sentence = format!(
                "the store in {} has used up its versions; open it read-only, and store what it has \
                 in a new one",
                disk.path().display()
            );
            return Err(Error::new(ErrorKind::Unsupported, sentence));
        };
        self.write(disk, next_sequence, clock.moment())?;
        *end = next_sequence;
        Ok(())
    }

    /// True if the files tell the time as well as they have to: no clock was set since.
    pub fn tells(&self, moment: &Moment) -> bool {
        let is_steady = self.lead_ms.load(Ordering::Acquire).abs_diff(moment.lead_ms) <= SAME_MS
            && self.offset_ms.load(Ordering::Acquire).abs_diff(moment.offset_ms) <= SAME_MS;
        is_steady && (moment.lead_ms <= SAME_MS || self.age_ms(moment) <= AHEAD_MS_MAX)
    }

    /// How long ago the newest time in the files was, in milliseconds.
    pub fn age_ms(&self, moment: &Moment) -> u64 {
        moment.wall.0.saturating_sub(self.time_ms.load(Ordering::Acquire))
    }

    /// Takes note that the files have this time.
    pub fn note_time(&self, time_ms: u64) {
        self.time_ms.fetch_max(time_ms, Ordering::Release);
    }

    /// Writes the manifest if `is_due` says so of the current time. No other thread writes it while
    /// `is_due` runs.
    ///
    /// # Errors
    /// Those of writing the manifest.
    pub fn write_time(
        &self,
        disk: &dyn Disk,
        clock: &dyn Clock,
        is_due: &dyn Fn(&Moment) -> bool,
    ) -> Result<()> {
        let end = self.end.lock();
        let moment = clock.moment();
        if is_due(&moment) { self.write(disk, *end, moment) } else { Ok(()) }
    }

    fn write(&self, disk: &dyn Disk, next_sequence: u64, moment: Moment) -> Result<()> {
        let Moment { wall, lead_ms, offset_ms } = moment;
        let (seed, time_ms, keeps_notes) = (self.seed, wall.0, true);
        let manifest = Manifest { seed, next_sequence, time_ms, lead_ms, keeps_notes };
        replace_file(disk, MANIFEST_NEW, MANIFEST, &manifest.encode())?;
        self.note_time(wall.0);
        self.lead_ms.store(lead_ms, Ordering::Release);
        self.offset_ms.store(offset_ms, Ordering::Release);
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

/// Replaces a file as a whole, durably: after a crash the name has the old bytes or the new.
///
/// # Errors
/// `Io`, `NoSpace`.
pub fn replace_file(disk: &dyn Disk, temporary: &str, name: &str, bytes: &[u8]) -> Result<()> {
    let made = disk.create_anew(temporary).and_then(|file| {
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
