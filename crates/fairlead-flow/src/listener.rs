//! One listener as all workers share it: its plan, and what came in by it.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::Arc;

use fairlead_model::plan::ListenerPlan;
use fairlead_model::reason::{Reason, ALL};

use crate::driver::ListenerId;

/// Statuses that are counted by themselves; others count as their class (`4xx`).
const STATUSES: [u16; 43] = [
    100, 101, 103, 200, 201, 202, 203, 204, 205, 206, 207, 301, 302, 303, 304, 307, 308, 400, 401,
    403, 404, 405, 406, 408, 409, 410, 412, 413, 414, 415, 416, 417, 421, 422, 425, 426, 429, 431,
    500, 501, 502, 503, 504,
];
const CLASSES: usize = 5;

/// A listener: id, plan and counters.
#[derive(Debug)]
pub struct ListenerState {
    id: ListenerId,
    plan: ListenerPlan,
    counters: Arc<Counters>,
}

/// Counters live over reloads. Each worker writes its own shard, without locked operations.
#[derive(Debug)]
struct Counters {
    active: AtomicU32,
    shards: Box<[Shard]>,
}

#[derive(Debug)]
#[repr(align(128))]
struct Shard {
    connections: AtomicU64,
    requests: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    codes: [AtomicU64; STATUSES.len() + CLASSES],
    reasons: [AtomicU64; ALL.len()],
}

impl Shard {
    fn new() -> Self {
        Shard {
            connections: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
            codes: std::array::from_fn(|_| AtomicU64::new(0)),
            reasons: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }
}

/// Adds to a counter that only this thread writes: a load and a store, no locked operation.
#[inline]
fn add(counter: &AtomicU64, amount: u64) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(amount), Ordering::Relaxed);
}

/// What a listener has seen so far, over all workers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListenerStats {
    /// Client connections open now.
    pub connections_active: u32,
    /// Client connections so far.
    pub connections_total: u64,
    /// Requests so far (0 on tcp).
    pub requests_total: u64,
    /// Bytes received from clients.
    pub bytes_in: u64,
    /// Bytes sent to clients.
    pub bytes_out: u64,
    /// Responses by status (`200`) or, for rare ones, by class (`4xx`); only those that occurred.
    pub codes: Vec<(String, u64)>,
    /// Ends other than `ok` by reason code; only those that occurred.
    pub reasons: Vec<(&'static str, u64)>,
}

impl ListenerState {
    pub(crate) fn new(
        id: ListenerId,
        plan: ListenerPlan,
        workers: usize,
        before: Option<&ListenerState>,
    ) -> Self {
        let counters = before.map_or_else(
            || {
                let shards = (0..workers.max(1)).map(|_| Shard::new()).collect();
                Arc::new(Counters { active: AtomicU32::new(0), shards })
            },
            |before| Arc::clone(&before.counters),
        );
        ListenerState { id, plan, counters }
    }

    /// Its id, the same over reloads.
    pub fn id(&self) -> ListenerId {
        self.id
    }

    /// Its plan.
    pub fn plan(&self) -> &ListenerPlan {
        &self.plan
    }

    /// Takes a place for a connection; false if the listener is at its limit.
    pub(crate) fn enter(&self, worker: usize) -> bool {
        let before = self.counters.active.fetch_add(1, Ordering::Relaxed);
        add(&self.counters.shards[worker].connections, 1);
        before < self.plan.limits.connections
    }

    /// Gives the place back.
    pub(crate) fn leave(&self) {
        self.counters.active.fetch_sub(1, Ordering::Relaxed);
    }

    /// Counts the end of a request (`status` is what the client saw, 0 if nothing) or, on tcp,
    /// of a connection.
    #[inline]
    pub(crate) fn count(&self, worker: usize, status: u16, reason: Reason) {
        let shard = &self.counters.shards[worker];
        if status != 0 {
            add(&shard.requests, 1);
            add(&shard.codes[code_index(status)], 1);
        }
        add(&shard.reasons[reason.index()], 1);
    }

    #[inline]
    pub(crate) fn count_bytes(&self, worker: usize, received: u64, sent: u64) {
        let shard = &self.counters.shards[worker];
        add(&shard.bytes_in, received);
        add(&shard.bytes_out, sent);
    }

    /// What it has seen so far.
    pub fn stats(&self) -> ListenerStats {
        let sum = |of: &dyn Fn(&Shard) -> &AtomicU64| -> u64 {
            self.counters.shards.iter().map(|shard| of(shard).load(Ordering::Relaxed)).sum()
        };
        let codes = (0..STATUSES.len() + CLASSES)
            .map(|index| (code_name(index), sum(&|shard| &shard.codes[index])))
            .filter(|(_, count)| *count > 0)
            .collect();
        let reasons = ALL
            .iter()
            .filter(|reason| **reason != Reason::Ok)
            .map(|reason| (reason.code(), sum(&|shard| &shard.reasons[reason.index()])))
            .filter(|(_, count)| *count > 0)
            .collect();
        ListenerStats {
            connections_active: self.counters.active.load(Ordering::Relaxed),
            connections_total: sum(&|shard| &shard.connections),
            requests_total: sum(&|shard| &shard.requests),
            bytes_in: sum(&|shard| &shard.bytes_in),
            bytes_out: sum(&|shard| &shard.bytes_out),
            codes,
            reasons,
        }
    }
}

#[inline]
fn code_index(status: u16) -> usize {
    if status == 200 {
        return 3;
    }
    match STATUSES.binary_search(&status) {
        Ok(index) => index,
        Err(_) => STATUSES.len() + (usize::from(status / 100)).clamp(1, CLASSES) - 1,
    }
}

fn code_name(index: usize) -> String {
    STATUSES
        .get(index)
        .map_or_else(|| format!("{}xx", index - STATUSES.len() + 1), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_counts_as_itself_or_its_class() {
        assert_eq!(code_name(code_index(200)), "200");
        assert_eq!(code_name(code_index(504)), "504");
        assert_eq!(code_name(code_index(418)), "4xx");
        assert_eq!(code_name(code_index(599)), "5xx");
    }
}
