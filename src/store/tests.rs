//! The whole store, both tiers, on a simulated disk and clock: killed, cut off from power, and with
//! every operation of the disk failing in turn.
//!
//! `sim` has the store, `script` what is done to it, `oracle` what must be found after each step and
//! after the end; each other file has promises. `others` has the store over a tier that is slow, fails,
//! does not know, and is changed by others.

mod crash;
mod faults;
mod oracle;
mod others;
mod script;
mod shared;
mod sim;
mod threads;
