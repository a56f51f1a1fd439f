//! All machines of one worker, and where each thing that happens is told.

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use fairlead_model::event::Event;
use fairlead_model::moment::Moment;
use fairlead_model::reason::Reason;
use fairlead_proto::http1::{RequestHead, ResponseHead};

use crate::arrival::Arrival;
use crate::chaos::News;
use crate::context::{Context, Role};
use crate::date::Date;
use crate::driver::{ConnId, Driver, IoFailure, ListenerId, Sent};
use crate::hold::Holds;
use crate::hosts::hosts;
use crate::http::client::{Client, STOP_GRACE};
use crate::http::exchange::{Exchange, Phase};
use crate::link::LinkUse;
use crate::local::{Local, LocalBackend};
use crate::log::Log;
use crate::probe::Probes;
use crate::slab::{Key, Slab};
use crate::snapshot::Snapshot;
use crate::tcp::Relay;
use crate::wheel::Alarm;

/// So many ended exchanges are kept for use again, whatever has become of their clients.
const SPARE_AT_REST: usize = 16;

/// The machines of one worker. See [`crate::driver`] for who calls what when.
#[derive(Debug)]
pub struct Flow {
    pub(crate) workers: usize,
    pub(crate) ctx: Context,
    pub(crate) local: Local,
    pub(crate) clients: Slab<Client>,
    pub(crate) relays: Slab<Relay>,
    pub(crate) arrivals: Slab<Arrival>,
    pub(crate) probes: Probes,
    pub(crate) holds: Holds,
    /// Clients that may go on with what waits in their input.
    pub(crate) ready: Vec<Key>,
    /// Exchanges that ended, for use again.
    #[expect(clippy::vec_box, reason = "they move between here and their clients: as pointers")]
    pub(crate) spare: Vec<Box<Exchange>>,
    /// Memory for reading heads; nothing while one is being read.
    pub(crate) request_head: Option<Box<RequestHead>>,
    pub(crate) response_head: Option<Box<ResponseHead>>,
    /// What is being written.
    pub(crate) out: Vec<u8>,
    /// A piece of a body whose framing had to be written anew.
    pub(crate) piece: Vec<u8>,
    pub(crate) log: Log,
    pub(crate) date: Date,
    pub(crate) stopping: bool,
    /// Clients that have no place at their listener, and are told so.
    pub(crate) turned_away: usize,
    /// The process has as much memory as it may have: nothing new is begun.
    pub(crate) memory_full: bool,
    /// The place in `clients` that was last looked at for somebody idle.
    pub(crate) hand: usize,
    /// The alarm whose handler is at work.
    firing: Option<Alarm>,
}

impl Flow {
    /// The machines of worker number `worker` (from 0) of `workers`. `seed` is where their chance
    /// comes from: equal seeds and equal happenings make equal decisions.
    pub fn new(worker: usize, workers: usize, seed: u64) -> Flow {
        Flow {
            workers: workers.max(1),
            ctx: Context::new(worker, seed),
            local: Local::empty(),
            clients: Slab::new(),
            relays: Slab::new(),
            arrivals: Slab::new(),
            probes: Probes::new(),
            holds: Holds::new(),
            ready: Vec::new(),
            spare: Vec::new(),
            request_head: None,
            response_head: None,
            out: Vec::new(),
            piece: Vec::new(),
            log: Log::default(),
            date: Date::default(),
            stopping: false,
            turned_away: 0,
            memory_full: false,
            hand: 0,
            firing: None,
        }
    }

    /// Puts a configuration in force. Exchanges and relays under way end under the one that they
    /// began with.
    pub fn publish<D: Driver>(&mut self, d: &mut D, snapshot: &Arc<Snapshot>, now: Moment) {
        let (local, retired) = Local::of(snapshot, &self.local, now);
        self.local = local;
        self.ctx.hosts = hosts(snapshot, &self.local.pools);
        self.log.set_format(snapshot.access_log().map(|plan| plan.format));
        for backend in retired {
            let links = backend.idle.borrow_mut().take_all();
            for link in links {
                self.ctx.close_link(d, link);
            }
        }
        self.close_moved(d);
        for key in self.clients.keys() {
            let Some(client) = self.clients.get_mut(key) else { continue };
            if client.exchange.is_some() {
                continue;
            }
            match self.local.listeners.get(&client.listener.state.id()) {
                Some(listener) => client.listener = Rc::clone(listener),
                None => self.client_arm(key, now + STOP_GRACE),
            }
        }
        self.ctx.chaos.aim(&self.local);
        self.probes_publish(d, now);
    }

