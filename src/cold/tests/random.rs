//! Random sequences of steps, the same for every tier, and a model of what they do.

use super::bench::Bench;
use super::caller::{Caller, Model, Seen};
use crate::cold::ColdTier;
use crate::cold::local::tests::harness::value;
use crate::cold::local::tests::script::{Dice, keys};
use crate::time::{Clock, Expiry};

const STEPS: u64 = 40;

/// A key, and its value with the time when that ends; `None` to delete it.
type OwnPut = (Vec<u8>, Option<(Vec<u8>, u64)>);

/// A sequence under way.
struct Run<'b> {
    bench: &'b dyn Bench,
    tier: Box<dyn ColdTier>,
    dice: Dice,
    /// Everything that was stored and not deleted, expired or not.
    model: Model,
    /// The highest version so far.
    version: u64,
    tag: u64,
}

/// Runs a sequence over a tier, and compares it with the model after every step.
pub fn check(bench: &dyn Bench, seed: u64, name: &str) {
    let (tier, dice) = (bench.open(), Dice::new(seed));
    let mut run = Run { bench, tier, dice, model: Model::new(), version: 0, tag: 0 };
    let mut story = format!("{name}, seed {seed}");
    for _ in 0..STEPS {
        story = format!("{story}\n  {}", run.step());
        let caller = Caller::new(&*run.tier);
        let found = run.alive(caller.contents());
        for key in keys() {
            let seen = caller.get(&key).filter(|seen| run.is_alive(seen));
            assert_eq!(seen.as_ref(), found.get(&key), "{story}");
        }
        assert!(found == run.alive(run.model.clone()), "{story}\nfound {found:?}");
    }
}

impl Run<'_> {
    fn is_alive(&self, seen: &Seen) -> bool {
        !Expiry::from_ms(seen.expires_at).has_passed(self.bench.clock().wall())
    }

    fn alive(&self, model: Model) -> Model {
        model.into_iter().filter(|(_, seen)| self.is_alive(seen)).collect()
    }

    /// Does something, and tells what.
    fn step(&mut self) -> String {
        match self.dice.below(100) {
            0..40 => self.write(1, false),
            40..55 => {
                let count = 2 + self.dice.below(4);
                self.write(count, false)
            }
            55..62 => self.write(2, true),
            62..65 => {
                Caller::new(&*self.tier).clear();
                self.model.clear();
                "clear".to_owned()
            }
            65..70 => self.write_late(),
            70..75 => self.call("maintain", |tier, caller| tier.maintain(caller).unwrap()),
            75..80 => self.call("compact", |tier, caller| tier.compact(caller).unwrap()),
            80..84 => self.call("sync", |tier, _| tier.sync().unwrap()),
            84..87 => self.call("tend", |tier, _| tier.tend().unwrap()),
            87..91 => {
                self.call("close", |tier, caller| tier.close(caller).unwrap());
                self.tier = self.bench.open();
                "close and open".to_owned()
            }
            91..95 => {
                self.tier = self.bench.open();
                "kill and open".to_owned()
            }
            _ => {
                let ms = self.dice.below(40);
                self.bench.clock().advance(ms);
                format!("advance by {ms}")
            }
        }
    }

    fn call(&self, name: &str, call: impl FnOnce(&dyn ColdTier, &Caller<'_>)) -> String {
        let caller = Caller::new(&*self.tier);
        call(&*self.tier, &caller);
        let gone = std::mem::take(&mut *caller.removed.lock());
        let are_over = gone.iter().all(|key| !self.is_alive(&self.model[key]));
        assert!(are_over, "a live value was removed");
        name.to_owned()
    }

    /// Keys with what they get.
    fn puts(&mut self, count: u64) -> Vec<OwnPut> {
        let mut indexes: Vec<_> = (0..count).map(|_| self.dice.below(10)).collect();
        indexes.sort_unstable();
        indexes.dedup();
        let now = self.bench.clock().wall().0;
        let put = |index: u64| {
            let key = keys()[usize::try_from(index).unwrap()].clone();
            if self.dice.below(100) >= 70 {
                return (key, None);
            }
            self.tag += 1;
            let len = usize::try_from(self.dice.below(900)).unwrap();
            let is_mortal = self.dice.below(8) == 0;
            let expires_at = if is_mortal { now + 1 + self.dice.below(80) } else { 0 };
            (key, Some((value(self.tag, len), expires_at)))
        };
        indexes.into_iter().map(put).collect()
    }

    /// Changes some keys at once; `fails` says that a fault is in the way.
    fn write(&mut self, count: u64, fails: bool) -> String {
        let mut puts = self.puts(count);
        if fails {
            puts[0].1 = Some((b"never seen".to_vec(), 0));
            self.bench.fail_next_write();
        }
        let caller = Caller::new(&*self.tier);
        let borrowed: Vec<_> = puts
            .iter()
            .map(|(key, put)| (&key[..], put.as_ref().map(|(v, at)| (&v[..], *at))))
            .collect();
        let written = caller.change(&borrowed);
        let indexes: Vec<_> = puts.iter().map(|(key, put)| (key[3], put.is_some())).collect();
        if fails {
            written.expect_err("a change was to fail");
            return format!("fail to write {indexes:?}");
        }
        for ((key, put), version) in puts.into_iter().zip(written.unwrap()) {
            self.note(key, put, version);
        }
        format!("write {indexes:?}")
    }

    fn note(&mut self, key: Vec<u8>, put: Option<(Vec<u8>, u64)>, version: u64) {
        let is_nothing = put.is_none() && version == 0;
        assert!(version > self.version || is_nothing, "{version} after {}", self.version);
        self.version = self.version.max(version);
        match put {
            Some((value, expires_at)) => {
                self.model.insert(key, Seen { value, version, expires_at });
            }
            None => drop(self.model.remove(&key)),
        }
    }

    /// Takes a version, changes another key, and only then writes under the version.
    fn write_late(&mut self) -> String {
        let late = keys()[0].clone();
        let taken = self.tier.take_version().unwrap();
        assert!(taken > self.version, "{taken} after {}", self.version);
        self.version = taken;
        let mut puts = self.puts(1);
        puts.retain(|(key, _)| *key != late);
        let caller = Caller::new(&*self.tier);
        let borrowed: Vec<_> = puts
            .iter()
            .map(|(key, put)| (&key[..], put.as_ref().map(|(v, at)| (&v[..], *at))))
            .collect();
        let versions = caller.change(&borrowed).unwrap();
        let mut changes = [caller.looked((&late, Some((b"late", 0))))];
        changes[0].version = taken;
        let prepared = self.tier.prepare(&mut changes, false).unwrap();
        self.tier.publish(&prepared, &changes);
        assert_eq!(changes[0].version, taken);
        let seen = Seen { value: b"late".to_vec(), version: taken, expires_at: 0 };
        self.model.insert(late, seen);
        for ((key, put), version) in puts.into_iter().zip(versions) {
            self.note(key, put, version);
        }
        "write under a version that was taken before".to_owned()
    }
}
