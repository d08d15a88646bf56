//! Keys with one hash: real ones, made for the seed from what XXH3 does with 16 bytes.

use super::harness::{Harness, Model, SEED, SETUPS, value, without};
use super::script::{Dice, find};
use crate::key::KeyHasher;

/// What XXH3 mixes into the two halves of a key of 9 to 16 bytes, before the seed.
const FLIP_LOW: u64 = 0x1F67_B3B7_A4A4_4072 ^ 0x78E5_C0CC_4EE6_79CB;
const FLIP_HIGH: u64 = 0x2172_FFCC_7DD0_5A82 ^ 0x8E24_43F7_7446_08B8;

/// Up to three keys that share one hash under `seed`.
///
/// XXH3 adds up the reversed low half, the high half and the folded product of both. With a half
/// of 0 the product is 0, with a low half of 1 it is the high half: so the sum can be chosen.
pub fn colliding_keys(seed: u64, count: usize) -> Vec<Vec<u8>> {
    let sum: u64 = 1 << 60;
    let halves = [(sum.swap_bytes(), 0), (0, sum), (1, (sum - (1 << 56)) / 2)];
    let key = |(low, high): &(u64, u64)| {
        let low = low ^ FLIP_LOW.wrapping_add(seed);
        let high = high ^ FLIP_HIGH.wrapping_sub(seed);
        [low.to_le_bytes(), high.to_le_bytes()].concat()
    };
    halves.iter().take(count).map(key).collect()
}

#[test]
fn the_keys_collide() {
    for seed in [0, 1, u64::MAX, 0x5EED] {
        let keys = colliding_keys(seed, 3);
        let hasher = KeyHasher::new(seed);
        assert!(keys.iter().all(|key| hasher.hash(key) == hasher.hash(&keys[0])));
        assert!(keys[0] != keys[1] && keys[1] != keys[2] && keys[0] != keys[2]);
    }
}

/// One random step on the keys; gives what to tell of it.
fn step(harness: &mut Option<Harness>, model: &mut Model, dice: &mut Dice, tag: u64) -> String {
    let keys = colliding_keys(SEED, 3);
    let Some(now) = harness.take() else { return String::new() };
    let setup = SETUPS[0];
    let choice = dice.below(10);
    match choice {
        0 => now.cold.seal_active().unwrap(),
        1 => now.compact_next().unwrap(),
        2 => now.compact_all().unwrap(),
        3 => now.checkpoint().unwrap(),
        4 => {
            *harness = Some(now.reopen(setup));
            return "reopen".to_owned();
        }
        5 => {
            let disk = without(&now.disk, "CHECKPOINT");
            *harness = Some(Harness::open(&disk, &now.clock, setup).unwrap());
            return "reopen without the checkpoint".to_owned();
        }
        _ => {
            let mut puts = Vec::new();
            for key in &keys {
                match dice.below(5) {
                    0 | 1 => puts.push((key.clone(), Some((value(tag, 600), 0)))),
                    2 => puts.push((key.clone(), None)),
                    _ => {}
                }
            }
            now.write(&puts).unwrap();
            let brief: Vec<_> = puts.iter().map(|(key, put)| (key[0], put.is_some())).collect();
            for (key, put) in puts {
                match put {
                    Some(put) => drop(model.insert(key, put)),
                    None => drop(model.remove(&key)),
                }
            }
            *harness = Some(now);
            return format!("write {brief:?}");
        }
    }
    *harness = Some(now);
    format!("step {choice}")
}

#[test]
fn keys_with_one_hash_do_not_disturb_each_other() {
    for seed in 0..300 {
        let mut dice = Dice::new(seed);
        let mut harness = Some(Harness::new(SETUPS[0]));
        let mut model = Model::new();
        let mut story = format!("seed {seed}");
        for tag in 0..30 {
            story += "\n";
            story += &step(&mut harness, &mut model, &mut dice, tag);
            find(harness.as_ref().unwrap(), &[model.clone()], &|| story.clone());
        }
    }
}
