//! What may not be in two places at once, on a backend that has fallen silent.

use fairlead_balance::Kind;
use fairlead_model::backend::Wish;
use fairlead_model::health::Health;
use fairlead_model::limits::REPLAY_BYTES;
use fairlead_model::plan::{Policy, PoolPlan};

use crate::keep::{OK, POST};
use crate::openings::{known, PUT};
use crate::script::Dialogue;
use crate::setup::{backend, http, ms, Setup};
use crate::upgrade::{SWITCH, UPGRADE};
use crate::wants::*;

/// Two backends that take turns.
fn turns() -> Setup {
    http().hedged().pool(|pool| pool.policy = Policy::RoundRobin)
}

/// The second backend is well: whoever has its turn there is answered at once.
fn is_answered(told: &mut Dialogue, client: usize, bytes: &str) {
    let client = Who::Client(client);
    told.client_connects().wants_nothing().sends(client, bytes).whatever().active(1, 1);
    told.after(ms(1)).wants_nothing();
    told.sends(L1, OK).wants([answer(client, 200).body("hi")]).finishes(client).whatever();
}

/// Clients 2 and 4 ask the first backend, over `L0` and `L2`, which says nothing; 3 and 5 the
/// second one in between.
fn two_are_stuck(bytes: &str) -> Dialogue {
    two_are_stuck_at(turns(), bytes)
}

fn two_are_stuck_at(setup: Setup, bytes: &str) -> Dialogue {
    let mut told = known(setup, bytes);
    told.client_connects().wants_nothing().sends(Who::Client(2), bytes).whatever().active(0, 1);
    told.after(ms(10)).wants_nothing();
    is_answered(&mut told, 3, bytes);
    told.client_connects().wants_nothing().sends(Who::Client(4), bytes).wants([connect(0)]);
    told.connected(L2).whatever().active(0, 2).after(ms(10)).wants_nothing();
    is_answered(&mut told, 5, bytes);
    told
}

#[test]
fn puts_on_a_backend_that_says_nothing_go_to_another_once_they_are_cut_off() {
    let mut told = two_are_stuck(PUT);
    told.after(ms(187)).wants_nothing().active(0, 2);
    // The second one is late: two in a row. Its connection is closed before it is sent again.
    told.after(ms(4)).wants([abort(L2), request(L1, "PUT /a").body("body")]).active(0, 1);
    told.sends(L1, OK).wants([answer(Who::Client(4), 200).body("hi")]);
    told.after(ms(24)).wants([abort(L0), request(L1, "PUT /a").body("body")]).active(0, 0);
    told.sends(L1, OK).wants([answer(Who::Client(2), 200).body("hi")]);
    told.steps("moved", "silent", 2).steps("hedges", "sent", 0).failures(0, 0);
    told.retried("backend_silent", 2);
    // A garbage collector takes as long.
    told.nobody_is_blamed();
    told.finishes(Who::Client(2)).whatever().finishes(Who::Client(4)).whatever();
    told.ends_with_kept(&[L1]);
}

#[test]
fn a_put_that_was_cut_off_comes_back_where_the_other_one_says_nothing_at_all() {
    let mut told = two_are_stuck(PUT);
    told.after(ms(191)).wants([abort(L2), request(L1, "PUT /a").body("body")]);
    told.resets(Who::Client(2)).wants([abort(L0)]);
    // It was cut off for some tenths of a second; here it has waited for all of the time-out.
    told.after(ms(5_001)).wants([abort(L1)]).after(ms(51)).wants([connect(0)]);
    told.connected(L3).wants([request(L3, "PUT /a").body("body")]);
    told.sends(L3, OK).wants([answer(Who::Client(4), 200).body("hi")]);
    told.finishes(Who::Client(4)).wants([close(Who::Client(4))]).ends_with_kept(&[L3]);
}

