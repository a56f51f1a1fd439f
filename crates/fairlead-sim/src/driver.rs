//! One worker's side of the network: does what its flow wants, and finds out what to tell it.
//!
//! The contract stands in `fairlead_flow::driver`. What this driver adds is suspicion: it counts
//! what the flow sends although a socket takes no more, notes every request that it hands to a
//! backend, and folds every call into the run's digest.

use std::net::IpAddr;
use std::time::Duration;

use fairlead_flow::{ConnId, Driver, IoFailure, Outgoing, PathState, Question, Sent, Ticket};
use fairlead_model::backend::Endpoint;
use fairlead_model::limits::RECEIVE_BYTES;

use crate::network::{Network, Owner, Phase, Place, SocketId, Wake};
use crate::policy::Questions;
use crate::report::Notes;
use crate::wire;

/// How long a closed connection may take to send what is queued.
const CLOSING: Duration = Duration::from_secs(5);

/// What a worker knows of a connection beyond its socket.
#[derive(Debug, Clone, Copy, Default)]
struct Line {
    socket: Option<SocketId>,
    generation: u32,
    paused: bool,
    /// A `send` was answered by `Queued`, and `handle_writable` hasn't followed yet.
    queued: bool,
    eof_told: bool,
    hangup_told: bool,
}

/// The connections of one worker by id.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    places: Vec<Line>,
    free: Vec<u32>,
    /// By socket, for the way back. Sparse, but a run has few thousand sockets.
    ids: std::collections::BTreeMap<SocketId, ConnId>,
}

/// What the flow is to be told of one of its connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum News {
    /// Bytes have come.
    Data(Vec<u8>),
    /// The other end has finished.
    Eof,
    /// The connection is gone.
    Failed(IoFailure),
    /// It is gone, and wasn't being read.
    Hangup,
    /// All that was queued is sent.
    Writable,
}

impl Lines {
    /// Gives a socket an id.
    pub(crate) fn adopt(&mut self, socket: SocketId) -> ConnId {
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push(Line::default());
            self.places.len() as u32 - 1
        });
        let line = &mut self.places[index as usize];
        let generation = line.generation + 1;
        *line = Line { socket: Some(socket), generation, ..Line::default() };
        let id = ConnId { index, generation };
        self.ids.insert(socket, id);
        id
    }

    /// The id of a socket that the flow still knows.
    pub(crate) fn id(&self, socket: SocketId) -> Option<ConnId> {
        self.ids.get(&socket).copied()
    }

    /// All sockets that the flow knows.
    pub(crate) fn sockets(&self) -> Vec<SocketId> {
        self.ids.keys().copied().collect()
    }

    /// How many the flow has not closed.
    pub(crate) fn open(&self) -> usize {
        self.ids.len()
    }

    /// Forgets an id.
    pub(crate) fn forget(&mut self, id: ConnId) -> Option<SocketId> {
        let socket = self.line(id)?.socket.take()?;
        self.free.push(id.index);
        self.ids.remove(&socket);
        Some(socket)
    }

    fn line(&mut self, id: ConnId) -> Option<&mut Line> {
        self.places.get_mut(id.index as usize).filter(|line| line.generation == id.generation)
    }

    fn socket(&self, id: ConnId) -> Option<SocketId> {
        let line = self.places.get(id.index as usize)?;
        line.socket.filter(|_| line.generation == id.generation)
    }
}

/// A worker's driver for the time of one call.
#[derive(Debug)]
pub(crate) struct Hand<'a> {
    pub(crate) worker: usize,
    pub(crate) network: &'a mut Network,
    pub(crate) lines: &'a mut Lines,
    pub(crate) notes: &'a mut Notes,
    pub(crate) questions: &'a mut Questions,
}

