//! Connects under way: one, or some beside each other; the first to come about wins.
//!
//! Rules of this file
//! 1. A connect that is late against what is learned of its backend gets company: a second one
//!    beside it, to another backend; if that is late too, a third, as hosts may die together.
//!    `timeouts.connect` stays the hard end of each.
//! 2. A late connect that nobody waits for any more goes on, as evidence, and is kept if it
//!    succeeds. When the client leaves, everything ends at once; what was late then is doubted.
//!
//! A backend that swallows packets looks like nothing at all: no reset, no error, only silence.
//! Last.fm's balancers sat out 5 s of it for each connection, which was longer than their clients'
//! patience. So being late is the normal end of an attempt on a dead host here, not an error path.
//!
//! Not here: who is tried next, and what follows when a connect fails (`seek`).

use std::rc::Rc;

use fairlead_balance::Count;
use fairlead_model::backend::Slot;
use fairlead_model::moment::Moment;
use fairlead_model::reason::Reason;

use super::decision::Decision;
use super::{millis, Found, Seek, Target};
use crate::context::{place, Context};
use crate::driver::{Driver, IoFailure};
use crate::link::{LinkUse, Owner};
use crate::local::LocalPool;
use crate::slab::Key;

/// So many run beside each other at most: as many as are tried in all where the plan says nothing
/// else. Who would try more waits for one of these to end.
pub(super) const RUNNERS: usize = 3;

/// One connect under way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Runner {
    pub(super) link: Key,
    pub(super) slot: Slot,
    pub(super) started: Moment,
    /// Which of the backend's endpoints was the first.
    pub(super) first: usize,
    /// Endpoints of the backend tried before this one.
    pub(super) endpoints: usize,
    /// Tries on this backend before this one.
    pub(super) tries: u32,
    /// When it is late, and gets company.
    pub(super) late: Moment,
    /// There was nobody else to keep it company.
    pub(super) alone: bool,
}

impl Runner {
    fn target(&self) -> Target {
        let Runner { slot, first, endpoints, tries, .. } = *self;
        Target { slot, first, endpoints, tries }
    }
}

impl Seek {
    /// Nobody waits for those on the way any more. They go on, and are kept if they succeed.
    pub(crate) fn leave(&mut self, ctx: &mut Context) {
        self.pause = None;
        self.decision = Decision::Open;
        for runner in std::mem::take(&mut self.runners).into_iter().flatten() {
            self.pool.backend(runner.slot).state.end();
            if let Some(link) = ctx.links.get_mut(runner.link) {
                link.used = LinkUse::Late { keep: self.keeps };
            }
            ctx.arm_link(runner.link, runner.started + self.pool.connect);
        }
    }

    /// Starts a connect; false (and everything given back) if that failed at once.
    pub(super) fn run<D: Driver>(
        &mut self,
        ctx: &mut Context,
        d: &mut D,
        owner: Owner,
        target: Target,
        now: Moment,
    ) -> bool {
        let Target { slot, first, mut endpoints, tries } = target;
        loop {
            match ctx.connect(d, &self.pool, slot, first + endpoints, now) {
                Ok(link) => {
                    if let Some(link) = ctx.links.get_mut(link) {
                        link.used = LinkUse::Connecting(owner);
                    }
                    let late = now + self.pool.backend(slot).state.connect_late_after();
                    let (started, alone) = (now, false);
                    let runner =
                        Runner { link, slot, started, first, endpoints, tries, late, alone };
                    let free = self.runners.iter_mut().find(|place| place.is_none());
                    debug_assert!(free.is_some(), "company is sought for a free place only");
                    if let Some(place) = free {
                        *place = Some(runner);
                    }
                    return true;
                }
                Err(failure) => {
                    endpoints += 1;
                    if endpoints < self.pool.backend(slot).endpoints.borrow().len() {
                        continue;
                    }
                    self.pool.backend(slot).state.end();
                    self.note(ctx, (slot, now), failure, now);
                    // That it is tried again is for those who failed: here nobody was asked.
                    let asked = failure != IoFailure::NoDescriptor;
                    return asked && self.pause_for_same(slot, tries + 1, now);
                }
            }
        }
    }

