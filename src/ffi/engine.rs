//! A table of C functions as the engine of a shared cold tier.

use crate::error::{Error, ErrorKind, Result};
use crate::ffi::backend::{hotcold_backend_all_fn, hotcold_backend_t, hotcold_change_t};
use crate::ffi::fence::outside;
use crate::ffi::handover::{Page, Record, Said, take_said};
use crate::ffi::memory::invalid;
use crate::ffi::status::{hotcold_status, kind_of};
use crate::ffi::user_data::UserData;
use crate::ffi::watching::{Watch, Watcher};
use crate::memory;
use crate::store::{
    CallbackScope, Capabilities, Changed, Engine, EngineWatcher, Fetched, Listed, Put,
};
use std::ffi::{CStr, c_void};
use std::ptr::{from_mut, from_ref, null};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

const OK: i32 = hotcold_status::HOTCOLD_OK.code();
const NOT_FOUND: i32 = hotcold_status::HOTCOLD_NOT_FOUND.code();
const CONFLICT: i32 = hotcold_status::HOTCOLD_CONFLICT.code();
const END: i32 = hotcold_status::HOTCOLD_END.code();

/// A table, and what its functions are given.
pub struct Table {
    functions: hotcold_backend_t,
    /// Its destructor ends the backend's threads, which use what stands below.
    user_data: UserData,
    watch: OnceLock<Box<Watch>>,
    retries: AtomicU64,
}

// SAFETY: the header says that the functions run on any thread, and on several at once.
unsafe impl Send for Table {}
// SAFETY: as above.
unsafe impl Sync for Table {}

/// Passes on what a backend tells.
struct Tells(Arc<dyn EngineWatcher>);

impl Watcher for Tells {
    fn key(&self, key: &[u8], version: u64) {
        self.0.key(key, version);
    }

    fn all(&self, link: u32) {
        self.0.all(link);
    }

    fn alive(&self, link: u32, age_ms: u64) {
        self.0.alive(link, age_ms);
    }

    fn parts(&self, first: u32, last: u32, link: u32) {
        self.0.parts(first, last, link);
    }
}

impl Table {
    /// The engine of a table that a caller has given; takes `user_data` also when it fails.
    ///
    /// # Errors
    /// `InvalidArgument` if a function is missing.
    #[cold]
    pub fn new(functions: hotcold_backend_t, user_data: UserData) -> Result<Self> {
        let can = |what| Capabilities(functions.capabilities).has(what);
        let missing = [
            ("get", functions.get.is_none()),
            ("put", functions.put.is_none()),
            ("remove", functions.remove.is_none()),
            ("list", functions.list.is_none()),
            ("versions", functions.versions.is_none()),
            ("clear", can(Capabilities::CLEAR) && functions.clear.is_none()),
            ("write", can(Capabilities::BATCH) && functions.write.is_none()),
            ("watch", can(Capabilities::WATCH) && functions.watch.is_none()),
        ];
        if let Some((name, _)) = missing.iter().find(|(_, is_missing)| *is_missing) {
            return Err(invalid(format!("b: {name} is NULL, and is required here")));
        }
        let (watch, retries) = (OnceLock::new(), AtomicU64::new(0));
        Ok(Self { functions, user_data, watch, retries })
    }

    /// Calls a function of the table; gives its status if that is no failure.
    #[inline]
    fn call(&self, name: &str, function: impl FnOnce(*mut c_void) -> i32) -> Result<i32> {
        // Clears what an earlier call on this thread has left.
        forget_said();
        let scope = CallbackScope::enter();
        let status = outside(|| function(self.user_data.pointer()));
        drop(scope);
        self.called(name, status)
    }

    /// What a function has said and answered.
    #[cold]
    #[inline(never)]
    fn called(&self, name: &str, status: i32) -> Result<i32> {
        let Said { message, retries } = take_said();
        self.retries.fetch_add(retries, Ordering::Relaxed);
        if status >= 0 {
            return Ok(status);
        }
        // A defect of the backend is not a defect of this library.
        let kind = kind_of(status).filter(|kind| *kind != ErrorKind::Internal);
        let words = match message.is_empty() {
            true => format!("the backend's {name} failed with {}", word_of(status)),
            false => message,
        };
        let (kind, os_code) = kind.map_or((ErrorKind::CallbackFailed, status), |kind| (kind, 0));
        Err(Error::new(kind, words).with_os_code(os_code))
    }

