//! One suite of promises for every cold tier: the local directory, a map in memory, and what is shared
//! through an engine.
//!
//! `bench` opens tiers, `caller` uses one as the store does, `conformance` and `random` have the
//! promises, `faulty` breaks them on purpose.

mod bench;
mod caller;
mod conformance;
mod faulty;
pub mod map;
mod random;
pub mod remote;
mod shared;
