//! How long a backend takes to answer: an estimate that rises at once and sinks with time.
//!
//! Rules of this file
//! 1. A sample above the estimate becomes the estimate (a peak is believed at once); one below
//!    draws it down by as much as the time since the last sample allows (half-life 1 s).
//! 2. Time alone draws a bad estimate down too, but never below what it is compared with: an old
//!    number may stop being a deterrent, it never becomes an attraction.
//! 3. No estimate at all counts as that of whoever it is compared with, and so does one that is
//!    worse by less than a quarter, or by less than a millisecond: that much is noise. One hiccup
//!    of a scheduler is a multiple of a fast answer, and nobody's client can tell.
//!
//! Rule 2 is what Traefik's issue 12306 is about: a backend that was slow a few times and is
//! not asked any more can't show that it is well again. With a half-life of 1 s, one that was a
//! hundred times slower than its neighbours is asked again within 9 s, and its first good answer
//! then counts for nearly everything. Finagle's peak EWMA, where the idea comes from, forgets
//! with 10 s; a hundredfold is then 66 s of starvation.
//!
//! Not here: who is picked (`policies/peak_ewma.rs`).

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use fairlead_model::moment::Moment;

/// In what time the difference between an old number and the present loses half its weight.
pub const HALF_LIFE: Duration = Duration::from_secs(1);

/// A difference that is none, in nanoseconds.
const NOISE: u64 = 1_000_000;

/// Samples that bring nothing new are left out if the last one is younger: the estimate lies in
/// memory that all workers share, and a write costs each of them a cache miss.
const WRITE_EVERY: Duration = Duration::from_millis(1);

/// An estimate that all workers write. Two words that may belong to two different samples for an
/// instant; both are then still true.
#[derive(Debug, Default)]
pub struct Ewma {
    nanos: AtomicU64,
    at: AtomicU64,
}

/// What an [`Ewma`] said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Estimate {
    /// Nanoseconds; 0: nothing known.
    nanos: u64,
    /// When the last sample came.
    at: Moment,
}

impl Ewma {
    /// Takes one sample.
    #[inline]
    pub fn record(&self, took: Duration, now: Moment) {
        let sample = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX).max(1);
        let known = self.read();
        if known.nanos == 0 || sample >= known.nanos {
            self.write(sample, now);
        } else if now.since(known.at) >= WRITE_EVERY {
            self.write(sample + halved(known.nanos - sample, now.since(known.at)), now);
        }
    }

    /// What is known now.
    #[inline]
    pub fn read(&self) -> Estimate {
        Estimate { nanos: self.nanos.load(Relaxed), at: Moment(self.at.load(Relaxed)) }
    }

    #[inline]
    fn write(&self, nanos: u64, now: Moment) {
        self.nanos.store(nanos, Relaxed);
        self.at.store(now.0, Relaxed);
    }
}

/// The two estimates in nanoseconds (at least 1) as they may be compared at `now`: see the rules
/// at the top.
#[inline]
pub fn compared(one: Estimate, other: Estimate, now: Moment) -> (u64, u64) {
    match (one.nanos, other.nanos) {
        (0, 0) => (1, 1),
        (0, known) | (known, 0) => (known, known),
        (a, b) if a > b => (b + excess(a - b, b, now.since(one.at)), b),
        (a, b) => (a, a + excess(b - a, a, now.since(other.at))),
    }
}

/// What is left after `time` of being `worse` by so much than `best`.
#[inline]
fn excess(worse: u64, best: u64, time: Duration) -> u64 {
    let left = halved(worse, time);
    if left < (best / 4).max(NOISE) {
        0
    } else {
        left
    }
}

/// `value` after `time`: halved for each half-life, on a straight line between two of them (at
/// most 6 % off the curve, and the same on every machine).
#[inline]
fn halved(value: u64, time: Duration) -> u64 {
    const LIFE: u64 = HALF_LIFE.as_nanos() as u64;
    let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let (whole, rest) = (nanos / LIFE, nanos % LIFE);
    if whole >= 64 {
        return 0;
    }
    let part = rest * 1_024 / LIFE;
    let value = u128::from(value >> whole) * u128::from(2_048 - part) / 2_048;
    value as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Moment {
        Moment::ZERO + Duration::from_millis(millis)
    }

    fn millis(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn halves_once_per_half_life() {
        assert_eq!(halved(1_000, Duration::ZERO), 1_000);
        assert_eq!(halved(1_000, HALF_LIFE), 500);
        assert_eq!(halved(1_000, HALF_LIFE / 2), 750);
        assert_eq!(halved(1_000, HALF_LIFE * 3), 125);
        assert_eq!(halved(u64::MAX, Duration::MAX), 0);
    }

    #[test]
    fn a_peak_is_believed_at_once_and_forgotten_slowly() {
        let ewma = Ewma::default();
        ewma.record(millis(2), at(0));
        ewma.record(millis(100), at(1));
        assert_eq!(ewma.read().nanos, 100_000_000);
        ewma.record(millis(2), at(1));
        assert_eq!(ewma.read().nanos, 100_000_000, "no time has passed");
        ewma.record(millis(2), at(1_001));
        assert_eq!(ewma.read().nanos, 51_000_000);
    }

    #[test]
    fn after_a_long_silence_one_sample_counts_for_nearly_all() {
        let ewma = Ewma::default();
        ewma.record(millis(1_000), at(0));
        ewma.record(millis(1), at(10_000));
        assert!(ewma.read().nanos < 2_000_000, "{:?}", ewma.read());
    }

    #[test]
    fn an_unknown_one_counts_as_its_neighbour() {
        let known = Estimate { nanos: 5, at: at(0) };
        assert_eq!(compared(Estimate::default(), known, at(9)), (5, 5));
        assert_eq!(compared(known, Estimate::default(), at(9)), (5, 5));
        assert_eq!(compared(Estimate::default(), Estimate::default(), at(9)), (1, 1));
    }

    #[test]
    fn an_old_bad_number_becomes_that_of_its_neighbour_and_no_better() {
        let slow = Estimate { nanos: 100_000_000, at: at(0) };
        let fast = Estimate { nanos: 1_000_000, at: at(9_000) };
        assert_eq!(compared(slow, fast, at(0)).0, 100_000_000);
        assert_eq!(compared(slow, fast, at(9_000)), (1_000_000, 1_000_000));
        assert_eq!(compared(slow, fast, at(600_000)), (1_000_000, 1_000_000));
        assert_eq!(compared(fast, slow, at(600_000)), (1_000_000, 1_000_000));
    }
}