impl Hand<'_> {
    /// What is to be told next of a connection, if anything. At most one receive buffer of bytes,
    /// often less.
    pub(crate) fn news(&mut self, id: ConnId) -> Option<News> {
        let socket = self.lines.socket(id)?;
        let line = self.lines.line(id)?;
        let it = self.network.socket(socket);
        if line.queued && it.queue.is_empty() && it.failure.is_none() {
            line.queued = false;
            return Some(News::Writable);
        }
        if line.paused {
            let told = std::mem::replace(&mut line.hangup_told, it.failure.is_some());
            return (it.failure.is_some() && !told).then_some(News::Hangup);
        }
        if !it.inbox.is_empty() {
            let most = if it.joined { RECEIVE_BYTES } else { self.piece() };
            return Some(News::Data(self.network.read(socket, most)));
        }
        if it.fin_came && it.failure.is_none() {
            let told = std::mem::replace(&mut line.eof_told, true);
            return (!told).then_some(News::Eof);
        }
        let failure = it.failure?;
        self.lines.forget(id);
        self.network.close(socket);
        Some(News::Failed(failure))
    }

    /// How much is read at once: mostly all there is, sometimes so little that heads are cut
    /// anywhere.
    fn piece(&mut self) -> usize {
        match self.network.random.below(16) {
            0 => 1 + self.network.random.below(8),
            1..=3 => 1 + self.network.random.below(400),
            4 | 5 => 1 + self.network.random.below(RECEIVE_BYTES),
            _ => RECEIVE_BYTES,
        }
    }

    fn place(&self, to: &Endpoint) -> Result<Place, IoFailure> {
        let address = match to {
            Endpoint::Tcp(address) => address,
            Endpoint::Unix(path) => {
                let host = wire::host_of_socket(path).ok_or(IoFailure::Refused)?;
                let known = host < self.network.hosts.len();
                return Ok(if known { Place::Host(host) } else { Place::Nowhere });
            }
        };
        let IpAddr::V4(four) = address.ip() else { return Err(IoFailure::Unreachable) };
        let [_, _, _, host] = four.octets();
        let known = address.port() == wire::PORT && usize::from(host) < self.network.hosts.len();
        Ok(if known { Place::Host(usize::from(host)) } else { Place::Nowhere })
    }
}

impl Driver for Hand<'_> {
    fn connect(&mut self, to: &Endpoint, _how: Outgoing) -> Result<ConnId, IoFailure> {
        if self.notes.exhausts(self.network.random.below(1000)) {
            return Err(IoFailure::NoDescriptor);
        }
        let place = self.place(to)?;
        let socket = self.network.connect(Owner::Worker(self.worker), place);
        let id = self.lines.adopt(socket);
        self.notes.digest.add(&[1, u64::from(id.index), self.network.now().0]);
        Ok(id)
    }

    fn send(&mut self, id: ConnId, first: &[u8], then: &[u8]) -> Sent {
        self.notes.digest.add(&[2, u64::from(id.index), self.network.now().0]);
        self.notes.digest.add_bytes(first);
        self.notes.digest.add_bytes(then);
        let Some(socket) = self.lines.socket(id) else { return Sent::All };
        let host = self.network.socket(socket).host;
        if let Some(host) = host {
            self.notes.sends(host, socket, first, self.network.now());
        }
        let Some(line) = self.lines.line(id) else { return Sent::All };
        let mut all = self.network.send(socket, first);
        all = self.network.send(socket, then) && all;
        line.queued |= !all;
        self.notes.queued(self.network.socket(socket).queue.len());
        if all {
            Sent::All
        } else {
            Sent::Queued
        }
    }

    fn queued(&self, id: ConnId) -> usize {
        self.lines.socket(id).map_or(0, |socket| self.network.socket(socket).queue.len())
    }

    fn finish(&mut self, id: ConnId) {
        self.notes.digest.add(&[3, u64::from(id.index), self.network.now().0]);
        if let Some(socket) = self.lines.socket(id) {
            self.network.finish(socket);
        }
    }

    fn pause(&mut self, id: ConnId) {
        if let Some(line) = self.lines.line(id) {
            line.paused = true;
        }
    }

    fn resume(&mut self, id: ConnId) {
        let Some(line) = self.lines.line(id) else { return };
        line.paused = false;
        if let Some(socket) = line.socket {
            self.network.look(socket);
        }
    }

    fn close(&mut self, id: ConnId) {
        self.notes.digest.add(&[4, u64::from(id.index), self.network.now().0]);
        let Some(socket) = self.lines.forget(id) else { return };
        let it = self.network.socket(socket);
        if it.queue.is_empty() || it.phase == Phase::Connecting {
            self.network.close(socket);
        } else {
            self.network.linger(socket, CLOSING);
        }
    }

    fn abort(&mut self, id: ConnId) {
        self.notes.digest.add(&[5, u64::from(id.index), self.network.now().0]);
        if let Some(socket) = self.lines.forget(id) {
            self.network.abort(socket);
        }
    }

    fn ask_path(&mut self, id: ConnId) -> Option<PathState> {
        let socket = self.lines.socket(id)?;
        Some(self.network.path_state(socket))
    }

    fn ask_policy(&mut self, ticket: Ticket, question: &Question<'_>) -> bool {
        let now = self.network.now();
        self.notes.digest.add(&[6, u64::from(question.attempts), now.0]);
        let taken = self.questions.take(ticket, question, &mut self.network.random);
        if let Some((number, Some(after))) = taken {
            self.network.wake(now + after, Wake::Verdict(self.worker, number));
        }
        taken.is_some()
    }

    fn is_quiet(&mut self, id: ConnId) -> bool {
        self.lines.socket(id).is_some_and(|socket| self.network.socket(socket).is_quiet())
    }
}
