//! What was appended and would not survive power loss yet.

use super::segment::Segment;
use crate::error::Result;
use crate::io::files::Disk;
use crate::time::Instant;
use std::sync::Arc;

/// What has to be synced before all that was appended survives power loss.
#[derive(Default)]
pub struct Unsynced {
    /// Files with such bytes, in the order of the log.
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
        if self.segments.last().is_none_or(|last| !Arc::ptr_eq(last, segment)) {
            self.segments.push(segment.clone());
        }
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
