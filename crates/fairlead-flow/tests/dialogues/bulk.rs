//! Much at once goes on without being looked at, and nothing else does.

use fairlead_flow::Sent;
use fairlead_model::limits::RECEIVE_BYTES;
use fairlead_model::plan::{AccessLogPlan, LogFormat};

use crate::keep::GET;
use crate::openings::sent;
use crate::script::{dialogue, Dialogue};
use crate::setup::{http, ms, tcp};
use crate::wants::*;

const ALL: Sent = Sent::All;

fn much() -> Vec<u8> {
    vec![b'x'; RECEIVE_BYTES]
}

fn joined() -> Dialogue {
    let mut told = dialogue(tcp());
    told.client_connects().whatever().connected(L0).whatever();
    told
}

/// A request was sent, and an answer of so many bytes has begun.
fn answered(framing: &str, begun: &[u8]) -> Dialogue {
    let mut told = sent(http(), GET);
    let head = format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n");
    told.sends(L0, [head.as_bytes(), begun].concat());
    told.wants([answer(CLIENT, 200).body(begun)]);
    told
}

/// The head of a request was sent that has so long a body.
fn upload(method: &str, length: u64) -> Dialogue {
    sent(http(), format!("{method} /a HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n"))
}

/// The next request is at the same backend, and ends well on both connections.
fn serves_once_more(told: &mut Dialogue) {
    told.sends(L0, "HTTP/1.1 204 No Content\r\n\r\n").wants([answer(CLIENT, 204)]);
    told.client_finishes().wants([close(CLIENT)]).ends_with_kept(&[L0]);
}

#[test]
fn a_relay_forwards_what_comes_in_full_buffers() {
    joined()
        .client_sends(b"little")
        .wants([write(L0, b"little")])
        .sends(L0, much())
        .wants([write(CLIENT, much()), forward(L0, CLIENT, u64::MAX)])
        .forwards(L0, 1_000_000, ALL)
        .wants_nothing()
        // The other direction is its own.
        .client_sends(much())
        .wants([write(L0, much()), forward(CLIENT, L0, u64::MAX)])
        .forwards(L0, 1_000_000, Sent::Queued)
        .wants([pause(L0)])
        .drains(CLIENT)
        .wants([resume(L0)])
        .finishes(L0)
        .wants([finish(CLIENT)])
        .client_finishes()
        .wants([close(CLIENT), close(L0)])
        .ends();
}

#[test]
fn forwarded_bytes_are_no_idleness() {
    let mut told = joined();
    told.sends(L0, much()).wants([write(CLIENT, much()), forward(L0, CLIENT, u64::MAX)]);
    for _ in 0..3 {
        told.after(ms(40_000)).wants_nothing().forwards(L0, 100_000, ALL).wants_nothing();
    }
    told.client_resets().wants([abort(L0)]).ends();
}

#[test]
fn who_keeps_something_gets_nothing_forwarded() {
    joined()
        .fills(CLIENT)
        .sends(L0, much())
        .wants([write(CLIENT, much()), pause(L0)])
        .client_resets()
        .wants([abort(L0)])
        .ends();
}

#[test]
fn the_rest_of_an_answer_is_forwarded_and_no_more() {
    let length = 3 * RECEIVE_BYTES as u64;
    let left = length - 2 - RECEIVE_BYTES as u64;
    let mut told = answered(&format!("Content-Length: {length}"), b"ab");
    told.sends(L0, much())
        .wants([write(CLIENT, much()), forward(L0, CLIENT, left)])
        .forwards(L0, left - 1, ALL)
        .wants_nothing()
        // What comes in the ordinary way is counted on.
        .sends(L0, b"z")
        .wants([write(CLIENT, b"z")])
        .active(0, 0)
        .client_sends(GET)
        .wants([request(L0, "GET /a")]);
    serves_once_more(&mut told);
}

#[test]
fn an_answer_can_end_with_what_was_forwarded() {
    let length = 2 * RECEIVE_BYTES as u64;
    let left = length - RECEIVE_BYTES as u64;
    answered(&format!("Content-Length: {length}"), b"")
        .sends(L0, much())
        .wants([write(CLIENT, much()), forward(L0, CLIENT, left)])
        .forwards(L0, left, Sent::Queued)
        .wants_nothing()
        .active(0, 0)
        .drains(CLIENT)
        .wants_nothing()
        .client_finishes()
        .wants([close(CLIENT)])
        .ends_with_kept(&[L0]);
}

