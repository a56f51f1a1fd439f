//! Clients that leave, at any moment. Nobody else is to blame for that.

use fairlead_model::health::Health;

use crate::keep::{GET, OK, POST};
use crate::openings::{asked, sent};
use crate::script::dialogue;
use crate::setup::{http, ms};
use crate::wants::*;

#[test]
fn a_client_that_resets_marks_nobody_down() {
    // The simple balancer in Go retries with the cancelled context and marks all three down.
    let mut told = dialogue(http().backends(3));
    for nth in 0..10 {
        let (client, link) = (Who::Client(nth), Who::Link(nth));
        told.client_connects().wants_nothing().sends(client, GET).wants([connect(0)]);
        told.connected(link).wants([request(link, "GET /a")]);
        told.resets(client).wants([abort(link)]).active(0, 0);
    }
    told.nobody_is_blamed().failures(0, 0).counted("client_gone", 10).ends();
}

#[test]
fn a_client_that_resets_in_the_middle_of_its_answer_harms_nobody() {
    sent(http(), GET)
        .sends(L0, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        .whatever()
        .client_resets()
        .wants([abort(L0)])
        .nobody_is_blamed()
        .active(0, 0)
        .ends();
}

#[test]
fn a_fin_alone_is_no_abort() {
    asked(http(), GET)
        .client_finishes()
        .wants_nothing()
        .connected(L0)
        .wants([request(L0, "GET /a")])
        .sends(L0, OK)
        .wants([answer(CLIENT, 200).body("hi"), close(CLIENT)])
        .ends_with_kept(&[L0]);
}

#[test]
fn a_fin_in_the_middle_of_a_request_is_one() {
    let half = "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n01234";
    sent(http(), half)
        .client_finishes()
        .wants([abort(L0), abort(CLIENT)])
        .nobody_is_blamed()
        .ends();
    dialogue(http())
        .client_connects()
        .wants_nothing()
        .client_sends("GET / HT")
        .wants_nothing()
        .client_finishes()
        .wants([close(CLIENT)])
        .ends();
}

#[test]
fn a_client_that_leaves_while_a_backend_is_sought_ends_the_search() {
    asked(http(), POST)
        .after(ms(51))
        .wants([connect(1)])
        .client_resets()
        .wants([abort(L0), abort(L1)])
        // The one that was late by then is doubted: nobody else would learn of it.
        .is(0, Health::Suspect)
        .is(1, Health::Unknown)
        .active(0, 0)
        .active(1, 0)
        .ends();
}

#[test]
fn a_panic_costs_its_exchange_alone() {
    for about_client in [true, false] {
        let mut told = asked(http(), GET);
        told.connected(L0).whatever().client_connects().wants_nothing();
        told.sends(OTHER, GET).wants([connect(0)]).connected(L1).whatever();
        told.panics(if about_client { CLIENT } else { L0 }).wants([abort(L0), abort(CLIENT)]);
        told.active(0, 1).sends(L1, OK).wants([answer(OTHER, 200).body("hi")]);
        told.finishes(OTHER).wants([close(OTHER)]).ends_with_kept(&[L1]);
    }
}
