//! Questions to a policy that is not one of ours: what it is shown, and its answer's way back.
//!
//! A pool may have a policy outside of these machines (in Python). Whoever looks for a backend then
//! leaves a question with the driver and waits, with a deadline. An answer that nobody waits for
//! any more is dropped.
//!
//! Not here: how long is waited, and what is done without an answer (`seek::decision`).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use fairlead_balance::Pool;
use fairlead_model::backend::Slot;
use fairlead_model::limits::REPLAY_BYTES;
use fairlead_model::moment::Moment;
use fairlead_proto::http1::{BodyReader, ChunkLimits, Framing, RequestHead};

use crate::driver::Driver;
use crate::flow::Flow;
use crate::http::exchange::{Exchange, Phase};
use crate::link::Owner;
use crate::slab::Key;
use crate::wheel::Alarm;

/// How long the beginning of a body is waited for: a client that sends one sends it now, or waits
/// for something that it hasn't said.
const BODY_WAIT: Duration = Duration::from_secs(1);

/// Which question an answer belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket {
    owner: Owner,
    number: u32,
}

/// What a policy outside says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// This backend.
    Chosen(Slot),
    /// It has no preference.
    Abstained,
    /// It failed, or its answer made no sense.
    Failed,
}

/// One request or connection that needs a backend. All of it is only lent.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The pool, whose plan the candidates' slots belong to.
    pub pool: &'a Arc<Pool>,
    /// Whom the policy may choose, in the plan's order; never empty.
    pub candidates: &'a [Slot],
    /// The listener's name.
    pub listener: &'a str,
    /// The client; `None` on a Unix socket.
    pub client: Option<SocketAddr>,
    /// Backends that were tried before.
    pub attempts: u32,
    /// The request's head as it goes on; empty on tcp.
    pub head: &'a [u8],
    /// The beginning of its body, if the pool's plan asks for it, without framing.
    pub body: &'a [u8],
    /// No answer is waited for any longer than until then.
    pub until: Moment,
}

/// Whether the beginning of a request's body is to be waited for before its policy is asked.
pub(crate) fn wants_body(exchange: &Exchange, head: &RequestHead) -> bool {
    // A client that waits to be told to go on would wait for us, and we for it.
    exchange.seek.pool.pool.is_asking() && !has_prefix(exchange) && !head.expect_continue()
}

/// When a body that is waited for has to have come.
pub(crate) fn body_until(now: Moment) -> Moment {
    now + BODY_WAIT
}

/// Whether as much of the body is there as is shown.
pub(crate) fn has_prefix(exchange: &Exchange) -> bool {
    let wanted = exchange.seek.pool.plan().python.as_ref().map_or(0, |python| python.body_prefix);
    let full = exchange.body.len() >= REPLAY_BYTES;
    exchange.request_done || full || exchange.request.data_bytes() >= wanted
}

/// The beginning of a request's body, without framing; into `into` if that has to be taken out.
fn prefix<'a>(exchange: &'a Exchange, into: &'a mut Vec<u8>) -> &'a [u8] {
    let wanted = exchange.seek.pool.plan().python.as_ref().map_or(0, |python| python.body_prefix);
    if wanted == 0 {
        return &[];
    }
    let mut plain = &exchange.body[..];
    if exchange.facts.chunked {
        into.clear();
        // It was read once already, so it can be read again; the limits were kept then.
        let _ = BodyReader::new(Framing::Chunked, ChunkLimits::UNLIMITED).feed(
            &exchange.body,
            false,
            into,
        );
        plain = into;
    }
    &plain[..plain.len().min(wanted as usize)]
}

impl Flow {
    /// Asks the policy of an exchange's pool, or goes on without.
    pub(crate) fn exchange_ask<D: Driver>(&mut self, d: &mut D, key: Key, now: Moment) {
        let number = self.ctx.next_number();
        let owner = Owner::Client(key);
        let Some(client) = self.clients.get_mut(key) else { return };
        let Some(exchange) = client.exchange.as_mut() else { return };
        let question = Question {
            pool: &exchange.seek.pool.pool,
            candidates: &self.ctx.candidates,
            listener: &client.listener.plan().name,
            client: client.peer.address,
            attempts: exchange.seek.attempts,
            head: &exchange.head,
            body: prefix(exchange, &mut self.piece),
            until: now + exchange.seek.patience(),
        };
        if !d.ask_policy(Ticket { owner, number }, &question) {
            return self
                .exchange_seek(d, key, now, |seek, ctx, d| seek.unasked(ctx, d, owner, now));
        }
        exchange.seek.asked(number, now);
        if exchange.phase == Phase::Seeking {
            let deadline = exchange.seek.deadline();
            self.client_arm(key, deadline);
        } else {
            self.sent_arm(key, now);
        }
    }

    /// Asks the policy of a relay's pool, or goes on without.
    pub(crate) fn relay_ask<D: Driver>(&mut self, d: &mut D, key: Key, now: Moment) {
        let number = self.ctx.next_number();
        let owner = Owner::Relay(key);
        let Some(relay) = self.relays.get_mut(key) else { return };
        let client = relay.address;
        let Some((listener, seek)) = relay.seeking() else { return };
        let question = Question {
            pool: &seek.pool.pool,
            candidates: &self.ctx.candidates,
            listener,
            client,
            attempts: seek.attempts,
            head: &[],
            body: &[],
            until: now + seek.patience(),
        };
        if !d.ask_policy(Ticket { owner, number }, &question) {
            return self.relay_seek(d, key, now, |seek, ctx, d| seek.unasked(ctx, d, owner, now));
        }
        seek.asked(number, now);
        let deadline = seek.deadline();
        self.relay_arm(key, deadline);
    }

    /// A policy outside has answered. Too late, it is not listened to.
    pub fn handle_verdict<D: Driver>(
        &mut self,
        d: &mut D,
        ticket: Ticket,
        verdict: Verdict,
        now: Moment,
    ) {
        let Ticket { owner, number } = ticket;
        match owner {
            Owner::Client(key) => {
                let exchange = self.clients.get(key).and_then(|client| client.exchange.as_ref());
                if exchange.is_some_and(|exchange| exchange.seek.awaits(number)) {
                    self.watch(Alarm::Client(key));
                    self.exchange_seek(d, key, now, |seek, ctx, d| {
                        seek.decided(ctx, d, owner, verdict, now)
                    });
                }
            }
            Owner::Relay(key) => {
                let relay = self.relays.get_mut(key);
                let seeking = relay.and_then(|relay| relay.seeking());
                if seeking.is_some_and(|(_, seek)| seek.awaits(number)) {
                    self.watch(Alarm::Relay(key));
                    self.relay_seek(d, key, now, |seek, ctx, d| {
                        seek.decided(ctx, d, owner, verdict, now)
                    });
                }
            }
        }
        self.settle(d, now);
        self.unwatch();
    }
}
