//! A number in an object, changed by compare and store: the epoch, the counter of versions.

use crate::call::{Call, random};
use crate::fault::{Fault, Kind, Result};
use crate::s3::bucket::{Answer, Bucket, Request};
use crate::s3::http::{Condition, Verb};
use std::time::Duration;

/// More than any number has: what a server may send that is none.
const NUMBER_BYTES_MAX: usize = 64;

/// The longest wait of one who lost a race.
const WAIT: Duration = Duration::from_millis(10);

/// The number and its ETag; 0 if there is no such object.
///
/// # Errors
/// As [`Bucket::send`]; `Corrupt` if it is no number.
pub fn read(bucket: &Bucket, object: &str, call: &Call) -> Result<(u64, Option<String>)> {
    let verb = Verb::Get { first: Some(NUMBER_BYTES_MAX) };
    let request = Request { verb, object, condition: Condition::Always, once: false };
    match bucket.send(request, call)?.answer {
        Answer::Absent => Ok((0, None)),
        Answer::Done(tag, body) => {
            let number = std::str::from_utf8(&body).ok().and_then(|text| text.trim().parse().ok());
            let corrupt = || {
                let words = "the epoch or a counter is no number; is it an S3 server, and is the \
                             prefix this store's alone?";
                Fault::new(Kind::Corrupt, words)
            };
            Ok((number.ok_or_else(corrupt)?, tag))
        }
        Answer::Same | Answer::Conflict => {
            Err(Fault::new(Kind::Io, "the server answers what was not asked for"))
        }
    }
}

/// Replaces the number by what `next` makes of it, always more; both numbers.
///
/// # Errors
/// As [`Bucket::send`].
pub fn raise(
    bucket: &Bucket,
    object: &str,
    next: impl Fn(u64) -> u64,
    call: &Call,
) -> Result<(u64, u64)> {
    loop {
        let (before, tag) = read(bucket, object, call)?;
        let after = next(before);
        let condition = tag.as_deref().map_or(Condition::IfAbsent, Condition::IfTag);
        let text = after.to_string();
        let verb = Verb::Put(text.as_bytes());
        // Sent again it meets another ETag, or nobody is hurt: the number is this one's alone.
        let request = Request { verb, object, condition, once: false };
        let answered = bucket.send(request, call)?;
        match answered.answer {
            // Without doubt: nobody else can have put the same number at the same time.
            Answer::Done(..) => return Ok((before, after)),
            // Lost, or won by the first copy: then the range is given up.
            Answer::Conflict | Answer::Absent | Answer::Same => {}
        }
        if call.left() <= WAIT {
            return Err(Fault::new(Kind::Unavailable, "too many machines change the same number"));
        }
        std::thread::sleep(WAIT.mul_f64(random()));
    }
}
