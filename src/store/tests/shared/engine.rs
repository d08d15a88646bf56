//! An engine in memory, with what goes wrong with engines, and stores over it.

use crate::cold::{Capabilities, Changed, Engine, Fetched, Listed, Put, Watcher};
use crate::error::{Error, ErrorKind, Result};
use crate::io::clock::{ManualClock, SystemClock};
use crate::store::read::RetrieveOptions;
use crate::store::{Options, Store, StoreOptions, Stored, Tier};
use crate::time::{Clock, Timestamp};
use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

pub const ALL: u64 = 1 | 2 | 8 | 16 | 32 | 64;
pub const WATCH: u64 = 8;
pub const WHEN: u64 = 1_000_000;

/// What becomes of the next request of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is not made.
    Fails(ErrorKind),
    /// It is made, and the answer is lost.
    Unknown,
    /// It is not made now but when `late` is called, and the answer is lost.
    Late,
}

/// A change that has not arrived yet.
type Late = (Vec<u8>, Option<Vec<u8>>, u64, Option<u64>);

#[derive(Default)]
pub struct State {
    pub records: BTreeMap<Vec<u8>, (Vec<u8>, u64)>,
    pub next_version: u64,
    pub watchers: Vec<Arc<dyn Watcher>>,
    pub fates: Vec<(&'static str, Fate)>,
    pub late: Vec<Late>,
    pub log: Vec<String>,
    /// Keys whose requests wait until they are let go.
    pub held: Vec<Vec<u8>>,
    pub waiting: usize,
}

impl State {
    fn make(&mut self, (key, data, version, if_version): Late) -> Changed {
        let current = self.records.get(&key).map_or(0, |(_, version)| *version);
        if if_version.is_some_and(|wanted| wanted != current) {
            return Changed::Conflict;
        }
        match data {
            Some(data) => drop(self.records.insert(key, (data, version))),
            None if self.records.remove(&key).is_none() => return Changed::Absent,
            None => {}
        }
        Changed::Done
    }
}

/// What the engine, its stores and the test share.
#[derive(Clone, Default)]
pub struct Server(pub Arc<(Mutex<State>, Condvar)>);

/// One machine's way to it.
pub struct Remote {
    pub server: Server,
    pub can: u64,
}

impl Server {
    pub fn with<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        let result = f(&mut self.0.0.lock().unwrap());
        self.0.1.notify_all();
        result
    }

    /// Decides what becomes of the next request of a kind.
    pub fn next(&self, kind: &'static str, fate: Fate) {
        self.with(|state| state.fates.push((kind, fate)));
    }

    /// Lets what was late arrive.
    pub fn late(&self) -> Vec<Changed> {
        self.with(|state| {
            let late = std::mem::take(&mut state.late);
            late.into_iter().map(|change| state.make(change)).collect()
        })
    }

    /// The requests since it was asked last.
    pub fn log(&self) -> Vec<String> {
        self.with(|state| std::mem::take(&mut state.log))
    }

    pub fn version_of(&self, key: &[u8]) -> u64 {
        self.with(|state| state.records.get(key).map_or(0, |(_, version)| *version))
    }

    /// Tells all watchers; not under the lock, as they ask nothing.
    pub fn tell(&self, tell: impl Fn(&dyn Watcher)) {
        let watchers = self.with(|state| state.watchers.clone());
        watchers.iter().for_each(|watcher| tell(&**watcher));
    }

    /// Returns once so many requests wait.
    pub fn until_waiting(&self, count: usize) {
        let mut state = self.0.0.lock().unwrap();
        while state.waiting < count {
            state = self.0.1.wait(state).unwrap();
        }
    }

    fn request(&self, kind: &'static str, key: &[u8]) -> Option<Fate> {
        let mut state = self.0.0.lock().unwrap();
        state.log.push(format!("{kind} {}", key.escape_ascii()));
        state.waiting += 1;
        self.0.1.notify_all();
        while state.held.iter().any(|held| held == key) {
            state = self.0.1.wait(state).unwrap();
        }
        state.waiting -= 1;
        let at = state.fates.iter().position(|(other, _)| *other == kind)?;
        Some(state.fates.remove(at).1)
    }

