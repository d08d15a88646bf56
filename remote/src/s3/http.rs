//! One request over HTTP, and what became of it: an answer, or whether it can have been carried out.
//!
//! Nothing is followed and nothing is tried again here. The environment is not asked for a proxy.
//! URLs hold signatures and never become part of a message.

use crate::call::Call;
use crate::fault::{Fault, Kind, Result, quoted};
use crate::s3::credentials::Signer;
use crate::settings::{Settings, Style};
use rusty_s3::{Bucket, S3Action, UrlStyle};
use std::io::Read;
use std::time::Duration;
use ureq::http::{HeaderMap, Response};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Body, Error, Timeout};

/// How long a signature counts: clocks may differ by minutes.
const SIGNED_FOR: Duration = Duration::from_secs(900);

/// The largest body of an answer that is no record: a page of names, or words of failure.
const WORDS_BYTES_MAX: u64 = 4 << 20;

/// The largest record: the core's largest value, and what is around it.
pub const RECORD_BYTES_MAX: usize = (4 << 30) + (1 << 20);

/// What is asked of the server.
#[derive(Clone, Copy, Debug)]
pub enum Verb<'a> {
    /// Reads an object; all of it, or its first bytes.
    Get {
        /// How many bytes; none: all.
        first: Option<usize>,
    },
    /// Writes an object.
    Put(&'a [u8]),
    /// Removes an object.
    Delete,
    /// Lists names that begin with the object's, behind another name.
    List {
        /// The name to begin behind; empty: at the beginning.
        after: &'a str,
    },
}

