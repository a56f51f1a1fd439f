//! Descriptors are short: who was let in gets a backend's connection, and others go for it.

use fairlead_flow::driver::IoFailure;

use crate::keep::{GET, OK, POST};
use crate::openings::asked;
use crate::script::{dialogue, Dialogue};
use crate::setup::{http, ms, tcp};
use crate::wants::*;

/// A client has the only place, and so many others were turned away and have yet to read so.
fn full(turned_away: usize) -> Dialogue {
    let mut told = dialogue(http().listener(|listener| listener.limits.connections = 1));
    told.client_connects().wants_nothing();
    for nth in 1..=turned_away {
        let who = Who::Client(nth);
        told.client_connects().wants([refusal(who, 503, "listener_full"), finish(who)]);
    }
    told
}

/// As many connects fail for want of a descriptor.
fn short(told: &mut Dialogue, connects: usize) -> &mut Dialogue {
    for _ in 0..connects {
        told.next_connect_fails(IoFailure::NoDescriptor);
    }
    told
}

#[test]
fn who_was_turned_away_gives_a_descriptor_to_who_was_let_in() {
    let mut told = full(2);
    short(&mut told, 1).client_sends(GET);
    told.wants([connect(0), close(OTHER), connect(0)]);
    told.connected(L0).wants([request(L0, "GET /a")]);
    told.sends(L0, OK).wants([answer(CLIENT, 200).body("hi")]);
    // The other one that was turned away is told still.
    told.finishes(Who::Client(2)).wants([close(Who::Client(2))]);
    told.client_finishes().wants([close(CLIENT)]).nobody_is_blamed().ends_with_kept(&[L0]);
}

#[test]
fn all_who_were_turned_away_go_before_anybody_is_without_a_backend() {
    let mut told = full(3);
    short(&mut told, 3).client_sends(GET);
    let gone = |nth| close(Who::Client(nth));
    told.wants([connect(0), gone(1), connect(0), gone(2), connect(0), gone(3), connect(0)]);
    told.after(ms(3)).wants_nothing();
    assert_eq!(told.open_clients(), 1);
}

#[test]
fn who_leaves_by_itself_has_given_its_descriptor_already() {
    let mut told = full(2);
    told.finishes(OTHER).wants([close(OTHER)]);
    short(&mut told, 1).client_sends(GET);
    told.wants([connect(0), close(Who::Client(2)), connect(0)]);
}

#[test]
fn whoever_still_takes_the_refusal_is_reset() {
    let mut told = dialogue(http().listener(|listener| listener.limits.connections = 1));
    told.client_connects().wants_nothing().fills(OTHER).client_connects().whatever();
    short(&mut told, 1).client_sends(GET).wants([connect(0), abort(OTHER), connect(0)]);
}

#[test]
fn while_descriptors_are_short_nobody_who_is_turned_away_is_waited_for() {
    let mut told = full(0);
    short(&mut told, 2).client_sends(GET).wants([connect(0), connect(1)]);
    let refused = [refusal(OTHER, 503, "listener_full"), finish(OTHER), close(OTHER)];
    told.client_connects().wants(refused);
    told.after(ms(5)).wants([connect(0)]).connected(L0).whatever();
    told.after(ms(2_000)).whatever();
    let next = Who::Client(2);
    told.client_connects().wants([refusal(next, 503, "listener_full"), finish(next)]);
}

#[test]
fn without_a_descriptor_a_request_looks_again_until_there_is_one() {
    let mut told = dialogue(http());
    told.client_connects().wants_nothing();
    short(&mut told, 4).client_sends(GET).wants([connect(0), connect(1)]).active(0, 0);
    assert!(told.asks_others_to_give_way());
    told.after(ms(5)).wants([connect(0), connect(1)]).after(ms(9)).wants_nothing();
    told.after(ms(1)).wants([connect(0)]).connected(L0).wants([request(L0, "GET /a")]);
    told.sends(L0, OK).wants([answer(CLIENT, 200).body("hi")]).counted("out_of_resources", 0);
    told.client_finishes().wants([close(CLIENT)]).nobody_is_blamed().ends_with_kept(&[L0]);
}

#[test]
fn a_tcp_client_waits_for_a_descriptor_too() {
    let mut told = dialogue(tcp());
    short(&mut told, 2).client_connects().wants([pause(CLIENT), connect(0), connect(1)]);
    told.after(ms(5)).wants([connect(0)]).connected(L0).wants([resume(CLIENT)]);
    told.nobody_is_blamed().client_resets().wants([abort(L0)]).ends();
}

#[test]
fn who_refused_the_connect_is_not_asked_again_for_want_of_a_descriptor() {
    let mut told = dialogue(http());
    told.client_connects().wants_nothing();
    short(&mut told, 1).next_connect_fails(IoFailure::Refused);
    told.client_sends(GET).wants([connect(0), connect(1)]);
    told.after(ms(5)).wants([connect(1)]).connected(L0).wants([request(L0, "GET /a")]);
}

