//! Everything that the engine counts and believes, as one JSON document for people and scripts.
//!
//! The words are the interface's. Numbers of different workers are read while they are being
//! written and may be a request apart. What stands beside a pool or a group is the sum over the
//! backends that it has now.

use std::collections::BTreeMap;
use std::time::Duration;

use fairlead_balance::histogram::Counts;
use fairlead_balance::recent::Rates;
use fairlead_balance::stats::LatencyMs;
use fairlead_balance::{BackendState, BackendStats, Pool};
use fairlead_flow::{ListenerState, ListenerStats, Snapshot};
use fairlead_model::backend::Wish;
use fairlead_model::health::Health;
use fairlead_model::moment::Moment;
use fairlead_model::plan::{BackendPlan, Policy, Protocol};
use serde::Serialize;

use crate::chaos::ChaosStatus;
use crate::clock::{time_of_day, Clock};
use crate::io::Used;
use crate::log::LogStats;
use crate::policy::DeskStatus;
use crate::publish::Bound;
use crate::worker::Common;

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
    memory: MemoryStatus,
    /// `None` without an access log.
    access_log: Option<LogStats>,
    /// Faults that are played on purpose; `None` if none are, and nothing of the last is left.
    chaos: Option<ChaosStatus>,
    /// How workers call the kernel; `None` before there are any.
    io: Option<Used>,
}

/// Memory in all.
#[derive(Debug, Serialize)]
struct MemoryStatus {
    used_bytes: u64,
    /// `None` for no limit.
    limit_bytes: Option<u64>,
    full: bool,
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
    rates: Rates,
    duration_ms: LatencyMs,
}

/// A pool, with what its backends have in sum.
#[derive(Debug, Serialize)]
pub(crate) struct PoolStatus {
    name: String,
    /// As configured: a policy of ours, or `module:attribute`.
    policy: String,
    /// `None` without a policy in Python.
    python: Option<DeskStatus>,
    #[serde(flatten)]
    sum: Sum,
    /// Tries that followed a failure, by its reason.
    retries_by_reason: BTreeMap<&'static str, u64>,
    /// Other steps that keep failures from clients, by kind and result.
    steps: BTreeMap<&'static str, BTreeMap<&'static str, u64>>,
    /// What is left of the budget for late requests.
    budget_tokens: f64,
    groups: Vec<GroupStatus>,
    backends: Vec<BackendStatus>,
}

#[derive(Debug, Serialize)]
struct GroupStatus {
    group: u16,
    /// Its own, or that of the pool.
    policy: String,
    #[serde(flatten)]
    sum: Sum,
}

/// What several backends have together.
#[derive(Debug, Default, Serialize)]
struct Sum {
    /// Backends that may get new traffic.
    available: usize,
    active: u64,
    requests: u64,
    failures: u64,
    failures_by_reason: BTreeMap<&'static str, u64>,
    bytes_in: u64,
    bytes_out: u64,
    rates: Rates,
    latency_ms: LatencyMs,
    #[serde(skip)]
    latency: Counts,
}

/// One backend, as people see it.
#[derive(Debug, Serialize)]
pub(crate) struct BackendStatus {
    address: String,
    group: u16,
    #[serde(flatten)]
    stats: BackendStats,
    /// The part of its weight that it gets: less than 1 during slow start.
    share: f64,
    since: Option<String>,
    /// The last changes of health and wish, oldest first.
    history: Vec<ChangeStatus>,
    #[serde(skip)]
    latency: Counts,
}

#[derive(Debug, Serialize)]
struct ChangeStatus {
    time: String,
    from: &'static str,
    to: &'static str,
    why: String,
}

impl Status {
    /// What there is to say about `snapshot`, if one is in force, and its sockets.
    pub(crate) fn of(snapshot: Option<&Snapshot>, bound: &[Bound], common: &Common) -> Self {
        let Common { clock, board, memory, .. } = common;
        let (used_bytes, limit) = memory.used_and_limit();
        let limit_bytes = (limit > 0).then_some(limit);
        let clock = *clock;
        let now = clock.now();
        let listeners = snapshot.map_or(&[][..], Snapshot::listeners);
        let pools = snapshot.map_or(&[][..], Snapshot::pools);
        Status {
            time: time_of_day().rfc3339(),
            uptime_seconds: now.since(Moment::ZERO).as_secs_f64(),
            workers: board.workers(),
            connections_per_worker: board.clients(),
            listeners: listeners
                .iter()
                .map(|state| ListenerStatus::of(state, bound, now))
                .collect(),
            pools: pools.iter().map(|pool| PoolStatus::of(pool, common, now)).collect(),
            memory: MemoryStatus { used_bytes, limit_bytes, full: memory.is_full() },
            access_log: None,
            chaos: None,
            io: None,
        }
    }

