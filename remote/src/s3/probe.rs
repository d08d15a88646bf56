//! Whether a server keeps conditional requests apart when they race.
//!
//! Some do not: they look, and then write, and both who looked have won. So whoever opens a store in
//! a bucket first lets its requests race, and leaves in the bucket what it found.

use crate::call::{Call, random};
use crate::fault::{Fault, Kind, Result};
use crate::s3::bucket::{Answer, Bucket, Request};
use crate::s3::http::{Condition, Verb};
use crate::s3::names::Names;
use std::thread::scope;

/// Racers in each race.
const RACERS: usize = 3;

/// Races of each kind. The server that fails them did so in each of forty.
const RACES: usize = 3;

/// What is left in the bucket.
const HOLDS: &str = "hotcold 1: conditions hold";
const HOLDS_NOT_FOR_DELETE: &str = "hotcold 1: conditions hold, but not for delete";
const FAILS: &str = "hotcold 1: conditions do not hold";

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Delete asks for a condition, too.
    pub deletes: bool,
}

/// What is known of the server, or what races show.
///
/// # Errors
/// `Unsupported` where conditions do not hold; as [`Bucket::send`].
pub fn probe(bucket: &Bucket, names: &Names, call: &Call) -> Result<Found> {
    let object = names.own("probe");
    let found = match bucket.read(&object, Condition::Always, call)? {
        Answer::Done(_, body) => String::from_utf8_lossy(&body).into_owned(),
        _ => {
            let found = race(bucket, names, call)?;
            put(bucket, &object, found, Condition::Always, call)?;
            found.to_owned()
        }
    };
    match found.as_str() {
        HOLDS => Ok(Found { deletes: true }),
        HOLDS_NOT_FOR_DELETE => Ok(Found { deletes: false }),
        FAILS => {
            let words = "this server lets several win who compare and store at once; versions and \
                         conditions would not hold";
            Err(Fault::new(Kind::Unsupported, words))
        }
        _ => Err(Fault::new(Kind::Io, "what lies in the bucket as probe is not hotcold's")),
    }
}

fn race(bucket: &Bucket, names: &Names, call: &Call) -> Result<&'static str> {
    let object = names.own(&format!("probe-{}-{}", crate::clock::now_us(), random()));
    let found = races(bucket, &object, call);
    // What is left of the races hurts nobody.
    let verb = Verb::Delete;
    drop(
        bucket.send(
            Request { verb, object: &object, condition: Condition::Always, once: false },
            call,
        ),
    );
    found
}

fn races(bucket: &Bucket, object: &str, call: &Call) -> Result<&'static str> {
    let delete = Request { verb: Verb::Delete, object, condition: Condition::Always, once: false };
    for round in 0..RACES {
        let first = compete(bucket, object, Condition::IfAbsent, round, call)?;
        let Some(tag) = first.filter(|_| round < RACES) else { return Ok(FAILS) };
        let second = compete(bucket, object, Condition::IfTag(&tag), round + RACES, call)?;
        let Some(last) = second else { return Ok(FAILS) };
        if last == tag {
            return Ok(FAILS);
        }
        if round + 1 == RACES {
            let condition = Condition::IfTag(&tag);
            let refused = bucket.send(Request { condition, ..delete }, call)?;
            let is_refused = matches!(refused.answer, Answer::Conflict);
            return Ok(if is_refused { HOLDS } else { HOLDS_NOT_FOR_DELETE });
        }
        bucket.send(delete, call)?;
    }
    Ok(HOLDS)
}

/// Lets all racers put at once; the ETag of the one who won, none if it was not one.
fn compete(
    bucket: &Bucket,
    object: &str,
    condition: Condition<'_>,
    round: usize,
    call: &Call,
) -> Result<Option<String>> {
    let results: Vec<Result<Option<Option<String>>>> = scope(|scope| {
        let racers: Vec<_> = (0..RACERS)
            .map(|racer| {
                scope.spawn(move || {
                    let text = format!("racer {racer} of round {round}");
                    put(bucket, object, &text, condition, call)
                })
            })
            .collect();
        let defect = || Err(Fault::new(Kind::Internal, "a defect of hotcold-remote"));
        racers.into_iter().map(|racer| racer.join().unwrap_or_else(|_| defect())).collect()
    });
    let mut winners = Vec::new();
    for result in results {
        winners.extend(result?);
    }
    let is_one = winners.len() == 1;
    Ok(winners.pop().flatten().filter(|_| is_one))
}

/// The ETag of what was put; none if the condition was not met.
fn put(
    bucket: &Bucket,
    object: &str,
    text: &str,
    condition: Condition<'_>,
    call: &Call,
) -> Result<Option<Option<String>>> {
    // Sent twice it would seem to have lost; a race that was cut is no race.
    let request = Request { verb: Verb::Put(text.as_bytes()), object, condition, once: true };
    match bucket.send(request, call)?.answer {
        Answer::Done(tag, _) => Ok(Some(tag)),
        _ => Ok(None),
    }
}
