//! What fails: servers that are killed, stopped, gone, wrong or malicious.

use crate::core::{Core, NOT_FOUND, OK, TIMEOUT, UNAVAILABLE, said};
use crate::engines::{Place, cluster, fresh, said as setting};
use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{scope, sleep, spawn};
use std::time::{Duration, Instant};

/// One test at a time takes nodes away.
static OUTAGE: Mutex<()> = Mutex::new(());

fn cli(port: u16, arguments: &[&str]) -> String {
    let mut command = Command::new("redis-cli");
    let output = command.args(["-p", &port.to_string()]).args(arguments).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn signal(name: &str, pid: &str) {
    assert!(Command::new("kill").args([name, pid]).status().unwrap().success());
}

/// The second cluster, which may lose nodes.
fn fragile() -> (Place, u16) {
    let port: u16 = setting("HOTCOLD_FRAGILE").parse().unwrap();
    let url = format!("redis+cluster://127.0.0.1:{port},127.0.0.1:{}/{}", port + 1, fresh("frail"));
    (Place { url, options: Vec::new() }, port)
}

/// Ports of the masters.
fn masters(first: u16) -> Vec<u16> {
    let is_master = |port: &u16| cli(*port, &["role"]).starts_with("master");
    (first..first + 6).filter(is_master).collect()
}

fn pid(port: u16) -> String {
    let info = cli(port, &["info", "server"]);
    let line = info.lines().find(|line| line.starts_with("process_id:")).unwrap();
    line["process_id:".len()..].trim().to_owned()
}

/// Waits until all slots are served and every master has a replica in step.
fn mended(first: u16) {
    let started = Instant::now();
    loop {
        let is_well = |port: u16| {
            let info = cli(port, &["cluster", "info"]);
            let replication = cli(port, &["info", "replication"]);
            info.contains("cluster_state:ok")
                && info.contains("cluster_slots_ok:16384")
                && (replication.contains("master_link_status:up")
                    || replication.contains("connected_slaves:1"))
        };
        if (first..first + 6).all(is_well) && masters(first).len() == 3 {
            return;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "the cluster does not mend");
        sleep(Duration::from_millis(200));
    }
}

/// What a client saw of one node's keys.
#[derive(Debug, Default)]
struct Seen {
    stored: HashMap<String, u64>,
    failures: HashMap<i32, u32>,
    longest: Duration,
    last_failure: Option<Instant>,
}

/// Stores one key of each node again and again while `damage` is done; per part of the keys what was
/// seen. `calm` is how long it goes on afterwards.
fn stores_during(
    place: &Place,
    first: u16,
    damage: impl Fn(u16),
    calm: Duration,
) -> (Vec<Seen>, usize) {
    let core = place.open();
    let masters = masters(first);
    let seen: Vec<Mutex<Seen>> = masters.iter().map(|_| Mutex::default()).collect();
    let stop = AtomicBool::new(false);
    let victim = 0;
    scope(|scope| {
        for (at, port) in masters.iter().enumerate() {
            let (core, seen, stop) = (&core, &seen[at], &stop);
            let keys: Vec<String> = (0..)
                .map(|n| format!("key-{n}"))
                .filter(|key| owns(*port, core.part(key.as_bytes())))
                .take(20)
                .collect();
            scope.spawn(move || keep_storing(core, &keys, seen, stop));
        }
        sleep(Duration::from_millis(500));
        damage(masters[victim]);
        sleep(calm);
        stop.store(true, Ordering::Relaxed);
    });
    (seen.into_iter().map(|seen| seen.into_inner().unwrap()).collect(), victim)
}

/// Stores again and again until `stop`, and takes note.
fn keep_storing(core: &Core, keys: &[String], seen: &Mutex<Seen>, stop: &AtomicBool) {
    let mut count = 0_u64;
    while !stop.load(Ordering::Relaxed) {
        count += 1;
        let key = &keys[usize::try_from(count).unwrap() % keys.len()];
        let started = Instant::now();
        let status = match core.versions(1) {
            Ok(version) => core.put(key.as_bytes(), &count.to_le_bytes(), version, None),
            Err(status) => status,
        };
        let mut seen = seen.lock().unwrap();
        seen.longest = seen.longest.max(started.elapsed());
        if status == OK {
            seen.stored.insert(key.clone(), count);
        } else {
            *seen.failures.entry(status).or_default() += 1;
            seen.last_failure = Some(Instant::now());
            assert!(status == TIMEOUT || status == UNAVAILABLE, "{status}: {}", said());
        }
        drop(seen);
        sleep(Duration::from_millis(2));
    }
}

/// True if the node has the slot, by its own word.
fn owns(port: u16, slot: u32) -> bool {
    let nodes = cli(port, &["cluster", "nodes"]);
    let mine = nodes.lines().find(|line| line.contains("myself")).unwrap().to_owned();
    mine.split(' ').skip(8).any(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let number = |text: &str| text.parse::<u32>().unwrap_or(u32::MAX);
        (number(first)..=number(last)).contains(&slot)
    })
}

