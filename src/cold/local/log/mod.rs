//! The log: appending records, and making them survive a crash.
//!
//! There are two kinds of crash. When the process dies, the kernel still has every write that
//! returned. When the power goes, each unsynced sector, length and name is on disk or not, in any
//! combination. Below, *sync* is `fdatasync` of a file, or `fsync` of the directory for its names.
//! "Power" says what a loss of power leaves where that differs from the death of the process.
//!
//! # A store, a delete, a clear
//!
//! | step | a crash after it leaves |
//! | --- | --- |
//! | 1. The record is written behind the log's end by one `pwrite` or `pwritev`, or it is copied into the stage. | The record. Power: all of it, none, or part. A part is a torn tail, and recovery cuts it off. |
//! | 2. Under `durability=sync`: the segment is synced, and the directory if the segment is new. | The record. |
//! | 3. The keydir and hot change. | The same: this is memory. |
//!
//! The call returns after step 3. So what was acknowledged survives the process, and with step 2
//! the power. What was not acknowledged is there whole or not at all.
//!
//! The log takes room on the disk before it writes, a megabyte at a time (`fallocate`). If the
//! write fails, the log cuts the file back and goes on. If the cut fails as well, the log is
//! poisoned.
//!
//! # A batch
//!
//! A batch is written as a store is. Its records are *chained*: each but the last says that the
//! next one belongs to it. They stand side by side in one segment. Recovery takes a chain without
//! its last record for part of the torn tail, so a batch is there as a whole or not at all.
//!
//! # The next segment
//!
//! | step | a crash after it leaves |
//! | --- | --- |
//! | 1. Pending records are written to the full segment. Room that was taken behind its end is given back. Under `durability=sync` it is synced, unless a sync is going on, which might fail. | A full last segment. Power: perhaps with a torn tail. |
//! | 2. When half of the range of sequences is used, the manifest is replaced. | As below. |
//! | 3. The file is made and its header written. Unless step 1 synced the one before, the header has that one's id and length. | An empty last segment. Power: no file, an empty one, or one with a header; and the one before whole or torn. |
//! | 4. The first sync of its records syncs its name too. | The segment. |
//!
//! A sync before each new segment would be simpler, but stores would wait for the disk every 64
//! MiB. Instead recovery compares the length of a segment with what its successor says
//! (`recovery/walk.rs`), and what a loss of power leaves of several unsynced segments is a prefix
//! of the log.
//!
//! # A sync
//!
//! | step | a crash after it leaves |
//! | --- | --- |
//! | 1. The log notes the position where it ends, and writes pending records to the file. | Nothing new. |
//! | 2. The segments that were written since the last sync are synced, and the directory if there are new names. | Everything before the position. |
//! | 3. After a background sync under `durability=process`, a *synced* record with that offset is appended. | The same. Damage before that offset can no longer pass for a torn tail. |
//!
//! The checkpoint shows how much was synced too, but it is seldom written: hence the *synced* record.
//!
//! A background sync begins half a `sync_interval` after the last one. An append syncs first if the
//! oldest unsynced record, or the sync that is to cover it, is older than the whole interval. So a
//! program that stores faster than the disk writes has to wait, and a loss of power takes no more
//! than was promised. An append also syncs first when eight files are unsynced, even without a
//! `sync_interval`: each of them keeps a descriptor.
//!
//! If a sync fails, the log is poisoned. Linux forgets that the pages were not written, so a second
//! sync that succeeds proves nothing. The next open writes the tail again before it relies on it.
//!
//! # The manifest, and any file that is replaced
//!
//! | step | a crash after it leaves |
//! | --- | --- |
//! | 1. `MANIFEST.new` is made and written. | The old manifest, and a leftover. |
//! | 2. It is synced. | The same. |
//! | 3. It is renamed to `MANIFEST`. | The new one. Power: the old or the new one, whole. |
//! | 4. The directory is synced. | The new one. |
//!
//! # A full disk
//!
//! A tombstone takes room before it frees any, and so does the output of a compaction. The file
//! `RESERVE` keeps that room once less than 1 GiB is free. It has twice the length of the longest
//! segment and 64 KiB, but at most an eighth of the file system. Values ask for it whenever they
//! take more room (once a megabyte), and the background thread asks in each round. The thread
//! removes it where 2 GiB are free again. The log refuses a value while the reserve is not whole.
//!
//! The file system does not tell how much is left of a quota. So the log takes room 1 MiB ahead of
//! values. When a quota refuses more for the first time, the reserve gets that MiB.
//!
//! | what meets a full disk | what it does |
//! | --- | --- |
//! | a tombstone, a clear | Takes 64 KiB, or what it needs, from the upper half of the reserve, and goes on. Where that half is used up or lent to a compaction, the calling thread rewrites the segment of which most is dead, and tries again. |
//! | a compaction | Takes what its output needs from the whole reserve, and gives it back when the input is gone. It chooses only segments whose output fits. Where nothing lives there is no output. A segment that could only be compressed, and does not fit, stays as it is. |
//! | a compaction of a segment that is longer than the reserve: a large batch, a value of megabytes, a segment from a larger disk | *Thins* it (`compaction/thinning.rs`). |
//! | a value | The calling thread rewrites segments of which a 16th is dead, or any as long as a 32nd of all is, until the value fits and the reserve is whole. Else the call answers `NO_SPACE`. |
//! | acknowledged records that wait in the stage and have lost their room | Take what they need from the whole reserve. |
//! | a checkpoint, the list of hot keys, a *synced* record | Is left out. Close and compact answer OK all the same. |
//! | an open (the manifest, what the stage has) | Takes it from the reserve. |
//!
//! The reserve is not synced. A loss of power may take it, and the next value takes the room anew.
//! A crash in the middle of a compaction leaves copies where the reserve was, and so much less of
//! the input has to be copied again.

pub mod poison;
pub mod sequences;
pub mod reserve;
pub mod pending;
pub mod stage;
pub mod unsynced;
pub mod syncer;
pub mod tail;
pub mod log;