/// The same with a body that comes behind its head.
fn two_are_stuck_in_pieces(bytes: &str) -> Dialogue {
    let mut told = known(turns(), bytes);
    let (head, body) = bytes.split_at(bytes.len() - 4);
    for nth in 2..6 {
        let client = Who::Client(nth);
        told.client_connects().wants_nothing().sends(client, head).whatever();
        if nth == 4 {
            told.connected(L2).whatever();
        }
        let link = [L0, L1, L2, L1][nth - 2];
        told.sends(client, body).wants([write(link, body)]).after(ms(10)).wants_nothing();
        if link == L1 {
            told.sends(L1, OK).wants([answer(client, 200).body("hi")]);
        }
    }
    told
}

#[test]
fn a_body_that_comes_in_pieces_changes_nothing() {
    let mut told = two_are_stuck_in_pieces(PUT);
    told.after(ms(181)).wants([abort(L2), request(L1, "PUT /a").body("body")]);
    told.after(ms(24)).wants([abort(L0), connect(1)]).abandons().whatever();
}

#[test]
fn a_post_that_comes_in_pieces_shows_who_is_silent_as_well() {
    let mut told = two_are_stuck_in_pieces(POST);
    told.after(ms(400)).wants_nothing().active(0, 2).is(0, Health::Suspect);
    told.steps("moved", "silent", 0).failures(0, 0).abandons().whatever();
}

#[test]
fn a_put_too_large_to_be_kept_stays_where_it_is_and_makes_suspect() {
    let body = "x".repeat(REPLAY_BYTES + 1);
    let head = PUT.replace("Length: 4", &format!("Length: {}", body.len())).replace("body", "");
    let mut told = known(turns(), PUT);
    for nth in 2..6 {
        let client = Who::Client(nth);
        let large = nth % 2 == 0;
        told.client_connects().wants_nothing();
        told.sends(client, if large { &head } else { PUT }).whatever();
        if nth == 4 {
            told.connected(L2).whatever();
        }
        if large {
            told.sends(client, &body).whatever();
        }
        told.after(ms(10)).wants_nothing();
        if !large {
            told.sends(L1, OK).wants([answer(client, 200).body("hi")]);
        }
    }
    told.after(ms(400)).wants_nothing().active(0, 2).is(0, Health::Suspect);
    told.steps("moved", "silent", 0).failures(0, 0).abandons().whatever();
}

#[test]
fn a_request_that_is_not_all_sent_asks_nothing() {
    let mut told = known(turns(), POST);
    for nth in 2..6 {
        let client = Who::Client(nth);
        told.client_connects().wants_nothing();
        told.fills(L0).sends(client, POST).whatever();
        if nth == 4 {
            told.fills(L2).connected(L2).whatever();
        }
        told.after(ms(10)).wants_nothing();
        if nth % 2 == 1 {
            told.sends(L1, OK).wants([answer(client, 200).body("hi")]);
        }
    }
    told.after(ms(4_000)).wants_nothing().active(0, 2).nobody_is_blamed();
    // Now it has been asked.
    told.drains(L0).wants_nothing().drains(L2).wants_nothing().after(ms(1)).wants_nothing();
    for (nth, link) in [(6, L3), (7, Who::Link(4))] {
        let client = Who::Client(nth);
        told.client_connects().wants_nothing().sends(client, POST).wants([connect(nth % 2)]);
        told.connected(link).whatever();
    }
    told.sends(Who::Link(4), OK).wants([answer(Who::Client(7), 200).body("hi")]);
    told.after(ms(600)).wants_nothing().is(0, Health::Suspect).abandons().whatever();
}

#[test]
fn posts_stay_where_they_are_and_make_suspect() {
    let mut told = two_are_stuck(POST);
    told.after(ms(300)).wants_nothing().nobody_is_blamed().active(0, 2);
    told.after(ms(60)).wants_nothing().active(0, 2).is(0, Health::Suspect);
    assert!(told.why(0).contains("while others answered), not counted as"), "{}", told.why(0));
    told.steps("moved", "silent", 0).failures(0, 0);
    told.sends(L0, OK).wants([answer(Who::Client(2), 200).body("hi")]);
    told.abandons().whatever();
}

