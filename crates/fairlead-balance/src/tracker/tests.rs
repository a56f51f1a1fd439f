use std::time::Duration;

use super::*;
use crate::standing::Standing;
use crate::trial::TRIAL_PATIENCE;
use crate::trust::{FIRST_HOLD, FLAPPING, PROVING, UNTRIED};

const RULES: Rules = Rules { rise: 2, fall: 3, has_check: true, ejects: true };
const NO_CHECK: Rules = Rules { has_check: false, ..RULES };

fn at(seconds: u64) -> Moment {
    Moment::ZERO + Duration::from_secs(seconds)
}

fn evidence(origin: Origin, passed: bool) -> Evidence {
    let what = if passed { "passed" } else { "failed" };
    Evidence { origin, passed, what, detail: String::new() }
}

/// A tracker with its rules and its time, for short sentences.
struct Told {
    tracker: Tracker,
    rules: Rules,
    now: Moment,
}

impl Told {
    fn with(rules: Rules) -> Told {
        Told { tracker: Tracker::default(), rules, now: at(1_000) }
    }

    fn wait(&mut self, time: Duration) {
        self.now = self.now + time;
    }

    fn say(&mut self, origin: Origin, passed: bool, times: u32) -> Health {
        for _ in 0..times {
            self.tracker.observe(&evidence(origin, passed), &self.rules, self.now);
        }
        self.tracker.health()
    }

    fn check(&mut self, passed: bool) -> Health {
        self.say(Origin::Check, passed, 1)
    }

    fn traffic(&mut self, passed: bool) -> Health {
        self.say(Origin::Traffic, passed, 1)
    }

    fn trial(&mut self) -> Trial {
        self.tracker.claim_trial(&self.rules, Asker::Repeatable, self.now)
    }

    /// How long until a trial may be claimed, without claiming it.
    fn hold(&mut self) -> Duration {
        self.hold_of(Asker::Repeatable)
    }

    fn hold_of(&self, asker: Asker) -> Duration {
        match self.tracker.clone().claim_trial(&self.rules, asker, self.now) {
            Trial::NotBefore(due) => due.since(self.now),
            Trial::Claimed | Trial::UnderWay => Duration::ZERO,
            Trial::Never => Duration::MAX,
        }
    }

    fn misbehaves(&mut self, misdeed: Misdeed) -> Health {
        self.tracker.misbehaves(misdeed, ("misdeed", ""), &self.rules, self.now);
        self.tracker.health()
    }

    /// Goes down so often, each time as soon as trials have brought it back.
    fn flaps(&mut self, times: u32) {
        for _ in 0..times {
            self.say(Origin::Traffic, false, 3);
            while self.tracker.health() != Health::Healthy {
                self.tries(Asker::Protected, true);
            }
        }
    }

    /// A trial as soon as this asker may make one; says how long that took.
    fn tries(&mut self, asker: Asker, passed: bool) -> Duration {
        let hold = self.hold_of(asker);
        self.wait(hold);
        assert_eq!(self.tracker.claim_trial(&self.rules, asker, self.now), Trial::Claimed);
        self.traffic(passed);
        hold
    }

    /// So many protected trials that go well, each as soon as it may be made.
    fn tries_well(&mut self, times: u32) {
        for _ in 0..times {
            self.tries(Asker::Protected, true);
        }
    }
}

/// A tracker that has just got this health; from `Down`, by this origin.
fn tracker_in(health: Health, cause: Origin) -> Told {
    let mut told = Told::with(RULES);
    match (health, cause) {
        (Health::Unknown, _) => {}
        (Health::Healthy, _) => drop(told.check(true)),
        (Health::Suspect, Origin::Check) => drop(told.check(false)),
        (Health::Suspect, Origin::Traffic) => drop(told.traffic(false)),
        (Health::Down, origin) => drop(told.say(origin, false, 3)),
    }
    assert_eq!(told.tracker.health(), health);
    told
}

