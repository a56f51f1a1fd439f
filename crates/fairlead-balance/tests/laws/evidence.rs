//! Whatever is seen in whatever order: no change without evidence, and no way around the rules.

use std::time::Duration;

use fairlead_balance::Tried;
use fairlead_model::health::{Health, Origin};
use fairlead_model::plan::{CheckKind, Policy};
use proptest::prelude::*;

use crate::pools::{plan, World};

/// What can happen to a backend.
#[derive(Debug, Clone, Copy)]
enum Step {
    Seen(Origin, bool),
    Succeeded,
    Doubt,
    Pick,
    End,
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => any::<bool>().prop_map(|passed| Step::Seen(Origin::Check, passed)),
        2 => Just(Step::Seen(Origin::Traffic, false)),
        1 => Just(Step::Succeeded),
        1 => Just(Step::Doubt),
        1 => Just(Step::Pick),
        1 => Just(Step::End),
        2 => (0_u64..20_000).prop_map(Step::Wait),
    ]
}

/// What the rules need to remember, kept apart from the tracker's own memory.
#[derive(Debug, Default)]
struct Seen {
    check_passes: u32,
    check_failures: u32,
    traffic_failures: u32,
    down_by_check: bool,
}

impl Seen {
    fn note(&mut self, origin: Origin, passed: bool) {
        match (origin, passed) {
            (Origin::Check, true) => {
                (self.check_passes, self.check_failures) = (self.check_passes + 1, 0);
            }
            (Origin::Check, false) => {
                (self.check_passes, self.check_failures) = (0, self.check_failures + 1);
            }
            (Origin::Traffic, true) => self.traffic_failures = 0,
            (Origin::Traffic, false) => self.traffic_failures += 1,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_change_without_evidence_and_no_return_without_proof(
        steps in proptest::collection::vec(step(), 1..200),
        checked in any::<bool>(),
    ) {
        let mut plan = plan(Policy::RoundRobin, &[1]);
        if !checked {
            plan.check.kind = CheckKind::None;
        }
        let mut world = World::of(&plan);
        let rules = world.pool.rules();
        let (mut seen, mut open) = (Seen::default(), 0_u32);
        for step in steps {
            let (before, epoch) = (world.state(0).health(), world.pool.epoch());
            let mut witness = None;
            let change = match step {
                Step::Seen(origin, passed) => {
                    if origin == Origin::Check && !checked {
                        continue;
                    }
                    seen.note(origin, passed);
                    witness = Some(origin);
                    world.say(0, origin, passed)
                }
                Step::Succeeded => {
                    seen.note(Origin::Traffic, true);
                    witness = Some(Origin::Traffic);
                    world.state(0).succeeded(&rules, world.now)
                }
                Step::Doubt => {
                    witness = Some(Origin::Traffic);
                    world.state(0).doubt("connect late", String::new(), world.now)
                }
                Step::Pick => {
                    open += u32::from(world.begin().is_some());
                    None
                }
                Step::End => {
                    if open > 0 {
                        open -= 1;
                        world.state(0).end();
                    }
                    None
                }
                Step::Wait(millis) => {
                    world.wait(Duration::from_millis(millis));
                    None
                }
            };
            let after = world.state(0).health();
            prop_assert_eq!(before != after, change.is_some(), "{:?}", step);
            prop_assert_eq!(world.state(0).active(), open);
            let Some(change) = change else {
                if seen.check_failures >= rules.fall && after == Health::Down {
                    seen.down_by_check = true;
                }
                prop_assert_eq!(world.pool.epoch(), epoch);
                continue;
            };
            prop_assert_eq!((change.from, change.to), (before, after));
            prop_assert_eq!(
                world.pool.epoch() > epoch,
                (before, after) != (Health::Unknown, Health::Healthy),
            );
            let stats = world.state(0).stats(world.now);
            prop_assert_eq!(stats.reason, change.why.clone());
            prop_assert_eq!(stats.since, Some(world.now));
            let origin = if witness == Some(Origin::Check) { "check: " } else { "traffic: " };
            prop_assert!(change.why.starts_with(origin), "{}", change.why);
            if before == Health::Down {
                // One that flaps is suspect first.
                prop_assert!(matches!(after, Health::Healthy | Health::Suspect));
                if checked && seen.down_by_check {
                    prop_assert!(witness == Some(Origin::Check) && seen.check_passes >= rules.rise);
                }
            }
            if after == Health::Down {
                let enough = seen.check_failures >= rules.fall || seen.traffic_failures >= rules.fall;
                prop_assert!(enough, "{seen:?}");
            }
            seen.down_by_check = after == Health::Down && witness == Some(Origin::Check);
        }
        (0..open).for_each(|_| world.state(0).end());
        prop_assert_eq!(world.state(0).active(), 0);
    }

    #[test]
    fn nothing_is_disabled_for_good(
        steps in proptest::collection::vec(step(), 1..100),
        checked in any::<bool>(),
    ) {
        let mut plan = plan(Policy::RoundRobin, &[1]);
        if !checked {
            plan.check.kind = CheckKind::None;
        }
        let mut world = World::of(&plan);
        let rules = world.pool.rules();
        for step in steps {
            match step {
                Step::Seen(Origin::Check, _) if !checked => {}
                Step::Seen(origin, passed) => drop(world.say(0, origin, passed)),
                Step::Succeeded => drop(world.state(0).succeeded(&rules, world.now)),
                Step::Doubt => drop(world.state(0).doubt("late", String::new(), world.now)),
                Step::Pick => drop(world.touch()),
                Step::End => {}
                Step::Wait(millis) => world.wait(Duration::from_millis(millis)),
            }
        }
        // The backend is well from here on; a minute and a half of it must be enough.
        for _ in 0..90 {
            world.wait(Duration::from_secs(1));
            if checked {
                world.say(0, Origin::Check, true);
            }
            if world.begin().is_some() {
                world.state(0).succeeded(&rules, world.now);
                world.state(0).end();
            }
        }
        prop_assert_eq!(world.state(0).health(), Health::Healthy);
        prop_assert!(world.view.pick(None, &Tried::new(), world.now, &mut world.random)
            == fairlead_balance::Pick::Backend(fairlead_model::backend::Slot(0)));
    }
}

#[test]
fn a_request_that_goes_well_has_nothing_to_say_while_all_is_well() {
    let world = World::of(&plan(Policy::RoundRobin, &[1]));
    let rules = world.pool.rules();
    let first = world.state(0).succeeded(&rules, world.now).expect("it was unknown");
    assert_eq!((first.to, first.why.as_str()), (Health::Healthy, "traffic: answered, 1 in a row"));
    assert_eq!(world.state(0).succeeded(&rules, world.now), None);
}

#[test]
fn one_chain_of_probes_at_a_time() {
    let world = World::of(&plan(Policy::RoundRobin, &[1]));
    assert!(world.state(0).claim_probe());
    assert!(!world.state(0).claim_probe());
    world.state(0).release_probe();
    assert!(world.state(0).claim_probe());
}
