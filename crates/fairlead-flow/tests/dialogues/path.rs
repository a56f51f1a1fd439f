//! Sent and not acknowledged: what the kernel says of the way to a backend.

use fairlead_flow::Sent;
use fairlead_model::health::Health;
use fairlead_model::limits::RECEIVE_BYTES;
use fairlead_model::plan::PoolPlan;

use crate::keep::{GET, OK, POST};
use crate::openings::{asked, sent, PUT};
use crate::script::{dialogue, Dialogue};
use crate::setup::{backend, http, ms, tcp, Setup};
use crate::wants::*;

/// A client's request has been sent over `L0`, into a black hole.
fn swallowed(setup: Setup, bytes: &str) -> Dialogue {
    let mut told = sent(setup, bytes);
    told.swallows(L0, 1, 0);
    told
}

#[test]
fn what_is_not_acknowledged_makes_suspect_and_is_hedged_at_once() {
    let mut told = swallowed(http().hedged(), GET);
    // 49 ms are any system's; a live host's kernel needs 40.
    told.after(ms(49)).wants_nothing().is(0, Health::Unknown);
    told.after(ms(3)).wants([connect(1)]).is(0, Health::Suspect);
    let why = "traffic: no acknowledgement (1 unacknowledged for 50 ms), not counted as a failure";
    assert_eq!(told.why(0), why);
    told.connected(L1).wants([request(L1, "GET /a")]);
    told.sends(L1, OK).wants([answer(CLIENT, 200).body("hi")]);
    told.steps("unacknowledged", "suspected", 1).steps("hedges", "won", 1);
    told.client_finishes().wants([close(CLIENT)]).after(ms(1_000)).wants([abort(L0)]);
    told.ends_with_kept(&[L1]);
}

#[test]
fn what_was_sent_again_in_vain_moves_a_put_too() {
    for setup in [http(), http().hedged()] {
        let mut told = swallowed(setup, PUT);
        told.after(ms(60)).wants_nothing().is(0, Health::Suspect).after(ms(140)).wants_nothing();
        told.swallows(L0, 1, 1).after(ms(25)).wants([abort(L0), connect(1)]).active(0, 0);
        told.connected(L1).wants([request(L1, "PUT /a").body("body")]);
        told.failures(0, 1).sends(L1, OK).wants([answer(CLIENT, 200).body("hi")]);
        told.steps("moved", "unacknowledged", 1);
        told.client_finishes().wants([close(CLIENT)]).ends_with_kept(&[L1]);
    }
}

#[test]
fn what_was_sent_in_vain_to_where_its_backend_was_goes_where_it_is_now() {
    for (bytes, again) in [(GET, request(L1, "GET /a")), (PUT, request(L1, "PUT /a").body("body"))]
    {
        let mut told = swallowed(http().backends(1), bytes);
        told.after(ms(60)).wants_nothing().is(0, Health::Suspect);
        let moves = |pool: &mut PoolPlan| pool.backends[0].endpoints = backend(9).endpoints;
        told.reloads(http().backends(1).pool(moves)).wants_nothing();
        told.after(ms(140)).wants_nothing();
        told.swallows(L0, 1, 1).after(ms(25)).wants([abort(L0)]);
        told.after(ms(26)).wants([connect(9)]).failures(0, 0);
        told.connected(L1).wants([again]);
        told.sends(L1, OK).wants([answer(CLIENT, 200).body("hi")]);
        told.client_finishes().wants([close(CLIENT)]).ends_with_kept(&[L1]);
    }
}

#[test]
fn a_put_waits_no_longer_than_any_live_host_takes() {
    for setup in [http(), http().hedged()] {
        let mut told = swallowed(setup, PUT);
        told.after(ms(60)).wants_nothing().is(0, Health::Suspect).after(ms(145)).wants_nothing();
        told.after(ms(20)).wants([abort(L0), connect(1)]).active(0, 0);
        told.connected(L1).wants([request(L1, "PUT /a").body("body")]);
        // The kernel hasn't sent again: to be late is no failure.
        told.failures(0, 0).sends(L1, OK).wants([answer(CLIENT, 200).body("hi")]);
        told.is(0, Health::Suspect).steps("moved", "unacknowledged", 1);
        told.client_finishes().wants([close(CLIENT)]).ends_with_kept(&[L1]);
    }
}