    /// A connect succeeded: it wins.
    pub(crate) fn connected<D: Driver>(
        &mut self,
        ctx: &mut Context,
        d: &mut D,
        link: Key,
        now: Moment,
    ) -> Found {
        let Some(winner) = self.take(link) else {
            ctx.close_link(d, link);
            return Found::Waiting;
        };
        note_connected(ctx, link, now);
        debug_assert!(self.pool.backend(winner.slot).state.active() > 0);
        self.pause = None;
        self.loss = None;
        self.scarcity_is_over();
        self.decision = Decision::Open;
        self.tries = winner.tries;
        self.outrun(ctx, now);
        Found::Link(link)
    }

    /// Somebody was faster than those on the way. They go on without the request, which they have
    /// not failed: should the winner, they may be asked again.
    fn outrun(&mut self, ctx: &mut Context, now: Moment) {
        for other in std::mem::take(&mut self.runners).into_iter().flatten() {
            self.pool.backend(other.slot).state.end();
            let late = now >= other.late;
            let step = if late { Count::RaceWon } else { Count::RaceLost };
            self.pool.count(ctx.worker, step);
            if late {
                self.doubt(ctx, &other, now);
            }
            if let Some(link) = ctx.links.get_mut(other.link) {
                link.used = LinkUse::Late { keep: self.keeps };
            }
            ctx.arm_link(other.link, other.started + self.pool.connect);
            self.attempts -= 1;
            let tried = std::mem::take(&mut self.tried);
            tried.iter().filter(|slot| *slot != other.slot).for_each(|slot| self.tried.add(slot));
        }
    }

    /// A connect failed.
    pub(crate) fn connect_failed<D: Driver>(
        &mut self,
        ctx: &mut Context,
        d: &mut D,
        owner: Owner,
        link: Key,
        failure: IoFailure,
        now: Moment,
    ) -> Found {
        let ended = ctx.forget_link(link);
        if let Some(link) = &ended {
            ctx.host_heard(link, failure, now);
        }
        let Some(runner) = self.take(link) else { return Found::Waiting };
        let slot = runner.slot;
        // A name may stand for several addresses (localhost: ::1 and 127.0.0.1); only when none
        // of them answers has the backend failed.
        if runner.endpoints + 1 < self.pool.backend(slot).endpoints.borrow().len() {
            let on = Target { endpoints: runner.endpoints + 1, ..runner.target() };
            if self.run(ctx, d, owner, on, now) {
                return Found::Waiting;
            }
            return self.go_on(ctx, d, owner, now);
        }
        self.pool.backend(slot).state.end();
        if ended.is_none_or(|link| link.speaks()) {
            self.note(ctx, (slot, runner.started), failure, now);
        } else {
            self.failure = Some(reason_of_connect(failure));
        }
        if self.pause_for_same(slot, runner.tries + 1, now) {
            return self.after_pause(ctx, d, owner, now);
        }
        self.go_on(ctx, d, owner, now)
    }

    /// Something is due: a connect's end, company for a late one, the end of a pause.
    pub(crate) fn timer<D: Driver>(
        &mut self,
        ctx: &mut Context,
        d: &mut D,
        owner: Owner,
        now: Moment,
    ) -> Found {
        if let Some(reason) = self.wait_ends(ctx, now) {
            return Found::Failed(reason);
        }
        for index in 0..self.runners.len() {
            let Some(runner) = self.runners[index] else { continue };
            if now >= runner.started + self.pool.connect {
                if let Some(link) = ctx.links.get(runner.link) {
                    d.abort(link.conn);
                }
                let found =
                    self.connect_failed(ctx, d, owner, runner.link, IoFailure::TimedOut, now);
                if found != Found::Waiting {
                    return found;
                }
            }
        }
        let found = self.after_pause(ctx, d, owner, now);
        if found != Found::Waiting {
            return found;
        }
        if self.decision.is_pending() {
            return self.overdue(ctx, d, owner, now);
        }
        if self.lonely().is_some_and(|runner| now >= runner.late) {
            return self.add_company(ctx, d, owner, now);
        }
        Found::Waiting
    }

    /// The one that gets company when it is late: the newest, if there is room for another.
    pub(super) fn lonely(&self) -> Option<&Runner> {
        let nothing_else = self.pause.is_none() && !self.decision.is_pending();
        let room = nothing_else && self.runners.iter().any(Option::is_none);
        let newest = self.runners.iter().flatten().max_by_key(|runner| runner.started);
        newest.filter(|runner| room && !runner.alone)
    }

