//! Finding a backend that answers: pick, connect, race, try again.
//!
//! Rules of this file
//! 1. Nobody who failed this request gets it again while an untried backend is left.
//! 2. A connect that is late against what is learned of that backend gets company: a second one
//!    beside it, to another backend. The first to connect wins. `timeouts.connect` stays the
//!    hard end of each.
//! 3. A late connect that nobody waits for any more goes on, as evidence, and is kept if it
//!    succeeds. When the client leaves, everything ends at once; what was late then is doubted.
//! 4. One begin in a backend's count of work in flight for each runner, one end.
//!
//! A backend that swallows packets looks like nothing at all: no reset, no error, only silence.
//! Last.fm's balancers sat out 5 s of it for each connection, which was longer than their clients'
//! patience. So being late is the normal end of an attempt on a dead host here, not an error path.
//!
//! Not here: what is sent once somebody answered (http, tcp), and whether what was sent may be
//! sent again (`fairlead_balance::retry`).

use std::rc::Rc;
use std::time::Duration;

use fairlead_balance::{Count, Pick, Tried};
use fairlead_model::backend::Slot;
use fairlead_model::moment::Moment;
use fairlead_model::reason::Reason;

use crate::context::{place, Context};
use crate::driver::{Driver, IoFailure};
use crate::idle::Reuse;
use crate::link::{LinkUse, Owner};
use crate::local::LocalPool;
use crate::slab::Key;

/// What came of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// Nothing yet.
    Waiting,
    /// This connection, with its backend's work in flight counted once for the caller, who has to
    /// give it back (`BackendState::end`).
    Link(Key),
    /// Nobody.
    Failed(Reason),
}

/// One connect under way.
#[derive(Debug, Clone, Copy)]
struct Runner {
    link: Key,
    slot: Slot,
    started: Moment,
    /// Which of the backend's endpoints was the first.
    first: usize,
    /// Endpoints of the backend tried before this one.
    endpoints: usize,
    /// Tries on this backend before this one.
    tries: u32,
    /// When it is late, and gets company.
    late: Moment,
    /// There was nobody to keep it company.
    alone: bool,
}

impl Runner {
    fn target(&self) -> Target {
        let Runner { slot, first, endpoints, tries, .. } = *self;
        Target { slot, first, endpoints, tries }
    }
}

/// Whom to connect to, and what was tried there before.
#[derive(Debug, Clone, Copy)]
struct Target {
    slot: Slot,
    /// Where the round over its endpoints began. Kept, because another request may learn of a
    /// better one meanwhile; counted from there, the same endpoint could come twice.
    first: usize,
    endpoints: usize,
    tries: u32,
}

/// A pause before the same backend is tried again.
#[derive(Debug, Clone, Copy)]
struct Pause {
    slot: Slot,
    tries: u32,
    until: Moment,
}

/// The search of one request or connection.
#[derive(Debug)]
pub(crate) struct Seek {
    pub(crate) pool: Rc<LocalPool>,
    pub(crate) key: Option<u64>,
    pub(crate) reuse: Reuse,
    /// Whether what is sent may be sent again: only such requests are sent to backends on trial.
    pub(crate) repeatable: bool,
    /// Whether connections that come too late are kept for the next request.
    keeps: bool,
    tried: Tried,
    /// Backends tried so far.
    pub(crate) attempts: u32,
    /// The one tried last.
    pub(crate) last: Option<Slot>,
    runners: [Option<Runner>; 2],
    pause: Option<Pause>,
    /// Tries on the backend that was reached last, before that one.
    tries: u32,
    failure: Option<Reason>,
}

impl Seek {
    pub(crate) fn new(pool: Rc<LocalPool>, key: Option<u64>, reuse: Reuse) -> Self {
        Seek {
            pool,
            key,
            reuse,
            repeatable: true,
            keeps: reuse != Reuse::Never,
            tried: Tried::default(),
            attempts: 0,
            last: None,
            runners: [None; 2],
            pause: None,
            tries: 0,
            failure: None,
        }
    }

    /// Begins anew, for another request.
    pub(crate) fn renew(&mut self, pool: Rc<LocalPool>) {
        self.pool = pool;
        self.key = None;
        self.reuse = Reuse::Any;
        self.repeatable = true;
        self.keeps = true;
        self.tried.clear();
        self.attempts = 0;
        self.last = None;
        self.runners = [None; 2];
        self.pause = None;
        self.tries = 0;
        self.failure = None;
    }

    /// When [`Self::timer`] wants to be called.
    pub(crate) fn deadline(&self) -> Moment {
        let hard = self.pool.connect;
        let alone = self.runners.iter().flatten().count() == 1;
        let runners = self.runners.iter().flatten().map(|runner| {
            let end = runner.started + hard;
            if alone && !runner.alone && self.pause.is_none() {
                end.min(runner.late)
            } else {
                end
            }
        });
        let pause = self.pause.iter().map(|pause| pause.until);
        runners.chain(pause).min().unwrap_or(Moment(u64::MAX))
    }

