//! A connection to one Redis server: sending, receiving, one deadline, and whether a command that
//! failed can have been carried out.
//!
//! # Invariants
//! 1. A command of which not all bytes were given to the system was not carried out: the server
//!    sees an incomplete one.
//! 2. After a failure the connection is not used again: an answer that comes late would be taken
//!    for another's.

use crate::address::Node;
use crate::call::Call;
use crate::fault::{Fault, Kind, quoted};
use crate::redis::resp::{Command, Reader, Reply};
use crate::settings::{Secret, Settings};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use std::io::{Error, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

/// A connection that was idle longer is looked at before it is used: the server may have gone.
const IDLE_UNSEEN: Duration = Duration::from_millis(10);

/// How far a timeout that is set may be from the one that is wanted, to spare a system call.
const TIMEOUT_SLACK: Duration = Duration::from_millis(5);

/// Why a request failed at one server.
#[derive(Debug)]
pub enum Trouble {
    /// The connection could not be made, or was lost.
    Lost {
        /// The command may have been carried out.
        maybe_done: bool,
        /// No answer came in time.
        is_late: bool,
        /// What happened.
        words: String,
    },
    /// Trying again would not help.
    Refused(Fault),
}

impl Trouble {
    fn before(words: impl Into<String>, is_late: bool) -> Self {
        Self::Lost { maybe_done: false, is_late, words: words.into() }
    }
}

/// What connections are made with.
#[derive(Clone, Debug)]
pub struct Connector {
    tls: Option<Arc<ClientConfig>>,
    user: Option<String>,
    password: Option<Secret>,
}

impl Connector {
    /// As `settings` say.
    ///
    /// # Errors
    /// `InvalidArgument` for a ca_file that cannot be used.
    pub fn new(settings: &Settings, is_tls: bool) -> crate::fault::Result<Self> {
        let tls = match is_tls {
            true => Some(crate::tls::config(settings.ca_file.as_deref())?),
            false => None,
        };
        let (user, password) = (settings.user.clone(), settings.password.clone());
        Ok(Self { tls, user, password })
    }

    /// Connects, and says who we are.
    ///
    /// # Errors
    /// `Lost`, with nothing done; `Refused` for credentials and certificates.
    pub fn connect(&self, node: &Node, call: &Call, is_resp3: bool) -> Result<Link, Trouble> {
        let stream = reach(node, call)?;
        stream.set_nodelay(true).map_err(|error| Trouble::before(plain(&error), false))?;
        let socket = match &self.tls {
            None => Socket::Plain(stream),
            Some(config) => {
                let name = ServerName::try_from(node.host.clone())
                    .map_err(|_| Trouble::before("its name is none for TLS", false))?;
                let session = ClientConnection::new(Arc::clone(config), name)
                    .map_err(|error| Trouble::before(quoted(&error.to_string()), false))?;
                Socket::Tls(Box::new(StreamOwned::new(session, stream)))
            }
        };
        let (reader, timeouts) = (Reader::new(), [Duration::ZERO; 2]);
        let mut link = Link { socket, reader, timeouts, used: Instant::now() };
        self.greet(&mut link, call, is_resp3)?;
        Ok(link)
    }

    fn greet(&self, link: &mut Link, call: &Call, is_resp3: bool) -> Result<(), Trouble> {
        let user = self.user.as_deref().unwrap_or("default");
        let command = match (&self.password, is_resp3) {
            (None, false) => {
                // The handshake happens now, so that a bad certificate is told as such.
                return if self.tls.is_some() { ping(link, call) } else { Ok(()) };
            }
            (None, true) => Command::of(&[b"HELLO", b"3"]),
            (Some(password), false) if self.user.is_none() => {
                Command::of(&[b"AUTH", password.reveal().as_bytes()])
            }
            (Some(password), false) => {
                Command::of(&[b"AUTH", user.as_bytes(), password.reveal().as_bytes()])
            }
            (Some(password), true) => {
                let password = password.reveal().as_bytes();
                Command::of(&[b"HELLO", b"3", b"AUTH", user.as_bytes(), password])
            }
        };
        match link.exchange(&command, call).map_err(not_done)? {
            Reply::Error(text) if is_busy(&text) => Err(Trouble::before(quoted(&text), false)),
            Reply::Error(text) => Err(Trouble::Refused(refusal(&text))),
            _ => Ok(()),
        }
    }
}

fn ping(link: &mut Link, call: &Call) -> Result<(), Trouble> {
    // Any answer will do: without credentials it may well be a refusal.
    link.exchange(&Command::of(&[b"PING"]), call).map_err(not_done).map(drop)
}

/// What fails before the command itself is sent has done nothing.
fn not_done(trouble: Trouble) -> Trouble {
    match trouble {
        Trouble::Lost { is_late, words, .. } => Trouble::Lost { maybe_done: false, is_late, words },
        refused => refused,
    }
}

/// True for refusals that pass.
pub fn is_busy(text: &str) -> bool {
    let passing =
        ["TRYAGAIN", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "READONLY", "BUSY ", "-BUSY"];
    passing.iter().any(|word| text.starts_with(word))
}

/// What a server's refusal means.
pub fn refusal(text: &str) -> Fault {
    let word = text.split(' ').next().unwrap_or_default();
    let said = quoted(text);
    let (kind, words) = match word {
        "WRONGPASS" | "NOAUTH" | "NOPERM" => {
            (Kind::Unavailable, format!("Redis refuses these credentials: {said}"))
        }
        "OOM" => (Kind::NoSpace, format!("Redis is full: {said}")),
        "WRONGTYPE" => (Kind::Corrupt, "another program has put its own data there".into()),
        "MISCONF" | "NOREPLICAS" => (Kind::Unavailable, format!("Redis takes no writes: {said}")),
        _ if text.contains("AUTH") => {
            (Kind::Unavailable, "Redis refuses these credentials: it asks for none".into())
        }
        _ => (Kind::Io, format!("Redis answers: {said}")),
    };
    Fault::new(kind, words)
}

fn reach(node: &Node, call: &Call) -> Result<TcpStream, Trouble> {
    let mut last = Trouble::before("its name has no address", false);
    for address in addresses(node, call)? {
        let left = call.left();
        if left.is_zero() {
            return Err(Trouble::before("it could not be reached in time", true));
        }
        match TcpStream::connect_timeout(&address, left) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = Trouble::before(plain(&error), is_late(&error)),
        }
    }
    Err(last)
}

