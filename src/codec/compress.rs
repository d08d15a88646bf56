//! Compression of records, with bounds: compressed bytes are never longer than the raw ones, and
//! decompressed bytes never longer than the record says.
//!
//! Each record is compressed alone, so a retrieve is one read. Deflate is raw, without zlib's
//! header and checksum, because each record has its own. A state for compressing is expensive to
//! make, and one for decompressing takes 46 KiB, so both are used again: a [`Compressor`] belongs
//! to its writer, and readers take a state from a small pool. (One for each thread would be as
//! fast, but a program may have thousands of threads.)
//!
//! # Codec numbers, as they stand on disk
//!
//! | number | codec | |
//! | --- | --- | --- |
//! | 0 | none | the bytes as they are |
//! | 1 | deflate | RFC 1951 |
//! | 2 | lz4 | reserved |
//! | 3 | zstd | reserved |

use crate::error::{Error, ErrorKind, Result};
use crate::memory;
use flate2::{Compress, Decompress, FlushCompress, FlushDecompress, Status};
use parking_lot::Mutex;
use std::fmt;

const NONE: u8 = 0;
const DEFLATE: u8 = 1;
const LZ4: u8 = 2;
const ZSTD: u8 = 3;

/// States that wait for the next reader: 736 KiB at most. More readers than that at one instant
/// make their own, which costs them half a microsecond.
const IDLE_MAX: usize = 16;

/// Memory that the codec allocates at once, with what rounding and alignment may add. The codec
/// panics if it gets none, so this code tests beforehand that there is so much.
const DEFLATE_BYTES: usize = 384 << 10;
const INFLATE_BYTES: usize = 64 << 10;

/// How a store compresses what it writes; what it reads says so itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// Deflate with level 0 (fast) to 9 (small).
    Deflate(u32),
    /// LZ4.
    Lz4,
    /// Zstandard with level 1 to 19.
    Zstd(i32),
}

impl Compression {
    /// What [`Compression::parse`] takes.
    pub const EXPECTED: &str = "one of none, deflate:0..9, lz4, zstd:1..19";

    /// What to do about one that is not supported.
    pub const UNSUPPORTED: &str =
        "this compression is not built in this version: use none or deflate:0..9";

    /// Reads the option's text: `none`, `deflate:0` to `deflate:9`, `lz4`, `zstd:1` to `zstd:19`.
    pub fn parse(text: &str) -> Option<Self> {
        let (name, level) = text.split_once(':').unwrap_or((text, ""));
        let found = match name {
            "none" => Self::None,
            "deflate" => Self::Deflate(level.parse().ok().filter(|level| *level <= 9)?),
            "lz4" => Self::Lz4,
            "zstd" => Self::Zstd(level.parse().ok().filter(|level| (1..=19).contains(level))?),
            _ => return None,
        };
        // One text for one meaning: this refuses `deflate:06` and `lz4:`.
        Some(found).filter(|found| found.to_string() == text)
    }

    /// The number that stands for the codec on disk.
    pub fn codec(self) -> u8 {
        match self {
            Self::None => NONE,
            Self::Deflate(_) => DEFLATE,
            Self::Lz4 => LZ4,
            Self::Zstd(_) => ZSTD,
        }
    }

    /// True if this version of the library can do it.
    pub fn is_supported(self) -> bool {
        matches!(self, Self::None | Self::Deflate(_))
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => write!(to, "none"),
            Self::Deflate(level) => write!(to, "deflate:{level}"),
            Self::Lz4 => write!(to, "lz4"),
            Self::Zstd(level) => write!(to, "zstd:{level}"),
        }
    }
}

/// Compresses one run of bytes after another. Takes some 300 KiB with deflate.
pub struct Compressor {
    codec: u8,
    /// `None`: nothing is worth trying.
    level: Option<flate2::Compression>,
    /// Made when it is first used.
    deflate: Option<Compress>,
}

impl Compressor {
    /// A compressor for `compression`.
    ///
    /// # Errors
    /// `Unsupported` if this version cannot do it.
    pub fn new(compression: Compression) -> Result<Self> {
        let level = match compression {
            // Deflate without compression: nothing shrinks, so nothing is worth trying.
            Compression::None | Compression::Deflate(0) => None,
            Compression::Deflate(level) => Some(flate2::Compression::new(level.min(9))),
            Compression::Lz4 | Compression::Zstd(_) => {
                let message = format!("compression {compression}: this version does not have it");
                return Err(Error::new(ErrorKind::Unsupported, message));
            }
        };
        Ok(Self { codec: compression.codec(), level, deflate: None })
    }

