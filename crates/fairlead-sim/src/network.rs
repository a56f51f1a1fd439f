//! A network of virtual time: hosts, connections, and what can go wrong on the way.
//!
//! Rules of this file
//! 1. A connection is two sockets. What one sends arrives at the other later, in order, in pieces
//!    of any size, and only as fast as the other reads: a socket takes so many bytes and no more.
//! 2. What a host swallows is not gone but sent again until the host is back, as TCP does; a
//!    sender who isn't heard for too long is told that the connection timed out.
//! 3. Nothing here calls anybody. [`Network::next`] says what happened next, and whose it is.
//! 4. Chance comes from one seeded generator, order from (moment, number): no run differs from
//!    another with the same seed.
//!
//! Not here: what is said over a connection (`client`, `backend`, the flow) and when which host
//! fails (`setting`).

mod ack;
mod connect;
mod host;
mod pipe;
mod socket;
mod travel;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use fairlead_balance::Random;
use fairlead_flow::{IoFailure, ListenerId, PathState};
use fairlead_model::moment::Moment;

pub(crate) use host::Host;
pub(crate) use socket::{Owner, Phase, Segment, Socket, SocketId};

/// How long the kernel takes before it sends an unanswered SYN again; doubles each time.
const SYN_AGAIN: Duration = Duration::from_secs(1);

/// SYNs before the kernel gives up: 127 s in all, as Linux does.
const SYNS: u32 = 7;

/// How long after a host came back what it missed is sent again.
const RESENT_AFTER: Duration = Duration::from_millis(200);

/// Who wants to be woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Wake {
    /// A worker's timers.
    Worker(usize),
    /// What a client wanted to do next; the number tells its wishes apart.
    Client(usize, u64),
    /// What a backend wanted to do next on a connection.
    Backend(usize, SocketId),
    /// A backend's connection may have been idle for long enough.
    BackendIdle(usize, SocketId),
    /// The nth trouble of the setting.
    Trouble(usize),
    /// The nth change by the operator.
    Change(usize),
    /// A policy's answer to the nth question of a worker.
    Verdict(usize, usize),
    /// The checks that Python makes.
    Checks,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// Somebody has connected to a backend or a worker; this is their end.
    Accepted(SocketId),
    /// The connect that began this socket succeeded.
    Connected(SocketId),
    /// It failed; the socket is gone.
    ConnectFailed(SocketId, IoFailure),
    /// Something arrived, or the queue ran empty.
    Look(SocketId),
    /// It is time.
    Wake(Wake),
}

/// What is still to happen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Happening {
    Arrive(SocketId, Segment),
    Syn(SocketId, u32),
    Accept(SocketId),
    Connected(SocketId),
    Refused(SocketId, IoFailureKind),
    Room(SocketId),
    Resend(SocketId),
    GiveUp(SocketId, u64),
    Look(SocketId),
    LingerEnds(SocketId),
    Wake(Wake),
}

/// `IoFailure` has no order, which the queue's entries need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum IoFailureKind {
    Refused,
    Unreachable,
    TimedOut,
}

impl IoFailureKind {
    fn failure(self) -> IoFailure {
        match self {
            IoFailureKind::Refused => IoFailure::Refused,
            IoFailureKind::Unreachable => IoFailure::Unreachable,
            IoFailureKind::TimedOut => IoFailure::TimedOut,
        }
    }
}

/// Where a connect goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// A backend's host.
    Host(usize),
    /// A listener of the balancer; any of its workers may get it.
    Listener(ListenerId),
    /// Nobody is there.
    Nowhere,
}

/// How a network behaves, drawn from the seed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Weather {
    /// One way, at most.
    pub(crate) delay: Duration,
    /// Bytes that a socket takes before it is read.
    pub(crate) capacity: usize,
    /// After so long without a sign a sender is told that the connection timed out.
    pub(crate) patience: Duration,
    /// Connections that wait to be accepted before SYNs are dropped.
    pub(crate) backlog: usize,
    /// A reset destroys what a client hasn't read yet, as some systems have it.
    pub(crate) resets_destroy: bool,
}

