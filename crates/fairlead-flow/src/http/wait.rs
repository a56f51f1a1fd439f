//! Looking after a request that waits for its answer.
//!
//! Rules of this file
//! 1. It is looked after every so often: when its backend is found down, it moves (if it may, and
//!    if there is another). A trial, whose backend was known to be down, is given time to answer.
//! 2. When it is late, the driver is asked whether it was acknowledged (`path`). If not, its
//!    backend is suspect and a hedge follows at once; if it was sent again in vain, it moves, PUT
//!    and DELETE too, while somebody is there who is well; where its backend is now is another place
//!    to go to if its name has moved meanwhile. A network that loses packets everywhere moves
//!    nothing. What can't be hedged moves without that proof once no live host is that late; as late
//!    is no failure, none is counted then.
//!    If its second backend hasn't acknowledged it either, the first is left and a third is asked:
//!    two hosts may go at once.
//!    A backend that is on trial is suspect already. A PUT or DELETE moves at once then: the trial
//!    is over. Any other stays, and its answer decides.
//! 3. When it is later than its backend's answers usually are, a second backend may be asked beside
//!    it (`hedge`) or in its place (`cut`).
//! 4. The time-outs of the configuration are the hard end.

use std::rc::Rc;

use fairlead_balance::{may_resend, Count};
use fairlead_model::moment::Moment;
use fairlead_model::reason::Reason;

use crate::context::Context;
use crate::driver::Driver;
use crate::flow::Flow;
use crate::http::attempt::Failure;
use crate::http::exchange::{Exchange, Phase};
use crate::http::hedge::{late_after, SILENCE};
use crate::link::{Link, Owner};
use crate::path::{self, next_look, Verdict, WATCH};
use crate::seek::millis;
use crate::slab::Key;

/// What the events say of it.
pub(crate) const UNACKNOWLEDGED: &str = "no acknowledgement";

impl Flow {
    /// Sets the time at which a request that was sent is looked after.
    pub(crate) fn sent_arm(&mut self, key: Key, now: Moment) {
        let Some(client) = self.clients.get_mut(key) else { return };
        let Some(exchange) = client.exchange.as_ref() else { return };
        let mut deadline = (now + WATCH).min(exchange.late).min(exchange.look);
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
        let look = exchange.look;
        if now >= look && self.sent_look(d, key, now) {
            return;
        }
        let Some(client) = self.clients.get_mut(key) else { return };
        let Some(exchange) = client.exchange.as_mut() else { return };
        if now >= exchange.late {
            self.hedge_begin(d, key, now);
        } else if !exchange.seek.is_quiet() {
            let owner = Owner::Client(key);
            self.exchange_seek(d, key, now, |seek, ctx, d| seek.timer(ctx, d, owner, now));
        }
        self.sent_check(d, key, now);
    }

    /// Looks whether the request was acknowledged. True if it moved.
    fn sent_look<D: Driver>(&mut self, d: &mut D, key: Key, now: Moment) -> bool {
        let Some(client) = self.clients.get_mut(key) else { return false };
        let Some(exchange) = client.exchange.as_mut() else { return false };
        let Some(link_key) = exchange.link else { return false };
        let Some(link) = self.ctx.links.get_mut(link_key) else { return false };
        let before = link.watch.suspected;
        let sent = (exchange.sent_at, !link.was_kept);
        let path = link.path(d, now);
        let verdict = link.watch.judge(path, &link.backend, sent, now);
        exchange.look = next_look(&verdict, now);
        let (pool, slot) = (Rc::clone(&link.pool), link.slot);
        let safe = exchange.facts.method.is_safe();
        if let Verdict::Halting(text) = &verdict {
            return !safe && self.sent_moves(d, key, link_key, text, now);
        }
        let Some(text) = verdict.unacknowledged() else { return false };
        let trial = exchange.trial;
        if !before {
            pool.count(self.ctx.worker, Count::PathSuspected);
            self.ctx.host_silent_on(link_key, sent.0, now);
        }
        if safe && self.sent_second_look(d, key, now) {
            let Some(client) = self.clients.get_mut(key) else { return true };
            let Some(exchange) = client.exchange.as_mut() else { return true };
            // The second one is the first now, and a third is sought beside it.
            (exchange.late, exchange.look, exchange.trial) = (now, now + WATCH, false);
            let (reason, what) = (Reason::Unacknowledged, UNACKNOWLEDGED);
            let failure = Failure { reason, what, detail: text };
            self.attempt_failed(d, key, link_key, failure, now);
            return true;
        }
        let lost = matches!(verdict, Verdict::Lost(_));
        let on_probation = pool.backend(slot).state.is_on_probation();
        // A GET stays, beside its hedge: an answer is what would show that its backend is well.
        let overdue = trial || matches!(verdict, Verdict::Overdue(_));
        if (lost || overdue && !safe) && self.sent_moves(d, key, link_key, text, now) {
            return true;
        }
        let news = !pool.backend(slot).state.is_old_news(sent.0);
        if self.ctx.speaks(Some(link_key)) && news && (lost || !before && !on_probation) {
            self.ctx.doubt(&pool, slot, UNACKNOWLEDGED, text.clone(), now);
        }
        let Some(client) = self.clients.get_mut(key) else { return false };
        let Some(exchange) = client.exchange.as_mut() else { return false };
        let alone = exchange.second.is_none() && safe;
        if alone && exchange.late < Moment(u64::MAX) {
            exchange.late = now;
        }
        false
    }

