//! The table of C functions against real servers, which `remote/test` starts and names in the
//! environment.

#![expect(unsafe_code, reason = "the tests are the core's side of the C boundary")]
#![expect(
    clippy::undocumented_unsafe_blocks,
    reason = "all of it rests on the one contract: what is lent is lent for the call"
)]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests may fail")]

mod core;
mod engines;
mod conform;
mod watching;
mod outages;
mod bad_buckets;
mod cut;
