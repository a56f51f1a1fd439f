//! Faults that are played on purpose: what may be played, and what came of it.
//!
//! Rules of this file
//! 1. One run at a time, and none that would leave its pool without a healthy backend.
//! 2. What clients noticed is the difference between two readings of the listeners that lead to the
//!    pool: when the run began, and when somebody first looks after its backend was healthy again
//!    (or a minute after the end, if it was not).
//! 3. When it was noticed and when it was over is read from the backend's history, whenever
//!    somebody looks. Nothing here waits or wakes.
//!
//! Not here: how a fault is played (`fairlead_flow`), and who may ask for it (Python: the
//! configuration has to allow it).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use fairlead_balance::timing::{Timings, BOUNDS};
use fairlead_balance::{BackendState, Pool};
use fairlead_flow::{ChaosRun, ListenerState, Snapshot};
use fairlead_model::chaos::{ChaosPlan, Fault, WHOLE};
use fairlead_model::health::Health;
use fairlead_model::moment::Moment;
use fairlead_model::plan::{ListenerPlan, Protocol};
use fairlead_model::reason;
use serde::Serialize;

use crate::clock::Clock;
use crate::engine::Unknown;

/// How long after its end a backend that doesn't come back is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// From here on people call an answer slow, if most are quicker.
const SLOW_SECONDS: f64 = 0.25;

/// What somebody wants to be played.
#[derive(Debug, Clone)]
pub struct ChaosWanted {
    /// The backend's pool.
    pub pool: String,
    /// Its address as configured.
    pub backend: String,
    /// What happens.
    pub fault: Fault,
    /// To how many attempts of [`WHOLE`].
    pub share: u32,
    /// For how long.
    pub long: Duration,
    /// How long answers are held back.
    pub delay: Duration,
    /// Whether a check's request gets errors, too.
    pub checks: bool,
}

/// Why it is not played.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChaosRefused {
    /// There is no such backend.
    Unknown(Unknown),
    /// Another run is under way, at this pool and backend.
    Running(String, String),
    /// No other backend of the pool is healthy.
    Alone(String),
    /// Errors can be played to requests alone, and no http listener leads to the pool.
    NoRequests(String),
    /// The engine has stopped.
    Stopped,
}

impl ChaosRefused {
    /// A word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            ChaosRefused::Unknown(_) => "unknown_backend",
            ChaosRefused::Running(..) => "chaos_running",
            ChaosRefused::Alone(_) => "no_healthy_other",
            ChaosRefused::NoRequests(_) => "no_requests",
            ChaosRefused::Stopped => "stopping",
        }
    }
}

impl fmt::Display for ChaosRefused {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ChaosRefused::Unknown(unknown) => unknown.fmt(out),
            ChaosRefused::Running(pool, backend) => {
                write!(out, "faults are being played at {pool}/{backend} already")
            }
            ChaosRefused::Alone(pool) => {
                write!(out, "no other backend of the pool `{pool}` is healthy")
            }
            ChaosRefused::NoRequests(pool) => {
                write!(out, "`error` is for requests, and no http listener leads to `{pool}`")
            }
            ChaosRefused::Stopped => write!(out, "it is stopping"),
        }
    }
}

/// A reading of what clients got.
#[derive(Debug, Clone, Default)]
struct Reading {
    served: u64,
    errors: BTreeMap<&'static str, u64>,
    timings: Timings,
}

