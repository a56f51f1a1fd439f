//! Connections that have yet to say whose they are: trusted proxies owe a PROXY header first.
//!
//! Rules of this file
//! 1. Whether there is a header is decided by where a connection comes from, never by its bytes: a
//!    peer in `trusted_proxies` of a listener with `proxy_protocol` owes one, and so does every peer
//!    on a Unix socket of it (whoever may open that file is the operator's own). Everybody else is an
//!    ordinary client, whose bytes are its own whatever they look like.
//! 2. A header comes whole and in time, or the connection is refused with a reason; nothing of it is
//!    passed on.
//! 3. From then on the address that it tells is the client's: for routes' pools, logs, hashes,
//!    limits by address and forwarding headers. A proxy that passes bytes on vouches for the address
//!    and for nothing else, so what the client says about itself is believed only if the client's own
//!    address is trusted, too.
//! 4. A connection has its place at the listener from its beginning.
//!
//! Not here: what a header looks like (`fairlead_proto::proxy`), what an admitted client does.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::rc::Rc;

use fairlead_model::moment::Moment;
use fairlead_model::plan::{ListenerPlan, Protocol};
use fairlead_model::reason::Reason;
use fairlead_proto::proxy::{read, Origin, Preface};

use crate::context::Role;
use crate::driver::{ConnId, Driver, Peer};
use crate::flow::Flow;
use crate::http::client::STOP_GRACE;
use crate::local::LocalListener;
use crate::places::Place;
use crate::slab::Key;
use crate::wheel::{Alarm, Filed};

/// A connection whose header has not come whole.
#[derive(Debug)]
pub(crate) struct Arrival {
    conn: ConnId,
    peer: Peer,
    listener: Rc<LocalListener>,
    place: Place,
    /// What of it has come, if it comes in pieces: [`fairlead_proto::proxy::V2_BYTES`] at most,
    /// and one receive buffer.
    head: Vec<u8>,
    filed: Filed,
}

/// Whether a peer owes a header there.
pub(crate) fn owes_header(plan: &ListenerPlan, peer: Peer) -> bool {
    let trusted = |address: SocketAddr| {
        plan.trusted_proxies.iter().any(|network| network.contains(address.ip()))
    };
    plan.proxy_protocol && peer.address.is_none_or(trusted)
}

