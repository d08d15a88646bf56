//! The threads of a store: one learns who has what and sweeps, and one for each server that has
//! slots tells of its changes.

use crate::call::Call;
use crate::engine::Watcher;
use crate::fault::{Fault, Kind, Result};
use crate::quiet::quietly;
use crate::redis::server::Server;
use crate::redis::shared::Shared;
use crate::redis::sweep::sweep;
use crate::redis::watch::Session;
use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

/// How often it is looked whether something is to be done.
const LOOK: Duration = Duration::from_millis(50);

/// How often the owners are asked for when nothing has failed.
const LEARN_INTERVAL: Duration = Duration::from_secs(5);

/// How long one asking, and one sweep, may take.
const LEARN_TIMEOUT: Duration = Duration::from_secs(1);
const SWEEP_TIMEOUT: Duration = Duration::from_secs(3600);

/// Between two attempts to reach a server that should tell.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// Ends all threads when it is dropped, and waits for them.
pub struct Keeper {
    shared: Arc<Shared>,
    threads: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

impl Keeper {
    /// Starts the thread that learns and sweeps.
    ///
    /// # Errors
    /// `Io` if there can be no thread.
    pub fn start(shared: Arc<Shared>) -> Result<Self> {
        let threads = Arc::new(Mutex::new(Vec::new()));
        let keeper = Self { shared, threads };
        let (shared, threads) = (Arc::clone(&keeper.shared), Arc::clone(&keeper.threads));
        keeper.add(thread("hotcold-keeper", move || keep(&shared, &threads))?);
        Ok(keeper)
    }

    /// From now on `watcher` is told.
    ///
    /// # Errors
    /// `Misuse` the second time.
    pub fn watch(&self, watcher: Arc<dyn Watcher>) -> Result<()> {
        if self.shared.cluster.owners.watcher().is_some() {
            return Err(Fault::new(Kind::Misuse, "somebody is told of changes already"));
        }
        self.shared.cluster.owners.watch(watcher);
        Ok(())
    }

    fn add(&self, thread: JoinHandle<()>) {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.shared.stop.set();
        loop {
            let next = self.threads.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some(thread) = next else { return };
            // A thread that has failed is over, too.
            drop(thread.join());
        }
    }
}

fn thread(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    let quiet = move || quietly(run).unwrap_or_default();
    let made = Builder::new().name(name.into()).spawn(quiet);
    made.map_err(|error| Fault::new(Kind::Io, format!("no thread can be made: {error}")))
}

fn keep(shared: &Arc<Shared>, threads: &Mutex<Vec<JoinHandle<()>>>) {
    let mut told: HashSet<u16> = HashSet::new();
    let mut learnt = Instant::now();
    while !shared.stop.wait(LOOK) {
        if shared.cluster.is_stale() || learnt.elapsed() >= LEARN_INTERVAL {
            learnt = Instant::now();
            // It stays stale, and is asked for again.
            drop(shared.cluster.learn(&Call::new(LEARN_TIMEOUT, 0)));
        }
        let_tell(shared, threads, &mut told);
        if shared.is_unswept.swap(false, Ordering::AcqRel)
            && sweep(shared, &Call::new(SWEEP_TIMEOUT, 3)).is_err()
            && !shared.stop.wait(LONGEST_PAUSE)
        {
            shared.is_unswept.store(true, Ordering::Release);
        }
    }
}

/// Starts a thread for each server that has slots and none yet.
fn let_tell(shared: &Arc<Shared>, threads: &Mutex<Vec<JoinHandle<()>>>, told: &mut HashSet<u16>) {
    let Some(watcher) = shared.cluster.owners.watcher() else { return };
    for server in shared.cluster.owners.servers() {
        if told.contains(&server.number) || !shared.cluster.owners.owns_any(&server) {
            continue;
        }
        let number = server.number;
        let (shared, watcher) = (Arc::clone(shared), Arc::clone(&watcher));
        let run = move || tell(&shared, &server, &*watcher);
        if let Ok(thread) = thread("hotcold-watch", run) {
            threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
            told.insert(number);
        }
    }
}

/// Lets one server tell, for as long as the store is open.
fn tell(shared: &Shared, server: &Server, watcher: &dyn Watcher) {
    let mut pause = FIRST_PAUSE;
    while !shared.stop.is_set() {
        if shared.cluster.owners.owns_any(server)
            && let Ok(mut session) = Session::begin(shared, server, watcher)
        {
            pause = FIRST_PAUSE;
            // Why it ended shows in the requests, which fail for the same reason.
            drop(session.run());
            watcher.all(u32::from(server.number));
        }
        if shared.stop.wait(pause) {
            return;
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
