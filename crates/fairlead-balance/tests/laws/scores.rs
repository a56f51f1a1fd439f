//! Scores of a policy stand in the place of weights; and who a policy outside may choose from.

use fairlead_balance::Pick;
use fairlead_model::backend::{Slot, Wish};
use fairlead_model::health::Origin;
use fairlead_model::plan::Policy;

use crate::pools::{plan, tried, World};

#[test]
fn scores_count_in_the_place_of_weights_until_they_are_taken_back() {
    let mut world = World::of(&plan(Policy::RoundRobin, &[7, 7, 7]));
    assert!(world.pool.set_scores(Some(&[1, 2, 1])));
    assert!(!world.pool.set_scores(Some(&[1, 2, 1])), "nothing changed");
    assert_eq!(world.counts(400), [100, 200, 100]);
    assert_eq!(world.state(0).weight(), 7, "the operator's weight stays what it is");
    world.pool.set_scores(None);
    assert_eq!(world.counts(300), [100, 100, 100]);
}

#[test]
fn one_of_score_0_is_asked_only_when_nobody_else_is_left() {
    let mut setup = plan(Policy::RoundRobin, &[1, 1, 1]);
    setup.backends[2].group = 1;
    let mut world = World::of(&setup);
    world.pool.set_scores(Some(&[0, 5, 5]));
    assert_eq!(world.counts(10), [0, 10, 0]);
    assert_eq!(world.pick(&tried(&[1])), Pick::Backend(Slot(2)), "the next group first");
    assert_eq!(world.pick(&tried(&[1, 2])), Pick::Backend(Slot(0)), "but before an error");
}

#[test]
fn a_score_wakes_nobody_whom_the_operator_or_health_keeps_out() {
    let mut world = World::of(&plan(Policy::RoundRobin, &[0, 1, 1, 1]));
    world.state(1).set_wish(Wish::Draining);
    world.take_down(2, Origin::Check);
    world.pool.set_scores(Some(&[256, 256, 256, 1]));
    assert_eq!(world.counts(20), [0, 0, 0, 20]);
}

#[test]
fn scores_without_one_for_each_leave_the_others_their_weights() {
    let mut world = World::of(&plan(Policy::RoundRobin, &[1, 1, 2]));
    world.pool.set_scores(Some(&[1]));
    assert_eq!(world.counts(400), [100, 100, 200]);
}
