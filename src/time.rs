//! Points in time as plain numbers; no clock here.

/// Wall-clock time, in milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(pub u64);

/// Time of the monotonic clock, in milliseconds since an arbitrary start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant(pub u64);

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

/// Where the time comes from: the system's clocks, or a test's.
pub trait Clock: Send + Sync {
    /// Wall-clock time; never runs back within one open store.
    fn wall(&self) -> Timestamp;

    /// Monotonic time.
    fn monotonic(&self) -> Instant;

    /// Monotonic time, up to some milliseconds late, for whoever asks at every call.
    fn coarse(&self) -> Instant;
}
