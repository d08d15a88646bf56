//! The variants of store and retrieve that take options.

use crate::error::{Error, ErrorKind, Result};
use crate::ffi::boundary::{Outcome, done};
use crate::ffi::lifecycle::{hotcold_t, on_store};
use crate::ffi::memory::{empty, flags as check_flags, invalid, key as key_of, put, required};
use crate::ffi::memory::{sized, value as value_of};
use crate::ffi::status::{hotcold_error_t, hotcold_status, hotcold_status_t};
use crate::ffi::value::{hand_out, hotcold_value_t};
use crate::store::{RetrieveOptions, StoreOptions, Stored};
use std::ffi::c_void;

/// Flags of hotcold_store_options_t.
#[repr(C)]
pub enum hotcold_store_flag {
    /// Store only if the key's version is if_version.
    HOTCOLD_STORE_IF_VERSION = 1,
    /// Do not enter hot.
    HOTCOLD_STORE_COLD_ONLY = 2,
    /// This store is durable when the call returns.
    HOTCOLD_STORE_SYNC = 4,
}

const IF_VERSION: u32 = hotcold_store_flag::HOTCOLD_STORE_IF_VERSION as u32;
const COLD_ONLY: u32 = hotcold_store_flag::HOTCOLD_STORE_COLD_ONLY as u32;
const SYNC: u32 = hotcold_store_flag::HOTCOLD_STORE_SYNC as u32;

/// Flags of hotcold_retrieve_with.
#[repr(C)]
pub enum hotcold_retrieve_flag {
    /// What is found in cold does not enter hot.
    HOTCOLD_RETRIEVE_NO_PROMOTE = 1,
    /// What is found in hot does not count as used: hot is left as it is.
    HOTCOLD_RETRIEVE_NO_RECENCY = 2,
    /// A shared cold tier is asked whatever hot has. It changes nothing over a directory.
    HOTCOLD_RETRIEVE_FRESH = 4,
}

const NO_PROMOTE: u32 = hotcold_retrieve_flag::HOTCOLD_RETRIEVE_NO_PROMOTE as u32;
const NO_RECENCY: u32 = hotcold_retrieve_flag::HOTCOLD_RETRIEVE_NO_RECENCY as u32;
const FRESH: u32 = hotcold_retrieve_flag::HOTCOLD_RETRIEVE_FRESH as u32;

/// How to store. Set all of it to 0 and then what is wanted; later versions may add fields at the
/// end.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct hotcold_store_options_t {
    /// Milliseconds until expiry; 0: never, and so is more than can be counted. They pass also
    /// while the system clock is set back, and while the store is closed.
    pub ttl: u64,
    /// With HOTCOLD_STORE_IF_VERSION: the version that the key must have; 0: it must be absent.
    pub if_version: u64,
    /// HOTCOLD_STORE_IF_VERSION, HOTCOLD_STORE_COLD_ONLY, HOTCOLD_STORE_SYNC.
    pub flags: u32,
    /// Must be 0.
    pub reserved: u32,
}

const _: () = assert!(size_of::<hotcold_store_options_t>() == 24);

/// The options that C has given; NULL stands for none.
///
/// # Errors
/// `InvalidArgument` for a size, flag or reserved field that is not as the header says.
///
/// # Safety
/// `o` is NULL or has `o_size` readable bytes.
pub(super) unsafe fn store_options(
    o: *const hotcold_store_options_t,
    o_size: usize,
) -> Result<StoreOptions> {
    if o.is_null() {
        return Ok(StoreOptions::default());
    }
    // SAFETY: the caller's promise.
    let o = unsafe { sized(o, o_size, "o") }?;
    check_flags(o.flags, IF_VERSION | COLD_ONLY | SYNC)?;
    if o.reserved != 0 {
        return Err(invalid("o: reserved must be 0"));
    }
    Ok(StoreOptions {
        ttl_ms: o.ttl,
        if_version: (o.flags & IF_VERSION != 0).then_some(o.if_version),
        cold_only: o.flags & COLD_ONLY != 0,
        sync: o.flags & SYNC != 0,
    })
}

