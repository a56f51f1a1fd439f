//! A pool whose policy is outside: what it is asked, and what becomes of its answers.

use fairlead_flow::Verdict::{self, Abstained, Chosen, Failed};
use fairlead_model::backend::Slot;
use fairlead_model::health::Health;
use fairlead_model::plan::Millis;

use crate::keep::{GET, OK};
use crate::script::{dialogue, Dialogue};
use crate::setup::{http, ms, tcp, Setup};
use crate::wants::*;

const LINE: &str = "GET /a HTTP/1.1";

fn choose(slot: u32) -> Verdict {
    Chosen(Slot(slot))
}

/// A client's request waits for the policy, which knows of these.
fn asked(setup: Setup) -> Dialogue {
    let all: Vec<usize> = (0..setup.plan.pools[0].backends.len()).collect();
    let mut told = dialogue(setup);
    told.policy_listens().client_connects().wants_nothing();
    told.client_sends(GET).wants([ask(&all, LINE)]);
    told
}

fn answered(told: &mut Dialogue, link: Who) {
    told.connected(link).whatever().sends(link, OK).wants([answer(CLIENT, 200).body("hi")]);
    told.client_finishes().wants([close(CLIENT)]).ends_with_kept(&[link]);
}

#[test]
fn a_policy_outside_is_asked_and_followed() {
    let mut told = asked(http().asking(0));
    told.active(0, 0).active(1, 0).policy_says(choose(1)).wants([connect(1)]);
    told.active(1, 1).decisions("chosen", 1);
    answered(&mut told, L0);
}

#[test]
fn without_an_answer_the_pool_picks_itself_when_the_time_is_over() {
    let mut told = asked(http().asking(0));
    told.after(ms(19)).wants_nothing().after(ms(2)).wants([connect(0)]).decisions("late", 1);
    told.policy_says(choose(1)).wants_nothing().active(1, 0).decisions("chosen", 0);
    answered(&mut told, L0);
}

#[test]
fn an_answer_that_is_none_lets_the_pool_pick() {
    for (verdict, result) in [(Abstained, "abstained"), (Failed, "failed")] {
        let mut told = asked(http().asking(0));
        told.policy_says(verdict).wants([connect(0)]).decisions(result, 1);
        answered(&mut told, L0);
    }
}

#[test]
fn who_can_not_be_used_any_more_is_not_used() {
    let mut told = asked(http().asking(0));
    told.state(1).set_weight(0);
    told.policy_says(choose(1)).wants([connect(0)]).decisions("unavailable", 1);
    answered(&mut told, L0);

    let mut told = asked(http().asking(0));
    told.policy_says(choose(77)).wants([connect(0)]).decisions("unavailable", 1);
    answered(&mut told, L0);
}

#[test]
fn with_nobody_to_ask_the_pool_picks_at_once() {
    let mut told = dialogue(http().asking(0));
    told.policy_is_busy().client_connects().wants_nothing();
    told.client_sends(GET).wants([ask(&[0, 1], LINE), connect(0)]).decisions("unasked", 1);
    answered(&mut told, L0);
}

#[test]
fn a_pool_that_is_not_asking_asks_nobody() {
    let mut told = dialogue(http().asking(0));
    told.client_connects().wants_nothing().client_sends(GET).wants([connect(0)]);
    answered(&mut told, L0);
}

#[test]
fn a_retry_asks_again_without_who_failed() {
    let mut told = asked(http().asking(0).backends(3));
    told.policy_says(choose(1)).wants([connect(1)]);
    told.after(ms(1)).wants_nothing().refused(L0).wants([ask(&[0, 2], LINE)]);
    told.policy_says(choose(2)).wants([connect(2)]).is(1, Health::Suspect);
    answered(&mut told, L1);
}

