//! The stage: a mapped file with the newest bytes of the log. With it a record survives the death
//! of the process, although nobody has called the kernel for it.
//!
//! A `pwrite` of 1 KiB behind the end of a file costs 2.4 us; one of 256 KiB costs 0.3 us for each
//! KiB. So after 512 appends in quick succession, records of up to 16 KiB go to the segment's
//! pending bytes in memory and into the stage, a ring of 256 KiB. The ring's pages stay mapped; the
//! pages of a mapped segment would be new each time, and cost as much as a write. A program that
//! stores now and then does not use the stage, so that it is told at once when the disk fails.
//!
//! | step | a crash after it leaves |
//! | --- | --- |
//! | 1. The record is copied into the ring, at its offset modulo 256 KiB. | The record or nothing. Power: nothing, or by luck the record. |
//! | 2. All pending bytes are written behind the file's end by one `pwrite`: at 256 KiB, at a sync, with an append that goes to the file at once, and before the segment is sealed. | The same; where the write was broken off, the ring has the rest. Power: part of it is a torn tail. |
//!
//! If step 2 fails, the pending bytes stay, readable and in the stage, and go with the next write
//! that works. An append that needs their room fails. Apart from pending bytes the stage holds only
//! copies, so close removes it, and the next process makes it anew. After the death of a process
//! [`rescue`] tells what the segment lacks at its end.
//!
//! # Another process wants the file
//! Nobody else can open or cut the file while it is mapped (`io/lease.rs`). Once another process
//! waits for it, the log gives way:
//!
//! | step | a crash after it leaves |
//! | --- | --- |
//! | 1. Somebody waits: the log asks before the first copy of each tick, and the background thread asks every 250 ms and about every megabyte of longer work. | Nothing new. |
//! | 2. Pending bytes are written to the segment. If that fails the stage stays, and takes no more. | The same. Power: part of it is a torn tail. |
//! | 3. The name is removed, if it is still this file's. | Nothing in the stage counts any more. |
//! | 4. The memory is unmapped and the lease given back. The other process goes on, with a file that has no name. | The same. |
//!
//! Appends then go to the segment at once. After a second the next stage may be made. Where no
//! lease is to be had there is no stage: `/proc/sys/fs/leases-enable` is 0, NFS without a
//! delegation, a file system without `O_TMPFILE` or shared maps, Linux before 5.14, or a process
//! with 256 stages.
//!
//! # What counts as stored
//! The stage does not say how much of it counts. From the end of the segment's file on, records are
//! taken one by one, each verified with its place, until one is not what was written. After a power
//! loss each page may be of another moment, so what is behind a gap is no prefix, and it is left
//! out. One record that differs in a single byte is taken all the same: that is damage and not a
//! lost page, and its key shall answer `Corrupt`, and not those behind it `NotFound`.

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

    /// Gives the stage up. The segment has everything that is in it.
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
    let ring = Ring { ring, segment };
    let Some(start) = ring.boundary(length) else { return Ok(Vec::new()) };
    let mut end = start;
    while let Some(bytes) = ring.record_bytes(end) {
        if end + bytes > start + RING_BYTES as u64 {
            break;
        }
        end += bytes;
    }
    let mut rest = Vec::new();
    let count = end.saturating_sub(length);
    memory::grow(&mut rest, usize::try_from(count).unwrap_or(0), "what the stage has")?;
    rest.extend(ring.stream(length, count));
    Ok(rest)
}

/// The ring as that of one segment.
struct Ring<'a> {
    ring: &'a [u8],
    segment: u64,
}

impl Ring<'_> {
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
