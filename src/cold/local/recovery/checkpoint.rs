//! Writing and loading the checkpoint, `CHECKPOINT`: one file with the whole keydir and the tallies
//! of the segments. It makes an open fast, and an index in each frozen segment would tell no more.
//!
//! | step | a crash after it leaves |
//! | --- | --- |
//! | 1. The log's position is noted, and the segments of that moment. Then every write before the position is published (`quiesce`). | The old checkpoint. |
//! | 2. `CHECKPOINT.new` gets the keydir, shard by shard, each under its own lock, while others write. | The old one, and a leftover. |
//! | 3. Head and rows are written, and the file is synced. | The same. |
//! | 4. The log is synced. | The same. What the checkpoint leaves to the log is on disk. |
//! | 5. The file is renamed, and the directory synced. | The new one. |
//!
//! The checkpoint is *fuzzy*: what changed while it was written may be in it or not. Both are
//! right. An open walks everything behind the noted position again, and leaves out loaded entries
//! that point behind it. So no writer has to stop for a checkpoint.
//!
//! # Invariants
//! 1. No row accounts for a record behind the position. So a segment that the log begins behind the
//!    position has no row, and recovery walks all of it: a write in it may be published after its
//!    shard was saved, while a later one in the same segment is published before.

use crate::codec::checkpoint::{
    self, BLOCK_ENTRIES, BLOCK_HEAD_BYTES, ENTRY_BYTES, HEAD_BYTES, Head, ROW_BYTES, Tally,
};
use crate::codec::segment::{SEGMENT_HEADER_BYTES, SEGMENT_ID_MAX};
use crate::codec::version::Decoded;
use crate::cold::local::index::keydir::{Keydir, SHARDS};
use crate::cold::local::index::location::Location;
use crate::cold::local::segment::segment::Segment;
use crate::error::Result;
use crate::io::files::{Disk, File, newer};
use crate::memory;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// The name of the checkpoint's file.
pub const CHECKPOINT: &str = "CHECKPOINT";

const CHECKPOINT_NEW: &str = "CHECKPOINT.new";

/// Bytes that are written at a time.
const CHUNK_BYTES: usize = 1 << 20;

/// What memory is asked for.
const WHAT: &str = "a checkpoint";

/// Rows there can be: one for each slot.
const SEGMENTS_MAX: u64 = 1 << 23;

/// Keys of one hash in a checkpoint that is believed: two are a rarity, and each costs all of them a
/// read. Should there be more, the records tell.
const SAME_HASH_MAX: u64 = 1 << 10;

/// What was loaded beside the keydir's entries.
pub struct Loaded {
    /// The head.
    pub head: Head,
    /// For each segment that the checkpoint knows, by id.
    pub tallies: HashMap<u64, Tally>,
}

/// Writes a checkpoint of `keydir` and of `segments`, which are those of the moment when the log had
/// the position that `head` has. Every write before that position is published. `sync_log` is called
/// before the new file gets its name.
///
/// # Errors
/// `Io`, `NoSpace`, `OutOfMemory`: the old checkpoint stays.
pub fn write(
    disk: &dyn Disk,
    keydir: &Keydir,
    segments: &[Arc<Segment>],
    mut head: Head,
    sync_log: &mut dyn FnMut() -> Result<()>,
) -> Result<()> {
    let file = disk.create_anew(CHECKPOINT_NEW)?;
    let mut rows = Vec::new();
    memory::grow(&mut rows, segments.len() * ROW_BYTES, WHAT)?;
    let mut indexes = HashMap::new();
    let bytes = segments.len() * size_of::<(u32, u32)>();
    indexes.try_reserve(segments.len()).map_err(|_| memory::exhausted(bytes, WHAT))?;
    for (index, segment) in (0..).zip(segments) {
        checkpoint::encode_row(segment.id(), &segment.tally(), &mut rows);
        indexes.insert(segment.slot(), index);
    }
    let mut offset = (HEAD_BYTES + rows.len()) as u64;
    let mut blocks = Vec::new();
    let (mut entries, mut words) = (Vec::new(), Vec::new());
    head.entries = 0;
    for shard in 0..SHARDS {
        // Only the copying is done under the lock.
        let locked = keydir.lock(shard);
        memory::grow(&mut entries, locked.iter().count(), WHAT)?;
        entries.extend(locked.iter());
        drop(locked);
        memory::grow(&mut words, entries.len(), WHAT)?;
        words.extend(
            entries.drain(..).filter_map(|(hash, at)| {
                Some((hash, at.with_slot(*indexes.get(&at.slot())?).word()))
            }),
        );
        head.entries += words.len() as u64;
        let heads = words.len().div_ceil(BLOCK_ENTRIES) * BLOCK_HEAD_BYTES;
        memory::grow(&mut blocks, heads + words.len() * ENTRY_BYTES, WHAT)?;
        for block in words.chunks(BLOCK_ENTRIES) {
            checkpoint::encode_block(block, &mut blocks);
        }
        words.clear();
        if blocks.len() >= CHUNK_BYTES || shard + 1 == SHARDS {
            file.write_at(&[&blocks], offset)?;
            offset += blocks.len() as u64;
            blocks.clear();
        }
    }
    head.segments = segments.len() as u64;
    file.write_at(&[&head.encode(&rows), &rows], 0)?;
    file.sync()?;
    sync_log()?;
    disk.rename(CHECKPOINT_NEW, CHECKPOINT)?;
    disk.sync_names()
}

