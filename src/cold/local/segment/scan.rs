//! Walks a segment's records in the order of the file, over damage too.
//!
//! Where a header is not valid, one damaged byte is put right; else the walk goes on at the next
//! place where a valid header stands. Headers carry their place in their checksum, so bytes of a
//! value are not taken for a record, whatever they are. What was never written is passed over
//! without reading it.

use super::segment::Segment;
use crate::codec::record::{ALIGNMENT, HEADER_BYTES, Header};
use crate::codec::segment::SEGMENT_HEADER_BYTES;
use crate::cold::local::index::location::OFFSET_LIMIT;
use crate::error::Result;
use crate::memory;

/// Bytes that are read at a time.
const CHUNK_BYTES: usize = 1 << 20;

/// A record longer than this is checked piece by piece and not held in memory.
pub const HELD_BYTES_MAX: u64 = 64 << 20;

/// What a disk writes as a whole or not at all, in bytes; what it lost reads as zeros.
const SECTOR_BYTES: u64 = 512;

/// One step of the walk.
pub enum Step {
    /// A record whose header is valid.
    Record {
        /// Its first byte.
        offset: u64,
        /// Its header.
        header: Header,
        /// Whether the header and the body are what was written.
        intact: bool,
        /// Milliseconds since the epoch; 0 for never, and where the record is not intact: its checksum
        /// does not confirm the expiry.
        expires_at: u64,
    },
    /// Bytes in which no record can be found.
    Gap {
        /// The first of them.
        offset: u64,
    },
}

/// A walk through one segment.
pub struct Scanner<'a> {
    segment: &'a Segment,
    offset: u64,
    end: u64,
    buffer: Vec<u8>,
    buffer_start: u64,
    record: (u64, u64),
    /// Bytes that are still read for records within damaged ones.
    doubts: u64,
    /// Of a record that is not held, what comes before its value.
    lead: Vec<u8>,
}

impl<'a> Scanner<'a> {
    /// A walk from `from` (0 for the first record) to the end of the file or `to`, whichever
    /// comes first.
    ///
    /// # Errors
    /// `Io` if the file's length cannot be had.
    pub fn new(segment: &'a Segment, from: u64, to: u64) -> Result<Self> {
        // No record stands beyond what a location can say, however long the file is.
        let end = segment.file().len()?.min(to).min(OFFSET_LIMIT);
        let first = from.clamp(SEGMENT_HEADER_BYTES as u64, OFFSET_LIMIT);
        Ok(Self {
            segment,
            offset: first.next_multiple_of(ALIGNMENT).min(end),
            end,
            buffer: Vec::new(),
            buffer_start: 0,
            record: (0, 0),
            doubts: 2 * (end - first.min(end)),
            lead: Vec::new(),
        })
    }

    /// The next step, or `None` at the end.
    ///
    /// # Errors
    /// `Io`, `OutOfMemory`.
    pub fn next(&mut self) -> Result<Option<Step>> {
        if self.offset + HEADER_BYTES as u64 > self.end {
            let offset = std::mem::replace(&mut self.offset, self.end);
            return Ok((offset < self.end).then_some(Step::Gap { offset }));
        }
        let offset = self.offset;
        let place = self.segment.place(offset);
        self.fill(offset, HEADER_BYTES as u64)?;
        let bytes = self.bytes(offset, HEADER_BYTES);
        let sound = Header::decode(bytes, place);
        let Some(header) = sound.or_else(|| Header::decode_damaged(bytes, place)) else {
            self.offset = self.find_header(offset + ALIGNMENT)?;
            return Ok(Some(Step::Gap { offset }));
        };
        let intact = match header.is_filler() {
            true => sound.is_some(),
            false => self.check_body(offset, &header)? && sound.is_some(),
        };
        let next = (offset + header.record_bytes()).min(self.end);
        self.offset = if intact { next } else { self.next_within(offset, next)? };
        self.record = (offset, header.record_bytes());
        let expires_at = if intact { header.expires_at(self.lead(&header)) } else { 0 };
        Ok(Some(Step::Record { offset, header, intact, expires_at }))
    }

    /// The bytes of the record that `next` gave last, without padding, unless it is damaged or
    /// longer than [`HELD_BYTES_MAX`].
    pub fn record(&self, header: &Header) -> Option<&[u8]> {
        let start = usize::try_from(self.record.0.checked_sub(self.buffer_start)?).ok()?;
        self.buffer.get(start..start + HEADER_BYTES + header.body_bytes())
    }

    /// The bytes before the value, of the record that `next` gave last, if that is intact.
    pub fn lead(&self, header: &Header) -> &[u8] {
        let held = self.record(header).unwrap_or(&self.lead);
        held.get(..header.value_start()).unwrap_or_default()
    }

    /// Of the record that `next` gave last, if that is intact.
    pub fn key(&self, header: &Header) -> &[u8] {
        self.lead(header).get(header.key_start()..).unwrap_or_default()
    }

    fn check_body(&mut self, offset: u64, header: &Header) -> Result<bool> {
        let bytes = HEADER_BYTES as u64 + header.body_bytes() as u64;
        if offset + bytes > self.end {
            return Ok(false);
        }
        if bytes <= HELD_BYTES_MAX {
            self.fill(offset, bytes)?;
            return Ok(self.record_at(offset, header).is_some_and(|body| header.fits_body(body)));
        }
        let mut hasher = crate::codec::checksum::Running::new();
        let mut at = offset + HEADER_BYTES as u64;
        self.fill(offset, CHUNK_BYTES as u64)?;
        self.lead = self.bytes(offset, header.value_start()).to_vec();
        while at < offset + bytes {
            let count = (offset + bytes - at).min((CHUNK_BYTES - HEADER_BYTES) as u64);
            self.fill(at, count)?;
            let count = usize::try_from(count).unwrap_or(0);
            hasher.update(self.bytes(at, count));
            at += count as u64;
        }
        Ok(hasher.finish() == header.body_checksum)
    }

