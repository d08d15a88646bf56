//! What the sampler promises: the coarser the larger, and the division that hits more.

use super::*;

#[test]
fn the_sample_has_about_as_many_keys_whatever_the_tier_has() {
    for entries in [0, 1, 100, 512, 513, 5_000, 1_000_000, 10_000_000] {
        let coarse = Sampler::coarse_for(entries, 0);
        let sampled = entries >> coarse;
        assert!(sampled <= ENTRIES_MAX && (sampled >= ENTRIES_MIN || coarse == 0), "{entries}");
        assert_eq!(Sampler::coarse_for(entries, coarse), coarse);
    }
    let all = (0..1_u64 << 16).map(|n| n << 44);
    assert_eq!(all.filter(|hash| is_sampled(*hash, 8)).count(), 1 << 8);
}

#[test]
fn the_division_changes_for_one_that_is_clearly_better() {
    let limits = Usage { bytes: u64::MAX, entries: 200 };
    let mut sampler = Sampler::new(0, 0).unwrap();
    let mut ask = |n: u64| {
        let hash = (n + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let best = sampler.look(hash ^ hash >> 29);
        sampler.fill(hash ^ hash >> 29, 1, limits);
        best
    };
    // Used again after 100 others: a window of two entries finds none of them.
    let recent = (1_000..5_000).flat_map(|n| [n, n - 100]).map(&mut ask).last();
    assert_ne!(recent, Some(0));
    // A loop that is too long: only what keeps a part finds any.
    let looped = (0..40).flat_map(|_| 0..400).map(&mut ask).last();
    assert!(looped == Some(0) || looped == Some(1), "{looped:?}");
}
