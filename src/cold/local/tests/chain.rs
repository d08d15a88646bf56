//! Long lives: process after process on one directory, each ended in another way.

use super::harness::{Harness, Model, SETUPS, Setup, new_disk, without};
use super::script::{Dice, after, find, makes_durable, run, script};
use crate::io::clock::ManualClock;
use crate::io::sim::{SimDisk, coin};
use crate::time::Timestamp;
use std::collections::HashSet;
use std::sync::Arc;

/// A store's life.
struct Life {
    setup: Setup,
    dice: Dice,
    disk: SimDisk,
    clock: Arc<ManualClock>,
    /// What may be found; more than one after a power loss.
    models: Vec<Model>,
    /// All that were given out.
    versions: HashSet<u64>,
    /// Tag of the last value.
    tag: u64,
    /// Some versions may be known to nobody but the manifest.
    power_was_lost: bool,
    story: Vec<String>,
}

impl Life {
    fn new(setup: Setup, seed: u64) -> Self {
        Self {
            setup,
            dice: Dice::new(seed),
            disk: new_disk(),
            clock: Arc::new(ManualClock::at(Timestamp(1_000))),
            models: vec![Model::new()],
            versions: HashSet::new(),
            tag: 0,
            power_was_lost: false,
            story: vec![format!("seed {seed}, {setup:?}")],
        }
    }

    /// One process: opens, looks whether all is there, and works until it is ended.
    fn live(&mut self) {
        let harness = Harness::open(&self.disk, &self.clock, self.setup).unwrap();
        let found = find(&harness, &self.models, &|| self.story.join("\n"));
        self.models = vec![self.models.swap_remove(found)];
        let count = 1 + self.dice.below(12);
        let steps = script(&mut self.dice, usize::try_from(count).unwrap(), &mut self.tag);
        if self.dice.below(2) == 0 {
            let at = self.dice.below(4 * count);
            self.story.push(format!("the disk stops after {at}"));
            self.disk.stop_after(at);
        }
        let mut stopped = false;
        for step in steps {
            self.models.push(after(&harness, &step, self.models.last().unwrap()));
            let made = run(&harness, &step);
            self.story.push(format!("{step:?}: {:?}", made.as_ref().map_err(|e| e.message())));
            stopped |= made.is_err();
            let Ok(versions) = made else { break };
            for version in versions {
                let is_new = self.versions.insert(version);
                assert!(is_new, "version {version} again:\n{}", self.story.join("\n"));
            }
            if makes_durable(&step) {
                self.models.drain(..self.models.len() - 1);
            }
        }
        self.end(&harness, stopped);
        drop(harness);
        self.damage();
    }

    fn end(&mut self, harness: &Harness, stopped: bool) {
        let ending = self.dice.below(3);
        self.story.push(format!("ending {ending}"));
        if ending == 0 {
            self.power_was_lost = true;
            let seed = self.dice.below(1_000);
            self.disk = self.disk.crash(coin(seed));
            return;
        }
        if ending == 1 && !stopped && harness.sync(false).is_ok() {
            // It may still be stopped in here.
            let _ = harness.checkpoint();
        }
        // Of the models all but that before what was in flight, and that after it, are over.
        let keep = if stopped { 2 } else { 1 };
        self.models.drain(..self.models.len() - keep);
        self.disk = self.disk.kill();
    }

    /// Takes away what can be made again.
    fn damage(&mut self) {
        let name = match self.dice.below(6) {
            0 => "MANIFEST",
            1 | 2 => "CHECKPOINT",
            _ => return,
        };
        let files = self.disk.files();
        // Versions that the power took are known to the manifest only, and a store of which nothing
        // else is left is a new one.
        let has_more = files.keys().any(|name| name.ends_with(".seg"));
        if name == "CHECKPOINT" || (has_more && !self.power_was_lost) {
            self.story.push(format!("{name} is lost"));
            self.disk = without(&self.disk, name);
        }
    }
}

#[test]
fn a_store_that_dies_often_keeps_all_and_revives_nothing() {
    for setup in SETUPS {
        for seed in 0..200 {
            let mut life = Life::new(setup, seed);
            (0..8).for_each(|_| life.live());
        }
    }
}