    /// Closes kept connections to places where their backends no longer are.
    fn close_moved<D: Driver>(&mut self, d: &mut D) {
        let keeps = |backend: &&Rc<LocalBackend>| !backend.idle.borrow().is_empty();
        let backends: Vec<_> = self.local.backends().filter(keeps).cloned().collect();
        for backend in backends {
            let links = backend.idle.borrow().links();
            for key in links {
                let moved =
                    self.ctx.links.get(key).is_some_and(|link| !backend.is_at(&link.endpoint));
                if moved {
                    self.ctx.close_link(d, key);
                }
            }
        }
    }

    /// A connection that was asked for is there.
    pub fn handle_connected<D: Driver>(&mut self, d: &mut D, id: ConnId, now: Moment) {
        match self.ctx.roles.get(id) {
            Role::Link(key) if self.chaos_keeps(d, key, News::Connected, now) => {}
            Role::Link(key) => self.link_connected(d, key, now),
            Role::Probe(key) => self.probe_connected(d, key, now),
            _ => d.abort(id),
        }
        self.settle(d, now);
    }

    /// A connection that was asked for can't be had.
    pub fn handle_connect_failed<D: Driver>(
        &mut self,
        d: &mut D,
        id: ConnId,
        failure: IoFailure,
        now: Moment,
    ) {
        match self.ctx.roles.get(id) {
            Role::Link(key) if self.chaos_keeps(d, key, News::Failed(failure), now) => {}
            Role::Link(key) => self.link_connect_failed(d, key, failure, now),
            Role::Probe(key) => self.probe_failed(d, key, failure, now),
            _ => {}
        }
        self.settle(d, now);
    }

    /// Bytes have come.
    pub fn handle_data<D: Driver>(&mut self, d: &mut D, id: ConnId, bytes: &[u8], now: Moment) {
        match self.ctx.roles.get(id) {
            Role::Client(key) => self.client_data(d, key, bytes, now),
            Role::RelayClient(key) => self.relay_client_data(d, key, bytes, now),
            Role::Arrival(key) => self.arrival_data(d, key, bytes, now),
            Role::Probe(key) if self.chaos_keeps_probe(key, News::Data(bytes), now) => {}
            Role::Probe(key) => self.probe_data(d, key, bytes, now),
            Role::Link(key) if self.chaos_keeps(d, key, News::Data(bytes), now) => {}
            Role::Link(key) => self.link_data(d, key, bytes, now),
            Role::None => {}
        }
        self.settle(d, now);
    }

    /// So many bytes of this connection have gone on to another, as [`Driver::forward`] allows;
    /// `sent` says whether that one keeps some of them.
    pub fn handle_forwarded<D: Driver>(
        &mut self,
        d: &mut D,
        id: ConnId,
        count: u64,
        sent: Sent,
        now: Moment,
    ) {
        match self.ctx.roles.get(id) {
            Role::Client(key) => self.request_forwarded(d, key, (count, sent), now),
            Role::RelayClient(key) => self.relay_forwarded(d, key, true, (count, sent), now),
            Role::Link(key) => match self.ctx.links.get(key).map(|link| link.used) {
                Some(LinkUse::Busy(client)) => {
                    self.response_forwarded(d, client, (count, sent), now);
                }
                Some(LinkUse::Relay(relay)) => {
                    self.relay_forwarded(d, relay, false, (count, sent), now);
                }
                _ => {}
            },
            Role::Probe(_) | Role::Arrival(_) | Role::None => {}
        }
        self.settle(d, now);
    }

