//! The options of a shared cold tier: its own, and those of its engine, which the store passes on.

use crate::error::{Error, ErrorKind, Result};
use std::fmt;

/// How engines' options begin.
const PREFIX: &str = "remote.";

/// Longest name of an engine's option, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// What can be chosen for a shared cold tier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteOptions {
    /// How old a value may be that hot serves, in milliseconds.
    pub coherence_ms: u64,
    /// How long a call may take, all that is sent again included, in milliseconds.
    pub timeout_ms: u64,
    /// How often a request is sent again at most.
    pub retries: u64,
    /// Requests under way at most.
    pub concurrency: u64,
    /// What the engine alone knows.
    pub engine: EngineOptions,
}

impl Default for RemoteOptions {
    fn default() -> Self {
        Self {
            coherence_ms: 1_000,
            timeout_ms: 2_000,
            retries: 3,
            concurrency: 64,
            engine: EngineOptions::default(),
        }
    }
}

/// Names and values for an engine. The values may be secrets: they are never shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct EngineOptions(Vec<(String, String)>);

impl EngineOptions {
    /// True if a name is one of an engine's option.
    pub fn has_name(name: &str) -> bool {
        name.starts_with(PREFIX)
    }

    /// Takes a value, in place of an earlier one.
    ///
    /// # Errors
    /// `InvalidArgument`; the message has no value.
    #[cold]
    pub fn set(&mut self, name: &str, value: &str) -> Result<()> {
        let is_letter = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || b"_.".contains(&c);
        let is_name = name.len() > PREFIX.len() && name.len() <= NAME_BYTES_MAX;
        if !is_name || !name.bytes().all(is_letter) || value.contains('\0') {
            let sentence = "an engine's option is remote. and a name in lower case, and its value \
                            is text";
            return Err(Error::new(ErrorKind::InvalidArgument, sentence));
        }
        match self.0.iter_mut().find(|(other, _)| other == name) {
            Some((_, old)) => value.clone_into(old),
            None => self.0.push((name.to_owned(), value.to_owned())),
        }
        Ok(())
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl fmt::Debug for EngineOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}
