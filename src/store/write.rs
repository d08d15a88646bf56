//! Store, delete and clear: cold first, then both tiers at one instant.
//!
//! # Durability
//! When a call returns, the kernel has its records: they survive the death of the process. Under
//! `durability=sync`, or if the call asks for it, they are synced before anyone can see them.
//!
//! A delete of a key that cold has not got writes nothing. A clear holds all stripes and writes one
//! record. Then it empties all shards of both tiers at one instant, by exchanging their tables for
//! empty ones. The old tables are freed after the locks.

use super::commit::check_value;
use super::events::{Event, EventKind};
use super::op::{Op, Ops};
use super::options::{Policy, WriteMode};
use super::reporting::Effects;
use super::stats::Operation;
use super::value::Answer;
use super::writer::Writer;
use crate::cold::{Change, Want};
use crate::error::{Error, ErrorKind, Result};
use crate::hot::{Entry, Victims};
use crate::time::Expiry;
use std::slice;
use std::time::Duration;

/// What a store asks for beside key and value.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct StoreOptions {
    /// Milliseconds until the entry expires; 0 for never.
    pub ttl_ms: u64,
    /// The version that the key must have; 0 for none, that is, the key must be absent.
    pub if_version: Option<u64>,
    /// The value does not enter hot, if there is a cold tier.
    pub cold_only: bool,
    /// The store survives power loss when it returns.
    pub sync: bool,
}

/// What became of a conditional store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// Stored, under this version.
    Version(u64),
    /// Not stored: the key has this version, 0 if it is absent.
    Conflict(u64),
}

/// A store with all that may be asked of it.
pub(super) struct Put<'a> {
    pub(super) key: &'a [u8],
    pub(super) value: &'a [u8],
    pub(super) options: &'a StoreOptions,
    /// When the value ends, in milliseconds since the epoch; 0 for never.
    pub(super) expires_at: u64,
    /// Asked when nobody can change the key: false for a conflict with version 0.
    pub(super) gate: Option<&'a dyn Fn() -> bool>,
}

