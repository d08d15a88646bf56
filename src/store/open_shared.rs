//! Opening a store over an engine that others use, too.

use super::options::{Durability, Options};
use super::store::Store;
use crate::cold::{Capabilities, Engine, Shared, SharedOptions};
use crate::error::{Error, ErrorKind, Result};
use crate::io::clock::SystemClock;
use crate::io::fork;
use crate::time::Clock;
use std::sync::Arc;

/// Longest name of a store that is made of what was opened, in bytes.
const NAME_BYTES_MAX: usize = 255;

impl Store {
    /// Opens a store over `engine`; `name` says which one, in stats and events.
    ///
    /// # Errors
    /// `InvalidArgument` and `Unsupported` for the options, `OutOfMemory`; those of the engine's watch.
    #[cold]
    pub fn open_shared(engine: Box<dyn Engine>, name: &str, options: &Options) -> Result<Self> {
        check(options, engine.capabilities())?;
        fork::watch()?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        Self::open_engine(engine, name, options, clock)
    }

    /// The same, with any clock and whatever the options are.
    ///
    /// # Errors
    /// As [`Store::open_shared`].
    #[cold]
    pub(super) fn open_engine(
        engine: Box<dyn Engine>,
        name: &str,
        options: &Options,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let shared = SharedOptions {
            coherence_ms: options.remote.coherence_ms,
            timeout_ms: options.remote.timeout_ms,
            retries: options.remote.retries,
            concurrency: options.remote.concurrency,
            compression: options.compression,
        };
        let cold = Shared::new(engine, &clock, shared);
        let fits = (0..=name.len().min(NAME_BYTES_MAX)).rev().find(|at| name.is_char_boundary(*at));
        let id = options.storage_id.as_deref().unwrap_or(&name[..fits.unwrap_or(0)]);
        Self::open_with(options, id.to_owned(), Some(Box::new(cold)), clock)
    }
}

/// Checks what the options ask of a shared tier.
#[cold]
fn check(options: &Options, can: Capabilities) -> Result<()> {
    options.check_together(true)?;
    let remote = &options.remote;
    let zeros = [
        (remote.coherence_ms, "coherence is at least 1 ms"),
        (remote.timeout_ms, "remote_timeout is at least 1 ms"),
        (remote.concurrency, "remote_concurrency is at least 1"),
    ];
    if let Some((_, sentence)) = zeros.iter().find(|(value, _)| *value == 0) {
        return Err(Error::new(ErrorKind::InvalidArgument, *sentence));
    }
    let is_durable = can.has(Capabilities::DURABLE);
    let missing = [
        (
            options.durability == Durability::Sync && !is_durable,
            "durability=sync: this engine does not say when a change survives a loss of power; use \
             durability=process",
        ),
        (
            options.cold_capacity != 0,
            "cold_capacity: a shared cold tier is as large as its engine lets it be; leave it out",
        ),
        (
            options.warm_start,
            "warm_start: a shared cold tier has no place for the list of what was hot here; leave \
             it out",
        ),
        (
            !options.create,
            "create=false: nobody can tell a shared cold tier without keys from one that was never \
             used; leave it out",
        ),
    ];
    match missing.iter().find(|(is_asked, _)| *is_asked) {
        Some((_, sentence)) => Err(Error::new(ErrorKind::Unsupported, *sentence)),
        None => Ok(()),
    }
}
