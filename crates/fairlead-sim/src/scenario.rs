//! What would clients see? One pool of a real configuration, in a world where one thing goes wrong.
//!
//! Rules of this file
//! 1. The pool is as configured: policy, weights, groups, checks, time-outs, retries, hedges, slow
//!    start. What stands behind it is made up: backends that answer well, after about the time that
//!    was asked for, and one of them (or all) with one fault for a while. A policy in Python is not
//!    asked (round-robin picks); checks by command or in Python pass where somebody answers.
//! 2. Clients make requests at a steady rate, each on a connection that they keep; with the
//!    methods that were asked for.
//! 3. What counts is what they see: no answer, an answer that is an error, or a late one.
//!
//! Not here: which faults there are in words, and the report for people (Python).

use std::collections::BTreeMap;
use std::time::Duration;

use fairlead_model::event::Event;
use fairlead_model::health::Health;
use fairlead_model::moment::Moment;
use fairlead_model::plan::Plan;

use crate::report::{Outcome, Report, Request};
use crate::run::run;
use crate::setting::{Setting, Trouble};

/// Backends that a world has room for.
pub const BACKENDS_MOST: usize = 200;

/// How long all is well before the fault begins.
pub const BEFORE: Duration = Duration::from_secs(5);

/// How long the world goes on after the fault has ended.
pub const AFTER: Duration = Duration::from_secs(15);

/// An answer that takes so much longer than usual is noticed.
pub const NOTICED: Duration = Duration::from_millis(250);

/// What a long poll takes.
pub const POLL: Duration = Duration::from_secs(5);

/// Reads, and now and then something that may not be sent twice.
pub const MIXED: &[&str] = &["GET", "GET", "GET", "GET", "POST"];

/// What is to be played.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// The configuration.
    pub plan: Plan,
    /// Which of its pools.
    pub pool: usize,
    /// Which of the pool's backends the fault befalls; `None` for all of them.
    pub backend: Option<usize>,
    /// What goes wrong; `None` for nothing.
    pub fault: Option<Trouble>,
    /// It comes and goes, so long each; `None` if it stays.
    pub flaps: Option<Duration>,
    /// How long.
    pub lasts: Duration,
    /// Requests per second.
    pub rate: u32,
    /// Their methods, in turn; [`MIXED`] is what most sites see.
    pub methods: &'static [&'static str],
    /// What answers take on average.
    pub usual: Duration,
    /// One in a hundred takes so many times as long.
    pub tail: u32,
    /// Clients that do nothing but wait for answers which take [`POLL`], on every backend.
    pub polls: u32,
    /// Where chance comes from.
    pub seed: u64,
}

impl Scenario {
    /// Nothing goes wrong with the first pool of a configuration, for 10 s of 50 requests a second.
    pub fn of(plan: Plan) -> Scenario {
        Scenario {
            plan,
            pool: 0,
            backend: None,
            fault: None,
            flaps: None,
            lasts: Duration::from_secs(10),
            rate: 50,
            methods: MIXED,
            usual: Duration::from_millis(5),
            tail: 1,
            polls: 0,
            seed: 0,
        }
    }
}

/// What clients saw, and what the balancer made of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Seen {
    /// Requests made.
    pub requests: usize,
    /// Those that had no answer, or an error for one.
    pub failed: usize,
    /// Those of them that may not be sent twice.
    pub failed_posts: usize,
    /// Answered well, and later than [`NOTICED`].
    pub late: usize,
    /// The slowest good answer.
    pub slowest: Duration,
    /// From the beginning of the fault to that of the last request that failed or was late.
    pub trouble: Option<Duration>,
    /// From the end of the fault until the backend had a request again.
    pub back: Option<Duration>,
    /// From the end of the fault until the backend was healthy for good, if it is in the end.
    pub restored: Option<Duration>,
    /// How each that failed ended.
    pub reasons: BTreeMap<String, usize>,
}

