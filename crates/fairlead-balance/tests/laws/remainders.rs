//! `hash_table = "modulo"` and `"fixed"`: a key's place depends on the configuration alone.

use fairlead_balance::{Pick, Tried};
use fairlead_model::backend::{Slot, Wish};
use fairlead_model::health::Origin;
use fairlead_model::plan::{CheckKind, GroupPlan, HashTable, Policy, PoolPlan};

use crate::pools::{plan, tried, World};

fn hashed(table: HashTable, weights: &[u16]) -> PoolPlan {
    PoolPlan { hash_table: table, ..plan(Policy::Hash, weights) }
}

impl World {
    fn pick_for(&mut self, key: u64, tried: &Tried) -> Pick {
        let pick = self.view.pick(Some(key), tried, self.now, &mut self.random);
        if let Pick::Backend(slot) = pick {
            self.state(slot.index()).end();
        }
        pick
    }

    fn places(&mut self, keys: std::ops::Range<u64>) -> Vec<Option<usize>> {
        let index = |pick| match pick {
            Pick::Backend(Slot(index)) => Some(index as usize),
            Pick::Saturated | Pick::Nobody => None,
        };
        keys.map(|key| index(self.pick_for(key, &Tried::new()))).collect()
    }
}

#[test]
fn a_key_goes_to_its_remainder() {
    for table in [HashTable::Modulo, HashTable::Fixed] {
        let mut world = World::of(&hashed(table, &[1, 1, 1]));
        assert_eq!(world.places(0..6), [0, 1, 2, 0, 1, 2].map(Some));
        let mut world = World::of(&hashed(table, &[4, 2, 0]));
        assert_eq!(world.places(0..6), [0, 0, 1, 0, 0, 1].map(Some), "weights are places");
    }
}

#[test]
fn only_the_keys_of_who_is_away_move_and_they_come_back() {
    let mut world = World::of(&hashed(HashTable::Modulo, &[1, 1, 1]));
    world.state(1).set_wish(Wish::Disabled);
    assert_eq!(world.places(0..6), [0, 2, 2, 0, 2, 2].map(Some), "the next in order stands in");
    world.take_down(2, Origin::Check);
    assert_eq!(world.places(0..3), [0, 0, 0].map(Some), "around the end");
    world.state(1).set_wish(Wish::Enabled);
    assert_eq!(world.places(0..3), [0, 1, 0].map(Some));
}

#[test]
fn a_suspect_is_passed_over_while_somebody_else_is_well() {
    let mut world = World::of(&hashed(HashTable::Modulo, &[1, 1]));
    world.say(0, Origin::Check, false);
    assert_eq!(world.places(0..2), [1, 1].map(Some));
    world.say(1, Origin::Check, false);
    assert_eq!(world.places(0..2), [0, 1].map(Some));
}

#[test]
fn nobody_stands_in_where_the_table_is_fixed() {
    let mut world = World::of(&hashed(HashTable::Fixed, &[1, 1, 1]));
    world.state(1).set_wish(Wish::Disabled);
    assert_eq!(world.places(0..3), [Some(0), None, Some(2)]);
    assert_eq!(world.pick_for(1, &Tried::new()), Pick::Nobody, "and nobody is full");
    assert_eq!(world.pick_for(2, &tried(&[2])), Pick::Nobody);
}

#[test]
fn a_full_one_says_so_where_the_table_is_fixed() {
    let mut limited = hashed(HashTable::Fixed, &[1, 1]);
    limited.backends[0].max_connections = Some(1);
    let mut world = World::of(&limited);
    assert!(world.state(0).try_begin(Some(1)));
    assert_eq!(world.pick_for(0, &Tried::new()), Pick::Saturated);
    assert_eq!(world.pick_for(1, &Tried::new()), Pick::Backend(Slot(1)));
    world.state(0).end();
}

#[test]
fn the_next_group_is_asked_with_a_policy_of_its_own() {
    let mut grouped = hashed(HashTable::Fixed, &[1, 1, 1, 1]);
    grouped.backends[2].group = 1;
    grouped.backends[3].group = 1;
    grouped.groups = vec![GroupPlan { group: 1, policy: Policy::RoundRobin }];
    let mut world = World::of(&grouped);
    assert_eq!(world.places(0..4), [0, 1, 0, 1].map(Some));
    world.take_down(0, Origin::Check);
    assert_eq!(world.places(0..4), [2, 1, 3, 1].map(Some), "in turn, whatever the key");
}

#[test]
fn a_trial_is_made_with_a_key_of_ones_own() {
    for table in [HashTable::Modulo, HashTable::Fixed] {
        let mut plan = hashed(table, &[1, 1]);
        plan.check.kind = CheckKind::None;
        let mut world = World::of(&plan);
        world.take_down(0, Origin::Traffic);
        world.wait(std::time::Duration::from_secs(1));
        assert_eq!(world.pick_for(1, &Tried::new()), Pick::Backend(Slot(1)), "{table:?}");
        assert_eq!(world.pick_for(0, &Tried::new()), Pick::Backend(Slot(0)), "{table:?}");
    }
}
