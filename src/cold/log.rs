//! The log: appends records to the active segment, one positioned write for all who wait.
//!
//! A writer places its records in the pending bytes, under one short lock, and then asks for the
//! writer's lock. Whoever gets it writes all that is pending; the others, when their turn comes,
//! find their ticket written. A record that is too long to be copied goes out in the same vectored
//! write, from the caller's memory.
//!
//! # Invariants
//! 1. Locks are taken in the order syncer, writer, pending.
//! 2. Pending bytes stand right behind the last written ones, and tickets are written in order.
//! 3. After a failed write nothing of it, nor of what was pending behind it, stays in the file;
//!    where it cannot be cut off the log is poisoned.
//! 4. A segment names the one before it and that one's length, unless that was synced before. So
//!    recovery can tell whether a power loss has taken the end of one and left the next.

use super::draft::{Appended, Draft, Few, encode};
use super::location::{Location, OFFSET_LIMIT};
use super::poison::Poison;
use super::segment::{Segment, Segments};
use super::sequences::Sequences;
use crate::codec::record::{HEADER_BYTES, Header};
use crate::codec::segment::{SEGMENT_HEADER_BYTES, SegmentHeader, SegmentKind};
use crate::error::{Error, ErrorKind, Result};
use crate::io::files::Disk;
use crate::sync::{Mutex, MutexGuard};
use crate::time::Clock;
use smallvec::SmallVec;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A record of this length or more is written from the caller's memory.
const DIRECT_BYTES: u64 = 256 << 10;

/// Capacity of the pending bytes that is kept from one write to the next.
const SPARE_BYTES_MAX: usize = 1 << 20;

/// A place in the log: what was appended lies before or behind it.
#[derive(Clone, Copy, Debug)]
pub struct Position {
    /// Id of the active segment; 0 if there is none.
    pub segment: u64,
    /// Its length.
    pub offset: u64,
    /// Whatever the log gave a lower sequence lies before.
    pub sequence: u64,
}

/// The log.
pub struct Log {
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    segments: Arc<Segments>,
    sequences: Sequences,
    poison: Arc<Poison>,
    segment_bytes_max: u64,
    sync_on_roll: bool,
    unsynced_bytes_max: u64,
    seed: u64,
    pending: Mutex<Pending>,
    writer: Mutex<Writer>,
    synced: Mutex<u64>,
    unsynced_bytes: AtomicU64,
}

struct Pending {
    active: Option<Arc<Segment>>,
    offset: u64,
    /// Id and length of the last segment that was sealed and may not be synced.
    previous: Option<(u32, u64)>,
    ticket: u64,
    bytes: Vec<u8>,
    /// Of the first record in `bytes`.
    first_sequence: u64,
    writers: usize,
}

struct Writer {
    written: u64,
    spare: Vec<u8>,
    failures: Vec<Failure>,
    unsynced: Unsynced,
}

/// What has to be synced before all that was written survives power loss.
#[derive(Default)]
struct Unsynced {
    segments: Vec<Arc<Segment>>,
    names: bool,
}

struct Failure {
    ticket: u64,
    error: Error,
    waiting: usize,
}

/// How a log is set up.
pub struct LogOptions {
    /// Seed of the key hash, for the headers of segments.
    pub seed: u64,
    /// Length after which a new segment is begun, in bytes.
    pub segment_bytes_max: u64,
    /// Whether a segment is synced before the next is made.
    pub sync_on_roll: bool,
    /// Bytes that may wait for a sync when a new segment is made.
    pub unsynced_bytes_max: u64,
    /// The segment to go on with, sealed otherwise.
    pub active: Option<Arc<Segment>>,
}

impl Log {
    /// A log that goes on where `options.active` ends.
    pub fn new(
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        segments: Arc<Segments>,
        sequences: Sequences,
        poison: Arc<Poison>,
        options: LogOptions,
    ) -> Self {
        let offset = options.active.as_ref().map_or(0, |segment| segment.end());
        let active = options.active;
        Self {
            disk,
            clock,
            segments,
            sequences,
            poison,
            segment_bytes_max: options.segment_bytes_max,
            sync_on_roll: options.sync_on_roll,
            unsynced_bytes_max: options.unsynced_bytes_max,
            seed: options.seed,
            pending: Mutex::new(Pending {
                active,
                offset,
                previous: None,
                ticket: 1,
                bytes: Vec::new(),
                first_sequence: 0,
                writers: 0,
            }),
            writer: Mutex::new(Writer {
                written: 0,
                spare: Vec::new(),
                failures: Vec::new(),
                unsynced: Unsynced { segments: Vec::new(), names: true },
            }),
            synced: Mutex::new(0),
            unsynced_bytes: AtomicU64::new(0),
        }
    }

