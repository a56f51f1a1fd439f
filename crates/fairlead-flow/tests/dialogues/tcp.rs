//! Tcp relays: half-close, resets, races, back-pressure, idleness.

use fairlead_flow::IoFailure;
use fairlead_model::health::Health;
use fairlead_model::plan::{AccessLogPlan, LogFormat, Millis};

use crate::script::dialogue;
use crate::setup::{ms, tcp};
use crate::wants::*;

#[test]
fn bytes_go_both_ways_as_they_are() {
    dialogue(tcp())
        .client_connects()
        .wants([pause(CLIENT), connect(0)])
        .connected(L0)
        .wants([resume(CLIENT)])
        .client_sends(b"hello")
        .wants([write(L0, b"hello")])
        .sends(L0, b"welcome")
        .wants([write(CLIENT, b"welcome")])
        .active(0, 1)
        .client_finishes()
        .wants([finish(L0)])
        .finishes(L0)
        .wants([close(CLIENT), close(L0)])
        .ends();
}

#[test]
fn a_client_that_has_finished_still_gets_its_answer() {
    dialogue(tcp())
        .client_connects()
        .whatever()
        .connected(L0)
        .whatever()
        .client_sends(b"question")
        .wants([write(L0, b"question")])
        .client_finishes()
        .wants([finish(L0)])
        .sends(L0, b"answer")
        .wants([write(CLIENT, b"answer")])
        .sends(L0, b", and more")
        .wants([write(CLIENT, b", and more")])
        .finishes(L0)
        .wants([close(CLIENT), close(L0)])
        .ends();
}

#[test]
fn a_backend_that_has_finished_still_gets_the_rest() {
    dialogue(tcp())
        .client_connects()
        .whatever()
        .connected(L0)
        .whatever()
        .finishes(L0)
        .wants([finish(CLIENT)])
        .client_sends(b"the rest")
        .wants([write(L0, b"the rest")])
        .client_finishes()
        .wants([close(CLIENT), close(L0)])
        .ends();
}

#[test]
fn a_reset_is_passed_on_as_a_reset() {
    dialogue(tcp())
        .client_connects()
        .whatever()
        .connected(L0)
        .whatever()
        .client_resets()
        .wants([abort(L0)])
        .nobody_is_blamed()
        .ends();
    dialogue(tcp())
        .client_connects()
        .whatever()
        .connected(L0)
        .whatever()
        .client_sends(b"question")
        .whatever()
        .resets(L0)
        .wants([abort(CLIENT)])
        .ends();
}

#[test]
fn an_end_without_a_word_is_an_answer() {
    dialogue(tcp())
        .client_connects()
        .whatever()
        .connected(L0)
        .whatever()
        .finishes(L0)
        .wants([finish(CLIENT)])
        .client_finishes()
        .wants([close(CLIENT), close(L0)])
        .ends();
}

#[test]
fn a_reset_is_noticed_while_the_client_is_not_read() {
    dialogue(tcp())
        .client_connects()
        .whatever()
        .connected(L0)
        .whatever()
        .fills(L0)
        .client_sends(b"much")
        .wants([write(L0, b"much"), pause(CLIENT)])
        .hangs_up(CLIENT)
        .wants([abort(CLIENT), abort(L0)])
        .nobody_is_blamed()
        .ends();
}

#[test]
fn a_refused_connect_moves_on_at_once() {
    dialogue(tcp())
        .client_connects()
        .wants([pause(CLIENT), connect(0)])
        .refused(L0)
        .wants([connect(1)])
        .is(0, Health::Suspect)
        .connected(L1)
        .wants([resume(CLIENT)])
        .active(0, 0)
        .active(1, 1)
        .client_resets()
        .wants([abort(L1)])
        .ends();
}

#[test]
fn a_black_hole_gets_company_after_the_learned_time_and_loses() {
    let mut told = dialogue(tcp());
    told.client_connects()
        .wants([pause(CLIENT), connect(0)])
        .after(ms(49))
        .wants_nothing()
        .after(ms(2))
        .wants([connect(1)])
        .active(0, 1)
        .active(1, 1)
        .connected(L1)
        .wants([resume(CLIENT)])
        .active(0, 0)
        .is(0, Health::Suspect);
    assert_eq!(
        told.why(0),
        "traffic: no answer to the connect (for 51 ms from 10.0.0.0:80), not counted as a failure"
    );
    // The late one stays as a witness until its own time is over, and is then a failure.
    told.failures(0, 0).after(ms(1_000)).wants([abort(L0)]).failures(0, 1);
    told.client_resets().wants([abort(L1)]).ends();
}

#[test]
fn whoever_connects_first_wins() {
    dialogue(tcp())
        .client_connects()
        .whatever()
        .after(ms(51))
        .wants([connect(1)])
        .connected(L0)
        .wants([resume(CLIENT)])
        .active(0, 1)
        .active(1, 0)
        // Nobody needs the second one any more; tcp connections are not kept for others.
        .connected(L1)
        .wants([close(L1)])
        .client_resets()
        .wants([abort(L0)])
        .ends();
}

#[test]
fn with_everybody_down_the_client_is_reset() {
    dialogue(tcp())
        .client_connects()
        .wants([pause(CLIENT), connect(0)])
        .refused(L0)
        .wants([connect(1)])
        .refused(L1)
        .wants([abort(CLIENT)])
        .counted("connect_refused", 1)
        .ends();
}

