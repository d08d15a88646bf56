//! Walking all keys. A walk visits each key that lives throughout exactly once, whatever happens
//! meanwhile: at any moment such a key is in cold, or unwritten in hot.
//!
//! A cold tier that walks in the order of hashes is walked range by range. Each range also takes
//! hot's unwritten keys in it: a key has one hash, so one range visits it. A cold tier that walks
//! in an order of its own comes after all unwritten keys of hot, which the walk remembers and does
//! not visit again. In a hot-only store a range is one hot shard.

use super::read::{Reader, RetrieveOptions};
use super::value::{Answer, Value};
use crate::cold::{ColdTier, Page, Place, Position, Sharing};
use crate::error::{Error, ErrorKind, Result};
use crate::hot::{Entry, Lookup};
use crate::memory;
use std::collections::{HashSet, VecDeque};

/// Keys of one range: each costs a read, and waits in memory until it is its turn.
const RANGE_KEYS: usize = 256;

const WHAT: &str = "the keys of a walk";

/// Where a walk stands. It knows no store: each step is given one.
pub struct Cursor {
    prefix: Vec<u8>,
    /// Where to go on; `None` at the end.
    next: Option<Position>,
    /// Keys that were visited, if the tier may visit them again.
    met: HashSet<Vec<u8>>,
    waiting: VecDeque<Result<Vec<u8>>>,
    key: Vec<u8>,
    is_on_key: bool,
}

impl Cursor {
    /// The key it stands on; empty before the first step and after the last.
    pub fn key(&self) -> &[u8] {
        if self.is_on_key { &self.key } else { &[] }
    }

    fn add(&mut self, key: &[u8]) -> Result<()> {
        memory::check()?;
        let key = memory::copy(key, WHAT)?;
        let room = self.waiting.try_reserve(1);
        room.map_err(|_| memory::exhausted(size_of::<Vec<u8>>(), WHAT))?;
        self.waiting.push_back(Ok(key));
        Ok(())
    }

    fn remember(&mut self, key: &[u8]) -> Result<()> {
        self.met.try_reserve(1).map_err(|_| memory::exhausted(size_of::<Vec<u8>>(), WHAT))?;
        self.met.insert(memory::copy(key, WHAT)?);
        Ok(())
    }
}

