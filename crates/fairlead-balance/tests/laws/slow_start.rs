//! Slow start: one that comes back gets a share that grows to its weight, whatever the policy, and
//! never at the price of the others.

use std::sync::Arc;
use std::time::Duration;

use fairlead_balance::View;
use fairlead_model::backend::Wish;
use fairlead_model::health::{Health, Origin};
use fairlead_model::plan::{Millis, Policy, PoolPlan};
use proptest::prelude::*;

use crate::pools::{plan, World, POLICIES, SHARING};

const TEN: Duration = Duration::from_secs(10);

fn slow(policy: Policy, weights: &[u16]) -> PoolPlan {
    PoolPlan { slow_start: Millis(10_000), ..plan(policy, weights) }
}

/// A world in which these have just come back.
fn returned(policy: Policy, weights: &[u16], back: &[usize]) -> World {
    let mut world = World::of(&slow(policy, weights));
    for index in back {
        world.take_down(*index, Origin::Check);
    }
    if back.len() < weights.len() {
        world.counts(10);
    }
    for index in back {
        (0..2).for_each(|_| drop(world.say(*index, Origin::Check, true)));
        assert_eq!(world.state(*index).health(), Health::Healthy);
    }
    world
}

fn share(world: &mut World, index: usize) -> f64 {
    let counts = world.counts(40_000);
    counts[index] as f64 / counts.iter().sum::<usize>() as f64
}

/// What it has if it gets this part of its weight.
fn due(weights: &[u16], index: usize, part: f64) -> f64 {
    let others: u16 = weights.iter().sum::<u16>() - weights[index];
    let own = f64::from(weights[index]) * part;
    own / (own + f64::from(others))
}

