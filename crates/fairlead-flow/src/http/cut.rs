//! A request on a backend that has fallen silent, and may not be in two places at once.
//!
//! A GET that is late goes to a second backend beside the first (`hedge`). A PUT or DELETE must not:
//! two copies of it side by side may end in either order. But it may be sent again once the first
//! copy's connection is closed, as after any failure. So it is *cut*: a retry, not a hedge.
//!
//! The danger is a request that takes long by its nature, as reports do that take 5 s on every
//! backend. From waiting alone it can't be told from one that is stuck; from what others get, it can.
//!
//! Rules of this file
//! 1. It has to be later than its backend's answers usually are, and than people notice
//!    ([`NOTICED`]).
//! 2. Its backend is *silent*: it has answered nothing that was asked since, of whatever kind, while
//!    others have, and requests that are like this one (`answers`). Where answers of its kind take
//!    long everywhere, or quick ones go on beside it, nothing follows.
//! 3. Twice in a row, for two requests; once where the backend is out already, and this is a trial
//!    or was there before.
//! 4. What may be sent again (idempotent, its body kept, nothing relayed: `balance::retry`) is cut
//!    then, at most once, if another backend is there that is well and untried, for a token of the
//!    pool's budget. Whether that was any use shows when the other one answers: sooner than the
//!    first had been waited for, or not. So where it isn't, the right to more is soon gone.
//! 5. What may not be sent again, a POST, stays; and so does a GET for which the budget has no
//!    token.
//! 6. A backend that has been silent to two is probed at once. If it goes on saying nothing for
//!    longer than a garbage collector explains, or although its check has passed, or if this was a
//!    trial, it is suspect: the next ones go to others until a trial goes well. Without that, a pool
//!    that takes nothing but PUTs would never notice a frozen member.

use std::rc::Rc;
use std::time::Duration;

use fairlead_model::health::Health;
use fairlead_model::moment::Moment;
use fairlead_model::reason::Reason;

use crate::driver::Driver;
use crate::flow::Flow;
use crate::http::attempt::Failure;
use crate::http::exchange::{Cut, Exchange, Noted, Phase};
use crate::http::hedge::{is_no_pause, late_after, DOUBTED, NOTICED};
use crate::seek::millis;
use crate::slab::Key;

/// Between two looks at a request that is late, at least; an eighth of what it has waited.
const AGAIN: Duration = Duration::from_millis(20);

impl Flow {
    /// A request is late, and no second backend is asked beside it.
    pub(crate) fn late_alone<D: Driver>(&mut self, d: &mut D, key: Key, now: Moment) {
        let Some(client) = self.clients.get_mut(key) else { return };
        let Some(exchange) = client.exchange.as_mut() else { return };
        // It isn't all sent, so nothing was asked yet.
        if exchange.held_back {
            exchange.late = now + AGAIN;
            return;
        }
        let Some(link_key) = exchange.link else { return };
        let Some(link) = self.ctx.links.get(link_key) else { return };
        let (pool, slot) = (Rc::clone(&link.pool), link.slot);
        let (sent, waited) = (exchange.sent_at, now.since(exchange.sent_at));
        let usual = late_after(&pool, slot, now);
        if waited < usual.max(NOTICED) {
            exchange.late = sent + usual.max(NOTICED);
            return;
        }
        exchange.late = now + (waited / 8).max(AGAIN);
        exchange.cut_was_useless();
        let backend = pool.backend(slot);
        let answers = &backend.answers;
        if backend.state.has_answered(None, sent) {
            return;
        }
        let out = exchange.trial || backend.state.health() == Health::Down;
        let silence = || answers.silence(backend.state.check_passed());
        let known = out || silence().times >= DOUBTED;
        let like = (!known).then(|| exchange.kind());
        if !pool.others_answered(slot, like, sent) {
            return;
        }
        if exchange.noted == Noted::Nothing {
            exchange.noted = Noted::Silence;
            if link.speaks() {
                answers.note_silence(sent);
            }
        }
        let silence = silence();
        if !out && silence.times < DOUBTED {
            return;
        }
        let cut = exchange.may_be_cut();
        let lasts = exchange.trial || is_no_pause(silence, usual, now);
        if lasts && matches!(exchange.noted, Noted::Silence | Noted::Asked) {
            exchange.noted = Noted::Overdue;
            if link.speaks() {
                let detail = format!("for {}, while others answered", millis(waited));
                self.ctx.overdue(&pool, slot, "no answer", detail, now);
            }
        } else if exchange.noted == Noted::Silence {
            exchange.noted = Noted::Asked;
            self.ctx.doubts.push((Rc::clone(&pool), slot));
        }
        if cut {
            self.cut_loose(d, key, link_key, waited, now);
        }
    }

    /// Takes a request off its backend, if the budget allows it, and sends it to another.
    fn cut_loose<D: Driver>(
        &mut self,
        d: &mut D,
        key: Key,
        link: Key,
        waited: Duration,
        now: Moment,
    ) {
        let Some(client) = self.clients.get_mut(key) else { return };
        let Some(exchange) = client.exchange.as_mut() else { return };
        let pool = &exchange.seek.pool;
        let trial = exchange.trial;
        let may = pool.budget.as_ref().is_some_and(|budget| budget.borrow_mut().pay(trial));
        pool.note_budget(self.ctx.worker);
        if !may {
            return exchange.note_denied(self.ctx.worker);
        }
        exchange.cut = Cut::Off(waited);
        let (reason, what) = (Reason::BackendSilent, "no answer");
        self.attempt_failed(d, key, link, Failure { reason, what, detail: "" }, now);
    }
}

impl Exchange {
    /// Rule 4.
    fn may_be_cut(&self) -> bool {
        self.cut == Cut::No
            && self.phase == Phase::Sent
            && self.held.is_none()
            && !self.facts.method.is_safe()
            && self.may_move(Reason::BackendSilent)
            && self.seek.has_more()
    }

    /// An answer begins. If this request was cut off another backend, that was of use if this one
    /// has taken less time.
    pub(crate) fn settle_cut(&mut self, took: Duration) {
        let Cut::Off(waited) = self.cut else { return };
        if took >= waited {
            return self.cut_was_useless();
        }
        self.cut = Cut::Settled;
        if let Some(budget) = &self.seek.pool.budget {
            budget.borrow_mut().won();
        }
    }

    /// The other backend is late, too.
    fn cut_was_useless(&mut self) {
        if let Cut::Off(_) = self.cut {
            self.cut = Cut::Settled;
            if let Some(budget) = &self.seek.pool.budget {
                budget.borrow_mut().lost();
            }
        }
    }
}
