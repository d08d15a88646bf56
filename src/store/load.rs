//! retrieve_or_load: one load for each key, however many threads miss it at once.
//!
//! The first thread that misses registers a load and runs the caller's function; the others wait
//! for it and share what it gives. Whoever changes a key takes its load off the register: the
//! change wins, the load's result goes only to those who wait already, and is not stored.
//!
//! A thread inside a load never waits for another thread's: two loads that ask for each other's
//! keys would wait forever. It runs its own.

use super::state::State;
use super::stats::Tier;
use super::value::{Answer, Value};
use super::write::{StoreOptions, Stored};
use crate::buffer::Buffer;
use crate::error::{Error, ErrorKind, Result};
use parking_lot::{Condvar, Mutex};
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What a load hands over.
#[derive(Default)]
pub struct Loaded {
    value: Option<(Buffer, u64)>,
}

impl Loaded {
    /// Takes a copy of the value, to live for `ttl_ms` milliseconds (0: for ever). The last call
    /// counts.
    ///
    /// # Errors
    /// `TooLarge`, `OutOfMemory`.
    pub fn set(&mut self, data: &[u8], ttl_ms: u64) -> Result<()> {
        super::write::check_value(data)?;
        self.value = Some((Buffer::from_parts(&[data])?, ttl_ms));
        Ok(())
    }
}

/// The loads that are running.
pub(super) struct Loads {
    running: Mutex<HashMap<Vec<u8>, Arc<Load>>>,
    count: AtomicUsize,
}

struct Load {
    outcome: Mutex<Option<Result<Option<Value>>>>,
    is_over: Condvar,
}

thread_local! {
    /// The keys that this thread is loading, each with the address of its register.
    static LOADING: RefCell<Vec<(usize, Vec<u8>)>> = const { RefCell::new(Vec::new()) };
}

impl Loads {
    pub(super) fn new() -> Self {
        Self { running: Mutex::default(), count: AtomicUsize::new(0) }
    }

    /// False most of the time; then nobody has to be told of a change.
    pub(super) fn are_running(&self) -> bool {
        self.count.load(Ordering::SeqCst) > 0
    }