/// Stores a value with a time to live, on a condition, or durably.
///
/// in    s            a store
///       key          key_len bytes, any bytes; borrowed for this call
///       key_len      0 to HOTCOLD_KEY_LEN_MAX
///       value        value_len bytes, any bytes; borrowed for this call
///       value_len    0 to 4 GiB - 1
///       o            how to store; NULL: as hotcold_store()
///       o_size       sizeof(hotcold_store_options_t) as the caller has it; not looked at for NULL
/// out   version_out  NULL, or on HOTCOLD_OK the new version; on HOTCOLD_CONFLICT the version that
///                    the key has, 0 if it is absent; otherwise 0
///       error        NULL, or where a failure is described; under policy=lenient also what was
///                    survived
/// cost  as hotcold_store(); with HOTCOLD_STORE_SYNC also an fdatasync, shared with others
/// safe  from any thread, at the same time as any other call
/// durable  as hotcold_store(); with HOTCOLD_STORE_SYNC power loss
/// after HOTCOLD_OK every retrieve, from any thread, sees it; after anything else none does
///
/// HOTCOLD_OK                stored
/// HOTCOLD_CONFLICT          the key's version is not if_version; nothing was done
/// HOTCOLD_INVALID_ARGUMENT  s is NULL; key or value is NULL and its length is not 0; an unknown
///                           flag, a wrong o_size, or a reserved field that is not 0
/// HOTCOLD_MISUSE            not open
/// HOTCOLD_TOO_LARGE         the key or the value is beyond the limits, or larger than a store in
///                           memory alone
/// HOTCOLD_IO                the kernel refused
/// HOTCOLD_CORRUPT           the version to compare with cannot be read
/// HOTCOLD_NO_SPACE          the disk is full; retrieving goes on
/// HOTCOLD_READ_ONLY         opened with read_only, or turned so after a failed sync
/// HOTCOLD_OUT_OF_MEMORY     no memory for the value
/// HOTCOLD_INTERNAL          a defect of this library
///
/// since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hotcold_store_with(
    s: *mut hotcold_t,
    key: *const c_void,
    key_len: usize,
    value: *const c_void,
    value_len: usize,
    o: *const hotcold_store_options_t,
    o_size: usize,
    version_out: *mut u64,
    error: *mut hotcold_error_t,
) -> hotcold_status_t {
    // SAFETY: the header's contract.
    unsafe {
        empty(version_out);
        on_store(s, error, |store| {
            let options = store_options(o, o_size)?;
            let (key, value) = (key_of(key, key_len)?, value_of(value, value_len)?);
            let answer = store.store_with(key, value, &options)?;
            let (status, version) = match answer.value {
                Stored::Version(version) => (hotcold_status::HOTCOLD_OK, version),
                Stored::Conflict(version) => (hotcold_status::HOTCOLD_CONFLICT, version),
            };
            put(version_out, version);
            Ok(Outcome::of(status).despite(answer.survived))
        })
    }
}

/// Finds the value of a key as hotcold_retrieve() does, but leaves hot as it is if asked to.
///
/// in    s        a store
///       key      key_len bytes, any bytes; borrowed for this call
///       key_len  0 to HOTCOLD_KEY_LEN_MAX
///       flags    HOTCOLD_RETRIEVE_NO_PROMOTE, HOTCOLD_RETRIEVE_NO_RECENCY, HOTCOLD_RETRIEVE_FRESH,
///                or 0
/// out   out      on HOTCOLD_OK the value; otherwise empty
///       error    NULL, or where a failure is described; under policy=lenient also what was survived
/// owns  the value is the caller's, to be released with hotcold_value_release()
/// cost  no disk read if the key is hot, else at most one; bytes in hot are not copied
/// safe  from any thread, at the same time as any other call
///
/// HOTCOLD_OK                found
/// HOTCOLD_NOT_FOUND         absent or expired
/// HOTCOLD_INVALID_ARGUMENT  s or out is NULL, key is NULL and its length is not 0, or an unknown flag
/// HOTCOLD_MISUSE            not open
/// HOTCOLD_TOO_LARGE         the key is longer than HOTCOLD_KEY_LEN_MAX
/// HOTCOLD_CORRUPT           the record fails its checksum; other keys stay readable
/// HOTCOLD_IO                the read failed; error says where
/// HOTCOLD_OUT_OF_MEMORY     no memory for the value
/// HOTCOLD_INTERNAL          a defect of this library
///
/// since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hotcold_retrieve_with(
    s: *mut hotcold_t,
    key: *const c_void,
    key_len: usize,
    flags: u32,
    out: *mut hotcold_value_t,
    error: *mut hotcold_error_t,
) -> hotcold_status_t {
    // SAFETY: the header's contract.
    unsafe {
        empty(out);
        on_store(s, error, |store| {
            required(out, "out")?;
            check_flags(flags, NO_PROMOTE | NO_RECENCY | FRESH)?;
            let options = RetrieveOptions {
                no_promote: flags & NO_PROMOTE != 0,
                no_recency: flags & NO_RECENCY != 0,
                fresh: flags & FRESH != 0,
            };
            hand_out(out, store.retrieve_with(key_of(key, key_len)?, options)?)
        })
    }
}

