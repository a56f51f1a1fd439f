//! The machine of a backend, as the network sees it.

use super::SocketId;

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
    /// Thousandths of what goes to it and comes from it that are lost, and sent again.
    pub(crate) loss: usize,
    /// Long packets vanish.
    pub(crate) loses_large: bool,
    /// Every second connection is lost.
    pub(crate) loses_ways: bool,
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
            loss: 0,
            loses_large: false,
            loses_ways: false,
            waiting: Vec::new(),
        }
    }

    /// Whether somebody answers there.
    pub(crate) fn is_well(&self) -> bool {
        !self.swallows() && !self.refusing && !self.unreachable && !self.frozen
    }

    /// Whether a connect gets no answer of any kind.
    pub(super) fn swallows(&self) -> bool {
        self.lost_in || self.lost_out
    }

    /// Whether the queue of those to be accepted is full.
    pub(super) fn is_full(&self, backlog: usize) -> bool {
        self.waiting.len() >= backlog
    }
}