/// The addresses of a name. The system takes as long as it likes to find them, so that a name is
/// looked up on a thread that may be left behind.
fn addresses(node: &Node, call: &Call) -> Result<Vec<SocketAddr>, Trouble> {
    if let Ok(ip) = node.host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, node.port)]);
    }
    let (sender, receiver) = channel();
    let asked = (node.host.clone(), node.port);
    let looking = std::thread::Builder::new().name("hotcold-name".into()).spawn(move || {
        let found = asked.to_socket_addrs().map(Iterator::collect::<Vec<_>>);
        // Whoever asked may have gone.
        drop(sender.send(found));
    });
    looking.map_err(|error| Trouble::before(plain(&error), false))?;
    match receiver.recv_timeout(call.left()) {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(_)) => Err(Trouble::before("its name is not known", false)),
        Err(_) => Err(Trouble::before("its name could not be looked up in time", true)),
    }
}

/// A system's or TLS' own words, short.
fn plain(error: &Error) -> String {
    match error.kind() {
        ErrorKind::ConnectionRefused => "nobody listens there".into(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut => "it did not answer in time".into(),
        ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => {
            "the connection was cut".into()
        }
        _ => quoted(&error.to_string()),
    }
}

fn is_late(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

#[derive(Debug)]
enum Socket {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Socket {
    fn stream(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(tls) => tls.get_ref(),
        }
    }
}

/// A connection.
#[derive(Debug)]
pub struct Link {
    socket: Socket,
    reader: Reader,
    /// As they are set on the socket: for reading, for writing.
    timeouts: [Duration; 2],
    used: Instant,
}

/// A socket that gives up at a deadline.
struct Timed<'a> {
    socket: &'a mut Socket,
    timeouts: &'a mut [Duration; 2],
    deadline: Instant,
}

impl Timed<'_> {
    fn prepare(&mut self) -> std::io::Result<()> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Error::from(ErrorKind::TimedOut));
        }
        // TLS reads in order to write and the other way round, so both are the same.
        if self.timeouts[0] > left + TIMEOUT_SLACK || self.timeouts[0] + TIMEOUT_SLACK < left {
            self.socket.stream().set_read_timeout(Some(left))?;
            self.socket.stream().set_write_timeout(Some(left))?;
            *self.timeouts = [left; 2];
        }
        Ok(())
    }
}

