//! What every engine does the same.

use crate::core::{
    CONFLICT, Change, Core, Got, INVALID_ARGUMENT, NOT_FOUND, OK, TOO_LARGE, UNSUPPORTED, said,
};
use crate::engines::{Place, buckets, cluster, redis};
use hotcold_remote::clock::{now_ms, now_us};
use hotcold_remote::engine::{BATCH, LIST_ORDERED, LIST_REPEATS, TTL};
use std::collections::BTreeSet;
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

/// Keys that are strange to one part or another.
const KEYS: [&[u8]; 16] = [
    b"",
    b"k",
    b"{42}a",
    b"x{42}y",
    b"{}",
    b"{}{a}",
    b"}",
    b"a}b{c",
    b"{kfoo}",
    b"foo",
    b"/",
    b"../..",
    b"a//b/",
    b"a b+c%20&<>\"'\\*?[]",
    b"\x00\xff\r\n\x7f",
    "schlüssel 鍵".as_bytes(),
];

fn a_key_is_stored_found_and_removed(place: &Place) {
    let core = place.open();
    for key in KEYS {
        assert_eq!(core.get_known(key, 0), (NOT_FOUND, Got::None), "{key:?}");
        assert_eq!(core.remove(key, None), NOT_FOUND, "{key:?}: {}", said());
    }
    let mut records = Vec::new();
    for key in KEYS {
        let (version, data) = (core.version(), [b"data of ", key].concat());
        assert_eq!(core.put(key, &data, version, None), OK, "{key:?}: {}", said());
        records.push((key, version, data));
    }
    for (key, version, data) in &records {
        assert_eq!(core.get_known(key, 0), (OK, Got::Record(data.clone())));
        assert_eq!(core.get_known(key, *version), (OK, Got::Same), "{}", said());
        assert_eq!(core.get_known(key, *version + 1), (OK, Got::Record(data.clone())));
        let newer = core.version();
        assert_eq!(core.put(key, b"newer", newer, None), OK);
        assert_eq!(core.get_known(key, *version), (OK, Got::Record(b"newer".to_vec())));
        assert_eq!(core.get_known(key, newer), (OK, Got::Same));
        assert_eq!(core.remove(key, None), OK, "{}", said());
        assert_eq!(core.get_known(key, newer), (NOT_FOUND, Got::None));
        assert_eq!(core.remove(key, None), NOT_FOUND);
    }
}

fn conditions_are_met_or_nothing_is_done(place: &Place) {
    let core = place.open();
    let first = core.versions(8).unwrap();
    let [a, b, c, d] = [first, first + 1, first + 2, first + 3];
    let key = b"key";
    assert_eq!(core.put(key, b"a", a, Some(b)), CONFLICT, "{}", said());
    assert_eq!(core.remove(key, Some(a)), NOT_FOUND, "{}", said());
    assert_eq!(core.put(key, b"a", a, Some(0)), OK, "{}", said());
    assert_eq!(core.put(key, b"b", b, Some(0)), CONFLICT);
    assert_eq!(core.put(key, b"b", b, Some(d)), CONFLICT);
    assert_eq!(core.get(key), b"a");
    assert_eq!(core.put(key, b"b", b, Some(a)), OK, "{}", said());
    assert_eq!(core.put(key, b"c", c, Some(a)), CONFLICT);
    assert_eq!(core.get(key), b"b");
    assert_eq!(core.remove(key, Some(a)), CONFLICT);
    assert_eq!(core.remove(key, Some(0)), CONFLICT);
    assert_eq!(core.get(key), b"b");
    assert_eq!(core.remove(key, Some(b)), OK, "{}", said());
    assert_eq!(core.remove(key, Some(b)), NOT_FOUND);
    assert_eq!(core.put(key, b"d", d, Some(b)), CONFLICT);
    assert_eq!(core.put(key, b"d", d, Some(0)), OK);
    assert_eq!(core.put(key, b"x", 0, None), INVALID_ARGUMENT);
}

