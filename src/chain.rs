//! A map from numbers to values that keeps them in two rings, each in an order of its own.
//!
//! Each value is in a node of its own, linked to one of the rings; a table finds the node of a number.
//! What grows can be asked for beforehand ([`Chain::reserve`]), which a map of others cannot: an entry
//! must not fail to enter once its record is on disk.
//!
//! # Invariants
//! 1. The rings go through `rings` and every node that the table has, and through no other.
//! 2. A node is made with `allocate` and freed with `free`, once. One that is spare has no value.
//! 3. References to values come from a borrow of the chain; nodes are changed through `&mut` alone.

#![expect(unsafe_code, reason = "nodes that the table and two neighbours point to")]

use crate::error::Result;
use crate::memory;
use hashbrown::HashTable;
use std::alloc::{Layout, alloc, dealloc};
use std::marker::PhantomData;
use std::ptr::{self, NonNull};

const WHAT: &str = "an entry of hot";

/// How many rings there are.
const RINGS: usize = 2;

/// The map.
pub struct Chain<T> {
    table: HashTable<NonNull<Node<T>>>,
    /// Of each ring, what is between the last and the first.
    rings: NonNull<[Links; RINGS]>,
    /// How many nodes each ring has.
    lens: [usize; RINGS],
    /// Nodes for what comes next, linked by `behind`.
    spare: *mut Links,
    spares: usize,
}

#[derive(Clone, Copy)]
struct Links {
    /// Came later.
    before: *mut Links,
    /// Came earlier.
    behind: *mut Links,
}

#[repr(C)]
struct Node<T> {
    /// First, so that a pointer to the links is one to the node.
    links: Links,
    place: u64,
    ring: u8,
    value: T,
}

// SAFETY: the nodes belong to the chain, and move with it.
unsafe impl<T: Send> Send for Chain<T> {}
// SAFETY: a shared chain gives shared references to its values, and changes nothing.
unsafe impl<T: Sync> Sync for Chain<T> {}

