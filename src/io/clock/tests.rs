//! What wall time promises, whatever is done to the system clock.

use super::{ManualClock, SystemClock, ticks};
use crate::time::{Clock, Instant, LATEST_MS, Timestamp};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

const NOW: u64 = 1_790_000_000_000;
const HOUR: u64 = 3_600_000;
/// 2100 and 1960.
const FUTURE: i64 = 4_102_444_800_000;
const PAST: i64 = -315_619_200_000;

/// Numbers that look random, and are the same in each run.
fn numbers(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    move |below| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    }
}

#[test]
fn wall_time_is_the_systems_while_nobody_sets_that() {
    let clock = SystemClock::default();
    let system = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis();
    let moment = clock.moment();
    assert!(u128::from(moment.wall.0).abs_diff(system) < 10_000);
    assert!(moment.lead_ms < 1_000, "{} ms", moment.lead_ms);

    let clock = ManualClock::at(Timestamp(NOW));
    for ms in [0, 1, 7, HOUR] {
        clock.advance(ms);
        let moment = clock.moment();
        assert_eq!((moment.system(), moment.lead_ms), (moment.wall, 0));
    }
    assert_eq!(clock.wall(), Timestamp(NOW + 8 + HOUR));
}

#[test]
fn wall_time_goes_on_after_the_clock_was_set_back_or_stands_still() {
    for back in [(NOW - HOUR).cast_signed(), PAST, i64::MIN, 0] {
        let clock = ManualClock::at(Timestamp(NOW));
        assert_eq!(clock.wall(), Timestamp(NOW));
        clock.set(back);
        assert_eq!(clock.wall(), Timestamp(NOW));
        clock.advance(400);
        assert_eq!(clock.wall(), Timestamp(NOW + 400));
        clock.elapse(HOUR);
        assert_eq!(clock.wall(), Timestamp(NOW + 400 + HOUR));
    }
}

#[test]
fn wall_time_keeps_what_a_clock_that_was_ahead_has_said_and_goes_on_from_there() {
    let clock = ManualClock::at(Timestamp(NOW));
    clock.set(FUTURE);
    let far = clock.moment();
    assert_eq!((far.wall, far.lead_ms), (Timestamp(FUTURE.cast_unsigned()), 0));
    clock.set(NOW.cast_signed());
    clock.advance(200);
    let moment = clock.moment();
    assert_eq!(moment.wall, Timestamp(far.wall.0 + 200));
    assert_eq!((moment.system(), moment.offset_ms), (Timestamp(NOW + 200), far.offset_ms));
}

#[test]
fn a_clock_before_1970_starts_there_and_goes_on() {
    let clock = ManualClock::at(Timestamp(0));
    clock.elapse(5_000);
    clock.set(PAST);
    let clock = clock.next_open();
    assert_eq!(clock.wall(), Timestamp(0));
    clock.advance(300);
    assert_eq!((clock.wall(), clock.moment().system()), (Timestamp(300), Timestamp(0)));
}

#[test]
fn wall_time_starts_no_earlier_than_it_is_told_and_goes_on_from_there() {
    let clock = ManualClock::at(Timestamp(NOW));
    clock.raise(Timestamp(NOW + HOUR));
    clock.raise(Timestamp(1));
    assert_eq!(clock.wall(), Timestamp(NOW + HOUR));
    clock.advance(10);
    assert_eq!((clock.wall(), clock.moment().lead_ms), (Timestamp(NOW + HOUR + 10), HOUR));
}

#[test]
fn what_no_clock_can_say_is_not_believed() {
    for wrong in [i64::MAX, LATEST_MS.cast_signed() + 1] {
        let clock = ManualClock::at(Timestamp(NOW));
        assert_eq!(clock.wall(), Timestamp(NOW));
        clock.set(wrong);
        clock.elapse(7);
        let moment = clock.moment();
        assert_eq!((moment.wall, moment.lead_ms), (Timestamp(NOW + 7), 0));
    }
}

#[test]
fn however_the_clock_is_set_wall_time_advances_by_what_has_elapsed_at_least() {
    for seed in 1..500 {
        let mut number = numbers(seed);
        let clock = ManualClock::at(Timestamp(number(2 * NOW)));
        let mut last = clock.wall();
        for _ in 0..200 {
            match number(8) {
                0 => clock.set((number(8 * NOW)).cast_signed() - 2 * NOW.cast_signed()),
                1 => clock.set(number(u64::MAX).cast_signed()),
                2 => clock.set((last.0 + number(2 * HOUR)).cast_signed() - HOUR.cast_signed()),
                3 => clock.raise(Timestamp(number(2 * NOW))),
                _ => {}
            }
            let ms = number(3) * number(HOUR);
            match number(2) {
                0 => clock.advance(ms),
                _ => clock.elapse(ms),
            }
            let wall = clock.wall();
            assert!(wall.0 >= last.0 + ms, "seed {seed}: {last:?} became {wall:?} in {ms} ms");
            last = wall;
        }
    }
}

#[test]
fn no_thread_sees_a_time_before_one_that_another_has_seen() {
    let clock = ManualClock::at(Timestamp(NOW));
    let (seen, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let before = seen.load(Ordering::SeqCst);
                    let wall = clock.wall().0;
                    assert!(wall >= before, "{wall} after {before}");
                    seen.fetch_max(wall, Ordering::SeqCst);
                }
            });
        }
        let mut number = numbers(1);
        for _ in 0..100_000 {
            clock.set((NOW + number(NOW)).cast_signed());
            clock.elapse(number(2));
        }
        is_over.store(true, Ordering::Relaxed);
    });
}

#[test]
fn wall_time_of_the_system_goes_on_with_elapsed_time() {
    let clock = SystemClock::default();
    clock.raise(Timestamp(clock.wall().0 + HOUR));
    let (before, ticks_before) = (clock.wall(), ticks());
    std::thread::sleep(std::time::Duration::from_millis(20));
    let (after, passed) = (clock.wall(), (ticks() - ticks_before) / 1_000_000);
    assert!((19..=passed + 1).contains(&(after.0 - before.0)), "{before:?} {after:?} {passed}");
}

#[test]
fn monotonic_time_goes_on_in_milliseconds() {
    let clock = SystemClock::default();
    let (before, before_ns) = (clock.monotonic(), ticks());
    std::thread::sleep(std::time::Duration::from_millis(20));
    let (passed, passed_ns) = (clock.monotonic().0 - before.0, ticks() - before_ns);
    assert!((19..2_000).contains(&passed), "{passed} ms");
    assert!((20_000_000..2_000_000_000).contains(&passed_ns), "{passed_ns} ns");
}

#[test]
fn residency_does_not_ask_the_wall_clock() {
    let clock = ManualClock::at(Timestamp(NOW));
    clock.set(FUTURE);
    assert_eq!((clock.monotonic(), clock.coarse()), (Instant(0), Instant(0)));
    clock.elapse(5);
    assert_eq!((clock.monotonic(), clock.coarse()), (Instant(5), Instant(5)));
}
