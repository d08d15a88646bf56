//! A cold tier that others change, too. The store asks the engine before it serves a doubtful entry
//! of hot. An entry that others have changed leaves hot. The engine judges the conditions of
//! changes.

use super::core::Core;
use super::op::{Op, Ops};
use super::read::{ColdHit, Reader, entry_of};
use super::reporting::Effects;
use super::stats::{Counter, Tier};
use super::tiers::Tiers;
use super::writer::Writer;
use crate::cold::{Change, ColdTier, Current, Hears, Place, Prepared, Reread, Sharing};
use crate::error::{Error, ErrorKind, Result};
use crate::hot::{Entry, Victims};
use crate::key::Key;

/// Of hot's entry of a key: version, expiry, and whether it is unwritten.
pub(super) type InHot = Option<(u64, u64, bool)>;

impl Tiers {
    /// As [`Tiers::look`]: the condition goes to the engine, unless hot alone has the newest version.
    ///
    /// # Errors
    /// `Unavailable` if the condition could be judged by nobody.
    #[cold]
    pub(super) fn look_shared(
        &self,
        change: &mut Change<'_>,
        op: &mut Op<'_>,
        in_hot: InHot,
    ) -> Result<u64> {
        change.if_version = op.if_version;
        let unwritten = in_hot.filter(|(_, _, is_unwritten)| *is_unwritten);
        op.existed = unwritten.is_some_and(|(_, expires_at, _)| !self.has_expired(expires_at));
        let (Some((version, ..)), Some(wanted)) = (unwritten, op.if_version) else {
            return Ok(op.if_version.unwrap_or(0));
        };
        let current = if op.existed { version } else { 0 };
        if wanted == current {
            change.if_version = self.bases().get(change.key.bytes());
            if change.if_version.is_none() {
                let sentence = "an earlier store of the key waits to be written back; try again";
                return Err(Error::new(ErrorKind::Unavailable, sentence));
            }
        }
        Ok(current)
    }

    /// Finds out what the store has of a key whose change only hot will have. Returns the key's
    /// version, and what the engine has, if that is known. With `asks` it asks the engine if hot
    /// does not know.
    ///
    /// # Errors
    /// Those of the engine.
    #[cold]
    pub(super) fn look_back(
        &self,
        change: &mut Change<'_>,
        op: &mut Op<'_>,
        asks: bool,
    ) -> Result<(u64, Option<u64>)> {
        let (hash, mut in_hot) = (change.key.hash(), None);
        if let Some(entry) = self.hot().lock(self.hot().shard_index(hash)).peek(&change.key) {
            op.replaced = crate::hot::Usage::of_entry(entry.charge());
            in_hot = Some((entry.version(), entry.expiry().ms(), entry.is_unwritten()));
        }
        let (version, expires_at, base) = match (in_hot, self.cold()) {
            (Some((version, expires_at, true)), _) => (version, expires_at, None),
            (Some((version, expires_at, false)), _) if !asks || op.if_version.is_none() => {
                (version, expires_at, Some(version))
            }
            (_, Some(cold)) if asks => {
                cold.look(change, false)?;
                match change.current {
                    Current::Value { version, expires_at } => (version, expires_at, Some(version)),
                    _ => (0, 0, (change.current == Current::Absent).then_some(0)),
                }
            }
            _ => (0, 0, None),
        };
        op.existed = version != 0 && !self.has_expired(expires_at);
        Ok((if op.existed { version } else { 0 }, base))
    }

    /// Whether nobody has told of a change of the key since the change was prepared.
    pub(super) fn is_undisturbed(&self, cold: &dyn ColdTier, change: &Change<'_>) -> bool {
        let (hash, word) = (change.key.hash(), change.notes.place);
        cold.is_current(&Place { hash, word, keep: None })
    }

    /// Takes the keys out of hot, but for unwritten entries and those of version `newest`.
    #[cold]
    pub(super) fn leave_hot(&self, ops: &Ops<'_, '_>, newest: u64, effects: &mut Effects) {
        for key in ops.keys() {
            effects.replaced.extend(self.take_old(key, |version| version != newest));
        }
    }

    /// Takes the entry of a key out of hot if its version is old, and it is not unwritten.
    #[cold]
    pub(super) fn take_old(&self, key: &Key<'_>, is_old: impl Fn(u64) -> bool) -> Option<Entry> {
        if !self.hot().is_enabled() {
            return None;
        }
        let mut shard = self.hot().lock(self.hot().shard_index(key.hash()));
        let goes = shard.peek(key).is_some_and(|e| !e.is_unwritten() && is_old(e.version()));
        if goes { shard.remove(key) } else { None }
    }
}

