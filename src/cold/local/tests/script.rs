//! Random sequences of steps, and what they do to the model.

use super::collide::colliding_keys;
use super::harness::{Harness, Model, Put, SEED, key, value};
use crate::error::Result;
use crate::time::Clock;

/// Numbers that look random, the same ones for the same seed.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number below `count`.
    pub fn below(&mut self, count: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % count
    }
}

/// One thing that is done to a tier.
#[derive(Clone, Debug)]
pub enum Step {
    Write(Vec<Entry>),
    Clear,
    Sync {
        mark: bool,
    },
    Seal,
    CompactNext,
    CompactAll,
    Checkpoint,
    Advance(u64),
    /// Another process wants the stage's file; the background thread sees that, or else the next write
    /// does.
    Want {
        is_seen: bool,
        pause_ms: u64,
    },
}

/// A key of the script, and the value it gets: tag, length, time to live; `None` to delete.
#[derive(Clone, Debug)]
pub struct Entry {
    pub key: u64,
    pub value: Option<(u64, usize, u64)>,
}

/// Keys that scripts use: some of them have one hash.
pub fn keys() -> Vec<Vec<u8>> {
    let mut keys: Vec<_> = (0..7).map(key).collect();
    keys.extend(colliding_keys(SEED, 3));
    keys
}

/// Steps of all kinds; `tag` counts the values.
pub fn script(dice: &mut Dice, count: usize, tag: &mut u64) -> Vec<Step> {
    (0..count).map(|_| step(dice, tag)).collect()
}

/// The same, and another process wants the stage's file now and then.
pub fn wanted_script(dice: &mut Dice, count: usize, tag: &mut u64) -> Vec<Step> {
    let mut steps = script(dice, count, tag);
    for at in (0..count).rev() {
        let (is_seen, pause_ms) = (dice.below(2) == 0, 1_000 * dice.below(2));
        if dice.below(6) == 0 {
            steps.insert(at, Step::Want { is_seen, pause_ms });
        }
    }
    steps
}

fn step(dice: &mut Dice, tag: &mut u64) -> Step {
    match dice.below(100) {
        0..48 => Step::Write(vec![entry(dice, tag, 75)]),
        48..66 => {
            let mut entries: Vec<_> =
                (0..2 + dice.below(4)).map(|_| entry(dice, tag, 60)).collect();
            entries.sort_by_key(|entry| entry.key);
            entries.dedup_by_key(|entry| entry.key);
            Step::Write(entries)
        }
        66..68 => Step::Clear,
        68..74 => Step::Sync { mark: dice.below(2) == 0 },
        74..80 => Step::Seal,
        80..88 => Step::CompactNext,
        88..92 => Step::CompactAll,
        92..97 => Step::Checkpoint,
        _ => Step::Advance(dice.below(30)),
    }
}

fn entry(dice: &mut Dice, tag: &mut u64, percent: u64) -> Entry {
    let key = dice.below(10);
    if dice.below(100) >= percent {
        return Entry { key, value: None };
    }
    *tag += 1;
    let len = match dice.below(20) {
        0..6 => dice.below(40),
        6..14 => dice.below(400),
        14..19 => 400 + dice.below(1_500),
        _ => 4_000 + dice.below(6_000),
    };
    let ttl = if dice.below(12) == 0 { 1 + dice.below(60) } else { 0 };
    Entry { key, value: Some((*tag, usize::try_from(len).unwrap(), ttl)) }
}

/// Does the step; gives the versions it made.
pub fn run(harness: &Harness, step: &Step) -> Result<Vec<u64>> {
    match step {
        Step::Write(entries) => return harness.write(&puts(harness, entries)),
        Step::Clear => return harness.clear(),
        Step::Sync { mark } => harness.sync(*mark)?,
        Step::Seal => harness.cold.seal_active()?,
        Step::CompactNext => harness.compact_next()?,
        Step::CompactAll => {
            harness.cold.seal_active()?;
            harness.compact_all()?;
        }
        Step::Checkpoint => harness.checkpoint()?,
        Step::Advance(ms) => harness.clock.advance(*ms),
        Step::Want { is_seen, pause_ms } => {
            harness.disk.want_mapped();
            if *is_seen {
                harness.cold.give_way()?;
            }
            harness.clock.advance(*pause_ms);
        }
    }
    Ok(Vec::new())
}

/// What `model` is after the step.
pub fn after(harness: &Harness, step: &Step, model: &Model) -> Model {
    let mut model = model.clone();
    match step {
        Step::Write(entries) => {
            for (key, value) in puts(harness, entries) {
                match value {
                    Some(value) => model.insert(key, value),
                    None => model.remove(&key),
                };
            }
        }
        Step::Clear => model.clear(),
        _ => {}
    }
    model
}

/// True if everything acknowledged before survives power loss once the step was done.
pub fn makes_durable(step: &Step) -> bool {
    matches!(step, Step::Sync { .. })
}

fn puts(harness: &Harness, entries: &[Entry]) -> Vec<Put> {
    let keys = keys();
    let now = harness.clock.wall().0;
    let put = |entry: &Entry| {
        let key = keys[usize::try_from(entry.key).unwrap()].clone();
        let value = entry
            .value
            .map(|(tag, len, ttl)| (value(tag, len), if ttl == 0 { 0 } else { now + ttl }));
        (key, value)
    };
    entries.iter().map(put).collect()
}

/// Which of the models, from the last on, is what the tier holds; fails with `story` if none is.
pub fn find(harness: &Harness, models: &[Model], story: &dyn Fn() -> String) -> usize {
    let found = harness.contents();
    let found = found.unwrap_or_else(|error| panic!("{error}\n{}", story()));
    for key in keys() {
        assert_eq!(harness.get(&key).unwrap().as_ref(), found.get(&key), "{}", story());
    }
    let index = models.iter().rposition(|model| harness.alive(model) == found);
    index.unwrap_or_else(|| {
        let last = harness.alive(models.last().unwrap());
        panic!("found {}\nexpected {}\n{}", brief(&found), brief(&last), story())
    })
}

/// Keys with the tags and lengths of their values.
fn brief(model: &Model) -> String {
    let tag = |value: &[u8]| u64::from_le_bytes(value[..8].try_into().unwrap());
    let names = keys();
    let index = |key: &Vec<u8>| names.iter().position(|name| name == key);
    let line = |(key, (value, at)): (&Vec<u8>, &(Vec<u8>, u64))| {
        format!("{:?}: #{} {} @{at}", index(key), tag(value), value.len())
    };
    model.iter().map(line).collect::<Vec<_>>().join(", ")
}

/// The steps, one on each line.
pub fn tell(steps: &[Step]) -> String {
    steps.iter().map(|step| format!("\n  {step:?}")).collect()
}