    /// The key was changed: a load of it that is running is not to be stored.
    pub(super) fn forget(&self, key: &[u8]) {
        if self.running.lock().remove(key).is_some() {
            self.count.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// All keys were changed.
    pub(super) fn forget_all(&self) {
        let mut running = self.running.lock();
        self.count.fetch_sub(running.len(), Ordering::SeqCst);
        running.clear();
    }

    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// Joins the load of `key` that is running, or registers a new one.
    fn join(&self, key: &[u8]) -> (Arc<Load>, bool) {
        let mut running = self.running.lock();
        if let Some(load) = running.get(key) {
            return (load.clone(), false);
        }
        let load = Arc::new(Load { outcome: Mutex::new(None), is_over: Condvar::new() });
        running.insert(key.to_vec(), load.clone());
        self.count.fetch_add(1, Ordering::SeqCst);
        (load, true)
    }

    /// True if `load` is still the one that is registered.
    fn has(&self, key: &[u8], load: &Arc<Load>) -> bool {
        self.running.lock().get(key).is_some_and(|running| Arc::ptr_eq(running, load))
    }

    fn leave(&self, key: &[u8], load: &Arc<Load>) {
        let mut running = self.running.lock();
        if running.get(key).is_some_and(|other| Arc::ptr_eq(other, load)) {
            running.remove(key);
            self.count.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

impl Load {
    fn finish(&self, outcome: Result<Option<Value>>) {
        // The first outcome stays: the guard's comes last.
        let mut own = self.outcome.lock();
        if own.is_none() {
            *own = Some(outcome);
        }
        self.is_over.notify_all();
    }

    fn wait(&self) -> Result<Option<Value>> {
        let mut outcome = self.outcome.lock();
        loop {
            if let Some(outcome) = &*outcome {
                return outcome.clone();
            }
            self.is_over.wait(&mut outcome);
        }
    }
}

/// Ends a load whatever happens, also when the caller's function unwinds.
struct Running<'a> {
    loads: &'a Loads,
    key: &'a [u8],
    load: Option<Arc<Load>>,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        LOADING.with_borrow_mut(|loading| loading.pop());
        if let Some(load) = &self.load {
            self.loads.leave(self.key, load);
            let sentence = "the load of this key was broken off";
            load.finish(Err(Error::new(ErrorKind::Internal, sentence)));
        }
    }
}

impl State {
    /// Finds the value of a key, or has `load` make it and stores that.
    ///
    /// # Errors
    /// As a retrieve and a store; `CallbackFailed` with the number that `load` gave, unless 0;
    /// `Misuse` if this thread is loading that key already.
    pub fn retrieve_or_load(
        &self,
        key: &[u8],
        load: &mut dyn FnMut(&mut Loaded) -> i32,
    ) -> Result<Answer<Option<Value>>> {
        let found = self.retrieve(key)?;
        if found.value.is_some() {
            return Ok(found);
        }
        let address = self.loads.address();
        let (is_inside, is_again) = LOADING.with_borrow(|loading| {
            (!loading.is_empty(), loading.iter().any(|(at, k)| *at == address && k == key))
        });
        if is_again {
            let sentence = "this thread is loading that key already; a load may not ask for it";
            return Err(Error::new(ErrorKind::Misuse, sentence));
        }
        let (joined, is_first) = self.loads.join(key);
        match (is_first, is_inside) {
            (false, false) => joined.wait().map(Answer::of),
            (false, true) => self.run_load(key, None, load),
            (true, _) => self.run_load(key, Some(joined), load),
        }
    }

    fn run_load(
        &self,
        key: &[u8],
        registered: Option<Arc<Load>>,
        load: &mut dyn FnMut(&mut Loaded) -> i32,
    ) -> Result<Answer<Option<Value>>> {
        LOADING.with_borrow_mut(|all| all.push((self.loads.address(), key.to_vec())));
        let running = Running { loads: &self.loads, key, load: registered.clone() };
        // It may have been stored between the miss and the registration.
        let outcome = match self.look_up(key) {
            Ok(Some(value)) => Ok(Answer::of(Some(value))),
            Ok(None) => self.load_value(key, registered.as_ref(), load),
            Err(error) => Err(error),
        };
        if let Some(registered) = &registered {
            registered.finish(outcome.clone().map(|answer| answer.value));
        }
        drop(running);
        outcome
    }

    fn load_value(
        &self,
        key: &[u8],
        registered: Option<&Arc<Load>>,
        load: &mut dyn FnMut(&mut Loaded) -> i32,
    ) -> Result<Answer<Option<Value>>> {
        let mut loaded = Loaded::default();
        let code = load(&mut loaded);
        if code != 0 {
            let sentence = format!("the load function failed with {code}; nothing was stored");
            return Err(Error::new(ErrorKind::CallbackFailed, sentence).with_os_code(code));
        }
        let Some((buffer, ttl_ms)) = loaded.value else { return Ok(Answer::of(None)) };
        let expires_at = self.expiry_after(ttl_ms);
        let options = StoreOptions { ttl_ms, ..StoreOptions::default() };
        let stored = self.store_loaded(key, buffer.bytes(), &options, registered)?;
        let (version, survived) = stored.map_or((0, None), |answer| match answer.value {
            Stored::Version(version) | Stored::Conflict(version) => (version, answer.survived),
        });
        let value = Value::whole(buffer, version, expires_at, Tier::Hot);
        Ok(Answer { value: Some(value), survived })
    }

    /// Stores a loaded value, unless the key was changed since the load began.
    fn store_loaded(
        &self,
        key: &[u8],
        value: &[u8],
        options: &StoreOptions,
        registered: Option<&Arc<Load>>,
    ) -> Result<Option<Answer<Stored>>> {
        // Whoever changes the key forgets the load while nobody else can change the key, and the
        // question is asked under the same lock: so a change since the load began is not missed.
        let is_wanted = || registered.is_none_or(|load| self.loads.has(key, load));
        let answer = self.store_gated(key, value, options, Some(&is_wanted))?;
        Ok(matches!(answer.value, Stored::Version(_)).then_some(answer))
    }
}
