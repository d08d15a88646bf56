//! The C boundary: the one exported function, the table of functions that it gives out, and the
//! table that it is given.
//!
//! # Safety
//! All `unsafe` here rests on the contract of `hotcold.h` and `hotcold_remote.h`: pointers are NULL
//! or what the comment says, for as long as it says.

#![expect(unsafe_code, reason = "the C ABI: pointers come from C")]

pub mod abi;
pub mod host;
pub mod table;
pub mod export;
