//! Misdeeds: what is worse than a failure, and what ends it.

use super::*;

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
