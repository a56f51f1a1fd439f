use std::time::Duration;

use super::*;
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
fn a_trial_that_passes_brings_back_what_traffic_took_down() {
    for rules in [RULES, NO_CHECK] {
        let mut told = Told::with(rules);
        assert_eq!(told.say(Origin::Traffic, false, 3), Health::Down);
        assert_eq!(told.trial(), Trial::NotBefore(told.now + FIRST_HOLD));
        told.wait(FIRST_HOLD);
        assert_eq!(told.trial(), Trial::Claimed);
        assert_eq!(told.traffic(true), Health::Healthy);
        assert_eq!(told.trial(), Trial::Never);
    }
}

#[test]
fn only_one_trial_at_a_time() {
    let mut told = Told::with(NO_CHECK);
    told.say(Origin::Traffic, false, 3);
    told.wait(FIRST_HOLD);
    assert_eq!(told.trial(), Trial::Claimed);
    assert_eq!(told.trial(), Trial::UnderWay);
    told.wait(TRIAL_PATIENCE);
    assert_eq!(told.trial(), Trial::Claimed, "one that never ends doesn't block the next for ever");
}

#[test]
fn a_trial_that_shows_nothing_is_followed_by_another_after_the_same_hold() {
    let mut told = Told::with(NO_CHECK);
    told.say(Origin::Traffic, false, 3);
    for _ in 0..5 {
        told.wait(FIRST_HOLD);
        assert_eq!(told.trial(), Trial::Claimed);
        told.tracker.release_trial();
        assert_eq!(told.hold(), FIRST_HOLD);
    }
}

#[test]
fn a_trial_that_costs_nobody_does_not_defer_one_that_would() {
    for asker in [Asker::Last, Asker::Protected] {
        let mut told = Told::with(NO_CHECK);
        told.say(Origin::Traffic, false, 3);
        for _ in 0..5 {
            told.tries(Asker::Repeatable, false);
        }
        assert_eq!(told.hold(), FIRST_HOLD * 32);
        for _ in 0..31 {
            told.wait(FIRST_HOLD);
            assert_eq!(told.tracker.claim_trial(&NO_CHECK, asker, told.now), Trial::Claimed);
            told.tracker.release_trial();
        }
        assert_eq!(told.hold(), FIRST_HOLD, "{asker:?}");
        told.tries(asker, false);
        assert_eq!(told.hold(), FIRST_HOLD * 60, "one that goes badly does");
    }
}

#[test]
fn a_trial_that_is_answered_by_an_error_is_followed_sooner_unless_errors_took_it_down() {
    for (misdeed, hold) in [(None, 8), (Some(Misdeed::Silence), 8), (Some(Misdeed::Error), 32)] {
        let mut told = Told::with(NO_CHECK);
        told.say(Origin::Traffic, false, 2);
        let health = match misdeed {
            None => told.traffic(false),
            Some(misdeed) => told.misbehaves(misdeed),
        };
        assert_eq!(health, Health::Down);
        for _ in 0..5 {
            told.tries(Asker::Repeatable, false);
        }
        for _ in 0..3 {
            told.wait(FIRST_HOLD * 32);
            assert_eq!(told.trial(), Trial::Claimed);
            told.tracker.shows_nothing();
            told.tracker.release_trial();
            assert_eq!(told.hold().as_secs(), hold, "{misdeed:?}");
            assert_eq!(told.hold_of(Asker::Protected), FIRST_HOLD);
        }
        told.wait(FIRST_HOLD * 32);
        assert_eq!(told.trial(), Trial::Claimed);
        told.tracker.release_trial();
        assert_eq!(told.hold(), FIRST_HOLD * 32, "one that isn't answered");
    }
}

#[test]
fn a_verdict_counts_even_if_it_comes_after_the_end() {
    for (passed, health) in [(true, Health::Healthy), (false, Health::Down)] {
        let mut told = Told::with(NO_CHECK);
        told.say(Origin::Traffic, false, 3);
        told.wait(FIRST_HOLD);
        told.trial();
        told.tracker.release_trial();
        assert!(told.tracker.forgivable(&NO_CHECK));
        assert_eq!(told.traffic(passed), health);
        assert!(passed || told.hold() == FIRST_HOLD * 2);
    }
}

