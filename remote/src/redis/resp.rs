//! Redis' protocol: commands as bytes, and answers, in version 2 and 3.
//!
//! It is ours because the rules need what clients hide: whether a command left whole, one deadline
//! for all of an answer, and a bound on what a server may make us hold.

use std::io::{Error, ErrorKind, Read, Result};

/// More bytes no answer has: Redis' own bound on a value, and room for what is around it.
pub const ANSWER_BYTES_MAX: usize = (512 << 20) + (64 << 10);

/// The most elements of a list, all levels together.
const ELEMENTS_MAX: usize = 16 << 20;

/// Lists in lists.
const DEPTH_MAX: usize = 8;

/// The longest line: a status or an error.
const LINE_BYTES_MAX: usize = 64 << 10;

/// Bytes that are asked of the system at once.
const CHUNK: usize = 16 << 10;

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// Nothing.
    Nil,
    /// A number.
    Int(i64),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A status, and what else is short and readable.
    Text(String),
    /// A refusal.
    Error(String),
    /// A list; of a map, keys and values in turn.
    List(Vec<Reply>),
    /// A list that nobody asked for: an invalidation.
    Push(Vec<Reply>),
}

/// A command: adds its parts one by one.
#[derive(Debug, Default)]
pub struct Command {
    bytes: Vec<u8>,
}

impl Command {
    /// A command of `parts` parts, all of which are added behind it.
    pub fn new(parts: usize) -> Self {
        let mut command = Self::default();
        command.begin(parts);
        command
    }

    /// A command with these parts.
    pub fn of(parts: &[&[u8]]) -> Self {
        let mut command = Self::new(parts.len());
        for part in parts {
            command.part(part);
        }
        command
    }

    /// Begins another command behind this one.
    pub fn begin(&mut self, parts: usize) {
        self.bytes.extend_from_slice(format!("*{parts}\r\n").as_bytes());
    }

    /// Adds a part.
    pub fn part(&mut self, part: &[u8]) -> &mut Self {
        self.joined(&[part])
    }

    /// Adds a part that is made of several pieces.
    pub fn joined(&mut self, pieces: &[&[u8]]) -> &mut Self {
        let len: usize = pieces.iter().map(|piece| piece.len()).sum();
        self.bytes.reserve(len + 16);
        self.bytes.extend_from_slice(format!("${len}\r\n").as_bytes());
        for piece in pieces {
            self.bytes.extend_from_slice(piece);
        }
        self.bytes.extend_from_slice(b"\r\n");
        self
    }

    /// Adds a number.
    pub fn number(&mut self, number: u64) -> &mut Self {
        self.part(number.to_string().as_bytes())
    }

    /// Adds another command behind this one.
    pub fn append(&mut self, other: &Self) {
        self.bytes.extend_from_slice(&other.bytes);
    }

    /// What is sent.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Reads answers; keeps what has come beyond the last one.
#[derive(Debug)]
pub struct Reader {
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
}

/// What an answer may still cost.
struct Budget {
    bytes: usize,
    elements: usize,
}

impl Reader {
    /// One that has read nothing.
    pub fn new() -> Self {
        Self { buffer: vec![0; CHUNK].into_boxed_slice(), start: 0, end: 0 }
    }

    /// True if something has come that was not asked for yet.
    pub fn has_more(&self) -> bool {
        self.start < self.end
    }

    /// Waits until something has come; an error of `source` leaves everything as it is.
    ///
    /// # Errors
    /// Those of `source`; `UnexpectedEof` at its end.
    pub fn fill(&mut self, source: &mut impl Read) -> Result<()> {
        if self.has_more() {
            return Ok(());
        }
        (self.start, self.end) = (0, 0);
        self.end = read_some(source, &mut self.buffer)?;
        Ok(())
    }

    /// The next answer.
    ///
    /// # Errors
    /// Those of `source`; `InvalidData` for what is no answer or is too large for one. Afterwards
    /// the connection is of no use.
    pub fn next(&mut self, source: &mut impl Read) -> Result<Reply> {
        let mut budget = Budget { bytes: ANSWER_BYTES_MAX, elements: ELEMENTS_MAX };
        self.reply(source, &mut budget, DEPTH_MAX)
    }

