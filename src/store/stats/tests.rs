use super::*;

#[test]
fn each_counter_reaches_its_own_field() {
    let counters = Counters::new();
    let all = [
        Counter::HotHits,
        Counter::HotMisses,
        Counter::HotEvictions,
        Counter::HotExpirations,
        Counter::HotPromotions,
        Counter::HotDemotions,
        Counter::ColdHits,
        Counter::ColdMisses,
        Counter::ColdBytesRead,
        Counter::ColdEvictions,
        Counter::ColdExpirations,
        Counter::ColdCorruptRecords,
        Counter::LenientFailures,
        Counter::Misses,
    ];
    assert_eq!(all.len(), COUNTERS);
    for (counter, n) in all.into_iter().zip(1..) {
        counters.add(counter, n);
    }
    let s = counters.snapshot();
    let found = [
        s.hot.traffic.hits,
        s.hot.traffic.misses,
        s.hot.evictions,
        s.hot.expirations,
        s.hot.promotions,
        s.hot.demotions,
        s.cold.traffic.hits,
        s.cold.traffic.misses,
        s.cold.bytes_read,
        s.cold.evictions,
        s.cold.expirations,
        s.cold.corrupt_records,
        s.lenient_failures,
        s.misses,
    ];
    assert_eq!(found.to_vec(), (1..=14).collect::<Vec<u64>>());
}

#[test]
fn hits_of_the_tiers_are_hits_of_the_store() {
    let counters = Counters::new();
    assert_eq!(counters.snapshot().hit_ratio, 0.0);
    counters.add(Counter::HotHits, 2);
    counters.add(Counter::HotMisses, 2);
    counters.add(Counter::ColdHits, 1);
    counters.add(Counter::ColdMisses, 1);
    counters.add(Counter::Misses, 1);
    let s = counters.snapshot();
    assert_eq!((s.hits, s.misses, s.hit_ratio), (3, 1, 0.75));
    assert_eq!((s.hot.traffic.hit_ratio, s.cold.traffic.hit_ratio), (0.5, 0.5));
}

#[test]
fn operations_and_errors_are_counted_by_kind_and_in_all() {
    let counters = Counters::new();
    counters.start(Operation::Store).finish(true);
    counters.start(Operation::Store).finish(false);
    drop(counters.start(Operation::Retrieve));
    counters.start(Operation::Delete).finish(false);
    counters.start(Operation::Clear).finish(true);
    counters.start_tier(Tier::Hot).finish(true);
    counters.start_tier(Tier::Cold).finish(false);
    let s = counters.snapshot();
    let of = |stats: &OperationStats| (stats.operations, stats.errors);
    assert_eq!(
        [&s.store, &s.retrieve, &s.delete, &s.clear].map(of),
        [(2, 1), (1, 0), (1, 1), (1, 0)]
    );
    assert_eq!((s.total_operations, s.total_errors), (5, 2));
    assert_eq!((s.hot.traffic.operations, s.hot.traffic.errors), (1, 0));
    assert_eq!((s.cold.traffic.operations, s.cold.traffic.errors), (1, 1));
}

#[test]
fn the_first_operation_already_has_a_time() {
    let counters = Counters::new();
    let timer = counters.start(Operation::Clear);
    std::thread::sleep(std::time::Duration::from_millis(2));
    timer.finish(true);
    let s = counters.snapshot();
    assert!(s.clear.mean_ns >= 2e6 && s.clear.p99_ns >= 1_700_000, "{:?}", s.clear);
    assert!(s.mean_ns >= 2e6 && s.p50_ns >= 1_700_000 && s.p999_ns >= 1_700_000);
    assert_eq!((s.store.mean_ns, s.store.p99_ns), (0.0, 0));
}

#[test]
fn later_operations_are_timed_now_and_then_and_stand_for_all() {
    let counters = Counters::new();
    let timed = (0..ALWAYS_TIMED + 10 * TIMED_EVERY)
        .filter(|_| counters.start(Operation::Store).started.is_some())
        .count();
    assert_eq!(timed as u64, ALWAYS_TIMED + 10);
    assert!(counters.snapshot().store.mean_ns > 0.0);
    let weights: u64 = (0..ALWAYS_TIMED + 10 * TIMED_EVERY)
        .map(|_| counters.start(Operation::Delete))
        .filter_map(|timer| timer.started.map(|_| timer.weight))
        .sum();
    assert_eq!(weights, ALWAYS_TIMED + 10 * TIMED_EVERY);
}

/// A retrieve as a store makes it: a hit in hot or, each seventh time, none.
fn retrieve(counters: &Counters, number: u64) {
    let is_hit = !number.is_multiple_of(7);
    let counter = if is_hit { Counter::HotHits } else { Counter::HotMisses };
    match counters.start_quick() {
        Some(quick) if is_hit => return quick.hit(),
        Some(quick) => drop(quick.goes_on()),
        None => {
            let timer = counters.start(Operation::Retrieve);
            assert!(timer.started.is_some());
            timer.start_tier(Tier::Hot).finish(true);
        }
    }
    counters.add(counter, 1);
}

#[test]
fn a_hit_that_nobody_times_counts_as_all_that_it_is() {
    let counters = Counters::new();
    (0..7_000).for_each(|number| retrieve(&counters, number));
    let s = counters.snapshot();
    assert_eq!((s.retrieve.operations, s.hot.traffic.operations), (7_000, 7_000));
    assert_eq!((s.hot.traffic.hits, s.hot.traffic.misses), (6_000, 1_000));
    assert_eq!((s.total_operations, counters.calls()), (7_000, 14_000 - quick_hits(&counters)));
    // The timed ones stand for all.
    let mut times = Distribution::new();
    counters.stripes.iter().filter_map(|s| s.times.get()).for_each(|t| times.add(&t[1]));
    assert!(times.count().abs_diff(7_000) < TIMED_EVERY, "{}", times.count());
}

fn quick_hits(counters: &Counters) -> u64 {
    counters.sum(|stripe| &stripe.quick_hits)
}

#[test]
fn threads_lose_no_count() {
    let counters = Counters::new();
    std::thread::scope(|scope| {
        for _ in 0..STRIPES + 3 {
            scope.spawn(|| {
                for _ in 0..1_000 {
                    counters.add(Counter::HotHits, 1);
                    counters.start(Operation::Retrieve).finish(false);
                }
            });
        }
    });
    let expected = (STRIPES as u64 + 3) * 1_000;
    let s = counters.snapshot();
    assert_eq!((s.hits, s.total_operations, s.total_errors), (expected, expected, expected));
}
