//! The way of every call into the store, and the end of the store.
//!
//! # Invariants
//! 1. `store` is there until the end: the one who takes it out has the handle for itself.
//! 2. A forked child touches nothing of its parent's store. Other threads of the parent may have
//!    held its locks, and its background thread is not there to be joined.

use crate::error::{Error, ErrorKind, Result};
use crate::memory;
use crate::store::{Options, Store, fork_epoch, in_callback};
use std::mem::forget;
use std::path::Path;
use std::sync::mpsc::channel;
use std::thread;

/// An open store, as the types of this folder share it.
pub struct Handle {
    store: Option<Store>,
    epoch: u64,
}

impl Handle {
    /// Opens a store.
    ///
    /// # Errors
    /// Those of [`Store::open`].
    pub fn open(path: Option<&Path>, options: &Options) -> Result<Self> {
        memory::check()?;
        let store = Store::open(path, options)?;
        Ok(Self { store: Some(store), epoch: fork_epoch() })
    }

    /// Runs `call` on the store. If it panics, the store refuses writes from then on: half a change
    /// may have been made, which no write may build on.
    ///
    /// # Errors
    /// `Misuse` in a forked child; `OutOfMemory` where the process has no memory for any call; what
    /// `call` gives.
    pub fn call<T>(&self, call: impl FnOnce(&Store) -> Result<T>) -> Result<T> {
        let store = self.store.as_ref().filter(|_| self.is_own()).ok_or_else(inherited)?;
        memory::check()?;
        let panicked = PoisonWhenDropped(store);
        let result = call(store);
        forget(panicked);
        result
    }

    /// The store, for what never changes in it.
    pub fn constant(&self) -> Option<&Store> {
        self.store.as_ref()
    }

    /// Closes the store.
    ///
    /// # Errors
    /// Those of [`Store::close`]. `Misuse` in a forked child, where nothing happens; `Misuse` in a
    /// callback too: the store is closed by another thread then.
    pub fn close(&mut self) -> Result<()> {
        let Some(store) = self.store.take() else { return Ok(()) };
        if !self.is_own() {
            forget(store);
            return Err(inherited());
        }
        if in_callback() {
            close_elsewhere(store);
            let sentence = "a store cannot be closed from a callback or a load; another thread \
                            closes it";
            return Err(Error::new(ErrorKind::Misuse, sentence));
        }
        store.close()
    }

    fn is_own(&self) -> bool {
        self.epoch == fork_epoch()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // Whoever wants to know of a failure closes the store.
        let _ = self.close();
    }
}

/// Dropped by a panic alone.
struct PoisonWhenDropped<'a>(&'a Store);

impl Drop for PoisonWhenDropped<'_> {
    fn drop(&mut self) {
        self.0.poison();
    }
}

/// Closing waits for the store's background thread, which may be the very thread that runs the
/// callback; so another one has to wait. Where there is none to be had, the store is left open.
fn close_elsewhere(store: Store) {
    let (sender, receiver) = channel::<Store>();
    let closer = move || drop(receiver.recv());
    match thread::Builder::new().name("hotcold-close".to_owned()).spawn(closer) {
        Ok(_detached) => drop(sender.send(store)),
        Err(_) => forget(store),
    }
}

fn inherited() -> Error {
    Error::new(ErrorKind::Misuse, "the store was opened before this process was forked")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    #[test]
    fn after_a_panic_the_store_is_read_and_not_written() {
        let handle = Handle::open(None, &Options::default()).unwrap();
        handle.call(|store| store.store(b"k", b"v")).unwrap();
        let panics = || handle.call(|_| -> Result<()> { panic!("a defect, for the test") });
        catch_unwind(AssertUnwindSafe(panics)).unwrap_err();
        let found = handle.call(|store| store.retrieve(b"k")).unwrap().value;
        assert_eq!(found.unwrap().data(), b"v");
        let error = handle.call(|store| store.store(b"k", b"w")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal);
    }
}
