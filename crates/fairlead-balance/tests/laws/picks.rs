//! Who is picked at all: the right group, the right health, never who was tried, never too many.

use std::collections::BTreeSet;

use fairlead_balance::{Pick, Tried};
use fairlead_model::backend::{Slot, Wish};
use fairlead_model::health::{Health, Origin};
use fairlead_model::plan::{Policy, PoolPlan};
use proptest::prelude::*;

use crate::pools::{plan, tried, World, POLICIES};

/// A backend as a case draws it.
#[derive(Debug, Clone)]
struct Drawn {
    group: u16,
    weight: u16,
    wish: Wish,
    health: Health,
    /// Most in flight, and how many are.
    limit: Option<(u32, u32)>,
    tried: bool,
}

fn drawn() -> impl Strategy<Value = Drawn> {
    let health = prop_oneof![
        2 => Just(Health::Healthy), 1 => Just(Health::Unknown),
        2 => Just(Health::Suspect), 2 => Just(Health::Down),
    ];
    let wish =
        prop_oneof![4 => Just(Wish::Enabled), 1 => Just(Wish::Draining), 1 => Just(Wish::Disabled)];
    let limit = proptest::option::of((1_u32..3, 0_u32..3));
    (0_u16..3, 0_u16..4, wish, health, limit, any::<bool>()).prop_map(
        |(group, weight, wish, health, limit, tried)| {
            let limit = limit.map(|(max, active)| (max, active.min(max)));
            Drawn { group, weight, wish, health, limit, tried }
        },
    )
}

fn world(policy: Policy, backends: &[Drawn]) -> World {
    let weights: Vec<_> = backends.iter().map(|backend| backend.weight).collect();
    let mut plan: PoolPlan = plan(policy, &weights);
    for (backend, drawn) in plan.backends.iter_mut().zip(backends) {
        backend.group = drawn.group;
        backend.state = drawn.wish;
        backend.max_connections = drawn.limit.map(|(max, _)| max);
    }
    let world = World::of(&plan);
    for (index, drawn) in backends.iter().enumerate() {
        match drawn.health {
            Health::Unknown => {}
            Health::Healthy => drop(world.say(index, Origin::Check, true)),
            Health::Suspect => drop(world.say(index, Origin::Check, false)),
            Health::Down => world.take_down(index, Origin::Check),
        }
        let under_way = drawn.limit.map_or(0, |(_, active)| active);
        (0..under_way).for_each(|_| assert!(world.state(index).try_begin(None)));
        assert_eq!(world.state(index).health(), drawn.health);
    }
    world
}

/// The rules of a pick, said in another way: who may come out, or why nobody does.
fn expected(backends: &[Drawn]) -> Result<BTreeSet<usize>, Pick> {
    let available = |drawn: &Drawn| {
        let well = drawn.wish == Wish::Enabled && drawn.health != Health::Down;
        well && drawn.weight > 0 && !drawn.tried
    };
    let rank = |drawn: &Drawn| (drawn.group, drawn.health == Health::Suspect);
    let full = |drawn: &Drawn| drawn.limit.is_some_and(|(max, active)| active >= max);
    let mut usable: Vec<_> = backends
        .iter()
        .enumerate()
        .filter(|(_, drawn)| available(drawn) && !full(drawn))
        .map(|(index, drawn)| (rank(drawn), index))
        .collect();
    usable.sort_unstable();
    match usable.first() {
        Some((best, _)) => {
            Ok(usable.iter().filter(|(rank, _)| rank == best).map(|(_, index)| *index).collect())
        }
        None if backends.iter().any(available) => Err(Pick::Saturated),
        None => Err(Pick::Nobody),
    }
}

proptest! {
    #[test]
    fn who_may_be_picked_is_picked_and_nobody_else(
        backends in proptest::collection::vec(drawn(), 0..8),
    ) {
        let tried: Vec<_> = (0..backends.len()).filter(|index| backends[*index].tried).collect();
        let (tried, expected) = (crate::pools::tried(&tried), expected(&backends));
        for policy in POLICIES {
            let mut world = world(policy, &backends);
            let before: Vec<_> = world.pool.backends().iter().map(|it| it.active()).collect();
            let mut seen = BTreeSet::new();
            for _ in 0..60 {
                match (world.pick(&tried), &expected) {
                    (Pick::Backend(slot), Ok(allowed)) => {
                        prop_assert!(allowed.contains(&slot.index()), "{policy:?}");
                        seen.insert(slot.index());
                        world.pool.backend(slot).end();
                    }
                    (picked, Err(reason)) => prop_assert_eq!(picked, *reason),
                    (picked, Ok(_)) => prop_assert!(false, "{policy:?}: {picked:?}"),
                }
            }
            if let (Ok(allowed), true) = (&expected, policy == Policy::RoundRobin) {
                prop_assert_eq!(&seen, allowed, "round robin leaves nobody out");
            }
            let after: Vec<_> = world.pool.backends().iter().map(|it| it.active()).collect();
            prop_assert_eq!(before, after, "what began has ended");
        }
    }

    #[test]
    fn limits_hold_until_all_are_full(
        limits in proptest::collection::vec(1_u32..5, 1..6),
    ) {
        for policy in POLICIES {
            let mut plan = plan(policy, &vec![1; limits.len()]);
            for (backend, limit) in plan.backends.iter_mut().zip(&limits) {
                backend.max_connections = Some(*limit);
            }
            let mut world = World::of(&plan);
            for _ in 0..limits.iter().sum() {
                prop_assert!(world.begin().is_some(), "{policy:?} {limits:?}");
            }
            prop_assert_eq!(world.pick(&Tried::new()), Pick::Saturated);
            for (state, limit) in world.pool.backends().iter().zip(&limits) {
                prop_assert_eq!(state.active(), *limit);
            }
        }
    }
}

