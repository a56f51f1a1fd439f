//! How long things take: lately, for quantiles, and ever since, for monitoring systems.
//!
//! Quantiles follow the present, so their counts fade ([`Histogram`]). A monitoring system takes
//! differences between two readings itself, so what it reads must only grow: counts in a few fixed
//! buckets, and the sum.

use std::time::Duration;

use crate::counter::Counter;
use crate::histogram::{Counts, Histogram};

/// Where the buckets for monitoring end, in seconds: the steps that Prometheus' own libraries use,
/// without their 75s, and with 1 ms and 30 s, between which proxied requests lie.
pub const BOUNDS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// The same in nanoseconds.
const NANOS: [u64; BOUNDS.len()] = [
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
    30_000_000_000,
];

/// Durations that one worker counts.
#[derive(Debug, Default)]
pub struct Timing {
    lately: Histogram,
    /// Not cumulative; the last one has no upper end.
    ever: [Counter; BOUNDS.len() + 1],
    nanos: Counter,
}

impl Timing {
    /// Counts one. Only one thread may do so.
    #[inline]
    pub fn record(&self, duration: Duration) {
        self.lately.record(duration);
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        // Most durations are short, so the search from below ends soon.
        let bucket = NANOS.iter().position(|end| nanos <= *end).unwrap_or(BOUNDS.len());
        self.ever[bucket].add(1);
        self.nanos.add(nanos);
    }
}

/// What several workers have counted, added up.
#[derive(Debug, Clone, Default)]
pub struct Timings {
    /// The latest some ten thousand, for quantiles.
    pub lately: Counts,
    /// All, by bucket; not cumulative.
    pub ever: [u64; BOUNDS.len() + 1],
    /// All of them together.
    pub total: Duration,
}

impl Timings {
    /// Adds one worker's.
    pub fn add(&mut self, timing: &Timing) {
        timing.lately.merge_into(&mut self.lately);
        for (sum, count) in self.ever.iter_mut().zip(&timing.ever) {
            *sum += count.read();
        }
        self.total += Duration::from_nanos(timing.nanos.read());
    }

    /// Adds others that were added up already.
    pub fn join(&mut self, other: &Timings) {
        self.lately.join(&other.lately);
        for (sum, count) in self.ever.iter_mut().zip(&other.ever) {
            *sum += count;
        }
        self.total += other.total;
    }

    /// How many were counted, ever.
    pub fn count(&self) -> u64 {
        self.ever.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_counts_in_the_first_bucket_that_it_fits_in() {
        let timing = Timing::default();
        for millis in [1, 2, 60_000] {
            timing.record(Duration::from_millis(millis));
        }
        let mut sum = Timings::default();
        sum.add(&timing);
        assert_eq!((sum.ever[0], sum.ever[1], sum.ever[BOUNDS.len()]), (1, 1, 1));
        assert_eq!((sum.count(), sum.total), (3, Duration::from_millis(60_003)));
        let mut twice = sum.clone();
        twice.join(&sum);
        assert_eq!((twice.count(), twice.lately.total()), (6, 6));
    }

    #[test]
    fn bounds_are_the_same_in_both_units() {
        for (seconds, nanos) in BOUNDS.iter().zip(NANOS) {
            assert_eq!((seconds * 1e9).round() as u64, nanos);
        }
    }
}
