//! Bytes both ways: a tcp listener's connections, and HTTP connections after an upgrade.
//!
//! Rules of this file
//! 1. Not a byte of the client is read before somebody is there to take it (but for those that come
//!    together with a PROXY header, and are kept). So nothing of it is lost when the first backend
//!    doesn't answer.
//! 2. Who is not read from is not being read from because the other side is slower: at most one
//!    receive buffer waits in each direction.
//! 3. A FIN is passed on and the other direction goes on. A reset is passed on as a reset, unless
//!    nothing was said yet (`again`).
//! 4. A client that leaves ends the search for a backend at once.

mod again;
mod end;
mod silence;

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use fairlead_model::backend::Slot;
use fairlead_model::limits::RECEIVE_BYTES;
use fairlead_model::moment::Moment;
use fairlead_model::reason::Reason;

use crate::context::Role;
use crate::driver::{ConnId, Driver, Peer, Sent};
use crate::flow::Flow;
use crate::hash_key::key_of;
use crate::http::client::Client;
use crate::http::exchange::Exchange;
use crate::idle::Reuse;
use crate::link::{LinkUse, Owner};
use crate::local::LocalListener;
use crate::places::Place;
use crate::seek::{Found, Seek};
use crate::slab::Key;
use crate::wheel::{Alarm, Filed};
use silence::Question;

/// Which side of a relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Client,
    Backend,
}

/// Two connections, joined (or, while `seek` is there, about to be).
#[derive(Debug)]
pub(crate) struct Relay {
    client: ConnId,
    pub(crate) address: Option<SocketAddr>,
    /// What the client connected to.
    local: Option<SocketAddr>,
    /// What came of it together with its PROXY header, before there was a backend.
    early: Vec<u8>,
    pub(crate) listener: Rc<LocalListener>,
    place: Place,
    pub(crate) seek: Option<Box<Seek>>,
    /// The same once it has come to somebody, for as long as it may have to go on (`again`): until
    /// anybody has said anything. Most memory of a relay that idles would be this otherwise.
    found: Option<Box<Seek>>,
    /// What the search came to: backends tried, and the last of them.
    pub(crate) attempts: u32,
    pub(crate) last: Option<Slot>,
    /// The exchange that became this tunnel, for the access log.
    pub(crate) exchange: Option<Box<Exchange>>,
    pub(crate) link: Option<Key>,
    backend: Option<ConnId>,
    idle: Duration,
    client_finished: bool,
    backend_finished: bool,
    pub(crate) received: u64,
    pub(crate) sent: u64,
    pub(crate) started: Moment,
    /// When the search began that has led to this backend.
    sought: Moment,
    /// Whether the backend is waited for, to learn if it is there at all.
    pub(crate) question: Question,
    /// When the client's bytes last went on, if the backend has said nothing since.
    pub(crate) spoke: Option<Moment>,
    /// When it is to be looked at whether they are acknowledged.
    pub(crate) look: Moment,
    /// They were not, for too long.
    pub(crate) suspected: bool,
    deadline: Moment,
    filed: Filed,
}

impl Relay {
    /// A relay that has neither a search nor a connection yet.
    fn new(
        client: ConnId,
        (listener, place): (Rc<LocalListener>, Place),
        idle: Duration,
        now: Moment,
    ) -> Relay {
        Relay {
            client,
            address: None,
            local: None,
            early: Vec::new(),
            listener,
            place,
            seek: None,
            found: None,
            attempts: 0,
            last: None,
            exchange: None,
            question: Question::None,
            spoke: None,
            look: Moment(u64::MAX),
            suspected: false,
            link: None,
            backend: None,
            idle,
            client_finished: false,
            backend_finished: false,
            received: 0,
            sent: 0,
            started: now,
            sought: now,
            deadline: Moment(u64::MAX),
            filed: Filed::NOTHING,
        }
    }

    /// Its listener's name and its search, while there is one.
    pub(crate) fn seeking(&mut self) -> Option<(&str, &mut Seek)> {
        let seek = self.seek.as_mut()?;
        Some((&self.listener.plan().name, seek))
    }

