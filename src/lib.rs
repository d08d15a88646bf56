//! hotcold: an embedded key-value store in two tiers, memory and disk.
//!
//! Keys and values are byte strings. The hot tier is memory, with a bound. The cold tier is a
//! directory, checksummed and compressed. A store writes to both. A retrieve looks in the hot tier,
//! then in the cold one, and promotes to the hot tier what it finds there. The least recently used
//! entries leave the hot tier, and their values stay in the cold one.
//!
//! ```
//! use hotcold::{Options, Store};
//!
//! # fn main() -> hotcold::Result<()> {
//! # let directory = std::env::temp_dir().join(format!("hotcold-doc-{}", std::process::id()));
//! let store = Store::open(&directory, Options::new().hot_capacity(64 << 20))?;
//! store.store("greeting", "hello, world")?;
//! if let Some(value) = store.retrieve("greeting")? {
//!     println!("{} bytes from the {:?} tier", value.len(), value.tier());
//! }
//! store.close()?;
//! # std::fs::remove_dir_all(&directory).unwrap();
//! # Ok(())
//! # }
//! ```
//!
//! [`Store`] has all calls, [`Options`] what can be chosen at its opening. The README says what is
//! promised: meaning, durability, limits. C programs use the same library through
//! `include/hotcold.h`.
//!
//! # The feature `reserve`, and programs with an allocator of their own
//!
//! A release build of this crate has a `#[global_allocator]`: the system's allocator, and behind it
//! a reserve of 1.9 MiB from which small pieces of memory come when the kernel has none. So a call
//! ends with [`ErrorKind::OutOfMemory`] where Rust's collections would end the process. A Rust
//! program can have only one such allocator. If yours has one (jemalloc, mimalloc), rustc says that
//! they conflict, and only in a release build. Leave the feature out then:
//!
//! ```toml
//! [dependencies]
//! hotcold = { version = "0.1", default-features = false }
//! ```
//!
//! All else stays the same; large allocations, whose size comes from a caller or the disk, are
//! errors without the reserve, too. A library that depends on hotcold should leave the feature out,
//! so that the program decides.

#![deny(missing_docs)]

#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
compile_error!("hotcold supports Linux on 64-bit machines; see design notes in ARCHITECTURE.md");

mod error;
mod limits;
mod time;
mod sync;
mod seats;
mod memory;
mod ledger;
mod label;
mod buffer;
mod chain;
mod key;
mod io;
mod codec;
mod hot;
mod cold;
mod store;
mod api;
mod ffi;

pub use api::{
    Batch, ColdStats, Compression, Cursor, Durability, Event, EventKind, EventKinds, EventQueue,
    Eviction, Exposed, HotStats, Loaded, MemoryStats, OperationStats, Options, Policy, RemoteStats,
    RetrieveOptions, Snapshot, StatsFormat, Store, StoreOptions, Stored, SubscriptionId, Tier,
    TierStats, Value, Verified, WriteMode,
};
pub use error::{Error, ErrorKind, Result};