impl<T> Chain<T> {
    /// An empty one.
    pub fn new() -> Self {
        let unlinked = Links { before: ptr::null_mut(), behind: ptr::null_mut() };
        let rings = NonNull::from(Box::leak(Box::new([unlinked; RINGS])));
        for ring in 0..RINGS {
            let end = end_of(rings, ring);
            // SAFETY: it was just made, and is this chain's until it is dropped.
            unsafe { end.write(Links { before: end, behind: end }) };
        }
        Self { table: HashTable::new(), rings, lens: [0; RINGS], spare: ptr::null_mut(), spares: 0 }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Makes room for `count` more, so that pushing them does not allocate.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub fn reserve(&mut self, count: usize) -> Result<()> {
        self.table
            .try_reserve(count, |node| tag_of(*node))
            .map_err(|_| memory::exhausted(count * size_of::<usize>(), WHAT))?;
        while self.spares < count {
            let Some(node) = allocate::<T>() else {
                return Err(memory::exhausted(size_of::<Node<T>>(), WHAT));
            };
            let links = node.as_ptr().cast::<Links>();
            // SAFETY: the node is new, and begins with its links.
            unsafe { (&raw mut (*links).behind).write(self.spare) };
            self.spare = links;
            self.spares += 1;
        }
        Ok(())
    }

    /// The value at `place`; it stays where it is.
    #[inline]
    pub fn peek(&self, place: u64) -> Option<&T> {
        // SAFETY: a node that the table has lives as long as the chain is borrowed.
        self.node(place).map(|node| unsafe { &(*node.as_ptr()).value })
    }

    /// The value at `place`, where it is.
    pub fn get_mut(&mut self, place: u64) -> Option<&mut T> {
        // SAFETY: a node that the table has lives as long as the chain, which is borrowed mutably.
        self.node(place).map(|node| unsafe { &mut (*node.as_ptr()).value })
    }

    /// The value at `place`, which becomes the first of its ring.
    pub fn touch(&mut self, place: u64) -> Option<&mut T> {
        let node = self.node(place)?.as_ptr();
        // SAFETY: the node is linked, and the chain is borrowed mutably.
        unsafe {
            let ring = usize::from((*node).ring);
            unlink(node.cast());
            self.link_first(node.cast(), ring);
            Some(&mut (*node).value)
        }
    }

    /// Moves the last of `ring` behind its first ones, as far as it is not `before` them, and at most
    /// behind `most`.
    pub fn sink_last(&mut self, ring: usize, most: usize, before: impl Fn(&T) -> bool) {
        if self.lens[ring] == 0 {
            return;
        }
        let end = end_of(self.rings, ring);
        // SAFETY: the ring has a node, so that what is before the end is one; the walk ends at the end
        // or at that node at the latest, and the chain is borrowed mutably.
        unsafe {
            let last = (*end).before;
            let mut behind = end;
            for _ in 0..most {
                let next = (*behind).behind;
                if next == last || before(&(*next.cast::<Node<T>>()).value) {
                    break;
                }
                behind = next;
            }
            unlink(last);
            link_behind(last, behind);
        }
    }

    /// The value at `place`, which becomes the first of `ring`.
    pub fn move_to(&mut self, place: u64, ring: usize) -> Option<&mut T> {
        let node = self.node(place)?.as_ptr();
        // SAFETY: as above.
        unsafe {
            self.lens[usize::from((*node).ring)] -= 1;
            self.lens[ring] += 1;
            (*node).ring = u8::from(ring != 0);
            unlink(node.cast());
            self.link_first(node.cast(), ring);
            Some(&mut (*node).value)
        }
    }

    /// Puts `value` to `place` as the first of `ring`. Gives back the one that it replaces, whose ring
    /// it keeps. Room was made for it; where it was not, and there is no memory, the value is given
    /// back.
    pub fn push(&mut self, place: u64, value: T, ring: usize) -> Option<T> {
        if let Some(old) = self.touch(place) {
            return Some(std::mem::replace(old, value));
        }
        if self.reserve(1).is_err() {
            return Some(value);
        }
        let node = self.spare.cast::<Node<T>>();
        // SAFETY: there is a spare node, which nothing else points to, and its link is set.
        let node = unsafe {
            self.spare = (*self.spare).behind;
            self.spares -= 1;
            let links = Links { before: ptr::null_mut(), behind: ptr::null_mut() };
            node.write(Node { links, place, ring: u8::from(ring != 0), value });
            self.link_first(node.cast(), ring);
            NonNull::new_unchecked(node)
        };
        self.lens[ring] += 1;
        self.table.insert_unique(tag(place), node, |node| tag_of(*node));
        None
    }

    /// Takes out what lies at `place`.
    pub fn remove(&mut self, place: u64) -> Option<T> {
        let found = self.table.find_entry(tag(place), |node| is_at(*node, place)).ok()?;
        let (node, _) = found.remove();
        // SAFETY: the table had the node, and has it no more.
        let (value, ring) = unsafe { take(node) };
        self.lens[ring] -= 1;
        Some(value)
    }

    /// The place of the last of `ring`.
    pub fn last_place(&self, ring: usize) -> Option<u64> {
        // SAFETY: a ring that has a node has its last one before the end.
        (self.lens[ring] != 0)
            .then(|| unsafe { (*(*end_of(self.rings, ring)).before.cast::<Node<T>>()).place })
    }

    /// The last of `ring`.
    pub fn last(&self, ring: usize) -> Option<&T> {
        self.iter(ring).next_back()
    }

    /// Takes out the last of `ring`.
    pub fn pop_last(&mut self, ring: usize) -> Option<T> {
        self.remove(self.last_place(ring)?)
    }

    /// The values of `ring`, the first first.
    pub fn iter(&self, ring: usize) -> Iter<'_, T> {
        // SAFETY: the rings live as long as the chain.
        let Links { before: last, behind: first } = unsafe { end_of(self.rings, ring).read() };
        Iter { first, last, left: self.lens[ring], chain: PhantomData }
    }

    /// Gives back what the table has for many more than there are; keeps it where there is no memory
    /// for a smaller one.
    pub fn shrink(&mut self) {
        let mut smaller = HashTable::new();
        if smaller.try_reserve(self.table.len(), |node| tag_of(*node)).is_ok() {
            for node in self.table.drain() {
                smaller.insert_unique(tag_of(node), node, |node| tag_of(*node));
            }
            self.table = smaller;
        }
    }