    fn refused(&self, kind: &'static str, key: &[u8]) -> Result<()> {
        match self.request(kind, key) {
            Some(Fate::Fails(why)) => Err(Error::new(why, "as the test has it")),
            Some(_) => Err(Error::new(ErrorKind::Timeout, "as the test has it")),
            None => Ok(()),
        }
    }
}

impl Engine for Remote {
    fn capabilities(&self) -> Capabilities {
        Capabilities(self.can)
    }

    fn get(&self, key: &[u8], known_version: u64, _: Duration) -> Result<Fetched> {
        // Read before it waits: what comes late is old.
        let found = self.server.with(|state| state.records.get(key).cloned());
        self.server.refused("get", key)?;
        Ok(match found {
            None => Fetched::Absent,
            Some((_, version)) if version == known_version => Fetched::Same,
            Some((data, _)) => Fetched::Record(data),
        })
    }

    fn change(&self, put: &Put<'_>, _: Duration) -> Result<Changed> {
        let kind = if put.data.is_some() { "put" } else { "remove" };
        let fate = self.server.request(kind, put.key);
        let data = put.data.map(<[u8]>::to_vec);
        let change = (put.key.to_vec(), data, put.version, put.if_version);
        match fate {
            Some(Fate::Fails(why)) => return Err(Error::new(why, "as the test has it")),
            Some(Fate::Late) => self.server.with(|state| state.late.push(change)),
            Some(Fate::Unknown) => drop(self.server.with(|state| state.make(change))),
            None => return Ok(self.server.with(|state| state.make(change))),
        }
        Err(Error::new(ErrorKind::Timeout, "no answer"))
    }

    fn list(&self, prefix: &[u8], after: &[u8], _: Duration) -> Result<Listed> {
        self.server.refused("list", prefix)?;
        self.server.with(|state| {
            let behind = |key: &&Vec<u8>| after.is_empty() || key.as_slice() > after;
            let keys = state.records.keys().filter(|key| key.starts_with(prefix));
            let keys: Vec<_> = keys.filter(behind).take(3).cloned().collect();
            let next = keys.last().filter(|_| keys.len() == 3).cloned();
            Ok(Listed { keys, next })
        })
    }

    fn clear(&self, _: Duration) -> Result<()> {
        self.server.refused("clear", b"")?;
        self.server.with(|state| state.records.clear());
        Ok(())
    }

    fn versions(&self, count: u64, _: Duration) -> Result<u64> {
        self.server.refused("versions", b"")?;
        self.server.with(|state| {
            state.next_version = state.next_version.max(1_000) + count;
            Ok(state.next_version - count)
        })
    }

    fn write(&self, puts: &[Put<'_>], _: Duration) -> Result<Changed> {
        self.server.refused("write", b"")?;
        self.server.with(|state| {
            let is_met = |put: &Put<'_>| {
                let current = state.records.get(put.key).map_or(0, |(_, version)| *version);
                put.if_version.is_none_or(|wanted| wanted == current)
            };
            if !puts.iter().all(is_met) {
                return Ok(Changed::Conflict);
            }
            for put in puts {
                state.make((put.key.to_vec(), put.data.map(<[u8]>::to_vec), put.version, None));
            }
            Ok(Changed::Done)
        })
    }

    fn watch(&self, watcher: Arc<dyn Watcher>) -> Result<()> {
        self.server.refused("watch", b"")?;
        self.server.with(|state| state.watchers.push(watcher));
        Ok(())
    }

    fn part(&self, key: &[u8]) -> u32 {
        key.first().map_or(0, |first| u32::from(*first))
    }

    fn sync(&self, _: Duration) -> Result<()> {
        self.server.refused("sync", b"")
    }

    fn compact(&self, _: Duration) -> Result<()> {
        self.server.refused("compact", b"")
    }

