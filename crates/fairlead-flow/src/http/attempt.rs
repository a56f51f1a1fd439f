//! Getting a request to a backend, and to another one when that fails.
//!
//! Rules of this file
//! 1. What may be sent again is decided by `fairlead_balance::retry`; this file reports what that
//!    decision needs: what went out, what was passed on, what is kept.
//! 2. A kept connection that turns out dead before an answer says nothing about its backend: the
//!    same backend is asked again on a fresh one.
//! 3. A request that must not be sent twice goes out on a fresh connection, or on one so young
//!    that its backend can't be closing it (`idle::Reuse::Sure`).
//! 4. While a request waits for its answer it is looked after every so often: when its backend is
//!    found down, it moves (if it may).

use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use fairlead_balance::{hash, may_resend, Sendable};
use fairlead_model::limits::REPLAY_BYTES;
use fairlead_model::moment::Moment;
use fairlead_model::plan::{BackendPlan, HashOn, Policy, PoolPlan};
use fairlead_model::reason::Reason;
use fairlead_proto::forwarded::Scheme;
use fairlead_proto::http1::{write_request, BodyReader, ForwardRequest, Framing, RequestHead};

use crate::context::Context;
use crate::driver::{Driver, Peer, Sent};
use crate::flow::Flow;
use crate::http::answer::reason_of;
use crate::http::exchange::{Exchange, Facts, Kept, Phase};
use crate::http::hedge::late_at;
use crate::idle::Reuse;
use crate::link::{LinkUse, Owner};
use crate::route::Facts as RouteFacts;
use crate::seek::{Found, Seek};
use crate::slab::Key;
use crate::tcp::source_key;

/// How often a request that waits for its answer is looked after.
const WATCH: Duration = Duration::from_millis(250);

impl Flow {
    /// A request's head has come whole. Answers how much of `behind` belongs to its body.
    pub(crate) fn exchange_begin<D: Driver>(
        &mut self,
        d: &mut D,
        key: Key,
        bytes: &[u8],
        head: &RequestHead,
        behind: &[u8],
        now: Moment,
    ) -> usize {
        let Some(client) = self.clients.get_mut(key) else { return 0 };
        let listener = Rc::clone(&client.listener);
        let gone = || !self.local.listeners.contains_key(&listener.state.id());
        let leaving = self.stopping || (listener.retired.get() && gone());
        let facts = Facts {
            method: head.method(),
            version: head.version(),
            keep_alive: head.keep_alive() && !leaving,
            upgrade: head.upgrade().is_some(),
        };
        let found = listener.routes().find(&Looked { bytes, head });
        let Some(pool) = found.and_then(|index| listener.pools.get(index)) else {
            return self.exchange_unroutable(d, key, &listener, facts, (bytes, head), now);
        };
        let mut exchange = match self.spare.pop() {
            Some(mut exchange) => {
                exchange.renew(Rc::clone(pool), facts, now);
                exchange
            }
            None => Box::new(Exchange::new(Rc::clone(pool), facts, now)),
        };
        exchange.received = bytes.len() as u64;
        exchange.seek.key = hash_key(pool.plan(), client.peer, bytes, head);
        exchange.seek.reuse = if facts.method.is_idempotent() { Reuse::Any } else { Reuse::Sure };
        exchange.seek.repeatable = facts.method.is_idempotent();
        if facts.upgrade {
            exchange.seek.reuse = Reuse::Never;
        }
        let address = client.peer.address.map(|address| address.ip());
        let trusted =
            address.is_some_and(|address| is_trusted(&listener.plan().trusted_proxies, address));
        let id = request_id(&mut self.ctx);
        let how = ForwardRequest {
            client: address.map(|address| address.to_canonical()),
            scheme: Scheme::Http,
            trusted,
            request_id: std::str::from_utf8(&id).ok(),
            default_host: pool.plan().backends.first().map_or("localhost", host_of),
            upgrade: true,
            close: false,
            via: None,
        };
        write_request(&mut exchange.head, bytes, head, &how);
        exchange.request = BodyReader::new(head.framing());
        exchange.request_done = exchange.request.is_done();
        client.exchange = Some(exchange);
        if let (Framing::Length(length), Some(limit)) =
            (head.framing(), listener.plan().limits.body)
        {
            if length > limit {
                self.answer(d, key, Reason::BodyTooLarge, "", now);
                return 0;
            }
        }
        let used = self.body_data(d, key, behind, now);
        if self.clients.get(key).is_some_and(|client| client.exchange.is_some()) {
            let owner = Owner::Client(key);
            self.exchange_seek(d, key, now, |seek, ctx, d| seek.next(ctx, d, owner, now));
        }
        used
    }

