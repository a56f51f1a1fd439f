//! The answer's way back: interim responses, head, body.
//!
//! Rules of this file
//! 1. Before a byte of the final head has gone to the client, a failure is an attempt's
//!    (`attempt`). Afterwards nothing can be taken back (`broken`).
//! 2. A piece goes on as soon as it has come. Nothing waits for the next one.
//! 3. What is read is either passed on or ends the connection it came on: bytes behind an answer
//!    are never kept for the next.

use std::time::Duration;

use fairlead_model::limits::{
    INTERIM_RESPONSES, RECEIVE_BYTES, RESPONSE_HEADERS, RESPONSE_HEAD_BYTES,
};
use fairlead_model::moment::Moment;
use fairlead_model::reason::Reason;
use fairlead_proto::http1::{
    chunk_head, write_interim, write_response, ChunkLimits, Delivery, ForwardResponse, Framing,
    Limits, Parsed, ResponseHead, Version, CHUNK_END,
};

use fairlead_proto::RefusalKind;

use crate::driver::{Driver, Sent};
use crate::flow::Flow;
use crate::http::attempt::Failure;
use crate::http::body::chunk_limits;
use crate::http::exchange::{Cut, Exchange, Next, Phase};
use crate::http::opinion::is_error;
use crate::slab::Key;

/// Pieces up to this size are put behind their head into one buffer; larger ones are sent from
/// where they are.
const JOIN_BYTES: usize = 16 * 1024;

impl Flow {
    /// Bytes of the backend that has a client's request.
    pub(crate) fn response_data<D: Driver>(
        &mut self,
        d: &mut D,
        key: Key,
        link_key: Key,
        bytes: &[u8],
        now: Moment,
    ) {
        let Some(client) = self.clients.get_mut(key) else { return };
        let Some(exchange) = client.exchange.as_mut() else { return };
        if exchange.phase == Phase::Relaying {
            return self.relay_body(d, key, bytes, now);
        }
        let Some(link) = self.ctx.links.get_mut(link_key) else { return };
        let mut input = std::mem::take(&mut link.input);
        if input.is_empty() {
            link.heard = now;
            let left = self.response_head(d, key, link_key, bytes, now);
            input.extend_from_slice(&bytes[bytes.len() - left..]);
        } else {
            // The same buffer goes back: a head that drips in is not copied with each of its bytes.
            input.extend_from_slice(bytes);
            let left = self.response_head(d, key, link_key, &input, now);
            input.drain(..input.len() - left);
        }
        if !input.is_empty() {
            if let Some(link) = self.ctx.links.get_mut(link_key) {
                link.input = input;
            }
        }
    }

    /// Reads heads until the final one, which is passed on with what is behind it. Answers how
    /// many bytes at the end are part of a head that has not come whole.
    pub(crate) fn response_head<D: Driver>(
        &mut self,
        d: &mut D,
        key: Key,
        link_key: Key,
        bytes: &[u8],
        now: Moment,
    ) -> usize {
        let mut rest = bytes;
        let mut left = 0;
        let mut head = self.response_head.take().unwrap_or_default();
        while let Some(client) = self.clients.get_mut(key) {
            let Some(exchange) = client.exchange.as_mut() else { break };
            let Some(link) = self.ctx.links.get_mut(link_key) else { break };
            let limits = Limits { head: RESPONSE_HEAD_BYTES, headers: RESPONSE_HEADERS };
            match head.parse(rest, exchange.facts.method, &limits, &mut link.progress) {
                Parsed::Partial => {
                    left = rest.len();
                    break;
                }
                Parsed::Refused(refusal) => {
                    let reason = match refusal.kind {
                        RefusalKind::HeadTooLarge | RefusalKind::TooManyHeaders => {
                            Reason::ResponseTooLarge
                        }
                        _ => Reason::BadResponse,
                    };
                    let failure = Failure { reason, what: "bad response", detail: refusal.what };
                    self.attempt_failed(d, key, link_key, failure, now);
                    break;
                }
                Parsed::Complete if head.status() >= 200 => {
                    if self.opinion_wanted(d, key, link_key, (head.status(), rest), now) {
                        break;
                    }
                    let (own, behind) = rest.split_at(head.len());
                    self.hedge_settle(d, key, link_key, now);
                    self.response_begin(d, key, own, &head, behind, now);
                    break;
                }
                Parsed::Complete => {
                    let (own, behind) = rest.split_at(head.len());
                    if !self.interim(d, key, link_key, (own, &head, behind), now) {
                        break;
                    }
                    rest = behind;
                    if rest.is_empty() {
                        break;
                    }
                }
            }
        }
        self.response_head = Some(head);
        left
    }

