//! Calls that concern the store as a whole: compact, sync, optimize_hot, and the end.

use super::events::EventKind;
use super::full_disk::{is_full, without_room};
use super::host::StoreHost;
use super::stats::{Counter, Tier};
use super::value::Answer;
use super::writer::Writer;
use crate::cold::Host;
use crate::error::{Error, Result};
use crate::hot::Victims;

impl Writer<'_> {
    /// Makes cold as small as it can be, on the calling thread.
    ///
    /// # Errors
    /// `NoSpace`, `Io`, `ReadOnly`: what was not rewritten is as before.
    pub fn compact(&self) -> Result<()> {
        self.health.check_writable()?;
        let Some(cold) = self.tiers.cold() else { return Ok(()) };
        let flushed = self.flush_unwritten();
        if flushed.is_err() && !is_full(&flushed) {
            return flushed;
        }
        let host = StoreHost::new(self, &|| true);
        let compacted = cold.compact(&host);
        host.at_rest();
        compacted?;
        if flushed.is_ok() { Ok(()) } else { self.flush_unwritten() }
    }

    /// Makes everything acknowledged so far survive power loss.
    ///
    /// # Errors
    /// `Io`, and the store turns read-only; `NoSpace`, `ReadOnly`.
    pub fn sync(&self) -> Result<()> {
        let Some(cold) = self.tiers.cold() else { return Ok(()) };
        self.health.check_writable()?;
        self.flush_unwritten()?;
        cold.sync()
    }

    /// Takes a key out of hot and deletes nothing: an unwritten entry stays, and in a store without a
    /// cold tier every one. False if hot has none.
    ///
    /// # Errors
    /// `TooLarge`.
    #[cold]
    pub fn forget(&self, key: &[u8]) -> Result<bool> {
        let key = self.tiers.key(key)?;
        if let Some(sharing) = self.tiers.sharing() {
            // Whoever calls has learnt of a change: what is being read now may be older.
            sharing.doubt(&key);
        }
        let Some(gone) = self.tiers.cold().and_then(|_| self.tiers.take_old(&key, |_| true)) else {
            let hot = self.tiers.hot();
            return Ok(
                hot.is_enabled() && hot.lock(hot.shard_index(key.hash())).peek(&key).is_some()
            );
        };
        self.reporting.overtaken(&gone);
        Ok(true)
    }

    /// Demotes what is least worth keeping until hot uses at most `target_bytes`; returns how many
    /// entries that were.
    ///
    /// # Errors
    /// Those of writing back unwritten entries; they stay in hot. Survived if lenient.
    pub fn optimize_hot(&self, target_bytes: u64) -> Result<Answer<u64>> {
        let mut survived = None;
        if self.tiers.hot().used_bytes() > target_bytes
            && let Err(error) = self.flush_unwritten()
        {
            survived = Some(self.reporting.survive(error, &[])?);
        }
        let mut demoted = Victims::new();
        self.tiers.hot().shrink_to(target_bytes, &mut demoted);
        self.reporting.counters().add(Counter::HotDemotions, demoted.len() as u64);
        demoted
            .iter()
            .for_each(|entry| self.reporting.tell_entry(EventKind::Demoted, Tier::Hot, entry));
        Ok(Answer { value: demoted.len() as u64, survived })
    }

    /// Ends the store's work: writes back, syncs, closes cold. The first failure is given.
    pub(super) fn shut_down(&self) -> Result<()> {
        let mut first: Result<()> = Ok(());
        let mut keep = |result: Result<()>| {
            if first.is_ok() {
                first = result;
            }
        };
        if let Some(cold) = self.tiers.cold().filter(|_| !self.options.read_only) {
            let writable = self.health.check_writable().and_then(|()| cold.check_writable());
            match writable {
                Ok(()) => {
                    keep(self.flush_unwritten());
                    // What was acknowledged is in cold; this only makes the next start faster.
                    if self.options.warm_start {
                        keep(without_room(self.reader().save_hot_keys()));
                    }
                    let host = StoreHost::new(self, &|| true);
                    keep(cold.close(&host));
                    host.at_rest();
                }
                Err(error) => keep(Err(error)),
            }
        }
        if let Some(cold) = self.tiers.cold() {
            cold.release();
        }
        self.reporting.events().close();
        first.map_err(|error: Error| error.context("close"))
    }
}
