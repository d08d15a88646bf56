//! Rewriting segments. Records that live move to the current frozen segment, compressed if that
//! makes them shorter. Dead records stay behind and go with the file. Freezing a sealed log segment
//! and reclaiming dead space are this one operation.
//!
//! # Steps of rewriting a segment
//! 1. Wait until every record that was appended to it is published (`Host::quiesce`). Otherwise one
//!    that is about to live would be taken for dead.
//! 2. Sync the log up to it. Walk it, and write what lives to the output. For a damaged record
//!    write a *lost* record with its hash, so that its key goes on answering that it is corrupt.
//! 3. About every megabyte, write what has gathered, and point the keydir to the copies, each only
//!    if it still points to the original.
//! 4. Sync the output, its name, and the log. Records in the log made the dead ones dead; they must
//!    not be lost after the dead are gone.
//! 5. Leave a note (see [`gone`]), remove the file, which stays open for its readers, and make that
//!    durable, before anything relies on its absence.
//!
//! A crash between any two steps leaves records that are there twice, with the same sequence.
//!
//! # Tombstones
//! A tombstone (and a clear) may go when no other segment holds a dead value that is older: nothing
//! is left that it keeps from coming back. One that is older than the last clear may go at once:
//! the clear keeps the same from coming back.

use super::choice::{Candidates, can_drop, keeps_nothing};
use super::output::{Context, Move, Output};
use crate::codec::compress::{Compression, Compressor};
use crate::codec::record::{self, HEADER_BYTES, Header, Kind};
use crate::cold::host::{Removal, RemovalCause, Rewritten};
use crate::cold::local::index::keydir::SHARDS;
use crate::cold::local::index::location::Location;
use crate::cold::local::log::reserve::Need;
use crate::cold::local::recovery::gone;
use crate::cold::local::segment::scan::{Scanner, Step};
use crate::cold::local::segment::segment::{Segment, Segments};
use crate::cold::record::Place;
use crate::error::{Error, ErrorKind, Result};
use crate::memory;
use crate::time::Expiry;
use std::sync::Arc;

/// Output is written in pieces of this many bytes.
const CHUNK_BYTES: usize = 1 << 20;

/// What memory is asked for.
const WHAT: &str = "a segment that is rewritten";

/// What the state of a compressor takes.
const COMPRESSOR_BYTES: u64 = 320 << 10;

/// Beyond this the original is copied as it is: a compressed value is made in memory.
const COMPRESSED_BYTES_MAX: usize = 64 << 20;

/// What is done with values that live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// They are kept.
    Keep,
    /// Those that were read are kept once more, the others are not.
    Evict,
}

/// A record as the scanner gave it.
pub(super) struct ScannedRecord {
    /// Its first byte.
    pub offset: u64,
    /// Its header.
    pub header: Header,
    /// Whether all of it is what was written.
    pub intact: bool,
    /// Milliseconds since the epoch; 0 for never.
    pub expires_at: u64,
}

/// A record that goes on in the output.
struct Moved {
    /// Where its key's place is now; `None` if no key has it.
    from: Option<Location>,
    /// Its header.
    header: Header,
    /// Milliseconds since the epoch; 0 for never.
    expires_at: u64,
}

/// The location of a record that is needed, with its mark; `None` if the record is not needed.
pub(super) fn needed_at(
    context: &Context<'_>,
    (input, all): (&Segment, &[Arc<Segment>]),
    header: &Header,
    from: Location,
) -> Option<Location> {
    match header.kind {
        Kind::Value | Kind::Lost => context.keydir.lock_for(header.hash).at(header.hash, from),
        Kind::Tombstone | Kind::Clear => {
            let is_over = header.is_filler() || header.sequence < context.cleared;
            Some(from).filter(|_| !is_over && !can_drop(input, all, header.sequence))
        }
        Kind::Synced => None,
    }
}

/// Rewrites segments, one after the other, into the current output.
pub struct Compactor {
    compressor: Option<Compressor>,
    output: Option<Output>,
}

impl Compactor {
    /// A compactor for records under `compression`.
    ///
    /// # Errors
    /// `Unsupported` for a codec that is not built.
    pub fn new(compression: Compression) -> Result<Self> {
        let compressor = match compression {
            Compression::None => None,
            other => Some(Compressor::new(other)?),
        };
        Ok(Self { compressor, output: None })
    }

