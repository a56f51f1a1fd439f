//! A second backend for an answer that is late.

use fairlead_model::health::Health;

use crate::keep::{GET, OK, POST};
use crate::script::{dialogue, Dialogue};
use crate::setup::{http, ms, Setup};
use crate::wants::*;

const PUT: &str = "PUT /a HTTP/1.1\r\nHost: example.com\r\nContent-Length: 4\r\n\r\nbody";

fn sent(setup: Setup, bytes: &str) -> Dialogue {
    let mut told = dialogue(setup);
    told.client_connects().wants_nothing().client_sends(bytes).wants([connect(0)]);
    told.connected(L0).whatever();
    told
}

#[test]
fn the_first_answer_wins_and_the_client_sees_one() {
    sent(http().hedged(), GET)
        .after(ms(40))
        .wants_nothing()
        .after(ms(212))
        .wants([connect(1)])
        .connected(L1)
        .wants([request(L1, "GET /a")])
        .active(0, 1)
        .active(1, 1)
        .sends(L1, OK)
        .wants([answer(CLIENT, 200).body("hi")])
        // Once is no illness.
        .nobody_is_blamed()
        .active(1, 0)
        // Slow is not silent: an answer now is all right, and nobody sees it.
        .after(ms(400))
        .wants_nothing()
        .sends(L0, OK)
        .wants([abort(L0)])
        .failures(0, 0)
        .active(0, 0)
        .client_finishes()
        .wants([close(CLIENT)])
        .ends_with_kept(&[L1]);
}

#[test]
fn who_is_overtaken_twice_in_a_row_is_in_doubt() {
    let mut told = sent(http().hedged(), GET);
    told.after(ms(252)).wants([connect(1)]).connected(L1).whatever();
    told.sends(L1, OK).wants([answer(CLIENT, 200).body("hi")]).nobody_is_blamed();
    told.client_sends(GET).wants([connect(0)]).connected(L2).whatever();
    told.after(ms(252)).wants([request(L1, "GET /a")]);
    told.sends(L1, OK).wants([answer(CLIENT, 200).body("hi")]).is(0, Health::Suspect);
    assert!(told.why(0).contains("not counted as a failure"), "{}", told.why(0));
    // From now on the other one is asked first.
    told.client_sends(GET).wants([request(L1, "GET /a")]);
}

#[test]
fn a_first_that_is_silent_for_a_second_has_failed() {
    sent(http().hedged(), GET)
        .after(ms(252))
        .wants([connect(1)])
        .connected(L1)
        .whatever()
        .sends(L1, OK)
        .wants([answer(CLIENT, 200).body("hi")])
        .failures(0, 0)
        .after(ms(760))
        .wants([abort(L0)])
        .failures(0, 1)
        .active(0, 0)
        .client_finishes()
        .wants([close(CLIENT)])
        .ends_with_kept(&[L1]);
}

#[test]
fn a_second_that_loses_is_cut_off_and_not_blamed() {
    sent(http().hedged(), GET)
        .after(ms(252))
        .wants([connect(1)])
        .connected(L1)
        .whatever()
        .sends(L0, OK)
        .wants([abort(L1), answer(CLIENT, 200).body("hi")])
        .nobody_is_blamed()
        .active(1, 0)
        .client_finishes()
        .wants([close(CLIENT)])
        .ends_with_kept(&[L0]);
}

#[test]
fn a_second_that_fails_changes_nothing() {
    sent(http().hedged(), GET)
        .after(ms(252))
        .wants([connect(1)])
        .connected(L1)
        .whatever()
        .resets(L1)
        .wants_nothing()
        .is(1, Health::Suspect)
        .sends(L0, OK)
        .wants([answer(CLIENT, 200).body("hi")])
        .client_finishes()
        .wants([close(CLIENT)])
        .ends_with_kept(&[L0]);
}

#[test]
fn a_first_that_fails_leaves_the_second_alone_with_it() {
    sent(http().hedged(), GET)
        .after(ms(252))
        .wants([connect(1)])
        .connected(L1)
        .whatever()
        .resets(L0)
        .wants_nothing()
        .sends(L1, OK)
        .wants([answer(CLIENT, 200).body("hi")])
        .client_finishes()
        .wants([close(CLIENT)])
        .ends_with_kept(&[L1]);
}

