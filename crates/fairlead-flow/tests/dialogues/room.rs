//! All places are taken: who goes, who stays, who is turned away.

use fairlead_model::plan::Network;

use crate::keep::{GET, OK, POST};
use crate::openings::sent;
use crate::script::{dialogue, Dialogue};
use crate::setup::{http, ms, tcp, Setup};
use crate::wants::*;

const THIRD: Who = Who::Client(2);

fn places(count: u32) -> Setup {
    http().listener(|listener| listener.limits.connections = count)
}

/// One client is kept after its request; so many places there are.
fn kept(setup: Setup) -> Dialogue {
    let mut told = sent(setup, GET);
    told.sends(L0, OK).wants([answer(CLIENT, 200).body("hi")]);
    told
}

#[test]
fn an_idle_client_makes_room_for_a_newcomer() {
    let mut told = kept(places(1));
    told.after(ms(1_000)).wants_nothing().client_connects().wants([close(CLIENT)]);
    told.counted("made_room", 1).counted("listener_full", 0);
    told.sends(OTHER, GET)
        .wants([request(L0, "GET /a")])
        .sends(L0, OK)
        .wants([answer(OTHER, 200).body("hi")]);
    told.finishes(OTHER).wants([close(OTHER)]).ends_with_kept(&[L0]);
}

#[test]
fn a_client_between_two_requests_stays() {
    let mut told = kept(places(1));
    told.after(ms(999)).wants_nothing();
    told.client_connects().wants([refusal(OTHER, 503, "listener_full"), finish(OTHER)]);
    told.counted("made_room", 0);
    told.client_sends(GET).wants([request(L0, "GET /a")]);
    told.sends(L0, OK).wants([answer(CLIENT, 200).body("hi")]);
}

#[test]
fn who_is_at_a_request_stays_however_long_it_takes() {
    for begun in [GET, "GET /a HT", "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nbod"] {
        let mut told = dialogue(places(1).pool(|pool| pool.timeouts.connect.0 = 60_000));
        told.client_connects().wants_nothing().client_sends(begun).whatever();
        told.after(ms(5_000)).whatever();
        told.client_connects().wants([refusal(OTHER, 503, "listener_full"), finish(OTHER)]);
        told.counted("made_room", 0);
    }
}

#[test]
fn who_has_yet_to_take_its_answer_stays() {
    let mut told = sent(places(1), GET);
    told.fills(CLIENT).sends(L0, OK).wants([answer(CLIENT, 200).body("hi")]);
    told.after(ms(5_000)).wants_nothing();
    told.client_connects().wants([refusal(OTHER, 503, "listener_full"), finish(OTHER)]);
}

#[test]
fn who_has_never_sent_anything_goes_too() {
    let mut told = dialogue(places(1));
    told.client_connects().wants_nothing().after(ms(1_000)).wants_nothing();
    told.client_connects().wants([close(CLIENT)]).finishes(OTHER).wants([close(OTHER)]).ends();
}

#[test]
fn the_longest_idle_goes_first() {
    let mut told = kept(places(3));
    for who in [OTHER, THIRD] {
        told.after(ms(500)).wants_nothing().client_connects().wants_nothing();
        told.sends(who, GET)
            .wants([request(L0, "GET /a")])
            .sends(L0, OK)
            .wants([answer(who, 200).body("hi")]);
    }
    // The first is at work again, so the second has been idle for longest.
    told.client_sends(GET)
        .wants([request(L0, "GET /a")])
        .sends(L0, OK)
        .wants([answer(CLIENT, 200).body("hi")]);
    told.after(ms(2_000)).wants_nothing().client_connects().wants([close(OTHER)]);
    told.client_connects().whatever().counted("made_room", 2);
    assert_eq!(told.open_clients(), 3);
}

#[test]
fn a_relay_never_makes_room() {
    let mut told = dialogue(tcp().listener(|listener| listener.limits.connections = 1));
    told.client_connects().wants([pause(CLIENT), connect(0)]);
    told.connected(L0).wants([resume(CLIENT)]).after(ms(50_000)).wants_nothing();
    told.client_connects().wants([abort(OTHER)]).counted("listener_full", 1);
}

#[test]
fn one_address_has_so_many_places_and_no_more() {
    let setup = http().listener(|listener| listener.limits.connections_per_client = Some(2));
    let mut told = dialogue(setup);
    told.connects(0, "192.0.2.1").wants_nothing().connects(0, "192.0.2.1").wants_nothing();
    told.connects(0, "192.0.2.1").wants([refusal(THIRD, 503, "client_full"), finish(THIRD)]);
    // Others are served, and one that goes leaves its place to the next of the same address.
    told.connects(0, "192.0.2.2").wants_nothing().client_finishes().wants([close(CLIENT)]);
    told.connects(0, "192.0.2.1").wants_nothing();
    told.counted("client_full", 1).counted("listener_full", 0);
    told.after(ms(1_000)).wants_nothing();
    // Idle ones of its own make room, those of others don't.
    told.connects(0, "192.0.2.1").wants([close(OTHER)]);
}