    /// The candidates for rewriting. There is room to write `room` bytes. Records up to `cleared`
    /// were cleared.
    pub fn rewrite_candidates(&self, segments: &Segments, room: u64, cleared: u64) -> Candidates {
        let all = segments.all();
        let output = self.output.as_ref().map(|output| output.segment.id());
        // A segment that is gone with unknown keys stays in the table until a clear, so that it
        // goes on counting as damage.
        let tells = |s: &Segment| s.is_gone() && s.lacks_unknown();
        let may_go = |s: &&Arc<Segment>| s.is_sealed() && Some(s.id()) != output && !tells(s);
        let rewritable = all.iter().filter(may_go).cloned().collect();
        Candidates { rewritable, all, freezes: self.compressor.is_some(), room, cleared }
    }

    /// About how much memory rewriting takes: what is read, what is written, the moves between, and
    /// the compressor.
    pub fn working_bytes(&self) -> u64 {
        let compressor = if self.compressor.is_some() { COMPRESSOR_BYTES } else { 0 };
        4 * CHUNK_BYTES as u64 + compressor
    }

    /// Rewrites `input` and removes its file.
    ///
    /// # Errors
    /// Those of reading, writing and syncing; `input` is then untouched.
    pub fn rewrite(
        &mut self,
        context: &Context<'_>,
        input: &Arc<Segment>,
        mode: Mode,
    ) -> Result<Option<Rewritten>> {
        context.host.quiesce();
        if context.sync {
            // A copy must not survive a power loss that takes what was written before the original.
            context.log.sync()?;
        }
        let all = context.segments.all();
        let bytes_before = input.end();
        let mut bytes_after = 0;
        if !keeps_nothing(input, &all, context.cleared) {
            match self.copy_live(context, (input, mode), &all) {
                Ok(Some(bytes)) => bytes_after = bytes,
                Ok(None) => {
                    self.abandon(context)?;
                    return Ok(None);
                }
                Err(error) => {
                    self.abandon(context).and(Err(error))?;
                }
            }
        } else if context.sync {
            context.log.sync()?;
        }
        if input.live().0 > 0 {
            let sentence = format!("{} still holds live records after it was moved", input.name());
            return Err(Error::new(ErrorKind::Internal, sentence));
        }
        // Somebody may be about to read it.
        input.file().keep()?;
        let make = |name: &str| {
            context.reserve.lend(Need::Rewriting, 0, || context.disk.create(name).map(drop))
        };
        gone::note(context.disk, input.id(), &make)?;
        // The file goes first: as long as it exists, the table of segments must have it.
        if !input.is_gone() {
            context.disk.remove(&input.name())?;
        }
        context.segments.remove(input);
        context.log.forget_segment(input);
        if context.sync {
            // Before a tombstone goes because of this file's absence, or a checkpoint leaves it
            // out, it must be absent for good.
            context.disk.sync_names().inspect_err(|error| context.poison.set(error))?;
        }
        Ok(Some(Rewritten { name: input.name(), bytes_before, bytes_after }))
    }

    /// The segment that is written to, if one is.
    pub fn output(&self) -> Option<Arc<Segment>> {
        self.output.as_ref().map(|output| output.segment.clone())
    }

    /// Ends the current output, so that the next rewriting begins a new one.
    pub fn seal_output(&mut self) {
        if let Some(output) = self.output.take() {
            output.segment.seal();
        }
    }

    fn copy_live(
        &mut self,
        context: &Context<'_>,
        (input, mode): (&Arc<Segment>, Mode),
        all: &[Arc<Segment>],
    ) -> Result<Option<u64>> {
        let mut scanner = Scanner::new(input, 0, input.end())?;
        let mut bytes = 0;
        let mut pause = 0;
        while let Some(step) = scanner.next()? {
            let Step::Record { offset, header, intact, expires_at } = step else { continue };
            if offset >= pause {
                pause = offset + CHUNK_BYTES as u64;
                if !context.host.go_on() {
                    return Ok(None);
                }
            }
            let record = ScannedRecord { offset, header, intact, expires_at };
            bytes += self.take_over(context, (input, mode, all), &scanner, record)?;
        }
        self.flush(context)?;
        bytes += self.lose_unreadable(context, input)?;
        self.sync_output(context)?;
        if context.sync {
            context.log.sync()?;
        }
        Ok(Some(bytes))
    }

