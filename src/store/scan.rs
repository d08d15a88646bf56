//! Walking all keys: range by range of hashes, each range taken from both tiers at once.
//!
//! A key that lives throughout stands in the keydir, or is unwritten in hot, at any moment; and it
//! has one hash. So it is met exactly once, in the range of its hash, whatever happens meanwhile.
//! In a hot-only store a range is one hot shard.

use super::read::RetrieveOptions;
use super::state::State;
use super::value::{Answer, Value};
use crate::cold::Cold;
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
    next_hash: Option<u64>,
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
}

impl State {
    /// A walk through the keys that begin with `prefix`.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub fn cursor(&self, prefix: &[u8]) -> Result<Cursor> {
        Ok(Cursor {
            prefix: memory::copy(prefix, "a prefix")?,
            next_hash: Some(0),
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
                    self.count_damage(&error);
                    self.survive(error, &[])?;
                }
                None => {
                    let Some(hash) = cursor.next_hash else { return Ok(false) };
                    let filled = match &self.cold {
                        Some(cold) => self.fill_from_both(cold, cursor, hash),
                        None => self.fill_from_hot(cursor, hash),
                    };
                    // What a failure has left of the range comes with the next try.
                    cursor.next_hash = filled.inspect_err(|_| cursor.waiting.clear())?;
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
        let options = RetrieveOptions { no_promote: true, no_recency: true };
        self.retrieve_with(cursor.key(), options)
    }

    fn fill_from_both(&self, cold: &Cold, cursor: &mut Cursor, hash: u64) -> Result<Option<u64>> {
        // Hot before cold: what is being written meanwhile is then in one of them at least.
        let mut unwritten = match self.hot.unwritten_bytes() {
            0 => Vec::new(),
            _ => self.hot.entries_in(hash, u64::MAX)?,
        };
        unwritten.retain(Entry::is_unwritten);
        let (places, next) = cold.keys_from(hash, RANGE_KEYS);
        let mut met = HashSet::new();
        let in_range = |entry: &&Entry| next.is_none_or(|next| entry.hash() < next);
        for entry in unwritten.iter().filter(in_range) {
            met.try_reserve(1).map_err(|_| memory::exhausted(size_of::<&[u8]>(), WHAT))?;
            met.insert(entry.key());
            let is_over = self.has_expired(entry.expiry().ms());
            if entry.key().starts_with(&cursor.prefix) && !is_over {
                cursor.add(entry.key())?;
            }
        }
        let room = cursor.waiting.try_reserve(places.len());
        room.map_err(|_| memory::exhausted(places.len() * size_of::<Vec<u8>>(), WHAT))?;
        for place in places {
            let wanted = cold.read_key(&place, |known| {
                let is_wanted = known.key.starts_with(&cursor.prefix) && !met.contains(known.key);
                let lives = is_wanted && !self.has_expired(known.expires_at()?);
                Ok(lives.then(|| memory::copy(known.key, WHAT)))
            });
            match wanted {
                Ok(Some(key)) => cursor.waiting.push_back(Ok(key?)),
                Ok(None) => {}
                Err(error) if error.kind() == ErrorKind::OutOfMemory => return Err(error),
                // One that was deleted or written anew meanwhile is not damaged but gone.
                Err(error) if cold.is_at(&place) => cursor.waiting.push_back(Err(error)),
                Err(_) => {}
            }
        }
        Ok(next)
    }

    fn fill_from_hot(&self, cursor: &mut Cursor, hash: u64) -> Result<Option<u64>> {
        let (_, last) = self.hot.shard_range(self.hot.shard_index(hash));
        for entry in self.hot.entries_in(hash, last)? {
            let Ok(key) = self.key(entry.key()) else { continue };
            let lives = matches!(self.hot.peek(&key, &*self.clock), Lookup::Hit(_));
            if lives && entry.key().starts_with(&cursor.prefix) {
                cursor.add(entry.key())?;
            }
        }
        Ok(last.checked_add(1))
    }
}