    /// A 1xx response: its bytes, what they say, and what is behind them. False if the exchange
    /// doesn't go on here.
    fn interim<D: Driver>(
        &mut self,
        d: &mut D,
        key: Key,
        link_key: Key,
        (bytes, head, behind): (&[u8], &ResponseHead, &[u8]),
        now: Moment,
    ) -> bool {
        let Some(client) = self.clients.get_mut(key) else { return false };
        let Some(exchange) = client.exchange.as_mut() else { return false };
        let bad = |detail| Failure { reason: Reason::BadResponse, what: "bad response", detail };
        if head.status() == 101 {
            if exchange.facts.upgrade && head.upgrade().is_some() {
                self.tunnel(d, key, bytes, head, behind, now);
            } else {
                let failure = bad("it switched protocols unasked");
                self.attempt_failed(d, key, link_key, failure, now);
            }
            return false;
        }
        let Some(link) = self.ctx.links.get_mut(link_key) else { return false };
        link.interim += 1;
        if link.interim > INTERIM_RESPONSES {
            self.attempt_failed(d, key, link_key, bad("too many interim responses"), now);
            return false;
        }
        // RFC 9110 §15.2: a client of HTTP/1.0 must not be sent one. A second backend's are its
        // own: the client has asked once.
        if exchange.facts.version == Version::Http11 && exchange.link == Some(link_key) {
            self.out.clear();
            exchange.begun |= head.status() != 100;
            write_interim(&mut self.out, bytes, head);
            exchange.sent += self.out.len() as u64;
            let _ = d.send(client.conn, &self.out, &[]);
        }
        true
    }

    /// The final head: it goes to the client, and from now on there is no way back.
    fn response_begin<D: Driver>(
        &mut self,
        d: &mut D,
        key: Key,
        bytes: &[u8],
        head: &ResponseHead,
        behind: &[u8],
        now: Moment,
    ) {
        let Some(client) = self.clients.get_mut(key) else { return };
        let Some(exchange) = client.exchange.as_mut() else { return };
        let Some(link_key) = exchange.link else { return };
        let Some(link) = self.ctx.links.get(link_key) else { return };
        let limits = chunk_limits(client.listener.plan());
        exchange.take_head((bytes, limits), head, self.stopping);
        let (pool, slot, speaks) = (std::rc::Rc::clone(&link.pool), link.slot, link.speaks());
        if speaks {
            link.backend.note_answer(self.ctx.worker, exchange.kind(), exchange.sent_at, now);
        }
        if link.watch.suspected {
            self.ctx.path_answered(d, link_key, exchange.sent_at, now);
        }
        let Some(link) = self.ctx.links.get(link_key) else { return };
        if link.was_kept {
            link.backend.idle.borrow_mut().proved(exchange.sent_at.since(link.rest.latest));
        }
        if let Some(seconds) = head.keep_alive_seconds() {
            link.backend.idle.borrow_mut().announced(Duration::from_secs(u64::from(seconds)), now);
        }
        if !exchange.blamed.is_empty() {
            exchange.settle_blame(&mut self.ctx, slot, head.status() < 500, now);
        }
        if exchange.cut != Cut::No {
            exchange.settle_cut(now.since(exchange.sent_at));
        }
        if speaks {
            self.ctx.answer_took(&pool, slot, now.since(exchange.sent_at), now);
        }
        if exchange.status < 500 {
            // Who stops in the middle would be believed at each head.
            exchange.promising =
                matches!(head.framing(), Framing::Length(all) if all > behind.len() as u64);
            if speaks && !exchange.promising {
                self.ctx.succeeded(&pool, slot, now);
            }
        } else if speaks && is_error(exchange.status) {
            self.ctx.bad(&pool, slot, Reason::WrongAnswer, "a server error", now);
        }
        self.date.turn_to(now);
        let how = ForwardResponse {
            client_version: exchange.facts.version,
            close: !exchange.facts.keep_alive,
            delivery: exchange.delivery,
            upgrade: false,
            via: client.listener.plan().via.as_deref(),
            date: self.date.text(),
        };
        self.out.clear();
        write_response(&mut self.out, bytes, head, &how);
        exchange.head_sent = exchange.sent + self.out.len() as u64;
        self.relay_piece(d, key, behind, true, now);
    }

