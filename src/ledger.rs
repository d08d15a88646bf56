//! The account of the memory that callers hold.

use crate::sync::{STRIPES, stripe};
use std::sync::atomic::{AtomicU64, Ordering};

/// The memory of the values that a store's callers hold and that hot does not have.
#[derive(Default)]
pub struct Ledger {
    stripes: [Stripe; STRIPES],
}

#[derive(Default)]
#[repr(align(64))]
struct Stripe(AtomicU64);

impl Ledger {
    /// Bytes that are held.
    pub fn bytes(&self) -> u64 {
        // What one thread adds another may take away, so only the sum means anything.
        let add = |sum: u64, stripe: &Stripe| sum.wrapping_add(stripe.0.load(Ordering::Relaxed));
        self.stripes.iter().fold(0, add)
    }

    /// Adds so many bytes, or takes them away.
    pub fn add(&self, bytes: u64, is_held: bool) {
        let change = if is_held { bytes } else { bytes.wrapping_neg() };
        self.stripes[stripe()].0.fetch_add(change, Ordering::Relaxed);
    }
}
