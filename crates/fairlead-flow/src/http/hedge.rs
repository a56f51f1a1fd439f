//! A second backend for a request whose answer is late.
//!
//! A frozen process looks well from outside: its kernel completes connects and acknowledges
//! requests, and nothing ever comes back. Nothing but lateness tells, so a request that is later
//! than nearly all before it at this backend is sent to another one, too.
//!
//! Rules of this file
//! 1. Only safe methods (RFC 9110 §9.2.1), only requests that are whole and kept whole, only
//!    within the pool's budget (`fairlead_balance::budget`).
//! 2. The first final head wins. The loser is cut off and its answer never seen.
//! 3. A second that wins is evidence against a first that said nothing all that time. It is a
//!    backend's silence that counts, not its slowness alone: one answer in between clears it, and
//!    where all are slow, nobody wins.
//! 4. A second that fails is as if it had never been asked, but for the evidence.

use std::rc::Rc;

use fairlead_model::moment::Moment;

use crate::driver::Driver;
use crate::flow::Flow;
use crate::http::exchange::{Exchange, Kept, Phase};
use crate::link::{LinkUse, Owner};
use crate::local::LocalPool;
use crate::seek::millis;
use crate::slab::Key;

/// When a request that is sent now is late enough for a second backend; never, if it may not be
/// sent twice.
pub(crate) fn late_at(
    exchange: &Exchange,
    pool: &LocalPool,
    slot: fairlead_model::backend::Slot,
    now: Moment,
) -> Moment {
    let may = exchange.request_done
        && exchange.kept == Kept::Whole
        && exchange.facts.method.is_safe()
        && !exchange.facts.upgrade;
    let Some(budget) = pool.budget.as_ref().filter(|_| may) else { return Moment(u64::MAX) };
    budget.borrow_mut().earn();
    now + pool.backend(slot).state.response_late_after()
}

impl Flow {
    /// The answer is late: a second backend is sought.
    pub(crate) fn hedge_begin<D: Driver>(&mut self, d: &mut D, key: Key, now: Moment) {
        let Some(client) = self.clients.get_mut(key) else { return };
        let Some(exchange) = client.exchange.as_mut() else { return };
        exchange.late = Moment(u64::MAX);
        let pool = &exchange.seek.pool;
        let may = pool.budget.as_ref().is_some_and(|budget| budget.borrow_mut().spend());
        if may {
            let owner = Owner::Client(key);
            self.exchange_seek(d, key, now, |seek, ctx, d| seek.next(ctx, d, owner, now));
        }
    }

    /// A second backend is there: it gets the request, too.
    pub(crate) fn hedge_send<D: Driver>(&mut self, d: &mut D, key: Key, link: Key, now: Moment) {
        let Some(client) = self.clients.get_mut(key) else { return };
        let Some(exchange) = client.exchange.as_mut() else { return };
        let Some(to) = self.ctx.links.get_mut(link) else { return };
        if exchange.phase != Phase::Sent || exchange.link.is_none() || exchange.second.is_some() {
            // Too late: the answer has come. The connection serves the next request.
            to.backend.state.end();
            return self.ctx.park(d, link, now);
        }
        to.used = LinkUse::Busy(key);
        exchange.second = Some(link);
        exchange.second_at = now;
        let _ = d.send(to.conn, &exchange.head, &exchange.body);
        self.sent_arm(key, now);
    }

    /// A final head came on `link`: the other one, if there is one, is cut off.
    pub(crate) fn hedge_settle<D: Driver>(&mut self, d: &mut D, key: Key, link: Key, now: Moment) {
        let Some(client) = self.clients.get_mut(key) else { return };
        let Some(exchange) = client.exchange.as_mut() else { return };
        let Some(second) = exchange.second.take() else {
            if !exchange.seek.is_quiet() {
                exchange.seek.leave(&mut self.ctx);
            }
            return;
        };
        let won = link == second;
        let loser = if won { exchange.link.replace(second) } else { Some(second) };
        let waited = now.since(exchange.sent_at);
        let took = now.since(exchange.second_at);
        if won {
            exchange.sent_at = exchange.second_at;
        }
        let Some((loser, place)) =
            loser.and_then(|loser| Some((loser, self.link_place(Some(loser))?)))
        else {
            return;
        };
        let (pool, slot) = place;
        if let Some(budget) = &pool.budget {
            if won {
                budget.borrow_mut().won();
            } else {
                budget.borrow_mut().lost();
            }
        }
        pool.backend(slot).state.end();
        self.ctx.abort_link(d, loser);
        if won {
            let winner = self.link_place(Some(link));
            let name = winner
                .map_or_else(String::new, |(pool, slot)| pool.backend_plan(slot).address.clone());
            let detail =
                format!("for {}, while {name} answered within {}", millis(waited), millis(took));
            self.ctx.failed(&Rc::clone(&pool), slot, "no answer", detail, now);
        }
    }
}
