//! bench URL THREADS COUNT [NAME VALUE]...: stores and finds records of 1 KiB, each COUNT times on
//! each thread, and prints operations a second; `remote/bench` compares them with redis-benchmark.

#![expect(clippy::print_stdout, reason = "a program that prints")]

use hotcold_remote::call::Call;
use hotcold_remote::engine::{Change, Engine, Watcher};
use std::error::Error;
use std::sync::Arc;
use std::thread::scope;
use std::time::{Duration, Instant};

/// Hears, and does nothing.
struct Deaf;

impl Watcher for Deaf {
    fn key(&self, _: &[u8], _: u64) {}
    fn all(&self, _: u32) {}
    fn alive(&self, _: u32, _: u64) {}
    fn parts(&self, _: u32, _: u32, _: u32) {}
}

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [url, threads, count, options @ ..] = words.as_slice() else {
        return Err("bench URL THREADS COUNT [NAME VALUE]...".into());
    };
    let (threads, count): (u64, u64) = (threads.parse()?, count.parse()?);
    let pairs: Vec<(&str, &str)> =
        options.chunks_exact(2).map(|pair| (pair[0].as_str(), pair[1].as_str())).collect();
    let (engine, _) = hotcold_remote::open::open(url, &pairs).map_err(|fault| fault.to_string())?;
    let call = || Call::new(Duration::from_secs(5), 3);
    let mut first = u64::MAX;
    let mut left = 0;
    let mut starts = Vec::new();
    for _ in 0..2 * threads {
        if left < count {
            first = engine.versions(count.min(200_000), &call()).map_err(|f| f.to_string())?;
            left = count.min(200_000);
        }
        starts.push(first);
        left -= count.min(left);
    }
    if std::env::var_os("BENCH_WATCH").is_some() {
        engine.watch(Arc::new(Deaf)).map_err(|fault| fault.to_string())?;
        std::thread::sleep(Duration::from_millis(300));
    }
    let engine = &*engine;
    measure("put", threads, count, |thread, n| {
        put(engine, thread, n, starts[thread_index(thread)], None)
    });
    measure("get", threads, count, |thread, n| {
        let key = key(thread, n);
        engine.get(&key, 0, &call()).map(drop).map_err(|fault| fault.to_string())
    });
    measure("same", threads, count, |thread, n| {
        let key = key(thread, n);
        let known = starts[thread_index(thread)] + n;
        engine.get(&key, known, &call()).map(drop).map_err(|fault| fault.to_string())
    });
    Ok(())
}

fn thread_index(thread: u64) -> usize {
    usize::try_from(thread).unwrap_or_default()
}

fn key(thread: u64, n: u64) -> Vec<u8> {
    format!("key:{thread}:{n}").into_bytes()
}

fn put(
    engine: &dyn Engine,
    thread: u64,
    n: u64,
    start: u64,
    if_version: Option<u64>,
) -> Result<(), String> {
    let (key, data) = (key(thread, n), [7; 1024]);
    let change =
        Change { key: &key, data: Some(&data), version: start + n, expires_at: 0, if_version };
    let call = Call::new(Duration::from_secs(5), 3);
    engine.change(&change, &call).map(drop).map_err(|fault| fault.to_string())
}

fn measure(
    what: &str,
    threads: u64,
    count: u64,
    run: impl Fn(u64, u64) -> Result<(), String> + Sync,
) {
    let started = Instant::now();
    let failures: u64 = scope(|scope| {
        let run = &run;
        let threads: Vec<_> = (0..threads)
            .map(|thread| {
                let each =
                    move || (0..count).map(|n| u64::from(run(thread, n).is_err())).sum::<u64>();
                scope.spawn(each)
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or(count)).sum()
    });
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let rate = (threads * count) as f64 / started.elapsed().as_secs_f64();
    println!("{what} {rate:.0} a second, {failures} failures");
}
