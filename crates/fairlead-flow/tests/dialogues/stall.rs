//! Answers that stop in their middle, and clients that don't wait for the rest.

use fairlead_model::health::Health;
use fairlead_model::plan::Policy;

use crate::keep::{GET, OK};
use crate::openings::{known, sent};
use crate::script::Dialogue;
use crate::setup::{http, ms, Setup};
use crate::wants::*;

const HALF: &str = "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nhi";

fn turns() -> Setup {
    http().pool(|pool| pool.policy = Policy::RoundRobin)
}

/// A client gets half an answer from the first backend, over `link`.
fn half(told: &mut Dialogue, client: usize, link: Who, answer_begins: &str) {
    let client = Who::Client(client);
    told.client_connects().wants_nothing().sends(client, GET).whatever();
    if link != L0 {
        told.connected(link).whatever();
    }
    told.active(1, 0).sends(link, answer_begins).wants([answer(client, 200).body("hi")]);
    told.after(ms(10)).wants_nothing();
}

/// A client gets a whole answer from the second one.
fn whole(told: &mut Dialogue, client: usize) {
    let client = Who::Client(client);
    told.client_connects().wants_nothing().sends(client, GET).whatever().active(1, 1);
    told.sends(L1, OK).wants([answer(client, 200).body("hi")]);
    told.finishes(client).wants([close(client)]);
}

#[test]
fn two_in_a_row_that_stall_until_their_clients_leave_are_evidence() {
    let mut told = known(turns(), GET);
    half(&mut told, 2, L0, HALF);
    whole(&mut told, 3);
    // A FIN is no abort; but most who send one now have lost their patience.
    told.after(ms(600)).wants_nothing().finishes(Who::Client(2)).wants_nothing();
    told.nobody_is_blamed();
    half(&mut told, 4, L2, HALF);
    whole(&mut told, 5);
    told.after(ms(600)).wants_nothing().resets(Who::Client(4)).wants([abort(L2)]);
    told.is(0, Health::Suspect).failures(0, 1);
    assert!(
        told.why(0).contains("answer stalled (for 610 ms, until its client left"),
        "{}",
        told.why(0)
    );
    // The same client's going tells nothing new.
    told.resets(Who::Client(2)).wants([abort(L0)]).failures(0, 1);
    told.counted("client_gone", 2).ends_with_kept(&[L1]);
}

#[test]
fn a_whole_answer_in_between_makes_them_slow_pages() {
    let mut told = known(turns(), GET);
    half(&mut told, 2, L0, HALF);
    whole(&mut told, 3);
    told.after(ms(600)).wants_nothing().resets(Who::Client(2)).wants([abort(L0)]);
    told.client_connects().wants_nothing().sends(Who::Client(4), GET).wants([connect(0)]);
    told.connected(L2).whatever().sends(L2, OK).wants([answer(Who::Client(4), 200).body("hi")]);
    told.finishes(Who::Client(4)).wants([close(Who::Client(4))]);
    whole(&mut told, 5);
    told.client_connects().wants_nothing().sends(Who::Client(6), GET).whatever();
    told.sends(L2, HALF).wants([answer(Who::Client(6), 200).body("hi")]);
    told.after(ms(10)).wants_nothing();
    whole(&mut told, 7);
    told.after(ms(600)).wants_nothing().resets(Who::Client(6)).wants([abort(L2)]);
    told.nobody_is_blamed().failures(0, 0).ends_with_kept(&[L1]);
}

#[test]
fn a_client_that_leaves_soon_says_nothing() {
    let mut told = known(turns(), GET);
    half(&mut told, 2, L0, HALF);
    half_again(&mut told, ms(300));
    told.nobody_is_blamed().failures(0, 0).ends_with_kept(&[L1]);
}

/// Two clients leave after this time; others got whole answers meanwhile.
fn half_again(told: &mut Dialogue, patience: std::time::Duration) {
    whole(told, 3);
    told.after(patience).wants_nothing().resets(Who::Client(2)).wants([abort(L0)]);
    half(told, 4, L2, HALF);
    whole(told, 5);
    told.after(patience).wants_nothing().resets(Who::Client(4)).wants([abort(L2)]);
}

#[test]
fn where_nobody_else_gets_whole_answers_nobody_is_blamed() {
    let mut told = known(turns(), GET);
    half(&mut told, 2, L0, HALF);
    whole(&mut told, 3);
    // That one was asked before; now there is silence everywhere.
    told.sends(L0, "more").wants([write(Who::Client(2), "more")]);
    told.after(ms(2_500)).wants_nothing().resets(Who::Client(2)).wants([abort(L0)]);
    told.nobody_is_blamed().abandons().whatever();
}

#[test]
fn what_a_slow_client_has_not_taken_is_not_missed() {
    let mut told = known(turns(), GET);
    for (client, link) in [(2, L0), (4, L2)] {
        told.fills(Who::Client(client));
        told.client_connects().wants_nothing().sends(Who::Client(client), GET).whatever();
        if link != L0 {
            told.connected(link).whatever();
        }
        told.sends(link, HALF).wants([answer(Who::Client(client), 200).body("hi"), pause(link)]);
        whole(&mut told, client + 1);
        told.after(ms(900)).wants_nothing().resets(Who::Client(client)).wants([abort(link)]);
    }
    told.nobody_is_blamed().failures(0, 0).ends_with_kept(&[L1]);
}

#[test]
fn between_two_events_of_a_stream_nothing_is_owed() {
    let events = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n";
    let mut told = known(turns(), GET);
    for (client, link) in [(2, L0), (4, L2)] {
        told.client_connects().wants_nothing().sends(Who::Client(client), GET).whatever();
        if link != L0 {
            told.connected(link).whatever();
        }
        told.sends(link, events).whatever();
        whole(&mut told, client + 1);
        told.after(ms(2_000)).wants_nothing().resets(Who::Client(client)).wants([abort(link)]);
    }
    told.nobody_is_blamed().failures(0, 0).ends_with_kept(&[L1]);
}

#[test]
fn an_answer_speaks_for_its_backend_once_it_is_whole() {
    let mut told = sent(http(), GET);
    told.sends(L0, HALF).wants([answer(CLIENT, 200).body("hi")]).is(0, Health::Unknown);
    told.sends(L0, "x".repeat(18)).wants([write(CLIENT, "x".repeat(18))]).is(0, Health::Healthy);
    // One whose end isn't known does at its head.
    let mut told = sent(http(), GET);
    told.sends(L0, "HTTP/1.1 200 OK\r\n\r\nhi").whatever().is(0, Health::Healthy);
    told.client_resets().whatever().ends();
}
