//! A segment's file, and its pending bytes: they were appended and are not in the file yet.
//!
//! One write takes many small appends to the file. Until then they are here, and in the stage,
//! which survives the process. Readers find them as if they were in the file. A segment is written
//! by calls and is not mapped, so that a full or failing disk is an error of a call and not a
//! signal.
//!
//! # Invariants
//! 1. Pending bytes stand right behind the file's last byte that counts, at `flushed`.
//! 2. What lies before `flushed` is in the file and does not change.

use crate::codec::segment::SEGMENT_HEADER_BYTES;
use crate::error::{Error, ErrorKind, Result};
use crate::io::files::File;
use crate::memory;
use crate::sync::Mutex;
use smallvec::SmallVec;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a file system has or leaves out as a whole.
const BLOCK_BYTES: usize = 4096;

/// A segment's file.
pub struct SegmentFile {
    file: Arc<dyn File>,
    /// Everything before it is in the file; `u64::MAX` while nothing is appended.
    flushed: AtomicU64,
    pending: Mutex<Vec<u8>>,
    joint: u64,
}

impl SegmentFile {
    /// All that the file has.
    pub fn new(file: Arc<dyn File>) -> Self {
        let flushed = AtomicU64::new(u64::MAX);
        Self { file, flushed, pending: Mutex::new(Vec::new()), joint: u64::MAX }
    }

    /// The file up to `end`, and behind that `pending`.
    pub fn with_pending(file: Arc<dyn File>, end: u64, pending: Vec<u8>) -> Self {
        Self { file, flushed: AtomicU64::new(end), pending: Mutex::new(pending), joint: end }
    }

    /// A file that is not there: it has no bytes.
    pub fn gone(path: PathBuf) -> Self {
        Self::new(Arc::new(Nothing(path)))
    }

    /// Where the file ended when it was opened, if something was pending behind that.
    pub fn joint(&self) -> u64 {
        self.joint
    }

    /// The file's path when it was opened, for messages only.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Begins appending at `end`, where the file ends.
    pub fn begin(&self, end: u64) {
        self.flushed.store(end, Ordering::Release);
    }

    /// Ends appending; nothing is pending.
    pub fn end(&self) {
        debug_assert!(self.pending.lock().is_empty(), "they would be lost");
        self.flushed.store(u64::MAX, Ordering::Release);
        *self.pending.lock() = Vec::new();
    }

    /// Where the bytes that are not in the file yet begin.
    pub fn flushed(&self) -> u64 {
        self.flushed.load(Ordering::Acquire)
    }

    /// How many there are.
    pub fn pending_bytes(&self) -> u64 {
        self.pending.lock().len() as u64
    }

    /// Memory that is kept for them.
    pub fn memory_bytes(&self) -> u64 {
        self.pending.lock().capacity() as u64
    }

    /// Appends what `encode` adds, at most `room` bytes, to the pending ones, and gives it to `see`.
    ///
    /// # Errors
    /// `OutOfMemory`: nothing was appended.
    pub fn push(
        &self,
        room: usize,
        encode: impl FnOnce(&mut Vec<u8>),
        see: impl FnOnce(&[u8]),
    ) -> Result<()> {
        let mut pending = self.pending.lock();
        memory::grow(&mut pending, room, "what is appended")?;
        let start = pending.len();
        encode(&mut pending);
        see(&pending[start..]);
        Ok(())
    }

    /// Takes the last `bytes` pending ones back.
    pub fn pop(&self, bytes: usize) {
        let mut pending = self.pending.lock();
        let length = pending.len().saturating_sub(bytes);
        pending.truncate(length);
    }

