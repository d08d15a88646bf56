//! What a clear has left: records of old epochs, which nobody sees and which take room.
//!
//! One machine sweeps at a time; whoever has cleared begins, and whoever is asked to compact.

use crate::call::Call;
use crate::fault::{Fault, Kind, Result};
use crate::redis::cluster::Request;
use crate::redis::link::{Trouble, refusal};
use crate::redis::names::slot_of_name;
use crate::redis::resp::{Command, Reply};
use crate::redis::server::Server;
use crate::redis::shared::Shared;
use std::time::Duration;

/// For so long nobody else sweeps.
const HELD_MS: u64 = 60_000;

/// Keys that are looked at in one step.
const STEP: u64 = 500;

/// One step takes no longer: whoever closes the store waits for it.
const STEP_TIMEOUT: Duration = Duration::from_secs(1);

/// A pause between steps: others have the server then.
const PAUSE: Duration = Duration::from_millis(2);

/// Removes all records of old epochs, if nobody else is at it.
///
/// # Errors
/// As `Engine::compact`; what was not swept stays unseen.
pub fn sweep(shared: &Shared, call: &Call) -> Result<()> {
    let now = shared.epoch.ask(&shared.cluster, &shared.names, 0, &call.part(STEP_TIMEOUT))?;
    let held = shared.names.sweeping();
    let mut command = Command::new(6);
    command.part(b"SET").part(&held).part(b"1").part(b"NX").part(b"PX").number(HELD_MS);
    let request = Request { slot: slot_of_name(&held), command: &command, replies: 1, once: false };
    match shared.cluster.send(request, &call.part(STEP_TIMEOUT))?.first() {
        Reply::Nil => return Ok(()),
        Reply::Error(text) => return Err(refusal(&text)),
        _ => {}
    }
    let servers = shared.cluster.owners.servers();
    let masters = servers.iter().filter(|server| shared.cluster.owners.owns_any(server));
    let swept = masters.map(|server| walk(shared, server, now, call)).collect::<Result<Vec<_>>>();
    let command = Command::of(&[b"UNLINK", &held]);
    let request = Request { slot: slot_of_name(&held), command: &command, replies: 1, once: false };
    shared.cluster.send(request, &call.part(STEP_TIMEOUT))?;
    swept.map(drop)
}

fn walk(shared: &Shared, server: &Server, now: u64, call: &Call) -> Result<()> {
    let pattern = format!("{}*", shared.names.records());
    let mut cursor = 0;
    loop {
        let mut command = Command::new(6);
        command.part(b"SCAN").number(cursor).part(b"MATCH").part(pattern.as_bytes());
        command.part(b"COUNT").number(STEP);
        let reply = ask(shared, server, &command, 1, call)?.into_iter().next();
        let Some(Reply::List(parts)) = reply else { return Err(strange()) };
        let [next, Reply::List(names)] = parts.as_slice() else { return Err(strange()) };
        cursor = crate::redis::epoch::number(next)?;
        let old: Vec<&[u8]> = names.iter().filter_map(|name| old(shared, name, now)).collect();
        if !old.is_empty() {
            // One command each: the names are in different slots.
            let mut command = Command::default();
            for name in &old {
                command.begin(2);
                command.part(b"UNLINK").part(name);
            }
            // What has moved away meanwhile is refused, and swept at its new place or next time.
            ask(shared, server, &command, old.len(), call)?;
        }
        if cursor == 0 {
            return Ok(());
        }
        if shared.stop.wait(PAUSE) || call.is_over() {
            return Err(Fault::new(Kind::Unavailable, "there was no time to sweep all"));
        }
    }
}

/// The name of a record of an epoch before `now`.
fn old<'a>(shared: &Shared, name: &'a Reply, now: u64) -> Option<&'a [u8]> {
    let Reply::Bytes(name) = name else { return None };
    let (epoch, _) = shared.names.key(name)?;
    (epoch < now).then_some(name)
}

fn ask(
    shared: &Shared,
    server: &Server,
    command: &Command,
    replies: usize,
    call: &Call,
) -> Result<Vec<Reply>> {
    let call = call.part(STEP_TIMEOUT);
    server.exchange(command, replies, &shared.cluster.connector, &call).map_err(|trouble| {
        match trouble {
            Trouble::Refused(fault) => fault,
            Trouble::Lost { words, .. } => {
                Fault::new(Kind::Unavailable, format!("{}: {words}", server.node))
            }
        }
    })
}

fn strange() -> Fault {
    Fault::new(Kind::Io, "Redis answers what was not asked for")
}
