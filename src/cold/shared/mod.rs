//! A cold tier that others change, too: the records are at an [`Engine`], which distributes them.
//! Nothing here knows a network.
//!
//! | file | what |
//! |---|---|
//! | `engine` | what is needed of an engine |
//! | `versions` | versions, from ranges that it gives |
//! | `requests` | how many requests may be under way, and for how long |
//! | `coherence` | what hot may believe |
//! | `tier` | the parts together, and how a record is read |
//! | `put` | changing keys, and what becomes of an unknown outcome |
//! | `cold_tier` | all calls of the seam in a list |
//!
//! The format of a record is [`codec::remote`](crate::codec::remote).

pub mod engine;
mod versions;
mod requests;
mod coherence;
mod tier;
mod put;
mod cold_tier;

pub use self::engine::{Capabilities, Changed, Engine, Fetched, Listed, Put, Watcher};
pub use self::tier::{Shared, SharedOptions};
