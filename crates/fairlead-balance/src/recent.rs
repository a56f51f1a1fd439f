//! How fast counters grow: over the last second, ten seconds, minute.
//!
//! Nothing is done where things are counted. Somebody reads the counters once a second and puts
//! what they were into a [`Recent`]; a rate is what has come since the youngest reading that is old
//! enough, by the time that has passed since. Readings of the last ten seconds are kept one by one,
//! older ones in steps of twelve seconds, so that a minute takes 18 places instead of 61; and none
//! are kept of what has never had any traffic. 576 bytes for each that has.
//!
//! What is younger than a window has its rate over its life so far.
//!
//! Not here: who reads (the engine), what is counted (`stats`).

use std::collections::VecDeque;
use std::time::Duration;

use fairlead_model::moment::Moment;
use serde::Serialize;

/// Readings one second apart: eleven hold ten seconds.
const FINE: usize = 11;
/// Readings twelve seconds apart: seven hold a minute.
const COARSE: usize = 7;
const COARSE_STEP: Duration = Duration::from_secs(12);

/// A reading may come a little early, and is old enough all the same.
const EARLY: Duration = Duration::from_millis(100);

/// What is read of a listener or a backend.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Requests, or connections on tcp.
    pub requests: u64,
    /// Those that ended badly.
    pub failures: u64,
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes sent.
    pub bytes_out: u64,
}

/// What is kept of a reading: 32 bytes. No difference over a minute passes 32 bits of requests.
#[derive(Debug, Clone, Copy)]
struct Reading {
    at: Moment,
    requests: u32,
    failures: u32,
    bytes_in: u64,
    bytes_out: u64,
}

impl Reading {
    fn of(at: Moment, totals: Totals) -> Reading {
        let Totals { requests, failures, bytes_in, bytes_out } = totals;
        Reading { at, requests: requests as u32, failures: failures as u32, bytes_in, bytes_out }
    }

    fn until(&self, later: &Reading) -> [f64; 4] {
        [
            f64::from(later.requests.wrapping_sub(self.requests)),
            f64::from(later.failures.wrapping_sub(self.failures)),
            later.bytes_in.wrapping_sub(self.bytes_in) as f64,
            later.bytes_out.wrapping_sub(self.bytes_out) as f64,
        ]
    }
}

/// Readings of the last minute.
#[derive(Debug, Default)]
pub struct Recent {
    fine: VecDeque<Reading>,
    coarse: VecDeque<Reading>,
    /// When it was last read and there had been nothing yet.
    untouched: Moment,
}

/// How much came per second, over three windows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Rate {
    /// Over the last second.
    #[serde(rename = "1s")]
    pub second: f64,
    /// Over the last ten.
    #[serde(rename = "10s")]
    pub ten: f64,
    /// Over the last minute.
    #[serde(rename = "60s")]
    pub minute: f64,
}

/// All rates of a listener or a backend, per second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Rates {
    /// Requests, or connections on tcp.
    pub requests: Rate,
    /// Those that ended badly.
    pub failures: Rate,
    /// Bytes received.
    pub bytes_in: Rate,
    /// Bytes sent.
    pub bytes_out: Rate,
}

impl Recent {
    /// Takes a reading.
    pub fn note(&mut self, now: Moment, totals: Totals) {
        if self.fine.is_empty() {
            if totals == Totals::default() {
                self.untouched = now;
                return;
            }
            self.keep(Reading::of(self.untouched, Totals::default()));
        }
        self.keep(Reading::of(now, totals));
    }

    fn keep(&mut self, reading: Reading) {
        if self.fine.len() == FINE {
            self.fine.pop_front();
        }
        self.fine.push_back(reading);
        let since = |last: &Reading| reading.at.since(last.at) + EARLY;
        if self.coarse.back().is_none_or(|last| since(last) >= COARSE_STEP) {
            if self.coarse.len() == COARSE {
                self.coarse.pop_front();
            }
            self.coarse.push_back(reading);
        }
    }