#[test]
fn a_master_that_is_killed_holds_up_its_own_keys_alone_and_for_less_than_ten_seconds() {
    let _one = OUTAGE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let (place, first) = fragile();
    mended(first);
    let killed = Mutex::new((0, Instant::now()));
    let kill = |port: u16| {
        signal("-KILL", &pid(port));
        *killed.lock().unwrap() = (port, Instant::now());
    };
    let (seen, victim) = stores_during(&place, first, kill, Duration::from_secs(11));
    let (port, at) = *killed.lock().unwrap();
    let cluster = format!("{}/fragile", setting("HOTCOLD_WORK"));
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/servers/redis-cluster");
    assert!(
        Command::new(script).args(["one", &cluster, &port.to_string()]).status().unwrap().success()
    );
    println!("killed {port}: {seen:?}");
    // Nothing that was acknowledged is lost: the replica was in step.
    let core = place.open();
    for (key, count) in seen.iter().flat_map(|seen| &seen.stored) {
        let found = u64::from_le_bytes(core.get(key.as_bytes()).try_into().unwrap());
        assert!(found >= *count, "{key}: {found}, and {count} was acknowledged");
    }
    for (node, seen) in seen.iter().enumerate() {
        assert!(seen.longest < Duration::from_millis(2600), "{node}: {:?}", seen.longest);
        if node == victim {
            let after = seen.last_failure.map_or(Duration::ZERO, |last| last - at);
            assert!(after < Duration::from_secs(10), "{after:?}");
        } else {
            // At most one: the versions or the epoch were asked for at the victim.
            let failures: u32 = seen.failures.values().sum();
            assert!(failures <= 1, "{node}: {:?}", seen.failures);
        }
    }
    mended(first);
}

#[test]
fn a_node_that_is_stopped_costs_its_own_keys_the_timeout_and_no_more() {
    let _one = OUTAGE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let (place, first) = fragile();
    mended(first);
    let mut core = place.open();
    core.timeout_ms = 700;
    let port = masters(first)[0];
    let key = (0..)
        .map(|n| format!("key-{n}"))
        .find(|key| owns(port, core.part(key.as_bytes())))
        .unwrap();
    let other = (0..)
        .map(|n| format!("key-{n}"))
        .find(|key| !owns(port, core.part(key.as_bytes())))
        .unwrap();
    let first_version = core.versions(100).unwrap();
    assert_eq!(core.put(key.as_bytes(), b"v", first_version, None), OK);
    let pid = pid(port);
    signal("-STOP", &pid);
    let started = Instant::now();
    let put = core.put(key.as_bytes(), b"w", first_version + 1, None);
    let took = started.elapsed();
    let words = said();
    let got = core.get_known(key.as_bytes(), 0).0;
    let started = Instant::now();
    let elsewhere = core.put(other.as_bytes(), b"w", first_version + 2, None);
    let took_elsewhere = started.elapsed();
    let dropping = Instant::now();
    drop(core);
    let dropped = dropping.elapsed();
    signal("-CONT", &pid);
    assert_eq!(put, TIMEOUT, "{words}");
    assert!(words.contains("did not answer in time") && words.contains("unknown"), "{words}");
    assert!(took < Duration::from_millis(900), "{took:?}");
    assert!(got == TIMEOUT || got == UNAVAILABLE, "{got}");
    assert_eq!(elsewhere, OK, "{}", said());
    assert!(took_elsewhere < Duration::from_millis(500), "{took_elsewhere:?}");
    assert!(dropped < Duration::from_secs(2), "{dropped:?}");
    sleep(Duration::from_millis(500));
    mended(first);
}

/// A server that answers everything with `answer`, again and again if `endless`.
fn liar(answer: &'static [u8], endless: bool) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            spawn(move || lie(&mut stream, answer, endless));
        }
    });
    port
}

