//! Backup, verify, and stats as text.

use crate::ffi::boundary::done;
use crate::ffi::lifecycle::{hotcold_t, on_store_seldom};
use crate::ffi::memory::{empty, invalid, path, put, required};
use crate::ffi::status::{hotcold_error_t, hotcold_status_t};
use crate::ffi::value::hotcold_value_t;
use crate::store::StatsFormat;
use std::ffi::c_char;

/// Formats of hotcold_stats_text.
#[repr(C)]
pub enum hotcold_stats_format {
    /// One JSON object, with the groups hot, cold, combined and operations.
    HOTCOLD_STATS_JSON = 1,
    /// The text format that Prometheus reads.
    HOTCOLD_STATS_PROMETHEUS = 2,
}

const JSON: i32 = hotcold_stats_format::HOTCOLD_STATS_JSON as i32;
const PROMETHEUS: i32 = hotcold_stats_format::HOTCOLD_STATS_PROMETHEUS as i32;

/// Makes a consistent copy of the store, that can be opened, while it is in use.
///
/// in    s         a store with a directory
///       dest_dir  a directory that does not exist yet or is empty
/// out   error     NULL, or where a failure is described
/// cost  reads and writes up to the whole store; other calls go on
/// safe  from any thread, at the same time as any other call
/// durable  on HOTCOLD_OK the copy survives power loss
/// after a failure what was made in dest_dir is removed again, and nothing else
///
/// HOTCOLD_OK                copied
/// HOTCOLD_INVALID_ARGUMENT  s or dest_dir is NULL, dest_dir is not empty, or the store is in memory
///                           alone
/// HOTCOLD_MISUSE            not open
/// HOTCOLD_LOCKED            another handle has dest_dir open
/// HOTCOLD_IO                the kernel refused; error says where
/// HOTCOLD_NO_SPACE          the disk is full
/// HOTCOLD_CORRUPT           a file of the store is damaged
/// HOTCOLD_OUT_OF_MEMORY     no memory for a buffer
/// HOTCOLD_INTERNAL          a defect of this library
///
/// since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hotcold_backup(
    s: *mut hotcold_t,
    dest_dir: *const c_char,
    error: *mut hotcold_error_t,
) -> hotcold_status_t {
    // SAFETY: the header's contract.
    unsafe {
        on_store_seldom(s, error, |store| {
            store.backup(path(dest_dir, "dest_dir")?)?;
            done()
        })
    }
}

/// Reads every record of cold and checks it, and looks for those that should be there.
///
/// in    s            a store
/// out   records_out  NULL, or how many records were read; 0 after a failure
///       damaged_out  NULL, or how many are damaged or missing, every key that answers
///                    HOTCOLD_CORRUPT among them; 0 after a failure
///       error        NULL, or where a failure is described; if anything is damaged, its status is
///                    HOTCOLD_CORRUPT although the call returns HOTCOLD_OK, and it says what and where
///
/// What is damaged is told as HOTCOLD_EVENT_ERROR too: once for each file, and once for each damaged
/// record whose key can still be read. What opening the store has found is told in the same way, a
/// moment after the first subscription to it, and is counted in cold_corrupt_records. Of a file that is
/// gone or too short the keys are counted that the last checkpoint knows; where nothing tells which
/// keys a file had, it counts as one until the store is cleared.
///
/// cost  reads the whole store; other calls go on
/// safe  from any thread, at the same time as any other call
///
/// HOTCOLD_OK                read; damaged_out tells whether all is well
/// HOTCOLD_INVALID_ARGUMENT  s is NULL
/// HOTCOLD_MISUSE            not open
/// HOTCOLD_IO                a read failed; error says where
/// HOTCOLD_OUT_OF_MEMORY     no memory for a buffer
/// HOTCOLD_INTERNAL          a defect of this library
///
/// since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hotcold_verify(
    s: *mut hotcold_t,
    records_out: *mut u64,
    damaged_out: *mut u64,
    error: *mut hotcold_error_t,
) -> hotcold_status_t {
    // SAFETY: the header's contract.
    unsafe {
        empty(records_out);
        empty(damaged_out);
        on_store_seldom(s, error, |store| {
            let answer = store.verify()?;
            let (records, damaged) = answer.value;
            put(records_out, records);
            put(damaged_out, damaged);
            done().map(|outcome| outcome.despite(answer.survived))
        })
    }
}

/// Tells what hotcold_stats() tells, as text with the same names.
///
/// in    s       a store
///       format  HOTCOLD_STATS_JSON or HOTCOLD_STATS_PROMETHEUS
/// out   out     on HOTCOLD_OK the text, UTF-8 without a NUL at the end; otherwise empty
///       error   NULL, or where a failure is described
/// owns  the text is the caller's, to be released with hotcold_value_release()
/// cost  some microseconds; no operation waits for it
/// safe  from any thread, at the same time as any other call
///
/// HOTCOLD_OK                made
/// HOTCOLD_INVALID_ARGUMENT  s or out is NULL, or no such format
/// HOTCOLD_MISUSE            not open
/// HOTCOLD_OUT_OF_MEMORY     no memory for the text
/// HOTCOLD_INTERNAL          a defect of this library
///
/// since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hotcold_stats_text(
    s: *mut hotcold_t,
    format: i32,
    out: *mut hotcold_value_t,
    error: *mut hotcold_error_t,
) -> hotcold_status_t {
    // SAFETY: the header's contract.
    unsafe {
        empty(out);
        on_store_seldom(s, error, |store| {
            required(out, "out")?;
            let format = match format {
                JSON => StatsFormat::Json,
                PROMETHEUS => StatsFormat::Prometheus,
                other => return Err(invalid(format!("format: {other} is not known"))),
            };
            out.write(hotcold_value_t::of_bytes(store.stats_text(format).as_bytes())?);
            done()
        })
    }
}
