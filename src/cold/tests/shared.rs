//! The suite over a tier that is shared through an engine in memory.

use super::bench::Bench;
use super::conformance::{PROMISES, broken};
use super::random;
use super::remote::{ALL, Fate, Remote, Server};
use crate::cold::{ColdTier, Compression, Shared, SharedOptions};
use crate::error::ErrorKind;
use crate::io::clock::ManualClock;
use crate::time::{Clock, Timestamp};
use std::sync::Arc;

struct SharedBench {
    server: Server,
    clock: Arc<ManualClock>,
}

fn bench() -> Box<dyn Bench> {
    let clock = Arc::new(ManualClock::at(Timestamp(1_000)));
    Box::new(SharedBench { server: Server::default(), clock })
}

impl Bench for SharedBench {
    fn open(&self) -> Box<dyn ColdTier> {
        let options = SharedOptions {
            coherence_ms: 1_000,
            timeout_ms: 2_000,
            retries: 3,
            concurrency: 64,
            compression: Compression::Deflate(1),
        };
        let engine = Box::new(Remote { server: self.server.clone(), can: ALL });
        let clock: Arc<dyn Clock> = self.clock.clone();
        Box::new(Shared::new(engine, &clock, options))
    }

    fn clock(&self) -> &ManualClock {
        &self.clock
    }

    fn fail_next_write(&self) {
        self.server.next("change", Fate::Fails(ErrorKind::Io));
    }
}

/// What the store does not ask of a tier that others change, too.
const NOT_PROMISED: [&str; 8] = [
    // Others see a change at the engine when it is made there, which is when it is prepared.
    "nobody sees a change before it is published, everybody sees it after",
    "a batch happens whole or not at all",
    "a clear takes every key at once, also after the next open",
    // Of an engine's failures only `Unavailable` says for certain that nothing was done.
    "a change that failed changes nothing, now or after the next open",
    // They share a generation, and cost each other a promotion.
    "keys with one hash do not disturb each other",
    // An engine keeps no old records.
    "a place tells its key as long as it is held",
    // What expires leaves by the engine's own means.
    "forget takes out the very value of a place and no other",
    // It counts no keys, and has no place for a list of those that are hot here.
    "what is beside the values does not touch them",
];

#[test]
fn a_shared_tier_keeps_every_promise_that_does_not_need_it_to_be_alone() {
    let mut broken = broken(&PROMISES, &bench);
    broken.sort_unstable();
    let mut expected = NOT_PROMISED;
    expected.sort_unstable();
    assert_eq!(broken, expected);
}

#[test]
fn random_sequences_do_to_a_shared_tier_what_they_do_to_a_model() {
    for seed in 0..20 {
        random::check(&*bench(), seed, "shared");
    }
}
