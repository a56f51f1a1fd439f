//! One listener as all workers share it: its plan, and what came in by it.

use std::sync::Arc;
use std::time::Duration;

use fairlead_balance::counter::{Counter, Late};
use fairlead_balance::recent::{Rates, Recent, Totals};
use fairlead_balance::timing::{Timing, Timings};
use fairlead_balance::Lock;
use fairlead_model::moment::Moment;
use fairlead_model::plan::{ListenerPlan, Protocol};
use fairlead_model::reason::{Fault, Reason, ALL};

use crate::driver::{ListenerId, Peer};
use crate::places::{House, Place, Places};

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
    /// Places of the whole instance that its clients may take.
    most_in_all: u32,
    house: Arc<House>,
    counters: Arc<Counters>,
}

/// Counters live over reloads. Each worker writes its own shard, without locked operations.
#[derive(Debug)]
struct Counters {
    places: Places,
    /// Of most of a thousand listeners none is ever made.
    shards: Box<[Late<Shard>]>,
    recent: Lock<Recent>,
}

#[derive(Debug)]
#[repr(align(128))]
struct Shard {
    connections: Counter,
    requests: Counter,
    bytes_in: Counter,
    bytes_out: Counter,
    codes: [Counter; STATUSES.len() + CLASSES],
    reasons: [Counter; ALL.len()],
    timing: Timing,
}

impl Default for Shard {
    fn default() -> Self {
        Shard {
            connections: Counter::default(),
            requests: Counter::default(),
            bytes_in: Counter::default(),
            bytes_out: Counter::default(),
            codes: std::array::from_fn(|_| Counter::default()),
            reasons: std::array::from_fn(|_| Counter::default()),
            timing: Timing::default(),
        }
    }
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
        (most_in_all, house): (u32, &Arc<House>),
        workers: usize,
        before: Option<&ListenerState>,
    ) -> Self {
        let counters = before.map_or_else(
            || {
                let shards = (0..workers.max(1)).map(|_| Late::default()).collect();
                Arc::new(Counters { places: Places::default(), shards, recent: Lock::default() })
            },
            |before| Arc::clone(&before.counters),
        );
        ListenerState { id, plan, most_in_all, house: Arc::clone(house), counters }
    }

    /// Its id, the same over reloads.
    pub fn id(&self) -> ListenerId {
        self.id
    }

    /// Its plan.
    pub fn plan(&self) -> &ListenerPlan {
        &self.plan
    }

    /// How many client connections it lets in.
    pub fn connections_limit(&self) -> u32 {
        self.plan.limits.connections.min(self.most_in_all)
    }

    /// How many client connections all listeners let in together.
    pub(crate) fn limit_in_all(&self) -> u32 {
        self.most_in_all
    }

    /// Counts a connection that has come.
    pub(crate) fn count_connection(&self, worker: usize) {
        self.counters.shards[worker].made().connections.add(1);
    }

    /// Whether all of them are taken.
    pub(crate) fn is_full(&self) -> bool {
        self.counters.places.taken() >= self.plan.limits.connections
            || self.house.taken() >= self.most_in_all
    }

    /// Takes a place for a connection, or says which limit stands against it.
    pub(crate) fn enter(&self) -> Result<Place, Reason> {
        self.counters.places.enter(&self.house, &self.plan, self.most_in_all)
    }

    /// Counts a place for the client that it turned out to belong to; false if that one has too
    /// many already.
    pub(crate) fn count_client(&self, place: &mut Place, peer: Peer) -> bool {
        self.counters.places.count(place, &self.plan, peer)
    }

    /// Gives the place back.
    pub(crate) fn leave(&self, place: Place) {
        self.counters.places.leave(&self.house, place);
    }

    /// Notes that somebody was turned away; true if that is news.
    pub(crate) fn note_full(&self, now: Moment) -> bool {
        self.counters.places.note_full(now)
    }

    /// Notes that somebody was let in; true if that is news.
    #[inline]
    pub(crate) fn note_room(&self, now: Moment) -> bool {
        self.counters.places.note_room(now)
    }

    /// Counts the end of a request (`status` is what the client saw, 0 if nothing) or, on tcp,
    /// of a connection.
    #[inline]
    pub(crate) fn count(&self, worker: usize, status: u16, reason: Reason) {
        let shard = self.counters.shards[worker].made();
        if status != 0 {
            shard.requests.add(1);
            shard.codes[code_index(status)].add(1);
        }
        shard.reasons[reason.index()].add(1);
    }

    /// Counts how long a request took, from its whole head to the end of its answer.
    #[inline]
    pub(crate) fn count_time(&self, worker: usize, took: Duration) {
        self.counters.shards[worker].made().timing.record(took);
    }

    #[inline]
    pub(crate) fn count_bytes(&self, worker: usize, received: u64, sent: u64) {
        let shard = self.counters.shards[worker].made();
        shard.bytes_in.add(received);
        shard.bytes_out.add(sent);
    }

    /// Takes a reading of the counters, for rates. Whoever does so does it once a second.
    pub fn sample(&self, now: Moment) {
        let totals = self.totals();
        self.counters.recent.hold().note(now, totals);
    }

    /// How fast its counters grow.
    pub fn rates(&self, now: Moment) -> Rates {
        let totals = self.totals();
        self.counters.recent.hold().rates(now, totals)
    }

    /// How long its requests take: lately, and in all. Nothing on tcp.
    pub fn timings(&self) -> Timings {
        let mut timings = Timings::default();
        self.shards().for_each(|shard| timings.add(&shard.timing));
        timings
    }

    /// What rates are made of. What a client did wrong is no failure.
    fn totals(&self) -> Totals {
        let of_http = self.plan.protocol == Protocol::Http;
        let mut totals = Totals::default();
        for shard in self.shards() {
            totals.requests += if of_http { &shard.requests } else { &shard.connections }.read();
            totals.bytes_in += shard.bytes_in.read();
            totals.bytes_out += shard.bytes_out.read();
            for (reason, count) in ALL.iter().zip(&shard.reasons) {
                if matches!(reason.row().fault, Fault::Backend | Fault::Operator) {
                    totals.failures += count.read();
                }
            }
        }
        totals
    }

    /// What workers have counted that have had something to count.
    fn shards(&self) -> impl Iterator<Item = &Shard> {
        self.counters.shards.iter().filter_map(Late::get)
    }

    /// What it has seen so far.
    pub fn stats(&self) -> ListenerStats {
        let sum = |of: &dyn Fn(&Shard) -> &Counter| -> u64 {
            self.shards().map(|shard| of(shard).read()).sum()
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
            connections_active: self.counters.places.taken(),
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