    /// The other end has finished sending.
    pub fn handle_eof<D: Driver>(&mut self, d: &mut D, id: ConnId, now: Moment) {
        match self.ctx.roles.get(id) {
            Role::Client(key) => self.client_eof(d, key, now),
            Role::RelayClient(key) => self.relay_eof(d, key, true, now),
            Role::Arrival(key) => self.arrival_eof(d, key, now),
            Role::Probe(key) => self.probe_eof(d, key, now),
            Role::Link(key) if self.chaos_keeps(d, key, News::Finished, now) => {}
            Role::Link(key) => self.link_eof(d, key, now),
            Role::None => {}
        }
        self.settle(d, now);
    }

    /// A connection is gone.
    pub fn handle_failed<D: Driver>(
        &mut self,
        d: &mut D,
        id: ConnId,
        failure: IoFailure,
        now: Moment,
    ) {
        match self.ctx.roles.get(id) {
            Role::Client(key) => self.client_gone(d, key, now),
            Role::RelayClient(key) => self.relay_failed(d, key, true, failure, now),
            Role::Arrival(key) => self.arrival_drop(d, key, Reason::ClientGone, now),
            Role::Probe(key) => self.probe_failed(d, key, failure, now),
            Role::Link(key) if self.chaos_keeps(d, key, News::Failed(failure), now) => {}
            Role::Link(key) => self.link_failed(d, key, failure, now),
            Role::None => {}
        }
        self.settle(d, now);
    }

    /// A reset was noticed on a connection that isn't being read. For a client that is its end.
    /// What a backend sent before its reset is still wanted: that waits until it is read again.
    pub fn handle_hangup<D: Driver>(&mut self, d: &mut D, id: ConnId, now: Moment) {
        match self.ctx.roles.get(id) {
            Role::Client(key) => self.client_gone(d, key, now),
            Role::RelayClient(key) => self.relay_failed(d, key, true, IoFailure::Reset, now),
            _ => {}
        }
        self.settle(d, now);
    }

    /// All that was queued for a connection has been sent.
    pub fn handle_writable<D: Driver>(&mut self, d: &mut D, id: ConnId, now: Moment) {
        match self.ctx.roles.get(id) {
            Role::Client(key) => self.client_writable(d, key, now),
            Role::RelayClient(key) => self.relay_writable(d, key, true, now),
            Role::Link(key) => self.link_writable(d, key, now),
            Role::Probe(_) | Role::Arrival(_) | Role::None => {}
        }
        self.settle(d, now);
    }

    /// Does what is due.
    pub fn handle_timers<D: Driver>(&mut self, d: &mut D, now: Moment) {
        if let Some(due) = self.ctx.timers.next() {
            self.ctx.lag.note(due, now);
        }
        self.ctx.timers.advance(now);
        while let Some(alarm) = self.ctx.timers.pop() {
            self.firing = Some(alarm);
            match alarm {
                Alarm::Client(key) => self.client_timer(d, key, now),
                Alarm::Relay(key) => self.relay_timer(d, key, now),
                Alarm::Link(key) => self.link_timer(d, key, now),
                Alarm::Probe(key) => self.probe_timer(d, key, now),
                Alarm::Arrival(key) => self.arrival_timer(d, key, now),
                Alarm::Chaos => self.chaos_timer(d, now),
                Alarm::Holds => self.holds_timer(d, now),
            }
            self.settle(d, now);
        }
        self.firing = None;
    }

    /// When [`Self::handle_timers`] wants to be called next.
    pub fn deadline(&self) -> Option<Moment> {
        self.ctx.timers.next()
    }

    /// A graceful stop begins: what comes on kept connections is still answered for a short grace,
    /// with `Connection: close`; what is under way goes on.
    pub fn stop<D: Driver>(&mut self, d: &mut D, now: Moment) {
        self.stopping = true;
        for key in self.clients.keys() {
            let Some(client) = self.clients.get_mut(key) else { continue };
            match &mut client.exchange {
                // A head that went out has promised what it said: the next request may be on its
                // way, and is answered within the grace.
                Some(exchange) if exchange.phase == Phase::Relaying => {}
                Some(exchange) => exchange.facts.keep_alive = false,
                None => self.client_arm(key, now + STOP_GRACE),
            }
        }
        self.arrivals_stop(now);
        self.probes_stop(d);
        // What is played would keep from its end what is under way.
        self.chaos_end(d, "ended early", now);
        self.settle(d, now);
    }