#[test]
fn an_idle_client_goes_when_nobody_else_can() {
    let mut told = dialogue(http());
    told.client_connects().wants_nothing().after(ms(1_500)).wants_nothing();
    told.client_connects().wants_nothing();
    short(&mut told, 2).sends(OTHER, GET).wants([connect(0), connect(1), close(CLIENT)]);
    assert!(!told.asks_others_to_give_way());
    told.after(ms(5)).wants([connect(0)]).counted("made_room", 1);
}

#[test]
fn running_out_of_descriptors_for_long_is_no_backends_fault() {
    let mut told = dialogue(http());
    told.client_connects().wants_nothing();
    told.all_connects_fail(IoFailure::NoDescriptor)
        .client_sends(GET)
        .wants([connect(0), connect(1)]);
    told.after(ms(999)).whatever().counted("out_of_resources", 0);
    told.after(ms(1)).wants([connect(0), connect(1), refusal(CLIENT, 503, "out_of_resources")]);
    told.counted("out_of_resources", 1).failures(0, 0).failures(1, 0).nobody_is_blamed();
    told.client_finishes().wants([close(CLIENT)]).ends();
}

#[test]
fn a_worker_gives_way_to_another_with_all_who_are_only_told() {
    let mut told = full(3);
    let gone = |nth| close(Who::Client(nth));
    told.gives_way().wants([gone(1), gone(2), gone(3)]);
    told.gives_way().wants_nothing();
    // Nobody has to go for it who has nothing to do with it.
    told.client_sends(GET).wants([connect(0)]);
}

#[test]
fn a_worker_gives_way_to_another_with_one_that_is_kept() {
    let mut told = asked(http(), GET);
    told.connected(L0).whatever().sends(L0, OK).whatever();
    told.gives_way().wants([abort(L0)]).gives_way().wants_nothing();
}

/// A source address that isn't ours, or has no port left: no descriptor helps against that.
#[test]
fn for_want_of_a_port_nobody_waits_and_nobody_has_to_go() {
    let mut told = asked(http(), GET);
    told.connected(L0).whatever().sends(L0, OK).whatever().after(ms(600)).wants_nothing();
    told.client_connects().wants_nothing().after(ms(1_500)).wants_nothing();
    told.all_connects_fail(IoFailure::Exhausted).client_sends(POST);
    told.wants([connect(0), connect(1), refusal(CLIENT, 503, "out_of_resources")]);
    assert!(!told.asks_others_to_give_way());
    told.after(ms(2_000)).wants_nothing().counted("made_room", 0).nobody_is_blamed();
}

#[test]
fn who_there_was_no_descriptor_for_is_asked_in_its_turn_once_somebody_was_reached() {
    let mut told = dialogue(http());
    for nth in 0..2 {
        told.client_connects().wants_nothing();
        short(&mut told, 1).sends(Who::Client(nth), GET).wants([connect(0), connect(1)]);
        told.connected(Who::Link(nth)).whatever();
    }
    for nth in 0..2 {
        told.sends(Who::Link(nth), OK).wants([answer(Who::Client(nth), 200).body("hi")]);
    }
    short(&mut told, 2).client_sends(GET);
    told.wants([connect(0), abort(L1), connect(0), request(L0, "GET /a")]);
    told.after(ms(4_999)).wants_nothing().after(ms(1)).wants([abort(L0), connect(0)]);
    assert!(!told.asks_others_to_give_way());
}

#[test]
fn a_second_search_that_found_no_descriptor_leaves_no_wait_behind() {
    let mut told = asked(http().hedged(), GET);
    told.connected(L0).wants([request(L0, "GET /a")]);
    short(&mut told, 1).after(ms(252)).wants([connect(1)]);
    told.resets(L0).wants([connect(1)]).refused(L1).whatever();
    assert!(!told.asks_others_to_give_way());
}

/// What the pool says about tries of the same backend is meant for backends that failed.
#[test]
fn a_backend_that_there_was_no_descriptor_for_is_not_paused_for() {
    let mut told = dialogue(http().pool(|pool| pool.retry.same_backend = 2));
    told.client_connects().wants_nothing();
    short(&mut told, 2).client_sends(GET).wants([connect(0), connect(1)]);
    told.after(ms(5)).wants([connect(0)]).connected(L0).wants([request(L0, "GET /a")]);
}

#[test]
fn looks_in_vain_are_no_attempts() {
    let mut told = dialogue(http());
    told.client_connects().wants_nothing();
    short(&mut told, 6).client_sends(GET).whatever().after(ms(15)).whatever();
    told.after(ms(20)).whatever().connected(L0).wants([request(L0, "GET /a")]);
    told.sends(L0, OK).whatever().attempts(0, 1, 0).attempts(1, 0, 0);
}
