//! What can be chosen: names and values as the core hands them over, checked.
//!
//! | name | default | meaning |
//! | --- | --- | --- |
//! | `coherence` | 1000 | milliseconds for which a known epoch counts |
//! | `remote_timeout` | 2000 | milliseconds for opening |
//! | `remote_retries` | 3 | how often a call tries again |
//! | `remote_concurrency` | 64 | connections that are kept for each node |
//! | `remote.*` | | below, each engine its own |

use crate::fault::{Fault, Kind, Result};
use std::fmt::{Debug, Formatter};
use std::path::PathBuf;
use std::time::Duration;

/// A text that is never shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, to be sent and not to be shown.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl Debug for Secret {
    fn fmt(&self, to: &mut Formatter<'_>) -> std::fmt::Result {
        to.write_str("(hidden)")
    }
}

/// How objects of a bucket are addressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// `https://host/bucket/object`.
    Path,
    /// `https://bucket.host/object`.
    Host,
}

/// All that can be chosen.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How old what is known of the engine may be.
    pub coherence: Duration,
    /// For opening; other calls are given theirs.
    pub timeout: Duration,
    /// How often a call tries again.
    pub retries: u32,
    /// Connections that are kept for each node.
    pub concurrency: usize,
    /// Of Redis' access control; none: the default user.
    pub user: Option<String>,
    /// Of the Redis user.
    pub password: Option<Secret>,
    /// Replicas that must have a change before it is acknowledged.
    pub replicas: u32,
    /// Of an S3 server that is not Amazon's: `http://host:port`.
    pub endpoint: Option<String>,
    /// Of the bucket.
    pub region: Option<String>,
    /// Name of the S3 key.
    pub access_key: Option<String>,
    /// The S3 key.
    pub secret_key: Option<Secret>,
    /// Of temporary S3 credentials.
    pub session_token: Option<Secret>,
    /// A file with S3 credentials, read again when they are refused.
    pub credentials_file: Option<PathBuf>,
    /// Authorities to trust instead of the usual ones, in PEM.
    pub ca_file: Option<PathBuf>,
    /// How objects are addressed; none: by path at an endpoint of one's own, else by host.
    pub style: Option<Style>,
}

/// Names that only Redis knows.
const OF_REDIS: [&str; 3] = ["remote.user", "remote.password", "remote.replicas"];

/// Names that only S3 knows.
const OF_S3: [&str; 7] = [
    "remote.endpoint",
    "remote.region",
    "remote.access_key",
    "remote.secret_key",
    "remote.session_token",
    "remote.credentials_file",
    "remote.style",
];

impl Default for Settings {
    fn default() -> Self {
        Self {
            coherence: Duration::from_secs(1),
            timeout: Duration::from_secs(2),
            retries: 3,
            concurrency: 64,
            user: None,
            password: None,
            replicas: 0,
            endpoint: None,
            region: None,
            access_key: None,
            secret_key: None,
            session_token: None,
            credentials_file: None,
            ca_file: None,
            style: None,
        }
    }
}

impl Settings {
    /// Reads names and values for an engine that is S3 or, otherwise, Redis.
    ///
    /// # Errors
    /// `InvalidArgument`; the sentence has the name and never the value.
    pub fn parse<'a>(
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
        is_s3: bool,
    ) -> Result<Self> {
        let mut settings = Self::default();
        for (name, value) in pairs {
            let foreign: &[&str] = if is_s3 { &OF_REDIS } else { &OF_S3 };
            if foreign.contains(&name) {
                let engine = if is_s3 { "an S3 bucket" } else { "Redis" };
                return Err(invalid(format!("{name} means nothing to {engine}")));
            }
            settings.set(name, value)?;
        }
        settings.check()?;
        Ok(settings)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<()> {
        let text = || Some(value.to_owned());
        let secret = || Some(Secret::new(value));
        match name {
            "coherence" => self.coherence = milliseconds(name, value)?,
            "remote_timeout" => self.timeout = milliseconds(name, value)?,
            "remote_retries" => self.retries = number(name, value)?,
            "remote_concurrency" => self.concurrency = number(name, value)?,
            "remote.replicas" => self.replicas = number(name, value)?,
            "remote.user" => self.user = text(),
            "remote.password" => self.password = secret(),
            "remote.endpoint" => self.endpoint = text(),
            "remote.region" => self.region = text(),
            "remote.access_key" => self.access_key = text(),
            "remote.secret_key" => self.secret_key = secret(),
            "remote.session_token" => self.session_token = secret(),
            "remote.credentials_file" => self.credentials_file = Some(PathBuf::from(value)),
            "remote.ca_file" => self.ca_file = Some(PathBuf::from(value)),
            "remote.style" => {
                self.style = Some(match value {
                    "path" => Style::Path,
                    "host" => Style::Host,
                    _ => return Err(invalid("remote.style is path or host".into())),
                });
            }
            _ => return Err(invalid(format!("{name} is no option of a remote engine"))),
        }
        Ok(())
    }

    fn check(&self) -> Result<()> {
        let needs = |is_wrong: bool, words: &str| match is_wrong {
            true => Err(invalid(words.to_owned())),
            false => Ok(()),
        };
        needs(
            self.user.is_some() && self.password.is_none(),
            "remote.user needs remote.password beside it",
        )?;
        needs(
            self.access_key.is_some() != self.secret_key.is_some(),
            "remote.access_key and remote.secret_key are given together",
        )?;
        needs(
            self.session_token.is_some() && self.access_key.is_none(),
            "remote.session_token needs remote.access_key and remote.secret_key",
        )?;
        needs(
            self.credentials_file.is_some() && self.access_key.is_some(),
            "remote.credentials_file stands in place of remote.access_key",
        )?;
        needs(self.concurrency == 0, "remote_concurrency is at least 1")?;
        needs(self.coherence.is_zero(), "coherence is at least 1 ms")?;
        needs(self.timeout.is_zero(), "remote_timeout is at least 1 ms")
    }
}

