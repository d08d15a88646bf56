//! The other calls over an engine, and what cannot be.

use super::engine::{ALL, Fate, Machine, Remote, Server, options};
use crate::error::ErrorKind;
use crate::store::{Batch, Store, StoreOptions, Stored, Tier};

fn keys(machine: &Machine, prefix: &[u8]) -> Vec<Vec<u8>> {
    let mut cursor = machine.store.cursor(prefix).unwrap();
    let mut keys = Vec::new();
    while machine.store.cursor_next(&mut cursor).unwrap() {
        assert!(machine.store.cursor_value(&cursor).unwrap().value.is_some());
        keys.push(cursor.key().to_vec());
    }
    keys
}

#[test]
fn a_walk_meets_every_key_once_whatever_has_not_been_written_yet() {
    for (can, mode) in [(ALL, "through"), (ALL, "back"), (ALL | 128, "back")] {
        let machine = Machine::over(&Server::default(), can, &[("write_mode", mode)]);
        let mut expected: Vec<Vec<u8>> = (0..20_u8).map(|n| vec![b'a' + n % 2, n]).collect();
        for (n, key) in expected.iter().enumerate() {
            machine.put(key, b"value");
            if n == 9 {
                machine.store.sync().unwrap();
            }
        }
        expected.sort();
        let mut met = keys(&machine, b"");
        met.sort();
        assert_eq!(met, expected);
        let mut met = keys(&machine, b"b");
        met.sort();
        expected.retain(|key| key[0] == b'b');
        assert_eq!(met, expected);
    }
}

#[test]
fn a_clear_leaves_nothing_at_the_engine_or_in_hot() {
    for can in [ALL, ALL & !16] {
        let text = [("coherence", "1ms"), ("write_mode", "back")];
        let machine = Machine::over(&Server::default(), can, &text);
        assert!((0..10_u8).all(|n| machine.put(&[n], b"value") > 0));
        machine.store.sync().unwrap();
        machine.put(b"unwritten", b"value");
        machine.store.clear().unwrap();
        assert_eq!(machine.store.stats().hot.entries, 0);
        machine.store.sync().unwrap();
        assert!(machine.server.with(|state| state.records.is_empty()));
    }
    let machine = Machine::watching(&[("coherence", "1ms")]);
    machine.put(b"key", b"value");
    machine.server.next("clear", Fate::Fails(ErrorKind::Timeout));
    assert_eq!(machine.store.clear().unwrap_err().kind(), ErrorKind::Timeout);
    assert_eq!(machine.get(b"key").unwrap().1, Tier::Cold, "nobody knows, so it is asked for");
}

#[test]
fn a_clear_is_answered_when_no_other_machine_serves_what_it_had() {
    let machine = Machine::watching(&[("coherence", "60ms")]);
    let started = std::time::Instant::now();
    machine.store.clear().unwrap();
    assert!(started.elapsed().as_millis() >= 60);
}

#[test]
fn a_batch_is_one_request_or_unsupported() {
    let machine = Machine::watching(&[]);
    let version = machine.put(b"a", b"old");
    let mut batch = Batch::new();
    let on = |version| StoreOptions { if_version: Some(version), ..StoreOptions::default() };
    batch.store(b"a", b"new", &on(version)).unwrap();
    batch.store(b"b", b"new", &StoreOptions::default()).unwrap();
    machine.server.log();
    assert!(machine.store.write(&batch, false).unwrap());
    assert_eq!(machine.server.log(), ["write "]);
    assert_eq!(machine.get(b"b").unwrap(), (b"new".to_vec(), Tier::Hot));
    assert!(!machine.store.write(&batch, false).unwrap(), "the condition is not met any more");
    let machine = Machine::over(&Server::default(), ALL & !32, &[]);
    assert_eq!(machine.store.write(&batch, false).unwrap_err().kind(), ErrorKind::Unsupported);
    let mut single = Batch::new();
    single.store(b"a", b"new", &StoreOptions::default()).unwrap();
    assert!(machine.store.write(&single, false).unwrap());
}

#[test]
fn a_load_does_not_replace_what_another_machine_has_stored_meanwhile() {
    let machine = Machine::watching(&[]);
    let mut load = |loaded: &mut crate::store::Loaded| {
        machine.other_stores(b"key", b"theirs");
        loaded.set(b"loaded", 0).unwrap();
        0
    };
    let found = machine.store.retrieve_or_load(b"key", &mut load).unwrap().value.unwrap();
    assert_eq!(found.data(), b"loaded");
    assert_eq!(machine.get(b"key").unwrap().0, b"theirs");
}

