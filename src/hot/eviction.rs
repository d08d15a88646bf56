//! How a policy joins: one row of the table in `mod.rs`, beside the policy's own file.
//!
//! A row has the name of the file, that of the [`Policy`](super::policy::Policy) in it, and what it
//! does. It declares the module and a variant of `Eviction`. The name of the file is also the word
//! that chooses the policy, as the option `eviction` takes it. The policy has a
//! `new(limits: Usage)`, which makes the half of a new tier with these limits that sees all shards.
//!
//! `cargo fmt` does not see a module that a macro declares, so `scripts/test` names these files to it.

/// Declares the policies of hot.
macro_rules! policies {
    ($($file:ident: $policy:ident, $what:literal;)+) => {
        $(mod $file;)+

        /// Which entry leaves hot first.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Eviction {
            $(#[doc = $what] $policy,)+
        }

        impl Eviction {
            /// Every policy, with the word that chooses it.
            pub const ALL: &[(&str, Self)] = &[$((stringify!($file), Self::$policy)),+];

            /// The policy of a new tier with these limits.
            fn policy(self, limits: budget::Usage) -> std::sync::Arc<dyn policy::Policy> {
                match self {
                    $(Self::$policy => std::sync::Arc::new($file::$policy::new(limits)),)+
                }
            }
        }
    };
}

pub(super) use policies;
