//! How a backend proves itself: one request at a time, one that can bear it, and only where it
//! is needed.

use std::time::Duration;

use fairlead_balance::{Asker, Pick, Tried};
use fairlead_model::backend::Slot;
use fairlead_model::health::{Health, Misdeed, Origin};
use fairlead_model::plan::{CheckKind, Policy, PoolPlan};

use crate::pools::{plan, tried, World, POLICIES};

const SECOND: Duration = Duration::from_secs(1);

fn without_check(policy: Policy, count: usize) -> PoolPlan {
    let mut plan = plan(policy, &vec![1; count]);
    plan.check.kind = CheckKind::None;
    plan
}

/// Nobody is asked of the one that is down; the hold is over.
fn one_due(policy: Policy) -> World {
    let mut world = World::of(&without_check(policy, 3));
    world.take_down(1, Origin::Traffic);
    assert!((0..20).all(|_| world.touch() != Some(1)));
    world.wait(SECOND);
    world
}

#[test]
fn one_request_at_a_time_tries_it_and_a_good_one_brings_it_back() {
    for policy in POLICIES {
        let mut world = one_due(policy);
        assert_eq!(world.begin(), Some(1), "{policy:?}");
        assert_eq!(world.state(1).health(), Health::Down);
        assert!((0..20).all(|_| world.touch() != Some(1)));
        let change = world.state(1).succeeded(&world.pool.rules(), world.now);
        assert_eq!(change.map(|change| change.to), Some(Health::Healthy));
        world.state(1).end();
        assert_eq!(world.state(1).active(), 0);
        assert!(policy == Policy::First || (0..100).any(|_| world.touch() == Some(1)));
    }
}

#[test]
fn a_failed_trial_is_followed_by_a_longer_hold() {
    let mut world = one_due(Policy::RoundRobin);
    for hold in [2, 4, 8] {
        assert_eq!(world.begin(), Some(1));
        world.say(1, Origin::Traffic, false);
        world.state(1).end();
        world.wait(Duration::from_millis(hold * 1_000 - 1));
        assert!((0..20).all(|_| world.touch() != Some(1)));
        world.wait(Duration::from_millis(1));
    }
}

#[test]
fn a_trial_without_verdict_is_followed_by_another_after_the_hold() {
    let mut world = one_due(Policy::P2c);
    for _ in 0..5 {
        assert_eq!(world.begin(), Some(1));
        world.state(1).end();
        assert!((0..20).all(|_| world.touch() != Some(1)));
        world.wait(SECOND);
    }
}

#[test]
fn a_verdict_may_be_told_after_the_end() {
    let mut world = one_due(Policy::P2c);
    assert_eq!(world.begin(), Some(1));
    world.state(1).end();
    world.state(1).succeeded(&world.pool.rules(), world.now);
    assert_eq!(world.state(1).health(), Health::Healthy);
}

#[test]
fn a_trial_that_is_late_is_not_repeated_at_once() {
    let mut world = one_due(Policy::P2c);
    assert_eq!(world.begin(), Some(1));
    assert_eq!(world.state(1).doubt("answer late", "120 ms".to_owned(), world.now), None);
    world.state(1).end();
    world.wait(Duration::from_millis(1_999));
    assert!((0..20).all(|_| world.touch() != Some(1)));
    world.wait(Duration::from_millis(1));
    assert_eq!(world.begin(), Some(1));
}

#[test]
fn one_that_is_answered_by_an_error_is_followed_sooner_than_by_the_whole_hold() {
    let mut world = one_due(Policy::RoundRobin);
    for hold in [2, 4, 8] {
        assert_eq!(world.begin(), Some(1));
        world.say(1, Origin::Traffic, false);
        world.state(1).end();
        world.wait(SECOND * hold);
    }
    for _ in 0..3 {
        assert_eq!(world.begin(), Some(1));
        assert_eq!(world.pool.bad(Slot(1), Misdeed::Error, "a server error", world.now), None);
        world.state(1).end();
        world.wait(Duration::from_millis(1_999));
        assert!((0..20).all(|_| world.touch() != Some(1)));
        world.wait(Duration::from_millis(1));
    }
}

#[test]
fn what_failed_elsewhere_is_not_experimented_with() {
    let mut world = one_due(Policy::Random);
    for _ in 0..20 {
        assert_eq!(world.pick(&tried(&[0])), Pick::Backend(Slot(2)));
        world.state(2).end();
    }
    assert_eq!(world.touch(), Some(1));
}

#[test]
fn what_can_not_be_repeated_is_taken_only_if_nothing_else_comes() {
    let mut world = one_due(Policy::RoundRobin);
    let post = |world: &mut World| {
        let (tried, now) = (Tried::new(), world.now);
        let picked = world.view.pick_for(Asker::Unrepeatable, None, &tried, now, &mut world.random);
        let Pick::Backend(slot) = picked else { panic!("{picked:?}") };
        world.pool.backend(slot).end();
        slot.index()
    };
    for _ in 0..29 {
        assert_ne!(post(&mut world), 1);
        world.wait(Duration::from_millis(100));
    }
    world.wait(SECOND);
    assert_eq!(post(&mut world), 1);
}

