//! What the repository promises about itself, and what the public interface does: one program, so
//! that it is linked once.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its files has failed")]

mod tree;
mod tidy;
mod header;
mod scan;
mod golden;
mod api;
