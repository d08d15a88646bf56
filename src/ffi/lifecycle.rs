//! `hotcold_t`: opening, closing, and how every other call gets at its store.

use crate::error::{Error, ErrorKind, Result};
use crate::ffi::boundary::{Outcome, boundary, done, unconditional};
use crate::ffi::memory::{empty, path as path_of, required};
use crate::ffi::options::hotcold_options_t;
use crate::ffi::registry::Registry;
use crate::ffi::remote::{is_address, open as open_remote};
use crate::ffi::status::{hotcold_error_t, hotcold_status, hotcold_status_t};
use crate::store::{Options, Store, fork_epoch, in_callback};
use std::ffi::c_char;
use std::ptr::without_provenance_mut;

static STORES: Registry<Store> = Registry::new();

/// An open store. The pointer is a number that stands for it, not an address: it is never given
/// twice in a process, and after hotcold_close() every call with it answers HOTCOLD_MISUSE.
pub struct hotcold_t {
    _never_made: (),
}

/// The token behind a handle.
///
/// # Errors
/// `InvalidArgument` for NULL.
#[inline]
pub(super) fn token_of(s: *mut hotcold_t) -> Result<u64> {
    required(s, "s")?;
    Ok(s.addr() as u64)
}

/// Runs `call` on the store of `token`; if it panics, the store refuses writes from then on. The
/// panic goes on to the fence around it.
///
/// # Errors
/// `Misuse` if the store is not open; what `call` gives.
#[inline]
pub(super) fn with_store(
    token: u64,
    call: impl FnOnce(&Store) -> Result<Outcome>,
) -> Result<Outcome> {
    let store = STORES.enter(token, fork_epoch())?;
    let panicked = PoisonWhenDropped(&store);
    let result = call(&store);
    std::mem::forget(panicked);
    result
}

/// Dropped by a panic alone: half a change may have been made, which no write may build on.
struct PoisonWhenDropped<'a>(&'a Store);

impl Drop for PoisonWhenDropped<'_> {
    fn drop(&mut self) {
        self.0.poison();
    }
}

/// Runs the body of a C function whose object is a store.
///
/// # Safety
/// `error` is NULL or can be written. `s` may be anything.
#[inline]
pub(super) unsafe fn on_store(
    s: *mut hotcold_t,
    error: *mut hotcold_error_t,
    call: impl FnOnce(&Store) -> Result<Outcome>,
) -> hotcold_status_t {
    // SAFETY: the caller's promise.
    unsafe { boundary(error, || with_store(token_of(s)?, call)) }
}

/// The same, for calls that are seldom made: they share the code of all that is around them.
///
/// # Safety
/// As [`on_store`].
pub(super) unsafe fn on_store_seldom(
    s: *mut hotcold_t,
    error: *mut hotcold_error_t,
    call: impl FnOnce(&Store) -> Result<Outcome>,
) -> hotcold_status_t {
    let mut call = Some(call);
    // SAFETY: the caller's promise.
    unsafe { on_store_by(s, error, &mut |store| call.take().map_or_else(done, |call| call(store))) }
}

#[cold]
#[inline(never)]
unsafe fn on_store_by(
    s: *mut hotcold_t,
    error: *mut hotcold_error_t,
    call: &mut dyn FnMut(&Store) -> Result<Outcome>,
) -> hotcold_status_t {
    // SAFETY: the caller's promise.
    unsafe { on_store(s, error, call) }
}

/// Opens the store in a directory, or makes one; or a store in memory alone; or one whose cold tier is
/// shared by many machines.
///
/// A path that begins with redis://, redis+cluster://, rediss://, rediss+cluster:// or s3:// names an
/// engine. What it stands for is told in the documents of hotcold-remote, whose library is loaded when
/// the first such path comes. A directory of such a name is written with ./ in front.
///
/// in    path   the directory; missing ones are made. NULL: hot only
///       o      options, copied; NULL: all defaults
/// out   out    the store, or NULL
///       error  NULL, or where a failure is described. After HOTCOLD_OK its message is not empty if
///              other users may change the directory: see the option writable_by_others
/// owns  the store is the caller's, to be closed with hotcold_close()
/// cost  reads the checkpoint of the keydir; after a crash also what was written since
/// safe  from any thread
/// after a failure the directory is as it was, except that missing directories may have been made.
///       Other files in the directory of a store are left alone
///
/// HOTCOLD_OK                open
/// HOTCOLD_INVALID_ARGUMENT  out is NULL, the path is empty, or the options do not fit together
///                           (neither tier); the directory holds other files and no store, or
///                           nothing and create=false; or others may change it and
///                           writable_by_others=refuse
/// HOTCOLD_LOCKED            another handle, here or in another process, has the directory open
/// HOTCOLD_IO                the kernel refused; error says what and where. Also with create=false
///                           and no such directory, and where a link, a directory or the like has
///                           the name of one of the store's files
/// HOTCOLD_NO_SPACE          the disk is full
/// HOTCOLD_CORRUPT           what cannot be rebuilt is damaged; error says which file
/// HOTCOLD_UNSUPPORTED       written by a newer version, which is left untouched; or an option
///                           that this build does not have; or the path names an engine, and
///                           hotcold-remote is not installed, or an option cannot be kept there
/// HOTCOLD_TIMEOUT           the engine did not answer in time
/// HOTCOLD_UNAVAILABLE       the engine cannot be reached, or refused
/// HOTCOLD_OUT_OF_MEMORY     no memory for the keydir, or a million stores are open
/// HOTCOLD_INTERNAL          a defect of this library
///
/// since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hotcold_open(
    path: *const c_char,
    o: *const hotcold_options_t,
    out: *mut *mut hotcold_t,
    error: *mut hotcold_error_t,
) -> hotcold_status_t {
    let mut warning = None;
    // SAFETY: the header's contract.
    unsafe {
        empty(out);
        let status = boundary(error, || {
            required(out, "out")?;
            let path = if path.is_null() { None } else { Some(path_of(path, "path")?) };
            let defaults = Options::default();
            let options = o.as_ref().map_or(&defaults, hotcold_options_t::options);
            let store = match path.filter(|path| is_address(path)) {
                Some(address) => open_remote(address, options)?,
                None => Store::open(path, options)?,
            };
            warning = store.warning().map(ToOwned::to_owned);
            out.write(handle(store)?);
            done()
        });
        match warning {
            Some(warning) if status == hotcold_status::HOTCOLD_OK.code() => {
                hotcold_error_t::warn(error, &warning);
            }
            _ => {}
        }
        status
    }
}

