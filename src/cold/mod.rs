//! The cold tier: what is kept. [`ColdTier`] is what the store needs of one. There are two kinds: a
//! directory on this machine ([`local`]), and what an engine keeps for many machines ([`shared`]).

pub mod change;
pub mod record;
pub mod host;
pub mod sharing;
pub mod tier;
pub mod local;
pub mod shared;

#[cfg(test)]
pub mod tests;

pub use self::change::{Change, Current, Prepared};
pub use self::host::{Host, Removal, RemovalCause, Rewritten, Want};
pub use self::local::{Compression, Exposed, Local, LocalOptions};
pub use self::record::{Page, Place, Position, Record};
pub use self::shared::{
    Capabilities, Changed, Engine, Fetched, Listed, Put, Shared, SharedOptions, Watcher,
};
pub use self::sharing::{Hears, Reread, Sharing};
pub use self::tier::{ColdTier, RemoteStats};
