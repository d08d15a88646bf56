//! The cold tier: what is kept. Its one kind is a directory on this machine ([`local`]).

pub mod local;

pub use self::local::{
    Change, Cold, ColdOptions, Compression, Current, Departed, Departure, Found, Held, Host,
    Location, Rewritten, Want, check_contents, check_empty,
};
