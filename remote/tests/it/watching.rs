//! What Redis tells of changes, and when.

use crate::core::{Core, OK, Told, said};
use crate::engines::{Place, cluster, redis};
use hotcold_remote::engine::{LINK_ALL, LINK_NONE};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Waits until something that was told is as wanted; all that was told meanwhile.
fn until(core: &Core, what: &str, is_it: impl Fn(&Told) -> bool) -> Vec<Told> {
    let started = Instant::now();
    let mut all = Vec::new();
    while started.elapsed() < Duration::from_secs(5) {
        all.extend(core.heard().into_iter().map(|(_, told)| told));
        if all.iter().any(&is_it) {
            return all;
        }
        sleep(Duration::from_millis(2));
    }
    panic!("{what} was not told: {all:?}");
}

/// Waits until the link of every part has said that it is alive.
fn alive(core: &Core) -> Vec<Told> {
    let mut links = vec![0; 16_384];
    let mut living = std::collections::HashSet::new();
    let started = Instant::now();
    let mut all = Vec::new();
    loop {
        for (_, told) in core.heard() {
            match told {
                Told::Parts(first, last, link) => {
                    links[first as usize..=last as usize].fill(link);
                }
                Told::Alive(link, _) => drop(living.insert(link)),
                Told::All(link) => drop(living.remove(&link)),
                Told::Key(..) => {}
            }
            all.push(told);
        }
        if links.iter().all(|link| living.contains(link)) {
            return all;
        }
        assert!(started.elapsed() < Duration::from_secs(5), "{all:?}");
        sleep(Duration::from_millis(2));
    }
}

fn changes_of_others_are_told_and_own_ones_with_their_version(place: &Place) {
    let place = place.clone().with("coherence", "400");
    let (one, two) = (place.open(), place.open());
    assert_eq!(one.watch(), OK, "{}", said());
    assert_eq!(one.watch(), -2);
    let all = alive(&one);
    // Invariant 2 of `watch`: everything may have changed before a link counts.
    for link in all
        .iter()
        .filter_map(|told| if let Told::Alive(link, _) = told { Some(link) } else { None })
    {
        let at = |wanted: &Told| all.iter().position(|told| told == wanted);
        let alive = all.iter().position(|told| matches!(told, Told::Alive(l, _) if l == link));
        assert!(at(&Told::All(*link)).is_some_and(|at| Some(at) < alive), "{all:?}");
    }
    assert_eq!(all[0], Told::Parts(0, 16_383, LINK_NONE));

    let first = two.versions(20).unwrap();
    for (at, key) in [&b"a"[..], b"{x}y", b"", b"\x00\xff"].into_iter().enumerate() {
        let version = first + at as u64;
        assert_eq!(two.put(key, b"v", version, None), OK);
        until(&one, "another's change", |told| *told == Told::Key(key.to_vec(), 0));
        assert_eq!(two.put(key, b"v", version + 10, Some(version)), OK);
        until(&one, "another's change", |told| *told == Told::Key(key.to_vec(), 0));
        assert_eq!(two.remove(key, None), OK);
        until(&one, "another's removal", |told| *told == Told::Key(key.to_vec(), 0));
    }
    let own = first + 15;
    assert_eq!(one.put(b"own", b"v", own, None), OK);
    let all = until(&one, "the own change", |told| matches!(told, Told::Key(..)));
    assert!(all.contains(&Told::Key(b"own".to_vec(), own)), "{all:?}");
    // Written here, and then there: the version is the other's.
    assert_eq!(two.put(b"own", b"v", own + 1, None), OK);
    until(&one, "the newer version", |told| *told == Told::Key(b"own".to_vec(), own + 1));
    assert_eq!(two.remove(b"own", None), OK);
    until(&one, "that it is gone", |told| *told == Told::Key(b"own".to_vec(), 0));
    assert_eq!(two.clear(), OK);
    until(&one, "the clear", |told| *told == Told::All(LINK_ALL));
    assert!(one.heard().iter().all(|(_, told)| !matches!(told, Told::Key(..))));
}

#[test]
fn redis_tells_of_changes() {
    changes_of_others_are_told_and_own_ones_with_their_version(&redis());
    changes_of_others_are_told_and_own_ones_with_their_version(&cluster());
}

#[test]
fn a_key_is_told_on_the_link_of_its_part_and_links_stay_alive() {
    let core = cluster().with("coherence", "400").open();
    assert_eq!(core.watch(), OK);
    let all = alive(&core);
    assert!(core.part(b"foo{bar}") == core.part(b"{bar}") && core.part(b"foo") < 16_384);
    let links: std::collections::HashSet<u32> = all
        .iter()
        .filter_map(|told| if let Told::Alive(link, _) = told { Some(*link) } else { None })
        .collect();
    assert_eq!(links.len(), 3, "{all:?}");
    // Each link is alive again before one coherence is over.
    core.heard();
    sleep(Duration::from_millis(1200));
    let heard = core.heard();
    for link in links {
        let times: Vec<Instant> = heard
            .iter()
            .filter(|(_, told)| matches!(told, Told::Alive(l, age) if *l == link && *age < 200))
            .map(|(at, _)| *at)
            .collect();
        assert!(times.len() >= 6, "{heard:?}");
    }
}
