//! The servers that `remote/test` has started.

use crate::core::Core;
use std::env::var;
use std::sync::atomic::{AtomicU32, Ordering};

/// A name that no other test uses, and no earlier run.
pub fn fresh(what: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let time = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis();
    format!("{what}-{time}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// What the script says; it must be there.
pub fn said(name: &str) -> String {
    var(name).unwrap_or_else(|_| panic!("{name} is not set: run the tests by remote/test"))
}

/// An engine and what it is opened with.
#[derive(Clone)]
pub struct Place {
    pub url: String,
    pub options: Vec<(String, String)>,
}

impl Place {
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.options.push((name.into(), value.into()));
        self
    }

    pub fn open(&self) -> Core {
        self.try_open().unwrap_or_else(|(status, words)| panic!("{status}: {words}"))
    }

    pub fn try_open(&self) -> Result<Core, (i32, String)> {
        let options: Vec<(&str, &str)> =
            self.options.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        Core::open(&self.url, &options)
    }
}

/// One Redis server.
pub fn redis() -> Place {
    let url = format!("redis://127.0.0.1:{}/{}", said("HOTCOLD_REDIS"), fresh("redis"));
    Place { url, options: Vec::new() }
}

/// A Redis cluster.
pub fn cluster() -> Place {
    let url = format!("redis+cluster://127.0.0.1:{}/{}", said("HOTCOLD_CLUSTER"), fresh("cluster"));
    Place { url, options: Vec::new() }
}

/// The S3 servers that are there: moto, SeaweedFS.
pub fn buckets() -> Vec<Place> {
    let place = |name: &str| {
        let url = format!("s3://hotcold/{}", fresh("s3"));
        Place { url, options: Vec::new() }
            .with("remote.endpoint", &format!("http://127.0.0.1:{}", said(name)))
            .with("remote.access_key", "testkey")
            .with("remote.secret_key", "testsecret")
    };
    vec![place("HOTCOLD_MOTO"), place("HOTCOLD_SEAWEED")]
}
