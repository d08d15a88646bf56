//! Rewriting segments: what lives is moved, compressed if that makes it shorter, into the current
//! frozen segment; what is dead stays behind and goes with the file. Freezing a sealed log segment
//! and reclaiming dead space are this one operation.
//!
//! # Steps of rewriting a segment
//! 1. Wait until every record of it that was appended is published (`Host::quiesce`), because
//!    otherwise one that is about to live would be taken for dead.
//! 2. Walk it, and write what lives to the output. Of a record that is damaged, a *lost* record
//!    with its hash is written, so that its key goes on answering that it is corrupt.
//! 3. Sync the output, its name, and the log: the dead are dead because of records in the log,
//!    which must not be lost after the dead are gone.
//! 4. Point the keydir to the copies, each only if it still points to the original.
//! 5. Remove the file.
//!
//! A crash between any two steps leaves records that are there twice, with the same sequence.
//!
//! # Tombstones
//! A tombstone (and a clear) may go when no other segment holds a dead value that is older: there
//! is nothing left that it keeps from coming back.

use super::keydir::{Keydir, SHARDS};
use super::location::Location;
use super::log::Log;
use super::scan::{Scanner, Step};
use super::segment::{Segment, Segments};
use crate::codec::compress::{Compression, Compressor};
use crate::codec::record::{self, HEADER_BYTES, Header, Kind};
use crate::codec::segment::{SegmentHeader, SegmentKind};
use crate::error::{Error, ErrorKind, Result};
use crate::io::files::Disk;
use crate::time::{Clock, Expiry};
use std::collections::HashSet;
use std::sync::Arc;

/// Output is written in pieces of this many bytes.
const CHUNK_BYTES: usize = 1 << 20;

/// Beyond this the original is copied as it is: a compressed value is made in memory.
const COMPRESSED_BYTES_MAX: usize = 64 << 20;

/// A segment is rewritten once this share of it is dead, in percent.
const DEAD_PERCENT: u64 = 50;

/// Once this share of all segments is dead, in percent, the one with most is rewritten.
const DEAD_PERCENT_TOTAL: u64 = 35;

/// Frozen segments below an eighth of the full length are joined when there are this many.
const SMALL_SEGMENTS: usize = 8;

/// What rewriting asks of the store around it.
pub trait Host {
    /// Returns once every write that had been appended when it was called is published.
    fn quiesce(&self);

    /// The value of `key`, at `location`, has expired: takes it out of both tiers, unless the
    /// keydir points elsewhere by now.
    fn expired(&self, key: &[u8], location: Location, header: &Header, expires_at: u64);

    /// Called about every megabyte: false to give up.
    fn go_on(&self) -> bool;
}

/// What rewriting works on.
pub struct Parts<'a> {
    /// The directory.
    pub disk: &'a dyn Disk,
    /// All segments.
    pub segments: &'a Segments,
    /// The keydir.
    pub keydir: &'a Keydir,
    /// The log.
    pub log: &'a Log,
    /// Where the time comes from.
    pub clock: &'a dyn Clock,
    /// Seed of the key hash.
    pub seed: u64,
    /// Length of a segment in bytes.
    pub segment_bytes_max: u64,
    /// Whether files are synced before others are removed.
    pub sync: bool,
}

/// What became of one rewriting.
#[derive(Clone, Debug)]
pub struct Rewritten {
    /// The segment that is gone.
    pub segment: String,
    /// Its length.
    pub bytes_before: u64,
    /// What of it was written again.
    pub bytes_after: u64,
}

/// Rewrites segments, one after the other, into the current output.
pub struct Compactor {
    compressor: Option<Compressor>,
    output: Option<Output>,
}

struct Output {
    segment: Arc<Segment>,
    offset: u64,
    buffer: Vec<u8>,
    moves: Vec<Move>,
}

struct Move {
    header: Header,
    from: Option<Location>,
    to: Location,
    expires_at: u64,
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

    /// True if a sealed log segment still has to be rewritten only to be compressed.
    pub fn freezes(&self) -> bool {
        self.compressor.is_some()
    }

    /// The segment that is most worth rewriting, if any is.
    pub fn choose(&self, segments: &Segments) -> Option<Arc<Segment>> {
        let all = self.rewritable(segments);
        let is_log = |s: &&Arc<Segment>| s.header().kind == SegmentKind::Log;
        let unfrozen = all.iter().find(is_log).filter(|_| self.freezes());
        let states: Vec<_> =
            all.iter().map(|segment| (dead_bytes(segment, &all), segment)).collect();
        let dead: u64 = states.iter().map(|(dead, _)| dead).sum();
        let total: u64 = states.iter().map(|(_, segment)| segment.end()).sum();
        let over = dead * 100 > total * DEAD_PERCENT_TOTAL;
        let deadest = states
            .iter()
            .max_by_key(|(dead, segment)| dead * 1_000 / segment.end().max(1))
            .filter(|(dead, s)| *dead > 0 && (over || dead * 100 >= s.end() * DEAD_PERCENT))
            .map(|(_, segment)| *segment);
        // Space first: what is dead need not be compressed.
        deadest.or(unfrozen).or_else(|| self.small(&all)).cloned()
    }