#[test]
fn all_attempts_of_a_request_share_one_time() {
    let mut told = asked(http().asking(0).backends(3));
    told.after(ms(15)).wants_nothing().policy_says(choose(1)).wants([connect(1)]);
    told.refused(L0).wants([ask(&[0, 2], LINE)]);
    told.after(ms(6)).wants([connect(0)]).decisions("late", 1);
    // Nothing is left of it.
    told.refused(L1).wants([connect(2)]);
    answered(&mut told, L2);
}

#[test]
fn a_client_that_leaves_takes_its_question_along() {
    let mut told = asked(http().asking(0));
    told.client_resets().wants_nothing();
    told.policy_says(choose(1)).wants_nothing().ends();
    let mut told = asked(http().asking(0));
    told.client_resets().wants_nothing().after(ms(100)).wants_nothing().ends();
}

#[test]
fn the_answer_to_one_request_is_none_to_the_next() {
    let mut told = asked(http().asking(0));
    told.after(ms(21)).wants([connect(0)]).connected(L0).whatever();
    told.sends(L0, OK).wants([answer(CLIENT, 200).body("hi")]);
    told.client_sends(GET).wants([ask(&[0, 1], LINE)]);
    told.policy_says(choose(1)).wants_nothing();
    told.policy_says(choose(0)).wants([request(L0, "GET /a")]);
    told.sends(L0, OK).wants([answer(CLIENT, 200).body("hi")]);
    told.client_finishes().wants([close(CLIENT)]).ends_with_kept(&[L0]);
}

fn patient() -> Setup {
    let patient = http().asking(0).backends(3);
    patient.pool(|pool| pool.python.as_mut().expect("asking").timeout = Millis(900))
}

#[test]
fn company_for_a_late_connect_is_chosen_too() {
    let mut told = asked(patient());
    told.policy_says(choose(1)).wants([connect(1)]);
    told.after(ms(200)).wants([ask(&[0, 2], LINE)]);
    told.policy_says(choose(2)).wants([connect(2)]);
    told.connected(L1).wants([request(L1, "GET /a")]).active(1, 0).active(2, 1);
    told.client_resets().whatever();
}

#[test]
fn company_that_is_not_chosen_in_time_is_picked() {
    let mut told = asked(patient());
    told.policy_says(choose(1)).wants([connect(1)]);
    told.after(ms(200)).wants([ask(&[0, 2], LINE)]);
    told.after(ms(600)).wants_nothing().after(ms(190)).wants([connect(0)]).decisions("late", 1);
    told.client_resets().wants([abort(L0), abort(L1)]).ends();

    let mut told = asked(http().asking(0).backends(3));
    told.policy_says(choose(1)).wants([connect(1)]);
    // Nothing is left of the time for the third.
    told.after(ms(200)).wants([ask(&[0, 2], LINE), connect(0), connect(2)]);
    told.decisions("late", 1).client_resets().wants([abort(L0), abort(L1), abort(L2)]).ends();
}

#[test]
fn the_late_one_may_come_while_its_company_is_being_chosen() {
    let mut told = asked(patient());
    told.policy_says(choose(1)).wants([connect(1)]);
    told.after(ms(200)).wants([ask(&[0, 2], LINE)]);
    told.connected(L0).wants([request(L0, "GET /a")]);
    told.policy_says(choose(2)).wants_nothing().active(2, 0);
    told.sends(L0, OK).wants([answer(CLIENT, 200).body("hi")]);
    told.client_finishes().wants([close(CLIENT)]).ends_with_kept(&[L0]);
}

#[test]
fn with_nobody_left_nobody_is_asked() {
    let mut told = dialogue(http().asking(0));
    told.policy_listens().state(0).set_weight(0);
    told.state(1).set_weight(0);
    told.client_connects()
        .wants_nothing()
        .client_sends(GET)
        .wants([answer(CLIENT, 503).body("no backend of the pool is available\n")]);
    told.client_finishes().wants([close(CLIENT)]).ends();
}

