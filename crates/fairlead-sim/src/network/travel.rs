//! How bytes travel: out of a queue, over the way, into an inbox; or into a host that swallows
//! them.

use std::time::Duration;

use fairlead_flow::IoFailure;

use super::{Happening, Network, Owner, Phase, Segment, SocketId, RESENT_AFTER};

/// Longer packets are those that a way loses which takes only small ones.
const LARGE: usize = 500;

/// What is lost again and again arrives after this time all the same.
const RESENDS_MOST: Duration = Duration::from_secs(3);

impl Network {
    /// Sends `bytes`, now or later. True if the socket took all of it.
    pub(crate) fn send(&mut self, id: SocketId, bytes: &[u8]) -> bool {
        let socket = self.socket_mut(id);
        if socket.phase == Phase::Closed || socket.failure.is_some() {
            return true;
        }
        socket.queue.put(bytes);
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
    pub(super) fn flush(&mut self, id: SocketId) {
        let socket = self.socket(id);
        let Some(to) = socket.peer.filter(|_| socket.can_send()) else { return };
        let room = self.socket(to).room();
        let socket = self.socket_mut(id);
        let count = room.min(socket.queue.len());
        if count > 0 {
            let bytes = socket.queue.take(count);
            self.transmit(id, to, bytes);
        }
        let socket = self.socket_mut(id);
        if socket.queue.is_empty() && socket.finishing && !socket.fin_sent {
            socket.fin_sent = true;
            self.deliver(id, to, Segment::Fin);
        }
    }

    /// Sends bytes as one segment or, now and then, as two with a gap.
    pub(super) fn transmit(&mut self, id: SocketId, to: SocketId, mut bytes: Vec<u8>) {
        self.socket_mut(to).coming += bytes.len();
        if bytes.len() > 1 && self.random.below(8) == 0 {
            let cut = 1 + self.random.below(bytes.len() - 1);
            let rest = bytes.split_off(cut);
            self.deliver(id, to, Segment::Data(bytes));
            return self.deliver(id, to, Segment::Data(rest));
        }
        self.deliver(id, to, Segment::Data(bytes));
    }

    pub(super) fn deliver(&mut self, from: SocketId, to: SocketId, segment: Segment) {
        let delay = self.socket(from).delay;
        let jitter = self.up_to(delay / 4 + Duration::from_micros(20));
        let again = self.sent_again(from, RESENT_AFTER);
        let when = (self.now + delay + jitter + again).max(self.socket(to).last_arrival);
        self.socket_mut(to).last_arrival = when;
        let now = self.now;
        let sender = self.socket_mut(from);
        if matches!((&segment, sender.owner), (Segment::Data(_), Owner::Worker(_))) {
            sender.acks.sent(now);
        }
        self.schedule(when, Happening::Arrive(to, segment));
    }

    /// How much later something arrives because it was lost: it is sent again after `pause`, and
    /// each further time after twice as long.
    pub(super) fn sent_again(&mut self, id: SocketId, pause: Duration) -> Duration {
        let socket = self.socket(id);
        let loss = socket.host.map_or(0, |host| self.hosts[host].loss);
        let (mut later, mut pause) = (Duration::ZERO, pause);
        while loss > 0 && self.random.below(1_000) < loss && later < RESENDS_MOST {
            later += pause;
            pause *= 2;
        }
        later
    }

    // Arriving.

    pub(super) fn arrive(&mut self, to: SocketId, segment: Segment) {
        let socket = self.socket(to);
        if !socket.held.is_empty() || self.is_swallowed(to) || self.is_too_large(to, &segment) {
            return self.hold(to, segment);
        }
        self.take(to, segment);
    }

    /// Whether what is on its way to this socket doesn't get there now.
    pub(super) fn is_swallowed(&self, to: SocketId) -> bool {
        let socket = self.socket(to);
        let Some(host) = socket.host.map(|host| &self.hosts[host]) else { return false };
        if host.loses_ways && self.is_on_a_lost_way(to) {
            return true;
        }
        match socket.owner {
            Owner::Backend(_) => host.lost_in,
            _ => host.lost_out,
        }
    }

    /// Whether this connection goes by the broken one of two ways: both its ends know it by the
    /// end that connected.
    pub(super) fn is_on_a_lost_way(&self, id: SocketId) -> bool {
        let socket = self.socket(id);
        let first = match socket.owner {
            Owner::Backend(_) => socket.peer.unwrap_or(id),
            _ => id,
        };
        first.0 % 2 == 1
    }

    /// Whether this never gets there, however often it is sent.
    fn is_too_large(&self, to: SocketId, segment: &Segment) -> bool {
        let Some(host) = self.socket(to).host.map(|host| &self.hosts[host]) else { return false };
        host.loses_large && matches!(segment, Segment::Data(bytes) if bytes.len() > LARGE)
    }

    pub(super) fn hold(&mut self, to: SocketId, segment: Segment) {
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

    pub(super) fn resend(&mut self, to: SocketId) {
        let too_large = |segment: &Segment| self.is_too_large(to, segment);
        if self.is_swallowed(to) || self.socket(to).held.iter().any(too_large) {
            return;
        }
        let socket = self.socket_mut(to);
        socket.holds += 1;
        if let Some(from) = socket.peer {
            self.socket_mut(from).acks.resent();
        }
        let socket = self.socket_mut(to);
        for segment in std::mem::take(&mut socket.held) {
            self.take(to, segment);
        }
    }

    /// The sender was not heard for too long.
    pub(super) fn give_up(&mut self, from: SocketId, life: u64) {
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

    pub(super) fn take(&mut self, to: SocketId, segment: Segment) {
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

    /// Notes that a segment arrived, and with it what its sender has got so far.
    fn acknowledge(&mut self, to: SocketId) {
        let now = self.now;
        self.socket_mut(to).acks.heard(now);
        let Some(from) = self.socket(to).peer else { return };
        if let Owner::Worker(_) = self.socket(from).owner {
            let (delay, unheard) = (self.socket(from).delay, self.is_swallowed(from));
            self.socket_mut(from).acks.arrived(now, delay, unheard);
        }
    }

    pub(super) fn take_data(&mut self, to: SocketId, bytes: Vec<u8>) {
        self.acknowledge(to);
        let socket = self.socket_mut(to);
        socket.coming -= bytes.len();
        match socket.phase {
            _ if socket.failure.is_some() => {}
            Phase::Open | Phase::Connecting => {
                socket.inbox.put_whole(bytes);
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
    pub(super) fn reset_back(&mut self, from: SocketId) {
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

    pub(super) fn make_room(&mut self, sender: SocketId) {
        let socket = self.socket_mut(sender);
        if !socket.queue.is_empty() && !std::mem::replace(&mut socket.room_due, true) {
            let delay = socket.delay;
            self.schedule(self.now + delay, Happening::Room(sender));
        }
    }
}
