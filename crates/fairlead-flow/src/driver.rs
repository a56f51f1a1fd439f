//! What the machines ask of whoever does the work.
//!
//! The machines own no socket. They are told what happened (the `handle_*` methods of
//! [`crate::Flow`]) and answer by calls on a [`Driver`], statically dispatched, that name what is
//! to be done. The engine's driver does it with system calls; the simulator's does it with a
//! virtual network. Why calls and not a list of wishes: docs/design/002-driver.md.
//!
//! The contract, for whoever writes a driver:
//! 1. No call on a driver ever calls back into the flow. What it leads to is told later.
//! 2. For a connection made by `connect`, the first thing told is `handle_connected` or
//!    `handle_connect_failed` (the latter is its end). Then, as for accepted ones, any number of
//!    `handle_data`, at most one `handle_eof`, at most one `handle_failed` (its end).
//! 3. After `close` or `abort` nothing more is told about that id.
//! 4. `send` never loses or reorders bytes: what the socket doesn't take is kept, sent as soon as
//!    possible, and `handle_writable` is told once the last of it is gone.
//! 5. While paused, no data is told; a reset or full hang-up noticed meanwhile is told as
//!    `handle_hangup`. After `resume` whatever had arrived is told, in order.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use fairlead_model::backend::Endpoint;
use fairlead_model::plan::{Keepalive, PoolPlan};

use crate::ask::{Question, Ticket};
use crate::slab::Id;

/// A connection of one worker: an index that is used again, and a number that tells its lives
/// apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId {
    /// Small and dense; freed indices are used again.
    pub index: u32,
    /// Different for each connection that used this index.
    pub generation: u32,
}

impl Id for ConnId {
    #[inline]
    fn of(index: u32, generation: u32) -> ConnId {
        ConnId { index, generation }
    }

    #[inline]
    fn parts(self) -> (u32, u32) {
        (self.index, self.generation)
    }
}

/// Which listener accepted a connection. Stays the same over reloads while the listener's name
/// does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListenerId(pub u32);

/// Who is at the other end of an accepted connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Peer {
    /// The client; `None` on a Unix socket.
    pub address: Option<SocketAddr>,
    /// The address that it connected to; `None` on a Unix socket.
    pub local: Option<SocketAddr>,
}

/// How a connection to a backend leaves this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Outgoing {
    /// From which address; `None`: the system chooses.
    pub source: Option<IpAddr>,
    /// How the kernel probes it while it is silent; `None`: as the driver thinks right.
    pub keepalive: Option<Keepalive>,
    /// A probe: it may have one of the descriptors that are kept from clients and their requests.
    pub is_probe: bool,
}

impl From<&PoolPlan> for Outgoing {
    fn from(plan: &PoolPlan) -> Outgoing {
        Outgoing { source: plan.source, keepalive: plan.keepalive, is_probe: false }
    }
}

/// What became of a `send`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Sent {
    /// The socket took all of it. (Also if the connection is broken: that is told later.)
    All,
    /// Some of it is kept by the driver; `handle_writable` follows.
    Queued,
}

/// Why a connection could not be made, or ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IoFailure {
    /// Refused: an RST in answer to the SYN, or no such Unix socket.
    Refused,
    /// The network says that there is no way (unreachable, no route, no such host).
    Unreachable,
    /// Reset by the other end.
    Reset,
    /// The kernel gave up: keepalive or user time-out, or its own connect time-out.
    TimedOut,
    /// Out of descriptors here: not the other end's doing, and others can give way.
    NoDescriptor,
    /// Out of ports or memory here, or without the address that was to be used: not the other end's
    /// doing either, but nobody's going would help.
    Exhausted,
    /// Anything else.
    Other,
}

impl IoFailure {
    /// Whether it is our own doing, so that it says nothing about the other end.
    pub fn is_ours(self) -> bool {
        matches!(self, IoFailure::NoDescriptor | IoFailure::Exhausted)
    }

