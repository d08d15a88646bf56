//! The keydir: from key hashes to locations, 16 bytes an entry and no keys in memory.
//!
//! The top byte of the hash chooses one of 256 shards, each with its own lock. A shard is one table
//! in the order of hashes. An entry stands at its home (its hash scaled to the table's length) or
//! behind it, with no gap between. So a lookup is one short walk, and growing is one merge. A range
//! of hashes is a slice, so cursors and checkpoints need no copy of all keys. Shards grow one at a
//! time, so no moment needs twice the memory.
//!
//! A record has the sequence and the key, so the keydir has neither. A retrieve reads the record in
//! any case, and compares the key there: two keys with one hash are two entries.
//!
//! # Invariants
//! 1. Within a shard the hashes never descend; entries of one hash stand together, in the order in
//!    which they were added.
//! 2. Between an entry's home and the entry there is no empty place.
//! 3. A table is at most `FULL` full, and grows by a fifth: 16 / 0.85 * 1.2 = 22.6 bytes a key.
//!    Five million keys took 20.3 bytes each, and 19.6 to 22.1 while they grew. Below a quarter
//!    full a table shrinks.
//! 4. For each entry that is promised a table has an empty place, and memory to become longer by
//!    one.

use super::location::Location;
use crate::error::Result;
use crate::memory;
use crate::sync::{Mutex, MutexGuard};

/// Number of shards; the shard is the top byte of the hash.
pub const SHARDS: usize = 256;

/// Places behind the last home, so that a run of entries near the end needs no wrap.
const SLACK: usize = 32;

const HOMES_MIN: usize = 8;

/// By so many places a new table can become longer without being moved.
const SPARE: usize = 8;
/// A table of this many places is not worth making smaller.
const SHRINK_HOMES_MIN: usize = 64;

#[derive(Clone, Copy)]
struct Entry {
    hash: u64,
    location: u64,
}

const EMPTY: Entry = Entry { hash: 0, location: 0 };

impl Entry {
    fn is_empty(self) -> bool {
        self.location == 0
    }
}

/// The keydir.
pub struct Keydir {
    shards: Box<[Mutex<Shard>]>,
}

impl Keydir {
    /// An empty keydir.
    pub fn new() -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::new(Shard::new())).collect() }
    }

    /// The shard that holds `hash`.
    pub fn shard_index(hash: u64) -> usize {
        usize::from(hash.to_le_bytes()[7])
    }

    /// Locks the shard of that index.
    pub fn lock(&self, index: usize) -> MutexGuard<'_, Shard> {
        self.shards[index].lock()
    }

    /// Locks the shard that holds `hash`.
    pub fn lock_for(&self, hash: u64) -> MutexGuard<'_, Shard> {
        self.lock(Self::shard_index(hash))
    }

    /// Locks all shards, in order.
    pub fn lock_all(&self) -> Vec<MutexGuard<'_, Shard>> {
        self.shards.iter().map(|shard| shard.lock()).collect()
    }

    /// Number of entries.
    pub fn len(&self) -> u64 {
        self.shards.iter().map(|shard| shard.lock().len as u64).sum()
    }

    /// Bytes of memory that the tables take.
    pub fn memory_bytes(&self) -> u64 {
        let tables: usize = self.shards.iter().map(|shard| shard.lock().memory_bytes()).sum();
        tables as u64 + (SHARDS * size_of::<Mutex<Shard>>()) as u64
    }
}

/// One lock's share of the keydir.
pub struct Shard {
    places: Vec<Entry>,
    homes: usize,
    len: usize,
    promised: usize,
}

impl Shard {
    fn new() -> Self {
        Self { places: Vec::new(), homes: 0, len: 0, promised: 0 }
    }