fn what_has_expired_is_gone(place: &Place) {
    let core = place.open();
    let first = core.versions(4).unwrap();
    let soon = now_ms() + 400;
    assert_eq!(core.put_until(b"soon", b"s", first, soon, None), OK);
    assert_eq!(core.put_until(b"on condition", b"s", first + 1, soon, Some(0)), OK);
    assert_eq!(core.put_until(b"later", b"l", first + 2, u64::MAX, None), OK);
    assert_eq!(core.get(b"soon"), b"s");
    sleep(Duration::from_millis(500));
    assert_eq!(core.get_known(b"soon", 0).0, NOT_FOUND);
    if core.can(TTL) {
        assert_eq!(core.get_known(b"soon", first).0, NOT_FOUND);
    }
    assert_eq!(core.remove(b"soon", None), NOT_FOUND);
    assert_eq!(core.get_known(b"on condition", 0).0, NOT_FOUND);
    assert_eq!(core.put(b"on condition", b"new", first + 3, Some(0)), OK, "{}", said());
    assert_eq!((core.get(b"on condition"), core.get(b"later")), (b"new".to_vec(), b"l".to_vec()));
}

fn every_key_is_listed_once(place: &Place) {
    let core = place.open();
    assert_eq!(core.list(b""), Vec::<Vec<u8>>::new());
    let mut keys: BTreeSet<Vec<u8>> = KEYS.iter().map(|key| key.to_vec()).collect();
    keys.extend((0..1500).map(|n| format!("user:{n}").into_bytes()));
    let first = core.versions(4000).unwrap();
    scope(|scope| {
        let (keys, core) = (&keys, &core);
        for thread in 0..4 {
            scope.spawn(move || {
                for (at, key) in keys.iter().enumerate().filter(|(at, _)| at % 4 == thread) {
                    assert_eq!(core.put(key, b"v", first + at as u64, None), OK, "{}", said());
                }
            });
        }
    });
    // A store whose name begins the same is another store.
    let other = Place { url: format!("{}x", place.url), ..place.clone() }.open();
    assert_eq!(other.put(b"foreign", b"v", first + 3999, None), OK);
    for prefix in [&b""[..], b"user:", b"user:1", b"{42}", b"none", b"a", b"\x00"] {
        let found = core.list(prefix);
        let set: BTreeSet<Vec<u8>> = found.iter().cloned().collect();
        let wanted: BTreeSet<_> =
            keys.iter().filter(|key| key.starts_with(prefix)).cloned().collect();
        assert_eq!(set, wanted, "{prefix:?}");
        if !core.can(LIST_REPEATS) {
            assert_eq!(found.len(), set.len(), "{prefix:?}: keys came twice");
        }
        if core.can(LIST_ORDERED) {
            assert!(found.is_sorted(), "{prefix:?}");
        }
    }
}

fn versions_are_given_once(place: &Place) {
    let (one, two) = (place.open(), place.open());
    let before = now_us();
    let ranges = std::sync::Mutex::new(Vec::new());
    scope(|scope| {
        for core in [&one, &one, &two, &two] {
            let ranges = &ranges;
            scope.spawn(move || {
                for round in 0..20 {
                    let count = [1, 7, 500, 4096, 9000][round % 5];
                    let first = core.versions(count).unwrap_or_else(|s| panic!("{s}: {}", said()));
                    ranges.lock().unwrap().push((first, first + count));
                }
            });
        }
    });
    let mut ranges = ranges.into_inner().unwrap();
    ranges.sort_unstable();
    assert_eq!(ranges.len(), 80);
    assert!(ranges.windows(2).all(|pair| pair[0].1 <= pair[1].0), "{ranges:?}");
    assert!(ranges[0].0 >= before, "{} is below the time", ranges[0].0);
    assert!(ranges[79].1 < 1 << 63);
    assert_eq!(one.versions(0), Err(INVALID_ARGUMENT));
}

