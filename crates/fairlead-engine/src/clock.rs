//! What time it is: a monotonic clock for the machines, the time of day for people.
//!
//! Moments count from the engine's start and never jump; only when one is shown to people is it
//! turned into a time of day, by its distance from now.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use fairlead_model::moment::Moment;
use fairlead_model::time_of_day::TimeOfDay;

/// The monotonic clock of one engine. Copies tell the same time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Clock { start: Instant::now() }
    }

    #[inline]
    pub(crate) fn now(self) -> Moment {
        Moment::ZERO + self.start.elapsed()
    }

    /// `moment` as a time of day.
    pub(crate) fn time_of_day(self, moment: Moment) -> TimeOfDay {
        let ago = self.now().since(moment);
        of(SystemTime::now().checked_sub(ago).unwrap_or(UNIX_EPOCH))
    }

    /// The time of day at [`Moment::ZERO`], in nanoseconds since 1970. Differs from one call to
    /// the next where somebody has set the clock.
    pub(crate) fn nanos_of_day_at_zero(self) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let zero = now.saturating_sub(self.now().since(Moment::ZERO));
        u64::try_from(zero.as_nanos()).unwrap_or(0)
    }
}

/// The time of day now.
pub(crate) fn time_of_day() -> TimeOfDay {
    of(SystemTime::now())
}

fn of(time: SystemTime) -> TimeOfDay {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    TimeOfDay(since.as_millis() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_as_long_ago_as_they_are() {
        let clock = Clock::new();
        let then = clock.time_of_day(Moment::ZERO);
        assert!(time_of_day().0.abs_diff(then.0) < 1000);
        let start = clock.nanos_of_day_at_zero() / 1_000_000;
        assert!(start.abs_diff(then.0) < 1000);
    }
}
