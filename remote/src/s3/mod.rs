//! An S3 bucket as the cold tier.
//!
//! | file | idea |
//! | --- | --- |
//! | `names` | names of objects; keys as names |
//! | `credentials` | whose requests they are |
//! | `http` | one request, and what became of it |
//! | `bucket` | requests again, and what answers mean |
//! | `number` | a number in an object: compare and store |
//! | `probe` | whether conditions hold when they race |
//! | `tags` | the ETag of a version |
//! | `shared` | what calls and thread share: epoch, records |
//! | `reap` | what has expired or was cleared |
//! | `reaper` | the thread |
//! | `store` | the engine |

pub mod names;
pub mod credentials;
pub mod http;
pub mod bucket;
pub mod number;
pub mod probe;
pub mod tags;
pub mod shared;
pub mod reap;
pub mod reaper;
pub mod store;
