//! A second opinion about an error.
//!
//! A backend whose every second answer is a 500 looks well to its check, and to most requests. So
//! a request that may be repeated and is answered with a server error is put to another backend
//! before the client sees it: PUT and DELETE, too, as the first try has ended. What the two say
//! tells whose error it is.
//!
//! | the other one says | the client gets | evidence |
//! |---|---|---|
//! | anything but a server error | that | against the first: its answer was wrong |
//! | a server error, too | the first answer | none: it is the request's, or everybody's; a trial shows that somebody answers |
//! | nothing in [`PATIENCE`], or nobody is left | the first answer | none |
//!
//! Rules of this file
//! 1. The first answer is not thrown away before there is a better one: its connection isn't read
//!    on meanwhile.
//! 2. It is paid for from the pool's budget for hedges, so an application that answers with
//!    errors on purpose soon isn't asked twice. One that was right costs nothing.

use std::cell::RefCell;
use std::time::Duration;

use fairlead_balance::{Budget, Count};
use fairlead_model::moment::Moment;
use fairlead_model::reason::Reason;

use crate::driver::Driver;
use crate::flow::Flow;
use crate::http::exchange::{Exchange, Kept, Phase};
use crate::link::{LinkUse, Owner};
use crate::slab::Key;

/// How long an error waits for a second opinion. Longer than nearly all answers take; a client that
/// waits for an error can wait so much more.
const PATIENCE: Duration = Duration::from_millis(500);

/// Whether a status says that the answering side is at fault, and that another might do better.
/// 501 and 505 are about the request.
pub(crate) fn is_error(status: u16) -> bool {
    matches!(status, 500 | 502 | 503 | 504)
}

fn may_ask(exchange: &Exchange) -> bool {
    exchange.phase == Phase::Sent
        && !exchange.doubted
        && !exchange.begun
        && exchange.request_done
        && exchange.kept == Kept::Whole
        && exchange.facts.method.is_idempotent()
        && !exchange.facts.upgrade
}

impl Flow {
    /// A final head has come on `link`; `bytes` are all that is unread there. True if it isn't to
    /// be passed on (yet).
    pub(crate) fn opinion_wanted<D: Driver>(
        &mut self,
        d: &mut D,
        key: Key,
        link: Key,
        (status, bytes): (u16, &[u8]),
        now: Moment,
    ) -> bool {
        let Some(exchange) = self.clients.get_mut(key).and_then(|client| client.exchange.as_mut())
        else {
            return false;
        };
        let first = exchange.link == Some(link);
        if exchange.held.is_some() && !first {
            return self.opinion_heard(d, key, link, status, now);
        }
        if !is_error(status) || !may_ask(exchange) {
            return false;
        }
        if !first {
            // A hedge that ends in an error: the first one has a while to do better. It may be
            // silent for ever, so the error is kept.
            exchange.second = exchange.link.replace(link);
            std::mem::swap(&mut exchange.sent_at, &mut exchange.second_at);
        }
        // A hedge that is still on its way is asked anyway.
        let asked = exchange.second.is_some() || !exchange.seek.is_quiet();
        let budget = exchange.seek.pool.budget.as_ref();
        let pays = |budget: &RefCell<Budget>| budget.borrow_mut().pay(exchange.trial);
        if !asked && !budget.is_some_and(pays) {
            return false;
        }
        exchange.doubted = true;
        exchange.late = Moment(u64::MAX);
        exchange.held = Some(now + PATIENCE);
        if let Some(link) = self.ctx.links.get_mut(link) {
            link.input.clear();
            link.input.extend_from_slice(bytes);
            link.paused = true;
            d.pause(link.conn);
        }
        self.sent_arm(key, now);
        self.client_arm_no_later(key, now + PATIENCE);
        if !asked {
            let owner = Owner::Client(key);
            self.exchange_seek(d, key, now, |seek, ctx, d| seek.next(ctx, d, owner, now));
        }
        true
    }

