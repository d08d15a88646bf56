//! Opening a store over a table of C functions.

use crate::error::{Error, ErrorKind, Result};
use crate::ffi::backend::hotcold_backend_t;
use crate::ffi::boundary::{boundary, done};
use crate::ffi::engine::Table;
use crate::ffi::lifecycle::{handle, hotcold_t};
use crate::ffi::memory::{array, empty, invalid, required};
use crate::ffi::options::hotcold_options_t;
use crate::ffi::status::{hotcold_error_t, hotcold_status_t};
use crate::ffi::user_data::{UserData, hotcold_drop_fn};
use crate::store::{Options, Store};
use std::ffi::c_void;

/// The name of a store over a table, unless the options give it one.
const NAME: &str = "backend";

/// Opens a store whose cold tier is a table of functions, shared by all who open one over the same
/// engine. The table is copied.
///
/// in    b          the functions
///       b_size     sizeof(hotcold_backend_t) as the caller has it
///       user_data  passed to every function and to drop
///       drop       NULL, or called exactly once with user_data: by hotcold_close(), after the last
///                  function has returned, or when this call fails
///       options    as for hotcold_open(); NULL: all defaults. cold_capacity, warm_start and
///                  create=false are UNSUPPORTED here, durability=sync without
///                  HOTCOLD_BACKEND_DURABLE. Names that begin with remote. are not looked at
/// out   out        the store; NULL after a failure
///       error      NULL, or where a failure is described
/// owns  the store is the caller's, to be closed with hotcold_close()
/// cost  one thread; the engine is asked for nothing but to watch
/// safe  from any thread
///
/// HOTCOLD_OK                opened
/// HOTCOLD_INVALID_ARGUMENT  b or out is NULL, a wrong b_size, a function that is required is NULL, or
///                           options that contradict each other
/// HOTCOLD_UNSUPPORTED       an option that this engine or no shared cold tier can keep
/// HOTCOLD_OUT_OF_MEMORY     no memory, or a million stores are open
/// HOTCOLD_INTERNAL          a defect of this library
///
/// Other failures are those that watch has answered.
///
/// since 0.2.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hotcold_open_backend(
    b: *const hotcold_backend_t,
    b_size: usize,
    user_data: *mut c_void,
    drop: hotcold_drop_fn,
    options: *const hotcold_options_t,
    out: *mut *mut hotcold_t,
    error: *mut hotcold_error_t,
) -> hotcold_status_t {
    // Made first, so that every early return drops it.
    let user_data = UserData::new(user_data, drop);
    // SAFETY: the header's contract.
    unsafe {
        empty(out);
        boundary(error, || {
            let user_data = user_data;
            required(out, "out")?;
            required(b, "b")?;
            let table = Table::new(grown(b, b_size)?, user_data)?;
            let defaults = Options::default();
            let options = options.as_ref().map_or(&defaults, hotcold_options_t::options);
            let store = Store::open_shared(Box::new(table), NAME, options)?;
            out.write(handle(store)?);
            done()
        })
    }
}

/// The table, of which the caller may know less or more than this library.
#[cold]
unsafe fn grown(b: *const hotcold_backend_t, b_size: usize) -> Result<hotcold_backend_t> {
    let mut table = hotcold_backend_t::EMPTY;
    // SAFETY: the caller's promise: `b` has `b_size` bytes.
    let bytes = unsafe { array(b.cast::<u8>(), b_size, "b") }?;
    let (known, more) = bytes.split_at(b_size.min(size_of::<hotcold_backend_t>()));
    if b_size == 0 || !b_size.is_multiple_of(size_of::<u64>()) {
        return Err(invalid("b_size: give sizeof(hotcold_backend_t)"));
    }
    if more.iter().any(|byte| *byte != 0) {
        let sentence = "b: it has functions of a newer version than this library";
        return Err(Error::new(ErrorKind::Unsupported, sentence));
    }
    // SAFETY: no more bytes than the table has; each function is there whole, or NULL.
    unsafe {
        (&raw mut table).cast::<u8>().copy_from_nonoverlapping(known.as_ptr(), known.len());
    }
    Ok(table)
}
