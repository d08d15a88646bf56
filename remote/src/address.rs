//! The path that names an engine: which one, where, and the name that keeps stores apart there.
//!
//! Secrets never stand in it, because it reaches messages, stats and events.

use crate::fault::{Fault, Kind, Result};

/// The longest name of a store at an engine.
const NAME_BYTES_MAX: usize = 128;

/// Where an engine is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// One Redis server, or the nodes from which a cluster is learnt.
    Redis {
        /// Host and port of each.
        nodes: Vec<Node>,
        /// Several nodes that divide the keys.
        is_cluster: bool,
        /// Over TLS.
        is_tls: bool,
        /// Of the store; in front of all its keys.
        name: String,
    },
    /// A bucket.
    S3 {
        /// Its name.
        bucket: String,
        /// In front of all objects, without a slash at the end; may be empty.
        prefix: String,
    },
}

/// A host and its port.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Node {
    /// A name, or an address without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
}

impl std::fmt::Display for Node {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') {
            write!(to, "[{}]:{}", self.host, self.port)
        } else {
            write!(to, "{}:{}", self.host, self.port)
        }
    }
}

impl Address {
    /// Reads a path with a scheme.
    ///
    /// # Errors
    /// `InvalidArgument`; the sentence never has the path in it, which may hold what should not be
    /// there.
    pub fn parse(url: &str) -> Result<Self> {
        let (scheme, rest) = url.split_once("://").ok_or_else(|| invalid("has no scheme"))?;
        if rest.contains('@') {
            return Err(invalid(
                "holds credentials; give them as remote.user and remote.password, or \
                 remote.access_key and remote.secret_key",
            ));
        }
        if rest.contains(['?', '#']) {
            return Err(invalid("holds ? or #; what can be chosen are options"));
        }
        let (place, path) = rest.split_once('/').unwrap_or((rest, ""));
        match scheme {
            "redis" => redis(place, path, false, false),
            "rediss" => redis(place, path, false, true),
            "redis+cluster" => redis(place, path, true, false),
            "rediss+cluster" => redis(place, path, true, true),
            "s3" => s3(place, path),
            _ => Err(invalid(
                "has an unknown scheme; known are redis, rediss, redis+cluster, rediss+cluster, s3",
            )),
        }
    }
}

fn redis(place: &str, path: &str, is_cluster: bool, is_tls: bool) -> Result<Address> {
    let nodes = place.split(',').map(node).collect::<Result<Vec<_>>>()?;
    if nodes.len() > 1 && !is_cluster {
        return Err(invalid("names several hosts; for a cluster it begins with redis+cluster://"));
    }
    let name = path.trim_end_matches('/');
    let name = if name.is_empty() { "hotcold" } else { name };
    check_name(name, "._-", "the name behind the host")?;
    Ok(Address::Redis { nodes, is_cluster, is_tls, name: name.to_owned() })
}

fn s3(bucket: &str, path: &str) -> Result<Address> {
    check_name(bucket, ".-_", "the bucket")?;
    let prefix = path.trim_end_matches('/');
    if !prefix.is_empty() {
        check_name(prefix, "._-/", "the prefix behind the bucket")?;
        if prefix.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(invalid("has an empty part, . or .. in its prefix"));
        }
    }
    Ok(Address::S3 { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
}

/// A host with its port; 6379 without one.
///
/// # Errors
/// `InvalidArgument`.
pub fn node(text: &str) -> Result<Node> {
    let bad = || invalid("has a host that is not HOST, HOST:PORT or [IPV6]:PORT");
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or_else(bad)?;
            (host, port.strip_prefix(':'))
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let port = port.map_or(Ok(6379), str::parse).map_err(|_| bad())?;
    let is_good = |c: char| c.is_ascii_alphanumeric() || ".-_:%".contains(c);
    if host.is_empty() || port == 0 || !host.chars().all(is_good) {
        return Err(bad());
    }
    Ok(Node { host: host.to_owned(), port })
}

fn check_name(name: &str, also: &str, what: &str) -> Result<()> {
    let is_good = |c: char| c.is_ascii_alphanumeric() || also.contains(c);
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.chars().all(is_good) {
        let words = format!(
            "needs 1 to {NAME_BYTES_MAX} letters, digits and {also} for {what}, and nothing else"
        );
        return Err(invalid(words));
    }
    Ok(())
}

fn invalid(words: impl std::fmt::Display) -> Fault {
    Fault::new(Kind::InvalidArgument, format!("the path of the store {words}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(host: &str, port: u16) -> Node {
        Node { host: host.into(), port }
    }

    #[test]
    fn engines_are_told_apart() {
        let redis = |nodes, is_cluster, is_tls, name: &str| Address::Redis {
            nodes,
            is_cluster,
            is_tls,
            name: name.into(),
        };
        let s3 = |bucket: &str, prefix: &str| Address::S3 {
            bucket: bucket.into(),
            prefix: prefix.into(),
        };
        for (url, expected) in [
            ("redis://h", redis(vec![at("h", 6379)], false, false, "hotcold")),
            ("rediss://h:1/x", redis(vec![at("h", 1)], false, true, "x")),
            (
                "redis+cluster://10.0.0.1:7000,[::1]:7001/sessions/",
                redis(vec![at("10.0.0.1", 7000), at("::1", 7001)], true, false, "sessions"),
            ),
            ("rediss+cluster://[::1]", redis(vec![at("::1", 6379)], true, true, "hotcold")),
            ("s3://b", s3("b", "")),
            ("s3://my.bucket/a/b/", s3("my.bucket", "a/b")),
        ] {
            assert_eq!(Address::parse(url), Ok(expected), "{url}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused_without_repeating_it() {
        for url in [
            "redis://SECRET@h",
            "redis://u:SECRET@h/x",
            "s3://b/x?SECRET",
            "redis://h:SECRET",
            "redis://h,SECRET",
            "redis://SECRET:",
            "redis://[SECRET",
            "redis://h/{SECRET}",
            "redis://h/a/SECRET",
            "redis:///SECRET",
            "SECRET://h",
            "SECRET",
            "s3:///SECRET",
            "s3://b/../SECRET",
            "s3://b//SECRET",
            "s3://b/a b SECRET",
        ] {
            let fault = Address::parse(url).unwrap_err();
            assert_eq!(fault.kind(), Kind::InvalidArgument, "{url}");
            assert!(!fault.words().contains("SECRET"), "{fault}");
        }
    }
}
