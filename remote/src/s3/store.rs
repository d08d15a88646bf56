//! The engine: every call of the table at a bucket.
//!
//! # Invariants
//! 1. A record that has expired is as if it were not there, for reading and for conditions.
//! 2. A condition is decided by the server, by the ETag of the version; what is compared here only
//!    finds the ETag.
//! 3. As in `redis::epoch`: a change or a find counts if the epoch was known recently enough.

use crate::call::Call;
use crate::clock::{now_ms, now_us};
use crate::engine::{CAS, CLEAR, Change, DURABLE, Done, Engine, Found, LIST_ORDERED, Listing};
use crate::envelope::{BYTES, Envelope};
use crate::fault::{Fault, Kind, Result};
use crate::s3::bucket::{Answer, Bucket, Request};
use crate::s3::http::{Condition, Http, RECORD_BYTES_MAX, Verb};
use crate::s3::names::{Names, fits};
use crate::s3::reap;
use crate::s3::reaper::Reaper;
use crate::s3::tags::Tags;
use crate::s3::{number, probe};
use crate::settings::Settings;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Probing a server for the first time may take longer than opening usually does.
const PROBE_TIMEOUT: Duration = Duration::from_secs(20);

/// Versions at most in one call.
const VERSIONS_MAX: u64 = 1 << 20;

/// An expiry that says: removed. It is where no condition can be asked of a delete.
const REMOVED: u64 = 1;

/// What the calls and the thread of a store share.
pub struct Shared {
    /// Where it is.
    pub bucket: Bucket,
    /// Its names.
    pub names: Names,
    /// Delete asks for conditions.
    pub deletes: bool,
    epoch: AtomicU64,
    /// When the epoch was asked for last.
    asked: Mutex<Option<Instant>>,
    coherence: Duration,
    /// The bucket says that there are records that expire.
    says_expiring: AtomicBool,
    tags: Tags,
}

/// A store in a bucket.
pub struct S3Store {
    shared: Arc<Shared>,
    reaper: Reaper,
}

/// What stands at a key.
enum Stand {
    Nothing,
    /// The tag of what is there, and its envelope.
    Something(String, Envelope),
}

impl S3Store {
    /// Asks the bucket what it knows of the server, and for the epoch.
    ///
    /// # Errors
    /// `Unavailable` where it cannot be reached or credentials are refused; `Unsupported` where
    /// conditions do not hold; `InvalidArgument`.
    pub fn open(bucket: &str, prefix: &str, settings: &Settings) -> Result<Self> {
        let call = Call::new(settings.timeout, settings.retries);
        let names = Names::new(prefix);
        let bucket = Bucket::new(Http::new(bucket, settings)?);
        // A first look tells within the timeout whether the server is one at all.
        let (epoch, _) = number::read(&bucket, &names.own("e"), &call)?;
        let probing = Call::new(settings.timeout.max(PROBE_TIMEOUT), settings.retries);
        let found = probe::probe(&bucket, &names, &probing)?;
        let shared = Arc::new(Shared {
            bucket,
            names,
            deletes: found.deletes,
            epoch: AtomicU64::new(epoch),
            asked: Mutex::new(None),
            coherence: settings.coherence,
            says_expiring: AtomicBool::new(false),
            tags: Tags::default(),
        });
        let reaper = Reaper::start(Arc::clone(&shared))?;
        Ok(Self { shared, reaper })
    }
}

impl Shared {
    /// Asks for the epoch.
    ///
    /// # Errors
    /// As [`Bucket::send`].
    pub fn ask_epoch(&self, call: &Call) -> Result<u64> {
        let asked = Instant::now();
        let (epoch, _) = number::read(&self.bucket, &self.names.own("e"), call)?;
        Ok(self.observe(epoch, asked))
    }

    fn observe(&self, epoch: u64, asked: Instant) -> u64 {
        self.epoch.fetch_max(epoch, Ordering::AcqRel);
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = Some(asked);
        self.epoch.load(Ordering::Acquire)
    }

    fn is_fresh(&self) -> bool {
        let asked = *self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.is_some_and(|asked| asked.elapsed() < self.coherence)
    }

    /// Runs `attempt` with the epoch until it was the right one.
    fn settled<T>(
        &self,
        call: &Call,
        is_change: bool,
        attempt: impl Fn(u64) -> Result<T>,
    ) -> Result<T> {
        loop {
            let used = match self.is_fresh() {
                true => self.epoch.load(Ordering::Acquire),
                false => self.ask_epoch(call)?,
            };
            let done = attempt(used)?;
            if self.is_fresh() && self.epoch.load(Ordering::Acquire) == used {
                return Ok(done);
            }
            match self.ask_epoch(call) {
                Ok(now) if now == used => return Ok(done),
                Ok(_) => {}
                Err(fault) if is_change => return Err(self.bucket.unknown(fault.words())),
                Err(fault) => return Err(fault),
            }
        }
    }

