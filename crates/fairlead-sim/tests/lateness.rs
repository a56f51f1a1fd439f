//! What lateness costs, and what is done about it: hedges that help, and none that only add load.
//! The numbers are what `fairlead http A B C --check /health` promises with all other options at
//! their defaults.

use std::time::Duration;

use fairlead_model::event::Event;
use fairlead_model::health::Health;
use fairlead_model::moment::Moment;
use fairlead_model::plan::CheckKind;
use fairlead_sim::scenario::{watch, Scenario, BEFORE, POLL};
use fairlead_sim::{Outcome, Report, Request, Service, Setting, Trouble};

const MS: Duration = Duration::from_millis(1);

fn usual() -> Scenario {
    let plan = Setting::quiet(MS, Duration::from_secs(1), (1, "GET"), 0).plan;
    Scenario { methods: &["GET"], ..Scenario::of(plan) }
}

/// The same checked by requests, by connects, and not at all: what is seen of traffic must do. One
/// seed each, but three of the first, which is what most have.
fn however_checked() -> [Scenario; 5] {
    let (tcp, none) = (Some(CheckKind::Tcp), Some(CheckKind::None));
    [(0, None), (1, None), (2, None), (0, tcp), (0, none)].map(|(seed, other)| {
        let mut scenario = Scenario { seed, ..usual() };
        if let Some(kind) = other {
            scenario.plan.pools[0].check.kind = kind;
        }
        scenario
    })
}

fn played(scenario: &Scenario) -> Report {
    let report = watch(scenario).expect("it can be played");
    assert_eq!(report.faults, Vec::<String>::new());
    report
}

fn took(request: &Request) -> Duration {
    request.ended.since(request.began)
}

fn is_answered(request: &Request) -> bool {
    matches!(request.outcome, Outcome::Answered { status, .. } if status < 500)
}

/// How often these were executed, on average.
fn executions<'a>(report: &Report, requests: impl Iterator<Item = &'a Request>) -> f64 {
    let (mut count, mut executed) = (0, 0);
    for request in requests {
        let deliveries = report.deliveries.get(&request.id).into_iter().flatten();
        count += 1;
        executed += deliveries
            .filter(|one| one.services.iter().any(|(_, service)| *service == Service::Executed))
            .count();
    }
    executed as f64 / f64::from(count.max(1))
}

fn went_down(report: &Report) -> Vec<String> {
    let downs = report.events.iter().filter_map(|(when, _, event)| match event {
        Event::Health { backend, to: Health::Down, why, .. } => {
            Some(format!("{backend} at {when:?}: {why}"))
        }
        _ => None,
    });
    downs.collect()
}

#[test]
fn all_slow_at_once_is_nobodys_fault_and_adds_little_load() {
    for usual in however_checked() {
        let seed = usual.seed;
        let scenario = Scenario {
            fault: Some(Trouble::Lags(500)),
            lasts: Duration::from_secs(30),
            rate: 200,
            ..usual
        };
        let report = played(&scenario);
        let (from, until) = (Moment::ZERO + BEFORE, Moment::ZERO + BEFORE + scenario.lasts);
        let slow = || report.requests.iter().filter(|one| one.began >= from && one.began < until);
        assert!(slow().count() > 1_000 && slow().all(is_answered));
        let times = executions(&report, slow());
        assert!(times <= 1.02, "seed {seed}: {times:.4} executions each");
        assert_eq!(went_down(&report), Vec::<String>::new(), "seed {seed}");
    }
}

#[test]
fn a_tail_on_every_backend_is_cut_off_for_few_requests_more() {
    for usual in however_checked() {
        let seed = usual.seed;
        let run = |hedge: bool| {
            let mut scenario = Scenario {
                lasts: Duration::from_secs(60),
                rate: 200,
                usual: MS * 10,
                tail: 100,
                ..usual.clone()
            };
            scenario.plan.pools[0].retry.hedge = hedge;
            let report = played(&scenario);
            assert_eq!(went_down(&report), Vec::<String>::new(), "seed {seed}");
            let mut times: Vec<_> = report.requests.iter().map(took).collect();
            times.sort_unstable();
            let executions = executions(&report, report.requests.iter());
            (times[times.len() * 999 / 1_000], executions)
        };
        let ((with, more), (without, once)) = (run(true), run(false));
        let what = format!("seed {seed}: p99.9 {without:?} and {with:?}, {once} and {more} times");
        assert!(without >= with * 5, "{what}");
        assert!(more <= once * 1.03, "{what}");
    }
}

#[test]
fn what_is_stuck_on_a_frozen_backend_is_answered_within_a_quarter_of_a_second() {
    for usual in however_checked() {
        let seed = usual.seed;
        let mut scenario = Scenario {
            backend: Some(1),
            fault: Some(Trouble::Frozen),
            lasts: Duration::from_secs(4),
            rate: 1_000,
            usual: MS * 2,
            ..usual
        };
        scenario.plan.pools[0].backends.truncate(2);
        let report = played(&scenario);
        let frozen = Moment::ZERO + BEFORE;
        let hedged = |one: &&Request| {
            let sends = report.sends.get(&one.id).map_or(0, Vec::len);
            one.ended >= frozen && one.ended < frozen + MS * 500 && sends > 1
        };
        let stuck = report.requests.iter().filter(hedged).count();
        assert!(stuck >= 20, "seed {seed}: {stuck} were stuck");
        let slowest = report.requests.iter().map(took).max();
        assert!(report.requests.iter().all(is_answered));
        assert!(slowest.is_some_and(|time| time <= MS * 250), "seed {seed}: {slowest:?}");
    }
}

#[test]
fn long_polls_are_left_in_peace() {
    for usual in however_checked() {
        let seed = usual.seed;
        let scenario = Scenario { lasts: POLL * 26, rate: 50, polls: 20, ..usual };
        let report = played(&scenario);
        let polls = || report.requests.iter().filter(|one| took(one) >= POLL / 2);
        assert!(polls().count() > 400, "seed {seed}: {}", polls().count());
        assert!(report.requests.iter().all(is_answered), "seed {seed}");
        let times = executions(&report, polls());
        assert!(times <= 1.05, "seed {seed}: {times:.3} executions each");
        assert_eq!(went_down(&report), Vec::<String>::new(), "seed {seed}");
        let quick = report.requests.iter().filter(|one| took(one) < POLL / 2);
        assert!(quick.map(took).all(|time| time <= MS * 250), "seed {seed}");
    }
}