/// Removes what a failed [`write`] has made; on a full disk it takes room.
pub fn discard(disk: &dyn Disk) {
    // It may not be there; and what stays is overwritten by the next.
    let _ = disk.remove(CHECKPOINT_NEW);
}

/// Removes the checkpoint, if there is one, in such a way that a power loss does not bring it back.
///
/// # Errors
/// `Io`: it may be there.
pub fn remove(disk: &dyn Disk) -> Result<()> {
    if disk.list()?.iter().any(|name| name == CHECKPOINT) {
        disk.remove(CHECKPOINT)?;
        disk.sync_names()?;
    }
    Ok(())
}

/// Removes what an interrupted [`write`] left behind.
///
/// # Errors
/// `Io`.
pub fn remove_leftover(disk: &dyn Disk, names: &[String]) -> Result<()> {
    if names.iter().any(|name| name == CHECKPOINT_NEW) {
        disk.remove(CHECKPOINT_NEW)?;
    }
    Ok(())
}

/// A checkpoint whose head and rows are right; its entries were not looked at yet.
pub struct Opened {
    file: Arc<dyn File>,
    /// The head.
    pub head: Head,
    /// The segments that it knows, each once.
    pub rows: Vec<(u64, Tally)>,
}

/// Opens the checkpoint; `None` if it is damaged, or of another store.
///
/// # Errors
/// `Io`, `OutOfMemory`; `Unsupported` if a newer version wrote it.
pub fn open(disk: &dyn Disk, seed: Option<u64>) -> Result<Option<Opened>> {
    let file = disk.open(CHECKPOINT, false)?;
    let Some((head, rows)) = load_head(&*file)? else { return Ok(None) };
    let rows: Vec<_> = rows.chunks_exact(ROW_BYTES).map(checkpoint::decode_row).collect();
    let ids: HashSet<u64> = rows.iter().map(|(id, _)| *id).collect();
    let is_possible =
        |(id, tally): &(u64, Tally)| (1..=SEGMENT_ID_MAX).contains(id) && tally.is_possible();
    let is_ours = head.is_possible()
        && seed.is_none_or(|seed| seed == head.seed)
        && ids.len() == rows.len()
        && rows.iter().all(is_possible);
    Ok(is_ours.then_some(Opened { file, head, rows }))
}

impl Opened {
    /// Loads the entries into an empty keydir; false, and the keydir still empty, if they are damaged.
    /// All segments that the checkpoint knows are in `by_id`, but for those that were removed since.
    ///
    /// # Errors
    /// `Io`, `OutOfMemory`.
    pub fn load(&self, by_id: &HashMap<u64, Arc<Segment>>, keydir: &Keydir) -> Result<bool> {
        let mut loading = Loading::new(self, by_id, keydir)?;
        let offset = (HEAD_BYTES + self.rows.len() * ROW_BYTES) as u64;
        let is_whole = load_blocks(&*self.file, offset, &mut loading)?;
        let is_whole = is_whole && loading.count == self.head.entries;
        match is_whole {
            true => loading.end_shard()?,
            false => keydir.lock_all().iter_mut().for_each(|shard| drop(shard.take())),
        }
        Ok(is_whole)
    }
}

/// Entries on their way to the keydir. They come in the order of hashes, a shard's one after the other.
struct Loading<'a> {
    keydir: &'a Keydir,
    /// For each row the segment and the length of its file.
    segments: Vec<Option<(&'a Arc<Segment>, u64)>>,
    /// Index of the log segment's row, and the position in it.
    log: (Option<usize>, u64),
    count: u64,
    last_hash: u64,
    /// How many entries have had that hash.
    same_hash: u64,
    shard: Vec<(u64, Location)>,
}

