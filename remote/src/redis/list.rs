//! Pages of keys.
//!
//! In a cluster a page is some whole slots: a server gives the keys of a slot in one command, so
//! that each comes once. Behind each slot a probe asks for a key that is not there: its answer says
//! whether the server had the slot (else MOVED), and all of it (else ASK: the rest is at another).
//! What moves in between is at one of the two when it is looked for in this order.
//!
//! One server without slots is walked with SCAN, which may give a key twice.

use crate::call::Call;
use crate::engine::Listing;
use crate::fault::{Fault, Kind, Result};
use crate::redis::cluster::Request;
use crate::redis::link::{Trouble, refusal};
use crate::redis::names::SLOTS;
use crate::redis::resp::{Command, Reply};
use crate::redis::server::Server;
use crate::redis::shared::Shared;
use std::sync::Arc;

/// Slots whose keys are asked for at once.
const SLOTS_AT_ONCE: u16 = 512;

/// A page has at least so many keys, unless the time is over or there are no more.
const KEYS_WANTED: usize = 1000;

/// More keys than any slot has.
const KEYS_OF_SLOT_MAX: u64 = 1 << 30;

/// Keys that SCAN looks at in one step.
const SCAN_COUNT: u64 = 1000;

/// The page behind `after`.
///
/// # Errors
/// As `Engine::list`; `InvalidArgument` for a position that is none.
pub fn page(shared: &Shared, prefix: &[u8], after: &[u8], call: &Call) -> Result<Listing> {
    let names = &shared.names;
    let epoch = shared.epoch.current(&shared.cluster, names, 0, call)?;
    let start = position(after)?;
    let mut listing = Listing::default();
    let add = |listing: &mut Listing, name: &[u8]| {
        if let Some((of, key)) = names.key(name)
            && of == epoch
            && key.starts_with(prefix)
        {
            listing.keys.push(key.to_vec());
        }
    };
    let next = if shared.cluster.is_cluster() {
        let mut slot = u16::try_from(start).unwrap_or(SLOTS);
        while slot < SLOTS && listing.keys.len() < KEYS_WANTED {
            let (found, behind) = slots(shared, slot, call)?;
            found.iter().for_each(|name| add(&mut listing, name));
            slot = behind;
        }
        (slot < SLOTS).then_some(u64::from(slot))
    } else {
        let mut cursor = start;
        loop {
            let (found, next) = scan(shared, epoch, prefix, cursor, call)?;
            found.iter().for_each(|name| add(&mut listing, name));
            cursor = next;
            let is_enough = listing.keys.len() >= KEYS_WANTED || call.left().is_zero();
            if cursor == 0 || is_enough {
                break;
            }
        }
        (cursor != 0).then_some(cursor)
    };
    listing.is_last = next.is_none();
    listing.next = next.map(|next| next.to_string().into_bytes());
    Ok(listing)
}

fn position(after: &[u8]) -> Result<u64> {
    if after.is_empty() {
        return Ok(0);
    }
    let number = std::str::from_utf8(after).ok().and_then(|text| text.parse().ok());
    number.ok_or_else(|| Fault::new(Kind::InvalidArgument, "after: no position of a listing"))
}

/// The names in the slots from `first` on that the same server has, and the slot behind them.
fn slots(shared: &Shared, first: u16, call: &Call) -> Result<(Vec<Vec<u8>>, u16)> {
    let owners = &shared.cluster.owners;
    loop {
        let Some(server) = owners.owner(first) else {
            retry(shared, "no server of the cluster has some of the slots", call)?;
            continue;
        };
        let last = (first..SLOTS.min(first + SLOTS_AT_ONCE))
            .take_while(|slot| owners.owns(&server, *slot))
            .last()
            .unwrap_or(first);
        let mut command = Command::default();
        for slot in first..=last {
            ask_slot(&mut command, slot);
        }
        let count = 2 * usize::from(last - first + 1);
        match server.exchange(&command, count, &shared.cluster.connector, call) {
            Ok(replies) => {
                if let Some(found) = gather(shared, first, &server, replies, call)? {
                    return Ok((found, last + 1));
                }
            }
            Err(Trouble::Refused(fault)) => return Err(fault),
            Err(Trouble::Lost { words, .. }) => {
                server.forget();
                retry(shared, &format!("{}: {words}", server.node), call)?;
            }
        }
    }
}

fn ask_slot(command: &mut Command, slot: u16) {
    command.begin(4);
    command.part(b"CLUSTER").part(b"GETKEYSINSLOT").number(u64::from(slot));
    command.number(KEYS_OF_SLOT_MAX);
    command.begin(2);
    command.part(b"EXISTS").part(&probe(slot));
}

