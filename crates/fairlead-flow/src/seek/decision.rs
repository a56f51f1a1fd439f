//! A pick that a policy outside of these machines makes: asked, waited for, used or done without.
//!
//! Rules of this file
//! 1. A question is waited for until its time is over; then the pool's own policy picks. All
//!    questions of one request share the time, so that retries can't add it up.
//! 2. What was chosen is begun only if it may still be picked. Otherwise the pool's own policy
//!    picks, as if nothing had been asked.
//! 3. A trial that is due, and a search with nobody left, are not the policy's business.
//! 4. Every question ends in exactly one count: chosen, abstained, failed, unavailable, late or
//!    unasked; or its request ends first.
//!
//! Not here: what the policy is shown (`ask`), the policy itself (Python).

use std::time::Duration;

use fairlead_balance::{Count, Pick};
use fairlead_model::backend::Slot;
use fairlead_model::moment::Moment;

use crate::ask::Verdict;
use crate::context::Context;
use crate::driver::Driver;
use crate::link::Owner;
use crate::seek::{Found, Seek};

/// How far the decision of the next pick has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// Nobody was asked.
    Open,
    /// The beginning of the request's body is waited for, to be shown.
    Body { until: Moment },
    /// The policy was asked.
    Asked { number: u32, since: Moment, until: Moment },
    /// It has chosen, or (`None`) the pool's own policy is to.
    Made(Option<Slot>),
}

impl Decision {
    /// Whether something is waited for.
    pub(super) fn is_pending(self) -> bool {
        self.until().is_some()
    }

    /// Until when.
    pub(super) fn until(self) -> Option<Moment> {
        match self {
            Decision::Body { until } | Decision::Asked { until, .. } => Some(until),
            Decision::Open | Decision::Made(_) => None,
        }
    }

    /// What a search comes to that can't pick yet.
    pub(super) fn found(self) -> Found {
        if self.is_pending() {
            Found::Waiting
        } else {
            Found::Undecided
        }
    }
}

impl Seek {
    /// Picks, or finds out that somebody has to be asked first.
    pub(super) fn choose(&mut self, ctx: &mut Context, now: Moment) -> Option<Pick> {
        let decision = self.decision;
        if !decision.is_pending() {
            self.decision = Decision::Open;
        }
        match decision {
            Decision::Asked { .. } | Decision::Body { .. } => None,
            Decision::Made(Some(slot)) => Some(self.take_chosen(slot, ctx, now)),
            Decision::Open if self.pool.pool.is_asking() && !self.patience().is_zero() => {
                let mut view = self.pool.view.borrow_mut();
                let candidates = &mut ctx.candidates;
                view.consult(self.asker(), self.key, &self.tried, now, candidates)
            }
            Decision::Open | Decision::Made(None) => Some(self.pick(ctx, now)),
        }
    }

    fn take_chosen(&mut self, slot: Slot, ctx: &mut Context, now: Moment) -> Pick {
        let begun = self.pool.view.borrow_mut().begin(slot, &self.tried, now);
        let step = if begun { Count::PolicyChosen } else { Count::PolicyUnavailable };
        self.pool.count(ctx.worker, step);
        if begun {
            Pick::Backend(slot)
        } else {
            self.pick(ctx, now)
        }
    }

    /// How much longer the policy may be waited for.
    pub(crate) fn patience(&self) -> Duration {
        let python = self.pool.plan().python.as_ref();
        python.map_or(Duration::ZERO, |python| python.timeout.duration().saturating_sub(self.spent))
    }

    /// The beginning of the body is waited for before anybody is asked.
    pub(crate) fn wait_for_body(&mut self, until: Moment) {
        self.decision = Decision::Body { until };
    }

    /// Enough of the body has come; false if nobody waits for it.
    pub(crate) fn body_came(&mut self) -> bool {
        let waited = matches!(self.decision, Decision::Body { .. });
        if waited {
            self.decision = Decision::Open;
        }
        waited
    }

    /// The policy has been asked.
    pub(crate) fn asked(&mut self, number: u32, now: Moment) {
        self.decision = Decision::Asked { number, since: now, until: now + self.patience() };
    }

    /// Whether this is the question that is waited for.
    pub(crate) fn awaits(&self, asked: u32) -> bool {
        matches!(self.decision, Decision::Asked { number, .. } if number == asked)
    }

    /// The policy's answer to the question that is waited for.
    pub(crate) fn decided<D: Driver>(
        &mut self,
        ctx: &mut Context,
        d: &mut D,
        owner: Owner,
        verdict: Verdict,
        now: Moment,
    ) -> Found {
        let (slot, step) = match verdict {
            // Counted when it is begun.
            Verdict::Chosen(slot) => (Some(slot), None),
            Verdict::Abstained => (None, Some(Count::PolicyAbstained)),
            Verdict::Failed => (None, Some(Count::PolicyFailed)),
        };
        self.settle(slot, step, ctx, now);
        self.proceed(ctx, d, owner, now)
    }

    /// Nobody could be asked: goes on without.
    pub(crate) fn unasked<D: Driver>(
        &mut self,
        ctx: &mut Context,
        d: &mut D,
        owner: Owner,
        now: Moment,
    ) -> Found {
        self.settle(None, Some(Count::PolicyUnasked), ctx, now);
        self.proceed(ctx, d, owner, now)
    }

    /// Something pending may be due.
    pub(super) fn overdue<D: Driver>(
        &mut self,
        ctx: &mut Context,
        d: &mut D,
        owner: Owner,
        now: Moment,
    ) -> Found {
        match self.decision {
            Decision::Asked { until, .. } if now >= until => {
                self.settle(None, Some(Count::PolicyLate), ctx, now);
                self.proceed(ctx, d, owner, now)
            }
            // What has come of the body will do.
            Decision::Body { until } if now >= until => {
                self.decision = Decision::Open;
                self.proceed(ctx, d, owner, now)
            }
            _ => Found::Waiting,
        }
    }

    fn settle(&mut self, slot: Option<Slot>, step: Option<Count>, ctx: &Context, now: Moment) {
        if let Decision::Asked { since, .. } = self.decision {
            self.spent += now.since(since);
        }
        self.decision = Decision::Made(slot);
        if let Some(step) = step {
            self.pool.count(ctx.worker, step);
        }
    }

    /// Goes on where the decision was missing: to the next backend, or to one beside a late one.
    fn proceed<D: Driver>(
        &mut self,
        ctx: &mut Context,
        d: &mut D,
        owner: Owner,
        now: Moment,
    ) -> Found {
        if self.runners.iter().any(Option::is_some) {
            self.add_company(ctx, d, owner, now)
        } else {
            self.next(ctx, d, owner, now)
        }
    }
}
