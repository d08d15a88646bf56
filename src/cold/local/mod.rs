//! The cold tier in a directory: records in segments on disk, found through a keydir in memory.
//!
//! ```text
//! append -> log (active segment) -> sealed -> rewritten by compaction: frozen -> ... -> removed
//!              \-- keydir: hash -> location --/
//! ```
//! This folder knows keys, records and files. It knows nothing of the hot tier, or of why something
//! is written. A writer holds a lock on the key's hash from [`Local::look`] to [`Local::publish`].
//! The store above has those locks, because it has to change both tiers at one instant.
//!
//! # Files
//!
//! | file | what | derived? | format |
//! | --- | --- | --- | --- |
//! | `000001.seg`, ... | A segment: a header, then records. *Log* segments hold them in the order of writing. Compaction wrote the *frozen* ones. | no | `codec/segment.rs`, `codec/record.rs` |
//! | `MANIFEST` | The seed of the hash, the first sequence of the next open, the latest time seen and its lead. | The segments can tell it. | `codec/manifest.rs` |
//! | `CHECKPOINT` | The keydir and the segments' tallies at one moment. | yes | `codec/checkpoint.rs` |
//! | `STAGE` | The newest bytes of the log while many stores come. It exists while the store is open, and after its process has died. | no | `codec/stage.rs` |
//! | `WARM` | The keys that were hot, under `warm_start`. | It may be lost. | `codec/warm.rs` |
//! | `RESERVE` | Zeros: room for deletes and compaction, where the disk has little room. | It may be lost. | |
//! | `LOCK` | Empty. It exists where machines may share the file system. | yes | |
//! | `000001.gone` | Empty: a note that compaction removed this segment, as long as the checkpoint or a log segment names it. | no | the name |
//! | `*.new` | A file that was being replaced at a crash. The next open removes it or writes over it. | yes | |
//!
//! Segments are 64 MiB long; a longer record has a segment for itself. With `cold_capacity` a
//! segment is a 32nd of that, 512 KiB at least. On a small file system it is a 32nd of the file
//! system, and where little room is free an eighth of what is free.
//!
//! A directory holds a store if its `MANIFEST`, its `CHECKPOINT` or one of its segments begins as
//! ours do, give or take one damaged byte. A directory without a store is taken if it is empty, or
//! has only what a first open leaves that was broken off: a `MANIFEST.new` with nothing, with zeros
//! or with the first bytes of a manifest; an empty `LOCK`; the `lost+found` of a new file system.
//! Any other directory is somebody else's, and is not touched. Other files in a store's directory
//! are left alone. If a name of ours is a link, a directory, a FIFO, a socket or a device, the call
//! fails and says so: it does not follow, wait for, replace or remove it. A segment that has a second
//! name (a copy by `cp -al`) is read, but neither appended to nor thinned: the log goes on in a new one.

pub mod index;
pub mod segment;
pub mod log;
pub mod recovery;
pub mod compaction;
pub mod tier;
pub mod open;
pub mod lookup;
pub mod change;
pub mod syncing;
pub mod time;
pub mod rewriting;
pub mod room;
pub mod maintenance;
pub mod verify;
pub mod backup;
pub mod hot_keys;
pub mod gauges;
pub mod cold_tier;

#[cfg(test)]
pub mod tests;

pub use self::open::Exposed;
pub use self::tier::{Local, LocalOptions};
pub use crate::codec::compress::Compression;
