//! What is counted per backend, and how it is told to people.
//!
//! Each worker has a [`Shard`] of its own and is the only one to write it. Readers add the shards
//! up and may be a request behind.
//!
//! Not here: what is worth counting (flow), health (tracker), the metrics' names (engine).

use std::collections::BTreeMap;
use std::time::Duration;

use fairlead_model::backend::Wish;
use fairlead_model::health::Health;
use fairlead_model::moment::Moment;
use fairlead_model::reason::{Reason, ALL};
use serde::Serialize;

use crate::answered::{Answered, Kind};
use crate::counter::{Counter, Late};
use crate::histogram::Counts;
use crate::recent::{Rates, Totals};
use crate::timing::{Timing, Timings};

/// How many reasons there are that a backend may be blamed for.
const BLAMED: usize = {
    let (mut index, mut count) = (0, 0);
    while index < ALL.len() {
        if ALL[index].row().evidence {
            count += 1;
        }
        index += 1;
    }
    count
};

/// Those reasons, in the table's order.
const REASONS: [Reason; BLAMED] = {
    let mut reasons = [Reason::Internal; BLAMED];
    let (mut index, mut count) = (0, 0);
    while index < ALL.len() {
        if ALL[index].row().evidence {
            reasons[count] = ALL[index];
            count += 1;
        }
        index += 1;
    }
    reasons
};

/// One worker's counters of one backend.
#[derive(Debug, Default)]
pub struct Shard {
    requests: Counter,
    failures: [Counter; BLAMED],
    retries: Counter,
    bytes_in: Counter,
    bytes_out: Counter,
    checks_passed: Counter,
    checks_failed: Counter,
    attempts: Counter,
    connects: Counter,
    connect_failures: Counter,
    pub(crate) answered: Answered,
    timing: Late<Timing>,
}

impl Shard {
    /// Counts a request (http) or connection (tcp) that this backend answered, and how long the
    /// answer's head (tcp: the connect) took.
    #[inline]
    pub fn add_request(&self, latency: Duration) {
        self.requests.add(1);
        self.timing.made().record(latency);
    }

    /// Notes that an answer has begun, to what was asked at `asked`.
    #[inline]
    pub fn note_answer(&self, kind: Kind, asked: Moment, now: Moment) {
        self.answered.note(kind, asked, now);
    }

    /// Notes that an answer was whole, to what was asked at `asked`.
    #[inline]
    pub fn note_whole(&self, asked: Moment) {
        self.answered.note_whole(asked);
    }

    /// Counts an attempt that failed by this backend's fault. A reason that is no evidence in the
    /// table counts as [`Reason::BackendReset`]: the answer didn't come, and nobody else is to blame.
    #[inline]
    pub fn add_failure(&self, reason: Reason) {
        let place = |reason| REASONS.iter().position(|known| *known == reason);
        if let Some(index) = place(reason).or_else(|| place(Reason::BackendReset)) {
            self.failures[index].add(1);
        }
    }

    /// How often it answered or failed.
    pub(crate) fn attempts(&self) -> u64 {
        self.requests.read() + self.failures.iter().map(Counter::read).sum::<u64>()
    }

    /// Counts a request that came here because another backend had failed it.
    #[inline]
    pub fn add_retry(&self) {
        self.retries.add(1);
    }

    /// Counts bytes from the backend (`bytes_in`) and to it (`bytes_out`).
    #[inline]
    pub fn add_bytes(&self, bytes_in: u64, bytes_out: u64) {
        self.bytes_in.add(bytes_in);
        self.bytes_out.add(bytes_out);
    }

    /// Counts one check.
    pub fn add_check(&self, passed: bool) {
        if passed {
            self.checks_passed.add(1);
        } else {
            self.checks_failed.add(1);
        }
    }

    /// Counts a request or connection that was sent its way, whatever comes of it.
    #[inline]
    pub fn add_attempt(&self) {
        self.attempts.add(1);
    }

    /// Counts one attempt to connect that has ended.
    #[inline]
    pub fn add_connect(&self, connected: bool) {
        if connected {
            self.connects.add(1);
        } else {
            self.connect_failures.add(1);
        }
    }

    pub(crate) fn timing(&self) -> Option<&Timing> {
        self.timing.get()
    }

    /// Adds what rates are made of.
    pub(crate) fn add_to(&self, sum: Totals) -> Totals {
        Totals {
            requests: sum.requests + self.requests.read(),
            failures: sum.failures + self.failures.iter().map(Counter::read).sum::<u64>(),
            bytes_in: sum.bytes_in + self.bytes_in.read(),
            bytes_out: sum.bytes_out + self.bytes_out.read(),
        }
    }
}

/// Quantiles of the latest answers, in milliseconds; `None` before the first.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct LatencyMs {
    /// Half of them were faster.
    pub p50: Option<f64>,
    /// One in ten was slower.
    pub p90: Option<f64>,
    /// One in a hundred was slower.
    pub p99: Option<f64>,
    /// One in a thousand was slower.
    pub p999: Option<f64>,
}

