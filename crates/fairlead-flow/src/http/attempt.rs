//! Getting a request to a backend, and to another one when that fails.
//!
//! Rules of this file
//! 1. What may be sent again is decided by `fairlead_balance::retry`; this file reports what that
//!    decision needs: what went out, what was passed on, what is kept.
//! 2. A kept connection that turns out dead before an answer says nothing about its backend: the
//!    same backend is asked again on a fresh one. So is one that was asked beside another.

use std::rc::Rc;

use fairlead_balance::{may_resend, Count, Sendable};
use fairlead_model::backend::Slot;
use fairlead_model::moment::Moment;
use fairlead_model::reason::Reason;

use crate::context::Context;
use crate::driver::{Driver, Sent};
use crate::flow::Flow;
use crate::http::exchange::{Exchange, Kept, Noted, Phase};
use crate::http::hedge::late_at;
use crate::link::{LinkUse, Owner};
use crate::path;
use crate::seek::{Found, Seek};
use crate::slab::Key;

impl Flow {
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
                if exchange.seek.wait_is_over() {
                    let pool = Rc::clone(&exchange.seek.pool);
                    self.hold_served(&pool);
                }
                self.send_request(d, key, link, now);
            }
            Found::Failed(reason) if exchange.phase == Phase::Seeking => {
                self.exchange_finds_nobody(d, key, reason, now);
            }
            Found::Undecided => self.exchange_ask(d, key, now),
            // Somebody has the request already; this was the search for a second one.
            Found::Link(link) => self.hedge_send(d, key, link, now),
            Found::Waiting => self.sent_arm(key, now),
            Found::Failed(_) => {
                exchange.again = false;
                exchange.seek.scarcity_is_over();
                // Nobody was there to be asked, so nothing was spent.
                if let Some(budget) = &exchange.seek.pool.budget {
                    budget.borrow_mut().refund();
                }
                self.opinion_none(d, key, now);
            }
        }
    }

    /// Nobody is there for the request: it waits, or that is its answer.
    fn exchange_finds_nobody<D: Driver>(
        &mut self,
        d: &mut D,
        key: Key,
        reason: Reason,
        now: Moment,
    ) {
        if !self.hold(Owner::Client(key), reason, now) {
            return self.answer(d, key, reason, "", now);
        }
        let Some(client) = self.clients.get(key) else { return };
        if let Some(deadline) = client.exchange.as_ref().map(|exchange| exchange.seek.deadline()) {
            self.client_arm(key, deadline);
        }
    }

    /// Sends the request, as far as it has come, on a connection that is its own now.
    fn send_request<D: Driver>(&mut self, d: &mut D, key: Key, link_key: Key, now: Moment) {
        let Some(client) = self.clients.get_mut(key) else { return };
        let Some(exchange) = client.exchange.as_mut() else { return };
        let Some(link) = self.ctx.links.get_mut(link_key) else { return };
        link.used = LinkUse::Busy(key);
        link.interim = 0;
        link.watch.renew();
        exchange.link = Some(link_key);
        exchange.phase = Phase::Sent;
        exchange.sent_anything = true;
        exchange.sent_at = now;
        exchange.trial =
            link.backend.state.is_on_probation() && link.pool.has_well_other(link.slot);
        link.introduce(d, client.peer, now);
        exchange.held_back = link.send(d, &exchange.head, &exchange.body, now) == Sent::Queued;
        exchange.noted = Noted::Nothing;
        exchange.late = late_at(exchange, (&link.pool, link.slot), self.ctx.worker, now);
        exchange.look = now + path::first_look(&link.backend.state);
        if !exchange.facts.method.is_idempotent() {
            exchange.kept = Kept::Dropped;
            exchange.body.clear();
        }
        if !exchange.request_done {
            client.pace.wait_for_body(client.listener.plan(), now);
            if client.paused && exchange.wants_body() {
                client.paused = false;
                d.resume(client.conn);
            }
        }
        self.sent_arm(key, now);
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
        let was_second = exchange.second == Some(link_key);
        if was_second {
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
        let place = Rc::clone(&link.endpoint);
        // Nor is one that moved for lack of an acknowledgement alone more than late.
        let guess = reason == Reason::Unacknowledged && !link.watch.lost;
        let evidence = reason.row().evidence && !(patience || guess) && link.speaks();
        link.backend.state.end();
        self.ctx.abort_link(d, link_key);
        let late = reason == Reason::ResponseTimeout;
        if late {
            exchange.seek.note_timed_out(slot);
        }
        if goes_on {
            if evidence {
                exchange.blame(&mut self.ctx, (slot, place), &failure, now);
            }
            if was_second && reason == Reason::StaleConnection && exchange.seek.is_quiet() {
                exchange.again = true;
                exchange.late = Moment(u64::MAX);
                return self.attempt_afresh(d, key, slot, now);
            }
            self.sent_arm(key, now);
            return self.opinion_none(d, key, now);
        }
        let Some(client) = self.clients.get_mut(key) else { return };
        let Some(exchange) = client.exchange.as_mut() else { return };
        // A retry of what was late is a hedge that comes late: it is paid for, too, so that
        // backends which are all too slow don't get everything several times.
        let pays = || pool.budget.as_ref().is_none_or(|budget| budget.borrow_mut().spend_overdue());
        if !may_resend(reason, &exchange.sendable()) || late && !pays() {
            if evidence {
                self.ctx.failed_alone(&pool, slot, &failure, now);
            }
            return self.answer(d, key, reason, detail, now);
        }
        if evidence {
            exchange.blame(&mut self.ctx, (slot, place), &failure, now);
        }
        match reason {
            Reason::BackendSilent => pool.count(self.ctx.worker, Count::MovedFromSilent),
            Reason::BackendDown => pool.count(self.ctx.worker, Count::MovedFromDown),
            Reason::Unacknowledged => pool.count(self.ctx.worker, Count::MovedUnacknowledged),
            _ => {}
        }
        self.attempt_again(d, key, slot, reason, now);
    }

    /// The request goes out again: an attempt on the backend in `slot` failed.
    fn attempt_again<D: Driver>(
        &mut self,
        d: &mut D,
        key: Key,
        slot: Slot,
        reason: Reason,
        now: Moment,
    ) {
        let Some(client) = self.clients.get_mut(key) else { return };
        let Some(exchange) = client.exchange.as_mut() else { return };
        exchange.phase = Phase::Seeking;
        exchange.held_back = false;
        if !exchange.seek.is_quiet() {
            // A second one was on its way already: now it is the first.
            let deadline = exchange.seek.deadline();
            return self.client_arm(key, deadline);
        }
        let owner = Owner::Client(key);
        if reason == Reason::StaleConnection {
            return self.attempt_afresh(d, key, slot, now);
        }
        if exchange.seek.lost(slot, reason, now) {
            let deadline = exchange.seek.deadline();
            return self.client_arm(key, deadline);
        }
        self.exchange_seek(d, key, now, |seek, ctx, d| seek.next(ctx, d, owner, now));
    }

    /// Rule 2.
    fn attempt_afresh<D: Driver>(&mut self, d: &mut D, key: Key, slot: Slot, now: Moment) {
        let owner = Owner::Client(key);
        self.exchange_seek(d, key, now, |seek, ctx, d| seek.again(ctx, d, owner, slot, now));
    }
}

impl Exchange {
    /// What is known of it that decides whether it may be sent again.
    pub(crate) fn sendable(&self) -> Sendable {
        Sendable {
            idempotent: self.facts.method.is_idempotent(),
            sent_anything: self.sent_anything,
            relayed_anything: self.begun || self.phase == Phase::Relaying,
            replayable: self.kept == Kept::Whole,
        }
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
