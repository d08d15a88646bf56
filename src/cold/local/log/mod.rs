//! The log: appending records, and making them survive.

pub mod poison;
pub mod sequences;
pub mod reserve;
pub mod draft;
pub mod stage;
pub mod unsynced;
pub mod syncer;
pub mod tail;
pub mod log;
