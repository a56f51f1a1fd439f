//! What is too much, and what is wrong in any case.

use fairlead_model::limits::{SHED_AT_ONCE, TURNED_AWAY};

use crate::keep::{GET, OK};
use crate::script::dialogue;
use crate::setup::{http, ms, tcp};
use crate::wants::*;

/// What a client sends at once, and how it is refused.
fn refused(bytes: impl AsRef<[u8]>, status: u16, code: &str) {
    let mut told = dialogue(http());
    told.client_connects().wants_nothing().client_sends(bytes);
    let head = format!("HTTP/1.1 {status} ");
    let said = told.written_to(CLIENT);
    assert!(said.starts_with(&head), "{said}");
    assert!(said.contains(&format!("X-Fairlead-Reason: {code}\r\n")), "{said}");
    assert!(said.contains("Connection: close\r\n"), "{said}");
    told.whatever().client_sends(GET).wants_nothing();
    told.client_finishes().wants([close(CLIENT)]).nobody_is_blamed().counted(code, 1).ends();
}

#[test]
fn what_could_be_read_in_two_ways_is_refused() {
    refused(
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        400,
        "bad_framing",
    );
    refused(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        400,
        "bad_framing",
    );
    refused("GET / HTTP/1.1\nHost: a\n\n", 400, "bad_request");
    refused("GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400, "bad_request");
    refused("GET / HTTP/1.1\r\n\r\n", 400, "bad_request");
}

#[test]
fn each_excess_has_its_own_status() {
    let long = "y".repeat(20_000);
    refused(format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n"), 414, "target_too_long");
    refused(format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n"), 431, "head_too_large");
    let many = "X: y\r\n".repeat(101);
    refused(format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n"), 431, "head_too_large");
    refused("GET / HTTP/2.5\r\nHost: a\r\n\r\n", 505, "version_not_supported");
    refused(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        501,
        "not_implemented",
    );
    refused("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 501, "not_implemented");
    refused(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: wonders\r\n\r\n",
        417,
        "expectation_failed",
    );
}

#[test]
fn a_body_longer_than_the_limit_is_refused_before_it_is_sent() {
    let setup = http().listener(|listener| listener.limits.body = Some(10));
    dialogue(setup)
        .client_connects()
        .wants_nothing()
        .client_sends("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n")
        .wants([
            refusal(CLIENT, 413, "body_too_large").with("connection: close\r\n"),
            finish(CLIENT),
        ])
        .client_finishes()
        .wants([close(CLIENT)])
        .ends();
}

#[test]
fn a_body_without_a_length_is_cut_off_at_the_limit() {
    let setup = http().listener(|listener| listener.limits.body = Some(10));
    dialogue(setup)
        .client_connects()
        .wants_nothing()
        .client_sends(
            "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n012345\r\n",
        )
        .wants([connect(0)])
        .connected(L0)
        .whatever()
        .client_sends("6\r\n678901\r\n")
        .wants([
            abort(L0),
            refusal(CLIENT, 413, "body_too_large").with("connection: close\r\n"),
            finish(CLIENT),
        ])
        .nobody_is_blamed()
        .client_finishes()
        .wants([close(CLIENT)])
        .ends();
}

#[test]
fn a_chunk_that_breaks_the_rules_ends_the_request() {
    dialogue(http())
        .client_connects()
        .wants_nothing()
        .client_sends(
            "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n",
        )
        .wants([connect(0)])
        .connected(L0)
        .whatever()
        .client_sends("zz\r\n")
        .whatever()
        .counted("bad_request", 0)
        .nobody_is_blamed()
        .client_finishes()
        .wants([close(CLIENT)])
        .active(0, 0)
        .ends();
}

#[test]
fn a_full_listener_says_so() {
    let setup = http().listener(|listener| listener.limits.connections = 1);
    dialogue(setup)
        .client_connects()
        .wants_nothing()
        .client_connects()
        .wants([refusal(OTHER, 503, "listener_full").with("connection: close\r\n"), finish(OTHER)])
        .finishes(OTHER)
        .wants([close(OTHER)])
        .client_finishes()
        .wants([close(CLIENT)])
        .client_connects()
        .wants_nothing()
        .finishes(Who::Client(2))
        .wants([close(Who::Client(2))])
        .ends();
}

#[test]
fn who_is_turned_away_takes_nobodys_place() {
    let setup = http().listener(|listener| listener.limits.connections = 1);
    dialogue(setup)
        .client_connects()
        .wants_nothing()
        .client_connects()
        .wants([refusal(OTHER, 503, "listener_full"), finish(OTHER)])
        .client_finishes()
        .wants([close(CLIENT)])
        // The second one is told still, and may take two seconds to go.
        .client_connects()
        .wants_nothing()
        .finishes(Who::Client(2))
        .wants([close(Who::Client(2))])
        .after(ms(2_001))
        .wants([close(OTHER)])
        .ends();
}

#[test]
fn a_flood_at_a_full_listener_is_told_and_holds_nothing() {
    let setup = http().listener(|listener| listener.limits.connections = 1);
    let mut told = dialogue(setup);
    told.client_connects().wants_nothing().client_sends("GET /a").wants_nothing();
    for nth in 1..=TURNED_AWAY {
        let who = Who::Client(nth);
        told.client_connects().wants([refusal(who, 503, "listener_full"), finish(who)]);
    }
    let more = Who::Client(TURNED_AWAY + 1);
    told.client_connects().wants([refusal(more, 503, "listener_full"), finish(more), close(more)]);
    told.counted("listener_full", TURNED_AWAY as u64 + 1);
    told.after(ms(2_001)).whatever();
    assert_eq!(told.open_clients(), 1);
    told.client_connects().wants([
        refusal(Who::Client(TURNED_AWAY + 2), 503, "listener_full"),
        finish(Who::Client(TURNED_AWAY + 2)),
    ]);
}

#[test]
fn a_head_may_be_as_large_as_its_limit() {
    let mut told = dialogue(http().listener(|listener| listener.limits.head = 200_000));
    told.client_connects().wants_nothing().client_sends("GET /a HTTP/1.1\r\nHost: a\r\nX: ");
    for _ in 0..3 {
        told.wants_nothing().client_sends("x".repeat(50_000));
    }
    told.wants_nothing().client_sends("\r\n\r\n").wants([connect(0)]);
}

#[test]
fn a_target_may_be_as_long_as_its_limit_and_no_longer() {
    let setup = || http().listener(|listener| listener.limits.target = Some(16));
    let of = |length: usize| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(length - 1));
    let mut told = dialogue(setup());
    told.client_connects().wants_nothing().client_sends(of(16)).wants([connect(0)]);
    let mut told = dialogue(setup());
    told.client_connects().wants_nothing().client_sends(of(17));
    told.wants([refusal(CLIENT, 414, "target_too_long"), finish(CLIENT)]);
    told.client_finishes().wants([close(CLIENT)]).ends();
}

#[test]
fn so_much_of_further_requests_is_held_and_no_more() {
    let mut told = dialogue(http().listener(|listener| listener.limits.pipelined = 1_024));
    told.client_connects().wants_nothing().client_sends(GET).wants([connect(0)]);
    told.client_sends("x".repeat(1_024)).wants_nothing();
    told.client_sends("x").wants([pause(CLIENT)]);
}

#[test]
fn without_memory_nothing_new_is_begun_and_what_is_under_way_goes_on() {
    let mut told = dialogue(http());
    told.client_connects().wants_nothing().client_sends(GET).wants([connect(0)]);
    told.connected(L0).whatever().memory_full(true).wants_nothing();
    told.client_connects().wants([refusal(OTHER, 503, "memory_full"), finish(OTHER)]);
    told.sends(L0, OK).wants([answer(CLIENT, 200).body("hi")]);
    // The next request on a kept connection is refused, but the connection stays; the backend's
    // goes, as nobody needs it now.
    let refused = refusal(CLIENT, 503, "memory_full").without("connection:");
    told.client_sends(GET).wants([abort(L0), refused]);
    told.memory_full(false).wants_nothing();
    told.client_sends(GET).wants([connect(0)]).connected(L1).wants([request(L1, "GET /a")]);
    told.sends(L1, OK).wants([answer(CLIENT, 200).body("hi")]).counted("memory_full", 2);
}

#[test]
fn without_memory_those_that_idle_go_before_newcomers_are_let_in() {
    assert_eq!(SHED_AT_ONCE, 4);
    let mut told = dialogue(http());
    for _ in 0..6 {
        told.client_connects().wants_nothing().after(ms(10)).wants_nothing();
    }
    told.after(ms(1_000)).wants_nothing().memory_full(true).wants_nothing();
    let idle = |nth| close(Who::Client(nth));
    let refused = |nth| refusal(Who::Client(nth), 503, "memory_full");
    let ended = |nth| finish(Who::Client(nth));
    // Four for each newcomer, who idled for longest first; the newcomer itself is refused still.
    told.client_connects().wants([idle(0), idle(1), idle(2), idle(3), refused(6), ended(6)]);
    told.client_connects().wants([idle(4), idle(5), refused(7), ended(7)]);
    told.client_connects().wants([refused(8), ended(8)]);
    told.memory_full(false).wants_nothing().client_connects().wants_nothing();
    told.sends(Who::Client(9), GET).wants([connect(0)]);
    told.counted("made_room", 6).counted("memory_full", 3).nobody_is_blamed();
}

#[test]
fn without_memory_nobody_at_work_is_closed() {
    let mut told = dialogue(http());
    told.client_connects().wants_nothing().client_sends(GET).wants([connect(0)]);
    told.connected(L0).whatever();
    // Another has sent half a head, and one more is between two requests.
    told.client_connects().wants_nothing().sends(OTHER, "GET /a HT").wants_nothing();
    told.after(ms(1_500)).whatever().client_connects().wants_nothing();
    told.after(ms(900)).whatever().memory_full(true).wants_nothing();
    let newcomer = Who::Client(3);
    told.client_connects().wants([refusal(newcomer, 503, "memory_full"), finish(newcomer)]);
    told.counted("made_room", 0).sends(L0, OK).wants([answer(CLIENT, 200).body("hi")]);
}

#[test]
fn a_request_that_is_refused_for_memory_sheds_what_idles_but_not_its_own_connection() {
    let mut told = dialogue(http());
    told.client_connects().wants_nothing().client_connects().wants_nothing();
    told.after(ms(1_000)).wants_nothing().memory_full(true).wants_nothing();
    told.client_sends(GET);
    told.wants([close(OTHER), refusal(CLIENT, 503, "memory_full").without("connection:")]);
    told.memory_full(false).wants_nothing().client_sends(GET).wants([connect(0)]);
}

#[test]
fn a_tcp_client_that_is_refused_for_memory_sheds_what_idles_and_no_relay() {
    let mut told = dialogue(tcp());
    told.client_connects().wants([pause(CLIENT), connect(0)]);
    told.connected(L0).wants([resume(CLIENT)]).after(ms(5_000)).wants_nothing();
    told.memory_full(true).wants_nothing().client_connects().wants([abort(OTHER)]);
    told.counted("memory_full", 1).counted("made_room", 0);
}

#[test]
fn without_memory_no_body_is_read() {
    let mut told = dialogue(http());
    told.client_connects().wants_nothing().memory_full(true).wants_nothing();
    told.client_sends("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nbod");
    told.wants([refusal(CLIENT, 503, "memory_full").with("connection: close\r\n"), finish(CLIENT)]);
    told.client_finishes().wants([close(CLIENT)]).nobody_is_blamed().ends();
}
