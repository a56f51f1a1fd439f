//! What `fairlead simulate` plays: scenarios on a configured pool, and what clients see of them.

use std::time::Duration;

use fairlead_model::plan::Plan;
use fairlead_sim::scenario::{play, Scenario, Seen};
use fairlead_sim::{Setting, Trouble};

/// Three backends, all options at their defaults.
fn plan() -> Plan {
    Setting::quiet(Duration::from_millis(5), Duration::from_secs(1), 1, 0).plan
}

fn seen(fault: Option<Trouble>, flaps: Option<Duration>) -> Seen {
    let mut all = Seen::default();
    for seed in 0..5 {
        let scenario = Scenario {
            plan: plan(),
            pool: 0,
            backend: Some(1),
            fault,
            flaps,
            lasts: Duration::from_secs(10),
            rate: 50,
            usual: Duration::from_millis(5),
            seed,
        };
        all.add(play(&scenario).expect("it can be played"));
    }
    all
}

#[test]
fn without_a_fault_nobody_notices_anything() {
    let seen = seen(None, None);
    assert!(seen.requests > 5_000, "{seen:?}");
    assert_eq!((seen.failed, seen.late, seen.trouble), (0, 0, None), "{seen:?}");
}

#[test]
fn no_fault_of_one_costs_a_request_that_may_be_repeated() {
    for fault in [
        Trouble::Killed { by_reset: true },
        Trouble::Swallows,
        Trouble::SwallowsIn,
        Trouble::PowerLoss,
        Trouble::Frozen,
        Trouble::Slow(200),
        Trouble::Sick,
        Trouble::Loses(300),
        Trouble::LosesLarge,
        Trouble::LosesWays,
        Trouble::Closes,
        Trouble::Errs,
    ] {
        let seen = seen(Some(fault), None);
        assert_eq!(seen.failed, seen.failed_posts, "{fault:?}: {seen:?}");
        assert!(
            seen.trouble.is_none_or(|time| time < Duration::from_secs(11)),
            "{fault:?}: {seen:?}"
        );
        assert!(seen.back.is_some_and(|time| time < Duration::from_secs(9)), "{fault:?}: {seen:?}");
    }
}

#[test]
fn all_gone_at_once_fails_and_ends_with_the_fault() {
    let scenario = Scenario {
        plan: plan(),
        pool: 0,
        backend: None,
        fault: Some(Trouble::Killed { by_reset: true }),
        flaps: None,
        lasts: Duration::from_secs(10),
        rate: 50,
        usual: Duration::from_millis(5),
        seed: 1,
    };
    let seen = play(&scenario).expect("it can be played");
    assert!(seen.failed > 300, "{seen:?}");
    assert!(seen.trouble.is_some_and(|time| time < Duration::from_secs(13)), "{seen:?}");
}

#[test]
fn what_can_not_be_played_is_said() {
    let scenario = Scenario {
        plan: plan(),
        pool: 0,
        backend: Some(3),
        fault: None,
        flaps: None,
        lasts: Duration::from_secs(1),
        rate: 1,
        usual: Duration::from_millis(1),
        seed: 0,
    };
    assert_eq!(play(&scenario), Err("no such backend".to_owned()));
    assert_eq!(play(&Scenario { pool: 1, ..scenario }), Err("no such pool".to_owned()));
}
