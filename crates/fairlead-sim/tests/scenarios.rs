//! What `fairlead simulate` plays: scenarios on a configured pool, and what clients see of them.

use std::time::Duration;

use fairlead_model::plan::{CheckKind, Millis, Plan, PythonPlan};
use fairlead_sim::scenario::{play, Scenario, Seen};
use fairlead_sim::{Setting, Trouble};

/// Three backends with an http check, all other options at their defaults.
fn plan() -> Plan {
    Setting::quiet(Duration::from_millis(5), Duration::from_secs(1), (1, "GET"), 0).plan
}

/// The same, checked by connects, and not checked at all.
fn seeing_less() -> [Plan; 2] {
    [CheckKind::Tcp, CheckKind::None].map(|kind| {
        let mut plan = plan();
        plan.pools[0].check.kind = kind;
        plan
    })
}

fn seen(fault: Option<Trouble>, flaps: Option<Duration>) -> Seen {
    seen_of(&plan(), 5, fault, flaps)
}

fn seen_of(plan: &Plan, seeds: u64, fault: Option<Trouble>, flaps: Option<Duration>) -> Seen {
    let mut all = Seen::default();
    for seed in 0..seeds {
        let scenario =
            Scenario { backend: Some(1), fault, flaps, seed, ..Scenario::of(plan.clone()) };
        all.add(play(&scenario).expect("it can be played"));
    }
    all
}

#[test]
fn without_a_fault_nobody_notices_anything() {
    let [tcp, none] = seeing_less();
    for (plan, seeds) in [(plan(), 5), (tcp, 2), (none, 2)] {
        let seen = seen_of(&plan, seeds, None, None);
        assert!(seen.requests > 1_000 * seeds as usize, "{seen:?}");
        assert_eq!((seen.failed, seen.late, seen.trouble), (0, 0, None), "{seen:?}");
    }
}

/// The simulator has a policy of its own for that, which tests the asking and not the pool.
#[test]
fn a_policy_in_python_is_not_asked() {
    let mut asking = plan();
    asking.pools[0].python =
        Some(PythonPlan { name: "sticky:pick".to_owned(), timeout: Millis(50), body_prefix: 0 });
    let seen = |plan| {
        let fault = Some(Trouble::Frozen);
        play(&Scenario { backend: Some(1), fault, ..Scenario::of(plan) }).expect("it can be played")
    };
    assert_eq!(seen(asking), seen(plan()));
}

const FAULTS: [Trouble; 12] = [
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
];

#[test]
fn no_fault_of_one_costs_a_request_that_may_be_repeated() {
    for fault in FAULTS {
        let seen = seen(Some(fault), None);
        assert_eq!(seen.failed, seen.failed_posts, "{fault:?}: {seen:?}");
        assert!(
            seen.trouble.is_none_or(|time| time < Duration::from_secs(11)),
            "{fault:?}: {seen:?}"
        );
        assert!(seen.back.is_some_and(|time| time < Duration::from_secs(9)), "{fault:?}: {seen:?}");
    }
}

/// What traffic shows has to do where the check only connects, or where there is none.
#[test]
fn nor_does_it_where_a_check_sees_less_or_there_is_none() {
    for plan in seeing_less() {
        let kind = &plan.pools[0].check.kind;
        for fault in FAULTS {
            let seen = seen_of(&plan, 3, Some(fault), None);
            let what = format!("{kind:?} {fault:?}: {seen:?}");
            assert_eq!(seen.failed, seen.failed_posts, "{what}");
            assert!(seen.back.is_some_and(|time| time < Duration::from_secs(15)), "{what}");
        }
    }
}

/// The faults that a check page doesn't show.
#[test]
fn who_is_well_again_is_in_use_within_a_second_and_a_half() {
    for (fault, method, rates) in [
        (Trouble::Errs, &["GET"], &[20, 100, 1_000][..]),
        (Trouble::Errs, &["PUT"], &[20, 100, 1_000]),
        (Trouble::Lags(2_000), &["GET"], &[20, 100, 1_000]),
        (Trouble::Lags(2_000), &["PUT"], &[100]),
    ] {
        for (rate, seed) in rates.iter().flat_map(|rate| (0..3).map(move |seed| (*rate, seed))) {
            let scenario = Scenario {
                backend: Some(1),
                fault: Some(fault),
                lasts: Duration::from_secs(12),
                rate,
                methods: method,
                usual: Duration::from_millis(2),
                seed,
                ..Scenario::of(plan())
            };
            let seen = play(&scenario).expect("it can be played");
            let what = format!("{fault:?} {method:?} {rate}/s, seed {seed}: {seen:?}");
            assert_eq!(seen.failed, 0, "{what}");
            assert!(seen.late <= 5, "{what}");
            let limit = Duration::from_millis(1_500);
            assert!(seen.restored.is_some_and(|time| time <= limit), "{what}");
        }
    }
}

/// What has begun can't be taken back, so it has to be learnt from.
#[test]
fn answers_that_break_off_are_learnt_within_ten_and_hardly_asked_for_again() {
    for seed in 0..5 {
        let scenario = Scenario {
            backend: Some(1),
            fault: Some(Trouble::Cuts),
            lasts: Duration::from_secs(30),
            rate: 100,
            methods: &["GET"],
            seed,
            ..Scenario::of(plan())
        };
        let seen = play(&scenario).expect("it can be played");
        assert!(seen.failed > 0 && seen.failed <= 10 + 5, "seed {seed}: {seen:?}");
    }
}

/// A check page that is quick must not give back its share to one that answers POSTs late: each
/// that tries it pays for that, so there are few, and fewer each time.
#[test]
fn where_only_posts_come_few_try_one_that_is_late() {
    for seed in 0..3 {
        let scenario = Scenario {
            backend: Some(1),
            fault: Some(Trouble::Lags(2_000)),
            lasts: Duration::from_secs(60),
            rate: 50,
            methods: &["POST"],
            seed,
            ..Scenario::of(plan())
        };
        let seen = play(&scenario).expect("it can be played");
        assert_eq!(seen.failed, 0, "seed {seed}: {seen:?}");
        assert!((1..30).contains(&seen.late), "seed {seed}: {seen:?}");
    }
}

#[test]
fn all_gone_at_once_fails_and_ends_with_the_fault() {
    let fault = Some(Trouble::Killed { by_reset: true });
    let scenario = Scenario { fault, seed: 1, ..Scenario::of(plan()) };
    let seen = play(&scenario).expect("it can be played");
    assert!(seen.failed > 300, "{seen:?}");
    assert!(seen.trouble.is_some_and(|time| time < Duration::from_secs(13)), "{seen:?}");
}

#[test]
fn what_can_not_be_played_is_said() {
    let scenario = Scenario { backend: Some(3), ..Scenario::of(plan()) };
    assert_eq!(play(&scenario), Err("no such backend".to_owned()));
    assert_eq!(play(&Scenario { pool: 1, ..scenario }), Err("no such pool".to_owned()));
}
