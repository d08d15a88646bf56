//! What nobody needs any more: records of old epochs, and records that have expired.

use crate::call::Call;
use crate::clock::now_ms;
use crate::envelope::{BYTES, Envelope};
use crate::fault::{Fault, Kind, Result};
use crate::s3::bucket::{Answer, Bucket, Request};
use crate::s3::http::{Condition, Verb};
use crate::s3::shared::Shared;
use rusty_s3::actions::ListObjectsV2;

/// A page of names that begin with `prefix`, behind `after`; true if it is the last.
///
/// # Errors
/// As [`Bucket::send`]; `Io` for what is no list.
pub fn page(
    bucket: &Bucket,
    prefix: &str,
    after: &str,
    call: &Call,
) -> Result<(Vec<String>, bool)> {
    let verb = Verb::List { after };
    let request = Request { verb, object: prefix, condition: Condition::Always, once: false };
    let Answer::Done(_, body) = bucket.send(request, call)?.answer else {
        return Err(Fault::new(Kind::Io, "the S3 server answers what is no list"));
    };
    let text = String::from_utf8_lossy(&body);
    let list = ListObjectsV2::parse_response(&text)
        .map_err(|_| Fault::new(Kind::Io, "the S3 server answers what is no list"))?;
    let is_last = list.next_continuation_token.is_none();
    Ok((list.contents.into_iter().map(|object| object.key).collect(), is_last))
}

/// Walks all records from `after` on and removes what nobody needs; `after` is how far it came.
///
/// # Errors
/// As [`Bucket::send`]; what was not reached stays unseen.
pub fn reap(shared: &Shared, after: &mut String, call: &Call) -> Result<()> {
    let epoch = shared.ask_epoch(call)?;
    let expiring = shared.names.own("x");
    let can_expire =
        matches!(shared.bucket.read(&expiring, Condition::Always, call)?, Answer::Done(..));
    loop {
        let (found, is_last) = page(&shared.bucket, &shared.names.records(), after, call)?;
        for name in &found {
            match shared.names.key(name) {
                Some((of, _)) if of < epoch => remove(&shared.bucket, name, None, call)?,
                Some((of, _)) if of == epoch && can_expire && shared.deletes => {
                    expire(&shared.bucket, name, call)?;
                }
                _ => {}
            }
        }
        match found.last() {
            Some(last) if !is_last => after.clone_from(last),
            _ => return Ok(()),
        }
    }
}

fn expire(bucket: &Bucket, name: &str, call: &Call) -> Result<()> {
    let verb = Verb::Get { first: Some(BYTES) };
    let request = Request { verb, object: name, condition: Condition::Always, once: false };
    if let Answer::Done(Some(tag), body) = bucket.send(request, call)?.answer
        && Envelope::of(&body).is_ok_and(|envelope| envelope.is_expired(now_ms()))
    {
        remove(bucket, name, Some(&tag), call)?;
    }
    Ok(())
}

fn remove(bucket: &Bucket, name: &str, tag: Option<&str>, call: &Call) -> Result<()> {
    let condition = tag.map_or(Condition::Always, Condition::IfTag);
    let request = Request { verb: Verb::Delete, object: name, condition, once: false };
    // A newer record is there, or nothing: both are fine.
    bucket.send(request, call).map(drop)
}
