//! The same numbers as text for Prometheus and whatever else reads its format.
//!
//! Rules of this file
//! 1. Names begin with `fairlead_`; counters end in `_total`, units are base units and stand in the
//!    name. A name or a label, once told, keeps its meaning.
//! 2. A family's samples stand together, and each label set comes once.
//! 3. What is counted is told as it is; sums over backends are left to the reader, because a
//!    backend that leaves would make a sum shrink.
//!
//! Two dialects: the Prometheus text format 0.0.4, and `OpenMetrics` 1.0, which names a counter's
//! family without `_total` and ends in `# EOF`. The caller appends that line, after what it has to
//! add itself.
//!
//! Not here: what is counted (balance, flow), who may read it (Python).

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use fairlead_balance::tally::{COUNTS, FAMILIES};
use fairlead_balance::timing::{Timings, BOUNDS};
use fairlead_balance::{BackendState, BackendStats, Pool};
use fairlead_flow::{ListenerState, ListenerStats, Snapshot};
use fairlead_model::backend::Wish;
use fairlead_model::health::Health;
use fairlead_model::moment::Moment;

use crate::board::Board;
use crate::events::Events;
use crate::log::LogStats;
use crate::memory::Memory;
use crate::policy::Desks;

/// Which of the two formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// The text format that Prometheus has always read.
    Prometheus,
    /// Its standard.
    OpenMetrics,
}

/// What a family is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// A family whose samples have no labels but those of what they are about.
type Plain<T> = (&'static str, Kind, &'static str, fn(&T) -> f64);