    /// The codec number of what [`Compressor::compress`] appends.
    pub fn codec(&self) -> u8 {
        self.codec
    }

    /// Appends the compressed bytes of `raw` to `out`. Returns false, with `out` as it was, if they
    /// would not be fewer: then store `raw` with codec 0.
    ///
    /// # Errors
    /// `OutOfMemory`; `Internal` if the codec fails. `out` is as it was.
    pub fn compress(&mut self, raw: &[u8], out: &mut Vec<u8>) -> Result<bool> {
        let Some(level) = self.level else { return Ok(false) };
        let deflate = match &mut self.deflate {
            Some(deflate) => deflate,
            none => none.insert(new_deflate(level)?),
        };
        let start = out.len();
        // Room for what grows, too: a state that is broken off in the middle keeps bytes of it
        // over a reset (zlib-rs 0.6.8), and fails on what comes next.
        let bound = raw.len() + raw.len() / 4 + 64;
        memory::grow(out, bound, "a compressed value")?;
        out.resize(start + bound, 0);
        deflate.reset();
        let outcome = deflate.compress(raw, &mut out[start..], FlushCompress::Finish);
        let ended = matches!(outcome, Ok(Status::StreamEnd));
        let written = usize::try_from(deflate.total_out()).unwrap_or(bound);
        let shrunk = ended && written < raw.len();
        out.truncate(if shrunk { start + written } else { start });
        if !ended {
            self.deflate = None;
        }
        match outcome {
            Ok(_) => Ok(shrunk),
            Err(error) => Err(Error::new(ErrorKind::Internal, format!("deflate: {error}"))),
        }
    }
}

/// Decompresses `data`, written with the codec of number `codec`, into `out`, whose length is that
/// of the bytes as they were: whoever reads knows it, and has bounded it before allocating. From
/// any thread; never waits.
///
/// # Errors
/// `Corrupt` unless all of `data` gives exactly `out.len()` bytes, or if the number means nothing;
/// `Unsupported` for a codec that this version does not have; `OutOfMemory`. What is in `out` is then
/// undefined.
pub fn decompress(codec: u8, data: &[u8], out: &mut [u8]) -> Result<()> {
    match codec {
        NONE if data.len() == out.len() => {
            out.copy_from_slice(data);
            Ok(())
        }
        NONE => Err(corrupt(data.len(), out.len(), "the lengths differ")),
        DEFLATE => inflate(data, out),
        LZ4 | ZSTD => Err(Error::new(
            ErrorKind::Unsupported,
            format!("compression codec {codec}: this version does not have it"),
        )),
        _ => Err(Error::new(ErrorKind::Corrupt, format!("compression codec {codec} is unknown"))),
    }
}

fn new_deflate(level: flate2::Compression) -> Result<Compress> {
    memory::can_have(DEFLATE_BYTES, "compressing")?;
    Ok(Compress::new(level, false))
}

fn inflate(data: &[u8], out: &mut [u8]) -> Result<()> {
    static IDLE: Mutex<Vec<Decompress>> = Mutex::new(Vec::new());
    // Only tries the lock, because waiting would cost more than a new state does, and because a
    // child that was forked while it was held would wait for ever (see `sync` on waiting here).
    let idle = IDLE.try_lock().and_then(|mut idle| idle.pop());
    let mut state = match idle {
        Some(state) => state,
        None => {
            memory::can_have(INFLATE_BYTES, "decompressing")?;
            Decompress::new(false)
        }
    };
    state.reset(false);
    let outcome = state.decompress(data, out, FlushDecompress::Finish);
    let ended = matches!(outcome, Ok(Status::StreamEnd));
    let whole = state.total_in() == data.len() as u64 && state.total_out() == out.len() as u64;
    if let Some(mut idle) = IDLE.try_lock()
        && idle.len() < IDLE_MAX
    {
        idle.push(state);
    }
    match (ended, whole) {
        (true, true) => Ok(()),
        (true, false) => Err(corrupt(data.len(), out.len(), "the lengths differ")),
        (false, _) => Err(corrupt(data.len(), out.len(), "the stream is damaged or too long")),
    }
}

fn corrupt(packed: usize, raw: usize, why: &str) -> Error {
    let message = format!("decompress {packed} bytes to {raw}: {why}");
    Error::new(ErrorKind::Corrupt, message)
}

#[cfg(test)]
mod tests;
