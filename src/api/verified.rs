//! What a verify found.

use crate::error::Error;

/// What [`Store::verify`](crate::Store::verify) found in the cold tier.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Verified {
    /// Records that it read or asked for.
    pub records: u64,
    /// Those of them that are damaged or missing. Other keys stay readable.
    pub damaged: u64,
    /// The first file with such records, in words; `None` if all is well. Events of the kind
    /// [`EventKind::Error`](crate::EventKind) tell of the others.
    pub finding: Option<Error>,
}
