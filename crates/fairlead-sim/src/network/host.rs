//! The machine of a back end, as the network sees it.

use super::SocketId;

/// Connections that wait to be accepted before SYNs are dropped. Small, so that it is reached.
const BACKLOG: usize = 8;

/// What is wrong with a host, if anything.
#[derive(Debug)]
pub(crate) struct Host {
    /// Nothing reaches it.
    pub(crate) lost_in: bool,
    /// Nothing of it reaches anybody.
    pub(crate) lost_out: bool,
    /// Nobody listens there.
    pub(crate) refusing: bool,
    /// A router says that there is no way.
    pub(crate) unreachable: bool,
    /// The process doesn't run; its kernel does.
    pub(crate) frozen: bool,
    /// Connected, and not accepted yet.
    pub(crate) waiting: Vec<SocketId>,
}

impl Host {
    pub(super) fn new() -> Self {
        Host {
            lost_in: false,
            lost_out: false,
            refusing: false,
            unreachable: false,
            frozen: false,
            waiting: Vec::new(),
        }
    }

    /// Whether a connect gets no answer of any kind.
    pub(super) fn swallows(&self) -> bool {
        self.lost_in || self.lost_out
    }

    /// Whether the queue of those to be accepted is full.
    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() >= BACKLOG
    }
}