    /// The envelope at a name, without the record.
    fn look(&self, name: &str, call: &Call) -> Result<Stand> {
        let verb = Verb::Get { first: Some(BYTES) };
        let request = Request { verb, object: name, condition: Condition::Always, once: false };
        match self.bucket.send(request, call)?.answer {
            Answer::Absent => Ok(Stand::Nothing),
            Answer::Done(tag, body) => {
                let envelope = Envelope::of(&body)?;
                self.tags.add(envelope.version, tag.as_deref());
                let tag = tag.ok_or_else(|| strange("it answers without an ETag"))?;
                Ok(Stand::Something(tag, envelope))
            }
            Answer::Same | Answer::Conflict => Err(strange("it answers what was not asked for")),
        }
    }

    fn get_in(&self, epoch: u64, key: &[u8], known: u64, call: &Call) -> Result<Found> {
        let name = self.names.record(epoch, key);
        let tag = if known == 0 { None } else { self.tags.of(known) };
        let condition = tag.as_deref().map_or(Condition::Always, Condition::UnlessTag);
        match self.bucket.read(&name, condition, call)? {
            Answer::Absent => Ok(Found::Absent),
            Answer::Same => Ok(Found::Same),
            Answer::Conflict => Err(strange("it answers what was not asked for")),
            Answer::Done(tag, record) => {
                let envelope = Envelope::of(&record)?;
                if envelope.is_expired(now_ms()) {
                    return Ok(Found::Absent);
                }
                self.tags.add(envelope.version, tag.as_deref());
                let is_same = known != 0 && envelope.version == known;
                Ok(if is_same { Found::Same } else { Found::Record(record, BYTES) })
            }
        }
    }

    fn put_in(&self, epoch: u64, change: &Change<'_>, data: &[u8], call: &Call) -> Result<Done> {
        let name = self.names.record(epoch, change.key);
        if change.expires_at != 0 {
            self.say_expiring(call)?;
        }
        let envelope = Envelope { version: change.version, expires_at: change.expires_at };
        let body = [&envelope.bytes(), data].concat();
        let put = |condition: Condition<'_>, once: bool| {
            let request = Request { verb: Verb::Put(&body), object: &name, condition, once };
            self.bucket.send(request, call)
        };
        let Some(wanted) = change.if_version else {
            if let Answer::Done(tag, _) = put(Condition::Always, true)?.answer {
                self.tags.add(change.version, tag.as_deref());
                return Ok(Done::Yes);
            }
            return Err(strange("it refuses what has no condition"));
        };
        let mut tag = if wanted == 0 { None } else { self.tags.of(wanted) };
        // The first look is spared where the tag is known, or nothing should be there.
        let mut is_looked = tag.is_some() || wanted == 0;
        loop {
            if !is_looked {
                tag = match self.look(&name, call)? {
                    Stand::Nothing if wanted == 0 => None,
                    Stand::Something(tag, has) if matches(has, wanted) => Some(tag),
                    _ => return Ok(Done::Conflict),
                };
            }
            let (condition, once) = match &tag {
                None => (Condition::IfAbsent, true),
                Some(tag) => (Condition::IfTag(tag), false),
            };
            let answered = match put(condition, once) {
                Err(fault) if fault.kind() == Kind::Timeout => {
                    return self.look_again(&name, change, fault, call);
                }
                other => other?,
            };
            match answered.answer {
                Answer::Done(tag, _) => {
                    self.tags.add(change.version, tag.as_deref());
                    return Ok(Done::Yes);
                }
                _ if answered.is_doubtful => {
                    let fault = self.bucket.unknown("the connection was cut");
                    return self.look_again(&name, change, fault, call);
                }
                // Something else is there; it may have expired, or the tag was of another copy.
                _ if is_looked => is_looked = false,
                _ if call.again() => {}
                _ => return Ok(Done::Conflict),
            }
        }
    }

    /// After an unknown outcome: our version at the key says that it was done.
    fn look_again(
        &self,
        name: &str,
        change: &Change<'_>,
        fault: Fault,
        call: &Call,
    ) -> Result<Done> {
        match self.look(name, call) {
            Ok(Stand::Something(_, has)) if has.version == change.version => Ok(Done::Yes),
            _ => Err(fault),
        }
    }

    fn remove_in(&self, epoch: u64, change: &Change<'_>, call: &Call) -> Result<Done> {
        let name = self.names.record(epoch, change.key);
        loop {
            let (tag, has) = match self.look(&name, call)? {
                Stand::Something(tag, has) if !has.is_expired(now_ms()) => (tag, has),
                _ => return Ok(Done::Absent),
            };
            if change.if_version.is_some_and(|wanted| wanted != has.version) {
                return Ok(Done::Conflict);
            }
            let removed = Envelope { version: has.version, expires_at: REMOVED }.bytes();
            let verb = if self.deletes { Verb::Delete } else { Verb::Put(&removed) };
            let condition = Condition::IfTag(&tag);
            // The tag is of this version alone: a late copy meets another one.
            let request = Request { verb, object: &name, condition, once: false };
            let answered = self.bucket.send(request, call)?;
            match answered.answer {
                Answer::Done(..) => return Ok(Done::Yes),
                _ if answered.is_doubtful => {
                    return Err(self.bucket.unknown("the connection was cut"));
                }
                // Somebody was faster: what is there now is another record, or none.
                _ => {}
            }
            if call.is_over() {
                return Err(strange("others change the key all the time"));
            }
        }
    }

    /// Lets the bucket say that there are records that expire, before there is one.
    fn say_expiring(&self, call: &Call) -> Result<()> {
        if self.says_expiring.load(Ordering::Acquire) {
            return Ok(());
        }
        let object = self.names.own("x");
        let (verb, condition) = (Verb::Put(b"1"), Condition::IfAbsent);
        let request = Request { verb, object: &object, condition, once: false };
        self.bucket.send(request, call)?;
        self.says_expiring.store(true, Ordering::Release);
        Ok(())
    }
}

