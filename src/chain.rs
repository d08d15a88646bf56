//! A table of buffers by hash that keeps them in two rings, each in an order of its own.
//!
//! The rings go through the buffers themselves, so that an entry is one allocation. The table is
//! made of buckets of a cache line: seven references, and for each a byte of the hash, so that a
//! lookup that finds nothing reads no buffer, and one that finds something reads one line of the
//! table. A buffer whose bucket is full goes to the next one with a free place; each bucket counts
//! the buffers that have passed it. [`Chain::reserve`] takes memory beforehand, because an entry
//! must not fail to enter once its record is on disk.
//!
//! # Invariants
//! 1. The rings go through `ends` and every buffer that the table has, and through no other.
//! 2. Every buffer in the table is marked as being in hot, and is in no other chain.
//! 3. `passed` of a bucket is how many buffers of the table have passed it, or `PASSED_MAX` for good.
//! 4. A buffer is in the first bucket from its own on in which it could be when it came.
//! 5. References come from a borrow of the chain; links are changed through `&mut` alone.

#![expect(unsafe_code, reason = "buffers that two neighbours point to")]

use crate::buffer::{Block, Buffer, Links};
use crate::error::Result;
use crate::memory;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::sync::atomic::Ordering::Relaxed;

const WHAT: &str = "an entry of hot";

/// How many rings there are.
const RINGS: usize = 2;

/// References in a bucket. Of these so many are used at most, on average.
const PLACES: usize = 7;
const PLACES_USED_MAX: usize = 6;

/// Once so many have passed a bucket they are not counted any more.
const PASSED_MAX: u8 = 255;

/// A byte in each place of a word, and the highest bit of each byte but the last.
const BYTES: u64 = u64::from_le_bytes([1; 8]);
const HIGH_BITS: u64 = u64::from_le_bytes([0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0]);

/// A cache line.
#[repr(align(64))]
#[derive(Default)]
struct Bucket {
    /// A tag for each place, 0 where it is free; in the highest byte how many have passed.
    tags: u64,
    places: [Option<Buffer>; PLACES],
}

/// The table and the rings.
pub struct Chain {
    buckets: Vec<Bucket>,
    /// Of each ring, what is between the last and the first.
    ends: NonNull<[Links; RINGS]>,
    /// How many buffers each ring has.
    lens: [usize; RINGS],
}

// SAFETY: the ends belong to the chain, and buffers may go to other threads.
unsafe impl Send for Chain {}
// SAFETY: a shared chain gives shared references, and changes nothing.
unsafe impl Sync for Chain {}

impl Bucket {
    /// The places whose tag may be `tag`, a bit each: all that have it, and perhaps others.
    #[inline]
    fn with_tag(&self, tag: u64) -> u64 {
        let differing = self.tags ^ (BYTES * tag);
        differing.wrapping_sub(BYTES) & !differing & HIGH_BITS
    }

    #[inline]
    fn free_place(&self) -> Option<usize> {
        // The lowest of the candidates is one for certain.
        let free = self.with_tag(0);
        (free != 0).then(|| free.trailing_zeros() as usize / 8)
    }

    fn set(&mut self, place: usize, tag: u64, buffer: Option<Buffer>) -> Option<Buffer> {
        self.tags = self.tags & !(0xFF << (8 * place)) | tag << (8 * place);
        std::mem::replace(&mut self.places[place], buffer)
    }

    fn passed(&self) -> u8 {
        self.tags.to_le_bytes()[PLACES]
    }

    fn set_passed(&mut self, passed: u8) {
        self.tags = self.tags & (u64::MAX >> 8) | u64::from(passed) << (8 * PLACES);
    }
}

impl Chain {
    /// An empty one.
    pub fn new() -> Self {
        let unlinked = Links { before: ptr::null_mut(), behind: ptr::null_mut() };
        let ends = NonNull::from(Box::leak(Box::new([unlinked; RINGS])));
        for ring in 0..RINGS {
            let end = end_of(ends, ring);
            // SAFETY: it was just made, and is this chain's until it is dropped.
            unsafe { end.write(Links { before: end, behind: end }) };
        }
        Self { buckets: Vec::new(), ends, lens: [0; RINGS] }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.lens.iter().sum()
    }

