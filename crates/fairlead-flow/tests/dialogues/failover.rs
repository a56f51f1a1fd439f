//! What is sent again when a backend fails, and to whom; and what is not.

use fairlead_model::backend::Wish;
use fairlead_model::health::Health;
use fairlead_model::plan::Millis;

use crate::keep::{GET, OK, POST};
use crate::openings::{asked, sent, PUT};
use crate::script::dialogue;
use crate::setup::{http, ms, tcp};
use crate::wants::*;

#[test]
fn a_refused_connect_costs_nothing() {
    for bytes in [GET, POST, PUT] {
        asked(http(), bytes)
            .refused(L0)
            .wants([connect(1)])
            .is(0, Health::Suspect)
            .connected(L1)
            .whatever()
            .sends(L1, OK)
            .wants([answer(CLIENT, 200).body("hi")])
            .client_finishes()
            .wants([close(CLIENT)])
            .ends_with_kept(&[L1]);
    }
}

#[test]
fn a_body_that_came_before_the_connect_failed_is_sent_again_whole() {
    // The simple balancer in Go hands the second backend an empty body here.
    let head = "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n";
    asked(http(), format!("{head}01234"))
        .client_sends("567")
        .wants_nothing()
        .refused(L0)
        .wants([connect(1)])
        .connected(L1)
        .wants([request(L1, "POST /a").body("01234567")])
        .client_sends("89")
        .wants([write(L1, "89")])
        .sends(L1, OK)
        .wants([answer(CLIENT, 200).body("hi")])
        .client_finishes()
        .wants([close(CLIENT)])
        .ends_with_kept(&[L1]);
}

#[test]
fn a_reset_before_the_answer_sends_a_repeatable_request_elsewhere() {
    for bytes in [GET, PUT] {
        let body = if bytes == PUT { "body" } else { "" };
        sent(http(), bytes)
            .resets(L0)
            .wants([connect(1)])
            .is(0, Health::Suspect)
            .connected(L1)
            .wants([request(L1, &bytes[..6]).body(body)])
            .sends(L1, OK)
            .wants([answer(CLIENT, 200).body("hi")])
            .client_finishes()
            .wants([close(CLIENT)])
            .ends_with_kept(&[L1]);
    }
}

#[test]
fn a_post_that_was_sent_is_not_sent_again() {
    sent(http(), POST)
        .resets(L0)
        .wants([refusal(CLIENT, 502, "backend_reset").without("connection: close")])
        .is(0, Health::Suspect)
        .counted("backend_reset", 1)
        // The connection goes on with the next request.
        .client_sends(POST)
        .wants([connect(1)])
        .connected(L1)
        .wants([request(L1, "POST /a").body("body")])
        .client_resets()
        .wants([abort(L1)])
        .ends();
}

#[test]
fn a_post_of_which_only_the_head_was_sent_is_not_sent_again() {
    let head = "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n";
    sent(http(), head)
        .resets(L0)
        .wants([
            refusal(CLIENT, 502, "backend_reset").with("connection: close\r\n"),
            finish(CLIENT),
        ])
        .client_finishes()
        .wants([close(CLIENT)])
        .ends();
}

#[test]
fn a_body_too_long_to_be_kept_is_not_sent_again() {
    let long = "PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n";
    let mut told = sent(http(), long);
    told.client_sends(vec![b'x'; 60_000]).wants([write(L0, vec![b'x'; 60_000])]);
    told.client_sends(vec![b'x'; 40_000]).wants([write(L0, vec![b'x'; 40_000])]);
    told.resets(L0).wants([refusal(CLIENT, 502, "backend_reset")]);
    told.client_finishes().wants([close(CLIENT)]).ends();
    // One that is short enough is.
    let short = "PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n";
    let mut told = sent(http(), short);
    told.client_sends(vec![b'x'; 60_000]).wants([write(L0, vec![b'x'; 60_000])]);
    told.resets(L0).wants([connect(1)]).connected(L1);
    told.wants([request(L1, "PUT /a").body(vec![b'x'; 60_000])]);
    told.client_resets().wants([abort(L1)]).ends();
}

#[test]
fn an_end_before_the_answer_is_as_good_as_a_reset() {
    sent(http(), GET)
        .finishes(L0)
        .wants([abort(L0), connect(1)])
        .is(0, Health::Suspect)
        .client_resets()
        .wants([abort(L1)])
        .ends();
}

#[test]
fn half_a_head_is_not_an_answer() {
    sent(http(), GET)
        .sends(L0, "HTTP/1.1 200 OK\r\nContent-")
        .wants_nothing()
        .resets(L0)
        .wants([connect(1)])
        .is(0, Health::Suspect)
        .client_resets()
        .wants([abort(L1)])
        .ends();
}

