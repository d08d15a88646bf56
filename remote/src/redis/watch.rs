//! One server tells of changes: a connection on which Redis pushes the names of keys that changed,
//! and on which it is asked again and again whether it is still there.
//!
//! # Invariants
//! 1. Redis may answer a question before it pushes what changed just before it was asked. So it is
//!    asked twice in a row, and when the second answer is here all changes before the first question
//!    have been told.
//! 2. When a connection begins, everything on its link may have changed before; hot is told so
//!    before the link is called alive.
//! 3. The question is one for the epoch, so that a link that is alive has a fresh epoch.

use crate::call::Call;
use crate::engine::{LINK_ALL, Watcher};
use crate::envelope::version_of;
use crate::fault::{Fault, Kind, Result};
use crate::redis::epoch::number;
use crate::redis::link::{Link, Trouble, refusal};
use crate::redis::names::COPIES;
use crate::redis::resp::{Command, Reply};
use crate::redis::server::Server;
use crate::redis::shared::Shared;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How long connecting, and the rest of an answer that has begun, may take.
const STEP_TIMEOUT: Duration = Duration::from_millis(700);

/// A thread looks at least so often whether it is to end.
const LOOK: Duration = Duration::from_millis(50);

/// Own changes are gathered for so long before their versions are asked for: nobody waits for them.
const GATHER: Duration = Duration::from_millis(2);

/// Keys whose versions are asked for at once.
const GATHER_MAX: usize = 512;

/// A connection that tells.
pub struct Session<'a> {
    shared: &'a Shared,
    server: &'a Server,
    watcher: &'a dyn Watcher,
    link: Link,
    /// What was asked and not answered yet, in order.
    asked: VecDeque<Asked>,
    /// Own keys whose versions are to be asked for.
    gathered: Vec<Vec<u8>>,
    gathered_since: Instant,
    next_ping: Instant,
}

enum Asked {
    /// The first of two questions, with the time.
    First(Instant),
    /// The second, with the time of the first.
    Second(Instant),
    /// The version of an own key.
    Version(Vec<u8>),
    /// Nothing that matters.
    Other,
}

impl<'a> Session<'a> {
    /// Connects and asks to be told.
    ///
    /// # Errors
    /// `Unavailable`; `Unsupported` by a Redis before 6.
    pub fn begin(shared: &'a Shared, server: &'a Server, watcher: &'a dyn Watcher) -> Result<Self> {
        let call = Call::new(STEP_TIMEOUT, 0);
        let connector = &shared.cluster.connector;
        let link = connector.connect(&server.node, &call, true).map_err(fault_of)?;
        let now = Instant::now();
        let (asked, gathered) = (VecDeque::new(), Vec::new());
        let (gathered_since, next_ping) = (now, now);
        let mut session =
            Self { shared, server, watcher, link, asked, gathered, gathered_since, next_ping };
        let prefix = shared.names.prefix();
        let command =
            Command::of(&[b"CLIENT", b"TRACKING", b"ON", b"BCAST", b"PREFIX", prefix.as_bytes()]);
        session.link.send(command.bytes(), &call).map_err(fault_of)?;
        loop {
            match session.link.receive(&call).map_err(fault_of)? {
                Reply::Push(_) => {}
                Reply::Error(text) => return Err(refusal(&text)),
                _ => break,
            }
        }
        watcher.all(u32::from(server.number));
        Ok(session)
    }

    /// Tells until the connection is lost or the store is closed.
    ///
    /// # Errors
    /// Why it was lost.
    pub fn run(&mut self) -> Result<()> {
        let interval = self.shared.settings.coherence / 4;
        while !self.shared.stop.is_set() {
            let now = Instant::now();
            if now >= self.next_ping {
                self.check_silence()?;
                self.next_ping = now + interval;
                self.ask_epoch(Asked::First(now))?;
            }
            let is_full = self.gathered.len() >= GATHER_MAX;
            if !self.gathered.is_empty() && (is_full || self.gathered_since.elapsed() >= GATHER) {
                self.ask_versions()?;
            }
            let until_ping = self.next_ping.saturating_duration_since(now);
            let mut most = until_ping.min(LOOK).max(Duration::from_millis(1));
            if !self.gathered.is_empty() {
                // More of them are on the way; a thread that wakes for each would be busy.
                std::thread::sleep(GATHER / 2);
                most = Duration::from_millis(1);
            }
            if self.link.wait(most).map_err(fault_of)? {
                self.take_all()?;
            }
        }
        Ok(())
    }

    /// Refuses a link that owes an answer for longer than one coherence.
    fn check_silence(&self) -> Result<()> {
        let most = self.shared.settings.coherence.max(STEP_TIMEOUT);
        let is_silent = self.asked.iter().any(|asked| match asked {
            Asked::First(at) | Asked::Second(at) => at.elapsed() > most,
            _ => false,
        });
        if is_silent {
            return Err(Fault::new(Kind::Unavailable, "it has not answered for one coherence"));
        }
        Ok(())
    }