    /// Whether all places for clients of a listener are taken.
    pub fn is_full(&self, listener: ListenerId) -> bool {
        self.local.listeners.get(&listener).is_some_and(|listener| listener.state.is_full())
    }

    /// Says whether the process has as much memory as it may have: then newcomers and new requests
    /// get 503, and what is under way goes on.
    pub fn set_memory_full(&mut self, full: bool) {
        self.memory_full = full;
    }

    /// Client connections still open.
    pub fn open_clients(&self) -> usize {
        self.clients.len() + self.relays.len() + self.arrivals.len()
    }

    /// Gives back the memory that a peak of connections has left behind, if most are gone. For every
    /// few seconds: it may look at all places.
    pub fn give_memory_back(&mut self) {
        self.clients.give_back();
        self.relays.give_back();
        self.arrivals.give_back();
        self.ready.shrink_to(self.clients.len());
        // Some kilobytes each: as many as those who are here may need, and some more.
        self.spare.truncate(self.clients.len().max(SPARE_AT_REST));
        let (clients, relays, arrivals) = (&self.clients, &self.relays, &self.arrivals);
        let (links, probes) = (&mut self.ctx.links, &self.probes);
        links.give_back();
        self.ctx.roles.give_back();
        let machines = clients.len() + relays.len() + arrivals.len() + links.len() + probes.len();
        self.ctx.timers.give_back(machines, |alarm| match alarm {
            Alarm::Client(key) => clients.get(key).is_none(),
            Alarm::Relay(key) => relays.get(key).is_none(),
            Alarm::Arrival(key) => arrivals.get(key).is_none(),
            Alarm::Link(key) => links.get(key).is_none(),
            Alarm::Probe(_) | Alarm::Chaos | Alarm::Holds => false,
        });
    }

    /// The time for a graceful stop is over: everything ends.
    pub fn abandon<D: Driver>(&mut self, d: &mut D, now: Moment) {
        for key in self.clients.keys() {
            self.exchange_abandon(d, key, Reason::ShuttingDown, now);
            if let Some(client) = self.client_forget(key) {
                d.abort(client.conn);
            }
        }
        for key in self.relays.keys() {
            self.relay_drop(d, key, Reason::ShuttingDown, now);
        }
        for key in self.arrivals.keys() {
            self.arrival_drop(d, key, Reason::ShuttingDown, now);
        }
        for key in self.ctx.links.keys() {
            self.ctx.close_link(d, key);
        }
    }

    /// Whether every probe that is this worker's has had a result.
    pub fn first_checks_done(&self) -> bool {
        self.probes.all_had_results()
    }

    /// Something that happened, oldest first; ask until there is nothing more.
    pub fn take_event(&mut self) -> Option<Event> {
        VecDeque::pop_front(&mut self.ctx.events)
    }

    /// Does what the last happening left to be done: nearly always nothing.
    #[inline]
    pub(crate) fn settle<D: Driver>(&mut self, d: &mut D, now: Moment) {
        let quiet = self.ready.is_empty() && self.ctx.doubts.is_empty();
        let quiet = quiet && !self.ctx.shortage.is_unsettled();
        if !quiet || !self.ctx.revived.is_empty() || self.ctx.chaos.has_struck() {
            self.settle_now(d, now);
        }
    }

    fn settle_now<D: Driver>(&mut self, d: &mut D, now: Moment) {
        if self.ctx.chaos.has_struck() {
            self.chaos_strike(d, now);
        }
        while let Some(key) = self.ready.pop() {
            self.client_proceed(d, key, now);
        }
        if self.ctx.shortage.is_unsettled() {
            self.settle_shortage(d, now);
        }
        if !self.ctx.doubts.is_empty() {
            self.probes_doubt(d, now);
        }
        if !self.ctx.revived.is_empty() {
            self.hosts_revive(now);
        }
    }
}

mod door;
mod panic;
