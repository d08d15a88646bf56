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
use crate::hot::{Entry, Found};
use std::collections::{HashSet, VecDeque};

/// Keys of one range: each costs a read, and waits in memory until it is its turn.
const RANGE_KEYS: usize = 256;

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

    /// True if it stands on a key.
    pub fn is_on_key(&self) -> bool {
        self.is_on_key
    }
}

impl State {
    /// A walk through the keys that begin with `prefix`.
    pub fn cursor(&self, prefix: &[u8]) -> Cursor {
        Cursor {
            prefix: prefix.to_vec(),
            next_hash: Some(0),
            waiting: VecDeque::new(),
            key: Vec::new(),
            is_on_key: false,
        }
    }

    /// Goes to the next key; `false` at the end.
    ///
    /// # Errors
    /// `Corrupt`, `Io` for a key that could not be read: the walk goes on with the next call.
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
                    cursor.next_hash = match &self.cold {
                        Some(cold) => self.fill_from_both(cold, cursor, hash),
                        None => self.fill_from_hot(cursor, hash),
                    };
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

    fn fill_from_both(&self, cold: &Cold, cursor: &mut Cursor, hash: u64) -> Option<u64> {
        // Hot before cold: what is being written meanwhile is then in one of them at least.
        let unwritten: Vec<Entry> = match self.hot.unwritten_bytes() {
            0 => Vec::new(),
            _ => self
                .hot
                .entries_in(hash, u64::MAX)
                .into_iter()
                .filter(Entry::is_unwritten)
                .collect(),
        };
        let (places, next) = cold.keys_from(hash, RANGE_KEYS);
        let mut met = HashSet::new();
        let in_range = |entry: &&Entry| next.is_none_or(|next| entry.hash() < next);
        for entry in unwritten.iter().filter(in_range) {
            met.insert(entry.key().to_vec());
            let is_over = self.has_expired(entry.expiry().ms());
            if entry.key().starts_with(&cursor.prefix) && !is_over {
                cursor.waiting.push_back(Ok(entry.key().to_vec()));
            }
        }
        for place in places {
            let wanted = cold.read_key(&place, |known| {
                let is_wanted = known.key.starts_with(&cursor.prefix) && !met.contains(known.key);
                let lives = is_wanted && !self.has_expired(known.expires_at()?);
                Ok(lives.then(|| known.key.to_vec()))
            });
            match wanted {
                Ok(key) => cursor.waiting.extend(key.map(Ok)),
                // One that was deleted or written anew meanwhile is not damaged but gone.
                Err(error) if cold.is_at(&place) => cursor.waiting.push_back(Err(error)),
                Err(_) => {}
            }
        }
        next
    }

    fn fill_from_hot(&self, cursor: &mut Cursor, hash: u64) -> Option<u64> {
        let (_, last) = self.hot.shard_range(self.hot.shard_index(hash));
        for entry in self.hot.entries_in(hash, last) {
            let Ok(key) = self.key(entry.key()) else { continue };
            let lives = matches!(self.hot.peek(&key, &*self.clock), Found::Hit(_));
            if lives && entry.key().starts_with(&cursor.prefix) {
                cursor.waiting.push_back(Ok(entry.key().to_vec()));
            }
        }
        last.checked_add(1)
    }
}
