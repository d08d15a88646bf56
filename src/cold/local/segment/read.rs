//! Reading one record at a location: one positioned read, verified before anything is believed.

use super::segment::Segment;
use crate::buffer::Buffer;
use crate::codec::checksum::Running;
use crate::codec::compress::decompress;
use crate::codec::record::{HEADER_BYTES, Header, Kind, split_compressed};
use crate::cold::local::index::location::Location;
use crate::error::{Error, ErrorKind, Result};
use crate::key::{Key, KeyHasher};
use crate::memory;
use crate::sync::{Mutex, STRIPES, stripe};
use std::ops::Range;

/// A record up to this bound is read in one piece, into memory that is kept; of a longer one the header is read first, so
/// that what its class adds to its length is neither read nor allocated.
const ONE_READ_BYTES: u64 = 64 << 10;

/// What a read of a key alone takes with it: enough for most keys.
const KEY_GUESS_BYTES: usize = 128;

/// A value as it was found, in a buffer that has its key too.
pub struct StoredValue {
    /// The shared bytes.
    pub buffer: Buffer,
    /// Where the key is.
    pub key: Range<usize>,
    /// Where the value is.
    pub value: Range<usize>,
    /// The record's header.
    pub header: Header,
    /// Milliseconds since the epoch; 0 for never.
    pub expires_at: u64,
}

/// Bytes of a long record that are verified at a time.
const PIECE_BYTES: usize = 64 << 10;

/// What is known of a record without its value: its header, which has a checksum, and its key, whose
/// hash is in the header.
#[derive(Clone, Copy)]
pub struct Known<'a> {
    /// The record's header.
    pub header: Header,
    /// The key.
    pub key: &'a [u8],
    segment: &'a Segment,
    offset: u64,
    /// The record's first bytes.
    first: &'a [u8],
}

impl Known<'_> {
    /// When it expires, in milliseconds since the epoch; 0 for never. An expiry stands in the body, so
    /// a record that has one is read and verified to its end.
    ///
    /// # Errors
    /// `Corrupt` if the record is damaged; `Io`, `OutOfMemory`.
    pub fn expires_at(&self) -> Result<u64> {
        if !self.header.expires {
            return Ok(0);
        }
        let end = HEADER_BYTES + self.header.body_bytes();
        if let Some(record) = self.first.get(..end) {
            let is_whole = self.header.fits_body(&record[HEADER_BYTES..]);
            return self.believed(is_whole, self.header.expires_at(record));
        }
        let mut piece = Vec::new();
        let length = end.min(PIECE_BYTES);
        piece.try_reserve_exact(length).map_err(|_| {
            Error::new(ErrorKind::OutOfMemory, format!("no memory to read {length} bytes"))
        })?;
        piece.resize(length, 0);
        let (mut sum, mut at, mut expires_at) = (Running::new(), 0, 0);
        while at < end {
            let wanted = length.min(end - at);
            let count =
                self.segment.file().read_at(&mut piece[..wanted], self.offset + at as u64)?;
            if count < wanted {
                return Err(damaged(self.segment, self.offset, "ends too early"));
            }
            let skipped = if at == 0 { HEADER_BYTES } else { 0 };
            if at == 0 {
                expires_at = self.header.expires_at(&piece);
            }
            sum.update(&piece[skipped..wanted]);
            at += wanted;
        }
        self.believed(sum.finish() == self.header.body_checksum, expires_at)
    }

    fn believed(&self, is_whole: bool, expires_at: u64) -> Result<u64> {
        match is_whole {
            true => Ok(expires_at),
            false => Err(damaged(self.segment, self.offset, "has a wrong checksum")),
        }
    }
}

/// Reads the value at `location` if it is `key`'s, or `None` if it is another key's with the same
/// hash.
///
/// # Errors
/// `Corrupt` if the record is damaged: it is then taken for the key's own. `Io`, `OutOfMemory`.
pub fn read_value(
    segment: &Segment,
    location: Location,
    key: &Key<'_>,
) -> Result<Option<StoredValue>> {
    let offset = location.offset();
    if location.bytes_max() > ONE_READ_BYTES {
        return read_long(segment, offset, key);
    }
    let length = usize::try_from(location.bytes_max()).unwrap_or(usize::MAX);
    with_scratch(length, |scratch| {
        let count = segment.file().read_at(scratch, offset)?;
        let header = header(segment, offset, &scratch[..count])?;
        let record = verified(segment, offset, &header, &scratch[..count])?;
        if is_other_key(&header, record, key) {
            return other_key(segment, offset, &header, key.hash());
        }
        if header.codec != 0 {
            return unpack(segment, offset, header, record).map(Some);
        }
        // A copy of just the length costs less than memory that is zeroed before and cut after.
        let buffer = Buffer::from_parts(&[&record[header.key_start()..]])?;
        let split = usize::from(header.key_len);
        Ok(Some(StoredValue {
            key: 0..split,
            value: split..buffer.bytes().len(),
            expires_at: header.expires_at(record),
            header,
            buffer,
        }))
    })
}

