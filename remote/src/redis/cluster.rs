//! Requests find their way: to the owner of the slot, behind it when it moves, again when it failed
//! and that can do no harm.
//!
//! # Invariants
//! 1. A request that must not be sent twice is not sent again once it can have been carried out.
//! 2. Everything ends with the call's deadline.

use crate::address::{Node, node};
use crate::call::Call;
use crate::fault::{Fault, Kind, Result};
use crate::redis::link::{Connector, Trouble, is_busy, refusal};
use crate::redis::names::SLOTS;
use crate::redis::owners::Owners;
use crate::redis::resp::{Command, Reply};
use crate::redis::server::Server;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Redirections that one request follows: more is a circle.
const REDIRECTIONS_MAX: u32 = 8;

/// One server is asked for the owners no longer than this.
const LEARN_TIMEOUT: Duration = Duration::from_millis(300);

/// The owners are not asked for more often.
const LEARN_INTERVAL: Duration = Duration::from_millis(50);

/// All servers of a store.
pub struct Cluster {
    /// Who has what.
    pub owners: Owners,
    /// How connections are made.
    pub connector: Connector,
    seeds: Vec<Node>,
    is_cluster: bool,
    /// When the owners were asked for last.
    learnt: Mutex<Option<Instant>>,
    is_stale: AtomicBool,
}

/// What is sent.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The slot of its keys.
    pub slot: u16,
    /// One command, or several in a row of which the first decides.
    pub command: &'a Command,
    /// How many answers come.
    pub replies: usize,
    /// A second copy could do harm.
    pub once: bool,
}

/// What has come back.
#[derive(Debug)]
pub struct Answer {
    /// As many as were asked for.
    pub replies: Vec<Reply>,
    /// An earlier copy of the request may have been carried out, too, before or after.
    pub is_doubtful: bool,
}

impl Answer {
    /// The first answer, which decides.
    pub fn first(self) -> Reply {
        self.replies.into_iter().next().unwrap_or(Reply::Nil)
    }
}

/// Where a server sends a request instead.
enum Redirection {
    Moved(u16, String),
    Ask(u16, String),
}

impl Cluster {
    /// Of `seeds`; nobody is asked yet.
    pub fn new(seeds: Vec<Node>, is_cluster: bool, connector: Connector, idle_max: usize) -> Self {
        let owners = Owners::new(&seeds, idle_max);
        if let (false, Some(seed)) = (is_cluster, seeds.first()) {
            owners.learn(&[(0, SLOTS - 1, owners.server_at(seed))]);
        }
        let (learnt, is_stale) = (Mutex::new(None), AtomicBool::new(is_cluster));
        Self { owners, connector, seeds, is_cluster, learnt, is_stale }
    }

    /// True if several servers divide the slots.
    pub fn is_cluster(&self) -> bool {
        self.is_cluster
    }

    /// True if the owners should be asked for.
    pub fn is_stale(&self) -> bool {
        self.is_stale.load(Ordering::Acquire)
    }

