//! Finding a backend that answers: pick, connect, try again.
//!
//! Rules of this file
//! 1. Nobody who failed this request gets it again while an untried backend is left.
//! 2. Whom it has waited for until the time for answers was over doesn't get it again at all, but
//!    for what the plan says about tries of the same backend.
//! 3. One begin in a backend's count of work in flight for each runner, one end.
//!
//! Not here: the connects under way (`race`), what is sent once somebody answered (http, tcp), and
//! whether what was sent may be sent again (`fairlead_balance::retry`).

pub(crate) mod decision;
mod race;
mod scarce;
mod wait;

use std::rc::Rc;
use std::time::Duration;

use fairlead_balance::{Asker, Pick, Tried};
use fairlead_model::backend::Slot;
use fairlead_model::moment::Moment;
use fairlead_model::reason::Reason;

use crate::context::Context;
use crate::driver::Driver;
use crate::idle::Reuse;
use crate::link::Owner;
use crate::local::{LocalBackend, LocalPool};
use crate::slab::Key;
use decision::Decision;
pub(crate) use race::{connect_speaks_against, note_connected};
use race::{Runner, RUNNERS};
use scarce::Scarcity;
use wait::Patience;

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
    /// The pool's policy outside has to be asked; the candidates are in the context.
    Undecided,
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

/// The pause before a round over backends that have all failed this request; the next is twice as
/// long. Three attempts take 75 ms then, which hides a process that is replaced by its next one.
const BREATH: Duration = Duration::from_millis(25);

/// A pause before the same backend is tried again, or before all are.
#[derive(Debug, Clone, Copy)]
struct Pause {
    /// `None`: whoever is picked then.
    slot: Option<Slot>,
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
    /// Whether another backend is asked if this one is late or wrong.
    pub(crate) protected: bool,
    /// Whether connections that come too late are kept for the next request.
    keeps: bool,
    tried: Tried,
    /// Those of them that it has waited for in vain, until the time for answers was over.
    timed_out: Tried,
    /// Backends tried so far.
    pub(crate) attempts: u32,
    /// The one tried last.
    pub(crate) last: Option<Slot>,
    runners: [Option<Runner>; RUNNERS],
    pause: Option<Pause>,
    /// Tries on the backend that was reached last, before that one.
    tries: u32,
    failure: Option<Reason>,
    /// Why what was sent last failed, until another connection is found.
    loss: Option<Reason>,
    /// What a policy outside is asked, or has said.
    decision: Decision,
    /// How long it was waited for.
    spent: Duration,
    /// How often it was sent and failed: over all waits.
    losses: u32,
    /// It waits for a backend, or has waited: until then at most.
    wait: Option<(Moment, Patience)>,
    /// What there was no descriptor for.
    scarcity: Scarcity,
}

impl Seek {
    pub(crate) fn new(pool: Rc<LocalPool>, key: Option<u64>, reuse: Reuse) -> Self {
        Seek {
            pool,
            key,
            reuse,
            repeatable: true,
            protected: false,
            keeps: reuse != Reuse::Never,
            tried: Tried::default(),
            timed_out: Tried::default(),
            attempts: 0,
            last: None,
            runners: [None; RUNNERS],
            pause: None,
            tries: 0,
            failure: None,
            loss: None,
            decision: Decision::Open,
            spent: Duration::ZERO,
            losses: 0,
            wait: None,
            scarcity: Scarcity::default(),
        }
    }

    /// The backend that it had come to has failed. It goes on in this pool: the same, or what a
    /// reload has made of it since, where slots may mean others.
    pub(crate) fn goes_on(&mut self, pool: Rc<LocalPool>, reason: Reason) {
        let before = std::mem::replace(&mut self.pool, pool);
        let of = |slot: Slot| {
            let is = |backend: &Rc<LocalBackend>| Rc::ptr_eq(backend, before.backend(slot));
            self.pool.backends.iter().position(is).map(|index| Slot(index as u32))
        };
        for slots in [&mut self.tried, &mut self.timed_out] {
            let before = std::mem::take(slots);
            before.iter().filter_map(of).for_each(|slot| slots.add(slot));
        }
        self.last = self.last.and_then(of);
        self.failure = Some(reason);
        self.loss = Some(reason);
        self.losses += 1;
    }