    /// No route takes the request. Its body has to be gone before the next request can be read,
    /// so a request with one ends the connection.
    fn exchange_unroutable<D: Driver>(
        &mut self,
        d: &mut D,
        key: Key,
        listener: &crate::local::LocalListener,
        facts: Facts,
        (bytes, head): (&[u8], &RequestHead),
        now: Moment,
    ) -> usize {
        let Some(pool) = listener.pools.first() else {
            self.answer(d, key, Reason::NoRoute, "", now);
            return 0;
        };
        // Any pool will do: nothing is sought in it.
        let mut exchange = Box::new(Exchange::new(Rc::clone(pool), facts, now));
        exchange.request_done = head.framing().is_empty();
        exchange.received = bytes.len() as u64;
        if self.log.is_on() {
            exchange.head.extend_from_slice(bytes);
        }
        if let Some(client) = self.clients.get_mut(key) {
            client.exchange = Some(exchange);
        }
        self.answer(d, key, Reason::NoRoute, "", now);
        0
    }

    /// Does one step of the search for a backend, and what follows from it.
    pub(crate) fn exchange_seek<D: Driver>(
        &mut self,
        d: &mut D,
        key: Key,
        now: Moment,
        step: impl FnOnce(&mut Seek, &mut Context, &mut D) -> Found,
    ) {
        let Some(client) = self.clients.get_mut(key) else { return };
        let Some(exchange) = client.exchange.as_mut() else { return };
        match step(&mut exchange.seek, &mut self.ctx, d) {
            Found::Waiting if exchange.phase == Phase::Seeking => {
                let deadline = exchange.seek.deadline();
                self.client_arm(key, deadline);
            }
            Found::Link(link) if exchange.phase == Phase::Seeking => {
                self.send_request(d, key, link, now);
            }
            Found::Failed(reason) if exchange.phase == Phase::Seeking => {
                self.answer(d, key, reason, "", now);
            }
            // Somebody has the request already; this was the search for a second one.
            Found::Link(link) => self.hedge_send(d, key, link, now),
            Found::Waiting => self.sent_arm(key, now),
            Found::Failed(_) => {
                // Nobody was there to be asked, so nothing was spent.
                if let Some(budget) = &exchange.seek.pool.budget {
                    budget.borrow_mut().refund();
                }
                self.opinion_none(d, key, now);
            }
        }
    }

    /// Sends the request, as far as it has come, on a connection that is its own now.
    fn send_request<D: Driver>(&mut self, d: &mut D, key: Key, link_key: Key, now: Moment) {
        let Some(client) = self.clients.get_mut(key) else { return };
        let Some(exchange) = client.exchange.as_mut() else { return };
        let Some(link) = self.ctx.links.get_mut(link_key) else { return };
        link.used = LinkUse::Busy(key);
        link.interim = 0;
        exchange.link = Some(link_key);
        exchange.phase = Phase::Sent;
        exchange.sent_anything = true;
        exchange.sent_at = now;
        exchange.held_back = d.send(link.conn, &exchange.head, &exchange.body) == Sent::Queued;
        exchange.late = late_at(exchange, (&link.pool, link.slot), self.ctx.worker, now);
        if !exchange.facts.method.is_idempotent() {
            exchange.kept = Kept::Dropped;
            exchange.body.clear();
        }
        if client.paused && exchange.wants_body() && !exchange.request_done {
            client.paused = false;
            d.resume(client.conn);
        }
        self.sent_arm(key, now);
    }

