//! Coherence: whether a value that was read is still the engine's, and for how long hot may serve
//! it without asking.
//!
//! Each key has a generation: a number in a table of a fixed size, by the key's hash. A thread that
//! learns of a change of the key increments it. A thread that reads the key notes it before it asks
//! the engine. If two keys share a number, a change of one may keep the other from being promoted,
//! and no more.
//!
//! A *link* is a way by which the engine tells of changes. Each part of the keys hangs on one.
//! After each sign of life a link is alive for one `coherence`, less the time that the sign took.
//!
//! # Invariants
//! 1. A generation moves before an entry is taken out of hot for the same change, and an entry enters
//!    hot, under its shard's lock, only if the generation is as it was noted. So nothing old enters.
//! 2. A link that is lost counts as silent before its entries leave hot.
//! 3. A version in `own` is being written here: the engine's notice of it is no news.

use super::engine::Watcher;
use crate::cold::sharing::Hears;
use crate::error::Result;
use crate::key::KeyHasher;
use crate::memory;
use crate::sync::{Mutex, RwLock};
use crate::time::Clock;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// Generations: many more than changes that are under way at a time.
const GENERATIONS: usize = 4096;

/// Parts that there can be.
const PARTS: usize = 16_384;

/// Links of one block of the table, and blocks: numbers are below 65536.
const BLOCK: usize = 1024;
const BLOCKS: usize = 64;

/// The number of no link.
pub const LINK_NONE: u32 = 65_534;

/// The number of all links.
pub const LINK_ALL: u32 = 65_535;

/// How late the coarse clock may be, in milliseconds.
const COARSE_MS: u64 = 10;

/// Below this coherence, in milliseconds, the coarse clock is too coarse.
const FINE_MS: u64 = 100;

/// When the links of a block are over; 0 for a silent one.
type Block = OnceLock<Box<[AtomicU64]>>;

/// What hot may believe.
pub struct Coherence {
    clock: Arc<dyn Clock>,
    hasher: KeyHasher,
    coherence_ms: u64,
    generations: Box<[AtomicU64]>,
    /// The generation of all keys.
    all: AtomicU64,
    blocks: [Block; BLOCKS],
    /// The link of each part; all hang on link 0 until it is made.
    parts: OnceLock<Box<[AtomicU16]>>,
    has_parts: AtomicBool,
    own: Mutex<Vec<u64>>,
    hears: RwLock<Option<Arc<dyn Hears>>>,
    told: AtomicU64,
}

impl Coherence {
    /// A new one: every link is silent.
    #[cold]
    pub fn new(clock: Arc<dyn Clock>, hasher: KeyHasher, coherence_ms: u64) -> Self {
        Self {
            clock,
            hasher,
            coherence_ms,
            generations: (0..GENERATIONS).map(|_| AtomicU64::new(0)).collect(),
            all: AtomicU64::new(0),
            blocks: [const { OnceLock::new() }; BLOCKS],
            parts: OnceLock::new(),
            has_parts: AtomicBool::new(false),
            own: Mutex::default(),
            hears: RwLock::new(None),
            told: AtomicU64::new(0),
        }
    }

    /// How often something else has changed a key, as far as it was told.
    pub fn told(&self) -> u64 {
        self.told.load(Ordering::Relaxed)
    }

    /// The generation of the keys with this hash.
    pub fn generation(&self, hash: u64) -> u64 {
        // Both only grow, so that their sum has no value twice.
        let all = self.all.load(Ordering::SeqCst);
        self.of(hash).load(Ordering::SeqCst).wrapping_add(all)
    }

    /// A key of this hash has changed.
    pub fn moved(&self, hash: u64) {
        self.of(hash).fetch_add(1, Ordering::SeqCst);
    }

    /// All keys may have changed.
    pub fn all_moved(&self) {
        self.all.fetch_add(1, Ordering::SeqCst);
    }

    fn of(&self, hash: u64) -> &AtomicU64 {
        let [_, _, low, high, ..] = hash.to_le_bytes();
        &self.generations[usize::from(u16::from_le_bytes([low, high])) % GENERATIONS]
    }

    /// This process begins to write records of these versions.
    ///
    /// # Errors
    /// `OutOfMemory`.
    #[cold]
    pub fn begin(&self, versions: impl Iterator<Item = u64> + Clone) -> Result<()> {
        let mut own = self.own.lock();
        memory::grow(&mut own, versions.clone().count(), "the changes under way")?;
        own.extend(versions);
        Ok(())
    }