#[test]
fn a_slow_reader_stops_what_is_forwarded_to_it() {
    let length = 9 * RECEIVE_BYTES as u64;
    let left = length - RECEIVE_BYTES as u64;
    answered(&format!("Content-Length: {length}"), b"")
        .sends(L0, much())
        .wants([write(CLIENT, much()), forward(L0, CLIENT, left)])
        .forwards(L0, 100_000, Sent::Queued)
        .wants([pause(L0)])
        .drains(CLIENT)
        .wants([resume(L0)])
        .resets(L0)
        .wants([close(CLIENT)])
        .ends();
}

#[test]
fn an_answer_that_ends_with_its_connection_is_forwarded_to_its_end() {
    let mut told = sent(http(), "GET /a HTTP/1.0\r\n\r\n");
    told.sends(L0, "HTTP/1.0 200 OK\r\n\r\nab").whatever();
    told.sends(L0, much())
        .wants([write(CLIENT, much()), forward(L0, CLIENT, u64::MAX)])
        .forwards(L0, 100_000, ALL)
        .wants_nothing()
        .finishes(L0)
        .wants([close(L0), finish(CLIENT), close(CLIENT)])
        .ends();
}

#[test]
fn chunks_are_looked_at_each() {
    let mut told = answered("Transfer-Encoding: chunked", b"");
    told.sends(L0, format!("{RECEIVE_BYTES:x}\r\n")).whatever();
    told.sends(L0, much()).wants([write(CLIENT, much())]);
    told.client_resets().wants([abort(L0)]).ends();
}

#[test]
fn forwarded_bytes_are_counted_as_they_go() {
    let mut told = joined();
    let counted = |told: &Dialogue| {
        let stats = told.state(0).stats(fairlead_model::moment::Moment::ZERO);
        (stats.bytes_in, stats.bytes_out)
    };
    told.sends(L0, much()).whatever().forwards(L0, 1_000_000, ALL);
    told.client_sends(much()).whatever().forwards(CLIENT, 5, ALL).wants_nothing();
    let buffer = RECEIVE_BYTES as u64;
    assert_eq!(counted(&told), (buffer + 1_000_000, buffer + 5));
    told.client_finishes().whatever().finishes(L0).whatever().ends();
    assert_eq!(counted(&told), (buffer + 1_000_000, buffer + 5), "once, and not again at the end");
}

#[test]
fn what_is_to_be_seen_is_not_forwarded() {
    let mut told = dialogue(tcp().plan(|plan| {
        plan.access_log = Some(AccessLogPlan { to: "-".to_owned(), format: LogFormat::Dump });
    }));
    told.client_connects().whatever().connected(L0).whatever();
    told.sends(L0, much()).wants([write(CLIENT, much())]);
    told.client_finishes().whatever().finishes(L0).whatever().ends();
}

#[test]
fn the_rest_of_an_upload_is_forwarded_and_no_more() {
    let length = 4 * RECEIVE_BYTES as u64;
    let left = length - 2 * RECEIVE_BYTES as u64;
    let mut told = upload("POST", length);
    // Nothing of a POST is kept, so nothing needs to be seen.
    told.client_sends(much())
        .wants([write(L0, much()), forward(CLIENT, L0, left + RECEIVE_BYTES as u64)])
        .forwards(CLIENT, RECEIVE_BYTES as u64, Sent::Queued)
        .wants([pause(CLIENT)])
        .drains(L0)
        .wants([resume(CLIENT)])
        .forwards(CLIENT, left - 1, ALL)
        .wants_nothing()
        // The last byte, and the next request behind it, come in the ordinary way.
        .client_sends([b"z", GET.as_bytes()].concat())
        .wants([write(L0, b"z")])
        .sends(L0, "HTTP/1.1 204 No Content\r\n\r\n")
        .wants([answer(CLIENT, 204), request(L0, "GET /a")]);
    serves_once_more(&mut told);
}

#[test]
fn what_may_be_sent_again_is_looked_at_while_it_is_kept() {
    let length = 4 * RECEIVE_BYTES as u64;
    let mut told = upload("PUT", length);
    let twice = 2 * RECEIVE_BYTES as u64;
    told.client_sends(much())
        .wants([write(L0, much())])
        .client_sends(much())
        .wants([write(L0, much()), forward(CLIENT, L0, length - twice)])
        .forwards(CLIENT, 1_000, ALL)
        .wants_nothing()
        // It can't be sent again any more.
        .resets(L0)
        .wants([
            answer(CLIENT, 502)
                .body("the backend reset or closed the connection before its answer\n"),
            finish(CLIENT),
        ])
        .client_resets()
        .wants_nothing()
        .ends();
}
