//! The options of a store: their names, how their values are written, and which go together.
//!
//! Options are set by name, from C and from Rust alike, so that a new one never changes the ABI.
//! [`TABLE`] is the only place that knows the names: each row says what the option takes and which
//! field it fills. What is wrong with one value is said by [`Options::set`]; what is wrong with
//! several together, or is not built yet, by [`Options::check`] when the store is opened.
//!
//! # Invariants
//! 1. A failed `set` or `set_u64` changes nothing.
//! 2. Every field can be set by exactly one row, and holds only what its row lets through.

use super::remote_options::{EngineOptions, RemoteOptions};
pub use crate::cold::{Compression, Exposed};
use crate::error::{Error, ErrorKind, Result};
pub use crate::hot::Eviction;
use crate::limits::{COLD_CAPACITY_MIN, HOT_CAPACITY_DEFAULT, SYNC_INTERVAL_MS_DEFAULT};
use std::borrow::Cow;

/// Longest `storage_id`, in bytes: as long as a directory's name can be.
const STORAGE_ID_BYTES_MAX: usize = 255;

/// How much of a bad value an error message repeats, in characters.
const QUOTED_CHARS_MAX: usize = 60;

/// What becomes of a failure of the cold tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Policy {
    /// Every failure is reported to the caller.
    Strict,
    /// The store serves on from hot; the failure is counted and sent as an event.
    Lenient,
}

/// When a store reaches the cold tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WriteMode {
    /// Before the call returns.
    Through,
    /// When the entry is demoted, evicted, synced or the store is closed.
    Back,
}

/// What acknowledged stores survive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Durability {
    /// The death of the process; a power loss but for the last `sync_interval_ms`.
    Process,
    /// A power loss.
    Sync,
}

/// Everything that can be chosen when a store is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Memory that hot may take, in bytes: keys, values and their overhead. 0: no hot tier.
    pub hot_capacity: u64,
    /// Entries in hot at most. 0: only bytes bound it.
    pub hot_max_entries: u64,
    /// Residency in hot, in milliseconds. 0: none.
    pub hot_ttl_ms: u64,
    /// The policy of hot.
    pub eviction: Eviction,
    /// How cold compresses in the background.
    pub compression: Compression,
    /// What becomes of a failure of the cold tier.
    pub policy: Policy,
    /// When a store reaches the cold tier.
    pub write_mode: WriteMode,
    /// What acknowledged stores survive.
    pub durability: Durability,
    /// Time between syncs in the background under [`Durability::Process`], in milliseconds.
    /// 0: never.
    pub sync_interval_ms: u64,
    /// Bytes on disk at most. 0: no bound; else at least [`COLD_CAPACITY_MIN`].
    pub cold_capacity: u64,
    /// Remembers which keys were hot, and loads them again after opening.
    pub warm_start: bool,
    /// Makes the store if the directory holds none.
    pub create: bool,
    /// Opens without writing anything.
    pub read_only: bool,
    /// What becomes of a directory that other users may change.
    pub writable_by_others: Exposed,
    /// The name in stats and events, 1 to 255 bytes. `None`: the directory's name.
    pub storage_id: Option<String>,
    /// What a shared cold tier takes.
    pub remote: RemoteOptions,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            hot_capacity: HOT_CAPACITY_DEFAULT,
            hot_max_entries: 0,
            hot_ttl_ms: 0,
            eviction: Eviction::Lru,
            compression: Compression::Deflate(6),
            policy: Policy::Strict,
            write_mode: WriteMode::Through,
            durability: Durability::Process,
            sync_interval_ms: SYNC_INTERVAL_MS_DEFAULT,
            cold_capacity: 0,
            warm_start: false,
            create: true,
            read_only: false,
            writable_by_others: Exposed::Tell,
            storage_id: None,
            remote: RemoteOptions::default(),
        }
    }
}

impl Options {
    /// Sets the option `name` to what `value` says, for instance `hot_capacity` to `64MiB`.
    ///
    /// Sizes are plain bytes or a whole number with `KiB`, `MiB` or `GiB`; times plain milliseconds
    /// or a whole number with `ms`, `s`, `m`, `h` or `d`. Upper and lower case differ.
    ///
    /// # Errors
    /// `InvalidArgument` for an unknown name or a value that does not parse; the message says what
    /// would be right, and nothing is changed.
    pub fn set(&mut self, name: &str, value: &str) -> Result<()> {
        if EngineOptions::has_name(name) {
            return self.remote.engine.set(name, value);
        }
        let takes = &find(name)?.1;
        let done = match *takes {
            Takes::Size(least, field) => {
                put(field(self), scaled(value, &SIZES).filter(|size| is_enough(*size, least)))
            }
            Takes::Time(field) => put(field(self), scaled(value, &TIMES)),
            Takes::Count(field) => put(field(self), scaled(value, &[])),
            Takes::Flag(field) => {
                put(field(self), choose(value, &[("true", true), ("false", false)]))
            }
            Takes::Word(_, set) | Takes::Text(_, set) => set(self, value),
        };
        let expected = takes.expected();
        done.ok_or_else(|| invalid(format!("{name}: {} is not {expected}", quoted(value))))
    }

