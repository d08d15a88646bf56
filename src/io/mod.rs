//! The only code that calls the kernel.
//!
//! A port to another platform is this folder: positioned reads and writes, syncing a file and a
//! directory, a lock that dies with the process, noticing a fork, and three clocks. Offsets and
//! lengths are 64 bits throughout.

pub mod files;
pub mod clock;
pub mod stopwatch;
pub mod memory;
#[cfg(any(test, all(feature = "reserve", not(debug_assertions))))]
pub mod reserve;
pub mod unshared;
pub mod fork;
pub mod failure;
pub mod retry;
pub mod limit;
pub mod calls;
pub mod lease;
pub mod space;
pub mod thread;
pub mod map;
pub mod handles;
pub mod disk;
pub mod made;
pub mod lock;
#[cfg(test)]
pub mod scratch;
#[cfg(test)]
pub mod sim;
