//! Compaction: rewriting segments, to reclaim what is dead and to compress. A sealed log segment is
//! frozen by its first compaction, so there is one way to rewrite and not two.
//!
//! # What a crash leaves
//! The numbers are those of the steps in [`compaction`]. Where nothing is to be synced
//! (`durability=process` with `sync_interval=0`), the syncs are left out, and the next sync that is
//! asked for covers the output.
//!
//! | step | a crash after it leaves |
//! | --- | --- |
//! | 1. Wait until its records are published. | Nothing new. |
//! | 2. Copy what lives. | Copies beside the originals, with the same sequence. Whichever is found, it is the same record. A torn copy loses to its original. |
//! | 3. Point the keydir to the copies. | The same: this is memory. |
//! | 4. Sync the output, its name and the log. | The same, durable. |
//! | 5. Leave a note. | The same, and a note that the next open takes away. |
//! | Remove the file. | Copies only. Power: the file may be there again, as after 2. |
//! | Sync the directory. | Copies only. A tombstone that waits for the absence of this file may go only now. |
//!
//! An output that fills up is synced before the next one begins. If anything fails, what was copied
//! and not published is cut off, and the input stays.
//!
//! A damaged record becomes a *lost* record, so that its key goes on answering `Corrupt`, and
//! neither an older value nor `NotFound`. Keydir entries whose records could not be told apart get
//! one too.
//!
//! # Tombstones and expiry
//! A tombstone is a record like any other, and dies when its key is stored anew. When it may be
//! dropped is said in [`compaction`]. Segments count values, living entries and their least
//! sequence, so the question needs no read.
//!
//! Each retrieve compares an expiry with the clock, so an expired value is not given out from its
//! millisecond on. Sweeping and rewriting take it out of both tiers. Where an older value of the
//! key may still exist, a tombstone takes the place of the expired record.
//!
//! # A bounded disk
//! When the files exceed fifteen sixteenths of `cold_capacity`, the oldest segments are rewritten
//! in another mode. Values that nobody has read since they were written or last spared are dropped
//! from both tiers, and told as evicted. Values that were read are kept once more and lose their
//! mark, which is a bit of the location in the keydir. A read from hot counts. Stores look at the
//! disk every 32nd of the capacity, and wait while it is exceeded.
//!
//! # Whose thread
//! The background thread rewrites what is worth it ([`choice`]). `hotcold_compact` rewrites on the
//! caller's thread, up to three times: dead values go first, then the tombstones that had to
//! outlive them. The caller waits anyway, nothing has to be handed over, and a callback on the
//! background thread may call it without waiting for itself.

pub mod choice;
pub mod output;
pub mod compaction;
pub mod thinning;
pub mod sweep;
