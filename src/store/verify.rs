//! Verifying what cold has, and sending events for what is damaged.

use super::events::EventKind;
use super::read::Reader;
use super::value::Answer;
use crate::error::{Error, Result};

impl Reader<'_> {
    /// Reads every record on disk, and asks for those that should be there; returns how many there
    /// are, and how many are damaged or missing. The tier's findings are told to subscribers, and so
    /// is each such record whose key is known; the answer tells the first finding and how many more
    /// there are.
    ///
    /// # Errors
    /// `Io`, `OutOfMemory`.
    pub fn verify(&self) -> Result<Answer<(u64, u64)>> {
        let Some(cold) = self.tiers.cold() else { return Ok(Answer::of((0, 0))) };
        // This tells all that it would have told.
        drop(cold.take_findings());
        let verified = cold.verify(&mut |key, error| self.reporting.tell_error(error, key))?;
        verified.findings.iter().for_each(|finding| self.reporting.tell_error(finding, &[]));
        let others = verified.findings.len().saturating_sub(1);
        let survived = verified.findings.into_iter().next().map(|first| match others {
            0 => first,
            _ => Error::new(first.kind(), format!("{}; {others} more files too", first.message())),
        });
        Ok(Answer { value: (verified.records, verified.damaged), survived })
    }

    /// Tells subscribers what was damaged when the store was opened, once there is one.
    pub(super) fn tell_findings(&self) {
        let Some(cold) =
            self.tiers.cold().filter(|_| self.reporting.events().wants(EventKind::Error))
        else {
            return;
        };
        cold.take_findings().iter().for_each(|finding| self.reporting.tell_error(finding, &[]));
    }
}
