//! Connections that carry one request after the other, on both sides.

use fairlead_flow::driver::IoFailure;
use fairlead_model::plan::Millis;

use crate::openings::asked;
use crate::script::{dialogue, Dialogue};
use crate::setup::{http, ms};
use crate::wants::*;

pub(crate) const GET: &str = "GET /a HTTP/1.1\r\nHost: example.com\r\n\r\n";
pub(crate) const POST: &str =
    "POST /a HTTP/1.1\r\nHost: example.com\r\nContent-Length: 4\r\n\r\nbody";
pub(crate) const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

#[test]
fn requests_share_connections_on_both_sides() {
    asked(http(), GET)
        .connected(L0)
        .wants([request(L0, "GET /a HTTP/1.1")
            .with("host: example.com\r\n")
            .with("x-forwarded-for: 192.0.2.1\r\n")
            .without("connection:")])
        .active(0, 1)
        .sends(L0, OK)
        .wants([answer(CLIENT, 200).body("hi").without("connection: close")])
        .active(0, 0)
        .client_sends(GET)
        .wants([request(L0, "GET /a")])
        .sends(L0, OK)
        .wants([answer(CLIENT, 200).body("hi")])
        .client_finishes()
        .wants([close(CLIENT)])
        // Another client's request finds the same connection.
        .client_connects()
        .wants_nothing()
        .sends(OTHER, GET)
        .wants([request(L0, "GET /a")])
        .sends(L0, OK)
        .wants([answer(OTHER, 200).body("hi")])
        .finishes(OTHER)
        .wants([close(OTHER)])
        .ends_with_kept(&[L0]);
}

#[test]
fn pipelined_requests_are_answered_in_their_order() {
    let three = "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\nGET /3 HTTP/1.1\r\nHost: a\r\n\r\n";
    asked(http(), three)
        .connected(L0)
        .wants([request(L0, "GET /1")])
        .sends(L0, OK)
        .wants([answer(CLIENT, 200).body("hi"), request(L0, "GET /2")])
        .sends(L0, OK)
        .wants([answer(CLIENT, 200).body("hi"), request(L0, "GET /3")])
        .sends(L0, OK)
        .wants([answer(CLIENT, 200).body("hi")])
        .client_finishes()
        .wants([close(CLIENT)])
        .ends_with_kept(&[L0]);
}

#[test]
fn a_client_that_finishes_behind_its_requests_gets_all_its_answers() {
    let two = "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n";
    asked(http(), two)
        .client_finishes()
        .wants_nothing()
        .connected(L0)
        .wants([request(L0, "GET /1")])
        .sends(L0, OK)
        .wants([answer(CLIENT, 200).body("hi"), request(L0, "GET /2")])
        .sends(L0, OK)
        .wants([answer(CLIENT, 200).body("hi"), close(CLIENT)])
        .ends_with_kept(&[L0]);
}

#[test]
fn a_request_in_pieces_is_one_request_wherever_it_is_cut() {
    for cut in 1..GET.len() {
        dialogue(http())
            .client_connects()
            .wants_nothing()
            .client_sends(&GET[..cut])
            .wants_nothing()
            .client_sends(&GET[cut..])
            .wants([connect(0)])
            .connected(L0)
            .wants([request(L0, "GET /a")])
            .client_resets()
            .wants([abort(L0)])
            .ends();
    }
}

#[test]
fn an_answer_in_pieces_is_one_answer_wherever_it_is_cut() {
    for cut in 1..OK.len() {
        let head = OK.find("\r\n\r\n").map_or(0, |at| at + 4);
        let mut told = asked(http(), GET);
        told.connected(L0).wants([request(L0, "GET /a")]).sends(L0, &OK[..cut]);
        match cut {
            _ if cut < head => {
                told.wants_nothing().sends(L0, &OK[cut..]).wants([answer(CLIENT, 200).body("hi")])
            }
            _ => told
                .wants([answer(CLIENT, 200).body(&OK[head..cut])])
                .sends(L0, &OK[cut..])
                .wants([write(CLIENT, &OK[cut..])]),
        };
        told.client_finishes().wants([close(CLIENT)]).ends_with_kept(&[L0]);
    }
}

#[test]
fn a_client_that_asks_for_the_end_gets_it() {
    let last = "GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    asked(http(), last)
        .connected(L0)
        .wants([request(L0, "GET /a").without("connection: close")])
        .sends(L0, OK)
        .wants([
            answer(CLIENT, 200).with("connection: close\r\n").body("hi"),
            finish(CLIENT),
            close(CLIENT),
        ])
        .ends_with_kept(&[L0]);
}