impl LatencyMs {
    /// Reads the quantiles of what was counted.
    pub fn of(counts: &Counts) -> LatencyMs {
        // Buckets are 12 % apart: microseconds are more than they can tell.
        let millis = |time: Duration| time.as_micros() as f64 / 1_000.0;
        let quantile = |share| counts.quantile(share).map(millis);
        LatencyMs {
            p50: quantile(0.5),
            p90: quantile(0.9),
            p99: quantile(0.99),
            p999: quantile(0.999),
        }
    }
}

/// A backend as the status shows it. Its serde form has the interface's names.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct BackendStats {
    /// What fairlead believes of it.
    pub health: Health,
    /// What the operator wants of it.
    #[serde(rename = "state")]
    pub wish: Wish,
    /// Its weight now.
    pub weight: u16,
    /// Why it has its health; empty before the first change.
    pub reason: String,
    /// When it got its health. Left out of the serde form: only the engine knows what time of day
    /// that was.
    #[serde(skip)]
    pub since: Option<Moment>,
    /// How many seconds ago that was.
    pub since_seconds: Option<f64>,
    /// In flight.
    pub active: u32,
    /// Answered.
    pub requests: u64,
    /// Failed by its fault.
    pub failures: u64,
    /// The same by reason; only those that occurred.
    pub failures_by_reason: BTreeMap<&'static str, u64>,
    /// Came here after another had failed.
    pub retries: u64,
    /// Bytes from it.
    pub bytes_in: u64,
    /// Bytes to it.
    pub bytes_out: u64,
    /// Checks that passed.
    pub checks_passed: u64,
    /// Checks that failed.
    pub checks_failed: u64,
    /// Sent its way, whatever came of it.
    pub attempts: u64,
    /// Connects that came about.
    pub connects: u64,
    /// Connects that didn't.
    pub connect_failures: u64,
    /// How fast all that grows.
    pub rates: Rates,
    /// How long answers take.
    pub latency_ms: LatencyMs,
    /// From when on a connect counts as late.
    pub connect_late_ms: f64,
}

impl BackendStats {
    /// Adds up the counters of all workers; what isn't counted keeps its default.
    pub(crate) fn sum<'a>(shards: impl Iterator<Item = &'a Shard>) -> BackendStats {
        let mut stats = BackendStats::default();
        let mut timings = Timings::default();
        for shard in shards {
            stats.requests += shard.requests.read();
            stats.retries += shard.retries.read();
            stats.bytes_in += shard.bytes_in.read();
            stats.bytes_out += shard.bytes_out.read();
            stats.checks_passed += shard.checks_passed.read();
            stats.checks_failed += shard.checks_failed.read();
            stats.attempts += shard.attempts.read();
            stats.connects += shard.connects.read();
            stats.connect_failures += shard.connect_failures.read();
            shard.timing().into_iter().for_each(|timing| timings.add(timing));
            for (reason, count) in REASONS.iter().zip(&shard.failures) {
                let count = count.read();
                if count > 0 {
                    stats.failures += count;
                    *stats.failures_by_reason.entry(reason.code()).or_default() += count;
                }
            }
        }
        stats.latency_ms = LatencyMs::of(&timings.lately);
        stats
    }

    /// What rates are made of.
    pub(crate) fn totals(&self) -> Totals {
        Totals {
            requests: self.requests,
            failures: self.failures,
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_add_up() {
        let shards = [Shard::default(), Shard::default()];
        for shard in &shards {
            shard.add_request(Duration::from_millis(10));
            shard.add_failure(Reason::ConnectRefused);
            shard.add_retry();
            shard.add_bytes(3, 4);
            shard.add_check(true);
            shard.add_check(false);
            shard.add_attempt();
            shard.add_connect(true);
            shard.add_connect(false);
        }
        let stats = BackendStats::sum(shards.iter());
        let counted = [
            stats.requests,
            stats.failures,
            stats.retries,
            stats.checks_passed,
            stats.checks_failed,
            stats.attempts,
            stats.connects,
            stats.connect_failures,
        ];
        assert_eq!(counted, [2; 8]);
        assert_eq!(stats.failures_by_reason, BTreeMap::from([("connect_refused", 2)]));
        assert_eq!((stats.bytes_in, stats.bytes_out), (6, 8));
        let p50 = stats.latency_ms.p50.expect("two answers");
        assert!((p50 / 10.0 - 1.0).abs() < 0.12, "{p50}");
        let read = shards.iter().fold(Totals::default(), |sum, shard| shard.add_to(sum));
        assert_eq!(read, stats.totals());
    }

    #[test]
    fn nothing_answered_has_no_latency() {
        assert_eq!(BackendStats::sum([].into_iter()).latency_ms, LatencyMs::default());
    }

    #[test]
    fn what_is_nobodys_evidence_still_counts_as_a_failure() {
        let shard = Shard::default();
        shard.add_failure(Reason::ClientGone);
        let stats = BackendStats::sum([&shard].into_iter());
        assert_eq!(stats.failures_by_reason, BTreeMap::from([("backend_reset", 1)]));
    }
}
