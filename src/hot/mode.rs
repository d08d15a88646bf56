//! How the frequency policy divides a tier: the window's share of it, and what the window asks of a
//! newcomer. No division is right for all workloads, so the policy has a few, and changes between them.

use super::budget::Usage;

/// One division of the tier between the window and main.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mode {
    /// The window's share of the tier, in thousandths.
    window_share: u64,
    /// A newcomer has to be used this much more often than the one that would leave for it. The use
    /// that brought it counts for the newcomer alone; with 1 that use decides nothing.
    pub(super) margin: u8,
    /// An entry that left a short time ago comes back into main, without a contest.
    pub(super) recalls: bool,
    /// What comes from cold is judged before it enters.
    pub(super) has_door: bool,
}

/// How many divisions there are.
pub(super) const MODE_COUNT: usize = 5;

/// The divisions, from the one that holds most to what was used often to those that follow what was
/// used last. The first is where a tier begins. Chosen by replaying traces (`benches/run hit-ratio`).
pub(super) const MODES: [Mode; MODE_COUNT] = [
    Mode { window_share: 10, margin: 1, recalls: false, has_door: true },
    Mode { window_share: 100, margin: 1, recalls: false, has_door: false },
    Mode { window_share: 400, margin: 0, recalls: false, has_door: false },
    Mode { window_share: 950, margin: 0, recalls: false, has_door: false },
    Mode { window_share: 100, margin: 0, recalls: true, has_door: false },
];

impl Mode {
    /// The most that the window may have; one entry at least.
    pub(super) fn window(&self, limits: Usage) -> Usage {
        let part =
            |whole: u64| whole / 1000 * self.window_share + whole % 1000 * self.window_share / 1000;
        Usage { bytes: part(limits.bytes), entries: part(limits.entries).max(1) }
    }

    /// The most that main may have without taking from the window.
    pub(super) fn main(&self, limits: Usage) -> Usage {
        limits.beyond(self.window(limits))
    }
}
