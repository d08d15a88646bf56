//! Recovery: from the files that an earlier process left to an index.
//!
//! # Steps of an open
//! 1. Read the manifest and the header of every segment. If one has a newer version the open ends
//!    here, before anything is touched.
//! 2. Take into memory what the stage has behind the end of the last log segment.
//! 3. Load the checkpoint, if it is whole, and find out which segments are gone. A damaged
//!    checkpoint is counted (`cold_rebuilt_files`). Without a checkpoint everything is walked. No
//!    newer version was scanned by now, so write to the segment what the stage had, and remove the
//!    stage durably.
//! 4. Walk what the checkpoint does not account for: segments it does not know, and the log behind
//!    its position.
//! 5. For each hash the newest record wins. Where a record says that it *collides*, or the keydir
//!    has more than one entry of the hash, keys are read and compared.
//! 6. Cut off the torn tail and go on behind it. If that segment has damage, seal it and
//!    begin a new one.
//! 7. Sync what was walked. Before that, write again the log segments that may not have been
//!    synced: from now on they are relied on.
//!
//! A store that is opened read-only cuts and writes nothing. It leaves out the torn tail in memory.
//!
//! # Who decides what
//! | question | where |
//! | --- | --- |
//! | Where does the log end: torn tail, damage, or a block that the power took? | `walk.rs` |
//! | How much of the stage counts? | `log/stage.rs` |
//! | Is a missing segment removed, or gone? | `gone.rs` |
//! | What was compaction writing at the crash? | `unfinished.rs` |
//! | Which record of a key is right? | `merge.rs` |
//! | What was a damaged header? | `codec/checksum.rs`, `segment/scan.rs` |
//! | What is a checkpoint worth? | `checkpoint.rs` |
//!
//! The header of a segment is repaired as the header of a record is, if one byte of it is damaged.
//! If more is damaged, the file's name gives the id and the other files give the seed.

pub mod checkpoint;
pub mod gone;
pub mod walk;
pub mod unfinished;
pub mod merge;
pub mod recovery;
pub mod contents;
