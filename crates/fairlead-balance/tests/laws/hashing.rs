//! `hash`: the same key, the same backend; and if that can't be, the same other one.

use fairlead_balance::{Pick, Tried};
use fairlead_model::health::Origin;
use fairlead_model::plan::Policy;

use crate::pools::{plan, tried, World};

const KEYS: usize = 20_000;

/// A spread of keys, the same in each call.
fn keys() -> impl Iterator<Item = u64> {
    (0..KEYS as u64).map(|key| fairlead_balance::hash::of(&key.to_le_bytes()))
}

fn homes(world: &mut World, tried: &Tried) -> Vec<usize> {
    let pick = |key| match world.view.pick(Some(key), tried, world.now, &mut world.random) {
        Pick::Backend(slot) => {
            world.pool.backend(slot).end();
            slot.index()
        }
        nobody => panic!("{nobody:?}"),
    };
    keys().map(pick).collect()
}

#[test]
fn two_balancers_send_a_key_to_the_same_backend() {
    let plan = plan(Policy::Hash, &[1, 2, 3, 1, 1]);
    let none = Tried::new();
    assert_eq!(homes(&mut World::of(&plan), &none), homes(&mut World::of(&plan), &none));
}

#[test]
fn one_going_down_moves_its_keys_and_hardly_any_other() {
    let mut world = World::of(&plan(Policy::Hash, &[1; 10]));
    let before = homes(&mut world, &Tried::new());
    world.take_down(3, Origin::Check);
    let after = homes(&mut world, &Tried::new());
    let moved = before.iter().zip(&after).filter(|(old, new)| **old != 3 && old != new).count();
    assert!(moved <= KEYS / 50, "{moved} of {KEYS}");
    (0..2).for_each(|_| drop(world.say(3, Origin::Check, true)));
    assert_eq!(homes(&mut world, &Tried::new()), before, "all are back");
}

#[test]
fn keys_of_a_tried_one_spread_over_all_others_and_always_the_same_way() {
    let mut world = World::of(&plan(Policy::Hash, &[1; 5]));
    let before = homes(&mut world, &Tried::new());
    let again = homes(&mut world, &tried(&[2]));
    assert_eq!(again, homes(&mut world, &tried(&[2])));
    let mut counts = [0; 5];
    for (old, new) in before.iter().zip(&again) {
        assert!(*old == 2 || old == new, "others stay");
        counts[*new] += usize::from(*old == 2);
    }
    assert_eq!(counts[2], 0);
    let mean = counts.iter().sum::<usize>() / 4;
    for index in [0, 1, 3, 4] {
        assert!(counts[index].abs_diff(mean) < mean / 8, "{counts:?}");
    }
}

#[test]
fn the_last_untried_one_is_found() {
    let mut world = World::of(&plan(Policy::Hash, &[256, 256, 256, 1]));
    assert!(homes(&mut world, &tried(&[0, 1, 2])).iter().all(|home| *home == 3));
}

#[test]
fn without_a_key_chance_decides() {
    let mut world = World::of(&plan(Policy::Hash, &[1; 4]));
    let mut counts = [0; 4];
    for _ in 0..4_000 {
        let picked = world.view.pick(None, &Tried::new(), world.now, &mut world.random);
        let Pick::Backend(slot) = picked else { panic!("{picked:?}") };
        world.pool.backend(slot).end();
        counts[slot.index()] += 1;
    }
    assert!(counts.iter().all(|count| (850..1_150).contains(count)), "{counts:?}");
}
