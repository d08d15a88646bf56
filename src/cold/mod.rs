//! The cold tier: what is kept. [`ColdTier`] is what the store needs of one; its one kind so far is a
//! directory on this machine ([`local`]).

pub mod change;
pub mod record;
pub mod host;
pub mod tier;
pub mod local;

#[cfg(test)]
pub mod tests;

pub use self::change::{Change, Current};
pub use self::host::{Departed, Departure, Host, Rewritten, Want};
pub use self::local::{Compression, Exposed, Local, LocalOptions};
pub use self::record::{Page, Place, Position, Record};
pub use self::tier::ColdTier;