#[test]
fn a_put_of_which_half_got_through_at_last_does_not_wait_for_the_rest() {
    let mut told = swallowed(http().hedged(), PUT);
    told.swallows(L0, 3, 0).after(ms(199)).wants_nothing();
    // The first retransmission is acknowledged, which shows that somebody is there: but two
    // segments more are missing.
    told.swallows(L0, 2, 1).took_part_of_it(L0, ms(2)).after(ms(6)).wants_nothing();
    told.after(ms(20)).wants([abort(L0), connect(1)]).active(0, 0);
    told.connected(L1).wants([request(L1, "PUT /a").body("body")]);
    told.failures(0, 1).sends(L1, OK).wants([answer(CLIENT, 200).body("hi")]);
    told.client_finishes().wants([close(CLIENT)]).ends_with_kept(&[L1]);
}

#[test]
fn a_put_that_gets_through_piece_by_piece_stays() {
    let mut told = swallowed(http().hedged(), PUT);
    // Nothing had to be sent again: that it takes long is the way's length.
    told.swallows(L0, 3, 0).took_part_of_it(L0, ms(2)).after(ms(700)).wants_nothing();
    told.sends(L0, OK).wants([answer(CLIENT, 200).body("hi")]);
    told.client_finishes().wants([close(CLIENT)]).ends_with_kept(&[L0]);
}

#[test]
fn a_trial_waits_for_no_proof() {
    let mut told = asked(http().pool(|pool| pool.check.fall = 1), PUT);
    told.refused(L0).wants([connect(1)]).is(0, Health::Down).connected(L1).whatever();
    told.sends(L1, OK).wants([answer(CLIENT, 200).body("hi")]).after(ms(1_001)).wants_nothing();
    told.client_sends(PUT).wants([connect(0)]).connected(L2).whatever();
    told.swallows(L2, 1, 0).after(ms(49)).wants_nothing();
    told.after(ms(3)).wants([abort(L2), request(L1, "PUT /a").body("body")]);
    told.steps("moved", "unacknowledged", 1);
    told.sends(L1, OK).wants([answer(CLIENT, 200).body("hi")]);
    told.client_finishes().wants([close(CLIENT)]).ends_with_kept(&[L1]);
}

#[test]
fn a_trial_that_waited_for_no_proof_counts_as_no_failure() {
    let mut told = asked(http().pool(|pool| pool.check.fall = 2), PUT);
    told.connected(L0).whatever().resets(L0).wants([connect(1)]);
    told.connected(L1).whatever().sends(L1, OK).wants([answer(CLIENT, 200).body("hi")]);
    told.is(0, Health::Suspect).failures(0, 1).after(ms(1_001)).wants_nothing();
    told.client_sends(PUT).wants([connect(0)]).connected(L2).whatever();
    told.swallows(L2, 1, 0).after(ms(52)).wants([abort(L2), request(L1, "PUT /a").body("body")]);
    told.sends(L1, OK).wants([answer(CLIENT, 200).body("hi")]);
    // Nothing was sent again: its host may be one that acknowledges late.
    told.is(0, Health::Suspect).failures(0, 1);
    // But the next trial is due later than after one that went well.
    told.after(ms(1_001)).wants_nothing();
    told.client_sends(PUT).wants([request(L1, "PUT /a").body("body")]);
    told.sends(L1, OK).wants([answer(CLIENT, 200).body("hi")]);
    told.client_finishes().wants([close(CLIENT)]).ends_with_kept(&[L1]);
}

