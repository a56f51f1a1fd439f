//! A search that waits because there is nobody (`hold`).

use fairlead_balance::Count;
use fairlead_model::moment::Moment;
use fairlead_model::reason::Reason;

use super::decision::Decision;
use super::{Found, Seek};
use crate::context::Context;
use crate::driver::Driver;
use crate::link::Owner;

/// How far a wait has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// It waits, for this reason.
    Waiting(Reason),
    /// It has gone on, and nobody has taken it yet.
    Trying,
    /// It was taken, or given up.
    Over,
}

impl Seek {
    /// Whether a search that ended so may wait for a backend.
    pub(crate) fn may_wait(&self, reason: Reason, now: Moment) -> bool {
        let nobody = matches!(
            reason,
            Reason::NoBackend
                | Reason::ConnectRefused
                | Reason::ConnectTimeout
                | Reason::ConnectFailed
                | Reason::BackendDown
        );
        let in_time = self.wait.map_or(!self.pool.hold.is_zero(), |(until, _)| now < until);
        nobody && in_time && self.losses < self.pool.plan().retry.attempts
    }

    /// Waits from now on.
    pub(crate) fn wait(&mut self, reason: Reason, now: Moment) {
        let until = self.wait.map_or(now + self.pool.hold, |(until, _)| until);
        self.wait = Some((until, Patience::Waiting(reason)));
    }

    /// Whether it waits.
    pub(crate) fn waits(&self) -> bool {
        matches!(self.wait, Some((_, Patience::Waiting(_))))
    }

    /// Whether it has waited, went on, and has found nobody so far.
    pub(crate) fn tries(&self) -> bool {
        matches!(self.wait, Some((_, Patience::Trying)))
    }

    /// Somebody takes it. True if it had waited for that.
    #[inline]
    pub(crate) fn wait_is_over(&mut self) -> bool {
        let Some((until, patience)) = self.wait else { return false };
        self.wait = Some((until, Patience::Over));
        patience == Patience::Trying
    }

    /// Perhaps somebody is back: all are asked anew.
    pub(crate) fn resume<D: Driver>(
        &mut self,
        ctx: &mut Context,
        d: &mut D,
        owner: Owner,
        now: Moment,
    ) -> Found {
        if let Some((until, _)) = self.wait {
            self.wait = Some((until, Patience::Trying));
        }
        self.decision = Decision::Open;
        self.tried.clear();
        self.attempts = self.losses;
        self.next(ctx, d, owner, now)
    }

    /// The reason with which a wait ends, if it is over.
    pub(super) fn wait_ends(&mut self, ctx: &Context, now: Moment) -> Option<Reason> {
        let Some((until, Patience::Waiting(reason))) = self.wait.filter(|(until, _)| now >= *until)
        else {
            return None;
        };
        self.wait = Some((until, Patience::Over));
        self.pool.count(ctx.worker, Count::HoldExpired);
        Some(reason)
    }

    /// Its client has gone, or the time for a stop is over.
    pub(super) fn wait_is_left(&mut self, ctx: &Context) {
        if self.waits() || self.tries() {
            self.pool.count(ctx.worker, Count::HoldLeft);
            self.wait = None;
        }
    }
}
