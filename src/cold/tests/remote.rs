//! An engine in memory, with what goes wrong with engines: it is slow, fails, answers unknown, and is
//! changed by others.

use crate::cold::{Capabilities, Changed, Engine, Fetched, Listed, Put, Watcher};
use crate::error::{Error, ErrorKind, Result};
use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

pub const ALL: u64 = 1 | 2 | 8 | 16 | 32 | 64;
pub const WATCH: u64 = 8;

/// What becomes of the next request of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is not made.
    Fails(ErrorKind),
    /// It is made, and the answer is lost.
    Unknown,
    /// It is not made now but when `late` is called, and the answer is lost.
    Late,
    /// Another machine was first.
    Overtaken,
}

/// A change that has not arrived yet.
type Late = (Vec<u8>, Option<Vec<u8>>, u64, Option<u64>);

#[derive(Default)]
pub struct ServerState {
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

impl ServerState {
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
pub struct Server(pub Arc<(Mutex<ServerState>, Condvar)>);

/// One machine's way to it.
pub struct Remote {
    pub server: Server,
    pub can: u64,
}

impl Server {
    pub fn with<T>(&self, f: impl FnOnce(&mut ServerState) -> T) -> T {
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
        let is_change = ["put", "write"].contains(&kind);
        let is_it = |other: &str| other == kind || (is_change && other == "change");
        let at = state.fates.iter().position(|(other, _)| is_it(other))?;
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
            Some(Fate::Overtaken) => return Ok(Changed::Conflict),
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
