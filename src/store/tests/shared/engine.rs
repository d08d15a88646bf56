//! Stores over an engine in memory, each as if on a machine of its own.

pub use crate::cold::tests::remote::{ALL, Fate, Remote, Server, WATCH};
use crate::error::Result;
use crate::io::clock::{ManualClock, SystemClock};
use crate::store::read::RetrieveOptions;
use crate::store::{Options, Store, StoreOptions, Stored, Tier};
use crate::time::{Clock, Timestamp};
use std::sync::Arc;

pub const WHEN: u64 = 1_000_000;

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

    /// Does `call`, which asks the engine for `key`, and `change` before the engine has answered.
    pub fn meanwhile<T: Send>(
        &self,
        key: &[u8],
        call: impl FnOnce() -> T + Send,
        change: impl FnOnce(),
    ) -> T {
        self.pin(key);
        std::thread::scope(|scope| {
            let calling = scope.spawn(call);
            self.server.until_waiting(1);
            change();
            self.let_go();
            calling.join().unwrap()
        })
    }
}

/// A store over the server on the system's clock, for many threads.
pub fn machine(server: &Server, can: u64, text: &[(&str, &str)]) -> Store {
    let remote = Box::new(Remote { server: server.clone(), can });
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    Store::open_engine(remote, "engine", &options(text), clock).unwrap()
}
