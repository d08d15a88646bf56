//! Recovery: from the files that an earlier process left to an index.

pub mod checkpoint;
pub mod gone;
pub mod walk;
pub mod unfinished;
pub mod merge;
pub mod recovery;
pub mod contents;