fn lie(stream: &mut std::net::TcpStream, answer: &[u8], endless: bool) {
    let mut buffer = [0; 65_536];
    while matches!(stream.read(&mut buffer), Ok(1..)) && stream.write_all(answer).is_ok() {
        while endless && stream.write_all(answer).is_ok() {}
    }
}

/// Opening fails with one plain sentence, in time, without secrets.
fn fails(place: &Place, expected: i32, words: &str) {
    let place = place.clone().with("remote_timeout", "800");
    let started = Instant::now();
    let (status, said) = match place.try_open() {
        Ok(_) => panic!("{} could be opened", place.url),
        Err(failure) => failure,
    };
    assert!(started.elapsed() < Duration::from_millis(1100), "{:?}", started.elapsed());
    assert_eq!(status, expected, "{said}");
    assert!(said.contains(words), "{said}");
    assert!(!said.contains("s3cr3t") && !said.contains('\n') && said.len() < 400, "{said}");
}

fn at(scheme: &str, port: u16) -> Place {
    Place { url: format!("{scheme}://127.0.0.1:{port}/x"), options: Vec::new() }
}

#[test]
fn what_is_no_redis_is_told_in_one_sentence() {
    for scheme in ["redis", "redis+cluster"] {
        let with_secret = |port| at(scheme, port).with("remote.password", "s3cr3t");
        fails(
            &with_secret(liar(b"HTTP/1.1 400 Bad Request\r\n\r\n", false)),
            UNAVAILABLE,
            "no answer of Redis",
        );
        fails(
            &with_secret(liar(b"+xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", true)),
            UNAVAILABLE,
            "a line too long",
        );
        fails(&with_secret(liar(b"$536870912\r\n", true)), UNAVAILABLE, "");
        fails(&with_secret(liar(b"*1000000000\r\n", false)), UNAVAILABLE, "a list too long");
        fails(&with_secret(liar(b"", false)), UNAVAILABLE, "in time");
        fails(
            &with_secret(liar(b"-WRONGPASS invalid username-password pair\r\n", false)),
            UNAVAILABLE,
            "credentials",
        );
        fails(&with_secret(liar(b"-ERR unknown\r\n", false)), -3, "Redis answers");
    }
    fails(&at("redis", 1), UNAVAILABLE, "nobody listens");
    fails(&at("rediss", liar(b"+OK\r\n", false)), UNAVAILABLE, "TLS");
    // Addresses that nobody has are not reached from here; a name that nobody has is.
    let place = Place { url: "redis://no-such-host.invalid/x".into(), options: Vec::new() };
    let (status, words) = place.with("remote_timeout", "800").try_open().err().unwrap();
    assert!(status == UNAVAILABLE && words.contains("name"), "{words}");
    let single = format!("redis+cluster://127.0.0.1:{}/x", setting("HOTCOLD_REDIS"));
    fails(&Place { url: single, options: Vec::new() }, -10, "redis://");
}

#[test]
fn redirections_in_a_circle_end() {
    let port = liar(b"-MOVED 866 127.0.0.1:1\r\n", false);
    fails(&at("redis", port), UNAVAILABLE, "");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let circle: &'static str = Box::leak(format!("-MOVED 1 127.0.0.1:{port}\r\n").into_boxed_str());
    spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            spawn(move || lie(&mut stream, circle.as_bytes(), false));
        }
    });
    fails(&at("redis", port), UNAVAILABLE, "in circles");
}

