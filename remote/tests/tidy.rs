//! The order of the sources, as in the core: what each file is, how long it may be, where `unsafe` is.

#![expect(clippy::unwrap_used, reason = "tests may fail")]

use std::fs;
use std::path::{Path, PathBuf};

fn sources() -> Vec<(PathBuf, String)> {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    assert!(found.len() > 30);
    found
}

/// The lines in front of the unit tests.
fn body(text: &str) -> impl Iterator<Item = &str> {
    text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default().lines()
}

#[test]
fn files_say_what_they_are_and_are_short() {
    for (path, text) in sources() {
        assert!(text.starts_with("//! "), "{}: no comment on top", path.display());
        let lines = body(&text).count();
        assert!(lines <= 500, "{}: {lines} lines", path.display());
        for word in
            [concat!("TO", "DO"), concat!("FIX", "ME"), "macro_rules!", concat!("#[", "ignore")]
        {
            assert!(!text.contains(word), "{}: {word}", path.display());
        }
    }
}

#[test]
fn unsafe_is_at_the_boundary_of_c() {
    for (path, text) in sources() {
        let code = body(&text).filter(|line| !line.trim_start().starts_with("//"));
        let words = code.flat_map(|line| line.split(|c: char| !c.is_alphanumeric() && c != '_'));
        let has = words.into_iter().any(|word| word == "unsafe");
        assert!(!has || path.to_string_lossy().contains("/src/ffi/"), "{}", path.display());
    }
}

#[test]
fn an_engine_does_not_know_the_other_nor_c() {
    for (path, text) in sources() {
        let path = path.to_string_lossy().into_owned();
        let code: String =
            body(&text).filter(|line| !line.trim_start().starts_with("//")).collect();
        let foreign: &[&str] = if path.contains("/src/redis/") {
            &["crate::s3", "crate::ffi", "crate::open"]
        } else if path.contains("/src/s3/") {
            &["crate::redis", "crate::ffi", "crate::open"]
        } else if path.contains("/src/ffi/") {
            &["crate::redis", "crate::s3"]
        } else {
            &["crate::ffi"]
        };
        for other in foreign {
            assert!(!code.contains(other), "{path} names {other}");
        }
    }
}
