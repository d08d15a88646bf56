//! The store: both tiers behind one handle.
//!
//! | file | what |
//! |---|---|
//! | `options`, `remote_options` | what can be chosen, by name |
//! | `stats`, `histogram`, `report` | what is counted, and how it is told |
//! | `events`, `queue` | what is told to subscribers, called or pulled |
//! | `tiers`, `locks`, `pending`, `reporting`, `health`, `loads`, `work`, `throttle` | the parts of a store |
//! | `core` | the parts together, and which of them a call gets |
//! | `bases`, `elsewhere` | a cold tier that others change, too |
//! | `read`, `scan`, `verify`, `hot_keys` | calls that change no key: they get a `Reader` |
//! | `op`, `publish`, `commit`, `unwritten` | how every change is made |
//! | `write`, `batch`, `load`, `backup`, `admin` | calls that change keys: they get a `Writer` |
//! | `host`, `full_disk` | the store as the cold tier sees it; room where there is none |
//! | `maintenance` | the background thread |
//! | `store`, `open_shared` | opening, all calls in a list, closing |

#![warn(clippy::missing_docs_in_private_items)]

pub mod remote_options;
pub mod options;
pub mod figures;
pub mod histogram;
pub mod stats;
pub mod events;
pub mod queue;
pub mod value;
pub mod work;
pub mod throttle;
pub mod loads;
pub mod pending;
pub mod locks;
pub mod reporting;
pub mod op;
pub mod bases;
pub mod tiers;
pub mod health;
pub mod read;
pub mod scan;
pub mod verify;
pub mod hot_keys;
pub mod publish;
pub mod writer;
pub mod host;
pub mod full_disk;
pub mod commit;
pub mod unwritten;
pub mod write;
pub mod batch;
pub mod load;
pub mod backup;
pub mod admin;
pub mod maintenance;
pub mod core;
pub mod elsewhere;
pub mod report;
pub mod store;
pub mod open_shared;

pub use self::batch::Batch;
pub use self::events::{CallbackScope, Event, EventKind, Subscriber, in_callback};
pub use self::load::Loaded;
pub use self::options::{Durability, Eviction, Exposed, Options, Policy, WriteMode};
pub use self::queue::{EventQueue, OwnedEvent};
pub use self::read::RetrieveOptions;
pub use self::report::StatsFormat;
pub use self::scan::Cursor;
pub use self::stats::{Snapshot, Tier};
pub use self::store::Store;
pub use self::value::{Answer, Value};
pub use self::write::{StoreOptions, Stored};
pub use crate::cold::{
    Capabilities, Changed, Engine, Fetched, Listed, Put, Watcher as EngineWatcher,
};
pub use crate::io::fork::fork_epoch;

#[cfg(test)]
mod tests;