    /// Goes to the next backend.
    pub(crate) fn next<D: Driver>(
        &mut self,
        ctx: &mut Context,
        d: &mut D,
        owner: Owner,
        now: Moment,
    ) -> Found {
        loop {
            if self.attempts >= self.pool.plan().retry.attempts {
                return Found::Failed(self.failure.unwrap_or(Reason::NoBackend));
            }
            let pool = Rc::clone(&self.pool);
            let pick = self.pick(ctx, now);
            let slot = match pick {
                Pick::Backend(slot) => slot,
                Pick::Saturated => return Found::Failed(self.failure.unwrap_or(Reason::Saturated)),
                Pick::Nobody => return Found::Failed(self.failure.unwrap_or(Reason::NoBackend)),
            };
            self.tried.add(slot);
            self.last = Some(slot);
            self.attempts += 1;
            let shard = pool.backend(slot).state.shard(ctx.worker);
            shard.add_attempt();
            if self.attempts > 1 {
                shard.add_retry();
            }
            self.count_retry(ctx);
            self.tries = 0;
            if let Some(link) = ctx.take_kept(d, &pool, slot, self.reuse, now) {
                return Found::Link(link);
            }
            if self.run(ctx, d, owner, self.target(slot), now) {
                return Found::Waiting;
            }
        }
    }

    /// Counts another try, if it is because of a failure; one beside a late try isn't.
    fn count_retry(&self, ctx: &Context) {
        if let Some(reason) = self.failure {
            self.pool.pool.tally(ctx.worker).count_retry(reason);
        }
    }

    fn pick(&self, ctx: &mut Context, now: Moment) -> Pick {
        let mut view = self.pool.view.borrow_mut();
        if self.repeatable {
            view.pick(self.key, &self.tried, now, &mut ctx.random)
        } else {
            view.pick_unrepeatable(self.key, &self.tried, now, &mut ctx.random)
        }
    }

    /// Whether nothing is on the way.
    pub(crate) fn is_quiet(&self) -> bool {
        self.pause.is_none() && self.runners.iter().all(Option::is_none)
    }

    /// Nobody waits for those on the way any more. They go on, and are kept if they succeed.
    pub(crate) fn leave(&mut self, ctx: &mut Context) {
        self.pause = None;
        for runner in std::mem::take(&mut self.runners).into_iter().flatten() {
            self.pool.backend(runner.slot).state.end();
            if let Some(link) = ctx.links.get_mut(runner.link) {
                link.used = LinkUse::Late { keep: self.keeps };
            }
            ctx.arm_link(runner.link, runner.started + self.pool.connect);
        }
    }

    /// Tries the backend that has just been used once more, on a fresh connection: a kept one
    /// turned out to be dead, which says nothing about the backend.
    pub(crate) fn again<D: Driver>(
        &mut self,
        ctx: &mut Context,
        d: &mut D,
        owner: Owner,
        slot: Slot,
        now: Moment,
    ) -> Found {
        self.reuse = Reuse::Never;
        let limit = self.pool.backend_plan(slot).max_connections;
        let usable = !Context::is_down(&self.pool, slot);
        if usable
            && self.pool.backend(slot).state.try_begin(limit)
            && self.run(ctx, d, owner, self.target(slot), now)
        {
            return Found::Waiting;
        }
        self.next(ctx, d, owner, now)
    }

    /// What was sent to a backend failed there. It is asked again only if the plan says so (then
    /// true, and there is a deadline), or if nobody else is left.
    pub(crate) fn lost(&mut self, slot: Slot, reason: Reason, now: Moment) -> bool {
        self.failure = Some(reason);
        if reason != Reason::BackendDown && self.pause_for_same(slot, self.tries + 1, now) {
            return true;
        }
        // With everybody tried, those that only failed after they had connected get another
        // chance; a refused connect would only be refused again, and a second wait for a slow
        // answer is longer than any client's patience.
        let all = self.pool.backends.len();
        if self.tried.len() >= all && reason != Reason::ResponseTimeout {
            self.tried.clear();
        }
        false
    }