    /// Bytes behind the head.
    fn relay_body<D: Driver>(&mut self, d: &mut D, key: Key, bytes: &[u8], now: Moment) {
        self.out.clear();
        self.relay_piece(d, key, bytes, false, now);
    }

    /// Sends what is in `out` and the next piece of the body behind it.
    fn relay_piece<D: Driver>(
        &mut self,
        d: &mut D,
        key: Key,
        bytes: &[u8],
        with_head: bool,
        now: Moment,
    ) {
        let Some(client) = self.clients.get_mut(key) else { return };
        let Some(exchange) = client.exchange.as_mut() else { return };
        self.piece.clear();
        let fed = match exchange.response.feed(
            bytes,
            exchange.delivery != Delivery::Dechunk,
            &mut self.piece,
        ) {
            Ok(fed) => fed,
            // Nothing of it has been passed on yet: it is as if the head had been wrong.
            Err(refusal) if with_head => {
                exchange.phase = Phase::Sent;
                exchange.status = 0;
                let Some(link) = exchange.link else { return };
                let reason = Reason::BadResponse;
                let failure = Failure { reason, what: "bad response", detail: refusal.what };
                return self.attempt_failed(d, key, link, failure, now);
            }
            Err(refusal) => {
                return self.broke_off(d, key, Reason::ResponseTruncated, refusal.what, now)
            }
        };
        let mut piece = if fed.verbatim { &bytes[..fed.consumed] } else { &self.piece[..] };
        if exchange.delivery == Delivery::Chunk && !piece.is_empty() {
            let mut size = [0; 20];
            self.out.extend_from_slice(chunk_head(piece.len() as u64, &mut size));
            self.out.extend_from_slice(piece);
            self.out.extend_from_slice(CHUNK_END);
            piece = &[];
        } else if with_head && piece.len() <= JOIN_BYTES {
            self.out.extend_from_slice(piece);
            piece = &[];
        }
        exchange.sent += (self.out.len() + piece.len()) as u64;
        let clean = fed.consumed == bytes.len();
        let sent = if self.out.is_empty() && piece.is_empty() {
            Sent::All
        } else {
            let next = if fed.done { exchange.next() } else { Next::Request };
            next.send(d, client.conn, &self.out, piece)
        };
        if fed.done {
            return self.finish(d, key, clean, now);
        }
        // Much is coming, and nothing of it is to be looked at.
        let plain = exchange.delivery == Delivery::AsIs && bytes.len() >= RECEIVE_BYTES;
        if let (true, Sent::All, Some(most)) = (plain, sent, exchange.response.countable()) {
            if let Some(link) = exchange.link.and_then(|link| self.ctx.links.get(link)) {
                d.forward(link.conn, client.conn, most);
            }
        }
        self.relay_paced(d, key, sent, now);
    }

    /// Bytes of the answer's body have gone to the client.
    pub(crate) fn response_forwarded<D: Driver>(
        &mut self,
        d: &mut D,
        key: Key,
        (count, sent): (u64, Sent),
        now: Moment,
    ) {
        let Some(client) = self.clients.get_mut(key) else { return };
        let Some(exchange) = client.exchange.as_mut() else { return };
        exchange.sent += count;
        exchange.response.count(count);
        if exchange.response.is_done() {
            return self.finish(d, key, true, now);
        }
        self.relay_paced(d, key, sent, now);
    }

