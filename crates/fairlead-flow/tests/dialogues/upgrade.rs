//! WebSocket: from a request and its answer to bytes both ways.

use fairlead_model::health::Health;

use crate::keep::{GET, OK};
use crate::openings;
use crate::script::{dialogue, Dialogue};
use crate::setup::{http, ms};
use crate::wants::*;

pub(crate) const UPGRADE: &str = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
pub(crate) const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

fn sent(bytes: &str) -> Dialogue {
    openings::sent(http(), bytes)
}

#[test]
fn an_agreed_switch_becomes_a_tunnel() {
    dialogue(http())
        .client_connects()
        .wants_nothing()
        .client_sends(UPGRADE)
        .wants([connect(0)])
        .connected(L0)
        .wants([request(L0, "GET /chat")
            .with("upgrade: websocket\r\n")
            .with("connection: upgrade")])
        .sends(L0, SWITCH)
        .wants([
            answer(CLIENT, 101).with("upgrade: websocket\r\n").with("sec-websocket-accept:"),
            resume(CLIENT),
        ])
        .active(0, 1)
        .client_sends(b"\x81\x85frame")
        .wants([write(L0, b"\x81\x85frame")])
        .sends(L0, b"\x81\x05frame")
        .wants([write(CLIENT, b"\x81\x05frame")])
        .client_finishes()
        .wants([finish(L0)])
        .finishes(L0)
        .wants([close(CLIENT), close(L0)])
        .counted("client_gone", 0)
        .ends();
}

#[test]
fn what_came_with_the_switch_is_not_lost() {
    sent(UPGRADE)
        .client_sends("early")
        .wants_nothing()
        .sends(L0, [SWITCH.as_bytes(), b"first"].concat())
        .wants([answer(CLIENT, 101).body("first"), resume(CLIENT), write(L0, "early")])
        .client_resets()
        .wants([abort(L0)])
        .nobody_is_blamed()
        .ends();
}

#[test]
fn a_switch_that_nobody_asked_for_is_a_bad_answer() {
    sent(GET)
        .sends(L0, SWITCH)
        .wants([abort(L0), connect(1)])
        .is(0, Health::Suspect)
        .client_resets()
        .wants([abort(L1)])
        .ends();
    let post = "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
    let mut told = sent(post);
    told.sends(L0, SWITCH).wants([
        abort(L0),
        answer(CLIENT, 502).with("bad_response").body("it switched protocols unasked\n"),
    ]);
    told.client_finishes().wants([close(CLIENT)]).ends();
}

#[test]
fn a_switch_that_is_declined_is_an_answer_like_others() {
    sent(UPGRADE)
        .sends(L0, OK)
        .wants([answer(CLIENT, 200).body("hi")])
        .client_finishes()
        .wants([close(CLIENT)])
        .ends_with_kept(&[L0]);
}

#[test]
fn a_switch_shows_that_whoever_failed_before_could_have_done_so() {
    for answer in [OK, SWITCH] {
        let mut told = openings::sent(http().pool(|pool| pool.check.fall = 1), UPGRADE);
        told.resets(L0).wants([connect(1)]).is(0, Health::Suspect);
        told.connected(L1).wants([request(L1, "GET /chat")]).sends(L1, answer).whatever();
        told.is(0, Health::Down).abandons().whatever();
    }
}

#[test]
fn a_silent_tunnel_ends_after_its_own_time() {
    sent(UPGRADE)
        .sends(L0, SWITCH)
        .whatever()
        .after(ms(599_000))
        .wants_nothing()
        .after(ms(2_000))
        .wants([close(CLIENT), abort(L0)])
        .nobody_is_blamed()
        .ends();
}
