//! The stage: a mapped file with the newest bytes of the log, so that a store need not call the
//! system to survive the death of its process.
//!
//! A store that was appended to the log's pending bytes is stored into the stage too. When the
//! pending bytes go to the segment's file, all at once, the stage's copy of them is done with. So it
//! matters only where a process has died: [`rescue`] then tells what the segment lacks at its end.
//!
//! Nobody else can open or cut the file while it is mapped. Once another process wants to, everything
//! in it is written to the segment, the file's name goes, and only then the other one goes on.
//!
//! # What counts as stored
//! Records that stand side by side from the end of the segment's file on. Where one is not what was
//! written the rest is left out, because after a power loss each page of the stage may be of another
//! moment, and what is behind a gap is no prefix. One record that differs in a single byte is taken
//! all the same: that is damage and not a lost page, and its key shall answer `Corrupt`, not those
//! behind it `NotFound`.

use crate::codec::checksum::is_one_byte_off;
use crate::codec::record::{ALIGNMENT, HEADER_BYTES, Header, Place};
use crate::codec::segment::SEGMENT_HEADER_BYTES;
use crate::codec::stage::{
    RING_BYTES, STAGE_BYTES, STAGE_HEADER_BYTES, decode, encode, ring_index,
};
use crate::codec::version::Decoded;
use crate::error::Result;
use crate::io::files::newer;
use crate::io::files::{Disk, Mapped};
use crate::memory;

/// The name of the file.
pub const STAGE: &str = "STAGE";

/// What is longer is written to the segment at once: to copy it twice would cost more than a call.
pub const STAGED_BYTES_MAX: u64 = RING_BYTES as u64 / 16;

/// The stage of an open log.
pub struct Stage {
    map: Box<dyn Mapped>,
}

impl Stage {
    /// Makes the file.
    ///
    /// # Errors
    /// As [`Disk::create_mapped`].
    pub fn create(disk: &dyn Disk) -> Result<Self> {
        Ok(Self { map: disk.create_mapped(STAGE, &encode(), STAGE_BYTES)? })
    }

    /// Keeps `bytes`, which stand at `offset` of the segment.
    ///
    /// # Errors
    /// As [`Mapped::put`].
    pub fn put(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        let at = ring_index(offset);
        let (first, wrapped) = bytes.split_at(bytes.len().min(RING_BYTES - at));
        self.map.put(STAGE_HEADER_BYTES + at, first)?;
        if wrapped.is_empty() { Ok(()) } else { self.map.put(STAGE_HEADER_BYTES, wrapped) }
    }

    /// True once another process waits for the file.
    pub fn is_wanted(&self) -> bool {
        self.map.is_wanted()
    }

    /// Gives it up, when it has nothing any more that the segment has not.
    ///
    /// # Errors
    /// As [`Disk::remove_mapped`]: the name stays, which does no harm.
    pub fn end(self, disk: &dyn Disk) -> Result<()> {
        // In this order: whoever waits for the file has one without a name then.
        disk.remove_mapped(STAGE, &*self.map)
    }
}

/// Reads the ring that a process left behind; `None` if there is none.
///
/// # Errors
/// `Unsupported` if a newer version wrote it; `Io`.
pub fn read_ring(disk: &dyn Disk, names: &[String]) -> Result<Option<Vec<u8>>> {
    if !names.iter().any(|name| name == STAGE) {
        return Ok(None);
    }
    let file = disk.open(STAGE, false)?;
    let mut bytes = memory::zeros(STAGE_BYTES, "what the stage has")?;
    file.read_at(&mut bytes, 0)?;
    match decode(&bytes) {
        Decoded::Newer(version) => Err(newer(&*file, version)),
        Decoded::Valid(()) | Decoded::Damaged => {
            bytes.drain(..STAGE_HEADER_BYTES);
            Ok(Some(bytes))
        }
    }
}

/// What was stored behind the end of a log segment, whose file has `length` bytes; empty if nothing
/// was.
///
/// # Errors
/// `OutOfMemory`.
pub fn rescue(ring: &[u8], segment: u64, length: u64) -> Result<Vec<u8>> {
    let turn = Turn { ring, segment };
    let Some(start) = turn.boundary(length) else { return Ok(Vec::new()) };
    let mut end = start;
    while let Some(bytes) = turn.record_bytes(end) {
        if end + bytes > start + RING_BYTES as u64 {
            break;
        }
        end += bytes;
    }
    let mut rest = Vec::new();
    let count = end.saturating_sub(length);
    memory::grow(&mut rest, usize::try_from(count).unwrap_or(0), "what the stage has")?;
    rest.extend(turn.stream(length, count));
    Ok(rest)
}

/// The ring as that of one segment.
struct Turn<'a> {
    ring: &'a [u8],
    segment: u64,
}

impl Turn<'_> {
    /// Where the first record begins that the file has not got to its last byte. The process may
    /// have died within a write, so it may begin before the end of the file.
    fn boundary(&self, length: u64) -> Option<u64> {
        let header_end = SEGMENT_HEADER_BYTES as u64;
        let at = length - length % ALIGNMENT;
        if length < header_end {
            return None;
        }
        if at == length && self.header(at).is_some() {
            return Some(at);
        }
        let earliest = at.saturating_sub(STAGED_BYTES_MAX).max(header_end);
        let mut starts = (earliest..=at).rev().step_by(usize::try_from(ALIGNMENT).unwrap_or(1));
        let sound = |start: &u64| {
            Header::decode(&self.bytes(*start, HEADER_BYTES as u64), self.place(*start))
        };
        let (start, header) = starts.find_map(|start| Some((start, sound(&start)?)))?;
        (start + header.record_bytes() > length).then_some(start)
    }

    /// The length of the record at `offset`, if there is one that counts as stored.
    fn record_bytes(&self, offset: u64) -> Option<u64> {
        let header = self.header(offset)?;
        let bytes = header.record_bytes();
        if bytes > STAGED_BYTES_MAX {
            return None;
        }
        let body = self.bytes(offset + HEADER_BYTES as u64, header.body_bytes() as u64);
        let counts = header.fits_body(&body) || is_one_byte_off(&body, header.body_checksum);
        counts.then_some(bytes)
    }

    fn header(&self, offset: u64) -> Option<Header> {
        Header::decode_damaged(&self.bytes(offset, HEADER_BYTES as u64), self.place(offset))
    }

    fn place(&self, offset: u64) -> Place {
        Place { segment: self.segment, offset }
    }

    /// `count` bytes, as they would stand in the segment at `offset`: of one record at most.
    fn bytes(&self, offset: u64, count: u64) -> Vec<u8> {
        self.stream(offset, count).collect()
    }

    fn stream(&self, offset: u64, count: u64) -> impl Iterator<Item = u8> {
        let count = usize::try_from(count).unwrap_or(0).min(RING_BYTES);
        let (before, behind) = self.ring.split_at(ring_index(offset).min(self.ring.len()));
        behind.iter().chain(before).take(count).copied()
    }
}

#[cfg(test)]
mod tests;
