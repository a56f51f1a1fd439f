//! Outliers: who answers worse than the others is taken out, whoever answers like the others
//! isn't, and traffic never takes out more of a group than the floor allows.

use std::time::Duration;

use fairlead_balance::outlier::against;
use fairlead_balance::Random;
use fairlead_model::backend::Slot;
use fairlead_model::health::{Health, Misdeed, Origin};
use fairlead_model::plan::{CheckKind, OutlierPlan, Policy, PoolPlan};
use fairlead_model::reason::Reason;
use proptest::prelude::*;

use crate::pools::{plan, World};

const MS: Duration = Duration::from_millis(1);

/// How many bad ones it takes at most, every other one, of one of so many.
const MOST: [(usize, u32); 4] = [(2, 8), (3, 7), (5, 7), (20, 7)];

/// A pool under traffic: each backend with how often it answers badly, and how long it takes.
struct Traffic {
    world: World,
    chance: Random,
    bad: Vec<f64>,
    took: Vec<Duration>,
    /// Answers, and bad ones, that each gave.
    answers: Vec<u32>,
    bads: Vec<u32>,
}

impl Traffic {
    fn of(plan: &PoolPlan) -> Traffic {
        let count = plan.backends.len();
        Traffic {
            world: World::of(plan),
            chance: Random::new(3),
            bad: vec![0.0; count],
            took: vec![MS * 5; count],
            answers: vec![0; count],
            bads: vec![0; count],
        }
    }

    fn new(count: usize) -> Traffic {
        Traffic::of(&plan(Policy::RoundRobin, &vec![1; count]))
    }

    /// Makes requests, one each `pause`.
    fn run(&mut self, requests: usize, pause: Duration) {
        for _ in 0..requests {
            self.world.wait(pause);
            if let Some(index) = self.world.begin() {
                self.answer(index);
            }
        }
    }

    /// Until it is down, or so often: every other answer of one is bad. How many that were.
    fn every_other(&mut self, index: usize, most: u32) -> u32 {
        let before = self.bads[index];
        while self.health(index) != Health::Down && self.bads[index] - before < most {
            self.bad[index] = f64::from((self.answers[index] + 1) % 2);
            self.run(1, MS * 10);
        }
        self.bad[index] = 0.0;
        self.bads[index] - before
    }

    /// From now on every other answer of one of them is bad, and so many are enough.
    fn is_learnt_within(&mut self, most: u32) {
        let (count, bads) = (self.answers.len(), self.every_other(1, 20));
        assert_eq!(self.health(1), Health::Down, "{count}: {bads}");
        assert!(bads <= most, "{count}: {bads}");
    }

    fn answer(&mut self, index: usize) {
        let (now, took) = (self.world.now, self.took[index]);
        let pool = std::sync::Arc::clone(&self.world.pool);
        let (state, slot) = (pool.backend(Slot(index as u32)), Slot(index as u32));
        state.latency_took(took, now);
        let _ = pool.slow(slot, took, now + took);
        self.answers[index] += 1;
        if (self.chance.below(1_000) as f64) < self.bad[index] * 1_000.0 {
            self.bads[index] += 1;
            let _ = pool.bad(slot, Misdeed::Error, "a server error", now);
        } else {
            let _ = state.succeeded(&pool.rules(), now);
        }
        state.shard(0).add_request(took);
        state.end();
    }

    fn health(&self, index: usize) -> Health {
        self.world.state(index).health()
    }

    fn down(&self) -> usize {
        (0..self.answers.len()).filter(|index| self.health(*index) == Health::Down).count()
    }
}

#[test]
fn every_other_answer_an_error_is_learnt_within_ten() {
    for count in [2, 3, 5, 20] {
        let mut traffic = Traffic::new(count);
        traffic.run(count * 20, MS * 10);
        traffic.bad[1] = 0.5;
        while traffic.health(1) != Health::Down {
            traffic.run(1, MS * 10);
            assert!(traffic.bads[1] <= 10, "{count}");
        }
        let why = traffic.world.state(1).stats(traffic.world.now).reason;
        assert!(why.contains("ejected") && why.contains("a server error"), "{why}");
    }
}

/// As POSTs show it, which nobody else can be asked about: seven or eight, depending on how many
/// others there are.
#[test]
fn where_all_went_well_it_is_learnt_from_the_first_bad_answers() {
    for (count, most) in MOST {
        for again in [0, 1] {
            let mut traffic = Traffic::new(count);
            traffic.run(count * 10_000, MS * 10);
            if again == 1 {
                // What it did a minute ago makes no difference.
                traffic.every_other(1, 2);
                traffic.run(count * 3_000, MS * 10);
            }
            traffic.is_learnt_within(most);
        }
    }
}

