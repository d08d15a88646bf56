//! The signals between callers and the background thread.

use crate::sync::{Condvar, Mutex};
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
