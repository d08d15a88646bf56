//! Every limit and default, with its unit and the reason for its value.

/// Longest key in bytes: its length has two bytes in a record.
pub const KEY_BYTES_MAX: usize = 65_535;

/// Longest value in bytes: its length has four bytes in a record.
pub const VALUE_BYTES_MAX: usize = 4_294_967_295;

/// All keys and values of one batch, in bytes.
pub const BATCH_BYTES_MAX: u64 = 4 << 30;

/// Default of `hot_capacity`, in bytes.
pub const HOT_CAPACITY_DEFAULT: u64 = 64 << 20;

/// Default of `sync_interval`, in milliseconds: what a power loss may take under `process`.
pub const SYNC_INTERVAL_MS_DEFAULT: u64 = 1_000;

/// Least value of `cold_capacity`, in bytes: below it segments would be too small to be worth it.
pub const COLD_CAPACITY_MIN: u64 = 16 << 20;

/// Length of a segment in bytes, after which a new one is begun. Large enough that a store of
/// terabytes has few files, small enough that rewriting one is done in about a second.
pub const SEGMENT_BYTES_MAX: u64 = 64 << 20;

/// Least length of a segment in bytes, when the disk is bounded.
pub const SEGMENT_BYTES_MIN: u64 = 512 << 10;

const _: () = assert!(COLD_CAPACITY_MIN < SEGMENT_BYTES_MAX);