impl<'a> Loading<'a> {
    fn new(
        opened: &Opened,
        by_id: &'a HashMap<u64, Arc<Segment>>,
        keydir: &'a Keydir,
    ) -> Result<Self> {
        let Opened { head, rows, .. } = opened;
        let mut segments = Vec::new();
        for (id, tally) in rows {
            let segment = by_id.get(id).map(|s| s.file().len().map(|len| (s, len))).transpose()?;
            let end =
                if *id == head.log_segment { head.log_offset.max(tally.end) } else { tally.end };
            if let Some((segment, _)) = segment.filter(|(_, length)| *length < end) {
                segment.set_lacking(false);
            }
            segments.push(segment);
        }
        let log = rows.iter().position(|(id, _)| *id == head.log_segment);
        let log = (log, head.log_offset);
        Ok(Self { keydir, segments, log, count: 0, last_hash: 0, same_hash: 0, shard: Vec::new() })
    }

    /// Takes an entry; false if there is no such one.
    fn take(&mut self, hash: u64, word: u64) -> Result<bool> {
        let location = Location::from_word(word);
        let (index, offset) = (location.slot() as usize, location.offset());
        let Some(segment) = self.segments.get(index).copied() else { return Ok(false) };
        self.same_hash = if hash == self.last_hash { self.same_hash + 1 } else { 1 };
        let is_possible = hash >= self.last_hash && self.same_hash <= SAME_HASH_MAX;
        if !is_possible || offset < SEGMENT_HEADER_BYTES as u64 {
            return Ok(false);
        }
        if Keydir::shard_index(hash) != Keydir::shard_index(self.last_hash) {
            self.end_shard()?;
        }
        self.last_hash = hash;
        self.count += 1;
        // What is in a segment that was removed was moved before, and is found where it is now.
        let Some((segment, length)) = segment else { return Ok(true) };
        let is_there = offset < length;
        // It had reached the disk before this checkpoint got its name.
        if !is_there {
            segment.set_lacking(false);
        }
        // What lies behind the position is found again in the log.
        if is_there && (Some(index), offset >= self.log.1) == (self.log.0, true) {
            return Ok(true);
        }
        let entry = (hash, location.with_slot(segment.slot()));
        memory::push(&mut self.shard, entry, "the entries of a checkpoint")?;
        Ok(true)
    }

    fn end_shard(&mut self) -> Result<()> {
        let loaded = self.keydir.lock_for(self.last_hash).load(&self.shard);
        self.shard.clear();
        loaded
    }
}

fn load_head(file: &dyn File) -> Result<Option<(Head, Vec<u8>)>> {
    let mut bytes = [0; HEAD_BYTES];
    if file.read_at(&mut bytes, 0)? < HEAD_BYTES {
        return Ok(None);
    }
    let Some(head) = Head::peek(&bytes) else { return Ok(None) };
    // Bounded by the file's length before any memory is asked for.
    let room = file.len()?.saturating_sub(HEAD_BYTES as u64);
    let row_bytes = head.segments.min(SEGMENTS_MAX) * ROW_BYTES as u64;
    let entry_bytes = head.entries.checked_mul(ENTRY_BYTES as u64);
    let is_short = |bytes: u64| bytes > room.saturating_sub(row_bytes);
    if head.segments > SEGMENTS_MAX || row_bytes > room || entry_bytes.is_none_or(is_short) {
        return Ok(None);
    }
    let mut rows =
        memory::zeros(usize::try_from(row_bytes).unwrap_or(0), "the rows of a checkpoint")?;
    if file.read_at(&mut rows, HEAD_BYTES as u64)? < rows.len() {
        return Ok(None);
    }
    match Head::decode(&bytes, &rows) {
        Decoded::Valid(head) => Ok(Some((head, rows))),
        Decoded::Damaged => Ok(None),
        Decoded::Newer(version) => Err(newer(file, version)),
    }
}

/// False if a block is damaged.
fn load_blocks(file: &dyn File, mut offset: u64, loading: &mut Loading<'_>) -> Result<bool> {
    let end = file.len()?;
    let mut buffer = memory::zeros(CHUNK_BYTES, "a buffer to read the checkpoint")?;
    while offset < end {
        let count = file.read_at(&mut buffer, offset)?;
        let mut rest = &buffer[..count];
        while let Some(entries) = checkpoint::block_entries(rest) {
            let bytes = BLOCK_HEAD_BYTES + entries * ENTRY_BYTES;
            let Some((block, behind)) = rest.split_at_checked(bytes) else { break };
            let mut taken = Ok(true);
            let is_whole = checkpoint::decode_block(block, |hash, word| {
                if let Ok(true) = taken {
                    taken = loading.take(hash, word);
                }
            });
            if !is_whole || !taken? {
                return Ok(false);
            }
            rest = behind;
        }
        if rest.len() == count {
            return Ok(false);
        }
        offset += (count - rest.len()) as u64;
    }
    Ok(true)
}
