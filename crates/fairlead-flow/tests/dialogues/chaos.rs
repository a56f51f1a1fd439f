//! Faults that are played on purpose: what a client notices of them, and what is left behind.

use fairlead_model::chaos::{Fault, WHOLE};
use fairlead_model::health::Health;
use fairlead_model::plan::CheckKind;

use crate::keep::{GET, OK, POST};
use crate::script::{dialogue, Dialogue};
use crate::setup::{http, ms, tcp, Setup};
use crate::wants::*;

fn played(setup: Setup, fault: Fault) -> Dialogue {
    let mut told = dialogue(setup);
    told.plays(fault).wants_nothing();
    told
}

/// A client has sent a GET, and the first backend's connect has succeeded.
fn asked(fault: Fault) -> Dialogue {
    let mut told = played(http().hedged(), fault);
    told.client_connects().wants_nothing().client_sends(GET).wants([connect(0)]);
    told.connected(L0);
    told
}

#[test]
fn a_dropped_connect_gets_company_and_nobody_notices() {
    let mut told = asked(Fault::Drop);
    told.wants_nothing();
    told.after(ms(151)).wants([connect(1)]).connected(L1).wants([request(L1, "GET /a")]);
    told.sends(L1, OK).wants([answer(CLIENT, 200).body("hi")]);
    told.is(0, Health::Suspect).active(0, 0).active(1, 0);
    // Nothing answers it, as nothing would.
    told.after(ms(900)).wants([abort(L0)]);
}

#[test]
fn what_is_dropped_on_a_kept_connection_was_not_acknowledged() {
    let mut told = dialogue(http().hedged());
    told.client_connects().wants_nothing().client_sends(GET).wants([connect(0)]);
    told.connected(L0).whatever().sends(L0, OK).whatever();
    told.plays(Fault::Drop).wants_nothing();
    told.client_sends(GET).wants_nothing();
    told.after(ms(270)).wants([connect(1)]);
    assert!(told.why(0).contains("no acknowledgement"), "{}", told.why(0));
    told.connected(L1).wants([request(L1, "GET /a")]);
    told.sends(L1, OK).whatever().is(0, Health::Suspect);
}

#[test]
fn a_frozen_backend_takes_the_request_and_never_answers() {
    let mut told = asked(Fault::Freeze);
    told.wants_nothing();
    told.after(ms(252)).wants([connect(1)]).connected(L1).wants([request(L1, "GET /a")]);
    // What the backend does in truth is not heard.
    told.finishes(L0).wants_nothing();
    told.sends(L1, OK).wants([answer(CLIENT, 200).body("hi")]);
    told.after(ms(1_001)).wants([abort(L0)]).failures(0, 1);
}

#[test]
fn a_reset_comes_when_the_request_has_gone_out() {
    let mut told = played(http(), Fault::Reset);
    told.client_connects().wants_nothing().client_sends(GET).wants([connect(0)]);
    told.connected(L0).wants([abort(L0), connect(1)]);
    told.connected(L1).wants([request(L1, "GET /a")]);
    told.sends(L1, OK).wants([answer(CLIENT, 200).body("hi")]).failures(0, 1);
}

#[test]
fn a_post_that_was_reset_is_not_sent_again() {
    let mut told = played(http(), Fault::Reset);
    told.client_connects().wants_nothing().client_sends(POST).wants([connect(0)]);
    told.connected(L0).wants([abort(L0), refusal(CLIENT, 502, "backend_reset")]);
    told.failures(0, 1).active(0, 0);
}

#[test]
fn an_error_is_put_to_another_backend() {
    let mut told = asked(Fault::Error);
    // A second opinion, as about every error of one backend.
    told.wants([pause(L0), connect(1)]);
    told.connected(L1).wants([request(L1, "GET /a")]);
    told.sends(L1, OK).wants([abort(L0), answer(CLIENT, 200).body("hi")]).active(0, 0);
}

#[test]
fn an_error_goes_to_whoever_can_not_ask_twice() {
    let mut told = played(http(), Fault::Error);
    told.client_connects().wants_nothing().client_sends(POST).wants([connect(0)]);
    told.connected(L0).wants([answer(CLIENT, 503)]);
    told.calms().wants_nothing();
    // Nothing was ever sent on it: it serves the next one.
    told.client_sends(POST).wants([request(L0, "POST /a").body("body")]);
}

#[test]
fn an_upload_that_is_answered_by_an_error_never_gets_there_in_part() {
    let mut told = played(http(), Fault::Error);
    let head = "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc";
    told.client_connects().wants_nothing().client_sends(head).wants([connect(0)]);
    told.connected(L0).whatever().calms().wants_nothing();
    told.client_sends("def").whatever();
    assert_eq!(told.written_to(L0), "");
}

#[test]
fn an_answer_is_held_back_and_then_whole() {
    let mut told = played(http(), Fault::Delay);
    told.client_connects().wants_nothing().client_sends(GET).wants([connect(0)]);
    told.connected(L0).wants([request(L0, "GET /a")]);
    told.sends(L0, &OK[..20]).wants([pause(L0)]).sends(L0, &OK[20..]).wants_nothing();
    told.after(ms(1_998)).wants_nothing();
    told.after(ms(4)).wants([resume(L0), answer(CLIENT, 200).body("hi")]).active(0, 0);
}

