//! `hotcold_stats_t`: what a store tells of itself.
//!
//! # Invariants
//! 1. Fields are only ever added at the end: a caller passes the size that it was compiled with.
//! 2. All fields are 8 bytes, so that there is no padding.

use crate::ffi::boundary::done;
use crate::ffi::lifecycle::{hotcold_t, on_store_seldom};
use crate::ffi::memory::{empty_array, fits, invalid, required};
use crate::ffi::status::{hotcold_error_t, hotcold_status_t};
use crate::store::Snapshot;
use crate::store::figures::RemoteStats;

/// What a store tells of itself, by tier, then combined, then by operation. Counts are since open;
/// a retrieve that finds nothing in hot but something in cold is a hot miss, a cold hit, and a
/// combined hit. Fields are only ever added at the end.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct hotcold_stats_t {
    /// Operations that reached hot.
    pub hot_operations: u64,
    /// Those of them that failed.
    pub hot_errors: u64,
    /// Retrieves that found something in hot.
    pub hot_hits: u64,
    /// Retrieves that found nothing in hot.
    pub hot_misses: u64,
    /// Hits among hits and misses; 0 when there are none.
    pub hot_hit_ratio: f64,
    /// Mean time of its operations, in nanoseconds.
    pub hot_mean_ns: f64,
    /// Time that 99 % of them did not exceed, in nanoseconds.
    pub hot_p99_ns: u64,
    /// Entries now.
    pub hot_entries: u64,
    /// Bytes used now: keys, values and their overhead.
    pub hot_bytes: u64,
    /// Bytes that may be used.
    pub hot_capacity: u64,
    /// Entries that left to make room.
    pub hot_evictions: u64,
    /// Entries that left because their residency or expiry had passed.
    pub hot_expirations: u64,
    /// Entries that came from cold.
    pub hot_promotions: u64,
    /// Entries that left for cold on demand.
    pub hot_demotions: u64,
    /// Operations that reached cold.
    pub cold_operations: u64,
    /// Those of them that failed.
    pub cold_errors: u64,
    /// Retrieves that found something in cold.
    pub cold_hits: u64,
    /// Retrieves that found nothing in cold.
    pub cold_misses: u64,
    /// Hits among hits and misses; 0 when there are none.
    pub cold_hit_ratio: f64,
    /// Mean time of its operations, in nanoseconds.
    pub cold_mean_ns: f64,
    /// Time that 99 % of them did not exceed, in nanoseconds.
    pub cold_p99_ns: u64,
    /// Keys now.
    pub cold_entries: u64,
    /// Bytes of records that can still be reached.
    pub cold_bytes_live: u64,
    /// Bytes of all files.
    pub cold_bytes_disk: u64,
    /// Segments now.
    pub cold_segments: u64,
    /// Bytes in segments that are not compressed yet.
    pub cold_unfrozen_bytes: u64,
    /// Bytes read from disk.
    pub cold_bytes_read: u64,
    /// Bytes written to disk.
    pub cold_bytes_written: u64,
    /// Segments that were compacted.
    pub cold_compactions: u64,
    /// Entries that left to keep cold_capacity.
    pub cold_evictions: u64,
    /// Entries that left because they had expired.
    pub cold_expirations: u64,
    /// Records that failed their checksum.
    pub cold_corrupt_records: u64,
    /// Derived files that were made anew from the records.
    pub cold_rebuilt_files: u64,
    /// Bytes of torn tails that were cut off.
    pub cold_recovered_bytes: u64,
    /// 1 if the store refuses writes, else 0.
    pub cold_read_only: u64,
    /// Memory of entries in hot with their overhead, in bytes.
    pub memory_hot: u64,
    /// Memory of the keydir, in bytes.
    pub memory_keydir: u64,
    /// Memory of buffers and queues, in bytes.
    pub memory_buffers: u64,
    /// Memory of values that callers hold, in bytes.
    pub memory_held: u64,
    /// All of them, in bytes.
    pub memory_total: u64,
    /// Stores, retrieves, deletes and clears together.
    pub total_operations: u64,
    /// Those of them that failed.
    pub total_errors: u64,
    /// Failures of cold that policy=lenient lived through.
    pub lenient_failures: u64,
    /// Events that a subscription could not be given.
    pub events_dropped: u64,
    /// Retrieves that found something, in whichever tier.
    pub hits: u64,
    /// Retrieves that found nothing in any tier.
    pub misses: u64,
    /// Hits among hits and misses; 0 when there are none.
    pub hit_ratio: f64,
    /// Mean time of all operations, in nanoseconds.
    pub mean_ns: f64,
    /// Time that half of them did not exceed, in nanoseconds.
    pub p50_ns: u64,
    /// Time that 99 % of them did not exceed, in nanoseconds.
    pub p99_ns: u64,
    /// Time that 99.9 % of them did not exceed, in nanoseconds.
    pub p999_ns: u64,
    /// Stores.
    pub store_operations: u64,
    /// Those of them that failed.
    pub store_errors: u64,
    /// Their mean time, in nanoseconds.
    pub store_mean_ns: f64,
    /// Time that 99 % of them did not exceed, in nanoseconds.
    pub store_p99_ns: u64,
    /// Retrieves.
    pub retrieve_operations: u64,
    /// Those of them that failed.
    pub retrieve_errors: u64,
    /// Their mean time, in nanoseconds.
    pub retrieve_mean_ns: f64,
    /// Time that 99 % of them did not exceed, in nanoseconds.
    pub retrieve_p99_ns: u64,
    /// Deletes.
    pub delete_operations: u64,
    /// Those of them that failed.
    pub delete_errors: u64,
    /// Their mean time, in nanoseconds.
    pub delete_mean_ns: f64,
    /// Time that 99 % of them did not exceed, in nanoseconds.
    pub delete_p99_ns: u64,
    /// Clears.
    pub clear_operations: u64,
    /// Those of them that failed.
    pub clear_errors: u64,
    /// Their mean time, in nanoseconds.
    pub clear_mean_ns: f64,
    /// Time that 99 % of them did not exceed, in nanoseconds.
    pub clear_p99_ns: u64,
    /// Requests to the engine of a shared cold tier; 0 for other stores, as all that follow.
    pub remote_requests: u64,
    /// Those of them that failed.
    pub remote_errors: u64,
    /// Those of them whose outcome is unknown.
    pub remote_timeouts: u64,
    /// Requests that were sent again.
    pub remote_retries: u64,
    /// Bytes of records that came from the engine.
    pub remote_bytes_in: u64,
    /// Bytes of records that were sent to it.
    pub remote_bytes_out: u64,
    /// Changes by others that it told of.
    pub remote_invalidations: u64,
    /// Times that hot had to ask before it served an entry.
    pub remote_revalidations: u64,
    /// Milliseconds from a first failure to the next success, summed up.
    pub remote_unavailable_ms: u64,
}

