//! The crate as a Rust program sees it: what `src/api/` promises beyond what the store itself does.

use hotcold::{
    Batch, Compression, Cursor, Durability, Error, ErrorKind, Event, EventKind, EventKinds,
    EventQueue, Eviction, Exposed, Loaded, Options, Policy, RetrieveOptions, StatsFormat, Store,
    StoreOptions, Stored, Tier, Value, WriteMode,
};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};
use std::{fs, process, thread};

/// A directory that is removed when it is dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("hotcold-api-{}-{name}", process::id())))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.0);
    }
}

fn in_memory() -> Store {
    Store::in_memory(&Options::new()).unwrap()
}

/// Asks until `is_so` or for ten seconds.
fn comes_true(is_so: impl Fn() -> bool) -> bool {
    let until = Instant::now() + Duration::from_secs(10);
    while !is_so() {
        if Instant::now() > until {
            return false;
        }
        thread::sleep(Duration::from_millis(5));
    }
    true
}

#[test]
fn threads_may_share_what_is_made_to_be_shared() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Store>();
    shared::<Options>();
    shared::<Value>();
    shared::<Batch>();
    shared::<EventQueue>();
    shared::<Event<'static>>();
    shared::<Error>();
    fn sent<T: Send>() {}
    sent::<Cursor<'_>>();
}

/// An option by name, a value of it, and the setter with the same value.
type Setter = (&'static str, &'static str, fn(&mut Options) -> &mut Options);

const SETTERS: &[Setter] = &[
    ("hot_capacity", "1MiB", |o| o.hot_capacity(1 << 20)),
    ("hot_max_entries", "7", |o| o.hot_max_entries(7)),
    ("hot_ttl", "2s", |o| o.hot_ttl(Duration::from_secs(2))),
    ("eviction", "lru", |o| o.eviction(Eviction::Lru)),
    ("eviction", "tinylfu", |o| o.eviction(Eviction::TinyLfu)),
    ("compression", "deflate:9", |o| o.compression(Compression::Deflate(9))),
    ("policy", "lenient", |o| o.policy(Policy::Lenient)),
    ("write_mode", "back", |o| o.write_mode(WriteMode::Back)),
    ("durability", "sync", |o| o.durability(Durability::Sync)),
    ("sync_interval", "3", |o| o.sync_interval(Duration::from_millis(3))),
    ("cold_capacity", "32MiB", |o| o.cold_capacity(32 << 20)),
    ("warm_start", "true", |o| o.warm_start(true)),
    ("create", "false", |o| o.create(false)),
    ("read_only", "true", |o| o.read_only(true)),
    ("writable_by_others", "refuse", |o| o.writable_by_others(Exposed::Refuse)),
    ("storage_id", "sessions", |o| o.storage_id("sessions")),
    ("coherence", "250ms", |o| o.coherence(Duration::from_millis(250))),
    ("remote_timeout", "5s", |o| o.remote_timeout(Duration::from_secs(5))),
    ("remote_retries", "7", |o| o.remote_retries(7)),
    ("remote_concurrency", "8", |o| o.remote_concurrency(8)),
];

#[test]
fn every_option_has_a_setter_that_does_what_its_name_does() {
    for (name, text, setter) in SETTERS {
        let (mut named, mut typed) = (Options::new(), Options::new());
        named.set(name, text).unwrap();
        setter(&mut typed);
        assert_eq!(format!("{named:?}"), format!("{typed:?}"), "{name}");
    }
    let error = Options::new().set("no such", "1").unwrap_err().to_string();
    let (_, names) = error.split_once("there are ").unwrap();
    let mut set: Vec<&str> = SETTERS.iter().map(|setter| setter.0).collect();
    set.dedup();
    assert_eq!(names.split(", ").collect::<Vec<_>>(), set);
}

#[test]
fn a_setter_with_a_wrong_value_is_told_at_opening_until_it_is_set_right() {
    let mut options = Options::new();
    options.storage_id("").compression(Compression::Deflate(10)).cold_capacity(1);
    for (name, right) in [("storage_id", "s"), ("compression", "none"), ("cold_capacity", "16MiB")]
    {
        let error = Store::in_memory(&options).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.message().starts_with(name), "{error}");
        options.set(name, right).unwrap();
    }
    assert_eq!(Store::in_memory(&options).unwrap().storage_id(), "s");
    options.set("cold_capacity", "1").unwrap_err();
    Store::in_memory(&options).unwrap();
}