#[test]
fn a_network_of_ipv6_is_one_client_and_trusted_proxies_are_none() {
    let trusted = Network { address: [10, 0, 0, 0].into(), prefix: 8 };
    let mut told = dialogue(http().listener(|listener| {
        listener.limits.connections_per_client = Some(1);
        listener.trusted_proxies = vec![trusted];
    }));
    told.connects(0, "2001:db8:1:2::1").wants_nothing();
    told.connects(0, "2001:db8:1:2::2").wants([refusal(OTHER, 503, "client_full"), finish(OTHER)]);
    told.connects(0, "2001:db8:1:3::1").wants_nothing();
    told.connects(0, "10.0.0.1").wants_nothing().connects(0, "10.0.0.1").wants_nothing();
}

#[test]
fn places_of_an_address_are_given_back_by_relays_too() {
    let setup = tcp().listener(|listener| listener.limits.connections_per_client = Some(1));
    let mut told = dialogue(setup);
    for nth in 0..3 {
        let (who, link) = (Who::Client(2 * nth), Who::Link(nth));
        told.client_connects().wants([pause(who), connect(0)]);
        told.client_connects().wants([abort(Who::Client(2 * nth + 1))]);
        told.connected(link).wants([resume(who)]).resets(who).wants([abort(link)]);
    }
    told.counted("client_full", 3).ends();
}

#[test]
fn all_listeners_share_the_places_of_the_instance() {
    let setup = http().plan(|plan| {
        plan.limits.connections = 2;
        let mut second = plan.listeners[0].clone();
        second.name = "other".into();
        plan.listeners.push(second);
    });
    let mut told = dialogue(setup);
    told.connects(0, "192.0.2.1").wants_nothing().connects(1, "192.0.2.1").wants_nothing();
    told.connects(0, "192.0.2.1").wants([refusal(THIRD, 503, "balancer_full"), finish(THIRD)]);
    told.after(ms(1_000)).wants_nothing();
    // The other listener's idle client makes room as well as one of its own.
    told.connects(0, "192.0.2.1").whatever();
    told.counted("balancer_full", 1);
    assert_eq!(told.open_clients(), 3, "two are served, and one is being told");
}

#[test]
fn a_smaller_limit_holds_for_newcomers_only() {
    let mut told = kept(places(3));
    told.client_connects().wants_nothing();
    told.reloads(places(1)).wants_nothing();
    told.client_connects().wants([refusal(THIRD, 503, "listener_full"), finish(THIRD)]);
    told.finishes(OTHER).wants([close(OTHER)]);
    told.client_connects()
        .wants([refusal(Who::Client(3), 503, "listener_full"), finish(Who::Client(3))]);
    told.client_finishes().wants([close(CLIENT)]).client_connects().wants_nothing();
}

#[test]
fn it_is_told_when_it_is_full_and_when_there_is_room() {
    let mut told = dialogue(places(1));
    told.client_connects().wants_nothing();
    assert_eq!(told.full(), None);
    told.client_connects().whatever();
    assert_eq!(told.full(), Some((true, "the listener is at its connection limit")));
    told.client_finishes().whatever().client_connects().whatever();
    assert!(told.full().is_some_and(|(full, _)| full), "at the limit one goes and one comes");
    told.after(ms(1_001)).whatever().client_connects().whatever();
    assert_eq!(told.full(), Some((false, "there is room again")));
}

#[test]
fn the_last_request_of_a_connection_ends_it() {
    let mut told = dialogue(http().listener(|listener| listener.limits.requests = Some(2)));
    told.client_connects().wants_nothing().client_sends(GET).wants([connect(0)]);
    told.connected(L0).wants([request(L0, "GET /a")]);
    told.sends(L0, OK).wants([answer(CLIENT, 200).without("connection: close").body("hi")]);
    // What comes behind the last one is not read any more.
    told.client_sends([POST, GET].concat()).wants([request(L0, "POST /a").body("body")]);
    told.sends(L0, OK)
        .wants([answer(CLIENT, 200).with("connection: close\r\n").body("hi"), finish(CLIENT)]);
    told.client_finishes().wants([close(CLIENT)]).ends_with_kept(&[L0]);
}
