//! retrieve_or_load: one load for each key, however many threads miss it at once.
//!
//! The first thread that misses registers a load and runs the caller's function; the others wait
//! for it and share what it gives. Whoever changes a key takes its load off the register: the
//! change wins, the load's result goes only to those who wait already, and is not stored.
//!
//! A thread inside a load never waits for another thread's: two loads that ask for each other's
//! keys would wait forever. It runs its own.

use super::loads::Load;
use super::read::Reader;
use super::stats::Tier;
use super::value::{Answer, Value};
use super::write::{Put, StoreOptions, Stored};
use super::writer::Writer;
use crate::buffer::{Buffer, LentBuffer};
use crate::cold::Sharing;
use crate::error::{Error, ErrorKind, Result};
use std::sync::Arc;

/// What a load hands over.
#[derive(Default)]
pub struct Loaded {
    value: Option<(Buffer, u64)>,
}

impl Loaded {
    /// Takes a copy of the value, to live for `ttl_ms` milliseconds (0: for ever). The last call
    /// counts.
    ///
    /// # Errors
    /// `TooLarge`, `OutOfMemory`.
    pub fn set(&mut self, data: &[u8], ttl_ms: u64) -> Result<()> {
        super::commit::check_value(data)?;
        self.value = Some((Buffer::from_parts(&[data])?, ttl_ms));
        Ok(())
    }
}

/// The parts of a store that loading needs: what is missed is loaded and stored.
pub(super) struct Loader<'a> {
    reader: Reader<'a>,
    writer: Writer<'a>,
}

impl<'a> Loader<'a> {
    pub(super) fn new(reader: Reader<'a>, writer: Writer<'a>) -> Self {
        Self { reader, writer }
    }

    /// Finds the value of a key, or has `load` make it and stores that.
    ///
    /// # Errors
    /// As a retrieve and a store; `CallbackFailed` with the number that `load` gave, unless 0;
    /// `Misuse` if this thread is loading that key already.
    pub fn retrieve_or_load(
        &self,
        key: &[u8],
        load: &mut dyn FnMut(&mut Loaded) -> i32,
    ) -> Result<Answer<Option<Value>>> {
        let found = self.reader.retrieve(key)?;
        if found.value.is_some() {
            return Ok(found);
        }
        let (is_inside, is_again) = self.writer.loads.inside(key);
        if is_again {
            let sentence = "this thread is loading that key already; a load may not ask for it";
            return Err(Error::new(ErrorKind::Misuse, sentence));
        }
        let (joined, is_first) = self.writer.loads.join(key)?;
        match (is_first, is_inside) {
            (false, false) => joined.wait().map(Answer::of),
            (false, true) => self.run_load(key, None, load),
            (true, _) => self.run_load(key, Some(joined), load),
        }
    }

    fn run_load(
        &self,
        key: &[u8],
        registered: Option<Arc<Load>>,
        load: &mut dyn FnMut(&mut Loaded) -> i32,
    ) -> Result<Answer<Option<Value>>> {
        let running = self.writer.loads.enter(key, registered.clone())?;
        // It may have been stored between the miss and the registration.
        let outcome = match self.reader.look_up(key) {
            Ok(Some(value)) => Ok(Answer::of(Some(value))),
            Ok(None) => self.load_value(key, registered.as_ref(), load),
            Err(error) => Err(error),
        };
        if let Some(registered) = &registered {
            registered.finish(outcome.clone().map(|answer| answer.value));
        }
        drop(running);
        outcome
    }

    fn load_value(
        &self,
        key: &[u8],
        registered: Option<&Arc<Load>>,
        load: &mut dyn FnMut(&mut Loaded) -> i32,
    ) -> Result<Answer<Option<Value>>> {
        let mut loaded = Loaded::default();
        let code = load(&mut loaded);
        if code != 0 {
            let sentence = format!("the load function failed with {code}; nothing was stored");
            return Err(Error::new(ErrorKind::CallbackFailed, sentence).with_os_code(code));
        }
        let Some((buffer, ttl_ms)) = loaded.value else { return Ok(Answer::of(None)) };
        let expires_at = self.writer.tiers.expiry_after(ttl_ms);
        // Across machines the first one wins.
        let compares = self.reader.tiers.sharing().is_some_and(Sharing::compares);
        let if_version = compares.then_some(0);
        let options = StoreOptions { ttl_ms, if_version, ..StoreOptions::default() };
        // Whoever changes the key forgets the load while nobody else can change the key, and the
        // question is asked under the same lock: so a change since the load began is not missed.
        let is_wanted = || registered.is_none_or(|load| self.writer.loads.has(key, load));
        let (value, gate) = (buffer.bytes(), Some(&is_wanted as _));
        let put = Put { key, value, options: &options, expires_at, gate };
        let answer = self.writer.store_gated(&put)?;
        let stored = matches!(answer.value, Stored::Version(_)).then_some(answer);
        let (version, survived) = stored.map_or((0, None), |answer| match answer.value {
            Stored::Version(version) | Stored::Conflict(version) => (version, answer.survived),
        });
        let lent = LentBuffer::new(buffer, self.reader.reporting.ledger());
        let value = Value::whole(lent, version, expires_at, Tier::Hot);
        Ok(Answer { value: Some(value), survived })
    }
}