    /// Begins anew, for another request.
    pub(crate) fn renew(&mut self, pool: Rc<LocalPool>) {
        self.pool = pool;
        self.key = None;
        self.reuse = Reuse::Any;
        self.repeatable = true;
        self.protected = false;
        self.keeps = true;
        self.tried.clear();
        self.timed_out.clear();
        self.attempts = 0;
        self.last = None;
        self.runners = [None; RUNNERS];
        self.pause = None;
        self.tries = 0;
        self.failure = None;
        self.loss = None;
        self.decision = Decision::Open;
        self.spent = Duration::ZERO;
        self.losses = 0;
        self.wait = None;
        self.scarcity.clear();
    }

    /// One whose every field is another than in a new one.
    #[cfg(test)]
    pub(crate) fn used(pool: Rc<LocalPool>) -> Self {
        let (slot, until) = (Slot(1), Moment(9));
        let mut tried = Tried::default();
        tried.add(slot);
        let runner = Runner {
            link: Key { index: 1, generation: 1 },
            slot,
            started: until,
            first: 1,
            endpoints: 1,
            tries: 1,
            late: until,
            alone: true,
        };
        Seek {
            pool,
            key: Some(1),
            reuse: Reuse::Never,
            repeatable: false,
            protected: true,
            keeps: false,
            timed_out: tried.clone(),
            tried,
            attempts: 1,
            last: Some(slot),
            runners: [Some(runner); RUNNERS],
            pause: Some(Pause { slot: Some(slot), tries: 1, until }),
            tries: 1,
            failure: Some(Reason::Internal),
            loss: Some(Reason::Internal),
            decision: Decision::Made(None),
            spent: Duration::from_secs(1),
            losses: 1,
            wait: Some((until, Patience::Over)),
            scarcity: Scarcity::used(),
        }
    }

    /// What may be done with this request: sent again; then its client needn't notice if it was
    /// sent to one that is late or wrong, unless it is the beginning of something else.
    pub(crate) fn may(&mut self, again: bool, whole: bool) {
        self.reuse = if again { Reuse::Any } else { Reuse::Sure };
        self.repeatable = again;
        self.protected = again && whole && self.pool.budget.is_some();
    }

