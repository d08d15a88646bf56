//! The policies by name. A new one adds its name here.

use super::lru::Lru;
use super::policy::Policy;
use std::sync::Arc;

/// Which entry leaves hot first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Eviction {
    /// The least recently used.
    Lru,
}

impl Eviction {
    /// The policy of a new tier.
    pub(super) fn policy(self) -> Arc<dyn Policy> {
        match self {
            Self::Lru => Arc::new(Lru::new()),
        }
    }
}
