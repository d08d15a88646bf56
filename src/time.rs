//! Points in time as plain numbers, and where a store's time starts; no clock here.
//!
//! A store expires by wall time. Residency, waits and intervals go by the monotonic clock. A store
//! has a wall time of its own, which neither runs back nor stands still (`io/clock.rs`).
//!
//! # Across opens
//! A store's time starts no earlier than the newest time in its files, nor than the system clock
//! ([`Written::start`]). A time beyond the year 3000 is not believed, of a file or of the clock.
//! The manifest also says how far the store was ahead of the system clock, its *lead*. While that
//! clock is behind the newest time, it still tells how long the store was closed, and the lead
//! stays. Once it has caught up it is taken for right, and the lead is over. Neither can be told if
//! the lead makes the store seem closed for a year or more: then the clock had been wrong, as one
//! that starts in 1970 is, and the store goes on from the newest time.
//!
//! | the clock, while the store is | then | what is lost |
//! | --- | --- | --- |
//! | open: back by an hour, or before 1970 | Time goes on by elapsed time. | nothing |
//! | open: at 2100 for a moment | Time goes on from 2100; the manifest has a lead of 74 years. | what was to expire before 2100 |
//! | closed ten days with such a lead | It starts ten days later. | nothing |
//! | closed under a clock that was back, opened under the right one | The clock has caught up; the lead is over. | nothing |
//! | closed for longer than the lead, the clock always right since | The clock has caught up; the lead is over. | at most the lead: what was stored under it expires so much later |
//! | closed: back | It starts where it stood, and goes on. | the time while it was closed |

/// The latest time that is believed of a clock or a file, in milliseconds since the epoch: the year
/// 3000. Linux's own clock ends in 2262, so a store that was misled by it can go on for centuries
/// and is still believed; what lies beyond no clock has given.
pub const LATEST_MS: u64 = 32_503_680_000_000;

/// Two times closer than this are taken for the same: so far clocks differ that nobody has set.
pub const SAME_MS: u64 = 1_000;

/// A store that was closed for longer, as it seems, was not: its clock had been wrong. A year.
const CLOSED_MS_MAX: u64 = 366 * 86_400_000;

/// Wall-clock time, in milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(pub u64);

/// Time of the monotonic clock, in milliseconds since an arbitrary start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant(pub u64);

/// What a store's clock says at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The store's wall time.
    pub wall: Timestamp,
    /// How far that is ahead of the system clock, in ms; 0 unless that was set back.
    pub lead_ms: u64,
    /// How far it is ahead of a clock that nobody can set, in milliseconds: this grows when the
    /// system's wall clock is set forward.
    pub offset_ms: i64,
}

impl Moment {
    /// The system clock; 0 before 1970.
    pub fn system(&self) -> Timestamp {
        Timestamp(self.wall.0.saturating_sub(self.lead_ms))
    }
}

/// What the files of a store say of time, as far as it can be believed.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct Written {
    newest_ms: u64,
    lead_ms: u64,
}

impl Written {
    /// Takes note of a time that was written.
    pub fn note(&mut self, time_ms: u64) {
        if time_ms <= LATEST_MS {
            self.newest_ms = self.newest_ms.max(time_ms);
        }
    }

    /// Takes note of a time, and of how far it was ahead of the system clock when it was written.
    pub fn note_lead(&mut self, time_ms: u64, lead_ms: u64) {
        self.note(time_ms);
        self.lead_ms = lead_ms;
    }

    /// Where the store's time starts when the system clock says `system`: no earlier than the
    /// newest time that was written, and no earlier than that clock. As long as that is behind it
    /// tells at least how long the store was closed, and the lead stays. Once it has caught up it
    /// is right again, and the lead is over.
    pub fn start(&self, system: Timestamp) -> Timestamp {
        let newest = self.newest_ms;
        let is_behind = system.0.saturating_add(SAME_MS) < newest;
        let led = system.0.saturating_add(self.lead_ms);
        let start = if is_behind && led <= newest + CLOSED_MS_MAX { led } else { system.0 };
        Timestamp(start.max(newest))
    }
}

/// When an entry ends: a timestamp, or never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expiry(u64);

impl Expiry {
    /// The entry does not expire.
    pub const NEVER: Self = Self(0);

    /// The expiry as records and callers have it: milliseconds since the epoch, 0 for never.
    pub fn from_ms(ms: u64) -> Self {
        Self(ms)
    }

    /// The expiry of an entry stored at `now` with `ttl_ms` to live. A `ttl_ms` of 0 is never, and
    /// a sum beyond what 64 bits hold saturates at never.
    pub fn after(now: Timestamp, ttl_ms: u64) -> Self {
        if ttl_ms == 0 {
            return Self::NEVER;
        }
        Self(now.0.checked_add(ttl_ms).unwrap_or(0))
    }

