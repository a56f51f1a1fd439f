//! One pool's desk: questions that wait, scores in force, and whether whoever sits there is still
//! at work.
//!
//! Rules of this file
//! 1. A question is left only where it can be answered in time: not while [`WAITING`] others wait,
//!    and not while whoever sits there has been in Python for several times the time-out.
//! 2. Scores hold for [`SCORES_HOLD`]. Whoever hangs can't take them back, so they lapse, and the
//!    configured weights count again.
//! 3. A thread that has been in Python for [`STUCK`] is told of, once; and again when it is back.
//! 4. One that has computed for [`HOG`] in one call gives way to everybody from then on: it may not
//!    make workers wait for a processor either. Where it may not be given its turn again once it is
//!    back, it ends, and whoever looks after it sends another.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Condvar, MutexGuard, PoisonError};
use std::time::Duration;

use fairlead_balance::{Lock, Pool};
use fairlead_model::event::Event;
use fairlead_model::moment::Moment;
use serde::Serialize;

use crate::clock::Clock;
use crate::events::Events;
use crate::policy::complaint::Complaints;
use crate::policy::question::Parked;
use crate::status::BackendStatus;
use crate::sys::turn::Thread;

/// How long scores count without being made again: twenty rounds.
const SCORES_HOLD: Duration = Duration::from_secs(2);

/// Questions that wait at most: sixteen rounds of [`TAKEN`], more than can be answered in any
/// time-out that a client would wait for.
const WAITING: usize = 1_024;

/// Questions taken at once. One turn of the interpreter's lock costs some microseconds, and in
/// rounds of 64 a fifth of one each (measured).
const TAKEN: usize = 64;

/// Times the time-out that one round may be away before nobody is asked any more.
const ROUND: u32 = 5;

/// Nobody is that long in Python for one round.
const STUCK: Duration = Duration::from_secs(1);

/// Processor time of one call beyond which others come first. What policies are made for takes a
/// thousandth of it; an import at the first call may take as much.
const HOG: Duration = Duration::from_millis(150);

/// A desk as the status shows it.
#[derive(Debug, Serialize)]
pub(crate) struct DeskStatus {
    /// What picks where the policy in Python does not.
    fallback: &'static str,
    /// It is asked about each request; otherwise it makes scores alone.
    picks: bool,
    /// Questions that wait for it, or that it is at.
    waiting: usize,
    /// Rounds of scores that were put in force.
    scores: u64,
    /// Rounds that failed, or came to nothing because they took too long.
    score_failures: u64,
    /// Scores are in force now.
    scored: bool,
    /// The policy has been at one call for a second or more.
    stuck: bool,
    /// What was last wrong with it, or empty.
    trouble: String,
}

impl DeskStatus {
    /// Rounds of scores by result.
    pub(crate) fn rounds(&self) -> [(&'static str, u64); 2] {
        [("made", self.scores), ("failed", self.score_failures)]
    }

    /// Whether the policy has been at one call for long.
    pub(crate) fn is_stuck(&self) -> bool {
        self.stuck
    }
}

/// One pool's desk.
#[derive(Debug)]
pub(crate) struct Desk {
    clock: Clock,
    events: Arc<Events>,
    inner: Lock<Inner>,
    rung: Condvar,
    /// The number of the thread that gives way to everybody; 0 for none.
    giving_way: AtomicI32,
}

#[derive(Debug)]
struct Inner {
    pool: Arc<Pool>,
    policy: String,
    /// The number of the seat that counts; 0 if nobody sits there.
    seat: u64,
    seats: u64,
    /// Whoever sits there is in Python since.
    away: Option<Moment>,
    /// And this is who, with the processor time that it had had by then.
    who: Option<(Thread, Duration)>,
    picks: bool,
    waiting: VecDeque<Parked>,
    /// Until when those wait that it is at.
    taken: Vec<Moment>,
    stuck: bool,
    scored_at: Option<Moment>,
    scores: u64,
    score_failures: u64,
    complaints: Complaints,
}

impl Inner {
    /// The next questions that have time left, about one configuration.
    fn take(&mut self, now: Moment) -> Vec<Parked> {
        self.waiting.retain(|parked| parked.until > now);
        let first = self.waiting.front().map(|parked| Arc::clone(&parked.pool));
        let alike =
            |parked: &&Parked| first.as_ref().is_some_and(|pool| Arc::ptr_eq(pool, &parked.pool));
        let count = self.waiting.iter().take(TAKEN).take_while(alike).count();
        self.taken.clear();
        self.taken.extend(self.waiting.iter().take(count).map(|parked| parked.until));
        self.waiting.drain(..count).collect()
    }