/// What a new pool is made of knows the time as little as a new process does.
#[test]
fn after_a_reload_late_in_life_it_is_learnt_as_soon() {
    for (count, most) in MOST {
        let plan = plan(Policy::RoundRobin, &vec![1; count]);
        let mut traffic = Traffic::of(&plan);
        traffic.world.wait(MS * 1_000 * 3_600 * 24);
        traffic.run(count * 1_000, MS * 10);
        traffic.world.reload(&plan);
        traffic.run(count * 1_000, MS * 10);
        traffic.is_learnt_within(most);
    }
}

/// An outage of all of them: what one of them still answers when it is out is an error, too.
#[test]
fn late_errors_of_one_that_is_out_are_not_good_answers_of_the_others() {
    let mut traffic = Traffic::new(4);
    (0..40).for_each(|_| (0..4).for_each(|index| traffic.answer_alone(index)));
    let (pool, now) = (std::sync::Arc::clone(&traffic.world.pool), traffic.world.now);
    let error = |index: u32| {
        let change = pool.bad(Slot(index), Misdeed::Error, "a server error", now);
        pool.backend(Slot(index)).shard(0).add_request(MS);
        change
    };
    (0..20).for_each(|_| drop(error(0)));
    assert_eq!(traffic.health(0), Health::Down);
    let _ = error(1);
    (0..40).for_each(|_| drop(error(0)));
    [2, 3].repeat(3).into_iter().for_each(|index| drop(error(index)));
    for nth in 2..=8 {
        let change = error(1);
        assert_eq!(change, None, "the {nth}th of all its last, and so are the others'");
    }
}

/// Many were on their way when its process was killed: they fail one after the other, also when it
/// is out already, and it is back a few seconds later.
#[test]
fn late_errors_of_one_that_has_fallen_are_not_held_against_it_once_it_is_back() {
    let mut traffic = Traffic::new(2);
    traffic.run(400, MS * 10);
    for _ in 0..23 {
        traffic.world.state(1).shard(0).add_failure(Reason::BackendReset);
        let seen = ("connection reset", "");
        let _ = traffic.world.pool.wrong(Slot(1), Misdeed::Error, seen, traffic.world.now);
    }
    assert_eq!(traffic.health(1), Health::Down);
    (0..5).for_each(|_| drop(traffic.world.say(1, Origin::Check, true)));
    let fell = traffic.world.now;
    while traffic.health(1) == Health::Down {
        traffic.run(1, MS * 10);
    }
    assert!(traffic.world.now.since(fell) < MS * 9_000, "{:?}", traffic.world.now.since(fell));
    let error = traffic.world.pool.bad(Slot(1), Misdeed::Error, "an error", traffic.world.now);
    assert_eq!(error, None);
}

/// The others' good answers of before are no argument once they answer badly, too. As each looks
/// at its own first bad one, that is where chance has its best time: less than once in a hundred.
#[test]
fn errors_that_begin_everywhere_at_once_are_hardly_ever_somebodys() {
    for count in [2, 3, 5] {
        for share in [0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1.0] {
            let mut out = Vec::new();
            for seed in 0..100 {
                let mut traffic = Traffic::new(count);
                traffic.chance = Random::new(seed);
                traffic.run(count * 200, MS * 200);
                traffic.bad = vec![share; count];
                traffic.run(count * 100, MS * 10);
                let ill = (0..count).filter(|index| traffic.health(*index) == Health::Down);
                let why = |index| traffic.world.state(index).stats(traffic.world.now).reason;
                out.extend(ill.map(why));
            }
            assert!(out.len() <= 1, "of 100 among {count} at {share}: {out:#?}");
        }
    }
}

#[test]
fn troubles_that_are_over_are_not_held_against_it() {
    let mut traffic = Traffic::new(2);
    for _ in 0..14 {
        let _ =
            traffic.world.pool.bad(Slot(1), Misdeed::Error, "a server error", traffic.world.now);
    }
    traffic.run(100, MS * 400);
    traffic.bad[1] = 1.0;
    while traffic.bads[1] == 0 {
        traffic.run(1, MS * 400);
    }
    assert_eq!(traffic.health(1), Health::Healthy, "one error in 40 s");
}

#[test]
fn afterwards_it_gets_under_a_tenth_of_the_traffic() {
    let mut traffic = Traffic::new(2);
    traffic.bad[1] = 0.5;
    traffic.run(100, MS * 10);
    traffic.answers = vec![0; 2];
    traffic.run(12_000, MS * 10);
    let share = f64::from(traffic.answers[1]) / f64::from(traffic.answers[0]);
    assert!(share < 0.1, "{:?}", traffic.answers);
    traffic.bad[1] = 0.0;
    traffic.run(6_500, MS * 10);
    assert_eq!(traffic.health(1), Health::Healthy, "and comes back within a minute");
}

