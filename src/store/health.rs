//! Whether a store takes writes.

use super::tiers::Tiers;
use crate::error::{Error, ErrorKind, Result};
use std::sync::atomic::{AtomicBool, Ordering};

/// Why a store refuses writes, if it does.
pub(super) struct Health {
    is_opened_read_only: bool,
    has_failed: AtomicBool,
}

impl Health {
    pub(super) fn new(read_only: bool) -> Self {
        Self { is_opened_read_only: read_only, has_failed: AtomicBool::new(false) }
    }

    /// After a panic nothing is written any more: nobody knows what was left half done.
    pub(super) fn fail(&self) {
        self.has_failed.store(true, Ordering::Release);
    }

    /// Refuses a write to a store that cannot take it.
    ///
    /// # Errors
    /// `Internal` after a panic, `ReadOnly` if the store was opened so.
    pub(super) fn check_writable(&self) -> Result<()> {
        if self.has_failed.load(Ordering::Acquire) {
            let sentence = "an earlier call met a defect of hotcold; reads go on, but nothing is \
                            written until the store is opened again";
            return Err(Error::new(ErrorKind::Internal, sentence));
        }
        if self.is_opened_read_only {
            let sentence = "the store was opened read-only; open it for writing";
            return Err(Error::new(ErrorKind::ReadOnly, sentence));
        }
        Ok(())
    }

    /// True if writes are refused, by the store or by its cold tier.
    pub(super) fn is_read_only(&self, tiers: &Tiers) -> bool {
        self.is_opened_read_only
            || self.has_failed.load(Ordering::Acquire)
            || tiers.cold().is_some_and(|cold| cold.check_writable().is_err())
    }
}
