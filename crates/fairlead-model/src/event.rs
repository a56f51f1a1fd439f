//! What happened, for whoever wants to know: log, API, dashboard.

use serde::Serialize;

use crate::health::Health;

/// Something worth telling a person. The engine adds the wall-clock time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A backend's health changed.
    Health {
        /// The pool.
        pool: String,
        /// The backend's address as configured.
        backend: String,
        /// Before.
        from: Health,
        /// After.
        to: Health,
        /// The evidence.
        why: String,
    },
    /// An operator's wish or weight took effect.
    Wish {
        /// The pool.
        pool: String,
        /// The backend's address as configured.
        backend: String,
        /// What changed: `state enabled -> draining`, `weight 1 -> 3`.
        what: String,
    },
    /// A policy in Python did not do its part, or does it again.
    Policy {
        /// The pool.
        pool: String,
        /// The policy, as configured.
        policy: String,
        /// What happened.
        what: String,
    },
    /// Faults are played at a backend on purpose, or are no more.
    Chaos {
        /// The pool.
        pool: String,
        /// The backend's address as configured.
        backend: String,
        /// What: `freeze of 10 % for 30 s begins`, `freeze of 10 % ended`.
        what: String,
    },
    /// A new configuration is in force.
    Applied {
        /// How many listeners it has.
        listeners: usize,
        /// How many pools it has.
        pools: usize,
        /// How many backends it has.
        backends: usize,
    },
    /// New connections can't be accepted (out of descriptors), or can be again.
    Accepting {
        /// The listener.
        listener: String,
        /// False when accepting paused.
        accepting: bool,
        /// Why.
        why: String,
    },
    /// Clients are turned away because a limit of connections is reached, or there is room again.
    Full {
        /// The listener.
        listener: String,
        /// False when there is room again.
        full: bool,
        /// Which limit.
        why: String,
    },
    /// The process has as much memory as it may have, or less again.
    Memory {
        /// False when there is enough again.
        full: bool,
        /// How much it has, and may have.
        why: String,
    },
    /// Requests or connections of a pool wait for a backend (`retry.hold`), or none do any more.
    Holding {
        /// The pool.
        pool: String,
        /// False when nobody waits any more.
        holding: bool,
        /// Why they wait; what became of them.
        why: String,
    },
    /// Lines of the access log were lost, or it couldn't be opened again.
    AccessLog {
        /// How many lines, since this was last told.
        lost: u64,
        /// Why.
        why: String,
    },
    /// A panic was caught. It cost one connection.
    Panic {
        /// Which worker.
        worker: usize,
        /// The panic's message.
        what: String,
    },
}