#[test]
fn damage_is_told_and_can_be_replaced() {
    let machine = Machine::watching(&[]);
    machine.put(b"good", b"value");
    machine.server.with(|state| {
        state.records.insert(b"bad".to_vec(), (b"foreign".to_vec(), 3));
    });
    assert_eq!(machine.store.retrieve(b"bad").err().unwrap().kind(), ErrorKind::Corrupt);
    let verified = machine.store.verify().unwrap();
    assert_eq!((verified.value, verified.survived.is_some()), ((2, 1), true));
    machine.put(b"bad", b"good");
    assert_eq!(machine.store.verify().unwrap().value, (2, 0));
    assert_eq!(machine.store.stats().cold.corrupt_records, 1);
}

#[test]
fn an_engine_without_conditions_takes_all_but_those() {
    let machine = Machine::over(&Server::default(), 0, &[("write_mode", "back")]);
    machine.put(b"key", b"value");
    // A sync writes back, and then finds that the engine has none.
    assert_eq!(machine.store.sync().unwrap_err().kind(), ErrorKind::Unsupported);
    assert!(machine.server.version_of(b"key") > 0);
    assert!(machine.store.delete(b"key").unwrap());
    let machine = Machine::over(&Server::default(), 0, &[]);
    assert_eq!(machine.put_if(b"key", b"value", 0).unwrap_err().kind(), ErrorKind::Unsupported);
    assert_eq!(machine.store.sync().unwrap_err().kind(), ErrorKind::Unsupported);
    let loaded = machine.store.retrieve_or_load(b"key", &mut |loaded| {
        loaded.set(b"loaded", 0).unwrap();
        0
    });
    assert!(loaded.unwrap().value.is_some() && machine.get(b"key").is_some());
    let backup = machine.store.backup(std::path::Path::new("/nowhere/at/all"));
    assert_eq!(backup.unwrap_err().kind(), ErrorKind::Unsupported);
}

#[test]
fn what_no_engine_can_keep_is_refused_at_the_open() {
    let open = |can: u64, text: &[(&str, &str)]| {
        let server = Server::default();
        let engine = Box::new(Remote { server, can });
        Store::open_shared(engine, "engine", &options(text)).map(drop)
    };
    for text in [("cold_capacity", "16MiB"), ("warm_start", "true"), ("create", "false")] {
        assert_eq!(open(ALL, &[text]).unwrap_err().kind(), ErrorKind::Unsupported, "{text:?}");
    }
    for text in [("coherence", "0"), ("remote_timeout", "0"), ("remote_concurrency", "0")] {
        assert_eq!(open(ALL, &[text]).unwrap_err().kind(), ErrorKind::InvalidArgument);
    }
    open(ALL, &[("durability", "sync"), ("remote.password", "secret")]).unwrap();
    assert_eq!(open(1, &[("durability", "sync")]).unwrap_err().kind(), ErrorKind::Unsupported);
    let local = Store::open(None, &options(&[("remote.password", "secret")])).err().unwrap();
    assert_eq!(local.kind(), ErrorKind::InvalidArgument);
    assert!(local.message().contains("remote.password") && !local.message().contains("secret"));
    let shown = format!("{:?}", options(&[("remote.password", "secret")]));
    assert!(shown.contains("remote.password") && !shown.contains("secret"));
    for name in ["remote.", "remote.Upper", "remote.a b"] {
        assert!(crate::store::Options::default().set(name, "x").is_err());
    }
}

#[test]
fn forget_deletes_nothing_over_a_directory_or_without_one() {
    let memory = Store::open(None, &options(&[])).unwrap();
    memory.store(b"key", b"value").unwrap();
    assert!(memory.forget(b"key").unwrap() && !memory.forget(b"none").unwrap());
    assert!(memory.retrieve(b"key").unwrap().value.is_some());
    let machine = Machine::watching(&[("write_mode", "back")]);
    machine.put(b"key", b"value");
    assert!(machine.store.forget(b"key").unwrap());
    assert_eq!(machine.get(b"key").unwrap().1, Tier::Hot, "what is unwritten stays");
}

#[test]
fn a_version_is_given_once_whoever_asks() {
    let server = Server::default();
    let machines = [0; 3].map(|_| Machine::over(&server, ALL, &[]));
    let mut given = std::collections::BTreeSet::new();
    for n in 0..200_u8 {
        for machine in &machines {
            assert!(given.insert(machine.put(&[n], b"value")));
        }
    }
    let stored = machines[0].put_if(&[0], b"x", 1).unwrap();
    assert!(matches!(stored, Stored::Conflict(version) if given.contains(&version)));
}
