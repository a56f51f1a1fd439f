//! What is counted per backend, and how it is told to people.
//!
//! Each worker has a [`Shard`] of its own and is the only one to write it: a load and a store
//! instead of a locked addition, and no cache line that two workers fight for. Readers add the
//! shards up and may be a request behind.
//!
//! Not here: what is worth counting (flow), health (tracker), Prometheus' names (Python).

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use fairlead_model::backend::Wish;
use fairlead_model::health::Health;
use fairlead_model::moment::Moment;
use serde::Serialize;

use crate::histogram::{Counts, Histogram};

/// A number with one writer.
#[derive(Debug, Default)]
struct Counter(AtomicU64);

impl Counter {
    #[inline]
    fn add(&self, more: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(more), Relaxed);
    }

    fn read(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// One worker's counters of one backend.
#[derive(Debug, Default)]
pub struct Shard {
    requests: Counter,
    failures: Counter,
    retries: Counter,
    bytes_in: Counter,
    bytes_out: Counter,
    checks_passed: Counter,
    checks_failed: Counter,
    connects: Counter,
    connect_failures: Counter,
    latency: Histogram,
}

impl Shard {
    /// Counts a request (http) or connection (tcp) that this backend answered, and how long the
    /// answer's head (tcp: the connect) took.
    #[inline]
    pub fn add_request(&self, latency: Duration) {
        self.requests.add(1);
        self.latency.record(latency);
    }

    /// Counts an attempt that failed by this backend's fault.
    #[inline]
    pub fn add_failure(&self) {
        self.failures.add(1);
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

    /// Counts one attempt to connect.
    #[inline]
    pub fn add_connect(&self, connected: bool) {
        if connected {
            self.connects.add(1);
        } else {
            self.connect_failures.add(1);
        }
    }
}

/// Two quantiles of the latest answers, in milliseconds; `None` before the first.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct LatencyMs {
    /// Half of them were faster.
    pub p50: Option<f64>,
    /// One in a hundred was slower.
    pub p99: Option<f64>,
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
    /// Connects that came about.
    pub connects: u64,
    /// Connects that didn't.
    pub connect_failures: u64,
    /// How long answers take.
    pub latency_ms: LatencyMs,
    /// From when on a connect counts as late.
    pub connect_late_ms: f64,
}

impl BackendStats {
    /// Adds up the counters of all workers; what isn't counted keeps its default.
    pub(crate) fn sum<'a>(shards: impl Iterator<Item = &'a Shard>) -> BackendStats {
        let mut stats = BackendStats::default();
        let mut latency = Counts::default();
        for shard in shards {
            stats.requests += shard.requests.read();
            stats.failures += shard.failures.read();
            stats.retries += shard.retries.read();
            stats.bytes_in += shard.bytes_in.read();
            stats.bytes_out += shard.bytes_out.read();
            stats.checks_passed += shard.checks_passed.read();
            stats.checks_failed += shard.checks_failed.read();
            stats.connects += shard.connects.read();
            stats.connect_failures += shard.connect_failures.read();
            shard.latency.merge_into(&mut latency);
        }
        let millis = |share| latency.quantile(share).map(|time| time.as_secs_f64() * 1_000.0);
        stats.latency_ms = LatencyMs { p50: millis(0.5), p99: millis(0.99) };
        stats
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
            shard.add_failure();
            shard.add_retry();
            shard.add_bytes(3, 4);
            shard.add_check(true);
            shard.add_check(false);
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
            stats.connects,
            stats.connect_failures,
        ];
        assert_eq!(counted, [2; 7]);
        assert_eq!((stats.bytes_in, stats.bytes_out), (6, 8));
        let p50 = stats.latency_ms.p50.expect("two answers");
        assert!((p50 / 10.0 - 1.0).abs() < 0.12, "{p50}");
    }

    #[test]
    fn nothing_answered_has_no_latency() {
        assert_eq!(BackendStats::sum([].into_iter()).latency_ms, LatencyMs::default());
    }
}