#[test]
fn a_time_to_live_of_nothing_is_not_for_ever() {
    let store = in_memory();
    store.store_with("k", "v", &StoreOptions::new().ttl(Duration::ZERO)).unwrap();
    assert!(comes_true(|| !store.contains("k").unwrap()));
}

#[test]
fn a_condition_that_is_not_met_stores_nothing_alone_and_in_a_batch() {
    let store = in_memory();
    let first = StoreOptions::new().if_absent();
    let Stored::Version(version) = store.store_with("k", "1", &first).unwrap() else {
        panic!("the key was absent");
    };
    assert_eq!(store.store_with("k", "2", &first).unwrap(), Stored::Conflict(version));
    let mut batch = Batch::new();
    batch.store("other", "x").unwrap();
    batch.store_with("k", "2", &StoreOptions::new().if_version(version + 1)).unwrap();
    assert!(!store.write(&batch).unwrap());
    assert!(!store.contains("other").unwrap());
    let second = StoreOptions::new().if_version(version);
    assert!(matches!(store.store_with("k", "2", &second).unwrap(), Stored::Version(_)));
    assert_eq!(&*store.retrieve("k").unwrap().unwrap(), b"2");
}

#[test]
fn every_call_reaches_both_tiers() {
    let (scratch, copy) = (Scratch::new("tiers"), Scratch::new("tiers-copy"));
    let store = Store::open(&scratch.0, Options::new().storage_id("tiers")).unwrap();
    let mut batch = Batch::new();
    for key in ["a", "b", "c"] {
        batch.store(key, "value").unwrap();
    }
    batch.sync(true);
    assert!(store.write(&batch).unwrap());
    store.store_with("d", "value", &StoreOptions::new().cold_only().sync()).unwrap();
    assert_eq!(store.optimize_hot(0).unwrap(), 3);
    let ways = [
        RetrieveOptions::new().no_promote(),
        RetrieveOptions::new().no_recency(),
        RetrieveOptions::new().fresh().no_promote(),
    ];
    for options in ways {
        assert_eq!(store.retrieve_with("a", &options).unwrap().unwrap().tier(), Tier::Cold);
    }
    assert_eq!(store.retrieve("a").unwrap().unwrap().tier(), Tier::Cold);
    assert_eq!(store.retrieve("a").unwrap().unwrap().tier(), Tier::Hot);
    assert!(store.forget("a").unwrap() && !store.forget("a").unwrap());
    assert_eq!(store.retrieve("a").unwrap().unwrap().tier(), Tier::Cold);
    assert_eq!(store.warm_up(&["b", "absent"]).unwrap(), 1);
    assert_eq!(store.retrieve("b").unwrap().unwrap().tier(), Tier::Hot);
    store.sync().unwrap();
    store.compact().unwrap();
    let verified = store.verify().unwrap();
    assert!(verified.records >= 4 && verified.damaged == 0 && verified.finding.is_none());
    store.backup(&copy.0).unwrap();
    let stats = store.stats().unwrap();
    assert_eq!((stats.hot.entries, stats.cold.entries), (2, 4));
    assert!(store.stats_text(StatsFormat::Json).unwrap().contains("\"storage_id\":\"tiers\""));
    assert_eq!(store.warning(), None);
    store.clear().unwrap();
    assert_eq!(store.cursor("").unwrap().count(), 0);
    store.close().unwrap();
    let copied = Store::open(&copy.0, Options::new().read_only(true)).unwrap();
    assert_eq!(copied.cursor("").unwrap().map(Result::unwrap).collect::<BTreeSet<_>>().len(), 4);
    assert_eq!(copied.store("e", "v").unwrap_err().kind(), ErrorKind::ReadOnly);
}

#[test]
fn a_cursor_gives_the_value_of_the_key_that_came_last() {
    let store = in_memory();
    let pairs = [("k1", "one"), ("k2", "two"), ("other", "x")];
    for (key, value) in pairs {
        store.store(key, value).unwrap();
    }
    let mut cursor = store.cursor("k").unwrap();
    assert_eq!(cursor.value().unwrap_err().kind(), ErrorKind::Misuse);
    let mut met = BTreeSet::new();
    while let Some(key) = cursor.next() {
        let value = cursor.value().unwrap().unwrap();
        met.insert((key.unwrap(), value.to_vec()));
    }
    let wanted = [(b"k1".to_vec(), b"one".to_vec()), (b"k2".to_vec(), b"two".to_vec())];
    assert_eq!(met, BTreeSet::from(wanted));
    assert!(cursor.next().is_none());
}

