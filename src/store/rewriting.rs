//! Rewriting: what compaction asks of the store around it, and making room when a call meets a full
//! disk.

use super::events::{Event, EventKind};
use super::state::State;
use super::stats::{Counter, Tier};
use crate::cold::{Departed, Departure, Host, Location, Rewritten, Want};
use crate::error::{ErrorKind, Result};
use crate::memory;
use crate::sync::Mutex;

/// A call that meets a full disk makes room and is tried again so often: others take room too.
const TRIES: usize = 64;

/// True if it was refused because the disk is full.
pub(super) fn is_full<T>(result: &Result<T>) -> bool {
    result.as_ref().is_err_and(|error| error.kind() == ErrorKind::NoSpace)
}

/// A key that left both tiers in the background.
struct Gone {
    key: Vec<u8>,
    departed: Departed,
}

/// What compaction asks of the store: one for each rewriting.
pub(super) struct Rewriting<'a> {
    state: &'a State,
    go_on: &'a dyn Fn() -> bool,
    gone: Mutex<Vec<Gone>>,
}

impl<'a> Rewriting<'a> {
    /// `go_on` is asked about every megabyte: false to give up.
    pub(super) fn new(state: &'a State, go_on: &'a dyn Fn() -> bool) -> Self {
        Self { state, go_on, gone: Mutex::new(Vec::new()) }
    }

    /// Tells what has left, when no lock is held any more.
    pub(super) fn tell(self) {
        for Gone { key, departed } in self.gone.into_inner() {
            self.state.events.emit(&Event {
                tier: Some(Tier::Cold),
                key: &key,
                version: departed.version,
                expires_at: departed.expires_at,
                ..Event::of(event_of(departed.why))
            });
        }
    }
}

impl Host for Rewriting<'_> {
    fn quiesce(&self) {
        self.state.quiesce();
    }

    fn departed(&self, key: &[u8], location: Location, departed: Departed) {
        if !self.state.forget(key, location) {
            return;
        }
        let counter = match departed.why {
            Departure::Expired => Counter::ColdExpirations,
            Departure::Evicted => Counter::ColdEvictions,
        };
        self.state.counters.add(counter, 1);
        if self.state.events.wants(event_of(departed.why)) {
            // Without memory for it nobody is told.
            let _untold = memory::copy(key, "a key that has left").and_then(|key| {
                memory::push(&mut self.gone.lock(), Gone { key, departed }, "keys that have left")
            });
        }
    }

    fn go_on(&self) -> bool {
        (self.go_on)()
    }
}

fn event_of(why: Departure) -> EventKind {
    match why {
        Departure::Expired => EventKind::Expired,
        Departure::Evicted => EventKind::Evicted,
    }
}

impl State {
    /// Makes a call that takes room on the disk. If it is refused because the disk is full, makes
    /// room, on this thread, and makes it again. No lock may be held.
    ///
    /// # Errors
    /// Those of the call; those of making room.
    pub(super) fn with_room<T>(
        &self,
        want: Want,
        mut call: impl FnMut() -> Result<T>,
    ) -> Result<T> {
        let mut tried = 0;
        loop {
            let result = call();
            if !is_full(&result) || tried == TRIES || !self.free_room(want, tried == 0)? {
                return result;
            }
            tried += 1;
        }
    }

    /// False if there is nothing to be had.
    #[cold]
    fn free_room(&self, want: Want, is_first: bool) -> Result<bool> {
        let Some(cold) = &self.cold else { return Ok(false) };
        let host = Rewriting::new(self, &|| true);
        let mut all = Vec::new();
        let made = cold.make_room(want, is_first, &host, &mut |done| all.push(done.clone()));
        host.tell();
        all.iter().for_each(|rewritten| self.tell_compacted(rewritten));
        // Where there is none either, what the call met is what there is to tell.
        if is_full(&made) { Ok(false) } else { made }
    }

    /// Takes a key out of both tiers whose record has ended, unless it has another by now.
    fn forget(&self, key: &[u8], location: Location) -> bool {
        let (Some(cold), Ok(key)) = (&self.cold, self.key(key)) else { return false };
        let stripe = self.stripe(key.hash());
        let mut shard = self.hot.lock(self.hot.shard_index(key.hash()));
        let forgotten = cold.forget(key.hash(), location);
        // An unwritten entry is newer than any record.
        let is_old = shard.peek(&key).is_some_and(|entry| !entry.is_unwritten());
        let removed = if forgotten && is_old { shard.remove(&key) } else { None };
        drop(shard);
        drop(stripe);
        drop(removed);
        forgotten
    }

    pub(super) fn tell_compacted(&self, rewritten: &Rewritten) {
        if !self.events.wants(EventKind::Compacted) {
            return;
        }
        let Rewritten { segment, bytes_before, bytes_after } = rewritten;
        let message = format!("{segment}: {bytes_before} bytes became {bytes_after}");
        self.events.emit(&Event {
            tier: Some(Tier::Cold),
            message: Some(&message),
            ..Event::of(EventKind::Compacted)
        });
    }
}