    /// The search is over; what it came to is kept.
    fn take_seek(&mut self) -> Option<Box<Seek>> {
        let seek = self.seek.take()?;
        self.attempts = seek.attempts;
        self.last = seek.last;
        Some(seek)
    }
}

impl Flow {
    /// A client has connected to a tcp listener: a backend is sought at once.
    pub(crate) fn relay_accepted<D: Driver>(
        &mut self,
        d: &mut D,
        client: ConnId,
        listener: Rc<LocalListener>,
        (peer, place): (Peer, Place),
        now: Moment,
    ) {
        let Some(pool) = listener.plan().pool.and_then(|index| listener.pools.get(index)) else {
            listener.state.leave(place);
            return d.close(client);
        };
        let seek = Seek::new(Rc::clone(pool), key_of(pool.plan(), peer), Reuse::Never);
        let idle = listener.plan().timeouts.idle.duration();
        let mut relay = Relay::new(client, (listener, place), idle, now);
        relay.address = peer.address;
        relay.local = peer.local;
        relay.seek = Some(Box::new(seek));
        let key = self.relays.insert(relay);
        self.ctx.roles.set(client, Role::RelayClient(key));
        d.pause(client);
        self.relay_seek(d, key, now, |seek, ctx, d| seek.next(ctx, d, Owner::Relay(key), now));
    }

    /// An HTTP client's exchange becomes a tunnel over `link`.
    pub(crate) fn relay_tunnel<D: Driver>(
        &mut self,
        d: &mut D,
        client: Client,
        link: Key,
        now: Moment,
    ) {
        let Client { conn, input: unread, .. } = client;
        // Whoever is turned away has no exchange, and so no tunnel.
        let Some(place) = client.place else { return };
        let listener = Rc::clone(&client.listener);
        let Some(to) = self.ctx.links.get(link).map(|link| link.conn) else { return };
        let idle = listener.plan().timeouts.tunnel.duration();
        let mut relay = Relay::new(conn, (listener, place), idle, now);
        relay.address = client.peer.address;
        relay.link = Some(link);
        relay.backend = Some(to);
        relay.exchange = client.exchange.filter(|_| self.log.is_on());
        // It has answered already, with its 101.
        relay.question = Question::Answered;
        let key = self.relays.insert(relay);
        self.ctx.roles.set(conn, Role::RelayClient(key));
        self.relay_join(d, key, link, now);
        if !unread.is_empty() {
            self.relay_data(d, key, Side::Client, unread.bytes(), now);
        }
    }

    /// Does one step of the search, and what follows from it.
    pub(crate) fn relay_seek<D: Driver>(
        &mut self,
        d: &mut D,
        key: Key,
        now: Moment,
        step: impl FnOnce(&mut Seek, &mut crate::context::Context, &mut D) -> Found,
    ) {
        let Some(relay) = self.relays.get_mut(key) else { return };
        let Some(seek) = relay.seek.as_mut() else { return };
        match step(seek, &mut self.ctx, d) {
            Found::Waiting => {
                let deadline = seek.deadline();
                self.relay_arm(key, deadline);
            }
            Found::Link(link) => {
                let (pool, waited) = (Rc::clone(&seek.pool), seek.wait_is_over());
                if waited {
                    self.hold_served(&pool);
                }
                let it = self.ctx.links.get(link).filter(|link| link.speaks());
                let it = it.filter(|link| link.backend.state.is_shown_by_connects());
                if let Some(slot) = it.map(|link| link.slot) {
                    self.ctx.succeeded(&pool, slot, now);
                }
                self.relay_join(d, key, link, now);
            }
            Found::Failed(reason) if self.hold(Owner::Relay(key), reason, now) => {
                let Some(relay) = self.relays.get(key) else { return };
                if let Some(deadline) = relay.seek.as_ref().map(|seek| seek.deadline()) {
                    self.relay_arm(key, deadline);
                }
            }
            Found::Failed(reason) => self.relay_end(d, key, reason, now),
            Found::Undecided => self.relay_ask(d, key, now),
        }
    }