#[test]
fn every_row_of_the_table_of_checks() {
    use Health::{Down, Healthy, Suspect, Unknown};
    // from, cause, fail, failed `fall` times, pass, passed `rise` times
    let table = [
        (Unknown, Origin::Check, Suspect, Down, Healthy, Healthy),
        (Healthy, Origin::Check, Suspect, Down, Healthy, Healthy),
        (Suspect, Origin::Traffic, Suspect, Down, Healthy, Healthy),
        (Down, Origin::Check, Down, Down, Down, Healthy),
        (Down, Origin::Traffic, Down, Down, Down, Down),
    ];
    for (from, cause, fail, fell, pass, rose) in table {
        let say = |passed, times| tracker_in(from, cause).say(Origin::Check, passed, times);
        assert_eq!(say(false, 1), fail, "{from:?} {cause:?}: one fails");
        assert_eq!(say(false, 3), fell, "{from:?} {cause:?}: three fail");
        assert_eq!(say(true, 1), pass, "{from:?} {cause:?}: one passes");
        assert_eq!(say(true, 2), rose, "{from:?} {cause:?}: two pass");
    }
}

#[test]
fn every_row_of_the_table_of_traffic() {
    use Health::{Down, Healthy, Suspect, Unknown};
    // from, cause, fail, failed `fall` times, pass
    let table = [
        (Unknown, Origin::Check, Suspect, Down, Healthy),
        (Healthy, Origin::Check, Suspect, Down, Healthy),
        (Suspect, Origin::Check, Suspect, Down, Suspect),
        (Suspect, Origin::Traffic, Suspect, Down, Healthy),
        (Down, Origin::Check, Down, Down, Down),
        (Down, Origin::Traffic, Down, Down, Down),
    ];
    for (from, cause, fail, fell, pass) in table {
        let say = |passed, times| tracker_in(from, cause).say(Origin::Traffic, passed, times);
        assert_eq!(say(false, 1), fail, "{from:?} {cause:?}: one fails");
        assert_eq!(say(false, 3), fell, "{from:?} {cause:?}: three fail");
        assert_eq!(say(true, 1), pass, "{from:?} {cause:?}: one passes");
    }
}

#[test]
fn every_row_of_the_table_of_doubts() {
    use Health::{Down, Healthy, Suspect, Unknown};
    for (from, to) in [(Unknown, Suspect), (Healthy, Suspect), (Suspect, Suspect), (Down, Down)] {
        let mut told = tracker_in(from, Origin::Check);
        let change = told.tracker.doubt("connect late", "61 ms", told.now);
        assert_eq!(told.tracker.health(), to);
        assert_eq!(change.is_some(), from != to);
    }
}

#[test]
fn a_check_says_why() {
    let mut tracker = Tracker::default();
    let refused = Evidence {
        origin: Origin::Check,
        passed: false,
        what: "status 503",
        detail: "expected 200-399".to_owned(),
    };
    let change = tracker.observe(&refused, &RULES, at(5)).expect("the first failure is a change");
    assert_eq!(change.why, "check: status 503 (expected 200-399), 1 in a row");
    assert_eq!((tracker.why(), tracker.since()), (change.why.as_str(), Some(at(5))));
    assert_eq!(tracker.observe(&refused, &RULES, at(6)), None);
    let change = tracker.observe(&refused, &RULES, at(7)).expect("the third takes it down");
    assert_eq!(change.why, "check: status 503 (expected 200-399), 3 in a row");
}

#[test]
fn traffic_and_doubt_say_why() {
    let mut told = Told::with(RULES);
    let change = told.tracker.observe(&evidence(Origin::Traffic, false), &RULES, told.now);
    assert_eq!(change.expect("suspect").why, "traffic: failed, 1 in a row");
    told.traffic(true);
    let change = told.tracker.doubt("connect late", "61 ms", told.now).expect("suspect");
    assert_eq!(change.why, "traffic: connect late (61 ms), not counted as a failure");
}

#[test]
fn a_pass_in_between_starts_the_count_anew() {
    let mut told = Told::with(RULES);
    for _ in 0..5 {
        told.say(Origin::Check, false, 2);
        assert_eq!(told.check(true), Health::Healthy);
        told.say(Origin::Traffic, false, 2);
        assert_eq!(told.traffic(true), Health::Healthy);
    }
}

