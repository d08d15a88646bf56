//! What the hot tier costs, through the C ABI, beside peers where there are any. Prints ratios.
//!
//! All sides of a comparison run in turns in one process, a fraction of a second each, because
//! what else the machine does changes from second to second. A ratio is that of the turns of one
//! round; printed are the median over the rounds, the least and the greatest.

mod engines;
mod measure;

use engines::{Bare, Copying, EVICTION, Engine, Kyoto, NO_PROMOTE, Quick, Store, key};
use measure::{Random, Zipf, get_all, line, part};
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Instant;

const USAGE: &str = "\
usage: hot [--rounds N] [--eviction POLICY] hit|scan|refused|full DIR

hit      hot retrieves, keys by Zipf's law, on one thread and on two
scan     the hit ratio of such retrieves, without and with a scan beside them
refused  retrieves from cold, of keys that do not enter hot
full     stores into a hot tier that is full
DIR      an empty directory for files";

/// Calls of a turn.
const TURN: usize = 400_000;

fn main() -> ExitCode {
    let mut arguments: Vec<_> = std::env::args().skip(1).collect();
    let mut rounds = 9;
    while arguments.len() > 2 && arguments[0].starts_with("--") {
        match (arguments[0].as_str(), arguments[1].parse(), arguments[1].clone()) {
            ("--rounds", Ok(number), _) if number > 0 => rounds = number,
            ("--eviction", _, name) if EVICTION.set(name.clone()).is_ok() => (),
            _ => break,
        }
        arguments.drain(..2);
    }
    let [what, dir] = arguments.as_slice() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let dir = Path::new(dir);
    match what.as_str() {
        "hit" => {
            hit(1_000_000, 100, rounds, dir);
            hit(150_000, 1024, rounds, dir);
        }
        "scan" => scan(dir),
        "refused" => refused(rounds, dir),
        "full" => {
            full(100, rounds, dir);
            full(1024, rounds, dir);
        }
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}

fn head(title: &str) {
    println!("\n### {title}\n\n| | median (least to greatest) | goal |\n|---|---:|---:|");
}

/// A value that tells its key.
fn value(n: u64, len: usize) -> Vec<u8> {
    let mut value = vec![0; len];
    value[..16].copy_from_slice(&key(n));
    value
}

fn hit(keys: u64, len: usize, rounds: usize, dir: &Path) {
    let name = format!("hit-{len}");
    let entries = usize::try_from(keys).expect("a number of keys");
    let store =
        Store::open(Some(&dir.join(name)), &[("hot_capacity", "4GiB"), ("compression", "none")]);
    let (bare, quick, kyoto) = (Bare::default(), Quick::new(entries), Kyoto::open(dir, entries));
    let copying = Copying(&store);
    for n in 0..keys {
        let value = value(n, len);
        let all: [&dyn Engine; 4] = [&store, &bare, &quick, &kyoto];
        all.iter().for_each(|engine| engine.put(&key(n), &value));
    }
    let (zipf, mut random) = (Zipf::new(keys, 0.99), Random(1));
    let lists: [Vec<u32>; 2] =
        std::array::from_fn(|_| (0..TURN).map(|_| zipf.draw(&mut random) as u32).collect());
    let one: [&[u32]; 1] = [&lists[0]];
    let two: [&[u32]; 2] = [&lists[0], &lists[1]];
    let all: [&dyn Engine; 5] = [&store, &copying, &bare, &kyoto, &quick];
    all.iter().for_each(|engine| _ = get_all(*engine, &one, len));
    let mut ratios: [Vec<f64>; 14] = Default::default();
    for _ in 0..rounds {
        let [own, copied, bare, kyoto, quick] = all.map(|engine| get_all(engine, &one, len));
        let [own2, copied2, quick2] =
            [all[0], all[1], all[4]].map(|engine| get_all(engine, &two, len));
        let of_round = [
            bare.own / own.own,
            bare.own / copied.own,
            kyoto.own / own.own,
            kyoto.own / copied.own,
            quick.own / own.own,
            2.0 * own.own / own2.own,
            2.0 * copied.own / copied2.own,
            2.0 * quick.own / quick2.own,
            2.0 * own.wall / own2.wall,
            own2.p99 / own.p99,
            own.own,
            copied.own,
            bare.own,
            quick.own,
        ];
        ratios.iter_mut().zip(of_round).for_each(|(all, one)| all.push(one));
    }
    head(&format!("Hot retrieve, Zipf 0.99 over {keys} values of {len} bytes: how often as fast"));
    let lines = [
        ("by reference beside a bare table under one lock that copies out", "0.8"),
        ("copied out beside it", "0.65"),
        ("by reference beside Kyoto's HashDB", "1.2"),
        ("copied out beside it", "1.2"),
        ("by reference beside quick_cache", "0.9"),
        ("two threads beside one, by reference", "1.7"),
        ("two threads beside one, copied out", "1.7"),
        ("two threads beside one, quick_cache", ""),
        ("two threads beside one, by reference, other programs' time included", ""),
        ("p99 of two threads beside one", "below 1.5"),
        ("ns, by reference", ""),
        ("ns, copied out", ""),
        ("ns, the bare table", ""),
        ("ns, quick_cache", ""),
    ];
    lines.iter().zip(&ratios).for_each(|((what, goal), values)| line(what, goal, values));
}

/// A budget of 20,000 entries, Zipf over ten times as many keys, and a scan over as many others, once.
fn scan(dir: &Path) {
    const KEYS: u64 = 200_000;
    let options = [("hot_max_entries", "20000"), ("hot_capacity", "1GiB"), ("compression", "none")];
    let store = Store::open(Some(&dir.join("scan")), &options);
    (0..2 * KEYS).for_each(|n| store.put(&key(n), &value(n, 100)));
    let zipf = Zipf::new(KEYS, 0.99);
    let ratio = |seed: u64, goes_on: &mut dyn FnMut(u64) -> bool| {
        let (mut random, mut hits, mut all) = (Random(seed), 0, 0);
        while goes_on(all) {
            hits += u64::from(store.is_hot(&key(zipf.draw(&mut random)), 0));
            all += 1;
        }
        (hits as f64 * 100.0 / all as f64, all)
    };
    ratio(1, &mut |n| n < 5 * KEYS);
    head(
        "Hit ratio of retrieves, Zipf 0.99 over 10 times the budget, with a scan over 10 times the budget beside them",
    );
    let (before, _) = ratio(2, &mut |n| n < KEYS);
    let (mixed, _) = ratio(3, &mut |n| {
        store.is_hot(&key(KEYS + n.min(KEYS - 1)), 0);
        n < KEYS
    });
    let (after, _) = ratio(4, &mut |n| n < KEYS);
    let ends = AtomicBool::new(false);
    let asked = AtomicU64::new(0);
    let (beside, _) = std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in KEYS..2 * KEYS {
                store.is_hot(&key(n), 0);
            }
            ends.store(true, Relaxed);
        });
        ratio(5, &mut |n| {
            asked.store(n, Relaxed);
            !ends.load(Relaxed)
        })
    });
    line("without a scan, percent", "", &[before]);
    line("after it", "", &[after]);
    line("points lost, a step of the scan after each retrieve", "below 3", &[before - mixed]);
    line("points lost, the scan on another thread", "below 3", &[before - beside]);
    line("retrieves meanwhile", "", &[asked.load(Relaxed) as f64]);
}