    fn retries(&self) -> u64 {
        0
    }
}

pub fn options(text: &[(&str, &str)]) -> Options {
    let mut options = Options::default();
    text.iter().for_each(|(name, value)| options.set(name, value).unwrap());
    options
}

/// A store over the server, whose background thread finds nothing to do, and its clock.
pub struct Machine {
    pub server: Server,
    pub store: Store,
    pub clock: Arc<ManualClock>,
}

impl Machine {
    pub fn over(server: &Server, can: u64, text: &[(&str, &str)]) -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp(WHEN)));
        clock.elapse(50_000);
        let remote = Box::new(Remote { server: server.clone(), can });
        let store = Store::open_engine(remote, "engine", &options(text), clock.clone()).unwrap();
        Self { server: server.clone(), store, clock }
    }

    /// One whose link is alive.
    pub fn watching(text: &[(&str, &str)]) -> Self {
        let machine = Self::over(&Server::default(), ALL, text);
        machine.alive();
        machine
    }

    /// One whose engine tells of nothing.
    pub fn leasing(text: &[(&str, &str)]) -> Self {
        Self::over(&Server::default(), ALL & !WATCH, text)
    }

    pub fn alive(&self) {
        self.server.tell(|watcher| watcher.alive(0, 0));
    }

    pub fn put(&self, key: &[u8], value: &[u8]) -> u64 {
        self.store.store(key, value).unwrap().value
    }

    pub fn put_if(&self, key: &[u8], value: &[u8], if_version: u64) -> Result<Stored> {
        let options = StoreOptions { if_version: Some(if_version), ..StoreOptions::default() };
        self.store.store_with(key, value, &options).map(|answer| answer.value)
    }

    pub fn get(&self, key: &[u8]) -> Option<(Vec<u8>, Tier)> {
        let found = self.store.retrieve(key).unwrap().value;
        found.map(|value| (value.data().to_vec(), value.tier()))
    }

    pub fn get_fresh(&self, key: &[u8]) -> Option<(Vec<u8>, Tier)> {
        let options = RetrieveOptions { fresh: true, ..RetrieveOptions::default() };
        let found = self.store.retrieve_with(key, options).unwrap().value;
        found.map(|value| (value.data().to_vec(), value.tier()))
    }

    /// What another machine stores under a key, without a word to anybody; its version.
    pub fn other_stores(&self, key: &[u8], value: &[u8]) -> u64 {
        self.other_stores_until(key, value, 0)
    }

    pub fn other_stores_until(&self, key: &[u8], value: &[u8], expires_at: u64) -> u64 {
        use crate::codec::compress::{Compression, Compressor};
        let mut compressor = Compressor::new(Compression::None).unwrap();
        self.server.with(|state| {
            state.next_version = state.next_version.max(1_000) + 1;
            let version = state.next_version - 1;
            let record =
                crate::codec::remote::encode(key, value, version, expires_at, &mut compressor);
            state.records.insert(key.to_vec(), (record.unwrap(), version));
            version
        })
    }

    /// The same, and everybody is told.
    pub fn other_stores_and_tells(&self, key: &[u8], value: &[u8]) -> u64 {
        let version = self.other_stores(key, value);
        self.server.tell(|watcher| watcher.key(key, version));
        version
    }

    /// How often the engine was asked for something since this was called last.
    pub fn asked(&self, kind: &str) -> usize {
        self.server.log().iter().filter(|line| line.starts_with(kind)).count()
    }

    pub fn pin(&self, key: &[u8]) {
        self.server.with(|state| state.held.push(key.to_vec()));
    }

    pub fn let_go(&self) {
        self.server.with(|state| state.held.clear());
    }
}

/// A store over the server on the system's clock, for many threads.
pub fn machine(server: &Server, can: u64, text: &[(&str, &str)]) -> Store {
    let remote = Box::new(Remote { server: server.clone(), can });
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    Store::open_engine(remote, "engine", &options(text), clock).unwrap()
}
