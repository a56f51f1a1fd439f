//! Everything that the engine counts and believes, as one JSON document for people and scripts.
//!
//! The words are the interface's. Numbers of different workers are read while they are being
//! written and may be a request apart.

use std::collections::BTreeMap;

use fairlead_balance::{BackendStats, Pool};
use fairlead_flow::{ListenerState, ListenerStats, Snapshot};
use fairlead_model::moment::Moment;
use fairlead_model::plan::{BackendPlan, Policy, Protocol};
use serde::Serialize;

use crate::board::Board;
use crate::clock::{time_of_day, Clock};
use crate::log::LogStats;
use crate::publish::Bound;

/// The whole document.
#[derive(Debug, Serialize)]
pub(crate) struct Status {
    time: String,
    uptime_seconds: f64,
    workers: usize,
    /// Client connections of each worker: uneven ones mean an idle processor beside a busy one.
    connections_per_worker: Vec<usize>,
    listeners: Vec<ListenerStatus>,
    pools: Vec<PoolStatus>,
    /// `None` without an access log.
    access_log: Option<LogStats>,
}

#[derive(Debug, Serialize)]
struct ListenerStatus {
    name: String,
    bind: Vec<String>,
    protocol: Protocol,
    connections_active: u32,
    connections_total: u64,
    requests_total: u64,
    bytes_in: u64,
    bytes_out: u64,
    codes: BTreeMap<String, u64>,
    reasons: BTreeMap<&'static str, u64>,
}

#[derive(Debug, Serialize)]
struct PoolStatus {
    name: String,
    policy: Policy,
    backends: Vec<BackendStatus>,
}

#[derive(Debug, Serialize)]
struct BackendStatus {
    address: String,
    group: u16,
    #[serde(flatten)]
    stats: BackendStats,
    since: Option<String>,
}

impl Status {
    /// What there is to say about `snapshot`, if one is in force, and its sockets.
    pub(crate) fn of(
        snapshot: Option<&Snapshot>,
        bound: &[Bound],
        board: &Board,
        clock: Clock,
    ) -> Self {
        let now = clock.now();
        let listeners = snapshot.map_or(&[][..], Snapshot::listeners);
        let pools = snapshot.map_or(&[][..], Snapshot::pools);
        Status {
            time: time_of_day().rfc3339(),
            uptime_seconds: now.since(Moment::ZERO).as_secs_f64(),
            workers: board.workers(),
            connections_per_worker: board.clients(),
            listeners: listeners.iter().map(|state| ListenerStatus::of(state, bound)).collect(),
            pools: pools.iter().map(|pool| PoolStatus::of(pool, clock, now)).collect(),
            access_log: None,
        }
    }

    /// The same, with what became of the access log's lines.
    pub(crate) fn with_log(self, access_log: Option<LogStats>) -> Self {
        Status { access_log, ..self }
    }
}

impl ListenerStatus {
    fn of(state: &ListenerState, bound: &[Bound]) -> Self {
        let stats: ListenerStats = state.stats();
        let ours = bound.iter().filter(|bound| bound.open.listener == state.id());
        ListenerStatus {
            name: state.plan().name.clone(),
            bind: ours.map(|bound| bound.open.socket.address().to_string()).collect(),
            protocol: state.plan().protocol,
            connections_active: stats.connections_active,
            connections_total: stats.connections_total,
            requests_total: stats.requests_total,
            bytes_in: stats.bytes_in,
            bytes_out: stats.bytes_out,
            codes: stats.codes.into_iter().collect(),
            reasons: stats.reasons.into_iter().collect(),
        }
    }
}

impl PoolStatus {
    fn of(pool: &Pool, clock: Clock, now: Moment) -> Self {
        let backend = |(state, plan): (&std::sync::Arc<_>, &BackendPlan)| {
            let state: &fairlead_balance::BackendState = state;
            let stats = state.stats(now);
            let since = stats.since.map(|moment| clock.time_of_day(moment).rfc3339());
            BackendStatus { address: plan.address.clone(), group: plan.group, stats, since }
        };
        PoolStatus {
            name: pool.plan.name.clone(),
            policy: pool.plan.policy,
            backends: pool.backends().iter().zip(&pool.plan.backends).map(backend).collect(),
        }
    }
}