    /// Everything that a full compaction rewrites at this moment.
    pub fn choose_all(&self, segments: &Segments) -> Vec<Arc<Segment>> {
        let all = self.rewritable(segments);
        let wanted = |segment: &&Arc<Segment>| {
            let unfrozen = self.freezes() && segment.header().kind == SegmentKind::Log;
            let tally = segment.tally();
            let droppable = tally.tombstones > 0 && can_drop(segment, &all, tally.max_sequence);
            unfrozen
                || tally.values > segment.live().0
                || droppable
                || tally.values + tally.tombstones == 0
        };
        all.iter().filter(wanted).cloned().collect()
    }

    fn small<'a>(&self, all: &'a [Arc<Segment>]) -> Option<&'a Arc<Segment>> {
        let longest = all.iter().map(|segment| segment.end()).max()?;
        let mut small =
            all.iter().filter(|s| s.header().kind == SegmentKind::Frozen && s.end() < longest / 8);
        let first = small.next();
        first.filter(|_| small.count() + 1 >= SMALL_SEGMENTS)
    }

    fn rewritable(&self, segments: &Segments) -> Vec<Arc<Segment>> {
        let mut all = segments.all();
        let output = self.output.as_ref().map(|output| output.segment.id());
        all.retain(|segment| segment.is_sealed() && Some(segment.id()) != output);
        all
    }

    /// Rewrites `input` and removes its file.
    ///
    /// # Errors
    /// Those of reading, writing and syncing; `input` is then untouched.
    pub fn rewrite(
        &mut self,
        parts: &Parts<'_>,
        host: &dyn Host,
        input: &Arc<Segment>,
    ) -> Result<Option<Rewritten>> {
        host.quiesce();
        let all = parts.segments.all();
        let bytes_before = input.end();
        let mut bytes_after = 0;
        if input.live().0 > 0 || input.tally().tombstones > 0 {
            match self.copy_live(parts, host, input, &all) {
                Ok(Some(bytes)) => bytes_after = bytes,
                Ok(None) => {
                    self.abandon()?;
                    return Ok(None);
                }
                Err(error) => {
                    self.abandon().and(Err(error))?;
                }
            }
        } else if parts.sync {
            parts.log.sync()?;
        }
        if let Some(output) = &mut self.output {
            output.publish(parts);
        }
        if input.live().0 > 0 {
            let sentence = format!("{} still holds live records after it was moved", input.name());
            return Err(Error::new(ErrorKind::Internal, sentence));
        }
        parts.segments.remove(input);
        parts.disk.remove(&input.name())?;
        if parts.sync {
            // Before a tombstone goes because of this file's absence, it must be absent for good.
            parts.disk.sync_names()?;
        }
        Ok(Some(Rewritten { segment: input.name(), bytes_before, bytes_after }))
    }

    /// Ends the current output, so that the next rewriting begins a new one.
    pub fn seal_output(&mut self) {
        if let Some(output) = self.output.take() {
            output.segment.seal();
        }
    }

    fn copy_live(
        &mut self,
        parts: &Parts<'_>,
        host: &dyn Host,
        input: &Arc<Segment>,
        all: &[Arc<Segment>],
    ) -> Result<Option<u64>> {
        let mut scanner = Scanner::new(input, 0, input.end())?;
        let mut met = HashSet::new();
        let mut bytes = 0;
        let mut pause = 0;
        while let Some(step) = scanner.next()? {
            let Step::Record { offset, header, intact } = step else { continue };
            if offset >= pause {
                pause = offset + CHUNK_BYTES as u64;
                if !host.go_on() {
                    return Ok(None);
                }
            }
            let from = Location::new(input.slot(), offset, header.record_bytes());
            let lives = match header.kind {
                Kind::Value | Kind::Lost => {
                    parts.keydir.lock_for(header.hash).index_of(header.hash, from).is_some()
                }
                Kind::Tombstone | Kind::Clear => intact && !can_drop(input, all, header.sequence),
                Kind::Synced => false,
            };
            if !lives {
                continue;
            }
            met.insert(offset);
            if !intact && header.kind != Kind::Lost {
                bytes += self.lose(parts, Some(from), header.hash, header.sequence)?;
                continue;
            }
            let record = scanner.record(&header);
            let expires_at = record.map_or(0, |record| header.expires_at(record));
            if let (Some(record), true) =
                (record, Expiry::from_ms(expires_at).has_passed(parts.clock.wall()))
            {
                let key = &record[header.key_start()..header.value_start()];
                host.expired(key, from, &header, expires_at);
                if !can_drop(input, all, header.sequence) {
                    bytes += self.bury(parts, header, key)?;
                }
                continue;
            }
            let keeps = matches!(header.kind, Kind::Value | Kind::Lost).then_some(from);
            bytes += match record {
                Some(record) => self.copy(parts, keeps, header, record, expires_at)?,
                None => self.copy_long(parts, keeps, header, input, offset)?,
            };
        }
        bytes += self.lose_unreadable(parts, input, &met)?;
        self.flush()?;
        if parts.sync {
            if let Some(output) = &self.output {
                output.segment.file().sync()?;
                parts.disk.sync_names()?;
            }
            parts.log.sync()?;
        }
        Ok(Some(bytes))
    }

    /// Copies a record, of which all but the header's bytes are used, compressed if that makes it
    /// shorter.
    fn copy(
        &mut self,
        parts: &Parts<'_>,
        from: Option<Location>,
        mut header: Header,
        record: &[u8],
        expires_at: u64,
    ) -> Result<u64> {
        let (before, value) = record.split_at(header.value_start());
        let mut packed = Vec::new();
        let mut stored = value;
        if let (Some(compressor), 0) = (&mut self.compressor, header.codec) {
            let raw_len = u32::try_from(value.len()).unwrap_or(u32::MAX);
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
        let output = self.output_for(parts, header.record_bytes())?;
        let to = output.next(&header);
        let head = header.encode(output.segment.place(to.offset()));
        for part in [&head[..], lead, stored] {
            output.buffer.extend_from_slice(part);
        }
        output.finish_record(Move { header, from, to, expires_at });
        self.flush_if_long()?;
        Ok(header.record_bytes())
    }

    /// Copies a record that is too long for memory, piece by piece, as it is.
    fn copy_long(
        &mut self,
        parts: &Parts<'_>,
        from: Option<Location>,
        mut header: Header,
        input: &Segment,
        offset: u64,
    ) -> Result<u64> {
        header.chained = false;
        let output = self.output_for(parts, header.record_bytes())?;
        let to = output.next(&header);
        let head = header.encode(output.segment.place(to.offset()));
        output.buffer.extend_from_slice(&head);
        output.flush()?;
        let mut at = HEADER_BYTES as u64;
        let end = header.record_bytes();
        let mut piece = vec![0; CHUNK_BYTES];
        while at < end {
            let want = usize::try_from(end - at).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES);
            let count = input.file().read_at(&mut piece[..want], offset + at)?;
            // Padding may be missing at the end of a file; it is zeros in any case.
            piece[count..want].fill(0);
            output.segment.file().write_at(&[&piece[..want]], to.offset() + at)?;
            at += want as u64;
        }
        output.offset = to.offset() + end;
        let mut lead = [0; HEADER_BYTES + 8];
        input.file().read_at(&mut lead, offset)?;
        let expires_at = header.expires_at(&lead);
        output.moves.push(Move { header, from, to, expires_at });
        Ok(end)
    }

    /// Writes a tombstone in the place of an expired value, which kept older ones from coming back.
    fn bury(&mut self, parts: &Parts<'_>, header: Header, key: &[u8]) -> Result<u64> {
        let header =
            Header { kind: Kind::Tombstone, codec: 0, expires: false, stored_len: 0, ..header };
        let mut record = vec![0; HEADER_BYTES];
        record.extend_from_slice(key);
        self.copy(parts, None, header, &record, 0)
    }

    /// Writes a record that stands for a damaged one.
    fn lose(
        &mut self,
        parts: &Parts<'_>,
        from: Option<Location>,
        hash: u64,
        sequence: u64,
    ) -> Result<u64> {
        let header = Header {
            kind: Kind::Lost,
            codec: 0,
            expires: false,
            collides: false,
            chained: false,
            key_len: 0,
            stored_len: 0,
            body_checksum: record::body_checksum(&[]),
            sequence,
            hash,
        };
        self.copy(parts, from, header, &[0; HEADER_BYTES], 0)
    }

    /// Lets go on those keydir entries whose records could not even be told apart.
    fn lose_unreadable(
        &mut self,
        parts: &Parts<'_>,
        input: &Segment,
        met: &HashSet<u64>,
    ) -> Result<u64> {
        if input.live().0 <= met.len() as u64 {
            return Ok(0);
        }
        let mut bytes = 0;
        for shard in 0..SHARDS {
            let unmet: Vec<_> = parts
                .keydir
                .lock(shard)
                .iter()
                .filter(|(_, at)| at.slot() == input.slot() && !met.contains(&at.offset()))
                .collect();
            for (hash, at) in unmet {
                // Nothing tells its sequence any more; the segment's greatest cannot be too low.
                bytes += self.lose(parts, Some(at), hash, input.tally().max_sequence)?;
            }
        }
        Ok(bytes)
    }

    fn output_for(&mut self, parts: &Parts<'_>, bytes: u64) -> Result<&mut Output> {
        let is_full =
            |output: &Output| output.offset + bytes > parts.segment_bytes_max && output.offset > 64;
        if self.output.as_ref().is_some_and(is_full) {
            self.end_output(parts)?;
        }
        let output = match self.output.take() {
            Some(output) => output,
            None => Output::create(parts)?,
        };
        Ok(self.output.insert(output))
    }

    /// A full output is published at once: what it took over is on disk before the next begins.
    fn end_output(&mut self, parts: &Parts<'_>) -> Result<()> {
        self.flush()?;
        if let Some(output) = &self.output
            && parts.sync
        {
            output.segment.file().sync()?;
            parts.disk.sync_names()?;
        }
        if let Some(output) = &mut self.output {
            output.publish(parts);
        }
        self.seal_output();
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        self.output.as_mut().map_or(Ok(()), Output::flush)
    }

    fn flush_if_long(&mut self) -> Result<()> {
        match &mut self.output {
            Some(output) if output.buffer.len() >= CHUNK_BYTES => output.flush(),
            _ => Ok(()),
        }
    }

    /// Forgets what was copied but not published, and its bytes.
    fn abandon(&mut self) -> Result<()> {
        let Some(output) = &mut self.output else { return Ok(()) };
        output.buffer.clear();
        output.moves.clear();
        output.offset = output.segment.end();
        let cut = output.segment.file().set_len(output.offset);
        if cut.is_err() {
            self.seal_output();
        }
        cut
    }
}