    fn record_at(&self, offset: u64, header: &Header) -> Option<&[u8]> {
        let start = usize::try_from(offset - self.buffer_start).ok()? + HEADER_BYTES;
        self.buffer.get(start..start + header.body_bytes())
    }

    /// Where the next record is, after a damaged one at `offset` that seems to end at `end`: its
    /// length may be what is damaged. A record within it is believed only if it is whole.
    fn next_within(&mut self, offset: u64, end: u64) -> Result<u64> {
        let mut at = offset;
        loop {
            at = self.find_header(at + ALIGNMENT)?;
            if at >= end {
                return Ok(end);
            }
            let bytes = self.bytes(at, HEADER_BYTES);
            let Some(header) = Header::decode(bytes, self.segment.place(at)) else { continue };
            let ends_by = at + header.record_bytes();
            // The search is bounded: many false headers may stand there.
            self.doubts = self.doubts.saturating_sub(header.record_bytes());
            if self.doubts == 0 {
                return Ok(end);
            }
            if ends_by <= self.end && self.check_body(at, &header)? {
                return Ok(at);
            }
        }
    }

    fn find_header(&mut self, from: u64) -> Result<u64> {
        let mut offset = from;
        while offset + HEADER_BYTES as u64 <= self.end {
            self.fill(offset, HEADER_BYTES as u64)?;
            let bytes = self.bytes(offset, HEADER_BYTES);
            if bytes.len() < HEADER_BYTES {
                break;
            }
            if Header::decode(bytes, self.segment.place(offset)).is_some() {
                return Ok(offset);
            }
            offset = match bytes.iter().any(|byte| *byte != 0) {
                true => offset + ALIGNMENT,
                false => self.behind_zeros(offset)?,
            };
        }
        Ok(self.end)
    }

    /// Where the next header may begin, from one of zeros on: none begins within zeros alone.
    fn behind_zeros(&self, offset: u64) -> Result<u64> {
        let start = usize::try_from(offset - self.buffer_start).unwrap_or(usize::MAX);
        let rest = self.buffer.get(start..).unwrap_or_default();
        let behind = match rest.iter().position(|byte| *byte != 0) {
            Some(zeros) => offset + zeros as u64,
            // Here the next piece begins, which may have never been written.
            None => self.segment.file().data_from(offset + rest.len() as u64)?,
        };
        // A header may begin with zeros.
        let next = behind.saturating_sub(HEADER_BYTES as u64) / ALIGNMENT * ALIGNMENT;
        Ok(next.max(offset + ALIGNMENT))
    }

    fn bytes(&self, offset: u64, count: usize) -> &[u8] {
        let start = usize::try_from(offset - self.buffer_start).unwrap_or(usize::MAX);
        self.buffer.get(start..start.saturating_add(count)).unwrap_or(&[])
    }

    /// Makes the buffer hold `count` bytes from `offset` on, or all up to the end.
    fn fill(&mut self, offset: u64, count: u64) -> Result<()> {
        let have = self.buffer_start..self.buffer_start + self.buffer.len() as u64;
        if have.start <= offset && offset + count <= have.end {
            return Ok(());
        }
        let length = count.max(CHUNK_BYTES as u64).min(self.end - offset);
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        self.buffer.clear();
        if self.buffer.capacity() > CHUNK_BYTES && length <= CHUNK_BYTES {
            self.buffer = Vec::new();
        }
        self.buffer_start = offset;
        memory::grow(&mut self.buffer, length, "a buffer to read a segment")?;
        self.buffer.resize(length, 0);
        let got = self.segment.file().read_at(&mut self.buffer, offset)?;
        self.buffer.truncate(got);
        Ok(())
    }
}

/// True if, between the offsets, a sector reads as zeros, the first one from `from` on: what a power
/// loss leaves of bytes that had not reached the disk. A record stands at `from`, so that zeros
/// there cannot be what was written.
///
/// # Errors
/// `Io`.
pub fn has_lost_sector(segment: &Segment, from: u64, to: u64) -> Result<bool> {
    let (file_end, joint) = (segment.file().len()?, segment.file().joint());
    // No more than what is asked for: this is asked of each damaged place.
    let wanted = to.saturating_sub(from).saturating_add(SECTOR_BYTES);
    let wanted = usize::try_from(wanted).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES);
    let mut bytes = memory::zeros(wanted, "a buffer to read a segment")?;
    let mut at = from;
    while at < to {
        let count = segment.file().read_at(&mut bytes, at)?;
        let mut rest = &bytes[..count];
        while at < to {
            let end = (at + 1).next_multiple_of(SECTOR_BYTES).min(file_end.max(at + 1));
            // What came from elsewhere does not make a lost sector whole.
            let end = if at < joint { end.min(joint) } else { end };
            let length = usize::try_from(end - at).unwrap_or(usize::MAX);
            let Some((sector, behind)) = rest.split_at_checked(length) else { break };
            if end <= to && sector.iter().all(|byte| *byte == 0) {
                return Ok(true);
            }
            (rest, at) = (behind, end);
        }
        if rest.len() == count {
            break;
        }
    }
    Ok(false)
}
