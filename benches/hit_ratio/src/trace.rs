//! Traces: what is asked for, in order, and what a cache that knows the future would have.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// A request: a key, and how many bytes it has, 0 if the trace does not say.
#[derive(Clone, Copy)]
pub struct Request {
    pub key: u64,
    pub size: u64,
}

/// A trace, its keys numbered from 0.
pub struct Trace {
    pub name: String,
    pub requests: Vec<Request>,
    pub distinct_keys: u64,
    /// Bytes of all keys, each counted once.
    pub distinct_bytes: u64,
}

impl Trace {
    /// Reads a file with a line `key` or `key,size` for each request, packed by gzip or not.
    pub fn read(path: &Path) -> Result<Self, String> {
        let say = |what: &dyn std::fmt::Display| format!("{}: {what}", path.display());
        let file = File::open(path).map_err(|error| say(&error))?;
        let is_packed = path.extension().is_some_and(|extension| extension == "gz");
        let reader: Box<dyn Read> = match is_packed {
            true => Box::new(flate2::read::MultiGzDecoder::new(file)),
            false => Box::new(file),
        };
        let (mut numbers, mut sizes) = (HashMap::new(), Vec::<u64>::new());
        let mut requests = Vec::new();
        for line in BufReader::new(reader).lines() {
            let line = line.map_err(|error| say(&error))?;
            let (name, size) = line.trim().split_once(',').unwrap_or((line.trim(), "0"));
            if name.is_empty() {
                continue;
            }
            let size = size.parse().map_err(|_| say(&format_args!("{line:?} has no size")))?;
            let next = numbers.len() as u64;
            let key = *numbers.entry(name.to_owned()).or_insert(next);
            if key == next {
                sizes.push(size);
            }
            requests.push(Request { key, size });
        }
        if requests.is_empty() {
            return Err(say(&"there is no request in it"));
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let name = name.trim_end_matches(".gz").trim_end_matches(".txt").to_owned();
        let distinct_bytes = sizes.iter().sum();
        Ok(Self { name, requests, distinct_keys: sizes.len() as u64, distinct_bytes })
    }

    /// All traces one after the other, the keys of different traces being different, those of two
    /// traces of one name the same.
    pub fn joined(traces: Vec<Self>) -> Self {
        let (mut offsets, mut keys, mut bytes) = (HashMap::new(), 0, 0);
        let (mut requests, mut names) = (Vec::new(), Vec::new());
        for trace in traces {
            let offset = *offsets.entry(trace.name.clone()).or_insert_with(|| {
                let offset = keys;
                keys += trace.distinct_keys;
                bytes += trace.distinct_bytes;
                offset
            });
            let moved = trace.requests.iter().map(|r| Request { key: r.key + offset, ..*r });
            requests.extend(moved);
            names.push(trace.name);
        }
        let name = names.join("+");
        Self { name, requests, distinct_keys: keys, distinct_bytes: bytes }
    }

    /// True if the trace says how large things are.
    pub fn has_sizes(&self) -> bool {
        self.distinct_bytes > 0
    }

    /// What each request takes of a capacity: its bytes, or one.
    pub fn weights(&self, by_bytes: bool) -> impl Iterator<Item = (u64, u64)> {
        self.requests.iter().map(move |request| match by_bytes {
            true => (request.key, request.size.max(1)),
            false => (request.key, 1),
        })
    }

    /// The hits of Belady's rule: what is asked for again last, leaves first.
    pub fn belady(&self, by_bytes: bool, capacity: u64) -> u64 {
        let mut next = vec![usize::MAX; self.requests.len()];
        let mut seen = HashMap::new();
        for (at, request) in self.requests.iter().enumerate().rev() {
            if let Some(later) = seen.insert(request.key, at) {
                next[at] = later;
            }
        }
        let (mut cache, mut order) = (HashMap::<u64, (usize, u64)>::new(), BTreeSet::new());
        let (mut used, mut hits) = (0, 0);
        for (at, (key, weight)) in self.weights(by_bytes).enumerate() {
            if let Some((due, weight)) = cache.remove(&key) {
                order.remove(&(due, key));
                used -= weight;
                hits += 1;
            }
            if next[at] == usize::MAX || weight > capacity {
                continue;
            }
            cache.insert(key, (next[at], weight));
            order.insert((next[at], key));
            used += weight;
            while used > capacity
                && let Some((_, key)) = order.pop_last()
            {
                used -= cache.remove(&key).map_or(0, |(_, weight)| weight);
            }
        }
        hits
    }
}

/// The traces in a file or a folder, by name.
pub fn find(path: &Path) -> Result<Vec<PathBuf>, String> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let listed = path.read_dir().map_err(|error| format!("{}: {error}", path.display()))?;
    let mut paths: Vec<_> = listed.filter_map(|entry| Some(entry.ok()?.path())).collect();
    let is_trace =
        |path: &PathBuf| path.extension().is_some_and(|e| e == "gz" || e == "txt" || e == "csv");
    paths.retain(is_trace);
    paths.sort();
    Ok(paths)
}