    /// The locations of `hash`, in the order in which they were added: none, almost always one, or
    /// several when keys collide.
    pub fn group(&self, hash: u64) -> Group<'_> {
        let start = self.find(hash);
        let count = self.places[start..]
            .iter()
            .take_while(|entry| !entry.is_empty() && entry.hash == hash)
            .count();
        Group { entries: &self.places[start..start + count] }
    }

    /// Adds an entry behind those of the same hash. Its room was promised, and this cannot fail.
    pub fn insert(&mut self, hash: u64, location: Location) {
        if self.promised == 0 {
            // Without a promise the room is taken now; where it is not to be had, the process ends.
            let _exhausted = self.promise();
        }
        self.promised = self.promised.saturating_sub(1);
        while !self.try_insert(Entry { hash, location: location.word() }) {
            // A run that goes up to the end: the table becomes longer (invariant 4).
            self.places.push(EMPTY);
        }
        self.len += 1;
    }

    /// As [`Shard::insert`], without a promise.
    ///
    /// # Errors
    /// `OutOfMemory`: nothing is added.
    pub fn add(&mut self, hash: u64, location: Location) -> Result<()> {
        self.promise()?;
        self.insert(hash, location);
        Ok(())
    }

    /// Fills an empty shard with entries that come in the order of their hashes: as fast as they can
    /// be read, whatever their hashes are.
    ///
    /// # Errors
    /// `OutOfMemory`: it stays empty.
    pub fn load(&mut self, entries: &[(u64, Location)]) -> Result<()> {
        if entries.is_empty() {
            return Ok(());
        }
        // A little more than they need, so that few shards have to grow soon.
        let homes = ((entries.len() + entries.len() / 16) * 20).div_ceil(17).max(HOMES_MIN);
        let all = entries.iter();
        let all = all.map(|(hash, location)| Entry { hash: *hash, location: location.word() });
        self.places = table(homes, all)?;
        (self.homes, self.len) = (homes, entries.len());
        Ok(())
    }

    /// Makes sure that one more entry than there are and were promised can be inserted later, whatever
    /// others do meanwhile.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub fn promise(&mut self) -> Result<()> {
        let wanted = self.len + self.promised;
        if wanted * 20 >= self.homes * 17 {
            self.resize((self.homes * 6 / 5).max(HOMES_MIN).max((wanted * 20).div_ceil(17) + 1))?;
        }
        if self.places.capacity() - self.places.len() <= self.promised {
            let more = self.promised + SPARE;
            let exhausted = |_| memory::exhausted(more * size_of::<Entry>(), WHAT);
            self.places.try_reserve_exact(more).map_err(exhausted)?;
        }
        self.promised += 1;
        Ok(())
    }

    /// An entry that was promised is not inserted after all.
    pub fn take_promise_back(&mut self) {
        self.promised = self.promised.saturating_sub(1);
    }

    /// Replaces the `index`th location of `hash`; returns the old one.
    pub fn replace(&mut self, hash: u64, index: usize, location: Location) -> Option<Location> {
        let place = self.find(hash) + index;
        let entry = self.places.get_mut(place).filter(|e| !e.is_empty() && e.hash == hash)?;
        let old = std::mem::replace(&mut entry.location, location.word());
        Some(Location::from_word(old))
    }

    /// Removes the `index`th location of `hash`; returns it.
    pub fn remove(&mut self, hash: u64, index: usize) -> Option<Location> {
        let mut hole = self.find(hash) + index;
        let removed = *self.places.get(hole).filter(|e| !e.is_empty() && e.hash == hash)?;
        // Whoever stands behind the hole and not at home moves up, so that no gap opens between
        // an entry and its home (invariant 2).
        while let Some(next) = self.places.get(hole + 1).copied() {
            if next.is_empty() || self.home(next.hash) > hole {
                break;
            }
            self.places[hole] = next;
            hole += 1;
        }
        self.places[hole] = EMPTY;
        self.len -= 1;
        self.shrink();
        Some(Location::from_word(removed.location))
    }

    /// The index in its group of the entry that stands at `location`, read or not.
    pub fn index_of(&self, hash: u64, location: Location) -> Option<usize> {
        self.group(hash).iter().position(|other| other.same_place(location))
    }

    /// The entry that stands at `location`, with its mark.
    pub fn at(&self, hash: u64, location: Location) -> Option<Location> {
        self.group(hash).iter().find(|other| other.same_place(location))
    }

    /// Marks all entries of a hash as read.
    pub fn mark_group(&mut self, hash: u64) {
        for index in 0..self.group(hash).len() {
            let found = self.group(hash).iter().nth(index).filter(|found| !found.is_read());
            if let Some(found) = found {
                self.replace(hash, index, found.with_read(true));
            }
        }
    }

    /// Marks the entry at `location` as read, if it is still there.
    pub fn mark_read(&mut self, hash: u64, location: Location) {
        if let Some(index) = self.index_of(hash, location) {
            self.replace(hash, index, location.with_read(true));
        }
    }

    /// All entries, in the order of hashes.
    pub fn iter(&self) -> impl Iterator<Item = (u64, Location)> {
        self.from(0)
    }

    /// The entries whose hash is at least `hash`, in order.
    pub fn from(&self, hash: u64) -> impl Iterator<Item = (u64, Location)> {
        self.places[self.find(hash)..]
            .iter()
            .filter(|entry| !entry.is_empty())
            .map(|entry| (entry.hash, Location::from_word(entry.location)))
    }

    /// Takes everything out, at a cost that does not depend on how much it is.
    pub fn take(&mut self) -> Self {
        std::mem::replace(self, Self::new())
    }

    /// Gives memory back once a table is mostly empty; half full it neither grows nor shrinks soon.
    fn shrink(&mut self) {
        if self.promised > 0 {
            return;
        }
        if self.len == 0 {
            *self = Self::new();
        } else if self.homes > SHRINK_HOMES_MIN && self.len * 4 < self.homes {
            // Without memory for a smaller table this one stays.
            let _kept = self.resize(self.len * 2);
        }
    }

    fn memory_bytes(&self) -> usize {
        self.places.capacity() * size_of::<Entry>()
    }

    /// Where an entry of that hash would like to stand.
    fn home(&self, hash: u64) -> usize {
        home_among(self.homes, hash)
    }

    /// The place of the first entry whose hash is not below `hash`, or the empty one before it.
    fn find(&self, hash: u64) -> usize {
        let mut place = self.home(hash);
        while let Some(entry) = self.places.get(place) {
            if entry.is_empty() || entry.hash >= hash {
                break;
            }
            place += 1;
        }
        place.min(self.places.len())
    }

    /// False if there is no room behind the last home.
    fn try_insert(&mut self, entry: Entry) -> bool {
        let start = self.home(entry.hash);
        let Some(run) = self.places[start..].iter().position(|other| other.is_empty()) else {
            return false;
        };
        let run = &mut self.places[start..=start + run];
        let at = run[..run.len() - 1].partition_point(|other| other.hash <= entry.hash);
        let end = run.len() - 1;
        run.copy_within(at..end, at + 1);
        run[at] = entry;
        true
    }

    /// Moves everything into a table of so many homes; after a failure all is as it was.
    fn resize(&mut self, homes: usize) -> Result<()> {
        let entries = self.places.iter().filter(|entry| !entry.is_empty()).copied();
        self.places = table(homes, entries)?;
        self.homes = homes;
        Ok(())
    }

    /// Recounts everything the invariants say.
    #[cfg(test)]
    fn check(&self) {
        let full: Vec<usize> =
            (0..self.places.len()).filter(|i| !self.places[*i].is_empty()).collect();
        assert_eq!(full.len(), self.len);
        assert!(full.windows(2).all(|w| self.places[w[0]].hash <= self.places[w[1]].hash));
        for place in full {
            let home = self.home(self.places[place].hash);
            assert!(home <= place && self.places[home..place].iter().all(|e| !e.is_empty()));
        }
    }
}

