//! Clients that send or take next to nothing, and those that only seem to.

use crate::keep::{GET, OK};
use crate::script::{dialogue, Dialogue};
use crate::setup::{http, ms};
use crate::wants::*;

const UPLOAD: &str = "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n";

/// A request is with its backend; 240 bytes per second are the least.
fn sent(bytes: &str) -> Dialogue {
    let setup = http().listener(|listener| listener.limits.min_rate = Some(240));
    let mut told = dialogue(setup);
    told.client_connects().wants_nothing().client_sends(bytes).wants([connect(0)]);
    told.connected(L0).whatever();
    told
}

/// An answer has begun, and its client takes no more of it.
fn unread() -> Dialogue {
    let mut told = sent(GET);
    told.fills(CLIENT)
        .sends(L0, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nab")
        .wants([answer(CLIENT, 200).body("ab"), pause(L0)]);
    told
}

#[test]
fn a_body_that_drips_is_cut_and_its_backend_not_blamed() {
    let mut told = sent(UPLOAD);
    for _ in 0..29 {
        told.after(ms(1_000)).wants_nothing().client_sends("x").wants([write(L0, "x")]);
    }
    told.after(ms(1_500)).wants([
        abort(L0),
        answer(CLIENT, 408)
            .with("x-fairlead-reason: client_slow\r\n")
            .with("connection: close\r\n")
            .body("the request body came too slowly\n"),
        finish(CLIENT),
    ]);
    told.counted("client_slow", 1).nobody_is_blamed().failures(0, 0);
    told.client_finishes().wants([close(CLIENT)]).ends();
}

#[test]
fn a_body_at_its_least_rate_goes_on() {
    let mut told = sent(UPLOAD);
    let piece = "x".repeat(2_400);
    for _ in 0..100 {
        told.after(ms(10_000)).wants_nothing().client_sends(&piece).wants([write(L0, &piece)]);
    }
    told.client_resets().wants([abort(L0)]).ends();
}

#[test]
fn who_is_not_read_is_not_slow() {
    let mut told = sent(UPLOAD);
    told.fills(L0).client_sends("x").wants([write(L0, "x"), pause(CLIENT)]);
    told.after(ms(4_900)).wants_nothing().drains(L0).wants([resume(CLIENT)]);
    for _ in 0..10 {
        told.fills(L0).client_sends("x").wants([write(L0, "x"), pause(CLIENT)]);
        told.after(ms(4_900)).wants_nothing().drains(L0).wants([resume(CLIENT)]);
    }
    told.client_resets().wants([abort(L0)]).ends();
}

#[test]
fn a_body_beside_its_answer_may_take_its_time() {
    let chunked = "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut told = sent(chunked);
    told.sends(L0, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").whatever();
    for _ in 0..100 {
        told.after(ms(2_000)).wants_nothing();
        told.client_sends("1\r\nx\r\n").wants([write(L0, "1\r\nx\r\n")]);
    }
    told.counted("client_slow", 0).client_resets().wants([abort(L0)]).ends();
}

#[test]
fn who_takes_nothing_of_an_answer_is_cut_off() {
    let mut told = unread();
    told.has_taken(CLIENT, 70_000).after(ms(59_000)).wants_nothing();
    told.after(ms(2_000)).wants([abort(L0), abort(CLIENT)]);
    told.counted("client_slow", 1).nobody_is_blamed().ends();
}

#[test]
fn who_takes_nothing_is_cut_off_whatever_it_sends() {
    let mut told = sent("POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    told.fills(CLIENT)
        .sends(L0, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nab")
        .wants([answer(CLIENT, 200).body("ab"), pause(L0)]);
    told.has_taken(CLIENT, 70_000);
    for _ in 0..59 {
        told.after(ms(1_000)).wants_nothing();
        told.client_sends("1\r\nx\r\n").wants([write(L0, "1\r\nx\r\n")]);
    }
    told.after(ms(2_000)).wants([abort(L0), abort(CLIENT)]);
    told.counted("client_slow", 1).nobody_is_blamed().ends();
}

#[test]
fn who_takes_less_than_the_least_is_cut_off() {
    let mut told = unread();
    told.has_taken(CLIENT, 70_000).after(ms(50_000)).wants_nothing();
    told.has_taken(CLIENT, 72_000).after(ms(11_000)).wants([abort(L0), abort(CLIENT)]);
    told.counted("client_slow", 1).ends();
}

#[test]
fn a_slow_reader_on_a_modest_link_is_not() {
    let mut told = unread();
    for minute in 1..100 {
        told.has_taken(CLIENT, minute * 20_000).after(ms(30_000)).wants_nothing();
        told.has_taken(CLIENT, minute * 20_000 + 15_000).after(ms(30_000)).wants_nothing();
    }
    told.drains(CLIENT).wants([resume(L0)]).sends(L0, "cdef").wants([write(CLIENT, "cdef")]);
    told.nobody_is_blamed().client_finishes().wants([close(CLIENT)]).ends_with_kept(&[L0]);
}

#[test]
fn the_end_of_an_answer_may_be_taken_slowly_too() {
    for head in [GET, "GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"] {
        let mut told = sent(head);
        told.fills(CLIENT).sends(L0, OK).whatever();
        for minute in 1..20 {
            told.has_taken(CLIENT, minute * 20_000).after(ms(30_000)).whatever();
            told.has_taken(CLIENT, minute * 20_000 + 15_000).after(ms(30_000)).whatever();
            assert_eq!(told.open_clients(), 1);
        }
        // And who stops taking is not waited for.
        told.after(ms(121_000)).whatever();
        assert_eq!(told.open_clients(), 0);
    }
}

#[test]
fn the_end_of_an_answer_is_not_measured_by_the_body_before_it() {
    let mut told = sent("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n");
    told.client_sends("x").wants([write(L0, "x")]).client_sends("y").wants([write(L0, "y")]);
    told.fills(CLIENT).sends(L0, OK).whatever();
    for second in 1..600 {
        told.has_taken(CLIENT, second * 300).after(ms(1_000)).whatever();
        assert_eq!(told.open_clients(), 1, "after {second} s");
    }
}

#[test]
fn the_idle_time_begins_when_the_end_of_an_answer_is_taken() {
    let mut told = sent(GET);
    told.fills(CLIENT).sends(L0, OK).wants([answer(CLIENT, 200).body("hi")]);
    told.after(ms(50_000)).wants_nothing().drains(CLIENT).wants_nothing();
    told.after(ms(59_000)).wants([close(L0)]).after(ms(2_000)).wants([close(CLIENT)]).ends();
    // A stop doesn't wait for that.
    let mut told = sent(GET);
    told.fills(CLIENT).sends(L0, OK).wants([answer(CLIENT, 200).body("hi")]).stops().whatever();
    told.drains(CLIENT).whatever().after(ms(2_000)).whatever();
    assert_eq!(told.open_clients(), 0);
}

#[test]
fn long_polls_and_quiet_streams_are_not_slow() {
    let mut told = sent(GET);
    told.after(ms(4_900)).wants_nothing();
    told.sends(L0, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").whatever();
    for _ in 0..200 {
        told.after(ms(2_900)).wants_nothing();
        told.sends(L0, "1\r\n.\r\n").wants([write(CLIENT, "1\r\n.\r\n")]);
    }
    told.counted("client_slow", 0).client_resets().wants([abort(L0)]).ends();
}
