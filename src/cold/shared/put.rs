//! Changing keys at the engine.
//!
//! # Unknown outcomes
//! A change that was not answered in time may have been made, and may still be made later.
//! 1. An unconditional one is not sent again: its late copy could overwrite what came after it.
//! 2. A conditional one reads again. If the key has the new version it was made; if it has the
//!    version of the condition still, it is sent again, and of two copies only one can meet the
//!    condition. If it has another version, nobody can tell whether it was made and replaced since.
//!
//! # Invariants
//! 1. Whatever fails but certainly did nothing moves the generation, so that nothing that was read
//!    meanwhile enters hot.

use super::engine::{Capabilities, Changed, Put};
use super::requests::Deadline;
use super::tier::{Found, Shared};
use crate::cold::change::{Change, Prepared};
use crate::error::{Error, ErrorKind, Result};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// The outcome of a change.
enum Outcome {
    /// It was made; whether there was something before, if that is known.
    Made(Option<bool>),
    /// The key has this version, 0 if it is absent.
    Conflict(u64),
}

impl Shared {
    /// Makes all changes, or none, at the engine.
    ///
    /// # Errors
    /// As [`ColdTier::prepare`](crate::cold::ColdTier::prepare).
    #[cold]
    pub(super) fn make(&self, changes: &mut [Change<'_>], sync: bool) -> Result<Prepared> {
        self.check(changes, sync)?;
        let deadline = self.requests.deadline();
        for change in changes.iter_mut() {
            change.notes.place = self.coherence.generation(change.key.hash());
            if change.version == 0 {
                change.version = self.version()?;
            }
        }
        // Of what is removed no version is told.
        let stored = changes.iter().filter(|change| change.value.is_some());
        self.coherence.begin(stored.map(|change| change.version))?;
        let made = match &mut *changes {
            [change] => self.make_one(change, deadline),
            _ => self.make_many(changes, deadline),
        };
        let made = made.and_then(|conflict| {
            let is_synced = sync && conflict.is_none();
            if is_synced { self.sync_made(deadline).map(|()| None) } else { Ok(conflict) }
        });
        let is_undone = made.as_ref().is_err_and(|error| error.kind() == ErrorKind::Unavailable);
        if !matches!(made, Ok(None)) {
            self.over(changes, made.is_err() && !is_undone);
        }
        Ok(Prepared { conflict: made?, ..Prepared::default() })
    }

    /// Takes note that the changes have ended.
    #[cold]
    pub(super) fn over(&self, changes: &[Change<'_>], has_changed: bool) {
        for change in changes {
            if has_changed {
                self.coherence.moved(change.key.hash());
            }
            self.coherence.end(change.version);
        }
    }

    #[cold]
    fn check(&self, changes: &[Change<'_>], sync: bool) -> Result<()> {
        let can = |what| self.can.has(what);
        let has_condition = changes.iter().any(|change| change.if_version.is_some());
        let missing = [
            (
                sync && !can(Capabilities::DURABLE),
                "this engine does not say when a change survives a loss of power: leave sync out",
            ),
            (
                has_condition && !can(Capabilities::COMPARE),
                "this engine does not compare versions: store without a condition",
            ),
            (
                changes.len() > 1 && !can(Capabilities::BATCH),
                "this engine does not change several keys at once: store one after the other",
            ),
        ];
        match missing.iter().find(|(is_missing, _)| *is_missing) {
            Some((_, sentence)) => Err(Error::new(ErrorKind::Unsupported, *sentence)),
            None => Ok(()),
        }
    }

    /// A change that was made and is not durable is not what was asked for, and cannot be undone.
    #[cold]
    fn sync_made(&self, deadline: Deadline) -> Result<()> {
        let synced = self.ask(None, deadline, |timeout| self.engine.sync(timeout));
        synced.map_err(|error| Error::new(ErrorKind::Timeout, error.message()).context("sync"))
    }

    #[cold]
    fn make_one(&self, change: &mut Change<'_>, deadline: Deadline) -> Result<Option<u64>> {
        let key = change.key.bytes();
        let (version, expires_at) = (change.version, change.expires_at);
        let data = match change.value {
            Some(value) => Some(self.encode(key, value, version, expires_at)?),
            None => None,
        };
        let put = Put { key, data: data.as_deref(), version, expires_at, if_version: None };
        let outcome = match (change.if_version, &data) {
            (Some(wanted), _) => self.send_if(&put, wanted, deadline)?,
            (None, Some(_)) => {
                self.send(&put, deadline, None)?;
                Outcome::Made(None)
            }
            (None, None) => Outcome::Made(Some(self.remove(&put, deadline)?)),
        };
        Ok(match outcome {
            Outcome::Made(existed) => {
                change.existed = existed;
                if existed == Some(false) {
                    change.version = 0;
                }
                None
            }
            Outcome::Conflict(current) => Some(current),
        })
    }

    #[cold]
    fn make_many(&self, changes: &[Change<'_>], deadline: Deadline) -> Result<Option<u64>> {
        let mut records = Vec::new();
        crate::memory::grow(&mut records, changes.len(), "the records of a batch")?;
        for Change { key, value, version, expires_at, .. } in changes {
            let record = value.map(|value| self.encode(key.bytes(), value, *version, *expires_at));
            records.push(record.transpose()?);
        }
        let puts: Vec<Put<'_>> = changes
            .iter()
            .zip(&records)
            .map(|(change, record)| Put {
                key: change.key.bytes(),
                data: record.as_deref(),
                version: change.version,
                expires_at: change.expires_at,
                if_version: change.if_version,
            })
            .collect();
        let bytes: usize = records.iter().flatten().map(Vec::len).sum();
        let first = changes.first().map(|change| change.key.bytes());
        let written = self.ask(first, deadline, |timeout| {
            self.requests.bytes_out.fetch_add(bytes as u64, Ordering::Relaxed);
            self.engine.write(&puts, timeout)
        })?;
        Ok((written == Changed::Conflict).then_some(0))
    }

    /// Sends a change once, with at most `most` of the time that is left.
    #[cold]
    #[inline(never)]
    fn send(&self, put: &Put<'_>, deadline: Deadline, most: Option<Duration>) -> Result<Changed> {
        self.ask(Some(put.key), deadline, |timeout| {
            let bytes = put.data.map_or(0, <[u8]>::len) as u64;
            self.requests.bytes_out.fetch_add(bytes, Ordering::Relaxed);
            self.engine.change(put, most.map_or(timeout, |most| most.min(timeout)))
        })
    }

    /// Makes a change if the key has version `wanted` (0: if it is absent).
    #[cold]
    fn send_if(&self, put: &Put<'_>, wanted: u64, deadline: Deadline) -> Result<Outcome> {
        let mut put = Put { if_version: Some(wanted), ..*put };
        let (mut unknown, mut current) = (None, 0);
        for turn in 0..=self.options.retries {
            if turn > 0 {
                self.requests.retries.fetch_add(1, Ordering::Relaxed);
            }
            // Half of the time, so that there is some left to read again.
            let half = self.requests.left(deadline) / 2;
            match self.send(&put, deadline, Some(half.max(Duration::from_millis(1)))) {
                Ok(Changed::Conflict) => {}
                Ok(Changed::Done | Changed::Absent) => return Ok(Outcome::Made(None)),
                Err(error) if error.kind() == ErrorKind::Timeout => unknown = Some(error),
                Err(error) => return Err(unknown.unwrap_or(error)),
            }
            let again = self.fetch(put.key, put.version, deadline);
            let (version, has_ended) = match again {
                Ok(Found::Same) => return Ok(Outcome::Made(None)),
                Ok(Found::Absent) => (0, false),
                Ok(Found::Record(header, _)) => (header.version, self.has_ended(&header)),
                Err(error) => return Err(unknown.unwrap_or_else(|| certainly_not(error))),
            };
            current = if has_ended { 0 } else { version };
            if put.if_version == Some(version) {
                continue;
            }
            if has_ended && wanted == 0 {
                // A record that has expired counts as absent, even if the engine still has it.
                put.if_version = Some(version);
                continue;
            }
            break;
        }
        unknown.map_or(Ok(Outcome::Conflict(current)), Err)
    }

    /// Removes a key; false if it had no value.
    #[cold]
    fn remove(&self, put: &Put<'_>, deadline: Deadline) -> Result<bool> {
        if self.can.has(Capabilities::EXPIRE) {
            return Ok(self.send(put, deadline, None)? == Changed::Done);
        }
        // The engine may have what has expired: whether there is a value has to be read.
        let mut existed = true;
        // A conflict is no failure: somebody else was first. So it is the time alone that bounds this.
        while !self.requests.left(deadline).is_zero() {
            let mut put = *put;
            match self.fetch(put.key, 0, deadline) {
                Ok(Found::Absent) => return Ok(false),
                Ok(Found::Record(header, _)) => {
                    existed = !self.has_ended(&header);
                    let compares = self.can.has(Capabilities::COMPARE);
                    put.if_version = compares.then_some(header.version);
                }
                Ok(Found::Same) => {}
                // Damaged, and so it is deleted whatever it was.
                Err(error) if error.kind() == ErrorKind::Corrupt => {}
                Err(error) => return Err(certainly_not(error)),
            }
            match self.send(&put, deadline, None)? {
                Changed::Done => return Ok(existed),
                Changed::Absent => return Ok(false),
                Changed::Conflict => {}
            }
        }
        let sentence =
            "others went on changing the key until remote_timeout; nothing was deleted: try again";
        Err(Error::new(ErrorKind::Unavailable, sentence))
    }

    /// Removes every key.
    ///
    /// # Errors
    /// Those of the engine: some keys may be gone.
    #[cold]
    pub(super) fn clear_all(&self) -> Result<()> {
        let deadline = self.requests.deadline();
        if self.can.has(Capabilities::CLEAR) {
            return self.ask(None, deadline, |timeout| self.engine.clear(timeout));
        }
        let mut next = Some(Vec::new());
        while let Some(after) = next {
            let deadline = self.requests.deadline();
            let list = |timeout| self.engine.list(&[], &after, timeout);
            let listed = self.ask(None, deadline, list)?;
            for key in &listed.keys {
                let put = Put { key, data: None, version: 0, expires_at: 0, if_version: None };
                self.send(&put, self.requests.deadline(), None)?;
            }
            next = listed.next;
        }
        Ok(())
    }
}

/// The failure of a read in front of a change that was not sent: nothing was done.
fn certainly_not(error: Error) -> Error {
    match error.kind() {
        ErrorKind::Timeout => Error::new(ErrorKind::Unavailable, error.message()),
        _ => error,
    }
}