fn a_counter_loses_no_update(place: &Place) {
    const THREADS: u64 = 3;
    const ROUNDS: u64 = 25;
    let cores = [place.open(), place.open()];
    let first = cores[0].version();
    assert_eq!(cores[0].put(b"counter", &count_of(first, 0), first, None), OK);
    scope(|scope| {
        for core in &cores {
            for _ in 0..THREADS {
                scope.spawn(move || (0..ROUNDS).for_each(|_| while !increment(core) {}));
            }
        }
    });
    let (_, count) = counted(&cores[1].get(b"counter"));
    assert_eq!(count, 2 * THREADS * ROUNDS);
}

fn increment(core: &Core) -> bool {
    let (version, count) = counted(&core.get(b"counter"));
    let new = core.version();
    match core.put(b"counter", &count_of(new, count + 1), new, Some(version)) {
        OK => true,
        CONFLICT => false,
        other => panic!("{other}: {}", said()),
    }
}

fn count_of(version: u64, count: u64) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&version.to_le_bytes());
    bytes[8..].copy_from_slice(&count.to_le_bytes());
    bytes
}

fn counted(bytes: &[u8]) -> (u64, u64) {
    let word = |at| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    (word(0), word(8))
}

fn a_clear_empties_all_for_everybody(place: &Place) {
    let place = place.clone().with("coherence", "300");
    let (one, two) = (place.open(), place.open());
    let first = one.versions(100).unwrap();
    for n in 0..40 {
        assert_eq!(one.put(format!("k{n}").as_bytes(), b"v", first + n, None), OK);
    }
    assert_eq!(two.get(b"k7"), b"v");
    assert_eq!(one.clear(), OK, "{}", said());
    assert_eq!(one.get_known(b"k7", 0).0, NOT_FOUND);
    assert_eq!(one.list(b""), Vec::<Vec<u8>>::new());
    // Whoever does not know of it yet does so after one coherence.
    sleep(Duration::from_millis(310));
    assert_eq!(two.get_known(b"k7", first + 7).0, NOT_FOUND);
    assert_eq!(two.put(b"k7", b"new", first + 50, Some(0)), OK);
    assert_eq!(one.get(b"k7"), b"new");
    assert_eq!(one.list(b""), [b"k7".to_vec()]);
    assert_eq!(two.clear(), OK);
    assert_eq!(two.put(b"k8", b"new", first + 51, None), OK);
    sleep(Duration::from_millis(310));
    assert_eq!(one.list(b""), [b"k8".to_vec()]);
}

fn large_records_come_back_whole(place: &Place) {
    let mut core = place.open();
    core.timeout_ms = 20_000;
    let mut data: Vec<u8> = (0_u32..5_000_000).flat_map(u32::to_le_bytes).collect();
    for len in [20_000_000, 65_536, 16_384 - 16, 1, 0] {
        data.truncate(len);
        let version = core.version();
        assert_eq!(core.put(b"large", &data, version, None), OK, "{}", said());
        assert!(core.get(b"large") == data, "{len} bytes");
    }
}

