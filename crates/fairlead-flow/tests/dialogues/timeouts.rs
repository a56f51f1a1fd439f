//! What happens when nothing happens.

use fairlead_model::health::Health;

use crate::keep::{GET, OK, POST};
use crate::openings::sent;
use crate::script::dialogue;
use crate::setup::{http, ms};
use crate::wants::*;

#[test]
fn an_answer_that_does_not_come_sends_a_repeatable_request_elsewhere_once() {
    sent(http(), GET)
        .after(ms(4_999))
        .wants_nothing()
        .after(ms(2))
        .wants([abort(L0), connect(1)])
        .is(0, Health::Suspect)
        .connected(L1)
        .wants([request(L1, "GET /a")])
        // A second wait is longer than any client's patience.
        .after(ms(5_001))
        .wants([abort(L1), refusal(CLIENT, 504, "response_timeout")])
        .client_finishes()
        .wants([close(CLIENT)])
        .ends();
}

#[test]
fn who_failed_otherwise_is_asked_again_where_the_last_one_says_nothing() {
    sent(http(), GET)
        .resets(L0)
        .wants([connect(1)])
        .connected(L1)
        .wants([request(L1, "GET /a")])
        .after(ms(5_001))
        .wants([abort(L1)])
        .after(ms(51))
        .wants([connect(0)])
        .connected(L2)
        .wants([request(L2, "GET /a")])
        // Three attempts are all that there are.
        .resets(L2)
        .wants([refusal(CLIENT, 502, "backend_reset")])
        .client_finishes()
        .wants([close(CLIENT)])
        .ends();
}

#[test]
fn who_has_had_the_whole_time_is_not_asked_again_for_the_failure_of_another() {
    let mut told = sent(http().pool(|pool| pool.retry.attempts = 5), GET);
    told.after(ms(5_001)).wants([abort(L0), connect(1)]).connected(L1).whatever();
    told.resets(L1).wants_nothing();
    for (pause, link) in [(51, L2), (101, L3)] {
        told.after(ms(pause)).wants([connect(1)]).connected(link).wants([request(link, "GET /a")]);
        told.resets(link).wants_nothing();
    }
    told.client_resets().wants_nothing().ends();
}

#[test]
fn a_post_whose_answer_does_not_come_ends_with_504() {
    sent(http(), POST)
        .after(ms(5_001))
        .wants([
            abort(L0),
            answer(CLIENT, 504)
                .with("x-fairlead-reason: response_timeout\r\n")
                .body("within 5 s\n"),
        ])
        .is(0, Health::Suspect)
        .client_finishes()
        .wants([close(CLIENT)])
        .ends();
}

