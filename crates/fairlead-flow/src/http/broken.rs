//! An answer's end before it is whole: broken off, stalled, or left by its client.
//!
//! Rules of this file
//! 1. What has gone to the client can't be taken back: its connection is closed so that it can
//!    tell, never ended as if the answer were whole. Answers before it that are whole still arrive.
//! 2. An answer that breaks off is evidence against its backend, unless its client was slow.
//!    Whether it counts is decided where failures are (`blame`).
//! 3. Clients leave answers that stall long before any time-out of ours, and what a client does is
//!    no evidence. What the backend did until then is: it owed bytes (a length was announced, or a
//!    chunk) and sent none for [`STALL`], or longer where its answers take long, while the client
//!    took all there was and others gave whole answers to what was asked meanwhile.
//! 4. One answer that stalls is compared with the others' only (`balance::outlier`); two in a row,
//!    without a whole one in between, are as if they had broken off.

use std::rc::Rc;
use std::time::Duration;

use fairlead_model::moment::Moment;
use fairlead_model::reason::Reason;
use fairlead_proto::http1::{Delivery, LAST_CHUNK};

use crate::driver::{Driver, IoFailure};
use crate::flow::Flow;
use crate::http::attempt::Failure;
use crate::http::exchange::{Next, Noted, Phase, LONG};
use crate::http::hedge::{late_after, DOUBTED};
use crate::seek::millis;
use crate::slab::Key;

/// No pause in an answer's middle is suspicious before. It is what clients have patience for at
/// least, and more than garbage collectors take.
const STALL: Duration = Duration::from_millis(500);

impl Flow {
    /// The backend finished sending.
    pub(crate) fn response_eof<D: Driver>(
        &mut self,
        d: &mut D,
        key: Key,
        link_key: Key,
        now: Moment,
    ) {
        let Some(client) = self.clients.get_mut(key) else { return };
        let Some(exchange) = client.exchange.as_mut() else { return };
        if exchange.phase != Phase::Relaying {
            return self.response_lost(d, key, link_key, "closed before its answer", now);
        }
        if exchange.response.ends_at_close() {
            if exchange.delivery == Delivery::Chunk {
                exchange.sent += LAST_CHUNK.len() as u64;
                let _ = exchange.next().send(d, client.conn, LAST_CHUNK, &[]);
            }
            return self.finish(d, key, false, now);
        }
        self.broke_off(
            d,
            key,
            Reason::ResponseTruncated,
            "closed in the middle of its answer",
            now,
        );
    }

    /// The connection to the backend failed.
    pub(crate) fn response_failed<D: Driver>(
        &mut self,
        d: &mut D,
        key: Key,
        link_key: Key,
        failure: IoFailure,
        now: Moment,
    ) {
        let Some(client) = self.clients.get_mut(key) else { return };
        let Some(exchange) = client.exchange.as_mut() else { return };
        if exchange.phase == Phase::Relaying {
            return self.broke_off(d, key, Reason::ResponseTruncated, failure.text(), now);
        }
        self.response_lost(d, key, link_key, failure.text(), now);
    }

    /// The connection ended before the head was whole. If it had been kept and not a byte of this
    /// answer came, that is a stale connection and no evidence.
    fn response_lost<D: Driver>(
        &mut self,
        d: &mut D,
        key: Key,
        link_key: Key,
        what: &'static str,
        now: Moment,
    ) {
        let Some(client) = self.clients.get_mut(key) else { return };
        let Some(exchange) = client.exchange.as_mut() else { return };
        let Some(link) = self.ctx.links.get(link_key) else { return };
        let stale = link.was_kept && link.input.is_empty() && link.interim == 0;
        if stale {
            // A close that crossed the request on its way shows at once. A later one (a crash)
            // says nothing about how long the backend lets connections idle.
            if now.since(exchange.sent_at) < LONG {
                link.backend.idle.borrow_mut().showed(link.rest, exchange.sent_at, now);
            }
        }
        let reason = if stale { Reason::StaleConnection } else { Reason::BackendReset };
        self.attempt_failed(d, key, link_key, Failure { reason, what, detail: "" }, now);
    }