    /// Takes what has come, as far as it is here.
    fn take_all(&mut self) -> Result<()> {
        let call = Call::new(STEP_TIMEOUT, 0);
        loop {
            match self.link.receive(&call).map_err(fault_of)? {
                Reply::Push(parts) => self.pushed(parts),
                reply => self.answered(reply)?,
            }
            if !self.link.has_more() {
                return Ok(());
            }
        }
    }

    fn pushed(&mut self, parts: Vec<Reply>) {
        let mut parts = parts.into_iter();
        let kind = parts.next();
        if !matches!(&kind, Some(Reply::Bytes(kind)) if kind == b"invalidate") {
            return;
        }
        let Some(Reply::List(names)) = parts.next() else {
            // Without names: all of the database has gone.
            self.watcher.all(LINK_ALL);
            self.next_ping = Instant::now();
            return;
        };
        for name in names {
            if let Reply::Bytes(name) = name {
                self.changed(name);
            }
        }
    }

    fn changed(&mut self, name: Vec<u8>) {
        if self.shared.names.is_epoch(&name) {
            self.next_ping = Instant::now();
            return;
        }
        let Some((epoch, key)) = self.shared.names.key(&name) else {
            return;
        };
        if epoch != self.shared.epoch.value() {
            return;
        }
        if !self.shared.own.has(key) {
            self.watcher.key(key, 0);
            return;
        }
        if self.gathered.is_empty() {
            self.gathered_since = Instant::now();
        }
        self.gathered.push(name);
    }

    fn answered(&mut self, reply: Reply) -> Result<()> {
        match self.asked.pop_front() {
            Some(Asked::First(at)) => {
                self.learn_epoch(&reply, at)?;
                self.ask_epoch(Asked::Second(at))
            }
            Some(Asked::Second(at)) => {
                self.learn_epoch(&reply, at)?;
                let age = u64::try_from(at.elapsed().as_millis()).unwrap_or(u64::MAX);
                self.watcher.alive(u32::from(self.server.number), age.saturating_add(1));
                Ok(())
            }
            Some(Asked::Version(name)) => {
                if let Some((_, key)) = self.shared.names.key(&name) {
                    let version =
                        if let Reply::Bytes(bytes) = reply { version_of(&bytes) } else { 0 };
                    self.watcher.key(key, version);
                }
                Ok(())
            }
            Some(Asked::Other) => Ok(()),
            None => Err(Fault::new(Kind::Io, "it answers what was not asked")),
        }
    }

    /// Asks for a copy of the epoch that this server has; if it has none, just for an answer.
    fn ask_epoch(&mut self, asked: Asked) -> Result<()> {
        let command = match self.own_copy() {
            Some(copy) => Command::of(&[b"GET", &self.shared.names.epoch(copy)]),
            None => Command::of(&[b"PING"]),
        };
        self.ask(&command, asked)
    }

    fn own_copy(&self) -> Option<usize> {
        let owners = &self.shared.cluster.owners;
        (0..COPIES).find(|copy| owners.owns(self.server, self.shared.names.copy_slot(*copy)))
    }

    fn learn_epoch(&mut self, reply: &Reply, asked: Instant) -> Result<()> {
        // A refusal is an answer, too: the copy has moved away.
        let is_copy = matches!(reply, Reply::Bytes(_) | Reply::Nil);
        let Some(copy) = self.own_copy().filter(|_| is_copy) else {
            return Ok(());
        };
        let value = number(reply)?;
        if self.shared.epoch.observe(value, asked) {
            self.watcher.all(LINK_ALL);
        }
        let known = self.shared.epoch.value();
        if value < known {
            // A failover has lost it, or a clear did not get here.
            let (name, known) = (self.shared.names.epoch(copy), known.to_string());
            let raise = self.shared.scripts.raise.by_text(&[&name], &[&[known.as_bytes()]]);
            self.ask(&raise, Asked::Other)?;
        }
        Ok(())
    }

    fn ask_versions(&mut self) -> Result<()> {
        let mut command = Command::default();
        for name in std::mem::take(&mut self.gathered) {
            command.begin(4);
            command.part(b"GETRANGE").part(&name).part(b"0").part(b"7");
            self.asked.push_back(Asked::Version(name));
        }
        self.link.send(command.bytes(), &Call::new(STEP_TIMEOUT, 0)).map_err(fault_of)
    }

    fn ask(&mut self, command: &Command, asked: Asked) -> Result<()> {
        self.asked.push_back(asked);
        self.link.send(command.bytes(), &Call::new(STEP_TIMEOUT, 0)).map_err(fault_of)
    }
}

fn fault_of(trouble: Trouble) -> Fault {
    match trouble {
        Trouble::Refused(fault) => fault,
        Trouble::Lost { words, .. } => Fault::new(Kind::Unavailable, words),
    }
}
