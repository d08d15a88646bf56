//! The thread that reaps: after a clear, and once an hour on one machine of all.

use crate::call::Call;
use crate::clock::now_ms;
use crate::fault::{Fault, Kind, Result};
use crate::quiet::quietly;
use crate::s3::number;
use crate::s3::reap::reap;
use crate::s3::shared::Shared;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

/// How often it is reaped.
const INTERVAL: Duration = Duration::from_secs(3600);

/// How long one walk goes on at a time: whoever closes the store waits for it.
const STEP: Duration = Duration::from_millis(1500);

/// Between two steps.
const PAUSE: Duration = Duration::from_millis(200);

/// What the thread is to do.
#[derive(Debug, Default)]
struct Wanted {
    ends: bool,
    reaps: bool,
}

/// Ends its thread when it is dropped, and waits for it.
pub struct Reaper {
    wanted: Arc<(Mutex<Wanted>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Reaper {
    /// Starts the thread.
    ///
    /// # Errors
    /// `Io` if there can be no thread.
    pub fn start(shared: Arc<Shared>) -> Result<Self> {
        let wanted = Arc::new((Mutex::<Wanted>::default(), Condvar::new()));
        let seen = Arc::clone(&wanted);
        let run = move || quietly(|| run(&shared, &seen)).unwrap_or_default();
        let thread = Builder::new().name("hotcold-reaper".into()).spawn(run);
        let thread = thread
            .map_err(|error| Fault::new(Kind::Io, format!("no thread can be made: {error}")))?;
        Ok(Self { wanted, thread: Some(thread) })
    }

    /// Lets it reap soon.
    pub fn wake(&self) {
        lock(&self.wanted.0).reaps = true;
        self.wanted.1.notify_all();
    }
}

impl Drop for Reaper {
    fn drop(&mut self) {
        lock(&self.wanted.0).ends = true;
        self.wanted.1.notify_all();
        if let Some(thread) = self.thread.take() {
            // A thread that has failed is over, too.
            drop(thread.join());
        }
    }
}

fn lock(wanted: &Mutex<Wanted>) -> MutexGuard<'_, Wanted> {
    wanted.lock().unwrap_or_else(PoisonError::into_inner)
}

fn run(shared: &Shared, wanted: &(Mutex<Wanted>, Condvar)) {
    let mut last = Instant::now();
    loop {
        let left = INTERVAL.saturating_sub(last.elapsed());
        let is_idle = |wanted: &mut Wanted| !wanted.ends && !wanted.reaps;
        let waited = wanted.1.wait_timeout_while(lock(&wanted.0), left, is_idle);
        let (mut now, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if now.ends {
            return;
        }
        let is_wanted = std::mem::take(&mut now.reaps);
        drop(now);
        last = Instant::now();
        if is_wanted || is_our_turn(shared) {
            let mut after = String::new();
            // What is left over is reaped in an hour; nobody sees it.
            while reap(shared, &mut after, &Call::new(STEP, 3)).is_err()
                && last.elapsed() < INTERVAL / 2
            {
                let pause = wanted.1.wait_timeout_while(lock(&wanted.0), PAUSE, |w| !w.ends);
                if pause.unwrap_or_else(PoisonError::into_inner).0.ends {
                    return;
                }
            }
        }
    }
}

/// True for one machine an hour.
fn is_our_turn(shared: &Shared) -> bool {
    let object = shared.names.own("reaped");
    let hour = u64::try_from(INTERVAL.as_millis()).unwrap_or(u64::MAX);
    let call = Call::new(STEP, 3);
    // Whoever finds it older than an hour, and lifts it, reaps.
    match number::read(&shared.bucket, &object, &call) {
        Ok((at, _)) if at + hour <= now_ms() => {
            let raised = number::raise(&shared.bucket, &object, |at| at.max(now_ms()) + 1, &call);
            raised.is_ok_and(|(before, _)| before == at)
        }
        _ => false,
    }
}
