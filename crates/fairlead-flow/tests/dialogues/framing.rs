//! Bodies both ways, in each framing, whole and cut anywhere; and messages without one.

use crate::keep::{GET, OK};
use crate::script::{dialogue, Dialogue};
use crate::setup::{http, ms};
use crate::wants::*;

/// A client has connected, and `sent` of it has been passed on over `L0`.
fn asked(bytes: &str) -> Dialogue {
    let mut told = dialogue(http());
    told.client_connects().wants_nothing().client_sends(bytes).wants([connect(0)]);
    told.connected(L0).whatever();
    told
}

#[test]
fn a_body_goes_on_as_it_comes_wherever_it_is_cut() {
    let length = "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n";
    let chunked = "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let cases = [(length, "hello world"), (chunked, "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n")];
    for (head, body) in cases {
        for cut in 1..body.len() {
            let mut told = dialogue(http());
            told.client_connects()
                .wants_nothing()
                .client_sends(format!("{head}{}", &body[..cut]))
                .wants([connect(0)])
                .connected(L0)
                .whatever()
                .client_sends(&body[cut..])
                .whatever();
            assert_eq!(told.body_to(L0), body.as_bytes(), "cut at {cut}");
            told.sends(L0, OK)
                .wants([answer(CLIENT, 200).without("connection: close").body("hi")])
                .client_finishes()
                .wants([close(CLIENT)])
                .ends_with_kept(&[L0]);
        }
    }
}

#[test]
fn a_chunked_answer_goes_on_as_it_comes_wherever_it_is_cut() {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let body = "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n";
    for cut in 0..body.len() {
        let mut told = asked(GET);
        told.sends(L0, format!("{head}{}", &body[..cut])).whatever();
        told.sends(L0, &body[cut..]).whatever();
        assert_eq!(told.body_to(CLIENT), body.as_bytes(), "cut at {cut}");
        told.client_finishes().wants([close(CLIENT)]).ends_with_kept(&[L0]);
    }
}

#[test]
fn what_has_no_body_has_none_whatever_its_head_says() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n";
    asked("HEAD /a HTTP/1.1\r\nHost: a\r\n\r\n")
        .sends(L0, head)
        .wants([answer(CLIENT, 200).with("content-length: 500\r\n")])
        .client_sends(GET)
        .wants([request(L0, "GET /a")])
        .sends(L0, "HTTP/1.1 204 No Content\r\n\r\n")
        .wants([answer(CLIENT, 204)])
        .client_sends(GET)
        .wants([request(L0, "GET /a")])
        .sends(L0, "HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n")
        .wants([answer(CLIENT, 304).with("content-length: 500\r\n")])
        .client_sends(GET)
        .wants([request(L0, "GET /a")])
        .sends(L0, OK)
        .wants([answer(CLIENT, 200).body("hi")])
        .client_finishes()
        .wants([close(CLIENT)])
        .ends_with_kept(&[L0]);
}

#[test]
fn an_answer_that_ends_with_its_connection_gets_chunks() {
    asked(GET)
        .sends(L0, "HTTP/1.1 200 OK\r\n\r\nhel")
        .wants([answer(CLIENT, 200)
            .with("transfer-encoding: chunked\r\n")
            .without("connection: close")
            .body("3\r\nhel\r\n")])
        .sends(L0, "lo")
        .wants([write(CLIENT, "2\r\nlo\r\n")])
        .finishes(L0)
        .wants([write(CLIENT, "0\r\n\r\n"), close(L0)])
        .client_finishes()
        .wants([close(CLIENT)])
        .nobody_is_blamed()
        .ends();
}

#[test]
fn to_an_old_client_the_end_of_the_connection_is_the_end() {
    asked("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        .sends(L0, "HTTP/1.1 200 OK\r\n\r\nhello")
        .wants([answer(CLIENT, 200)
            .without("transfer-encoding")
            .without("keep-alive")
            .body("hello")])
        .finishes(L0)
        .wants([close(L0), finish(CLIENT)])
        .client_finishes()
        .wants([close(CLIENT)])
        .ends();
}

#[test]
fn an_old_client_gets_no_chunks() {
    asked("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        .sends(L0, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        .wants([answer(CLIENT, 200).without("transfer-encoding").body("hello")])
        .sends(L0, "1\r\n!\r\n0\r\n\r\n")
        .wants([write(CLIENT, "!"), finish(CLIENT)])
        .client_finishes()
        .wants([close(CLIENT)])
        .ends_with_kept(&[L0]);
}

#[test]
fn a_truncated_answer_is_never_presented_as_whole() {
    let length = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello";
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
    // With a framing, a close is enough to tell.
    for head in [length, chunked] {
        asked(GET)
            .sends(L0, head)
            .whatever()
            .finishes(L0)
            .wants([abort(L0), close(CLIENT)])
            .failures(0, 1)
            .counted("response_truncated", 1)
            .ends();
        asked(GET)
            .sends(L0, head)
            .whatever()
            .resets(L0)
            .wants([close(CLIENT)])
            .failures(0, 1)
            .ends();
    }
    // What got chunks on its way lacks the last one.
    asked(GET)
        .sends(L0, "HTTP/1.1 200 OK\r\n\r\nhello")
        .whatever()
        .resets(L0)
        .wants([close(CLIENT)])
        .ends();
    // Where the connection's end is the only sign, it must be a reset.
    let old = "GET /a HTTP/1.0\r\n\r\n";
    asked(old)
        .sends(L0, "HTTP/1.1 200 OK\r\n\r\nhello")
        .whatever()
        .resets(L0)
        .wants([abort(CLIENT)])
        .ends();
    asked(old).sends(L0, chunked).whatever().finishes(L0).wants([abort(L0), abort(CLIENT)]).ends();
}

#[test]
fn an_early_answer_ends_both_connections() {
    let head = "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n";
    asked(head)
        .client_sends("a part")
        .wants([write(L0, "a part")])
        .sends(L0, OK)
        .wants([
            answer(CLIENT, 200).with("connection: close\r\n").body("hi"),
            abort(L0),
            finish(CLIENT),
        ])
        .client_sends("more of the body that nobody wants")
        .wants_nothing()
        .client_finishes()
        .wants([close(CLIENT)])
        .nobody_is_blamed()
        .ends();
}

#[test]
fn an_early_answer_in_pieces_lets_the_rest_of_the_request_through() {
    let head = "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n";
    asked(head)
        .client_sends("12345")
        .wants([write(L0, "12345")])
        .sends(L0, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhi")
        .wants([answer(CLIENT, 200).with("connection: close\r\n").body("hi")])
        .client_sends("67890")
        .wants([write(L0, "67890")])
        .sends(L0, "hi")
        .wants([write(CLIENT, "hi"), finish(CLIENT)])
        .client_finishes()
        .wants([close(CLIENT)])
        .ends_with_kept(&[L0]);
}

#[test]
fn unread_bytes_of_a_client_do_not_destroy_its_answer() {
    let head = "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n";
    let mut told = asked(head);
    told.sends(L0, OK).wants([
        answer(CLIENT, 200).with("connection: close\r\n").body("hi"),
        abort(L0),
        finish(CLIENT),
    ]);
    // It is read and thrown away, up to a limit, and for a while.
    told.client_sends(vec![b'x'; 200_000]).wants_nothing();
    told.after(ms(1_900)).wants_nothing().after(ms(200)).wants([close(CLIENT)]).ends();
}
