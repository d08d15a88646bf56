//! Random sequences of calls, and what they do to the model.

use super::sim::Sim;
use crate::cold::local::tests::harness::value;
use crate::cold::local::tests::script::{Dice, keys};
use crate::error::Result;
use crate::store::{Batch, StoreOptions, Stored};

/// One call, or something that happens around the store. Keys are indexes of [`keys`].
#[derive(Clone, Debug)]
pub enum Step {
    Store(Put),
    /// A store on the condition that the key is absent.
    Add(Put),
    Delete(u64),
    Batch(Vec<(u64, Option<Put>)>),
    Clear,
    Retrieve(u64),
    WarmUp,
    OptimizeHot(u64),
    Sync,
    Compact,
    Round,
    Advance(u64),
}

/// A value to be stored: its tag and length, and the store's options.
#[derive(Clone, Debug)]
pub struct Put {
    pub key: u64,
    pub tag: u64,
    pub len: usize,
    pub ttl_ms: u64,
    pub cold_only: bool,
}

/// What a step changes: keys with their new values and expiries. `None` stands for all keys.
pub type Changes = Option<Vec<(Vec<u8>, Option<(Vec<u8>, u64)>)>>;

pub fn script(dice: &mut Dice, count: usize, tag: &mut u64) -> Vec<Step> {
    (0..count).map(|_| step(dice, tag)).collect()
}

fn step(dice: &mut Dice, tag: &mut u64) -> Step {
    match dice.below(100) {
        0..34 => Step::Store(put(dice, tag)),
        34..38 => Step::Add(put(dice, tag)),
        38..48 => Step::Delete(dice.below(10)),
        48..56 => {
            let mut changes: Vec<_> = (0..2 + dice.below(3))
                .map(|_| put(dice, tag))
                .map(|put| (put.key, (put.tag % 3 > 0).then_some(put)))
                .collect();
            changes.sort_by_key(|change| change.0);
            changes.dedup_by_key(|change| change.0);
            Step::Batch(changes)
        }
        56..58 => Step::Clear,
        58..76 => Step::Retrieve(dice.below(10)),
        76..78 => Step::WarmUp,
        78..80 => Step::OptimizeHot(dice.below(4_000)),
        80..85 => Step::Sync,
        85..88 => Step::Compact,
        88..96 => Step::Round,
        _ => Step::Advance(dice.below(30)),
    }
}

fn put(dice: &mut Dice, tag: &mut u64) -> Put {
    *tag += 1;
    let len = match dice.below(20) {
        0..6 => dice.below(40),
        6..16 => dice.below(400),
        16..19 => 400 + dice.below(1_500),
        _ => 4_000 + dice.below(6_000),
    };
    Put {
        key: dice.below(10),
        tag: *tag,
        len: usize::try_from(len).unwrap(),
        ttl_ms: if dice.below(12) == 0 { 1 + dice.below(60) } else { 0 },
        cold_only: dice.below(10) == 0,
    }
}

fn name(key: u64) -> Vec<u8> {
    keys()[usize::try_from(key).unwrap()].clone()
}

fn options_of(put: &Put) -> StoreOptions {
    let Put { ttl_ms, cold_only, .. } = *put;
    StoreOptions { ttl_ms, cold_only, ..StoreOptions::default() }
}

/// What became of a step.
pub enum Done {
    /// It happened.
    Happened,
    /// It happened, but cold failed, and hot has it alone.
    Survived,
    /// Its condition was not met.
    Not,
}

/// Does the step.
pub fn run(sim: &Sim, step: &Step) -> Result<Done> {
    let (reader, writer) = (sim.core.reader(), sim.core.writer());
    match step {
        Step::Store(put) | Step::Add(put) => {
            let if_version = matches!(step, Step::Add(_)).then_some(0);
            let options = StoreOptions { if_version, ..options_of(put) };
            let answer = writer.store_with(&name(put.key), &value(put.tag, put.len), &options)?;
            return Ok(match (answer.value, answer.survived) {
                (Stored::Conflict(_), _) => Done::Not,
                (Stored::Version(_), None) => Done::Happened,
                (Stored::Version(_), Some(_)) => Done::Survived,
            });
        }
        Step::Delete(key) => drop(writer.delete(&name(*key))?),
        Step::Batch(changes) => {
            let mut batch = Batch::new();
            for (key, put) in changes {
                match put {
                    Some(put) => {
                        let value = value(put.tag, put.len);
                        batch.store(&name(*key), &value, &options_of(put))?;
                    }
                    None => batch.delete(&name(*key))?,
                }
            }
            assert!(writer.write(&batch, false)?);
        }
        Step::Clear => writer.clear()?,
        Step::Retrieve(key) => drop(sim.get(&name(*key))?),
        Step::WarmUp => {
            let keys = keys();
            let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
            reader.warm_up(&keys)?;
        }
        Step::OptimizeHot(target) => drop(writer.optimize_hot(*target)?),
        Step::Sync => writer.sync()?,
        Step::Compact => writer.compact()?,
        Step::Round => sim.round(),
        Step::Advance(ms) => sim.advance(*ms),
    }
    Ok(Done::Happened)
}

/// What the step changes if it happens now.
pub fn changes(sim: &Sim, step: &Step) -> Changes {
    let now = sim.core.tiers().clock().wall().0;
    let stored = |put: &Put| {
        let expires_at = if put.ttl_ms == 0 { 0 } else { now + put.ttl_ms };
        Some((value(put.tag, put.len), expires_at))
    };
    Some(match step {
        Step::Store(put) | Step::Add(put) => vec![(name(put.key), stored(put))],
        Step::Delete(key) => vec![(name(*key), None)],
        Step::Batch(all) => {
            all.iter().map(|(key, put)| (name(*key), put.as_ref().and_then(stored))).collect()
        }
        Step::Clear => return None,
        _ => Vec::new(),
    })
}