    /// Makes room for `count` more, so that inserting them does not allocate.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub fn reserve(&mut self, count: usize) -> Result<()> {
        let wanted = self.len() + count;
        if wanted <= self.buckets.len() * PLACES_USED_MAX {
            return Ok(());
        }
        self.rebuild(wanted + wanted / 2)
    }

    /// Gives back what the table has for many more than there are; keeps it where there is no memory
    /// for a smaller one.
    pub fn shrink(&mut self) {
        // Where this fails the table is what it was.
        let _ = self.rebuild(self.len() + self.len() / 4);
    }

    fn rebuild(&mut self, count: usize) -> Result<()> {
        let mut buckets = Vec::new();
        memory::grow(&mut buckets, count / PLACES_USED_MAX + 1, WHAT)?;
        buckets.resize_with(buckets.capacity(), Bucket::default);
        let old = std::mem::replace(&mut self.buckets, buckets);
        for buffer in old.into_iter().flat_map(|bucket| bucket.places).flatten() {
            self.place(buffer);
        }
        Ok(())
    }

    /// The bucket of a hash. The highest four bits chose the shard, and the lowest eight are the tag.
    #[inline]
    fn home(&self, hash: u64) -> usize {
        let part = usize::try_from(hash >> 28 & u64::from(u32::MAX)).unwrap_or(0);
        part.wrapping_mul(self.buckets.len()) >> u32::BITS
    }

    fn behind(&self, bucket: usize) -> usize {
        if bucket + 1 == self.buckets.len() { 0 } else { bucket + 1 }
    }

    /// Puts a buffer into the table, where a place is free.
    fn place(&mut self, buffer: Buffer) {
        let hash = buffer.label().hash;
        let mut at = self.home(hash);
        loop {
            let bucket = &mut self.buckets[at];
            if let Some(place) = bucket.free_place() {
                bucket.set(place, tag_of(hash), Some(buffer));
                return;
            }
            bucket.set_passed(bucket.passed().saturating_add(1));
            at = self.behind(at);
        }
    }

    /// Bucket and place of the buffer with this hash that `is_it`.
    #[inline]
    fn search(&self, hash: u64, is_it: impl Fn(&Block) -> bool) -> Option<(usize, usize)> {
        if self.buckets.is_empty() {
            return None;
        }
        let (tag, mut at) = (tag_of(hash), self.home(hash));
        for _ in 0..self.buckets.len() {
            let bucket = &self.buckets[at];
            let mut candidates = bucket.with_tag(tag);
            while candidates != 0 {
                let place = candidates.trailing_zeros() as usize / 8;
                if let Some(buffer) = bucket.places.get(place).and_then(Option::as_ref)
                    && buffer.label().hash == hash
                    && is_it(buffer)
                {
                    return Some((at, place));
                }
                candidates &= candidates - 1;
            }
            if bucket.passed() == 0 {
                return None;
            }
            at = self.behind(at);
        }
        None
    }

    /// The buffer with this hash that `is_it`.
    #[inline]
    pub fn find(&self, hash: u64, is_it: impl Fn(&Block) -> bool) -> Option<&Block> {
        let (bucket, place) = self.search(hash, is_it)?;
        self.buckets[bucket].places[place].as_deref()
    }

    /// Puts in `buffer`, which is no other's successor, as the first of `ring`. Gives it back if it is
    /// in a chain already, or if no room was made for it and there is no memory.
    pub fn insert(&mut self, buffer: Buffer, ring: usize) -> Option<Buffer> {
        if self.reserve(1).is_err() || !buffer.enter_hot() {
            return Some(buffer);
        }
        // SAFETY: the buffer was in no chain, and the end is linked.
        unsafe { link_behind(buffer.links(), end_of(self.ends, ring)) };
        buffer.ring().store(u8::from(ring != 0), Relaxed);
        self.lens[ring % RINGS] += 1;
        self.place(buffer);
        None
    }

    /// Puts in `buffer` in place of the one of its hash that `is_it` beside it, where that one is in its
    /// ring, and gives back that one. Gives back `buffer` itself if it is in a chain already.
    ///
    /// # Errors
    /// The buffer, if there is none to be replaced.
    pub fn replace(
        &mut self,
        buffer: Buffer,
        is_it: impl Fn(&Block, &Block) -> bool,
    ) -> std::result::Result<Buffer, Buffer> {
        let found = self.search(buffer.label().hash, |block| is_it(block, &buffer));
        let Some((bucket, place)) = found else { return Err(buffer) };
        let Some(old) = &mut self.buckets[bucket].places[place] else { return Err(buffer) };
        if !buffer.enter_hot() {
            return Ok(buffer);
        }
        buffer.ring().store(old.ring().load(Relaxed), Relaxed);
        // SAFETY: the old one is linked, the new one is not, and the chain is borrowed mutably.
        unsafe {
            link_behind(buffer.links(), old.links());
            unlink(old.links());
        }
        let old = std::mem::replace(old, buffer);
        old.leave_hot();
        Ok(old)
    }

    /// Takes out the buffer with this hash that `is_it`.
    pub fn remove(&mut self, hash: u64, is_it: impl Fn(&Block) -> bool) -> Option<Buffer> {
        let (bucket, place) = self.search(hash, is_it)?;
        let mut at = self.home(hash);
        while at != bucket {
            let passed = self.buckets[at].passed();
            if passed != PASSED_MAX {
                self.buckets[at].set_passed(passed - 1);
            }
            at = self.behind(at);
        }
        let buffer = self.buckets[bucket].set(place, 0, None)?;
        self.lens[usize::from(buffer.ring().load(Relaxed)) % RINGS] -= 1;
        // SAFETY: it is linked, and the chain is borrowed mutably.
        unsafe { unlink(buffer.links()) };
        buffer.leave_hot();
        Some(buffer)
    }

    /// Makes the buffer with this hash that `is_it` the first of its ring.
    pub fn renew(&mut self, hash: u64, is_it: impl Fn(&Block) -> bool) {
        if let Some(block) = self.find(hash, is_it) {
            let ring = usize::from(block.ring().load(Relaxed));
            let links = block.links();
            // SAFETY: it is linked, and the chain is borrowed mutably.
            unsafe {
                unlink(links);
                link_behind(links, end_of(self.ends, ring));
            }
        }
    }

    /// Makes the last of ring `from` the first of ring `to`.
    pub fn move_last(&mut self, from: usize, to: usize) -> Option<&Block> {
        let links = self.last_links(from)?;
        self.lens[from % RINGS] -= 1;
        self.lens[to % RINGS] += 1;
        // SAFETY: it is linked, and the chain is borrowed mutably.
        let block = unsafe {
            unlink(links);
            link_behind(links, end_of(self.ends, to));
            block_of(links)
        };
        block.ring().store(u8::from(to != 0), Relaxed);
        Some(block)
    }

    /// Moves the last of `ring` behind its first ones, as far as it is not `before` them, and at most
    /// behind `most`.
    pub fn sink_last(&mut self, ring: usize, most: usize, before: impl Fn(&Block) -> bool) {
        let Some(last) = self.last_links(ring) else { return };
        // SAFETY: the walk ends at the last one at the latest, and the chain is borrowed mutably.
        unsafe {
            let mut behind = end_of(self.ends, ring);
            for _ in 0..most {
                let next = (*behind).behind;
                if next == last || before(block_of(next)) {
                    break;
                }
                behind = next;
            }
            unlink(last);
            link_behind(last, behind);
        }
    }

    fn last_links(&self, ring: usize) -> Option<*mut Links> {
        // SAFETY: the end is this chain's; where the ring has a buffer, what is before it is one.
        let last = unsafe { (*end_of(self.ends, ring)).before };
        (self.lens[ring % RINGS] != 0).then_some(last)
    }

    /// The last of `ring`.
    #[inline]
    pub fn last(&self, ring: usize) -> Option<&Block> {
        // SAFETY: it is linked, and so in the table, which is borrowed.
        self.last_links(ring).map(|links| unsafe { block_of(links) })
    }

    /// Takes out the last of `ring`.
    pub fn pop_last(&mut self, ring: usize) -> Option<Buffer> {
        let last = ptr::from_ref(self.last(ring)?);
        // SAFETY: as above; nothing has changed since.
        let hash = unsafe { (*last).label().hash };
        self.remove(hash, |block| ptr::eq(block, last))
    }

    /// The blocks of `ring`, the first first.
    pub fn iter(&self, ring: usize) -> Iter<'_> {
        // SAFETY: the ends live as long as the chain.
        let Links { before: last, behind: first } = unsafe { end_of(self.ends, ring).read() };
        Iter { first, last, left: self.lens[ring % RINGS], chain: PhantomData }
    }
}