fn milliseconds(name: &str, value: &str) -> Result<Duration> {
    number(name, value).map(Duration::from_millis)
}

fn number<T: std::str::FromStr>(name: &str, value: &str) -> Result<T> {
    value.parse().map_err(|_| invalid(format!("{name} is a whole number")))
}

fn invalid(words: String) -> Fault {
    Fault::new(Kind::InvalidArgument, words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_read() {
        let redis = [
            ("coherence", "250"),
            ("remote_timeout", "3000"),
            ("remote_retries", "5"),
            ("remote_concurrency", "7"),
            ("remote.user", "u"),
            ("remote.password", "p"),
            ("remote.replicas", "1"),
            ("remote.ca_file", "/ca"),
        ];
        let s = Settings::parse(redis, false).unwrap();
        assert_eq!((s.coherence.as_millis(), s.timeout.as_millis()), (250, 3000));
        assert_eq!((s.retries, s.concurrency, s.replicas), (5, 7, 1));
        assert_eq!((s.user.as_deref(), s.ca_file), (Some("u"), Some("/ca".into())));
        assert_eq!(s.password.unwrap().reveal(), "p");
        let s3 = [
            ("remote.endpoint", "http://h"),
            ("remote.region", "r"),
            ("remote.access_key", "a"),
            ("remote.secret_key", "s"),
            ("remote.session_token", "t"),
            ("remote.style", "host"),
        ];
        let s = Settings::parse(s3, true).unwrap();
        assert_eq!((s.endpoint.as_deref(), s.region.as_deref()), (Some("http://h"), Some("r")));
        assert_eq!((s.access_key.as_deref(), s.style), (Some("a"), Some(Style::Host)));
        assert_eq!((s.secret_key.unwrap().reveal(), s.session_token.unwrap().reveal()), ("s", "t"));
    }

    #[test]
    fn what_cannot_be_is_refused_and_no_value_is_repeated() {
        let cases: [(&[(&str, &str)], bool); 12] = [
            (&[("remote.nothing", "SECRET")], true),
            (&[("remote_retries", "SECRET")], true),
            (&[("coherence", "0")], true),
            (&[("remote_timeout", "SECRET")], false),
            (&[("remote_concurrency", "0")], false),
            (&[("remote.style", "SECRET")], true),
            (&[("remote.password", "SECRET")], true),
            (&[("remote.secret_key", "SECRET")], false),
            (&[("remote.secret_key", "SECRET")], true),
            (&[("remote.user", "SECRET")], false),
            (&[("remote.session_token", "SECRET")], true),
            (&[("remote.access_key", "a"), ("remote.credentials_file", "SECRET")], true),
        ];
        for (pairs, is_s3) in cases {
            let fault = Settings::parse(pairs.iter().copied(), is_s3).unwrap_err();
            assert_eq!(fault.kind(), Kind::InvalidArgument, "{pairs:?}");
            assert!(!fault.words().contains("SECRET"), "{fault}");
        }
    }

    #[test]
    fn a_secret_is_not_shown() {
        let pairs = [("remote.password", "SECRET")];
        assert!(!format!("{:?}", Settings::parse(pairs, false).unwrap()).contains("SECRET"));
    }
}