    /// Sends a request and follows it.
    ///
    /// # Errors
    /// `Timeout` if it can have been carried out, `Unavailable` if it certainly was not; what Redis
    /// says against it.
    pub fn send(&self, request: Request<'_>, call: &Call) -> Result<Answer> {
        let mut is_doubtful = false;
        let mut redirections = 0;
        let mut asking: Option<Arc<Server>> = None;
        loop {
            let target = asking.clone().or_else(|| self.owners.owner(request.slot));
            let Some(server) = target else {
                self.try_again(&unowned(request.slot), is_doubtful, call)?;
                continue;
            };
            let is_asking = asking.take().is_some();
            match self.exchange(&server, request, is_asking, call) {
                Ok(replies) => match redirection(&replies) {
                    Some(_) if redirections == REDIRECTIONS_MAX => {
                        return Err(ended("its servers send it in circles", is_doubtful, false));
                    }
                    Some(Redirection::Moved(slot, to)) => {
                        redirections += 1;
                        self.owners.moved(slot, &self.named(&to, &server)?);
                        self.is_stale.store(true, Ordering::Release);
                    }
                    Some(Redirection::Ask(slot, to)) => {
                        redirections += 1;
                        self.owners.moving(slot);
                        asking = Some(self.named(&to, &server)?);
                    }
                    None => match replies.first() {
                        Some(Reply::Error(text)) if is_busy(text) => {
                            let why = format!("{}: {}", server.node, refusal(text));
                            self.try_again(&why, is_doubtful, call)?;
                        }
                        _ => return Ok(Answer { replies, is_doubtful }),
                    },
                },
                Err(Trouble::Refused(fault)) => {
                    let words = format!("{}: {}", server.node, fault.words());
                    return Err(Fault::new(fault.kind(), words));
                }
                Err(Trouble::Lost { maybe_done, is_late, words }) => {
                    server.forget();
                    let why = format!("{}: {words}", server.node);
                    if maybe_done && request.once {
                        return Err(unknown(&why));
                    }
                    is_doubtful |= maybe_done;
                    if is_late && call.is_over() {
                        self.is_stale.store(true, Ordering::Release);
                        return Err(ended(&why, is_doubtful, is_late));
                    }
                    self.try_again(&why, is_doubtful, call)?;
                }
            }
        }
    }

    fn exchange(
        &self,
        server: &Server,
        request: Request<'_>,
        is_asking: bool,
        call: &Call,
    ) -> std::result::Result<Vec<Reply>, Trouble> {
        if !is_asking {
            return server.exchange(request.command, request.replies, &self.connector, call);
        }
        let mut command = Command::of(&[b"ASKING"]);
        command.append(request.command);
        let mut replies = server.exchange(&command, request.replies + 1, &self.connector, call)?;
        replies.remove(0);
        Ok(replies)
    }

    /// Waits and learns the owners anew; the failure if there is no other try.
    fn try_again(&self, why: &str, is_doubtful: bool, call: &Call) -> Result<()> {
        self.is_stale.store(true, Ordering::Release);
        if !call.again() {
            return Err(ended(why, is_doubtful, call.is_over()));
        }
        // What it fails of is what made it necessary.
        drop(self.learn(call));
        Ok(())
    }

    /// Asks the servers for the owners of all slots, one after the other until one answers.
    ///
    /// # Errors
    /// `Unavailable` if none does, `Unsupported` if they are no cluster.
    pub fn learn(&self, call: &Call) -> Result<()> {
        if !self.is_cluster {
            self.is_stale.store(false, Ordering::Release);
            return Ok(());
        }
        // Whoever comes meanwhile goes on with what is known.
        let Ok(mut learnt) = self.learnt.try_lock() else {
            return Ok(());
        };
        if learnt.is_some_and(|at| at.elapsed() < LEARN_INTERVAL) {
            return Ok(());
        }
        let servers = self.owners.servers();
        let (masters, others): (Vec<_>, Vec<_>) =
            servers.into_iter().partition(|server| self.owners.owns_any(server));
        let mut last = Fault::new(Kind::Unavailable, "no server is known");
        let rest =
            others.into_iter().chain(self.seeds.iter().map(|seed| self.owners.server_at(seed)));
        for server in masters.into_iter().chain(rest) {
            if call.is_over() {
                break;
            }
            match self.learn_from(&server, &call.part(LEARN_TIMEOUT.min(call.left() / 2))) {
                Ok(()) => {
                    *learnt = Some(Instant::now());
                    self.is_stale.store(false, Ordering::Release);
                    return Ok(());
                }
                Err(fault) => last = Fault::new(fault.kind(), format!("{}: {fault}", server.node)),
            }
        }
        *learnt = Some(Instant::now());
        Err(last)
    }

