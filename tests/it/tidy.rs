//! The order of the sources: who may know whom, how long a file may be, what every C function says.
//!
//! A layer may name only what stands above it in `LAYERS`, so that a circle cannot be written down.
//! Within a folder the same holds by the order of the `mod` lines, which is also the reading order;
//! `mod.rs` is the top of its folder, and no file below names what is in it.

use crate::tree::{Exported, Source, exported, sources};

/// Each layer with what it may name.
const LAYERS: &[(&str, &[&str])] = &[
    ("error", &[]),
    ("limits", &["error"]),
    ("time", &["error", "limits"]),
    ("sync", &[]),
    ("seats", &["sync"]),
    ("memory", &["error"]),
    ("ledger", &["sync"]),
    ("label", &[]),
    ("buffer", &["error", "limits", "memory", "sync", "ledger", "label"]),
    ("chain", &["error", "memory", "label", "buffer"]),
    ("key", &["error", "limits"]),
    ("codec", BASE),
    ("io", BASE),
    ("hot", HOT),
    ("cold", &["error", "limits", "sync", "time", "memory", "buffer", "key", "codec", "io"]),
    ("store", STORE),
    ("api", &["error", "memory", "store"]),
    ("ffi", &["error", "limits", "sync", "memory", "buffer", "key", "store"]),
];

const STORE: &[&str] =
    &["error", "limits", "sync", "time", "memory", "ledger", "buffer", "key", "io", "hot", "cold"];

const HOT: &[&str] = &[
    "error", "limits", "time", "sync", "seats", "memory", "ledger", "label", "buffer", "chain",
    "key",
];

const BASE: &[&str] = &["error", "limits", "time", "sync", "memory", "buffer", "key"];

/// Where `unsafe` is allowed: where C or the system is talked to, in the shared buffer, in the nodes of
/// the hot tier's order, and in the lock whose readers share nothing.
const UNSAFE: &[&str] = &["ffi/", "io/", "buffer.rs", "chain.rs", "seats.rs"];

/// Where macros are made: one that makes a hot policy a matter of one row.
const MACROS: &[&str] = &["hot/eviction.rs"];

/// Lines of a file without its tests: more than that is more than one idea.
const LINES_MAX: usize = 500;

/// What is wrong with the imports of `source`, which is one of `all`.
fn bad_imports(source: &Source, all: &[Source]) -> Vec<String> {
    let own = source.module();
    let mut bad = Vec::new();
    for path in source.names() {
        let same = own.iter().zip(&path).take_while(|(a, b)| *a == b).count();
        let (Some(mine), Some(other)) = (own.get(same), path.get(same)) else {
            continue; // its own children or items, which it may know
        };
        let allowed = match same {
            0 => LAYERS.iter().find(|(layer, _)| layer == mine).map(|(_, may)| may.to_vec()),
            _ => all.iter().find(|parent| parent.module() == own[..same]).map(|parent| {
                parent.declares().into_iter().take_while(|sibling| sibling != mine).collect()
            }),
        };
        if !allowed.unwrap_or_default().contains(&other.as_str()) {
            bad.push(format!("src/{}: may not name {}", source.path, path.join("::")));
        }
    }
    bad
}

fn checked(what: impl Fn(&Source) -> Vec<String>) {
    let bad: Vec<String> = sources().iter().flat_map(what).collect();
    assert!(bad.is_empty(), "\n{}\n", bad.join("\n"));
}

#[test]
fn a_layer_names_only_layers_above_it() {
    for (at, (layer, may)) in LAYERS.iter().enumerate() {
        for other in *may {
            let above = LAYERS[..at].iter().any(|(name, _)| name == other);
            assert!(above, "{layer} may name {other}, which does not stand above it");
        }
    }
}

#[test]
fn imports_go_one_way() {
    let all = sources();
    checked(|source| {
        let is_exempt = source.is_test() || source.path == "lib.rs";
        if is_exempt { Vec::new() } else { bad_imports(source, &all) }
    });
}

