//! The newest record of each key wins: over the others that were scanned, and over the checkpoint.

use super::walk::Candidate;
use crate::codec::record::Kind;
use crate::cold::local::index::keydir::Keydir;
use crate::cold::local::index::location::Location;
use crate::cold::local::segment::read::read_any_key;
use crate::cold::local::segment::segment::Segments;
use crate::error::Result;
use crate::key::KeyHasher;

/// For each hash lets the newest candidate win over the others and over the checkpoint.
/// Records up to `clear_sequence` were cleared; the checkpoint accounts for those with a lower sequence
/// than `accounted`.
///
/// # Errors
/// `OutOfMemory`.
pub fn merge(
    keydir: &Keydir,
    segments: &Segments,
    seed: u64,
    (clear_sequence, accounted): (u64, u64),
    mut candidates: Vec<Candidate>,
) -> Result<()> {
    let loaded_is_cleared = candidates.iter().any(|candidate| candidate.kind == Kind::Clear);
    if loaded_is_cleared {
        keydir.lock_all().iter_mut().for_each(|shard| drop(shard.take()));
    }
    candidates.retain(|c| c.kind != Kind::Clear && c.sequence > clear_sequence);
    // A record that was being moved is there twice, and the copy may be torn. Of two whole ones
    // the copy is taken: slots are in the order of ids here, and it has the greater one.
    candidates.sort_unstable_by_key(|c| (c.hash, c.sequence, c.intact, c.location.slot()));
    for group in candidates.chunk_by(|a, b| a.hash == b.hash) {
        let (Some(newest), hash) = (group.last(), group[0].hash) else { continue };
        let mut shard = keydir.lock_for(hash);
        let before: Vec<Location> = shard.group(hash).iter().collect();
        // What was only moved is not newer than what the checkpoint has, and may be torn.
        let is_moved = |c: &Candidate| !c.intact || c.sequence < accounted;
        let is_mixed = !before.is_empty() && group.iter().any(is_moved);
        let after = if before.len() > 1 || is_mixed || group.iter().any(|c| c.collides) {
            resolve(segments, (hash, seed), &before, group)
        } else {
            Vec::from_iter((newest.kind != Kind::Tombstone).then_some(newest.location))
        };
        for _ in &before {
            shard.remove(hash, 0);
        }
        for location in after {
            shard.add(hash, location)?;
        }
    }
    Ok(())
}

/// The live locations of a hash that several keys share: the newest of each key.
fn resolve(
    segments: &Segments,
    (hash, seed): (u64, u64),
    before: &[Location],
    group: &[Candidate],
) -> Vec<Location> {
    let hasher = KeyHasher::new(seed);
    let key_at = |location: Location| {
        let segment = segments.get(location.slot())?;
        read_any_key(&segment, location, (hash, hasher), |k| {
            Ok((k.key.to_vec(), k.header.sequence, k.header.collides))
        })
        .ok()
    };
    let mut live: Vec<(Option<Vec<u8>>, u64, Location)> = Vec::new();
    // What the checkpoint has of them, as keys, sequences and marks.
    let mut loaded = Vec::new();
    for location in before {
        let known = key_at(*location);
        let sequence = known.as_ref().map_or(0, |(_, sequence, _)| *sequence);
        live.push((known.as_ref().map(|(key, ..)| key.clone()), sequence, *location));
        loaded.extend(known);
    }
    for candidate in group {
        // A torn copy of a record that is still where it was.
        if !candidate.intact && live.iter().any(|(_, other, _)| *other == candidate.sequence) {
            continue;
        }
        let key = key_at(candidate.location).map(|(key, ..)| key);
        // A segment's file that was removed may be there again, with what is older than what the
        // checkpoint has of the key; and without the mark that was the hash's only key.
        let is_newer = |(other, sequence, collides): &(Vec<u8>, u64, bool)| {
            *sequence > candidate.sequence && (!collides || key.as_ref() == Some(other))
        };
        if loaded.iter().any(is_newer) {
            continue;
        }
        // Without the mark it was the hash's only key when it was written. What has the same
        // sequence is the same record, which was moved.
        live.retain(|(other, sequence, _)| {
            *sequence > candidate.sequence
                || (*sequence < candidate.sequence && candidate.collides && *other != key)
        });
        if candidate.kind != Kind::Tombstone {
            live.push((key, candidate.sequence, candidate.location));
        }
    }
    live.into_iter().map(|(_, _, location)| location).collect()
}