#[test]
fn what_is_not_http_is_a_bad_answer() {
    let two_lengths = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc";
    for bad in ["SSH-2.0-OpenSSH_9.9\r\n\r\n", two_lengths, "HTTP/1.1 200 OK\nX: y\n\n"] {
        sent(http(), GET)
            .sends(L0, bad)
            .wants([abort(L0), connect(1)])
            .is(0, Health::Suspect)
            .client_resets()
            .wants([abort(L1)])
            .ends();
        sent(http(), POST)
            .sends(L0, bad)
            .whatever()
            .counted("bad_response", 1)
            .client_finishes()
            .wants([close(CLIENT)])
            .ends();
    }
}

#[test]
fn a_head_without_end_is_too_large() {
    let mut told = sent(http(), GET);
    let line = format!("X-Long: {}\r\n", "y".repeat(8_000));
    told.sends(L0, "HTTP/1.1 200 OK\r\n").wants_nothing();
    for _ in 0..8 {
        told.sends(L0, &line).wants_nothing();
    }
    told.sends(L0, &line)
        .wants([
            abort(L0),
            answer(CLIENT, 502)
                .with("x-fairlead-reason: response_head_too_large\r\n")
                .body("the head is longer than the limit\n"),
        ])
        .client_finishes()
        .wants([close(CLIENT)])
        .ends();
}

#[test]
fn the_same_backend_is_tried_as_often_as_the_plan_says() {
    let setup = http().pool(|pool| {
        pool.retry.same_backend = 3;
        pool.retry.delay = Millis(10);
    });
    asked(setup, GET)
        .refused(L0)
        .wants_nothing()
        .active(0, 0)
        .after(ms(11))
        .wants([connect(0)])
        .refused(L1)
        .wants_nothing()
        .after(ms(11))
        .wants([connect(0)])
        .refused(L2)
        .wants([connect(1)])
        .is(0, Health::Down)
        .refused(L3)
        .wants_nothing()
        .after(ms(11))
        .wants([connect(1)])
        .refused(Who::Link(4))
        .wants_nothing()
        .after(ms(11))
        .wants([connect(1)])
        .refused(Who::Link(5))
        .wants([refusal(CLIENT, 503, "connect_refused").with("retry-after:")])
        .client_finishes()
        .wants([close(CLIENT)])
        .ends();
}

#[test]
fn a_connect_that_never_ends_is_a_timeout() {
    let setup = http().backends(1).pool(|pool| pool.timeouts.connect = Millis(500));
    asked(setup, GET)
        .after(ms(499))
        .wants_nothing()
        .after(ms(2))
        .wants([abort(L0), refusal(CLIENT, 503, "connect_timeout")])
        .is(0, Health::Suspect)
        .client_finishes()
        .wants([close(CLIENT)])
        .ends();
}

#[test]
fn a_late_connect_is_kept_for_the_next_request() {
    asked(http(), GET)
        .after(ms(51))
        .wants([connect(1)])
        .connected(L1)
        .wants([request(L1, "GET /a")])
        .connected(L0)
        .wants_nothing()
        .active(0, 0)
        .sends(L1, OK)
        .wants([answer(CLIENT, 200).body("hi")])
        .client_finishes()
        .wants([close(CLIENT)])
        .ends_with_kept(&[L0, L1]);
}

#[test]
fn two_hosts_that_die_together_cost_two_waits_and_no_time_out() {
    let mut told = asked(http().backends(4), GET);
    told.after(ms(51)).wants([connect(1)]).after(ms(51)).wants([connect(2)]);
    // As many as the plan tries in all.
    told.after(ms(500)).wants_nothing();
    told.connected(L2).wants([request(L2, "GET /a")]);
    told.is(0, Health::Suspect).is(1, Health::Suspect).active(0, 0).active(1, 0);
    told.sends(L2, OK).wants([answer(CLIENT, 200).body("hi")]);
    told.client_finishes().wants([close(CLIENT)]);
    told.connected(L0).wants_nothing().after(ms(900)).wants([abort(L1)]);
    told.ends_with_kept(&[L0, L2]);
}

#[test]
fn who_lost_a_race_is_asked_when_the_winner_fails() {
    let setup = http().pool(|pool| pool.retry.attempts = 2);
    asked(setup, GET)
        .after(ms(51))
        .wants([connect(1)])
        .connected(L1)
        .wants([request(L1, "GET /a")])
        .connected(L0)
        .wants_nothing()
        .resets(L1)
        .wants([request(L0, "GET /a")])
        .sends(L0, OK)
        .wants([answer(CLIENT, 200).body("hi")])
        .client_finishes()
        .wants([close(CLIENT)])
        .ends_with_kept(&[L0]);
}

#[test]
fn nobody_who_failed_is_asked_again_while_somebody_else_is_left() {
    sent(http().backends(3), GET)
        .resets(L0)
        .wants([connect(1)])
        .connected(L1)
        .whatever()
        .resets(L1)
        .wants([connect(2)])
        .connected(L2)
        .whatever()
        .resets(L2)
        .wants([refusal(CLIENT, 502, "backend_reset")])
        .client_finishes()
        .wants([close(CLIENT)])
        .ends();
}

