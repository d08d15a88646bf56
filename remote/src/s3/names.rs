//! The names of objects.
//!
//! | name | what |
//! | --- | --- |
//! | `PREFIX/r/EPOCH/kKEY` | a record; EPOCH in hexadecimal digits |
//! | `PREFIX/e` | the epoch: a decimal number |
//! | `PREFIX/v` | the counter of versions: a decimal number |
//! | `PREFIX/x` | there are records that expire |
//! | `PREFIX/reaped` | when it was reaped last: milliseconds, a decimal number |
//! | `PREFIX/probe` | whether conditions hold at this server |
//!
//! Names are text, and keys are not. A letter or digit of a key stands for itself; any other byte is
//! a sign and two hexadecimal digits. There are four signs, one for each gap in the alphabet, so that
//! names have the order of their keys:
//!
//! | bytes | sign |
//! | --- | --- |
//! | 00 to 2f | `-` |
//! | 3a to 40 | `=` |
//! | 5b to 60 | `_` |
//! | 7b to ff | `~` |
//!
//! # Invariants
//! 1. Two keys never have the same name, and names are sorted as their keys are.
//! 2. What a key begins with, its name begins with the name of.

/// The longest name of an object.
const NAME_BYTES_MAX: usize = 1024;

/// The names of one store.
#[derive(Clone, Debug)]
pub struct Names {
    prefix: String,
}

impl Names {
    /// Behind `prefix`, which may be empty.
    pub fn new(prefix: &str) -> Self {
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        Self { prefix }
    }

    /// Any name of the store's own.
    pub fn own(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// What the records of all epochs begin with.
    pub fn records(&self) -> String {
        self.own("r/")
    }

    /// The name of a record, or what the names of all records begin with whose keys begin so.
    pub fn record(&self, epoch: u64, key: &[u8]) -> String {
        let mut name = format!("{}r/{epoch:x}/k", self.prefix);
        name.reserve(key.len() * 3);
        for &byte in key {
            let sign = match byte {
                b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => {
                    name.push(char::from(byte));
                    continue;
                }
                0..=0x2f => '-',
                0x3a..=0x40 => '=',
                0x5b..=0x60 => '_',
                _ => '~',
            };
            name.push(sign);
            name.push(digit(byte >> 4));
            name.push(digit(byte & 15));
        }
        name
    }

    /// The epoch and the key of a record's name; none if it is no such name of this store.
    pub fn key(&self, name: &str) -> Option<(u64, Vec<u8>)> {
        let rest = name.strip_prefix(&self.prefix)?.strip_prefix("r/")?;
        let (epoch, rest) = rest.split_once('/')?;
        let epoch = u64::from_str_radix(epoch, 16).ok()?;
        let mut rest = rest.strip_prefix('k')?.bytes();
        let mut key = Vec::with_capacity(rest.len());
        while let Some(byte) = rest.next() {
            key.push(if byte.is_ascii_alphanumeric() {
                byte
            } else {
                value(rest.next()?)? << 4 | value(rest.next()?)?
            });
        }
        Some((epoch, key))
    }
}

/// True if an object may have the name.
pub fn fits(name: &str) -> bool {
    name.len() <= NAME_BYTES_MAX
}

fn digit(value: u8) -> char {
    char::from_digit(u32::from(value), 16).unwrap_or('0')
}

fn value(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_as_keys_and_read_back() {
        let names = Names::new("a/b");
        let mut keys: Vec<Vec<u8>> = (0..=255).map(|byte| vec![byte]).collect();
        keys.extend((0..=255).map(|byte| vec![b'm', byte]));
        keys.extend((0..=255).map(|byte| vec![byte, b'm', b'/']));
        keys.push(Vec::new());
        keys.sort();
        let all: Vec<String> = keys.iter().map(|key| names.record(7, key)).collect();
        assert!(all.windows(2).all(|pair| pair[0] < pair[1]));
        for (key, name) in keys.iter().zip(&all) {
            assert_eq!(names.key(name), Some((7, key.clone())), "{name}");
            assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-=_~/".contains(&b)));
        }
        assert_eq!(names.record(255, b"user:1"), "a/b/r/ff/kuser=3a1");
        assert!(names.record(1, b"ab/c").starts_with(&names.record(1, b"ab/")));
    }

    #[test]
    fn foreign_names_are_none() {
        let names = Names::new("");
        assert_eq!(names.record(0, b""), "r/0/k");
        for foreign in ["", "e", "r/0", "r/0/", "r/x/k", "r/0/kx-4", "r/0/k-zz", "s/r/0/k"] {
            assert_eq!(names.key(foreign), None, "{foreign}");
        }
        assert!(fits(&"x".repeat(1024)) && !fits(&"x".repeat(1025)));
    }
}
