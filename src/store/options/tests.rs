use super::*;

/// Sets one option and hands out all of them, or the message of the failure.
fn set(name: &str, value: &str) -> std::result::Result<Options, String> {
    let mut options = Options::default();
    match options.set(name, value) {
        Ok(()) => Ok(options),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            assert_eq!(options, Options::default(), "a failed set of {name} changed something");
            Err(error.message().to_owned())
        }
    }
}

#[test]
fn values_in_all_their_units_reach_their_fields() {
    let rows: [(&str, &str, Options); 30] = [
        ("hot_capacity", "0", Options { hot_capacity: 0, ..Options::default() }),
        ("hot_capacity", "1000", Options { hot_capacity: 1000, ..Options::default() }),
        ("hot_capacity", "3KiB", Options { hot_capacity: 3 << 10, ..Options::default() }),
        ("hot_capacity", "3MiB", Options { hot_capacity: 3 << 20, ..Options::default() }),
        ("hot_capacity", "3GiB", Options { hot_capacity: 3 << 30, ..Options::default() }),
        ("hot_max_entries", "17", Options { hot_max_entries: 17, ..Options::default() }),
        ("hot_ttl", "250", Options { hot_ttl_ms: 250, ..Options::default() }),
        ("hot_ttl", "250ms", Options { hot_ttl_ms: 250, ..Options::default() }),
        ("hot_ttl", "2s", Options { hot_ttl_ms: 2_000, ..Options::default() }),
        ("hot_ttl", "2m", Options { hot_ttl_ms: 120_000, ..Options::default() }),
        ("hot_ttl", "2h", Options { hot_ttl_ms: 7_200_000, ..Options::default() }),
        ("hot_ttl", "2d", Options { hot_ttl_ms: 172_800_000, ..Options::default() }),
        ("eviction", "lru", Options { eviction: Eviction::Lru, ..Options::default() }),
        ("compression", "none", Options { compression: Compression::None, ..Options::default() }),
        (
            "compression",
            "deflate:9",
            Options { compression: Compression::Deflate(9), ..Options::default() },
        ),
        ("compression", "lz4", Options { compression: Compression::Lz4, ..Options::default() }),
        (
            "compression",
            "zstd:19",
            Options { compression: Compression::Zstd(19), ..Options::default() },
        ),
        ("policy", "lenient", Options { policy: Policy::Lenient, ..Options::default() }),
        ("write_mode", "back", Options { write_mode: WriteMode::Back, ..Options::default() }),
        ("durability", "sync", Options { durability: Durability::Sync, ..Options::default() }),
        ("sync_interval", "0", Options { sync_interval_ms: 0, ..Options::default() }),
        ("cold_capacity", "16MiB", Options { cold_capacity: 16 << 20, ..Options::default() }),
        ("cold_capacity", "0", Options::default()),
        ("warm_start", "true", Options { warm_start: true, ..Options::default() }),
        ("create", "false", Options { create: false, ..Options::default() }),
        ("read_only", "true", Options { read_only: true, ..Options::default() }),
        (
            "writable_by_others",
            "refuse",
            Options { writable_by_others: Exposed::Refuse, ..Options::default() },
        ),
        ("writable_by_others", "tell", Options::default()),
        (
            "writable_by_others",
            "allow",
            Options { writable_by_others: Exposed::Allow, ..Options::default() },
        ),
        ("storage_id", "é 1", Options { storage_id: Some("é 1".into()), ..Options::default() }),
    ];
    for (name, value, expected) in rows {
        assert_eq!(set(name, value), Ok(expected), "{name}={value}");
    }
}

#[test]
fn a_bad_value_is_refused_with_what_would_be_right() {
    let size = "a size: bytes, or a whole number with KiB, MiB or GiB";
    let time = "a time: milliseconds, or a whole number with ms, s, m, h or d";
    // A policy joins by its own row, and its word is in the message by that.
    let policies = one_of(Eviction::ALL);
    assert!(policies.starts_with("one of lru, ") && policies.contains("tinylfu"), "{policies}");
    let rows: [(&str, &[&str], &str); 11] = [
        (
            "hot_capacity",
            &["", "MiB", "1 MiB", "1mib", "1MB", "1.5GiB", "-1", "+1", " 1", "17179869184GiB"],
            size,
        ),
        ("hot_max_entries", &["", "1KiB", "18446744073709551616"], "a whole number"),
        ("hot_ttl", &["1S", "1 s", "1sec", "s", "1MiB", "18446744073709551615s"], time),
        ("eviction", &["", "LRU", "lfu"], &policies),
        (
            "compression",
            &["deflat", "deflate", "deflate:", "deflate:10", "lz4:1", "zstd", "zstd:0", "zstd:20"],
            "one of none, deflate:0..9, lz4, zstd:1..19",
        ),
        ("policy", &["Strict"], "one of strict, lenient"),
        ("write_mode", &["write_back"], "one of through, back"),
        ("cold_capacity", &["16777215", "1", "x"], "a size of at least 16MiB, or 0"),
        ("create", &["1", "yes", "True", ""], "true or false"),
        ("writable_by_others", &["", "warn", "true"], "one of refuse, tell, allow"),
        (
            "storage_id",
            &["", "a\nb", "\u{7f}"],
            "a name of 1 to 255 bytes without control characters",
        ),
    ];
    for (name, values, expected) in rows {
        for value in values {
            let message = set(name, value).unwrap_err();
            assert_eq!(message, format!("{name}: {value:?} is not {expected}"));
        }
    }
}