    /// The second opinion is there.
    fn opinion_heard<D: Driver>(
        &mut self,
        d: &mut D,
        key: Key,
        link: Key,
        status: u16,
        now: Moment,
    ) -> bool {
        if is_error(status) {
            let exchange = self.clients.get(key).and_then(|client| client.exchange.as_ref());
            if let Some(exchange) = exchange {
                exchange.seek.pool.count(self.ctx.worker, Count::OpinionSame);
                let first = exchange.link.and_then(|first| self.ctx.links.get(first));
                if let Some(first) = first.filter(|first| first.backend.state.is_on_probation()) {
                    first.backend.state.shows_nothing(true);
                }
            }
            self.opinion_none(d, key, now);
            return true;
        }
        let Some(client) = self.clients.get_mut(key) else { return true };
        let Some(exchange) = client.exchange.as_mut() else { return true };
        exchange.held = None;
        exchange.second = None;
        let Some(wrong) = exchange.link.replace(link) else { return false };
        exchange.seek.pool.count(self.ctx.worker, Count::OpinionBetter);
        if let Some(budget) = &exchange.seek.pool.budget {
            budget.borrow_mut().right();
        }
        exchange.sent_at = exchange.second_at;
        let Some((pool, slot)) = self.link_place(Some(wrong)) else { return false };
        let answered = self.ctx.links.get(wrong).map_or("error", |link| status_of(&link.input));
        let better = self.link_place(Some(link));
        let name =
            better.map_or_else(String::new, |(pool, slot)| pool.backend_plan(slot).address.clone());
        let detail = format!("{answered}, where {name} answered {status}");
        pool.backend(slot).state.end();
        let speaks = self.ctx.speaks(Some(wrong));
        self.ctx.abort_link(d, wrong);
        if speaks {
            let seen = ("wrong answer", detail.as_str());
            self.ctx.wrong(&pool, slot, Reason::WrongAnswer, seen, now);
        }
        false
    }

    /// There is no second opinion, or it is the same: the first answer goes to the client. Does
    /// nothing if none waits.
    pub(crate) fn opinion_none<D: Driver>(&mut self, d: &mut D, key: Key, now: Moment) {
        let Some(client) = self.clients.get_mut(key) else { return };
        let Some(exchange) = client.exchange.as_mut() else { return };
        let Some(until) = exchange.held.take() else { return };
        // The time that it was held is not the backend's.
        exchange.sent_at = exchange.sent_at + PATIENCE.saturating_sub(until.since(now));
        exchange.seek.leave(&mut self.ctx);
        let first = exchange.link;
        // Whoever could not be reached wasn't asked, and whoever failed has lost nothing for us.
        let asked = exchange.second.is_some();
        if let Some(budget) = exchange.seek.pool.budget.as_ref().filter(|_| asked) {
            budget.borrow_mut().lost();
        }
        self.opinion_drop(d, key);
        let Some(first) = first else { return };
        let Some(link) = self.ctx.links.get_mut(first) else { return };
        debug_assert_eq!(link.used, LinkUse::Busy(key));
        let waiting = std::mem::take(&mut link.input);
        link.paused = false;
        d.resume(link.conn);
        let _ = self.response_head(d, key, first, &waiting, now);
    }

    /// Cuts off the second backend of a request.
    fn opinion_drop<D: Driver>(&mut self, d: &mut D, key: Key) {
        let Some(client) = self.clients.get_mut(key) else { return };
        let Some(exchange) = client.exchange.as_mut() else { return };
        let Some(second) = exchange.second.take() else { return };
        self.ctx.drop_attempt(d, second);
    }
}

/// The status in the first line of a head that was read before.
fn status_of(head: &[u8]) -> &'static str {
    match head.get(9..12) {
        Some(b"500") => "status 500",
        Some(b"502") => "status 502",
        Some(b"503") => "status 503",
        Some(b"504") => "status 504",
        _ => "error",
    }
}
