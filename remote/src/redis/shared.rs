//! What the calls and the threads of a store share.

use crate::call::Call;
use crate::fault::{Fault, Kind, Result};
use crate::redis::cluster::{Answer, Cluster, Request};
use crate::redis::epoch::Epoch;
use crate::redis::names::Names;
use crate::redis::own::Own;
use crate::redis::resp::{Command, Reply};
use crate::redis::scripts::{Script, Scripts};
use crate::settings::Settings;
use std::sync::atomic::AtomicBool;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A store at Redis.
pub struct Shared {
    /// Its servers.
    pub cluster: Cluster,
    /// Its names.
    pub names: Names,
    /// Its scripts.
    pub scripts: Scripts,
    /// Its epoch.
    pub epoch: Epoch,
    /// What this process has changed.
    pub own: Own,
    /// What was chosen.
    pub settings: Settings,
    /// Old epochs should be swept.
    pub is_unswept: AtomicBool,
    /// Ends the threads.
    pub stop: Stop,
}

/// A flag that can be waited for.
#[derive(Debug, Default)]
pub struct Stop {
    is_set: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    /// Sets it for ever.
    pub fn set(&self) {
        *self.lock() = true;
        self.changed.notify_all();
    }

    /// True once it is set.
    pub fn is_set(&self) -> bool {
        *self.lock()
    }

    /// Waits for it; true if it is set.
    pub fn wait(&self, most: Duration) -> bool {
        let waited = self.changed.wait_timeout_while(self.lock(), most, |is_set| !*is_set);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.is_set.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A script that is to be run.
#[derive(Clone, Copy)]
pub struct Run<'a> {
    /// Which.
    pub script: &'a Script,
    /// The slot of its keys.
    pub slot: u16,
    /// Its keys.
    pub keys: &'a [&'a [u8]],
    /// Its arguments, each in pieces.
    pub arguments: &'a [&'a [&'a [u8]]],
    /// A second copy could do harm.
    pub once: bool,
    /// Replicas must have what it does.
    pub is_change: bool,
}

impl Shared {
    /// Runs a script by its number, and by its text where a server does not know it: such a server
    /// has done nothing.
    ///
    /// # Errors
    /// As [`Cluster::send`].
    pub fn run(&self, run: &Run<'_>, call: &Call) -> Result<Answer> {
        let answer = self.run_as(run, run.script.by_number(run.keys, run.arguments), call)?;
        let is_unknown = matches!(answer.replies.first(), Some(Reply::Error(text)) if text.starts_with("NOSCRIPT"));
        if !is_unknown {
            return Ok(answer);
        }
        let was_doubtful = answer.is_doubtful;
        let mut answer = self.run_as(run, run.script.by_text(run.keys, run.arguments), call)?;
        answer.is_doubtful |= was_doubtful;
        Ok(answer)
    }

    fn run_as(&self, run: &Run<'_>, mut command: Command, call: &Call) -> Result<Answer> {
        let replies = if run.is_change { self.wait_for_replicas(&mut command, call) } else { 1 };
        let (slot, once) = (run.slot, run.once);
        self.cluster.send(Request { slot, command: &command, replies, once }, call)
    }

    /// Adds a wait for replicas behind a change, if one was chosen; how many answers come then.
    pub fn wait_for_replicas(&self, command: &mut Command, call: &Call) -> usize {
        if self.settings.replicas == 0 {
            return 1;
        }
        // A little less than there is, so that the answer still arrives.
        let wait = u64::try_from(call.left().mul_f64(0.8).as_millis()).unwrap_or(u64::MAX).max(1);
        command.begin(3);
        command.part(b"WAIT").number(u64::from(self.settings.replicas)).number(wait);
        2
    }

    /// Refuses a change that too few replicas have.
    ///
    /// # Errors
    /// `Timeout`: the master has it, and may lose it.
    pub fn check_replicas(&self, answer: &Answer) -> Result<()> {
        let wanted = i64::from(self.settings.replicas);
        match answer.replies.get(1) {
            Some(Reply::Int(have)) if *have < wanted => {
                let words = format!(
                    "the master has the change, but {have} of {wanted} replicas said in time that \
                     they have it"
                );
                Err(Fault::new(Kind::Timeout, words))
            }
            _ => Ok(()),
        }
    }
}
