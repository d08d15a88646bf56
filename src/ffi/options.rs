//! `hotcold_options_t`: settings by name, so that a new one never changes the ABI.

use crate::ffi::boundary::{boundary, done};
use crate::ffi::fence::fence;
use crate::ffi::memory::{empty, object, required, text};
use crate::ffi::status::{hotcold_error_t, hotcold_status_t};
use crate::store::Options;
use std::cell::Cell;
use std::ffi::{CString, c_char};
use std::ptr::{null, null_mut};
use std::sync::OnceLock;

/// Settings for hotcold_open. For one thread at a time.
///
/// name             default          meaning
/// hot_capacity     64MiB            bytes of memory that hot may take: keys, values and their
///                                   overhead; 0: no hot tier
/// hot_max_entries  0                entries in hot at most; 0: only bytes bound it
/// hot_ttl          0                how long an entry may stay in hot; 0: for ever
/// eviction         lru              what leaves hot first. lru: what was used longest ago, or
///                                   nearly so in a large tier.
///                                   tinylfu: what was used least often of late; it adapts to the
///                                   workload, hits more often, and costs more instructions a call
/// compression      deflate:6        none, deflate:0..9; lz4, zstd:1..19 are UNSUPPORTED as yet
/// policy           strict           strict: every failure is reported. lenient: serves on
/// write_mode       through          through: cold first, then hot. back: to cold later
/// durability       process          what an acknowledged store survives. process: the death of
///                                   the process. sync: power loss
/// sync_interval    1s               how often is synced under process; 0: never
/// cold_capacity    0                bytes on disk at most; 0: no bound; else 16MiB or more
/// warm_start       false            loads on open what was hot at last
/// create           true             false: the directory must hold a store
/// read_only        false            opens without writing anything
/// storage_id       directory name   the name in stats and events
/// coherence        1s               over a shared cold tier: how old a value may be that hot serves
/// remote_timeout   2s               how long a request to it may take, all that is sent again
///                                   included
/// remote_retries   3                how often a request to it is sent again
/// remote_concurrency  64            requests to it that may be under way
///
/// Names that begin with remote. are for the engine of a shared cold tier: a user, a password. They
/// are looked at when the store is opened, and no message repeats their values.
///
/// Sizes are plain bytes or KiB, MiB, GiB; times are plain milliseconds or ms, s, m, h, d.
pub struct hotcold_options_t {
    options: Options,
    /// What hotcold_options_remote() gave last.
    pairs: Cell<Option<Box<Pairs>>>,
}

/// Options of a shared cold tier as names and values in turn, NULL behind the last.
#[derive(Default)]
pub struct Pairs {
    /// What the list points to.
    texts: Vec<CString>,
    list: Vec<*const c_char>,
}

// SAFETY: the pointers are to its own texts, which never change.
unsafe impl Send for Pairs {}
// SAFETY: as above.
unsafe impl Sync for Pairs {}

impl Pairs {
    /// The options that an engine takes.
    #[cold]
    pub fn of(options: &Options) -> Self {
        let remote = &options.remote;
        let numbers = [
            ("coherence", remote.coherence_ms),
            ("remote_timeout", remote.timeout_ms),
            ("remote_retries", remote.retries),
            ("remote_concurrency", remote.concurrency),
        ];
        let mut pairs = Self::default();
        numbers.iter().for_each(|(name, value)| pairs.add(name, &value.to_string()));
        remote.engine.iter().for_each(|(name, value)| pairs.add(name, value));
        pairs.list = pairs.texts.iter().map(|text| text.as_ptr()).chain([null()]).collect();
        pairs
    }

    fn add(&mut self, name: &str, value: &str) {
        // A NUL in one of them was refused when it was set.
        self.texts.extend([name, value].map(|text| CString::new(text).unwrap_or_default()));
    }

    /// The list; valid as long as this is.
    pub fn list(&self) -> *const *const c_char {
        self.list.as_ptr()
    }
}

impl hotcold_options_t {
    /// What was set.
    pub(super) fn options(&self) -> &Options {
        &self.options
    }
}

