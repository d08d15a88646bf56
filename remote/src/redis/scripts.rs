//! What has to be decided at the node of the key, in Lua. Redis keeps a script under the SHA-1 of
//! its text; ours are known before they are sent.

use crate::redis::resp::Command;

/// A script, and the number under which a server may know it.
#[derive(Debug)]
pub struct Script {
    text: &'static str,
    sha: String,
}

/// The record, or 1 if its version is ARGV[1].
const GET: &str = "if redis.call('GETRANGE',KEYS[1],0,7)==ARGV[1] then return 1 end \
return redis.call('GET',KEYS[1])";

/// Changes one or more keys if each condition is met, and answers 0; else the number of the first
/// key whose is not, with the eight bytes of the version that it has. Four arguments a key: the
/// version that it must have, `` for none and `*` for any; the record, `` to remove; the expiry, ``
/// for none.
const WRITE: &str = "\
for i=1,#KEYS do local want=ARGV[3*i-2] \
if want~='*' then local has=redis.call('GETRANGE',KEYS[i],0,7) \
if has~=want then return {i,has} end end end \
local gone=0 \
for i=1,#KEYS do local data,at=ARGV[3*i-1],ARGV[3*i] \
if data=='' then gone=gone+redis.call('UNLINK',KEYS[i]) \
elseif at=='' then redis.call('SET',KEYS[i],data) \
else redis.call('SET',KEYS[i],data,'PXAT',at) end end \
return {0,tostring(gone)}";

/// ARGV[1] blocks of versions, from the time in milliseconds on or behind those given before; the
/// first block. -1 if the counter is more than 50 blocks ahead of the time: what a failover loses of
/// it must lie in the past by then.
const VERSIONS: &str = "\
local t=redis.call('TIME') local now=t[1]*1000+math.floor(t[2]/1000) \
local first=tonumber(redis.call('GET',KEYS[1]) or '0')+1 \
if first<now then first=now end \
if first>now+50 then return '-1' end \
redis.call('SET',KEYS[1],string.format('%.0f',first+ARGV[1]-1)) \
return string.format('%.0f',first)";

/// Lifts a number to ARGV[1] if it is below; the number then.
const RAISE: &str = "\
local has=tonumber(redis.call('GET',KEYS[1]) or '0') local new=tonumber(ARGV[1]) \
if has<new then redis.call('SET',KEYS[1],ARGV[1]) return ARGV[1] end \
return string.format('%.0f',has)";

/// All scripts.
#[derive(Debug)]
pub struct Scripts {
    /// Arguments: name; version.
    pub get: Script,
    /// Arguments: names; three for each.
    pub write: Script,
    /// Arguments: name; blocks.
    pub versions: Script,
    /// Arguments: name; number.
    pub raise: Script,
}

impl Scripts {
    /// Computes their numbers.
    pub fn new() -> Self {
        let script = |text: &'static str| Script { text, sha: sha1(text.as_bytes()) };
        Self {
            get: script(GET),
            write: script(WRITE),
            versions: script(VERSIONS),
            raise: script(RAISE),
        }
    }
}

impl Script {
    /// Runs it by its number; a server that does not know it answers NOSCRIPT and does nothing.
    pub fn by_number(&self, keys: &[&[u8]], arguments: &[&[&[u8]]]) -> Command {
        command(b"EVALSHA", self.sha.as_bytes(), keys, arguments)
    }

    /// Runs it by its text, which makes it known.
    pub fn by_text(&self, keys: &[&[u8]], arguments: &[&[&[u8]]]) -> Command {
        command(b"EVAL", self.text.as_bytes(), keys, arguments)
    }
}

/// Each argument may be made of several pieces.
fn command(verb: &[u8], script: &[u8], keys: &[&[u8]], arguments: &[&[&[u8]]]) -> Command {
    let mut command = Command::new(3 + keys.len() + arguments.len());
    command.part(verb).part(script).number(u64::try_from(keys.len()).unwrap_or_default());
    for key in keys {
        command.part(key);
    }
    for argument in arguments {
        command.joined(argument);
    }
    command
}

/// SHA-1, for names only: nobody who could choose the text is kept out by it.
fn sha1(text: &[u8]) -> String {
    let mut state = [0x6745_2301_u32, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];
    let mut message = text.to_vec();
    message.push(0x80);
    while message.len() % 64 != 56 {
        message.push(0);
    }
    let bits = u64::try_from(text.len()).unwrap_or_default() * 8;
    message.extend_from_slice(&[
        (bits >> 56 & 255) as u8,
        (bits >> 48 & 255) as u8,
        (bits >> 40 & 255) as u8,
        (bits >> 32 & 255) as u8,
        (bits >> 24 & 255) as u8,
        (bits >> 16 & 255) as u8,
        (bits >> 8 & 255) as u8,
        (bits & 255) as u8,
    ]);
    for block in message.chunks_exact(64) {
        mix(&mut state, block);
    }
    state.iter().map(|word| format!("{word:08x}")).collect()
}

fn mix(state: &mut [u32; 5], block: &[u8]) {
    let mut words = [0_u32; 80];
    for (word, bytes) in words.iter_mut().zip(block.chunks_exact(4)) {
        *word = bytes.iter().fold(0, |word, &byte| word << 8 | u32::from(byte));
    }
    for at in 16..80 {
        words[at] =
            (words[at - 3] ^ words[at - 8] ^ words[at - 14] ^ words[at - 16]).rotate_left(1);
    }
    let [mut a, mut b, mut c, mut d, mut e] = *state;
    for (at, word) in words.iter().enumerate() {
        let (mixed, constant) = match at {
            0..20 => ((b & c) | (!b & d), 0x5a82_7999),
            20..40 => (b ^ c ^ d, 0x6ed9_eba1),
            40..60 => ((b & c) | (b & d) | (c & d), 0x8f1b_bcdc_u32),
            _ => (b ^ c ^ d, 0xca62_c1d6),
        };
        let next = [a.rotate_left(5), mixed, e, constant, *word];
        let next = next.iter().fold(0_u32, |sum, part| sum.wrapping_add(*part));
        (e, d, c, b, a) = (d, c, b.rotate_left(30), a, next);
    }
    for (word, more) in state.iter_mut().zip([a, b, c, d, e]) {
        *word = word.wrapping_add(more);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_sha1() {
        assert_eq!(sha1(b""), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
        assert_eq!(sha1(b"abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
        let million = vec![b'a'; 1_000_000];
        assert_eq!(sha1(&million), "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
    }
}
