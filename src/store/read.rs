//! Retrieve, contains and warm_up: hot first, then cold, then perhaps a promotion.
//!
//! # Promotion
//! What was read from cold enters hot only if, with the key's hot shard locked, the place that was
//! read is still the key's and hot has nothing of the key. Whoever changes a key changes
//! both under that lock, so a promotion neither overwrites nor revives.

use super::events::{Event, EventKind};
use super::reporting::{Effects, Reporting};
use super::stats::{Counter, Operation, Quick, Tier, Timer};
use super::tiers::{HotSays, Tiers};
use super::value::{Answer, Value};
use crate::cold::{ColdTier, Place, Record};
use crate::error::Result;
use crate::hot::{Entry, Lookup};
use crate::key::Key;
use crate::time::Expiry;

/// How a retrieve treats the hot tier.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct RetrieveOptions {
    /// What is found in cold does not enter hot.
    pub no_promote: bool,
    /// Hot is left as it is: nothing enters, and what is found is not counted as used.
    pub no_recency: bool,
}

/// The parts of a store that calls need which change no key.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    pub(super) tiers: &'a Tiers,
    pub(super) reporting: &'a Reporting,
    /// Whether cold wants to know which keys are used.
    pub(super) marks_use: bool,
}

impl Reader<'_> {
    /// Finds the value of a key; `None` if it is absent or has expired.
    ///
    /// # Errors
    /// `TooLarge`, `Corrupt`, `Io`, `OutOfMemory`; those of cold are survived if lenient.
    #[inline(always)]
    pub fn retrieve(&self, key: &[u8]) -> Result<Answer<Option<Value>>> {
        self.retrieve_with(key, RetrieveOptions::default())
    }

    /// As [`Reader::retrieve`], with a say in what becomes of hot.
    ///
    /// # Errors
    /// As [`Reader::retrieve`].
    #[inline(always)]
    pub fn retrieve_with(
        &self,
        key: &[u8],
        options: RetrieveOptions,
    ) -> Result<Answer<Option<Value>>> {
        // Most retrieves are hits in hot that nobody times or is told of: a way of their own.
        let is_plain = options == RetrieveOptions::default() && self.quick_hits_count();
        let Some(quick) = self.reporting.counters().start_quick().filter(|_| is_plain) else {
            return self.retrieve_timed(key, options);
        };
        let Ok(hashed) = self.tiers.key(key) else { return self.retrieve_timed(key, options) };
        match self.tiers.hot().hit(&hashed, self.tiers.clock(), self.reporting.ledger()) {
            Ok(hit) => {
                quick.hit();
                Ok(Answer::of(Some(Value::of_hit(hit))))
            }
            Err(found) => self.retrieve_cold(&hashed, found, quick),
        }
    }

    /// Whether a hit in hot has nothing to do but to be counted.
    #[inline]
    fn quick_hits_count(&self) -> bool {
        !self.marks_use
            && self.tiers.hot().is_enabled()
            && !self.reporting.events().wants(EventKind::ItemRetrieved)
    }

    /// Goes on with a retrieve that was no hit in hot.
    #[inline(never)]
    fn retrieve_cold(
        &self,
        key: &Key<'_>,
        found: Lookup,
        quick: Quick<'_>,
    ) -> Result<Answer<Option<Value>>> {
        let (timer, hot_timer) = quick.goes_on();
        hot_timer.finish(true);
        let mut effects = Effects::default();
        let says = self.said_by_hot(key, found, &mut effects);
        let found = self.find_after(says, key, RetrieveOptions::default(), &mut effects);
        timer.finish(found.is_ok());
        self.reporting.finish(effects);
        found
    }

    /// A retrieve with all that may belong to one.
    #[inline(never)]
    fn retrieve_timed(
        &self,
        key: &[u8],
        options: RetrieveOptions,
    ) -> Result<Answer<Option<Value>>> {
        let timer = self.reporting.counters().start(Operation::Retrieve);
        let mut effects = Effects::default();
        let found = self.tiers.key(key).and_then(|key| {
            let says = self.find_hot(&key, options.no_recency, &timer, &mut effects);
            self.find_after(says, &key, options, &mut effects)
        });
        timer.finish(found.is_ok());
        self.reporting.finish(effects);
        if let Ok(Answer { value: Some(value), .. }) = &found
            && self.reporting.events().wants(EventKind::ItemRetrieved)
        {
            self.reporting.events().emit(&Event {
                tier: Some(value.tier()),
                key,
                value: Some(value.data()),
                version: value.version(),
                expires_at: value.expires_at(),
                ..Event::of(EventKind::ItemRetrieved)
            });
        }
        found
    }

    /// Finds the value of a key without counting, telling or changing anything.
    ///
    /// # Errors
    /// As [`Reader::retrieve`], under both policies.
    pub(super) fn look_up(&self, key: &[u8]) -> Result<Option<Value>> {
        let key = self.tiers.key(key)?;
        let cold = match (self.tiers.peek_hot(&key), self.tiers.cold()) {
            (HotSays::Has(entry), _) => {
                return Ok(Some(Value::of(entry, Tier::Hot, self.reporting.ledger())));
            }
            (HotSays::Nothing, Some(cold)) => cold,
            (HotSays::Nothing | HotSays::Gone, _) => return Ok(None),
        };
        let found =
            cold.read(&key)?.filter(|(record, _)| !self.tiers.has_expired(record.expires_at));
        Ok(found
            .and_then(|(record, _)| entry_of(key.hash(), record))
            .map(|e| Value::of(e, Tier::Cold, self.reporting.ledger())))
    }

    /// Finds a value after hot was asked.
    fn find_after(
        &self,
        hot: HotSays,
        key: &Key<'_>,
        options: RetrieveOptions,
        effects: &mut Effects,
    ) -> Result<Answer<Option<Value>>> {
        let found = match (hot, self.tiers.cold()) {
            (HotSays::Has(entry), _) => {
                return Ok(Answer::of(Some(Value::of(entry, Tier::Hot, self.reporting.ledger()))));
            }
            (HotSays::Nothing, Some(cold)) => self.find_cold(cold, key),
            (HotSays::Nothing | HotSays::Gone, _) => Ok(None),
        };
        match found {
            Ok(Some((entry, place))) => {
                if !options.no_promote && !options.no_recency {
                    self.promote(key, &entry, &place, effects);
                }
                Ok(Answer::of(Some(Value::of(entry, Tier::Cold, self.reporting.ledger()))))
            }
            Ok(None) => {
                self.reporting.counters().add(Counter::Misses, 1);
                Ok(Answer::of(None))
            }
            Err(error) => {
                self.reporting.counters().add(Counter::Misses, 1);
                Ok(Answer {
                    value: None,
                    survived: Some(self.reporting.survive(error, key.bytes())?),
                })
            }
        }
    }

    fn find_hot(
        &self,
        key: &Key<'_>,
        only_look: bool,
        whole: &Timer<'_>,
        effects: &mut Effects,
    ) -> HotSays {
        if !self.tiers.hot().is_enabled() {
            return HotSays::Nothing;
        }
        let timer = whole.start_tier(Tier::Hot);
        let found = match only_look {
            true => self.tiers.hot().peek(key, self.tiers.clock()),
            false => self.tiers.hot().get(key, self.tiers.clock()),
        };
        timer.finish(true);
        match found {
            // It is still there.
            Lookup::Gone(entry, _) if only_look && !entry.is_unwritten() => {
                self.said_by_hot(key, Lookup::Miss, effects)
            }
            found => self.said_by_hot(key, found, effects),
        }
    }

    /// What a get of hot has found: counted, and kept to be told of if it has ended.
    fn said_by_hot(&self, key: &Key<'_>, found: Lookup, effects: &mut Effects) -> HotSays {
        let says = match found {
            Lookup::Gone(entry, departure) if !entry.is_unwritten() => {
                effects.gone.push((entry, departure));
                HotSays::Nothing
            }
            found => found.into(),
        };
        let is_hit = matches!(says, HotSays::Has(_));
        if let (true, Some(cold)) = (is_hit && self.marks_use, self.tiers.cold()) {
            cold.mark_used(key, None);
        }
        self.reporting
            .counters()
            .add(if is_hit { Counter::HotHits } else { Counter::HotMisses }, 1);
        says
    }

    fn find_cold(&self, cold: &dyn ColdTier, key: &Key<'_>) -> Result<Option<(Entry, Place)>> {
        let timer = self.reporting.counters().start_tier(Tier::Cold);
        let read = cold.read(key);
        timer.finish(read.is_ok());
        let found = read.inspect_err(|error| self.reporting.count_damage(error))?;
        let Some((record, place)) = found.filter(|(r, _)| !self.tiers.has_expired(r.expires_at))
        else {
            self.reporting.counters().add(Counter::ColdMisses, 1);
            return Ok(None);
        };
        self.reporting.counters().add(Counter::ColdHits, 1);
        self.reporting.counters().add(Counter::ColdBytesRead, record.bytes);
        if self.marks_use {
            cold.mark_used(key, Some(&place));
        }
        Ok(entry_of(key.hash(), record).map(|entry| (entry, place)))
    }

    /// Lets what was read from cold enter hot, if it is still what the key has.
    fn promote(&self, key: &Key<'_>, entry: &Entry, place: &Place, effects: &mut Effects) {
        let Some(cold) = self.tiers.cold().filter(|_| self.tiers.hot().is_enabled()) else {
            return;
        };
        let Some(mut room) = self.tiers.hot().admit(key, entry.charge(), &mut effects.evicted)
        else {
            return;
        };
        let mut shard = self.tiers.hot().lock(self.tiers.hot().shard_index(key.hash()));
        if shard.peek(key).is_some()
            || !cold.is_current(place)
            || self.tiers.has_expired(entry.expiry().ms())
        {
            return;
        }
        effects.replaced.extend(shard.insert(key, entry.clone(), &mut room, self.tiers.now()));
        drop(shard);
        effects.promoted = Some(entry.clone());
    }

    /// True if the key has a value; reads none.
    ///
    /// # Errors
    /// As [`Reader::retrieve`].
    pub fn contains(&self, key: &[u8]) -> Result<Answer<bool>> {
        let key = self.tiers.key(key)?;
        let cold = match (self.tiers.peek_hot(&key), self.tiers.cold()) {
            (HotSays::Has(_), _) => return Ok(Answer::of(true)),
            (HotSays::Nothing, Some(cold)) => cold,
            (HotSays::Nothing | HotSays::Gone, _) => return Ok(Answer::of(false)),
        };
        match cold.read_expiry(&key).inspect_err(|error| self.reporting.count_damage(error)) {
            Ok(expiry) => Ok(Answer::of(expiry.is_some_and(|at| !self.tiers.has_expired(at)))),
            Err(error) => Ok(Answer {
                value: false,
                survived: Some(self.reporting.survive(error, key.bytes())?),
            }),
        }
    }

    /// Loads the keys from cold into hot; returns how many of them are hot afterwards.
    ///
    /// # Errors
    /// As [`Reader::retrieve`], for the first key that fails; those before it are loaded.
    pub fn warm_up(&self, keys: &[&[u8]]) -> Result<Answer<u64>> {
        let mut survived = None;
        for bytes in keys {
            let key = self.tiers.key(bytes)?;
            let mut effects = Effects::default();
            let loaded = self.warm_up_one(&key, &mut effects);
            self.reporting.finish(effects);
            if let Err(error) = loaded {
                survived = survived.or(Some(self.reporting.survive(error, bytes)?));
            }
        }
        let mut count = 0;
        for bytes in keys {
            count +=
                u64::from(matches!(self.tiers.peek_hot(&self.tiers.key(bytes)?), HotSays::Has(_)));
        }
        Ok(Answer { value: count, survived })
    }

    pub(super) fn warm_up_one(&self, key: &Key<'_>, effects: &mut Effects) -> Result<()> {
        let Some(cold) = self.tiers.cold().filter(|_| self.tiers.hot().is_enabled()) else {
            return Ok(());
        };
        if !matches!(self.tiers.hot().get(key, self.tiers.clock()).into(), HotSays::Nothing) {
            return Ok(());
        }
        let found = cold.read(key).inspect_err(|error| self.reporting.count_damage(error))?;
        let Some((record, place)) = found.filter(|(r, _)| !self.tiers.has_expired(r.expires_at))
        else {
            return Ok(());
        };
        self.reporting.counters().add(Counter::ColdBytesRead, record.bytes);
        if let Some(entry) = entry_of(key.hash(), record) {
            self.promote(key, &entry, &place, effects);
        }
        Ok(())
    }
}

/// The entry of a record that was read.
fn entry_of(hash: u64, record: Record) -> Option<Entry> {
    let Record { buffer, key, value, version, expires_at, .. } = record;
    Entry::new(buffer, (key, value), hash, version, Expiry::from_ms(expires_at))
}
