use fairlead_model::backend::Endpoint;
use fairlead_model::health::{Evidence, Health, Origin};
use fairlead_model::moment::Moment;
use fairlead_model::plan::{CheckKind, CheckPlan, HashOn, Millis, Policy, PoolTimeouts, RetryPlan};

use super::*;

fn backend(address: &str) -> BackendPlan {
    BackendPlan {
        address: address.to_owned(),
        endpoints: vec![Endpoint::Unix(address.to_owned())],
        weight: 1,
        group: 0,
        max_connections: None,
        state: Wish::Enabled,
    }
}

fn plan(name: &str, addresses: &[&str]) -> PoolPlan {
    let none = Millis(0);
    PoolPlan {
        name: name.to_owned(),
        policy: Policy::RoundRobin,
        hash_on: HashOn::SourceIp,
        backends: addresses.iter().map(|address| backend(address)).collect(),
        check: CheckPlan {
            kind: CheckKind::Tcp,
            interval: none,
            fast_interval: none,
            timeout: none,
            rise: 2,
            fall: 1,
        },
        timeouts: PoolTimeouts { connect: none, response: none, idle: none, keepalive: none },
        source: None,
        retry: RetryPlan { attempts: 3, same_backend: 1, delay: none, hedge: false, budget: 0 },
    }
}

fn take_down(pool: &Pool, index: usize) {
    let evidence = Evidence {
        origin: Origin::Check,
        passed: false,
        what: "connect refused",
        detail: String::new(),
    };
    pool.backends()[index].observe(&evidence, &pool.rules(), Moment::ZERO);
    assert_eq!(pool.backends()[index].health(), Health::Down);
}

#[test]
fn what_stays_keeps_its_state_and_what_comes_is_new() {
    let mut registry = Registry::new();
    let before = registry.pool(&plan("app", &["a", "b"]), 2);
    take_down(&before, 1);
    assert!(before.backends()[1].try_begin(None));
    let after = registry.pool(&plan("app", &["b", "c"]), 2);
    assert!(Arc::ptr_eq(&before.backends()[1], &after.backends()[0]));
    assert_eq!((after.backends()[0].health(), after.backends()[0].active()), (Health::Down, 1));
    assert_eq!(after.backends()[1].health(), Health::Unknown);
}

#[test]
fn the_same_address_in_another_pool_is_another_backend() {
    let mut registry = Registry::new();
    let app = registry.pool(&plan("app", &["a"]), 1);
    take_down(&app, 0);
    assert_eq!(registry.pool(&plan("api", &["a"]), 1).backends()[0].health(), Health::Unknown);
}

#[test]
fn an_unchanged_plan_leaves_the_operators_wishes_alone() {
    let mut registry = Registry::new();
    let plan = plan("app", &["a"]);
    let state = Arc::clone(&registry.pool(&plan, 1).backends()[0]);
    state.set_wish(Wish::Draining);
    state.set_weight(7);
    registry.pool(&plan, 1);
    assert_eq!((state.wish(), state.weight()), (Wish::Draining, 7));
}

#[test]
fn a_changed_plan_is_followed_and_moves_the_epoch() {
    let mut registry = Registry::new();
    let mut plan = plan("app", &["a"]);
    let pool = registry.pool(&plan, 1);
    let epoch = pool.epoch();
    plan.backends[0].weight = 3;
    plan.backends[0].state = Wish::Disabled;
    registry.pool(&plan, 1);
    let state = &pool.backends()[0];
    assert_eq!((state.wish(), state.weight()), (Wish::Disabled, 3));
    assert!(pool.epoch() > epoch);
}

#[test]
fn an_endpoint_that_the_plan_no_longer_has_is_not_remembered() {
    let mut registry = Registry::new();
    let mut plan = plan("app", &["a"]);
    plan.backends[0].endpoints.push(Endpoint::Unix("second".to_owned()));
    let state = Arc::clone(&registry.pool(&plan, 1).backends()[0]);
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
    registry.pool(&plan("app", &["a", "b"]), 1);
    registry.pool(&plan("old", &["a"]), 1);
    let app = registry.pool(&plan("app", &["b"]), 1);
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
    take_down(&registry.pool(&plan("app", &["a", "b"]), 1), 0);
    let without = registry.pool(&plan("app", &["b"]), 1);
    registry.retain(&[without]);
    let again = registry.pool(&plan("app", &["a", "b"]), 1);
    assert_eq!(again.backends()[0].health(), Health::Unknown);
}
