//! The policies by name. A new one adds its name here.

use super::budget::Usage;
use super::lru::Lru;
use super::policy::Policy;
use super::tinylfu::TinyLfu;
use std::sync::Arc;

/// Which entry leaves hot first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Eviction {
    /// The least recently used.
    Lru,
    /// The least frequently used of late, by a policy that adapts itself to the workload.
    TinyLfu,
}

impl Eviction {
    /// The policy of a new tier with these limits.
    pub(super) fn policy(self, limits: Usage) -> Arc<dyn Policy> {
        match self {
            Self::Lru => Arc::new(Lru::new()),
            Self::TinyLfu => Arc::new(TinyLfu::new(limits)),
        }
    }
}