#[test]
fn a_panic_about_one_answer_that_is_held_back_costs_no_other() {
    let mut told = played(http(), Fault::Delay);
    for (who, link) in [(CLIENT, L0), (OTHER, L1)] {
        told.client_connects().wants_nothing().sends(who, GET).wants([connect(0)]);
        told.connected(link).wants([request(link, "GET /a")]);
    }
    told.sends(L0, OK).wants([pause(L0)]);
    told.after(ms(1_000)).wants_nothing().sends(L1, OK).wants([pause(L1)]);
    told.panics_after(ms(1_002), L0).whatever();
    told.after(ms(1_000)).wants([resume(L1), answer(OTHER, 200).body("hi")]);
}

#[test]
fn an_end_waits_for_the_answer_that_came_before_it() {
    let mut told = played(http(), Fault::Delay);
    told.client_connects().wants_nothing().client_sends(GET).wants([connect(0)]);
    told.connected(L0).whatever();
    told.sends(L0, "HTTP/1.1 200 OK\r\n\r\nhi").wants([pause(L0)]);
    told.finishes(L0).wants_nothing().after(ms(2_002)).whatever();
    assert!(told.body_to(CLIENT).starts_with(b"2\r\nhi\r\n0"), "{}", told.written_to(CLIENT));
}

#[test]
fn it_ends_by_itself_and_leaves_nobody_in_limbo() {
    let patient = http().pool(|pool| pool.timeouts.response.0 = 60_000);
    let mut told = played(patient, Fault::Freeze);
    told.client_connects().wants_nothing().client_sends(GET).wants([connect(0)]);
    told.connected(L0).wants_nothing().after(ms(9_999)).wants_nothing();
    // The process finds it when it wakes up.
    told.after(ms(2)).wants([request(L0, "GET /a")]);
    told.sends(L0, OK).wants([answer(CLIENT, 200).body("hi")]).active(0, 0);
    assert_eq!(told.chaos_told(), ["freeze of 100 % for 10 s begins", "freeze of 100 % ended"]);
}

#[test]
fn an_end_costs_no_post() {
    for fault in [Fault::Drop, Fault::Freeze] {
        let mut told = dialogue(http().pool(|pool| pool.timeouts.response.0 = 60_000));
        told.client_connects().wants_nothing().client_sends(GET).wants([connect(0)]);
        told.connected(L0).whatever().sends(L0, OK).whatever();
        told.plays(fault).wants_nothing();
        told.client_sends(POST).wants_nothing().after(ms(200)).wants_nothing();
        told.calms().wants([request(L0, "POST /a").body("body")]);
        told.sends(L0, OK).wants([answer(CLIENT, 200).body("hi")]).active(0, 0);
    }
}

#[test]
fn a_graceful_stop_ends_it_too() {
    let mut told = asked(Fault::Freeze);
    told.wants_nothing().stops().wants([request(L0, "GET /a")]);
    assert_eq!(told.chaos_told()[1], "freeze of 100 % ended early");
}

#[test]
fn who_has_left_by_the_end_is_not_asked_for() {
    let mut told = dialogue(http());
    told.client_connects().wants_nothing().client_sends(GET).wants([connect(0)]);
    told.connected(L0).whatever().sends(L0, OK).whatever();
    told.plays(Fault::Freeze).wants_nothing();
    told.client_sends(POST).wants_nothing().client_resets().wants([abort(L0)]);
    told.calms().wants_nothing();
}

#[test]
fn a_stream_is_whole_after_the_end() {
    for fault in [Fault::Drop, Fault::Freeze] {
        let mut told = dialogue(tcp());
        told.plays(fault).wants_nothing();
        told.client_connects().wants([pause(CLIENT), connect(0)]);
        told.connected(L0).whatever();
        if fault == Fault::Freeze {
            told.sends(L0, "220 ").wants([pause(L0)]).sends(L0, "hello").wants_nothing();
            told.client_sends("EH").wants_nothing().client_sends("LO").wants_nothing();
            told.calms().wants([write(L0, "EHLO"), resume(L0), write(CLIENT, "220 hello")]);
        } else {
            told.sends(L0, "220 ").wants([pause(L0)]).sends(L0, "hello").wants_nothing();
            told.calms().wants([resume(CLIENT), resume(L0), write(CLIENT, "220 hello")]);
        }
        told.client_sends("QUIT").wants([write(L0, "QUIT")]);
        told.client_finishes().wants([finish(L0)]);
    }
}

#[test]
fn an_upload_into_a_frozen_process_waits_and_then_goes_on() {
    let mut told = played(tcp(), Fault::Freeze);
    told.client_connects().wants([pause(CLIENT), connect(0)]);
    told.connected(L0).wants([resume(CLIENT)]);
    let piece = "x".repeat(50_000);
    told.client_sends(&piece).wants_nothing().client_sends(&piece).wants([pause(CLIENT)]);
    told.calms().wants([write(L0, piece.repeat(2)), resume(CLIENT)]);
}

