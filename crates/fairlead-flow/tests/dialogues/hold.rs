//! Waiting for a backend while there is none (`retry.hold`).

use fairlead_model::plan::{ListenerPlan, Millis};

use crate::keep::{GET, OK, POST};
use crate::openings::asked;
use crate::script::dialogue;
use crate::setup::{http, ms, tcp, Setup};
use crate::wants::*;

/// One backend, and two seconds of patience.
fn held(setup: Setup) -> Setup {
    setup.backends(1).pool(|pool| pool.retry.hold = Millis(2_000))
}

#[test]
fn a_request_waits_while_its_only_backend_restarts() {
    for bytes in [GET, POST] {
        let mut told = asked(held(http()), bytes);
        told.refused(L0).wants_nothing().steps("holds", "begun", 1);
        // The oldest tries again ten times a second.
        told.after(ms(110)).wants([connect(0)]).refused(L1).wants_nothing();
        told.after(ms(110)).wants([connect(0)]).connected(L2).whatever();
        told.sends(L2, OK).wants([answer(CLIENT, 200).body("hi")]);
        told.steps("holds", "served", 1).client_finishes().wants([close(CLIENT)]);
        told.ends_with_kept(&[L2]);
    }
}

#[test]
fn a_wait_has_an_end_and_then_the_reason_is_told() {
    let mut told = asked(held(http()).pool(|pool| pool.retry.hold = Millis(1_950)), GET);
    told.refused(L0).wants_nothing();
    told.after(ms(5)).wants_nothing();
    for nth in 1..=19 {
        told.after(ms(100)).wants([connect(0)]).refused(Who::Link(nth)).wants_nothing();
    }
    told.after(ms(80)).wants([refusal(CLIENT, 503, "connect_refused").with("retry-after")]);
    told.steps("holds", "begun", 1).steps("holds", "expired", 1);
    told.client_finishes().wants([close(CLIENT)]).ends();
}

#[test]
fn all_go_on_when_one_was_reached_and_in_their_order() {
    let mut told = dialogue(held(http()));
    for nth in 0..3 {
        told.client_connects().wants_nothing().sends(Who::Client(nth), GET).wants([connect(0)]);
        told.refused(Who::Link(nth)).wants_nothing();
    }
    told.after(ms(110)).wants([connect(0)]).connected(L3).whatever();
    told.after(ms(12)).wants([connect(0), connect(0)]);
    for nth in 0..3 {
        let link = Who::Link(nth + 3);
        if nth > 0 {
            told.connected(link).whatever();
        }
        told.sends(link, OK).wants([answer(Who::Client(nth), 200).body("hi")]);
        told.finishes(Who::Client(nth)).wants([close(Who::Client(nth))]);
    }
    told.steps("holds", "served", 3).ends_with_kept(&[L3, Who::Link(4), Who::Link(5)]);
}

#[test]
fn a_client_that_leaves_does_not_wait_on() {
    let mut told = asked(held(http()), GET);
    told.refused(L0).wants_nothing().client_resets().wants_nothing();
    told.steps("holds", "left", 1).after(ms(3_000)).wants_nothing().ends();
}

#[test]
fn who_comes_beyond_the_limit_is_answered_at_once() {
    let roomy = |listener: &mut ListenerPlan| listener.limits.connections = 2_000;
    let mut told = dialogue(held(http()).listener(roomy));
    for nth in 0..1024 {
        told.client_connects().wants_nothing().sends(Who::Client(nth), GET).whatever();
        if let [link] = told.connecting(0)[..] {
            told.refused(link).wants_nothing();
        }
    }
    told.client_connects().wants_nothing().sends(Who::Client(1024), GET);
    told.wants([connect(0)]).refused(Who::Link(1024));
    told.wants([refusal(Who::Client(1024), 503, "connect_refused")]);
    told.steps("holds", "begun", 1024).steps("holds", "refused", 1).abandons().whatever();
    told.ends();
}

#[test]
fn a_request_that_kills_its_backend_is_sent_no_more_often_than_attempts_say() {
    let mut told = asked(held(http()).pool(|pool| pool.retry.attempts = 2), GET);
    told.connected(L0).whatever().resets(L0).wants_nothing();
    told.after(ms(27)).wants([connect(0)]).refused(L1).wants_nothing();
    told.after(ms(110)).wants([connect(0)]).connected(L2).wants([request(L2, "GET /a")]);
    told.resets(L2).wants([refusal(CLIENT, 502, "backend_reset")]);
    told.client_finishes().wants([close(CLIENT)]).ends();
}

#[test]
fn a_tcp_connection_waits_too() {
    let mut told = dialogue(held(tcp()));
    told.client_connects().wants([pause(CLIENT), connect(0)]).refused(L0).wants_nothing();
    told.after(ms(110)).wants([connect(0)]).connected(L1).wants([resume(CLIENT)]);
    told.client_resets().wants([abort(L1)]).steps("holds", "served", 1).ends();
}

#[test]
fn without_hold_nobody_waits() {
    let mut told = asked(http().backends(1), GET);
    told.refused(L0).wants([refusal(CLIENT, 503, "connect_refused")]);
    told.client_finishes().wants([close(CLIENT)]).ends();
}