#[test]
fn the_beginning_of_a_body_is_waited_for_and_shown() {
    let mut told = dialogue(http().asking(4));
    told.policy_listens().client_connects().wants_nothing();
    told.client_sends("PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\nab")
        .wants_nothing()
        .client_sends("cdef")
        .wants([ask_with(&[0, 1], "PUT /a HTTP/1.1", "abcd")])
        .policy_says(choose(1))
        .wants([connect(1)])
        .connected(L0)
        .wants([request(L0, "PUT /a").body("abcdef")])
        .client_sends("gh")
        .wants([write(L0, "gh")]);
    told.sends(L0, OK).wants([answer(CLIENT, 200).body("hi")]);
    told.client_finishes().wants([close(CLIENT)]).ends_with_kept(&[L0]);
}

#[test]
fn chunks_are_shown_without_their_framing() {
    let mut told = dialogue(http().asking(4));
    told.policy_listens().client_connects().wants_nothing();
    told.client_sends("PUT /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        .wants_nothing()
        .client_sends("3\r\nabc\r\n")
        .wants_nothing()
        .client_sends("3\r\ndef\r\n")
        .wants([ask_with(&[0, 1], "PUT /a HTTP/1.1", "abcd")]);
    told.client_resets().wants_nothing().ends();
}

#[test]
fn a_body_is_shown_whatever_its_listener_allows_around_it() {
    let setup = http().asking(4).listener(|listener| listener.limits.trailers = 100);
    let trailers = "X-A: b\r\n".repeat(100);
    let mut told = dialogue(setup);
    told.policy_listens().client_connects().wants_nothing();
    told.client_sends("PUT /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        .wants_nothing()
        .client_sends(format!("3\r\nabc\r\n0\r\n{trailers}\r\n"))
        .wants([ask_with(&[0, 1], "PUT /a HTTP/1.1", "abc")]);
    told.client_resets().wants_nothing().ends();
}

#[test]
fn a_body_is_not_waited_for_longer_than_a_second_or_where_its_client_waits() {
    let head = "PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n";
    let mut told = dialogue(http().asking(4));
    told.policy_listens().client_connects().wants_nothing();
    told.client_sends(format!("{head}\r\nab")).wants_nothing();
    told.after(ms(1_001)).wants([ask_with(&[0, 1], "PUT /a HTTP/1.1", "ab")]);
    told.client_resets().wants_nothing().ends();

    let mut told = dialogue(http().asking(4));
    told.policy_listens().client_connects().wants_nothing();
    told.client_sends(format!("{head}Expect: 100-continue\r\n\r\n")).wants([ask_with(
        &[0, 1],
        "PUT /a HTTP/1.1",
        "",
    )]);
    told.client_resets().wants_nothing().ends();
}

#[test]
fn a_body_that_is_shorter_is_shown_whole() {
    let mut told = dialogue(http().asking(400));
    told.policy_listens().client_connects().wants_nothing();
    told.client_sends("PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab")
        .wants([ask_with(&[0, 1], "PUT /a HTTP/1.1", "ab")]);
    told.client_resets().wants_nothing().ends();
}

#[test]
fn a_connection_is_asked_about_too() {
    let mut told = dialogue(tcp().asking(4));
    told.policy_listens().client_connects().wants([pause(CLIENT), ask(&[0, 1], "")]);
    told.policy_says(choose(1)).wants([connect(1)]);
    told.client_resets().wants([abort(L0)]).ends();

    let mut told = dialogue(tcp().asking(0));
    told.policy_listens().client_connects().wants([pause(CLIENT), ask(&[0, 1], "")]);
    told.after(ms(21)).wants([connect(0)]).refused(L0).wants([connect(1)]);
    told.client_resets().wants([abort(L1)]).ends();
}

#[test]
fn a_stop_leaves_questions_their_time_and_its_end_takes_it() {
    let mut told = asked(http().asking(0));
    told.stops().wants_nothing().policy_says(choose(1)).wants([connect(1)]);
    told.client_resets().wants([abort(L0)]).ends();
    let mut told = asked(http().asking(0));
    told.abandons().wants([abort(CLIENT)]).policy_says(choose(1)).wants_nothing().ends();
}