/// A name in a slot at which nobody puts anything.
fn probe(slot: u16) -> Vec<u8> {
    use std::sync::OnceLock;
    static TAGS: OnceLock<Vec<u32>> = OnceLock::new();
    let tags = TAGS.get_or_init(|| {
        let mut tags = vec![u32::MAX; usize::from(SLOTS)];
        let mut missing = tags.len();
        for number in 0_u32.. {
            let slot = crate::redis::names::slot_of_name(number.to_string().as_bytes());
            let tag = &mut tags[usize::from(slot)];
            if *tag == u32::MAX {
                *tag = number;
                missing -= 1;
            }
            if missing == 0 {
                break;
            }
        }
        tags
    });
    format!("hotcold-nothing/{{{}}}", tags[usize::from(slot)]).into_bytes()
}

/// The names of all slots, also of those that are half somewhere else; none if a slot was not at
/// this server.
fn gather(
    shared: &Shared,
    first: u16,
    server: &Server,
    replies: Vec<Reply>,
    call: &Call,
) -> Result<Option<Vec<Vec<u8>>>> {
    let mut found = Vec::new();
    let mut slot = first;
    let mut replies = replies.into_iter();
    while let (Some(keys), Some(probed)) = (replies.next(), replies.next()) {
        match probed {
            Reply::Int(_) => {}
            Reply::Error(text) if text.starts_with("ASK ") => {
                let other = text.rsplit(' ').next().unwrap_or_default();
                found.extend(half(shared, slot, other, call)?);
            }
            Reply::Error(text) if text.starts_with("MOVED ") => {
                retry(shared, &format!("{}: slots are moving", server.node), call)?;
                return Ok(None);
            }
            Reply::Error(text) if crate::redis::link::is_busy(&text) => {
                retry(shared, &format!("{}: {}", server.node, refusal(&text)), call)?;
                return Ok(None);
            }
            Reply::Error(text) => return Err(refusal(&text)),
            _ => return Err(Fault::new(Kind::Io, "Redis answers what was not asked for")),
        }
        found.extend(names_of(keys)?);
        slot += 1;
    }
    Ok(Some(found))
}

/// The names of a slot that is on its way to another server, as that one has them.
fn half(shared: &Shared, slot: u16, other: &str, call: &Call) -> Result<Vec<Vec<u8>>> {
    let server: Arc<Server> = shared.cluster.owners.server_at(&crate::address::node(other)?);
    let mut command = Command::default();
    ask_slot(&mut command, slot);
    let replies = server.exchange(&command, 2, &shared.cluster.connector, call);
    match replies.map(|replies| replies.into_iter().next()) {
        Ok(Some(keys)) => names_of(keys),
        Ok(None) => Ok(Vec::new()),
        Err(Trouble::Refused(fault)) => Err(fault),
        Err(Trouble::Lost { words, .. }) => Err(Fault::new(Kind::Unavailable, words)),
    }
}

fn names_of(reply: Reply) -> Result<Vec<Vec<u8>>> {
    match reply {
        Reply::List(list) => Ok(list
            .into_iter()
            .filter_map(|name| if let Reply::Bytes(name) = name { Some(name) } else { None })
            .collect()),
        Reply::Error(text) => Err(refusal(&text)),
        _ => Err(Fault::new(Kind::Io, "Redis answers what is no list of keys")),
    }
}

fn retry(shared: &Shared, why: &str, call: &Call) -> Result<()> {
    if !call.again() {
        return Err(Fault::new(Kind::Unavailable, why));
    }
    // What it fails of is what made it necessary.
    drop(shared.cluster.learn(call));
    Ok(())
}

/// One step of SCAN: the names that it found, and where to go on; 0: that was all.
fn scan(
    shared: &Shared,
    epoch: u64,
    prefix: &[u8],
    cursor: u64,
    call: &Call,
) -> Result<(Vec<Vec<u8>>, u64)> {
    // The name of a record is not its key's alone, so that a prefix of the key is looked at here.
    let pattern = format!("{}{epoch:x}/*", shared.names.records());
    let is_plain = !prefix.is_empty() && prefix.iter().all(u8::is_ascii_alphanumeric);
    let mut command = Command::new(6);
    command.part(b"SCAN").number(cursor).part(b"MATCH");
    if is_plain {
        // `{kKEY}` and `tKEY`: whatever stands in front of the key is one or two bytes.
        let pattern = pattern.trim_end_matches('*').as_bytes();
        command.joined(&[pattern, b"*", prefix, b"*"]);
    } else {
        command.part(pattern.as_bytes());
    }
    command.part(b"COUNT").number(SCAN_COUNT);
    let request = Request { slot: 0, command: &command, replies: 1, once: false };
    let reply = shared.cluster.send(request, call)?.first();
    let (next, names) = match reply {
        Reply::List(parts) => match <[Reply; 2]>::try_from(parts) {
            Ok([next, names]) => (crate::redis::epoch::number(&next)?, names_of(names)?),
            Err(_) => return Err(Fault::new(Kind::Io, "Redis answers what is no page")),
        },
        Reply::Error(text) => return Err(refusal(&text)),
        _ => return Err(Fault::new(Kind::Io, "Redis answers what is no page")),
    };
    Ok((names, next))
}