/// Retrieves, each key as likely, of data of 16 times the budget.
fn refused(rounds: usize, dir: &Path) {
    const KEYS: u64 = 256 * 1024;
    let options = [("hot_capacity", "16MiB"), ("compression", "none")];
    let dir = dir.join("refused");
    {
        let store = Store::open(Some(&dir), &options);
        (0..KEYS).for_each(|n| store.put(&key(n), &value(n, 1024)));
    }
    let store = Store::open(Some(&dir), &options);
    let mut random = Random(1);
    let turn = |flags: u32, random: &mut Random| {
        let (mut times, mut hits) = (Vec::new(), 0);
        for _ in 0..TURN / 8 {
            let key = key(random.next() % KEYS);
            let from = Instant::now();
            let is_hot = store.is_hot(&key, flags);
            times.push(from.elapsed().as_nanos() as f64);
            hits += usize::from(is_hot);
        }
        let (hits, sum) = (hits as f64 * 100.0 / times.len() as f64, times.iter().sum::<f64>());
        (part(&mut times, 0.5), sum / times.len() as f64, hits)
    };
    (0..8).for_each(|_| _ = turn(0, &mut random));
    let mut ratios: [Vec<f64>; 5] = Default::default();
    for _ in 0..rounds {
        let (with, without) = (turn(0, &mut random), turn(NO_PROMOTE, &mut random));
        let of_round = [with.0 / without.0, with.1 / without.1, without.0, with.2, without.2];
        ratios.iter_mut().zip(of_round).for_each(|(all, one)| all.push(one));
    }
    head(
        "Cold retrieve of 1 KiB, uniform over 16 times the budget, beside the same with NO_PROMOTE",
    );
    line("medians", "at most 1.1", &ratios[0]);
    line("means", "at most 1.1", &ratios[1]);
    line("median of NO_PROMOTE, ns", "", &ratios[2]);
    line("percent found in hot", "", &ratios[3]);
    line("percent found in hot with NO_PROMOTE", "", &ratios[4]);
}

/// Stores of new keys by turns, into a full tier and where there is no hot tier. Old keys would let
/// compaction run, whose share of the machine then counts as the other turn's.
fn full(len: usize, rounds: usize, dir: &Path) {
    let open = |name: &str, capacity: &str| {
        let options = [("hot_capacity", capacity), ("compression", "none")];
        Store::open(Some(&dir.join(format!("{name}-{len}"))), &options)
    };
    let stores = [open("none", "0"), open("full", "8MiB")];
    let mut next = [0_u64; 2];
    let mut turn = |at: usize| {
        let mut times = Vec::new();
        for _ in 0..TURN / 16 {
            let n = next[at];
            next[at] += 1;
            let (key, value) = (key(n), value(n, len));
            let from = Instant::now();
            stores[at].put(&key, &value);
            times.push(from.elapsed().as_nanos() as f64);
        }
        let mean = times.iter().sum::<f64>() / times.len() as f64;
        (part(&mut times, 0.5), mean)
    };
    (0..4).for_each(|_| _ = (turn(0), turn(1)));
    let mut found: [Vec<f64>; 3] = Default::default();
    for _ in 0..rounds {
        let (none, full) = (turn(0), turn(1));
        let of_round = [full.0 - none.0, full.1 - none.1, none.0];
        found.iter_mut().zip(of_round).for_each(|(all, one)| all.push(one / 1000.0));
    }
    head(&format!("Store of {len} bytes on a full hot tier, beside hot_capacity=0, us"));
    line("more, medians", "at most 0.4", &found[0]);
    line("more, means", "", &found[1]);
    line("hot_capacity=0, median", "", &found[2]);
}
