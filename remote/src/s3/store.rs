//! The engine: every call of the table at a bucket.

use crate::call::Call;
use crate::clock::{now_ms, now_us};
use crate::engine::{CAS, CLEAR, Change, DURABLE, Done, Engine, Found, LIST_ORDERED, Listing};
use crate::envelope::BYTES;
use crate::fault::{Fault, Kind, Result};
use crate::s3::bucket::Bucket;
use crate::s3::http::{Http, RECORD_BYTES_MAX};
use crate::s3::names::{Names, fits};
use crate::s3::reap;
use crate::s3::reaper::Reaper;
use crate::s3::shared::Shared;
use crate::s3::{number, probe};
use crate::settings::Settings;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Probing a server for the first time may take longer than opening usually does.
const PROBE_TIMEOUT: Duration = Duration::from_secs(20);

/// Versions at most in one call.
const VERSIONS_MAX: u64 = 1 << 20;

/// A store in a bucket.
pub struct S3Store {
    shared: Arc<Shared>,
    reaper: Reaper,
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
        let shared = Shared::new(bucket, names, found.deletes, settings.coherence);
        let shared = Arc::new(shared);
        shared.observe(epoch, None);
        let reaper = Reaper::start(Arc::clone(&shared))?;
        Ok(Self { shared, reaper })
    }
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
        self.shared.observe(epoch, Some(asked));
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
