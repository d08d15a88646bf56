//! The engine: every call of the table at Redis.

use crate::address::Node;
use crate::call::Call;
use crate::engine::{
    BATCH, CAS, CLEAR, Change, Done, Engine, Found, LIST_REPEATS, Listing, TTL, WATCH, Watcher,
};
use crate::envelope::{BYTES, Envelope, version_of};
use crate::fault::{Fault, Kind, Result};
use crate::redis::cluster::{Answer, Cluster, Request, unknown};
use crate::redis::epoch::{Epoch, number};
use crate::redis::keeper::Keeper;
use crate::redis::link::{Connector, refusal};
use crate::redis::names::{COPIES, Names, slot_of_key};
use crate::redis::own::Own;
use crate::redis::resp::{Command, Reply};
use crate::redis::scripts::Scripts;
use crate::redis::shared::{Run, Shared, Stop};
use crate::redis::{list, sweep};
use crate::settings::Settings;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The largest record that Redis takes as it is set up usually, and what is around it.
const RECORD_BYTES_MAX: usize = (512 << 20) - 4096;

/// Versions that a counter gives at once.
const BLOCK: u64 = 4096;

/// Versions at most in one call: blocks that a counter may be ahead of the time.
const VERSIONS_MAX: u64 = 50 * BLOCK;

/// Where the numbers of different counters differ.
const COUNTER_SHIFT: u32 = 58;

/// The largest expiry that Redis can count; what is beyond never expires.
const EXPIRY_MAX: u64 = 1 << 52;

/// A store at a Redis server or cluster.
pub struct RedisStore {
    shared: Arc<Shared>,
    keeper: Keeper,
    /// The counter that answered last.
    counter: AtomicUsize,
}

impl RedisStore {
    /// Connects, learns who has what, and reads the epoch.
    ///
    /// # Errors
    /// `Unavailable` where nobody can be reached or credentials are refused; `InvalidArgument`,
    /// `Unsupported`.
    pub fn open(
        nodes: Vec<Node>,
        is_cluster: bool,
        is_tls: bool,
        name: &str,
        settings: Settings,
    ) -> Result<Self> {
        let call = Call::new(settings.timeout, settings.retries);
        let connector = Connector::new(&settings, is_tls)?;
        let cluster = Cluster::new(nodes, is_cluster, connector, settings.concurrency);
        cluster.learn(&call)?;
        let names = Names::new(name);
        let epoch = Epoch::new(settings.coherence);
        epoch.ask(&cluster, &names, 0, &call)?;
        let (scripts, own, stop) = (Scripts::new(), Own::new(), Stop::default());
        let is_unswept = AtomicBool::new(false);
        let shared = Shared { cluster, names, scripts, epoch, own, settings, is_unswept, stop };
        let shared = Arc::new(shared);
        let keeper = Keeper::start(Arc::clone(&shared))?;
        // Machines begin at different counters.
        let start = crate::clock::now_us() % 16;
        let counter = AtomicUsize::new(usize::try_from(start).unwrap_or_default());
        Ok(Self { shared, keeper, counter })
    }

    /// Runs `attempt` with the epoch until it was the right one.
    fn settled<T>(
        &self,
        slot: u16,
        call: &Call,
        is_change: bool,
        attempt: impl Fn(u64) -> Result<T>,
    ) -> Result<T> {
        let Shared { cluster, names, epoch, .. } = &*self.shared;
        loop {
            let used = epoch.current(cluster, names, slot, call)?;
            let done = attempt(used)?;
            if epoch.is_settled(used) {
                return Ok(done);
            }
            let asked = epoch.ask(cluster, names, slot, call);
            match asked {
                Ok(now) if now == used => return Ok(done),
                Ok(_) => {}
                Err(fault) if is_change => return Err(unknown(fault.words())),
                Err(fault) => return Err(fault),
            }
        }
    }

