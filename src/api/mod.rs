//! What a Rust program gets: the names at the crate's root.
//!
//! These types wrap the ones of `store` and show nothing else of them, so that `store` can change
//! without a change for Rust programs. They do what `ffi` does for C: every call is refused in a
//! forked child and where the process has no memory, and a panic of this library ends the store's
//! writes.
//!
//! | file | what |
//! | --- | --- |
//! | `time` | durations and points in time as the store's numbers |
//! | `options` | `Options`: what a program chooses when it opens a store |
//! | `requests` | `StoreOptions` and `RetrieveOptions`: what a program asks of one call |
//! | `value`, `batch`, `verified` | what calls give and take |
//! | `handle` | the way of every call into the store, and the end of the store |
//! | `cursor`, `load`, `events` | walks, loads on a miss, subscriptions |
//! | `store` | `Store` |

#![warn(clippy::missing_docs_in_private_items)]

mod time;
mod options;
mod requests;
mod value;
mod batch;
mod verified;
mod handle;
mod cursor;
mod load;
mod events;
mod store;

pub use self::batch::Batch;
pub use self::cursor::Cursor;
pub use self::events::{Event, EventKinds, EventQueue, SubscriptionId};
pub use self::load::Loaded;
pub use self::options::{Compression, Options};
pub use self::requests::{RetrieveOptions, StoreOptions};
pub use self::store::Store;
pub use self::value::Value;
pub use self::verified::Verified;
pub use crate::store::figures::{
    ColdStats, HotStats, MemoryStats, OperationStats, RemoteStats, TierStats,
};
pub use crate::store::{
    Durability, EventKind, Eviction, Exposed, Policy, Snapshot, StatsFormat, Stored, Tier,
    WriteMode,
};
