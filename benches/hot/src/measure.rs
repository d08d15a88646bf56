//! Keys by chance, threads, times, and what is told of them.

use crate::engines::{Engine, key};
use std::sync::Barrier;
use std::time::Instant;

/// Which key is asked for: ranks by Zipf's law, so that few keys have most of the requests.
pub struct Zipf {
    /// The sum of the chances of all ranks up to each.
    sums: Vec<f64>,
}

impl Zipf {
    pub fn new(keys: u64, exponent: f64) -> Self {
        let mut sum = 0.0;
        let sums = (1..=keys).map(|rank| {
            sum += (rank as f64).powf(-exponent);
            sum
        });
        Self { sums: sums.collect() }
    }

    /// The number of a key. Which rank a key has is as good as chance.
    pub fn draw(&self, random: &mut Random) -> u64 {
        let all = self.sums[self.sums.len() - 1];
        let at = (random.next() >> 11) as f64 / (1_u64 << 53) as f64 * all;
        let rank = self.sums.partition_point(|sum| *sum <= at).min(self.sums.len() - 1);
        scatter(rank as u64, self.sums.len() as u64)
    }
}

/// A permutation of the numbers below `n`: a step that has no divisor in common with `n`.
fn scatter(rank: u64, n: u64) -> u64 {
    let mut step = (n as f64 * 0.618) as u64 | 1;
    while divisor(step, n) != 1 {
        step += 2;
    }
    (u128::from(rank) * u128::from(step) % u128::from(n)) as u64
}

fn divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { divisor(b, a % b) }
}

/// Numbers by chance, the same in each run.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let x = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let x = (x ^ x >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^ x >> 31
    }
}

/// What a run took.
#[derive(Clone, Copy)]
pub struct Taken {
    /// Nanoseconds a call and thread.
    pub wall: f64,
    /// The same without what other programs had of the processor.
    pub own: f64,
    pub p99: f64,
}

/// Of so many calls one is timed by itself.
const TIMED_EVERY: usize = 16;

/// Gets all keys of each list, a thread a list.
pub fn get_all(engine: &dyn Engine, lists: &[&[u32]], value_len: usize) -> Taken {
    let start = Barrier::new(lists.len());
    let taken: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = lists
            .iter()
            .map(|list| scope.spawn(|| get_list(engine, list, value_len, &start)))
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    let most = |of: fn(&Taken) -> f64| taken.iter().map(of).fold(0.0, f64::max);
    Taken { wall: most(|t| t.wall), own: most(|t| t.own), p99: most(|t| t.p99) }
}

fn get_list(engine: &dyn Engine, list: &[u32], value_len: usize, start: &Barrier) -> Taken {
    let mut buffer = vec![0; value_len];
    let mut times = Vec::with_capacity(list.len() / TIMED_EVERY + 1);
    start.wait();
    let (from, own) = (Instant::now(), own_time());
    for (at, n) in list.iter().enumerate() {
        let key = key(u64::from(*n));
        if at.is_multiple_of(TIMED_EVERY) {
            let from = Instant::now();
            engine.get(&key, &mut buffer);
            times.push(from.elapsed().as_nanos() as f64);
        } else {
            engine.get(&key, &mut buffer);
        }
    }
    let calls = list.len() as f64;
    let (wall, own) = (from.elapsed().as_nanos() as f64 / calls, (own_time() - own) / calls);
    Taken { wall, own, p99: part(&mut times, 0.99) }
}

/// Nanoseconds that this thread has had the processor.
fn own_time() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a place of ours.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

/// What so large a part of the values is at most.
pub fn part(values: &mut [f64], part: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[((values.len() as f64 * part) as usize).min(values.len() - 1)]
}

/// The median, and the least and the greatest.
pub fn spread(values: &[f64]) -> String {
    let mut values = values.to_vec();
    let middle = part(&mut values, 0.5);
    format!("{middle:.2} ({:.2} to {:.2})", values[0], values[values.len() - 1])
}

/// A line of a table.
pub fn line(what: &str, goal: &str, values: &[f64]) {
    println!("| {what} | {} | {goal} |", spread(values));
}
