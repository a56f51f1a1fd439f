//! The chair at a desk: what a thread of Python may do there.
//!
//! Every call may come late, from a thread that was thought lost. Then somebody else sits there,
//! and the call does nothing.

use std::sync::Arc;
use std::time::Duration;

use crate::policy::desk::Desk;

/// A place at the desk of one pool, until somebody else takes it.
#[derive(Debug)]
pub struct Seat {
    desk: Arc<Desk>,
    number: u64,
}

impl Seat {
    pub(super) fn at(desk: Arc<Desk>, policy: &str) -> Seat {
        let number = desk.seat(policy);
        Seat { desk, number }
    }

    /// Waits for `timeout`, or until the seat is gone; says whether it is still there. From its
    /// return until the next call the thread counts as busy.
    pub fn rest(&self, timeout: Duration) -> bool {
        self.desk.rest(self.number, timeout)
    }

    /// The pool's backends as the status shows them: a JSON list.
    pub fn backends(&self) -> Vec<u8> {
        self.desk.backends()
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