    #[cold]
    fn all(&self, name: &str, function: hotcold_backend_all_fn, timeout: Duration) -> Result<()> {
        let Some(function) = function else { return Ok(()) };
        // SAFETY: the header's contract for the function.
        let status = self.call(name, |user_data| unsafe { function(user_data, ms(timeout)) })?;
        if status == OK { Ok(()) } else { Err(unexpected(name, status)) }
    }
}

#[inline(never)]
fn forget_said() {
    drop(take_said());
}

#[cold]
fn word_of(status: i32) -> String {
    let known = hotcold_status::ALL.into_iter().find(|known| known.code() == status);
    known.map_or_else(|| status.to_string(), |known| text_of(known.name()))
}

fn text_of(text: &CStr) -> String {
    text.to_string_lossy().into_owned()
}

/// The keys of a page.
#[cold]
fn keys_of(bytes: &[u8], ends: &[usize]) -> Result<Vec<Vec<u8>>> {
    let mut keys = Vec::new();
    memory::grow(&mut keys, ends.len(), "a page of keys")?;
    let mut start = 0;
    for end in ends {
        keys.push(memory::copy(bytes.get(start..*end).unwrap_or_default(), "a key")?);
        start = *end;
    }
    Ok(keys)
}

#[cold]
fn unexpected(name: &str, status: i32) -> Error {
    let sentence =
        format!("the backend's {name} answered {}, which is not for it", word_of(status));
    Error::new(ErrorKind::CallbackFailed, sentence).with_os_code(status)
}

#[cold]
fn missing(name: &str) -> Error {
    Error::new(ErrorKind::Unsupported, format!("this backend has no {name}"))
}

fn ms(timeout: Duration) -> u64 {
    u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX)
}

fn condition(if_version: Option<&u64>) -> *const u64 {
    if_version.map_or(null(), from_ref)
}

impl Engine for Table {
    fn capabilities(&self) -> Capabilities {
        Capabilities(self.functions.capabilities)
    }

    #[cold]
    fn get(&self, key: &[u8], known_version: u64, timeout: Duration) -> Result<Fetched> {
        let get = self.functions.get.ok_or_else(|| missing("get"))?;
        let (mut record, timeout) = (Record::default(), ms(timeout));
        let out = from_mut(&mut record).cast();
        // SAFETY: the header's contract for the function; all that is lent lives through the call.
        let status = self.call("get", |user_data| unsafe {
            get(user_data, key.as_ptr().cast(), key.len(), known_version, timeout, out)
        })?;
        match (status, record) {
            (OK, Record::Bytes(bytes)) => Ok(Fetched::Record(bytes)),
            (OK, Record::Same) => Ok(Fetched::Same),
            (NOT_FOUND, _) => Ok(Fetched::Absent),
            (OK, Record::None) => {
                let sentence = "the backend's get answered HOTCOLD_OK without a record";
                Err(Error::new(ErrorKind::CallbackFailed, sentence))
            }
            (status, _) => Err(unexpected("get", status)),
        }
    }

    #[cold]
    fn change(&self, change: &Put<'_>, timeout: Duration) -> Result<Changed> {
        let (put, remove) = (self.functions.put, self.functions.remove);
        let Put { key, data, version, expires_at, if_version } = *change;
        let (key_data, timeout) = (key.as_ptr().cast(), ms(timeout));
        let if_version = condition(if_version.as_ref());
        let name = if data.is_some() { "put" } else { "remove" };
        // SAFETY: the header's contract for the functions; all that is lent lives through the call.
        let status = unsafe {
            match (data, put, remove) {
                (Some(data), Some(put), _) => self.call(name, |user_data| {
                    let (bytes, len) = (data.as_ptr().cast(), data.len());
                    put(
                        user_data,
                        key_data,
                        key.len(),
                        bytes,
                        len,
                        version,
                        expires_at,
                        if_version,
                        timeout,
                    )
                })?,
                (None, _, Some(remove)) => self.call(name, |user_data| {
                    remove(user_data, key_data, key.len(), if_version, timeout)
                })?,
                _ => return Err(missing(name)),
            }
        };
        match status {
            OK => Ok(Changed::Done),
            NOT_FOUND if data.is_none() => Ok(Changed::Absent),
            CONFLICT if change.if_version.is_some() => Ok(Changed::Conflict),
            status => Err(unexpected(name, status)),
        }
    }