#[test]
fn errors_that_all_have_alike_are_nobodys() {
    for share in [0.05, 0.3, 1.0] {
        let mut traffic = Traffic::new(4);
        traffic.bad = vec![share; 4];
        traffic.run(20_000, MS);
        assert_eq!(traffic.down(), 0, "{share}");
    }
}

#[test]
fn one_that_fails_alone_is_out_if_others_are_known_to_do_well() {
    let mut traffic = Traffic::new(2);
    traffic.bad[0] = 1.0;
    // Nothing at all is known of the other one yet.
    for _ in 0..50 {
        traffic.answer_alone(0);
    }
    assert_eq!(traffic.down(), 0);
    traffic.bad[0] = 1.0;
    traffic.run(60, MS);
    assert_eq!(traffic.health(0), Health::Down);
}

impl Traffic {
    fn answer_alone(&mut self, index: usize) {
        assert!(self.world.state(index).try_begin(None));
        self.answer(index);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn traffic_never_takes_out_more_than_the_floor_allows(
        count in 1_usize..9,
        max_ejected in 0_u32..=10_000,
        shares in proptest::collection::vec(0.0_f64..1.0, 9),
        slow in proptest::collection::vec(any::<bool>(), 9),
        has_check in any::<bool>(),
    ) {
        let mut plan = plan(Policy::RoundRobin, &vec![1; count]);
        plan.outlier = OutlierPlan { max_ejected, latency: true };
        if !has_check {
            plan.check.kind = CheckKind::None;
        }
        let most = count * max_ejected as usize / 10_000;
        let mut traffic = Traffic::of(&plan);
        traffic.bad = shares[..count].to_vec();
        let took = |slow: &bool| if *slow { MS * 2_000 } else { MS * 5 };
        traffic.took = slow[..count].iter().map(took).collect();
        for _ in 0..300 {
            traffic.run(10, MS * 20);
            prop_assert!(traffic.down() <= most, "{} of {count} at {max_ejected}", traffic.down());
        }
        // Failures, silence and wrong answers of everybody don't either.
        for index in (0..count).cycle().take(count * 12) {
            let (slot, now) = (Slot(index as u32), traffic.world.now);
            let pool = &traffic.world.pool;
            let _ = pool.failed(slot, &against("connection refused", String::new()), now);
            let _ = pool.silent(slot, "no answer", String::new(), now);
            let _ = pool.wrong(slot, Misdeed::Error, ("wrong answer", ""), now);
            prop_assert!(traffic.down() <= most, "{} of {count} at {max_ejected}", traffic.down());
        }
    }
}

#[test]
fn a_check_has_no_floor() {
    let mut plan = plan(Policy::RoundRobin, &[1; 3]);
    plan.outlier.max_ejected = 0;
    let traffic = Traffic::of(&plan);
    (0..3).for_each(|index| traffic.world.take_down(index, Origin::Check));
    assert_eq!(traffic.down(), 3);
}

#[test]
fn wrong_answers_beyond_the_floor_leave_a_backend_where_it_is() {
    let traffic = Traffic::new(4);
    for index in 0..4 {
        let (slot, now) = (Slot(index), traffic.world.now);
        let _ = traffic.world.pool.wrong(slot, Misdeed::Error, ("wrong answer", ""), now);
    }
    let suspects = (0..4).filter(|index| traffic.health(*index) == Health::Suspect).count();
    assert_eq!(suspects, 2, "half of the group goes on as before");
}

#[test]
fn a_slow_one_is_out_and_comes_back_when_it_is_fast_again() {
    for count in [2, 3, 10] {
        let mut traffic = Traffic::new(count);
        traffic.run(count * 50, MS * 10);
        traffic.took[1] = MS * 2_000;
        traffic.run(count * 100, MS * 20);
        assert_eq!(traffic.health(1), Health::Down, "{count}");
        let why = traffic.world.state(1).stats(traffic.world.now).reason;
        assert!(why.contains("were slow"), "{why}");
        (0..5).for_each(|_| drop(traffic.world.say(1, Origin::Check, true)));
        assert_eq!(traffic.health(1), Health::Down, "passes alone don't overrule traffic");
        traffic.run(1_000, MS * 20);
        assert_eq!(traffic.health(1), Health::Down, "its trials are slow");
        traffic.took[1] = MS * 5;
        traffic.run(4_000, MS * 20);
        assert_eq!(traffic.health(1), Health::Healthy);
    }
}

/// What was sent before it was distrusted is answered at last, all of it late: that is known.
#[test]
fn late_answers_of_one_that_is_distrusted_do_not_take_it_down() {
    let mut traffic = Traffic::new(2);
    traffic.run(4_000, MS * 10);
    let (pool, now) = (std::sync::Arc::clone(&traffic.world.pool), traffic.world.now);
    let _ = traffic.world.state(1).overdue("no answer", "for 201 ms".to_owned(), now);
    for _ in 0..13 {
        traffic.world.wait(MS * 120);
        (0..5).for_each(|_| traffic.answer_alone(0));
        let _ = pool.slow(Slot(1), MS * 2_000, traffic.world.now);
        traffic.world.state(1).shard(0).add_request(MS * 2_000);
    }
    assert_eq!(traffic.health(1), Health::Suspect);
}

#[test]
fn a_slow_answer_is_no_trial_that_went_well() {
    for fall in [1, 100] {
        let mut plan = plan(Policy::RoundRobin, &[1; 3]);
        plan.check.fall = fall;
        let mut traffic = Traffic::of(&plan);
        traffic.run(300, MS * 10);
        let (pool, now) = (std::sync::Arc::clone(&traffic.world.pool), traffic.world.now);
        let _ = pool.silent(Slot(1), "no answer", String::new(), now);
        let ill = traffic.health(1);
        traffic.took[1] = MS * 2_000;
        traffic.answers[1] = 0;
        traffic.run(4_000, MS * 10);
        assert_eq!(traffic.health(1), ill, "its trials are slow");
        assert!((3..9).contains(&traffic.answers[1]), "{}", traffic.answers[1]);
        traffic.took[1] = MS * 5;
        traffic.run(7_000, MS * 10);
        assert_eq!(traffic.health(1), Health::Healthy);
    }
}

#[test]
fn all_slow_at_once_is_nobodys_fault() {
    for pause in [MS, MS * 20, MS * 300] {
        let mut traffic = Traffic::new(3);
        traffic.run(300, pause);
        traffic.took = vec![MS * 2_000; 3];
        traffic.run(2_000, pause);
        assert_eq!(traffic.down(), 0, "{pause:?}");
    }
}

#[test]
fn a_pause_of_300_ms_takes_nobody_out() {
    for pause in [MS / 4, MS, MS * 10, MS * 100] {
        let mut traffic = Traffic::new(2);
        for _ in 0..40 {
            traffic.run(2_000, pause);
            traffic.took[0] = MS * 200;
            traffic.run((MS * 300).as_nanos() as usize / pause.as_nanos() as usize, pause);
            traffic.took[0] = MS * 5;
            assert_eq!(traffic.down(), 0, "{pause:?}");
        }
    }
}

#[test]
fn twice_as_slow_or_a_little_slow_is_not_slow() {
    for (own, others) in [(99, 1), (300, 150), (900, 400)] {
        let mut traffic = Traffic::new(3);
        traffic.took = vec![MS * others; 3];
        traffic.took[0] = MS * own;
        traffic.run(5_000, MS * 10);
        assert_eq!(traffic.down(), 0, "{own} beside {others}");
    }
}

#[test]
fn who_does_not_want_latency_judged_is_asked() {
    for policy in [Policy::RoundRobin, Policy::Hash] {
        let mut plan = plan(policy, &[1; 3]);
        plan.outlier.latency = policy == Policy::Hash;
        let mut traffic = Traffic::of(&plan);
        traffic.took[0] = MS * 2_000;
        traffic.run(5_000, MS * 10);
        assert_eq!(traffic.down(), 0, "{policy:?}");
    }
}

#[test]
fn one_that_is_alone_in_its_group_is_out_if_another_group_is_well() {
    for groups in [[0, 1, 1], [0, 1, 2], [0, 0, 0]] {
        let mut plan = plan(Policy::RoundRobin, &[1; 3]);
        for (backend, group) in plan.backends.iter_mut().zip(groups) {
            backend.group = group;
        }
        let world = World::of(&plan);
        for _ in 0..3 {
            let _ = world.pool.silent(Slot(0), "no answer", String::new(), world.now);
        }
        assert_eq!(world.state(0).health(), Health::Down, "{groups:?}");
        for index in [1, 2].repeat(3) {
            let _ = world.pool.silent(Slot(index), "no answer", String::new(), world.now);
        }
        let out = (0..3).filter(|index| world.state(*index).health() == Health::Down).count();
        assert!(out < 3, "{groups:?}");
    }
    let alone = World::of(&plan(Policy::RoundRobin, &[1]));
    for _ in 0..9 {
        let _ = alone.pool.silent(Slot(0), "no answer", String::new(), alone.now);
    }
    assert_eq!(alone.state(0).health(), Health::Suspect, "there is nobody else");
}
