//! Which server has which slot, and telling the hot tier whose link tells of it.
//!
//! # Invariants
//! 1. Whoever reads from a new owner of a slot has told of it before: hot then trusts the new
//!    owner's link, and not that of the old one.
//! 2. While a slot moves, its keys are at two servers: it hangs on no link.

use crate::address::Node;
use crate::engine::{LINK_NONE, PART_LAST, Watcher};
use crate::redis::names::SLOTS;
use crate::redis::server::Server;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

/// Nobody has the slot, as far as is known.
const NOBODY: u16 = u16::MAX;

/// For so long a slot that was seen moving hangs on no link.
const MOVING: Duration = Duration::from_secs(5);

/// Servers at most; more are not learnt.
const SERVERS_MAX: usize = 4096;

/// Who has what.
pub struct Owners {
    servers: RwLock<Vec<Arc<Server>>>,
    owner: Box<[AtomicU16]>,
    told: Mutex<Told>,
    idle_max: usize,
}

struct Told {
    watcher: Option<Arc<dyn Watcher>>,
    /// The link of each slot as the watcher knows it.
    links: Vec<u32>,
    moving: HashMap<u16, Instant>,
}

impl Owners {
    /// Of `seeds`, of which nothing else is known.
    pub fn new(seeds: &[Node], idle_max: usize) -> Self {
        let owner = (0..SLOTS).map(|_| AtomicU16::new(NOBODY)).collect();
        let links = vec![0; usize::from(SLOTS)];
        let told = Mutex::new(Told { watcher: None, links, moving: HashMap::new() });
        let owners = Self { servers: RwLock::default(), owner, told, idle_max };
        for seed in seeds {
            owners.server_at(seed);
        }
        owners
    }

    /// All servers that were ever known, in the order of their numbers.
    pub fn servers(&self) -> Vec<Arc<Server>> {
        self.servers.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The server at an address; it is added if it is new.
    pub fn server_at(&self, node: &Node) -> Arc<Server> {
        let known = |servers: &[Arc<Server>]| servers.iter().find(|s| s.node == *node).cloned();
        if let Some(server) = known(&self.servers.read().unwrap_or_else(PoisonError::into_inner)) {
            return server;
        }
        let mut servers = self.servers.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(server) = known(&servers) {
            return server;
        }
        // A cluster that names ever new servers gets the last number for all further ones.
        let number = u16::try_from(servers.len().min(SERVERS_MAX)).unwrap_or(NOBODY - 2);
        let server = Arc::new(Server::new(node.clone(), number, self.idle_max));
        if servers.len() < SERVERS_MAX {
            servers.push(Arc::clone(&server));
        }
        server
    }

    /// The server that has a slot.
    pub fn owner(&self, slot: u16) -> Option<Arc<Server>> {
        let number = self.owner.get(usize::from(slot))?.load(Ordering::Acquire);
        let servers = self.servers.read().unwrap_or_else(PoisonError::into_inner);
        servers.get(usize::from(number)).cloned()
    }

    /// True if `server` has any slot.
    pub fn owns_any(&self, server: &Server) -> bool {
        self.owner.iter().any(|owner| owner.load(Ordering::Relaxed) == server.number)
    }

    /// True if `server` has the slot.
    pub fn owns(&self, server: &Server, slot: u16) -> bool {
        let owner = self.owner.get(usize::from(slot));
        owner.is_some_and(|owner| owner.load(Ordering::Acquire) == server.number)
    }

    /// Learns owners: of ranges of slots, first and last. Slots that are not named keep theirs.
    pub fn learn(&self, ranges: &[(u16, u16, Arc<Server>)]) {
        let mut told = self.told();
        for (first, last, server) in ranges {
            for slot in *first..=(*last).min(SLOTS - 1) {
                self.owner[usize::from(slot)].store(server.number, Ordering::Release);
            }
        }
        told.moving.retain(|_, seen| seen.elapsed() < MOVING);
        self.tell(&mut told);
    }

    /// Learns that a slot has moved for good.
    pub fn moved(&self, slot: u16, server: &Arc<Server>) {
        self.learn(&[(slot, slot, Arc::clone(server))]);
    }

    /// Learns that a slot is on the move.
    pub fn moving(&self, slot: u16) {
        let mut told = self.told();
        told.moving.insert(slot, Instant::now());
        self.tell(&mut told);
    }

    /// From now on `watcher` is told.
    pub fn watch(&self, watcher: Arc<dyn Watcher>) {
        let mut told = self.told();
        watcher.parts(0, PART_LAST, LINK_NONE);
        told.links.fill(LINK_NONE);
        told.watcher = Some(watcher);
        self.tell(&mut told);
    }

    /// Whoever is told.
    pub fn watcher(&self) -> Option<Arc<dyn Watcher>> {
        self.told().watcher.clone()
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells of every run of slots whose link is another one than was told.
    fn tell(&self, told: &mut Told) {
        let Some(watcher) = told.watcher.clone() else {
            return;
        };
        let link =
            |slot: u16, told: &Told| match self.owner[usize::from(slot)].load(Ordering::Acquire) {
                NOBODY => LINK_NONE,
                _ if told.moving.contains_key(&slot) => LINK_NONE,
                number => u32::from(number),
            };
        let mut slot = 0;
        while slot < SLOTS {
            let (first, new) = (slot, link(slot, told));
            let mut differs = false;
            while slot < SLOTS && link(slot, told) == new {
                let known = &mut told.links[usize::from(slot)];
                differs |= *known != new;
                *known = new;
                slot += 1;
            }
            if differs {
                watcher.parts(u32::from(first), u32::from(slot - 1), new);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Heard(Mutex<Vec<(u32, u32, u32)>>);

    impl Watcher for Heard {
        fn key(&self, _: &[u8], _: u64) {}
        fn all(&self, _: u32) {}
        fn alive(&self, _: u32, _: u64) {}
        fn parts(&self, first: u32, last: u32, link: u32) {
            self.0.lock().unwrap().push((first, last, link));
        }
    }

    fn node(port: u16) -> Node {
        Node { host: "h".into(), port }
    }

    #[test]
    fn whoever_watches_is_told_of_every_change_of_owner() {
        let owners = Owners::new(&[node(1)], 1);
        let heard = Arc::new(Heard::default());
        let take = || std::mem::take(&mut *heard.0.lock().unwrap());
        let (a, b) = (owners.server_at(&node(1)), owners.server_at(&node(2)));
        assert_eq!((a.number, b.number), (0, 1));
        owners.watch(heard.clone());
        assert_eq!(take(), [(0, 16_383, LINK_NONE)]);
        owners.learn(&[(0, 99, a.clone()), (100, 16_383, b.clone())]);
        assert_eq!(take(), [(0, 99, 0), (100, 16_383, 1)]);
        owners.learn(&[(0, 99, a.clone()), (100, 16_383, b.clone())]);
        assert_eq!(take(), []);
        owners.moved(7, &b);
        assert_eq!(take(), [(7, 7, 1)]);
        owners.moving(8);
        owners.learn(&[(0, 99, a.clone())]);
        assert_eq!(take(), [(8, 8, LINK_NONE), (0, 7, 0)]);
        assert_eq!(owners.owner(8).unwrap().number, 0);
        assert!(owners.owns(&b, 100) && !owners.owns(&b, 99) && owners.owns_any(&b));
    }
}
