//! A request's beginning: its route and pool, the head that goes on, what its key is.
//!
//! Rules of this file
//! 1. A head that has come whole leads to one exchange or to an answer of our own: before a backend
//!    is sought for it, it is asked whether it may go on at all.
//! 2. A request that must not be sent twice goes out on a fresh connection, or on one so young
//!    that its backend can't be closing it (`idle::Reuse::Sure`).
//!
//! Not here: the search for a backend (`seek`) and what it leads to (`attempt`).

use std::net::IpAddr;
use std::rc::Rc;

use fairlead_balance::hash;
use fairlead_model::moment::Moment;
use fairlead_model::plan::{BackendPlan, HashOn, ListenerPlan, Policy, PoolPlan};
use fairlead_model::reason::Reason;
use fairlead_proto::forwarded::Scheme;
use fairlead_proto::http1::{write_request, ForwardRequest, Framing, Method, RequestHead};

use crate::ask::{body_until, wants_body};
use crate::context::Context;
use crate::driver::{Driver, Peer};
use crate::flow::Flow;
use crate::hash_key::source_key;
use crate::http::body::chunk_limits;
use crate::http::exchange::{Exchange, Facts};
use crate::idle::Reuse;
use crate::link::Owner;
use crate::local::LocalPool;
use crate::route::Facts as RouteFacts;
use crate::slab::Key;

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
        let last = listener.plan().limits.requests.is_some_and(|most| client.requests >= most);
        let facts = facts_of(head, leaving || last);
        let address = client.peer.address.map(|address| address.ip());
        let trusted = !client.behind && is_trusted(&listener.plan().trusted_proxies, address);
        let found = listener.routes().find(&Looked { bytes, head });
        let pool = found.and_then(|index| listener.pools.get(index));
        let pool = match (pool, ends_here(head, trusted)) {
            (Some(pool), None) => pool,
            (_, reason) => {
                let reason = reason.unwrap_or(Reason::NoRoute);
                return self.exchange_ends_here(d, key, (reason, facts), (bytes, head), now);
            }
        };
        let mut exchange = fresh_exchange(&mut self.spare, pool, facts, now);
        exchange.received = bytes.len() as u64;
        exchange.seek.key = hash_key(pool.plan(), client.peer, bytes, head);
        exchange.seek.may(facts.method.is_idempotent(), !facts.upgrade);
        if facts.upgrade || pool.proxy.is_some() {
            exchange.seek.reuse = Reuse::Never;
        }
        let id = request_id(&mut self.ctx);
        let how = ForwardRequest {
            client: address.map(|address| address.to_canonical()),
            scheme: if head.is_https() { Scheme::Https } else { Scheme::Http },
            trusted,
            request_id: Some(&id),
            default_host: pool.plan().backends.first().map_or("localhost", host_of),
            upgrade: true,
            close: false,
            via: listener.plan().via.as_deref(),
        };
        write_request(&mut exchange.head, bytes, head, &how);
        exchange.request = head.body(bytes, chunk_limits(listener.plan()));
        exchange.request_done = exchange.request.is_done();
        client.exchange = Some(exchange);
        if let Some(reason) = self.unwanted(listener.plan(), head) {
            if reason == Reason::MemoryFull {
                self.shed_idle(d, now);
            }
            self.answer(d, key, reason, "", now);
            return 0;
        }
        let used = self.body_data(d, key, behind, now);
        if self.clients.get(key).is_some_and(|client| client.exchange.is_some()) {
            self.exchange_start(d, key, head, now);
        }
        used
    }

    /// Why a request is not even begun, if so.
    fn unwanted(&self, plan: &ListenerPlan, head: &RequestHead) -> Option<Reason> {
        if self.memory_full {
            return Some(Reason::MemoryFull);
        }
        match (head.framing(), plan.limits.body) {
            (Framing::Length(length), Some(limit)) if length > limit => Some(Reason::BodyTooLarge),
            _ => None,
        }
    }

    /// Begins the search for a backend, or waits for what the pool's policy wants to see.
    fn exchange_start<D: Driver>(&mut self, d: &mut D, key: Key, head: &RequestHead, now: Moment) {
        let Some(client) = self.clients.get_mut(key) else { return };
        let Some(exchange) = client.exchange.as_mut() else { return };
        if wants_body(exchange, head) {
            let until = body_until(now);
            exchange.seek.wait_for_body(until);
            return self.client_arm(key, until);
        }
        let owner = Owner::Client(key);
        self.exchange_seek(d, key, now, |seek, ctx, d| seek.next(ctx, d, owner, now));
    }

    /// The request goes no further than here: no route takes it, or it asks for that. Its body has
    /// to be gone before the next request can be read, so a request with one ends the connection.
    fn exchange_ends_here<D: Driver>(
        &mut self,
        d: &mut D,
        key: Key,
        (reason, facts): (Reason, Facts),
        (bytes, head): (&[u8], &RequestHead),
        now: Moment,
    ) -> usize {
        let pools = self.clients.get(key).map(|client| Rc::clone(&client.listener.pools));
        let Some(pool) = pools.as_ref().and_then(|pools| pools.first()) else {
            self.answer(d, key, reason, "", now);
            return 0;
        };
        // Any pool will do: nothing is sought in it.
        let mut exchange = fresh_exchange(&mut self.spare, pool, facts, now);
        exchange.request_done = head.framing().is_empty();
        exchange.received = bytes.len() as u64;
        if self.log.is_on() {
            exchange.head.extend_from_slice(bytes);
        }
        if let Some(client) = self.clients.get_mut(key) {
            client.exchange = Some(exchange);
        }
        self.answer(d, key, reason, "", now);
        0
    }
}