#[test]
fn credentials_and_certificates_are_checked() {
    let port = setting("HOTCOLD_REDIS_AUTH");
    let ca = format!("{}/tls/ca.crt", setting("HOTCOLD_WORK"));
    let place = |scheme: &str, host: &str, port: &str| Place {
        url: format!("{scheme}://{host}:{port}/{}", fresh("auth")),
        options: Vec::new(),
    };
    let plain = place("redis", "127.0.0.1", &port);
    fails(&plain, UNAVAILABLE, "credentials");
    fails(&plain.clone().with("remote.password", "s3cr3t"), UNAVAILABLE, "credentials");
    let named = plain.with("remote.user", "hotcold");
    fails(&named.clone().with("remote.password", "s3cr3t"), UNAVAILABLE, "credentials");
    let good = |place: &Place| {
        let core = place.clone().with("coherence", "400").open();
        let version = core.version();
        assert_eq!(core.put(b"k", b"v", version, Some(0)), OK, "{}", said());
        assert_eq!(core.get_known(b"k", version).0, OK, "{}", said());
        assert_eq!((core.put(b"k", b"v", version, None), core.list(b"").len()), (OK, 1));
        assert_eq!((core.remove(b"k", None), core.clear(), core.compact()), (OK, OK, OK));
        assert_eq!(core.watch(), OK);
        sleep(Duration::from_millis(400));
        let alive =
            |told: &(Instant, crate::core::Told)| matches!(told.1, crate::core::Told::Alive(..));
        assert!(core.heard().iter().any(alive), "{:?}", core.heard());
    };
    good(&named.with("remote.password", "right"));
    let tls = setting("HOTCOLD_REDIS_TLS");
    let secret =
        |place: Place| place.with("remote.user", "hotcold").with("remote.password", "right");
    fails(
        &secret(place("rediss", "127.0.0.1", &tls)),
        UNAVAILABLE,
        "TLS: the certificate is not trusted",
    );
    good(&secret(place("rediss", "127.0.0.1", &tls)).with("remote.ca_file", &ca));
    good(&secret(place("rediss", "localhost", &tls)).with("remote.ca_file", &ca));
    fails(
        &secret(place("rediss", "127.0.0.2", &tls)).with("remote.ca_file", &ca),
        UNAVAILABLE,
        "TLS: the certificate is not trusted",
    );
    fails(
        &place("rediss", "127.0.0.1", &tls).with("remote.ca_file", "/nonexistent"),
        -1,
        "ca_file",
    );
}

#[test]
fn too_few_replicas_are_reported() {
    let place = cluster();
    let core = place.clone().with("remote.replicas", "1").open();
    let version = core.versions(4).unwrap();
    assert_eq!(core.put(b"k", b"v", version, None), OK, "{}", said());
    assert_eq!(core.put(b"k", b"v", version + 1, Some(version)), OK, "{}", said());
    drop(core);
    let mut core = place.with("remote.replicas", "2").open();
    core.timeout_ms = 400;
    assert_eq!(core.put(b"k", b"v", version + 2, None), TIMEOUT);
    assert!(said().contains("1 of 2 replicas"));
    assert_eq!(core.get(b"k"), b"v");
    assert_eq!(core.remove(b"k", Some(version + 2)), TIMEOUT);
    assert_eq!(core.get_known(b"k", 0).0, NOT_FOUND);
}

#[test]
fn a_server_that_comes_back_is_used_again() {
    let work = setting("HOTCOLD_WORK");
    let port = setting("HOTCOLD_PORT_FREE");
    let folder = format!("{work}/again");
    std::fs::create_dir_all(&folder).unwrap();
    let start = || {
        let mut command = Command::new("redis-server");
        command.args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--dir", &folder]);
        command.args(["--logfile", "log"]);
        let server = command.spawn().unwrap();
        while !cli(port.parse().unwrap(), &["ping"]).contains("PONG") {
            sleep(Duration::from_millis(20));
        }
        server
    };
    let mut server = start();
    let place =
        Place { url: format!("redis://127.0.0.1:{port}/{}", fresh("again")), options: Vec::new() };
    let core = place.with("coherence", "400").open();
    assert_eq!(core.watch(), OK);
    let first = core.versions(50).unwrap();
    assert_eq!(core.put(b"k", b"v", first, None), OK);
    sleep(Duration::from_millis(400));
    assert!(core.heard().iter().any(|(_, told)| matches!(told, crate::core::Told::Alive(0, _))));
    server.kill().unwrap();
    server.wait().unwrap();
    // Idle connections are seen to be dead before anything is sent: certainly not done.
    sleep(Duration::from_millis(30));
    assert_eq!(core.put(b"k", b"v", first + 1, None), UNAVAILABLE, "{}", said());
    assert!(core.heard().iter().any(|(_, told)| *told == crate::core::Told::All(0)));
    let mut server = start();
    assert_eq!(core.put(b"k", b"v", first + 2, None), OK, "{}", said());
    sleep(Duration::from_millis(900));
    let heard = core.heard();
    let all = heard.iter().position(|(_, told)| *told == crate::core::Told::All(0));
    let alive = heard.iter().position(|(_, told)| matches!(told, crate::core::Told::Alive(0, _)));
    assert!(all.is_some() && all < alive, "{heard:?}");
    drop(core);
    server.kill().unwrap();
    server.wait().unwrap();
}