#[test]
fn an_empty_pool_has_nobody() {
    for policy in POLICIES {
        assert_eq!(World::of(&plan(policy, &[])).pick(&Tried::new()), Pick::Nobody);
    }
}

#[test]
fn wishes_and_health_count_from_the_next_pick() {
    for policy in POLICIES {
        let mut world = World::of(&plan(policy, &[1, 1]));
        assert!(world.touch().is_some());
        world.state(0).set_wish(Wish::Draining);
        assert_eq!(world.touch(), Some(1), "{policy:?}");
        world.take_down(1, Origin::Check);
        assert_eq!(world.pick(&Tried::new()), Pick::Nobody);
        world.state(0).set_wish(Wish::Enabled);
        assert_eq!(world.touch(), Some(0));
        world.state(0).set_weight(0);
        assert_eq!(world.pick(&Tried::new()), Pick::Nobody);
        (0..2).for_each(|_| drop(world.say(1, Origin::Check, true)));
        assert_eq!(world.touch(), Some(1));
    }
}

#[test]
fn a_wish_that_is_none_moves_no_epoch() {
    let world = World::of(&plan(Policy::RoundRobin, &[3]));
    let epoch = world.pool.epoch();
    assert!(!world.state(0).set_wish(Wish::Enabled));
    assert!(!world.state(0).set_weight(3));
    assert_eq!(world.pool.epoch(), epoch);
    assert!(world.state(0).set_weight(1_000));
    assert_eq!(world.state(0).weight(), 256);
    assert!(world.pool.epoch() > epoch);
}

#[test]
fn first_goes_in_order() {
    let mut plan = plan(Policy::First, &[1; 3]);
    plan.backends[0].max_connections = Some(1);
    let mut world = World::of(&plan);
    assert_eq!(world.begin(), Some(0));
    assert_eq!(world.touch(), Some(1));
    assert_eq!(world.pick(&tried(&[1])), Pick::Backend(Slot(2)));
    world.say(1, Origin::Check, false);
    assert_eq!(world.touch(), Some(2), "suspects come last");
    world.say(2, Origin::Check, false);
    assert_eq!(world.touch(), Some(1), "among suspects the order holds");
}

#[test]
fn least_connections_takes_the_least_busy_per_weight() {
    let mut world = World::of(&plan(Policy::LeastConnections, &[1, 1, 4]));
    for (index, active) in [(0, 3), (1, 2), (2, 7)] {
        (0..active).for_each(|_| assert!(world.state(index).try_begin(None)));
    }
    // 3, 2 and 1.75 per unit of weight; then 3, 2 and 2; then …
    let mut picks = [world.begin(), world.begin(), world.begin()].map(|pick| pick.expect("well"));
    assert_eq!(picks[0], 2);
    picks[1..].sort_unstable();
    assert_eq!(picks[1..], [1, 2]);
}

#[test]
fn least_connections_finds_the_only_one_with_room_among_a_thousand() {
    let mut plan = plan(Policy::LeastConnections, &[1; 1_000]);
    plan.backends.iter_mut().for_each(|backend| backend.max_connections = Some(1));
    let mut world = World::of(&plan);
    (0..1_000).filter(|index| *index != 517).for_each(|index| {
        assert!(world.state(index).try_begin(None));
    });
    (0..20).for_each(|_| assert_eq!(world.touch(), Some(517)));
}

#[test]
fn two_choices_never_take_the_busier() {
    let mut world = World::of(&plan(Policy::P2c, &[1, 1]));
    assert!(world.state(0).try_begin(None));
    assert_eq!(world.counts(100), [0, 100]);
}

#[test]
fn a_view_of_an_old_plan_goes_on_with_its_backends() {
    let mut world = World::of(&plan(Policy::RoundRobin, &[1, 1]));
    let mut new = plan(Policy::First, &[1, 1, 1]);
    new.backends.remove(0);
    let pool = world.registry.pool(&new, 2);
    assert_eq!(world.counts(10), [5, 5]);
    let mut view = fairlead_balance::View::new(pool, world.now);
    let picked = view.pick(None, &Tried::new(), world.now, &mut world.random);
    assert_eq!(picked, Pick::Backend(Slot(0)));
    assert_eq!(world.state(1).active(), 1, "slot 0 of the new plan is 1 of the old");
}