impl Seen {
    /// Takes what was seen in another world: sums, and the worst of each time.
    pub fn add(&mut self, other: Seen) {
        let first = self.requests == 0;
        self.requests += other.requests;
        self.failed += other.failed;
        self.failed_posts += other.failed_posts;
        self.late += other.late;
        self.slowest = self.slowest.max(other.slowest);
        self.trouble = self.trouble.max(other.trouble);
        self.back = worst(first, self.back, other.back);
        self.restored = worst(first, self.restored, other.restored);
        for (reason, count) in other.reasons {
            *self.reasons.entry(reason).or_default() += count;
        }
    }
}

/// The later of two times; never, if one of them is never. `first`: there is no other one yet.
fn worst(first: bool, one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
    if first {
        other
    } else {
        one.zip(other).map(|(one, other)| one.max(other))
    }
}

/// Plays it.
///
/// # Errors
///
/// A text, if there is no such pool or backend, or more backends than [`BACKENDS_MOST`]; or if
/// something happened that can't be right in any world.
pub fn play(scenario: &Scenario) -> Result<Seen, String> {
    let report = watch(scenario)?;
    match report.faults.first() {
        Some(fault) => Err(format!("the world went wrong: {fault}")),
        None => Ok(seen(scenario, &report)),
    }
}

/// Plays it, and says all that happened.
///
/// # Errors
///
/// A text, if there is no such pool or backend, or more backends than [`BACKENDS_MOST`].
pub fn watch(scenario: &Scenario) -> Result<Report, String> {
    Setting::scenario(scenario).map(run)
}

fn seen(scenario: &Scenario, report: &Report) -> Seen {
    let begin = Moment::ZERO + BEFORE;
    let end = begin + scenario.lasts;
    let mut seen = Seen::default();
    for request in &report.requests {
        let took = request.ended.since(request.began).saturating_sub(request.own_time);
        let failure = failure(request);
        seen.requests += 1;
        let late = took > NOTICED + scenario.usual * 4;
        if let Some(reason) = &failure {
            seen.failed += 1;
            seen.failed_posts += usize::from(request.method == "POST");
            *seen.reasons.entry(reason.clone()).or_default() += 1;
        } else {
            seen.late += usize::from(late);
            seen.slowest = seen.slowest.max(took);
        }
        if failure.is_some() || late {
            seen.trouble = seen.trouble.max(Some(request.began.since(begin)));
        }
    }
    let there = |host: usize| scenario.backend.is_none_or(|backend| backend == host);
    let deliveries = report.deliveries.values().flatten().filter(|one| there(one.host));
    let times = deliveries.filter_map(|delivery| delivery.services.first()).map(|(when, _)| *when);
    seen.back = times.filter(|when| *when > end).min().map(|when| when.since(end));
    seen.restored = restored(scenario, report, end);
    seen
}

fn restored(scenario: &Scenario, report: &Report, end: Moment) -> Option<Duration> {
    let there = |address: &str| {
        scenario
            .backend
            .is_none_or(|nth| scenario.plan.pools[scenario.pool].backends[nth].address == address)
    };
    let mut last = BTreeMap::new();
    for (when, _, event) in &report.events {
        let Event::Health { backend, to, .. } = event else { continue };
        if there(backend) {
            last.insert(backend, (*when, *to));
        }
    }
    last.values().try_fold(Duration::ZERO, |latest, (when, health)| {
        (*health == Health::Healthy).then(|| latest.max(when.since(end)))
    })
}

/// How a request failed, if it did.
fn failure(request: &Request) -> Option<String> {
    match &request.outcome {
        Outcome::Answered { status, .. } if *status >= 500 => Some(format!("answered {status}")),
        Outcome::Answered { .. } | Outcome::Left => None,
        Outcome::Refused { status, code } => Some(format!("{status} {code}")),
        Outcome::Broken { after_head: true, .. } => Some("cut off in its answer".to_owned()),
        Outcome::Broken { .. } | Outcome::Stale => Some("connection closed".to_owned()),
    }
}
