//! Backends that take connections and say nothing: who is found out, by what, and the way back.

use fairlead_model::health::Health;
use fairlead_model::plan::Policy;

use crate::script::{dialogue, Dialogue};
use crate::setup::{ms, tcp};
use crate::wants::*;

/// Clients come in turn to two backends; the first ends each connection as `ends` has it, the
/// second answers. So many times.
fn rounds(told: &mut Dialogue, count: usize, ends: impl Fn(&mut Dialogue, Who)) {
    for round in 0..count {
        let (one, two) = (2 * round, 2 * round + 1);
        told.client_connects().wants([pause(Who::Client(one)), connect(0)]);
        told.connected(Who::Link(one)).whatever();
        told.sends(Who::Client(one), "who").whatever();
        ends(told, Who::Link(one));
        told.client_connects().wants([pause(Who::Client(two)), connect(1)]);
        told.connected(Who::Link(two)).whatever();
        told.sends(Who::Client(two), "who").whatever();
        told.sends(Who::Link(two), "two").whatever();
    }
}

fn in_turn() -> Dialogue {
    dialogue(tcp().pool(|pool| pool.policy = Policy::RoundRobin))
}

#[test]
fn who_closes_without_a_word_while_others_answer_is_found_out() {
    for resets in [false, true] {
        let mut told = in_turn();
        rounds(&mut told, 3, |told, link| {
            if resets {
                told.resets(link).whatever();
            } else {
                told.finishes(link).whatever();
            }
        });
        told.is(0, Health::Suspect);
        let why = "traffic: closed without an answer (while others answered), 1 in a row";
        assert_eq!(told.why(0), why);
        told.client_connects().wants([pause(Who::Client(6)), connect(1)]);
    }
}

#[test]
fn who_was_silent_and_speaks_is_used_again() {
    let mut told = in_turn();
    rounds(&mut told, 3, |_, _| {});
    told.after(ms(300)).whatever().is(0, Health::Suspect);
    told.sends(L0, "one, at last").whatever().is(0, Health::Healthy);
}

#[test]
fn an_end_after_an_answer_is_an_end() {
    let mut told = in_turn();
    rounds(&mut told, 4, |told, link| {
        told.sends(link, "one").whatever().finishes(link).whatever();
    });
    told.nobody_is_blamed();
}

#[test]
fn an_end_without_a_word_is_right_where_nobody_says_one() {
    let mut told = in_turn();
    for nth in 0..6 {
        told.client_connects().wants([pause(Who::Client(nth)), connect(nth % 2)]);
        told.connected(Who::Link(nth)).whatever();
        told.sends(Who::Client(nth), "a line for the log").whatever();
        told.finishes(Who::Link(nth)).whatever();
    }
    told.nobody_is_blamed();
}

/// A client asks, over `link`, the backend that it was expected to be given.
fn asks(told: &mut Dialogue, client: usize, backend: usize) -> Who {
    let (client, link) = (Who::Client(client), Who::Link(client));
    told.client_connects().wants([pause(client), connect(backend)]);
    told.connected(link).whatever().sends(client, "who").whatever();
    link
}

#[test]
fn a_connect_alone_does_not_end_the_trial_of_one_that_was_silent() {
    let mut told = in_turn();
    rounds(&mut told, 3, |_, _| {});
    told.after(ms(1_300)).whatever().is(0, Health::Suspect);
    asks(&mut told, 6, 0);
    // The process is frozen, its kernel is not: one client finds that out, not as many as come.
    told.is(0, Health::Suspect);
    for client in 7..10 {
        let link = asks(&mut told, client, 1);
        told.sends(link, "two").whatever();
    }
    told.after(ms(210)).whatever().is(0, Health::Down);
    // Three times in a row; and the next trial is later.
    for client in 10..12 {
        let link = asks(&mut told, client, 1);
        told.sends(link, "two").whatever().after(ms(900)).whatever();
    }
    told.after(ms(300)).whatever();
    let link = asks(&mut told, 12, 0);
    told.sends(link, "one, at last").whatever().is(0, Health::Healthy);
}