#[test]
fn a_failed_load_says_why_and_stores_nothing() {
    let store = in_memory();
    let failed = store.retrieve_or_load("k", || Err("the server is away".into())).unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::CallbackFailed);
    assert!(failed.message().contains("the server is away"), "{failed}");
    assert!(store.retrieve_or_load("k", || Ok(None)).unwrap().is_none());
    let asks_again = || Ok(store.retrieve_or_load("k", || Ok(None)).map(|_| None)?);
    let failed = store.retrieve_or_load("k", asks_again).unwrap_err();
    assert!(failed.message().contains("this thread is loading that key already"), "{failed}");
    let loaded = store.retrieve_or_load("k", || Ok(Some(Loaded::new("v")))).unwrap().unwrap();
    assert_eq!(store.retrieve("k").unwrap().unwrap().version(), loaded.version());
}

#[test]
fn a_load_that_panics_does_so_in_its_own_thread_and_leaves_the_store_in_order() {
    let store = in_memory();
    let (begun, is_begun) = channel();
    let others = AtomicUsize::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            let loads = || {
                store.retrieve_or_load("k", || {
                    begun.send(()).unwrap();
                    assert!(comes_true(|| others.load(Ordering::SeqCst) == 1));
                    // The other thread is on its way to wait for this load.
                    thread::sleep(Duration::from_millis(200));
                    panic!("a load that panics, for the test")
                })
            };
            let payload = catch_unwind(AssertUnwindSafe(loads)).unwrap_err();
            assert!(payload.downcast_ref::<&str>().unwrap().contains("for the test"));
        });
        is_begun.recv().unwrap();
        others.store(1, Ordering::SeqCst);
        let waited = store.retrieve_or_load("k", || Ok(Some(Loaded::new("not needed"))));
        assert_eq!(waited.unwrap_err().kind(), ErrorKind::CallbackFailed);
    });
    store.store("k", "v").unwrap();
}

#[test]
fn a_listener_that_panics_ends_no_call() {
    let store = in_memory();
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    store
        .subscribe(EventKinds::ALL, move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
            panic!("a listener that panics, for the test")
        })
        .unwrap();
    store.store("k", "v").unwrap();
    store.store("k", "w").unwrap();
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}

#[test]
fn a_listener_is_told_of_its_kinds_and_dropped_with_its_subscription() {
    let store = in_memory();
    let kinds = [EventKind::ItemDeleted, EventKind::StorageCleared];
    let (told, alive) = (Arc::new(Mutex::new(Vec::new())), Arc::new(()));
    let (list, held) = (Arc::clone(&told), Arc::clone(&alive));
    let subscription = store
        .subscribe(kinds, move |event| {
            let _held = &held;
            list.lock().unwrap().push(event.clone().into_owned());
        })
        .unwrap();
    let version = store.store("k", "v").unwrap();
    store.delete("k").unwrap();
    store.clear().unwrap();
    assert!(store.unsubscribe(subscription).unwrap());
    assert!(!store.unsubscribe(subscription).unwrap());
    assert_eq!(Arc::strong_count(&alive), 1);
    let told = told.lock().unwrap();
    assert_eq!(told.iter().map(Event::kind).collect::<Vec<_>>(), kinds);
    assert_eq!(told[0].key(), b"k");
    assert!(told[0].version().unwrap() > version);
    assert_eq!((told[1].key(), told[1].version()), (&b""[..], None));
}

/// The store's own thread tells of the expiry. If it is the last to hold the store, it must not wait
/// for its own end.
#[test]
fn a_listener_may_be_the_last_to_drop_its_store() {
    let scratch = Scratch::new("last");
    let options = Options::new().hot_ttl(Duration::from_millis(1)).clone();
    let store = Arc::new(Store::open(&scratch.0, &options).unwrap());
    let weak = Arc::downgrade(&store);
    let (held, is_held) = channel();
    let (let_go, may_go) = channel::<()>();
    let may_go = Mutex::new(may_go);
    store
        .subscribe(EventKind::Demoted, move |_| {
            let Some(store) = Weak::upgrade(&weak) else { return };
            held.send(()).unwrap();
            let _ended = may_go.lock().unwrap().recv();
            drop(store);
        })
        .unwrap();
    store.store("k", "v").unwrap();
    is_held.recv_timeout(Duration::from_secs(10)).unwrap();
    drop(store);
    let_go.send(()).unwrap();
    assert!(comes_true(|| Store::open(&scratch.0, &options).is_ok()), "it was not closed");
}