/// The network.
#[derive(Debug)]
pub(crate) struct Network {
    now: Moment,
    queue: BinaryHeap<Reverse<(Moment, u64, Happening)>>,
    count: u64,
    sockets: Vec<Socket>,
    pub(crate) hosts: Vec<Host>,
    pub(crate) random: Random,
    weather: Weather,
    workers: usize,
    /// The balancer accepts.
    listening: bool,
}

impl Network {
    pub(crate) fn new(seed: u64, hosts: usize, workers: usize, weather: Weather) -> Self {
        Network {
            now: Moment::ZERO,
            queue: BinaryHeap::new(),
            count: 0,
            sockets: Vec::new(),
            hosts: (0..hosts).map(|_| Host::new()).collect(),
            random: Random::new(seed),
            weather,
            workers,
            listening: true,
        }
    }

    /// From now on nobody can connect to the balancer.
    pub(crate) fn stop_listening(&mut self) {
        self.listening = false;
    }

    /// Which client is at the other end of an accepted connection.
    pub(crate) fn client_of(&self, id: SocketId) -> Option<usize> {
        match self.socket(self.socket(id).peer?).owner {
            Owner::Client(client) => Some(client),
            _ => None,
        }
    }

    pub(crate) fn now(&self) -> Moment {
        self.now
    }

    pub(crate) fn socket(&self, id: SocketId) -> &Socket {
        &self.sockets[id.index()]
    }

    fn socket_mut(&mut self, id: SocketId) -> &mut Socket {
        &mut self.sockets[id.index()]
    }

    /// Draws a duration up to `most`.
    pub(crate) fn up_to(&mut self, most: Duration) -> Duration {
        let nanos = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(self.random.next() % nanos.max(1))
    }

    /// Wakes somebody at `when`, or at once if that is past.
    pub(crate) fn wake(&mut self, when: Moment, who: Wake) {
        self.schedule(when, Happening::Wake(who));
    }

    fn schedule(&mut self, when: Moment, what: Happening) {
        self.count += 1;
        self.queue.push(Reverse((when.max(self.now), self.count, what)));
    }

    /// Goes to the next thing that somebody has to be told, if it is not after `end`.
    pub(crate) fn next(&mut self, end: Moment) -> Option<Told> {
        loop {
            let when = self.queue.peek()?.0 .0;
            if when > end {
                return None;
            }
            let Reverse((when, _, what)) = self.queue.pop()?;
            self.now = when;
            if let Some(told) = self.happen(what) {
                return Some(told);
            }
        }
    }

    fn happen(&mut self, what: Happening) -> Option<Told> {
        match what {
            Happening::Arrive(to, segment) => self.arrive(to, segment),
            Happening::Syn(from, nth) => return self.syn(from, nth),
            Happening::Accept(socket) => {
                let host = self.socket(socket).host;
                if let Some(host) = host.map(|host| &mut self.hosts[host]) {
                    if host.frozen {
                        host.waiting.push(socket);
                        return None;
                    }
                }
                return self.is_open(socket).then_some(Told::Accepted(socket));
            }
            Happening::Connected(socket) => return self.syn_answered(socket),
            Happening::Refused(socket, kind) => return self.refused(socket, kind.failure()),
            Happening::Room(socket) => {
                self.socket_mut(socket).room_due = false;
                self.flush(socket);
                if self.socket(socket).queue.is_empty() {
                    self.look(socket);
                }
            }
            Happening::Resend(to) => self.resend(to),
            Happening::GiveUp(socket, life) => self.give_up(socket, life),
            Happening::Look(socket) => {
                let it = self.socket_mut(socket);
                it.look_due = false;
                return (it.phase == Phase::Open).then_some(Told::Look(socket));
            }
            Happening::LingerEnds(socket) => self.linger_ends(socket),
            Happening::Wake(who) => return Some(Told::Wake(who)),
        }
        None
    }