#[test]
fn a_trial_that_is_acknowledged_late_goes_well_if_its_answer_comes() {
    let mut told = asked(http().pool(|pool| pool.check.fall = 1), GET);
    told.refused(L0).wants([connect(1)]).is(0, Health::Down).connected(L1).whatever();
    told.sends(L1, OK).wants([answer(CLIENT, 200).body("hi")]).after(ms(1_001)).wants_nothing();
    told.client_sends(GET).wants([connect(0)]).connected(L2).whatever();
    told.swallows(L2, 1, 0).after(ms(60)).wants_nothing().swallows(L2, 0, 0);
    told.steps("unacknowledged", "suspected", 1);
    told.sends(L2, OK).wants([answer(CLIENT, 200).body("hi")]).is(0, Health::Healthy);
    told.client_finishes().wants([close(CLIENT)]).ends_with_kept(&[L1, L2]);
}

#[test]
fn a_post_stays_where_it_was_sent() {
    let mut told = swallowed(http().hedged(), POST);
    told.after(ms(60)).wants_nothing().is(0, Health::Suspect);
    told.swallows(L0, 2, 3).after(ms(4_800)).wants_nothing();
    told.sends(L0, OK).wants([answer(CLIENT, 200).body("hi")]);
    told.client_finishes().wants([close(CLIENT)]).ends_with_kept(&[L0]);
}

#[test]
fn where_everybody_loses_packets_nothing_moves() {
    let mut told = swallowed(http(), PUT);
    told.after(ms(60)).wants_nothing();
    // Another client's request is swallowed by the other backend.
    told.client_connects().wants_nothing().sends(OTHER, PUT).wants([connect(1)]);
    told.connected(L1).whatever();
    told.swallows(L1, 1, 0).after(ms(60)).wants_nothing();
    told.is(0, Health::Suspect).is(1, Health::Suspect);
    told.swallows(L0, 1, 1).swallows(L1, 1, 1).after(ms(1_000)).wants_nothing();
    told.sends(L0, OK).wants([answer(CLIENT, 200).body("hi")]);
    told.sends(L1, OK).wants([answer(OTHER, 200).body("hi")]);
    told.client_finishes().wants([close(CLIENT)]);
    told.finishes(OTHER).wants([close(OTHER)]).ends_with_kept(&[L0, L1]);
}

#[test]
fn a_host_that_acknowledges_late_is_given_that_long_from_then_on() {
    let mut told = swallowed(http(), GET);
    told.after(ms(60)).wants_nothing().is(0, Health::Suspect);
    // All was acknowledged after all, and nothing had to be sent again.
    told.after(ms(140)).swallows(L0, 0, 0).after(ms(30)).wants_nothing();
    told.sends(L0, OK).wants([answer(CLIENT, 200).body("hi")]).is(0, Health::Healthy);
    // Ten answers of a millisecond: late is 50 ms now.
    for _ in 0..10 {
        told.client_sends(GET).wants([request(L0, "GET /a")]).after(ms(1)).wants_nothing();
        told.sends(L0, OK).wants([answer(CLIENT, 200).body("hi")]);
    }
    told.client_sends(GET).wants([request(L0, "GET /a")]).swallows(L0, 1, 0);
    told.after(ms(220)).wants_nothing().is(0, Health::Healthy);
    told.after(ms(100)).wants_nothing().is(0, Health::Suspect);
    told.sends(L0, OK).wants([answer(CLIENT, 200).body("hi")]);
    told.client_finishes().wants([close(CLIENT)]).ends_with_kept(&[L0]);
}

#[test]
fn what_a_kept_connection_lost_long_ago_proves_nothing() {
    let mut told = swallowed(http(), GET);
    told.swallows(L0, 0, 0).sends(L0, OK).wants([answer(CLIENT, 200).body("hi")]);
    // Seven segments were sent again in its life before anybody looked.
    told.swallows(L0, 1, 7).client_sends(PUT).wants([request(L0, "PUT /a").body("body")]);
    // One answer was seen: late is half of what it is before the first.
    told.after(ms(110)).wants_nothing().is(0, Health::Suspect).after(ms(90)).wants_nothing();
    told.swallows(L0, 1, 8).after(ms(25)).wants([abort(L0), connect(1)]);
    told.client_resets().wants([abort(L1)]).ends();
}