    fn reply(&mut self, source: &mut impl Read, left: &mut Budget, depth: usize) -> Result<Reply> {
        let line = self.line(source, left)?;
        let (&kind, rest) = line.split_first().ok_or_else(|| strange("an empty line"))?;
        match kind {
            b'+' | b',' | b'(' => Ok(Reply::Text(text(rest))),
            b'-' => Ok(Reply::Error(text(rest))),
            b':' => number(rest).map(Reply::Int),
            b'#' => Ok(Reply::Int(i64::from(rest == b"t"))),
            b'_' => Ok(Reply::Nil),
            b'$' | b'=' | b'!' => match length(rest)? {
                None => Ok(Reply::Nil),
                Some(len) => {
                    let bytes = self.exact(source, len, left)?;
                    Ok(if kind == b'!' { Reply::Error(text(&bytes)) } else { Reply::Bytes(bytes) })
                }
            },
            b'*' | b'~' | b'>' | b'%' | b'|' => {
                let depth = depth.checked_sub(1).ok_or_else(|| strange("lists too deep"))?;
                let Some(len) = length(rest)? else {
                    return Ok(Reply::Nil);
                };
                let len = if matches!(kind, b'%' | b'|') { len.saturating_mul(2) } else { len };
                let rest = left.elements.checked_sub(len);
                left.elements = rest.ok_or_else(|| strange("a list too long"))?;
                let mut list = Vec::with_capacity(len.min(1024));
                for _ in 0..len {
                    list.push(self.reply(source, left, depth)?);
                }
                match kind {
                    b'>' => Ok(Reply::Push(list)),
                    // An attribute stands in front of the answer that it belongs to.
                    b'|' => self.reply(source, left, depth),
                    _ => Ok(Reply::List(list)),
                }
            }
            _ => Err(strange("what is no answer of Redis")),
        }
    }

    /// The next line without its end.
    fn line(&mut self, source: &mut impl Read, left: &mut Budget) -> Result<Vec<u8>> {
        let mut line = Vec::new();
        loop {
            self.fill(source)?;
            let come = &self.buffer[self.start..self.end];
            let at = come.iter().position(|&byte| byte == b'\n');
            let taken = at.map_or(come.len(), |at| at + 1);
            if line.len() + taken > LINE_BYTES_MAX.min(left.bytes) {
                return Err(strange("a line too long"));
            }
            line.extend_from_slice(&come[..taken]);
            self.start += taken;
            if at.is_some() {
                left.bytes -= line.len();
                line.pop();
                return match line.pop() {
                    Some(b'\r') => Ok(line),
                    _ => Err(strange("what is no answer of Redis")),
                };
            }
        }
    }