/// An exchange for a request: one that was used before, if there is one.
#[expect(clippy::vec_box, reason = "they move between here and their clients: as pointers")]
#[inline]
fn fresh_exchange(
    spare: &mut Vec<Box<Exchange>>,
    pool: &Rc<LocalPool>,
    facts: Facts,
    now: Moment,
) -> Box<Exchange> {
    let Some(mut exchange) = spare.pop() else {
        return Box::new(Exchange::new(Rc::clone(pool), facts, now));
    };
    exchange.renew(Rc::clone(pool), facts, now);
    exchange
}

/// Why a request is answered here whatever its route, if it is.
///
/// At `Max-Forwards: 0` we are the end of the way (RFC 9110 §7.6.2). TRACE isn't answered with the
/// request as it came (§9.3.8), which would show a script what its browser hides from it, cookies
/// above all.
///
/// What is asked for as `https` has to have come over TLS (§7.4), as far as we can know: here, or at
/// a proxy that is believed.
fn ends_here(head: &RequestHead, trusted: bool) -> Option<Reason> {
    if head.max_forwards() == Some(0) {
        let is_trace = head.method() == Method::Trace;
        return Some(if is_trace { Reason::MethodNotAllowed } else { Reason::MaxForwards });
    }
    (head.is_https() && !trusted).then_some(Reason::Misdirected)
}

/// What is kept of a head. `leaving`: no further request is taken on the client's connection.
fn facts_of(head: &RequestHead, leaving: bool) -> Facts {
    Facts {
        method: head.method(),
        version: head.version(),
        keep_alive: head.keep_alive() && !leaving,
        last: !head.keep_alive(),
        upgrade: head.upgrade().is_some(),
        chunked: head.framing() == Framing::Chunked,
    }
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

fn is_trusted(networks: &[fairlead_model::plan::Network], address: Option<IpAddr>) -> bool {
    address.is_some_and(|address| networks.iter().any(|network| network.contains(address)))
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
    let mut id = [0; 32];
    for half in id.chunks_exact_mut(16) {
        let number = ctx.random.next();
        for (pair, byte) in half.chunks_exact_mut(2).zip(number.to_le_bytes()) {
            pair.copy_from_slice(&PAIRS[usize::from(byte)]);
        }
    }
    id
}

/// Each byte in hexadecimal, the lower half first.
static PAIRS: [[u8; 2]; 256] = pairs();

const fn pairs() -> [[u8; 2]; 256] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut pairs = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        pairs[byte] = [DIGITS[byte & 15], DIGITS[byte >> 4]];
        byte += 1;
    }
    pairs
}
