//! Looking after a request that waits for its answer.
//!
//! Rules of this file
//! 1. It is looked after every so often: when its backend is found down, it moves (if it may, and
//!    if there is another).
//! 2. The time-outs of the configuration are the hard end.

use std::time::Duration;

use fairlead_balance::{may_resend, Sendable};
use fairlead_model::moment::Moment;
use fairlead_model::reason::Reason;

use crate::context::Context;
use crate::driver::Driver;
use crate::flow::Flow;
use crate::http::attempt::Failure;
use crate::http::exchange::{Kept, Phase};
use crate::link::Owner;
use crate::slab::Key;

/// How often a request that waits for its answer is looked after.
const WATCH: Duration = Duration::from_millis(250);

impl Flow {
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
