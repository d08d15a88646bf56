//! The connection is cut when a request has arrived and its answer has not: rule 3.

use crate::core::{CONFLICT, NOT_FOUND, OK, TIMEOUT, said};
use crate::engines::{Place, buckets, fresh, said as setting};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::spawn;
use std::time::Duration;

/// A door in front of a server. It counts what passes, and cuts what it is told to.
struct Door {
    port: u16,
    state: Arc<State>,
}

struct State {
    /// What a request has in it that is counted.
    mark: &'static [u8],
    seen: AtomicUsize,
    /// So many of the next are let through to the server, and their answers are not.
    cuts: AtomicUsize,
}

impl Door {
    fn new(target: String, mark: &'static [u8]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = State { mark, seen: AtomicUsize::new(0), cuts: AtomicUsize::new(0) };
        let state = Arc::new(state);
        let shared = Arc::clone(&state);
        spawn(move || {
            for stream in listener.incoming() {
                let (stream, target, state) =
                    (stream.unwrap(), target.clone(), Arc::clone(&shared));
                spawn(move || state.pass(&stream, &target));
            }
        });
        Self { port, state }
    }

    /// Cuts the next `cuts` marked requests; how many came during `call`, and what it gave.
    fn cutting<T>(&self, cuts: usize, call: impl FnOnce() -> T) -> (usize, T) {
        self.state.cuts.store(cuts, Ordering::SeqCst);
        let before = self.state.seen.load(Ordering::SeqCst);
        let given = call();
        self.state.cuts.store(0, Ordering::SeqCst);
        (self.state.seen.load(Ordering::SeqCst) - before, given)
    }
}

impl State {
    fn pass(&self, client: &TcpStream, target: &str) {
        let server = TcpStream::connect(target).unwrap();
        for stream in [client, &server] {
            stream.set_read_timeout(Some(Duration::from_millis(2))).unwrap();
        }
        let mut buffer = [0; 65_536];
        // A request may come in pieces: it is cut when the server has answered.
        let mut is_cut = false;
        loop {
            match (&mut &*client).read(&mut buffer) {
                Ok(0) => return,
                Ok(read) => {
                    (&mut &server).write_all(&buffer[..read]).unwrap();
                    let mut parts = buffer[..read].windows(self.mark.len());
                    is_cut |= parts.any(|part| part == self.mark) && self.cuts_it();
                }
                Err(_) => {}
            }
            match (&mut &server).read(&mut buffer) {
                Ok(0) => return,
                Ok(_) if is_cut => return,
                Ok(read) if (&mut &*client).write_all(&buffer[..read]).is_err() => return,
                _ => {}
            }
        }
    }

    fn cuts_it(&self) -> bool {
        self.seen.fetch_add(1, Ordering::SeqCst);
        self.cuts
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1))
            .is_ok()
    }
}

#[test]
fn redis_gets_a_change_without_condition_once() {
    let door = Door::new(format!("127.0.0.1:{}", setting("HOTCOLD_REDIS")), b"$3\r\nSET\r\n");
    let url = format!("redis://127.0.0.1:{}/{}", door.port, fresh("cut"));
    let core = Place { url, options: Vec::new() }.open();
    let v = core.versions(20).unwrap();
    let (seen, status) = door.cutting(1, || core.put(b"k", b"a", v, None));
    assert_eq!((seen, status), (1, TIMEOUT), "{}", said());
    assert!(said().contains("unknown"));
    assert_eq!(core.get(b"k"), b"a");
    let (seen, status) = door.cutting(0, || core.put(b"k", b"b", v + 1, None));
    assert_eq!((seen, status), (1, OK));

    let door = Door::new(format!("127.0.0.1:{}", setting("HOTCOLD_REDIS")), b"UNLINK");
    let url = format!("redis://127.0.0.1:{}/{}", door.port, fresh("cut"));
    let core = Place { url, options: Vec::new() }.open();
    assert_eq!(core.put(b"k", b"a", v + 2, None), OK);
    let (seen, status) = door.cutting(1, || core.remove(b"k", None));
    assert_eq!((seen, status, core.get_known(b"k", 0).0), (1, TIMEOUT, NOT_FOUND));
}

#[test]
fn redis_is_asked_again_what_became_of_a_condition() {
    let door = Door::new(format!("127.0.0.1:{}", setting("HOTCOLD_REDIS")), b"EVALSHA");
    let url = format!("redis://127.0.0.1:{}/{}", door.port, fresh("cut"));
    let core = Place { url, options: Vec::new() }.open();
    let v = core.versions(20).unwrap();
    // Makes the script known, so that the next is carried out by its number.
    assert_eq!(core.put(b"other", b"a", v, Some(0)), OK);
    let (seen, status) = door.cutting(1, || core.put(b"k", b"a", v + 1, Some(0)));
    assert_eq!((seen, status), (1, OK), "absent: not sent again, but looked for: {}", said());
    let (seen, status) = door.cutting(1, || core.put(b"k", b"b", v + 2, Some(v + 1)));
    assert_eq!((seen, status), (2, OK), "a version: sent again, and found done: {}", said());
    let (seen, status) = door.cutting(2, || core.put(b"k", b"c", v + 3, Some(v + 2)));
    assert_eq!((seen, status), (3, OK), "{}", said());
    let (_, status) = door.cutting(1, || core.put(b"k", b"x", v + 4, Some(v)));
    assert_eq!(status, TIMEOUT, "another may have gone on from ours: {}", said());
    assert_eq!(core.put(b"k", b"x", v + 5, Some(v)), CONFLICT);
    assert_eq!(core.get(b"k"), b"c");
    let (seen, (status, _)) = door.cutting(1, || core.get_known(b"k", v));
    assert_eq!((seen, status), (2, OK), "finding is asked again");
}

#[test]
fn s3_gets_a_change_without_condition_once() {
    let moto = buckets().remove(0);
    let target = moto.options[0].1.trim_start_matches("http://").to_owned();
    let door = Door::new(target, b"PUT /");
    let core = moto.with("remote.endpoint", &format!("http://127.0.0.1:{}", door.port)).open();
    let v = core.versions(20).unwrap();
    let (seen, status) = door.cutting(1, || core.put(b"k", b"a", v, None));
    assert_eq!((seen, status), (1, TIMEOUT), "{}", said());
    assert!(said().contains("unknown"));
    assert_eq!(core.get(b"k"), b"a");
    let (seen, status) = door.cutting(1, || core.put(b"new", b"a", v + 1, Some(0)));
    assert_eq!((seen, status), (1, OK), "absent: not sent again, but looked for: {}", said());
    let (seen, status) = door.cutting(1, || core.put(b"k", b"b", v + 2, Some(v)));
    assert_eq!((seen, status), (2, OK), "a version: sent again, and found done: {}", said());
    assert_eq!(core.put(b"k", b"x", v + 3, Some(v)), CONFLICT);
    assert_eq!(core.get(b"k"), b"b");
}