    /// Milliseconds since the epoch; 0 for never.
    pub fn ms(self) -> u64 {
        self.0
    }

    /// True if the entry can expire at all: only then has the clock to be asked.
    pub fn is_some(self) -> bool {
        self.0 != 0
    }

    /// True if the entry has ended at `now`.
    pub fn has_passed(self, now: Timestamp) -> bool {
        self.0 != 0 && self.0 <= now.0
    }
}

/// Where the time comes from: the system clocks, or a test's.
pub trait Clock: Send + Sync {
    /// The store's wall time, and how it stands to the system clocks.
    fn moment(&self) -> Moment;

    /// The store's wall time: it neither runs back nor stands still, however the system clock is
    /// set.
    fn wall(&self) -> Timestamp {
        self.moment().wall
    }

    /// Lets wall time go on from `start` at the least. From any thread.
    fn raise(&self, start: Timestamp);

    /// Monotonic time.
    fn monotonic(&self) -> Instant;

    /// Monotonic time, up to some milliseconds late, for whoever asks at every call.
    fn coarse(&self) -> Instant;
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400_000;
    const NOW: u64 = 1_790_000_000_000;
    const FAR: u64 = NOW + 74 * 365 * DAY;

    fn start(time_ms: u64, lead_ms: u64, system: u64) -> u64 {
        let mut written = Written::default();
        written.note_lead(time_ms, lead_ms);
        written.start(Timestamp(system)).0
    }

    #[test]
    fn time_starts_at_the_systems_clock_but_not_before_what_was_written() {
        assert_eq!(Written::default().start(Timestamp(NOW)), Timestamp(NOW));
        assert_eq!(start(NOW, 0, NOW + DAY), NOW + DAY);
        assert_eq!(start(NOW, 0, NOW - DAY), NOW);
        assert_eq!(start(FAR, 0, NOW), FAR);
        let mut written = Written::default();
        [NOW, NOW + 5, NOW + 3].into_iter().for_each(|ms| written.note(ms));
        assert_eq!(written.start(Timestamp(NOW)), Timestamp(NOW + 5));
    }

    #[test]
    fn the_time_while_closed_counts_though_the_store_is_ahead_of_the_clock() {
        for days in [0, 10, 300] {
            assert_eq!(start(FAR, FAR - NOW, NOW + days * DAY), FAR + days * DAY);
        }
        // A checkpoint was written a second after the lead.
        let mut written = Written::default();
        written.note_lead(FAR, FAR - NOW);
        written.note(FAR + 1_000);
        assert_eq!(written.start(Timestamp(NOW)), Timestamp(FAR + 1_000));
        assert_eq!(written.start(Timestamp(NOW + DAY)), Timestamp(FAR + DAY));
    }

    #[test]
    fn a_clock_that_was_behind_and_is_right_again_ends_nothing_early() {
        // It was 1960, or an hour back, when the store was closed.
        assert_eq!(start(NOW, NOW, NOW + 5), NOW + 5);
        assert_eq!(start(NOW, 3_600_000, NOW + 5), NOW + 5);
        assert_eq!(start(NOW, 3_600_000, NOW - 5), NOW);
        // It was 1970, and is now almost right: nobody closes a store for half a century.
        assert_eq!(start(NOW, NOW - 5_000, NOW - DAY), NOW);
    }

    #[test]
    fn what_no_clock_has_given_is_not_believed() {
        for time in [u64::MAX, 1 << 63, 1 << 62, LATEST_MS + 1] {
            assert_eq!(start(time, 0, NOW), NOW);
            assert_eq!(start(time, time, NOW), NOW);
            assert_eq!(start(NOW + DAY, time, NOW), NOW + DAY);
            let mut written = Written::default();
            written.note(time);
            assert_eq!(written, Written::default());
        }
        assert_eq!(start(LATEST_MS, LATEST_MS, u64::MAX), u64::MAX);
        assert_eq!(start(LATEST_MS, 0, NOW), LATEST_MS);
    }

    #[test]
    fn an_expiry_saturates_at_never() {
        assert_eq!(Expiry::after(Timestamp(NOW), 0), Expiry::NEVER);
        assert_eq!(Expiry::after(Timestamp(NOW), 7).ms(), NOW + 7);
        assert_eq!(Expiry::after(Timestamp(NOW), u64::MAX), Expiry::NEVER);
        assert_eq!(Expiry::after(Timestamp(NOW), u64::MAX - NOW + 1), Expiry::NEVER);
        let last = Expiry::after(Timestamp(NOW), u64::MAX - NOW);
        assert!(last.is_some() && !last.has_passed(Timestamp(LATEST_MS)));
    }
}
