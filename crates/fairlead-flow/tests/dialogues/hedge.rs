//! A second backend for an answer that is late.

use fairlead_model::health::Health;
use fairlead_model::plan::Policy;

use crate::keep::{GET, OK, POST};
use crate::openings::{known, sent, sent_twice, PUT};
use crate::setup::{http, ms};
use crate::wants::*;

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
    let mut told = sent_twice(http().hedged());
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
    sent_twice(http().hedged())
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
fn where_the_second_is_late_too_the_right_to_more_is_soon_gone() {
    let mut told = known(http().hedged().pool(|pool| pool.policy = Policy::RoundRobin), GET);
    // A page that takes 5 s everywhere, asked for 100 times a second.
    for nth in 2..102 {
        told.client_connects().wants_nothing().sends(Who::Client(nth), GET).whatever();
        told.after(ms(10)).whatever();
        for link in [told.connecting(0), told.connecting(1)].concat() {
            told.connected(link).whatever();
        }
    }
    // The burst would have been 32.
    told.steps("hedges", "sent", 7).abandons().whatever();
}

#[test]
fn a_request_without_a_token_is_counted_once_however_often_it_is_looked_at() {
    let mut told = sent(http().hedged().pool(|pool| pool.retry.budget = 0), GET);
    told.after(ms(4_900)).wants_nothing().steps("hedges", "denied", 1);
    told.sends(L0, OK).wants([answer(CLIENT, 200).body("hi")]);
    // The next one is another.
    told.client_sends(GET).wants([request(L0, "GET /a")]).after(ms(4_900)).wants_nothing();
    told.steps("hedges", "denied", 2).client_resets().wants([abort(L0)]).ends();
}

#[test]
fn what_is_our_own_lateness_is_not_the_backends() {
    let mut told = sent(http().hedged(), GET);
    // Nobody looked for 300 ms, so nothing is known of what has come since.
    told.oversleeps(ms(300)).wants_nothing();
    told.after(ms(240)).wants_nothing().after(ms(60)).wants([connect(1)]);
    told.client_resets().whatever().ends();
}

#[test]
fn a_second_that_loses_is_cut_off_and_not_blamed() {
    sent_twice(http().hedged())
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
    sent_twice(http().hedged())
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
fn a_second_on_a_connection_that_was_closed_goes_out_again_on_a_fresh_one() {
    for by_reset in [false, true] {
        let mut told = known(http().hedged().pool(|pool| pool.policy = Policy::RoundRobin), GET);
        told.client_connects().wants_nothing();
        told.sends(Who::Client(2), GET).wants([request(L0, "GET /a")]);
        told.after(ms(202)).wants([request(L1, "GET /a")]).active(1, 1);
        if by_reset {
            told.resets(L1).wants([connect(1)]);
        } else {
            told.finishes(L1).wants([abort(L1), connect(1)]);
        }
        told.connected(L2).wants([request(L2, "GET /a")]).active(1, 1).nobody_is_blamed();
        // It is the same second one, and was paid for.
        told.steps("hedges", "sent", 1);
        told.sends(L2, OK)
            .wants([answer(Who::Client(2), 200).body("hi")])
            .steps("hedges", "won", 1);
        told.finishes(Who::Client(2)).wants([close(Who::Client(2))]);
        told.after(ms(801)).wants([abort(L0)]).ends_with_kept(&[L2]);
    }
}

#[test]
fn a_first_that_fails_leaves_the_second_alone_with_it() {
    sent_twice(http().hedged())
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
    sent_twice(http().hedged())
        .client_resets()
        .wants([abort(L0), abort(L1)])
        .active(0, 0)
        .active(1, 0)
        .ends();
}

#[test]
fn interim_answers_of_the_one_do_not_count_against_the_other() {
    let hints = "HTTP/1.1 103 Early Hints\r\n\r\n";
    let mut told = sent_twice(http().hedged());
    for _ in 0..16 {
        told.sends(L1, hints).wants_nothing();
    }
    told.sends(L0, format!("{hints}{OK}")).whatever();
    told.is(0, Health::Healthy).client_finishes().wants([close(CLIENT)]).ends_with_kept(&[L0]);
}

#[test]
fn two_that_are_silent_have_the_time_of_each() {
    let mut told = sent_twice(http().hedged());
    told.after(ms(4_760)).wants([abort(L0)]).active(0, 0);
    // The second has its own five seconds, and then the client gets an answer.
    told.after(ms(200)).wants_nothing();
    told.after(ms(300)).wants([abort(L1), refusal(CLIENT, 504, "response_timeout")]);
    told.active(1, 0);
    told.client_finishes().wants([close(CLIENT)]).ends();
}

#[test]
fn a_second_that_is_left_alone_is_timed_by_its_own_clock() {
    let mut told = sent_twice(http().hedged());
    told.after(ms(3_000)).wants_nothing().resets(L0).wants_nothing();
    told.after(ms(1_900)).wants_nothing();
    told.sends(L1, OK).wants([answer(CLIENT, 200).body("hi")]);
    told.client_finishes().wants([close(CLIENT)]).ends_with_kept(&[L1]);
}