    /// A piece of the request's body. Answers how much of `bytes` belongs to it.
    pub(crate) fn body_data<D: Driver>(
        &mut self,
        d: &mut D,
        key: Key,
        bytes: &[u8],
        now: Moment,
    ) -> usize {
        let Some(client) = self.clients.get_mut(key) else { return 0 };
        let Some(exchange) = client.exchange.as_mut() else { return 0 };
        if exchange.request_done || bytes.is_empty() {
            return 0;
        }
        self.piece.clear();
        let fed = match exchange.request.feed(bytes, true, &mut self.piece) {
            Ok(fed) => fed,
            Err(refusal) => {
                exchange.facts.keep_alive = false;
                self.answer(d, key, reason_of(refusal), refusal.what, now);
                return bytes.len();
            }
        };
        let limit = client.listener.plan().limits.body;
        if limit.is_some_and(|limit| exchange.request.data_bytes() > limit) {
            exchange.facts.keep_alive = false;
            self.answer(d, key, Reason::BodyTooLarge, "", now);
            return bytes.len();
        }
        let piece = if fed.verbatim { &bytes[..fed.consumed] } else { &self.piece[..] };
        exchange.request_done = fed.done;
        exchange.received += fed.consumed as u64;
        let mut hold = false;
        if exchange.phase == Phase::Seeking {
            exchange.body.extend_from_slice(piece);
            hold = !exchange.request_done && !exchange.wants_body();
        } else if let Some(link) = exchange.link.and_then(|link| self.ctx.links.get(link)) {
            if exchange.kept == Kept::Whole {
                if exchange.phase == Phase::Sent
                    && exchange.body.len() + piece.len() <= REPLAY_BYTES
                {
                    exchange.body.extend_from_slice(piece);
                } else {
                    exchange.kept = Kept::Dropped;
                    exchange.body.clear();
                }
            }
            exchange.held_back = d.send(link.conn, piece, &[]) == Sent::Queued;
            hold = exchange.held_back;
        }
        if hold && !client.paused {
            client.paused = true;
            d.pause(client.conn);
        }
        let phase = exchange.phase;
        match phase {
            Phase::Sent => {
                exchange.sent_at = now;
                self.sent_arm(key, now);
            }
            // Bytes flow, if only this way: the answer hasn't stalled.
            Phase::Relaying => {
                let idle = exchange.seek.pool.idle;
                self.client_arm(key, now + idle);
            }
            Phase::Seeking => {}
        }
        fed.consumed
    }

    /// What was queued for the backend is gone: the client is read again.
    pub(crate) fn request_writable<D: Driver>(
        &mut self,
        d: &mut D,
        key: Key,
        link: Key,
        now: Moment,
    ) {
        let Some(client) = self.clients.get_mut(key) else { return };
        let Some(exchange) = client.exchange.as_mut() else { return };
        if exchange.link != Some(link) {
            return; // a second one, which got all at once
        }
        exchange.held_back = false;
        if exchange.phase == Phase::Sent {
            exchange.sent_at = now;
        }
        let phase = exchange.phase;
        if client.paused && !exchange.request_done {
            client.paused = false;
            d.resume(client.conn);
        }
        if phase == Phase::Sent {
            self.sent_arm(key, now);
        }
    }

