//! Writing and loading the checkpoint, `CHECKPOINT`.
//!
//! It is taken while others write. Each shard of the keydir is saved under its lock, after the
//! log's position was noted and every write before it had been published; what was published later
//! is found again in the log behind that position, and is left out when loading. Before the new
//! file gets its name the log is synced, so that nothing the checkpoint leaves to the log is lost
//! by a power loss that the checkpoint survives.

use super::keydir::{Keydir, SHARDS};
use super::location::Location;
use super::segment::{Segment, Segments};
use crate::codec::checkpoint::{
    self, BLOCK_ENTRIES, BLOCK_HEAD_BYTES, ENTRY_BYTES, HEAD_BYTES, Head, ROW_BYTES, Tally,
};
use crate::codec::version::Decoded;
use crate::error::{Error, ErrorKind, Result};
use crate::io::files::{Disk, File};
use std::collections::HashMap;
use std::sync::Arc;

/// The name of the checkpoint's file.
pub const CHECKPOINT: &str = "CHECKPOINT";

const CHECKPOINT_NEW: &str = "CHECKPOINT.new";

/// Bytes that are written at a time.
const CHUNK_BYTES: usize = 1 << 20;

/// Rows there can be: one for each slot.
const SEGMENTS_MAX: u64 = 1 << 23;

/// What was loaded beside the keydir's entries.
pub struct Loaded {
    /// The head.
    pub head: Head,
    /// For each segment that the checkpoint knows, by id.
    pub tallies: HashMap<u64, Tally>,
}

/// Writes a checkpoint of `keydir` and `segments`; `head` has the log's position and the rest.
/// `sync_log` is called before the new file gets its name.
///
/// # Errors
/// `Io`, `NoSpace`: the old checkpoint stays.
pub fn write(
    disk: &dyn Disk,
    keydir: &Keydir,
    segments: &Segments,
    mut head: Head,
    sync_log: &mut dyn FnMut() -> Result<()>,
) -> Result<()> {
    // One that a crash or an error left behind; that there is none is the rule.
    let _ = disk.remove(CHECKPOINT_NEW);
    let file = disk.create(CHECKPOINT_NEW)?;
    let all = segments.all();
    let mut rows = Vec::new();
    let mut indexes = HashMap::new();
    for (index, segment) in (0..).zip(&all) {
        checkpoint::encode_row(segment.id(), &segment.tally(), &mut rows);
        indexes.insert(segment.slot(), index);
    }
    let mut offset = (HEAD_BYTES + rows.len()) as u64;
    let mut blocks = Vec::new();
    let mut entries = Vec::new();
    head.entries = 0;
    for shard in 0..SHARDS {
        // Only the copying is done under the lock.
        entries.extend(keydir.lock(shard).iter());
        let words: Vec<_> = entries
            .drain(..)
            .filter_map(|(hash, at)| Some((hash, at.with_slot(*indexes.get(&at.slot())?).word())))
            .collect();
        head.entries += words.len() as u64;
        for block in words.chunks(BLOCK_ENTRIES) {
            checkpoint::encode_block(block, &mut blocks);
        }
        if blocks.len() >= CHUNK_BYTES || shard + 1 == SHARDS {
            file.write_at(&[&blocks], offset)?;
            offset += blocks.len() as u64;
            blocks.clear();
        }
    }
    head.segments = all.len() as u64;
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

/// Loads the checkpoint into an empty keydir; `None`, and the keydir still empty, if it is damaged.
///
/// # Errors
/// `Io`; `Unsupported` if a newer version wrote it.
pub fn load(
    disk: &dyn Disk,
    seed: Option<u64>,
    by_id: &HashMap<u64, Arc<Segment>>,
    keydir: &Keydir,
) -> Result<Option<Loaded>> {
    let file = disk.open(CHECKPOINT, false)?;
    let Some((head, rows)) = load_head(&*file)? else { return Ok(None) };
    if seed.is_some_and(|seed| seed != head.seed) {
        return Ok(None);
    }
    let rows: Vec<_> = rows.chunks_exact(ROW_BYTES).map(checkpoint::decode_row).collect();
    let slots: Vec<_> = rows.iter().map(|(id, _)| by_id.get(id).map(|s| s.slot())).collect();
    let log_index = rows.iter().position(|(id, _)| *id == head.log_segment);
    let shard_entries = usize::try_from(head.entries).unwrap_or(0) / SHARDS;
    let mut count = 0;
    let mut accept = |hash: u64, word: u64| {
        count += 1;
        let location = Location::from_word(word);
        let index = location.slot() as usize;
        // What lies behind the position is found again in the log; what lies in a segment that is
        // gone was moved since, and is found where it is now.
        let left_to_log = Some(index) == log_index && location.offset() >= head.log_offset;
        let Some(Some(slot)) = slots.get(index).filter(|_| !left_to_log) else { return };
        let mut shard = keydir.lock_for(hash);
        if shard.len() == 0 {
            // A little more than the average, so that few shards have to grow.
            shard.reserve(shard_entries + shard_entries / 16);
        }
        shard.insert(hash, location.with_slot(*slot));
    };
    let offset = (HEAD_BYTES + rows.len() * ROW_BYTES) as u64;
    if !load_blocks(&*file, offset, &mut accept)? || count != head.entries {
        keydir.lock_all().iter_mut().for_each(|shard| drop(shard.take()));
        return Ok(None);
    }
    Ok(Some(Loaded { head, tallies: rows.into_iter().collect() }))
}

fn load_head(file: &dyn File) -> Result<Option<(Head, Vec<u8>)>> {
    let mut bytes = [0; HEAD_BYTES];
    if file.read_at(&mut bytes, 0)? < HEAD_BYTES {
        return Ok(None);
    }
    let Some(head) = Head::peek(&bytes) else { return Ok(None) };
    // Bounded by the file's length too, before any memory is asked for.
    let row_bytes = head.segments.min(SEGMENTS_MAX) * ROW_BYTES as u64;
    if head.segments > SEGMENTS_MAX || row_bytes > file.len()? {
        return Ok(None);
    }
    let mut rows = vec![0; usize::try_from(row_bytes).unwrap_or(0)];
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
fn load_blocks(file: &dyn File, mut offset: u64, accept: &mut dyn FnMut(u64, u64)) -> Result<bool> {
    let end = file.len()?;
    let mut buffer = vec![0; CHUNK_BYTES];
    while offset < end {
        let count = file.read_at(&mut buffer, offset)?;
        let mut rest = &buffer[..count];
        while let Some(entries) = checkpoint::block_entries(rest) {
            let bytes = BLOCK_HEAD_BYTES + entries * ENTRY_BYTES;
            let Some((block, behind)) = rest.split_at_checked(bytes) else { break };
            if !checkpoint::decode_block(block, &mut *accept) {
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

/// The error for a file that a newer library wrote.
pub fn newer(file: &dyn File, version: u32) -> Error {
    let sentence = format!(
        "{} has format version {version}, which this library does not know; use a newer one",
        file.path().display()
    );
    Error::new(ErrorKind::Unsupported, sentence)
}