impl Output {
    fn create(parts: &Parts<'_>) -> Result<Self> {
        let header = SegmentHeader {
            id: 0,
            seed: parts.seed,
            kind: SegmentKind::Frozen,
            created_ms: parts.clock.wall().0,
            sequence_floor: parts.log.sequences().next(),
        };
        let segment = parts.segments.create(parts.disk, header)?;
        Ok(Self { offset: segment.end(), segment, buffer: Vec::new(), moves: Vec::new() })
    }

    /// Where the next record will stand.
    fn next(&self, header: &Header) -> Location {
        let offset = self.offset + self.buffer.len() as u64;
        Location::new(self.segment.slot(), offset, header.record_bytes())
    }

    fn finish_record(&mut self, moved: Move) {
        let end = moved.to.offset() + moved.header.record_bytes() - self.offset;
        self.buffer.resize(usize::try_from(end).unwrap_or(0), 0);
        self.moves.push(moved);
    }

    fn flush(&mut self) -> Result<()> {
        if !self.buffer.is_empty() {
            self.segment.file().write_at(&[&self.buffer], self.offset)?;
            self.offset += self.buffer.len() as u64;
            self.buffer.clear();
        }
        Ok(())
    }

    /// Points the keydir to the copies, each only if it still points to the original.
    fn publish(&mut self, parts: &Parts<'_>) {
        for Move { header, from, to, expires_at } in self.moves.drain(..) {
            self.segment.note(&header, to, expires_at);
            let Some(from) = from else { continue };
            let mut shard = parts.keydir.lock_for(header.hash);
            let Some(index) = shard.index_of(header.hash, from) else { continue };
            let was_read = shard.replace(header.hash, index, to).is_some_and(Location::is_read);
            if was_read {
                shard.replace(header.hash, index, to.with_read(true));
            }
            self.segment.add_live(to);
            if let Some(input) = parts.segments.get(from.slot()) {
                input.remove_live(from);
            }
        }
    }
}

/// True if nothing is left that a tombstone of that sequence, in `holder`, has to outlive.
fn can_drop(holder: &Segment, all: &[Arc<Segment>], sequence: u64) -> bool {
    !all.iter()
        .filter(|segment| segment.id() != holder.id())
        .any(|segment| segment.has_dead_values_before(sequence))
}

/// What rewriting `segment` would free, about.
fn dead_bytes(segment: &Segment, all: &[Arc<Segment>]) -> u64 {
    let tally = segment.tally();
    let (live, live_bytes) = segment.live();
    let dead_values = tally.value_bytes.saturating_sub(live_bytes);
    let others = tally.end.saturating_sub(64).saturating_sub(tally.value_bytes);
    if live == 0 && tally.tombstones == 0 {
        return segment.end();
    }
    match tally.tombstones > 0 && can_drop(segment, all, tally.max_sequence) {
        true => dead_values + others,
        false => dead_values,
    }
}