const _: () = assert!(size_of::<hotcold_stats_t>() == 76 * 8);

impl From<&Snapshot> for hotcold_stats_t {
    fn from(snapshot: &Snapshot) -> Self {
        let Snapshot { hot, cold, memory, .. } = snapshot;
        Self {
            hot_operations: hot.traffic.operations,
            hot_errors: hot.traffic.errors,
            hot_hits: hot.traffic.hits,
            hot_misses: hot.traffic.misses,
            hot_hit_ratio: hot.traffic.hit_ratio,
            hot_mean_ns: hot.traffic.mean_ns,
            hot_p99_ns: hot.traffic.p99_ns,
            hot_entries: hot.entries,
            hot_bytes: hot.bytes,
            hot_capacity: hot.capacity,
            hot_evictions: hot.evictions,
            hot_expirations: hot.expirations,
            hot_promotions: hot.promotions,
            hot_demotions: hot.demotions,
            cold_operations: cold.traffic.operations,
            cold_errors: cold.traffic.errors,
            cold_hits: cold.traffic.hits,
            cold_misses: cold.traffic.misses,
            cold_hit_ratio: cold.traffic.hit_ratio,
            cold_mean_ns: cold.traffic.mean_ns,
            cold_p99_ns: cold.traffic.p99_ns,
            cold_entries: cold.entries,
            cold_bytes_live: cold.bytes_live,
            cold_bytes_disk: cold.bytes_disk,
            cold_segments: cold.segments,
            cold_unfrozen_bytes: cold.unfrozen_bytes,
            cold_bytes_read: cold.bytes_read,
            cold_bytes_written: cold.bytes_written,
            cold_compactions: cold.compactions,
            cold_evictions: cold.evictions,
            cold_expirations: cold.expirations,
            cold_corrupt_records: cold.corrupt_records,
            cold_rebuilt_files: cold.rebuilt_files,
            cold_recovered_bytes: cold.recovered_bytes,
            cold_read_only: cold.read_only,
            memory_hot: memory.hot,
            memory_keydir: memory.keydir,
            memory_buffers: memory.buffers,
            memory_held: memory.held,
            memory_total: memory.total,
            total_operations: snapshot.total_operations,
            total_errors: snapshot.total_errors,
            lenient_failures: snapshot.lenient_failures,
            events_dropped: snapshot.events_dropped,
            hits: snapshot.hits,
            misses: snapshot.misses,
            hit_ratio: snapshot.hit_ratio,
            mean_ns: snapshot.mean_ns,
            p50_ns: snapshot.p50_ns,
            p99_ns: snapshot.p99_ns,
            p999_ns: snapshot.p999_ns,
            ..Self::of_operations(snapshot)
        }
    }
}

