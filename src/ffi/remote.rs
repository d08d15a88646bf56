//! Paths that name an engine: the library that serves it is loaded when the first one comes.
//!
//! It stays loaded: it has threads and values of threads. It is given what it needs of this library as
//! a table, because a process may hold several copies of this library.

use crate::error::{Error, ErrorKind, Result};
use crate::ffi::backend::{hotcold_backend_t, hotcold_host_t};
use crate::ffi::engine::Table;
use crate::ffi::handover::{
    hotcold_backend_count, hotcold_backend_fail, hotcold_page_add, hotcold_page_next,
    hotcold_record_same, hotcold_record_set,
};
use crate::ffi::options::Pairs;
use crate::ffi::status::{hotcold_error_t, hotcold_status, kind_of};
use crate::ffi::user_data::{UserData, hotcold_drop_fn};
use crate::ffi::watching::{
    hotcold_watch_alive, hotcold_watch_all, hotcold_watch_key, hotcold_watch_parts,
};
use crate::store::{Options, Store};
use std::ffi::{CStr, CString, OsStr, c_char, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr::{from_mut, null, null_mut};

/// How paths begin that name an engine.
const SCHEMES: [&str; 5] =
    ["redis://", "redis+cluster://", "rediss://", "rediss+cluster://", "s3://"];

/// The library's file.
const LIBRARY: &str = concat!(
    "libhotcold-remote.so.",
    env!("CARGO_PKG_VERSION_MAJOR"),
    ".",
    env!("CARGO_PKG_VERSION_MINOR")
);

/// `hotcold_remote_backend` of that library.
type Backend = unsafe extern "C" fn(
    url: *const c_char,
    options: *const *const c_char,
    host: *const hotcold_host_t,
    host_size: usize,
    out: *mut hotcold_backend_t,
    out_size: usize,
    user_data_out: *mut *mut c_void,
    drop_out: *mut hotcold_drop_fn,
    error: *mut hotcold_error_t,
) -> i32;

static HOST: hotcold_host_t = hotcold_host_t {
    record_set: Some(hotcold_record_set),
    record_same: Some(hotcold_record_same),
    page_add: Some(hotcold_page_add),
    page_next: Some(hotcold_page_next),
    watch_key: Some(hotcold_watch_key),
    watch_all: Some(hotcold_watch_all),
    watch_alive: Some(hotcold_watch_alive),
    watch_parts: Some(hotcold_watch_parts),
    backend_fail: Some(hotcold_backend_fail),
    backend_count: Some(hotcold_backend_count),
};

/// Opens a store over the engine that `address` names.
///
/// # Errors
/// `Unsupported` if the library that serves it is missing; what that library says; those of the open.
#[cold]
pub fn open(address: &Path, options: &Options) -> Result<Store> {
    // Of a path that came from C no byte is NUL.
    let name = address.to_string_lossy();
    let address = CString::new(address.as_os_str().as_bytes()).unwrap_or_default();
    let backend = find()?;
    let (mut table, mut user_data, mut drop) = (hotcold_backend_t::EMPTY, null_mut(), None);
    let mut error = hotcold_error_t::EMPTY;
    let pairs = Pairs::of(options);
    // SAFETY: the library's contract: all that is lent lives through the call, or for ever.
    let status = unsafe {
        backend(
            address.as_ptr(),
            pairs.list(),
            &raw const HOST,
            size_of::<hotcold_host_t>(),
            from_mut(&mut table),
            size_of::<hotcold_backend_t>(),
            from_mut(&mut user_data),
            from_mut(&mut drop),
            from_mut(&mut error),
        )
    };
    if status != hotcold_status::HOTCOLD_OK.code() {
        let kind = kind_of(status).unwrap_or(ErrorKind::Unavailable);
        return Err(Error::new(kind, error.words()).with_os_code(error.os_code));
    }
    let table = Table::new(table, UserData::new(user_data, drop))?;
    Store::open_shared(Box::new(table), &name, options)
}

/// Loads the library: from beside this one, else from where the system looks.
#[cold]
fn find() -> Result<Backend> {
    let beside = own_directory().map(|directory| directory.join(LIBRARY));
    let names = beside.iter().map(|path| path.as_os_str()).chain([OsStr::new(LIBRARY)]);
    for name in names {
        let Ok(name) = CString::new(name.as_bytes()) else { continue };
        // SAFETY: the name is a C string; the library's own start is trusted as that of any other.
        let library = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
        if library.is_null() {
            continue;
        }
        // SAFETY: the library is loaded, and never unloaded.
        let found = unsafe { libc::dlsym(library, c"hotcold_remote_backend".as_ptr()) };
        if !found.is_null() {
            // SAFETY: the function of that name in the library of this version is one of this type.
            return Ok(unsafe { std::mem::transmute::<*mut c_void, Backend>(found) });
        }
    }
    let sentence = format!(
        "a path that names an engine needs {LIBRARY}, which is not there or cannot be loaded: install \
         hotcold-remote, or put the file beside libhotcold.so"
    );
    Err(Error::new(ErrorKind::Unsupported, sentence))
}

/// The directory of the file that holds this function.
fn own_directory() -> Option<std::path::PathBuf> {
    let mut found = libc::Dl_info {
        dli_fname: null(),
        dli_fbase: null_mut(),
        dli_sname: null(),
        dli_saddr: null_mut(),
    };
    let own: fn() -> Result<Backend> = find;
    // SAFETY: `found` is ours to write; the name that is written lives as long as the library.
    let name = unsafe {
        if libc::dladdr(own as *const c_void, from_mut(&mut found)) == 0 {
            return None;
        }
        if found.dli_fname.is_null() {
            return None;
        }
        CStr::from_ptr(found.dli_fname)
    };
    let path = Path::new(OsStr::from_bytes(name.to_bytes()));
    // A program that was found by the search has a name without a directory.
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).map(Path::to_path_buf)
}

/// True if a path names an engine.
pub fn is_address(path: &Path) -> bool {
    let bytes = path.as_os_str().as_bytes();
    SCHEMES.iter().any(|scheme| bytes.starts_with(scheme.as_bytes()))
}
