//! The register of loads that are running: who loads which key, and who waits for it.

use super::value::Value;
use crate::error::{Error, ErrorKind, Result};
use crate::memory;
use crate::sync::{Condvar, Mutex};
use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The loads that are running.
pub(super) struct Loads {
    running: Mutex<HashMap<Vec<u8>, Arc<Load>>>,
    count: AtomicUsize,
    /// The keys that threads are inside loads of, each with its thread.
    inside: Mutex<Vec<(usize, Vec<u8>)>>,
}

/// One load, as long as somebody runs it or waits for it.
pub(super) struct Load {
    outcome: Mutex<Option<Result<Option<Value>>>>,
    is_over: Condvar,
}

thread_local! {
    /// How many loads of whichever store this thread is inside of. A number without a destructor,
    /// because loads may also run while a thread ends.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// A number that no other thread has which lives now.
fn this_thread() -> usize {
    DEPTH.with(|depth| std::ptr::from_ref(depth).addr())
}

impl Loads {
    pub(super) fn new() -> Self {
        Self { running: Mutex::default(), count: AtomicUsize::new(0), inside: Mutex::default() }
    }

    /// False most of the time; then nobody has to be told of a change.
    pub(super) fn are_running(&self) -> bool {
        self.count.load(Ordering::SeqCst) > 0
    }

    /// The key was changed: the result of a load that is running must not be stored.
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

    /// What this thread is loading: anything at all, and `key` of this store.
    pub(super) fn inside(&self, key: &[u8]) -> (bool, bool) {
        if DEPTH.get() == 0 {
            return (false, false);
        }
        let is_this = |(thread, k): &(usize, Vec<u8>)| *thread == this_thread() && k == key;
        (true, self.inside.lock().iter().any(is_this))
    }

    /// This thread begins to load `key`; `load` is what others wait for, if it is registered.
    ///
    /// # Errors
    /// `OutOfMemory`: the load is over.
    pub(super) fn enter<'a>(
        &'a self,
        key: &'a [u8],
        load: Option<Arc<Load>>,
    ) -> Result<Running<'a>> {
        // Made first: whoever waits is told when it is dropped, whatever happens.
        DEPTH.set(DEPTH.get() + 1);
        let running = Running { loads: self, key, load };
        let noted = memory::copy(key, "a key that is loaded").and_then(|own| {
            memory::push(&mut self.inside.lock(), (this_thread(), own), "the running loads")
        });
        if let (Err(error), Some(load)) = (&noted, &running.load) {
            load.finish(Err(error.clone()));
        }
        noted.map(|()| running)
    }

    /// Joins the load of `key` that is running, or registers a new one.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub(super) fn join(&self, key: &[u8]) -> Result<(Arc<Load>, bool)> {
        let mut running = self.running.lock();
        if let Some(load) = running.get(key) {
            return Ok((load.clone(), false));
        }
        let own = memory::copy(key, "a key that is loaded")?;
        let size = size_of::<(Vec<u8>, Arc<Load>)>();
        running.try_reserve(1).map_err(|_| memory::exhausted(size, "the running loads"))?;
        let load = Arc::new(Load { outcome: Mutex::new(None), is_over: Condvar::new() });
        running.insert(own, load.clone());
        self.count.fetch_add(1, Ordering::SeqCst);
        Ok((load, true))
    }

    /// True if `load` is still the one that is registered.
    pub(super) fn has(&self, key: &[u8], load: &Arc<Load>) -> bool {
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
    pub(super) fn finish(&self, outcome: Result<Option<Value>>) {
        // The first outcome stays: the guard's comes last.
        let mut own = self.outcome.lock();
        if own.is_none() {
            *own = Some(outcome);
        }
        self.is_over.notify_all();
    }

    pub(super) fn wait(&self) -> Result<Option<Value>> {
        let mut outcome = self.outcome.lock();
        loop {
            if let Some(outcome) = &*outcome {
                return outcome.clone();
            }
            outcome = self.is_over.wait(outcome);
        }
    }
}

/// Ends a load whatever happens, also when the caller's function unwinds.
pub(super) struct Running<'a> {
    loads: &'a Loads,
    key: &'a [u8],
    load: Option<Arc<Load>>,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
        let mut inside = self.loads.inside.lock();
        let is_this = |(thread, k): &(usize, Vec<u8>)| *thread == this_thread() && k == self.key;
        if let Some(place) = inside.iter().rposition(is_this) {
            inside.swap_remove(place);
        }
        drop(inside);
        if let Some(load) = &self.load {
            self.loads.leave(self.key, load);
            let sentence = "the load of this key was broken off";
            load.finish(Err(Error::new(ErrorKind::Internal, sentence)));
        }
    }
}