#[test]
fn a_trial_that_is_late_prolongs_the_hold() {
    let mut told = Told::with(NO_CHECK);
    told.say(Origin::Traffic, false, 3);
    told.wait(FIRST_HOLD);
    told.trial();
    assert_eq!(told.tracker.doubt("answer late", "", told.now), None);
    assert_eq!(told.hold(), FIRST_HOLD * 2);
    told.tracker.doubt("answer late", "", told.now);
    assert_eq!(told.hold(), FIRST_HOLD * 2, "only a trial does");
}

#[test]
fn holds_double_with_each_failed_trial_up_to_a_minute() {
    let mut told = Told::with(NO_CHECK);
    told.say(Origin::Traffic, false, 3);
    for expected in [1, 2, 4, 8, 16, 32, 60, 60] {
        assert_eq!(told.hold(), Duration::from_secs(expected));
        told.wait(Duration::from_secs(expected));
        assert_eq!(told.trial(), Trial::Claimed);
        assert_eq!(told.traffic(false), Health::Down);
    }
}

#[test]
fn what_was_under_way_when_it_went_down_is_no_trial() {
    let mut told = Told::with(NO_CHECK);
    told.say(Origin::Traffic, false, 3);
    assert_eq!(told.traffic(true), Health::Down);
    assert_eq!(told.say(Origin::Traffic, false, 9), Health::Down);
    assert_eq!(told.hold(), FIRST_HOLD, "late failures don't double the hold");
}

#[test]
fn holds_grow_with_each_relapse_and_shrink_with_health() {
    // A protected one tries it each time after a second; but then it has to go on going well.
    for (asker, longest) in [(Asker::Repeatable, 60), (Asker::Protected, 30)] {
        let mut told = Told::with(NO_CHECK);
        let comes_back = |told: &mut Told| {
            told.say(Origin::Traffic, false, 3);
            let from = told.now;
            let first = told.tries(asker, true);
            assert!(asker == Asker::Repeatable || first == FIRST_HOLD);
            while told.tracker.health() != Health::Healthy {
                assert_eq!(told.tracker.standing(), Standing::Distrusted, "it does answer");
                assert!(told.tries(asker, true) <= PROVING);
            }
            told.now.since(from).as_secs()
        };
        let holds: Vec<_> = (0..8).map(|_| comes_back(&mut told)).collect();
        assert_eq!(holds, [1, 2, 4, 8, 16, 32.min(longest), longest, longest]);
        told.wait(FLAPPING * 4);
        assert_eq!(comes_back(&mut told), 4, "two minutes of health forget four of six");
        told.wait(FLAPPING * 10);
        assert_eq!(comes_back(&mut told), 1);
    }
}

#[test]
fn one_that_flaps_and_fails_while_it_proves_itself_begins_anew() {
    let mut told = Told::with(RULES);
    told.flaps(3);
    told.say(Origin::Traffic, false, 3);
    for _ in 0..9 {
        told.tries(Asker::Protected, true);
    }
    assert_eq!(told.tracker.health(), Health::Suspect);
    assert_eq!(told.check(true), Health::Suspect, "passes don't overrule traffic");
    assert_eq!(told.traffic(true), Health::Suspect, "nor does what was no trial");
    told.tries(Asker::Protected, false);
    assert_eq!(told.tracker.health(), Health::Suspect);
    let from = told.now;
    assert_eq!(told.hold_of(Asker::Protected), FIRST_HOLD);
    while told.tracker.health() != Health::Healthy {
        told.tries(Asker::Protected, true);
    }
    assert_eq!(told.now.since(from), FIRST_HOLD * 8);
}

#[test]
fn what_the_check_took_down_and_flaps_is_tried_once_its_check_passes() {
    let mut told = Told::with(RULES);
    for _ in 0..4 {
        told.say(Origin::Check, false, 3);
        told.wait(FLAPPING / 3);
        assert_eq!(told.say(Origin::Check, true, 2), Health::Healthy);
    }
    told.say(Origin::Check, false, 3);
    assert_eq!(told.hold_of(Asker::Protected), Duration::MAX, "it says nothing yet");
    assert_eq!(told.check(true), Health::Down);
    assert_eq!(told.check(true), Health::Suspect);
    assert_eq!(told.tracker.standing(), Standing::Distrusted);
    assert_eq!(told.tries(Asker::Protected, true), FIRST_HOLD);
    assert_eq!(told.check(true), Health::Suspect, "within its hold");
    told.wait(FIRST_HOLD * 7);
    assert_eq!(told.check(true), Health::Healthy, "of 8 s, the fourth relapse");
}