    /// How many wait now. An answer is not seen from here, so those of a round count until all of
    /// it is done.
    fn waiting(&self, now: Moment) -> usize {
        let queued = self.waiting.iter().map(|parked| parked.until);
        queued.chain(self.taken.iter().copied()).filter(|until| *until > now).count()
    }
}

impl Desk {
    pub(super) fn new(clock: Clock, events: Arc<Events>, pool: Arc<Pool>) -> Desk {
        let inner = Inner {
            pool,
            policy: String::new(),
            seat: 0,
            seats: 0,
            away: None,
            who: None,
            picks: false,
            waiting: VecDeque::new(),
            taken: Vec::new(),
            stuck: false,
            scored_at: None,
            scores: 0,
            score_failures: 0,
            complaints: Complaints::default(),
        };
        let (inner, giving_way) = (Lock::new(inner), AtomicI32::new(0));
        Desk { clock, events, inner, rung: Condvar::new(), giving_way }
    }

    /// Gives the place to somebody new; the number of the seat.
    pub(super) fn seat(&self, policy: &str, picks: bool) -> u64 {
        let mut inner = self.lock();
        inner.picks = picks;
        inner.pool.set_asking(picks);
        inner.seats += 1;
        inner.seat = inner.seats;
        // Questions that wait are answered by whoever is there now.
        inner.away = None;
        inner.taken.clear();
        inner.stuck = false;
        policy.clone_into(&mut inner.policy);
        inner.complaints.clear();
        // The scores of whoever sat here before hold on, for as long as scores do.
        self.rung.notify_all();
        inner.seat
    }

    /// Another configuration is in force.
    pub(super) fn follow(&self, pool: &Arc<Pool>) {
        let mut inner = self.lock();
        inner.pool = Arc::clone(pool);
        pool.set_asking(inner.picks && inner.seat != 0);
        if pool.plan.python.is_none() {
            self.vacate(&mut inner);
        }
    }

    /// The pool is gone.
    pub(super) fn close(&self) {
        self.vacate(&mut self.lock());
    }

    pub(super) fn leave(&self, seat: u64) {
        let mut inner = self.lock();
        if inner.seat == seat {
            self.vacate(&mut inner);
        }
    }

    fn vacate(&self, inner: &mut Inner) {
        inner.seat = 0;
        inner.away = None;
        inner.stuck = false;
        inner.scored_at = None;
        inner.waiting.clear();
        inner.taken.clear();
        inner.pool.set_asking(false);
        inner.pool.set_scores(None);
        self.rung.notify_all();
    }

    /// Whether this seat is still there.
    pub(super) fn is_seat(&self, seat: u64) -> bool {
        self.lock().seat == seat
    }

    /// Takes a question, if it can be answered in time.
    pub(super) fn ask(&self, question: impl FnOnce() -> Parked, now: Moment) -> bool {
        let mut inner = self.lock();
        let python = inner.pool.plan.python.as_ref();
        let round = python.map_or(Duration::ZERO, |python| python.timeout.duration() * ROUND);
        let away = inner.away.is_some_and(|since| now >= since + round);
        if inner.seat == 0 || !inner.picks || away || inner.waiting.len() >= WAITING {
            return false;
        }
        inner.waiting.push_back(question());
        if inner.away.is_none() {
            self.rung.notify_all();
        }
        true
    }

    pub(super) fn fail_pick(&self, seat: u64, why: &str) {
        let mut inner = self.lock();
        if inner.seat == seat {
            let fallback = inner.pool.plan.policy.name();
            self.complain(&mut inner, &format!("{why}; {fallback} picked instead"));
        }
    }

    /// Waits for questions that still have time, and takes some; `None` once the seat is gone, or
    /// another thread is to sit there.
    pub(super) fn take(&self, seat: u64, timeout: Duration) -> Option<(Vec<Parked>, Moment)> {
        let thread = Thread::current();
        let is_last = || self.giving_way.load(Ordering::Relaxed) == thread.number();
        let mut inner = loop {
            // Before the lock: a worker may have to wait for whoever holds it.
            let was_last = is_last();
            if was_last && !thread.take_turns() {
                return None;
            }
            let inner = self.lock();
            // Put last between the two, it would stay so without anybody's knowing.
            if was_last || !is_last() {
                break inner;
            }
        };
        if inner.seat != seat {
            return None;
        }
        self.giving_way.store(0, Ordering::Relaxed);
        self.come_back(&mut inner);
        let end = self.clock.now() + timeout;
        loop {
            let now = self.clock.now();
            let taken = inner.take(now);
            let left = end.since(now);
            if !taken.is_empty() || left.is_zero() {
                inner.away = Some(now);
                inner.who = thread.processor_time().map(|time| (thread, time));
                return Some((taken, now));
            }
            let waited = self.rung.wait_timeout(inner, left);
            (inner, _) = waited.unwrap_or_else(PoisonError::into_inner);
            if inner.seat != seat {
                return None;
            }
        }
    }

