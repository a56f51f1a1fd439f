//! What all workers share stays right when they all write at once.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::Arc;
use std::thread;

use fairlead_balance::{Pick, Random, Tried, View};
use fairlead_model::moment::Moment;
use fairlead_model::plan::Policy;

use crate::pools::{plan, World, POLICIES};

const WORKERS: u64 = 4;
const ROUNDS: usize = 20_000;

#[test]
fn a_limit_holds_against_all_workers_and_all_ends_at_zero() {
    let world = World::of(&plan(Policy::RoundRobin, &[1]));
    let (state, most) = (world.state(0), AtomicU32::new(0));
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                for _ in 0..ROUNDS {
                    if state.try_begin(Some(3)) {
                        most.fetch_max(state.active(), Ordering::Relaxed);
                        state.end();
                    }
                }
            });
        }
    });
    assert!(most.into_inner() <= 3);
    assert_eq!(state.active(), 0);
}

#[test]
fn turns_are_exact_over_threads() {
    let world = World::of(&plan(Policy::RoundRobin, &[1, 2, 5]));
    let counts = [const { AtomicU32::new(0) }; 3];
    thread::scope(|scope| {
        for seed in 0..WORKERS {
            let (mut view, counts) = (View::new(Arc::clone(&world.pool), world.now), &counts);
            scope.spawn(move || {
                let mut random = Random::new(seed);
                for _ in 0..ROUNDS {
                    let picked = view.pick(None, &Tried::new(), Moment::ZERO, &mut random);
                    let Pick::Backend(slot) = picked else { panic!("{picked:?}") };
                    counts[slot.index()].fetch_add(1, Ordering::Relaxed);
                    view.pool().backend(slot).end();
                }
            });
        }
    });
    assert_eq!(counts.map(AtomicU32::into_inner), [10_000, 20_000, 50_000]);
}

#[test]
fn picks_survive_changes_by_others() {
    for policy in POLICIES {
        let mut plan = plan(policy, &[1, 2, 3, 4]);
        plan.backends[3].max_connections = Some(2);
        let world = World::of(&plan);
        thread::scope(|scope| {
            for seed in 0..WORKERS {
                let mut view = View::new(Arc::clone(&world.pool), world.now);
                scope.spawn(move || {
                    let mut random = Random::new(seed);
                    for _ in 0..ROUNDS / 10 {
                        let picked = view.pick(None, &Tried::new(), Moment::ZERO, &mut random);
                        let Pick::Backend(slot) = picked else { panic!("{policy:?} {picked:?}") };
                        view.pool().backend(slot).end();
                    }
                });
            }
            scope.spawn(|| {
                for round in 0..200_u16 {
                    world.state(usize::from(round) % 3).set_weight(1 + round % 7);
                    thread::yield_now();
                }
            });
        });
        assert!(world.pool.backends().iter().all(|state| state.active() == 0), "{policy:?}");
    }
}