    pub(crate) fn is_open(&self, id: SocketId) -> bool {
        self.socket(id).phase == Phase::Open
    }

    /// What the kernel says of what was sent from here.
    pub(crate) fn path_state(&mut self, id: SocketId) -> PathState {
        let (now, lost) = (self.now, self.is_swallowed(id));
        let socket = self.socket_mut(id);
        socket.acks.state(now, socket.delay, lost)
    }

    /// Takes up to `most` bytes that have arrived.
    pub(crate) fn read(&mut self, id: SocketId, most: usize) -> Vec<u8> {
        let socket = self.socket_mut(id);
        let bytes = socket.inbox.take(most);
        let peer = socket.peer;
        if let (false, Some(peer)) = (bytes.is_empty(), peer) {
            self.make_room(peer);
        }
        bytes
    }

    /// Closes as a process does: what was written is still sent; with unread bytes, by a reset.
    pub(crate) fn close(&mut self, id: SocketId) {
        let socket = self.socket_mut(id);
        match socket.phase {
            Phase::Closed => return,
            Phase::Connecting => return self.abort(id),
            Phase::Open | Phase::Closing => {}
        }
        let unread = !socket.inbox.is_empty();
        socket.phase = Phase::Closed;
        socket.inbox.clear();
        if unread {
            socket.queue.clear();
            return self.reset_back(id);
        }
        socket.finishing = true;
        self.flush(id);
    }

    /// Closes in the background: what is queued is sent, for a while, and what comes is dropped.
    pub(crate) fn linger(&mut self, id: SocketId, most: Duration) {
        let socket = self.socket_mut(id);
        socket.phase = Phase::Closing;
        socket.inbox.clear();
        socket.finishing = true;
        let peer = socket.peer;
        self.schedule(self.now + most, Happening::LingerEnds(id));
        if let Some(peer) = peer {
            self.make_room(peer);
        }
        self.flush(id);
    }

    fn linger_ends(&mut self, id: SocketId) {
        let socket = self.socket(id);
        if socket.phase != Phase::Closing {
            return;
        }
        if socket.queue.is_empty() {
            self.drop_socket(id);
        } else {
            self.abort(id);
        }
    }

    fn drop_socket(&mut self, id: SocketId) {
        self.socket_mut(id).phase = Phase::Closed;
    }

    /// Resets.
    pub(crate) fn abort(&mut self, id: SocketId) {
        let socket = self.socket_mut(id);
        if socket.phase == Phase::Closed {
            return;
        }
        socket.phase = Phase::Closed;
        socket.queue.clear();
        socket.inbox.clear();
        if socket.failure.is_none() {
            self.reset_back(id);
        }
    }

    /// Forgets a socket without a word: its host lost power.
    pub(crate) fn vanish(&mut self, id: SocketId) {
        let socket = self.socket_mut(id);
        socket.phase = Phase::Closed;
        socket.queue.clear();
        socket.inbox.clear();
        // Nothing was sent; what comes later is answered by a reset, as by any host that doesn't
        // know the connection.
        socket.fin_sent = true;
    }

    /// The sockets of a backend that are open.
    pub(crate) fn open_of(&self, owner: Owner) -> Vec<SocketId> {
        let ids = (0..self.sockets.len() as u32).map(SocketId);
        ids.filter(|id| self.socket(*id).owner == owner && self.is_open(*id)).collect()
    }

    /// A frozen host goes on: who connected meanwhile is accepted, what came is looked at.
    pub(crate) fn thaw(&mut self, index: usize) {
        self.hosts[index].frozen = false;
        for socket in std::mem::take(&mut self.hosts[index].waiting) {
            self.schedule(self.now, Happening::Accept(socket));
        }
        for socket in self.open_of(Owner::Backend(index)) {
            self.look(socket);
        }
    }
}
