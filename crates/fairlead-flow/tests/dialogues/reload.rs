//! A new configuration in the middle of everything.

use fairlead_model::health::Health;
use fairlead_model::plan::{Bind, Millis};

use crate::keep::{GET, OK};
use crate::openings::sent;
use crate::script::{dialogue, Dialogue};
use crate::setup::{backend, http, ms, tcp, Setup};
use crate::wants::*;

fn answered() -> Dialogue {
    let mut told = sent(http(), GET);
    told.sends(L0, OK).wants([answer(CLIENT, 200).body("hi")]);
    told
}

#[test]
fn what_is_under_way_ends_under_the_old_plan() {
    let gone = http().pool(|pool| {
        pool.backends.remove(0);
    });
    dialogue(http())
        .client_connects()
        .wants_nothing()
        .client_sends(GET)
        .wants([connect(0)])
        .connected(L0)
        .whatever()
        .reloads(gone)
        .wants_nothing()
        // Its backend is gone from the plan, and answers all the same.
        .sends(L0, OK)
        .wants([answer(CLIENT, 200).body("hi"), close(L0)])
        // The next request is the new plan's.
        .client_sends(GET)
        .wants([connect(1)])
        .client_resets()
        .wants([abort(L1)])
        .ends();
}

#[test]
fn kept_connections_stay_where_their_backend_stays() {
    let more = http().backends(3).pool(|pool| pool.timeouts.response = Millis(1_000));
    answered()
        .reloads(more)
        .wants_nothing()
        .client_sends(GET)
        .wants([request(L0, "GET /a")])
        .sends(L0, OK)
        .wants([answer(CLIENT, 200).body("hi")])
        .client_finishes()
        .wants([close(CLIENT)])
        .ends_with_kept(&[L0]);
}

#[test]
fn kept_connections_to_where_a_backend_was_are_closed() {
    let moved = http().pool(|pool| pool.backends[0].endpoints = backend(9).endpoints);
    answered().reloads(moved).wants([close(L0)]).client_sends(GET).wants([connect(9)]);
    let gone = http().pool(|pool| {
        pool.backends.remove(0);
    });
    answered().reloads(gone).wants([close(L0)]).client_sends(GET).wants([connect(1)]);
}

#[test]
fn a_connection_that_comes_too_late_for_its_place_is_not_kept() {
    let moved = http().pool(|pool| pool.backends[0].endpoints = backend(9).endpoints);
    dialogue(http())
        .client_connects()
        .wants_nothing()
        .client_sends(GET)
        .wants([connect(0)])
        .connected(L0)
        .whatever()
        .reloads(moved)
        .wants_nothing()
        .sends(L0, OK)
        .wants([answer(CLIENT, 200).body("hi"), close(L0)])
        .client_finishes()
        .wants([close(CLIENT)])
        .ends();
}

const POST: &str = "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";

/// Its first backend is somewhere else now.
fn moved(setup: Setup) -> Setup {
    setup.pool(|pool| pool.backends[0].endpoints = backend(9).endpoints)
}

#[test]
fn what_goes_well_at_the_old_host_says_nothing_about_the_new_one() {
    let mut told = sent(http(), GET);
    told.reloads(moved(http())).wants_nothing();
    told.client_connects().wants_nothing().sends(OTHER, GET).wants([connect(9)]);
    told.refused(L1).wants([connect(1)]).is(0, Health::Suspect);
    told.sends(L0, OK).whatever().is(0, Health::Suspect);
}

#[test]
fn what_goes_wrong_at_the_old_host_says_nothing_about_the_new_one() {
    let both = |one, other| {
        http().pool(|pool| {
            pool.backends[0].endpoints = backend(one).endpoints;
            pool.backends[0].endpoints.extend(backend(other).endpoints);
        })
    };
    for (before, after) in [(http(), moved(http())), (both(0, 9), both(9, 8))] {
        let mut told = sent(before, POST);
        told.reloads(after).wants_nothing();
        told.resets(L0).whatever().nobody_is_blamed().failures(0, 0);
    }
}

#[test]
fn a_search_of_before_counts_where_it_has_come_to_the_new_host() {
    let twice = || http().backends(1).pool(|pool| pool.retry.same_backend = 2);
    let mut told = dialogue(twice());
    told.client_connects().wants_nothing().client_sends(GET).wants([connect(0)]);
    told.reloads(moved(twice())).wants_nothing();
    told.refused(L0).wants_nothing().nobody_is_blamed();
    told.after(ms(10)).wants([connect(9)]).refused(L1).whatever().is(0, Health::Suspect);
}

#[test]
fn health_and_what_is_in_flight_survive() {
    let mut told = dialogue(http());
    told.client_connects().wants_nothing().client_sends(GET).wants([connect(0)]);
    told.refused(L0).wants([connect(1)]).connected(L1).whatever();
    told.is(0, Health::Suspect).active(1, 1).reloads(http()).wants_nothing();
    told.is(0, Health::Suspect).active(1, 1);
    told.sends(L1, OK).wants([answer(CLIENT, 200).body("hi")]).active(1, 0);
    told.client_finishes().wants([close(CLIENT)]).ends_with_kept(&[L1]);
}

#[test]
fn a_relay_goes_on_whatever_is_reloaded() {
    let gone = tcp().pool(|pool| {
        pool.backends.remove(0);
    });
    dialogue(tcp())
        .client_connects()
        .whatever()
        .connected(L0)
        .whatever()
        .reloads(gone)
        .wants_nothing()
        .client_sends("hello")
        .wants([write(L0, "hello")])
        .client_finishes()
        .wants([finish(L0)])
        .finishes(L0)
        .wants([close(CLIENT), close(L0)])
        .ends();
}

#[test]
fn clients_of_a_listener_that_is_gone_may_finish() {
    let mut told = answered();
    told.client_connects().wants_nothing().sends(OTHER, GET).wants([request(L0, "GET /a")]);
    let gone = http().plan(|plan| plan.listeners.clear());
    told.reloads(gone).whatever();
    told.sends(L0, OK).wants([answer(OTHER, 200).body("hi")]);
    told.after(ms(1_100)).wants([close(OTHER), close(CLIENT)]);
    // A new one under a new name takes its place without mixing them up.
    let other = http().listener(|listener| {
        listener.name = "other".into();
        listener.bind = vec![Bind::Any(8081)];
    });
    told.reloads(other).wants_nothing().client_connects().wants_nothing();
    told.sends(Who::Client(2), GET).wants([request(L0, "GET /a")]);
    told.resets(Who::Client(2)).wants([abort(L0)]).ends();
}

#[test]
fn probes_follow_the_configuration() {
    let mut told = dialogue(http().backends(1).checked());
    told.after(ms(1)).wants([connect(0)]);
    // One that is under way for a backend that stays goes on.
    told.reloads(http().backends(1).checked()).wants_nothing();
    told.connected(L0).wants([close(L0)]).is(0, Health::Healthy);
    // A changed question is asked at once; without a check nothing is asked any more.
    let slower = http().backends(1).checked().pool(|pool| pool.check.timeout = Millis(2_000));
    told.reloads(slower).wants_nothing().after(ms(2)).wants([connect(0)]);
    told.reloads(http().backends(1)).wants([abort(L1)]).after(ms(10_000)).wants_nothing().ends();
}