#[test]
fn a_connect_that_was_dropped_is_answered_at_the_end() {
    let mut told = played(http().pool(|pool| pool.timeouts.connect.0 = 60_000), Fault::Drop);
    told.client_connects().wants_nothing().client_sends(GET).wants([connect(0)]);
    told.connected(L0).wants_nothing();
    told.calms().wants([request(L0, "GET /a")]);
    assert_eq!(told.chaos_told()[1], "drop of 100 % ended early");
}

#[test]
fn nobody_suffers_while_nobody_else_is_there() {
    let mut told = played(http().backends(1), Fault::Freeze);
    told.client_connects().wants_nothing().client_sends(GET).wants([connect(0)]);
    told.connected(L0).wants([request(L0, "GET /a")]);
    told.sends(L0, OK).wants([answer(CLIENT, 200).body("hi")]);
}

#[test]
fn a_share_suffers_and_the_rest_does_not() {
    let mut told = dialogue(http());
    told.plays_so(Fault::Delay, |plan| {
        plan.share = WHOLE / 5;
        plan.until = plan.from + ms(10_000_000);
    });
    told.client_connects().wants_nothing().client_sends(GET).wants([connect(0)]);
    told.connected(L0).whatever();
    let mut held = 0;
    for _ in 0..500 {
        told.sends(L0, OK).whatever();
        if told.wanted_last(&pause(L0)) {
            held += 1;
            told.after(ms(2_002)).whatever();
        }
        told.client_sends(GET).wants([request(L0, "GET /a")]);
    }
    assert!((70..=130).contains(&held), "{held} of 500, with a share of a fifth");
}

fn page() -> CheckKind {
    CheckKind::Http {
        method: "GET".into(),
        path: "/".into(),
        host: None,
        expect_status: vec![(200, 299)],
    }
}

#[test]
fn an_error_leaves_the_check_page_alone_unless_asked_to() {
    for (checks, health) in [(false, Health::Healthy), (true, Health::Suspect)] {
        let mut told = dialogue(http().pool(|pool| pool.check.kind = page()));
        told.plays_so(Fault::Error, |plan| plan.checks = checks).wants_nothing();
        told.after(ms(1)).whatever();
        let check = told.connecting(0)[0];
        told.connected(check).whatever();
        if !checks {
            told.sends(check, OK).whatever();
        }
        told.is(0, health);
    }
}

#[test]
fn checks_meet_what_the_real_failure_would_show_them() {
    let cases = [
        (Fault::Drop, "no answer to the connect (within 1 s)"),
        (Fault::Reset, "connection reset"),
    ];
    for (fault, why) in cases {
        let mut told = played(http().checked(), fault);
        told.after(ms(1)).whatever();
        let check = told.connecting(0)[0];
        told.connected(check).whatever();
        told.after(ms(1_001)).whatever().is(0, Health::Suspect);
        assert!(told.why(0).contains(why), "{fault:?}: {}", told.why(0));
    }
    // A frozen process's kernel connects.
    let mut told = played(http().checked(), Fault::Freeze);
    told.after(ms(1)).whatever();
    let check = told.connecting(0)[0];
    told.connected(check).wants([close(check)]).is(0, Health::Healthy);
}

#[test]
fn a_delayed_page_of_one_round_is_no_answer_to_the_next() {
    let mut told = dialogue(http().pool(|pool| pool.check.kind = page()));
    told.plays_so(Fault::Delay, |plan| plan.delay = ms(1_500)).wants_nothing();
    told.after(ms(1)).whatever();
    let check = told.connecting(0)[0];
    told.connected(check).whatever().sends(check, OK).wants_nothing();
    told.after(ms(1_001)).whatever().is(0, Health::Suspect);
    let next = told.connecting(0)[0];
    told.connected(next).whatever();
    told.after(ms(600)).wants_nothing().is(0, Health::Suspect);
}

#[test]
fn tcp_connections_meet_it_too() {
    let mut told = played(tcp(), Fault::Reset);
    told.client_connects().wants([pause(CLIENT), connect(0)]);
    told.connected(L0).wants([resume(CLIENT)]);
    told.client_sends("hello").wants([abort(CLIENT), abort(L0)]).ends();

    let mut told = played(tcp(), Fault::Freeze);
    told.client_connects().wants([pause(CLIENT), connect(0)]);
    told.connected(L0).wants([resume(CLIENT)]);
    told.client_sends("hello").wants_nothing().sends(L0, "220 hello").wants([pause(L0)]);
    told.client_finishes().wants_nothing().client_resets().wants([abort(L0)]).ends();
}

#[test]
fn a_stream_has_no_errors_to_suffer() {
    let mut told = played(tcp(), Fault::Error);
    told.client_connects().wants([pause(CLIENT), connect(0)]);
    told.connected(L0).wants([resume(CLIENT)]);
    told.client_sends("hello").wants([write(L0, "hello")]);
    told.client_finishes().wants([finish(L0)]);
}
