//! One end of a connection.

use std::time::Duration;

use fairlead_flow::{IoFailure, ListenerId};
use fairlead_model::moment::Moment;

use super::ack::Acks;
use super::pipe::Pipe;
use super::Place;

/// Which socket. Numbers are never used twice in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SocketId(pub(crate) u32);

impl SocketId {
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// Whose socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    /// A worker of the balancer.
    Worker(usize),
    /// A client.
    Client(usize),
    /// A backend.
    Backend(usize),
}

/// Where a socket stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// No answer to its SYN yet.
    Connecting,
    /// In use.
    Open,
    /// Closed by its owner; what is queued is still being sent, what comes is dropped.
    Closing,
    /// Closed. What was handed over is still on its way; what comes is answered by a reset.
    Closed,
}

/// What travels.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Segment {
    /// Bytes.
    Data(Vec<u8>),
    /// The sender has finished.
    Fin,
    /// The connection is gone.
    Reset,
}

/// One end of a connection.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(crate) owner: Owner,
    pub(crate) peer: Option<SocketId>,
    /// The host at the other end, or under this one, if it is a backend's.
    pub(crate) host: Option<usize>,
    /// Which listener accepted it.
    pub(crate) listener: Option<ListenerId>,
    pub(super) to: Option<Place>,
    pub(crate) phase: Phase,
    /// One way.
    pub(super) delay: Duration,
    /// What has arrived and was not read.
    pub(crate) inbox: Pipe,
    /// Bytes on their way here.
    pub(super) coming: usize,
    pub(super) capacity: usize,
    pub(super) last_arrival: Moment,
    /// What is on its way here and was swallowed.
    pub(super) held: Vec<Segment>,
    /// How often that was sent again.
    pub(super) holds: u64,
    /// What comes is read as it came, never in parts.
    pub(crate) joined: bool,
    pub(crate) fin_came: bool,
    pub(crate) failure: Option<IoFailure>,
    /// What is to be sent and found no room yet.
    pub(crate) queue: Pipe,
    pub(super) finishing: bool,
    pub(super) fin_sent: bool,
    pub(super) reset_sent: bool,
    /// What of its own was acknowledged; kept by workers' sockets alone.
    pub(super) acks: Acks,
    pub(super) look_due: bool,
    pub(super) room_due: bool,
}

impl Socket {
    pub(super) fn new(owner: Owner, peer: Option<SocketId>, capacity: usize) -> Self {
        Socket {
            owner,
            peer,
            host: None,
            listener: None,
            to: None,
            phase: Phase::Open,
            delay: Duration::ZERO,
            inbox: Pipe::default(),
            coming: 0,
            capacity,
            last_arrival: Moment::ZERO,
            held: Vec::new(),
            holds: 0,
            joined: false,
            fin_came: false,
            failure: None,
            queue: Pipe::default(),
            finishing: false,
            fin_sent: false,
            reset_sent: false,
            acks: Acks::default(),
            look_due: false,
            room_due: false,
        }
    }

    /// Bytes that may still be sent here.
    pub(super) fn room(&self) -> usize {
        self.capacity.saturating_sub(self.inbox.len() + self.coming)
    }

    /// Whether its owner's bytes go anywhere now.
    pub(super) fn can_send(&self) -> bool {
        self.phase != Phase::Connecting && self.failure.is_none() && !self.reset_sent
    }

    /// Whether the other end has said all it has to say, and it was read.
    pub(crate) fn is_at_end(&self) -> bool {
        self.fin_came && self.inbox.is_empty()
    }

    /// Whether nothing at all has arrived.
    pub(crate) fn is_quiet(&self) -> bool {
        self.inbox.is_empty() && !self.fin_came && self.failure.is_none()
    }
}
