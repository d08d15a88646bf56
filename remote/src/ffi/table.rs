//! The functions of the table: each turns C into a call of the engine, and its end into a status.
//!
//! # Safety
//! All of them are called as `hotcold_backend_t` says: user_data is what
//! `hotcold_remote_backend()` gave and was not dropped, and bytes have the lengths that are said.

use crate::call::Call;
use crate::engine::{Change, Done, Engine, Found};
use crate::fault::{Fault, Kind, Result, status};
use crate::ffi::abi::{
    hotcold_backend_t, hotcold_change_t, hotcold_page_t, hotcold_record_t, hotcold_watch_t,
};
use crate::ffi::host::{Host, Sink};
use crate::quiet::quietly;
use std::ffi::c_void;
use std::sync::Arc;
use std::time::Duration;

/// The longest key of hotcold.
const KEY_BYTES_MAX: usize = 65_535;

/// What user_data points to.
pub struct Backend {
    /// The engine.
    pub engine: Box<dyn Engine>,
    /// The core.
    pub host: Host,
    /// How often a call tries again.
    pub retries: u32,
}

/// The table for an engine with these capabilities.
pub fn table(capabilities: u64) -> hotcold_backend_t {
    hotcold_backend_t {
        capabilities,
        get: Some(get),
        put: Some(put),
        remove: Some(remove),
        list: Some(list),
        clear: Some(clear),
        versions: Some(versions),
        write: Some(write),
        watch: Some(watch),
        sync: Some(sync),
        part: Some(part),
        compact: Some(compact),
    }
}

/// Runs `call` for one call of the core, and says what came of it.
unsafe fn run(
    user_data: *mut c_void,
    timeout_ms: u64,
    work: impl FnOnce(&Backend, &Call) -> Result<i32>,
) -> i32 {
    // SAFETY: the module's.
    let backend = unsafe { &*user_data.cast::<Backend>() };
    let call = Call::new(Duration::from_millis(timeout_ms), backend.retries);
    let ended = quietly(|| work(backend, &call));
    backend.host.count_retries(call.retries());
    match ended {
        Some(Ok(status)) => status,
        Some(Err(fault)) => backend.host.fail(&fault),
        None => backend.host.fail(&Fault::new(Kind::Internal, "a defect of hotcold-remote")),
    }
}

unsafe fn bytes<'a>(data: *const c_void, len: usize) -> Result<&'a [u8]> {
    if len == 0 {
        return Ok(&[]);
    }
    if data.is_null() || isize::try_from(len).is_err() {
        return Err(Fault::new(Kind::InvalidArgument, "NULL with a length, or a length too long"));
    }
    // SAFETY: not NULL, not too long, and the module's.
    Ok(unsafe { std::slice::from_raw_parts(data.cast(), len) })
}

unsafe fn key<'a>(data: *const c_void, len: usize) -> Result<&'a [u8]> {
    if len > KEY_BYTES_MAX {
        let words = format!("the key has {len} bytes; at most {KEY_BYTES_MAX} are allowed");
        return Err(Fault::new(Kind::TooLarge, words));
    }
    // SAFETY: the module's.
    unsafe { bytes(data, len) }
}

fn ended(done: Done) -> i32 {
    match done {
        Done::Yes => status::OK,
        Done::Absent => status::NOT_FOUND,
        Done::Conflict => status::CONFLICT,
    }
}

unsafe extern "C" fn get(
    user_data: *mut c_void,
    key_data: *const c_void,
    key_len: usize,
    known_version: u64,
    timeout_ms: u64,
    out: *mut hotcold_record_t,
) -> i32 {
    // SAFETY: the module's.
    unsafe {
        run(user_data, timeout_ms, |backend, call| {
            match backend.engine.get(key(key_data, key_len)?, known_version, call)? {
                Found::Absent => return Ok(status::NOT_FOUND),
                Found::Same => backend.host.record_same(out)?,
                Found::Record(record, at) => {
                    backend.host.record_set(out, record.get(at..).unwrap_or_default())?;
                }
            }
            Ok(status::OK)
        })
    }
}

unsafe extern "C" fn put(
    user_data: *mut c_void,
    key_data: *const c_void,
    key_len: usize,
    data: *const c_void,
    len: usize,
    version: u64,
    expires_at: u64,
    if_version: *const u64,
    timeout_ms: u64,
) -> i32 {
    // SAFETY: the module's.
    unsafe {
        run(user_data, timeout_ms, |backend, call| {
            if version == 0 {
                return Err(Fault::new(Kind::InvalidArgument, "version: 0 stands for none"));
            }
            let (key, data) = (key(key_data, key_len)?, Some(bytes(data, len)?));
            let if_version = if_version.as_ref().copied();
            let change = Change { key, data, version, expires_at, if_version };
            backend.engine.change(&change, call).map(ended)
        })
    }
}

