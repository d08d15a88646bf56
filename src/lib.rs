//! hotcold: an embedded key-value store in two tiers, memory and disk.

#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
compile_error!("hotcold supports Linux on 64-bit machines; see design notes in ARCHITECTURE.md");

mod error;
mod limits;
mod time;
mod sync;
mod memory;
mod buffer;
mod chain;
mod key;
mod io;
mod codec;
mod hot;
mod cold;
pub mod store;
pub mod ffi;

pub use error::{Error, ErrorKind, Result};
