//! The signals between callers and the background thread.

use crate::sync::{Condvar, Mutex};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Wakes the background thread, or tells it to stop.
#[derive(Default)]
pub struct Work {
    state: Mutex<Signals>,
    changed: Condvar,
}

#[derive(Default)]
struct Signals {
    wake: bool,
    stop: bool,
}

impl Work {
    /// Nothing to do yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// There is something to do.
    pub fn wake(&self) {
        self.state.lock().wake = true;
        self.changed.notify_all();
    }

    /// It is time to end.
    pub fn stop(&self) {
        self.state.lock().stop = true;
        self.changed.notify_all();
    }

    /// True once it is time to end.
    pub fn is_stopping(&self) -> bool {
        self.state.lock().stop
    }

    /// Waits for a signal, or for `timeout`.
    pub fn wait(&self, timeout: Duration) {
        let mut signals = self.state.lock();
        if !signals.wake && !signals.stop {
            signals = self.changed.wait_for(signals, timeout);
        }
        signals.wake = false;
    }
}

/// Slows writers down that fill a bounded disk faster than room is made.
#[derive(Default)]
pub struct Room {
    /// Bytes written since the disk was last looked at.
    written: AtomicU64,
    waiting: Mutex<()>,
    made: Condvar,
}

impl Room {
    /// Takes note of `bytes` to be written; looks at the disk every `step` bytes, and waits until
    /// `has_room`.
    pub fn wait(&self, bytes: u64, step: u64, has_room: &mut dyn FnMut() -> bool) {
        if self.written.fetch_add(bytes, Ordering::Relaxed) + bytes < step {
            return;
        }
        self.written.store(0, Ordering::Relaxed);
        while !has_room() {
            drop(self.made.wait_for(self.waiting.lock(), Duration::from_millis(10)));
        }
    }

    /// Room was made.
    pub fn made(&self) {
        self.made.notify_all();
    }
}