    /// A few words for events and logs.
    pub fn text(self) -> &'static str {
        match self {
            IoFailure::Refused => "connect refused",
            IoFailure::Unreachable => "no route to the host",
            IoFailure::Reset => "connection reset",
            IoFailure::TimedOut => "connection timed out",
            IoFailure::NoDescriptor => "out of descriptors here",
            IoFailure::Exhausted => "out of ports, addresses or memory here",
            IoFailure::Other => "connection failed",
        }
    }
}

/// How what was sent on a connection fares, as far as this end's kernel knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PathState {
    /// Segments sent and not acknowledged. None are while the other end's window is closed.
    pub unacknowledged: u32,
    /// Segments sent again since the connection began.
    pub retransmitted: u32,
    /// Retransmission time-outs in a row, without an acknowledgement since.
    pub timeouts: u32,
    /// The smoothed round trip.
    pub round_trip: Duration,
    /// Since anything was last acknowledged; right to some milliseconds.
    pub quiet: Duration,
}

/// Does what the machines want.
pub trait Driver {
    /// Starts to connect. An error that is known at once is returned instead.
    fn connect(&mut self, to: &Endpoint, how: Outgoing) -> Result<ConnId, IoFailure>;

    /// Sends `first` and then `then` (either may be empty) in as few calls as possible.
    fn send(&mut self, id: ConnId, first: &[u8], then: &[u8]) -> Sent;

    /// The same for the last bytes on a connection: `finish` is called next, so that they and the
    /// end can leave together. (Should it not be, they leave a little later.)
    fn send_last(&mut self, id: ConnId, first: &[u8], then: &[u8]) -> Sent {
        self.send(id, first, then)
    }

    /// Bytes accepted by `send` that the socket has not taken yet.
    fn queued(&self, id: ConnId) -> usize;

    /// Sends FIN once everything queued is gone. The other direction stays open.
    fn finish(&mut self, id: ConnId);

    /// Stops telling data of this connection.
    fn pause(&mut self, id: ConnId);

    /// Goes on telling data.
    fn resume(&mut self, id: ConnId);

    /// From now on up to `most` bytes of `from` may go to `to` as they are, without being told:
    /// `handle_forwarded` says how many went. A driver may do so for as long as it pays, or not at
    /// all; what it does not forward is told as data. To be asked while nothing is queued for `to`,
    /// and only where nothing but these bytes is sent to it meanwhile.
    fn forward(&mut self, from: ConnId, to: ConnId, most: u64) {
        let _ = (from, to, most);
    }

    /// Sends what is queued (in the background, bounded in time) and closes.
    fn close(&mut self, id: ConnId);

    /// Drops what is queued and resets.
    fn abort(&mut self, id: ConnId);

    /// Whether nothing at all has arrived on an idle connection (no byte, no FIN, no reset): a
    /// look at the socket itself, for requests that may not be sent twice.
    fn is_quiet(&mut self, id: ConnId) -> bool;

    /// How what was sent on a connection fares; `None` where that can't be known (Unix sockets).
    /// A system call: asked only when an answer is late.
    fn ask_path(&mut self, id: ConnId) -> Option<PathState>;

    /// How many bytes the other end has acknowledged in the connection's life; `None` where that
    /// can't be known (Unix sockets). A system call: asked only about clients that leave us with
    /// bytes for long.
    fn taken(&mut self, id: ConnId) -> Option<u64> {
        let _ = id;
        None
    }

    /// Puts a question to the pool's policy outside. If it answers true, `handle_verdict` follows,
    /// at most once; false says that nobody is there to be asked.
    fn ask_policy(&mut self, ticket: Ticket, question: &Question<'_>) -> bool {
        let _ = (ticket, question);
        false
    }

    /// Whether the driver knows already, without a look at the socket, that something has arrived
    /// on an idle connection and has yet to be told.
    fn has_news(&mut self, id: ConnId) -> bool {
        !self.is_quiet(id)
    }
}