/// What a client's address and connection are to a backend that wants a header.
pub(crate) fn origin_of(peer: Peer) -> Origin {
    let Some(source) = peer.address else { return Origin::Unknown };
    let nowhere = || match source {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    Origin::Client { source, destination: peer.local.unwrap_or_else(nowhere) }
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

impl Flow {
    /// A trusted proxy has connected: its header is awaited.
    pub(crate) fn arrival_begin(
        &mut self,
        conn: ConnId,
        listener: Rc<LocalListener>,
        (peer, place): (Peer, Place),
        now: Moment,
    ) {
        let deadline = now + listener.plan().timeouts.head.duration();
        let (head, filed) = (Vec::new(), Filed::NOTHING);
        let key = self.arrivals.insert(Arrival { conn, peer, listener, place, head, filed });
        self.ctx.roles.set(conn, Role::Arrival(key));
        self.arrival_arm(key, deadline);
    }

    fn arrival_arm(&mut self, key: Key, deadline: Moment) {
        if let Some(arrival) = self.arrivals.get_mut(key) {
            self.ctx.timers.arm(Alarm::Arrival(key), deadline, &mut arrival.filed);
        }
    }

    /// Bytes of one: the header, perhaps with what follows it.
    pub(crate) fn arrival_data<D: Driver>(
        &mut self,
        d: &mut D,
        key: Key,
        bytes: &[u8],
        now: Moment,
    ) {
        let Some(arrival) = self.arrivals.get_mut(key) else { return };
        let before = arrival.head.len();
        if before > 0 {
            arrival.head.extend_from_slice(bytes);
        }
        let seen = if before > 0 { &arrival.head[..] } else { bytes };
        match read(seen) {
            Preface::Partial if before == 0 => arrival.head = bytes.to_vec(),
            Preface::Partial => {}
            Preface::Refused(what) => {
                self.log.note_refused(seen);
                self.arrival_refuse(d, key, Reason::BadProxyHeader, what, now);
            }
            // What came before this piece was not the whole of it.
            Preface::Whole { length, origin } => {
                self.arrival_admit(d, key, origin, &bytes[length - before..], now);
            }
        }
    }

    fn arrival_admit<D: Driver>(
        &mut self,
        d: &mut D,
        key: Key,
        origin: Origin,
        behind: &[u8],
        now: Moment,
    ) {
        let Some(Arrival { conn, peer, listener, place, .. }) = self.arrival_forget(key) else {
            return;
        };
        // A reload may have come in between.
        let current = self.local.listeners.get(&listener.state.id()).map(Rc::clone);
        let leaving = self.stopping || current.is_none();
        let peer = match origin {
            Origin::Local | Origin::Unknown => peer,
            Origin::Client { source, destination } => {
                Peer { address: Some(canonical(source)), local: Some(canonical(destination)) }
            }
        };
        self.admit(d, conn, current.unwrap_or(listener), (peer, place), now);
        if let Role::Client(key) = self.ctx.roles.get(conn) {
            if let Some(client) = self.clients.get_mut(key) {
                client.behind = origin == Origin::Unknown;
            }
            if leaving {
                self.client_arm(key, now + STOP_GRACE);
            }
        }
        if behind.is_empty() {
            return;
        }
        match self.ctx.roles.get(conn) {
            Role::Client(key) => self.client_data(d, key, behind, now),
            Role::RelayClient(key) => self.relay_early(d, key, behind, now),
            _ => {}
        }
    }

    /// It sends no more. One that never said a word was looking whether somebody listens here.
    pub(crate) fn arrival_eof<D: Driver>(&mut self, d: &mut D, key: Key, now: Moment) {
        let Some(arrival) = self.arrivals.get(key) else { return };
        if arrival.head.is_empty() {
            return self.arrival_drop(d, key, Reason::ClientGone, now);
        }
        self.log.note_refused(&arrival.head);
        self.arrival_refuse(d, key, Reason::BadProxyHeader, "it broke off", now);
    }

    /// Its time is over.
    pub(crate) fn arrival_timer<D: Driver>(&mut self, d: &mut D, key: Key, now: Moment) {
        let Some(arrival) = self.arrivals.get_mut(key) else { return };
        if arrival.filed.fired(now) {
            self.arrival_refuse(d, key, Reason::ProxyHeaderTimeout, "", now);
        }
    }

    /// A stop begins: those that have said nothing yet have as long as others for their next request.
    pub(crate) fn arrivals_stop(&mut self, now: Moment) {
        for key in self.arrivals.keys() {
            self.arrival_arm(key, now + STOP_GRACE);
        }
    }

    /// Refuses one: with an answer where answers can be read.
    fn arrival_refuse<D: Driver>(
        &mut self,
        d: &mut D,
        key: Key,
        reason: Reason,
        what: &str,
        now: Moment,
    ) {
        let is_http = |arrival: &Arrival| arrival.listener.plan().protocol == Protocol::Http;
        if !self.arrivals.get(key).is_some_and(is_http) {
            return self.arrival_drop(d, key, reason, now);
        }
        let Some(Arrival { conn, peer, listener, place, .. }) = self.arrival_forget(key) else {
            return;
        };
        self.client_accepted(conn, listener, (peer, place), now);
        if let Role::Client(key) = self.ctx.roles.get(conn) {
            self.answer(d, key, reason, what, now);
        }
    }

    /// Ends one with a reset.
    pub(crate) fn arrival_drop<D: Driver>(
        &mut self,
        d: &mut D,
        key: Key,
        reason: Reason,
        now: Moment,
    ) {
        let Some(Arrival { conn, peer, listener, place, .. }) = self.arrival_forget(key) else {
            return;
        };
        listener.state.leave(place);
        listener.state.count(self.ctx.worker, 0, reason);
        self.log_turned_away(&listener, peer, reason, now);
        d.abort(conn);
    }

    fn arrival_forget(&mut self, key: Key) -> Option<Arrival> {
        let arrival = self.arrivals.remove(key)?;
        self.ctx.roles.clear(arrival.conn);
        Some(arrival)
    }
}