#[test]
fn all_that_is_known_at_once_is_tried_at_once() {
    dialogue(tcp())
        .next_connect_fails(IoFailure::Unreachable)
        .client_connects()
        .wants([pause(CLIENT), connect(0), connect(1)])
        .connected(L0)
        .wants([resume(CLIENT)])
        .active(0, 0)
        .active(1, 1)
        .client_resets()
        .wants([abort(L0)])
        .ends();
}

#[test]
fn a_client_that_leaves_ends_its_connect_and_frees_its_place() {
    let setup = tcp().backends(1).pool(|pool| pool.backends[0].max_connections = Some(1));
    dialogue(setup)
        .client_connects()
        .wants([pause(CLIENT), connect(0)])
        .active(0, 1)
        .client_connects()
        .wants([pause(OTHER), abort(OTHER)])
        .counted("saturated", 1)
        .hangs_up(CLIENT)
        .wants([abort(L0), abort(CLIENT)])
        .active(0, 0)
        .client_connects()
        .wants([pause(Who::Client(2)), connect(0)])
        .hangs_up(Who::Client(2))
        .wants([abort(L1), abort(Who::Client(2))])
        .ends();
}

#[test]
fn a_search_that_a_stop_ends_is_logged_with_its_attempts() {
    let log = AccessLogPlan { to: "-".into(), format: LogFormat::Json };
    let mut told = dialogue(tcp().plan(|plan| plan.access_log = Some(log)));
    told.client_connects().wants([pause(CLIENT), connect(0)]).refused(L0).wants([connect(1)]);
    told.stops().whatever().abandons().wants([abort(L1), abort(CLIENT)]);
    let line = told.logged();
    assert!(line.contains("\"reason\":\"shutting_down\""), "{line}");
    assert!(line.contains("\"backend\":\"10.0.0.1:80\",\"attempts\":2"), "{line}");
    told.ends();
}

#[test]
fn a_connect_that_was_late_when_its_client_left_is_doubted() {
    let mut told = dialogue(tcp().backends(1));
    told.client_connects()
        .whatever()
        .after(ms(300))
        .wants_nothing()
        .hangs_up(CLIENT)
        .wants([abort(L0), abort(CLIENT)])
        .is(0, Health::Suspect);
    assert!(told.why(0).contains("not counted as a failure"), "{}", told.why(0));
    told.ends();
}

#[test]
fn who_is_slower_stops_the_other() {
    dialogue(tcp())
        .client_connects()
        .whatever()
        .connected(L0)
        .whatever()
        .fills(CLIENT)
        .sends(L0, b"first")
        .wants([write(CLIENT, b"first"), pause(L0)])
        .client_sends(b"the other way goes on")
        .wants([write(L0, b"the other way goes on")])
        .drains(CLIENT)
        .wants([resume(L0)])
        .sends(L0, b"second")
        .wants([write(CLIENT, b"second")])
        .client_resets()
        .wants([abort(L0)])
        .ends();
}

#[test]
fn silence_ends_a_relay_and_does_not_look_like_an_end_in_order() {
    let setup = tcp().listener(|listener| listener.timeouts.idle = Millis(1_000));
    dialogue(setup)
        .client_connects()
        .whatever()
        .connected(L0)
        .whatever()
        .after(ms(900))
        .wants_nothing()
        .client_sends(b"half a")
        .wants([write(L0, b"half a")])
        .after(ms(900))
        .wants_nothing()
        .after(ms(200))
        .wants([close(CLIENT), abort(L0)])
        .nobody_is_blamed()
        .ends();
}

#[test]
fn a_dead_host_is_blamed_when_the_kernel_gives_it_up() {
    let mut told = dialogue(tcp());
    told.client_connects()
        .whatever()
        .connected(L0)
        .whatever()
        .fails(L0, IoFailure::TimedOut)
        .wants([abort(CLIENT)])
        .is(0, Health::Suspect);
    assert_eq!(told.why(0), "traffic: connection timed out, 1 in a row");
    told.ends();
}

#[test]
fn a_panic_costs_its_relay_alone() {
    dialogue(tcp())
        .client_connects()
        .whatever()
        .connected(L0)
        .whatever()
        .client_connects()
        .whatever()
        .connected(L1)
        .whatever()
        .panics(L0)
        .wants([abort(CLIENT), abort(L0)])
        .sends(OTHER, b"still here")
        .wants([write(L1, b"still here")])
        .resets(OTHER)
        .wants([abort(L1)])
        .ends();
}

#[test]
fn bytes_and_attempts_are_counted_as_they_happen() {
    let counted = |dialogue: &crate::script::Dialogue, nth: usize| {
        let stats = dialogue.state(nth).stats(fairlead_model::moment::Moment::ZERO);
        (stats.attempts, stats.bytes_in, stats.bytes_out)
    };
    let mut dialogue = dialogue(tcp());
    dialogue.client_connects().whatever();
    assert_eq!(counted(&dialogue, 0), (1, 0, 0), "before anybody knows what comes of it");
    dialogue.refused(L0).whatever().connected(L1).whatever();
    dialogue.client_sends(b"hello").whatever();
    assert_eq!(counted(&dialogue, 1), (1, 0, 5));
    dialogue.sends(L1, b"welcome").whatever();
    assert_eq!(counted(&dialogue, 1), (1, 7, 5));
    dialogue.client_finishes().whatever().finishes(L1).whatever().ends();
    assert_eq!((counted(&dialogue, 0), counted(&dialogue, 1)), ((1, 0, 0), (1, 7, 5)));
}