    fn learn_from(&self, server: &Server, call: &Call) -> Result<()> {
        let command = Command::of(&[b"CLUSTER", b"SLOTS"]);
        match server.exchange(&command, 1, &self.connector, call) {
            Ok(replies) => match replies.into_iter().next() {
                Some(Reply::List(ranges)) => {
                    let ranges: Vec<_> =
                        ranges.iter().filter_map(|range| self.range(range, server)).collect();
                    if ranges.is_empty() {
                        return Err(Fault::new(Kind::Unavailable, "the cluster has no slots"));
                    }
                    self.owners.learn(&ranges);
                    Ok(())
                }
                Some(Reply::Error(text)) if text.contains("cluster support disabled") => {
                    let words = "it is no cluster; the path of one server begins with redis://";
                    Err(Fault::new(Kind::Unsupported, words))
                }
                Some(Reply::Error(text)) => Err(refusal(&text)),
                _ => Err(Fault::new(Kind::Io, "it answers what is no list of slots")),
            },
            Err(Trouble::Refused(fault)) => Err(fault),
            Err(Trouble::Lost { words, .. }) => {
                server.forget();
                Err(Fault::new(Kind::Unavailable, words))
            }
        }
    }

    /// First, last, and the master: its host, its port and more.
    fn range(&self, range: &Reply, asked: &Server) -> Option<(u16, u16, Arc<Server>)> {
        let Reply::List(parts) = range else { return None };
        let [Reply::Int(first), Reply::Int(last), Reply::List(master), ..] = parts.as_slice()
        else {
            return None;
        };
        let [host, Reply::Int(port), ..] = master.as_slice() else { return None };
        let host = match host {
            Reply::Bytes(bytes) => String::from_utf8(bytes.clone()).ok()?,
            _ => String::new(),
        };
        // A server that does not know its own address means the one it was asked at.
        let is_unknown = host.is_empty() || host == "?";
        let host = if is_unknown { asked.node.host.clone() } else { host };
        let server = self.owners.server_at(&Node { host, port: u16::try_from(*port).ok()? });
        Some((u16::try_from(*first).ok()?, u16::try_from(*last).ok()?, server))
    }

    /// The server that a redirection names.
    fn named(&self, to: &str, from: &Server) -> Result<Arc<Server>> {
        let (host, port) = to.rsplit_once(':').unwrap_or(("", to));
        let host = if host.is_empty() { &from.node.host } else { host };
        let bracketed = host.contains(':') && !host.starts_with('[');
        let text = if bracketed { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        let node = node(&text).map_err(|_| {
            let words = format!("{}: it sends requests to no address", from.node);
            Fault::new(Kind::Unavailable, words)
        })?;
        Ok(self.owners.server_at(&node))
    }
}

fn redirection(replies: &[Reply]) -> Option<Redirection> {
    let Some(Reply::Error(text)) = replies.first() else { return None };
    let mut words = text.split(' ');
    let (kind, slot, to) = (words.next()?, words.next()?, words.next()?);
    let slot = slot.parse().ok().filter(|slot| *slot < SLOTS)?;
    match kind {
        "MOVED" => Some(Redirection::Moved(slot, to.to_owned())),
        "ASK" => Some(Redirection::Ask(slot, to.to_owned())),
        _ => None,
    }
}

fn unowned(slot: u16) -> String {
    format!("no server of the cluster has slot {slot}")
}

/// The failure after which nobody knows whether it was done.
pub fn unknown(why: &str) -> Fault {
    Fault::new(Kind::Timeout, format!("{why}; whether it was done is unknown"))
}

fn ended(why: &str, is_doubtful: bool, is_late: bool) -> Fault {
    match (is_doubtful, is_late) {
        (true, _) => unknown(why),
        (false, true) => Fault::new(Kind::Unavailable, format!("{why}; the time is over")),
        (false, false) => Fault::new(Kind::Unavailable, why),
    }
}