    /// Sets the option `name` to a number: bytes, milliseconds, a count, or 0 and 1 for false and
    /// true.
    ///
    /// # Errors
    /// `InvalidArgument` for an unknown name, a number out of range, or an option that takes text;
    /// nothing is changed.
    pub fn set_u64(&mut self, name: &str, value: u64) -> Result<()> {
        if EngineOptions::has_name(name) {
            return self.remote.engine.set(name, &value.to_string());
        }
        let takes = &find(name)?.1;
        let done = match *takes {
            Takes::Size(least, field) => {
                put(field(self), Some(value).filter(|size| is_enough(*size, least)))
            }
            Takes::Time(field) | Takes::Count(field) => put(field(self), Some(value)),
            Takes::Flag(field) if value <= 1 => put(field(self), Some(value == 1)),
            Takes::Flag(_) => return Err(invalid(format!("{name}: {value} is not 0 or 1"))),
            Takes::Word(..) | Takes::Text(..) => {
                let message = format!("{name} takes text, not a number: {}", takes.expected());
                return Err(invalid(message));
            }
        };
        let expected = takes.expected();
        done.ok_or_else(|| invalid(format!("{name}: {value} is not {expected}")))
    }

    /// Checks what the options ask for together, for a store with a directory or without one.
    ///
    /// # Errors
    /// - `InvalidArgument`: options that contradict each other.
    /// - `Unsupported`: a choice that this version does not have.
    pub fn check(&self, has_directory: bool) -> Result<()> {
        if let Some((name, _)) = self.remote.engine.iter().next() {
            let message = format!(
                "{name} is for a shared cold tier: give its address as the path, or leave it out"
            );
            return Err(invalid(message));
        }
        self.check_together(has_directory)
    }

    /// As [`Options::check`], for a store whose cold tier may be an engine.
    ///
    /// # Errors
    /// As [`Options::check`].
    pub(super) fn check_together(&self, has_directory: bool) -> Result<()> {
        let back = self.write_mode == WriteMode::Back;
        let contradictions = [
            (
                !has_directory && self.hot_capacity == 0,
                "a store needs a tier: give a path, or a hot_capacity above 0",
            ),
            (
                !has_directory && self.read_only,
                "read_only=true needs a path: a store without a directory starts empty",
            ),
            (
                back && self.durability == Durability::Sync,
                "write_mode=back cannot give durability=sync: use write_mode=through",
            ),
            (
                back && self.hot_capacity == 0,
                "write_mode=back needs a hot tier: give a hot_capacity above 0",
            ),
            (
                back && self.read_only,
                "write_mode=back has nothing to write with read_only=true: leave one out",
            ),
        ];
        if let Some((_, message)) = contradictions.iter().find(|(found, _)| *found) {
            return Err(invalid(*message));
        }
        if !self.compression.is_supported() {
            return Err(Error::new(ErrorKind::Unsupported, Compression::UNSUPPORTED));
        }
        Ok(())
    }
}

/// A reference to the field of an option.
type Accessor<T> = fn(&mut Options) -> &mut T;