fn a_batch_is_done_or_not(place: &Place) {
    let core = place.open();
    let v = core.versions(10).unwrap();
    let batch: [Change<'_>; 3] = [
        (b"{b}1", Some(b"one"), v, None),
        (b"{b}2", Some(b"two"), v + 1, Some(0)),
        (b"{b}3", None, 0, None),
    ];
    if !core.can(BATCH) {
        assert_eq!(core.write(&batch), UNSUPPORTED);
        assert!(!said().is_empty());
        return;
    }
    assert_eq!(core.write(&[]), OK);
    assert_eq!(core.write(&batch), OK, "{}", said());
    assert_eq!((core.get(b"{b}1"), core.get(b"{b}2")), (b"one".to_vec(), b"two".to_vec()));
    let refused: [Change<'_>; 2] =
        [(b"{b}1", Some(b"x"), v + 3, None), (b"{b}2", None, 0, Some(v))];
    assert_eq!(core.write(&refused), CONFLICT);
    assert_eq!(core.get(b"{b}1"), b"one");
    let done: [Change<'_>; 2] =
        [(b"{b}1", Some(b"x"), v + 3, Some(v)), (b"{b}2", None, 0, Some(v + 1))];
    assert_eq!(core.write(&done), OK);
    assert_eq!((core.get(b"{b}1"), core.get_known(b"{b}2", 0).0), (b"x".to_vec(), NOT_FOUND));
}

fn what_is_too_large_is_refused_before_it_is_sent(place: &Place) {
    let core = place.open();
    let data = vec![7; (512 << 20) - 4096 - 15];
    let started = Instant::now();
    assert_eq!(core.put(b"k", &data, core.version(), None), TOO_LARGE);
    assert!(said().contains("512 MB") && started.elapsed() < Duration::from_millis(500));
    assert_eq!(core.put(&data[..65_536], b"", core.version(), None), TOO_LARGE);
    assert_eq!(core.get_known(b"k", 0).0, NOT_FOUND);
}

fn what_a_clear_leaves_is_swept(place: &Place) {
    let core = place.open();
    let first = core.versions(300).unwrap();
    for n in 0..200 {
        assert_eq!(core.put(format!("k{n}").as_bytes(), b"v", first + n, None), OK);
    }
    let name = place.url.rsplit('/').next().unwrap();
    assert_eq!(records(place, name), 200);
    assert_eq!(core.clear(), OK);
    assert_eq!(core.put(b"k", b"v", first + 200, None), OK);
    let started = Instant::now();
    while records(place, name) != 1 {
        assert!(started.elapsed() < Duration::from_secs(5), "{}", records(place, name));
        sleep(Duration::from_millis(50));
    }
    assert_eq!(core.get(b"k"), b"v");
    assert_eq!(core.compact(), OK, "{}", said());
}

/// Records of all epochs, as redis-cli sees them at every server.
fn records(place: &Place, name: &str) -> usize {
    let port: u16 = place.url.split([':', '/']).nth(4).unwrap().parse().unwrap();
    let is_cluster = place.url.starts_with("redis+cluster");
    let ports = port..port + if is_cluster { 6 } else { 1 };
    let count = |port: u16| {
        let pattern = format!("{name}/r/*");
        let cli = std::process::Command::new("redis-cli")
            .args(["-p", &port.to_string(), "--scan", "--pattern", &pattern])
            .output()
            .unwrap();
        String::from_utf8(cli.stdout).unwrap().lines().count()
    };
    let all: usize = ports.map(count).sum();
    // Each is at its replica, too.
    if is_cluster { all.div_ceil(2) } else { all }
}

fn nothing_hangs(place: &Place) {
    let started = Instant::now();
    let core = place.open();
    assert_eq!(core.get_known(b"absent", 0).0, NOT_FOUND);
    drop(core);
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[test]
fn redis_stores_finds_and_removes() {
    a_key_is_stored_found_and_removed(&redis());
    a_key_is_stored_found_and_removed(&cluster());
}

#[test]
fn redis_meets_conditions() {
    conditions_are_met_or_nothing_is_done(&redis());
    conditions_are_met_or_nothing_is_done(&cluster());
}

#[test]
fn redis_lets_expire() {
    what_has_expired_is_gone(&redis());
    what_has_expired_is_gone(&cluster());
}

#[test]
fn redis_lists() {
    every_key_is_listed_once(&redis());
    every_key_is_listed_once(&cluster());
}

#[test]
fn redis_gives_versions() {
    versions_are_given_once(&redis());
    versions_are_given_once(&cluster());
}

#[test]
fn redis_counts() {
    a_counter_loses_no_update(&redis());
    a_counter_loses_no_update(&cluster());
}

#[test]
fn redis_clears() {
    a_clear_empties_all_for_everybody(&redis());
    a_clear_empties_all_for_everybody(&cluster());
}

#[test]
fn redis_takes_large_records() {
    large_records_come_back_whole(&redis());
    large_records_come_back_whole(&cluster());
}

#[test]
fn redis_writes_batches() {
    a_batch_is_done_or_not(&redis());
    a_batch_is_done_or_not(&cluster());
    let core = cluster().open();
    let v = core.versions(2).unwrap();
    let apart: [Change<'_>; 2] = [(b"a", Some(b"1"), v, None), (b"b", Some(b"2"), v + 1, None)];
    assert_eq!(core.write(&apart), UNSUPPORTED);
    assert!(said().contains("braces"));
    assert_eq!(core.get_known(b"a", 0).0, NOT_FOUND);
}

#[test]
fn redis_refuses_what_is_too_large() {
    what_is_too_large_is_refused_before_it_is_sent(&redis());
}

#[test]
fn redis_sweeps() {
    what_a_clear_leaves_is_swept(&redis());
    what_a_clear_leaves_is_swept(&cluster());
}

#[test]
fn redis_ends() {
    nothing_hangs(&redis());
    nothing_hangs(&cluster());
}

#[test]
fn redis_is_not_durable_and_says_so() {
    let core = redis().open();
    assert_eq!(core.sync(), UNSUPPORTED);
    assert!(said().contains("remote.replicas"));
}

#[test]
fn s3_stores_finds_and_removes() {
    buckets().iter().for_each(a_key_is_stored_found_and_removed);
}

#[test]
fn s3_meets_conditions() {
    buckets().iter().for_each(conditions_are_met_or_nothing_is_done);
}

#[test]
fn s3_lets_expire() {
    buckets().iter().for_each(what_has_expired_is_gone);
}

#[test]
fn s3_lists() {
    buckets().iter().for_each(every_key_is_listed_once);
}

#[test]
fn s3_gives_versions() {
    buckets().iter().for_each(versions_are_given_once);
}

#[test]
fn s3_counts() {
    buckets().iter().for_each(a_counter_loses_no_update);
}

#[test]
fn s3_clears() {
    buckets().iter().for_each(a_clear_empties_all_for_everybody);
}

#[test]
fn s3_takes_large_records() {
    buckets().iter().for_each(large_records_come_back_whole);
}

#[test]
fn s3_writes_no_batches() {
    buckets().iter().for_each(a_batch_is_done_or_not);
}

#[test]
fn s3_ends() {
    buckets().iter().for_each(nothing_hangs);
}

#[test]
fn s3_refuses_keys_that_are_too_long() {
    let core = buckets()[0].open();
    let version = core.version();
    assert_eq!(core.put(&[b'/'; 400], b"v", version, None), TOO_LARGE);
    assert!(said().contains("1024"));
    assert_eq!(core.get_known(&[b'/'; 400], 0).0, NOT_FOUND);
    assert_eq!(core.put(&[b'a'; 900], b"v", version, None), OK, "{}", said());
    assert_eq!((core.get(&[b'a'; 900]), core.sync()), (b"v".to_vec(), OK));
}

#[test]
fn s3_is_reaped() {
    for place in buckets() {
        let mut core = place.open();
        core.timeout_ms = 20_000;
        let first = core.versions(100).unwrap();
        for n in 0..20 {
            let expires_at = if n % 2 == 0 { now_ms() + 300 } else { 0 };
            let key = format!("k{n}");
            assert_eq!(core.put_until(key.as_bytes(), b"v", first + n, expires_at, None), OK);
        }
        sleep(Duration::from_millis(400));
        assert_eq!(core.list(b"").len(), 20);
        assert_eq!(core.compact(), OK, "{}", said());
        assert_eq!(core.list(b"").len(), 10);
        assert_eq!(core.get(b"k1"), b"v");
    }
}
