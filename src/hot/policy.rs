//! What a policy of the hot tier decides: what may enter, and what leaves next.
//!
//! A policy has two halves. An [`Order`] keeps the entries of one shard. The shard calls it with
//! the shard's lock held, and asks it whether a candidate may enter. The [`Policy`] exists once for
//! the whole tier and has no lock: it chooses the shard that evicts next. The halves share what
//! they must know of each other as atomic numbers. Neither half knows the budget or a clock.
//!
//! A new policy is a file with both halves, and one more name in [`super::eviction`].

use super::entry::{Entry, Probe, Slot};
use crate::error::Result;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// How many shards a tier has.
pub(super) const SHARD_COUNT: usize = 1 << SHARD_BITS;

/// How many top bits of a hash choose the shard.
pub(super) const SHARD_BITS: u32 = 4;

/// What a thread knows of its own uses. Threads that share it may lose some.
#[derive(Default)]
pub(super) struct Uses {
    /// The policy's own number of the last one.
    pub(super) last: AtomicU64,
    /// How many the others have not been told of, and how many these may be.
    pub(super) untold: AtomicU64,
    pub(super) untold_max: AtomicU64,
}

/// A shard that is to evict, and how far.
#[derive(Clone, Copy)]
pub(super) struct Turn {
    pub(super) shard: usize,
    /// A number of the policy's own, at which another shard is next.
    pub(super) until: u64,
    /// What the policy wants its order to do; nobody else reads it.
    pub(super) task: u64,
}

/// The half of a policy that sees all shards. Any thread may call it at any time.
pub(super) trait Policy: Send + Sync {
    /// Makes the order of shard `index`. It is empty.
    fn order(self: Arc<Self>, index: usize) -> Box<dyn Order>;

    /// A step that is due before an order can judge a candidate.
    fn before_judging(&self) -> Option<Turn> {
        None
    }

    /// Bytes of memory that the policy takes beside what entries are charged for.
    fn memory_bytes(&self) -> u64 {
        0
    }

    /// The shard that evicts next; `None` if all orders are empty. May be wrong about a shard that
    /// changes meanwhile, or that an order will answer `None` for; asked again, it knows better.
    fn next(&self) -> Option<Turn>;
}

/// The half of a policy that keeps one shard's entries.
pub(super) trait Order: Send + Sync {
    /// Makes room for `count` more entries, so that putting them in does not fail.
    ///
    /// # Errors
    /// `OutOfMemory`.
    fn reserve(&mut self, count: usize) -> Result<()>;

    /// Puts an entry in, as just used, in place of the one of its key, which is given back.
    fn put(&mut self, entry: Entry) -> Option<Entry>;

    /// Takes an entry out.
    fn remove(&mut self, probe: Probe<'_>) -> Option<Entry>;

    /// Finds an entry and counts this as a use. The policy learns of a use that finds none, too.
    /// Many threads may do so at once, each with its own `uses`.
    fn touch(&self, probe: Probe<'_>, uses: &Uses) -> Option<&Slot>;

    /// Finds an entry; the order learns nothing.
    fn peek(&self, probe: Probe<'_>) -> Option<&Slot>;

    /// Finds an entry with this hash that is `wanted`; the order learns nothing.
    fn find(&self, hash: u64, wanted: &dyn Fn(&Slot) -> bool) -> Option<&Slot>;

    /// Whether a candidate, whose key has this hash and whose entry would be charged so many bytes,
    /// may enter hot although others would have to leave for it. Cold keeps what is refused. Many
    /// threads may ask at once. `None`: the answer takes an [`Order::fit`] before.
    fn admits(&self, hash: u64, charge: u64) -> Option<bool>;

    /// Brings what the policy knows beside the entries to the size that fits their number.
    fn fit(&mut self) {}

    /// Takes out the entry that is to leave next; `None` if this is not the last step, if another
    /// shard is next, or if nothing is left. The caller asks [`Policy::next`] again then.
    fn evict(&mut self, turn: &Turn) -> Option<Entry>;

    /// Takes a step that is due before a candidate is judged. Nothing leaves by it.
    fn prepare(&mut self, _turn: &Turn) {}

    /// All entries; the one to leave next comes last.
    fn iter(&self) -> Box<dyn DoubleEndedIterator<Item = &Slot> + '_>;

    /// What an entry is worth beside those of other shards; the larger stays longer.
    fn worth(&self, slot: &Slot) -> u64;

    /// Moves all entries into an order of their own, at a cost that does not depend on their number.
    fn take(&mut self) -> Box<dyn Order>;
}