    #[cold]
    fn list(&self, prefix: &[u8], after: &[u8], timeout: Duration) -> Result<Listed> {
        let list = self.functions.list.ok_or_else(|| missing("list"))?;
        let (mut page, timeout) = (Page::default(), ms(timeout));
        let out = from_mut(&mut page).cast();
        let (prefix_data, after_data) = (prefix.as_ptr().cast(), after.as_ptr().cast());
        // SAFETY: as in `get`.
        let status = self.call("list", |user_data| unsafe {
            list(user_data, prefix_data, prefix.len(), after_data, after.len(), out, timeout)
        })?;
        let Page { bytes, ends, next } = page;
        let keys = keys_of(&bytes, &ends)?;
        match status {
            END => Ok(Listed { keys, next: None }),
            OK => {
                let next = next.or_else(|| keys.last().cloned());
                if next.as_deref().is_none_or(|next| next == after) {
                    let sentence = "the backend's list gave a page that leads nowhere; at the end \
                                    it answers HOTCOLD_END";
                    return Err(Error::new(ErrorKind::CallbackFailed, sentence));
                }
                Ok(Listed { keys, next })
            }
            status => Err(unexpected("list", status)),
        }
    }

    fn clear(&self, timeout: Duration) -> Result<()> {
        self.all("clear", self.functions.clear, timeout)
    }

    #[cold]
    fn versions(&self, count: u64, timeout: Duration) -> Result<u64> {
        let versions = self.functions.versions.ok_or_else(|| missing("versions"))?;
        let (mut first, timeout) = (0, ms(timeout));
        let out = from_mut(&mut first);
        // SAFETY: as in `get`.
        let status =
            self.call("versions", |user_data| unsafe { versions(user_data, count, out, timeout) })?;
        if status == OK { Ok(first) } else { Err(unexpected("versions", status)) }
    }

    #[cold]
    fn write(&self, puts: &[Put<'_>], timeout: Duration) -> Result<Changed> {
        let write = self.functions.write.ok_or_else(|| missing("write"))?;
        let mut changes = Vec::new();
        memory::grow(&mut changes, puts.len(), "the changes of a batch")?;
        changes.extend(puts.iter().map(|put| hotcold_change_t {
            key: put.key.as_ptr().cast(),
            key_len: put.key.len(),
            data: put.data.map_or(null(), |data| data.as_ptr().cast()),
            len: put.data.map_or(0, <[u8]>::len),
            version: put.version,
            expires_at: put.expires_at,
            if_version: condition(put.if_version.as_ref()),
        }));
        let timeout = ms(timeout);
        // SAFETY: as in `get`.
        let status = self.call("write", |user_data| unsafe {
            write(user_data, changes.as_ptr(), changes.len(), timeout)
        })?;
        match status {
            OK => Ok(Changed::Done),
            CONFLICT => Ok(Changed::Conflict),
            status => Err(unexpected("write", status)),
        }
    }

    #[cold]
    fn watch(&self, watcher: Arc<dyn EngineWatcher>) -> Result<()> {
        let watch = self.functions.watch.ok_or_else(|| missing("watch"))?;
        let sink = self.watch.get_or_init(|| Box::new(Watch::new(Box::new(Tells(watcher)))));
        let sink = from_ref(&**sink).cast_mut().cast();
        // SAFETY: the sink lives until the user's drop has returned, and is only read through.
        let status = self.call("watch", |user_data| unsafe { watch(user_data, sink) })?;
        if status == OK { Ok(()) } else { Err(unexpected("watch", status)) }
    }

    fn part(&self, key: &[u8]) -> u32 {
        let Some(part) = self.functions.part else { return 0 };
        // SAFETY: the header's contract for the function.
        outside(|| unsafe { part(self.user_data.pointer(), key.as_ptr().cast(), key.len()) })
    }

    fn sync(&self, timeout: Duration) -> Result<()> {
        self.all("sync", self.functions.sync, timeout)
    }

    fn compact(&self, timeout: Duration) -> Result<()> {
        self.all("compact", self.functions.compact, timeout)
    }

    fn retries(&self) -> u64 {
        self.retries.load(Ordering::Relaxed)
    }
}
