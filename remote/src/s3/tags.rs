//! The ETags of versions that were seen: what If-Match needs. A version is of one record for ever,
//! so that nothing here can be out of date.

use std::collections::HashMap;
use std::mem::take;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Tags in each of two generations.
const TAGS_MAX: usize = 16_384;

/// Tags by version.
#[derive(Debug, Default)]
pub struct Tags {
    known: Mutex<[HashMap<u64, String>; 2]>,
}

impl Tags {
    /// Takes note of a tag.
    pub fn add(&self, version: u64, tag: Option<&str>) {
        let Some(tag) = tag.filter(|tag| tag.len() <= 256) else { return };
        let mut known = self.lock();
        if known[0].len() >= TAGS_MAX {
            known[1] = take(&mut known[0]);
        }
        known[0].insert(version, tag.to_owned());
    }

    /// The tag of a version.
    pub fn of(&self, version: u64) -> Option<String> {
        let known = self.lock();
        known.iter().find_map(|tags| tags.get(&version)).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, [HashMap<u64, String>; 2]> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_known_for_a_while_and_memory_is_bounded() {
        let tags = Tags::default();
        for version in 1..=40_000 {
            tags.add(version, Some(&version.to_string()));
        }
        assert_eq!((tags.of(40_000), tags.of(1)), (Some("40000".into()), None));
        assert!(tags.lock().iter().all(|tags| tags.len() <= TAGS_MAX));
    }
}
