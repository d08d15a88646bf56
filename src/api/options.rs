//! What a program chooses when it opens a store.
//!
//! A setter with a type sets the option of the same name, as [`Options::set`] does with text. It
//! cannot fail, so that setters can be chained: a value that the option does not take is kept, and
//! reported when a store is opened.

use super::time::milliseconds;
use crate::error::{Error, Result};
use crate::store::{Durability, Eviction, Exposed, Options as Chosen, Policy, WriteMode};
use std::fmt::Display;
use std::time::Duration;

/// How the records on disk are compressed.
///
/// Compression runs in the background, on segments that take no more records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compression {
    /// Not at all.
    None,
    /// Deflate, at a level from 0 to 9.
    Deflate(u8),
}

/// Everything that can be chosen when a store is opened.
///
/// A new `Options` has the defaults. The setters give the same `Options` back, so that they can be
/// chained; later changes do not affect a store that is open. A value that cannot work is an
/// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) error: of [`Options::set`] at once, of the
/// other setters when a store is opened.
///
/// ```
/// use hotcold::{Compression, Durability, Options, Store};
/// use std::time::Duration;
///
/// # fn main() -> hotcold::Result<()> {
/// # let directory = std::env::temp_dir().join(format!("hotcold-doc-options-{}", std::process::id()));
/// let mut options = Options::new();
/// options.hot_capacity(256 << 20).compression(Compression::Deflate(9)).warm_start(true);
/// let is_careful = true;
/// if is_careful {
///     options.durability(Durability::Sync);
/// }
/// // The same options have names, for values that come from a configuration file.
/// options.set("sync_interval", "500ms")?;
/// let store = Store::open(&directory, &options)?;
/// # store.close()?;
/// # std::fs::remove_dir_all(&directory).unwrap();
///
/// let error = Store::in_memory(Options::new().storage_id("")).unwrap_err();
/// assert_eq!(error.kind(), hotcold::ErrorKind::InvalidArgument);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Options {
    chosen: Chosen,
    /// Options that were last given a value that they do not take, each with the reason.
    wrong: Vec<(&'static str, Error)>,
}

impl Options {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the option `name` to what `value` says, for instance `hot_capacity` to `64MiB`.
    ///
    /// The names are those of the other setters. Sizes are bytes, or a whole number with `KiB`,
    /// `MiB` or `GiB`. Times are milliseconds, or a whole number with `ms`, `s`, `m`, `h` or `d`.
    /// Choices are the words of the README's table, in lower case.
    ///
    /// # Errors
    /// `InvalidArgument` for an unknown name or a value that does not parse. The message says what
    /// would be right, and nothing changes.
    pub fn set(&mut self, name: &str, value: &str) -> Result<&mut Self> {
        self.chosen.set(name, value)?;
        self.wrong.retain(|(wrong, _)| *wrong != name);
        Ok(self)
    }

    /// Memory that the hot tier may take, in bytes: keys, values and their overhead. 0: there is no
    /// hot tier. Default: 64 MiB.
    pub fn hot_capacity(&mut self, bytes: u64) -> &mut Self {
        self.number("hot_capacity", bytes)
    }

    /// How many entries the hot tier may have. 0, the default: only bytes bound it.
    pub fn hot_max_entries(&mut self, entries: u64) -> &mut Self {
        self.number("hot_max_entries", entries)
    }

    /// How long an entry may stay in the hot tier, in whole milliseconds. Zero, the default: as
    /// long as there is room. An entry that leaves for this reason stays in the cold tier.
    pub fn hot_ttl(&mut self, residency: Duration) -> &mut Self {
        self.number("hot_ttl", milliseconds(residency))
    }

    /// Which entry leaves the hot tier first.
    pub fn eviction(&mut self, eviction: Eviction) -> &mut Self {
        self.chosen.eviction = eviction;
        self
    }

    /// How the records on disk are compressed. Default: [`Compression::Deflate`] at level 6.
    pub fn compression(&mut self, compression: Compression) -> &mut Self {
        match compression {
            Compression::None => self.text("compression", "none"),
            Compression::Deflate(level) => {
                self.text("compression", format_args!("deflate:{level}"))
            }
        }
    }

