//! The store: both tiers, behind one handle.

pub mod options;
pub mod histogram;
pub mod stats;
pub mod events;
pub mod queue;