#[test]
fn the_import_check_sees_what_is_forbidden() {
    let source = |path: &str, text: &str| Source { path: path.into(), text: text.into() };
    let all = [
        source("cold/mod.rs", "mod a;\npub mod b;\nuse crate::cold::b::B;\nuse crate::io::Disk;\n"),
        source("cold/a.rs", "use crate::cold::b::B;\n"),
        source("cold/b.rs", "use super::a::A;\nuse crate::cold::a::A;\n"),
        source("cold/c.rs", "use crate::cold::Cold;\n"),
        source("hot/mod.rs", "use crate::cold::Cold;\nuse crate::key::Key;\n"),
        source("a/mod.rs", "mod b;\nb::policies! {\n    c: C, \"c\";\n    d: D, \"d\";\n}\n"),
        source("a/c.rs", "use super::{b::B, d::D};\n"),
    ];
    let bad: Vec<Vec<String>> = all.iter().map(|source| bad_imports(source, &all)).collect();
    assert!(bad[0].is_empty(), "the top of a folder knows the folder: {:?}", bad[0]);
    assert_eq!(bad[1], ["src/cold/a.rs: may not name cold::b::B"]);
    assert!(bad[2].is_empty(), "later siblings know earlier ones: {:?}", bad[2]);
    assert_eq!(bad[3], ["src/cold/c.rs: may not name cold::Cold"]);
    assert_eq!(bad[4], ["src/hot/mod.rs: may not name cold::Cold"]);
    assert_eq!(bad[6], ["src/a/c.rs: may not name a::d::D"]);
}

#[test]
fn every_folder_is_a_layer() {
    checked(|source| {
        let module = source.module();
        let known = module.first().is_none_or(|name| LAYERS.iter().any(|(layer, _)| layer == name));
        if known { Vec::new() } else { vec![format!("src/{} belongs to no layer", source.path)] }
    });
}

#[test]
fn files_are_short() {
    checked(|source| {
        let lines = source.body().count();
        let is_long = !source.is_test() && lines > LINES_MAX;
        if is_long { vec![format!("src/{}: {lines} lines", source.path)] } else { Vec::new() }
    });
}

#[test]
fn nothing_is_left_to_do_and_macros_are_where_they_may_be() {
    checked(|source| {
        // Put together here, so that this file does not say them.
        let words = [
            concat!("TO", "DO"),
            concat!("FIX", "ME"),
            concat!("X", "XX"),
            concat!("#[", "ignore"),
        ];
        let makes_one = !MACROS.contains(&source.path.as_str());
        let words = words.iter().chain(makes_one.then_some(&"macro_rules!"));
        let found = words.filter(|word| source.text.contains(**word));
        found.map(|word| format!("src/{}: {word}", source.path)).collect()
    });
}

#[test]
fn unsafe_is_where_c_or_the_system_is() {
    checked(|source| {
        let is_allowed = UNSAFE.iter().any(|place| source.path.starts_with(place));
        let is_word = |line: &str| {
            let mut words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
            words.any(|word| word == "unsafe")
        };
        let found = source.code().filter(|line| !is_allowed && is_word(line));
        found.map(|line| format!("src/{}: {}", source.path, line.trim())).collect()
    });
}

/// The lines of `source` without its tests that have one of `words`.
fn lines_with(source: &Source, words: &[&str]) -> Vec<String> {
    let code = source.body().map(str::trim).filter(|line| !line.starts_with("//"));
    let found = code.filter(|line| words.iter().any(|word| line.contains(word)));
    found.map(|line| format!("src/{}: {line}", source.path)).collect()
}

#[test]
fn only_io_asks_for_the_time() {
    let words = ["Instant::now", "SystemTime::now", "UNIX_EPOCH.elapsed"];
    let is_asked = |source: &Source| !source.is_test() && !source.path.starts_with("io/");
    checked(|source| if is_asked(source) { lines_with(source, &words) } else { Vec::new() });
    let text = "fn f() {\n    let now = Instant::now();\n}\n";
    let source = Source { path: "store/x.rs".into(), text: text.into() };
    assert_eq!(lines_with(&source, &words).len(), 1);
}

