//! Shares follow weights, whatever the policy, whoever asks, and whoever can't be used.

use std::sync::Arc;

use fairlead_balance::{Pick, Tried, View};
use fairlead_model::plan::Policy;
use proptest::prelude::*;

use crate::pools::{plan, tried, World, SHARING};

/// The largest difference between a share and what it should be.
fn worst(counts: &[usize], weights: &[u16]) -> f64 {
    let picks: usize = counts.iter().sum();
    let sum: u32 = weights.iter().map(|weight| u32::from(*weight)).sum();
    let off = |(count, weight): (&usize, &u16)| {
        (*count as f64 / picks as f64 - f64::from(*weight) / f64::from(sum)).abs()
    };
    counts.iter().zip(weights).map(off).fold(0.0, f64::max)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn shares_are_within_one_percent_of_the_weights(
        weights in proptest::collection::vec(1_u16..=256, 1..8),
    ) {
        for policy in SHARING {
            let counts = World::of(&plan(*policy, &weights)).counts(100_000);
            prop_assert!(worst(&counts, &weights) < 0.01, "{policy:?} {weights:?} {counts:?}");
        }
    }

    #[test]
    fn round_robin_is_exact_over_two_workers(
        weights in proptest::collection::vec(1_u16..=256, 1..8),
        turns in proptest::collection::vec(any::<bool>(), 64),
    ) {
        let mut world = World::of(&plan(Policy::RoundRobin, &weights));
        let mut other = View::new(Arc::clone(&world.pool), world.now);
        let mut counts = vec![0_usize; weights.len()];
        let sum = weights.iter().map(|weight| usize::from(*weight)).sum::<usize>();
        for turn in 0..sum * 3 {
            let view = if turns[turn % turns.len()] { &mut world.view } else { &mut other };
            let picked = view.pick(None, &Tried::new(), world.now, &mut world.random);
            let Pick::Backend(slot) = picked else { panic!("{picked:?}") };
            world.pool.backend(slot).end();
            counts[slot.index()] += 1;
        }
        let due: Vec<_> = weights.iter().map(|weight| usize::from(*weight) * 3).collect();
        prop_assert_eq!(counts, due);
    }
}

#[test]
fn weights_set_at_run_time_count_from_the_next_pick() {
    for policy in SHARING {
        let mut world = World::of(&plan(*policy, &[1, 1]));
        world.counts(10);
        world.state(0).set_weight(9);
        let counts = world.counts(100_000);
        assert!(worst(&counts, &[9, 1]) < 0.01, "{policy:?} {counts:?}");
    }
}

#[test]
fn a_full_one_leaves_its_share_to_all_others_alike() {
    for policy in SHARING {
        let mut plan = plan(*policy, &[1; 5]);
        plan.backends[1].max_connections = Some(1);
        let mut world = World::of(&plan);
        assert!(world.state(1).try_begin(None));
        let counts = world.counts(100_000);
        assert_eq!(counts[1], 0);
        assert!(worst(&counts, &[1, 0, 1, 1, 1]) < 0.01, "{policy:?} {counts:?}");
    }
}

#[test]
fn retries_go_to_all_others_alike() {
    // Nothing says yet that 1 is broken, so each of its requests comes back to be picked again.
    for policy in SHARING {
        let mut world = World::of(&plan(*policy, &[1; 5]));
        let mut counts = [0; 5];
        for _ in 0..100_000 {
            let mut got = world.touch().expect("all are well");
            if got == 1 {
                let Pick::Backend(slot) = world.pick(&tried(&[1])) else { panic!("{policy:?}") };
                world.pool.backend(slot).end();
                got = slot.index();
            }
            counts[got] += 1;
        }
        assert_eq!(counts[1], 0, "{policy:?}");
        assert!(worst(&counts, &[1, 0, 1, 1, 1]) < 0.01, "{policy:?} {counts:?}");
    }
}

#[test]
fn a_group_that_is_passed_over_does_not_disturb_the_turns_of_the_next() {
    let mut plan = plan(Policy::RoundRobin, &[1; 3]);
    plan.backends[0].max_connections = Some(1);
    plan.backends[1].group = 1;
    plan.backends[2].group = 1;
    let mut world = World::of(&plan);
    assert!(world.state(0).try_begin(None));
    assert_eq!(world.counts(1_000), [0, 500, 500]);
}

#[test]
fn work_under_way_is_spread_by_weight() {
    for policy in [Policy::LeastConnections, Policy::P2c, Policy::PeakEwma] {
        let weights = [1, 2, 4, 8];
        let mut world = World::of(&plan(policy, &weights));
        (0..1_500).for_each(|_| assert!(world.begin().is_some()));
        let active: Vec<_> =
            world.pool.backends().iter().map(|state| state.active() as usize).collect();
        let bound = if policy == Policy::LeastConnections { 0.001 } else { 0.01 };
        assert!(worst(&active, &weights) < bound, "{policy:?} {active:?}");
    }
}

#[test]
fn least_connections_of_a_thousand_keeps_all_within_a_few_of_each_other() {
    let mut world = World::of(&plan(Policy::LeastConnections, &[1; 1_000]));
    (0..20_000).for_each(|_| assert!(world.begin().is_some()));
    let active = world.pool.backends().iter().map(|state| state.active());
    let (least, most) = (active.clone().min(), active.max());
    assert!(least >= Some(18) && most <= Some(22), "{least:?} {most:?}");
}

#[test]
fn two_choices_keep_the_busiest_near_the_mean() {
    let mut world = World::of(&plan(Policy::P2c, &[1; 1_000]));
    (0..20_000).for_each(|_| assert!(world.begin().is_some()));
    let most = world.pool.backends().iter().map(|state| state.active()).max();
    assert!(most <= Some(25), "{most:?}");
}