/// True if what is there meets the condition: an expired record counts as none.
fn matches(has: Envelope, wanted: u64) -> bool {
    let is_gone = has.is_expired(now_ms());
    if wanted == 0 { is_gone } else { !is_gone && has.version == wanted }
}

fn strange(words: &str) -> Fault {
    Fault::new(Kind::Io, format!("the S3 server: {words}"))
}

fn check(names: &Names, change: &Change<'_>) -> Result<()> {
    let len = change.data.map_or(0, <[u8]>::len);
    if len + BYTES > RECORD_BYTES_MAX {
        let words = format!("a record of {len} bytes; 4 GiB can be put at once");
        return Err(Fault::new(Kind::TooLarge, words));
    }
    // A later epoch has no more digits than these.
    if !fits(&names.record(u64::MAX >> 16, change.key)) {
        let words = "the name of an object has up to 1024 bytes, and this key would need more";
        return Err(Fault::new(Kind::TooLarge, words));
    }
    Ok(())
}

impl Engine for S3Store {
    fn capabilities(&self) -> u64 {
        CAS | LIST_ORDERED | CLEAR | DURABLE
    }

    fn get(&self, key: &[u8], known_version: u64, call: &Call) -> Result<Found> {
        let shared = &*self.shared;
        if !fits(&shared.names.record(u64::MAX >> 16, key)) {
            return Ok(Found::Absent);
        }
        shared.settled(call, false, |epoch| shared.get_in(epoch, key, known_version, call))
    }

    fn change(&self, change: &Change<'_>, call: &Call) -> Result<Done> {
        let shared = &*self.shared;
        check(&shared.names, change)?;
        shared.settled(call, true, |epoch| match change.data {
            Some(data) => shared.put_in(epoch, change, data, call),
            None => shared.remove_in(epoch, change, call),
        })
    }

    fn list(&self, prefix: &[u8], after: &[u8], call: &Call) -> Result<Listing> {
        let shared = &*self.shared;
        shared.settled(call, false, |epoch| {
            let from = shared.names.record(epoch, prefix);
            // A position is `k` and the key to begin behind, which may be empty.
            let behind = after.split_first().map(|(_, key)| shared.names.record(epoch, key));
            let behind = behind.unwrap_or_default();
            let (found, is_last) = reap::page(&shared.bucket, &from, &behind, call)?;
            let keys = found.iter().filter_map(|name| shared.names.key(name)).map(|(_, key)| key);
            let mut listing = Listing { keys: keys.collect(), next: None, is_last };
            if !is_last {
                listing.next = listing.keys.last().map(|key| [b"k", key.as_slice()].concat());
            }
            Ok(listing)
        })
    }

    fn clear(&self, call: &Call) -> Result<()> {
        let asked = Instant::now();
        let object = self.shared.names.own("e");
        let next = |epoch: u64| (epoch + 1).max(now_ms());
        let (_, epoch) = number::raise(&self.shared.bucket, &object, next, call)?;
        self.shared.observe(epoch, asked);
        self.reaper.wake();
        Ok(())
    }

    fn versions(&self, count: u64, call: &Call) -> Result<u64> {
        if count == 0 || count > VERSIONS_MAX {
            let words = format!("{count} versions at once; 1 to {VERSIONS_MAX} can be had");
            return Err(Fault::new(Kind::InvalidArgument, words));
        }
        let object = self.shared.names.own("v");
        let next = |before: u64| before.max(now_us()) + count;
        let (_, after) = number::raise(&self.shared.bucket, &object, next, call)?;
        Ok(after - count)
    }

    fn sync(&self, _call: &Call) -> Result<()> {
        Ok(())
    }

    fn compact(&self, call: &Call) -> Result<()> {
        reap::reap(&self.shared, &mut String::new(), call)
    }
}
