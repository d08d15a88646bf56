//! `hotcold_remote_backend`: the one function that is exported.

use crate::fault::{Fault, Kind, Result, status};
use crate::ffi::abi::{Drop, hotcold_backend_t, hotcold_error_t, hotcold_host_t};
use crate::ffi::host::Host;
use crate::ffi::table::{Backend, release, table};
use crate::quiet::quietly;
use std::ffi::{CStr, c_char, c_void};
use std::ptr::null_mut;

/// More options than there are names: a list without its end.
const OPTIONS_MAX: usize = 256;

/// Makes a table of functions for the engine that a path names, for hotcold_open_backend(). It
/// connects, so that what is wrong is said now.
///
/// `options` are names and values in turn, with NULL behind the last: `coherence` and
/// `remote_timeout` in milliseconds, `remote_retries`, `remote_concurrency`, and all that begin with
/// `remote.`. `out` gets at most `out_size` bytes of the table. `*user_data_out` goes to each
/// function, and at last to `*drop_out`, once, when no call is in progress. After a failure the
/// outputs are empty, and `error` says why.
///
/// # Safety
/// As `hotcold_remote.h` says: `url` and all options end with a NUL; `host` has `host_size` bytes,
/// and its functions work until drop has returned; outputs can be written, `error` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hotcold_remote_backend(
    url: *const c_char,
    options: *const *const c_char,
    host: *const hotcold_host_t,
    host_size: usize,
    out: *mut hotcold_backend_t,
    out_size: usize,
    user_data_out: *mut *mut c_void,
    drop_out: *mut Option<Drop>,
    error: *mut hotcold_error_t,
) -> i32 {
    // SAFETY: the caller's promise, each pointer looked at before it is used.
    unsafe {
        if !out.is_null() {
            out.cast::<u8>().write_bytes(0, out_size);
        }
        if !user_data_out.is_null() {
            user_data_out.write(null_mut());
        }
        if !drop_out.is_null() {
            drop_out.write(None);
        }
        let made = quietly(|| {
            if out.is_null() || user_data_out.is_null() || drop_out.is_null() {
                return Err(invalid("out, user_data_out and drop_out: NULL"));
            }
            make(url, options, host, host_size)
        });
        let made =
            made.unwrap_or_else(|| Err(Fault::new(Kind::Internal, "a defect of hotcold-remote")));
        match made {
            Ok(backend) => {
                let table = table(backend.engine.capabilities());
                let len = out_size.min(size_of::<hotcold_backend_t>());
                let from = (&raw const table).cast::<u8>();
                out.cast::<u8>().copy_from_nonoverlapping(from, len);
                user_data_out.write(Box::into_raw(Box::new(backend)).cast());
                drop_out.write(Some(release));
                say(error, status::OK, "");
                status::OK
            }
            Err(fault) => {
                say(error, fault.status(), fault.words());
                fault.status()
            }
        }
    }
}

unsafe fn make(
    url: *const c_char,
    options: *const *const c_char,
    host: *const hotcold_host_t,
    host_size: usize,
) -> Result<Backend> {
    // SAFETY: the caller's promise.
    let (host, url) = unsafe { (Host::new(host, host_size)?, text(url, "url")?) };
    // SAFETY: as above.
    let words = unsafe { list(options) }?;
    let pairs: Vec<(&str, &str)> = words
        .chunks(2)
        .map(|pair| match pair {
            [name, value] => Ok((*name, *value)),
            _ => Err(invalid("options: a name without a value")),
        })
        .collect::<Result<_>>()?;
    let (engine, settings) = crate::open::open(url, &pairs)?;
    Ok(Backend { engine, host, retries: settings.retries })
}

unsafe fn text<'a>(text: *const c_char, what: &str) -> Result<&'a str> {
    if text.is_null() {
        return Err(invalid(format!("{what}: NULL")));
    }
    // SAFETY: not NULL, and the caller promises the NUL at its end.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_str().map_err(|_| invalid(format!("{what}: not UTF-8")))
}

unsafe fn list<'a>(options: *const *const c_char) -> Result<Vec<&'a str>> {
    let mut words = Vec::new();
    if options.is_null() {
        return Ok(words);
    }
    loop {
        // SAFETY: the caller promises a NULL at the end, which was not reached so far.
        let word = unsafe { *options.add(words.len()) };
        if word.is_null() {
            return Ok(words);
        }
        if words.len() == OPTIONS_MAX {
            return Err(invalid("options: no NULL at their end"));
        }
        // SAFETY: as above.
        words.push(unsafe { text(word, "options") }?);
    }
}

fn invalid(words: impl Into<String>) -> Fault {
    Fault::new(Kind::InvalidArgument, words)
}

/// Writes the caller's error struct, cut between characters.
unsafe fn say(error: *mut hotcold_error_t, status: i32, words: &str) {
    if error.is_null() {
        return;
    }
    let most = words.len().min(503);
    let fits = (0..=most).rev().find(|&at| words.is_char_boundary(at)).unwrap_or(0);
    // SAFETY: the caller promises a struct that can be written; the text and its NUL fit.
    unsafe {
        (&raw mut (*error).status).write(status);
        (&raw mut (*error).os_code).write(0);
        let message = (&raw mut (*error).message).cast::<u8>();
        message.copy_from_nonoverlapping(words.as_ptr(), fits);
        message.add(fits).write(0);
    }
}