    /// The connection that carries a request ended before the answer's head was whole.
    pub(crate) fn attempt_failed<D: Driver>(
        &mut self,
        d: &mut D,
        key: Key,
        link_key: Key,
        failure: Failure<'_>,
        now: Moment,
    ) {
        let Failure { reason, detail, .. } = failure;
        let Some(client) = self.clients.get_mut(key) else { return };
        let Some(exchange) = client.exchange.as_mut() else { return };
        if exchange.second == Some(link_key) {
            exchange.second = None;
        } else {
            // If there is a second one, it goes on as the only one.
            exchange.link = exchange.second.take();
            if exchange.link.is_some() {
                exchange.sent_at = exchange.second_at;
            }
        }
        let goes_on = exchange.link.is_some();
        // A backend that waits for a client in vain and then hangs up is not ill.
        let patience = reason == Reason::BackendReset && exchange.keeps_waiting(now);
        let Some(link) = self.ctx.links.get(link_key) else { return };
        let (pool, slot) = (Rc::clone(&link.pool), link.slot);
        link.backend.state.end();
        self.ctx.abort_link(d, link_key);
        let evidence = reason.row().evidence && !patience;
        if goes_on {
            if evidence {
                exchange.blame(&mut self.ctx, slot, &failure, now);
            }
            self.sent_arm(key, now);
            return self.opinion_none(d, key, now);
        }
        let Some(client) = self.clients.get_mut(key) else { return };
        let Some(exchange) = client.exchange.as_mut() else { return };
        let sendable = Sendable {
            idempotent: exchange.facts.method.is_idempotent(),
            sent_anything: exchange.sent_anything,
            relayed_anything: exchange.begun || exchange.phase == Phase::Relaying,
            replayable: exchange.kept == Kept::Whole,
        };
        if !may_resend(reason, &sendable) {
            if evidence {
                self.ctx.failed_alone(&pool, slot, &failure, now);
            }
            return self.answer(d, key, reason, detail, now);
        }
        if evidence {
            exchange.blame(&mut self.ctx, slot, &failure, now);
        }
        exchange.phase = Phase::Seeking;
        exchange.held_back = false;
        if !exchange.seek.is_quiet() {
            // A second one was on its way already: now it is the first.
            let deadline = exchange.seek.deadline();
            return self.client_arm(key, deadline);
        }
        let owner = Owner::Client(key);
        if reason == Reason::StaleConnection {
            return self
                .exchange_seek(d, key, now, |seek, ctx, d| seek.again(ctx, d, owner, slot, now));
        }
        if exchange.seek.lost(slot, reason, now) {
            let deadline = exchange.seek.deadline();
            return self.client_arm(key, deadline);
        }
        self.exchange_seek(d, key, now, |seek, ctx, d| seek.next(ctx, d, owner, now));
    }

    /// Sets the time at which a request that was sent is looked after.
    pub(crate) fn sent_arm(&mut self, key: Key, now: Moment) {
        let Some(client) = self.clients.get_mut(key) else { return };
        let Some(exchange) = client.exchange.as_ref() else { return };
        let mut deadline = (now + WATCH).min(exchange.late);
        if !exchange.seek.is_quiet() {
            deadline = deadline.min(exchange.seek.deadline());
        }
        self.client_arm(key, deadline);
    }

    /// Looks after a request that waits for its answer.
    pub(crate) fn sent_timer<D: Driver>(&mut self, d: &mut D, key: Key, now: Moment) {
        let Some(client) = self.clients.get_mut(key) else { return };
        let Some(exchange) = client.exchange.as_mut() else { return };
        if exchange.held.is_some_and(|until| now >= until) {
            return self.opinion_none(d, key, now);
        }
        if now >= exchange.late {
            self.hedge_begin(d, key, now);
        } else if !exchange.seek.is_quiet() {
            let owner = Owner::Client(key);
            self.exchange_seek(d, key, now, |seek, ctx, d| seek.timer(ctx, d, owner, now));
        }
        self.sent_check(d, key, now);
    }