/// Reads a record that is too long to be copied.
fn read_long(segment: &Segment, offset: u64, key: &Key<'_>) -> Result<Option<StoredValue>> {
    let mut head = [0; HEADER_BYTES];
    let count = segment.file().read_at(&mut head, offset)?;
    let header = header(segment, offset, &head[..count])?;
    // Before any memory is asked for.
    if offset + (HEADER_BYTES + header.body_bytes()) as u64 > segment.end() {
        return Err(damaged(segment, offset, "ends too early"));
    }
    let mut buffer = Buffer::zeroed(HEADER_BYTES + header.body_bytes())?;
    let count = match buffer.bytes_mut() {
        Some(bytes) => segment.file().read_at(bytes, offset)?,
        None => 0,
    };
    let record = verified(segment, offset, &header, &buffer.bytes()[..count])?;
    if is_other_key(&header, record, key) {
        return other_key(segment, offset, &header, key.hash());
    }
    if header.codec != 0 {
        return unpack(segment, offset, header, record).map(Some);
    }
    Ok(Some(StoredValue {
        key: header.key_start()..header.value_start(),
        value: header.value_start()..record.len(),
        expires_at: header.expires_at(record),
        header,
        buffer,
    }))
}

/// Reads the value's key that stands at `location`, and gives it to `use_it`; it is verified by its
/// hash, which must be `hash`.
///
/// # Errors
/// `Corrupt` if it is damaged, or no value; `Io`.
pub fn read_key<T>(
    segment: &Segment,
    location: Location,
    (hash, hasher): (u64, KeyHasher),
    use_it: impl FnOnce(Known<'_>) -> Result<T>,
) -> Result<T> {
    read_any_key(segment, location, (hash, hasher), |known| match known.header.kind {
        Kind::Value => use_it(known),
        _ => Err(damaged(segment, location.offset(), "is not that of a value")),
    })
}

/// As [`read_key`], of tombstones too.
///
/// # Errors
/// As [`read_key`].
pub fn read_any_key<T>(
    segment: &Segment,
    location: Location,
    (hash, hasher): (u64, KeyHasher),
    use_it: impl FnOnce(Known<'_>) -> Result<T>,
) -> Result<T> {
    let offset = location.offset();
    let bound = usize::try_from(location.bytes_max()).unwrap_or(usize::MAX);
    // Zeroing memory costs most here, so the buffer has no more than most keys need.
    let mut few = [0; KEY_GUESS_BYTES];
    let few = &mut few[..bound.min(KEY_GUESS_BYTES)];
    let count = segment.file().read_at(few, offset)?;
    let few = &few[..count];
    let header = header(segment, offset, few)?;
    if header.kind == Kind::Lost {
        return Err(damaged(segment, offset, "was found damaged earlier"));
    }
    let mut long;
    let first = if count < header.value_start() {
        long = memory::zeros(header.value_start(), "a key")?;
        let count = segment.file().read_at(&mut long, offset)?;
        &long[..count]
    } else {
        few
    };
    let Some(key) = first.get(header.key_start()..header.value_start()) else {
        return Err(damaged(segment, offset, "ends too early"));
    };
    if header.hash != hash || hasher.hash(key) != hash {
        return Err(damaged(segment, offset, "has another key than its hash says"));
    }
    use_it(Known { header, key, segment, offset, first })
}

/// The sequence of the record at a location; `None` if it is damaged, or of another hash.
pub fn sequence_at(segment: &Segment, hash: u64, location: Location) -> Option<u64> {
    let mut bytes = [0; HEADER_BYTES];
    segment.file().read_at(&mut bytes, location.offset()).ok()?;
    let header = Header::decode(&bytes, segment.place(location.offset()))?;
    (header.hash == hash).then_some(header.sequence)
}

/// True if the record at a location is known to be lost: it stands for one that was damaged, or lies
/// behind the end of its file.
pub fn is_lost(segment: &Segment, location: Location) -> bool {
    if segment.is_gone() {
        return true;
    }
    // If a segment that was cut was scanned, the scan has found what was cut.
    let may_be_cut = segment.lacks()
        && !segment.lacks_unknown()
        && location.offset() + location.bytes_max() > segment.end();
    // Nothing but what stands for a lost record is as short, and the empty value of the empty key.
    let may_stand_for_one = location.bytes_max() == HEADER_BYTES as u64;
    if !may_be_cut && !may_stand_for_one {
        return false;
    }
    let mut bytes = [0; HEADER_BYTES];
    let read = segment.file().read_at(&mut bytes, location.offset());
    let header = Header::decode(&bytes, segment.place(location.offset()));
    match header.filter(|_| read.is_ok()) {
        Some(header) => {
            let end = location.offset() + (HEADER_BYTES + header.body_bytes()) as u64;
            header.kind == Kind::Lost || (may_be_cut && end > segment.end())
        }
        None => may_be_cut,
    }
}

fn header(segment: &Segment, offset: u64, bytes: &[u8]) -> Result<Header> {
    Header::decode(bytes, segment.place(offset)).ok_or_else(|| {
        let is_cut = bytes.len() < HEADER_BYTES;
        let how =
            if is_cut { "is gone: the file ends before" } else { "has a wrong header checksum" };
        damaged(segment, offset, how)
    })
}

/// The record without padding, once its body's checksum is right.
fn verified<'a>(
    segment: &Segment,
    offset: u64,
    header: &Header,
    bytes: &'a [u8],
) -> Result<&'a [u8]> {
    if header.kind == Kind::Lost {
        return Err(damaged(segment, offset, "was found damaged earlier"));
    }
    let Some(record) = bytes.get(..HEADER_BYTES + header.body_bytes()) else {
        return Err(damaged(segment, offset, "ends too early"));
    };
    if header.kind != Kind::Value || !header.fits_body(&record[HEADER_BYTES..]) {
        return Err(damaged(segment, offset, "has a wrong checksum"));
    }
    Ok(record)
}