#[test]
fn a_storage_id_has_at_most_255_bytes() {
    assert!(set("storage_id", &"x".repeat(255)).is_ok());
    let message = set("storage_id", &"é".repeat(128)).unwrap_err();
    assert!(message.contains("ééé\"... is not a name of 1 to 255 bytes"), "{message}");
}

#[test]
fn an_unknown_name_is_answered_with_all_names() {
    for name in ["", "hot_capcity", "HOT_CAPACITY", "hot_capacity "] {
        let message = set(name, "1").unwrap_err();
        let all = "hot_capacity, hot_max_entries, hot_ttl, eviction, compression, policy, \
                   write_mode, durability, sync_interval, cold_capacity, warm_start, create, \
                   read_only, writable_by_others, storage_id, coherence, remote_timeout, \
                   remote_retries, remote_concurrency";
        assert_eq!(message, format!("there is no option {name:?}; there are {all}"));
        let number = Options::default().set_u64(name, 1).unwrap_err();
        assert_eq!(number.message(), message);
    }
}

#[test]
fn numbers_are_bytes_milliseconds_counts_and_flags() {
    let mut options = Options::default();
    for (name, value) in [
        ("hot_capacity", u64::MAX),
        ("hot_max_entries", 5),
        ("hot_ttl", 6),
        ("sync_interval", 7),
        ("cold_capacity", COLD_CAPACITY_MIN),
        ("warm_start", 1),
        ("create", 0),
        ("read_only", 1),
    ] {
        options.set_u64(name, value).unwrap();
    }
    let expected = Options {
        hot_capacity: u64::MAX,
        hot_max_entries: 5,
        hot_ttl_ms: 6,
        sync_interval_ms: 7,
        cold_capacity: COLD_CAPACITY_MIN,
        warm_start: true,
        create: false,
        read_only: true,
        ..Options::default()
    };
    assert_eq!(options, expected);
}

#[test]
fn a_number_that_cannot_be_is_refused() {
    for (name, value, expected) in [
        ("create", 2, "create: 2 is not 0 or 1"),
        ("cold_capacity", 5, "cold_capacity: 5 is not a size of at least 16MiB, or 0"),
        ("policy", 0, "policy takes text, not a number: one of strict, lenient"),
        (
            "storage_id",
            1,
            "storage_id takes text, not a number: \
             a name of 1 to 255 bytes without control characters",
        ),
    ] {
        let mut options = Options::default();
        let error = options.set_u64(name, value).unwrap_err();
        assert_eq!((error.kind(), error.message()), (ErrorKind::InvalidArgument, expected));
        assert_eq!(options, Options::default());
    }
}

#[test]
fn combinations_are_checked_when_the_store_is_opened() {
    use ErrorKind::{InvalidArgument, Unsupported};
    type Row<'a> = (bool, &'a [(&'a str, &'a str)], Option<ErrorKind>);
    let rows: [Row<'_>; 13] = [
        (true, &[], None),
        (false, &[], None),
        (true, &[("hot_capacity", "0")], None),
        (false, &[("hot_capacity", "0")], Some(InvalidArgument)),
        (true, &[("read_only", "true")], None),
        (false, &[("read_only", "true")], Some(InvalidArgument)),
        (true, &[("write_mode", "back")], None),
        (true, &[("write_mode", "back"), ("durability", "sync")], Some(InvalidArgument)),
        (true, &[("write_mode", "back"), ("hot_capacity", "0")], Some(InvalidArgument)),
        (true, &[("write_mode", "back"), ("read_only", "true")], Some(InvalidArgument)),
        (true, &[("compression", "lz4")], Some(Unsupported)),
        (true, &[("compression", "zstd:3")], Some(Unsupported)),
        (true, &[("compression", "none"), ("policy", "lenient"), ("durability", "sync")], None),
    ];
    for (has_directory, settings, expected) in rows {
        let mut options = Options::default();
        for (name, value) in settings {
            options.set(name, value).unwrap();
        }
        let found = options.check(has_directory).err().map(|error| error.kind());
        assert_eq!(found, expected, "directory: {has_directory}, {settings:?}");
    }
}