/// A family whose samples tell two results apart.
type Paired = (&'static str, &'static str, fn(&BackendStats) -> [(&'static str, u64); 2]);

/// What the engine knows beside the snapshot.
pub(crate) struct Around<'a> {
    pub(crate) board: &'a Board,
    pub(crate) events: &'a Events,
    pub(crate) desks: &'a Desks,
    pub(crate) memory: &'a Memory,
    pub(crate) log: Option<LogStats>,
    pub(crate) now: Moment,
}

/// The text of all there is to say.
pub(crate) fn render(snapshot: Option<&Snapshot>, around: &Around<'_>, dialect: Dialect) -> String {
    let mut text = Text { out: String::new(), dialect };
    let listeners = snapshot.map_or(&[][..], Snapshot::listeners);
    let pools = snapshot.map_or(&[][..], Snapshot::pools);
    let listeners: Vec<_> = listeners.iter().map(|state| Heard::of(state)).collect();
    render_listeners(&mut text, &listeners);
    render_pools(&mut text, pools);
    render_groups(&mut text, pools);
    render_policies(&mut text, pools, around.desks);
    let backends = pools.iter().flat_map(|pool| pool.backends());
    let backends: Vec<_> = backends.map(|state| Seen::of(state, around.now)).collect();
    render_backends(&mut text, &backends);
    render_process(&mut text, around);
    text.out
}

/// One listener, read once.
struct Heard {
    labels: String,
    limit: u32,
    stats: ListenerStats,
    timings: Timings,
    is_http: bool,
}

impl Heard {
    fn of(state: &ListenerState) -> Heard {
        use fairlead_model::plan::Protocol;
        Heard {
            labels: labels(&[("listener", &state.plan().name)]),
            limit: state.connections_limit(),
            stats: state.stats(),
            timings: state.timings(),
            is_http: state.plan().protocol == Protocol::Http,
        }
    }
}

fn render_listeners(text: &mut Text, listeners: &[Heard]) {
    text.family("requests", Kind::Counter, "Requests that were answered, by status code");
    for each in listeners {
        for (code, count) in &each.stats.codes {
            text.sample("requests_total", &with(&each.labels, "code", code), *count as f64);
        }
    }
    let help = "From the whole head of a request to the end of its answer";
    text.family("request_duration_seconds", Kind::Histogram, help);
    for each in listeners.iter().filter(|each| each.is_http) {
        text.histogram("request_duration_seconds", &each.labels, &each.timings);
    }
    text.family("errors", Kind::Counter, "Requests and connections that ended badly, by reason");
    for each in listeners {
        for (reason, count) in &each.stats.reasons {
            text.sample("errors_total", &with(&each.labels, "reason", reason), *count as f64);
        }
    }
    let plain: [Plain<Heard>; 5] = [
        ("connections_active", Kind::Gauge, "Client connections that are open", |each| {
            f64::from(each.stats.connections_active)
        }),
        ("connections_limit", Kind::Gauge, "Client connections that may be open at once", |each| {
            f64::from(each.limit)
        }),
        ("connections", Kind::Counter, "Client connections that were accepted", |each| {
            each.stats.connections_total as f64
        }),
        ("received_bytes", Kind::Counter, "Bytes received from clients", |each| {
            each.stats.bytes_in as f64
        }),
        ("sent_bytes", Kind::Counter, "Bytes sent to clients", |each| each.stats.bytes_out as f64),
    ];
    for (name, kind, help, value) in plain {
        let sample = text.family(name, kind, help);
        for each in listeners {
            text.sample(&sample, &each.labels, value(each));
        }
    }
}

fn render_pools(text: &mut Text, pools: &[Arc<Pool>]) {
    let of = |pool: &Arc<Pool>| {
        let backends = pool.backends().iter().filter(|state| is_available(state)).count();
        (labels(&[("pool", &pool.plan.name)]), pool.tallies(), backends)
    };
    let pools: Vec<_> = pools.iter().map(of).collect();
    let available = "Backends of the pool that may get new traffic";
    let sample = text.family("pool_backends_available", Kind::Gauge, available);
    for (labels, _, available) in &pools {
        text.sample(&sample, labels, *available as f64);
    }
    let help = "Tries that followed a failed one, by the reason of the failure";
    text.family("retries", Kind::Counter, help);
    for (labels, tallies, _) in &pools {
        for (reason, count) in &tallies.retries {
            text.sample("retries_total", &with(labels, "reason", reason), *count as f64);
        }
    }
    for (family, help) in FAMILIES {
        let sample = text.family(family, Kind::Counter, help);
        for (labels, tallies, _) in &pools {
            for ((of, result), count) in COUNTS.iter().zip(tallies.counts) {
                if of == family {
                    text.sample(&sample, &with(labels, "result", result), count as f64);
                }
            }
        }
    }
    let help = "What is left of the budget for sending late requests twice";
    let sample = text.family("budget_tokens", Kind::Gauge, help);
    for (labels, tallies, _) in &pools {
        text.sample(&sample, labels, tallies.tokens);
    }
}

/// Who is of which group, and how many of each may be used: what takes over, and from whom.
fn render_groups(text: &mut Text, pools: &[Arc<Pool>]) {
    let group = |number: u16| number.to_string();
    let help = "Backends of the group that may get new traffic";
    let sample = text.family("group_backends_available", Kind::Gauge, help);
    for pool in pools {
        let mut available = BTreeMap::<u16, usize>::new();
        for (plan, state) in pool.plan.backends.iter().zip(pool.backends()) {
            *available.entry(plan.group).or_default() += usize::from(is_available(state));
        }
        for (number, count) in available {
            let labels = labels(&[("pool", &pool.plan.name), ("group", &group(number))]);
            text.sample(&sample, &labels, count as f64);
        }
    }
    let help = "Which group each backend is of; always 1";
    let sample = text.family("backend_info", Kind::Gauge, help);
    for pool in pools {
        for plan in &pool.plan.backends {
            let of = [
                ("pool", &*pool.plan.name),
                ("backend", &*plan.address),
                ("group", &*group(plan.group)),
            ];
            text.sample(&sample, &labels(&of), 1.0);
        }
    }
}

fn render_policies(text: &mut Text, pools: &[Arc<Pool>], desks: &Desks) {
    let desk = |pool: &Arc<Pool>| {
        let name = &pool.plan.name;
        Some((labels(&[("pool", name)]), desks.find(name)?.status()))
    };
    let desks: Vec<_> = pools.iter().filter_map(desk).collect();
    let help = "Rounds of scores that a policy in Python was asked for";
    let sample = text.family("policy_scores", Kind::Counter, help);
    for (labels, status) in &desks {
        for (result, count) in status.rounds() {
            text.sample(&sample, &with(labels, "result", result), count as f64);
        }
    }
    let help = "1 while a policy in Python has been at one call for a second or more";
    let sample = text.family("policy_stuck", Kind::Gauge, help);
    for (labels, status) in &desks {
        text.sample(&sample, labels, f64::from(u8::from(status.is_stuck())));
    }
}

/// One backend, read once.
struct Seen {
    labels: String,
    stats: BackendStats,
    timings: Timings,
    became: [(&'static str, u64); 3],
}

impl Seen {
    fn of(state: &Arc<BackendState>, now: Moment) -> Seen {
        Seen {
            labels: labels(&[("pool", state.pool()), ("backend", state.address())]),
            stats: state.stats(now),
            timings: state.timings(),
            became: state.became(),
        }
    }
}

fn is_available(state: &BackendState) -> bool {
    let wanted = state.wish() == Wish::Enabled && state.weight() > 0;
    wanted && state.health() != Health::Down
}

const OF_BACKENDS: [Plain<BackendStats>; 8] = [
    (
        "backend_up",
        Kind::Gauge,
        "1 unless the backend is down, whatever the operator wants",
        |all| f64::from(u8::from(all.health != Health::Down)),
    ),
    ("backend_enabled", Kind::Gauge, "1 if the operator wants the backend to get traffic", |all| {
        f64::from(u8::from(all.wish == Wish::Enabled))
    }),
    ("backend_weight", Kind::Gauge, "Weight of the backend in its group", |all| {
        f64::from(all.weight)
    }),
    ("backend_active", Kind::Gauge, "Requests or connections in flight to it", |all| {
        f64::from(all.active)
    }),
    ("backend_requests", Kind::Counter, "Requests or connections that it answered", |all| {
        all.requests as f64
    }),
    ("backend_received_bytes", Kind::Counter, "Bytes received from the backend", |all| {
        all.bytes_in as f64
    }),
    ("backend_sent_bytes", Kind::Counter, "Bytes sent to the backend", |all| all.bytes_out as f64),
    ("backend_connect_late_seconds", Kind::Gauge, "When a connect to it counts as late", |all| {
        all.connect_late_ms / 1_000.0
    }),
];

fn render_backends(text: &mut Text, backends: &[Seen]) {
    for (name, kind, help, value) in OF_BACKENDS {
        let sample = text.family(name, kind, help);
        for each in backends {
            text.sample(&sample, &each.labels, value(&each.stats));
        }
    }
    let help = "Attempts that failed by the backend's fault, by reason";
    text.family("backend_failures", Kind::Counter, help);
    for each in backends {
        for (reason, count) in &each.stats.failures_by_reason {
            let labels = with(&each.labels, "reason", reason);
            text.sample("backend_failures_total", &labels, *count as f64);
        }
    }
    let pairs: [Paired; 2] = [
        ("backend_checks", "Checks of the backend, by result", |all| {
            [("passed", all.checks_passed), ("failed", all.checks_failed)]
        }),
        ("backend_connects", "Connects to the backend, by result", |all| {
            [("passed", all.connects), ("failed", all.connect_failures)]
        }),
    ];
    for (name, help, results) in pairs {
        let sample = text.family(name, Kind::Counter, help);
        for each in backends {
            for (result, count) in results(&each.stats) {
                text.sample(&sample, &with(&each.labels, "result", result), count as f64);
            }
        }
    }
    let help = "How often the backend's health became this";
    text.family("backend_health_changes", Kind::Counter, help);
    for each in backends {
        for (health, count) in each.became {
            let labels = with(&each.labels, "to", health);
            text.sample("backend_health_changes_total", &labels, count as f64);
        }
    }
    let help = "From a request's last byte to the head of its answer; on tcp, of the connect";
    text.family("backend_response_seconds", Kind::Histogram, help);
    for each in backends {
        text.histogram("backend_response_seconds", &each.labels, &each.timings);
    }
}

fn render_process(text: &mut Text, around: &Around<'_>) {
    let help = "Client connections of each worker";
    let sample = text.family("worker_connections_active", Kind::Gauge, help);
    for (worker, clients) in around.board.clients().into_iter().enumerate() {
        text.sample(&sample, &labels(&[("worker", &worker.to_string())]), clients as f64);
    }
    let log = around.log.map_or([0, 0], LogStats::written_and_lost);
    let sample = text.family("access_log_lines", Kind::Counter, "Lines of the access log");
    for (result, count) in ["written", "lost"].into_iter().zip(log) {
        text.sample(&sample, &labels(&[("result", result)]), count as f64);
    }
    let plain = [
        ("panics", "Faults inside that cost a connection", around.events.panics()),
        (
            "accept_pauses",
            "How often accepting paused because descriptors had run out",
            around.events.pauses(),
        ),
    ];
    for (name, help, count) in plain {
        let sample = text.family(name, Kind::Counter, help);
        text.sample(&sample, "", count as f64);
    }
    let (_, limit) = around.memory.used_and_limit();
    if limit > 0 {
        let sample = text.family("memory_limit_bytes", Kind::Gauge, "Memory that may be in use");
        text.sample(&sample, "", limit as f64);
    }
    let sample = text.family("uptime_seconds", Kind::Gauge, "How long the engine has been there");
    text.sample(&sample, "", around.now.since(Moment::ZERO).as_secs_f64());
}

/// What has been written so far.
struct Text {
    out: String,
    dialect: Dialect,
}

/// Writing to a string can't fail.
const CERTAIN: &str = "a string takes everything";

impl Text {
    /// Begins a family; answers the name of its samples, without the prefix.
    fn family(&mut self, name: &str, kind: Kind, help: &str) -> String {
        let sample = if kind == Kind::Counter { format!("{name}_total") } else { name.to_owned() };
        let family = if self.dialect == Dialect::OpenMetrics { name } else { &sample };
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        write!(self.out, "# HELP fairlead_{family} {help}.\n# TYPE fairlead_{family} {kind}\n")
            .expect(CERTAIN);
        sample
    }

    fn sample(&mut self, name: &str, labels: &str, value: f64) {
        if labels.is_empty() {
            writeln!(self.out, "fairlead_{name} {value}").expect(CERTAIN);
        } else {
            writeln!(self.out, "fairlead_{name}{{{labels}}} {value}").expect(CERTAIN);
        }
    }

    fn histogram(&mut self, name: &str, labels: &str, timings: &Timings) {
        let bucket = format!("{name}_bucket");
        let mut below = 0;
        for (bound, count) in BOUNDS.iter().zip(timings.ever) {
            below += count;
            // "1.0", as both formats have it, also where Rust writes "1".
            self.sample(&bucket, &with(labels, "le", &format!("{bound:?}")), below as f64);
        }
        let all = timings.count();
        self.sample(&bucket, &with(labels, "le", "+Inf"), all as f64);
        self.sample(&format!("{name}_sum"), labels, timings.total.as_secs_f64());
        self.sample(&format!("{name}_count"), labels, all as f64);
    }
}

fn labels(pairs: &[(&str, &str)]) -> String {
    pairs.iter().fold(String::new(), |labels, (name, value)| with(&labels, name, value))
}

/// Labels with one more.
fn with(labels: &str, name: &str, value: &str) -> String {
    let comma = if labels.is_empty() { "" } else { "," };
    let mut out = format!("{labels}{comma}{name}=\"");
    for character in value.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped() {
        assert_eq!(labels(&[("a", "x\"y\\z\n"), ("b", "1")]), r#"a="x\"y\\z\n",b="1""#);
    }

    #[test]
    fn a_counter_is_named_as_its_dialect_wants_it() {
        for (dialect, family) in
            [(Dialect::Prometheus, "panics_total"), (Dialect::OpenMetrics, "panics")]
        {
            let mut text = Text { out: String::new(), dialect };
            let sample = text.family("panics", Kind::Counter, "Faults");
            text.sample(&sample, "", 2.0);
            let wanted = format!(
                "# HELP fairlead_{family} Faults.\n# TYPE fairlead_{family} counter\n\
                 fairlead_panics_total 2\n"
            );
            assert_eq!(text.out, wanted);
        }
    }

    #[test]
    fn buckets_are_cumulative() {
        let timing = fairlead_balance::timing::Timing::default();
        timing.record(std::time::Duration::from_millis(2));
        timing.record(std::time::Duration::from_secs(60));
        let mut timings = Timings::default();
        timings.add(&timing);
        let mut text = Text { out: String::new(), dialect: Dialect::Prometheus };
        text.histogram("t_seconds", "", &timings);
        let lines: Vec<_> = text.out.lines().collect();
        assert_eq!(lines[0], r#"fairlead_t_seconds_bucket{le="0.001"} 0"#);
        assert_eq!(lines[1], r#"fairlead_t_seconds_bucket{le="0.0025"} 1"#);
        assert_eq!(lines[9], r#"fairlead_t_seconds_bucket{le="1.0"} 1"#);
        assert_eq!(lines[14], r#"fairlead_t_seconds_bucket{le="+Inf"} 2"#);
        assert_eq!(lines[15..], ["fairlead_t_seconds_sum 60.002", "fairlead_t_seconds_count 2"]);
    }
}
