//! Stores over an engine that others use, too. `engine` is one in memory that is slow, fails, answers
//! unknown and is changed by others; each other file has promises.

mod engine;
mod coherence;
mod outcomes;
mod locks;
mod calls;