#[test]
fn only_safe_requests_are_sent_twice_at_once() {
    for bytes in [POST, PUT] {
        sent(http().hedged(), bytes)
            .after(ms(4_900))
            .wants_nothing()
            .sends(L0, OK)
            .wants([answer(CLIENT, 200).body("hi")])
            .client_finishes()
            .wants([close(CLIENT)])
            .ends_with_kept(&[L0]);
    }
}

#[test]
fn a_client_that_leaves_ends_both() {
    sent(http().hedged(), GET)
        .after(ms(252))
        .wants([connect(1)])
        .connected(L1)
        .whatever()
        .client_resets()
        .wants([abort(L0), abort(L1)])
        .active(0, 0)
        .active(1, 0)
        .ends();
}

#[test]
fn interim_answers_of_the_one_do_not_count_against_the_other() {
    let hints = "HTTP/1.1 103 Early Hints\r\n\r\n";
    let mut told = sent(http().hedged(), GET);
    told.after(ms(252)).wants([connect(1)]).connected(L1).whatever();
    for _ in 0..16 {
        told.sends(L1, hints).wants_nothing();
    }
    told.sends(L0, format!("{hints}{OK}")).whatever();
    told.is(0, Health::Healthy).client_finishes().wants([close(CLIENT)]).ends_with_kept(&[L0]);
}

#[test]
fn two_that_are_silent_have_the_time_of_each() {
    let mut told = sent(http().hedged(), GET);
    told.after(ms(252)).wants([connect(1)]).connected(L1).wants([request(L1, "GET /a")]);
    told.after(ms(4_760)).wants([abort(L0)]).active(0, 0);
    // The second has its own five seconds, and then the client gets an answer.
    told.after(ms(200)).wants_nothing();
    told.after(ms(300)).wants([abort(L1), refusal(CLIENT, 504, "response_timeout")]);
    told.active(1, 0);
    told.client_finishes().wants([close(CLIENT)]).ends();
}

#[test]
fn a_second_that_is_left_alone_is_timed_by_its_own_clock() {
    let mut told = sent(http().hedged(), GET);
    told.after(ms(252)).wants([connect(1)]).connected(L1).wants([request(L1, "GET /a")]);
    told.after(ms(3_000)).wants_nothing().resets(L0).wants_nothing();
    told.after(ms(1_900)).wants_nothing();
    told.sends(L1, OK).wants([answer(CLIENT, 200).body("hi")]);
    told.client_finishes().wants([close(CLIENT)]).ends_with_kept(&[L1]);
}

/// Clients that have sent a PUT each to the same backend, which says nothing.
fn puts_unanswered(count: usize) -> Dialogue {
    let mut told = dialogue(http().hedged().pool(|pool| pool.check.fall = 100));
    for nth in 0..count {
        told.client_connects().wants_nothing().sends(Who::Client(nth), PUT).wants([connect(0)]);
        told.connected(Who::Link(nth)).whatever();
    }
    told
}

/// Another client gets its answer from the second backend.
fn another_is_answered(told: &mut Dialogue, nth: usize) {
    told.client_connects().wants_nothing().sends(Who::Client(nth), PUT).wants([connect(0)]);
    told.after(ms(51)).wants([connect(1)]).connected(Who::Link(nth + 1)).whatever();
    told.sends(Who::Link(nth + 1), OK).whatever();
}

#[test]
fn puts_that_are_late_while_others_are_answered_are_evidence() {
    let mut told = puts_unanswered(2);
    told.after(ms(202)).wants_nothing().nobody_is_blamed();
    another_is_answered(&mut told, 2);
    told.after(ms(262)).wants_nothing().is(0, Health::Suspect).failures(0, 0);
    assert!(told.why(0).contains("not counted as a failure"), "{}", told.why(0));
    // A pass doesn't refute it: this answer may be of the one page that is quick.
    told.sends(L0, OK).wants([answer(CLIENT, 200).body("hi")]).is(0, Health::Suspect);
}

#[test]
fn one_put_that_takes_long_is_no_evidence() {
    let mut told = puts_unanswered(1);
    another_is_answered(&mut told, 1);
    told.after(ms(600)).whatever();
    assert!(!told.why(0).contains("no answer ("), "{}", told.why(0));
    told.sends(L0, OK).wants([answer(CLIENT, 200).body("hi")]);
}

#[test]
fn puts_that_are_late_everywhere_are_nobodys_fault() {
    let mut told = puts_unanswered(3);
    told.after(ms(2_000)).wants_nothing().nobody_is_blamed().failures(0, 0);
}
