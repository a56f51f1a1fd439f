//! A second backend for a request whose answer is late.
//!
//! A frozen process looks well from outside: its kernel completes connects and acknowledges
//! requests, and nothing ever comes back. Nothing but lateness tells, so a request that is later
//! than nearly all before it at this backend is sent to another one, too.
//!
//! Rules of this file
//! 1. Only safe methods (RFC 9110 §9.2.1), only requests that are whole and kept whole, only
//!    within the pool's budget (`fairlead_balance::budget`).
//! 2. The first final head wins. The other's answer is never seen.
//! 3. A first that loses twice without an answer in between is in doubt: others are asked before
//!    it, and it is probed. Once that lasts for longer than a garbage collector explains, or goes
//!    on although its check has passed meanwhile, or if it was on trial, a check page that is quick
//!    doesn't refute it any more.
//!    Slow is not silent: the connection of a first that has lost stays for [`SILENCE`] more. If an
//!    answer begins in that time, all that was learned is how long it takes, and later requests are
//!    given that long. If not, that is a failure.
//! 4. A second that loses is cut off.
//! 5. A second that fails is as if it had never been asked, but for the evidence. One whose kept
//!    connection turns out to be dead goes out once more, on a fresh one.
//! 6. While this worker itself is late (`lag`) an answer is given that much longer, once; but not
//!    at a backend that is out anyway: there it is the client who would wait.
//! 7. A second that is late, too, was asked for nothing, and the budget learns of that at once, not
//!    when one of them answers: where everybody takes 5 s, much would be asked twice by then.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use fairlead_balance::{Budget, Count, Kind};
use fairlead_model::backend::Slot;
use fairlead_model::moment::Moment;
use fairlead_model::plan::Policy;
use fairlead_model::reason::Reason;

use crate::answers::Silence;
use crate::driver::Driver;
use crate::flow::Flow;
use crate::http::exchange::{Exchange, Kept, Noted, Phase};
use crate::link::{LinkUse, Owner};
use crate::local::LocalPool;
use crate::seek::millis;
use crate::slab::Key;

/// So many requests in a row that another backend answered first make a backend suspect. One is
/// a page that takes longer now and then.
pub(crate) const DOUBTED: u32 = 2;

/// How long a backend that was overtaken has to begin its answer, from when it got the request. A
/// page takes longer only where all its kind do; and then it is not overtaken.
pub(crate) const SILENCE: Duration = Duration::from_secs(1);

/// In a pool that hashes, nothing is late before.
const STICKY: Duration = Duration::from_millis(500);

/// From here on people notice that they wait.
pub(crate) const NOTICED: Duration = Duration::from_millis(200);

/// So much later than that is no garbage collector: one stops a process for 300 ms without anything
/// being wrong with it.
pub(crate) const COLLECTS: Duration = Duration::from_millis(300);

/// When a request that is sent now is late enough for a second backend or, if it may not be sent
/// twice side by side or isn't kept, for a look at what others get (`cut`); never, while it hasn't
/// come whole. What is kept of it has no say here: that depends on how its bytes came.
pub(crate) fn late_at(
    exchange: &Exchange,
    (pool, slot): (&LocalPool, Slot),
    worker: usize,
    now: Moment,
) -> Moment {
    let whole = exchange.request_done && !exchange.facts.upgrade;
    let Some(budget) = pool.budget.as_ref().filter(|_| whole) else { return Moment(u64::MAX) };
    // What may be put to a second backend for its error alone (`opinion`) earns, too.
    let earned = budget.borrow_mut().earn(now);
    if earned {
        pool.note_budget(worker);
    }
    let late = late_after(pool, slot, now);
    let late = if exchange.facts.method.is_safe() { late } else { late.max(NOTICED) };
    // Who hashes wants the same backend each time; another one is worse than a little patience. So
    // may a policy outside.
    let group = pool.backend_plan(slot).group;
    let sticky = pool.plan().policy_of(group) == Policy::Hash || pool.pool.is_asking();
    now + if sticky { late.max(STICKY) } else { late }
}

/// How late an answer of this backend has to be. What it has shown itself counts, but one that is
/// much slower than the best of its pool is not given all that time: its clients needn't pay for
/// lost packets or a sick disk just because they have lasted for a while.
pub(crate) fn late_after(pool: &LocalPool, slot: Slot, now: Moment) -> Duration {
    let own = pool.backend(slot).state.response_late_after();
    if own <= NOTICED {
        return own;
    }
    own.min((pool.quickest(now) * 4).max(NOTICED))
}

/// Whether a backend that is silent isn't only collecting garbage: that doesn't last so long, and
/// once a check passes it is over.
pub(crate) fn is_no_pause(silence: Silence, usual: Duration, now: Moment) -> bool {
    now.since(silence.since) >= usual + COLLECTS || now.since(silence.well) >= usual
}