    fn relay_join<D: Driver>(&mut self, d: &mut D, key: Key, link: Key, now: Moment) {
        let (Some(relay), Some(to)) = (self.relays.get_mut(key), self.ctx.links.get_mut(link))
        else {
            return;
        };
        to.used = LinkUse::Relay(key);
        to.spare_stream();
        // The latency of a connection is the time until it was there.
        if relay.seek.is_some() {
            to.backend.state.shard(self.ctx.worker).add_request(now.since(relay.sought));
            to.introduce(d, Peer { address: relay.address, local: relay.local }, now);
        }
        relay.link = Some(link);
        relay.backend = Some(to.conn);
        relay.found = relay.take_seek().filter(|seek| seek.pool.proxy.is_none());
        let early = std::mem::take(&mut relay.early);
        let (client, deadline) = (relay.client, now + relay.idle);
        self.relay_arm(key, deadline);
        d.resume(client);
        if !early.is_empty() {
            self.relay_data(d, key, Side::Client, &early, now);
        }
    }

    /// Bytes that came with a client's PROXY header, while nobody is there yet to take them: the one
    /// exception from rule 1, of one receive buffer.
    pub(crate) fn relay_early<D: Driver>(
        &mut self,
        d: &mut D,
        key: Key,
        bytes: &[u8],
        now: Moment,
    ) {
        let Some(relay) = self.relays.get_mut(key) else { return };
        if relay.backend.is_some() {
            return self.relay_data(d, key, Side::Client, bytes, now);
        }
        relay.early = bytes.to_vec();
    }

    pub(crate) fn relay_arm(&mut self, key: Key, deadline: Moment) {
        if let Some(relay) = self.relays.get_mut(key) {
            relay.deadline = deadline;
            self.ctx.timers.arm(Alarm::Relay(key), deadline, &mut relay.filed);
        }
    }

    /// Bytes of the client.
    pub(crate) fn relay_client_data<D: Driver>(
        &mut self,
        d: &mut D,
        key: Key,
        bytes: &[u8],
        now: Moment,
    ) {
        self.relay_data(d, key, Side::Client, bytes, now);
    }

    /// Bytes of the backend.
    pub(crate) fn relay_backend_data<D: Driver>(
        &mut self,
        d: &mut D,
        key: Key,
        bytes: &[u8],
        now: Moment,
    ) {
        self.relay_data(d, key, Side::Backend, bytes, now);
    }

    fn relay_data<D: Driver>(
        &mut self,
        d: &mut D,
        key: Key,
        from: Side,
        bytes: &[u8],
        now: Moment,
    ) {
        let Some(relay) = self.relays.get_mut(key) else { return };
        let Some(backend) = relay.backend else { return };
        relay.deadline = now + relay.idle;
        relay.found = None;
        let count = bytes.len() as u64;
        let plain = !self.ctx.chaos.is_on() || !self.ctx.suffers(relay.link);
        if self.log.dumps() {
            self.log.dump(from == Side::Client, bytes);
        }
        self.ctx.count_relayed(relay.link, from == Side::Client, count);
        let (source, target) = match from {
            Side::Client => {
                relay.received += count;
                if relay.question == Question::None {
                    self.relay_asks(key, now);
                }
                let Some(relay) = self.relays.get_mut(key) else { return };
                relay.spoke = Some(now);
                if relay.look == Moment(u64::MAX) {
                    self.relay_speaks(key, now);
                }
                let Some(relay) = self.relays.get_mut(key) else { return };
                (relay.client, backend)
            }
            Side::Backend => {
                relay.sent += count;
                let (spoke, suspected) = (relay.spoke.take(), relay.suspected);
                if relay.question != Question::Answered {
                    self.relay_answers(key, now);
                }
                if let (Some(spoke), true) = (spoke, suspected) {
                    self.relay_acknowledged(d, key, spoke, now);
                }
                let Some(relay) = self.relays.get_mut(key) else { return };
                (backend, relay.client)
            }
        };
        let sent = match from {
            Side::Client if !plain => self.relay_suffers(d, key, bytes, now),
            _ => d.send(target, bytes, &[]),
        };
        match sent {
            Sent::Queued => d.pause(source),
            // Much is coming: it needn't be looked at any more, unless somebody does.
            Sent::All if bytes.len() >= RECEIVE_BYTES && plain && !self.log.dumps() => {
                d.forward(source, target, u64::MAX);
            }
            Sent::All => {}
        }
    }