/// Makes options with all defaults.
///
/// owns  the result is the caller's, to be freed with hotcold_options_free(); NULL if there is no
///       memory
/// safe  from any thread
///
/// since 0.1.0
#[unsafe(no_mangle)]
pub extern "C" fn hotcold_options_new() -> *mut hotcold_options_t {
    fence(|| {
        Box::into_raw(Box::new(hotcold_options_t {
            options: Options::default(),
            pairs: Cell::new(None),
        }))
    })
    .unwrap_or(null_mut())
}

/// Frees options; stores that were opened with them are not touched.
///
/// in    o   options, or NULL
/// owns  takes o
/// safe  from any thread; one thread at a time for the same o
///
/// since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hotcold_options_free(o: *mut hotcold_options_t) {
    if !o.is_null() {
        // SAFETY: `o` came from hotcold_options_new, and the caller gives it up.
        let freed = fence(|| drop(unsafe { Box::from_raw(o) }));
        drop(freed);
    }
}

/// Sets one option by name to a value given as text.
///
/// in    o      options
///       name   one of the names at hotcold_options_t, UTF-8
///       value  as the table there says; borrowed for this call
/// out   error  NULL, or where a failure is described: what would be right
/// safe  from any thread; one thread at a time for the same o
/// after a failure the option is as it was
///
/// HOTCOLD_OK                set
/// HOTCOLD_INVALID_ARGUMENT  a pointer is NULL, no such name, or the value does not parse
/// HOTCOLD_OUT_OF_MEMORY     no memory for the call
/// HOTCOLD_INTERNAL          a defect of this library
///
/// since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hotcold_options_set(
    o: *mut hotcold_options_t,
    name: *const c_char,
    value: *const c_char,
    error: *mut hotcold_error_t,
) -> hotcold_status_t {
    // SAFETY: the header's contract.
    unsafe {
        boundary(error, || {
            let options = &mut object(o, "o")?.options;
            options.set(text(name, "name")?, text(value, "value")?)?;
            done()
        })
    }
}

/// Sets one option by name to a number: bytes, milliseconds or a count.
///
/// in    o      options
///       name   one of the names at hotcold_options_t that take a number; for the others true is 1
///       value  the number
/// out   error  NULL, or where a failure is described: what would be right
/// safe  from any thread; one thread at a time for the same o
/// after a failure the option is as it was
///
/// HOTCOLD_OK                set
/// HOTCOLD_INVALID_ARGUMENT  a pointer is NULL, no such name, or not a value for it
/// HOTCOLD_OUT_OF_MEMORY     no memory for the call
/// HOTCOLD_INTERNAL          a defect of this library
///
/// since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hotcold_options_set_u64(
    o: *mut hotcold_options_t,
    name: *const c_char,
    value: u64,
    error: *mut hotcold_error_t,
) -> hotcold_status_t {
    // SAFETY: the header's contract.
    unsafe {
        boundary(error, || {
            let options = &mut object(o, "o")?.options;
            options.set_u64(text(name, "name")?, value)?;
            done()
        })
    }
}

/// Gives the options of a shared cold tier as names and values, for those who make a backend of them:
/// coherence and remote_timeout in milliseconds, remote_retries, remote_concurrency, and all that were
/// set whose names begin with remote. The values of those may be secrets.
///
/// in    o      options; NULL: the defaults
/// out   out    names and values in turn, each with a NUL at its end, and NULL behind the last; valid
///              until the next call with o. NULL after a failure
///       error  NULL, or where a failure is described
/// safe  from any thread; one thread at a time for the same o
///
/// HOTCOLD_OK                given
/// HOTCOLD_INVALID_ARGUMENT  out is NULL
/// HOTCOLD_OUT_OF_MEMORY     no memory for the call
/// HOTCOLD_INTERNAL          a defect of this library
///
/// since 0.2.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hotcold_options_remote(
    o: *const hotcold_options_t,
    out: *mut *const *const c_char,
    error: *mut hotcold_error_t,
) -> hotcold_status_t {
    static DEFAULTS: OnceLock<Pairs> = OnceLock::new();
    // SAFETY: the header's contract.
    unsafe {
        empty(out);
        boundary(error, || {
            required(out, "out")?;
            let Some(o) = o.as_ref() else {
                out.write(DEFAULTS.get_or_init(|| Pairs::of(&Options::default())).list());
                return done();
            };
            let pairs = Box::new(Pairs::of(&o.options));
            out.write(pairs.list());
            o.pairs.set(Some(pairs));
            done()
        })
    }
}
