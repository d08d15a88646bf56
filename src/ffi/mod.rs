//! The C ABI: every function and type of `include/hotcold.h`, which is generated from this folder.
//!
//! It knows C and the store, and nothing below the store. Types bear the names that C sees, so that
//! a word of the header is found here by searching for it; the doc comments are the header's.
//!
//! What holds for every function is said once in the header's preface (`cbindgen.toml`), and kept
//! here by few places:
//!
//! | promise | kept by |
//! | --- | --- |
//! | no panic crosses the boundary, nothing is printed | `fence` |
//! | a status is returned, `error` is written on every return | `boundary` |
//! | NULL, lengths and flags are checked before memory is touched | `memory` |
//! | use after close, on any thread, is `MISUSE` | `registry`, `lifecycle` |
//! | a value stays valid until it is released, after close too | `value` |
//!
//! # Safety
//! All `unsafe` here rests on the caller keeping the header's contract: pointers are NULL or what
//! the function's comment says, for as long as it says. A store handle alone may be anything.

#![expect(unsafe_code, reason = "the C ABI: pointers come from C")]
#![warn(clippy::missing_docs_in_private_items)]
#![expect(non_camel_case_types, reason = "types bear the names that C sees")]

pub mod status;
mod fence;
mod boundary;
mod memory;
mod registry;
pub mod version;
pub mod options;
mod user_data;
pub mod handover;
pub mod watching;
pub mod backend;
mod engine;
mod remote;
pub mod lifecycle;
pub mod value;
pub mod entries;
pub mod stats;
pub mod variants;
pub mod load;
pub mod batch;
pub mod many;
pub mod cursor;
pub mod tiers;
pub mod events;
pub mod queue;
pub mod admin;
pub mod open_backend;

#[cfg(test)]
mod tests;