#[test]
fn with_nobody_else_left_a_second_is_the_longest_hold() {
    let mut world = World::of(&without_check(Policy::LeastConnections, 1));
    world.take_down(0, Origin::Traffic);
    for _ in 0..10 {
        assert_eq!(world.pick(&Tried::new()), Pick::Nobody);
        world.wait(SECOND);
        assert_eq!(world.begin(), Some(0));
        assert_eq!(world.pick(&Tried::new()), Pick::Nobody, "one at a time");
        world.say(0, Origin::Traffic, false);
        world.state(0).end();
    }
}

#[test]
fn what_the_check_took_down_gets_no_request_though_nobody_else_is_left() {
    let mut world = World::of(&plan(Policy::RoundRobin, &[1]));
    world.take_down(0, Origin::Check);
    for _ in 0..100 {
        world.wait(SECOND);
        assert_eq!(world.pick(&Tried::new()), Pick::Nobody);
    }
}

#[test]
fn a_backup_is_not_woken_to_be_tried() {
    let mut plan = without_check(Policy::RoundRobin, 2);
    plan.backends[1].group = 1;
    let mut world = World::of(&plan);
    world.take_down(1, Origin::Traffic);
    world.wait(SECOND * 100);
    assert!((0..20).all(|_| world.touch() == Some(0)));
    world.take_down(0, Origin::Traffic);
    assert_eq!(world.begin(), Some(1), "now it is needed");
}

#[test]
fn the_first_group_is_tried_while_a_backup_serves() {
    let mut plan = without_check(Policy::RoundRobin, 2);
    plan.backends[1].group = 1;
    let mut world = World::of(&plan);
    world.take_down(0, Origin::Traffic);
    assert_eq!(world.touch(), Some(1));
    world.wait(SECOND);
    assert_eq!(world.begin(), Some(0));
}

#[test]
fn a_check_that_failed_too_opens_the_way_by_its_passes() {
    let mut world = World::of(&plan(Policy::RoundRobin, &[1, 1]));
    world.take_down(0, Origin::Traffic);
    world.say(0, Origin::Check, false);
    world.wait(SECOND * 5);
    assert!((0..20).all(|_| world.touch() == Some(1)));
    world.say(0, Origin::Check, true);
    assert!((0..20).all(|_| world.touch() == Some(1)));
    world.say(0, Origin::Check, true);
    assert!((0..2).any(|_| world.touch() == Some(0)));
}

#[test]
fn a_suspect_without_check_comes_back_too() {
    let mut world = World::of(&without_check(Policy::RoundRobin, 3));
    world.say(1, Origin::Traffic, false);
    assert!((0..20).all(|_| world.touch() != Some(1)));
    world.wait(SECOND);
    assert_eq!(world.begin(), Some(1));
    world.state(1).succeeded(&world.pool.rules(), world.now);
    world.state(1).end();
    assert_eq!(world.state(1).health(), Health::Healthy);
}

#[test]
fn a_trial_respects_wish_and_limit() {
    let mut plan = without_check(Policy::RoundRobin, 2);
    plan.backends[1].max_connections = Some(1);
    let mut world = World::of(&plan);
    assert!(world.state(1).try_begin(None));
    world.take_down(1, Origin::Traffic);
    world.wait(SECOND * 2);
    assert!((0..20).all(|_| world.touch() == Some(0)), "it is full");
    world.state(1).set_wish(fairlead_model::backend::Wish::Draining);
    world.state(1).end();
    world.wait(SECOND * 2);
    assert!((0..20).all(|_| world.touch() == Some(0)), "nobody wants it");
    world.state(1).set_wish(fairlead_model::backend::Wish::Enabled);
    assert_eq!(world.begin(), Some(1));
}

#[test]
fn trials_of_one_that_answered_wrongly_follow_each_other_at_once() {
    let mut world = World::of(&plan(Policy::RoundRobin, &[1; 3]));
    let wrong = ("wrong answer", "status 500");
    let _ = world.pool.wrong(Slot(1), Misdeed::Error, wrong, world.now);
    let protected = |world: &mut World| {
        let (tried, now) = (Tried::new(), world.now);
        let picked = world.view.pick_for(Asker::Protected, None, &tried, now, &mut world.random);
        let Pick::Backend(slot) = picked else { panic!("{picked:?}") };
        slot.index()
    };
    world.wait(SECOND);
    for _ in 0..5 {
        assert_eq!(world.state(1).health(), Health::Suspect);
        assert_eq!(protected(&mut world), 1);
        let other = protected(&mut world);
        assert_ne!(other, 1, "one at a time");
        world.state(other).end();
        let _ = world.state(1).succeeded(&world.pool.rules(), world.now);
        world.state(1).end();
        world.wait(Duration::from_millis(10));
    }
    assert_eq!(world.state(1).health(), Health::Healthy);
}

#[test]
fn one_that_did_wrong_stands_behind_well_ones_of_other_groups() {
    let mut plan = plan(Policy::RoundRobin, &[1; 3]);
    plan.backends[1].group = 1;
    plan.backends[2].group = 1;
    let mut world = World::of(&plan);
    assert!((0..9).all(|_| world.touch() == Some(0)));
    world.say(0, Origin::Check, false);
    assert!((0..9).all(|_| world.touch() == Some(0)), "a first suspicion wakes no backup");
    let _ = world.pool.silent(Slot(0), "no answer", String::new(), world.now);
    assert!((0..9).all(|_| world.touch() != Some(0)));
}