    #[inline]
    fn node(&self, place: u64) -> Option<NonNull<Node<T>>> {
        self.table.find(tag(place), |node| is_at(*node, place)).copied()
    }

    /// # Safety
    /// `links` are those of a node that is not linked.
    #[inline]
    unsafe fn link_first(&mut self, links: *mut Links, ring: usize) {
        // SAFETY: the caller's promise; the end is linked.
        unsafe { link_behind(links, end_of(self.rings, ring)) }
    }
}

impl<T> Drop for Chain<T> {
    fn drop(&mut self) {
        for node in self.table.drain() {
            // SAFETY: the table had the node, and has it no more.
            drop(unsafe { take(node) });
        }
        while let Some(links) = NonNull::new(self.spare) {
            // SAFETY: a spare node has its link, no value, and nothing else points to it.
            unsafe {
                self.spare = (*links.as_ptr()).behind;
                free(links.cast::<Node<T>>());
            }
        }
        // SAFETY: it came from a box, and nothing points to it any more.
        drop(unsafe { Box::from_raw(self.rings.as_ptr()) });
    }
}

/// The values of a ring, the first first.
pub struct Iter<'a, T> {
    first: *mut Links,
    last: *mut Links,
    left: usize,
    chain: PhantomData<&'a Chain<T>>,
}

impl<'a, T> Iterator for Iter<'a, T> {
    type Item = &'a T;

    fn next(&mut self) -> Option<&'a T> {
        self.left = self.left.checked_sub(1)?;
        let node = self.first.cast::<Node<T>>();
        // SAFETY: so many nodes are left, and they live as long as the chain is borrowed.
        unsafe {
            self.first = (*node).links.behind;
            Some(&(*node).value)
        }
    }
}

impl<T> DoubleEndedIterator for Iter<'_, T> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let node = self.last.cast::<Node<T>>();
        // SAFETY: as above.
        unsafe {
            self.last = (*node).links.before;
            Some(&(*node).value)
        }
    }
}

/// What is between the last and the first node of a ring.
fn end_of(rings: NonNull<[Links; RINGS]>, ring: usize) -> *mut Links {
    rings.as_ptr().cast::<Links>().wrapping_add(ring % RINGS)
}

/// What the table knows a place by. Its bits are turned round, because the highest choose the shard
/// and so are alike within one, and the table uses the highest seven to tell nodes apart.
#[inline]
fn tag(place: u64) -> u64 {
    place.rotate_right(7)
}

fn tag_of<T>(node: NonNull<Node<T>>) -> u64 {
    // SAFETY: the table has living nodes only.
    tag(unsafe { (*node.as_ptr()).place })
}

#[inline]
fn is_at<T>(node: NonNull<Node<T>>, place: u64) -> bool {
    // SAFETY: as above.
    unsafe { (*node.as_ptr()).place == place }
}

fn allocate<T>() -> Option<NonNull<Node<T>>> {
    // SAFETY: a node is not of size 0.
    NonNull::new(unsafe { alloc(Layout::new::<Node<T>>()) }.cast())
}

/// # Safety
/// The node came from [`allocate`], and nothing points to it any more.
unsafe fn free<T>(node: NonNull<Node<T>>) {
    // SAFETY: the caller's promise.
    unsafe { dealloc(node.as_ptr().cast(), Layout::new::<Node<T>>()) };
}

/// Unlinks a node, frees it and gives its value and its ring.
///
/// # Safety
/// The node is linked and has a value, and nothing but its neighbours points to it.
unsafe fn take<T>(node: NonNull<Node<T>>) -> (T, usize) {
    // SAFETY: the caller's promise.
    unsafe {
        unlink(node.as_ptr().cast());
        let ring = usize::from((*node.as_ptr()).ring);
        let value = (&raw const (*node.as_ptr()).value).read();
        free(node);
        (value, ring)
    }
}

/// # Safety
/// `links` are not linked, and `place` is.
#[inline]
unsafe fn link_behind(links: *mut Links, place: *mut Links) {
    // SAFETY: the caller's promise; the neighbours of what is linked are linked nodes or the end.
    unsafe {
        let next = (*place).behind;
        (*links).before = place;
        (*links).behind = next;
        (*next).before = links;
        (*place).behind = links;
    }
}