#[test]
fn a_check_that_passes_in_the_midst_of_silence_shows_that_it_is_no_garbage_collector() {
    let mut told = two_are_stuck(POST);
    told.after(ms(200)).wants_nothing().nobody_is_blamed().check_passes(0);
    told.after(ms(40)).wants_nothing().nobody_is_blamed();
    told.after(ms(40)).wants_nothing().is(0, Health::Suspect).check_passes(0);
    // It has to prove itself now.
    told.is(0, Health::Suspect).active(0, 2).abandons().whatever();
}

#[test]
fn one_put_that_takes_long_is_left_alone() {
    let mut told = known(turns(), PUT);
    told.client_connects().wants_nothing().sends(Who::Client(2), PUT).whatever().active(0, 1);
    told.after(ms(10)).wants_nothing();
    is_answered(&mut told, 3, PUT);
    told.after(ms(4_900)).wants_nothing().nobody_is_blamed().active(0, 1);
    told.sends(L0, OK).wants([answer(Who::Client(2), 200).body("hi")]);
    told.finishes(Who::Client(2)).whatever().ends_with_kept(&[L0, L1]);
}

#[test]
fn puts_that_take_long_beside_quick_ones_are_left_alone() {
    let mut told = two_are_stuck(PUT);
    // The same backend answers another one that was asked later.
    told.client_connects().wants_nothing().sends(Who::Client(6), PUT).wants([connect(0)]);
    told.connected(L3).whatever().after(ms(1)).wants_nothing();
    told.sends(L3, OK).wants([answer(Who::Client(6), 200).body("hi")]);
    told.after(ms(4_900)).wants_nothing().nobody_is_blamed().active(0, 2);
    told.steps("moved", "silent", 0).abandons().whatever();
}

#[test]
fn puts_that_take_long_beside_a_switch_are_left_alone() {
    let mut told = two_are_stuck(PUT);
    told.client_connects().wants_nothing().sends(Who::Client(6), UPGRADE).wants([connect(0)]);
    told.connected(L3).whatever().after(ms(1)).wants_nothing();
    told.sends(L3, SWITCH).whatever();
    told.after(ms(4_900)).wants_nothing().nobody_is_blamed();
    told.steps("moved", "silent", 0).abandons().whatever();
}

#[test]
fn puts_that_take_long_everywhere_are_left_alone() {
    let mut told = known(turns(), PUT);
    for nth in 2..6 {
        told.client_connects().wants_nothing().sends(Who::Client(nth), PUT).whatever();
        if nth > 3 {
            told.connected(Who::Link(nth - 2)).whatever();
        }
        told.after(ms(100)).wants_nothing();
    }
    // One that was asked before all of them is answered: that says nothing of theirs.
    told.after(ms(1_500)).wants_nothing();
    told.sends(L1, OK).wants([answer(Who::Client(3), 200).body("hi")]);
    told.after(ms(2_000)).wants_nothing().is(0, Health::Healthy).active(0, 2).active(1, 1);
    told.steps("moved", "silent", 0).abandons().whatever();
}

#[test]
fn uploads_are_not_compared_with_pages() {
    let get = "GET /a HTTP/1.1\r\nHost: example.com\r\n\r\n";
    let mut told = known(turns(), PUT);
    told.client_connects().wants_nothing().sends(Who::Client(2), PUT).whatever().active(0, 1);
    told.after(ms(10)).wants_nothing();
    is_answered(&mut told, 3, get);
    told.client_connects().wants_nothing().sends(Who::Client(4), PUT).wants([connect(0)]);
    told.connected(L2).whatever().active(0, 2).after(ms(10)).wants_nothing();
    is_answered(&mut told, 5, get);
    told.after(ms(4_800)).wants_nothing().nobody_is_blamed().active(0, 2);
    told.steps("moved", "silent", 0).abandons().whatever();
}

