//! One suite of promises for every cold tier: the local directory, and a map in memory.
//!
//! `bench` opens tiers, `caller` uses one as the store does, `conformance` and `random` have the
//! promises, `faulty` breaks them on purpose.

mod bench;
mod caller;
mod conformance;
mod faulty;
pub mod map;
mod random;
