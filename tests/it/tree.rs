//! The source files as text, and where one names another: what `tidy` and `header` look at.
//!
//! It is no parser. It knows how rustfmt writes, and takes a word behind `crate::` or `super::` for
//! the name of a module or an item; comments and tests are left out.

use std::fs;
use std::path::Path;

/// A file of `src/`: its path below it, with `/`, and its text.
pub struct Source {
    /// `cold/keydir.rs`, for example.
    pub path: String,
    /// All of it.
    pub text: String,
}

impl Source {
    /// The module's name as segments: `["cold", "keydir"]`; none for `lib.rs`.
    pub fn module(&self) -> Vec<&str> {
        let path = self.path.trim_end_matches(".rs");
        let path = path.strip_suffix("/mod").unwrap_or(path);
        path.split('/').filter(|name| *name != "lib").collect()
    }

    /// Whether the whole file is compiled for tests only.
    pub fn is_test(&self) -> bool {
        self.path.ends_with("/tests.rs") || self.path.contains("/tests/")
    }

    /// The lines in front of the unit tests.
    pub fn body(&self) -> impl Iterator<Item = &str> {
        let end = self.text.find("#[cfg(test)]\nmod tests").unwrap_or(self.text.len());
        self.text[..end].lines()
    }

    /// The lines of `body` that are not comments.
    pub fn code(&self) -> impl Iterator<Item = &str> {
        self.body().filter(|line| !line.trim_start().starts_with("//"))
    }

    /// The modules that it declares, in their order; a row of `policies!` declares one, too.
    pub fn declares(&self) -> Vec<&str> {
        let mut in_table = false;
        let declared = self.code().filter_map(|line| {
            in_table = line.ends_with("policies! {") || in_table && line != "}";
            let row = line.trim_start().split_once(": ").filter(|_| in_table);
            declared(line).or(row.map(|(file, _)| file))
        });
        declared.collect()
    }

    /// The paths that it names, made absolute: `["cold", "keydir", "Keydir"]`.
    pub fn names(&self) -> Vec<Vec<String>> {
        let code = self.code().collect::<Vec<_>>().join("\n");
        let mut parent: Vec<String> = self.module().into_iter().map(String::from).collect();
        parent.pop();
        let mut found = Vec::new();
        for (prefix, base) in [("crate::", Vec::new()), ("super::", parent)] {
            for (at, _) in code.match_indices(prefix) {
                let is_whole = !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
                if is_whole && !code[..at].ends_with("::") {
                    expand(&code[at + prefix.len()..], &base, &mut found);
                }
            }
        }
        found
    }
}

fn declared(line: &str) -> Option<&str> {
    let line = line.trim_start_matches("pub(crate) ").trim_start_matches("pub ");
    line.strip_prefix("mod ")?.strip_suffix(';')
}

/// Adds the paths that `text` begins with, behind `base`: one, or those of a `{group}`.
fn expand(text: &str, base: &[String], found: &mut Vec<Vec<String>>) {
    let Some(group) = text.strip_prefix('{') else {
        let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
        let mut path = base.to_vec();
        path.push(text[..end].to_string());
        return match text[end..].strip_prefix("::") {
            Some(rest) if rest.starts_with(|c: char| c.is_alphabetic() || c == '{') => {
                expand(rest, &path, found);
            }
            _ => found.push(path),
        };
    };
    let mut depth = 0;
    let mut start = 0;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                let member = group[start..at].trim();
                if !member.is_empty() {
                    expand(member, base, found);
                }
                start = at + 1;
            }
            _ => {}
        }
        if c == '}' && depth == 0 && start == at + 1 {
            return;
        }
    }
}

/// Every file of `src/`, by path.
pub fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    collect(&root, "", &mut found);
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn collect(folder: &Path, prefix: &str, found: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{prefix}{}", entry.file_name().into_string().unwrap());
        if entry.file_type().unwrap().is_dir() {
            collect(&entry.path(), &format!("{path}/"), found);
        } else if path.ends_with(".rs") {
            found.push(Source { path, text: fs::read_to_string(entry.path()).unwrap() });
        }
    }
}

/// A function that C sees.
pub struct Exported {
    /// Its name.
    pub name: String,
    /// Its comment's lines, without the marks.
    pub docs: Vec<String>,
    /// Whether it returns a status.
    pub is_fallible: bool,
}

/// The functions that a file exports to C.
pub fn exported(source: &Source) -> Vec<Exported> {
    let lines: Vec<&str> = source.body().collect();
    let starts = (0..lines.len()).filter(|at| lines[*at].contains("extern \"C\" fn hotcold_"));
    // Types of functions and imports have the words, too; what is exported has the attribute.
    let starts = starts.filter(|at| *at > 0 && lines[at - 1].contains("no_mangle"));
    starts.map(|at| function(&lines, at)).collect()
}

fn function(lines: &[&str], at: usize) -> Exported {
    let (_, rest) = lines[at].split_once("extern \"C\" fn ").unwrap();
    let above = lines[..at].iter().rev().skip_while(|line| line.starts_with("#["));
    let docs = above.map_while(|line| line.strip_prefix("///"));
    let mut docs: Vec<String> = docs.map(|line| line.trim().to_string()).collect();
    docs.reverse();
    let signature = lines[at..].iter().take_while(|line| !line.starts_with('}'));
    let end = signature.clone().position(|line| line.ends_with('{')).unwrap();
    Exported {
        name: rest.split('(').next().unwrap().to_string(),
        docs,
        is_fallible: lines[at + end].contains("-> hotcold_status_t"),
    }
}

#[test]
fn names_are_found_in_every_way_of_writing() {
    let text = "use crate::hot::{Hot, shard::{self, Shard}};\nuse super::keydir::Keydir;\n\
                // crate::comment\nfn f() -> crate::error::Result<()> {}\n\
                #[cfg(test)]\nmod tests {\n    use crate::ffi;\n}\n";
    let source = Source { path: "cold/active.rs".into(), text: text.into() };
    let names: Vec<String> = source.names().iter().map(|path| path.join(" ")).collect();
    let wanted =
        ["hot Hot", "hot shard self", "hot shard Shard", "error Result", "cold keydir Keydir"];
    assert_eq!(names, wanted);
}