pub(super) fn handle(store: Store) -> Result<*mut hotcold_t> {
    match STORES.insert(store, fork_epoch()).map(usize::try_from) {
        Ok(Ok(token)) => Ok(without_provenance_mut(token)),
        Ok(Err(_)) => Err(Error::new(ErrorKind::Internal, "a token does not fit a pointer")),
        Err(store) => {
            store.close()?;
            Err(Error::new(ErrorKind::OutOfMemory, "a million stores are open: close some"))
        }
    }
}

/// Closes a store: writes back what is only in hot, syncs, and waits for the calls that are in
/// progress on other threads.
///
/// in    s      a store, or NULL
/// out   error  NULL, or where a failure is described
/// owns  takes s, whatever is returned, except on HOTCOLD_MISUSE. Values, cursors, batches and event
///       queues may be released later, in any order
/// safe  from any thread; not from a callback or a load: that is HOTCOLD_MISUSE, and the store stays
///       open
/// durable  on HOTCOLD_OK everything acknowledged is durable. To be able to retry a failed
///       write-back, call hotcold_sync() first
/// after no thread of the store runs any more, and the directory may be opened again
///
/// HOTCOLD_OK             closed; or s is NULL
/// HOTCOLD_MISUSE         not open, called from a callback or a load, or after a fork by the child
/// HOTCOLD_IO             closed, but the last writes or the sync failed
/// HOTCOLD_NO_SPACE       closed, but the disk is full and did not take what was unwritten
/// HOTCOLD_READ_ONLY      closed, but an earlier sync had failed
/// HOTCOLD_OUT_OF_MEMORY  closed, but there was no memory to write back
/// HOTCOLD_INTERNAL       closed, after a defect of this library
///
/// since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hotcold_close(
    s: *mut hotcold_t,
    error: *mut hotcold_error_t,
) -> hotcold_status_t {
    // SAFETY: the header's contract.
    unsafe {
        unconditional(error, || {
            if s.is_null() {
                return done();
            }
            let token = token_of(s)?;
            // A callback is a call in progress: waiting for it from within would never end.
            if in_callback() {
                return Err(Error::new(
                    ErrorKind::Misuse,
                    "a store cannot be closed from a callback or a load; it stays open",
                ));
            }
            STORES.remove(token, fork_epoch())?.close()?;
            done()
        })
    }
}

/// Makes everything acknowledged so far survive power loss.
///
/// in    s      a store
/// out   error  NULL, or where a failure is described
/// cost  one fdatasync, shared with others who wait for one; under write_mode=back also what is
///       unwritten
/// safe  from any thread, at the same time as any other call
/// durable  on HOTCOLD_OK all that was acknowledged before the call
/// after a failed sync the store is read-only
///
/// HOTCOLD_OK                synced; also for a store in memory alone, which has nothing to sync
/// HOTCOLD_INVALID_ARGUMENT  s is NULL
/// HOTCOLD_MISUSE            not open
/// HOTCOLD_IO                the kernel refused
/// HOTCOLD_NO_SPACE          the disk is full; what was unwritten stays in hot
/// HOTCOLD_READ_ONLY         an earlier sync had failed, or opened with read_only
/// HOTCOLD_OUT_OF_MEMORY     no memory for the call
/// HOTCOLD_INTERNAL          a defect of this library
///
/// since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hotcold_sync(
    s: *mut hotcold_t,
    error: *mut hotcold_error_t,
) -> hotcold_status_t {
    // SAFETY: the header's contract.
    unsafe { on_store_seldom(s, error, |store| store.sync().and_then(|()| done())) }
}

/// Compresses all records and gives back all dead space now, and waits for it.
///
/// in    s      a store
/// out   error  NULL, or where a failure is described
/// cost  reads and writes up to the whole store
/// safe  from any thread, at the same time as any other call
/// durable  as hotcold_sync()
/// after a failure every key has the value it had; space may be left to reclaim
///
/// HOTCOLD_OK                done
/// HOTCOLD_INVALID_ARGUMENT  s is NULL
/// HOTCOLD_MISUSE            not open
/// HOTCOLD_IO                the kernel refused
/// HOTCOLD_CORRUPT           a record is damaged; its segment is kept as it is
/// HOTCOLD_NO_SPACE          the disk is full
/// HOTCOLD_READ_ONLY         opened with read_only, or turned so
/// HOTCOLD_OUT_OF_MEMORY     no memory for a buffer
/// HOTCOLD_INTERNAL          a defect of this library
///
/// since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hotcold_compact(
    s: *mut hotcold_t,
    error: *mut hotcold_error_t,
) -> hotcold_status_t {
    // SAFETY: the header's contract.
    unsafe { on_store_seldom(s, error, |store| store.compact().and_then(|()| done())) }
}
