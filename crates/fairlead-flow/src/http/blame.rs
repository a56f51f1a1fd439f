//! Whose fault it was: what a failed attempt says about its backend.
//!
//! A refused connect has nothing to do with the request. A reset in the middle of one may: there
//! are requests that kill whoever touches them, and a client that sends such a one to backend
//! after backend must not take them all away from everybody else.
//!
//! Rules of this file
//! 1. A failure after the connect makes its backend suspect at once, so that others are asked first
//!    and a probe looks at it. Whether it *counts* depends on what others make of the request.
//! 2. If another backend answers the same request well, it counts, and as a wrong answer does: no
//!    passing check and no other request that goes well lifts the suspicion for a while. One that
//!    hangs up on every other request would be used as before otherwise.
//! 3. If nobody does, it was the request, or everybody: it doesn't.
//! 4. If nobody else could be asked (the request must not be sent twice, or half its answer had
//!    gone out), it counts only while another one is well.
//!
//! Not here: how many may be out for such reasons (`fairlead_balance::outlier`).

use std::rc::Rc;

use fairlead_model::backend::{Endpoint, Slot};
use fairlead_model::moment::Moment;
use fairlead_model::reason::Reason;

use crate::context::Context;
use crate::http::attempt::Failure;
use crate::http::exchange::Exchange;
use crate::local::LocalPool;

/// One failed attempt that waits for what others make of the request.
#[derive(Debug)]
pub(crate) struct Blame {
    pub(super) slot: Slot,
    /// Where it was.
    pub(super) place: Rc<Endpoint>,
    pub(super) reason: Reason,
    pub(super) what: &'static str,
    pub(super) detail: String,
}

impl Exchange {
    /// An attempt failed and another one follows.
    pub(crate) fn blame(
        &mut self,
        ctx: &mut Context,
        (slot, place): (Slot, Rc<Endpoint>),
        failure: &Failure<'_>,
        now: Moment,
    ) {
        let Failure { reason, what, detail } = *failure;
        self.seek.pool.backend(slot).state.shard(ctx.worker).add_failure(reason);
        ctx.doubt(&self.seek.pool, slot, what, detail.into(), now);
        self.blamed.push(Blame { slot, place, reason, what, detail: detail.into() });
    }

    /// The backend in `answered` gave an answer, a good one or not: those others that failed before
    /// could have done so, too.
    pub(crate) fn settle_blame(
        &mut self,
        ctx: &mut Context,
        answered: Slot,
        good: bool,
        now: Moment,
    ) {
        let pool = Rc::clone(&self.seek.pool);
        for Blame { slot, place, reason, what, detail } in self.blamed.drain(..) {
            if good && slot != answered && pool.backend(slot).has(&place) {
                ctx.turned_out_wrong(&pool, slot, reason, (what, &detail), now);
            }
        }
    }
}

impl Context {
    /// A request failed at a backend and could not be put to another one.
    pub(crate) fn failed_alone(
        &mut self,
        pool: &Rc<LocalPool>,
        slot: Slot,
        failure: &Failure<'_>,
        now: Moment,
    ) {
        let Failure { reason, what, detail } = *failure;
        if pool.has_well_other(slot) {
            self.wrong(pool, slot, reason, (what, detail), now);
        } else {
            pool.backend(slot).state.shard(self.worker).add_failure(reason);
            self.doubt(pool, slot, what, detail.into(), now);
            self.bad(pool, slot, reason, what, now);
        }
    }
}