/// A cold tier need not be made of files: what those are called stays in `cold/local`.
#[test]
fn neither_store_nor_hot_names_a_file_a_segment_or_a_location() {
    let words =
        ["Location", "Segment", "segment_", "Checkpoint", "io::files", "io::disk", "io::lock"];
    let is_asked = |source: &Source| {
        !source.is_test() && ["store/", "hot/"].iter().any(|place| source.path.starts_with(place))
    };
    checked(|source| if is_asked(source) { lines_with(source, &words) } else { Vec::new() });
    let text = "fn f(at: Location) {}\n";
    let source = Source { path: "store/x.rs".into(), text: text.into() };
    assert_eq!(lines_with(&source, &words).len(), 1);
}

#[test]
fn every_file_says_what_it_is() {
    checked(|source| {
        let says = source.is_test() || source.text.starts_with("//! ");
        if says { Vec::new() } else { vec![format!("src/{}: no comment on top", source.path)] }
    });
}

/// What is missing in the comment of a function that C sees.
fn missing(function: &Exported) -> Vec<String> {
    let Exported { name, docs, is_fallible } = function;
    let has = |word: &str| docs.iter().any(|line| line.split(' ').next() == Some(word));
    let first: String = docs.iter().take_while(|line| !line.is_empty()).cloned().collect();
    let mut missing = Vec::new();
    if !first.contains('.') {
        missing.push(format!("{name}: no first sentence"));
    }
    for word in ["safe", "since"] {
        if !has(word) {
            missing.push(format!("{name}: no line `{word}`"));
        }
    }
    let needed = ["HOTCOLD_OK", "HOTCOLD_INVALID_ARGUMENT"];
    for status in needed.iter().filter(|status| *is_fallible && !has(status)) {
        // Closing nothing is fine, so that nothing is an invalid argument there.
        if *status == "HOTCOLD_OK" || name != "hotcold_close" {
            missing.push(format!("{name}: {status} is not explained"));
        }
    }
    missing
}

#[test]
fn c_functions_say_what_callers_need() {
    checked(|source| exported(source).iter().flat_map(missing).collect());
}

#[test]
fn the_comment_check_sees_what_is_missing() {
    let text = "/// Does it.\n///\n/// safe  always\n/// HOTCOLD_OK  done\n/// since 0.1.0\n\
                #[unsafe(no_mangle)]\npub extern \"C\" fn hotcold_f(\n    a: i32,\n\
                ) -> hotcold_status_t {\n}\n";
    let source = Source { path: "ffi/f.rs".into(), text: text.into() };
    let functions = exported(&source);
    assert_eq!(functions.len(), 1);
    assert_eq!(missing(&functions[0]), ["hotcold_f: HOTCOLD_INVALID_ARGUMENT is not explained"]);
}

/// The public functions of `source` that can fail and do not say how.
fn silent(source: &Source) -> Vec<String> {
    let lines: Vec<&str> = source.body().collect();
    let is_end = |line: &&str| line.ends_with('{') || line.ends_with(';');
    let starts = (0..lines.len()).filter(|at| lines[*at].trim_start().starts_with("pub fn "));
    let silent = starts.filter(|at| {
        let end = lines[*at..].iter().position(is_end).unwrap_or_default();
        let is_fallible = lines[at + end].contains("-> Result<");
        let above = lines[..*at].iter().rev().map(|line| line.trim_start());
        let mut docs = above.take_while(|line| line.starts_with("///") || line.starts_with("#["));
        is_fallible && !docs.any(|line| line == "/// # Errors")
    });
    silent.map(|at| format!("src/{}: {} has no # Errors", source.path, lines[at].trim())).collect()
}

/// Clippy asks for it only where the world outside of the crate can call.
#[test]
fn functions_of_the_store_say_how_they_fail() {
    let places = ["store/", "api/"];
    let is_asked = |source: &Source| {
        !source.is_test() && places.iter().any(|place| source.path.starts_with(place))
    };
    checked(|source| if is_asked(source) { silent(source) } else { Vec::new() });
    let text = "/// Does it.\n///\n/// # Errors\n/// `Io`.\npub fn says() -> Result<()> {\n}\n\
                /// Does it.\n#[must_use]\npub fn hides(\n    a: u8,\n) -> Result<u8> {\n}\n\
                pub fn cannot() -> u8 {\n}\n";
    let source = Source { path: "store/x.rs".into(), text: text.into() };
    assert_eq!(silent(&source), ["src/store/x.rs: pub fn hides( has no # Errors"]);
}