#[test]
fn a_put_is_cut_off_once_at_most() {
    let mut told = two_are_stuck(PUT);
    told.after(ms(191)).wants([abort(L2), request(L1, "PUT /a").body("body")]);
    told.after(ms(24)).wants([abort(L0), connect(1)]).connected(L3).whatever().active(1, 2);
    // Now the second one says nothing, and the first is quick.
    told.client_connects().wants_nothing().sends(Who::Client(6), PUT).wants([connect(0)]);
    told.connected(Who::Link(4)).whatever().after(ms(1)).wants_nothing();
    told.sends(Who::Link(4), OK).wants([answer(Who::Client(6), 200).body("hi")]);
    told.after(ms(4_000)).wants_nothing().active(1, 2).steps("moved", "silent", 2);
    told.is(1, Health::Suspect).abandons().whatever();
}

#[test]
fn without_a_budget_nothing_is_cut_off() {
    let mut told = two_are_stuck_at(turns().pool(|pool| pool.retry.budget = 0), PUT);
    told.after(ms(4_000)).wants_nothing().is(0, Health::Suspect).active(0, 2);
    told.steps("moved", "silent", 0).steps("hedges", "denied", 2).abandons().whatever();
}

#[test]
fn where_nobody_else_is_well_nothing_is_cut_off() {
    let mut told = two_are_stuck(PUT);
    told.state(1).set_wish(Wish::Draining);
    told.after(ms(4_000)).wants_nothing().is(0, Health::Suspect).active(0, 2);
    told.abandons().whatever();
}

/// Client 2 asks the first backend over `L0`; then that one is moved, and client 4 asks it over
/// `L2` where it is now. Neither is answered, as 3 and 5 are by the second one.
fn stuck_before_and_after_a_move() -> Dialogue {
    let mut told = known(turns(), PUT);
    told.client_connects().wants_nothing().sends(Who::Client(2), PUT).whatever().active(0, 1);
    told.after(ms(10)).wants_nothing();
    is_answered(&mut told, 3, PUT);
    let moved = |pool: &mut PoolPlan| pool.backends[0].endpoints = backend(9).endpoints;
    told.reloads(turns().pool(moved)).wants_nothing();
    told.client_connects().wants_nothing().sends(Who::Client(4), PUT).wants([connect(9)]);
    told.connected(L2).whatever().active(0, 2).after(ms(10)).wants_nothing();
    is_answered(&mut told, 5, PUT);
    told
}

#[test]
fn the_silence_of_an_old_host_is_not_the_new_ones() {
    let mut told = stuck_before_and_after_a_move();
    told.after(ms(250)).wants_nothing().active(0, 2).steps("moved", "silent", 0);
    told.nobody_is_blamed().abandons().whatever();
}

#[test]
fn the_answer_of_an_old_host_is_not_the_new_ones() {
    let mut told = stuck_before_and_after_a_move();
    told.after(ms(250)).wants_nothing().sends(L0, OK).whatever().active(0, 1);
    told.client_connects().wants_nothing().sends(Who::Client(6), PUT).wants([connect(9)]);
    told.connected(L3).whatever().active(0, 2).after(ms(10)).wants_nothing();
    is_answered(&mut told, 7, PUT);
    told.after(ms(250)).whatever().steps("moved", "silent", 2).abandons().whatever();
}

/// Of two workers one may get nearly all connections: the other has nothing of its own to compare a
/// trial with.
#[test]
fn what_another_worker_was_answered_shows_who_is_silent() {
    for others in [None, Some(0), Some(1)] {
        let mut told = two_are_stuck(POST);
        told.after(ms(400)).wants_nothing().is(0, Health::Suspect).after(ms(1_000)).wants_nothing();
        told.client_connects().wants_nothing().sends(Who::Client(6), PUT).wants([connect(0)]);
        told.connected(L3).wants([request(L3, "PUT /a").body("body")]);
        let sent = told.now();
        told.after(ms(10)).wants_nothing();
        if let Some(backend) = others {
            told.state(backend).shard(1).note_answer(Kind::Safe, sent + ms(5), told.now());
        }
        // Where its own backend has answered somebody, it goes on waiting.
        told.after(ms(191));
        if others == Some(1) {
            told.wants([abort(L3), request(L1, "PUT /a").body("body")]);
            told.sends(L1, OK).wants([answer(Who::Client(6), 200).body("hi")]);
        } else {
            told.wants_nothing().after(ms(500)).wants_nothing();
        }
        told.abandons().whatever();
    }
}