    fn get_in(&self, epoch: u64, slot: u16, key: &[u8], known: u64, call: &Call) -> Result<Found> {
        let name = self.shared.names.record(epoch, key);
        let reply = if known == 0 {
            let command = Command::of(&[b"GET", &name]);
            let request = Request { slot, command: &command, replies: 1, once: false };
            self.shared.cluster.send(request, call)?.first()
        } else {
            let (script, version) = (&self.shared.scripts.get, known.to_le_bytes());
            let (keys, arguments) = ([&name[..]], [&[&version[..]][..]]);
            let (keys, arguments) = (&keys, &arguments);
            let run = Run { script, slot, keys, arguments, once: false, is_change: false };
            self.shared.run(&run, call)?.first()
        };
        match reply {
            Reply::Nil => Ok(Found::Absent),
            Reply::Int(1) => Ok(Found::Same),
            Reply::Bytes(record) => Envelope::of(&record).map(|_| Found::Record(record, BYTES)),
            Reply::Error(text) => Err(refusal(&text)),
            _ => Err(strange()),
        }
    }

    /// A change without a condition: sent once, by a plain command.
    fn force(&self, epoch: u64, slot: u16, change: &Change<'_>, call: &Call) -> Result<Done> {
        let name = self.shared.names.record(epoch, change.key);
        let mut command;
        match change.data {
            None => command = Command::of(&[b"UNLINK", &name]),
            Some(data) => {
                let expiry = expiry(change);
                command = Command::new(if expiry.is_some() { 5 } else { 3 });
                command.part(b"SET").part(&name).joined(&[&envelope(change), data]);
                if let Some(expiry) = expiry {
                    command.part(b"PXAT").number(expiry);
                }
            }
        }
        let replies = self.shared.wait_for_replicas(&mut command, call);
        let request = Request { slot, command: &command, replies, once: true };
        let answer = self.shared.cluster.send(request, call)?;
        let done = match answer.replies.first() {
            Some(Reply::Text(_) | Reply::Int(1)) => Done::Yes,
            Some(Reply::Int(0)) => Done::Absent,
            Some(Reply::Error(text)) => return Err(refusal(text)),
            _ => return Err(strange()),
        };
        self.shared.check_replicas(&answer)?;
        Ok(done)
    }