impl Writer<'_> {
    /// What the engine's answer to changes means for hot, before they are published.
    #[cold]
    pub(super) fn judged(
        &self,
        prepared: &Result<Prepared>,
        ops: &mut Ops<'_, '_>,
        effects: &mut Effects,
    ) {
        match prepared {
            // What hot has is not newer than what the engine says, unless it is that.
            Ok(Prepared { conflict: Some(current), .. }) => {
                self.tiers.leave_hot(ops, *current, effects);
            }
            Ok(_) => {
                for (change, op) in ops.iter_mut() {
                    op.existed |= change.existed.unwrap_or(change.value.is_none());
                    self.tiers.bases().remove(change.key.bytes());
                }
            }
            Err(error) if error.kind() == ErrorKind::Unavailable => {}
            // Nobody knows what the engine has.
            Err(_) => self.tiers.leave_hot(ops, 0, effects),
        }
    }
}

impl Reader<'_> {
    /// Asks cold whether it still has what hot had of a key, and finds what it has otherwise.
    ///
    /// # Errors
    /// Those of the engine; `Corrupt`.
    #[cold]
    pub(super) fn find_again(
        &self,
        sharing: &dyn Sharing,
        key: &Key<'_>,
        doubted: &Entry,
    ) -> Result<Option<ColdHit>> {
        let timer = self.reporting.counters().start_tier(Tier::Cold);
        let asked = self.tiers.now();
        let read = sharing.read_unless(key, doubted.version());
        timer.finish(read.is_ok());
        let found = match read.inspect_err(|error| self.reporting.count_damage(error))? {
            Reread::Same(place) => Some(ColdHit { entry: doubted.clone(), place, asked }),
            Reread::Absent => None,
            Reread::Found(record, place) => {
                self.reporting.counters().add(Counter::ColdBytesRead, record.bytes);
                let entry = entry_of(key.hash(), record);
                entry.map(|entry| ColdHit { entry, place, asked })
            }
        };
        let is_same = found.as_ref().is_some_and(|f| f.entry.version() == doubted.version());
        if !is_same {
            let gone = self.tiers.take_old(key, |version| version == doubted.version());
            gone.iter().for_each(|entry| self.reporting.overtaken(entry));
        }
        let found = found.filter(|found| !self.tiers.has_expired(found.entry.expiry().ms()));
        let counter = if found.is_some() { Counter::ColdHits } else { Counter::ColdMisses };
        self.reporting.counters().add(counter, 1);
        Ok(found)
    }

    /// The same, without counting or changing anything.
    ///
    /// # Errors
    /// As [`Reader::find_again`].
    #[cold]
    pub(super) fn look_again(
        &self,
        sharing: &dyn Sharing,
        key: &Key<'_>,
        doubted: Entry,
    ) -> Result<Option<Entry>> {
        let entry = match sharing.read_unless(key, doubted.version())? {
            Reread::Same(_) => Some(doubted),
            Reread::Absent => None,
            Reread::Found(record, _) => entry_of(key.hash(), record),
        };
        Ok(entry.filter(|entry| !self.tiers.has_expired(entry.expiry().ms())))
    }
}

impl Hears for Core {
    #[cold]
    fn changed(&self, key: &[u8], version: u64) {
        let Ok(key) = self.tiers().key(key) else { return };
        let is_old = |own: u64| version == 0 || own != version;
        if let Some(entry) = self.tiers().take_old(&key, is_old) {
            self.overheard(entry);
        }
    }

    #[cold]
    fn lost(&self, is_lost: &dyn Fn(u32) -> bool) {
        let (hot, Some(sharing)) = (self.tiers().hot(), self.tiers().sharing()) else { return };
        for index in 0..hot.shard_count() {
            let (first, last) = hot.shard_range(index);
            let Ok(entries) = hot.entries_in(first, last) else {
                // Without memory for a list all of them go.
                return hot.shrink_to(0, &mut Victims::new());
            };
            for entry in entries.iter().filter(|entry| is_lost(sharing.part(entry.key()))) {
                let Ok(key) = self.tiers().key(entry.key()) else { continue };
                let gone = self.tiers().take_old(&key, |version| version == entry.version());
                gone.into_iter().for_each(|entry| self.overheard(entry));
            }
        }
    }
}

impl Core {
    /// Leaves it to the store's own thread to send the event that an entry left hot: this thread is
    /// the engine's.
    #[cold]
    fn overheard(&self, entry: Entry) {
        if self.reporting().overhear(entry) {
            self.work().wake();
        }
    }
}