#[test]
fn a_share_grows_from_a_fifth_to_all_of_it() {
    for policy in SHARING {
        let mut world = returned(*policy, &[1, 1, 1, 1], &[2]);
        for (second, part) in
            [0.2, 0.25, 0.35, 0.4, 0.5, 0.6, 0.65, 0.75, 0.8, 0.9].iter().enumerate()
        {
            let (has, due) = (share(&mut world, 2), due(&[1, 1, 1, 1], 2, *part));
            assert!((has - due).abs() < 0.012, "{policy:?} after {second} s: {has}, due {due}");
            world.wait(Duration::from_secs(1));
        }
        let has = share(&mut world, 2);
        assert!((has - 0.25).abs() < 0.012, "{policy:?} at the end: {has}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn shares_are_those_of_the_weights_at_any_moment(
        weights in proptest::collection::vec(1_u16..=40, 2..7),
        back in any::<prop::sample::Index>(),
        millis in 0_u64..12_000,
    ) {
        let back = back.index(weights.len());
        for policy in SHARING {
            let mut world = returned(*policy, &weights, &[back]);
            world.wait(Duration::from_millis(millis));
            let part = world.state(back).share(TEN, world.now);
            let sum: u16 = weights.iter().sum();
            let (own, others) = (f64::from(weights[back]), f64::from(sum - weights[back]));
            // Nobody's load more than doubles; shares are in twentieths.
            let part = part.max(((1.0 - others / own) * 10.0 - 1e-9).ceil() / 20.0);
            let (has, due) = (share(&mut world, back), due(&weights, back, part));
            prop_assert!((has - due).abs() < 0.02, "{policy:?} {weights:?}: {has}, due {due}");
        }
    }

    #[test]
    fn afterwards_shares_are_exact(
        weights in proptest::collection::vec(1_u16..=20, 2..6),
        back in any::<prop::sample::Index>(),
    ) {
        let back = back.index(weights.len());
        let mut world = returned(Policy::RoundRobin, &weights, &[back]);
        world.counts(100);
        world.wait(TEN);
        let counts = world.counts(weights.iter().map(|weight| usize::from(*weight)).sum());
        let due: Vec<_> = weights.iter().map(|weight| usize::from(*weight)).collect();
        prop_assert_eq!(counts, due);
    }
}

#[test]
fn the_only_one_gets_everything() {
    for policy in POLICIES {
        let mut world = returned(policy, &[1, 1, 1], &[0, 1, 2]);
        world.take_down(0, Origin::Check);
        world.take_down(2, Origin::Check);
        assert_eq!(world.counts(1_000), [0, 1_000, 0], "{policy:?}");
    }
}

#[test]
fn if_all_others_are_full_it_gets_the_rest() {
    for policy in POLICIES {
        let mut plan = slow(policy, &[1, 1, 1]);
        plan.backends[0].max_connections = Some(1);
        plan.backends[2].max_connections = Some(1);
        let mut world = World::of(&plan);
        world.take_down(1, Origin::Check);
        (0..2).for_each(|_| drop(world.say(1, Origin::Check, true)));
        assert!(world.state(0).try_begin(None) && world.state(2).try_begin(None));
        assert_eq!(world.counts(1_000), [0, 1_000, 0], "{policy:?}");
    }
}

#[test]
fn all_that_come_back_together_share_alike() {
    for policy in SHARING {
        let mut world = returned(*policy, &[1, 1, 1], &[0, 1, 2]);
        let counts = world.counts(30_000);
        assert!(
            counts.iter().all(|count| (9_500..10_500).contains(count)),
            "{policy:?} {counts:?}"
        );
    }
}

#[test]
fn the_one_that_stayed_never_gets_more_than_twice_its_share() {
    for policy in SHARING {
        let mut world = returned(*policy, &[1; 10], &[1, 2, 3, 4, 5, 6, 7, 8, 9]);
        let has = share(&mut world, 0);
        assert!(has < 0.212, "{policy:?}: {has}");
        assert!(has > 0.15, "{policy:?}: {has}");
    }
}

#[test]
fn a_hashed_key_comes_back_once_and_then_stays() {
    let mut world = returned(Policy::Hash, &[1, 1, 1, 1], &[3]);
    let keys: Vec<u64> = (0..2_000).map(|_| world.random.next()).collect();
    let ask = |world: &mut World| -> Vec<usize> {
        let tried = fairlead_balance::Tried::new();
        let picks = keys.iter().map(|key| {
            let picked = world.view.pick(Some(*key), &tried, world.now, &mut world.random);
            let fairlead_balance::Pick::Backend(slot) = picked else { panic!("{picked:?}") };
            world.pool.backend(slot).end();
            slot.index()
        });
        picks.collect()
    };
    let mut before = ask(&mut world);
    let mut moves = vec![0; keys.len()];
    for _ in 0..20 {
        world.wait(Duration::from_millis(700));
        let now = ask(&mut world);
        for (key, (old, new)) in before.iter().zip(&now).enumerate() {
            if old != new {
                moves[key] += 1;
                assert_eq!(*new, 3, "only to the one that came back");
            }
        }
        before = now;
    }
    assert!(moves.iter().all(|moves| *moves <= 1));
    assert!(moves.iter().sum::<usize>() > 300, "most of its keys were elsewhere at first");
}

#[test]
fn the_first_one_comes_back_step_by_step() {
    let mut world = returned(Policy::First, &[1, 1, 1], &[0]);
    let counts = world.counts(10_000);
    assert!((1_800..2_200).contains(&counts[0]) && counts[2] == 0, "{counts:?}");
    world.wait(TEN);
    assert_eq!(world.counts(100), [100, 0, 0]);
}

#[test]
fn who_is_new_in_a_pool_that_was_there_starts_slowly() {
    let mut world = World::of(&slow(Policy::RoundRobin, &[1, 1]));
    assert_eq!(world.counts(100), [50, 50], "at the first start all are alike");
    let pool = world.registry.pool(&slow(Policy::RoundRobin, &[1, 1, 1]), 2);
    world.view = View::new(Arc::clone(&pool), world.now);
    world.pool = pool;
    assert_eq!(world.counts(110), [50, 50, 10]);
    world.wait(TEN);
    assert_eq!(world.counts(90), [30, 30, 30]);
}

#[test]
fn who_moved_to_another_machine_starts_slowly_and_who_stayed_does_not() {
    for (moved, counts) in [(true, [100, 20]), (false, [60, 60])] {
        let mut world = World::of(&slow(Policy::RoundRobin, &[1, 1]));
        world.counts(10);
        let mut plan = slow(Policy::RoundRobin, &[1, 1]);
        let elsewhere = fairlead_model::backend::Endpoint::Unix("/elsewhere".into());
        if moved {
            plan.backends[1].endpoints = vec![elsewhere];
        } else {
            plan.backends[1].endpoints.push(elsewhere);
        }
        let pool = world.registry.pool(&plan, 2);
        world.view = View::new(Arc::clone(&pool), world.now);
        world.pool = pool;
        assert_eq!(world.counts(120), counts);
    }
}

#[test]
fn who_is_put_back_by_the_operator_starts_slowly() {
    let mut world = World::of(&slow(Policy::RoundRobin, &[1, 1]));
    world.state(1).set_wish(Wish::Disabled);
    assert_eq!(world.counts(10), [10, 0]);
    world.state(1).set_wish(Wish::Enabled);
    assert_eq!(world.counts(120), [100, 20]);
    world.wait(TEN);
    assert_eq!(world.counts(120), [60, 60]);
}

#[test]
fn without_a_slow_start_there_is_none() {
    let mut world = World::of(&plan(Policy::RoundRobin, &[1, 1]));
    world.take_down(1, Origin::Check);
    world.counts(10);
    (0..2).for_each(|_| drop(world.say(1, Origin::Check, true)));
    assert_eq!(world.counts(100), [50, 50]);
}
