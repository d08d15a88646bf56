//! Sizes at one moment, and what was counted.

use super::log::log::Log;
use super::tier::Local;
use crate::codec::compress::Compression;
use crate::codec::segment::SegmentKind;
use crate::cold::tier::Gauges;
use std::sync::atomic::{AtomicU64, Ordering};

impl Local {
    /// Sizes at this moment, and counts since it was opened.
    pub fn gauges(&self) -> Gauges {
        let tally = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let freezes = self.options.compression != Compression::None;
        let mut gauges = Gauges {
            entries: self.keydir.len(),
            keydir_bytes: self.keydir.memory_bytes(),
            buffer_bytes: self.log.as_ref().map_or(0, Log::memory_bytes)
                + tally(&self.tallies.working_bytes),
            bytes_written: tally(&self.tallies.bytes_written),
            compactions: tally(&self.tallies.compactions),
            corrupt_records: tally(&self.tallies.corrupt_records),
            rebuilt_files: tally(&self.tallies.rebuilt_files),
            recovered_bytes: tally(&self.tallies.recovered_bytes),
            ..Gauges::default()
        };
        for segment in self.segments.all().iter().filter(|segment| !segment.is_gone()) {
            let bytes = segment.file().len().unwrap_or(0);
            let is_log = segment.header().kind == SegmentKind::Log;
            gauges.segments += 1;
            gauges.bytes_disk = gauges.bytes_disk.saturating_add(bytes);
            gauges.bytes_live += segment.live_bytes_in_file();
            let unfrozen = if freezes && is_log { bytes } else { 0 };
            gauges.unfrozen_bytes = gauges.unfrozen_bytes.saturating_add(unfrozen);
        }
        gauges.bytes_disk += self.reserve.bytes();
        gauges
    }
}