    /// The same, with what became of the access log's lines.
    pub(crate) fn with_log(self, access_log: Option<LogStats>) -> Self {
        Status { access_log, ..self }
    }

    /// The same, with what is played.
    pub(crate) fn with_chaos(self, chaos: Option<ChaosStatus>) -> Self {
        Status { chaos, ..self }
    }

    /// The same, with how workers call the kernel.
    pub(crate) fn with_io(self, io: Option<Used>) -> Self {
        Status { io, ..self }
    }
}

impl ListenerStatus {
    fn of(state: &ListenerState, bound: &[Bound], now: Moment) -> Self {
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
            rates: state.rates(now),
            duration_ms: LatencyMs::of(&state.timings().lately),
        }
    }
}

impl PoolStatus {
    /// What there is to say about one pool.
    pub(crate) fn of(pool: &Pool, common: &Common, now: Moment) -> Self {
        let backends: Vec<_> = BackendStatus::all(pool, common.clock, now).collect();
        let tallies = pool.tallies();
        let mut numbers: Vec<_> = backends.iter().map(|backend| backend.group).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let python = pool.plan.python.as_ref().map(|python| &python.name);
        let policy = |own: Policy| python.cloned().unwrap_or_else(|| own.name().to_owned());
        let group = |number| GroupStatus {
            group: number,
            policy: policy(pool.plan.policy_of(number)),
            sum: Sum::of(backends.iter().filter(|backend| backend.group == number)),
        };
        PoolStatus {
            name: pool.plan.name.clone(),
            policy: policy(pool.plan.policy),
            python: common.desks.find(&pool.plan.name).map(|desk| desk.status()),
            sum: Sum::of(backends.iter()),
            retries_by_reason: tallies.retries.clone(),
            steps: tallies.families(),
            budget_tokens: tallies.tokens,
            groups: numbers.into_iter().map(group).collect(),
            backends,
        }
    }
}

impl BackendStatus {
    /// The backends of a pool, in the plan's order.
    pub(crate) fn all(
        pool: &Pool,
        clock: Clock,
        now: Moment,
    ) -> impl Iterator<Item = BackendStatus> + '_ {
        let slow_start = pool.plan.slow_start.duration();
        let states = pool.backends().iter().zip(&pool.plan.backends);
        states.map(move |(state, plan)| BackendStatus::of(state, plan, slow_start, clock, now))
    }

    fn of(
        state: &BackendState,
        plan: &BackendPlan,
        slow_start: Duration,
        clock: Clock,
        now: Moment,
    ) -> Self {
        let stats = state.stats(now);
        let time = |moment| clock.time_of_day(moment).rfc3339();
        let history = state.history().into_iter().map(|change| ChangeStatus {
            time: time(change.at),
            from: change.from,
            to: change.to,
            why: change.why,
        });
        BackendStatus {
            address: plan.address.clone(),
            group: plan.group,
            since: stats.since.map(time),
            history: history.collect(),
            latency: state.timings().lately,
            share: state.share(slow_start, now),
            stats,
        }
    }
}

impl Sum {
    fn of<'a>(backends: impl Iterator<Item = &'a BackendStatus>) -> Self {
        let mut sum = Sum::default();
        for BackendStatus { stats, latency, .. } in backends {
            let wanted = stats.wish == Wish::Enabled && stats.weight > 0;
            sum.available += usize::from(wanted && stats.health != Health::Down);
            sum.active += u64::from(stats.active);
            sum.requests += stats.requests;
            sum.failures += stats.failures;
            sum.bytes_in += stats.bytes_in;
            sum.bytes_out += stats.bytes_out;
            sum.rates.join(&stats.rates);
            sum.latency.join(latency);
            for (reason, count) in &stats.failures_by_reason {
                *sum.failures_by_reason.entry(reason).or_default() += count;
            }
        }
        sum.latency_ms = LatencyMs::of(&sum.latency);
        sum
    }
}
