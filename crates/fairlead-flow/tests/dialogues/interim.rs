//! Answers before the answer.

use crate::keep::{GET, OK};
use crate::script::{dialogue, Dialogue};
use crate::setup::http;
use crate::wants::*;

const CONTINUE: &str = "HTTP/1.1 100 Continue\r\n\r\n";
const HINTS: &str = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n";

fn sent(bytes: &str) -> Dialogue {
    let mut told = dialogue(http());
    told.client_connects().wants_nothing().client_sends(bytes).wants([connect(0)]);
    told.connected(L0).whatever();
    told
}

#[test]
fn a_client_that_waits_for_100_continue_gets_it_from_the_backend() {
    let head = "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n";
    dialogue(http())
        .client_connects()
        .wants_nothing()
        .client_sends(head)
        .wants([connect(0)])
        .connected(L0)
        .wants([request(L0, "POST /a").with("expect: 100-continue\r\n")])
        .sends(L0, CONTINUE)
        .wants([write(CLIENT, CONTINUE)])
        .client_sends("body")
        .wants([write(L0, "body")])
        .sends(L0, OK)
        .wants([answer(CLIENT, 200).body("hi")])
        .client_finishes()
        .wants([close(CLIENT)])
        .ends_with_kept(&[L0]);
}

#[test]
fn a_client_that_waits_and_is_refused_need_not_send_its_body() {
    let head = "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n";
    sent(head)
        .sends(L0, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        .wants([answer(CLIENT, 403).with("connection: close\r\n"), abort(L0), finish(CLIENT)])
        .client_finishes()
        .wants([close(CLIENT)])
        .ends();
}

#[test]
fn interim_answers_go_before_the_answer_wherever_they_are_cut() {
    let all = format!("{HINTS}{OK}");
    for cut in 0..all.len() {
        let mut told = sent(GET);
        told.sends(L0, &all[..cut]).whatever().sends(L0, &all[cut..]).whatever();
        let behind = String::from_utf8(told.body_to(CLIENT)).expect("text");
        assert!(behind.starts_with("HTTP/1.1 200 OK\r\n"), "cut at {cut}: {behind}");
        assert!(behind.ends_with("\r\n\r\nhi"), "cut at {cut}: {behind}");
        told.client_finishes().wants([close(CLIENT)]).ends_with_kept(&[L0]);
    }
}

#[test]
fn an_old_client_is_spared_interim_answers() {
    sent("GET /a HTTP/1.0\r\n\r\n")
        .sends(L0, HINTS)
        .wants_nothing()
        .sends(L0, OK)
        .wants([answer(CLIENT, 200).body("hi"), finish(CLIENT), close(CLIENT)])
        .ends_with_kept(&[L0]);
}

#[test]
fn what_was_passed_on_can_not_be_taken_back() {
    sent(GET)
        .sends(L0, HINTS)
        .wants([write(CLIENT, HINTS)])
        .resets(L0)
        .wants([refusal(CLIENT, 502, "backend_reset")])
        .client_finishes()
        .wants([close(CLIENT)])
        .ends();
}

#[test]
fn interim_answers_without_end_are_a_bad_answer() {
    let mut told = sent("GET /a HTTP/1.0\r\n\r\n");
    for _ in 0..16 {
        told.sends(L0, HINTS).wants_nothing();
    }
    // Not one of them went to this old client, so the next backend may answer it.
    told.sends(L0, HINTS).wants([abort(L0), connect(1)]).failures(0, 1);
    // And what the first one said does not count against the second.
    told.connected(L1).whatever().sends(L1, format!("{HINTS}{OK}"));
    told.wants([answer(CLIENT, 200).body("hi"), finish(CLIENT), close(CLIENT)]);
    told.ends_with_kept(&[L1]);
}
