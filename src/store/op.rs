//! Changes of keys: what the caller asks for, and what the store learns of them until it publishes.

use crate::cold::Change;
use crate::hot::{Entry, Usage};
use crate::key::Key;

/// What the store asks and knows of one key's change, beside the change itself.
#[derive(Default)]
pub(super) struct Op<'a> {
    pub(super) if_version: Option<u64>,
    /// Asked when nobody can change the key: false to leave it.
    pub(super) gate: Option<&'a dyn Fn() -> bool>,
    pub(super) cold_only: bool,
    /// Whether the key had a value.
    pub(super) existed: bool,
    /// Whether cold gets it later.
    pub(super) unwritten: bool,
    /// The room of what hot had of the key when it was looked at.
    pub(super) replaced: Usage,
    /// What the new entry is charged; 0 if none enters hot.
    pub(super) charge: u64,
    pub(super) entry: Option<Entry>,
}

impl Op<'_> {
    /// Whether the change's condition holds for a key of that version.
    pub(super) fn may_change(&self, current: u64) -> bool {
        self.if_version.is_none_or(|wanted| wanted == current)
            && self.gate.is_none_or(|gate| gate())
    }
}

/// Changes that happen at one instant: in each tier's list the same key has the same index.
pub(super) struct Ops<'s, 'a> {
    pub(super) changes: &'s mut [Change<'a>],
    pub(super) ops: &'s mut [Op<'a>],
}

impl<'s, 'a> Ops<'s, 'a> {
    /// The same, for a while.
    pub(super) fn borrow(&mut self) -> Ops<'_, 'a> {
        Ops { changes: self.changes, ops: self.ops }
    }

    pub(super) fn keys(&self) -> impl ExactSizeIterator<Item = &Key<'a>> {
        self.changes.iter().map(|change| &change.key)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Change<'a>, &Op<'a>)> {
        self.changes.iter().zip(self.ops.iter())
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&mut Change<'a>, &mut Op<'a>)> {
        self.changes.iter_mut().zip(self.ops.iter_mut())
    }
}
