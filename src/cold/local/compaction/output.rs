//! The frozen segment that compaction writes to: records gather in memory, go out in large pieces,
//! and are published once they are on disk.

use crate::codec::record::Header;
use crate::codec::segment::{SEGMENT_HEADER_BYTES, SegmentHeader, SegmentKind};
use crate::cold::host::Host;
use crate::cold::local::index::keydir::Keydir;
use crate::cold::local::index::location::Location;
use crate::cold::local::log::log::Log;
use crate::cold::local::log::poison::Poison;
use crate::cold::local::log::reserve::{Need, Reserve};
use crate::cold::local::segment::segment::{Segment, Segments};
use crate::error::Result;
use crate::io::files::Disk;
use crate::memory;
use crate::time::Clock;
use std::sync::Arc;

/// What rewriting works on.
pub struct Context<'a> {
    /// The store around the tier.
    pub host: &'a dyn Host,
    /// The directory.
    pub disk: &'a dyn Disk,
    /// All segments.
    pub segments: &'a Segments,
    /// The keydir.
    pub keydir: &'a Keydir,
    /// The log.
    pub log: &'a Log,
    /// Room that there is for what it writes.
    pub reserve: &'a Reserve,
    /// Whether writing has ended.
    pub poison: &'a Poison,
    /// Where the time comes from.
    pub clock: &'a dyn Clock,
    /// Seed of the key hash.
    pub seed: u64,
    /// Length of a segment in bytes.
    pub segment_bytes_max: u64,
    /// Records up to this sequence were cleared.
    pub cleared: u64,
    /// Whether files are synced before others are removed.
    pub sync: bool,
}

impl Context<'_> {
    /// Writes to a segment of compaction's, with the reserve's room if there is no other.
    ///
    /// # Errors
    /// `NoSpace`, `Io`.
    pub fn write(&self, to: &Segment, bytes: &[u8], offset: u64) -> Result<()> {
        self.reserve
            .lend(Need::Rewriting, bytes.len() as u64, || to.file().write_at(&[bytes], offset))
    }
}

/// The segment that is written, with what is not yet in the file and not yet published.
pub struct Output {
    /// The segment.
    pub segment: Arc<Segment>,
    /// Its length in the file.
    pub offset: u64,
    /// What comes behind that.
    pub buffer: Vec<u8>,
    /// What was copied since it was last published.
    pub moves: Vec<Move>,
}

/// A record that was copied.
pub struct Move {
    /// The copy's header.
    pub header: Header,
    /// The original, if a keydir entry may point to it, with the mark that the copy gets.
    pub from: Option<Location>,
    /// The copy.
    pub to: Location,
    /// Milliseconds since the epoch; 0 for never.
    pub expires_at: u64,
}

impl Output {
    /// Makes a new frozen segment.
    ///
    /// # Errors
    /// As making a file.
    pub fn create(context: &Context<'_>) -> Result<Self> {
        let header = SegmentHeader {
            id: 0,
            seed: context.seed,
            kind: SegmentKind::Frozen,
            created_ms: context.clock.wall().0,
            sequence_floor: context.log.sequences().next(),
            previous: None,
        };
        let segment = context
            .reserve
            .lend(Need::Rewriting, 0, || context.segments.create(context.disk, header))?;
        Ok(Self { offset: segment.end(), segment, buffer: Vec::new(), moves: Vec::new() })
    }

    /// Where the next record will stand.
    pub fn next(&self, header: &Header) -> Location {
        Location::new(self.segment.slot(), self.end(), header.record_bytes())
    }

    /// Adds a record, which consists of `pieces`, and its padding.
    ///
    /// # Errors
    /// `OutOfMemory`: nothing is added.
    pub fn add(&mut self, pieces: [&[u8]; 3], moved: Move) -> Result<()> {
        let bytes = usize::try_from(moved.header.record_bytes()).unwrap_or(usize::MAX);
        let end = self.buffer.len() + bytes;
        memory::grow(&mut self.buffer, bytes, "a segment that is rewritten")?;
        memory::push(&mut self.moves, moved, "a segment that is rewritten")?;
        pieces.iter().for_each(|piece| self.buffer.extend_from_slice(piece));
        self.buffer.resize(end, 0);
        Ok(())
    }

    /// Bytes that it has, those that are not in the file yet included.
    pub fn end(&self) -> u64 {
        self.offset + self.buffer.len() as u64
    }

    /// True if it has no records.
    pub fn is_empty(&self) -> bool {
        self.end() == SEGMENT_HEADER_BYTES as u64
    }

    /// Writes what is in the buffer, and publishes what was copied.
    ///
    /// # Errors
    /// `NoSpace`, `Io`: nothing of it is published.
    pub fn flush(&mut self, context: &Context<'_>) -> Result<()> {
        if !self.buffer.is_empty() {
            context.write(&self.segment, &self.buffer, self.offset)?;
            self.offset += self.buffer.len() as u64;
            self.buffer.clear();
        }
        self.publish(context);
        // One very long record must not keep its memory for good.
        self.buffer.shrink_to(2 << 20);
        Ok(())
    }

    /// Points the keydir to the copies, each only if it still points to the original.
    fn publish(&mut self, context: &Context<'_>) {
        for Move { header, from, to, expires_at } in self.moves.drain(..) {
            self.segment.note(&header, to, expires_at);
            let Some(from) = from else { continue };
            let mut shard = context.keydir.lock_for(header.hash);
            let Some(index) = shard.index_of(header.hash, from) else { continue };
            shard.replace(header.hash, index, to.with_read(from.is_read()));
            self.segment.add_live(to);
            if let Some(input) = context.segments.get(from.slot()) {
                input.remove_live(from);
            }
        }
    }
}