    /// Copies a record that the scanner gave last, if it is needed; gives the bytes of what stands for it.
    pub(super) fn take_over(
        &mut self,
        context: &Context<'_>,
        (input, mode, all): (&Segment, Mode, &[Arc<Segment>]),
        scanner: &Scanner<'_>,
        ScannedRecord { offset, header, intact, expires_at }: ScannedRecord,
    ) -> Result<u64> {
        let from = Location::new(input.slot(), offset, header.record_bytes());
        let Some(needed) = needed_at(context, (input, all), &header, from) else {
            let key = intact.then(|| scanner.key(&header));
            return self.bury_swept(context, (header, key, expires_at), (input, all));
        };
        if !intact && matches!(header.kind, Kind::Value | Kind::Tombstone) {
            return match header.kind {
                Kind::Value => self.lose(context, Some(from), header.hash, header.sequence),
                // Of its key the hash is left, which is enough to go on deleting.
                _ => self.bury(context, header, &[]),
            };
        }
        let expiry = Expiry::from_ms(expires_at);
        let has_expired = expiry.is_some() && expiry.has_passed(context.clock.wall());
        let evicts = mode == Mode::Evict && header.kind == Kind::Value && !needed.is_read();
        if has_expired || evicts {
            let key = scanner.key(&header);
            let cause = if has_expired { RemovalCause::Expired } else { RemovalCause::Evicted };
            let place = Place { hash: header.hash, word: from.word(), keep: None };
            context.host.removed(
                key,
                &place,
                Removal { cause, version: header.sequence, expires_at },
            );
            return match can_drop(input, all, header.sequence) {
                true => Ok(0),
                false => self.bury(context, header, key),
            };
        }
        // One that is spared is not spared again unless it is read again.
        let needed = needed.with_read(needed.is_read() && mode == Mode::Keep);
        let keeps = matches!(header.kind, Kind::Value | Kind::Lost).then_some(needed);
        let moved = Moved { from: keeps, header, expires_at };
        match scanner.record(&header) {
            Some(record) => self.copy(context, moved, record),
            None => self.copy_long(context, moved, (input, offset)),
        }
    }

    /// Copies a record, of which all but the header's bytes are used, compressed if that makes it
    /// shorter.
    fn copy(
        &mut self,
        context: &Context<'_>,
        Moved { from, mut header, expires_at }: Moved,
        record: &[u8],
    ) -> Result<u64> {
        let (before, value) = record.split_at(header.value_start());
        let mut packed = Vec::new();
        let mut stored = value;
        if let (Some(compressor), 0) = (&mut self.compressor, header.codec) {
            let raw_len = u32::try_from(value.len()).unwrap_or(u32::MAX);
            memory::grow(&mut packed, 4, "a compressed value")?;
            packed.extend_from_slice(&raw_len.to_le_bytes());
            if value.len() <= COMPRESSED_BYTES_MAX
                && compressor.compress(value, &mut packed)?
                && packed.len() < value.len()
            {
                stored = &packed;
                header.codec = compressor.codec();
                header.stored_len = u32::try_from(packed.len()).unwrap_or(u32::MAX);
            }
        }
        header.chained = false;
        let lead = &before[HEADER_BYTES..];
        header.body_checksum = record::body_checksum(&[lead, stored]);
        let output = self.output_for(context, header.record_bytes())?;
        let to = output.next(&header);
        let head = header.encode(output.segment.place(to.offset()));
        output.add([&head[..], lead, stored], Move { header, from, to, expires_at })?;
        if output.buffer.len() >= CHUNK_BYTES {
            output.flush(context)?;
        }
        Ok(header.record_bytes())
    }