fn is_other_key(header: &Header, record: &[u8], key: &Key<'_>) -> bool {
    record.get(header.key_start()..header.value_start()) != Some(key.bytes())
}

/// The answer for a record of another key: none, if that key has the same hash.
fn other_key<T>(segment: &Segment, offset: u64, header: &Header, hash: u64) -> Result<Option<T>> {
    match header.hash == hash {
        true => Ok(None),
        false => Err(damaged(segment, offset, "has another key than its hash says")),
    }
}

/// Decompresses a verified record.
fn unpack(segment: &Segment, offset: u64, header: Header, record: &[u8]) -> Result<StoredValue> {
    let (key, stored) = record[header.key_start()..].split_at(usize::from(header.key_len));
    let Some((raw_len, compressed)) = split_compressed(stored) else {
        return Err(damaged(segment, offset, "has an impossible length"));
    };
    let mut buffer = Buffer::zeroed(key.len() + raw_len)?;
    if let Some(bytes) = buffer.bytes_mut() {
        let (key_part, value_part) = bytes.split_at_mut(key.len());
        key_part.copy_from_slice(key);
        decompress(header.codec, compressed, value_part).map_err(|error| {
            error.context(format_args!("record at {offset} of {}", path(segment)))
        })?;
    }
    Ok(StoredValue {
        expires_at: header.expires_at(record),
        key: 0..key.len(),
        value: key.len()..key.len() + raw_len,
        header,
        buffer,
    })
}

/// The error for a record that is not what was written.
pub fn damaged(segment: &Segment, offset: u64, how: &str) -> Error {
    let sentence = format!(
        "the record at {offset} of {} {how}; store the key again or delete it",
        path(segment)
    );
    Error::new(ErrorKind::Corrupt, sentence)
}

fn path(segment: &Segment) -> String {
    segment.file().path().display().to_string()
}

/// Lends memory that is kept for the threads of a stripe, at most an eighth more than
/// [`ONE_READ_BYTES`] of it; if another one has it, memory for this once. Not kept by threads
/// themselves: one that is ending has no memory of its own any more.
fn with_scratch<T>(length: usize, use_it: impl FnOnce(&mut [u8]) -> Result<T>) -> Result<T> {
    static KEPT: [Scratch; STRIPES] = [const { Scratch(Mutex::new(Vec::new())) }; STRIPES];
    let mut own = Vec::new();
    let mut kept = KEPT[stripe()].0.try_lock();
    let scratch = kept.as_deref_mut().unwrap_or(&mut own);
    if scratch.len() < length {
        *scratch = memory::zeros(length, "a record")?;
    }
    use_it(&mut scratch[..length])
}

/// On cache lines of its own.
#[repr(align(128))]
struct Scratch(Mutex<Vec<u8>>);