    /// The next `len` bytes, behind which a line ends.
    fn exact(&mut self, source: &mut impl Read, len: usize, left: &mut Budget) -> Result<Vec<u8>> {
        left.bytes = left.bytes.checked_sub(len).ok_or_else(|| strange("an answer too large"))?;
        let mut bytes = Vec::new();
        // As it comes, so that a length alone takes no memory.
        while bytes.len() < len {
            if self.has_more() {
                let taken = (len - bytes.len()).min(self.end - self.start);
                bytes.extend_from_slice(&self.buffer[self.start..self.start + taken]);
                self.start += taken;
            } else {
                let at = bytes.len();
                let more = (len - at).min(at.max(CHUNK));
                bytes.try_reserve(more).map_err(|_| Error::from(ErrorKind::OutOfMemory))?;
                bytes.resize(at + more, 0);
                let come = read_some(source, &mut bytes[at..])?;
                bytes.truncate(at + come);
            }
        }
        for expected in *b"\r\n" {
            self.fill(source)?;
            if self.buffer[self.start] != expected {
                return Err(strange("what is no answer of Redis"));
            }
            self.start += 1;
        }
        Ok(bytes)
    }
}

fn read_some(source: &mut impl Read, into: &mut [u8]) -> Result<usize> {
    loop {
        match source.read(into) {
            Ok(0) => return Err(Error::from(ErrorKind::UnexpectedEof)),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn number(bytes: &[u8]) -> Result<i64> {
    let number = std::str::from_utf8(bytes).ok().and_then(|text| text.parse().ok());
    number.ok_or_else(|| strange("a number that is none"))
}

/// A length; none for -1.
fn length(bytes: &[u8]) -> Result<Option<usize>> {
    match number(bytes)? {
        -1 => Ok(None),
        len => usize::try_from(len).map(Some).map_err(|_| strange("a length below zero")),
    }
}

fn strange(what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, format!("it sent {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one byte at a time.
    struct Drops<'a>(&'a [u8]);

    impl Read for Drops<'_> {
        fn read(&mut self, into: &mut [u8]) -> Result<usize> {
            let taken = self.0.len().min(into.len()).min(1);
            into[..taken].copy_from_slice(&self.0[..taken]);
            self.0 = &self.0[taken..];
            Ok(taken)
        }
    }

    fn replies(bytes: &[u8]) -> Vec<Reply> {
        let mut found = Vec::new();
        let (mut reader, mut source) = (Reader::new(), bytes);
        while reader.has_more() || !source.is_empty() {
            found.push(reader.next(&mut source).unwrap());
        }
        let (mut reader, mut drops) = (Reader::new(), Drops(bytes));
        for reply in &found {
            assert_eq!(*reply, reader.next(&mut drops).unwrap());
        }
        found
    }

    #[test]
    fn every_kind_of_answer_is_read_whole_or_in_drops() {
        let bytes = b"+OK\r\n-ERR no\r\n:-7\r\n$3\r\na\r\n\r\n$-1\r\n*2\r\n$0\r\n\r\n*-1\r\n_\r\n#t\r\n\
            ,1.5\r\n%1\r\n+a\r\n:1\r\n>2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n|1\r\n+x\r\n+y\r\n+z\r\n";
        let text = |s: &str| Reply::Text(s.into());
        let some = |s: &[u8]| Reply::Bytes(s.to_vec());
        let expected = [
            text("OK"),
            Reply::Error("ERR no".into()),
            Reply::Int(-7),
            some(b"a\r\n"),
            Reply::Nil,
            Reply::List(vec![some(b""), Reply::Nil]),
            Reply::Nil,
            Reply::Int(1),
            text("1.5"),
            Reply::List(vec![text("a"), Reply::Int(1)]),
            Reply::Push(vec![some(b"invalidate"), Reply::List(vec![some(b"k")])]),
            text("z"),
        ];
        assert_eq!(replies(bytes), expected);
    }

    #[test]
    fn what_is_no_answer_ends_at_once_and_takes_no_memory() {
        let deep = b"*1\r\n".repeat(100);
        let cases: [&[u8]; 10] = [
            b"HTTP/1.1 200 OK\r\n",
            b"$9999999999\r\n",
            b"*9999999999\r\n",
            b"*16000000\r\n*16000000\r\n",
            b"$-2\r\n",
            b":x\r\n",
            b"+OK\n",
            b"$1\r\nabc",
            b"\r\n",
            &deep,
        ];
        for bytes in cases {
            let error = Reader::new().next(&mut { bytes }).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidData, "{}", text(bytes));
        }
        let error = Reader::new().next(&mut std::io::repeat(b'+')).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        let error = Reader::new().next(&mut &b"$536870912\r\nab"[..]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    }

    #[test]
    fn commands_are_written_as_redis_reads_them() {
        let mut command = Command::new(3);
        command.part(b"SET").joined(&[b"a", b"bc"]).number(10);
        assert_eq!(command.bytes(), b"*3\r\n$3\r\nSET\r\n$3\r\nabc\r\n$2\r\n10\r\n");
        assert_eq!(Command::of(&[b"GET", b""]).bytes(), b"*2\r\n$3\r\nGET\r\n$0\r\n\r\n");
    }
}
