//! The shared tier: its parts, and reading a record.
//!
//! # Invariants
//! 1. The generation of a key is noted before the engine is asked, and is the place's word.
//! 2. No lock is held while the engine is asked.

use super::coherence::Coherence;
use super::engine::{Capabilities, Engine, Fetched};
use super::requests::{Deadline, Permit, Requests};
use super::versions::Versions;
use crate::codec::compress::{Compression, Compressor};
use crate::codec::remote::{self, Header};
use crate::cold::record::{Place, Record};
use crate::error::{Error, ErrorKind, Result};
use crate::key::{Key, KeyHasher};
use crate::sync::Mutex;
use crate::time::Clock;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Compressors that wait for the next record.
const COMPRESSORS_MAX: usize = 4;

/// How a shared tier is set up.
#[derive(Clone, Copy, Debug)]
pub struct SharedOptions {
    /// How old a value may be that hot serves, in milliseconds.
    pub coherence_ms: u64,
    /// How long a call may take, in milliseconds.
    pub timeout_ms: u64,
    /// How often a conditional change is sent again.
    pub retries: u64,
    /// Requests that may be under way.
    pub concurrency: u64,
    /// How values are compressed.
    pub compression: Compression,
}

/// A shared tier.
pub struct Shared {
    pub(super) engine: Box<dyn Engine>,
    pub(super) can: Capabilities,
    pub(super) coherence: Arc<Coherence>,
    pub(super) requests: Requests,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) hasher: KeyHasher,
    pub(super) options: SharedOptions,
    versions: Versions,
    compressors: Mutex<Vec<Compressor>>,
}

/// What the engine has of a key.
pub(super) enum Found {
    /// Nothing.
    Absent,
    /// The version that was known.
    Same,
    /// A record that was checked.
    Record(Header, Vec<u8>),
}

impl Shared {
    /// A tier over `engine`.
    #[cold]
    pub fn new(engine: Box<dyn Engine>, clock: &Arc<dyn Clock>, options: SharedOptions) -> Self {
        let hasher = KeyHasher::random();
        let coherence = Coherence::new(clock.clone(), hasher, options.coherence_ms);
        Self {
            can: engine.capabilities(),
            engine,
            coherence: Arc::new(coherence),
            requests: Requests::new(clock.clone(), options.timeout_ms, options.concurrency),
            clock: clock.clone(),
            hasher,
            options,
            versions: Versions::new(),
            compressors: Mutex::default(),
        }
    }

    /// True if the engine tells of changes.
    pub(super) fn is_told(&self) -> bool {
        self.can.has(Capabilities::WATCH)
    }

    /// Makes one request. `key` is the key that it concerns, if it is one.
    ///
    /// # Errors
    /// `Unavailable` if its turn did not come; those of the request.
    pub(super) fn ask<T>(
        &self,
        key: Option<&[u8]>,
        deadline: Deadline,
        request: impl FnOnce(Duration) -> Result<T>,
    ) -> Result<T> {
        let (turn, timeout) = self.begin(key, deadline)?;
        let result = request(timeout);
        drop(turn);
        self.requests.ended(result.as_ref().err().map(Error::kind));
        result
    }

    /// The turn of a request, and how long that may take.
    #[cold]
    #[inline(never)]
    fn begin(&self, key: Option<&[u8]>, deadline: Deadline) -> Result<(Permit<'_>, Duration)> {
        let link = key.filter(|_| self.coherence.has_parts());
        let link = link.map(|key| self.coherence.link_of(|| self.engine.part(key)));
        let turn = self.requests.begin(link, deadline)?;
        // Engines take 0 for no time at all, or for no limit.
        Ok((turn, self.requests.left(deadline).max(Duration::from_millis(1))))
    }

    /// What the engine has of a key, unless that is `known`.
    ///
    /// # Errors
    /// `Corrupt`, `Unsupported` for the record; those of the engine.
    #[cold]
    #[inline(never)]
    pub(super) fn fetch(&self, key: &[u8], known: u64, deadline: Deadline) -> Result<Found> {
        let get = |timeout| self.engine.get(key, known, timeout);
        match self.ask(Some(key), deadline, get)? {
            Fetched::Absent => Ok(Found::Absent),
            Fetched::Same if known != 0 => Ok(Found::Same),
            Fetched::Same => {
                let sentence = "the engine says that it has the version that is known, but none is";
                Err(Error::new(ErrorKind::CallbackFailed, sentence))
            }
            Fetched::Record(bytes) => {
                self.requests.bytes_in.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                let header = remote::check(key, &bytes)?;
                match header.version == known {
                    true => Ok(Found::Same),
                    false => Ok(Found::Record(header, bytes)),
                }
            }
        }
    }

    /// The place of a key as it is now.
    pub(super) fn place(&self, hash: u64) -> Place {
        Place { hash, word: self.coherence.generation(hash), keep: None }
    }

    /// The record that was fetched, as the store has it.
    ///
    /// # Errors
    /// `Corrupt`, `Unsupported`, `OutOfMemory`.
    #[cold]
    pub(super) fn record(&self, key: &Key<'_>, header: &Header, bytes: &[u8]) -> Result<Record> {
        let buffer = remote::decode(key.bytes(), header, bytes)?;
        let (split, end) = (key.bytes().len(), buffer.bytes().len());
        let (version, expires_at) = (header.version, header.expires_at);
        let bytes = bytes.len() as u64;
        Ok(Record { buffer, key: 0..split, value: split..end, version, expires_at, bytes })
    }

    /// The record of a new value.
    ///
    /// # Errors
    /// `OutOfMemory`, `Internal`.
    #[cold]
    #[inline(never)]
    pub(super) fn encode(
        &self,
        key: &[u8],
        value: &[u8],
        version: u64,
        expires_at: u64,
    ) -> Result<Vec<u8>> {
        let idle = match value.len() < remote::COMPRESSED_MIN {
            true => None,
            false => self.compressors.lock().pop(),
        };
        let mut compressor = match idle {
            Some(compressor) => compressor,
            None => Compressor::new(self.options.compression)?,
        };
        let record = remote::encode(key, value, version, expires_at, &mut compressor);
        if value.len() >= remote::COMPRESSED_MIN && record.is_ok() {
            let mut idle = self.compressors.lock();
            if idle.len() < COMPRESSORS_MAX {
                idle.push(compressor);
            }
        }
        record
    }

    /// A version that nobody else gets.
    ///
    /// # Errors
    /// `Unavailable`, or what else the engine says: nothing was done.
    #[cold]
    #[inline(never)]
    pub(super) fn version(&self) -> Result<u64> {
        let ask = |count| {
            let deadline = self.requests.deadline();
            self.ask(None, deadline, |timeout| self.engine.versions(count, timeout))
        };
        self.versions.take(self.requests.timeout(), &ask)
    }

    /// True if a record has ended.
    pub(super) fn has_ended(&self, header: &Header) -> bool {
        header.expires_at != 0 && header.expires_at <= self.clock.wall().0
    }
}