const WHAT: &str = "the table of keys";

/// Where an entry of that hash would like to stand in a table of so many homes.
fn home_among(homes: usize, hash: u64) -> usize {
    let scaled = (u128::from(hash << 8) * homes as u128) >> 64;
    usize::try_from(scaled).unwrap_or(0)
}

/// A table of so many homes with these entries, which come in order.
fn table(homes: usize, entries: impl Iterator<Item = Entry> + Clone) -> Result<Vec<Entry>> {
    // The slack grows with the table, because the longest run does; a run that still finds no
    // end makes the table grow once more.
    let mut length = homes.saturating_add(SLACK + homes / 256);
    'longer: loop {
        let mut places: Vec<Entry> = Vec::new();
        let bytes = length.saturating_mul(size_of::<Entry>());
        let capacity = length.saturating_add(SPARE);
        places.try_reserve_exact(capacity).map_err(|_| memory::exhausted(bytes, WHAT))?;
        places.resize(length, EMPTY);
        let mut next = 0;
        for entry in entries.clone() {
            // Entries come in order, so each stands at home or right behind the one before.
            next = next.max(home_among(homes, entry.hash));
            let Some(place) = places.get_mut(next) else {
                length += length / 4;
                continue 'longer;
            };
            *place = entry;
            next += 1;
        }
        return Ok(places);
    }
}

/// The locations of one hash.
pub struct Group<'a> {
    entries: &'a [Entry],
}

impl Group<'_> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Each of them, in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = Location> {
        self.entries.iter().map(|entry| Location::from_word(entry.location))
    }
}

#[cfg(test)]
mod tests;