#[test]
fn a_check_page_that_is_well_does_not_hide_a_broken_application() {
    let mut told = Told::with(RULES);
    for _ in 0..2 {
        assert_eq!(told.traffic(false), Health::Suspect);
        assert_eq!(told.check(true), Health::Healthy);
    }
    assert_eq!(told.traffic(false), Health::Down);
    assert_eq!(told.say(Origin::Check, true, 100), Health::Down, "passes don't overrule traffic");
}

#[test]
fn doubts_never_add_up_to_a_failure() {
    let mut told = Told::with(RULES);
    for _ in 0..10 {
        told.tracker.doubt("connect late", "", told.now);
        assert_eq!(told.tracker.health(), Health::Suspect);
        assert_eq!(told.check(true), Health::Healthy);
    }
}

#[test]
fn what_traffic_took_out_comes_back_by_checks_if_those_failed_too() {
    for check_first in [true, false] {
        let mut told = Told::with(RULES);
        if check_first {
            told.check(false);
        }
        assert_eq!(told.say(Origin::Traffic, false, 3), Health::Down);
        if !check_first {
            told.check(false);
        }
        assert_eq!(told.say(Origin::Check, true, 2), Health::Healthy);
    }
}

#[test]
fn a_check_that_fails_too_takes_over() {
    let mut told = Told::with(RULES);
    told.say(Origin::Traffic, false, 3);
    assert_eq!(told.say(Origin::Check, false, 3), Health::Down);
    told.wait(Duration::from_secs(100));
    assert_eq!(told.trial(), Trial::Never);
    assert_eq!(told.say(Origin::Check, true, 2), Health::Healthy);
    assert_eq!(told.traffic(false), Health::Suspect, "its old failures are forgotten");
}

#[test]
fn what_the_check_took_down_gets_no_request() {
    let mut told = Told::with(RULES);
    told.say(Origin::Check, false, 3);
    told.wait(Duration::from_secs(1_000_000));
    for asker in [Asker::Repeatable, Asker::Unrepeatable, Asker::Last] {
        assert_eq!(told.tracker.claim_trial(&told.rules, asker, told.now), Trial::Never);
    }
}

#[test]
fn a_check_that_was_configured_away_holds_nobody_down() {
    let mut told = Told::with(RULES);
    told.say(Origin::Check, false, 3);
    told.rules = NO_CHECK;
    told.wait(FIRST_HOLD);
    assert_eq!(told.trial(), Trial::Claimed);
    assert_eq!(told.traffic(true), Health::Healthy);
    let mut told = Told::with(RULES);
    told.check(false);
    told.rules = NO_CHECK;
    assert_eq!(told.traffic(true), Health::Healthy);
}

#[test]
fn what_was_seen_is_forgotten_when_the_operator_says_so() {
    for origin in [Origin::Check, Origin::Traffic] {
        let mut told = tracker_in(Health::Down, origin);
        let change = told.tracker.forget(told.now).expect("it was down");
        assert_eq!((change.from, change.to), (Health::Down, Health::Unknown));
        assert_eq!(told.tracker.why(), "operator: what was seen is forgotten");
        assert_eq!(told.tracker.since(), Some(told.now));
        // It begins anew: as many failures as ever take it down again.
        assert_eq!(told.say(origin, false, 2), Health::Suspect);
        assert_eq!(told.say(origin, false, 1), Health::Down);
    }
    assert_eq!(Tracker::default().forget(at(1)), None);
}

#[test]
fn what_it_did_before_its_check_took_it_down_is_over_when_that_passes() {
    let mut told = Told::with(RULES);
    for _ in 0..3 {
        told.misbehaves(Misdeed::Error);
        told.say(Origin::Check, false, RULES.fall);
        told.wait(FLAPPING / 2);
        assert_eq!(told.say(Origin::Check, true, RULES.rise), Health::Healthy);
    }
    told.misbehaves(Misdeed::Error);
    told.say(Origin::Check, false, RULES.fall);
    assert_eq!(told.say(Origin::Check, true, RULES.rise), Health::Suspect, "it flaps");
    // Sooner or later makes no difference to what ends that.
    told.wait(FLAPPING);
    assert_eq!(told.check(true), Health::Healthy);
}

mod misdeeds;
mod trials;
