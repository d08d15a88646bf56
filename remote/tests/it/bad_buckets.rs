//! S3 servers that are wrong, gone, malicious, or do not keep conditions apart.

use crate::core::{OK, UNAVAILABLE, UNSUPPORTED, said};
use crate::engines::{Place, buckets, fresh};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

type Objects = Mutex<HashMap<String, (String, Vec<u8>)>>;

/// Method, path, body of a request; none at the end.
fn request(reader: &mut impl BufRead) -> Option<(String, String, Vec<u8>)> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let mut words = line.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let path = target.split('?').next()?.to_owned();
    let mut len = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        if header == "\r\n" {
            break;
        }
        if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
            len = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; len];
    reader.read_exact(&mut body).ok()?;
    Some((method, path, body))
}

/// A server that stores, and asks for no condition.
fn careless(objects: Arc<Objects>, puts: Arc<AtomicUsize>) -> u16 {
    serve(move |method, path, body| {
        let mut objects = objects.lock().unwrap();
        match method {
            "PUT" => {
                let tag = format!("\"{}\"", puts.fetch_add(1, Ordering::Relaxed));
                objects.insert(path.to_owned(), (tag.clone(), body));
                format!("200 OK\r\nETag: {tag}\r\nContent-Length: 0\r\n\r\n").into_bytes()
            }
            "GET" => match objects.get(path) {
                None => b"404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec(),
                Some((tag, body)) => {
                    let head =
                        format!("200 OK\r\nETag: {tag}\r\nContent-Length: {}\r\n\r\n", body.len());
                    [head.as_bytes(), body].concat()
                }
            },
            _ => b"204 No Content\r\n\r\n".to_vec(),
        }
    })
}

fn serve(answer: impl Fn(&str, &str, Vec<u8>) -> Vec<u8> + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let answer = Arc::new(answer);
    spawn(move || {
        for stream in listener.incoming() {
            let (stream, answer) = (stream.unwrap(), Arc::clone(&answer));
            spawn(move || converse(&stream, &*answer));
        }
    });
    port
}

fn converse(stream: &TcpStream, answer: impl Fn(&str, &str, Vec<u8>) -> Vec<u8>) {
    let mut reader = BufReader::new(stream);
    while let Some((method, path, body)) = request(&mut reader) {
        let bytes = [b"HTTP/1.1 ", answer(&method, &path, body).as_slice()].concat();
        if (&mut &*stream).write_all(&bytes).is_err() {
            return;
        }
    }
}

fn place(port: u16) -> Place {
    Place { url: format!("s3://bucket/{}", fresh("bad")), options: Vec::new() }
        .with("remote.endpoint", &format!("http://127.0.0.1:{port}"))
        .with("remote.access_key", "key")
        .with("remote.secret_key", "s3cr3t")
        .with("remote.session_token", "t0k3n")
}

fn fails(place: &Place, expected: i32, words: &str) {
    let place = place.clone().with("remote_timeout", "800");
    let started = Instant::now();
    let (status, said) = match place.try_open() {
        Ok(_) => panic!("{} could be opened", place.url),
        Err(failure) => failure,
    };
    assert!(started.elapsed() < Duration::from_millis(1200), "{:?}: {said}", started.elapsed());
    assert_eq!(status, expected, "{said}");
    assert!(said.contains(words), "{said}");
    assert!(
        !said.contains("s3cr3t") && !said.contains("t0k3n") && !said.contains("X-Amz"),
        "{said}"
    );
    assert!(!said.contains('\n') && said.len() < 400, "{said}");
}

fn answers(bytes: &'static str) -> Place {
    place(serve(move |_, _, _| bytes.as_bytes().to_vec()))
}