    /// Appends all drafts, side by side in one segment; when it returns the system has them. Of
    /// drafts that are chained recovery finds all or none.
    ///
    /// # Errors
    /// `NoSpace`, `Io`, `OutOfMemory`: nothing of it is in the log. `ReadOnly` once poisoned.
    pub fn append(&self, drafts: &[Draft<'_>]) -> Result<Appended> {
        // The checksums of the bodies, which cost most, are made before any lock is taken.
        let headers: Few<Header> = drafts.iter().map(Draft::header).collect();
        let bytes = headers.iter().map(Header::record_bytes).sum();
        match drafts {
            [draft] if bytes >= DIRECT_BYTES => self.append_direct(draft, headers, bytes),
            _ => self.append_copied(drafts, headers, bytes),
        }
    }

    fn append_copied(
        &self,
        drafts: &[Draft<'_>],
        headers: Few<Header>,
        bytes: u64,
    ) -> Result<Appended> {
        let appended = loop {
            self.poison.check()?;
            let mut pending = self.pending.lock();
            let Some(segment) = self.fitting(&pending, bytes) else {
                drop(pending);
                self.roll(bytes)?;
                continue;
            };
            let room = usize::try_from(bytes).unwrap_or(usize::MAX);
            if pending.bytes.try_reserve(room).is_err() {
                return Err(out_of_memory(bytes));
            }
            let records = self.place(&segment, &mut pending, headers);
            for (draft, (header, location)) in drafts.iter().zip(&records) {
                let head = header.encode(segment.place(location.offset()));
                encode(&head, draft, header.record_bytes(), &mut pending.bytes);
            }
            pending.writers += 1;
            break Appended { segment, ticket: pending.ticket, records };
        };
        let mut writer = self.writer.lock();
        if writer.written < appended.ticket {
            let (taken, pending) = self.take_pending(&mut writer, self.pending.lock());
            drop(pending);
            // Its outcome is told to this thread in the same way as to those who wait.
            self.write_out(&mut writer, taken, &[]);
        }
        writer.outcome(appended.ticket)?;
        Ok(appended)
    }

    fn append_direct(
        &self,
        draft: &Draft<'_>,
        headers: Few<Header>,
        bytes: u64,
    ) -> Result<Appended> {
        loop {
            self.poison.check()?;
            let mut writer = self.writer.lock();
            let mut pending = self.pending.lock();
            let Some(segment) = self.fitting(&pending, bytes) else {
                drop(pending);
                drop(writer);
                self.roll(bytes)?;
                continue;
            };
            let records = self.place(&segment, &mut pending, headers);
            let (header, location) = records[0];
            pending.writers += 1;
            let ticket = pending.ticket;
            let (taken, pending) = self.take_pending(&mut writer, pending);
            drop(pending);
            let head = header.encode(segment.place(location.offset()));
            let expiry = draft.expires_at.to_le_bytes();
            let expiry = &expiry[..if header.expires { 8 } else { 0 }];
            let padding = usize::try_from(bytes).unwrap_or(0) - HEADER_BYTES - header.body_bytes();
            let parts = [&head[..], expiry, draft.key, draft.value, &[0; 8][..padding]];
            self.write_out(&mut writer, taken, &parts);
            writer.outcome(ticket)?;
            return Ok(Appended { segment, ticket, records });
        }
    }

    /// The active segment, if `bytes` more fit into it.
    fn fitting(&self, pending: &Pending, bytes: u64) -> Option<Arc<Segment>> {
        let end = pending.offset + bytes;
        let is_fresh = pending.offset == SEGMENT_HEADER_BYTES as u64;
        let fits = end <= self.segment_bytes_max || is_fresh;
        pending.active.clone().filter(|_| fits && end <= OFFSET_LIMIT)
    }

    /// Gives each record its sequence and location.
    fn place(
        &self,
        segment: &Segment,
        pending: &mut Pending,
        headers: Few<Header>,
    ) -> Few<(Header, Location)> {
        let mut records = Few::with_capacity(headers.len());
        if pending.bytes.is_empty() {
            pending.first_sequence = self.sequences.next();
        }
        for mut header in headers {
            if header.sequence == 0 {
                header.sequence = self.sequences.take();
            }
            let bytes = header.record_bytes();
            records.push((header, Location::new(segment.slot(), pending.offset, bytes)));
            pending.offset += bytes;
        }
        records
    }

    fn take_pending<'a>(
        &self,
        writer: &mut Writer,
        mut pending: MutexGuard<'a, Pending>,
    ) -> (Taken, MutexGuard<'a, Pending>) {
        let bytes = std::mem::replace(&mut pending.bytes, std::mem::take(&mut writer.spare));
        let taken = Taken {
            segment: pending.active.clone(),
            bytes,
            end: pending.offset,
            ticket: pending.ticket,
            writers: std::mem::take(&mut pending.writers),
        };
        pending.ticket += 1;
        (taken, pending)
    }

    /// Writes what was taken and then `more`, and notes the outcome under the ticket.
    fn write_out(&self, writer: &mut Writer, mut taken: Taken, more: &[&[u8]]) {
        let Some(segment) = taken.segment else { return };
        let length: usize = taken.bytes.len() + more.iter().map(|part| part.len()).sum::<usize>();
        let start = taken.end - length as u64;
        let all = std::iter::once(&taken.bytes[..]).chain(more.iter().copied());
        let parts: SmallVec<[&[u8]; 6]> = all.filter(|part| !part.is_empty()).collect();
        let result = segment.file().write_at(&parts, start);
        drop(parts);
        writer.written = taken.ticket;
        self.unsynced_bytes.fetch_add(length as u64, Ordering::Relaxed);
        if writer.unsynced.segments.last().is_none_or(|last| !Arc::ptr_eq(last, &segment)) {
            writer.unsynced.segments.push(segment.clone());
        }
        if let Err(error) = result {
            writer.fail(taken.ticket, &error, taken.writers);
            self.fail_pending(writer, &segment, start, &error);
        }
        taken.bytes.clear();
        if taken.bytes.capacity() <= SPARE_BYTES_MAX {
            writer.spare = taken.bytes;
        }
    }

    /// After a failed write: whatever waits behind it fails too, and its bytes are cut off.
    fn fail_pending(&self, writer: &mut Writer, segment: &Segment, start: u64, error: &Error) {
        let mut pending = self.pending.lock();
        pending.bytes.clear();
        pending.offset = start;
        writer.fail(pending.ticket, error, std::mem::take(&mut pending.writers));
        writer.written = pending.ticket;
        pending.ticket += 1;
        if let Err(error) = segment.file().set_len(start) {
            self.poison.set(&error);
        }
    }

    /// Seals the active segment and begins a new one, unless `bytes` fit by now.
    fn roll(&self, bytes: u64) -> Result<()> {
        if self.unsynced_bytes() > self.unsynced_bytes_max {
            // Whoever writes faster than the disk takes it waits here.
            self.sync()?;
        }
        let mut writer = self.writer.lock();
        let pending = self.pending.lock();
        if self.fitting(&pending, bytes).is_some() {
            return Ok(());
        }
        let mut pending = self.seal(&mut writer, pending);
        if self.sync_on_roll {
            self.sync_files(writer.take_unsynced())?;
            pending.previous = None;
        }
        self.sequences.extend(&*self.disk, self.clock.wall())?;
        let header = SegmentHeader {
            id: 0,
            seed: self.seed,
            kind: SegmentKind::Log,
            created_ms: self.clock.wall().0,
            sequence_floor: self.sequences.next(),
            previous: pending.previous.take(),
        };
        let segment = self.segments.create(&*self.disk, header)?;
        writer.unsynced.names = true;
        pending.offset = segment.end();
        pending.active = Some(segment);
        Ok(())
    }

    /// Ends the active segment, if there is one, so that all there is can be frozen.
    ///
    /// # Errors
    /// `ReadOnly` once poisoned.
    pub fn seal_active(&self) -> Result<()> {
        self.poison.check()?;
        let mut writer = self.writer.lock();
        let pending = self.pending.lock();
        drop(self.seal(&mut writer, pending));
        Ok(())
    }

    fn seal<'a>(
        &'a self,
        writer: &mut Writer,
        mut pending: MutexGuard<'a, Pending>,
    ) -> MutexGuard<'a, Pending> {
        // In a loop, because others may add to the pending bytes while they are written.
        while !pending.bytes.is_empty() {
            let (taken, guard) = self.take_pending(writer, pending);
            drop(guard);
            self.write_out(writer, taken, &[]);
            pending = self.pending.lock();
        }
        if let Some(active) = pending.active.take() {
            active.seal();
            let id = u32::try_from(active.id()).unwrap_or(0);
            pending.previous = Some((id, pending.offset));
        }
        pending.offset = 0;
        pending
    }

    /// Makes everything that was appended before survive power loss.
    ///
    /// # Errors
    /// `Io`, and the log is poisoned; `ReadOnly` once it is.
    pub fn sync(&self) -> Result<()> {
        let written = self.writer.lock().written;
        self.sync_to(written)
    }

    /// Makes the append with that ticket, and all before it, survive power loss. Threads that ask
    /// at once share one sync.
    ///
    /// # Errors
    /// As [`Log::sync`].
    pub fn sync_to(&self, ticket: u64) -> Result<()> {
        let mut synced = self.synced.lock();
        if *synced >= ticket && !self.writer.lock().unsynced.names {
            return Ok(());
        }
        self.poison.check()?;
        let mut writer = self.writer.lock();
        let unsynced = writer.take_unsynced();
        let written = writer.written;
        // Others append while this one waits for the disk.
        drop(writer);
        self.sync_files(unsynced)?;
        *synced = written;
        Ok(())
    }

    fn sync_files(&self, unsynced: Unsynced) -> Result<()> {
        self.unsynced_bytes.store(0, Ordering::Relaxed);
        let mut result = unsynced.segments.iter().try_for_each(|segment| segment.file().sync());
        if unsynced.names {
            result = result.and_then(|()| self.disk.sync_names());
        }
        result.inspect_err(|error| self.poison.set(error))
    }

    /// Where the log ends. Everything before it is in the files.
    pub fn position(&self) -> Position {
        // With the writer's lock nothing is in flight; what is pending is not part of the position.
        let _writer = self.writer.lock();
        let pending = self.pending.lock();
        Position {
            segment: pending.active.as_ref().map_or(0, |segment| segment.id()),
            offset: pending.offset - pending.bytes.len() as u64,
            sequence: match pending.bytes.is_empty() {
                true => self.sequences.next(),
                false => pending.first_sequence,
            },
        }
    }

    /// The segment that is appended to, if one is.
    pub fn active(&self) -> Option<Arc<Segment>> {
        self.pending.lock().active.clone()
    }

    /// Bytes written since the last sync began.
    pub fn unsynced_bytes(&self) -> u64 {
        self.unsynced_bytes.load(Ordering::Relaxed)
    }

    /// The sequences, from which versions come.
    pub fn sequences(&self) -> &Sequences {
        &self.sequences
    }

    /// Bytes of memory that the pending writes take.
    pub fn memory_bytes(&self) -> u64 {
        let spare = self.writer.lock().spare.capacity();
        (spare + self.pending.lock().bytes.capacity()) as u64
    }
}

struct Taken {
    segment: Option<Arc<Segment>>,
    bytes: Vec<u8>,
    end: u64,
    ticket: u64,
    writers: usize,
}

impl Writer {
    fn take_unsynced(&mut self) -> Unsynced {
        std::mem::take(&mut self.unsynced)
    }

    fn fail(&mut self, ticket: u64, error: &Error, waiting: usize) {
        if waiting > 0 {
            self.failures.push(Failure { ticket, error: error.clone(), waiting });
        }
    }

    fn outcome(&mut self, ticket: u64) -> Result<()> {
        let Some(index) = self.failures.iter().position(|failure| failure.ticket == ticket) else {
            return Ok(());
        };
        let failure = &mut self.failures[index];
        let error = failure.error.clone();
        failure.waiting -= 1;
        if failure.waiting == 0 {
            self.failures.swap_remove(index);
        }
        Err(error)
    }
}

fn out_of_memory(bytes: u64) -> Error {
    Error::new(ErrorKind::OutOfMemory, format!("no memory to write {bytes} bytes at once"))
}