    /// The thread is out of Python.
    fn come_back(&self, inner: &mut Inner) {
        let since = inner.away.take();
        inner.taken.clear();
        if std::mem::take(&mut inner.stuck) {
            let took = since.map_or(Duration::ZERO, |since| self.clock.now().since(since));
            self.tell(inner, format!("answers again, after {:.1} s", took.as_secs_f64()));
        }
    }

    /// The backends of a pool, of the one in force unless another is given.
    pub(super) fn backends(&self, pool: Option<Arc<Pool>>) -> Vec<u8> {
        let pool = pool.unwrap_or_else(|| Arc::clone(&self.lock().pool));
        let now = self.clock.now();
        let rows: Vec<_> = BackendStatus::all(&pool, self.clock, now).collect();
        serde_json::to_vec(&rows).expect("strings and numbers can always be written")
    }

    pub(super) fn set_scores(&self, seat: u64, scores: &[u16]) {
        let mut inner = self.lock();
        // Another number of backends: a reload came in between, and the next round is soon.
        if inner.seat != seat || scores.len() != inner.pool.backends().len() {
            return;
        }
        inner.scores += 1;
        inner.scored_at = Some(self.clock.now());
        inner.pool.set_scores(Some(scores));
    }

    pub(super) fn fail_scores(&self, seat: u64, why: &str) {
        let mut inner = self.lock();
        if inner.seat == seat {
            inner.score_failures += 1;
            self.complain(&mut inner, &format!("{why}; scores that were not renewed lapse"));
        }
    }

    /// Sees whether whoever sits there hangs, and lets old scores lapse.
    pub(super) fn look(&self, now: Moment) {
        let mut inner = self.lock();
        let busy = inner.away.map_or(Duration::ZERO, |since| now.since(since));
        if inner.seat != 0 && busy >= STUCK && !inner.stuck {
            inner.stuck = true;
            let what = "has been at one call for a second, and is not asked until it is back";
            inner.complaints.note(what);
            self.tell(&inner, what.to_owned());
        }
        if inner.seat != 0 && busy >= HOG {
            self.put_last(inner.who);
        }
        if inner.scored_at.is_some_and(|scored| now >= scored + SCORES_HOLD) {
            inner.scored_at = None;
            inner.score_failures += 1;
            inner.pool.set_scores(None);
            let what = "has made no scores for two seconds: the configured weights count";
            self.tell(&inner, what.to_owned());
        }
    }

    /// Lets a thread give way that has computed since it went; `who` says with how much it did.
    fn put_last(&self, who: Option<(Thread, Duration)>) {
        let Some((thread, before)) = who else { return };
        if self.giving_way.load(Ordering::Relaxed) == thread.number() {
            return;
        }
        let computed = thread.processor_time().map(|time| time.saturating_sub(before));
        if computed.is_some_and(|computed| computed >= HOG) && thread.give_way() {
            self.giving_way.store(thread.number(), Ordering::Relaxed);
        }
    }

    fn complain(&self, inner: &mut Inner, what: &str) {
        if let Some(what) = inner.complaints.add(what, self.clock.now()) {
            self.tell(inner, what);
        }
    }

    fn tell(&self, inner: &Inner, what: String) {
        let (pool, policy) = (inner.pool.plan.name.clone(), inner.policy.clone());
        self.events.tell(Event::Policy { pool, policy, what });
    }

    pub(crate) fn status(&self) -> DeskStatus {
        let inner = self.lock();
        DeskStatus {
            fallback: inner.pool.plan.policy.name(),
            picks: inner.picks,
            waiting: inner.waiting(self.clock.now()),
            scores: inner.scores,
            score_failures: inner.score_failures,
            scored: inner.scored_at.is_some(),
            stuck: inner.stuck,
            trouble: inner.complaints.latest().to_owned(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.hold()
    }
}
