//! A graceful stop, and one that runs out of time.

use crate::keep::{GET, OK};
use crate::script::{dialogue, Dialogue};
use crate::setup::{http, ms, tcp};
use crate::wants::*;

fn answered() -> Dialogue {
    let mut told = dialogue(http());
    told.client_connects().wants_nothing().client_sends(GET).wants([connect(0)]);
    told.connected(L0).whatever().sends(L0, OK).wants([answer(CLIENT, 200).body("hi")]);
    told
}

#[test]
fn what_is_under_way_is_finished_and_its_connection_closed() {
    let mut told = dialogue(http());
    told.client_connects().wants_nothing().client_sends(GET).wants([connect(0)]);
    told.connected(L0).whatever().stops().wants_nothing();
    assert_eq!(told.open_clients(), 1);
    told.sends(L0, OK)
        .wants([answer(CLIENT, 200).with("connection: close\r\n").body("hi"), finish(CLIENT)])
        .client_finishes()
        .wants([close(CLIENT)]);
    assert_eq!(told.open_clients(), 0);
    told.after(ms(61_000)).wants([close(L0)]).ends();
}

#[test]
fn a_request_that_crosses_the_stop_is_still_answered() {
    answered()
        .stops()
        .wants_nothing()
        .after(ms(900))
        .wants_nothing()
        .client_sends(GET)
        .wants([request(L0, "GET /a")])
        .sends(L0, OK)
        .wants([answer(CLIENT, 200).with("connection: close\r\n").body("hi"), finish(CLIENT)])
        .client_finishes()
        .wants([close(CLIENT)])
        .ends_with_kept(&[L0]);
}

#[test]
fn an_answer_that_promised_more_keeps_its_promise_for_the_grace() {
    let mut told = dialogue(http());
    told.client_connects().wants_nothing().client_sends(GET).wants([connect(0)]);
    told.connected(L0).whatever();
    told.sends(L0, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha")
        .wants([answer(CLIENT, 200).without("connection: close").body("ha")])
        .stops()
        .wants_nothing()
        .sends(L0, "lf")
        .wants([write(CLIENT, "lf")])
        .client_sends(GET)
        .wants([request(L0, "GET /a")])
        .sends(L0, OK)
        .wants([answer(CLIENT, 200).with("connection: close\r\n").body("hi"), finish(CLIENT)])
        .client_finishes()
        .wants([close(CLIENT)])
        .ends_with_kept(&[L0]);
}

#[test]
fn who_says_nothing_is_closed_after_the_grace() {
    answered()
        .stops()
        .wants_nothing()
        .after(ms(1_001))
        .wants([close(CLIENT)])
        .ends_with_kept(&[L0]);
}

#[test]
fn relays_may_take_their_time() {
    dialogue(tcp())
        .client_connects()
        .whatever()
        .connected(L0)
        .whatever()
        .stops()
        .wants_nothing()
        .after(ms(10_000))
        .wants_nothing()
        .client_sends("still here")
        .wants([write(L0, "still here")])
        .client_resets()
        .wants([abort(L0)])
        .ends();
}

#[test]
fn probes_stop() {
    dialogue(http().backends(1).checked())
        .after(ms(1))
        .wants([connect(0)])
        .stops()
        .wants([abort(L0)])
        .after(ms(60_000))
        .wants_nothing()
        .ends();
}

#[test]
fn when_the_time_is_over_everything_ends() {
    answered()
        .client_connects()
        .wants_nothing()
        .sends(OTHER, GET)
        .wants([request(L0, "GET /a")])
        .client_sends(GET)
        .wants([connect(0)])
        .stops()
        .wants_nothing()
        .abandons()
        .whatever()
        .active(0, 0)
        .counted("shutting_down", 2)
        .ends();
    dialogue(tcp())
        .client_connects()
        .whatever()
        .connected(L0)
        .whatever()
        .client_connects()
        .whatever()
        .stops()
        .wants_nothing()
        .abandons()
        .whatever()
        .active(0, 0)
        .ends();
}
