//! Trials: who may try a backend that is out, how soon, and what follows from how it went.

use super::*;

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
fn a_trial_that_is_answered_by_an_error_is_followed_sooner_unless_the_error_may_be_its_own() {
    let errors = Some(Misdeed::Error);
    let cut = Some(Misdeed::Truncation);
    for (misdeed, others, hold) in [
        (None, false, 8),
        (Some(Misdeed::Silence), false, 8),
        (errors, false, 32),
        (cut, false, 32),
        (errors, true, 8),
        (cut, true, 8),
    ] {
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
            told.tracker.shows_nothing(others);
            told.tracker.release_trial();
            assert_eq!(told.hold().as_secs(), hold, "{misdeed:?} {others}");
            let spared = if misdeed == cut { hold } else { 1 };
            assert_eq!(told.hold_of(Asker::Protected).as_secs(), spared, "{misdeed:?} {others}");
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
fn a_trial_that_takes_long_to_fail_does_not_defer_the_next_that_costs_nobody() {
    for rules in [RULES, NO_CHECK] {
        let mut told = Told::with(rules);
        told.tracker.overdue("silence", "", told.now);
        told.wait(FIRST_HOLD);
        // The third makes it down, as the first makes it suspect.
        for failed in 1..=4 {
            let claimed = told.tracker.claim_trial(&rules, Asker::Protected, told.now);
            assert_eq!(claimed, Trial::Claimed, "trial {failed}");
            told.wait(FIRST_HOLD * 9 / 10);
            told.traffic(false);
            assert_eq!(told.hold_of(Asker::Last), FIRST_HOLD / 10);
            assert_eq!(told.hold_of(Asker::Protected), FIRST_HOLD / 10);
            assert_eq!(told.hold_of(Asker::Repeatable), FIRST_HOLD * (1 << failed), "they pay");
            told.wait(FIRST_HOLD / 10);
        }
    }
}

#[test]
fn what_was_sent_before_a_trial_or_before_the_return_is_an_old_story() {
    let mut told = Told::with(NO_CHECK);
    let stuck = told.now;
    assert!(!told.tracker.is_old_news(stuck), "nothing else is known");
    told.say(Origin::Traffic, false, 3);
    told.wait(FIRST_HOLD);
    assert!(!told.tracker.is_old_news(stuck), "it is from this outage");
    assert_eq!(told.trial(), Trial::Claimed);
    assert!(told.tracker.is_old_news(stuck), "the trial tells");
    assert!(!told.tracker.is_old_news(told.now), "this may be it");
    let trial = told.now;
    told.wait(FIRST_HOLD / 20);
    assert_eq!(told.traffic(true), Health::Healthy);
    assert!(told.tracker.is_old_news(trial));
    assert!(!told.tracker.is_old_news(told.now));
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
fn one_failure_long_after_it_has_flapped_is_healed_by_one_trial() {
    let mut told = Told::with(NO_CHECK);
    told.flaps(3);
    told.wait(FLAPPING * 100);
    assert_eq!(told.traffic(false), Health::Suspect);
    told.tries(Asker::Protected, true);
    assert_eq!(told.tracker.health(), Health::Healthy);
}