#[test]
fn everybody_full_is_told_at_once() {
    let setup = http().backends(1).pool(|pool| pool.backends[0].max_connections = Some(1));
    sent(setup, GET)
        .client_connects()
        .wants_nothing()
        .sends(OTHER, GET)
        .wants([refusal(OTHER, 503, "saturated").with("retry-after:")])
        .sends(L0, OK)
        .wants([answer(CLIENT, 200).body("hi")])
        .sends(OTHER, GET)
        .wants([request(L0, "GET /a")])
        .resets(OTHER)
        .wants([abort(L0)])
        .client_finishes()
        .wants([close(CLIENT)])
        .ends();
}

#[test]
fn the_next_group_takes_over_only_when_the_first_has_nobody() {
    let setup = http().backends(2).pool(|pool| pool.backends[0].group = 1);
    dialogue(setup)
        .client_connects()
        .wants_nothing()
        .client_sends(GET)
        .wants([connect(1)])
        .refused(L0)
        .wants([connect(0)])
        .client_resets()
        .wants([abort(L1)])
        .ends();
}

#[test]
fn a_backend_with_two_addresses_fails_only_with_both() {
    let setup = http().backends(1).pool(|pool| {
        let other = crate::setup::backend(7).endpoints;
        pool.backends[0].endpoints.extend(other);
    });
    asked(setup, GET)
        .refused(L0)
        .wants([connect(7)])
        .nobody_is_blamed()
        .connected(L1)
        .wants([request(L1, "GET /a")])
        .sends(L1, OK)
        .wants([answer(CLIENT, 200).body("hi")])
        // The good one is asked first from now on.
        .resets(L1)
        .wants_nothing()
        .client_sends(GET)
        .wants([connect(7)])
        .refused(L2)
        .wants([connect(0)])
        .refused(L3)
        .wants([refusal(CLIENT, 503, "connect_refused")])
        .is(0, Health::Suspect)
        .client_finishes()
        .wants([close(CLIENT)])
        .ends();
}

#[test]
fn a_lone_backend_that_hangs_up_is_asked_again_after_growing_pauses() {
    let mut told = sent(http().backends(1), GET);
    told.finishes(L0).wants([abort(L0)]).after(ms(23)).wants_nothing();
    told.after(ms(4)).wants([connect(0)]).connected(L1).wants([request(L1, "GET /a")]);
    told.finishes(L1).wants([abort(L1)]).after(ms(48)).wants_nothing();
    told.after(ms(4)).wants([connect(0)]).connected(L2).wants([request(L2, "GET /a")]);
    // The last attempt's end is the answer, at once.
    told.finishes(L2).wants([abort(L2), refusal(CLIENT, 502, "backend_reset")]);
    told.client_finishes().wants([close(CLIENT)]).ends();
}

#[test]
fn those_who_failed_get_another_chance_although_a_third_is_out_of_reach() {
    let setup = http().backends(3).pool(|pool| pool.backends[2].state = Wish::Disabled);
    sent(setup, GET)
        .resets(L0)
        .wants([connect(1)])
        .connected(L1)
        .whatever()
        .resets(L1)
        .wants_nothing()
        .after(ms(51))
        .wants([connect(0)])
        .connected(L2)
        .wants([request(L2, "GET /a")])
        .sends(L2, OK)
        .wants([answer(CLIENT, 200).body("hi")])
        .client_finishes()
        .wants([close(CLIENT)])
        .ends_with_kept(&[L2]);
}

#[test]
fn a_trial_has_the_time_that_answers_take() {
    for (time, answers) in [(990, true), (1_251, false)] {
        let mut told = asked(http().pool(|pool| pool.check.fall = 1), GET);
        told.refused(L0).wants([connect(1)]).is(0, Health::Down);
        told.connected(L1).whatever().sends(L1, OK).wants([answer(CLIENT, 200).body("hi")]);
        told.after(ms(1_001)).wants_nothing();
        told.client_sends(GET).wants([connect(0)]).connected(L2).wants([request(L2, "GET /a")]);
        // That it is down was known; that it says nothing shows after a second, at the next look.
        told.after(ms(time));
        if answers {
            told.wants_nothing().sends(L2, OK).wants([answer(CLIENT, 200).body("hi")]);
            told.is(0, Health::Healthy);
        } else {
            told.wants([abort(L2), request(L1, "GET /a")]).is(0, Health::Down);
        }
    }
}

#[test]
fn a_connect_from_an_outage_that_is_over_says_nothing_new() {
    let mut told = dialogue(tcp());
    told.client_connects().whatever().after(ms(60)).whatever();
    (0..3).for_each(|_| {
        told.check_says(0, false);
    });
    told.is(0, Health::Down);
    (0..2).for_each(|_| {
        told.check_says(0, true);
    });
    told.is(0, Health::Healthy);
    told.after(ms(1_000)).whatever();
    assert_eq!(told.connecting(0), [], "it has been given up");
    told.is(0, Health::Healthy);
    // What is begun now, is news.
    told.client_connects().whatever().after(ms(1_100)).whatever();
    told.is(0, Health::Suspect);
}
