//! A Redis server or cluster as the cold tier.
//!
//! | file | idea |
//! | --- | --- |
//! | `resp` | the protocol |
//! | `link` | one connection |
//! | `server` | its idle connections |
//! | `names` | names and slots |
//! | `owners` | who has which slot |
//! | `cluster` | a request finds its way |
//! | `scripts` | what is decided at the node |
//! | `epoch` | clear |
//! | `store` | the engine |
//! | `list` | pages of keys |
//! | `own` | which changes are ours |
//! | `watch` | one server tells of changes |
//! | `sweep` | what a clear has left |
//! | `keeper` | the threads |

pub mod resp;
pub mod link;
pub mod server;
pub mod names;
pub mod owners;
pub mod cluster;
pub mod scripts;
pub mod epoch;
pub mod own;
pub mod shared;
pub mod list;
pub mod watch;
pub mod sweep;
pub mod keeper;
pub mod store;