/// What an option takes, and where it goes.
enum Takes {
    /// Bytes: 0, or at least the first number.
    Size(u64, Accessor<u64>),
    /// Milliseconds.
    Time(Accessor<u64>),
    /// A plain number.
    Count(Accessor<u64>),
    /// True or false.
    Flag(Accessor<bool>),
    /// A word of a list in another file: a function that says what is allowed, and one as for a
    /// text.
    Word(fn() -> String, fn(&mut Options, &str) -> Option<()>),
    /// Text: what is allowed, and a function that answers `None` for all else.
    Text(&'static str, fn(&mut Options, &str) -> Option<()>),
}

impl Takes {
    /// What would be right, to follow "is not".
    fn expected(&self) -> String {
        match self {
            Self::Size(0, _) => "a size: bytes, or a whole number with KiB, MiB or GiB".into(),
            Self::Size(least, _) => format!("a size of at least {}MiB, or 0", least >> 20),
            Self::Time(_) => "a time: milliseconds, or a whole number with ms, s, m, h or d".into(),
            Self::Count(_) => "a whole number".into(),
            Self::Flag(_) => "true or false".into(),
            Self::Word(expected, _) => expected(),
            Self::Text(expected, _) => (*expected).into(),
        }
    }
}

/// All options, in the order in which they are documented.
static TABLE: [(&str, Takes); 19] = [
    ("hot_capacity", Takes::Size(0, |o| &mut o.hot_capacity)),
    ("hot_max_entries", Takes::Count(|o| &mut o.hot_max_entries)),
    ("hot_ttl", Takes::Time(|o| &mut o.hot_ttl_ms)),
    (
        "eviction",
        Takes::Word(
            || one_of(Eviction::ALL),
            |o, text| put(&mut o.eviction, choose(text, Eviction::ALL)),
        ),
    ),
    (
        "compression",
        Takes::Text(Compression::EXPECTED, |o, text| {
            put(&mut o.compression, Compression::parse(text))
        }),
    ),
    (
        "policy",
        Takes::Text("one of strict, lenient", |o, text| {
            let words = [("strict", Policy::Strict), ("lenient", Policy::Lenient)];
            put(&mut o.policy, choose(text, &words))
        }),
    ),
    (
        "write_mode",
        Takes::Text("one of through, back", |o, text| {
            let words = [("through", WriteMode::Through), ("back", WriteMode::Back)];
            put(&mut o.write_mode, choose(text, &words))
        }),
    ),
    (
        "durability",
        Takes::Text("one of process, sync", |o, text| {
            let words = [("process", Durability::Process), ("sync", Durability::Sync)];
            put(&mut o.durability, choose(text, &words))
        }),
    ),
    ("sync_interval", Takes::Time(|o| &mut o.sync_interval_ms)),
    ("cold_capacity", Takes::Size(COLD_CAPACITY_MIN, |o| &mut o.cold_capacity)),
    ("warm_start", Takes::Flag(|o| &mut o.warm_start)),
    ("create", Takes::Flag(|o| &mut o.create)),
    ("read_only", Takes::Flag(|o| &mut o.read_only)),
    (
        "writable_by_others",
        Takes::Text("one of refuse, tell, allow", |o, text| {
            let words =
                [("refuse", Exposed::Refuse), ("tell", Exposed::Tell), ("allow", Exposed::Allow)];
            put(&mut o.writable_by_others, choose(text, &words))
        }),
    ),
    (
        "storage_id",
        Takes::Text("a name of 1 to 255 bytes without control characters", |o, text| {
            let fits = (1..=STORAGE_ID_BYTES_MAX).contains(&text.len());
            let is_plain = !text.contains(char::is_control);
            put(&mut o.storage_id, (fits && is_plain).then(|| Some(text.to_owned())))
        }),
    ),
    ("coherence", Takes::Time(|o| &mut o.remote.coherence_ms)),
    ("remote_timeout", Takes::Time(|o| &mut o.remote.timeout_ms)),
    ("remote_retries", Takes::Count(|o| &mut o.remote.retries)),
    ("remote_concurrency", Takes::Count(|o| &mut o.remote.concurrency)),
];

/// Units of size, in bytes.
const SIZES: [(&str, u64); 3] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

/// Units of time, in milliseconds.
const TIMES: [(&str, u64); 5] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

fn find(name: &str) -> Result<&'static (&'static str, Takes)> {
    TABLE.iter().find(|row| row.0 == name).ok_or_else(|| {
        let names: Vec<&str> = TABLE.iter().map(|row| row.0).collect();
        invalid(format!("there is no option {}; there are {}", quoted(name), names.join(", ")))
    })
}

/// Writes `value`, if there is one, to where it belongs.
fn put<T>(field: &mut T, value: Option<T>) -> Option<()> {
    value.map(|value| *field = value)
}

fn is_enough(size: u64, least: u64) -> bool {
    size == 0 || size >= least
}

/// The value of `word` among `words`.
fn choose<T: Copy>(word: &str, words: &[(&str, T)]) -> Option<T> {
    words.iter().find(|(name, _)| *name == word).map(|(_, value)| *value)
}

/// What would be right where one of `words` is.
fn one_of<T>(words: &[(&str, T)]) -> String {
    let names: Vec<&str> = words.iter().map(|(name, _)| *name).collect();
    format!("one of {}", names.join(", "))
}

/// A whole number, alone or times one of `units`; `None` also where 64 bits do not hold it.
fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let factor = if unit.is_empty() { 1 } else { choose(unit, units)? };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

/// The value as an error message repeats it: on one line, and not all of a long one.
fn quoted(text: &str) -> String {
    match text.char_indices().nth(QUOTED_CHARS_MAX) {
        None => format!("{text:?}"),
        Some((cut, _)) => format!("{:?}...", &text[..cut]),
    }
}

fn invalid<'m>(message: impl Into<Cow<'m, str>>) -> Error {
    Error::new(ErrorKind::InvalidArgument, message)
}

#[cfg(test)]
mod tests;
