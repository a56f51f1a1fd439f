//! Do it: the only crate with sockets, a clock and threads.
//!
//! Nothing is decided here: what the bytes say, who gets them and who is well is the business of
//! the crates below. One thread per worker, each with its own poller, its own sockets and its own
//! [`Flow`](fairlead_flow::Flow); they share listening sockets, the snapshot in force, and
//! counters.
//!
//! | Where | What |
//! |---|---|
//! | `engine`, `publish`, `status`, `metrics` | the outside: configurations in, status and events out |
//! | `chaos` | faults played on purpose: what may be, and what came of it |
//! | `sampler` | a thread that reads the counters, so that there are rates, and the memory |
//! | `memory` | how much the process has, and whether that is all that it may have |
//! | `crew`, `mailbox`, `board`, `events` | between the outside's threads and the workers' |
//! | `log` | the access log's way out of the workers, and its writer |
//! | `policy` | between the workers and policies in Python |
//! | `worker`, `accept` | one worker's turn |
//! | `drive`, `connection`, `queue`, `connect` | one worker's sockets |
//! | `io` | whether their calls of the kernel are made one by one or many at once |
//! | `listen`, `inherited` | listening sockets, shared by all; those that this process was started with |
//! | `heed` | heeds signals while Python doesn't |
//! | `stand_in` | answers operators at the control socket, and probes, while Python doesn't |
//! | `thread` | a thread beside the workers: its name, its stack, its end |
//! | `watchdog` | tells a service manager that the workers are alive |
//! | `sys` | what the kernel offers, and all unsafe code |

// The tests of `drive` are built for each way of calling the kernel.
#![cfg_attr(test, allow(clippy::duplicate_mod, reason = "the same tests, for two drivers"))]

mod accept;
mod board;
mod chaos;
mod clock;
mod connect;
mod connection;
mod crew;
mod drive;
mod engine;
mod events;
mod guard;
mod heed;
mod inherited;
mod io;
mod listen;
mod log;
mod mailbox;
mod memory;
mod metrics;
mod policy;
mod publish;
mod queue;
mod sampler;
mod spare;
mod stand_in;
mod status;
mod sys;
mod thread;
mod watchdog;
mod worker;

pub use chaos::{ChaosRefused, ChaosWanted};
pub use engine::{file_limit, give_back_memory, Engine, Unknown};
pub use heed::Heed;
pub use io::Io;
pub use metrics::Dialect;
pub use policy::{Answer, Asked, Seat};
pub use publish::Problem;
pub use stand_in::{StandIn, Wished};
