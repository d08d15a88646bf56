//! The only code that touches the operating system.

pub mod files;
pub mod clock;
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
