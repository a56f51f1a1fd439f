//! What a reload keeps, what it follows, what it forgets.

use std::sync::Arc;

use fairlead_balance::host::Silence;
use fairlead_balance::{BackendState, Pool, Registry};
use fairlead_model::backend::{Endpoint, Wish};
use fairlead_model::health::{Evidence, Health, Origin};
use fairlead_model::moment::Moment;
use fairlead_model::plan::{Policy, PoolPlan};

use crate::pools::plan;

/// A plan for a pool of this name with these addresses.
fn named(name: &str, addresses: &[&str]) -> PoolPlan {
    let mut plan = plan(Policy::RoundRobin, &vec![1; addresses.len()]);
    name.clone_into(&mut plan.name);
    for (backend, address) in plan.backends.iter_mut().zip(addresses) {
        (*address).clone_into(&mut backend.address);
    }
    plan
}

fn take_down(pool: &Pool, index: usize) {
    let (origin, what) = (Origin::Check, "connect refused");
    let evidence = Evidence { origin, passed: false, what, detail: String::new() };
    for _ in 0..3 {
        pool.backends()[index].observe(&evidence, &pool.rules(), Moment::ZERO);
    }
    assert_eq!(pool.backends()[index].health(), Health::Down);
}

fn only(pool: &Pool) -> Arc<BackendState> {
    Arc::clone(&pool.backends()[0])
}

#[test]
fn what_stays_keeps_its_state_and_what_comes_is_new() {
    let mut registry = Registry::new();
    let before = registry.pool(&named("app", &["a", "b"]), 2);
    take_down(&before, 1);
    assert!(before.backends()[1].try_begin(None));
    let after = registry.pool(&named("app", &["b", "c"]), 2);
    assert!(Arc::ptr_eq(&before.backends()[1], &after.backends()[0]));
    assert_eq!((after.backends()[0].health(), after.backends()[0].active()), (Health::Down, 1));
    assert_eq!(after.backends()[1].health(), Health::Unknown);
    assert_eq!((after.backends()[1].pool(), after.backends()[1].address()), ("app", "c"));
}

#[test]
fn the_same_address_in_another_pool_is_another_backend() {
    let mut registry = Registry::new();
    take_down(&registry.pool(&named("app", &["a"]), 1), 0);
    assert_eq!(only(&registry.pool(&named("api", &["a"]), 1)).health(), Health::Unknown);
}

#[test]
fn an_unchanged_plan_leaves_the_operators_wishes_alone() {
    let mut registry = Registry::new();
    let plan = named("app", &["a"]);
    let state = only(&registry.pool(&plan, 1));
    state.set_wish(Wish::Draining);
    state.set_weight(7);
    registry.pool(&plan, 1);
    assert_eq!((state.wish(), state.weight()), (Wish::Draining, 7));
}

#[test]
fn a_changed_plan_is_followed_and_moves_the_epoch() {
    let mut registry = Registry::new();
    let mut plan = named("app", &["a"]);
    let pool = registry.pool(&plan, 1);
    let epoch = pool.epoch();
    plan.backends[0].weight = 3;
    plan.backends[0].state = Wish::Disabled;
    registry.pool(&plan, 1);
    assert_eq!((only(&pool).wish(), only(&pool).weight()), (Wish::Disabled, 3));
    assert!(pool.epoch() > epoch);
}

#[test]
fn a_change_of_the_weight_alone_leaves_the_wish_alone() {
    let mut registry = Registry::new();
    let mut plan = named("app", &["a"]);
    let state = only(&registry.pool(&plan, 1));
    state.set_wish(Wish::Draining);
    plan.backends[0].weight = 3;
    registry.pool(&plan, 1);
    assert_eq!((state.wish(), state.weight()), (Wish::Draining, 3));
}

#[test]
fn an_endpoint_that_the_plan_no_longer_has_is_not_remembered() {
    let mut registry = Registry::new();
    let mut plan = named("app", &["a"]);
    plan.backends[0].endpoints.push(Endpoint::Unix("second".to_owned()));
    let state = only(&registry.pool(&plan, 1));
    state.set_endpoint(1);
    registry.pool(&plan, 1);
    assert_eq!(state.endpoint(), 1);
    plan.backends[0].endpoints.pop();
    registry.pool(&plan, 1);
    assert_eq!(state.endpoint(), 0);
}

#[test]
fn who_left_is_found_until_it_is_forgotten() {
    let mut registry = Registry::new();
    registry.pool(&named("app", &["a", "b"]), 1);
    registry.pool(&named("old", &["a"]), 1);
    let app = registry.pool(&named("app", &["b"]), 1);
    assert!(registry.find("app", "a").is_some());
    registry.retain(&[app]);
    assert!(registry.find("app", "a").is_none());
    assert!(registry.find("old", "a").is_none());
    assert!(registry.find("app", "b").is_some());
    assert!(registry.find("nobody", "b").is_none());
}

#[test]
fn who_comes_back_after_it_was_forgotten_is_new() {
    let mut registry = Registry::new();
    take_down(&registry.pool(&named("app", &["a", "b"]), 1), 0);
    let without = registry.pool(&named("app", &["b"]), 1);
    registry.retain(&[without]);
    assert_eq!(only(&registry.pool(&named("app", &["a", "b"]), 1)).health(), Health::Unknown);
}

#[test]
fn the_record_of_a_host_is_kept_as_long_as_somebody_is_there() {
    let mut registry = Registry::new();
    let (address, now) = ([10, 0, 0, 9].into(), Moment(7));
    let there = |there: bool| {
        let mut plan = named("app", &["a"]);
        if there {
            plan.backends[0].endpoints = vec![Endpoint::Tcp((address, 80).into())];
        }
        plan
    };
    let pool = registry.pool(&there(true), 1);
    registry.host(address).silence(80, 2, true, now, now);
    registry.retain(&[pool]);
    assert!(registry.host(address).is_silent());
    assert_eq!(registry.host(address).silence(81, 2, true, now, now), Silence::Known);
    let pool = registry.pool(&there(false), 1);
    registry.retain(&[pool]);
    assert!(!registry.host(address).is_silent(), "it begins anew");
}
