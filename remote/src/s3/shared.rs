//! What the calls and the thread of a store share: the bucket, its names, the epoch, and records in them.
//!
//! # Invariants
//! 1. A record that has expired is as if it were not there, for reading and for conditions.
//! 2. A condition is decided by the server, by the ETag of the version; what is compared here only
//!    finds the ETag.
//! 3. As in `redis::epoch`: a change or a find counts if the epoch was known recently enough.

use crate::call::Call;
use crate::clock::now_ms;
use crate::engine::{Change, Done, Found};
use crate::envelope::{BYTES, Envelope};
use crate::fault::{Fault, Kind, Result};
use crate::s3::bucket::{Answer, Bucket, Request};
use crate::s3::http::{Condition, Verb};
use crate::s3::names::Names;
use crate::s3::number;
use crate::s3::tags::Tags;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

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

/// What stands at a key.
enum Stand {
    Nothing,
    /// The tag of what is there, and its envelope.
    Something(String, Envelope),
}

impl Shared {
    /// Of a bucket of which no epoch is known yet; `deletes`: it asks for conditions when it deletes.
    pub fn new(bucket: Bucket, names: Names, deletes: bool, coherence: Duration) -> Self {
        Self {
            bucket,
            names,
            deletes,
            epoch: AtomicU64::new(0),
            asked: Mutex::new(None),
            coherence,
            says_expiring: AtomicBool::new(false),
            tags: Tags::default(),
        }
    }

    /// Asks for the epoch.
    ///
    /// # Errors
    /// As [`Bucket::send`].
    pub fn ask_epoch(&self, call: &Call) -> Result<u64> {
        let asked = Instant::now();
        let (epoch, _) = number::read(&self.bucket, &self.names.own("e"), call)?;
        Ok(self.observe(epoch, Some(asked)))
    }

    /// Takes note of an epoch, which the bucket was asked for at `asked`; gives the newest that is known.
    pub fn observe(&self, epoch: u64, asked: Option<Instant>) -> u64 {
        self.epoch.fetch_max(epoch, Ordering::AcqRel);
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = asked;
        self.epoch.load(Ordering::Acquire)
    }

    fn is_fresh(&self) -> bool {
        let asked = *self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.is_some_and(|asked| asked.elapsed() < self.coherence)
    }

    /// Runs `attempt` with the epoch until it was the right one.
    ///
    /// # Errors
    /// Those of `attempt`, and as [`Shared::ask_epoch`].
    pub fn settled<T>(
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

    /// Finds the record of a key in an epoch; [`Found::Same`] if it still has version `known`.
    ///
    /// # Errors
    /// As [`Bucket::read`].
    pub fn get_in(&self, epoch: u64, key: &[u8], known: u64, call: &Call) -> Result<Found> {
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

    /// Puts `data` at the key of a change in an epoch, if its condition holds.
    ///
    /// # Errors
    /// As [`Bucket::send`].
    pub fn put_in(
        &self,
        epoch: u64,
        change: &Change<'_>,
        data: &[u8],
        call: &Call,
    ) -> Result<Done> {
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

    /// Removes the key of a change in an epoch, if its condition holds.
    ///
    /// # Errors
    /// As [`Bucket::send`].
    pub fn remove_in(&self, epoch: u64, change: &Change<'_>, call: &Call) -> Result<Done> {
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

/// The failure of a server that does not answer as S3 does.
pub fn strange(words: &str) -> Fault {
    Fault::new(Kind::Io, format!("the S3 server: {words}"))
}