impl Writer<'_> {
    /// Stores a value.
    ///
    /// # Errors
    /// `TooLarge`, `NoSpace`, `Io`, `ReadOnly`, `OutOfMemory`: nothing was stored. Those of cold are
    /// survived if lenient, as long as hot can keep the value until cold takes it.
    pub fn store_with(
        &self,
        key: &[u8],
        value: &[u8],
        options: &StoreOptions,
    ) -> Result<Answer<Stored>> {
        let expires_at = self.tiers.expiry_after(options.ttl_ms);
        self.store_gated(&Put { key, value, options, expires_at, gate: None })
    }

    /// Stores a value without conditions; gives its version.
    ///
    /// # Errors
    /// As [`Writer::store_with`].
    pub fn store(&self, key: &[u8], value: &[u8]) -> Result<Answer<u64>> {
        let answer = self.store_with(key, value, &StoreOptions::default())?;
        Ok(answer.map(|stored| match stored {
            Stored::Version(version) | Stored::Conflict(version) => version,
        }))
    }

    /// As [`Writer::store_with`], with all that may be asked.
    pub(super) fn store_gated(&self, put: &Put<'_>) -> Result<Answer<Stored>> {
        let timer = self.reporting.counters().start(Operation::Store);
        let mut effects = Effects::default();
        let stored = self.put(put, &mut effects);
        timer.finish(stored.is_ok());
        self.reporting.finish(effects);
        if let Ok(Answer { value: Stored::Version(version), .. }) = stored
            && self.reporting.events().wants(EventKind::ItemStored)
        {
            self.reporting.events().emit(&Event {
                key: put.key,
                value: Some(put.value),
                version,
                expires_at: put.expires_at,
                ..Event::of(EventKind::ItemStored)
            });
        }
        stored
    }

    fn put(&self, put: &Put<'_>, effects: &mut Effects) -> Result<Answer<Stored>> {
        let Put { key, value, options, expires_at, gate } = *put;
        self.health.check_writable()?;
        let mut change = Change::new(self.tiers.key(key)?, Some(check_value(value)?), expires_at);
        let StoreOptions { if_version, cold_only, .. } = *options;
        let mut op = Op { if_version, gate, cold_only, ..Op::default() };
        let through = self.options.write_mode == WriteMode::Through
            || options.cold_only
            || options.sync
            || self.tiers.cold().is_none();
        if !through && let Some(answer) = self.put_back(&mut change, &mut op, true, effects)? {
            return Ok(answer);
        }
        let ops = Ops { changes: slice::from_mut(&mut change), ops: slice::from_mut(&mut op) };
        match self.commit(ops, options.sync, effects) {
            Ok(Some(current)) => Ok(Answer::of(Stored::Conflict(current))),
            Ok(None) => Ok(Answer::of(Stored::Version(change.version))),
            Err(error) if self.can_keep(&op, &error) => {
                let survived = self.reporting.survive(error.clone(), key)?;
                match self.put_back(&mut change, &mut op, false, effects)? {
                    Some(answer) => Ok(Answer { survived: Some(survived), ..answer }),
                    None => Err(error),
                }
            }
            Err(error) => Err(error),
        }
    }

    /// Whether a failed store may be kept in hot until cold takes it.
    fn can_keep(&self, op: &Op<'_>, error: &Error) -> bool {
        let of_cold = matches!(
            error.kind(),
            ErrorKind::Io
                | ErrorKind::NoSpace
                | ErrorKind::ReadOnly
                | ErrorKind::Corrupt
                | ErrorKind::Unavailable
        );
        self.options.policy == Policy::Lenient
            && self.tiers.cold().is_some()
            && of_cold
            && op.if_version.is_none()
            && !op.cold_only
    }

    /// Deletes a key from both tiers; `false` if it was in neither.
    ///
    /// # Errors
    /// `TooLarge`, `NoSpace`, `Io`, `ReadOnly`: nothing was deleted.
    pub fn delete(&self, key: &[u8]) -> Result<bool> {
        let timer = self.reporting.counters().start(Operation::Delete);
        let mut effects = Effects::default();
        let deleted = self.health.check_writable().and_then(|()| {
            let mut change = Change::new(self.tiers.key(key)?, None, 0);
            let mut op = Op::default();
            let ops = Ops { changes: slice::from_mut(&mut change), ops: slice::from_mut(&mut op) };
            self.commit(ops, false, &mut effects)?;
            Ok((op.existed, change.version))
        });
        timer.finish(deleted.is_ok());
        self.reporting.finish(effects);
        if let Ok((true, version)) = deleted {
            self.reporting.events().emit(&Event {
                key,
                version,
                ..Event::of(EventKind::ItemDeleted)
            });
        }
        deleted.map(|(existed, _)| existed)
    }

    /// Removes every key from both tiers, at a cost that does not depend on their number.
    ///
    /// # Errors
    /// `NoSpace`, `Io`, `ReadOnly`: nothing was removed.
    pub fn clear(&self) -> Result<()> {
        let timer = self.reporting.counters().start(Operation::Clear);
        let cleared = self
            .health
            .check_writable()
            .and_then(|()| self.with_room(Want::Deletion, || self.clear_both()));
        timer.finish(cleared.is_ok());
        cleared?;
        self.work.wake();
        self.reporting.events().emit(&Event::of(EventKind::StorageCleared));
        Ok(())
    }

    fn clear_both(&self) -> Result<()> {
        let stripes = self.locks.all();
        let prepared = match self.tiers.cold() {
            Some(cold) => {
                let prepared = cold.prepare_clear(self.is_synced(false));
                Some((cold, prepared.inspect_err(|error| self.drop_all_unknown(error))?))
            }
            None => None,
        };
        let mut hot = self.tiers.hot().lock_all();
        let discarded = prepared.map(|(cold, prepared)| cold.publish_clear(prepared));
        let drained = hot.take();
        drop(hot);
        self.loads.forget_all();
        drop(stripes);
        // What was taken out is freed here, with no lock held.
        drop((discarded, drained));
        self.tiers.bases().clear();
        if let Some(sharing) = self.tiers.sharing() {
            // Until then other machines may serve what they have in hot.
            std::thread::sleep(Duration::from_millis(sharing.coherence_ms()));
        }
        Ok(())
    }

    /// After a clear whose outcome is unknown, the next reads ask cold.
    #[cold]
    fn drop_all_unknown(&self, error: &Error) {
        if error.kind() == ErrorKind::Timeout {
            self.loads.forget_all();
            self.tiers.hot().shrink_to(0, &mut Victims::new());
        }
    }

    /// Keeps a value in hot that cold has not got yet; `None` if hot cannot take it. Without `asks`
    /// the engine is not asked, because it has just failed.
    fn put_back<'a>(
        &self,
        change: &mut Change<'a>,
        op: &mut Op<'a>,
        asks: bool,
        effects: &mut Effects,
    ) -> Result<Option<Answer<Stored>>> {
        let bytes = change.key.bytes().len() + change.value.map_or(0, <[u8]>::len);
        if !self.make_unwritten_room(Entry::charge_of(bytes, Expiry::from_ms(change.expires_at))) {
            return Ok(None);
        }
        let stripe = self.locks.key(change.key.hash());
        let (current, base) = match self.tiers.is_shared() {
            true => self.tiers.look_back(change, op, asks)?,
            false => (self.tiers.look(change, op)?, None),
        };
        if !op.may_change(current) {
            return Ok(Some(Answer::of(Stored::Conflict(current))));
        }
        change.version = self.tiers.take_version()?;
        if let Some(base) = base {
            self.tiers.bases().note(change.key.bytes(), base)?;
        }
        op.unwritten = true;
        let mut ops = Ops { changes: slice::from_mut(change), ops: slice::from_mut(op) };
        let prepared = self.tiers.prepare(&mut ops, self.recycles(), effects);
        let is_kept = prepared.and_then(|kept| self.tiers.publish_hot(&mut ops, kept, effects));
        op.unwritten = false;
        if !is_kept? {
            change.version = 0;
            if base.is_some() {
                self.tiers.bases().remove(change.key.bytes());
            }
            return Ok(None);
        }
        if self.loads.are_running() {
            self.loads.forget(change.key.bytes());
        }
        drop(stripe);
        Ok(Some(Answer::of(Stored::Version(change.version))))
    }
}
