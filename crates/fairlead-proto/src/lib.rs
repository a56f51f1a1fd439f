//! What do the bytes say? HTTP/1.1 as bytes, for an intermediary; and the PROXY protocol before it.
//!
//! Heads are parsed into ranges over the caller's bytes, never into objects of their own, and
//! written anew by copying the runs between the lines that don't go on. Bodies are counted, or
//! walked chunk by chunk, and go on as they are where they are in plain form.
//!
//! **Canonical or not at all.** A line goes on verbatim only after each byte of it was checked
//! against the grammar, so that no other parser can read it otherwise. What two parsers could read
//! in two ways is refused ([`http1::strict`] has the list, with the place in the RFCs).
//!
//! Absent on purpose: sockets, clocks, randomness, logging, pools, retries, status codes of our
//! own. Whoever calls owns the bytes, and decides what a [`Refusal`] is answered with.

#![forbid(unsafe_code)]

pub mod forwarded;
pub mod hop;
pub mod http1;
pub mod proxy;
pub mod refusal;
pub mod upgrade;

pub use refusal::{Refusal, RefusalKind};