impl hotcold_stats_t {
    /// What concerns each operation, and the engine; all else is 0.
    fn of_operations(snapshot: &Snapshot) -> Self {
        let Snapshot { store, retrieve, delete, clear, .. } = snapshot;
        Self {
            store_operations: store.operations,
            store_errors: store.errors,
            store_mean_ns: store.mean_ns,
            store_p99_ns: store.p99_ns,
            retrieve_operations: retrieve.operations,
            retrieve_errors: retrieve.errors,
            retrieve_mean_ns: retrieve.mean_ns,
            retrieve_p99_ns: retrieve.p99_ns,
            delete_operations: delete.operations,
            delete_errors: delete.errors,
            delete_mean_ns: delete.mean_ns,
            delete_p99_ns: delete.p99_ns,
            clear_operations: clear.operations,
            clear_errors: clear.errors,
            clear_mean_ns: clear.mean_ns,
            clear_p99_ns: clear.p99_ns,
            ..Self::of_engine(&snapshot.remote)
        }
    }

    /// What concerns the engine of a shared cold tier; all else is 0.
    fn of_engine(remote: &RemoteStats) -> Self {
        Self {
            remote_requests: remote.requests,
            remote_errors: remote.errors,
            remote_timeouts: remote.timeouts,
            remote_retries: remote.retries,
            remote_bytes_in: remote.bytes_in,
            remote_bytes_out: remote.bytes_out,
            remote_invalidations: remote.invalidations,
            remote_revalidations: remote.revalidations,
            remote_unavailable_ms: remote.unavailable_ms,
            ..Self::default()
        }
    }
}

/// Tells what the store has counted and measured since it was opened.
///
/// in    s         a store
///       out_size  sizeof(hotcold_stats_t) as the caller has it
/// out   out       its first out_size bytes are filled; fields that this library does not know are 0.
///                 After a failure all are 0
///       error     NULL, or where a failure is described
/// cost  some microseconds; no operation waits for it
/// safe  from any thread, at the same time as any other call
///
/// HOTCOLD_OK                filled
/// HOTCOLD_INVALID_ARGUMENT  s or out is NULL, or out_size is 0
/// HOTCOLD_MISUSE            not open
/// HOTCOLD_OUT_OF_MEMORY     no memory for the call
/// HOTCOLD_INTERNAL          a defect of this library
///
/// since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hotcold_stats(
    s: *mut hotcold_t,
    out: *mut hotcold_stats_t,
    out_size: usize,
    error: *mut hotcold_error_t,
) -> hotcold_status_t {
    let out = out.cast::<u8>();
    // SAFETY: the header's contract; no more than `out_size` bytes are written.
    unsafe {
        empty_array(out, out_size);
        on_store_seldom(s, error, |store| {
            required(out, "out")?;
            if out_size == 0 || !fits::<u8>(out_size) {
                return Err(invalid("out_size: give sizeof(hotcold_stats_t)"));
            }
            let stats = hotcold_stats_t::from(&store.stats());
            let known = out_size.min(size_of::<hotcold_stats_t>());
            out.copy_from_nonoverlapping((&raw const stats).cast(), known);
            done()
        })
    }
}
