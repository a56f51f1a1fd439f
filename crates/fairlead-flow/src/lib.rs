//! What happens next? The machines that join bytes and decisions.
//!
//! A [`Flow`] is everything that one worker does, without a socket, a clock or a thread: it is
//! told what happened (`handle_*`) and asks a [`driver::Driver`] for what it wants. The engine
//! drives it with real sockets, the simulator with a virtual network.
//!
//! Absent on purpose: I/O, time, threads, randomness of its own.

#![forbid(unsafe_code)]

mod answers;
mod arrival;
pub mod ask;
mod chaos;
mod context;
mod date;
pub mod driver;
mod flow;
mod hash_key;
mod hold;
mod hosts;
mod http;
mod idle;
mod lag;
mod link;
mod listener;
mod local;
mod log;
mod path;
mod places;
mod probe;
mod route;
mod seek;
mod shortage;
pub mod slab;
mod snapshot;
mod tcp;
mod unread;
mod wheel;

pub use ask::{Question, Ticket, Verdict};
pub use chaos::{ChaosRun, Played};
pub use driver::{ConnId, Driver, IoFailure, ListenerId, Outgoing, PathState, Peer, Sent};
pub use flow::Flow;
pub use listener::{ListenerState, ListenerStats};
pub use snapshot::Snapshot;
