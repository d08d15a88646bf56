//! Group commit: threads that wait for a sync at once share one.
//!
//! One of them leads. It syncs for all that have appended by then. The others wait, and later ones
//! gather for the next sync. The threads that a sync has served all go on at once, and most come
//! back soon. So the next leader waits until as many are here as there were at the end of the last
//! sync, but at most for half as long as that took. (`commit_delay` of PostgreSQL does the same,
//! and has to be told both numbers.)

use crate::error::Result;
use crate::io::stopwatch::{Deadline, Stopwatch};
use crate::sync::{Condvar, Mutex};
use std::time::Duration;

/// A leader never waits for others longer than this.
const GATHER_MAX: Duration = Duration::from_millis(1);

/// Lets one thread sync for many.
#[derive(Default)]
pub struct Syncer {
    group: Mutex<Group>,
    synced: Condvar,
    joined: Condvar,
}

#[derive(Default)]
struct Group {
    /// Every append up to this ticket survives power loss.
    synced: u64,
    has_leader: bool,
    /// The leader waits for others.
    is_gathering: bool,
    /// Threads that are here.
    waiting: usize,
    /// How many were here when the last sync ended.
    crowd: usize,
    /// How long it took.
    lasted: Duration,
}

impl Syncer {
    /// Returns once the append with that ticket survives power loss. `sync` makes what was appended
    /// so far survive it, and gives the last ticket of that; only a leader calls it.
    ///
    /// # Errors
    /// What `sync` gives.
    pub fn reach(&self, ticket: u64, sync: impl FnOnce() -> Result<u64>) -> Result<()> {
        let mut group = self.group.lock();
        group.waiting += 1;
        // To notify is a call to the kernel, whether anybody waits or not.
        if group.is_gathering && group.waiting >= group.crowd {
            self.joined.notify_one();
        }
        while group.has_leader && group.synced < ticket {
            group = self.synced.wait(group);
        }
        if group.synced >= ticket {
            group.waiting -= 1;
            return Ok(());
        }
        group.has_leader = true;
        let deadline = Deadline::after(GATHER_MAX.min(group.lasted / 2));
        group.is_gathering = true;
        while group.waiting < group.crowd
            && let Some(left) = deadline.left().filter(|left| !left.is_zero())
        {
            group = self.joined.wait_for(group, left);
        }
        group.is_gathering = false;
        drop(group);
        let _leader = Leader { syncer: self, since: Stopwatch::start() };
        let synced = sync()?;
        let mut group = self.group.lock();
        group.synced = group.synced.max(synced);
        Ok(())
    }
}

/// The thread that syncs, until it is done or has panicked: others go on then.
struct Leader<'a> {
    syncer: &'a Syncer,
    since: Stopwatch,
}

impl Drop for Leader<'_> {
    fn drop(&mut self) {
        let mut group = self.syncer.group.lock();
        group.crowd = group.waiting;
        group.lasted = self.since.elapsed();
        group.has_leader = false;
        group.waiting -= 1;
        if group.waiting > 0 {
            self.syncer.synced.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn nobody_returns_before_a_sync_that_began_after_its_append() {
        let (syncer, appended, syncs) = (Syncer::default(), AtomicU64::new(0), AtomicU64::new(0));
        let on_disk = AtomicU64::new(0);
        let sync = || {
            let until = appended.load(Ordering::SeqCst);
            std::thread::sleep(Duration::from_micros(100));
            on_disk.fetch_max(until, Ordering::SeqCst);
            syncs.fetch_add(1, Ordering::SeqCst);
            Ok(until)
        };
        let store = || {
            let ticket = appended.fetch_add(1, Ordering::SeqCst) + 1;
            syncer.reach(ticket, sync).unwrap();
            assert!(on_disk.load(Ordering::SeqCst) >= ticket);
        };
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..100).for_each(|_| store()));
            }
        });
        assert!(syncs.load(Ordering::SeqCst) < 800, "each thread has synced for itself");
        // What is synced already needs no other.
        syncer.reach(1, || unreachable!()).unwrap();
    }

    #[test]
    fn who_waits_for_a_sync_that_fails_tries_itself() {
        let syncer = Syncer::default();
        let failed = || Err(crate::error::Error::new(crate::error::ErrorKind::Io, "failed"));
        assert!(syncer.reach(1, failed).is_err());
        assert!(syncer.reach(1, failed).is_err());
        syncer.reach(1, || Ok(1)).unwrap();
    }
}