    /// Copies a record that is too long for memory, piece by piece, as it is.
    fn copy_long(
        &mut self,
        context: &Context<'_>,
        Moved { from, mut header, expires_at }: Moved,
        (input, offset): (&Segment, u64),
    ) -> Result<u64> {
        header.chained = false;
        let output = self.output_for(context, header.record_bytes())?;
        let to = output.next(&header);
        let head = header.encode(output.segment.place(to.offset()));
        output.flush(context)?;
        memory::grow(&mut output.buffer, head.len(), WHAT)?;
        memory::grow(&mut output.moves, 1, WHAT)?;
        output.buffer.extend_from_slice(&head);
        output.flush(context)?;
        let mut at = HEADER_BYTES as u64;
        let end = header.record_bytes();
        let mut piece = memory::zeros(CHUNK_BYTES, WHAT)?;
        while at < end {
            let want = usize::try_from(end - at).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES);
            let count = input.file().read_at(&mut piece[..want], offset + at)?;
            // Padding may be missing at the end of a file; it is zeros in any case.
            piece[count..want].fill(0);
            context.write(&output.segment, &piece[..want], to.offset() + at)?;
            at += want as u64;
        }
        output.offset = to.offset() + end;
        output.moves.push(Move { header, from, to, expires_at });
        Ok(end)
    }

    /// Writes a tombstone in the place of a dead value that expires, if there is an older one to
    /// keep from coming back: it may be dead because it was swept, and then nothing newer does. Of
    /// one that is damaged, and has no key here, nobody knows whether it was.
    fn bury_swept(
        &mut self,
        context: &Context<'_>,
        (header, key, expires_at): (Header, Option<&[u8]>, u64),
        (input, all): (&Segment, &[Arc<Segment>]),
    ) -> Result<u64> {
        let was_swept = match key {
            Some(_) => Expiry::from_ms(expires_at).has_passed(context.clock.wall()),
            None => header.kind == Kind::Value && header.expires,
        };
        if !was_swept || can_drop(input, all, header.sequence) {
            return Ok(0);
        }
        self.bury(context, header, key.unwrap_or_default())
    }

    /// Writes a tombstone in the place of an expired value, which kept older ones from coming back,
    /// or of a damaged one.
    fn bury(&mut self, context: &Context<'_>, header: Header, key: &[u8]) -> Result<u64> {
        let key_len = u16::try_from(key.len()).unwrap_or(u16::MAX);
        let kind = Kind::Tombstone;
        let header = Header { kind, key_len, codec: 0, expires: false, stored_len: 0, ..header };
        let mut record = memory::zeros(HEADER_BYTES, WHAT)?;
        memory::grow(&mut record, key.len(), WHAT)?;
        record.extend_from_slice(key);
        self.copy(context, Moved { from: None, header, expires_at: 0 }, &record)
    }

    /// Writes a record that stands for a damaged one.
    fn lose(
        &mut self,
        context: &Context<'_>,
        from: Option<Location>,
        hash: u64,
        sequence: u64,
    ) -> Result<u64> {
        let header = Header::bare(Kind::Lost, sequence, hash);
        self.copy(context, Moved { from, header, expires_at: 0 }, &[0; HEADER_BYTES])
    }

    /// Lets those keydir entries go on that still point to `input` when all that could be told
    /// apart was moved.
    fn lose_unreadable(&mut self, context: &Context<'_>, input: &Segment) -> Result<u64> {
        let mut bytes = 0;
        for shard in (0..SHARDS).filter(|_| input.live().0 > 0) {
            let mut unread = Vec::new();
            for (hash, at) in context.keydir.lock(shard).iter() {
                if at.slot() == input.slot() {
                    memory::push(&mut unread, (hash, at), WHAT)?;
                }
            }
            for (hash, at) in unread {
                // Nothing tells its sequence any more; the segment's greatest cannot be too low.
                bytes += self.lose(context, Some(at), hash, input.tally().max_sequence)?;
            }
        }
        self.flush(context)?;
        Ok(bytes)
    }

    fn output_for(&mut self, context: &Context<'_>, bytes: u64) -> Result<&mut Output> {
        let is_full = |output: &Output| output.end() + bytes > context.segment_bytes_max;
        if self.output.as_ref().is_some_and(|output| !output.is_empty() && is_full(output)) {
            self.end_output(context)?;
        }
        let output = match self.output.take() {
            Some(output) => output,
            None => Output::create(context)?,
        };
        Ok(self.output.insert(output))
    }

    /// What a full output took over is on disk before the next begins.
    fn end_output(&mut self, context: &Context<'_>) -> Result<()> {
        self.flush(context)?;
        self.sync_output(context)?;
        self.seal_output();
        Ok(())
    }

    pub(super) fn sync_output(&self, context: &Context<'_>) -> Result<()> {
        match &self.output {
            Some(output) if context.sync => {
                // The keydir points to it already, and so would a checkpoint.
                let synced = output.segment.file().sync().and_then(|()| context.disk.sync_names());
                synced.inspect_err(|error| context.poison.set(error))
            }
            Some(output) => context.log.add_unsynced(&output.segment),
            None => Ok(()),
        }
    }

    pub(super) fn flush(&mut self, context: &Context<'_>) -> Result<()> {
        self.output.as_mut().map_or(Ok(()), |output| output.flush(context))
    }

    /// Forgets what was copied but not published, and its bytes. If they may come back writing
    /// ends, because later deletions would not be known to be newer.
    pub(super) fn abandon(&mut self, context: &Context<'_>) -> Result<()> {
        let Some(output) = &mut self.output else { return Ok(()) };
        output.buffer.clear();
        output.moves.clear();
        output.offset = output.segment.end();
        let cut = output.segment.file().set_len(output.offset);
        cut.inspect_err(|error| context.poison.set(error))?;
        self.sync_output(context)
    }
}
