//! Requests to a bucket: again where that does no harm, and what the answers mean.

use crate::call::Call;
use crate::fault::{Fault, Kind, Result, quoted};
use crate::s3::http::{Condition, Http, Received, Trouble, Verb};

/// What became of a request.
#[derive(Debug)]
pub enum Answer {
    /// Done: the ETag, if it was said, and the body.
    Done(Option<String>, Vec<u8>),
    /// There is no such object.
    Absent,
    /// The object still has the ETag.
    Same,
    /// The condition is not met.
    Conflict,
}

/// An answer, and whether an earlier copy of the request may have been carried out.
#[derive(Debug)]
pub struct Answered {
    /// The answer to the last copy.
    pub answer: Answer,
    /// An earlier one may have been carried out, too.
    pub is_doubtful: bool,
}

/// A request.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// What is asked.
    pub verb: Verb<'a>,
    /// Of which object.
    pub object: &'a str,
    /// Under which condition.
    pub condition: Condition<'a>,
    /// A second copy could do harm.
    pub once: bool,
}

/// A bucket.
pub struct Bucket {
    http: Http,
}

/// What an answer says.
enum Meaning {
    Is(Answer),
    /// Certainly not done, and it passes.
    Busy(String),
    /// It may have been done.
    Unknown(String),
    /// Trying again does not help.
    Never(Fault),
    /// Other credentials might help.
    Denied(Fault),
}

impl Bucket {
    /// Behind these requests.
    pub fn new(http: Http) -> Self {
        Self { http }
    }

    /// Reads all of an object.
    ///
    /// # Errors
    /// As [`Bucket::send`].
    pub fn read(&self, object: &str, condition: Condition<'_>, call: &Call) -> Result<Answer> {
        let verb = Verb::Get { first: None };
        let request = Request { verb, object, condition, once: false };
        self.send(request, call).map(|answered| answered.answer)
    }

    /// Sends a request.
    ///
    /// # Errors
    /// `Timeout` if it can have been carried out, `Unavailable` if it certainly was not; what the
    /// server says against it.
    pub fn send(&self, request: Request<'_>, call: &Call) -> Result<Answered> {
        let mut is_doubtful = false;
        let mut was_renewed = false;
        loop {
            let Request { verb, object, condition, .. } = request;
            let meaning = match self.http.send(verb, object, condition, call) {
                Ok(received) => meaning(received),
                Err(Trouble::Refused(fault)) => Meaning::Never(fault),
                Err(Trouble::Lost { maybe_done: true, words }) => Meaning::Unknown(words),
                Err(Trouble::Lost { words, .. }) => Meaning::Busy(words),
            };
            let why = match meaning {
                Meaning::Is(answer) => return Ok(Answered { answer, is_doubtful }),
                Meaning::Denied(fault) => {
                    if was_renewed || !self.http.signer.renew() {
                        return Err(self.told(fault.kind(), fault.words()));
                    }
                    was_renewed = true;
                    continue;
                }
                Meaning::Never(fault) => return Err(self.told(fault.kind(), fault.words())),
                Meaning::Unknown(words) => {
                    if request.once && is_change(verb) {
                        return Err(self.unknown(&words));
                    }
                    is_doubtful |= is_change(verb);
                    words
                }
                Meaning::Busy(words) => words,
            };
            if !call.again() {
                return Err(match (is_doubtful, call.is_over()) {
                    (true, _) => self.unknown(&why),
                    (false, _) => self.told(Kind::Unavailable, &why),
                });
            }
        }
    }

    /// The failure after which nobody knows whether it was done.
    pub fn unknown(&self, why: &str) -> Fault {
        self.told(Kind::Timeout, &format!("{why}; whether it was done is unknown"))
    }

    fn told(&self, kind: Kind, words: &str) -> Fault {
        Fault::new(kind, format!("{}: {words}", self.http.host))
    }
}

fn is_change(verb: Verb<'_>) -> bool {
    matches!(verb, Verb::Put(_) | Verb::Delete)
}

fn meaning(received: Received) -> Meaning {
    let Received { status, tag, body } = received;
    let code = code(&body);
    let says = match code.as_str() {
        "" => format!("it answers {status}"),
        code => format!("it answers {status} {code}"),
    };
    let never = |kind, words: String| Meaning::Never(Fault::new(kind, words));
    match (status, code.as_str()) {
        (200..=299, _) => Meaning::Is(Answer::Done(tag, body)),
        (304, _) => Meaning::Is(Answer::Same),
        (404, "NoSuchBucket") => never(Kind::Unavailable, "there is no such bucket".into()),
        (404, _) => Meaning::Is(Answer::Absent),
        (412, _) | (409, "ConditionalRequestConflict") => Meaning::Is(Answer::Conflict),
        (301 | 302 | 307 | 308, _) => never(
            Kind::Unavailable,
            format!("{says}: the bucket is somewhere else; remote.endpoint or remote.region"),
        ),
        (403 | 401, "RequestTimeTooSkewed") => {
            never(Kind::Unavailable, "the clocks differ too much; set this machine's".into())
        }
        (401 | 403, _) | (400, "ExpiredToken" | "InvalidToken") => Meaning::Denied(Fault::new(
            Kind::Unavailable,
            format!("it refuses these credentials: {says}"),
        )),
        (413, _) | (400, "EntityTooLarge") => never(Kind::TooLarge, says),
        (501, _) | (400, "NotImplemented") => never(Kind::Unsupported, says),
        (507, _) => never(Kind::NoSpace, says),
        (429 | 503, _) | (409, "OperationAborted") | (400, "RequestTimeout") => Meaning::Busy(says),
        (500..=599, _) => Meaning::Unknown(says),
        _ => never(Kind::Io, says),
    }
}

/// The code in the words of a failure.
fn code(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(4096)]);
    let inner = text.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>"));
    let is_word = |code: &&str| code.len() <= 64 && code.bytes().all(|b| b.is_ascii_alphanumeric());
    inner.map(|(code, _)| code).filter(is_word).map(quoted).unwrap_or_default()
}