unsafe extern "C" fn remove(
    user_data: *mut c_void,
    key_data: *const c_void,
    key_len: usize,
    if_version: *const u64,
    timeout_ms: u64,
) -> i32 {
    // SAFETY: the module's.
    unsafe {
        run(user_data, timeout_ms, |backend, call| {
            let (key, if_version) = (key(key_data, key_len)?, if_version.as_ref().copied());
            let change = Change { key, data: None, version: 0, expires_at: 0, if_version };
            backend.engine.change(&change, call).map(ended)
        })
    }
}

unsafe extern "C" fn list(
    user_data: *mut c_void,
    prefix: *const c_void,
    prefix_len: usize,
    after: *const c_void,
    after_len: usize,
    out: *mut hotcold_page_t,
    timeout_ms: u64,
) -> i32 {
    // SAFETY: the module's.
    unsafe {
        run(user_data, timeout_ms, |backend, call| {
            let (prefix, after) = (key(prefix, prefix_len)?, key(after, after_len)?);
            let listing = backend.engine.list(prefix, after, call)?;
            for key in &listing.keys {
                backend.host.page_add(out, key)?;
            }
            if let Some(next) = &listing.next {
                backend.host.page_next(out, next)?;
            }
            Ok(if listing.is_last { status::END } else { status::OK })
        })
    }
}

unsafe extern "C" fn clear(user_data: *mut c_void, timeout_ms: u64) -> i32 {
    // SAFETY: the module's.
    unsafe {
        run(user_data, timeout_ms, |backend, call| backend.engine.clear(call).map(|()| status::OK))
    }
}

unsafe extern "C" fn sync(user_data: *mut c_void, timeout_ms: u64) -> i32 {
    // SAFETY: the module's.
    unsafe {
        run(user_data, timeout_ms, |backend, call| backend.engine.sync(call).map(|()| status::OK))
    }
}

unsafe extern "C" fn compact(user_data: *mut c_void, timeout_ms: u64) -> i32 {
    // SAFETY: the module's.
    unsafe {
        run(user_data, timeout_ms, |backend, call| {
            backend.engine.compact(call).map(|()| status::OK)
        })
    }
}

unsafe extern "C" fn versions(
    user_data: *mut c_void,
    count: u64,
    first_out: *mut u64,
    timeout_ms: u64,
) -> i32 {
    // SAFETY: the module's.
    unsafe {
        run(user_data, timeout_ms, |backend, call| {
            let out = first_out.as_mut();
            let out = out.ok_or_else(|| Fault::new(Kind::InvalidArgument, "first_out: NULL"))?;
            *out = 0;
            *out = backend.engine.versions(count, call)?;
            Ok(status::OK)
        })
    }
}

unsafe extern "C" fn write(
    user_data: *mut c_void,
    changes: *const hotcold_change_t,
    n: usize,
    timeout_ms: u64,
) -> i32 {
    // SAFETY: the module's.
    unsafe {
        run(user_data, timeout_ms, |backend, call| {
            if changes.is_null() && n > 0 || n > isize::MAX.unsigned_abs() / 56 {
                return Err(Fault::new(Kind::InvalidArgument, "changes: NULL, or too many"));
            }
            let given = if n == 0 { &[][..] } else { std::slice::from_raw_parts(changes, n) };
            let changes = given.iter().map(|change| change_of(change));
            let changes = changes.collect::<Result<Vec<_>>>()?;
            backend.engine.write(&changes, call).map(ended)
        })
    }
}

unsafe fn change_of(change: &hotcold_change_t) -> Result<Change<'_>> {
    // SAFETY: the module's.
    unsafe {
        let data = match change.data.is_null() {
            true => None,
            false => Some(bytes(change.data, change.len)?),
        };
        if data.is_some() && change.version == 0 {
            return Err(Fault::new(Kind::InvalidArgument, "version: 0 stands for none"));
        }
        Ok(Change {
            key: key(change.key, change.key_len)?,
            data,
            version: change.version,
            expires_at: change.expires_at,
            if_version: change.if_version.as_ref().copied(),
        })
    }
}

unsafe extern "C" fn watch(user_data: *mut c_void, sink: *mut hotcold_watch_t) -> i32 {
    // SAFETY: the module's; the sink is valid until drop has returned, which ends all threads.
    unsafe {
        run(user_data, 0, |backend, _| {
            let sink = Sink::new(backend.host, sink);
            backend.engine.watch(Arc::new(sink)).map(|()| status::OK)
        })
    }
}

unsafe extern "C" fn part(user_data: *mut c_void, key: *const c_void, key_len: usize) -> u32 {
    // SAFETY: the module's. It cannot panic: it reads the key and computes.
    unsafe {
        let backend = &*user_data.cast::<Backend>();
        backend.engine.part(bytes(key, key_len).unwrap_or_default())
    }
}

/// Ends a backend: its threads are over when it returns.
///
/// # Safety
/// `user_data` is what `hotcold_remote_backend()` gave, and is not used any more.
pub unsafe extern "C" fn release(user_data: *mut c_void) {
    if !user_data.is_null() {
        // SAFETY: the caller's promise; it came from a box.
        let backend = unsafe { Box::from_raw(user_data.cast::<Backend>()) };
        quietly(|| drop(backend)).unwrap_or_default();
    }
}
