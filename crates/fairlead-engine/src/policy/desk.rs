//! One pool's desk: scores in force, and whether whoever makes them is still at work.
//!
//! Rules of this file
//! 1. Scores hold for [`SCORES_HOLD`]. Whoever hangs can't take them back, so they lapse, and the
//!    configured weights count again.
//! 2. A thread that has been in Python for [`STUCK`] is told of, once; and again when it is back.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fairlead_balance::Pool;
use fairlead_model::event::Event;
use fairlead_model::moment::Moment;
use serde::Serialize;

use crate::clock::Clock;
use crate::events::Events;
use crate::policy::complaint::Complaints;
use crate::status::BackendStatus;

/// How long scores count without being made again: twenty rounds.
const SCORES_HOLD: Duration = Duration::from_secs(2);

/// Nobody is that long in Python for one round.
const STUCK: Duration = Duration::from_secs(1);

/// A desk as the status shows it.
#[derive(Debug, Serialize)]
pub(crate) struct DeskStatus {
    /// What picks where the policy in Python does not.
    fallback: &'static str,
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
    inner: Mutex<Inner>,
    rung: Condvar,
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
    stuck: bool,
    scored_at: Option<Moment>,
    scores: u64,
    score_failures: u64,
    complaints: Complaints,
}

impl Desk {
    pub(super) fn new(clock: Clock, events: Arc<Events>, pool: Arc<Pool>) -> Desk {
        let inner = Inner {
            pool,
            policy: String::new(),
            seat: 0,
            seats: 0,
            away: None,
            stuck: false,
            scored_at: None,
            scores: 0,
            score_failures: 0,
            complaints: Complaints::default(),
        };
        Desk { clock, events, inner: Mutex::new(inner), rung: Condvar::new() }
    }

    /// Gives the place to somebody new; the number of the seat.
    pub(super) fn seat(&self, policy: &str) -> u64 {
        let mut inner = self.lock();
        inner.seats += 1;
        inner.seat = inner.seats;
        inner.away = Some(self.clock.now());
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
        inner.pool.set_scores(None);
        self.rung.notify_all();
    }

    pub(super) fn rest(&self, seat: u64, timeout: Duration) -> bool {
        let mut inner = self.lock();
        if inner.seat != seat {
            return false;
        }
        self.come_back(&mut inner);
        let gone = |inner: &mut Inner| inner.seat == seat;
        let waited = self.rung.wait_timeout_while(inner, timeout, gone);
        let (mut inner, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if inner.seat != seat {
            return false;
        }
        inner.away = Some(self.clock.now());
        true
    }

    /// The thread is out of Python.
    fn come_back(&self, inner: &mut Inner) {
        let since = inner.away.take();
        if std::mem::take(&mut inner.stuck) {
            let took = since.map_or(Duration::ZERO, |since| self.clock.now().since(since));
            self.tell(inner, format!("answers again, after {:.1} s", took.as_secs_f64()));
        }
    }

    pub(super) fn backends(&self) -> Vec<u8> {
        let pool = Arc::clone(&self.lock().pool);
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
        if inner.scored_at.is_some_and(|scored| now >= scored + SCORES_HOLD) {
            inner.scored_at = None;
            inner.score_failures += 1;
            inner.pool.set_scores(None);
            let what = "has made no scores for two seconds: the configured weights count";
            self.tell(&inner, what.to_owned());
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
            scores: inner.scores,
            score_failures: inner.score_failures,
            scored: inner.scored_at.is_some(),
            stuck: inner.stuck,
            trouble: inner.complaints.latest().to_owned(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
