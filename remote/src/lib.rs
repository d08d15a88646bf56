//! hotcold-remote: Redis servers and clusters, and S3 buckets, as the cold tier of hotcold.
//!
//! It makes the table of C functions that `hotcold_open_backend` takes. It knows nothing of the
//! core: what it needs of it, it is given as another table.
//!
//! | file | idea |
//! | --- | --- |
//! | `fault` | the one error type |
//! | `call` | one call's deadline and tries |
//! | `clock`, `quiet` | the time of day; panics |
//! | `address`, `settings` | the path and the options |
//! | `tls` | whom TLS trusts |
//! | `engine` | what an engine does |
//! | `envelope` | what stands in front of a record |
//! | `redis`, `s3` | the engines |
//! | `open` | an engine from a path |
//! | `ffi` | the table of C functions |

#![warn(clippy::missing_docs_in_private_items)]

#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
compile_error!("hotcold supports Linux on 64-bit machines");

pub mod fault;
pub mod call;
pub mod clock;
pub mod quiet;
pub mod address;
pub mod settings;
pub mod tls;
pub mod engine;
pub mod envelope;
pub mod redis;
pub mod s3;
pub mod open;
pub mod ffi;
