//! The request's body on its way: kept while nobody has it, passed on afterwards.
//!
//! Rules of this file
//! 1. A piece goes on as soon as it has come. What was sent is kept up to a bound, so that it can
//!    be sent again.
//! 2. A client isn't read while there is nobody to take what it sends.

use fairlead_model::limits::{RECEIVE_BYTES, REPLAY_BYTES};
use fairlead_model::moment::Moment;
use fairlead_model::plan::ListenerPlan;
use fairlead_model::reason::Reason;
use fairlead_proto::http1::ChunkLimits;

use crate::ask::has_prefix;
use crate::driver::{Driver, Sent};
use crate::flow::Flow;
use crate::http::answer::reason_of;
use crate::http::exchange::{Kept, Phase};
use crate::http::hedge::late_at;
use crate::link::Owner;
use crate::slab::Key;

/// How much framing bodies in chunks may have at a listener: those of its clients, and the answers
/// to them.
#[inline]
pub(crate) fn chunk_limits(plan: &ListenerPlan) -> ChunkLimits {
    let limits = &plan.limits;
    ChunkLimits {
        line: limits.chunk_line,
        excess: limits.chunk_excess,
        trailers: limits.trailers,
        trailer_bytes: limits.trailer_bytes,
    }
}

impl Flow {
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
        } else if let Some(link) = exchange.link.and_then(|link| self.ctx.links.get_mut(link)) {
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
            exchange.held_back = link.send(d, piece, &[], now) == Sent::Queued;
            hold = exchange.held_back;
            // Much is coming, nothing of it is kept or looked at, and all of it has a known end.
            let plain = exchange.kept == Kept::Dropped && bytes.len() >= RECEIVE_BYTES;
            if let (true, Some(most)) = (plain && !hold, exchange.request.left()) {
                d.forward(client.conn, link.conn, most);
            }
        }
        self.body_paced(d, key, (fed.consumed as u64, hold), now);
        fed.consumed
    }

    /// Bytes of the request's body have gone to the backend.
    pub(crate) fn request_forwarded<D: Driver>(
        &mut self,
        d: &mut D,
        key: Key,
        (count, sent): (u64, Sent),
        now: Moment,
    ) {
        let Some(client) = self.clients.get_mut(key) else { return };
        let Some(exchange) = client.exchange.as_mut() else { return };
        exchange.request.count(count);
        exchange.received += count;
        exchange.request_done = exchange.request.is_done();
        exchange.held_back = sent == Sent::Queued;
        self.body_paced(d, key, (count, sent == Sent::Queued), now);
    }

    /// A piece of the body has come: the client isn't read faster than somebody takes it.
    fn body_paced<D: Driver>(
        &mut self,
        d: &mut D,
        key: Key,
        (count, hold): (u64, bool),
        now: Moment,
    ) {
        let Some(client) = self.clients.get_mut(key) else { return };
        let Some(exchange) = client.exchange.as_mut() else { return };
        if hold && !client.paused {
            client.paused = true;
            d.pause(client.conn);
        }
        let phase = exchange.phase;
        if phase != Phase::Relaying {
            client.pace.came(count, client.listener.plan(), now);
        }
        match phase {
            Phase::Sent => {
                exchange.sent_at = now;
                let link = exchange.link.and_then(|link| self.ctx.links.get(link));
                if let Some(link) = link.filter(|_| exchange.request_done) {
                    exchange.late =
                        late_at(exchange, (&link.pool, link.slot), self.ctx.worker, now);
                }
                self.sent_arm(key, now);
            }
            // Bytes flow, if only this way: the answer hasn't stalled. Who doesn't take it has its own
            // time for that (`pace`), whatever else it sends.
            Phase::Relaying => {
                let link = exchange.link.and_then(|link| self.ctx.links.get(link));
                if link.is_some_and(|link| !link.paused) {
                    let idle = exchange.seek.pool.idle;
                    self.client_arm(key, now + idle);
                }
            }
            Phase::Seeking => self.body_grew(d, key, now),
        }
    }

    /// More of a body is there that nobody has yet: it may be all that was waited for.
    fn body_grew<D: Driver>(&mut self, d: &mut D, key: Key, now: Moment) {
        let Some(client) = self.clients.get_mut(key) else { return };
        let Some(exchange) = client.exchange.as_mut() else { return };
        if has_prefix(exchange) && exchange.seek.body_came() {
            let owner = Owner::Client(key);
            self.exchange_seek(d, key, now, |seek, ctx, d| seek.next(ctx, d, owner, now));
        }
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
            client.pace.wait_for_body(client.listener.plan(), now);
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
}
