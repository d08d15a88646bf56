//! The standard library's times as the store's numbers, and back.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Whole milliseconds, rounded up: a short time must not become 0, which means never.
pub fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

/// A time to live in milliseconds: at least 1, for the reason above.
pub fn time_to_live(time: Duration) -> u64 {
    milliseconds(time).max(1)
}

/// The end that `ms` milliseconds since the epoch stand for; `None` for 0, which means never.
pub fn expiry(ms: u64) -> Option<SystemTime> {
    if ms == 0 { None } else { UNIX_EPOCH.checked_add(Duration::from_millis(ms)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_time_to_live_becomes_never() {
        assert_eq!(time_to_live(Duration::ZERO), 1);
        assert_eq!(time_to_live(Duration::from_nanos(1)), 1);
        assert_eq!(time_to_live(Duration::from_micros(1_001)), 2);
        assert_eq!(time_to_live(Duration::from_secs(3)), 3_000);
        assert_eq!(time_to_live(Duration::MAX), u64::MAX);
    }

    #[test]
    fn zero_is_no_expiry() {
        assert_eq!(expiry(0), None);
        assert_eq!(expiry(1_500), Some(UNIX_EPOCH + Duration::from_millis(1_500)));
        assert!(expiry(u64::MAX).is_some());
    }
}