impl Flow {
    /// The answer is late: a second backend is sought.
    pub(crate) fn hedge_begin<D: Driver>(&mut self, d: &mut D, key: Key, now: Moment) {
        let Some(client) = self.clients.get_mut(key) else { return };
        let Some(exchange) = client.exchange.as_mut() else { return };
        exchange.late = Moment(u64::MAX);
        if exchange.second.is_some() {
            return exchange.note_vain();
        }
        let own = self.ctx.lag.of(now);
        let excuses = !own.is_zero() && !exchange.trial;
        if excuses && !std::mem::replace(&mut exchange.excused, true) {
            exchange.late = now + own;
            return;
        }
        if !exchange.facts.method.is_safe() || exchange.kept != Kept::Whole {
            return self.late_alone(d, key, now);
        }
        let pool = &exchange.seek.pool;
        let pays = |budget: &RefCell<Budget>| budget.borrow_mut().pay(exchange.trial);
        let may = pool.budget.as_ref().is_some_and(pays);
        pool.note_budget(self.ctx.worker);
        if !may {
            exchange.note_denied(self.ctx.worker);
            return self.late_alone(d, key, now);
        }
        let owner = Owner::Client(key);
        self.exchange_seek(d, key, now, |seek, ctx, d| seek.next(ctx, d, owner, now));
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
        to.interim = 0;
        to.watch.renew();
        exchange.second = Some(link);
        exchange.second_at = now;
        exchange.vain = false;
        let opinion = exchange.held.is_some();
        if !opinion {
            exchange.late = now + late_after(&to.pool, to.slot, now);
        }
        if !std::mem::take(&mut exchange.again) {
            let step = if opinion { Count::OpinionAsked } else { Count::HedgeSent };
            exchange.seek.pool.count(self.ctx.worker, step);
        }
        to.introduce(d, client.peer, now);
        let _ = to.send(d, &exchange.head, &exchange.body, now);
        self.sent_arm(key, now);
    }

    /// A final head came on `link`: the other one, if there is one, is cut off.
    pub(crate) fn hedge_settle<D: Driver>(&mut self, d: &mut D, key: Key, link: Key, now: Moment) {
        let Some(client) = self.clients.get_mut(key) else { return };
        let Some(exchange) = client.exchange.as_mut() else { return };
        if !exchange.seek.is_quiet() {
            exchange.seek.leave(&mut self.ctx);
        }
        let Some(second) = exchange.second.take() else { return };
        let (won, noted, vain) = (link == second, exchange.noted, exchange.vain);
        let trial = exchange.trial;
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
        pool.count(self.ctx.worker, if won { Count::HedgeWon } else { Count::HedgeLost });
        if let Some(budget) = &pool.budget {
            if won {
                budget.borrow_mut().won();
            } else if !vain {
                budget.borrow_mut().lost();
            }
        }
        // Its request is answered. What goes on there from now on is ours alone, and must not
        // make the backend look busy to the policies.
        pool.backend(slot).state.end();
        if !won {
            return self.ctx.abort_link(d, loser);
        }
        let since = now - waited;
        if let Some(link) = self.ctx.links.get_mut(loser) {
            link.used = LinkUse::Lost { since };
        }
        self.ctx.arm_link(loser, since + SILENCE.min(pool.response));
        let winner = self.link_place(Some(link));
        let name =
            winner.map_or_else(String::new, |(pool, slot)| pool.backend_plan(slot).address.clone());
        let detail =
            format!("for {}, while {name} answered within {}", millis(waited), millis(took));
        if !self.ctx.speaks(Some(loser)) {
            return;
        }
        let backend = pool.backend(slot);
        if noted == Noted::Nothing {
            backend.answers.note_silence(since);
        }
        let silence = backend.answers.silence(backend.state.check_passed());
        let usual = late_after(&pool, slot, now);
        if trial || is_no_pause(silence, usual, now) {
            self.ctx.overdue(&pool, slot, "no answer", detail, now);
        } else if silence.times >= DOUBTED {
            self.ctx.doubt(&pool, slot, "no answer", detail, now);
        }
    }

    /// A backend that was overtaken answers after all.
    pub(crate) fn lost_answered<D: Driver>(
        &mut self,
        d: &mut D,
        key: Key,
        since: Moment,
        now: Moment,
    ) {
        let Some(link) = self.ctx.links.get(key) else { return };
        if link.speaks() {
            link.backend.note_answer(self.ctx.worker, Kind::Safe, since, now);
            let (pool, slot) = (Rc::clone(&link.pool), link.slot);
            self.ctx.answer_took(&pool, slot, now.since(since), now);
        }
        self.ctx.abort_link(d, key);
    }

    /// A backend that was overtaken will not answer: it was silent for too long (`failure` is
    /// `None`), or its connection ended.
    pub(crate) fn lost_failed<D: Driver>(
        &mut self,
        d: &mut D,
        key: Key,
        since: Moment,
        failure: Option<&'static str>,
        now: Moment,
    ) {
        let Some(link) = self.ctx.links.get(key) else { return };
        let (pool, slot) = (Rc::clone(&link.pool), link.slot);
        // A kept connection that ends says nothing: it may have been closed before it was used.
        // Nor does one to a place where the backend is no more.
        let counts = (failure.is_none() || !link.was_kept) && link.backend.is_at(&link.endpoint);
        self.ctx.abort_link(d, key);
        if counts && !pool.backend(slot).state.is_old_news(since) {
            let detail = format!("for {}, while others answered", millis(now.since(since)));
            let (reason, what) = match failure {
                None => (Reason::ResponseTimeout, "no answer"),
                Some(what) => (Reason::BackendReset, what),
            };
            self.ctx.silent(&pool, slot, reason, what, detail, now);
        }
    }
}

impl Exchange {
    /// Rule 7.
    fn note_vain(&mut self) {
        let before = std::mem::replace(&mut self.vain, true);
        if let Some(budget) = self.seek.pool.budget.as_ref().filter(|_| !before) {
            budget.borrow_mut().vain();
        }
    }
}