#[test]
fn who_is_answered_in_time_costs_no_look() {
    let mut told = swallowed(http().hedged(), GET);
    told.after(ms(10)).wants_nothing();
    told.sends(L0, OK).wants([answer(CLIENT, 200).body("hi")]);
    for _ in 0..20 {
        told.client_sends(GET).wants([request(L0, "GET /a")]).after(ms(20)).wants_nothing();
        told.sends(L0, OK).wants([answer(CLIENT, 200).body("hi")]);
    }
    assert_eq!(told.looks(), 0);
    told.client_finishes().wants([close(CLIENT)]).ends_with_kept(&[L0]);
}

#[test]
fn bytes_that_nobody_acknowledges_are_told_again_after_an_answer_that_was_forwarded() {
    let mut told = dialogue(tcp());
    told.client_connects().whatever().connected(L0).whatever();
    told.client_sends("one").wants([write(L0, "one")]);
    let much = "x".repeat(RECEIVE_BYTES);
    told.sends(L0, &much).wants([write(CLIENT, &much), forward(L0, CLIENT, u64::MAX)]);
    for times in 1..3 {
        told.after(ms(10_000)).wants_nothing().swallows(L0, 1, 0);
        told.client_sends("more").wants([write(L0, "more")]).after(ms(400)).wants_nothing();
        told.steps("unacknowledged", "suspected", times);
        told.swallows(L0, 0, 0).forwards(L0, 1_000, Sent::All).wants_nothing();
    }
    told.client_resets().wants([abort(L0)]).ends();
}

#[test]
fn bytes_on_a_tcp_connection_that_nobody_acknowledges_make_suspect() {
    let mut told = dialogue(tcp());
    told.client_connects().wants([pause(CLIENT), connect(0)]);
    told.connected(L0).wants([resume(CLIENT)]);
    told.client_sends("one").wants([write(L0, "one")]);
    told.sends(L0, "two").wants([write(CLIENT, "two")]).is(0, Health::Healthy);
    // Long after the first question, the host is gone.
    told.after(ms(30_000)).wants_nothing().swallows(L0, 1, 0);
    told.client_sends("three").wants([write(L0, "three")]);
    told.after(ms(110)).wants_nothing().is(0, Health::Suspect);
    assert!(told.why(0).contains("(1 unacknowledged for 1"), "{}", told.why(0));
    // New connections go elsewhere; this one stays.
    told.client_connects().wants([pause(OTHER), connect(1)]);
    told.connected(L1).wants([resume(OTHER)]);
    told.client_resets().wants([abort(L0)]);
    told.resets(OTHER).wants([abort(L1)]).ends();
}

/// Two of three hosts are gone at once, and the request is at both.
#[test]
fn where_the_hedge_is_not_acknowledged_either_a_third_is_asked_and_the_first_is_left() {
    let mut told = swallowed(http().hedged().backends(3), GET);
    told.after(ms(52)).wants([connect(1)]).connected(L1).wants([request(L1, "GET /a")]);
    told.swallows(L1, 1, 0).after(ms(48)).wants_nothing();
    told.after(ms(25)).wants([abort(L0), connect(2)]).is(1, Health::Suspect).active(0, 0);
    told.failures(0, 0).connected(L2).wants([request(L2, "GET /a")]);
    told.sends(L2, OK).wants([answer(CLIENT, 200).body("hi")]);
    told.client_finishes().wants([close(CLIENT)]).after(ms(1_000)).wants([abort(L1)]);
    told.ends_with_kept(&[L2]);
}

#[test]
fn what_waits_since_before_its_backend_came_back_is_no_news() {
    let mut told = swallowed(http(), POST);
    told.after(ms(60)).wants_nothing().is(0, Health::Suspect);
    for passed in [false, false, false, true, true] {
        told.check_says(0, passed);
    }
    told.is(0, Health::Healthy);
    told.swallows(L0, 1, 3)
        .after(ms(600))
        .wants_nothing()
        .is(0, Health::Healthy)
        .abandons()
        .whatever();
}
