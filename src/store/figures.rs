//! What a store reports of itself, in the groups in which callers get it. Plain numbers: `stats.rs` counts
//! them.

pub use crate::cold::RemoteStats;

/// Everything that a store reports of itself: `hotcold_stats_t` of the C interface.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Snapshot {
    /// The hot tier.
    pub hot: HotStats,
    /// The cold tier.
    pub cold: ColdStats,
    /// Memory, in bytes.
    pub memory: MemoryStats,
    /// Stores, retrieves, deletes and clears together.
    pub total_operations: u64,
    /// Those of them that failed.
    pub total_errors: u64,
    /// Failures of the cold tier that the lenient policy lived through.
    pub lenient_failures: u64,
    /// Events that a subscription could not be given. Filled in by the store.
    pub events_dropped: u64,
    /// Retrieves that found something, in whichever tier.
    pub hits: u64,
    /// Retrieves that found nothing in any tier.
    pub misses: u64,
    /// Hits among hits and misses; 0 when there are none.
    pub hit_ratio: f64,
    /// Mean time of all operations, in nanoseconds.
    pub mean_ns: f64,
    /// Time that half of all operations did not exceed, in nanoseconds.
    pub p50_ns: u64,
    /// Time that 99 % of all operations did not exceed, in nanoseconds.
    pub p99_ns: u64,
    /// Time that 99.9 % of all operations did not exceed, in nanoseconds.
    pub p999_ns: u64,
    /// Stores.
    pub store: OperationStats,
    /// Retrieves.
    pub retrieve: OperationStats,
    /// Deletes.
    pub delete: OperationStats,
    /// Clears.
    pub clear: OperationStats,
    /// The engine of a shared cold tier. Filled in by the store.
    pub remote: RemoteStats,
}

/// What both tiers report alike.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct TierStats {
    /// Operations that reached the tier.
    pub operations: u64,
    /// Those of them that failed.
    pub errors: u64,
    /// Retrieves that found something here.
    pub hits: u64,
    /// Retrieves that found nothing here.
    pub misses: u64,
    /// Hits among hits and misses; 0 when there are none.
    pub hit_ratio: f64,
    /// Mean time of its operations, in nanoseconds.
    pub mean_ns: f64,
    /// Time that 99 % of its operations did not exceed, in nanoseconds.
    pub p99_ns: u64,
}

/// The hot tier.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct HotStats {
    /// Operations, hits and times.
    pub traffic: TierStats,
    /// Entries now. Filled in by the store.
    pub entries: u64,
    /// Bytes used now. Filled in by the store.
    pub bytes: u64,
    /// Bytes that may be used. Filled in by the store.
    pub capacity: u64,
    /// Entries that left to make room.
    pub evictions: u64,
    /// Entries that left because their residency or expiry had passed.
    pub expirations: u64,
    /// Entries that came from cold.
    pub promotions: u64,
    /// Entries that left for cold on demand.
    pub demotions: u64,
}

/// The cold tier.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ColdStats {
    /// Operations, hits and times.
    pub traffic: TierStats,
    /// Keys now. Filled in by the store.
    pub entries: u64,
    /// Bytes of records that can still be reached. Filled in by the store.
    pub bytes_live: u64,
    /// Bytes of all files. Filled in by the store.
    pub bytes_disk: u64,
    /// Segments now. Filled in by the store.
    pub segments: u64,
    /// Bytes in segments that are sealed but not frozen. Filled in by the store.
    pub unfrozen_bytes: u64,
    /// Bytes read from disk.
    pub bytes_read: u64,
    /// Bytes written to disk.
    pub bytes_written: u64,
    /// Segments that were compacted.
    pub compactions: u64,
    /// Entries that left to keep `cold_capacity`.
    pub evictions: u64,
    /// Entries that left because they had expired.
    pub expirations: u64,
    /// Records that failed their checksum.
    pub corrupt_records: u64,
    /// Derived files that were made anew from the records.
    pub rebuilt_files: u64,
    /// Bytes of torn tails that were cut off.
    pub recovered_bytes: u64,
    /// 1 if the store refuses writes, else 0. Filled in by the store.
    pub read_only: u64,
}

/// Memory in bytes. Filled in by the store.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct MemoryStats {
    /// Entries in hot with their overhead.
    pub hot: u64,
    /// The keydir.
    pub keydir: u64,
    /// Buffers and queues.
    pub buffers: u64,
    /// Values that callers hold.
    pub held: u64,
    /// All of them.
    pub total: u64,
}

/// One kind of operation.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct OperationStats {
    /// Calls.
    pub operations: u64,
    /// Those of them that failed.
    pub errors: u64,
    /// Mean time, in nanoseconds.
    pub mean_ns: f64,
    /// Time that 99 % did not exceed, in nanoseconds.
    pub p99_ns: u64,
}