    /// The answer broke off after its head had gone out: the client has to see that.
    pub(crate) fn broke_off<D: Driver>(
        &mut self,
        d: &mut D,
        key: Key,
        reason: Reason,
        what: &'static str,
        now: Moment,
    ) {
        let Some(client) = self.clients.get_mut(key) else { return };
        let Some(exchange) = client.exchange.as_mut() else { return };
        let place = exchange.link.and_then(|link| self.ctx.links.get(link));
        let place = place.filter(|link| !exchange.slow_client && link.speaks());
        if let Some((pool, slot)) = place.map(|link| (Rc::clone(&link.pool), link.slot)) {
            let failure = Failure { reason, what: "answer broke off", detail: what };
            self.ctx.failed_alone(&pool, slot, &failure, now);
        }
        self.cut_off(d, key, reason, now);
    }

    /// Ends an answer in its middle, so that the client sees that it was.
    fn cut_off<D: Driver>(&mut self, d: &mut D, key: Key, reason: Reason, now: Moment) {
        let Some(client) = self.clients.get_mut(key) else { return };
        let Some(exchange) = client.exchange.as_mut() else { return };
        // Without any framing only a reset tells that the end is none.
        let silent_end = match exchange.delivery {
            Delivery::AsIs => exchange.response.ends_at_close(),
            Delivery::Chunk => false,
            Delivery::Dechunk => true,
        };
        // What the client has yet to send, or we to read, would make the kernel reset a connection
        // that is closed, and with it the answers before this one that it has not read.
        let sends = !exchange.request_done || !client.input.is_empty() || client.paused;
        self.exchange_abandon(d, key, reason, now);
        if silent_end {
            if let Some(client) = self.client_forget(key) {
                d.abort(client.conn);
            }
        } else if sends {
            self.client_drain(d, key, Next::Unknown, now);
        } else {
            self.client_close(d, key);
        }
    }

    /// Neither side moved for too long while an answer was on its way.
    pub(crate) fn relaying_timer<D: Driver>(&mut self, d: &mut D, key: Key, now: Moment) {
        let Some(client) = self.clients.get_mut(key) else { return };
        let Some(exchange) = client.exchange.as_mut() else { return };
        let paused =
            exchange.link.and_then(|link| self.ctx.links.get(link)).is_some_and(|link| link.paused);
        if paused {
            if !self.takes_too_little(d, key, now) {
                return;
            }
            self.exchange_abandon(d, key, Reason::ClientSlow, now);
            if let Some(client) = self.client_forget(key) {
                d.abort(client.conn);
            }
            return;
        }
        if !exchange.response.owes() {
            // A stream of events with nothing to tell. Its client sees that it broke off, and
            // comes again.
            return self.cut_off(d, key, Reason::StreamIdle, now);
        }
        self.broke_off(d, key, Reason::ResponseStalled, "nothing more came for the idle time", now);
    }

    /// The client leaves, or sends its FIN, in the middle of an answer: rules 3 and 4.
    #[cold]
    pub(crate) fn left_in_the_middle<D: Driver>(&mut self, d: &mut D, key: Key, now: Moment) {
        let Some(client) = self.clients.get_mut(key) else { return };
        let Some(exchange) = client.exchange.as_mut() else { return };
        let owes = exchange.phase == Phase::Relaying && exchange.response.owes();
        if !owes || exchange.slow_client || exchange.noted == Noted::Stalled {
            return;
        }
        let Some(link) = exchange.link.and_then(|link| self.ctx.links.get(link)) else { return };
        if link.paused || d.queued(client.conn) > 0 || !link.speaks() {
            return;
        }
        let (pool, slot) = (Rc::clone(&link.pool), link.slot);
        let stalled = now.since(exchange.moved_at);
        let whole = pool.others_were_whole(slot, exchange.moved_at);
        if stalled < STALL.max(late_after(&pool, slot, now) * 4) || !whole {
            return;
        }
        exchange.noted = Noted::Stalled;
        let what = "answer stalled";
        if pool.backend(slot).answers.note_stall() < DOUBTED {
            return self.ctx.bad(&pool, slot, Reason::ResponseStalled, what, now);
        }
        let detail = format!("for {}, until its client left", millis(stalled));
        let failure = Failure { reason: Reason::ResponseStalled, what, detail: &detail };
        self.ctx.failed_alone(&pool, slot, &failure, now);
    }
}
