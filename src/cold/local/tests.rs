//! The cold tier over a disk that is stopped, crashed, filled and damaged.
//!
//! `harness` writes to a tier as the store does and has the model; each other file has promises.

mod chain;
pub mod collide;
mod damage;
mod files;
mod full;
mod kill;
mod loss;
mod power;
mod scarce;
pub mod script;
mod stories;
mod thin;
mod threads;
mod time;
mod wanted;
pub mod harness;
