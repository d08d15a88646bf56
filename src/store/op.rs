//! One key's change, from what the caller asks for to what is known of it when it is published.

use crate::cold::{Draft, Kind, Located};
use crate::hot::{Entry, Usage};
use crate::key::Key;

/// One key's change.
pub(super) struct Op<'a> {
    pub(super) key: Key<'a>,
    /// The new value; `None` to delete.
    pub(super) value: Option<&'a [u8]>,
    pub(super) expires_at: u64,
    pub(super) if_version: Option<u64>,
    pub(super) cold_only: bool,
    /// Asked when nobody can change the key: false to leave it.
    pub(super) gate: Option<&'a dyn Fn() -> bool>,
    /// The new version, once there is one.
    pub(super) version: u64,
    /// Whether the key had a value.
    pub(super) existed: bool,
    /// Whether cold gets it later.
    pub(super) unwritten: bool,
    pub(super) located: Located,
    /// The room of what hot had of the key when it was looked at.
    pub(super) replaced: Usage,
    /// What the new entry is charged; 0 if none enters hot.
    pub(super) charge: u64,
    pub(super) entry: Option<Entry>,
}

impl<'a> Op<'a> {
    pub(super) fn new(key: Key<'a>, value: Option<&'a [u8]>) -> Self {
        Self {
            key,
            value,
            expires_at: 0,
            if_version: None,
            cold_only: false,
            gate: None,
            version: 0,
            existed: false,
            unwritten: false,
            located: Located::default(),
            replaced: Usage::default(),
            charge: 0,
            entry: None,
        }
    }

    /// Whether the change's condition holds for a key of that version.
    pub(super) fn may_change(&self, current: u64) -> bool {
        self.if_version.is_none_or(|wanted| wanted == current)
            && self.gate.is_none_or(|gate| gate())
    }

    /// The change is appended, and has its version.
    pub(super) fn set_version(&mut self, version: u64) {
        self.version = version;
        if let Some(entry) = &mut self.entry {
            entry.set_version(version);
        }
    }

    /// Whether the change needs a record: not to delete what cold does not have.
    pub(super) fn has_record(&self) -> bool {
        self.value.is_some() || self.located.index.is_some()
    }

    pub(super) fn draft(&self) -> Draft<'a> {
        Draft {
            kind: if self.value.is_some() { Kind::Value } else { Kind::Tombstone },
            key: self.key.bytes(),
            hash: self.key.hash(),
            value: self.value.unwrap_or_default(),
            expires_at: self.expires_at,
            collides: self.located.collides,
            sequence: self.version,
            chained: false,
        }
    }
}
