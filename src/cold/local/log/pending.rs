//! Pending records: on their way to the log.

use crate::codec::record::{self, Header, Kind};
use crate::cold::local::index::location::Location;
use crate::cold::local::segment::segment::Segment;
use std::sync::Arc;

/// A record to be appended.
pub struct PendingRecord<'a> {
    /// Its header; its sequence is the log's to give.
    pub header: Header,
    /// The sequence that was taken for it earlier, or 0 to take one now; for `Synced` the id of the
    /// segment that was synced.
    pub sequence: u64,
    /// The key; empty for kinds without one.
    pub key: &'a [u8],
    /// The value; empty for kinds without one.
    pub value: &'a [u8],
    /// Milliseconds since the epoch; 0 for never.
    pub expires_at: u64,
    /// Where it stands, once it is appended.
    pub location: Location,
}

impl<'a> PendingRecord<'a> {
    /// A record of that header. The checksum of its body is made here: it costs most of an append, and
    /// needs no lock.
    pub fn new(header: Header, key: &'a [u8], value: Option<&'a [u8]>, expires_at: u64) -> Self {
        let value = value.unwrap_or_default();
        let expiry = expires_at.to_le_bytes();
        let expiry = if header.expires { &expiry[..] } else { &[][..] };
        let body_checksum = record::body_checksum(&[expiry, key, value]);
        let header = Header { body_checksum, ..header };
        Self { header, sequence: 0, key, value, expires_at, location: Location::default() }
    }

    /// A record without key and value.
    pub fn marker(kind: Kind, hash: u64) -> Self {
        Self::new(Header::bare(kind, 0, hash), &[], None, 0)
    }
}

/// What became of appended records.
pub struct Appended {
    /// The segment that has them all.
    pub segment: Arc<Segment>,
    /// To be given to [`Log::sync_to`](super::log::Log::sync_to).
    pub ticket: u64,
}

/// Appends the records of all `records`, which have their places in `segment`, to `out`.
pub fn encode_all(records: &[PendingRecord<'_>], segment: &Segment, out: &mut Vec<u8>) {
    for record in records {
        let start = out.len();
        out.extend_from_slice(&record.header.encode(segment.place(record.location.offset())));
        if record.expires_at != 0 {
            out.extend_from_slice(&record.expires_at.to_le_bytes());
        }
        out.extend_from_slice(record.key);
        out.extend_from_slice(record.value);
        out.resize(start + usize::try_from(record.header.record_bytes()).unwrap_or(0), 0);
    }
}