impl Read for Timed<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        self.prepare()?;
        match self.socket {
            Socket::Plain(stream) => stream.read(into),
            Socket::Tls(tls) => tls.read(into),
        }
    }
}

impl Write for Timed<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.prepare()?;
        match self.socket {
            Socket::Plain(stream) => stream.write(bytes),
            Socket::Tls(tls) => tls.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.prepare()?;
        match self.socket {
            Socket::Plain(_) => Ok(()),
            Socket::Tls(tls) => tls.flush(),
        }
    }
}

impl Link {
    /// Sends commands.
    ///
    /// # Errors
    /// `Lost`.
    pub fn send(&mut self, bytes: &[u8], call: &Call) -> Result<(), Trouble> {
        let is_tls = matches!(self.socket, Socket::Tls(_));
        let mut timed = self.timed(call);
        let mut sent = 0;
        let mut push = || -> std::io::Result<()> {
            while sent < bytes.len() {
                match timed.write(&bytes[sent..]) {
                    Ok(0) => return Err(Error::from(ErrorKind::WriteZero)),
                    Ok(written) => sent += written,
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            timed.flush()
        };
        let pushed = push();
        pushed.map_err(|error| {
            if let Some(fault) = certificate(&error) {
                return Trouble::Refused(fault);
            }
            // What TLS holds back is not known.
            let maybe_done = is_tls || sent == bytes.len();
            Trouble::Lost { maybe_done, is_late: is_late(&error), words: plain(&error) }
        })
    }

    /// The next answer.
    ///
    /// # Errors
    /// `Lost`; whatever was asked may have been done.
    pub fn receive(&mut self, call: &Call) -> Result<Reply, Trouble> {
        let deadline = call.deadline();
        let Self { socket, reader, timeouts, .. } = self;
        let reply = reader.next(&mut Timed { socket, timeouts, deadline });
        self.used = Instant::now();
        reply.map_err(|error| match certificate(&error) {
            Some(fault) => Trouble::Refused(fault),
            None => {
                Trouble::Lost { maybe_done: true, is_late: is_late(&error), words: plain(&error) }
            }
        })
    }

    /// Waits until something has come; false if nothing does in `most`.
    ///
    /// # Errors
    /// `Lost`.
    pub fn wait(&mut self, most: Duration) -> Result<bool, Trouble> {
        let deadline = Instant::now() + most;
        let Self { socket, reader, timeouts, .. } = self;
        match reader.fill(&mut Timed { socket, timeouts, deadline }) {
            Ok(()) => Ok(true),
            Err(error) if is_late(&error) => Ok(false),
            Err(error) => {
                Err(Trouble::Lost { maybe_done: true, is_late: false, words: plain(&error) })
            }
        }
    }

    /// Sends a command and receives its answer.
    ///
    /// # Errors
    /// `Lost`.
    pub fn exchange(&mut self, command: &Command, call: &Call) -> Result<Reply, Trouble> {
        self.send(command.bytes(), call)?;
        self.receive(call)
    }

    /// True if more has come than was received.
    pub fn has_more(&self) -> bool {
        self.reader.has_more()
    }

    /// False if the other end has hung up since the connection was last used.
    pub fn is_usable(&self) -> bool {
        if self.reader.has_more() {
            return false;
        }
        if self.used.elapsed() < IDLE_UNSEEN {
            return true;
        }
        let stream = self.socket.stream();
        let peeked = stream.set_nonblocking(true).and_then(|()| {
            let peeked = stream.peek(&mut [0]);
            stream.set_nonblocking(false)?;
            peeked
        });
        match peeked {
            // TLS may send what is for itself alone.
            Ok(come) => come > 0 && matches!(self.socket, Socket::Tls(_)),
            Err(error) => error.kind() == ErrorKind::WouldBlock,
        }
    }

    fn timed(&mut self, call: &Call) -> Timed<'_> {
        let Self { socket, timeouts, .. } = self;
        Timed { socket, timeouts, deadline: call.deadline() }
    }
}

/// What TLS says of a server that it does not trust: trying again does not help.
fn certificate(error: &Error) -> Option<Fault> {
    let inner = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    let words = match inner {
        rustls::Error::InvalidCertificate(why) => {
            format!("TLS: the certificate is not trusted ({why}); remote.ca_file names authorities")
        }
        other => format!("TLS: {}", quoted(&other.to_string())),
    };
    Some(Fault::new(Kind::Unavailable, words))
}
