//! What the small caches promise: sums, lists, and bounds.

use super::super::mode::MODES;
use super::*;

/// Counts everything anew.
fn check(mini: &Mini, limits: Usage) {
    let mut linked = 0;
    for list in 0..3 {
        let (mut at, mut before, mut used) = (mini.lists[list].first, NIL, Usage::default());
        while at != NIL {
            let node = mini.nodes[usize::from(at)];
            assert_eq!((usize::from(node.list), node.before), (list, before));
            assert_eq!(mini.find(node.hash), Some(at));
            used.add(Usage::of_entry(node.charge));
            linked += 1;
            (before, at) = (at, node.behind);
        }
        assert_eq!((mini.lists[list].last, mini.used[list]), (before, used));
    }
    assert_eq!(linked + mini.spare.len(), mini.nodes.len());
    assert_eq!(linked, mini.table.len());
    assert!(mini.nodes.len() <= NODES_MAX);
    let mut used = mini.used[WINDOW];
    used.add(mini.used[MAIN]);
    assert!(used.beyond(limits).is_nothing());
}

#[test]
fn a_recount_holds_after_every_step() {
    let mut random = 1_u64;
    let mut below = |bound: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99);
        (random >> 33) % bound
    };
    for mode in MODES {
        for limits in [
            Usage { bytes: 1_000, entries: u64::MAX },
            Usage { bytes: u64::MAX, entries: 20 },
            Usage { bytes: u64::MAX, entries: u64::MAX },
        ] {
            let mut mini = Mini::new(mode).unwrap();
            for step in 0..3_000 {
                let hash = below(if step % 300 < 150 { 40 } else { 5_000 });
                mini.look(hash);
                let one = Usage::of_entry(below(1_100) / (1 + below(30)));
                mini.fill(hash, one, limits, &|hash| u8::try_from(hash % 16).unwrap());
                if step % 8 == 0 {
                    check(&mini, limits);
                }
            }
        }
    }
}