impl Drop for Chain {
    fn drop(&mut self) {
        let buffers = self.buckets.iter().flat_map(|bucket| &bucket.places).flatten();
        buffers.for_each(|buffer| buffer.leave_hot());
        // SAFETY: it came from a box; the buffers that point to it are looked at as such no more.
        drop(unsafe { Box::from_raw(self.ends.as_ptr()) });
    }
}

/// The blocks of a ring, the first first.
pub struct Iter<'a> {
    first: *mut Links,
    last: *mut Links,
    left: usize,
    chain: PhantomData<&'a Chain>,
}

impl<'a> Iterator for Iter<'a> {
    type Item = &'a Block;

    fn next(&mut self) -> Option<&'a Block> {
        self.left = self.left.checked_sub(1)?;
        // SAFETY: so many blocks are left, and they live as long as the chain is borrowed.
        unsafe {
            let block = block_of(self.first);
            self.first = (*self.first).behind;
            Some(block)
        }
    }
}

impl DoubleEndedIterator for Iter<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        // SAFETY: as above.
        unsafe {
            let block = block_of(self.last);
            self.last = (*self.last).before;
            Some(block)
        }
    }
}

/// What is between the last and the first of a ring.
#[inline]
fn end_of(ends: NonNull<[Links; RINGS]>, ring: usize) -> *mut Links {
    ends.as_ptr().cast::<Links>().wrapping_add(ring % RINGS)
}

/// A byte of the hash that is not 0.
#[inline]
fn tag_of(hash: u64) -> u64 {
    (hash & 0xFF).max(1)
}

/// # Safety
/// The links are those of a block that is in the table of a chain, which is borrowed for `'a`.
#[inline]
unsafe fn block_of<'a>(links: *mut Links) -> &'a Block {
    // SAFETY: the caller's promise; a block begins with its links.
    unsafe { &*links.cast::<Block>() }
}

/// # Safety
/// `links` are not linked, and `place` is.
#[inline]
unsafe fn link_behind(links: *mut Links, place: *mut Links) {
    // SAFETY: the caller's promise; the neighbours of what is linked are linked blocks or the end.
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
    // SAFETY: the caller's promise: both neighbours are blocks or the end.
    unsafe {
        let Links { before, behind } = links.read();
        (*before).behind = behind;
        (*behind).before = before;
    }
}

#[cfg(test)]
mod tests;