    /// The record of that version is published, or was not written.
    #[cold]
    pub fn end(&self, version: u64) {
        let mut own = self.own.lock();
        if let Some(at) = own.iter().position(|other| *other == version) {
            own.swap_remove(at);
        }
    }

    /// The link on which a part hangs; `part` is asked only if that matters.
    pub fn link_of(&self, part: impl FnOnce() -> u32) -> u32 {
        if !self.has_parts.load(Ordering::Acquire) {
            return 0;
        }
        self.link_at(part())
    }

    fn link_at(&self, part: u32) -> u32 {
        let Some(parts) = self.parts.get() else { return 0 };
        let link = usize::try_from(part).ok().and_then(|part| parts.get(part));
        link.map_or(LINK_NONE, |link| u32::from(link.load(Ordering::SeqCst)))
    }

    /// Whether different keys may hang on different links.
    pub fn has_parts(&self) -> bool {
        self.has_parts.load(Ordering::Acquire)
    }

    /// Whether a link is alive.
    pub fn is_alive(&self, link: u32) -> bool {
        let until = self.silence_at(link).map_or(0, |at| at.load(Ordering::SeqCst));
        if until == 0 {
            return false;
        }
        let now = match self.coherence_ms < FINE_MS {
            true => self.clock.monotonic().0,
            false => self.clock.coarse().0.saturating_add(COARSE_MS),
        };
        now < until
    }

    fn silence_at(&self, link: u32) -> Option<&AtomicU64> {
        let link = usize::try_from(link).ok().filter(|_| link < LINK_NONE)?;
        self.blocks.get(link / BLOCK)?.get()?.get(link % BLOCK)
    }

    /// Tells `hears` from now on; nobody for `None`. Returns when nobody is being told.
    pub fn listen(&self, hears: Option<Arc<dyn Hears>>) {
        // The old one is dropped without the lock.
        let old = std::mem::replace(&mut *self.hears.write(), hears);
        drop(old);
    }

    fn tell(&self, tell: impl FnOnce(&dyn Hears)) {
        if let Some(hears) = &*self.hears.read() {
            tell(&**hears);
        }
    }

    /// All keys left hot whose part `is_lost` names.
    #[cold]
    pub fn lost(&self, is_lost: &dyn Fn(u32) -> bool) {
        self.all_moved();
        self.tell(|hears| hears.lost(is_lost));
    }
}

impl Watcher for Coherence {
    #[cold]
    fn key(&self, key: &[u8], version: u64) {
        let is_own = version != 0 && self.own.lock().contains(&version);
        if !is_own {
            self.told.fetch_add(1, Ordering::Relaxed);
            self.moved(self.hasher.hash(key));
        }
        self.tell(|hears| hears.changed(key, version));
    }

    #[cold]
    fn all(&self, link: u32) {
        self.told.fetch_add(1, Ordering::Relaxed);
        if link == LINK_ALL {
            let made = self.blocks.iter().filter_map(|block| block.get());
            made.flat_map(|links| links.iter()).for_each(|at| at.store(0, Ordering::SeqCst));
        } else if let Some(at) = self.silence_at(link) {
            at.store(0, Ordering::SeqCst);
        }
        self.lost(&|part| link == LINK_ALL || self.link_of(|| part) == link);
    }

    #[cold]
    fn alive(&self, link: u32, age_ms: u64) {
        let Some(block) = usize::try_from(link).ok().and_then(|link| self.blocks.get(link / BLOCK))
        else {
            return;
        };
        // Whole milliseconds are cut off: it is over early rather than late.
        let until =
            (self.clock.monotonic().0.saturating_add(self.coherence_ms)).saturating_sub(age_ms);
        block.get_or_init(|| (0..BLOCK).map(|_| AtomicU64::new(0)).collect());
        if let Some(at) = self.silence_at(link) {
            at.fetch_max(until, Ordering::SeqCst);
        }
    }

