//! The names of keys at Redis, and the slots that they fall into.
//!
//! | name | what |
//! | --- | --- |
//! | `NAME/r/EPOCH/tKEY` | a record whose key has a hash tag of its own |
//! | `NAME/r/EPOCH/{kKEY}` | any other record |
//! | `NAME/e/{TAG}` | a copy of the epoch: a decimal number |
//! | `NAME/v/{TAG}` | a counter of versions: a decimal number |
//! | `NAME/s` | held by whoever sweeps old epochs |
//!
//! NAME is that of the store, EPOCH 11 or 12 hexadecimal digits or 0. The slot of a record depends
//! on its key alone: on the key's own tag, or else on `k` and the key up to its first `}`. There are
//! 16 TAGs, whose slots are spread evenly, so that every master has some of the copies.
//!
//! # Invariants
//! 1. The slot of a key is the same in every epoch.
//! 2. Two keys never have the same name.

/// Slots of a cluster.
pub const SLOTS: u16 = 16_384;

/// Copies of the epoch, and counters.
pub const COPIES: usize = 16;

/// The names of one store.
#[derive(Clone, Debug)]
pub struct Names {
    name: String,
    tags: Vec<String>,
}

impl Names {
    /// For the store `name`.
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), tags: (0..COPIES).map(tag).collect() }
    }

    /// What all names begin with.
    pub fn prefix(&self) -> String {
        format!("{}/", self.name)
    }

    /// What the records of all epochs begin with.
    pub fn records(&self) -> String {
        format!("{}/r/", self.name)
    }

    /// The name of a record.
    pub fn record(&self, epoch: u64, key: &[u8]) -> Vec<u8> {
        let mut name = Vec::with_capacity(self.name.len() + key.len() + 20);
        name.extend_from_slice(format!("{}/r/{epoch:x}/", self.name).as_bytes());
        if tag_of(key).is_some() {
            name.push(b't');
            name.extend_from_slice(key);
        } else {
            name.extend_from_slice(b"{k");
            name.extend_from_slice(key);
            name.push(b'}');
        }
        name
    }

    /// The epoch and the key of a record's name; none if it is no such name of this store.
    pub fn key<'a>(&self, name: &'a [u8]) -> Option<(u64, &'a [u8])> {
        let rest = name.strip_prefix(self.name.as_bytes())?.strip_prefix(b"/r/")?;
        let at = rest.iter().position(|&byte| byte == b'/')?;
        let epoch = u64::from_str_radix(std::str::from_utf8(&rest[..at]).ok()?, 16).ok()?;
        let rest = &rest[at + 1..];
        let key = match rest.strip_prefix(b"t") {
            Some(key) => key,
            None => rest.strip_prefix(b"{k")?.strip_suffix(b"}")?,
        };
        Some((epoch, key))
    }

    /// The name of a copy of the epoch.
    pub fn epoch(&self, copy: usize) -> Vec<u8> {
        format!("{}/e/{{{}}}", self.name, self.tags[copy % COPIES]).into_bytes()
    }

    /// The name of a counter of versions.
    pub fn counter(&self, copy: usize) -> Vec<u8> {
        format!("{}/v/{{{}}}", self.name, self.tags[copy % COPIES]).into_bytes()
    }

    /// The name that whoever sweeps holds.
    pub fn sweeping(&self) -> Vec<u8> {
        format!("{}/s", self.name).into_bytes()
    }

    /// The slot of a copy of the epoch, and of the counter beside it.
    pub fn copy_slot(&self, copy: usize) -> u16 {
        slot(self.tags[copy % COPIES].as_bytes())
    }

    /// True for the name of a copy of the epoch.
    pub fn is_epoch(&self, name: &[u8]) -> bool {
        name.strip_prefix(self.name.as_bytes()).is_some_and(|rest| rest.starts_with(b"/e/"))
    }
}

/// The first short number whose slot is in the given sixteenth of all slots.
fn tag(copy: usize) -> String {
    let share = usize::from(SLOTS) / COPIES;
    let mut numbers = (0_u32..).map(|number| number.to_string());
    let found = numbers.find(|tag| usize::from(slot(tag.as_bytes())) / share == copy);
    found.unwrap_or_default()
}