    /// Writes the pending bytes and then `more` to the file, in one write.
    ///
    /// # Errors
    /// Those of [`File::write_at`]: the pending ones still are, and behind `flushed` the file may
    /// have any part of what was to be written.
    pub fn flush(&self, more: &[&[u8]]) -> Result<()> {
        let mut pending = self.pending.lock();
        let length: usize = pending.len() + more.iter().map(|part| part.len()).sum::<usize>();
        if length == 0 {
            return Ok(());
        }
        let start = self.flushed.load(Ordering::Acquire);
        let all = std::iter::once(&pending[..]).chain(more.iter().copied());
        let parts: SmallVec<[&[u8]; 6]> = all.filter(|part| !part.is_empty()).collect();
        self.file.write_at(&parts, start)?;
        drop(parts);
        pending.clear();
        self.flushed.store(start + length as u64, Ordering::Release);
        Ok(())
    }

    /// Cuts off what a failed flush may have left behind the last byte that counts.
    ///
    /// # Errors
    /// Those of [`File::set_len`].
    pub fn cut(&self) -> Result<()> {
        self.file.set_len(self.flushed.load(Ordering::Acquire))
    }

    /// Reads at `offset` until `buffer` is full or there is no more; returns how many bytes.
    ///
    /// # Errors
    /// `Io`.
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        let end = offset.saturating_add(buffer.len() as u64);
        if end <= self.flushed.load(Ordering::Acquire) {
            return self.file.read_at(buffer, offset);
        }
        let pending = self.pending.lock();
        let flushed = self.flushed.load(Ordering::Acquire);
        let in_file = usize::try_from(flushed.saturating_sub(offset)).unwrap_or(usize::MAX);
        let (front, back) = buffer.split_at_mut(in_file.min(buffer.len()));
        let skipped = usize::try_from(offset.saturating_sub(flushed)).unwrap_or(usize::MAX);
        let rest = pending.get(skipped..).unwrap_or(&[]);
        let count = back.len().min(rest.len());
        back[..count].copy_from_slice(&rest[..count]);
        drop(pending);
        // What is in the file does not change, so it is read without the lock.
        let got = if front.is_empty() { 0 } else { self.file.read_at(front, offset)? };
        Ok(if got < front.len() { got } else { got + count })
    }

    /// The length in bytes, with those that are not in the file yet.
    ///
    /// # Errors
    /// `Io`.
    pub fn len(&self) -> Result<u64> {
        let pending = self.pending.lock();
        match self.flushed.load(Ordering::Acquire) {
            u64::MAX => self.file.len(),
            flushed => Ok(flushed + pending.len() as u64),
        }
    }

    /// As [`File::is_linked`].
    ///
    /// # Errors
    /// `Io`.
    pub fn is_linked(&self) -> Result<bool> {
        self.file.is_linked()
    }

    /// As [`File::data_from`].
    ///
    /// # Errors
    /// `Io`.
    pub fn data_from(&self, offset: u64) -> Result<u64> {
        let flushed = self.flushed.load(Ordering::Acquire);
        // What is pending is data.
        Ok(if offset < flushed { self.file.data_from(offset)?.min(flushed) } else { offset })
    }

    /// As [`File::write_at`], for files that nothing is appended to.
    ///
    /// # Errors
    /// Those of [`File::write_at`].
    pub fn write_at(&self, parts: &[&[u8]], offset: u64) -> Result<()> {
        self.file.write_at(parts, offset)
    }

    /// Writes bytes of a segment again that are not known to have reached the disk. After a failed
    /// sync the kernel may hold them as clean although they are not there, and a sync alone would
    /// prove nothing. Blocks of zeros are left as they are: they may have never been written, and read as
    /// zeros in any case.
    ///
    /// # Errors
    /// Those of [`File::write_at`].
    pub fn rewrite(&self, from: u64, end: u64) -> Result<()> {
        let mut at = from.max(SEGMENT_HEADER_BYTES as u64);
        let mut buffer = memory::zeros(1 << 20, "a buffer to write the tail again")?;
        while at < end {
            let most = buffer.len() as u64 - at % BLOCK_BYTES as u64;
            let want = usize::try_from(most.min(end - at)).unwrap_or(buffer.len());
            let count = self.read_at(&mut buffer[..want], at)?;
            if count == 0 {
                break;
            }
            let read = &buffer[..count];
            if count == want && read.iter().all(|byte| *byte == 0) {
                at = self.data_from(at + count as u64)?;
                continue;
            }
            for run in written_runs(read, at) {
                self.write_at(&[&read[run.clone()]], at + run.start as u64)?;
            }
            at += count as u64;
        }
        Ok(())
    }

    /// As [`File::reserve`].
    ///
    /// # Errors
    /// Those of [`File::reserve`].
    pub fn reserve(&self, offset: u64, bytes: u64) -> Result<()> {
        self.file.reserve(offset, bytes)
    }

    /// Makes what is in the file survive power loss.
    ///
    /// # Errors
    /// Those of [`File::sync`].
    pub fn sync(&self) -> Result<()> {
        self.file.sync()
    }

    /// As [`File::keep`].
    ///
    /// # Errors
    /// Those of [`File::keep`].
    pub fn keep(&self) -> Result<()> {
        self.file.keep()
    }

    /// As [`File::punch`], for files that nothing is appended to.
    ///
    /// # Errors
    /// Those of [`File::punch`].
    pub fn punch(&self, offset: u64, bytes: u64) -> Result<bool> {
        self.file.punch(offset, bytes)
    }

    /// As [`File::set_len`], for files that nothing is appended to.
    ///
    /// # Errors
    /// Those of [`File::set_len`].
    pub fn set_len(&self, bytes: u64) -> Result<()> {
        self.file.set_len(bytes)
    }
}

