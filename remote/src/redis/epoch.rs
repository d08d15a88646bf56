//! The epoch: part of the name of every record, so that one change of it clears the store.
//!
//! It has 16 copies whose slots are spread, and the largest counts. Clear changes all of them; a
//! reader needs one. So the store goes on while servers are gone, and clear alone needs all.
//!
//! # Invariants
//! 1. A known epoch only grows, and a new one is never below the time in milliseconds: what a
//!    failover loses does not come back.
//! 2. A change or a find counts if the epoch was the one it used, asked for at most one coherence
//!    before the answer came. A clear that this does not see began within that time, and is not
//!    over before one coherence has passed: the change came before it.

use crate::call::Call;
use crate::engine::LINK_ALL;
use crate::fault::{Fault, Kind, Result};
use crate::redis::cluster::{Cluster, Request};
use crate::redis::names::{COPIES, Names};
use crate::redis::resp::{Command, Reply};
use crate::redis::scripts::Scripts;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What is known of the epoch.
pub struct Epoch {
    value: AtomicU64,
    /// When the last copy that was read was asked for.
    asked: Mutex<Option<Instant>>,
    coherence: Duration,
}

impl Epoch {
    /// Nothing is known yet.
    pub fn new(coherence: Duration) -> Self {
        Self { value: AtomicU64::new(0), asked: Mutex::new(None), coherence }
    }

    /// The largest that was seen.
    pub fn value(&self) -> u64 {
        self.value.load(Ordering::Acquire)
    }

    /// True if `used` is the epoch, and known recently enough.
    pub fn is_settled(&self, used: u64) -> bool {
        self.value() == used && self.is_fresh()
    }

    fn is_fresh(&self) -> bool {
        let asked = *self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.is_some_and(|asked| asked.elapsed() < self.coherence)
    }

    /// Takes note of a copy that was asked for at `asked`; true if the epoch has changed by it.
    pub fn observe(&self, value: u64, asked: Instant) -> bool {
        let before = self.value.fetch_max(value, Ordering::AcqRel);
        let mut known = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_none_or(|known| known < asked) {
            *known = Some(asked);
        }
        before < value
    }

    /// The epoch for a request to `slot`; asks if what is known is too old.
    ///
    /// # Errors
    /// `Unavailable`, `Timeout` if no copy can be read.
    pub fn current(&self, cluster: &Cluster, names: &Names, slot: u16, call: &Call) -> Result<u64> {
        if self.is_fresh() { Ok(self.value()) } else { self.ask(cluster, names, slot, call) }
    }

    /// Asks for the epoch: first a server that has `slot`, because it is needed anyway.
    ///
    /// # Errors
    /// `Unavailable`, `Timeout` if no copy can be read.
    pub fn ask(&self, cluster: &Cluster, names: &Names, slot: u16, call: &Call) -> Result<u64> {
        let owner = cluster.owners.owner(slot);
        let is_near = |copy: &usize| {
            let slot = names.copy_slot(*copy);
            owner.as_ref().is_some_and(|owner| cluster.owners.owns(owner, slot))
        };
        let (near, far): (Vec<_>, Vec<_>) = (0..COPIES).partition(is_near);
        let mut fault = Fault::new(Kind::Unavailable, "the epoch of the store cannot be read");
        // One copy of each server is enough to know whether the server answers.
        let mut asked_servers = Vec::new();
        for copy in near.into_iter().chain(far) {
            let slot = names.copy_slot(copy);
            let server = cluster.owners.owner(slot).map(|server| server.number);
            if call.is_over() || asked_servers.contains(&server) {
                continue;
            }
            asked_servers.push(server);
            let asked = Instant::now();
            match read(cluster, names, copy, &call.part(call.left().mul_f64(0.6))) {
                Ok(value) => {
                    if self.observe(value, asked)
                        && let Some(watcher) = cluster.owners.watcher()
                    {
                        watcher.all(LINK_ALL);
                    }
                    return Ok(self.value());
                }
                Err(failed) => fault = failed,
            }
        }
        Err(fault)
    }

    /// Begins a new epoch: the store is empty then.
    ///
    /// # Errors
    /// `Unavailable` if nothing was changed, `Timeout` if some copies may have been.
    pub fn advance(
        &self,
        cluster: &Cluster,
        names: &Names,
        scripts: &Scripts,
        call: &Call,
    ) -> Result<()> {
        let asked = Instant::now();
        self.ask(cluster, names, 0, call)?;
        let new = (self.value() + 1).max(crate::clock::now_ms());
        for copy in 0..COPIES {
            let raised = raise(cluster, names, scripts, copy, new, call);
            let value = raised.map_err(|fault| match copy {
                0 => fault,
                _ => {
                    Fault::new(Kind::Timeout, format!("{fault}; the store may be cleared in part"))
                }
            })?;
            self.observe(value, asked);
        }
        if let Some(watcher) = cluster.owners.watcher() {
            watcher.all(LINK_ALL);
        }
        Ok(())
    }
}

fn read(cluster: &Cluster, names: &Names, copy: usize, call: &Call) -> Result<u64> {
    let command = Command::of(&[b"GET", &names.epoch(copy)]);
    let slot = names.copy_slot(copy);
    let request = Request { slot, command: &command, replies: 1, once: false };
    number(&cluster.send(request, call)?.first())
}

/// Lifts a copy to `new`.
fn raise(
    cluster: &Cluster,
    names: &Names,
    scripts: &Scripts,
    copy: usize,
    new: u64,
    call: &Call,
) -> Result<u64> {
    let (name, new) = (names.epoch(copy), new.to_string());
    let command = scripts.raise.by_text(&[&name], &[&[new.as_bytes()]]);
    let slot = names.copy_slot(copy);
    let request = Request { slot, command: &command, replies: 1, once: false };
    number(&cluster.send(request, call)?.first())
}

/// The number in a copy; 0 if there is none.
///
/// # Errors
/// `Corrupt` for what is no number, what Redis says.
pub fn number(reply: &Reply) -> Result<u64> {
    match reply {
        Reply::Nil => Ok(0),
        Reply::Bytes(bytes) => {
            let number = std::str::from_utf8(bytes).ok().and_then(|text| text.parse().ok());
            number.ok_or_else(|| Fault::new(Kind::Corrupt, "the epoch or a counter is no number"))
        }
        Reply::Error(text) => Err(crate::redis::link::refusal(text)),
        _ => Err(Fault::new(Kind::Io, "Redis answers what was not asked for")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_only_grows_and_counts_for_one_coherence() {
        let epoch = Epoch::new(Duration::from_millis(200));
        assert!(!epoch.is_settled(0));
        let start = Instant::now();
        assert!(epoch.observe(5, start));
        assert!(epoch.is_settled(5) && !epoch.is_settled(4));
        assert!(!epoch.observe(3, start));
        assert_eq!(epoch.value(), 5);
        assert!(epoch.observe(6, start.checked_sub(Duration::from_secs(1)).unwrap()));
        assert!(epoch.is_settled(6));
        std::thread::sleep(Duration::from_millis(210));
        assert!(!epoch.is_settled(6));
    }
}