#[test]
fn an_answer_that_stops_in_the_middle_breaks_off() {
    sent(http(), GET)
        .sends(L0, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
        .whatever()
        .after(ms(2_999))
        .wants_nothing()
        .after(ms(2))
        .wants([abort(L0), close(CLIENT)])
        .counted("response_stalled", 1)
        .is(0, Health::Suspect)
        .ends();
}

#[test]
fn an_answer_that_breaks_off_does_not_destroy_the_one_before() {
    let mut told = sent(http(), GET);
    told.sends(L0, OK).wants([answer(CLIENT, 200).body("hi")]);
    told.client_sends("PUT /b HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nbody").whatever();
    told.sends(L0, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello").whatever();
    // Closed with something unread, it would be reset, and what the client has yet to read with it.
    told.resets(L0).wants([finish(CLIENT)]);
    told.client_sends("body2").wants_nothing();
    told.client_finishes().wants([close(CLIENT)]).counted("response_truncated", 1).ends();
}

#[test]
fn a_stream_with_nothing_to_tell_is_cut_and_nobody_is_blamed() {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n";
    for (framing, event) in [
        ("Transfer-Encoding: chunked\r\n\r\n", "3\r\n: \n\r\n"),
        ("Connection: close\r\n\r\n", ": \n"),
    ] {
        let mut told = sent(http(), GET);
        told.sends(L0, format!("{head}{framing}{event}")).whatever();
        told.after(ms(2_999)).wants_nothing().after(ms(2)).whatever();
        told.counted("stream_idle", 1).counted("response_stalled", 0).nobody_is_blamed().ends();
    }
}

#[test]
fn a_chunk_that_stops_in_the_middle_is_the_backends_fault() {
    sent(http(), GET)
        .sends(L0, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhello")
        .whatever()
        .after(ms(3_001))
        .wants([abort(L0), close(CLIENT)])
        .counted("response_stalled", 1)
        .is(0, Health::Suspect)
        .ends();
}

#[test]
fn a_slow_stream_is_no_stalled_one() {
    let mut told = sent(http(), GET);
    told.sends(L0, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").whatever();
    for _ in 0..10 {
        told.after(ms(2_500)).wants_nothing();
        told.sends(L0, "2\r\nhi\r\n").wants([write(CLIENT, "2\r\nhi\r\n")]);
    }
    told.sends(L0, "0\r\n\r\n").wants([write(CLIENT, "0\r\n\r\n")]);
    told.client_finishes().wants([close(CLIENT)]).nobody_is_blamed().ends_with_kept(&[L0]);
}

#[test]
fn half_a_head_has_its_time_however_slowly_it_drips() {
    let mut told = dialogue(http());
    told.client_connects().wants_nothing().client_sends("GET / HTTP/1.1\r\n").wants_nothing();
    for _ in 0..9 {
        told.after(ms(1_000)).wants_nothing().client_sends("X: y\r\n").wants_nothing();
    }
    told.after(ms(1_001))
        .wants([
            refusal(CLIENT, 408, "request_timeout").with("connection: close\r\n"),
            finish(CLIENT),
        ])
        .client_finishes()
        .wants([close(CLIENT)])
        .nobody_is_blamed()
        .ends();
}

#[test]
fn a_body_that_stops_coming_is_the_clients_fault() {
    let head = "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n";
    sent(http(), head)
        .client_sends("01234")
        .wants([write(L0, "01234")])
        .after(ms(19_999))
        .wants_nothing()
        .after(ms(2))
        .wants([
            abort(L0),
            answer(CLIENT, 408)
                .with("x-fairlead-reason: request_timeout\r\n")
                .with("connection: close\r\n")
                .body("the request body stopped coming\n"),
            finish(CLIENT),
        ])
        .nobody_is_blamed()
        .failures(0, 0)
        .client_finishes()
        .wants([close(CLIENT)])
        .ends();
}

#[test]
fn an_upload_may_take_longer_than_any_answer() {
    let head = "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n";
    let mut told = sent(http(), head);
    for _ in 0..9 {
        told.after(ms(6_000)).wants_nothing().client_sends("x").wants([write(L0, "x")]);
    }
    told.after(ms(6_000)).wants_nothing().client_sends("x").wants([write(L0, "x")]);
    told.after(ms(4_900)).wants_nothing();
    told.sends(L0, OK).wants([answer(CLIENT, 200).body("hi")]);
    told.client_finishes().wants([close(CLIENT)]).nobody_is_blamed().ends_with_kept(&[L0]);
}

#[test]
fn an_idle_client_is_closed_without_a_word() {
    dialogue(http())
        .client_connects()
        .wants_nothing()
        .after(ms(60_001))
        .wants([close(CLIENT)])
        .ends();
    sent(http(), GET)
        .sends(L0, OK)
        .wants([answer(CLIENT, 200).body("hi")])
        .after(ms(59_999))
        .wants_nothing()
        .after(ms(2))
        .wants([close(L0), close(CLIENT)])
        .ends();
}

#[test]
fn a_waiting_request_moves_when_its_backend_is_found_down() {
    let setup = http().checked();
    let mut told = dialogue(setup);
    told.after(ms(1)).wants([connect(1), connect(0)]);
    told.connected(L0).wants([close(L0)]).connected(L1).wants([close(L1)]);
    told.client_connects().wants_nothing().client_sends(GET).wants([connect(0)]);
    told.connected(L2).whatever();
    // Its check fails three times; the request doesn't wait for its own time-out.
    let mut link = 3;
    while told.state(0).health() != Health::Down {
        told.after(ms(100)).whatever();
        for probe in told.connecting(0) {
            told.refused(probe).whatever();
        }
        for probe in told.connecting(1) {
            told.connected(probe).whatever();
        }
        link += 1;
        assert!(link < 100, "it never went down");
    }
    told.after(ms(251)).whatever();
    let moved = told.connecting(1);
    assert_eq!(moved.len(), 1, "the request went on to backend 1");
    told.connected(moved[0]).wants([request(moved[0], "GET /a")]);
    told.sends(moved[0], OK).wants([answer(CLIENT, 200).body("hi")]);
}

#[test]
fn an_empty_line_behind_a_body_begins_no_head() {
    let mut told = sent(http(), POST);
    told.sends(L0, OK).wants([answer(CLIENT, 200).body("hi")]);
    told.client_sends("\r\n").wants_nothing().after(ms(30_000)).wants_nothing();
    told.client_sends(GET).wants([request(L0, "GET /a")]);
    told.sends(L0, OK).wants([answer(CLIENT, 200).body("hi")]);
    told.client_finishes().wants([close(CLIENT)]).ends_with_kept(&[L0]);
}
