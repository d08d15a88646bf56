//! Drafts: records on their way to the log, and what became of them.

use super::location::Location;
use super::segment::Segment;
use crate::codec::record::{self, Header, Kind};
use crate::memory::Few;
use std::sync::Arc;

/// A record to be appended.
#[derive(Clone, Copy)]
pub struct Draft<'a> {
    /// What it says.
    pub kind: Kind,
    /// The key; empty for kinds without one.
    pub key: &'a [u8],
    /// The key's hash; for `Synced` the offset it vouches for.
    pub hash: u64,
    /// The value; empty for kinds without one.
    pub value: &'a [u8],
    /// Milliseconds since the epoch; 0 for never.
    pub expires_at: u64,
    /// Another live key has the same hash.
    pub collides: bool,
    /// The sequence that was taken for it earlier, or 0 to take one now; for `Synced` the id of the
    /// segment it vouches for.
    pub sequence: u64,
    /// The next draft belongs to the same batch.
    pub chained: bool,
}

impl Draft<'_> {
    /// A record without key and value.
    pub fn marker(kind: Kind, hash: u64) -> Self {
        Self {
            kind,
            key: &[],
            hash,
            value: &[],
            expires_at: 0,
            collides: false,
            sequence: 0,
            chained: false,
        }
    }

    /// The header; its sequence may still be 0.
    pub fn header(&self) -> Header {
        let expiry = self.expires_at.to_le_bytes();
        let expiry = if self.expires_at == 0 { &[][..] } else { &expiry[..] };
        Header {
            kind: self.kind,
            codec: 0,
            expires: self.expires_at != 0,
            collides: self.collides,
            chained: self.chained,
            // The limits were checked at the door.
            key_len: u16::try_from(self.key.len()).unwrap_or(u16::MAX),
            stored_len: u32::try_from(self.value.len()).unwrap_or(u32::MAX),
            body_checksum: record::body_checksum(&[expiry, self.key, self.value]),
            sequence: self.sequence,
            hash: self.hash,
        }
    }
}

/// What became of appended drafts.
pub struct Appended {
    /// The segment that has them all.
    pub segment: Arc<Segment>,
    /// To be given to [`Log::sync_to`].
    pub ticket: u64,
    /// For each draft, in order.
    pub records: Few<(Header, Location)>,
}

/// Appends the record of `draft`, whose header is encoded already, with its padding.
fn encode(head: &[u8], draft: &Draft<'_>, record_bytes: u64, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(head);
    if draft.expires_at != 0 {
        out.extend_from_slice(&draft.expires_at.to_le_bytes());
    }
    out.extend_from_slice(draft.key);
    out.extend_from_slice(draft.value);
    out.resize(start + usize::try_from(record_bytes).unwrap_or(0), 0);
}

/// Appends the records of all `drafts`, as they were placed.
pub fn encode_all(drafts: &[Draft<'_>], appended: &Appended, out: &mut Vec<u8>) {
    for (draft, (header, location)) in drafts.iter().zip(&appended.records) {
        let head = header.encode(appended.segment.place(location.offset()));
        encode(&head, draft, header.record_bytes(), out);
    }
}
