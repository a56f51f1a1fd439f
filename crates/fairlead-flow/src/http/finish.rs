//! The end of an exchange: what is counted, what is kept, what comes next on the connection.

use fairlead_model::moment::Moment;
use fairlead_model::reason::Reason;

use crate::driver::Driver;
use crate::flow::Flow;
use crate::http::client::STOP_GRACE;
use crate::http::exchange::{Exchange, Next};
use crate::http::pace::Pace;
use crate::slab::Key;

/// Exchanges kept for use again: as many as are likely to be under way in a worker at a time.
const SPARE: usize = 256;

/// A buffer that grew beyond this is not kept.
const SPARE_BYTES: usize = 16 * 1024;

impl Flow {
    /// The whole answer has been passed on.
    pub(crate) fn finish<D: Driver>(
        &mut self,
        d: &mut D,
        key: Key,
        link_is_clean: bool,
        now: Moment,
    ) {
        let Some(client) = self.clients.get_mut(key) else { return };
        let Some(mut exchange) = client.exchange.take() else { return };
        let next = exchange.next();
        self.log_exchange(key, &exchange, now);
        if let Some(link) = exchange.link.take() {
            self.give_back(d, &exchange, link, link_is_clean, now);
        }
        self.count(key, &exchange, now);
        self.spare(exchange);
        self.client_next(d, key, next, now);
    }

    fn give_back<D: Driver>(
        &mut self,
        d: &mut D,
        exchange: &Exchange,
        key: Key,
        clean: bool,
        now: Moment,
    ) {
        let Some(link) = self.ctx.links.get(key) else { return };
        let state = &link.backend.state;
        let speaks = link.speaks();
        if speaks {
            link.backend.note_whole(self.ctx.worker, exchange.sent_at);
        }
        state.end();
        let shard = state.shard(self.ctx.worker);
        shard.add_request(now.since(exchange.sent_at));
        // What the client got came from the backend, and the other way round.
        shard.add_bytes(exchange.sent, exchange.received);
        if exchange.promising && speaks {
            let (pool, slot) = (std::rc::Rc::clone(&link.pool), link.slot);
            self.ctx.succeeded(&pool, slot, now);
        }
        // Bytes behind the answer, or a request that was not taken whole, make the connection
        // unfit: the next answer on it could be read wrongly.
        let whole = exchange.request_done && !exchange.held_back;
        if clean && exchange.link_keeps && whole {
            self.ctx.park(d, key, now);
        } else if whole {
            self.ctx.close_link(d, key);
        } else {
            self.ctx.abort_link(d, key);
        }
    }

    fn count(&mut self, key: Key, exchange: &Exchange, now: Moment) {
        let Some(client) = self.clients.get(key) else { return };
        let listener = &client.listener.state;
        listener.count(self.ctx.worker, exchange.status, exchange.reason);
        if exchange.status != 0 {
            listener.count_time(self.ctx.worker, now.since(exchange.started));
        }
        listener.count_bytes(self.ctx.worker, exchange.received, exchange.sent);
    }

    fn spare(&mut self, mut exchange: Box<Exchange>) {
        if self.spare.len() >= SPARE {
            return;
        }
        if exchange.body.capacity() > SPARE_BYTES {
            exchange.body = Vec::new();
        }
        if exchange.head.capacity() > SPARE_BYTES {
            exchange.head = Vec::new();
        }
        self.spare.push(exchange);
    }

    /// What comes next on a client's connection.
    fn client_next<D: Driver>(&mut self, d: &mut D, key: Key, next: Next, now: Moment) {
        let mut leaving = self.stopping;
        let Some(client) = self.clients.get_mut(key) else { return };
        if next != Next::Request {
            return self.client_drain(d, key, next, now);
        }
        if client.listener.retired.get() {
            let id = client.listener.state.id();
            match self.local.listeners.get(&id) {
                // The next request is the new configuration's.
                Some(listener) => client.listener = std::rc::Rc::clone(listener),
                // Its listener is gone. What it sends next, believing that the connection is
                // kept, may be on its way already.
                None => leaving = true,
            }
        }
        let idle = client.listener.plan().timeouts.idle.duration();
        let idle = if leaving { idle.min(STOP_GRACE) } else { idle };
        // What its body or the answer's middle were measured by is over.
        client.pace = Pace::NOTHING;
        let proceed = !client.input.is_empty() || client.paused || client.finished;
        self.client_arm(key, now + idle);
        if proceed {
            self.ready.push(key);
        }
    }

    /// The exchange of a client ends without an answer, or in the middle of one.
    pub(crate) fn exchange_abandon<D: Driver>(
        &mut self,
        d: &mut D,
        key: Key,
        reason: Reason,
        now: Moment,
    ) {
        let Some(client) = self.clients.get_mut(key) else { return };
        let Some(mut exchange) = client.exchange.take() else { return };
        exchange.reason = reason;
        self.log_exchange(key, &exchange, now);
        exchange.seek.cancel(&mut self.ctx, d, now);
        for link in [exchange.link.take(), exchange.second.take()].into_iter().flatten() {
            self.ctx.drop_attempt(d, link);
        }
        self.count(key, &exchange, now);
        self.spare(exchange);
    }
}
