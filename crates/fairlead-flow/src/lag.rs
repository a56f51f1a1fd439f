//! How late this worker itself is.
//!
//! What is read late was perhaps there in time, and what was to be sent at a moment was perhaps sent
//! after it: a worker that did not get the processor, or had much to do in one turn, must not take
//! its own lateness for a backend's. It shows in timers, which are due at a known moment.
//!
//! Rules of this file
//! 1. The worst counts for [`LATELY`]; lesser ones beside it are forgotten with it. Less than
//!    [`UNNOTICED`] is none.
//!
//! Not here: a backend that did not get its processor. From outside that is a slow backend.

use std::time::Duration;

use fairlead_model::moment::Moment;

/// What was longer ago has no bearing on what is late now.
const LATELY: Duration = Duration::from_millis(250);

/// A scheduler's everyday doing, and less than any answer's lateness.
const UNNOTICED: Duration = Duration::from_millis(10);

/// How late timers were run.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Lag {
    worst: Duration,
    at: Moment,
}

impl Lag {
    /// A timer that was due at `due` is run.
    #[inline]
    pub(crate) fn note(&mut self, due: Moment, now: Moment) {
        let late = now.since(due);
        if late >= UNNOTICED && late >= self.of(now) {
            *self = Lag { worst: late, at: now };
        }
    }

    /// How late this worker has been lately; zero if that is nothing.
    pub(crate) fn of(&self, now: Moment) -> Duration {
        if now.since(self.at) < LATELY {
            self.worst
        } else {
            Duration::ZERO
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_of_the_last_moments_counts() {
        let at = |millis: u64| Moment(1_000_000_000 + millis * 1_000_000);
        let mut lag = Lag::default();
        lag.note(at(0), at(9));
        assert_eq!(lag.of(at(9)), Duration::ZERO);
        lag.note(at(10), at(40));
        lag.note(at(40), at(60));
        assert_eq!(lag.of(at(100)), Duration::from_millis(30));
        assert_eq!(lag.of(at(290)), Duration::ZERO);
        lag.note(at(280), at(300));
        assert_eq!(lag.of(at(300)), Duration::from_millis(20));
    }
}