#[test]
fn who_sends_more_than_it_announced_still_gets_its_answer() {
    let last = "GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    asked(http(), format!("{last}{GET}"))
        .connected(L0)
        .wants([request(L0, "GET /a")])
        .sends(L0, OK)
        // Closed with bytes that nobody has read, the connection would be reset.
        .wants([answer(CLIENT, 200).with("connection: close\r\n").body("hi"), finish(CLIENT)])
        // What it still sends is thrown away; its FIN is the end.
        .client_sends(GET)
        .wants_nothing()
        .client_finishes()
        .wants([close(CLIENT)])
        .ends_with_kept(&[L0]);
}

#[test]
fn an_old_client_keeps_its_connection_only_if_it_asks() {
    dialogue(http())
        .client_connects()
        .wants_nothing()
        .client_sends("GET /a HTTP/1.0\r\n\r\n")
        .wants([connect(0)])
        .connected(L0)
        .wants([request(L0, "GET /a HTTP/1.1").with("host: 10.0.0.0:80\r\n")])
        .sends(L0, OK)
        .wants([answer(CLIENT, 200).body("hi"), finish(CLIENT), close(CLIENT)])
        .ends_with_kept(&[L0]);
    dialogue(http())
        .client_connects()
        .wants_nothing()
        .client_sends("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        .wants([connect(0)])
        .connected(L0)
        .wants([request(L0, "GET /a HTTP/1.1")])
        .sends(L0, OK)
        .wants([answer(CLIENT, 200).with("connection: keep-alive\r\n").body("hi")])
        .client_finishes()
        .wants([close(CLIENT)])
        .ends_with_kept(&[L0]);
}

#[test]
fn a_backend_that_ends_its_connection_is_not_asked_on_it_again() {
    let last = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi";
    asked(http(), GET)
        .connected(L0)
        .wants([request(L0, "GET /a")])
        .sends(L0, last)
        .wants([answer(CLIENT, 200).body("hi").without("connection: close"), close(L0)])
        .client_sends(GET)
        .wants([connect(0)])
        .connected(L1)
        .wants([request(L1, "GET /a")])
        .client_resets()
        .wants([abort(L1)])
        .ends();
}

#[test]
fn bytes_behind_an_answer_end_the_connection_they_came_on() {
    asked(http(), GET)
        .connected(L0)
        .wants([request(L0, "GET /a")])
        .sends(L0, format!("{OK}{OK}"))
        .wants([answer(CLIENT, 200).body("hi"), close(L0)])
        .client_finishes()
        .wants([close(CLIENT)])
        .ends();
}

#[test]
fn bytes_that_nobody_asked_for_end_a_kept_connection() {
    asked(http(), GET)
        .connected(L0)
        .wants([request(L0, "GET /a")])
        .sends(L0, OK)
        .wants([answer(CLIENT, 200).body("hi")])
        .sends(L0, OK)
        .wants([close(L0)])
        .client_finishes()
        .wants([close(CLIENT)])
        .ends();
}

#[test]
fn a_stale_connection_costs_a_second_try_and_no_blame() {
    for by_reset in [false, true] {
        let mut told = dialogue(http());
        told.client_connects()
            .wants_nothing()
            .client_sends(GET)
            .wants([connect(0)])
            .connected(L0)
            .wants([request(L0, "GET /a")])
            .sends(L0, OK)
            .wants([answer(CLIENT, 200).body("hi")])
            .client_sends(GET)
            .wants([request(L0, "GET /a")]);
        // The same backend again, on a fresh connection.
        if by_reset {
            told.resets(L0).wants([connect(0)]);
        } else {
            told.finishes(L0).wants([abort(L0), connect(0)]);
        }
        told.connected(L1)
            .wants([request(L1, "GET /a")])
            .sends(L1, OK)
            .wants([answer(CLIENT, 200).body("hi")])
            .nobody_is_blamed()
            .failures(0, 0)
            .client_finishes()
            .wants([close(CLIENT)])
            .ends_with_kept(&[L1]);
    }
}

#[test]
fn a_post_never_goes_out_on_a_connection_that_may_be_closing() {
    asked(http(), GET)
        .connected(L0)
        .wants([request(L0, "GET /a")])
        .sends(L0, OK)
        .wants([answer(CLIENT, 200).body("hi")])
        // Fresh enough.
        .after(ms(40))
        .wants_nothing()
        .client_sends(POST)
        .wants([request(L0, "POST /a").body("body")])
        .sends(L0, OK)
        .wants([answer(CLIENT, 200).body("hi")])
        // Too old, while nothing is known of how long this backend keeps connections.
        .after(ms(600))
        .wants_nothing()
        .client_sends(POST)
        .wants([connect(0)])
        .connected(L1)
        .wants([request(L1, "POST /a").body("body")])
        .sends(L1, OK)
        .wants([answer(CLIENT, 200).body("hi")])
        // Fresh, but something has arrived on it.
        .stirs(L1)
        .client_sends(POST)
        .wants([close(L1), connect(0)])
        .connected(L2)
        .wants([request(L2, "POST /a").body("body")])
        .client_resets()
        .wants([abort(L2)])
        .ends_with_kept(&[L0]);
}

/// A GET's answer is read from its beginning to its end within `pause`: its client is slow, or the
/// way is.
fn read_slowly(by_client: bool, pause: u64) -> Dialogue {
    let mut told = asked(http(), GET);
    told.connected(L0).whatever();
    if by_client {
        told.fills(CLIENT).sends(L0, &OK[..OK.len() - 1]).whatever();
        told.after(ms(pause)).wants_nothing().drains(CLIENT).wants([resume(L0)]);
    } else {
        told.sends(L0, &OK[..OK.len() - 1]).whatever().after(ms(pause)).wants_nothing();
    }
    told.sends(L0, "i").wants([write(CLIENT, "i")]);
    told
}

#[test]
fn a_post_never_follows_an_answer_that_was_read_slowly() {
    for by_client in [false, true] {
        // The backend may have given all of it to its kernel at once, and idled since. Its FIN
        // comes right behind the last byte then.
        let mut told = read_slowly(by_client, 600);
        told.client_sends(POST)
            .wants([connect(0)])
            .connected(L1)
            .wants([request(L1, "POST /a").body("body")]);
        told.sends(L1, OK).wants([answer(CLIENT, 200).body("hi")]);
        // That it did so says nothing about how long it lets connections idle.
        told.finishes(L0).wants([close(L0)]);
        told.after(ms(40))
            .wants_nothing()
            .client_sends(POST)
            .wants([request(L1, "POST /a").body("body")]);
        told.client_resets().wants([abort(L1)]).ends();
    }
    read_slowly(true, 40).client_sends(POST).wants([request(L0, "POST /a").body("body")]);
    // What may go again goes out on it.
    let mut told = read_slowly(true, 600);
    told.client_sends(GET).wants([request(L0, "GET /a")]).finishes(L0);
    told.wants([abort(L0), connect(0)]).connected(L1).wants([request(L1, "GET /a")]);
    told.sends(L1, OK).wants([answer(CLIENT, 200).body("hi")]);
    told.after(ms(10)).wants_nothing().client_sends(GET).wants([request(L1, "GET /a")]);
    told.client_resets().wants([abort(L1)]).ends();
}

#[test]
fn a_kept_connection_gives_its_descriptor_to_a_request_that_needs_one() {
    asked(http(), GET)
        .connected(L0)
        .wants([request(L0, "GET /a")])
        .sends(L0, OK)
        .wants([answer(CLIENT, 200).body("hi")])
        .after(ms(600))
        .wants_nothing()
        .next_connect_fails(IoFailure::NoDescriptor)
        .client_sends(POST)
        .wants([connect(0), abort(L0), connect(0)])
        .connected(L1)
        .wants([request(L1, "POST /a").body("body")])
        .sends(L1, OK)
        .wants([answer(CLIENT, 200).body("hi")])
        .nobody_is_blamed()
        .client_finishes()
        .wants([close(CLIENT)])
        .ends_with_kept(&[L1]);
}

#[test]
fn an_announced_idle_time_is_respected() {
    let told = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nKeep-Alive: timeout=5\r\n\r\nhi";
    asked(http(), GET)
        .connected(L0)
        .wants([request(L0, "GET /a")])
        .sends(L0, told)
        .wants([answer(CLIENT, 200).body("hi").without("keep-alive:")])
        .after(ms(4_800))
        .wants_nothing()
        .client_sends(GET)
        .wants([connect(0)])
        .connected(L1)
        .wants([request(L1, "GET /a")])
        .client_resets()
        .wants([abort(L1)])
        .ends_with_kept(&[L0]);
}

#[test]
fn a_kept_connection_that_ends_is_closed_and_nobody_is_blamed() {
    asked(http(), GET)
        .connected(L0)
        .wants([request(L0, "GET /a")])
        .sends(L0, OK)
        .wants([answer(CLIENT, 200).body("hi")])
        .client_finishes()
        .wants([close(CLIENT)])
        .finishes(L0)
        .wants([close(L0)])
        .nobody_is_blamed()
        .ends();
}

#[test]
fn kept_connections_are_closed_when_they_are_too_old() {
    asked(http().pool(|pool| pool.timeouts.keepalive = Millis(2_000)), GET)
        .connected(L0)
        .wants([request(L0, "GET /a")])
        .sends(L0, OK)
        .wants([answer(CLIENT, 200).body("hi")])
        .client_finishes()
        .wants([close(CLIENT)])
        .after(ms(2_100))
        .wants([close(L0)])
        .ends();
}