    fn sent_check<D: Driver>(&mut self, d: &mut D, key: Key, now: Moment) {
        let Some(client) = self.clients.get_mut(key) else { return };
        let Some(exchange) = client.exchange.as_mut() else { return };
        // What was just done for it may have brought it further, with a deadline of its own.
        if exchange.phase != Phase::Sent {
            return;
        }
        let Some(link_key) = exchange.link else { return };
        let Some(link) = self.ctx.links.get(link_key) else { return };
        if let Some(until) = exchange.held {
            self.sent_arm(key, now);
            return self.client_arm_no_later(key, until);
        }
        let waited = now.since(exchange.sent_at);
        let moves = || link.pool.has_another(link.slot);
        if Context::is_down(&link.pool, link.slot) && exchange.second.is_none() && moves() {
            let sendable = Sendable {
                idempotent: exchange.facts.method.is_idempotent(),
                sent_anything: exchange.sent_anything,
                relayed_anything: exchange.begun,
                replayable: exchange.kept == Kept::Whole,
            };
            if may_resend(Reason::BackendDown, &sendable) && exchange.seek.is_quiet() {
                let failure = Failure { reason: Reason::BackendDown, what: "down", detail: "" };
                return self.attempt_failed(d, key, link_key, failure, now);
            }
        }
        if exchange.request_done || exchange.held_back {
            let limit = link.pool.response;
            if waited >= limit {
                let detail = format!("within {}", crate::seek::millis(limit));
                let reason = Reason::ResponseTimeout;
                let failure = Failure { reason, what: "no answer", detail: &detail };
                return self.attempt_failed(d, key, link_key, failure, now);
            }
            let end = exchange.sent_at + limit;
            self.sent_arm(key, now);
            return self.client_arm_no_later(key, end);
        }
        let limit = client.listener.plan().timeouts.body.duration();
        if waited >= limit {
            exchange.facts.keep_alive = false;
            let detail = "the request body stopped coming";
            return self.answer(d, key, Reason::RequestTimeout, detail, now);
        }
        let end = exchange.sent_at + limit;
        self.sent_arm(key, now);
        self.client_arm_no_later(key, end);
    }
}

/// How an attempt failed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Failure<'a> {
    pub(crate) reason: Reason,
    /// For the evidence: what was seen.
    pub(crate) what: &'static str,
    /// Its particulars, or empty.
    pub(crate) detail: &'a str,
}

/// A request as a route looks at it.
struct Looked<'a> {
    bytes: &'a [u8],
    head: &'a RequestHead,
}

impl RouteFacts for Looked<'_> {
    fn host(&self) -> &[u8] {
        self.head.host(self.bytes)
    }
    fn path(&self) -> &[u8] {
        self.head.path(self.bytes)
    }
    fn method(&self) -> &[u8] {
        self.head.method_name(self.bytes)
    }
    fn has_header(&self, name: &str, value: Option<&str>) -> bool {
        let mut values = self.head.fields().all(self.bytes, name.as_bytes());
        match value {
            Some(wanted) => values.any(|value| value == wanted.as_bytes()),
            None => values.next().is_some(),
        }
    }
}

fn hash_key(plan: &PoolPlan, peer: Peer, bytes: &[u8], head: &RequestHead) -> Option<u64> {
    if !plan.has_policy(Policy::Hash) {
        return None;
    }
    // A request without the property is spread by the client's address, so that it doesn't join
    // all others without it on one backend.
    let found = match &plan.hash_on {
        HashOn::SourceIp => None,
        HashOn::Path => Some(hash::of(head.path(bytes))),
        HashOn::Header(name) => head.fields().find(bytes, name.as_bytes()).map(hash::of),
        HashOn::Cookie(name) => head.fields().cookie(bytes, name.as_bytes()).map(hash::of),
    };
    Some(found.unwrap_or_else(|| source_key(plan, peer)))
}

fn is_trusted(networks: &[fairlead_model::plan::Network], address: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(address))
}

/// The host that an HTTP/1.0 request without one is for, in the HTTP/1.1 that goes on.
fn host_of(backend: &BackendPlan) -> &str {
    if backend.address.starts_with("unix:") {
        "localhost"
    } else {
        &backend.address
    }
}

/// 128 bits of chance in hexadecimal.
fn request_id(ctx: &mut Context) -> [u8; 32] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut id = [0; 32];
    for half in id.chunks_exact_mut(16) {
        let mut number = ctx.random.next();
        for digit in half {
            *digit = DIGITS[(number & 15) as usize];
            number >>= 4;
        }
    }
    id
}