    /// The rates, given what the counters are now. All 0 before the first reading.
    pub fn rates(&self, now: Moment, totals: Totals) -> Rates {
        let second = self.since(Duration::from_secs(1), now, totals);
        let ten = self.since(Duration::from_secs(10), now, totals);
        let minute = self.since(Duration::from_secs(60), now, totals);
        let rate = |of: fn(&PerSecond) -> f64| Rate {
            second: of(&second),
            ten: of(&ten),
            minute: of(&minute),
        };
        Rates {
            requests: rate(|all| all.0[0]),
            failures: rate(|all| all.0[1]),
            bytes_in: rate(|all| all.0[2]),
            bytes_out: rate(|all| all.0[3]),
        }
    }

    fn since(&self, window: Duration, now: Moment, totals: Totals) -> PerSecond {
        let old_enough = |reading: &&Reading| now.since(reading.at) + EARLY >= window;
        let found = self.fine.iter().rev().find(old_enough);
        let found = found.or_else(|| self.coarse.iter().rev().find(old_enough));
        let Some(then) = found.or(self.coarse.front()) else { return PerSecond::default() };
        let seconds = now.since(then.at).as_secs_f64();
        if seconds < EARLY.as_secs_f64() {
            return PerSecond::default();
        }
        // Three decimals are more than anybody reads.
        let rate = |more: f64| (more / seconds * 1_000.0).round() / 1_000.0;
        PerSecond(then.until(&Reading::of(now, totals)).map(rate))
    }
}

#[derive(Default)]
struct PerSecond([f64; 4]);

impl Rates {
    /// Adds others to these, number by number.
    pub fn join(&mut self, other: &Rates) {
        let pairs = [
            (&mut self.requests, other.requests),
            (&mut self.failures, other.failures),
            (&mut self.bytes_in, other.bytes_in),
            (&mut self.bytes_out, other.bytes_out),
        ];
        for (sum, more) in pairs {
            sum.second += more.second;
            sum.ten += more.ten;
            sum.minute += more.minute;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::ZERO + Duration::from_secs(seconds)
    }

    fn totals(requests: u64) -> Totals {
        Totals { requests, bytes_in: requests * 10, ..Totals::default() }
    }

    /// Ten a second, for so many seconds.
    fn steady(seconds: u64) -> Recent {
        let mut recent = Recent::default();
        for second in 0..=seconds {
            recent.note(at(second), totals(second * 10));
        }
        recent
    }

    #[test]
    fn a_steady_stream_has_the_same_rate_over_every_window() {
        let rates = steady(200).rates(at(200), totals(2_000));
        assert_eq!(rates.requests, Rate { second: 10.0, ten: 10.0, minute: 10.0 });
        assert_eq!(rates.bytes_in, Rate { second: 100.0, ten: 100.0, minute: 100.0 });
        assert_eq!(rates.failures, Rate::default());
    }

    #[test]
    fn a_burst_fades_from_the_short_windows_first() {
        let mut recent = steady(0);
        for second in 1..=30 {
            recent.note(at(second), totals(600));
        }
        let rates = recent.rates(at(30), totals(600));
        // All that is known is half a minute.
        assert_eq!(rates.requests, Rate { second: 0.0, ten: 0.0, minute: 20.0 });
    }

    #[test]
    fn memory_is_bounded_and_a_minute_is_remembered() {
        let recent = steady(10_000);
        assert_eq!((recent.fine.len(), recent.coarse.len()), (FINE, COARSE));
        let oldest = at(10_000).since(recent.coarse[0].at);
        assert!((60..=84).contains(&oldest.as_secs()), "{oldest:?}");
    }

    #[test]
    fn what_never_had_traffic_takes_no_memory_and_its_first_second_counts() {
        let mut recent = Recent::default();
        for second in 0..100 {
            recent.note(at(second), Totals::default());
        }
        assert_eq!(recent.fine.capacity() + recent.coarse.capacity(), 0);
        recent.note(at(100), totals(50));
        let rate = Rate { second: 50.0, ten: 50.0, minute: 50.0 };
        assert_eq!(recent.rates(at(100), totals(50)).requests, rate);
    }

    #[test]
    fn nothing_read_is_no_rate() {
        assert_eq!(Recent::default().rates(at(5), totals(7)), Rates::default());
        assert_eq!(steady(0).rates(at(0), totals(7)), Rates::default());
    }

    #[test]
    fn rates_add_up() {
        let mut sum = steady(20).rates(at(20), totals(200));
        sum.join(&sum.clone());
        assert_eq!(sum.requests, Rate { second: 20.0, ten: 20.0, minute: 20.0 });
    }
}
