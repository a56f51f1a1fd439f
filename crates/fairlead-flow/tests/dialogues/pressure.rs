//! Nobody is read faster than the other side takes it.

use crate::keep::{GET, OK};
use crate::script::{dialogue, Dialogue};
use crate::setup::{http, ms};
use crate::wants::*;

fn sent(bytes: impl AsRef<[u8]>) -> Dialogue {
    let mut told = dialogue(http());
    told.client_connects().wants_nothing().client_sends(bytes).wants([connect(0)]);
    told.connected(L0).whatever();
    told
}

#[test]
fn a_slow_reader_stops_its_backend() {
    let mut told = sent(GET);
    told.fills(CLIENT)
        .sends(L0, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nab")
        .wants([answer(CLIENT, 200).body("ab"), pause(L0)])
        .drains(CLIENT)
        .wants([resume(L0)])
        .sends(L0, "cd")
        .wants([write(CLIENT, "cd")])
        .sends(L0, "ef")
        .wants([write(CLIENT, "ef")])
        .client_finishes()
        .wants([close(CLIENT)])
        .ends_with_kept(&[L0]);
}

#[test]
fn a_reader_that_takes_nothing_is_cut_off_and_its_backend_is_not_blamed() {
    sent(GET)
        .fills(CLIENT)
        .sends(L0, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nab")
        .wants([answer(CLIENT, 200).body("ab"), pause(L0)])
        .after(ms(59_000))
        .wants_nothing()
        .after(ms(2_000))
        .wants([abort(L0), abort(CLIENT)])
        .nobody_is_blamed()
        .ends();
}

#[test]
fn a_slow_backend_stops_its_client() {
    let head = "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n";
    sent(head)
        .fills(L0)
        .client_sends("ab")
        .wants([write(L0, "ab"), pause(CLIENT)])
        .drains(L0)
        .wants([resume(CLIENT)])
        .client_sends("cdef")
        .wants([write(L0, "cdef")])
        .sends(L0, OK)
        .wants([answer(CLIENT, 200).body("hi")])
        .client_finishes()
        .wants([close(CLIENT)])
        .ends_with_kept(&[L0]);
}

#[test]
fn an_upload_waits_in_bounds_while_nobody_takes_it() {
    let head = "PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n";
    let piece = vec![b'x'; 50_000];
    let mut told = dialogue(http());
    told.client_connects().wants_nothing().client_sends(head).wants([connect(0)]);
    told.client_sends(&piece).wants_nothing();
    told.client_sends(&piece).wants([pause(CLIENT)]);
    told.connected(L0)
        .wants([request(L0, "PUT /a").body([&piece[..], &piece].concat()), resume(CLIENT)]);
    told.client_resets().wants([abort(L0)]).ends();
}

#[test]
fn pipelined_requests_wait_in_bounds() {
    let mut told = sent(GET);
    let many = GET.repeat(1_000);
    told.client_sends(&many).wants_nothing();
    told.client_sends(&many).wants([pause(CLIENT)]);
    // Reading goes on when there is room again.
    let mut answered = 0;
    while !told.wanted_last(&resume(CLIENT)) {
        told.sends(L0, OK).whatever();
        answered += 1;
        assert!(answered < 2_000, "the client is never read again");
    }
    told.client_resets().wants([abort(L0)]).ends();
}

#[test]
fn a_client_that_pipelines_and_does_not_read_gets_no_more_answers() {
    let mut told = sent(GET.repeat(3));
    told.fills(CLIENT)
        .sends(L0, OK)
        // The next request waits until this answer has been taken.
        .wants([answer(CLIENT, 200).body("hi")])
        .client_sends(GET.repeat(1_000))
        .wants_nothing()
        .client_sends(GET.repeat(1_000))
        .wants([pause(CLIENT)])
        .drains(CLIENT)
        .wants([request(L0, "GET /a")])
        .client_resets()
        .wants([abort(L0)])
        .ends();
}

#[test]
fn the_end_of_a_last_answer_has_the_time_of_the_rest() {
    let head = "GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let mut told = sent(head);
    told.fills(CLIENT).sends(L0, OK).wants([answer(CLIENT, 200).body("hi"), finish(CLIENT)]);
    told.after(ms(30_000)).wants_nothing();
    told.drains(CLIENT).wants_nothing();
    told.after(ms(2_100)).wants([close(CLIENT)]).ends_with_kept(&[L0]);
}

#[test]
fn the_end_of_a_last_answer_is_not_lost_to_what_comes_behind_its_request() {
    let head = "GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let piece = vec![b'x'; 60_000];
    let mut told = sent(head);
    told.fills(CLIENT).sends(L0, OK).wants([answer(CLIENT, 200).body("hi"), finish(CLIENT)]);
    for _ in 0..4 {
        told.client_sends(&piece).wants_nothing();
    }
    // A close with unread bytes would be a reset, which takes the answer with it: the client is
    // held back instead, for as long as it has to take what it was given.
    told.client_sends(&piece).wants([pause(CLIENT)]);
    told.after(ms(30_000)).wants_nothing();
    told.drains(CLIENT).wants_nothing();
    told.after(ms(1_900)).wants_nothing();
    told.after(ms(200)).wants([close(CLIENT)]).ends_with_kept(&[L0]);
}

#[test]
fn a_slow_reader_that_has_finished_sending_gets_the_end_of_its_answer() {
    let mut told = sent(GET);
    told.client_finishes().wants_nothing();
    told.fills(CLIENT).sends(L0, OK).wants([answer(CLIENT, 200).body("hi")]);
    told.after(ms(30_000)).wants_nothing();
    told.drains(CLIENT).wants([close(CLIENT)]).ends_with_kept(&[L0]);
}

#[test]
fn a_backend_that_loses_patience_with_a_slow_reader_is_not_blamed() {
    let mut told = sent(GET);
    told.fills(CLIENT)
        .sends(L0, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nab")
        .wants([answer(CLIENT, 200).body("ab"), pause(L0)]);
    told.after(ms(20_000)).wants_nothing().drains(CLIENT).wants([resume(L0)]);
    told.resets(L0).wants([close(CLIENT)]).failures(0, 0).nobody_is_blamed().ends();
}

#[test]
fn a_backend_that_loses_patience_with_a_slow_sender_is_not_blamed() {
    let mut told = sent("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nab");
    told.after(ms(10_000)).wants_nothing();
    told.finishes(L0).wants([abort(L0), refusal(CLIENT, 502, "backend_reset"), finish(CLIENT)]);
    told.failures(0, 0).nobody_is_blamed().client_finishes().wants([close(CLIENT)]).ends();
}