    /// When [`Self::timer`] wants to be called.
    pub(crate) fn deadline(&self) -> Moment {
        if let Some((until, Patience::Waiting(_))) = self.wait {
            return until;
        }
        let hard = self.pool.connect;
        let ends = self.runners.iter().flatten().map(|runner| runner.started + hard);
        let late = self.lonely().map(|runner| runner.late);
        let pause = self.pause.iter().map(|pause| pause.until);
        let decided = self.decision.until();
        ends.chain(late).chain(pause).chain(decided).min().unwrap_or(Moment(u64::MAX))
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
            let Some(pick) = self.choose(ctx, now) else { return self.decision.found() };
            let none = match pick {
                Pick::Backend(_) => None,
                Pick::Saturated => Some(Reason::Saturated),
                Pick::Nobody => Some(Reason::NoBackend),
            };
            if none.is_some() && self.begin_another_round(now) {
                if self.pause.is_some() {
                    return Found::Waiting;
                }
                continue;
            }
            let Pick::Backend(slot) = pick else {
                return Found::Failed(self.failure.or(none).unwrap_or(Reason::NoBackend));
            };
            self.tried.add(slot);
            self.last = Some(slot);
            self.attempts += 1;
            self.tries = 0;
            let because = self.failure;
            if let Some(link) = ctx.take_kept(d, &pool, slot, self.reuse, now) {
                self.count_attempt(ctx, slot, because);
                self.loss = None;
                self.scarcity_is_over();
                return Found::Link(link);
            }
            let runs = self.run(ctx, d, owner, self.target(slot), now);
            if !self.scarcity.is_of(slot) {
                self.count_attempt(ctx, slot, because);
            }
            if runs {
                return Found::Waiting;
            }
        }
    }

    /// Counts a try. It is one more because of a failure, if there was one before; one beside a late
    /// try isn't.
    #[inline]
    fn count_attempt(&self, ctx: &Context, slot: Slot, because: Option<Reason>) {
        let shard = self.pool.backend(slot).state.shard(ctx.worker);
        shard.add_attempt();
        if self.attempts > 1 {
            shard.add_retry();
        }
        if let Some(reason) = because {
            self.pool.pool.tally(ctx.worker).count_retry(reason);
        }
    }

    fn pick(&self, ctx: &mut Context, now: Moment) -> Pick {
        let mut view = self.pool.view.borrow_mut();
        view.pick_for(self.asker(), self.key, &self.tried, now, &mut ctx.random)
    }

    /// What it risks if it is a trial.
    fn asker(&self) -> Asker {
        match (self.protected, self.repeatable) {
            (true, _) => Asker::Protected,
            (false, true) => Asker::Repeatable,
            (false, false) => Asker::Unrepeatable,
        }
    }

    /// Whether nothing is on the way.
    pub(crate) fn is_quiet(&self) -> bool {
        let nobody = self.runners.iter().all(Option::is_none);
        nobody && self.pause.is_none() && !self.decision.is_pending()
    }

    /// Whether it may go on to somebody who is well and hasn't been tried.
    pub(crate) fn has_more(&self) -> bool {
        let pool = &self.pool;
        let left = self.attempts < pool.plan().retry.attempts;
        left && pool.has_well(|slot| !self.tried.contains(slot))
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

    /// A backend has said nothing until the time for answers was over.
    pub(crate) fn note_timed_out(&mut self, slot: Slot) {
        self.timed_out.add(slot);
    }

    /// What was sent to a backend failed there. It is asked again only if the plan says so (then
    /// true, and there is a deadline), or if nobody else is left.
    pub(crate) fn lost(&mut self, slot: Slot, reason: Reason, now: Moment) -> bool {
        self.failure = Some(reason);
        self.losses += 1;
        // Who says nothing, or is down, needn't be asked once more.
        let gone =
            matches!(reason, Reason::BackendDown | Reason::BackendSilent | Reason::Unacknowledged);
        if !gone && self.pause_for_same(slot, self.tries + 1, now) {
            return true;
        }
        self.loss = Some(reason);
        false
    }

    /// Nobody untried can be had: whoever is left is down, full, or unwanted. Those that only
    /// failed after they had connected get another chance then; a refused connect would only be
    /// refused again, and a second wait for a slow answer is longer than any client's patience. Whom
    /// it was taken off before that time was over (`cut`, `wait`) hasn't had the first.
    /// True if it goes on, after a pause if there is one.
    fn begin_another_round(&mut self, now: Moment) -> bool {
        // A race that nobody can join goes on as it is.
        if self.runners.iter().any(Option::is_some) {
            return false;
        }
        let Some(reason) = self.loss.take() else { return false };
        if self.tried.iter().all(|slot| self.timed_out.contains(slot)) {
            return false;
        }
        self.tried.clone_from(&self.timed_out);
        // Who hangs up on everybody, at once, gets the next one a little later, and the one after
        // that later still: it isn't helped by being asked three times within a millisecond.
        if reason.row().evidence {
            let until = now + BREATH * (1 << (self.losses - 1).min(5));
            self.pause = Some(Pause { slot: None, tries: 0, until });
        }
        true
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
        let Some(slot) = pause.slot else { return self.go_on(ctx, d, owner, now) };
        let limit = self.pool.backend_plan(slot).max_connections;
        let usable =
            !Context::is_down(&self.pool, slot) && self.pool.backend(slot).state.try_begin(limit);
        let again = Target { tries: pause.tries, ..self.target(slot) };
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
        let until = now + retry.delay.duration();
        self.pause = Some(Pause { slot: Some(slot), tries, until });
        true
    }
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