/// Under which condition.
#[derive(Clone, Copy, Debug)]
pub enum Condition<'a> {
    /// None.
    Always,
    /// Only if there is no such object.
    IfAbsent,
    /// Only if the object has this ETag.
    IfTag(&'a str),
    /// Only if the object has another ETag.
    UnlessTag(&'a str),
}

/// An answer.
#[derive(Debug)]
pub struct Received {
    /// HTTP's status.
    pub status: u16,
    /// The object's, if it was said.
    pub tag: Option<String>,
    /// The body.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum Trouble {
    /// It was not sent whole, or the answer did not come.
    Lost {
        /// The request may have been carried out.
        maybe_done: bool,
        /// What happened.
        words: String,
    },
    /// Trying again would not help.
    Refused(Fault),
}

/// A bucket at a server.
pub struct Http {
    agent: Agent,
    bucket: Bucket,
    /// Whose requests they are.
    pub signer: Signer,
    /// The server, for messages.
    pub host: String,
}

impl Http {
    /// As `settings` say.
    ///
    /// # Errors
    /// `InvalidArgument` for an endpoint, a bucket or a file that cannot be used.
    pub fn new(bucket: &str, settings: &Settings) -> Result<Self> {
        let region = settings.region.as_deref().unwrap_or("us-east-1");
        let usual = format!("https://s3.{region}.amazonaws.com");
        let endpoint = settings.endpoint.as_deref().unwrap_or(&usual);
        let style = settings.style.unwrap_or(match settings.endpoint {
            Some(_) => Style::Path,
            None => Style::Host,
        });
        let style = match style {
            Style::Path => UrlStyle::Path,
            Style::Host => UrlStyle::VirtualHost,
        };
        let bad = || {
            let words = "remote.endpoint is http://HOST:PORT or https://HOST, and with \
                         remote.style=host a name that the bucket's can stand in front of";
            Fault::new(Kind::InvalidArgument, words)
        };
        if endpoint.contains('@') {
            return Err(bad());
        }
        let bucket = Bucket::new(
            endpoint.parse().map_err(|_| bad())?,
            style,
            bucket.to_owned(),
            region.to_owned(),
        )
        .map_err(|_| bad())?;
        let host = bucket.base_url().host_str().unwrap_or_default().to_owned();
        let port = bucket.base_url().port().map_or(String::new(), |port| format!(":{port}"));
        let host = format!("{host}{port}");
        Ok(Self { agent: agent(settings)?, bucket, signer: Signer::new(settings)?, host })
    }

    /// Sends a request.
    ///
    /// # Errors
    /// `Lost`, `Refused`.
    pub fn send(
        &self,
        verb: Verb<'_>,
        object: &str,
        condition: Condition<'_>,
        call: &Call,
    ) -> std::result::Result<Received, Trouble> {
        let left = call.left();
        if left < Duration::from_millis(2) {
            return Err(Trouble::Lost { maybe_done: false, words: "the time is over".into() });
        }
        let credentials = self.signer.now();
        let credentials = credentials.as_deref();
        let condition = match condition {
            Condition::Always => None,
            Condition::IfAbsent => Some(("if-none-match", "*")),
            Condition::IfTag(tag) => Some(("if-match", tag)),
            Condition::UnlessTag(tag) => Some(("if-none-match", tag)),
        };
        let mut most = WORDS_BYTES_MAX;
        let sent = match verb {
            Verb::Put(body) => {
                let url = self.bucket.put_object(credentials, object).sign(SIGNED_FOR);
                let mut request = timed(self.agent.put(url.as_str()), left);
                if let Some((name, value)) = condition {
                    request = request.header(name, value);
                }
                request.header("content-type", "application/octet-stream").send(body)
            }
            Verb::Get { first } => {
                let url = self.bucket.get_object(credentials, object).sign(SIGNED_FOR);
                let mut request = timed(self.agent.get(url.as_str()), left);
                if let Some((name, value)) = condition {
                    request = request.header(name, value);
                }
                match first {
                    None => most = u64::try_from(RECORD_BYTES_MAX).unwrap_or(u64::MAX),
                    Some(first) => {
                        let last = first.saturating_sub(1);
                        request = request.header("range", format!("bytes=0-{last}"));
                        most = u64::try_from(first).unwrap_or(u64::MAX);
                    }
                }
                request.call()
            }
            Verb::Delete => {
                let url = self.bucket.delete_object(credentials, object).sign(SIGNED_FOR);
                let mut request = timed(self.agent.delete(url.as_str()), left);
                if let Some((name, value)) = condition {
                    request = request.header(name, value);
                }
                request.call()
            }
            Verb::List { after } => {
                let mut list = self.bucket.list_objects_v2(credentials);
                list.with_prefix(object);
                if !after.is_empty() {
                    list.with_start_after(after);
                }
                timed(self.agent.get(list.sign(SIGNED_FOR).as_str()), left).call()
            }
        };
        receive(sent.map_err(trouble)?, most)
    }
}

fn timed<B>(request: ureq::RequestBuilder<B>, left: Duration) -> ureq::RequestBuilder<B> {
    // Connecting ends a little earlier, so that it is known whether anything was sent.
    request.config().timeout_global(Some(left)).timeout_connect(Some(left.mul_f64(0.95))).build()
}

fn agent(settings: &Settings) -> Result<Agent> {
    let roots = match settings.ca_file.as_deref() {
        None => RootCerts::WebPki,
        Some(file) => {
            let certificates = crate::tls::certificates(file)?;
            certificates.iter().map(|der| Certificate::from_der(der).to_owned()).into()
        }
    };
    let config = Agent::config_builder()
        .proxy(None)
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .max_idle_connections(settings.concurrency)
        .max_idle_connections_per_host(settings.concurrency)
        .user_agent("hotcold")
        .tls_config(TlsConfig::builder().root_certs(roots).build())
        .build();
    Ok(Agent::new_with_config(config))
}

fn receive(response: Response<Body>, most: u64) -> std::result::Result<Received, Trouble> {
    let (status, headers) = (response.status().as_u16(), response.headers());
    let tag = header(headers, "etag");
    // Of what says nothing about its length, or of failures, only so much is taken.
    let is_record = (200..300).contains(&status);
    let most = if is_record { most } else { WORDS_BYTES_MAX };
    let length = response.body().content_length();
    if is_record && length.is_some_and(|length| length > most.max(WORDS_BYTES_MAX)) {
        return Err(lost("its answer is too large"));
    }
    let most = if length.is_none() { most.min(64 << 20) } else { most };
    let mut body = Vec::new();
    let reader = response.into_body().into_with_config().limit(u64::MAX).reader();
    let read = reader.take(most.saturating_add(1)).read_to_end(&mut body);
    read.map_err(|error| lost(&plain(&error)))?;
    let is_whole = u64::try_from(body.len()).is_ok_and(|len| len <= most);
    if !is_whole && status != 200 {
        return Err(lost("its answer has no end"));
    }
    if !is_whole {
        // The first bytes were asked for, and all were sent.
        body.truncate(usize::try_from(most).unwrap_or(usize::MAX));
    }
    Ok(Received { status, tag, body })
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

fn lost(words: &str) -> Trouble {
    Trouble::Lost { maybe_done: true, words: words.into() }
}

fn trouble(error: Error) -> Trouble {
    let lost = |maybe_done: bool, words: &str| Trouble::Lost { maybe_done, words: words.into() };
    match error {
        Error::Timeout(Timeout::Resolve) => lost(false, "its name could not be looked up in time"),
        Error::Timeout(Timeout::Connect) => lost(false, "it could not be reached in time"),
        Error::Timeout(_) => lost(true, "it did not answer in time"),
        Error::HostNotFound => lost(false, "its name is not known"),
        Error::ConnectionFailed => lost(false, "it could not be reached"),
        Error::Rustls(error) => Trouble::Refused(untrusted(&error)),
        Error::Tls(words) => lost(false, words),
        Error::Io(error) => match error.get_ref().and_then(|inner| inner.downcast_ref()) {
            Some(inner) => Trouble::Refused(untrusted(inner)),
            None => {
                let is_before = error.kind() == std::io::ErrorKind::ConnectionRefused;
                lost(!is_before, &plain(&error))
            }
        },
        Error::Protocol(_) => lost(true, "it sends what is no answer of an S3 server"),
        Error::LargeResponseHeader(..) => lost(true, "it sends headers without end"),
        // Its words could hold the URL.
        _ => lost(true, "the request failed"),
    }
}

fn plain(error: &std::io::Error) -> String {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::ConnectionRefused => "nobody listens there".into(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut => "it did not answer in time".into(),
        ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => {
            "the connection was cut".into()
        }
        ErrorKind::Other => "the connection failed".into(),
        kind => quoted(&kind.to_string()),
    }
}

fn untrusted(error: &rustls::Error) -> Fault {
    let words = match error {
        rustls::Error::InvalidCertificate(why) => {
            format!("TLS: the certificate is not trusted ({why}); remote.ca_file names authorities")
        }
        other => format!("TLS: {}", quoted(&other.to_string())),
    };
    Fault::new(Kind::Unavailable, words)
}
