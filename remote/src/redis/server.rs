//! One Redis server: its idle connections, and one exchange with it.

use crate::address::Node;
use crate::call::Call;
use crate::redis::link::{Connector, Link, Trouble};
use crate::redis::resp::{Command, Reply};
use std::sync::{Mutex, PoisonError};

/// A server. Its number never changes, also while it is gone.
#[derive(Debug)]
pub struct Server {
    /// Where it is.
    pub node: Node,
    /// Its number: of the link that tells of its changes.
    pub number: u16,
    idle: Mutex<Vec<Link>>,
    idle_max: usize,
}

impl Server {
    /// A server to which nobody has connected yet; `idle_max` connections are kept.
    pub fn new(node: Node, number: u16, idle_max: usize) -> Self {
        Self { node, number, idle: Mutex::default(), idle_max }
    }

    /// Sends commands that give `replies` answers, on a connection of its own.
    ///
    /// # Errors
    /// `Lost` or `Refused`; the connection is then gone.
    pub fn exchange(
        &self,
        command: &Command,
        replies: usize,
        connector: &Connector,
        call: &Call,
    ) -> Result<Vec<Reply>, Trouble> {
        let mut link = self.take(connector, call)?;
        link.send(command.bytes(), call)?;
        let mut found = Vec::with_capacity(replies);
        for _ in 0..replies {
            found.push(link.receive(call)?);
        }
        self.give(link);
        Ok(found)
    }

    fn take(&self, connector: &Connector, call: &Call) -> Result<Link, Trouble> {
        loop {
            let link = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            match link {
                None => return connector.connect(&self.node, call, false),
                Some(link) if link.is_usable() => return Ok(link),
                Some(_) => {}
            }
        }
    }

    fn give(&self, link: Link) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < self.idle_max {
            idle.push(link);
        }
    }

    /// Closes the idle connections: the server has gone, or is not to be trusted.
    pub fn forget(&self) {
        drop(std::mem::take(&mut *self.idle.lock().unwrap_or_else(PoisonError::into_inner)));
    }
}
