//! A reset before anything was said: another backend is asked, as if the first had refused.

use fairlead_model::moment::Moment;
use fairlead_model::plan::{Millis, Policy, ProxyVersion};

use crate::script::dialogue;
use crate::setup::{backend, ms, tcp, Setup};
use crate::wants::*;

#[test]
fn a_reset_before_anything_was_said_is_not_the_clients_to_notice() {
    dialogue(tcp())
        .client_connects()
        .whatever()
        .connected(L0)
        .wants([resume(CLIENT)])
        .resets(L0)
        .wants([pause(CLIENT), connect(1)])
        .active(0, 0)
        .connected(L1)
        .wants([resume(CLIENT)])
        .active(1, 1)
        .client_sends(b"question")
        .wants([write(L1, b"question")])
        .sends(L1, b"answer")
        .wants([write(CLIENT, b"answer")])
        .client_finishes()
        .wants([finish(L1)])
        .finishes(L1)
        .wants([close(CLIENT), close(L1)])
        .ends();
}

#[test]
fn a_reset_of_everybody_is_passed_on() {
    dialogue(tcp())
        .client_connects()
        .whatever()
        .connected(L0)
        .whatever()
        .resets(L0)
        .whatever()
        .connected(L1)
        .whatever()
        .resets(L1)
        .whatever()
        .after(ms(50))
        .whatever()
        .connected(L2)
        .whatever()
        .resets(L2)
        .wants([pause(CLIENT), abort(CLIENT)])
        .active(0, 0)
        .active(1, 0)
        .ends();
}

#[test]
fn whoever_has_reset_it_or_refused_is_not_asked_before_the_others() {
    for (policy, refused) in [(Policy::Hash, false), (Policy::Hash, true)] {
        let mut told = dialogue(tcp().backends(3).pool(|pool| pool.policy = policy));
        told.client_connects().whatever();
        let mut asked = Vec::new();
        for link in [L0, L1, L2] {
            asked.extend((0..3).filter(|nth| !told.connecting(*nth).is_empty()));
            match link {
                L0 if refused => told.refused(link).whatever(),
                L2 => told.connected(link).wants([resume(CLIENT)]),
                _ => told.connected(link).whatever().resets(link).whatever(),
            };
        }
        told.client_resets().wants([abort(L2)]).ends();
        asked.sort_unstable();
        assert_eq!(asked, [0, 1, 2], "{refused}");
    }
}

#[test]
fn the_time_in_which_nobody_said_anything_is_not_the_next_backends() {
    let patient = tcp().listener(|listener| listener.timeouts.idle = Millis(7_200_000));
    let mut told = dialogue(patient);
    told.client_connects().whatever().connected(L0).whatever().after(ms(3_600_000)).whatever();
    told.resets(L0).wants([pause(CLIENT), connect(1)]);
    told.connected(L1).wants([resume(CLIENT)]);
    let took = told.state(1).stats(Moment::ZERO).latency_ms.p50.expect("a connect");
    assert!(took < 1_000.0, "{took} ms");
    told.client_resets().wants([abort(L1)]).ends();
}

#[test]
fn after_a_reload_another_is_sought_among_those_that_are_configured_now() {
    let idle = |setup: Setup| {
        let mut told = dialogue(tcp());
        told.client_connects().whatever().connected(L0).whatever().reloads(setup).wants_nothing();
        told
    };
    let others = tcp().pool(|pool| pool.backends = vec![backend(2), backend(3), backend(0)]);
    let mut told = idle(others);
    told.resets(L0).wants([pause(CLIENT), connect(2)]).connected(L1).wants([resume(CLIENT)]);
    told.resets(L1).wants([pause(CLIENT), connect(3)]).refused(L2).wants([abort(CLIENT)]).ends();
    let mut told = idle(tcp().pool(|pool| pool.name = "another".into()));
    told.resets(L0).wants([abort(CLIENT)]).ends();
    let mut told = idle(tcp().plan(|plan| plan.listeners.clear()));
    told.resets(L0).wants([abort(CLIENT)]).ends();
}

#[test]
fn a_reset_is_passed_on_where_the_backend_was_told_who_the_client_is() {
    let introduced = tcp().pool(|pool| pool.proxy_protocol = Some(ProxyVersion::V1));
    let mut told = dialogue(introduced);
    told.client_connects().whatever().connected(L0).whatever();
    told.resets(L0).wants([abort(CLIENT)]).ends();
}