/// The slot of a key of the store.
pub fn slot_of_key(key: &[u8]) -> u16 {
    match tag_of(key) {
        Some(tag) => slot(tag),
        None => {
            let end = key.iter().position(|&byte| byte == b'}').unwrap_or(key.len());
            fold(fold(0, b"k"), &key[..end]) % SLOTS
        }
    }
}

/// The slot of a name at Redis.
pub fn slot_of_name(name: &[u8]) -> u16 {
    slot(tag_of(name).unwrap_or(name))
}

/// What is between the first `{` and the first `}` behind it, if it is not empty.
fn tag_of(name: &[u8]) -> Option<&[u8]> {
    let start = name.iter().position(|&byte| byte == b'{')? + 1;
    let len = name[start..].iter().position(|&byte| byte == b'}')?;
    (len > 0).then(|| &name[start..start + len])
}

fn slot(bytes: &[u8]) -> u16 {
    fold(0, bytes) % SLOTS
}

/// CRC16 (XMODEM), as Redis' cluster specification has it.
fn fold(crc: u16, bytes: &[u8]) -> u16 {
    bytes
        .iter()
        .fold(crc, |crc, &byte| (crc << 8) ^ TABLE[usize::from((crc >> 8) ^ u16::from(byte))])
}

const TABLE: [u16; 256] = {
    let mut table = [0; 256];
    let mut at = 0;
    while at < 256 {
        // The cast is exact: `at` is below 256.
        #[expect(clippy::cast_possible_truncation, reason = "below 256")]
        let mut crc = (at as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 };
            bit += 1;
        }
        table[at] = crc;
        at += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [&[u8]; 14] = [
        b"",
        b"k",
        b"user:1",
        b"{42}a",
        b"x{42}y",
        b"{}",
        b"{}{a}",
        b"}",
        b"}{",
        b"a}b{c",
        b"{kfoo}",
        b"foo",
        b"{",
        b"\x00\xff/{",
    ];

    #[test]
    fn slots_are_those_of_redis() {
        // From the specification, and from `CLUSTER KEYSLOT`.
        assert_eq!(fold(0, b"123456789"), 0x31c3);
        assert_eq!(slot_of_name(b"foo"), 12_182);
        assert_eq!(slot_of_name(b"{user1000}.following"), slot_of_name(b"{user1000}.followers"));
        assert_eq!(slot_of_name(b"foo{}{bar}"), slot(b"foo{}{bar}"));
    }

    #[test]
    fn a_key_has_its_slot_in_every_epoch_and_its_own_tag_counts() {
        let names = Names::new("s");
        for key in KEYS {
            for epoch in [0, 1, u64::MAX] {
                let name = names.record(epoch, key);
                assert_eq!(slot_of_name(&name), slot_of_key(key), "{name:?}");
                assert_eq!(names.key(&name), Some((epoch, key)));
            }
        }
        assert_eq!(slot_of_key(b"{42}a"), slot_of_key(b"x{42}y"));
    }

    #[test]
    fn names_of_two_keys_differ_and_foreign_ones_are_none() {
        let names = Names::new("s");
        let all: std::collections::HashSet<_> =
            KEYS.iter().map(|key| names.record(7, key)).collect();
        assert_eq!(all.len(), KEYS.len());
        for foreign in
            ["", "s", "s/e/{0}", "t/r/0/tx", "s/r/0", "s/r/zz/tx", "s/r/0/x", "s/r/0/{kx"]
        {
            assert_eq!(names.key(foreign.as_bytes()), None, "{foreign}");
        }
        assert!(names.is_epoch(&names.epoch(3)) && !names.is_epoch(b"s/v/{0}"));
    }

    #[test]
    fn copies_are_spread_over_all_slots() {
        let names = Names::new("s");
        for copy in 0..COPIES {
            assert_eq!(usize::from(names.copy_slot(copy)) / 1024, copy);
            assert_eq!(slot_of_name(&names.epoch(copy)), names.copy_slot(copy));
            assert_eq!(slot_of_name(&names.counter(copy)), names.copy_slot(copy));
        }
    }
}