#[test]
fn nobody_waits_for_a_proof_if_nobody_else_is_left() {
    let mut told = Told::with(RULES);
    for _ in 0..3 {
        told.say(Origin::Traffic, false, 3);
        told.tries(Asker::Last, true);
        assert_eq!(told.tracker.health(), Health::Healthy);
    }
}

#[test]
fn an_asker_with_no_choice_waits_less_and_one_that_can_not_repeat_more() {
    let mut told = Told::with(NO_CHECK);
    told.say(Origin::Traffic, false, 3);
    for _ in 0..4 {
        told.wait(Duration::from_secs(60));
        told.trial();
        told.traffic(false);
    }
    let due = |asker| match told.tracker.clone().claim_trial(&told.rules, asker, told.now) {
        Trial::NotBefore(due) => due.since(told.now).as_secs(),
        other => panic!("{other:?}"),
    };
    assert_eq!(due(Asker::Last), 1);
    assert_eq!(due(Asker::Repeatable), 16);
    assert_eq!(due(Asker::Unrepeatable), 19);
}

#[test]
fn no_trial_while_the_check_objects() {
    let mut told = Told::with(RULES);
    told.say(Origin::Traffic, false, 3);
    told.wait(Duration::from_secs(100));
    told.check(false);
    assert_eq!(told.trial(), Trial::Never);
    told.check(true);
    assert_eq!(told.trial(), Trial::Never, "the check has taken over");
    assert_eq!(told.check(true), Health::Healthy);
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
fn a_suspect_without_check_is_tried_after_a_hold() {
    let mut told = Told::with(NO_CHECK);
    assert_eq!(told.traffic(false), Health::Suspect);
    assert_eq!(told.hold(), FIRST_HOLD);
    told.wait(FIRST_HOLD);
    assert_eq!(told.trial(), Trial::Claimed);
    assert_eq!(told.traffic(false), Health::Suspect);
    assert_eq!(told.hold(), FIRST_HOLD * 2);
    told.wait(FIRST_HOLD * 2);
    assert_eq!(told.trial(), Trial::Claimed);
    assert_eq!(told.traffic(true), Health::Healthy);
    let mut with_check = Told::with(RULES);
    with_check.traffic(false);
    assert_eq!(with_check.hold(), Duration::MAX, "its check decides");
}

#[test]
fn a_flapping_backend_is_believed_less_each_time() {
    let mut told = Told::with(RULES);
    // Passes as often as it needs to; says how long that took.
    let comes_back = |told: &mut Told| {
        let from = told.now;
        while told.check(true) != Health::Healthy {
            told.wait(Duration::from_millis(100));
            assert!(told.now.since(from) < Duration::from_secs(120));
        }
        told.now.since(from).as_secs()
    };
    let mut waited = Vec::new();
    for _ in 0..8 {
        assert_eq!(told.say(Origin::Check, false, 3), Health::Down);
        waited.push(comes_back(&mut told));
        told.wait(Duration::from_secs(5));
    }
    assert_eq!(waited, [0, 1, 2, 4, 8, 16, 30, 30]);
    told.wait(FLAPPING * 10);
    told.say(Origin::Check, false, 3);
    assert_eq!(comes_back(&mut told), 0, "minutes of health and it is believed again");
}

#[test]
fn what_is_forgivable_is_what_a_pass_would_change() {
    let mut told = Told::with(RULES);
    assert!(told.tracker.forgivable(&RULES));
    told.traffic(true);
    assert!(!told.tracker.forgivable(&RULES));
    told.traffic(false);
    assert!(told.tracker.forgivable(&RULES));
    told.check(true);
    assert!(told.tracker.forgivable(&RULES), "healthy, but with a failure to forget");
    told.traffic(true);
    told.check(false);
    assert!(!told.tracker.forgivable(&RULES), "the check objects");
    told.check(true);
    told.say(Origin::Traffic, false, 3);
    assert!(!told.tracker.forgivable(&RULES));
    told.wait(FIRST_HOLD);
    told.trial();
    assert!(told.tracker.forgivable(&RULES));
}

#[test]
fn what_others_did_better_is_not_refuted_by_passes_while_anything_may_try_it() {
    for misdeed in [Misdeed::Silence, Misdeed::Error, Misdeed::Truncation] {
        let mut told = Told::with(RULES);
        told.check(true);
        let seen = ("wrong answer", "status 500");
        told.tracker.misbehaves(misdeed, seen, &told.rules, told.now);
        assert_eq!(told.tracker.why(), "traffic: wrong answer (status 500), 1 in a row");
        told.wait(UNTRIED / 2);
        assert_eq!(told.check(true), Health::Suspect);
        assert_eq!(told.traffic(true), Health::Suspect);
        told.wait(UNTRIED / 2);
        assert_eq!(told.check(true), Health::Healthy);
    }
}

#[test]
fn a_protected_request_may_try_each_second_for_ever_and_others_less_and_less() {
    for (misdeed, protected) in
        [(Misdeed::Silence, 1), (Misdeed::Error, 1), (Misdeed::Truncation, 8)]
    {
        for fall in [1, 1_000] {
            let mut told = Told::with(Rules { fall, ..RULES });
            told.check(true);
            let ill = told.misbehaves(misdeed);
            assert_eq!(ill, if fall == 1 { Health::Down } else { Health::Suspect });
            for _ in 0..3 {
                told.tries(Asker::Repeatable, false);
            }
            assert_eq!(told.hold_of(Asker::Protected).as_secs(), protected, "{misdeed:?}");
            assert_eq!(told.hold_of(Asker::Repeatable).as_secs(), 8);
            assert_eq!(told.hold_of(Asker::Unrepeatable).as_secs(), 11);
            for _ in 0..99 {
                told.tries(Asker::Protected, false);
                assert_eq!(told.check(true), ill, "its trials come before its passes");
            }
        }
    }
}

#[test]
fn one_answer_ends_a_silence_and_several_in_a_row_end_errors() {
    for (misdeed, wanted) in
        [(Misdeed::Silence, 1), (Misdeed::Error, GOOD), (Misdeed::Truncation, GOOD)]
    {
        for fall in [1, 1_000] {
            let mut told = Told::with(Rules { fall, ..RULES });
            let ill = told.misbehaves(misdeed);
            // Every other one goes well, or one less than wanted in a row.
            for good in 1..wanted {
                told.tries_well(good);
                assert_eq!(told.tracker.health(), ill);
                told.tries(Asker::Protected, false);
            }
            let began = told.now;
            told.tries_well(wanted);
            assert_eq!(told.tracker.health(), Health::Healthy, "{misdeed:?}");
            let hold = if misdeed == Misdeed::Truncation { 16 } else { 1 };
            assert!(told.now.since(began) <= Duration::from_secs(hold), "{misdeed:?}");
        }
    }
}

#[test]
fn the_worst_of_an_outage_decides_how_many_trials_are_wanted() {
    let mut told = Told::with(RULES);
    told.misbehaves(Misdeed::Error);
    told.misbehaves(Misdeed::Silence);
    told.tries(Asker::Protected, true);
    assert_eq!(told.tracker.health(), Health::Suspect);
    told.tries_well(GOOD - 1);
    assert_eq!(told.tracker.health(), Health::Healthy);
    told.misbehaves(Misdeed::Silence);
    told.tries(Asker::Repeatable, true);
    assert_eq!(told.tracker.health(), Health::Healthy, "the next outage is another matter");
}

#[test]
fn one_that_is_suspect_again_just_after_it_came_back_stands_behind() {
    let mut told = Told::with(RULES);
    told.say(Origin::Check, false, 1);
    assert_eq!(told.tracker.standing(), Standing::Suspect);
    told.say(Origin::Check, false, 2);
    assert_eq!(told.tracker.standing(), Standing::Down);
    told.say(Origin::Check, true, 2);
    assert_eq!(told.tracker.standing(), Standing::Well);
    told.wait(FLAPPING / 2);
    told.tracker.doubt("connect late", "", told.now);
    assert_eq!(told.tracker.standing(), Standing::Relapsing);
    told.check(true);
    assert_eq!(told.tracker.standing(), Standing::Well, "its check decides, as ever");
    told.wait(FLAPPING / 2);
    told.tracker.doubt("connect late", "", told.now);
    assert_eq!(told.tracker.standing(), Standing::Suspect);
    told.misbehaves(Misdeed::Error);
    assert_eq!(told.tracker.standing(), Standing::Distrusted);
}

#[test]
fn wrong_answers_in_a_row_take_a_backend_down() {
    let mut told = Told::with(RULES);
    told.check(true);
    for _ in 0..RULES.fall {
        told.misbehaves(Misdeed::Silence);
    }
    assert_eq!(told.tracker.health(), Health::Down);
}

#[test]
fn a_silence_that_is_over_is_refuted_at_once_unless_the_check_objects() {
    for wrongs in [1, RULES.fall] {
        let mut told = Told::with(RULES);
        told.check(true);
        for _ in 0..wrongs {
            told.misbehaves(Misdeed::Silence);
        }
        let change = told.tracker.refute(&told.rules, told.now).expect("it was suspect or down");
        assert_eq!(
            (change.to, change.why.as_str()),
            (Health::Healthy, "traffic: answered after all")
        );
        told.misbehaves(Misdeed::Silence);
        told.check(false);
        told.tracker.refute(&told.rules, told.now);
        assert_eq!(told.tracker.health(), Health::Suspect, "the check has its own word");
    }
}

#[test]
fn an_answer_that_came_late_refutes_no_wrong_one() {
    let mut told = Told::with(RULES);
    told.misbehaves(Misdeed::Error);
    assert_eq!(told.tracker.refute(&told.rules, told.now), None);
    assert_eq!(told.tracker.health(), Health::Suspect);
}

#[test]
fn an_answer_that_came_late_refutes_no_failure() {
    for failures in [1, RULES.fall] {
        let mut told = Told::with(RULES);
        told.check(true);
        let ill = told.say(Origin::Traffic, false, failures);
        assert_eq!(told.tracker.refute(&told.rules, told.now), None);
        assert_eq!(told.tracker.health(), ill);
    }
}

#[test]
fn an_answer_that_came_late_says_nothing_about_what_others_do_better() {
    let mut told = Told::with(RULES);
    told.check(true);
    told.tracker.eject(Misdeed::Silence, "slow", told.now);
    assert_eq!(told.tracker.refute(&told.rules, told.now), None);
    assert_eq!(told.tracker.standing(), Standing::Ejected);
}

#[test]
fn one_that_is_ejected_and_whose_host_is_dead_is_down() {
    let mut told = Told::with(RULES);
    told.check(true);
    told.tracker.eject(Misdeed::Error, "bad", told.now);
    assert_eq!(told.tracker.standing(), Standing::Ejected);
    told.tracker.host_is_dead("silent", &told.rules, told.now);
    assert_eq!(told.tracker.standing(), Standing::Down);
    assert_eq!(told.trial(), Trial::Never, "no request is the probe of a dead host");
    assert_eq!(told.say(Origin::Check, true, RULES.rise), Health::Healthy);
    told.tracker.host_is_dead("silent", &NO_CHECK, told.now);
    assert_eq!(told.tracker.health(), Health::Suspect, "nothing but traffic can bring it back");
}

#[test]
fn what_was_late_before_a_trial_is_not_its_verdict() {
    let mut told = Told::with(RULES);
    told.misbehaves(Misdeed::Silence);
    let before = told.now;
    told.wait(FIRST_HOLD);
    assert_eq!(told.trial(), Trial::Claimed);
    told.wait(FIRST_HOLD);
    told.tracker.answers_late(before, told.now);
    assert_eq!(told.tracker.health(), Health::Suspect);
    let mut other = told.tracker.clone();
    told.tracker.answers_late(before + FIRST_HOLD, told.now);
    assert_eq!(told.traffic(true), Health::Suspect, "the trial was late");
    assert_eq!(told.hold(), FIRST_HOLD * 2);
    let passed = evidence(Origin::Traffic, true);
    assert!(other.observe(&passed, &RULES, told.now).is_some(), "it was still to come");
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
fn one_failure_long_after_it_has_flapped_is_healed_by_one_trial() {
    let mut told = Told::with(NO_CHECK);
    told.flaps(3);
    told.wait(FLAPPING * 100);
    assert_eq!(told.traffic(false), Health::Suspect);
    told.tries(Asker::Protected, true);
    assert_eq!(told.tracker.health(), Health::Healthy);
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
