//! `peak-ewma` over time: a backend that was slow gets its share back within seconds of being
//! well again (Traefik's issue 12306 is about one that never did), one that stays slow is left in
//! peace, and a new one isn't overrun.

use std::collections::BTreeSet;
use std::time::Duration;

use fairlead_balance::{Pick, Random, Tried};
use fairlead_model::moment::Moment;
use fairlead_model::plan::Policy;

use crate::pools::{plan, World};

/// A pool under traffic, in steps of a tenth of a millisecond.
struct Traffic {
    world: World,
    chance: Random,
    /// How long each backend takes on average.
    latency: Vec<Duration>,
    /// When what ends where, and when it began.
    open: BTreeSet<(Moment, u64, usize, Moment)>,
    begun: u64,
}

const STEP: Duration = Duration::from_micros(100);

impl Traffic {
    fn new(latency: &[u64]) -> Traffic {
        Traffic {
            world: World::of(&plan(Policy::PeakEwma, &vec![1; latency.len()])),
            chance: Random::new(17),
            latency: latency.iter().map(|millis| Duration::from_millis(*millis)).collect(),
            open: BTreeSet::new(),
            begun: 0,
        }
    }

    /// Runs for `time` with so many requests a second on average; says how many each got.
    fn run(&mut self, time: Duration, per_second: f64) -> Vec<u32> {
        let mut counts = vec![0; self.latency.len()];
        let end = self.world.now + time;
        while self.world.now < end {
            self.world.wait(STEP);
            self.finish();
            let draw = self.chance.next() as f64 / u64::MAX as f64;
            if draw < per_second * STEP.as_secs_f64() {
                counts[self.begin()] += 1;
            }
        }
        counts
    }

    fn finish(&mut self) {
        let now = self.world.now;
        while let Some(first) = self.open.first().copied().filter(|(ends, ..)| *ends <= now) {
            self.open.remove(&first);
            let (_, _, index, began) = first;
            self.world.state(index).latency_took(now.since(began), now);
            self.world.state(index).end();
        }
    }

    fn begin(&mut self) -> usize {
        let now = self.world.now;
        let Pick::Backend(slot) = self.world.pick(&Tried::new()) else { panic!("all are well") };
        let takes = self.chance.spread(self.latency[slot.index()], 0.5);
        self.open.insert((now + takes, self.begun, slot.index(), now));
        self.begun += 1;
        slot.index()
    }
}

fn most_over_least(counts: &[u32]) -> f64 {
    let (most, least) = (counts.iter().max(), counts.iter().min());
    f64::from(*most.expect("some")) / f64::from(*least.expect("some")).max(0.1)
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[test]
fn five_that_are_equal_share_alike() {
    for per_second in [20.0, 200.0, 2_000.0] {
        let counts = Traffic::new(&[5; 5]).run(seconds(60), per_second);
        assert!(most_over_least(&counts) <= 1.3, "{per_second}: {counts:?}");
    }
}

#[test]
fn one_that_was_slow_a_few_times_is_back_within_seconds() {
    for per_second in [20.0, 200.0, 2_000.0] {
        let mut traffic = Traffic::new(&[5; 5]);
        traffic.run(seconds(5), per_second);
        traffic.latency[2] = Duration::from_secs(1);
        traffic.run(seconds(2), per_second);
        traffic.latency[2] = Duration::from_millis(5);
        traffic.run(seconds(12), per_second);
        let counts = traffic.run(seconds(60), per_second);
        assert!(most_over_least(&counts) <= 1.3, "{per_second}: {counts:?}");
    }
}

#[test]
fn one_that_stays_slow_gets_little() {
    let mut traffic = Traffic::new(&[5, 5, 5, 5, 250]);
    traffic.run(seconds(5), 500.0);
    let counts = traffic.run(seconds(30), 500.0);
    let share = f64::from(counts[4]) / f64::from(counts.iter().sum::<u32>());
    assert!(share > 0.0 && share < 0.01, "{counts:?}");
}

#[test]
fn a_faster_one_gets_more() {
    let counts = Traffic::new(&[2, 20]).run(seconds(30), 500.0);
    assert!(counts[0] > 4 * counts[1], "{counts:?}");
}

#[test]
fn a_new_one_is_not_overrun() {
    let mut traffic = Traffic::new(&[20; 5]);
    // Four are known, the fifth has never been asked.
    for index in 0..4 {
        traffic.world.state(index).latency_took(Duration::from_millis(20), traffic.world.now);
    }
    let counts = traffic.run(Duration::from_millis(200), 2_000.0);
    let share = f64::from(counts[4]) / f64::from(counts.iter().sum::<u32>());
    assert!((0.1..0.35).contains(&share), "{counts:?}");
}

#[test]
fn after_a_long_silence_nobody_attracts_the_herd() {
    let mut traffic = Traffic::new(&[20; 5]);
    for (index, age) in [5, 60, 600, 900, 0].into_iter().enumerate() {
        let then = traffic.world.now - seconds(age);
        traffic.world.state(index).latency_took(Duration::from_millis(20 + age), then);
    }
    traffic.world.wait(seconds(100));
    let counts = traffic.run(Duration::from_millis(200), 2_000.0);
    assert!(counts.iter().all(|count| *count < 160), "{counts:?}");
}