#[test]
fn closing_in_a_callback_is_misuse_and_happens_soon_after() {
    let scratch = Scratch::new("closing");
    let other = Mutex::new(Some(Store::open(&scratch.0, &Options::new()).unwrap()));
    let store = in_memory();
    let (told, errors) = channel();
    store
        .subscribe(EventKind::ItemStored, move |_| {
            let closed = other.lock().unwrap().take().unwrap().close();
            told.send(closed.unwrap_err().kind()).unwrap();
        })
        .unwrap();
    store.store("k", "v").unwrap();
    assert_eq!(errors.recv().unwrap(), ErrorKind::Misuse);
    assert!(comes_true(|| Store::open(&scratch.0, &Options::new()).is_ok()), "it was not closed");
}

#[test]
fn a_queue_that_is_full_counts_what_it_drops_and_one_that_is_dropped_is_unsubscribed() {
    let store = in_memory();
    let queue = store.event_queue(EventKind::ItemStored, 1).unwrap();
    store.store("k1", "v").unwrap();
    store.store("k2", "v").unwrap();
    assert_eq!(queue.dropped(), 1);
    assert_eq!(queue.next(Duration::ZERO).unwrap().key(), b"k1");
    assert!(queue.next(Duration::from_millis(1)).is_none());
    drop(queue);
    // A queue that were still subscribed would have room for one of them.
    store.store("k3", "v").unwrap();
    store.store("k4", "v").unwrap();
    assert_eq!(store.stats().unwrap().events_dropped, 1);
    assert_eq!(
        store.event_queue(EventKinds::ALL, 0).unwrap_err().kind(),
        ErrorKind::InvalidArgument
    );
}

/// What a forked child may try with its parent's store. Its copies are dropped at the end.
fn tries(store: Store, queue: EventQueue) -> bool {
    let is_misuse = |error: Error| error.kind() == ErrorKind::Misuse;
    let refused = store.retrieve("k").is_err_and(is_misuse)
        && store.stats().is_err_and(is_misuse)
        && store.cursor("").is_err_and(is_misuse);
    let begun = Instant::now();
    let event = queue.next(Duration::from_secs(10));
    let has_waited = event.is_some() || begun.elapsed() > Duration::from_secs(5);
    drop(queue);
    refused && !has_waited && store.close().is_err_and(is_misuse)
}

#[test]
#[expect(unsafe_code, reason = "fork")]
fn a_forked_child_is_refused_and_does_its_parents_store_no_harm() {
    let scratch = Scratch::new("fork");
    let store = Store::open(&scratch.0, &Options::new()).unwrap();
    store.store("k", "v").unwrap();
    let queue = store.event_queue(EventKinds::ALL, 10).unwrap();
    let mut cursor = store.cursor("").unwrap();
    // SAFETY: the child makes calls that are refused, and leaves without running any destructor.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // The walk tells of the failure once: a loop that ignores errors has to end.
        let told = cursor.by_ref().take(3).filter(Result::is_err).count();
        let is_fine = told == 1 && tries(store, queue);
        // SAFETY: always sound.
        unsafe { libc::_exit(if is_fine { 7 } else { 1 }) };
    }
    let mut status = 0;
    // SAFETY: the child is ours, and `status` is ours to write.
    unsafe { libc::waitpid(child, &raw mut status, 0) };
    assert_eq!(libc::WEXITSTATUS(status), 7);
    // Closing writes it, and the child must not close what the parent goes on with.
    assert!(!scratch.0.join("CHECKPOINT").exists());
    assert_eq!(cursor.next().unwrap().unwrap(), b"k");
    store.store("k", "w").unwrap();
    assert_eq!(queue.next(Duration::from_secs(1)).unwrap().kind(), EventKind::ItemStored);
    store.close().unwrap();
    assert!(scratch.0.join("CHECKPOINT").exists());
}

#[test]
fn the_readme_has_the_example_word_for_word() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let example = fs::read_to_string(root.join("examples/quickstart.rs")).unwrap();
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    assert!(readme.contains(&format!("```rust\n{example}```\n")));
}