    /// Bytes of one side have gone to the other.
    pub(crate) fn relay_forwarded<D: Driver>(
        &mut self,
        d: &mut D,
        key: Key,
        of_client: bool,
        (count, sent): (u64, Sent),
        now: Moment,
    ) {
        let Some(relay) = self.relays.get_mut(key) else { return };
        let Some(backend) = relay.backend else { return };
        relay.deadline = now + relay.idle;
        self.ctx.count_relayed(relay.link, of_client, count);
        let unwatched = of_client && relay.look == Moment(u64::MAX);
        let (source, spoke) = if of_client {
            relay.received += count;
            relay.spoke = Some(now);
            (relay.client, None)
        } else {
            relay.sent += count;
            (backend, relay.spoke.take())
        };
        let suspected = relay.suspected;
        if sent == Sent::Queued {
            d.pause(source);
        }
        if unwatched {
            self.relay_speaks(key, now);
        }
        if let (Some(spoke), true) = (spoke, suspected) {
            self.relay_acknowledged(d, key, spoke, now);
        }
    }

    /// What was queued for one side is gone: the other is read again.
    pub(crate) fn relay_writable<D: Driver>(
        &mut self,
        d: &mut D,
        key: Key,
        to_client: bool,
        now: Moment,
    ) {
        let Some(relay) = self.relays.get_mut(key) else { return };
        let Some(backend) = relay.backend else { return };
        relay.deadline = now + relay.idle;
        d.resume(if to_client { backend } else { relay.client });
    }

    /// One side has nothing more to say.
    pub(crate) fn relay_eof<D: Driver>(
        &mut self,
        d: &mut D,
        key: Key,
        of_client: bool,
        now: Moment,
    ) {
        let Some(relay) = self.relays.get_mut(key) else { return };
        let Some(backend) = relay.backend else { return };
        relay.deadline = now + relay.idle;
        relay.found = None;
        if of_client {
            relay.client_finished = true;
        } else {
            relay.backend_finished = true;
            self.relay_ended(key, now);
        }
        if self.log.dumps() {
            self.log.dump(of_client, b"");
        }
        let Some(relay) = self.relays.get_mut(key) else { return };
        if relay.client_finished && relay.backend_finished {
            self.relay_end(d, key, Reason::Ok, now);
        } else if of_client && self.ctx.chaos.is_on() {
            self.relay_finishes(d, key);
        } else {
            d.finish(if of_client { backend } else { relay.client });
        }
    }

    /// Time is up for a relay: for a step of its search, or for its silence.
    pub(crate) fn relay_timer<D: Driver>(&mut self, d: &mut D, key: Key, now: Moment) {
        let Some(relay) = self.relays.get_mut(key) else { return };
        if !relay.filed.fired(now) {
            return;
        }
        if relay.question.is_late(now) {
            self.relay_is_silent(key, now);
        }
        self.relay_look(d, key, now);
        let Some(relay) = self.relays.get_mut(key) else { return };
        if now < relay.deadline {
            let deadline = relay.deadline;
            self.relay_arm(key, deadline);
            return self.relay_watch(key);
        }
        if relay.seek.is_some() {
            let owner = Owner::Relay(key);
            return self.relay_seek(d, key, now, |seek, ctx, d| seek.timer(ctx, d, owner, now));
        }
        self.relay_expire(d, key, now);
    }
}

impl Flow {
    /// The client of a fresh tunnel had finished sending before it became one.
    pub(crate) fn relay_client_finished<D: Driver>(
        &mut self,
        d: &mut D,
        client: ConnId,
        now: Moment,
    ) {
        if let Role::RelayClient(key) = self.ctx.roles.get(client) {
            self.relay_eof(d, key, true, now);
        }
    }
}