/// The runs of blocks of `bytes`, which stand at `at`, that are not zeros.
fn written_runs(bytes: &[u8], at: u64) -> impl Iterator<Item = Range<usize>> {
    let begun = usize::try_from(at % BLOCK_BYTES as u64).unwrap_or(0);
    let mut from = 0;
    std::iter::from_fn(move || {
        let block = |from: usize| {
            let end = (from + begun + 1).next_multiple_of(BLOCK_BYTES) - begun;
            from..end.min(bytes.len())
        };
        let is_zero = |run: &Range<usize>| bytes[run.clone()].iter().all(|byte| *byte == 0);
        while from < bytes.len() && is_zero(&block(from)) {
            from = block(from).end;
        }
        let start = from;
        while from < bytes.len() && !is_zero(&block(from)) {
            from = block(from).end;
        }
        (start < from).then_some(start..from)
    })
}

/// A file that is not there. Nothing is ever written to it.
struct Nothing(PathBuf);

impl Nothing {
    fn refuse(&self) -> Result<()> {
        let sentence = format!("{} is gone", self.0.display());
        Err(Error::new(ErrorKind::Io, sentence))
    }
}

impl File for Nothing {
    fn path(&self) -> &Path {
        &self.0
    }

    fn read_at(&self, _: &mut [u8], _: u64) -> Result<usize> {
        Ok(0)
    }

    fn write_at(&self, _: &[&[u8]], _: u64) -> Result<()> {
        self.refuse()
    }

    fn reserve(&self, _: u64, _: u64) -> Result<()> {
        self.refuse()
    }

    fn allocate(&self, _: u64) -> Result<()> {
        self.refuse()
    }

    fn sync(&self) -> Result<()> {
        Ok(())
    }

    fn keep(&self) -> Result<()> {
        Ok(())
    }

    fn len(&self) -> Result<u64> {
        Ok(0)
    }

    fn is_linked(&self) -> Result<bool> {
        Ok(false)
    }

    fn data_from(&self, offset: u64) -> Result<u64> {
        Ok(offset)
    }

    fn punch(&self, _: u64, _: u64) -> Result<bool> {
        Ok(false)
    }

    fn set_len(&self, _: u64) -> Result<()> {
        self.refuse()
    }
}
