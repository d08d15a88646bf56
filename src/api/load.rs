//! Loads on a miss: a caller's closure as the store runs it.

use super::handle::Handle;
use super::time::time_to_live;
use super::value::Value;
use crate::error::{Error, ErrorKind, Result};
use crate::store::{self, CallbackScope};
use std::any::Any;
use std::error::Error as StdError;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::result::Result as StdResult;
use std::time::Duration;

/// What a load hands over: see [`Store::retrieve_or_load`](crate::Store::retrieve_or_load).
#[derive(Clone, Debug)]
pub struct Loaded {
    data: Vec<u8>,
    ttl_ms: u64,
}

impl Loaded {
    /// A value that never expires.
    pub fn new(data: impl Into<Vec<u8>>) -> Self {
        Self { data: data.into(), ttl_ms: 0 }
    }

    /// The value expires after `time`, in whole milliseconds, rounded up, and at least one.
    #[must_use]
    pub fn ttl(mut self, time: Duration) -> Self {
        self.ttl_ms = time_to_live(time);
        self
    }
}

/// What a load may fail with.
type Reason = Box<dyn StdError + Send + Sync>;

/// How a load failed that ran in this call.
enum Failure {
    Error(Error),
    Panic(Box<dyn Any + Send>),
}

/// The number by which the store knows that a load failed; threads that waited for it see it.
const FAILED: i32 = 1;

/// Finds the value of a key, or has `load` make it.
///
/// # Errors
/// Those of a retrieve and of a store; `CallbackFailed` with the load's own words.
///
/// # Panics
/// If `load` does. The panic goes around the store: it ends the load in order, tells the threads
/// that wait for it, and goes on writing.
pub fn retrieve_or_load(
    handle: &Handle,
    key: &[u8],
    load: impl FnOnce() -> StdResult<Option<Loaded>, Reason>,
) -> Result<Option<Value>> {
    let mut load = Some(load);
    let mut failure = None;
    let mut run = |loaded: &mut store::Loaded| {
        let _scope = CallbackScope::enter();
        let Some(load) = load.take() else { return 0 };
        failure = call(load, loaded).err();
        if failure.is_some() { FAILED } else { 0 }
    };
    let found = handle.call(|store| store.retrieve_or_load(key, &mut run));
    match failure {
        None => Ok(found?.value.map(Value)),
        Some(Failure::Error(error)) => Err(error),
        Some(Failure::Panic(payload)) => resume_unwind(payload),
    }
}

fn call(
    load: impl FnOnce() -> StdResult<Option<Loaded>, Reason>,
    loaded: &mut store::Loaded,
) -> StdResult<(), Failure> {
    match catch_unwind(AssertUnwindSafe(load)) {
        Ok(Ok(None)) => Ok(()),
        Ok(Ok(Some(Loaded { data, ttl_ms }))) => loaded.set(&data, ttl_ms).map_err(Failure::Error),
        Ok(Err(reason)) => {
            let sentence = format!("the load failed: {reason}; nothing was stored");
            Err(Failure::Error(Error::new(ErrorKind::CallbackFailed, sentence)))
        }
        Err(payload) => Err(Failure::Panic(payload)),
    }
}