    /// The client is gone: everything ends. What was late by now is doubted, since nobody else
    /// would learn of it (nginx's clients that leave first erase the evidence, measured).
    pub(crate) fn cancel<D: Driver>(&mut self, ctx: &mut Context, d: &mut D, now: Moment) {
        self.wait_is_left(ctx);
        self.pause = None;
        self.decision = Decision::Open;
        for runner in std::mem::take(&mut self.runners).into_iter().flatten() {
            self.pool.backend(runner.slot).state.end();
            if now >= runner.late {
                self.doubt(ctx, &runner, now);
            }
            ctx.abort_link(d, runner.link);
        }
    }

    /// Another connect beside those that are late, if there is anybody for it.
    pub(super) fn add_company<D: Driver>(
        &mut self,
        ctx: &mut Context,
        d: &mut D,
        owner: Owner,
        now: Moment,
    ) -> Found {
        let found = self.next(ctx, d, owner, now);
        match found {
            Found::Failed(_) => {
                // Nobody else to race with: those that are late run on, to their end.
                for runner in self.runners.iter_mut().flatten() {
                    runner.alone = true;
                }
                Found::Waiting
            }
            Found::Link(_) => {
                // A kept connection needs no connect: it has won.
                self.pool.count(ctx.worker, Count::RaceBegun);
                self.outrun(ctx, now);
                found
            }
            // Not begun before it is decided who is to race.
            Found::Undecided => found,
            Found::Waiting if self.decision.is_pending() => found,
            Found::Waiting => {
                self.pool.count(ctx.worker, Count::RaceBegun);
                found
            }
        }
    }

    /// Takes note of a connect, begun then, that failed.
    fn note(
        &mut self,
        ctx: &mut Context,
        (slot, started): (Slot, Moment),
        failure: IoFailure,
        now: Moment,
    ) {
        self.failure = Some(reason_of_connect(failure));
        if failure == IoFailure::NoDescriptor {
            self.scarcity.note(slot);
        }
        if failure.is_ours() {
            return;
        }
        self.pool.backend(slot).state.shard(ctx.worker).add_connect(false);
        connect_speaks_against(ctx, &self.pool, (slot, started), failure, now);
    }

    fn doubt(&self, ctx: &mut Context, runner: &Runner, now: Moment) {
        let waited = millis(now.since(runner.started));
        let to = ctx.links.get(runner.link).map(|link| Rc::clone(&link.endpoint));
        let detail = match &to {
            Some(to) => format!("for {waited} from {}", place(to)),
            None => format!("for {waited}"),
        };
        if ctx.speaks(Some(runner.link)) {
            ctx.doubt(&self.pool, runner.slot, "no answer to the connect", detail, now);
        }
        ctx.host_silent_on(runner.link, runner.started, now);
    }

    fn take(&mut self, link: Key) -> Option<Runner> {
        let of = |runner: &&mut Option<Runner>| runner.is_some_and(|runner| runner.link == link);
        self.runners.iter_mut().find(of).and_then(Option::take)
    }
}

/// Takes a connect, begun then, that failed for evidence; but not one that was given up after an
/// outage which it is from, or during a later trial.
pub(crate) fn connect_speaks_against(
    ctx: &mut Context,
    pool: &Rc<LocalPool>,
    (slot, started): (Slot, Moment),
    failure: IoFailure,
    now: Moment,
) {
    let timed_out = failure == IoFailure::TimedOut;
    if timed_out && pool.backend(slot).state.is_old_news(started) {
        return;
    }
    let (what, detail) = if timed_out {
        ("no answer to the connect", format!("within {}", millis(pool.connect)))
    } else {
        (failure.text(), String::new())
    };
    ctx.failed(pool, slot, reason_of_connect(failure), what, detail, now);
}

/// The reason in our table for a connect that failed.
fn reason_of_connect(failure: IoFailure) -> Reason {
    match failure {
        IoFailure::Refused => Reason::ConnectRefused,
        IoFailure::TimedOut => Reason::ConnectTimeout,
        IoFailure::NoDescriptor | IoFailure::Exhausted => Reason::OutOfResources,
        _ => Reason::ConnectFailed,
    }
}

/// Notes how long a connect took, and where.
pub(crate) fn note_connected(ctx: &mut Context, key: Key, now: Moment) {
    let Some(link) = ctx.links.get(key) else { return };
    let state = &link.backend.state;
    state.connect_took(now.since(link.started));
    state.shard(ctx.worker).add_connect(true);
    link.backend.reached(&link.endpoint);
    let endpoint = Rc::clone(&link.endpoint);
    ctx.host_answered(&endpoint, now);
}