    /// Starts a connect; false (and everything given back) if that failed at once.
    fn run<D: Driver>(
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
                    let free = usize::from(self.runners[0].is_some());
                    self.runners[free] = Some(runner);
                    return true;
                }
                Err(failure) => {
                    endpoints += 1;
                    if endpoints < self.pool.backend(slot).endpoints.borrow().len() {
                        continue;
                    }
                    self.pool.backend(slot).state.end();
                    self.note(ctx, slot, failure, now);
                    if self.pause_for_same(slot, tries + 1, now) {
                        return true;
                    }
                    return false;
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
        if let Some(link) = ctx.forget_link(link) {
            ctx.host_heard(&link, failure, now);
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
        self.note(ctx, slot, failure, now);
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
        for index in 0..self.runners.len() {
            let Some(runner) = self.runners[index] else { continue };
            if now >= runner.started + self.pool.connect {
                if let Some(link) = ctx.forget_link(runner.link) {
                    d.abort(link.conn);
                    ctx.host_heard(&link, IoFailure::TimedOut, now);
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
        if let [Some(runner), None] | [None, Some(runner)] = self.runners {
            if now >= runner.late && !runner.alone && self.pause.is_none() {
                return self.add_company(ctx, d, owner, now);
            }
        }
        Found::Waiting
    }

    /// The client is gone: everything ends. What was late by now is doubted, since nobody else
    /// would learn of it (nginx's clients that leave first erase the evidence, measured).
    pub(crate) fn cancel<D: Driver>(&mut self, ctx: &mut Context, d: &mut D, now: Moment) {
        self.pause = None;
        for runner in std::mem::take(&mut self.runners).into_iter().flatten() {
            self.pool.backend(runner.slot).state.end();
            if now >= runner.late {
                self.doubt(ctx, &runner, now);
            }
            ctx.abort_link(d, runner.link);
        }
    }

    /// A second connect beside a late one, if there is anybody for it.
    fn add_company<D: Driver>(
        &mut self,
        ctx: &mut Context,
        d: &mut D,
        owner: Owner,
        now: Moment,
    ) -> Found {
        let found = self.next(ctx, d, owner, now);
        match found {
            Found::Failed(_) => {
                // Nobody to race with: the late one runs on alone, to its end.
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
            Found::Waiting => {
                self.pool.count(ctx.worker, Count::RaceBegun);
                found
            }
        }
    }

    fn go_on<D: Driver>(
        &mut self,
        ctx: &mut Context,
        d: &mut D,
        owner: Owner,
        now: Moment,
    ) -> Found {
        // Somebody else is still on the way: there is time, and a timer.
        if self.runners.iter().any(Option::is_some) || self.pause.is_some() {
            return Found::Waiting;
        }
        self.next(ctx, d, owner, now)
    }

    fn after_pause<D: Driver>(
        &mut self,
        ctx: &mut Context,
        d: &mut D,
        owner: Owner,
        now: Moment,
    ) -> Found {
        let Some(pause) = self.pause.filter(|pause| now >= pause.until) else {
            return Found::Waiting;
        };
        self.pause = None;
        let limit = self.pool.backend_plan(pause.slot).max_connections;
        let usable = !Context::is_down(&self.pool, pause.slot)
            && self.pool.backend(pause.slot).state.try_begin(limit);
        let again = Target { tries: pause.tries, ..self.target(pause.slot) };
        if usable && self.run(ctx, d, owner, again, now) {
            return self.after_pause(ctx, d, owner, now);
        }
        self.go_on(ctx, d, owner, now)
    }

    /// A backend, from its last good endpoint on.
    fn target(&self, slot: Slot) -> Target {
        let first = self.pool.backend(slot).state.endpoint();
        Target { slot, first, endpoints: 0, tries: 0 }
    }

    fn pause_for_same(&mut self, slot: Slot, tries: u32, now: Moment) -> bool {
        let retry = &self.pool.plan().retry;
        if tries >= retry.same_backend || self.pause.is_some() {
            return false;
        }
        self.pause = Some(Pause { slot, tries, until: now + retry.delay.duration() });
        true
    }

    fn note(&mut self, ctx: &mut Context, slot: Slot, failure: IoFailure, now: Moment) {
        let reason = reason_of_connect(failure);
        self.failure = Some(reason);
        if failure == IoFailure::Exhausted {
            return; // our own doing, no evidence
        }
        self.pool.backend(slot).state.shard(ctx.worker).add_connect(false);
        let (what, detail) = match failure {
            IoFailure::TimedOut => {
                ("no answer to the connect", format!("within {}", millis(self.pool.connect)))
            }
            _ => (failure.text(), String::new()),
        };
        ctx.failed(&self.pool, slot, reason, what, detail, now);
    }

    fn doubt(&self, ctx: &mut Context, runner: &Runner, now: Moment) {
        let waited = millis(now.since(runner.started));
        let to = ctx.links.get(runner.link).map(|link| Rc::clone(&link.endpoint));
        let detail = match &to {
            Some(to) => format!("for {waited} from {}", place(to)),
            None => format!("for {waited}"),
        };
        ctx.doubt(&self.pool, runner.slot, "no answer to the connect", detail, now);
        if let Some(to) = to {
            ctx.host_silent(&to, false, runner.started, now);
        }
    }

    fn take(&mut self, link: Key) -> Option<Runner> {
        let of = |runner: &&mut Option<Runner>| runner.is_some_and(|runner| runner.link == link);
        self.runners.iter_mut().find(of).and_then(Option::take)
    }
}

/// The reason in our table for a connect that failed.
pub(crate) fn reason_of_connect(failure: IoFailure) -> Reason {
    match failure {
        IoFailure::Refused => Reason::ConnectRefused,
        IoFailure::TimedOut => Reason::ConnectTimeout,
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

/// A duration for people: `42 ms`, `1.5 s`.
pub(crate) fn millis(duration: Duration) -> String {
    if duration < Duration::from_millis(10) {
        format!("{:.1} ms", duration.as_secs_f64() * 1000.0)
    } else if duration < Duration::from_secs(1) {
        format!("{} ms", duration.as_millis())
    } else {
        format!("{} s", duration.as_millis() as f64 / 1000.0)
    }
}