impl Reader<'_> {
    /// A walk through the keys that begin with `prefix`.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub fn cursor(&self, prefix: &[u8]) -> Result<Cursor> {
        Ok(Cursor {
            prefix: memory::copy(prefix, "a prefix")?,
            next: Some(self.tiers.cold().map_or(Position::Hash(0), |cold| cold.first_position())),
            met: HashSet::new(),
            waiting: VecDeque::new(),
            key: Vec::new(),
            is_on_key: false,
        })
    }

    /// Goes to the next key; `false` at the end.
    ///
    /// # Errors
    /// `Corrupt`, `Io` for a key that could not be read: the walk goes on with the next call.
    /// `OutOfMemory`: the next call tries again.
    pub fn cursor_next(&self, cursor: &mut Cursor) -> Result<bool> {
        cursor.is_on_key = false;
        loop {
            match cursor.waiting.pop_front() {
                Some(Ok(key)) => {
                    cursor.key = key;
                    cursor.is_on_key = true;
                    return Ok(true);
                }
                Some(Err(error)) => {
                    self.reporting.count_damage(&error);
                    self.reporting.survive(error, &[])?;
                }
                None => {
                    let Some(from) = cursor.next.clone() else { return Ok(false) };
                    let filled = match (self.tiers.cold(), from) {
                        (Some(cold), from) => self.fill_from_both(cold, cursor, &from),
                        (None, Position::Hash(hash)) => self.fill_from_hot(cursor, hash),
                        (None, Position::After(_)) => Ok(None),
                    };
                    // What a failure has left of the range comes with the next try.
                    cursor.next = filled.inspect_err(|_| cursor.waiting.clear())?;
                }
            }
        }
    }

    /// The value of the key that the cursor stands on, not promoted; `None` if it is gone by now.
    ///
    /// # Errors
    /// As a retrieve; `Misuse` if it stands on none.
    pub fn cursor_value(&self, cursor: &Cursor) -> Result<Answer<Option<Value>>> {
        if !cursor.is_on_key {
            let sentence = "the cursor stands on no key; call next first";
            return Err(Error::new(ErrorKind::Misuse, sentence));
        }
        let options = RetrieveOptions { no_promote: true, no_recency: true, fresh: false };
        self.retrieve_with(cursor.key(), options)
    }

    fn fill_from_both(
        &self,
        cold: &dyn ColdTier,
        cursor: &mut Cursor,
        from: &Position,
    ) -> Result<Option<Position>> {
        // Hot before cold: what is being written meanwhile is then in one of them at least.
        let unwritten = self.unwritten_from(from)?;
        let Page { places, next } = cold.places(from, &cursor.prefix, RANGE_KEYS)?;
        let in_range = |entry: &&Entry| match &next {
            Some(Position::Hash(next)) => entry.hash() < *next,
            _ => true,
        };
        let mut met = HashSet::new();
        for entry in unwritten.iter().filter(in_range) {
            met.try_reserve(1).map_err(|_| memory::exhausted(size_of::<&[u8]>(), WHAT))?;
            met.insert(entry.key());
            let is_over = self.tiers.has_expired(entry.expiry().ms());
            if entry.key().starts_with(&cursor.prefix) && !is_over {
                cursor.add(entry.key())?;
            }
        }
        let repeats = self.tiers.sharing().is_some_and(Sharing::repeats);
        let room = cursor.waiting.try_reserve(places.len());
        room.map_err(|_| memory::exhausted(places.len() * size_of::<Vec<u8>>(), WHAT))?;
        for place in places {
            match self.read_key_of(cold, &place, cursor, &met) {
                Ok(Some(key)) => {
                    if repeats {
                        cursor.remember(&key)?;
                    }
                    cursor.waiting.push_back(Ok(key));
                }
                Ok(None) => {}
                Err(error) if error.kind() == ErrorKind::OutOfMemory => return Err(error),
                // One that was deleted or written anew meanwhile is not damaged but gone.
                Err(error) if cold.is_current(&place) => cursor.waiting.push_back(Err(error)),
                Err(_) => {}
            }
        }
        if matches!(from, Position::After(_)) {
            for key in met {
                cursor.remember(key)?;
            }
        }
        Ok(next)
    }

    /// The key at a place, if the walk has not visited it and it has not expired.
    fn read_key_of(
        &self,
        cold: &dyn ColdTier,
        place: &Place,
        cursor: &Cursor,
        met: &HashSet<&[u8]>,
    ) -> Result<Option<Vec<u8>>> {
        let mut found = None;
        cold.read_key(place, &mut |key, expires_at| {
            let was_met = met.contains(key) || cursor.met.contains(key);
            if key.starts_with(&cursor.prefix) && !was_met {
                // An engine lists keys without their values, so an expired key is visited as long
                // as it is listed.
                let is_over = !self.tiers.is_shared() && self.tiers.has_expired(expires_at()?);
                found = Some((memory::copy(key, WHAT)?, is_over));
            }
            Ok(())
        })?;
        match found {
            // It may have been stored anew in time: then only the value that was met has expired.
            Some((key, true)) if cold.is_current(place) || !self.contains(&key)?.value => Ok(None),
            found => Ok(found.map(|(key, _)| key)),
        }
    }

    /// Hot's unwritten entries that a walk at `from` has to take before it asks cold.
    fn unwritten_from(&self, from: &Position) -> Result<Vec<Entry>> {
        let first = match from {
            _ if self.tiers.hot().unwritten_bytes() == 0 => return Ok(Vec::new()),
            Position::Hash(hash) => *hash,
            Position::After(key) if key.is_empty() => 0,
            Position::After(_) => return Ok(Vec::new()),
        };
        let mut entries = self.tiers.hot().entries_in(first, u64::MAX)?;
        entries.retain(Entry::is_unwritten);
        Ok(entries)
    }

    fn fill_from_hot(&self, cursor: &mut Cursor, hash: u64) -> Result<Option<Position>> {
        let (_, last) = self.tiers.hot().shard_range(self.tiers.hot().shard_index(hash));
        for entry in self.tiers.hot().entries_in(hash, last)? {
            let Ok(key) = self.tiers.key(entry.key()) else { continue };
            let lives = matches!(self.tiers.hot().peek(&key, self.tiers.clock()), Lookup::Hit(_));
            if lives && entry.key().starts_with(&cursor.prefix) {
                cursor.add(entry.key())?;
            }
        }
        Ok(last.checked_add(1).map(Position::Hash))
    }
}