/// A run, and what came of it so far.
#[derive(Debug)]
pub(crate) struct Chaos {
    pub(crate) run: Arc<ChaosRun>,
    state: Arc<BackendState>,
    ended: Option<Moment>,
    before: Reading,
    after: Option<Reading>,
    noticed: Option<(Moment, &'static str, String)>,
    restored: Option<Moment>,
}

/// It, for people and scripts.
#[derive(Debug, Serialize)]
pub(crate) struct ChaosStatus {
    pool: String,
    backend: String,
    fault: &'static str,
    share: f64,
    delay_ms: Option<u64>,
    checks: bool,
    started: String,
    seconds: f64,
    running: bool,
    seconds_left: f64,
    /// Whether the report is final.
    settled: bool,
    played: Times,
    played_checks: Times,
    noticed: Option<Noticed>,
    /// Seconds from the end until it was healthy.
    restored_after_seconds: Option<f64>,
    clients: Clients,
}

#[derive(Debug, Serialize)]
struct Times {
    of: u64,
    suffered: u64,
}

#[derive(Debug, Serialize)]
struct Noticed {
    after_seconds: f64,
    health: &'static str,
    why: String,
}

#[derive(Debug, Serialize)]
struct Clients {
    /// Requests (on tcp: connections) since it began.
    served: u64,
    failed: u64,
    errors: BTreeMap<&'static str, u64>,
    /// Who went before the answer had come: out of patience, perhaps.
    left: u64,
    /// What counts as slow here.
    slow_ms: f64,
    slow: u64,
    /// As many slow ones there would have been at the rate before.
    slow_expected: f64,
    p99_ms_before: Option<f64>,
}

impl Chaos {
    /// A run of what is wanted, if it may be.
    pub(crate) fn begin(
        wanted: ChaosWanted,
        snapshot: &Snapshot,
        now: Moment,
    ) -> Result<Chaos, ChaosRefused> {
        let ChaosWanted { pool, backend, fault, share, long, delay, checks } = wanted;
        let unknown =
            || ChaosRefused::Unknown(Unknown { pool: pool.clone(), backend: backend.clone() });
        let found = snapshot.pools().iter().find(|known| known.plan.name == pool);
        let known = found.ok_or_else(unknown)?;
        let state = known.backends().iter().find(|state| state.address() == backend);
        let state = Arc::clone(state.ok_or_else(unknown)?);
        if !has_healthy_other(known, &state) {
            return Err(ChaosRefused::Alone(pool));
        }
        let requests = leading_to(snapshot, &pool).any(|one| one.plan().protocol == Protocol::Http);
        if fault == Fault::Error && !requests {
            return Err(ChaosRefused::NoRequests(pool));
        }
        let before = Reading::of(snapshot, &pool);
        let share = share.min(WHOLE);
        let (from, until) = (now, now + long);
        let plan = ChaosPlan { pool, backend, fault, share, from, until, delay, checks };
        Ok(Chaos {
            run: Arc::new(ChaosRun::new(plan)),
            state,
            ended: None,
            before,
            after: None,
            noticed: None,
            restored: None,
        })
    }

    pub(crate) fn is_running(&self, now: Moment) -> bool {
        self.ended.is_none() && now < self.run.plan.until
    }

    /// Somebody ends it early.
    pub(crate) fn end(&mut self, now: Moment) {
        self.ended = Some(now);
    }

    /// Looks what became of it meanwhile.
    fn look(&mut self, snapshot: &Snapshot, now: Moment) {
        let plan = &self.run.plan;
        let history = self.state.history();
        let bad = |to: &str| to == Health::Suspect.name() || to == Health::Down.name();
        if self.noticed.is_none() {
            let first = history.iter().find(|change| change.at >= plan.from && bad(change.to));
            self.noticed = first.map(|change| (change.at, change.to, change.why.clone()));
        }
        if self.is_running(now) {
            return;
        }
        let end = self.ended.unwrap_or(plan.until);
        if self.restored.is_none() && self.state.health() == Health::Healthy {
            let back = |to: &str| to == Health::Healthy.name();
            let last = history.iter().rev().find(|change| back(change.to) || bad(change.to));
            self.restored = Some(last.map_or(end, |change| change.at.max(end)));
        }
        let settled = self.restored.is_some() || now >= end + PATIENCE;
        if settled && self.after.is_none() {
            self.after = Some(Reading::of(snapshot, &plan.pool));
        }
    }

    /// What there is to say of it now, unless that is final.
    pub(crate) fn open_status(&mut self, snapshot: &Snapshot, clock: Clock) -> Option<ChaosStatus> {
        if !self.is_settled() {
            self.look(snapshot, clock.now());
        }
        (!self.is_settled()).then(|| self.status(snapshot, clock))
    }

    /// Whether it is over, and all there is to say of it is said.
    fn is_settled(&self) -> bool {
        self.after.is_some()
    }

    /// What there is to say of it now.
    pub(crate) fn status(&mut self, snapshot: &Snapshot, clock: Clock) -> ChaosStatus {
        let now = clock.now();
        self.look(snapshot, now);
        let plan = &self.run.plan;
        let end = self.ended.unwrap_or(plan.until);
        let running = self.is_running(now);
        let reading = self.after.clone().unwrap_or_else(|| Reading::of(snapshot, &plan.pool));
        let [of, suffered, checks_of, checks_suffered] = self.run.played.counts();
        let noticed = self.noticed.as_ref().map(|(at, health, why)| Noticed {
            after_seconds: at.since(plan.from).as_secs_f64(),
            health,
            why: why.clone(),
        });
        ChaosStatus {
            pool: plan.pool.clone(),
            backend: plan.backend.clone(),
            fault: plan.fault.name(),
            share: f64::from(plan.share) / f64::from(WHOLE),
            delay_ms: (plan.fault == Fault::Delay).then_some(plan.delay.as_millis() as u64),
            checks: plan.checks || plan.fault != Fault::Error,
            started: clock.time_of_day(plan.from).rfc3339(),
            seconds: end.since(plan.from).as_secs_f64(),
            running,
            seconds_left: if running { end.since(now).as_secs_f64() } else { 0.0 },
            settled: self.is_settled(),
            played: Times { of, suffered },
            played_checks: Times { of: checks_of, suffered: checks_suffered },
            noticed,
            restored_after_seconds: self.restored.map(|at| at.since(end).as_secs_f64()),
            clients: Clients::between(&self.before, &reading),
        }
    }
}

/// Whether another backend of the pool takes traffic and is well.
fn has_healthy_other(pool: &Pool, target: &Arc<BackendState>) -> bool {
    let mut all = pool.backends().iter();
    all.any(|state| !Arc::ptr_eq(state, target) && state.is_well())
}

/// The listeners whose clients may get to a pool.
fn leading_to<'a>(
    snapshot: &'a Snapshot,
    pool: &'a str,
) -> impl Iterator<Item = &'a Arc<ListenerState>> {
    let is =
        move |index: usize| snapshot.pools().get(index).is_some_and(|one| one.plan.name == pool);
    let leads = move |plan: &ListenerPlan| {
        plan.pool.is_some_and(is) || plan.routes.iter().any(|route| is(route.pool))
    };
    snapshot.listeners().iter().filter(move |listener| leads(listener.plan()))
}

