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

mod host;
mod socket;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use fairlead_balance::Random;
use fairlead_flow::{IoFailure, ListenerId};
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
    /// What a back end wanted to do next on a connection.
    Backend(usize, SocketId),
    /// A back end's connection may have been idle for long enough.
    BackendIdle(usize, SocketId),
    /// The nth trouble of the setting.
    Trouble(usize),
    /// The nth change by the operator.
    Change(usize),
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// Somebody has connected to a back end or a worker; this is their end.
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
    /// A back end's host.
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

    // Connecting.

    /// Starts a connect.
    pub(crate) fn connect(&mut self, owner: Owner, to: Place) -> SocketId {
        let id = self.insert(owner, None);
        let delay = self.up_to(self.weather.delay);
        let socket = self.socket_mut(id);
        socket.delay = delay;
        socket.phase = Phase::Connecting;
        socket.to = Some(to);
        if let Place::Host(host) = to {
            socket.host = Some(host);
        }
        self.schedule(self.now + delay, Happening::Syn(id, 0));
        id
    }

    fn insert(&mut self, owner: Owner, peer: Option<SocketId>) -> SocketId {
        let id = SocketId(self.sockets.len() as u32);
        // Sizes differ within a run, so that the limit falls in different places.
        let most = self.weather.capacity;
        let capacity = most / 2 + self.random.below(most / 2 + 1);
        self.sockets.push(Socket::new(owner, peer, capacity));
        id
    }

    fn syn(&mut self, from: SocketId, nth: u32) -> Option<Told> {
        let socket = self.socket(from);
        if socket.phase != Phase::Connecting || socket.peer.is_some() {
            return None;
        }
        let delay = socket.delay;
        match socket.to {
            Some(Place::Listener(listener)) if self.listening => {
                let worker = self.random.below(self.workers);
                let here = self.answer_syn(from, Owner::Worker(worker), None);
                self.socket_mut(here).listener = Some(listener);
                Some(Told::Accepted(here))
            }
            Some(Place::Host(index)) => {
                let host = &mut self.hosts[index];
                if host.swallows() || host.is_full() {
                    self.syn_again(from, nth);
                    return None;
                }
                let refused = if host.unreachable {
                    Some(IoFailureKind::Unreachable)
                } else {
                    host.refusing.then_some(IoFailureKind::Refused)
                };
                if let Some(kind) = refused {
                    self.schedule(self.now + delay, Happening::Refused(from, kind));
                    return None;
                }
                let here = self.answer_syn(from, Owner::Backend(index), Some(index));
                self.schedule(self.now, Happening::Accept(here));
                None
            }
            _ => {
                self.schedule(self.now + delay, Happening::Refused(from, IoFailureKind::Refused));
                None
            }
        }
    }

    fn answer_syn(&mut self, from: SocketId, owner: Owner, host: Option<usize>) -> SocketId {
        let delay = self.socket(from).delay;
        let here = self.insert(owner, Some(from));
        let socket = self.socket_mut(here);
        socket.delay = delay;
        socket.phase = Phase::Open;
        socket.host = host;
        self.socket_mut(from).peer = Some(here);
        self.schedule(self.now + delay, Happening::Connected(from));
        here
    }

    fn syn_again(&mut self, from: SocketId, nth: u32) {
        let pause = SYN_AGAIN * (1 << nth);
        let what = if nth + 1 < SYNS {
            Happening::Syn(from, nth + 1)
        } else {
            Happening::Refused(from, IoFailureKind::TimedOut)
        };
        self.schedule(self.now + pause, what);
    }

    fn syn_answered(&mut self, id: SocketId) -> Option<Told> {
        let socket = self.socket(id);
        if socket.phase != Phase::Connecting {
            return None;
        }
        if socket.host.is_some_and(|host| self.hosts[host].lost_out) {
            self.schedule(self.now + SYN_AGAIN, Happening::Connected(id));
            return None;
        }
        self.socket_mut(id).phase = Phase::Open;
        // What the other end said at once may be here already.
        self.look(id);
        self.flush(id);
        Some(Told::Connected(id))
    }

    fn refused(&mut self, id: SocketId, failure: IoFailure) -> Option<Told> {
        let socket = self.socket_mut(id);
        if socket.phase != Phase::Connecting {
            return None;
        }
        socket.phase = Phase::Closed;
        Some(Told::ConnectFailed(id, failure))
    }

    // Sending.

    /// Sends `bytes`, now or later. True if the socket took all of it.
    pub(crate) fn send(&mut self, id: SocketId, bytes: &[u8]) -> bool {
        let socket = self.socket_mut(id);
        if socket.phase == Phase::Closed || socket.failure.is_some() {
            return true;
        }
        socket.queue.extend(bytes);
        self.flush(id);
        self.socket(id).queue.is_empty()
    }

    /// Whether so many bytes would arrive at once.
    pub(crate) fn has_room(&self, id: SocketId, count: usize) -> bool {
        let socket = self.socket(id);
        let room = socket.peer.map_or(0, |to| self.socket(to).room());
        socket.queue.is_empty() && socket.can_send() && room >= count
    }

    /// Sends `bytes`, for which there is room, so that they arrive and are read as one.
    pub(crate) fn send_joined(&mut self, id: SocketId, bytes: &[u8]) {
        let Some(to) = self.socket(id).peer else { return };
        let other = self.socket_mut(to);
        other.coming += bytes.len();
        other.joined = true;
        self.deliver(id, to, Segment::Data(bytes.to_vec()));
    }

    /// Sends FIN behind what is queued.
    pub(crate) fn finish(&mut self, id: SocketId) {
        self.socket_mut(id).finishing = true;
        self.flush(id);
    }

    /// Moves what is queued into the other socket's room.
    fn flush(&mut self, id: SocketId) {
        let socket = self.socket(id);
        let Some(to) = socket.peer.filter(|_| socket.can_send()) else { return };
        let room = self.socket(to).room();
        let socket = self.socket_mut(id);
        let count = room.min(socket.queue.len());
        if count > 0 {
            let bytes: Vec<u8> = socket.queue.drain(..count).collect();
            self.transmit(id, to, bytes);
        }
        let socket = self.socket_mut(id);
        if socket.queue.is_empty() && socket.finishing && !socket.fin_sent {
            socket.fin_sent = true;
            self.deliver(id, to, Segment::Fin);
        }
    }

    /// Sends bytes as one segment or, now and then, as two with a gap.
    fn transmit(&mut self, id: SocketId, to: SocketId, mut bytes: Vec<u8>) {
        self.socket_mut(to).coming += bytes.len();
        if bytes.len() > 1 && self.random.below(8) == 0 {
            let cut = 1 + self.random.below(bytes.len() - 1);
            let rest = bytes.split_off(cut);
            self.deliver(id, to, Segment::Data(bytes));
            return self.deliver(id, to, Segment::Data(rest));
        }
        self.deliver(id, to, Segment::Data(bytes));
    }

    fn deliver(&mut self, from: SocketId, to: SocketId, segment: Segment) {
        let delay = self.socket(from).delay;
        let jitter = self.up_to(delay / 4 + Duration::from_micros(20));
        let when = (self.now + delay + jitter).max(self.socket(to).last_arrival);
        self.socket_mut(to).last_arrival = when;
        self.schedule(when, Happening::Arrive(to, segment));
    }

    // Arriving.

    fn arrive(&mut self, to: SocketId, segment: Segment) {
        let socket = self.socket(to);
        if !socket.held.is_empty() || self.is_swallowed(to) {
            return self.hold(to, segment);
        }
        self.take(to, segment);
    }

    /// Whether what is on its way to this socket doesn't get there now.
    fn is_swallowed(&self, to: SocketId) -> bool {
        let socket = self.socket(to);
        let Some(host) = socket.host.map(|host| &self.hosts[host]) else { return false };
        match socket.owner {
            Owner::Backend(_) => host.lost_in,
            _ => host.lost_out,
        }
    }

    fn hold(&mut self, to: SocketId, segment: Segment) {
        let patience = self.weather.patience;
        let socket = self.socket_mut(to);
        let first = socket.held.is_empty();
        socket.held.push(segment);
        let (from, life) = (socket.peer, socket.holds);
        if let (true, Some(from)) = (first, from) {
            self.schedule(self.now + patience, Happening::GiveUp(from, life));
        }
    }

    /// What a host missed is sent again, now that it is back.
    pub(crate) fn host_is_back(&mut self, index: usize) {
        let missed: Vec<_> = (0..self.sockets.len() as u32)
            .map(SocketId)
            .filter(|id| {
                let socket = self.socket(*id);
                socket.host == Some(index) && !socket.held.is_empty()
            })
            .collect();
        for id in missed {
            let after = self.up_to(RESENT_AFTER);
            self.schedule(self.now + after, Happening::Resend(id));
        }
    }

    fn resend(&mut self, to: SocketId) {
        if self.is_swallowed(to) {
            return;
        }
        let socket = self.socket_mut(to);
        socket.holds += 1;
        for segment in std::mem::take(&mut socket.held) {
            self.take(to, segment);
        }
    }

    /// The sender was not heard for too long.
    fn give_up(&mut self, from: SocketId, life: u64) {
        let socket = self.socket(from);
        let Some(to) = socket.peer else { return };
        let other = self.socket(to);
        if other.holds != life || other.held.is_empty() || socket.failure.is_some() {
            return;
        }
        let socket = self.socket_mut(from);
        socket.queue.clear();
        if socket.phase == Phase::Open {
            socket.failure = Some(IoFailure::TimedOut);
            self.look(from);
        } else {
            socket.phase = Phase::Closed;
        }
    }

    fn take(&mut self, to: SocketId, segment: Segment) {
        match segment {
            Segment::Data(bytes) => self.take_data(to, bytes),
            Segment::Fin => {
                let socket = self.socket_mut(to);
                socket.fin_came = true;
                if socket.phase == Phase::Closing && socket.queue.is_empty() {
                    self.drop_socket(to);
                }
                self.look(to);
            }
            Segment::Reset => {
                let destroys = self.weather.resets_destroy;
                let socket = self.socket_mut(to);
                if socket.phase == Phase::Closing {
                    socket.phase = Phase::Closed;
                }
                socket.failure.get_or_insert(IoFailure::Reset);
                socket.queue.clear();
                if destroys && matches!(socket.owner, Owner::Client(_)) {
                    socket.inbox.clear();
                }
                self.look(to);
            }
        }
    }

    fn take_data(&mut self, to: SocketId, bytes: Vec<u8>) {
        let socket = self.socket_mut(to);
        socket.coming -= bytes.len();
        match socket.phase {
            _ if socket.failure.is_some() => {}
            Phase::Open | Phase::Connecting => {
                socket.inbox.extend(bytes);
                self.look(to);
            }
            // Thrown away, so that the other end is not stopped in its writing.
            Phase::Closing => {
                if let Some(from) = socket.peer {
                    self.make_room(from);
                }
            }
            Phase::Closed => {
                socket.queue.clear();
                self.reset_back(to);
            }
        }
    }

    /// Nobody is there any more who could take this.
    fn reset_back(&mut self, from: SocketId) {
        let socket = self.socket_mut(from);
        if !std::mem::replace(&mut socket.reset_sent, true) {
            if let Some(peer) = socket.peer {
                self.deliver(from, peer, Segment::Reset);
            }
        }
    }

    /// Lets the owner look at a socket soon.
    pub(crate) fn look(&mut self, id: SocketId) {
        let socket = self.socket_mut(id);
        if socket.phase == Phase::Open && !std::mem::replace(&mut socket.look_due, true) {
            let soon = self.up_to(Duration::from_micros(50));
            self.schedule(self.now + soon, Happening::Look(id));
        }
    }

    fn make_room(&mut self, sender: SocketId) {
        let socket = self.socket_mut(sender);
        if !socket.queue.is_empty() && !std::mem::replace(&mut socket.room_due, true) {
            let delay = socket.delay;
            self.schedule(self.now + delay, Happening::Room(sender));
        }
    }

    // What owners do with their sockets.

    /// Takes up to `most` bytes that have arrived.
    pub(crate) fn read(&mut self, id: SocketId, most: usize) -> Vec<u8> {
        let socket = self.socket_mut(id);
        let count = most.min(socket.inbox.len());
        let bytes: Vec<u8> = socket.inbox.drain(..count).collect();
        let peer = socket.peer;
        if let (true, Some(peer)) = (count > 0, peer) {
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

    /// The sockets of a back end that are open.
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