    #[cold]
    fn parts(&self, first: u32, last: u32, link: u32) {
        let link = u16::try_from(link.min(LINK_NONE)).unwrap_or(u16::MAX);
        let parts = self.parts.get_or_init(|| (0..PARTS).map(|_| AtomicU16::new(0)).collect());
        self.has_parts.store(true, Ordering::Release);
        let index = |part| usize::try_from(part).unwrap_or(usize::MAX);
        let range = index(first)..index(last).saturating_add(1).min(PARTS);
        let Some(moved) = parts.get(range) else { return };
        let before: Vec<u16> = moved.iter().map(|old| old.swap(link, Ordering::SeqCst)).collect();
        if before.iter().all(|old| *old == link) {
            return;
        }
        let has_moved = |part: u32| {
            let at = index(part).checked_sub(index(first)).and_then(|at| before.get(at));
            at.is_some_and(|old| *old != link)
        };
        self.lost(&has_moved);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::clock::ManualClock;
    use crate::time::Timestamp;

    fn coherence() -> (Coherence, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::at(Timestamp(1_000)));
        clock.elapse(50_000);
        (Coherence::new(clock.clone(), KeyHasher::new(1), 1_000), clock)
    }

    #[derive(Default)]
    struct Heard(Mutex<Vec<String>>);

    impl Hears for Heard {
        fn changed(&self, key: &[u8], version: u64) {
            self.0.lock().push(format!("{} {version}", key.escape_ascii()));
        }

        fn lost(&self, is_lost: &dyn Fn(u32) -> bool) {
            let lost: Vec<u32> = [0, 1, 5, 9].into_iter().filter(|part| is_lost(*part)).collect();
            self.0.lock().push(format!("{lost:?}"));
        }
    }

    #[test]
    fn a_link_is_alive_for_one_coherence_less_the_age_of_its_answer() {
        let (coherence, clock) = coherence();
        assert!(!coherence.is_alive(0));
        coherence.alive(0, 200);
        assert!(coherence.is_alive(0) && !coherence.is_alive(1));
        clock.elapse(789);
        assert!(coherence.is_alive(0));
        clock.elapse(1);
        assert!(!coherence.is_alive(0), "late by what the coarse clock may be late");
        // An older answer that comes later takes nothing back.
        coherence.alive(0, 0);
        coherence.alive(0, 900);
        clock.elapse(500);
        assert!(coherence.is_alive(0));
        coherence.alive(65_533, 0);
        assert!(coherence.is_alive(65_533));
        for none in [LINK_NONE, LINK_ALL, u32::MAX] {
            coherence.alive(none, 0);
            assert!(!coherence.is_alive(none));
        }
        coherence.alive(0, u64::MAX);
        coherence.all(0);
        assert!(!coherence.is_alive(0) && coherence.is_alive(65_533));
        coherence.all(LINK_ALL);
        assert!(!coherence.is_alive(65_533));
    }

    #[test]
    fn what_is_told_moves_generations_but_own_versions_do_not() {
        let (coherence, _) = coherence();
        let heard = Arc::new(Heard::default());
        coherence.listen(Some(heard.clone()));
        let hash = KeyHasher::new(1).hash(b"key");
        let before = coherence.generation(hash);
        coherence.begin([7].into_iter()).unwrap();
        coherence.key(b"key", 7);
        assert_eq!(coherence.generation(hash), before);
        coherence.key(b"key", 0);
        coherence.key(b"key", 6);
        assert_eq!(coherence.generation(hash), before + 2);
        coherence.end(7);
        coherence.key(b"key", 7);
        coherence.all(3);
        assert_eq!(coherence.generation(hash), before + 4);
        coherence.listen(None);
        coherence.key(b"key", 8);
        assert_eq!(*heard.0.lock(), ["key 7", "key 0", "key 6", "key 7", "[]"]);
        assert_eq!(coherence.told(), 5);
    }

    #[test]
    fn parts_hang_on_links_and_are_lost_when_they_move() {
        let (coherence, _) = coherence();
        let heard = Arc::new(Heard::default());
        coherence.listen(Some(heard.clone()));
        coherence.all(0);
        assert_eq!(coherence.link_of(|| 5), 0);
        coherence.parts(0, 16_383, 0);
        coherence.parts(4, 8, 2);
        coherence.parts(4, 5, 2);
        assert_eq!([3, 4, 8, 9].map(|part| coherence.link_of(|| part)), [0, 2, 2, 0]);
        coherence.all(2);
        coherence.parts(5, 16_390, LINK_NONE);
        assert_eq!(coherence.link_of(|| 9), LINK_NONE);
        assert_eq!(coherence.link_of(|| 99_999), LINK_NONE);
        coherence.parts(9, 2, 1);
        assert_eq!(*heard.0.lock(), ["[0, 1, 5, 9]", "[5]", "[5]", "[5, 9]"]);
    }
}