/// Finds the value of a key as hotcold_retrieve() does, and copies it into the caller's buffer.
///
/// in    s         a store
///       key       key_len bytes, any bytes; borrowed for this call
///       key_len   0 to HOTCOLD_KEY_LEN_MAX
///       capacity  bytes that buf has
/// out   buf       on HOTCOLD_OK the value; otherwise untouched. NULL is fine if capacity is 0
///       len_out   on HOTCOLD_OK the value's length; on HOTCOLD_BUFFER_TOO_SMALL the length that is
///                 needed; otherwise 0
///       error     NULL, or where a failure is described; under policy=lenient also what was survived
/// cost  no disk read if the key is hot, else at most one; one copy
/// safe  from any thread, at the same time as any other call
///
/// HOTCOLD_OK                found and copied
/// HOTCOLD_NOT_FOUND         absent or expired
/// HOTCOLD_BUFFER_TOO_SMALL  the value is longer than capacity
/// HOTCOLD_INVALID_ARGUMENT  s or len_out is NULL, or key or buf is NULL and its length is not 0
/// HOTCOLD_MISUSE            not open
/// HOTCOLD_TOO_LARGE         the key is longer than HOTCOLD_KEY_LEN_MAX
/// HOTCOLD_CORRUPT           the record fails its checksum; other keys stay readable
/// HOTCOLD_IO                the read failed; error says where
/// HOTCOLD_OUT_OF_MEMORY     no memory for the value
/// HOTCOLD_INTERNAL          a defect of this library
///
/// since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hotcold_retrieve_into(
    s: *mut hotcold_t,
    key: *const c_void,
    key_len: usize,
    buf: *mut c_void,
    capacity: usize,
    len_out: *mut usize,
    error: *mut hotcold_error_t,
) -> hotcold_status_t {
    // SAFETY: the header's contract.
    unsafe {
        empty(len_out);
        on_store(s, error, |store| {
            required(len_out, "len_out")?;
            if capacity > 0 {
                required(buf, "buf")?;
            }
            let answer = store.retrieve(key_of(key, key_len)?)?;
            let Some(value) = answer.value else {
                return Ok(Outcome::found(false).despite(answer.survived));
            };
            let data = value.data();
            len_out.write(data.len());
            if data.len() > capacity {
                let text = format!("the value has {} bytes; the buffer {capacity}", data.len());
                return Err(Error::new(ErrorKind::BufferTooSmall, text));
            }
            if !data.is_empty() {
                buf.cast::<u8>().copy_from_nonoverlapping(data.as_ptr(), data.len());
            }
            done().map(|outcome| outcome.despite(answer.survived))
        })
    }
}

/// Tells whether a key is there. Reads no value, promotes nothing, and does not count as use.
///
/// in    s        a store
///       key      key_len bytes, any bytes; borrowed for this call
///       key_len  0 to HOTCOLD_KEY_LEN_MAX
/// out   error    NULL, or where a failure is described; under policy=lenient also what was survived
/// cost  no disk read if the key is hot, else at most one, of the key
/// safe  from any thread, at the same time as any other call
///
/// HOTCOLD_OK                it is there
/// HOTCOLD_NOT_FOUND         absent or expired
/// HOTCOLD_INVALID_ARGUMENT  s is NULL, or key is NULL and its length is not 0
/// HOTCOLD_MISUSE            not open
/// HOTCOLD_TOO_LARGE         the key is longer than HOTCOLD_KEY_LEN_MAX
/// HOTCOLD_CORRUPT           the record fails its checksum; other keys stay readable
/// HOTCOLD_IO                the read failed; error says where
/// HOTCOLD_OUT_OF_MEMORY     no memory for a buffer
/// HOTCOLD_INTERNAL          a defect of this library
///
/// since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hotcold_contains(
    s: *mut hotcold_t,
    key: *const c_void,
    key_len: usize,
    error: *mut hotcold_error_t,
) -> hotcold_status_t {
    // SAFETY: the header's contract.
    unsafe {
        on_store(s, error, |store| {
            let answer = store.contains(key_of(key, key_len)?)?;
            Ok(Outcome::found(answer.value).despite(answer.survived))
        })
    }
}
