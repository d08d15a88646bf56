//! What a scan does to those who read the same keys again and again.

use hotcold::{Eviction, Options, Store};

const ENTRIES: u64 = 2_000;
const KEYS: usize = 20_000;
const READS: u64 = 100_000;

/// Keys of which the first are asked for most: the `n`th with a weight of `1 / n`.
struct Zipf {
    sums: Vec<f64>,
    state: u64,
}

impl Zipf {
    fn new() -> Self {
        let sum = |sum: &mut f64, n: usize| {
            *sum += 1.0 / (n as f64).powf(0.99);
            Some(*sum)
        };
        Self { sums: (1..=KEYS).scan(0.0, sum).collect(), state: 88_172_645_463_325_252 }
    }

    fn key(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        let most = self.sums.last().copied().unwrap_or(0.0);
        let at = (self.state >> 11) as f64 / (1_u64 << 53) as f64 * most;
        self.sums.partition_point(|sum| *sum < at) as u64
    }
}

/// Asks for a key, and stores it if it is not there, as the user of a cache does.
fn request(store: &Store, key: u64) -> bool {
    let key = key.to_le_bytes();
    let is_hit = store.retrieve(key).unwrap().is_some();
    if !is_hit {
        store.store(key, [1; 100]).unwrap();
    }
    is_hit
}

/// The share of zipf reads that hit, in points; beside each fifth a scan goes on by a key.
fn hits(store: &Store, zipf: &mut Zipf, mut scan: impl Iterator<Item = u64>) -> f64 {
    let mut hits = 0;
    for n in 0..READS {
        hits += u64::from(request(store, zipf.key()));
        if n % 5 == 0
            && let Some(key) = scan.next()
        {
            request(store, key);
        }
    }
    hits as f64 * 100.0 / READS as f64
}

#[test]
fn a_scan_of_ten_times_hot_costs_zipf_reads_less_than_three_points() {
    let mut options = Options::new();
    options.hot_max_entries(ENTRIES).eviction(Eviction::TinyLfu);
    let (store, mut zipf) = (Store::in_memory(&options).unwrap(), Zipf::new());
    hits(&store, &mut zipf, std::iter::empty());
    let alone = hits(&store, &mut zipf, std::iter::empty());
    let beside = hits(&store, &mut zipf, 1 << 40..(1 << 40) + 10 * ENTRIES);
    assert!(alone > 50.0, "{alone}");
    assert!(alone - beside < 3.0, "{alone} % alone, {beside} % beside a scan");
}