#[test]
fn what_is_no_bucket_is_told_in_one_sentence() {
    fails(&answers("500 Oops\r\nContent-Length: 0\r\n\r\n"), UNAVAILABLE, "500");
    fails(&answers("503 Slow Down\r\nContent-Length: 0\r\n\r\n"), UNAVAILABLE, "503");
    let elsewhere =
        "307 Temporary Redirect\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n";
    fails(&answers(elsewhere), UNAVAILABLE, "somewhere else");
    fails(&answers("200 OK\r\nContent-Length: 6\r\n\r\n<html>"), -4, "no number");
    fails(&answers("200 OK\r\nContent-Length: 999999999999\r\n\r\n"), UNAVAILABLE, "too large");
    fails(&answers("garbage\r\n\r\n"), UNAVAILABLE, "");
    let endless = place(serve(|_, _, _| {
        let mut answer = b"200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        answer.extend(
            b"ffff\r\n".iter().chain(&[b'7'; 65_535]).chain(b"\r\n").copied().cycle().take(1 << 20),
        );
        answer
    }));
    fails(&endless, -4, "no number");
    let silent = place(serve(|_, _, _| {
        sleep(Duration::from_secs(3));
        Vec::new()
    }));
    fails(&silent, UNAVAILABLE, "in time");
    fails(&place(1), UNAVAILABLE, "nobody listens");
    let tls = serve(|_, _, _| Vec::new());
    let tls = place(tls).with("remote.endpoint", &format!("https://127.0.0.1:{tls}"));
    fails(&tls, UNAVAILABLE, "");
    fails(&place(1).with("remote.endpoint", "ftp://127.0.0.1"), -1, "remote.endpoint");
    fails(&place(1).with("remote.endpoint", "http://key:s3cr3t@127.0.0.1"), -1, "remote.endpoint");
}

#[test]
fn wrong_credentials_and_buckets_are_told() {
    let seaweed = buckets().remove(1);
    fails(&seaweed.clone().with("remote.secret_key", "s3cr3t"), UNAVAILABLE, "credentials");
    fails(&seaweed.with("remote.access_key", "nobody"), UNAVAILABLE, "credentials");
    let mut moto = buckets().remove(0);
    moto.url = format!("s3://no-such-bucket/{}", fresh("none"));
    fails(&moto, UNAVAILABLE, "no such bucket");
}

#[test]
fn a_server_with_two_winners_is_refused_and_remembered() {
    let (objects, puts) = (Arc::new(Objects::default()), Arc::new(AtomicUsize::new(1)));
    let place = place(careless(Arc::clone(&objects), Arc::clone(&puts)));
    let (status, words) = place.try_open().err().unwrap();
    assert_eq!(status, UNSUPPORTED, "{words}");
    assert!(words.contains("several win"), "{words}");
    let before = puts.load(Ordering::Relaxed);
    let kept = objects.lock().unwrap().keys().any(|name| name.ends_with("/probe"));
    assert!(kept);
    assert_eq!(place.try_open().err().unwrap(), (UNSUPPORTED, words));
    assert_eq!(puts.load(Ordering::Relaxed), before, "it was probed again");
}

#[test]
fn a_bucket_that_goes_away_is_unavailable_and_comes_back() {
    let moto = buckets().remove(0);
    let target = moto.options[0].1.trim_start_matches("http://").to_owned();
    // A door in front of the server, which can be shut.
    let is_shut = Arc::new(AtomicUsize::new(0));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let shut = Arc::clone(&is_shut);
    spawn(move || {
        for stream in listener.incoming() {
            let (stream, target, shut) = (stream.unwrap(), target.clone(), Arc::clone(&shut));
            spawn(move || pass(&stream, &target, &shut));
        }
    });
    let mut core = moto.with("remote.endpoint", &format!("http://127.0.0.1:{port}")).open();
    core.timeout_ms = 1000;
    let first = core.versions(10).unwrap();
    assert_eq!(core.put(b"k", b"v", first, Some(0)), OK, "{}", said());
    is_shut.store(1, Ordering::Relaxed);
    sleep(Duration::from_millis(100));
    for attempt in 1..4 {
        let started = Instant::now();
        let status = core.put(b"k", b"w", first + attempt, None);
        assert!(status == UNAVAILABLE || status == crate::core::TIMEOUT, "{status}");
        assert!(!said().contains("testsecret") && started.elapsed() < Duration::from_millis(1300));
        assert_eq!(core.get_known(b"k", 0).0, UNAVAILABLE);
    }
    is_shut.store(0, Ordering::Relaxed);
    assert_eq!(core.put(b"k", b"w", first + 5, Some(first)), OK, "{}", said());
    assert_eq!(core.get(b"k"), b"w");
}

/// Passes bytes on as long as the door is open.
fn pass(client: &TcpStream, target: &str, shut: &AtomicUsize) {
    let Ok(server) = TcpStream::connect(target) else { return };
    for stream in [client, &server] {
        stream.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
    }
    let mut buffer = [0; 65_536];
    while shut.load(Ordering::Relaxed) == 0 {
        for (from, to) in [(client, &server), (&server, client)] {
            match (&mut &*from).read(&mut buffer) {
                Ok(0) => return,
                Ok(read) if (&mut &*to).write_all(&buffer[..read]).is_err() => return,
                _ => {}
            }
        }
    }
}
