//! The chair at a desk: what a thread of Python may do there.
//!
//! Every call may come late, from a thread that was thought lost. Then somebody else sits there,
//! and the call does nothing.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fairlead_balance::Pool;

use crate::policy::desk::Desk;
use crate::policy::question::{bring_back, Answer, Asked, Parked};

/// A place at the desk of one pool, until somebody else takes it.
#[derive(Debug)]
pub struct Seat {
    desk: Arc<Desk>,
    number: u64,
    /// The questions taken last, until they are answered.
    taken: Mutex<Vec<Option<Parked>>>,
    /// The pool that they were about, in the configuration that they came under.
    about: Mutex<Option<Arc<Pool>>>,
}

impl Seat {
    pub(super) fn at(desk: Arc<Desk>, policy: &str, picks: bool) -> Seat {
        let number = desk.seat(policy, picks);
        Seat { desk, number, taken: Mutex::default(), about: Mutex::default() }
    }

    /// Waits for questions, for `timeout` at most; `None` once the seat is gone. From its return
    /// until the next call the thread counts as busy, and what it hasn't answered by then is not
    /// answered at all.
    ///
    /// At most 64 are taken at a time, all about the same configuration: slots mean the same
    /// backends.
    pub fn take(&self, timeout: Duration) -> Option<Vec<Asked>> {
        self.lock().clear();
        let (mut parked, now) = self.desk.take(self.number, timeout)?;
        if let Some(first) = parked.first() {
            *self.about() = Some(Arc::clone(&first.pool));
        }
        let shown = parked.iter_mut().map(|parked| parked.show(now)).collect();
        self.lock().extend(parked.into_iter().map(Some));
        Some(shown)
    }

    /// Answers questions of those that were taken last: their places and what is said to them.
    /// What was answered already is left out.
    pub fn answer(&self, answers: &[(usize, Answer)]) {
        let mut taken = self.lock();
        let parked = answers.iter().filter_map(|(at, answer)| {
            let parked = taken.get_mut(*at)?.take()?;
            Some((parked, *answer))
        });
        let answers: Vec<_> = parked.collect();
        drop(taken);
        if self.desk.is_seat(self.number) {
            bring_back(answers);
        }
    }

    /// Says that the policy failed at a question, and why.
    pub fn fail_pick(&self, why: &str) {
        self.desk.fail_pick(self.number, why);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Option<Parked>>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The pool's backends as the status shows them, a JSON list: under the configuration in force.
    pub fn backends(&self) -> Vec<u8> {
        self.desk.backends(None)
    }

    /// The backends that the questions taken last are about, in the same form.
    pub fn asked_about(&self) -> Vec<u8> {
        let about = self.about().clone();
        self.desk.backends(about)
    }

    /// A number that is another when those questions came under another configuration.
    pub fn configuration(&self) -> usize {
        self.about().as_ref().map_or(0, |pool| Arc::as_ptr(pool) as usize)
    }

    fn about(&self) -> MutexGuard<'_, Option<Arc<Pool>>> {
        self.about.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts scores in force, one for each backend in the plan's order, 0 to 256.
    pub fn set_scores(&self, scores: &[u16]) {
        self.desk.set_scores(self.number, scores);
    }

    /// Says that the policy failed to make scores, and why.
    pub fn fail_scores(&self, why: &str) {
        self.desk.fail_scores(self.number, why);
    }

    /// Gives the seat up.
    pub fn leave(&self) {
        self.desk.leave(self.number);
    }
}
