//! Backpressure: writers that fill a bounded cold tier faster than room is made have to wait.

use crate::sync::{Condvar, Mutex};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Slows writers down that fill a bounded disk faster than room is made.
#[derive(Default)]
pub(super) struct Throttle {
    /// Bytes written since the disk was last looked at.
    written: AtomicU64,
    waiting: Mutex<()>,
    made: Condvar,
}

impl Throttle {
    /// Takes note of `bytes` to be written; looks at the disk every `step` bytes, and waits until
    /// `has_room`.
    pub(super) fn wait(&self, bytes: u64, step: u64, has_room: &mut dyn FnMut() -> bool) {
        if self.written.fetch_add(bytes, Ordering::Relaxed) + bytes < step {
            return;
        }
        self.written.store(0, Ordering::Relaxed);
        while !has_room() {
            drop(self.made.wait_for(self.waiting.lock(), Duration::from_millis(10)));
        }
    }

    /// Wakes the writers: room was made.
    pub(super) fn made(&self) {
        self.made.notify_all();
    }
}