    /// What becomes of a failure of the cold tier. Default: [`Policy::Strict`].
    pub fn policy(&mut self, policy: Policy) -> &mut Self {
        self.chosen.policy = policy;
        self
    }

    /// When a store reaches the cold tier. Default: [`WriteMode::Through`].
    pub fn write_mode(&mut self, mode: WriteMode) -> &mut Self {
        self.chosen.write_mode = mode;
        self
    }

    /// What acknowledged stores survive. Default: [`Durability::Process`].
    pub fn durability(&mut self, durability: Durability) -> &mut Self {
        self.chosen.durability = durability;
        self
    }

    /// What a power loss may take under [`Durability::Process`], in whole milliseconds. Zero: any
    /// time. Default: one second.
    pub fn sync_interval(&mut self, interval: Duration) -> &mut Self {
        self.number("sync_interval", milliseconds(interval))
    }

    /// How much the cold tier may take on disk, in bytes: at least 16 MiB. When it is full, the
    /// oldest values that nobody reads leave. 0, the default: no bound.
    pub fn cold_capacity(&mut self, bytes: u64) -> &mut Self {
        self.number("cold_capacity", bytes)
    }

    /// Whether the store remembers which keys were hot, and loads them again in the background
    /// after it is opened. Default: no.
    pub fn warm_start(&mut self, is_on: bool) -> &mut Self {
        self.chosen.warm_start = is_on;
        self
    }

    /// Whether a directory without a store gets a new one. Default: yes.
    pub fn create(&mut self, is_on: bool) -> &mut Self {
        self.chosen.create = is_on;
        self
    }

    /// Whether the store is opened without writing anything. Several processes may read a store at
    /// the same time. Default: no.
    pub fn read_only(&mut self, is_on: bool) -> &mut Self {
        self.chosen.read_only = is_on;
        self
    }

    /// What becomes of a directory that other users may change. Default: [`Exposed::Tell`], see
    /// [`Store::warning`](crate::Store::warning).
    pub fn writable_by_others(&mut self, exposed: Exposed) -> &mut Self {
        self.chosen.writable_by_others = exposed;
        self
    }

    /// The store's name in stats: 1 to 255 bytes without control characters. Default: the name of
    /// the directory, or `memory`.
    pub fn storage_id(&mut self, name: &str) -> &mut Self {
        self.text("storage_id", name)
    }

    /// How old a value may be that the hot tier serves over a shared cold tier. Default: 1 s.
    pub fn coherence(&mut self, age: Duration) -> &mut Self {
        self.number("coherence", milliseconds(age))
    }

    /// How long a request to a shared cold tier may take, all that is sent again included. Default:
    /// 2 s.
    pub fn remote_timeout(&mut self, time: Duration) -> &mut Self {
        self.number("remote_timeout", milliseconds(time))
    }

    /// How often a request to a shared cold tier is sent again. Default: 3.
    pub fn remote_retries(&mut self, count: u64) -> &mut Self {
        self.number("remote_retries", count)
    }

    /// Requests to a shared cold tier that may be under way. Default: 64.
    pub fn remote_concurrency(&mut self, count: u64) -> &mut Self {
        self.number("remote_concurrency", count)
    }

    /// The options as `store` takes them.
    ///
    /// # Errors
    /// `InvalidArgument` for the first option that has a value which it does not take.
    pub(super) fn chosen(&self) -> Result<&Chosen> {
        match self.wrong.first() {
            Some((_, error)) => Err(error.clone()),
            None => Ok(&self.chosen),
        }
    }

    fn number(&mut self, name: &'static str, value: u64) -> &mut Self {
        let set = self.chosen.set_u64(name, value);
        self.note(name, set)
    }

    fn text(&mut self, name: &'static str, value: impl Display) -> &mut Self {
        let set = self.chosen.set(name, &value.to_string());
        self.note(name, set)
    }

    fn note(&mut self, name: &'static str, set: Result<()>) -> &mut Self {
        self.wrong.retain(|(wrong, _)| *wrong != name);
        self.wrong.extend(set.err().map(|error| (name, error)));
        self
    }
}