/// # Safety
/// `links` are linked.
#[inline]
unsafe fn unlink(links: *mut Links) {
    // SAFETY: the caller's promise: both neighbours are nodes or the end.
    unsafe {
        let Links { before, behind } = links.read();
        (*before).behind = behind;
        (*behind).before = before;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Random calls beside two lists that are searched from end to end.
    #[test]
    fn a_chain_behaves_like_two_lists() {
        let mut state = 1_u64;
        let mut random = move |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) % below
        };
        let mut chain = Chain::new();
        let mut lists: [Vec<(u64, Box<u64>)>; 2] = Default::default();
        for step in 0..20_000 {
            let place = random(if step < 10_000 { 200 } else { 20 }) << 56 | random(3);
            let find = |list: &Vec<(u64, Box<u64>)>| list.iter().position(|(p, _)| *p == place);
            let at = (0..2).find_map(|ring| find(&lists[ring]).map(|at| (ring, at)));
            let ring = usize::from(random(2) == 0);
            match random(9) {
                0..=2 => {
                    let old = at.map(|(ring, at)| (ring, lists[ring].remove(at).1));
                    let to = old.as_ref().map_or(ring, |(ring, _)| *ring);
                    lists[to].insert(0, (place, Box::new(step)));
                    assert_eq!(
                        chain.push(place, Box::new(step), ring),
                        old.map(|(_, value)| value)
                    );
                }
                3 => {
                    let old = at.map(|(ring, at)| lists[ring].remove(at).1);
                    assert_eq!(chain.remove(place), old);
                }
                4 => {
                    let to = at.map_or(0, |(ring, _)| ring);
                    if let Some((ring, at)) = at {
                        let used = lists[ring].remove(at);
                        lists[ring].insert(0, used);
                    }
                    let found = chain.touch(place).map(|value| **value);
                    assert_eq!(found, at.map(|_| *lists[to][0].1));
                }
                5 => {
                    if let Some((from, at)) = at {
                        let moved = lists[from].remove(at);
                        lists[ring].insert(0, moved);
                    }
                    let found = chain.move_to(place, ring).map(|value| **value);
                    assert_eq!(found, at.map(|_| *lists[ring][0].1));
                }
                6 => {
                    let value = at.map(|(ring, at)| &*lists[ring][at].1);
                    assert_eq!(chain.peek(place).map(|value| &**value), value);
                    assert_eq!(chain.get_mut(place).map(|value| &**value), value);
                }
                7 if random(4) == 0 => {
                    assert_eq!(chain.pop_last(ring), lists[ring].pop().map(|(_, value)| value));
                }
                7 => chain.reserve(usize::try_from(random(4)).unwrap()).unwrap(),
                _ if random(50) == 0 => chain.shrink(),
                _ => assert_eq!(chain.last(ring), lists[ring].last().map(|(_, value)| value)),
            }
            if step % 64 == 0 {
                for (ring, list) in lists.iter().enumerate() {
                    assert!(chain.iter(ring).eq(list.iter().map(|(_, value)| value)));
                    assert!(chain.iter(ring).rev().eq(list.iter().rev().map(|(_, value)| value)));
                    assert_eq!(chain.last_place(ring), list.last().map(|(place, _)| *place));
                }
                assert_eq!(chain.len(), lists[0].len() + lists[1].len());
            }
        }
    }

    #[test]
    fn what_was_reserved_is_there_and_values_are_dropped_once() {
        let value = std::rc::Rc::new(());
        let mut chain = Chain::new();
        chain.reserve(100).unwrap();
        assert_eq!((chain.spares, chain.table.capacity() >= 100), (100, true));
        (0..60).for_each(|place| drop(chain.push(place, value.clone(), 0)));
        assert_eq!((chain.spares, std::rc::Rc::strong_count(&value)), (40, 61));
        drop(chain.push(5, value.clone(), 1));
        assert_eq!((chain.spares, std::rc::Rc::strong_count(&value)), (40, 61));
        drop(chain);
        assert_eq!(std::rc::Rc::strong_count(&value), 1);
    }
}
