//! What a cold tier asks of the store around it while it maintains itself.

use super::record::Place;

/// The store, as a cold tier's maintenance sees it. One for each call of maintenance.
pub trait Host {
    /// Returns once every change that was prepared when it was called is published.
    fn quiesce(&self);

    /// The tier does not keep the value of `key` at `place`. Takes it out of both tiers, by
    /// [`forget`](super::ColdTier::forget), unless the key has another by now.
    fn removed(&self, key: &[u8], place: &Place, removal: Removal);

    /// Takes note of a file or the like that was rewritten.
    fn rewrote(&self, rewritten: &Rewritten);

    /// The tier, which has a bound on its size, has made as much room as it could.
    fn made_room(&self);

    /// The tier holds no lock at this moment: the host may send events of what it has noted.
    fn at_rest(&self);

    /// Asked about every megabyte: false to give up.
    fn go_on(&self) -> bool;
}

/// A value that the tier does not keep.
#[derive(Clone, Copy, Debug)]
pub struct Removal {
    /// Why.
    pub cause: RemovalCause,
    /// Its version.
    pub version: u64,
    /// Milliseconds since the epoch; 0 for never.
    pub expires_at: u64,
}

/// Why the tier does not keep a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemovalCause {
    /// It has expired.
    Expired,
    /// The tier makes room, and nobody has read the value since it was written or last spared.
    Evicted,
}

/// What became of one rewriting.
#[derive(Clone, Debug)]
pub struct Rewritten {
    /// What is gone.
    pub name: String,
    /// Its length.
    pub bytes_before: u64,
    /// What of it was written again.
    pub bytes_after: u64,
}

/// What room is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// Deletes and a clear, for which some room is kept.
    Deletion,
    /// A value of so many bytes.
    Value(u64),
}
