//! Which keys were changed by this process a moment ago.
//!
//! Redis tells of our own changes, too. Hot has their records already; to drop them would cost a
//! request after each store. So of these keys the version is asked for before hot is told.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::mem::take;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// For so long at least a change counts as recent, and for twice as long at most.
const RECENT: Duration = Duration::from_secs(1);

/// Keys that are remembered for that long; further ones are taken for others' changes.
const KEYS_MAX: usize = 200_000;

/// Hashes of keys, in two generations.
#[derive(Debug)]
pub struct Own {
    hasher: RandomState,
    recent: Mutex<Generations>,
}

#[derive(Debug)]
struct Generations {
    now: HashSet<u64>,
    before: HashSet<u64>,
    since: Instant,
}

impl Own {
    /// None so far.
    pub fn new() -> Self {
        let (now, before) = (HashSet::new(), HashSet::new());
        let recent = Mutex::new(Generations { now, before, since: Instant::now() });
        Self { hasher: RandomState::new(), recent }
    }

    /// Takes note of a key that is about to be changed.
    pub fn add(&self, key: &[u8]) {
        let hash = self.hasher.hash_one(key);
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.since.elapsed() >= RECENT {
            recent.before = take(&mut recent.now);
            recent.since = Instant::now();
        }
        if recent.now.len() < KEYS_MAX {
            recent.now.insert(hash);
        }
    }

    /// True for a key that was changed here a moment ago.
    pub fn has(&self, key: &[u8]) -> bool {
        let hash = self.hasher.hash_one(key);
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.now.contains(&hash) || recent.before.contains(&hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_ours_for_a_while() {
        let own = Own::new();
        own.add(b"a");
        assert!(own.has(b"a") && !own.has(b"b"));
        std::thread::sleep(RECENT);
        own.add(b"b");
        assert!(own.has(b"a") && own.has(b"b"));
        std::thread::sleep(RECENT);
        own.add(b"c");
        assert!(!own.has(b"a") && own.has(b"b") && own.has(b"c"));
    }
}