    /// The first of two isn't acknowledged. Whether the second isn't either, and there is a third.
    fn sent_second_look<D: Driver>(&mut self, d: &mut D, key: Key, now: Moment) -> bool {
        let Some(client) = self.clients.get_mut(key) else { return false };
        let Some(exchange) = client.exchange.as_mut() else { return false };
        let Some(second) = exchange.second else { return false };
        let Some(link) = self.ctx.links.get_mut(second) else { return false };
        if exchange.held.is_some()
            || now < exchange.second_at + path::first_look(&link.backend.state)
        {
            return false;
        }
        let path = link.path(d, now);
        let sent = (exchange.second_at, !link.was_kept);
        let before = link.watch.suspected;
        let verdict = link.watch.judge(path, &link.backend, sent, now);
        let Some(text) = verdict.unacknowledged() else { return false };
        let (pool, slot) = (Rc::clone(&link.pool), link.slot);
        let more = exchange.seek.is_quiet() && exchange.seek.has_more();
        if !before {
            pool.count(self.ctx.worker, Count::PathSuspected);
            self.ctx.host_silent_on(second, sent.0, now);
            if self.ctx.speaks(Some(second)) && !pool.backend(slot).state.is_old_news(sent.0) {
                self.ctx.doubt(&pool, slot, UNACKNOWLEDGED, text.clone(), now);
            }
        }
        more
    }

    /// Gives it to another backend that is well, if it may be and there is one; or to where its own
    /// is by now. True if so.
    fn sent_moves<D: Driver>(
        &mut self,
        d: &mut D,
        key: Key,
        link_key: Key,
        text: &str,
        now: Moment,
    ) -> bool {
        let Some(client) = self.clients.get(key) else { return false };
        let Some(exchange) = client.exchange.as_ref() else { return false };
        let Some(link) = self.ctx.links.get(link_key) else { return false };
        let (pool, slot, speaks) = (Rc::clone(&link.pool), link.slot, link.speaks());
        // A connection that does not speak for its backend leads to where that was.
        let has_elsewhere = !speaks || pool.has_well_other(slot);
        if !exchange.may_move(Reason::Unacknowledged) || !has_elsewhere {
            return false;
        }
        let (reason, what) = (Reason::Unacknowledged, UNACKNOWLEDGED);
        // Only late so far: the attempt's end will not be counted.
        if !link.watch.lost && speaks {
            self.ctx.doubt(&pool, slot, what, text.into(), now);
        }
        self.attempt_failed(d, key, link_key, Failure { reason, what, detail: text }, now);
        true
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
        let down = Context::is_down(&link.pool, link.slot) && link.pool.has_another(link.slot);
        if down && exchange.may_move(Reason::BackendDown) && found_down(link, exchange, now) {
            let failure = Failure { reason: Reason::BackendDown, what: "down", detail: "" };
            return self.attempt_failed(d, key, link_key, failure, now);
        }
        if exchange.request_done || exchange.held_back {
            let limit = link.pool.response;
            if waited >= limit {
                let detail = format!("within {}", millis(limit));
                let reason = Reason::ResponseTimeout;
                let failure = Failure { reason, what: "no answer", detail: &detail };
                return self.attempt_failed(d, key, link_key, failure, now);
            }
            let end = exchange.sent_at + limit;
            self.sent_arm(key, now);
            return self.client_arm_no_later(key, end);
        }
        let plan = client.listener.plan();
        let (limit, slow) = (plan.timeouts.body.duration(), client.pace.body_until());
        let end = (exchange.sent_at + limit).min(slow);
        if now >= end {
            exchange.facts.keep_alive = false;
            let (reason, detail) = if waited >= limit {
                (Reason::RequestTimeout, "the request body stopped coming")
            } else {
                (Reason::ClientSlow, "the request body came too slowly")
            };
            return self.answer(d, key, reason, detail, now);
        }
        self.sent_arm(key, now);
        self.client_arm_no_later(key, end);
    }
}

/// Whether its backend was found down while this request waited there. Known before, this is a
/// trial, which has to get its answer if anything is to come of it: it waits for as long as answers
/// take there, and for what is silence in any case.
fn found_down(link: &Link, exchange: &Exchange, now: Moment) -> bool {
    let sent = exchange.sent_at;
    let trial = || late_after(&link.pool, link.slot, now).max(SILENCE);
    link.backend.state.since() >= sent || now.since(sent) >= trial()
}

impl Exchange {
    /// Whether it may be sent to another backend for this reason, and nobody else has it or is
    /// sought already.
    pub(crate) fn may_move(&self, reason: Reason) -> bool {
        let free = self.second.is_none() && self.seek.is_quiet();
        free && may_resend(reason, &self.sendable())
    }
}
