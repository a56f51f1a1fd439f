//! How connections come about: SYNs that are answered, refused, or sent again and again.

use fairlead_flow::IoFailure;

use super::{Happening, IoFailureKind, Network, Owner, Phase, Place, Socket, SocketId, Told};
use super::{SYNS, SYN_AGAIN};

impl Network {
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

    pub(super) fn insert(&mut self, owner: Owner, peer: Option<SocketId>) -> SocketId {
        let id = SocketId(self.sockets.len() as u32);
        // Sizes differ within a run, so that the limit falls in different places.
        let most = self.weather.capacity;
        let capacity = most / 2 + self.random.below(most / 2 + 1);
        self.sockets.push(Socket::new(owner, peer, capacity));
        id
    }

    pub(super) fn syn(&mut self, from: SocketId, nth: u32) -> Option<Told> {
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
                let lost_way = self.hosts[index].loses_ways && self.is_on_a_lost_way(from);
                let lost = self.random_loss(index);
                let backlog = self.weather.backlog;
                let host = &mut self.hosts[index];
                if host.swallows() || host.is_full(backlog) || lost_way || lost {
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

    /// Whether this packet of a host is lost.
    fn random_loss(&mut self, host: usize) -> bool {
        let loss = self.hosts[host].loss;
        loss > 0 && self.random.below(1_000) < loss
    }

    pub(super) fn answer_syn(
        &mut self,
        from: SocketId,
        owner: Owner,
        host: Option<usize>,
    ) -> SocketId {
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

    pub(super) fn syn_again(&mut self, from: SocketId, nth: u32) {
        let pause = SYN_AGAIN * (1 << nth);
        let what = if nth + 1 < SYNS {
            Happening::Syn(from, nth + 1)
        } else {
            Happening::Refused(from, IoFailureKind::TimedOut)
        };
        self.schedule(self.now + pause, what);
    }

    pub(super) fn syn_answered(&mut self, id: SocketId) -> Option<Told> {
        let socket = self.socket(id);
        if socket.phase != Phase::Connecting {
            return None;
        }
        let host = socket.host;
        if host.is_some_and(|host| self.hosts[host].lost_out || self.random_loss(host)) {
            self.schedule(self.now + SYN_AGAIN, Happening::Connected(id));
            return None;
        }
        self.socket_mut(id).phase = Phase::Open;
        // What the other end said at once may be here already.
        self.look(id);
        self.flush(id);
        Some(Told::Connected(id))
    }

    pub(super) fn refused(&mut self, id: SocketId, failure: IoFailure) -> Option<Told> {
        let socket = self.socket_mut(id);
        if socket.phase != Phase::Connecting {
            return None;
        }
        socket.phase = Phase::Closed;
        Some(Told::ConnectFailed(id, failure))
    }
}