    /// A piece of the answer has been sent: the backend isn't read faster than the client takes it.
    fn relay_paced<D: Driver>(&mut self, d: &mut D, key: Key, sent: Sent, now: Moment) {
        let Some(client) = self.clients.get_mut(key) else { return };
        let Some(exchange) = client.exchange.as_mut() else { return };
        let Some(link) = exchange.link.and_then(|link| self.ctx.links.get_mut(link)) else {
            return;
        };
        let mut until = now + link.pool.idle;
        exchange.moved_at = now;
        if sent == Sent::Queued && !link.paused {
            link.paused = true;
            exchange.paused_at = now;
            d.pause(link.conn);
        }
        if link.paused {
            let idle = client.listener.plan().timeouts.idle.duration();
            until = client.pace.begin_taking(idle, now);
        }
        self.client_arm(key, until);
    }

    /// The backend agreed to a WebSocket: from now on it is bytes both ways.
    fn tunnel<D: Driver>(
        &mut self,
        d: &mut D,
        key: Key,
        bytes: &[u8],
        head: &ResponseHead,
        behind: &[u8],
        now: Moment,
    ) {
        let Some(client) = self.clients.get_mut(key) else { return };
        let Some(exchange) = client.exchange.as_mut() else { return };
        let Some(link_key) = exchange.link.take() else { return };
        let Some(link) = self.ctx.links.get(link_key) else { return };
        let shard = link.backend.state.shard(self.ctx.worker);
        shard.add_request(now.since(exchange.sent_at));
        let (pool, slot, speaks) = (std::rc::Rc::clone(&link.pool), link.slot, link.speaks());
        if speaks {
            link.backend.note_answer(self.ctx.worker, exchange.kind(), exchange.sent_at, now);
        }
        if link.watch.suspected {
            self.ctx.path_answered(d, link_key, exchange.sent_at, now);
        }
        exchange.settle_blame(&mut self.ctx, slot, true, now);
        if speaks {
            self.ctx.succeeded(&pool, slot, now);
        }
        self.out.clear();
        self.date.turn_to(now);
        let how = ForwardResponse {
            client_version: exchange.facts.version,
            close: false,
            delivery: Delivery::AsIs,
            upgrade: true,
            via: client.listener.plan().via.as_deref(),
            date: self.date.text(),
        };
        write_response(&mut self.out, bytes, head, &how);
        let sent = d.send(client.conn, &self.out, behind);
        exchange.sent += (self.out.len() + behind.len()) as u64;
        exchange.status = 101;
        let listener = std::rc::Rc::clone(&client.listener);
        listener.state.count(self.ctx.worker, 101, Reason::Ok);
        listener.state.count_bytes(self.ctx.worker, exchange.received, exchange.sent);
        exchange.head_sent = exchange.sent - behind.len() as u64;
        // The tunnel takes over the connection, its place in the listener's count, and its role.
        let Some(client) = self.clients.remove(key) else { return };
        let (conn, finished) = (client.conn, client.finished);
        self.relay_tunnel(d, client, link_key, now);
        if sent == Sent::Queued {
            if let Some(link) = self.ctx.links.get(link_key) {
                d.pause(link.conn);
            }
        }
        if finished {
            self.relay_client_finished(d, conn, now);
        }
    }
}

impl Exchange {
    /// What the head of an answer says of the rest of it, and of both connections.
    fn take_head(
        &mut self,
        (bytes, limits): (&[u8], ChunkLimits),
        head: &ResponseHead,
        stopping: bool,
    ) {
        let framing = head.framing();
        self.phase = Phase::Relaying;
        self.status = head.status();
        self.response = head.body(bytes, limits);
        self.link_keeps = head.keep_alive() && framing != Framing::UntilClose;
        self.delivery = Delivery::of(framing, self.facts.version);
        // Some answers can only end with the connection. One that begins before the request was
        // whole: what is still to come isn't waited for.
        if self.delivery.ends_with_close(framing) || stopping || !self.request_done {
            self.facts.keep_alive = false;
        }
    }
}
