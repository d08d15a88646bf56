//! What was appended and would not survive a loss of power yet, and the time since when.

use crate::cold::local::segment::segment::Segment;
use crate::error::Result;
use crate::io::files::Disk;
use crate::time::Instant;
use std::sync::Arc;

/// Files that may wait for a sync at once: each keeps its descriptor as long.
const FILES_MAX: usize = 8;

/// What has to be synced before all that was appended survives power loss.
#[derive(Default)]
pub struct Unsynced {
    /// Files with such bytes; those of the log in its order.
    segments: Vec<Arc<Segment>>,
    /// Files were made or removed.
    pub names: bool,
    /// Bytes that were appended.
    pub bytes: u64,
    /// When the first of them was.
    pub since: Option<Instant>,
}

impl Unsynced {
    /// Nothing but that files were made or removed.
    pub fn of_names() -> Self {
        Self { names: true, ..Self::default() }
    }

    /// Takes note of an append to `segment`.
    pub fn add(&mut self, segment: &Arc<Segment>, bytes: u64, now: Instant) {
        self.since = self.since.or(Some(now));
        self.bytes += bytes;
        self.add_file(segment);
    }

    /// Takes note of a file that was changed.
    pub fn add_file(&mut self, segment: &Arc<Segment>) {
        // The newest first, which it mostly is.
        if !self.segments.iter().rev().any(|other| Arc::ptr_eq(other, segment)) {
            self.segments.push(segment.clone());
        }
    }

    /// The file is gone, and with it what would have to be synced.
    pub fn remove_file(&mut self, segment: &Segment) {
        self.segments.retain(|other| other.id() != segment.id());
    }

    /// True once no more files may come to wait.
    pub fn is_full(&self) -> bool {
        self.segments.len() >= FILES_MAX
    }

    /// Makes it survive power loss; what is pending was written before.
    ///
    /// # Errors
    /// `Io`; what is on disk is then unknown.
    pub fn sync(&self, disk: &dyn Disk) -> Result<()> {
        self.segments.iter().try_for_each(|segment| segment.file().sync())?;
        if self.names { disk.sync_names() } else { Ok(()) }
    }
}
