//! Durations, counted in buckets: what quantiles are read from.
//!
//! Log-linear: four buckets of equal width for each doubling from 33 µs to 69 s, one for all that
//! is shorter, one for all that is longer; 86 counters of 32 bits. What [`Histogram::quantile`]
//! says is at most 11.2 % off the true value within that range.
//!
//! One writer each (a worker's shard), any number of readers. The writer uses a plain load and
//! store instead of a locked addition, which costs a nanosecond instead of five.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

/// Buckets, the two open ones included.
pub const BUCKETS: usize = 2 + (LAST - FIRST) as usize * EACH;

/// 2^15 ns = 33 µs: where the first closed bucket begins.
const FIRST: u32 = 15;
/// 2^36 ns = 69 s: where the last closed bucket ends.
const LAST: u32 = 36;
/// Buckets for each doubling.
const EACH: usize = 4;

/// So many counts are remembered; then all are halved, so that quantiles follow the present.
const REMEMBERED: u32 = 16_384;

/// Counts of durations, with one writer.
#[derive(Debug)]
pub struct Histogram {
    counts: [AtomicU32; BUCKETS],
    total: AtomicU32,
}

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram { counts: [const { AtomicU32::new(0) }; BUCKETS], total: AtomicU32::new(0) }
    }
}

impl Histogram {
    /// Counts one duration. Only one thread may do so at a time, or counts get lost.
    #[inline]
    pub fn record(&self, duration: Duration) {
        add_one(&self.counts[bucket(duration)]);
        if add_one(&self.total) >= REMEMBERED {
            self.halve();
        }
    }

    /// Adds these counts to `sum`.
    pub fn merge_into(&self, sum: &mut Counts) {
        for (count, into) in self.counts.iter().zip(&mut sum.0) {
            *into += u64::from(count.load(Relaxed));
        }
    }

    #[cold]
    fn halve(&self) {
        let mut total = 0;
        for count in &self.counts {
            let half = count.load(Relaxed) / 2;
            count.store(half, Relaxed);
            total += half;
        }
        self.total.store(total, Relaxed);
    }
}

/// The sum of several histograms at one time.
#[derive(Debug, Clone)]
pub struct Counts([u64; BUCKETS]);

impl Default for Counts {
    fn default() -> Counts {
        Counts([0; BUCKETS])
    }
}

impl Counts {
    /// Adds others to these.
    pub fn join(&mut self, other: &Counts) {
        for (sum, count) in self.0.iter_mut().zip(&other.0) {
            *sum += count;
        }
    }

    /// How many durations were counted.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The duration that a `share` (0 to 1) of all that were counted don't exceed; `None` if none
    /// were counted.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let total = self.total();
        if total == 0 {
            return None;
        }
        let rank = ((share.clamp(0.0, 1.0) * total as f64).ceil() as u64).clamp(1, total);
        let mut below = 0;
        let bucket = self.0.iter().position(|count| {
            below += count;
            below >= rank
        });
        bucket.map(middle)
    }
}

#[inline]
fn add_one(count: &AtomicU32) -> u32 {
    let more = count.load(Relaxed) + 1;
    count.store(more, Relaxed);
    more
}

/// Which bucket a duration falls into.
#[inline]
fn bucket(duration: Duration) -> usize {
    let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    if nanos < 1 << FIRST {
        return 0;
    }
    let doubling = nanos.ilog2();
    if doubling >= LAST {
        return BUCKETS - 1;
    }
    // The two bits below the leading one.
    let quarter = (nanos >> (doubling - 2)) as usize & (EACH - 1);
    1 + (doubling - FIRST) as usize * EACH + quarter
}

/// The value that is nearest, in proportion, to both ends of a bucket: their harmonic mean.
fn middle(bucket: usize) -> Duration {
    let (low, high): (u64, u64) = match bucket {
        0 => (1 << (FIRST - 1), 1 << FIRST),
        bucket if bucket == BUCKETS - 1 => (1 << LAST, 1 << LAST),
        bucket => {
            let (doubling, quarter) = ((bucket - 1) / EACH, ((bucket - 1) % EACH) as u64);
            let width = 1_u64 << (FIRST as usize + doubling - 2);
            (width * (EACH as u64 + quarter), width * (EACH as u64 + quarter + 1))
        }
    };
    let (low, high) = (u128::from(low), u128::from(high));
    Duration::from_nanos((2 * low * high / (low + high)) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn counts(of: &[&Histogram]) -> Counts {
        let mut sum = Counts::default();
        for histogram in of {
            histogram.merge_into(&mut sum);
        }
        sum
    }

    #[test]
    fn an_empty_one_has_no_quantile() {
        assert_eq!(counts(&[&Histogram::default()]).quantile(0.5), None);
    }

    #[test]
    fn there_are_about_a_hundred_buckets_and_they_grow() {
        assert_eq!(BUCKETS, 86);
        assert!((1..BUCKETS).all(|index| middle(index) > middle(index - 1)));
    }

    #[test]
    fn quantiles_of_a_known_spread() {
        let histogram = Histogram::default();
        (1..=1_000).for_each(|millis| histogram.record(Duration::from_millis(millis)));
        for share in [0.01, 0.5, 0.9, 0.99, 1.0] {
            let found = counts(&[&histogram]).quantile(share).expect("counted").as_secs_f64();
            assert!((found / share - 1.0).abs() < 0.12, "{share} {found}");
        }
    }

    #[test]
    fn several_are_read_as_one() {
        let (one, other) = (Histogram::default(), Histogram::default());
        (0..99).for_each(|_| one.record(Duration::from_millis(1)));
        other.record(Duration::from_secs(1));
        let sum = counts(&[&one, &other]);
        assert_eq!(sum.total(), 100);
        assert!(sum.quantile(0.99).expect("counted") < Duration::from_millis(2));
        assert!(sum.quantile(1.0).expect("counted") > Duration::from_millis(800));
    }

    #[test]
    fn the_present_outweighs_the_past() {
        let histogram = Histogram::default();
        (0..1_000_000).for_each(|_| histogram.record(Duration::from_secs(1)));
        (0..40_000).for_each(|_| histogram.record(Duration::from_millis(1)));
        let sum = counts(&[&histogram]);
        assert!(sum.quantile(0.5).expect("counted") < Duration::from_millis(2));
        assert!(sum.total() <= u64::from(REMEMBERED));
    }

    #[test]
    fn what_is_outside_the_range_is_counted_at_its_ends() {
        let histogram = Histogram::default();
        histogram.record(Duration::ZERO);
        histogram.record(Duration::MAX);
        let sum = counts(&[&histogram]);
        assert!(sum.quantile(0.0).expect("counted") < Duration::from_micros(33));
        assert!(sum.quantile(1.0).expect("counted") > Duration::from_secs(60));
    }

    proptest! {
        #[test]
        fn no_duration_in_range_is_told_wrong_by_more_than_twelve_percent(
            nanos in 50_000_u64..60_000_000_000,
        ) {
            let told = middle(bucket(Duration::from_nanos(nanos))).as_nanos() as f64;
            prop_assert!((told / nanos as f64 - 1.0).abs() <= 0.12);
        }
    }
}