    /// Changes on conditions, all or nothing.
    fn decide(&self, epoch: u64, slot: u16, changes: &[Change<'_>], call: &Call) -> Result<Done> {
        let names: Vec<_> =
            changes.iter().map(|change| self.shared.names.record(epoch, change.key)).collect();
        let words: Vec<_> = changes.iter().map(Words::of).collect();
        let mut arguments: Vec<Vec<&[u8]>> = Vec::with_capacity(3 * changes.len());
        for (change, words) in changes.iter().zip(&words) {
            arguments.push(vec![&words.condition]);
            arguments.push(change.data.map_or(Vec::new(), |data| vec![&words.envelope[..], data]));
            arguments.push(vec![words.expiry.as_bytes()]);
        }
        let keys: Vec<&[u8]> = names.iter().map(Vec::as_slice).collect();
        let arguments: Vec<&[&[u8]]> = arguments.iter().map(Vec::as_slice).collect();
        // A late copy is harmless only where it meets a version that never comes again.
        let once = changes.iter().any(|change| matches!(change.if_version, None | Some(0)));
        let script = &self.shared.scripts.write;
        let (keys, arguments) = (&keys[..], &arguments[..]);
        let run = Run { script, slot, keys, arguments, once, is_change: true };
        match self.shared.run(&run, call) {
            Ok(answer) => self.outcome(changes, &answer),
            Err(fault) if fault.kind() == Kind::Timeout => {
                self.look_again(epoch, slot, changes, fault, call)
            }
            Err(fault) => Err(fault),
        }
    }

    fn outcome(&self, changes: &[Change<'_>], answer: &Answer) -> Result<Done> {
        let parts = match answer.replies.first() {
            Some(Reply::List(parts)) => parts.as_slice(),
            Some(Reply::Error(text)) => return Err(refusal(text)),
            _ => return Err(strange()),
        };
        let [Reply::Int(at), Reply::Bytes(said)] = parts else { return Err(strange()) };
        if *at == 0 {
            self.shared.check_replicas(answer)?;
            let is_removal = matches!(changes, [Change { data: None, .. }]);
            return Ok(if is_removal && said == b"0" { Done::Absent } else { Done::Yes });
        }
        let at =
            usize::try_from(*at - 1).ok().and_then(|at| changes.get(at)).ok_or_else(strange)?;
        let has = version_of(said);
        if answer.is_doubtful {
            // An earlier copy may have done it, and another machine may have gone on from there.
            let is_ours = at.data.is_some() && has == at.version;
            let never = "the connection was cut";
            return if is_ours { Ok(Done::Yes) } else { Err(unknown(never)) };
        }
        let is_removal = at.data.is_none() && changes.len() == 1;
        Ok(if is_removal && has == 0 { Done::Absent } else { Done::Conflict })
    }

    /// After an unknown outcome: our version at the key says that it was done.
    fn look_again(
        &self,
        epoch: u64,
        slot: u16,
        changes: &[Change<'_>],
        fault: Fault,
        call: &Call,
    ) -> Result<Done> {
        let Some(change) = changes.iter().find(|change| change.data.is_some()) else {
            return Err(fault);
        };
        if call.is_over() || self.shared.settings.replicas > 0 {
            return Err(fault);
        }
        let name = self.shared.names.record(epoch, change.key);
        let command = Command::of(&[b"GETRANGE", &name, b"0", b"7"]);
        let request = Request { slot, command: &command, replies: 1, once: false };
        match self.shared.cluster.send(request, call).map(Answer::first) {
            Ok(Reply::Bytes(bytes)) if version_of(&bytes) == change.version => Ok(Done::Yes),
            _ => Err(fault),
        }
    }
}

/// What a condition, a record and an expiry are for the script.
struct Words {
    condition: Vec<u8>,
    envelope: [u8; BYTES],
    expiry: String,
}

impl Words {
    fn of(change: &Change<'_>) -> Self {
        let condition = match change.if_version {
            None => b"*".to_vec(),
            Some(0) => Vec::new(),
            Some(version) => version.to_le_bytes().to_vec(),
        };
        let expiry = expiry(change).map(|expiry| expiry.to_string()).unwrap_or_default();
        Self { condition, envelope: envelope(change), expiry }
    }
}

fn envelope(change: &Change<'_>) -> [u8; BYTES] {
    Envelope { version: change.version, expires_at: change.expires_at }.bytes()
}

fn expiry(change: &Change<'_>) -> Option<u64> {
    (change.expires_at != 0 && change.expires_at <= EXPIRY_MAX).then_some(change.expires_at)
}

fn check_size(change: &Change<'_>) -> Result<()> {
    let len = change.data.map_or(0, <[u8]>::len);
    if len + BYTES > RECORD_BYTES_MAX {
        let words = format!("a record of {len} bytes; Redis takes up to 512 MB");
        return Err(Fault::new(Kind::TooLarge, words));
    }
    Ok(())
}

fn strange() -> Fault {
    Fault::new(Kind::Io, "Redis answers what was not asked for")
}

impl Engine for RedisStore {
    fn capabilities(&self) -> u64 {
        let repeats = if self.shared.cluster.is_cluster() { 0 } else { LIST_REPEATS };
        CAS | TTL | WATCH | CLEAR | BATCH | repeats
    }

    fn get(&self, key: &[u8], known_version: u64, call: &Call) -> Result<Found> {
        let slot = slot_of_key(key);
        self.settled(slot, call, false, |epoch| self.get_in(epoch, slot, key, known_version, call))
    }

    fn change(&self, change: &Change<'_>, call: &Call) -> Result<Done> {
        check_size(change)?;
        let slot = slot_of_key(change.key);
        // In front of the request: Redis may tell of it before it answers.
        self.shared.own.add(change.key);
        self.settled(slot, call, true, |epoch| match change.if_version {
            None => self.force(epoch, slot, change, call),
            Some(_) => self.decide(epoch, slot, std::slice::from_ref(change), call),
        })
    }

    fn list(&self, prefix: &[u8], after: &[u8], call: &Call) -> Result<Listing> {
        list::page(&self.shared, prefix, after, call)
    }

    fn clear(&self, call: &Call) -> Result<()> {
        let Shared { cluster, names, scripts, epoch, .. } = &*self.shared;
        epoch.advance(cluster, names, scripts, call)?;
        self.shared.is_unswept.store(true, Ordering::Release);
        Ok(())
    }

    fn versions(&self, count: u64, call: &Call) -> Result<u64> {
        if count == 0 || count > VERSIONS_MAX {
            let words = format!("{count} versions at once; 1 to {VERSIONS_MAX} can be had");
            return Err(Fault::new(Kind::InvalidArgument, words));
        }
        let blocks = count.div_ceil(BLOCK).to_string();
        let start = self.counter.load(Ordering::Relaxed);
        let mut fault = Fault::new(Kind::Unavailable, "no counter of versions can be reached");
        let mut asked = Vec::new();
        for counter in (0..COPIES).map(|step| (start + step) % COPIES) {
            let slot = self.shared.names.copy_slot(counter);
            let owner = self.shared.cluster.owners.owner(slot).map(|server| server.number);
            if call.is_over() || asked.contains(&owner) {
                continue;
            }
            let name = self.shared.names.counter(counter);
            let part = call.part(call.left().mul_f64(0.6));
            let script = &self.shared.scripts.versions;
            // Sent again it takes another range; what is lost of it hurts nobody.
            let (keys, arguments) = (&[&name[..]], &[&[blocks.as_bytes()][..]]);
            let run = Run { script, slot, keys, arguments, once: false, is_change: false };
            match self.shared.run(&run, &part).map(Answer::first) {
                Ok(Reply::Bytes(bytes)) if bytes == b"-1" => {
                    // Faster than the time: others count less far ahead.
                    fault = Fault::new(Kind::Unavailable, "versions are asked for too fast");
                    std::thread::sleep(std::time::Duration::from_millis(1));
                }
                Ok(reply) => {
                    self.counter.store(counter, Ordering::Relaxed);
                    let high = u64::try_from(counter).unwrap_or_default() << COUNTER_SHIFT;
                    return Ok(high + number(&reply)? * BLOCK);
                }
                Err(failed) => {
                    asked.push(owner);
                    fault = failed;
                }
            }
        }
        Err(fault)
    }

    fn write(&self, changes: &[Change<'_>], call: &Call) -> Result<Done> {
        let Some(first) = changes.first() else { return Ok(Done::Yes) };
        let slot = slot_of_key(first.key);
        let is_apart = |change: &Change<'_>| slot_of_key(change.key) != slot;
        if self.shared.cluster.is_cluster() && changes.iter().any(is_apart) {
            let words = "the keys of a batch are at different nodes; a part of the key in braces, \
                         the same for all, keeps them together";
            return Err(Fault::new(Kind::Unsupported, words));
        }
        for change in changes {
            check_size(change)?;
            self.shared.own.add(change.key);
        }
        self.settled(slot, call, true, |epoch| self.decide(epoch, slot, changes, call))
    }

    fn watch(&self, watcher: Arc<dyn Watcher>) -> Result<()> {
        self.keeper.watch(watcher)
    }

    fn sync(&self, _call: &Call) -> Result<()> {
        let words = "Redis acknowledges from memory; remote.replicas waits for replicas";
        Err(Fault::new(Kind::Unsupported, words))
    }

    fn part(&self, key: &[u8]) -> u32 {
        u32::from(slot_of_key(key))
    }

    fn compact(&self, call: &Call) -> Result<()> {
        sweep::sweep(&self.shared, call)
    }
}