#[test]
fn a_backend_that_speaks_first_ends_its_trial_with_that() {
    let mut told = in_turn();
    rounds(&mut told, 3, |_, _| {});
    told.after(ms(1_300)).whatever().is(0, Health::Suspect);
    told.client_connects().wants([pause(Who::Client(6)), connect(0)]);
    told.connected(Who::Link(6)).whatever().is(0, Health::Suspect);
    told.sends(Who::Link(6), "welcome").whatever().is(0, Health::Healthy);
}

#[test]
fn a_connect_ends_the_trial_of_one_that_refused() {
    let mut told = dialogue(tcp().pool(|pool| pool.check.fall = 1));
    told.client_connects().whatever().refused(L0).wants([connect(1)]).is(0, Health::Down);
    told.connected(L1).whatever().after(ms(1_010)).whatever();
    told.client_connects().wants([pause(Who::Client(1)), connect(0)]).connected(L2).whatever();
    told.is(0, Health::Healthy);
}

#[test]
fn a_silence_is_evidence_as_soon_as_others_have_answered() {
    let mut told = in_turn();
    rounds(&mut told, 3, |_, _| {});
    told.after(ms(1_300)).whatever().is(0, Health::Suspect);
    asks(&mut told, 6, 0);
    // Nobody else comes in time to compare with.
    told.after(ms(250)).whatever().is(0, Health::Suspect);
    let link = asks(&mut told, 7, 1);
    told.sends(link, "two").whatever();
    told.after(ms(200)).whatever().is(0, Health::Down);
}

/// A pool whose first backend is alone in its group, known to answer.
fn alone() -> Dialogue {
    let mut told = dialogue(tcp().hedged().pool(|pool| pool.backends[1].group = 1));
    let link = asks(&mut told, 0, 0);
    told.sends(link, "one").whatever();
    told
}

#[test]
fn who_falls_silent_alone_in_its_group_is_compared_with_a_backup() {
    let mut told = alone();
    for client in 1..4 {
        asks(&mut told, client, 0);
        told.after(ms(50)).whatever();
    }
    told.nobody_is_blamed().after(ms(250)).whatever().is(0, Health::Suspect).failures(0, 0);
    let why = told.why(0).clone();
    assert!(
        why.contains("no answer to the client's bytes (for ") && why.contains("in a row)"),
        "{why}"
    );
    let link = asks(&mut told, 4, 1);
    told.sends(link, "two").whatever().after(ms(100)).whatever();
    told.failures(0, 3);
}

#[test]
fn a_pause_of_who_is_alone_in_its_group_is_a_pause() {
    let mut told = alone();
    for client in 1..4 {
        asks(&mut told, client, 0);
    }
    told.after(ms(190)).whatever().nobody_is_blamed();
    for link in 1..4 {
        told.sends(Who::Link(link), "one").whatever();
    }
    asks(&mut told, 4, 0);
    told.after(ms(900)).whatever().nobody_is_blamed();
}

#[test]
fn who_closes_without_a_word_alone_in_its_group_is_compared_with_a_backup() {
    let mut told = alone();
    for client in 1..4 {
        told.nobody_is_blamed();
        let link = asks(&mut told, client, 0);
        told.finishes(link).whatever();
    }
    told.is(0, Health::Suspect).failures(0, 0);
    let link = asks(&mut told, 4, 1);
    told.sends(link, "two").whatever();
}

#[test]
fn who_never_said_anything_may_close_without_a_word_alone_in_its_group() {
    let mut told = dialogue(tcp().hedged().pool(|pool| pool.backends[1].group = 1));
    for client in 0..6 {
        let link = asks(&mut told, client, 0);
        told.finishes(link).whatever();
    }
    told.nobody_is_blamed();
}

#[test]
fn without_hedges_nobody_is_sent_to_a_backup_to_compare() {
    let mut told = dialogue(tcp().pool(|pool| pool.backends[1].group = 1));
    let link = asks(&mut told, 0, 0);
    told.sends(link, "one").whatever();
    for client in 1..6 {
        asks(&mut told, client, 0);
    }
    told.after(ms(3_000)).whatever().nobody_is_blamed();
}