impl Reading {
    fn of(snapshot: &Snapshot, pool: &str) -> Reading {
        let mut reading = Reading::default();
        for listener in leading_to(snapshot, pool) {
            let stats = listener.stats();
            let of_http = listener.plan().protocol == Protocol::Http;
            reading.served += if of_http { stats.requests_total } else { stats.connections_total };
            for (code, count) in stats.reasons {
                *reading.errors.entry(code).or_default() += count;
            }
            // The backend's own errors are answers, and have no reason of ours.
            let own: u64 = stats
                .codes
                .iter()
                .filter(|(code, _)| code.starts_with('5'))
                .map(|(_, count)| count)
                .sum();
            *reading.errors.entry("5xx").or_default() += own;
            reading.timings.join(&listener.timings());
        }
        reading
    }
}

impl Clients {
    fn between(before: &Reading, after: &Reading) -> Clients {
        let p99 = before.timings.lately.quantile(0.99);
        let usual = p99.map_or(0.0, |p99| p99.as_secs_f64());
        let bound = BOUNDS.iter().position(|bound| *bound >= SLOW_SECONDS.max(usual));
        let bound = bound.unwrap_or(BOUNDS.len() - 1);
        let slow = |reading: &Reading| reading.timings.ever[bound + 1..].iter().sum::<u64>();
        let counted = after.timings.count().saturating_sub(before.timings.count());
        let share = slow(before) as f64 / before.timings.count().max(1) as f64;
        let count = |reading: &Reading, code: &str| reading.errors.get(code).copied().unwrap_or(0);
        let more = |code: &str| count(after, code).saturating_sub(count(before, code));
        let codes = after.errors.keys().copied();
        let mut errors: BTreeMap<_, _> = codes
            .filter(|code| !is_clients(code))
            .map(|code| (code, more(code)))
            .filter(|(_, more)| *more > 0)
            .collect();
        // An answer of ours is in both counts, whosever fault it was; what is left are answers of
        // backends.
        let ours: u64 =
            after.errors.keys().filter(|code| makes_5xx(code)).map(|code| more(code)).sum();
        if let Some(theirs) = errors.remove("5xx").map(|all| all.saturating_sub(ours)) {
            if theirs > 0 {
                errors.insert("backend_5xx", theirs);
            }
        }
        Clients {
            served: after.served.saturating_sub(before.served),
            failed: errors.values().sum(),
            left: more(reason::Reason::ClientGone.code()),
            errors,
            slow_ms: BOUNDS[bound] * 1_000.0,
            slow: slow(after).saturating_sub(slow(before)),
            slow_expected: (share * counted as f64 * 10.0).round() / 10.0,
            p99_ms_before: p99.map(|p99| (p99.as_secs_f64() * 1e5).round() / 100.0),
        }
    }
}

fn row(code: &str) -> Option<reason::Row> {
    reason::ALL.iter().map(|reason| reason.row()).find(|row| row.code == code)
}

/// Whether this end of a request is no failure of ours or a backend's.
fn is_clients(code: &str) -> bool {
    let harmless = [reason::Fault::Client, reason::Fault::Nobody];
    row(code).is_some_and(|row| harmless.contains(&row.fault))
}

fn makes_5xx(code: &str) -> bool {
    row(code).is_some_and(|row| row.status >= 500)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading<const N: usize>(errors: [(&'static str, u64); N]) -> Reading {
        Reading { errors: errors.into(), ..Reading::default() }
    }

    #[test]
    fn what_clients_did_wrong_is_nobody_elses_5xx() {
        let before = reading([("5xx", 2), ("no_backend", 1), ("not_implemented", 1)]);
        let after = reading([
            ("5xx", 9),
            ("no_backend", 2),
            ("not_implemented", 3),
            ("version_not_supported", 1),
            ("client_full", 1),
        ]);
        let clients = Clients::between(&before, &after);
        assert_eq!(clients.errors, [("backend_5xx", 2), ("no_backend", 1)].into());
        assert_eq!(clients.failed, 3);
    }
}
