//! Every operation on the disk fails once, at every point.

use super::oracle::{End, Oracle};
use super::script::{Done, changes, run, script};
use super::sim::{SETUPS, Sim, new_disk, options_of};
use crate::cold::local::tests::script::Dice;
use crate::error::ErrorKind;
use crate::io::clock::ManualClock;
use crate::io::sim::Op;
use crate::store::Policy;
use crate::time::Timestamp;
use std::sync::Arc;

const STEPS: usize = 24;

const OPS: [Op; 6] = [Op::Create, Op::Rename, Op::Remove, Op::Write, Op::Sync, Op::Reserve];

/// Runs the script while the `nth` operation fails; false if there are not so many.
fn fail_one(setup: usize, seed: u64, (op, nth): (Op, u64), os_code: i32) -> bool {
    let steps = script(&mut Dice::new(seed), STEPS, &mut 0);
    let story =
        || format!("setup {setup}, seed {seed}, {op:?} {nth} fails with {os_code}: {steps:?}");
    let (disk, clock) = (new_disk(), Arc::new(ManualClock::at(Timestamp(1_000))));
    let mut oracle = Oracle::new();
    let sim = Sim::open(&disk, &clock, setup).unwrap();
    let before = disk.count(op);
    disk.fail_nth(op, nth, os_code);
    let is_lenient = options_of(setup).policy == Policy::Lenient;
    for (index, step) in steps.iter().enumerate() {
        let changes = changes(&sim, step);
        match run(&sim, step) {
            Ok(done) => {
                oracle.done(&changes, &done, setup == 1);
                let survives = matches!(done, Done::Survived);
                assert!(!survives || is_lenient, "{}", story());
                if sim.is_written() && !sim.has_ended() {
                    oracle.written();
                }
            }
            Err(error) => {
                let kinds = [ErrorKind::Io, ErrorKind::NoSpace, ErrorKind::ReadOnly];
                assert!(kinds.contains(&error.kind()), "{error}: {}", story());
                // Once writing has ended nobody can tell what is found after reopening.
                oracle.failed(&changes, sim.has_ended());
            }
        }
        // A failed call is not seen, a survived one is: from hot as from cold.
        oracle.check_one(&sim, index, &story);
    }
    oracle.check_now(&sim, &story);
    let has_ended = sim.has_ended();
    let closed = sim.core.writer().shut_down();
    let failed = disk.count(op) >= before + nth;
    if closed.is_ok() {
        oracle.written();
    }
    assert!(closed.is_ok() || has_ended || failed, "{}", story());
    drop(sim);
    let sim = Sim::open(&disk.kill(), &clock, setup).unwrap();
    oracle.check_after(&sim, End::Killed, &story);
    failed
}

/// Runs all faults of one set-up; gives how many states that were.
fn fail_all(setup: usize) -> u64 {
    let runs = (0..28).flat_map(|seed| OPS.map(|op| (seed, op)));
    let faults = runs.flat_map(|(seed, op)| [libc::EIO, libc::ENOSPC].map(|code| (seed, op, code)));
    let states = faults.map(|(seed, op, os_code)| {
        (1..).take_while(|nth| fail_one(setup, seed, (op, *nth), os_code)).count() as u64
    });
    states.sum()
}

#[test]
fn an_operation_that_fails_is_told_or_survived_and_costs_nothing() {
    let states: u64 = std::thread::scope(|scope| {
        let all: Vec<_> =
            (0..SETUPS.len()).map(|setup| scope.spawn(move || fail_all(setup))).collect();
        all.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert!(states >= 6_500, "only {states} states");
}
